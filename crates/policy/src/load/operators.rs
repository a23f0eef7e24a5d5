//! Operators: `[[operator]]`, `may = ["list", "watch"]`.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::contradictions::{self, Contradiction};
use super::groups::GroupNames;
use super::reader::{Fields, Node, Quoted, Reader, nearest};
use super::{rules, targets, values};
use crate::operator::{Operator, OperatorAction};

pub(crate) const OPERATOR_FIELDS: &[&str] =
    &["exclude", "include", "may", "name", "require", "target"];

const MAY_HELP: &str = "write some of `list`, `show`, `end`, `watch` and `approve`";

/// The operators of a document, each of another name.
pub(super) fn load(
    reader: &mut Reader<'_>,
    document: &Fields<'_>,
    names: &mut GroupNames,
) -> Box<[Operator]> {
    let Some(list) = document.get("operator") else {
        return Box::default();
    };
    let mut operators: Vec<Operator> = Vec::new();
    let mut seen: BTreeSet<Arc<str>> = BTreeSet::new();
    for item in reader.array(&list) {
        let Some(operator) = operator(reader, &item, names) else {
            continue;
        };
        if !seen.insert(Arc::clone(&operator.name)) {
            let what = format!("there is another operator {}", Quoted(&operator.name));
            let name = item.field("name").unwrap_or(item.clone());
            reader.problem(&name, what, "write a name of its own");
        }
        operators.push(operator);
    }
    operators.into()
}

fn operator(reader: &mut Reader<'_>, node: &Node<'_>, names: &mut GroupNames) -> Option<Operator> {
    let fields = reader.table(node, OPERATOR_FIELDS)?;
    let name = reader.required(&fields, "name", "write a name, which the log will show");
    let name = name.and_then(|node| values::name(reader, &node));
    let may = reader.required(&fields, "may", MAY_HELP);
    let may = may.map_or_else(Vec::new, |node| actions(reader, &node));
    let help = "write about whose sessions, as in `target = { include = [{ any_target = true }] }`";
    let target = reader.required(&fields, "target", help);
    let criteria = target.map_or_else(Box::default, |node| targets::load(reader, &node));
    let rules = rules::load(reader, &fields, names);
    // It lets nobody do anything, which is safe.
    if let Some(Contradiction { what, help }) = contradictions::find(&rules) {
        reader.warn(node, what, help);
    }
    Some(Operator {
        name: name?.into(),
        may: may.into(),
        criteria,
        rules,
    })
}

/// What `may` lists, each once and at least one.
fn actions(reader: &mut Reader<'_>, node: &Node<'_>) -> Vec<OperatorAction> {
    let mut actions = Vec::new();
    let mut is_empty = true;
    for item in reader.array(node) {
        is_empty = false;
        let Some(text) = reader.string(&item) else {
            continue;
        };
        match OperatorAction::from_name(text) {
            Some(action) if !actions.contains(&action) => actions.push(action),
            Some(_) => {}
            None => {
                let what = format!("there is no action {} about sessions", Quoted(text));
                match nearest(text, &OperatorAction::ALL.map(OperatorAction::name)) {
                    Some(near) => reader.problem(&item, what, format_args!("write `{near}`")),
                    None => reader.problem(&item, what, MAY_HELP),
                }
            }
        }
    }
    if is_empty && node.as_array().is_some() {
        reader.problem(node, "an empty `may` allows nothing", MAY_HELP);
    }
    actions
}
