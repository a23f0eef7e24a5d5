//! A parsed document, whichever notation it was written in: values with the place where they stand.

mod json;
mod pieces;
mod table;
mod toml;
mod write;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

pub(crate) use json::{parse as parse_json, parse_from as parse_json_from};
pub(crate) use pieces::{Pieces, Texts};
pub(crate) use table::{Entry, Table, TableKind};
pub(crate) use toml::parse as parse_toml;
pub(crate) use write::to_toml;

/// How deep values may nest. It bounds the stack of whatever walks through them.
const MAX_DEPTH: u32 = 80;

/// A value and the byte offset at which it stands. Documents have fewer than 2^32 bytes
/// ([`MAX_DOCUMENT_BYTES`](crate::limits::MAX_DOCUMENT_BYTES)).
#[derive(Debug)]
pub(crate) struct Item<'t> {
    pub(crate) at: u32,
    pub(crate) value: Value<'t>,
}

/// What a document can hold.
#[derive(Debug)]
pub(crate) enum Value<'t> {
    Text(Cow<'t, str>),
    Boolean(bool),
    /// A whole number as digits, with a sign where one was written, and their radix.
    Integer {
        digits: Cow<'t, str>,
        radix: u32,
    },
    /// A number with a fraction or an exponent; no rule takes one.
    Float,
    /// No rule takes one.
    Date,
    List(List<'t>),
    Table(Table<'t>),
}

/// A list, and whether TOML headers may still append to it.
#[derive(Debug, Default)]
pub(crate) struct List<'t> {
    pub(crate) items: Vec<Item<'t>>,
    is_open: bool,
}

/// Why a text is no document.
#[derive(Debug)]
pub(crate) struct SyntaxFault {
    pub(crate) at: usize,
    pub(crate) what: String,
    pub(crate) is_repeated_key: bool,
}

impl<'t> Item<'t> {
    pub(crate) fn text(at: u32, text: impl Into<Cow<'t, str>>) -> Self {
        let value = Value::Text(text.into());
        Self { at, value }
    }

    pub(crate) fn yes(at: u32) -> Self {
        let value = Value::Boolean(true);
        Self { at, value }
    }

    pub(crate) fn list(at: u32, items: Vec<Self>) -> Self {
        let is_open = false;
        let value = Value::List(List { items, is_open });
        Self { at, value }
    }

    /// A table; of a key that is given twice the first counts.
    pub(crate) fn table(at: u32, fields: impl IntoIterator<Item = (&'t str, Self)>) -> Self {
        let mut table = Table::default();
        for (key, item) in fields {
            table.put(key, item);
        }
        let value = Value::Table(table);
        Self { at, value }
    }
}

impl List<'_> {
    /// Most lists hold one item.
    fn with_room_for_one() -> Self {
        Self {
            items: Vec::with_capacity(1),
            is_open: false,
        }
    }
}

impl SyntaxFault {
    pub(crate) fn new(at: usize, what: impl Into<String>) -> Self {
        Self {
            at,
            what: what.into(),
            is_repeated_key: false,
        }
    }
}

/// A place in a text. More than 4 GiB are not addressed, and not loaded.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
