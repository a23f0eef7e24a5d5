//! Values with the place where they stand.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

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
    /// Values nest no deeper than the TOML parser allows (80).
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
    pub(super) span: Range<usize>,
    /// Absent where the place is the document itself.
    pub(super) value: Option<&'p DeValue<'p>>,
}

impl<'p> Node<'p> {
    fn item<'n>(&'n self, index: usize, value: &'n Spanned<DeValue<'n>>) -> Node<'n> {
        self.child(Step::Index(index), value)
    }

    fn child<'n>(&'n self, step: Step<'n>, value: &'n Spanned<DeValue<'n>>) -> Node<'n> {
        Node {
            path: Path {
                parent: Some(&self.path),
                step,
            },
            span: value.span(),
            value: Some(value.get_ref()),
        }
    }

    /// The items of an array, none if it is something else.
    pub(in crate::load) fn items<'n>(&'n self) -> Vec<Node<'n>> {
        let items = self.as_array().unwrap_or_default();
        items
            .iter()
            .enumerate()
            .map(|(index, item)| self.item(index, item))
            .collect()
    }

    /// The field of a table, if it is one and has it.
    pub(in crate::load) fn field<'n>(&'n self, name: &'n str) -> Option<Node<'n>> {
        let table = self.value.and_then(|value| value.as_table())?;
        table
            .get(name)
            .map(|value| self.child(Step::Key(name), value))
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self.value.map(|value| value.type_str()) {
            Some("array") => "a list",
            Some("boolean") => "a yes or no",
            Some("datetime") => "a date",
            Some("float" | "integer") => "a number",
            Some("string") => "a text",
            _ => "a table",
        }
    }

    pub(in crate::load) fn as_str(&self) -> Option<&'p str> {
        self.value.and_then(|value| value.as_str())
    }

    pub(in crate::load) fn as_array(&self) -> Option<&'p [Spanned<DeValue<'p>>]> {
        self.value
            .and_then(|value| value.as_array())
            .map(|array| &**array)
    }

    pub(in crate::load) fn is_table(&self) -> bool {
        self.value.is_none_or(|value| value.is_table())
    }

    pub(in crate::load) fn is_integer(&self) -> bool {
        self.value.is_some_and(|value| value.is_integer())
    }
}

/// A table whose fields are known.
pub(in crate::load) struct Fields<'p> {
    pub(super) node: Node<'p>,
    pub(super) table: &'p DeTable<'p>,
}

impl<'p> Fields<'p> {
    /// Where the table stands.
    pub(in crate::load) fn node(&self) -> Node<'p> {
        self.node.clone()
    }

    pub(in crate::load) fn get<'n>(&'n self, name: &'n str) -> Option<Node<'n>> {
        self.table
            .get(name)
            .map(|value| self.node.child(Step::Key(name), value))
    }

    /// The keys as written, with their places.
    pub(in crate::load) fn entries<'n>(&'n self) -> impl Iterator<Item = (&'n str, Node<'n>)> {
        self.table.iter().map(|(key, value)| {
            (
                &**key.get_ref(),
                self.node.child(Step::Key(key.get_ref()), value),
            )
        })
    }

    pub(in crate::load) fn len(&self) -> usize {
        self.table.len()
    }
}
