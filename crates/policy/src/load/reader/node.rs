//! Values with the place where they stand.

use alloc::vec::Vec;
use core::fmt;
use core::iter::Enumerate;
use core::slice;

use crate::document::{Item, Table, Value};

/// The way from the document to a value, turned into text only when there is something to say about it.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    pub(super) parent: Option<&'p Path<'p>>,
    pub(super) step: Step<'p>,
}

#[derive(Clone, Copy)]
pub(super) enum Step<'p> {
    Document,
    Key(&'p str),
    Index(usize),
}

impl fmt::Display for Path<'_> {
    /// Values nest no deeper than the parsers allow.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Document => Ok(()),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => {
                let is_first = self
                    .parent
                    .is_none_or(|parent| matches!(parent.step, Step::Document));
                write!(
                    f,
                    "{}{}",
                    if is_first { "" } else { "." },
                    key.escape_debug()
                )
            }
        }
    }
}

/// A place in the document.
#[derive(Clone)]
pub(in crate::load) struct Node<'p> {
    pub(super) path: Path<'p>,
    /// The byte offset.
    pub(super) at: usize,
    /// Absent where the place is the document itself.
    pub(super) value: Option<&'p Value<'p>>,
}

impl<'p> Node<'p> {
    fn child<'n>(&'n self, step: Step<'n>, item: &'n Item<'n>) -> Node<'n> {
        Node {
            path: Path {
                parent: Some(&self.path),
                step,
            },
            at: usize::try_from(item.at).unwrap_or(usize::MAX),
            value: Some(&item.value),
        }
    }

    /// An item of a list that holds its place here and itself elsewhere.
    pub(in crate::load) fn element<'n>(&'n self, index: usize, item: &'n Item<'n>) -> Node<'n> {
        self.child(Step::Index(index), item)
    }

    /// The items of an array, none if it is something else.
    pub(in crate::load) fn items<'n>(&'n self) -> Vec<Node<'n>> {
        self.each_item().collect()
    }

    /// As [`items`](Self::items), one after the other.
    pub(in crate::load) fn each_item<'n>(&'n self) -> Items<'n> {
        let items = self.as_array().unwrap_or_default().iter().enumerate();
        Items {
            list: self,
            itself: None,
            items,
        }
    }

    /// The items of an array, or this itself if it is something else.
    pub(in crate::load) fn items_or_itself<'n>(&'n self) -> Items<'n> {
        let itself = self.as_array().is_none().then_some(self);
        Items {
            itself,
            ..self.each_item()
        }
    }

    /// The field of a table, if it is one and has it.
    pub(in crate::load) fn field<'n>(&'n self, name: &'n str) -> Option<Node<'n>> {
        let item = self.as_table()?.get(name)?;
        Some(self.child(Step::Key(name), item))
    }

    /// The byte offset as the document holds it.
    pub(in crate::load) fn place(&self) -> u32 {
        u32::try_from(self.at).unwrap_or(u32::MAX)
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self.value {
            Some(Value::List(_)) => "a list",
            Some(Value::Boolean(_)) => "a yes or no",
            Some(Value::Date) => "a date",
            Some(Value::Float | Value::Integer { .. }) => "a number",
            Some(Value::Text(_)) => "a text",
            Some(Value::Table(_)) | None => "a table",
        }
    }

    pub(in crate::load) fn as_str(&self) -> Option<&'p str> {
        match self.value? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_boolean(&self) -> Option<bool> {
        match self.value? {
            Value::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// The digits of a whole number, and their radix.
    pub(in crate::load) fn as_integer(&self) -> Option<(&'p str, u32)> {
        match self.value? {
            Value::Integer { digits, radix } => Some((digits, *radix)),
            _ => None,
        }
    }

    pub(in crate::load) fn as_array(&self) -> Option<&'p [Item<'p>]> {
        match self.value? {
            Value::List(list) => Some(&list.items),
            _ => None,
        }
    }

    pub(super) fn as_table(&self) -> Option<&'p Table<'p>> {
        match self.value? {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(in crate::load) fn is_table(&self) -> bool {
        self.value.is_none() || self.as_table().is_some()
    }

    pub(in crate::load) fn is_integer(&self) -> bool {
        self.as_integer().is_some()
    }
}

/// Items of a list, or what stands for one.
pub(in crate::load) struct Items<'n> {
    list: &'n Node<'n>,
    itself: Option<&'n Node<'n>>,
    items: Enumerate<slice::Iter<'n, Item<'n>>>,
}

impl<'n> Iterator for Items<'n> {
    type Item = Node<'n>;

    fn next(&mut self) -> Option<Node<'n>> {
        if let Some(itself) = self.itself.take() {
            return Some(itself.clone());
        }
        let (index, item) = self.items.next()?;
        Some(self.list.child(Step::Index(index), item))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let length = self.len();
        (length, Some(length))
    }
}

impl ExactSizeIterator for Items<'_> {
    fn len(&self) -> usize {
        let itself = usize::from(self.itself.is_some());
        self.items.len().saturating_add(itself)
    }
}

/// A table whose fields are known.
pub(in crate::load) struct Fields<'p> {
    pub(super) node: Node<'p>,
    pub(super) table: &'p Table<'p>,
}

impl<'p> Fields<'p> {
    /// Where the table stands.
    pub(in crate::load) fn node(&self) -> Node<'p> {
        self.node.clone()
    }

    pub(in crate::load) fn get<'n>(&'n self, name: &'n str) -> Option<Node<'n>> {
        let item = self.table.get(name)?;
        Some(self.node.child(Step::Key(name), item))
    }

    /// The keys as written, with their places.
    pub(in crate::load) fn entries<'n>(&'n self) -> impl Iterator<Item = (&'n str, Node<'n>)> {
        self.table.entries().iter().map(|entry| {
            (
                &*entry.key,
                self.node.child(Step::Key(&entry.key), &entry.item),
            )
        })
    }

    /// Whether there are no other fields than some of these.
    pub(in crate::load) fn are_among(&self, names: &[&str]) -> bool {
        let mut entries = self.table.entries().iter();
        entries.all(|entry| names.contains(&&*entry.key))
    }

    pub(in crate::load) fn len(&self) -> usize {
        self.table.entries().len()
    }
}
