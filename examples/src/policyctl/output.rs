//! What is printed: text with colours on a terminal, or one JSON value.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

use super::documents::PolicyctlError;

/// Collects what a command says, and prints it at the end.
pub(super) struct Output {
    is_json: bool,
    has_colours: bool,
    text: String,
    json: Option<Value>,
}

/// What a word means; on a terminal, its colour.
#[derive(Clone, Copy)]
pub(super) enum Tone {
    Good,
    Bad,
    Odd,
}

impl Output {
    pub(super) fn new(is_json: bool) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            is_json,
            has_colours: !is_json && !no_colour && io::stdout().is_terminal(),
            text: String::new(),
            json: None,
        }
    }

    /// A line for people.
    pub(super) fn line(&mut self, line: impl Display) {
        self.text.push_str(&line.to_string());
        self.text.push('\n');
    }

    /// Text as it is, for whoever reads.
    pub(super) fn raw(&mut self, text: &str) {
        self.text.push_str(text);
        self.is_json = false;
    }

    /// The whole answer for programs.
    pub(super) fn json(&mut self, value: Value) {
        self.json = Some(value);
    }

    /// What programs read where the answer is an error, at once.
    pub(super) fn json_of_failure(&self, value: Value) -> Result<(), PolicyctlError> {
        if self.is_json {
            print_all(&format!("{value:#}\n"))?;
        }
        Ok(())
    }

    /// A word in its colour.
    pub(super) fn toned(&self, tone: Tone, word: impl Display) -> String {
        let colour = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Odd => "33",
        };
        if self.has_colours {
            format!("\u{1b}[{colour}m{word}\u{1b}[0m")
        } else {
            word.to_string()
        }
    }

    /// Prints it.
    pub(super) fn finish(self) -> Result<(), PolicyctlError> {
        let text = match self.json {
            Some(value) if self.is_json => format!("{value:#}\n"),
            _ => self.text,
        };
        print_all(&text)
    }
}

fn print_all(text: &str) -> Result<(), PolicyctlError> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => PolicyctlError::BrokenPipe,
        _ => PolicyctlError::Write(error),
    })
}
