//! A parsed document with the place of every value, and the problems found on the way.

mod node;
mod text;

use alloc::format;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::OnceCell;
use core::fmt;

use crate::constraints::Constraints;
use crate::document::{Item, SyntaxFault, Table};
use crate::error::{LoadError, Problem};
use crate::feature::Feature;
use crate::limits::MAX_PROBLEMS;
use crate::permissions::Permissions;
use crate::set::Demand;
use crate::window::Zone;
pub(super) use node::{Fields, Items, Node};
use node::{Path, Step};
pub(super) use text::{Listed, Quoted, nearest};

/// Collects problems and warnings.
pub(super) struct Reader<'t> {
    text: &'t str,
    /// Byte offsets at which lines begin, once something is said about one.
    lines: OnceCell<Vec<usize>>,
    problems: Vec<Problem>,
    unlisted: usize,
    warnings: Vec<Problem>,
    demands: Vec<Demand>,
    default_permissions: Arc<Permissions>,
    default_constraints: Arc<Constraints>,
    /// The zones that were named; few, and each costs a walk through the database.
    zones: Vec<Arc<Zone>>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            lines: OnceCell::new(),
            problems: Vec::new(),
            unlisted: 0,
            warnings: Vec::new(),
            demands: Vec::new(),
            default_permissions: Arc::default(),
            default_constraints: Arc::default(),
            zones: Vec::new(),
        }
    }

    /// What a policy permits that does not say, shared by all that do not.
    pub(super) fn default_permissions(&self) -> Arc<Permissions> {
        Arc::clone(&self.default_permissions)
    }

    /// What a policy constrains that does not say, shared by all that do not.
    pub(super) fn default_constraints(&self) -> Arc<Constraints> {
        Arc::clone(&self.default_constraints)
    }

    /// The time zone of that name, one for all who name it.
    pub(super) fn zone(&mut self, name: &str) -> Option<Arc<Zone>> {
        if let Some(zone) = self.zones.iter().find(|zone| zone.name == name) {
            return Some(Arc::clone(zone));
        }
        let zone = Arc::new(Zone::find(name)?);
        self.zones.push(Arc::clone(&zone));
        Some(zone)
    }

    /// Notes that the policy with this field asks for something that not everybody can carry out.
    pub(super) fn demand(&mut self, node: &Node<'_>, feature: Feature) {
        let what = format!("it asks for `{feature}`, which cannot be enforced here");
        let place = self.locate(node.at, node.path, what, "remove it");
        self.demands.push(Demand { feature, place });
    }

    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    pub(super) fn into_error(mut self) -> LoadError {
        self.problems
            .sort_by_key(|problem| (problem.line, problem.column));
        LoadError::new(self.problems, self.unlisted)
    }

    pub(super) fn into_warnings_and_demands(mut self) -> (Vec<Problem>, Vec<Demand>) {
        self.warnings
            .sort_by_key(|warning| (warning.line, warning.column));
        (self.warnings, self.demands)
    }

    /// Reports what makes the document invalid.
    pub(super) fn problem(
        &mut self,
        node: &Node<'_>,
        what: impl fmt::Display,
        help: impl fmt::Display,
    ) {
        self.problem_at(node.at, node.path, what, help);
    }

    fn problem_at(
        &mut self,
        at: usize,
        path: impl fmt::Display,
        what: impl fmt::Display,
        help: impl fmt::Display,
    ) {
        if self.problems.len() < MAX_PROBLEMS {
            let problem = self.locate(at, path, what, help);
            self.problems.push(problem);
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
    }

    /// Reports what is valid but probably not meant.
    pub(super) fn warn(
        &mut self,
        node: &Node<'_>,
        what: impl fmt::Display,
        help: impl fmt::Display,
    ) {
        if self.warnings.len() < MAX_PROBLEMS {
            let warning = self.locate(node.at, node.path, what, help);
            self.warnings.push(warning);
        }
    }

    /// Reports what the parser found; `example` shows how the notation is written.
    pub(super) fn syntax(&mut self, fault: &SyntaxFault, example: &str) {
        let help = if fault.is_repeated_key {
            "write each key once in a table"
        } else {
            example
        };
        self.problem_at(fault.at, "", &fault.what, help);
    }

    /// The line of a place, counted from 1.
    pub(super) fn line_of(&self, node: &Node<'_>) -> usize {
        let lines = self.lines();
        lines.partition_point(|start| *start <= node.at).max(1)
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| line_starts(self.text))
    }

    fn locate(
        &self,
        offset: usize,
        path: impl fmt::Display,
        what: impl fmt::Display,
        help: impl fmt::Display,
    ) -> Problem {
        let lines = self.lines();
        let line = lines.partition_point(|start| *start <= offset);
        let start = line
            .checked_sub(1)
            .and_then(|index| lines.get(index))
            .copied()
            .unwrap_or(0);
        let column = self
            .text
            .get(start..offset)
            .map(|before| before.chars().count().saturating_add(1));
        Problem {
            line: line.max(1),
            column,
            path: path.to_string(),
            what: what.to_string(),
            help: help.to_string(),
        }
    }

    /// The document itself, its unknown fields reported.
    pub(super) fn document<'p>(&mut self, table: &'p Table<'p>, known: &[&str]) -> Fields<'p> {
        let node = Node {
            path: Path {
                parent: None,
                step: Step::Document,
            },
            at: 0,
            value: None,
        };
        self.check_fields(&node, table, known);
        Fields { node, table }
    }

    /// A whole value that is not of this document's own form.
    pub(super) fn root<'p>(item: &'p Item<'p>) -> Node<'p> {
        Node {
            path: Path {
                parent: None,
                step: Step::Document,
            },
            at: usize::try_from(item.at).unwrap_or(usize::MAX),
            value: Some(&item.value),
        }
    }

    /// The value as a table, its unknown fields reported.
    pub(super) fn table<'p>(&mut self, node: &Node<'p>, known: &[&str]) -> Option<Fields<'p>> {
        let fields = self.open_table(node)?;
        self.check_fields(node, fields.table, known);
        Some(fields)
    }

    /// The value as a table of whatever fields.
    pub(super) fn open_table<'p>(&mut self, node: &Node<'p>) -> Option<Fields<'p>> {
        let Some(table) = node.as_table() else {
            self.problem(
                node,
                format_args!("a table is expected here, not {}", node.type_name()),
                "write `{ field = value }`",
            );
            return None;
        };
        Some(Fields {
            node: node.clone(),
            table,
        })
    }

    fn check_fields(&mut self, node: &Node<'_>, table: &Table<'_>, known: &[&str]) {
        for entry in table.entries() {
            let name: &str = &entry.key;
            if known.contains(&name) {
                continue;
            }
            let path = Path {
                parent: Some(&node.path),
                step: Step::Key(name),
            };
            let help = match nearest(name, known) {
                Some(near) => format!("write `{near}`, or remove it"),
                None => format!("remove it, or write one of {}", Listed(known)),
            };
            self.problem_at(
                usize::try_from(entry.key_at).unwrap_or(usize::MAX),
                path,
                format_args!("unknown field {}", Quoted(name)),
                help,
            );
        }
    }

    /// The field `name`, whose absence is a problem.
    pub(super) fn required<'n>(
        &mut self,
        fields: &'n Fields<'_>,
        name: &'n str,
        help: &str,
    ) -> Option<Node<'n>> {
        let found = fields.get(name);
        if found.is_none() {
            self.problem(&fields.node, format_args!("`{name}` is missing"), help);
        }
        found
    }

    pub(super) fn string<'p>(&mut self, node: &Node<'p>) -> Option<&'p str> {
        let text = node.as_str();
        if text.is_none() {
            self.problem(
                node,
                format_args!("a text is expected here, not {}", node.type_name()),
                "write it in quotes: `\"…\"`",
            );
        }
        text
    }

    pub(super) fn boolean(&mut self, node: &Node<'_>) -> Option<bool> {
        let value = node.as_boolean();
        if value.is_none() {
            self.problem(
                node,
                format_args!("a yes or no is expected here, not {}", node.type_name()),
                "write `true` or `false`",
            );
        }
        value
    }

    /// A whole number from `min` to `max`.
    pub(super) fn integer(&mut self, node: &Node<'_>, min: u32, max: u32) -> Option<u32> {
        let number = node.as_integer();
        let value = number.and_then(|(digits, radix)| u32::from_str_radix(digits, radix).ok());
        let value = value.filter(|value| (min..=max).contains(value));
        if value.is_none() {
            let what = match number {
                Some((digits, _)) => format!("{} is out of range", Quoted(digits)),
                None => format!("a number is expected here, not {}", node.type_name()),
            };
            self.problem(
                node,
                what,
                format_args!("write a whole number from {min} to {max}"),
            );
        }
        value
    }

    /// The items of an array.
    pub(super) fn array<'n>(&mut self, node: &'n Node<'n>) -> Items<'n> {
        if node.as_array().is_none() {
            self.problem(
                node,
                format_args!("a list is expected here, not {}", node.type_name()),
                "write it in brackets: `[ … ]`",
            );
        }
        node.each_item()
    }

    /// The items of an array that must not be empty, or the one value that stands for itself.
    pub(super) fn one_or_more<'n>(&mut self, node: &'n Node<'n>) -> Items<'n> {
        let items = node.items_or_itself();
        if items.len() == 0 {
            self.problem(
                node,
                "an empty list matches nobody",
                "write at least one value, or remove the rule",
            );
        }
        items
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let breaks = text.match_indices('\n');
    let after_breaks = breaks.map(|(offset, _)| offset.saturating_add(1));
    core::iter::once(0).chain(after_breaks).collect()
}
