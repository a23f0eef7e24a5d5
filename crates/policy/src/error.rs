//! What can be wrong with a document, all at once and with a fix for each.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A document that cannot be loaded. It lists every problem found, in the order of the lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct LoadError {
    problems: Vec<Problem>,
    unlisted: usize,
}

impl LoadError {
    pub(crate) fn new(problems: Vec<Problem>, unlisted: usize) -> Self {
        Self { problems, unlisted }
    }

    /// The problems in the order of their lines, at least one and at most [`MAX_PROBLEMS`](crate::limits::MAX_PROBLEMS).
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many further problems there are.
    #[must_use]
    pub fn unlisted(&self) -> usize {
        self.unlisted
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        if self.unlisted > 0 {
            write!(f, "\nand {} more", self.unlisted)?;
        }
        Ok(())
    }
}

/// One thing that is wrong, or suspicious, in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1, where the place is that precise.
    pub column: Option<usize>,
    /// The place in the document's structure, for example `application[0].policy[1].usernames`; empty for the document as a whole.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}; {}", self.what, self.help)
    }
}
