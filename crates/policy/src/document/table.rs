//! Tables: few keys each, in the order in which they were written.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::Item;

/// Keys of one table. No document needs as many; it bounds the search for a key that is written twice.
pub(super) const MAX_KEYS: usize = 128;

/// Keys with their values.
#[derive(Debug, Default)]
pub(crate) struct Table<'t> {
    pub(super) entries: Vec<Entry<'t>>,
    pub(super) kind: TableKind,
}

/// One key with its value.
#[derive(Debug)]
pub(crate) struct Entry<'t> {
    pub(crate) key: Cow<'t, str>,
    pub(crate) key_at: u32,
    pub(crate) item: Item<'t>,
}

/// How a table came about, which settles what may still be added to it (TOML 1.0, "Table").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TableKind {
    /// Written whole, in braces.
    #[default]
    Inline,
    /// By `a.b = …` in another table.
    Dotted,
    /// On the way to a header: `[a.b]` makes an `a`.
    Implicit,
    /// By a header of its own.
    Header,
}

/// A key that cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyFault {
    Repeated,
    TooMany,
}

impl<'t> Table<'t> {
    pub(super) fn new(kind: TableKind) -> Self {
        Self {
            entries: Vec::new(),
            kind,
        }
    }

    /// Written whole. Most that are hold one key, as a rule does.
    pub(super) fn with_room_for_one() -> Self {
        Self {
            entries: Vec::with_capacity(1),
            kind: TableKind::Inline,
        }
    }

    /// Adds a key that a program chose; where it is there already, nothing changes.
    pub(crate) fn put(&mut self, key: &'t str, item: Item<'t>) {
        self.put_under(Cow::Borrowed(key), item);
    }

    /// As [`put`](Self::put).
    pub(crate) fn put_owned(&mut self, key: String, item: Item<'t>) {
        self.put_under(Cow::Owned(key), item);
    }

    fn put_under(&mut self, key: Cow<'t, str>, item: Item<'t>) {
        let key_at = item.at;
        let entry = Entry { key, key_at, item };
        let _ = self.insert(entry);
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Item<'t>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.item)
    }

    /// The keys in the order in which they were written.
    pub(crate) fn entries(&self) -> &[Entry<'t>] {
        &self.entries
    }

    /// Whether what a key on the way asks for may add to this table.
    pub(super) fn is_open_to(&self, kind: TableKind) -> bool {
        match kind {
            TableKind::Dotted => self.kind == TableKind::Dotted,
            _ => self.kind != TableKind::Inline,
        }
    }

    pub(super) fn position(&self, key: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.key == key)
    }

    pub(super) fn insert(&mut self, entry: Entry<'t>) -> Result<(), KeyFault> {
        if self.position(&entry.key).is_some() {
            return Err(KeyFault::Repeated);
        }
        if self.entries.len() >= MAX_KEYS {
            return Err(KeyFault::TooMany);
        }
        self.entries.push(entry);
        Ok(())
    }
}
