//! A parsed document, whichever notation it was written in: values with the place where they stand.

mod json;
mod table;
mod toml;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

pub(crate) use json::parse as parse_json;
pub(crate) use table::{Entry, Table, TableKind};
pub(crate) use toml::parse as parse_toml;

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
