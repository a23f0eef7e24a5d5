//! A TOML document in pieces, cut before lines that look like headers.
//!
//! It need not be known whether they are. A document is a sequence of lines, or of values that go over several: pieces that are
//! documents by themselves say what they say together, and a piece that ends within a value is none.

use alloc::vec::Vec;
use core::ops::Range;

use toml_parser::ParseError;
use toml_parser::lexer::Token;

use super::{Builder, Entry};
use crate::document::pieces::{KEY, Outline, placeholder};
use crate::document::{Item, Value, offset};

/// What a header opens, by its first key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    /// `[[application]]`
    Application,
    /// `[[application.policy]]`
    OfApplication,
    Other,
    /// It takes the parser to know.
    Unclear,
}

/// All but the applications, and where these are.
pub(crate) fn outline(text: &str) -> Option<Outline<'_>> {
    let mut outliner = Outliner {
        text,
        builder: Builder::new(text, 0),
        errors: Vec::new(),
        tokens: Vec::new(),
        piece: Piece::Head(0),
        applications: Vec::new(),
    };
    if text.starts_with('[') {
        outliner.header(0)?;
    }
    for (newline, _) in text.match_indices("\n[") {
        outliner.header(newline.saturating_add(1))?;
    }
    outliner.finish()
}

struct Outliner<'t> {
    text: &'t str,
    /// Of the head.
    builder: Builder<'t>,
    errors: Vec<ParseError>,
    tokens: Vec<Token>,
    piece: Piece,
    applications: Vec<Range<u32>>,
}

/// A piece that begins at a place.
#[derive(Clone, Copy)]
enum Piece {
    Head(usize),
    Application(usize),
}

impl<'t> Outliner<'t> {
    /// Nothing if the document does not come in pieces.
    fn header(&mut self, at: usize) -> Option<()> {
        match (header(self.text.get(at..)?), self.piece) {
            (Header::OfApplication, Piece::Application(_)) => {}
            (Header::Application, _) => {
                self.end_piece(at)?;
                if self.applications.is_empty() {
                    self.put_placeholder(at)?;
                }
                self.piece = Piece::Application(at);
            }
            (Header::Other, _) => {
                self.end_piece(at)?;
                self.piece = Piece::Head(at);
            }
            (Header::OfApplication | Header::Unclear, _) => return None,
        }
        Some(())
    }

    fn end_piece(&mut self, end: usize) -> Option<()> {
        match self.piece {
            Piece::Application(start) => self.applications.push(offset(start)..offset(end)),
            Piece::Head(start) => {
                let piece = self.text.get(start..end)?;
                self.builder.text = piece;
                self.builder.start = start;
                self.builder.read(&mut self.tokens, &mut self.errors);
            }
        }
        Some(())
    }

    fn put_placeholder(&mut self, at: usize) -> Option<()> {
        self.builder.put_open_table(&mut self.errors);
        let key_at = offset(at);
        let placeholder = Entry {
            key: KEY.into(),
            key_at,
            item: placeholder(key_at),
        };
        self.builder.root.insert(placeholder).ok()
    }

    fn finish(mut self) -> Option<Outline<'t>> {
        self.end_piece(self.text.len())?;
        let head = self.builder.finish(&mut self.errors);
        self.errors.is_empty().then_some((head, self.applications))
    }
}

/// What the text begins with, which is a `[`.
fn header(text: &str) -> Header {
    const SPACE: [char; 2] = [' ', '\t'];
    let after_double = text.strip_prefix("[[");
    let inside = after_double.or_else(|| text.strip_prefix('['));
    let inside = inside.unwrap_or_default().trim_start_matches(SPACE);
    let is_of_key = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let end = inside.bytes().position(|byte| !is_of_key(byte));
    let Some((key, after)) = end.and_then(|end| inside.split_at_checked(end)) else {
        return Header::Unclear;
    };
    let after = after.trim_start_matches(SPACE);
    match key {
        "" => Header::Unclear,
        KEY if after.starts_with('.') => Header::OfApplication,
        KEY if after.starts_with("]]") && after_double.is_some() => Header::Application,
        KEY => Header::Unclear,
        _ => Header::Other,
    }
}

/// The one application of a piece that begins at `start`; nothing if it is no good.
pub(crate) fn application<'t>(
    piece: &'t str,
    start: usize,
    tokens: &mut Vec<Token>,
) -> Option<Item<'t>> {
    let mut errors: Vec<ParseError> = Vec::new();
    let mut builder = Builder::new(piece, start);
    builder.read(tokens, &mut errors);
    let root = builder.finish(&mut errors);
    let mut entries = root.entries.into_iter();
    match (entries.next()?.item.value, entries.next()) {
        (Value::List(mut list), None) if errors.is_empty() && list.items.len() == 1 => {
            list.items.pop()
        }
        _ => None,
    }
}
