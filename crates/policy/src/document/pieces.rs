//! A document in pieces: all but its applications as one tree, and these one by one when they are asked for. A document of thousands
//! of applications then never stands in memory as a whole.
//!
//! Nothing is told of a text that is not as it should be, nor of a document that is valid but does not come in pieces (a header
//! with quotes, applications that are taken up again): whoever wants to know reads the whole.

use alloc::vec::Vec;
use core::ops::Range;

use toml_parser::lexer::Token;

use super::{Item, List, Table, Value, json, toml};

/// The key that the applications stand under.
pub(super) const KEY: &str = "application";

/// All of a document but its applications, and these as text.
pub(crate) struct Pieces<'t> {
    /// It holds an empty list for the applications. Where none were found, it is the whole document.
    pub(crate) head: Table<'t>,
    pub(crate) applications: Texts<'t>,
}

/// Applications that are still text.
pub(crate) struct Texts<'t> {
    text: &'t str,
    notation: Notation,
    ranges: Vec<Range<u32>>,
    /// Room for the tokens of one.
    tokens: Vec<Token>,
}

#[derive(Clone, Copy)]
enum Notation {
    Toml,
    Json,
}

impl<'t> Pieces<'t> {
    pub(crate) fn of_toml(text: &'t str) -> Option<Self> {
        Some(Self::new(text, Notation::Toml, toml::outline(text)?))
    }

    pub(crate) fn of_json(text: &'t str) -> Option<Self> {
        Some(Self::new(text, Notation::Json, json::outline(text)?))
    }

    fn new(text: &'t str, notation: Notation, outline: Outline<'t>) -> Self {
        let (head, ranges) = outline;
        let applications = Texts {
            text,
            notation,
            ranges,
            tokens: Vec::new(),
        };
        Self { head, applications }
    }
}

impl<'t> Texts<'t> {
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// An application, read now; nothing if it is no good.
    pub(crate) fn read(&mut self, index: usize) -> Option<Item<'t>> {
        let range = self.ranges.get(index)?;
        let start = usize::try_from(range.start).ok()?;
        let end = usize::try_from(range.end).ok()?;
        match self.notation {
            Notation::Toml => {
                let piece = self.text.get(start..end)?;
                toml::application(piece, start, &mut self.tokens)
            }
            Notation::Json => json::parse_from(self.text.get(..end)?, start).ok(),
        }
    }
}

/// What a notation finds: all but the applications, and where these are.
pub(super) type Outline<'t> = (Table<'t>, Vec<Range<u32>>);

/// What stands in the head for the applications.
pub(super) fn placeholder(at: u32) -> Item<'static> {
    let value = Value::List(List::default());
    Item { at, value }
}
