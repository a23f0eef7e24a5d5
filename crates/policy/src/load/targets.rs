//! Target criteria: `target = [{ port = 22, include = [{ tag = { env = "prod" } }] }]`.

use alloc::boxed::Box;

use super::reader::{Listed, Node, Quoted, Reader, nearest};
use super::values;
use crate::target::{Criterion, Ports, TargetSelector};

pub(crate) const CRITERION_FIELDS: &[&str] = &["exclude", "include", "port", "require"];
pub(crate) const SELECTORS: &[&str] = &["any_target", "hostname", "id", "tag"];

/// The port that is meant where a document does not say: SSH's own.
const DEFAULT_PORT: u16 = 22;

const HELP: &str = "write which targets, as in `include = [{ hostname = \"db-1\" }]` or `include = [{ any_target = true }]`";

/// One criterion, or a list of them.
pub(super) fn load(reader: &mut Reader<'_>, node: &Node<'_>) -> Box<[Criterion]> {
    let items = node.items_or_itself();
    if items.len() == 0 {
        reader.problem(node, "an empty list matches no target", HELP);
    }
    values::exactly(items, |item| criterion(reader, &item)).into()
}

fn criterion(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Criterion> {
    let fields = reader.table(node, CRITERION_FIELDS)?;
    let ports = match fields.get("port") {
        None => Ports::These(Box::new([DEFAULT_PORT])),
        Some(node) => ports(reader, &node),
    };
    let mut read = |name| -> (usize, Box<[TargetSelector]>) {
        match fields.get(name) {
            Some(list) => {
                let items = reader.array(&list);
                let count = items.len();
                let selectors = values::exactly(items, |item| selector(reader, &item));
                (count, Box::from(selectors))
            }
            None => (0, Box::default()),
        }
    };
    let (included, include) = read("include");
    let (_, require) = read("require");
    let (_, exclude) = read("exclude");
    if included == 0 {
        reader.problem(
            node,
            "an `include` that is missing or empty matches no target",
            HELP,
        );
    }
    if require.iter().any(|selector| selector.values() > 1) {
        let what = "it requires several different values at once, which no target has";
        reader.problem(
            node,
            what,
            "write several in `include`, or a second criterion",
        );
    }
    Some(Criterion {
        ports,
        include,
        require,
        exclude,
    })
}

/// A port, several, or `"any"`.
pub(super) fn ports(reader: &mut Reader<'_>, node: &Node<'_>) -> Ports {
    match node.as_str() {
        Some("any") => Ports::Any,
        _ => Ports::These(values::each(reader, node, port)),
    }
}

fn port(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<u16> {
    let number = reader.integer(node, 1, u32::from(u16::MAX))?;
    u16::try_from(number).ok()
}

fn selector(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<TargetSelector> {
    let fields = reader.open_table(node)?;
    if fields.len() != 1 {
        reader.problem(
            node,
            "a rule holds exactly one selector",
            "write each selector as a rule of its own: `[{ … }, { … }]`",
        );
        return None;
    }
    let (name, value) = fields.entries().next()?;
    match name {
        "any_target" => values::switched_on(reader, &value).map(|()| TargetSelector::AnyTarget),
        "id" => filled(values::names(reader, &value)).map(TargetSelector::Id),
        "hostname" => {
            filled(values::each(reader, &value, values::hostname)).map(TargetSelector::Hostname)
        }
        "tag" => tag(reader, &value),
        _ => {
            let what = alloc::format!("there is no target selector {}", Quoted(name));
            match nearest(name, SELECTORS) {
                Some(near) => reader.problem(&value, what, format_args!("write `{near}`")),
                None => reader.problem(
                    &value,
                    what,
                    format_args!("write one of {}", Listed(SELECTORS)),
                ),
            }
            None
        }
    }
}

fn tag(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<TargetSelector> {
    let fields = reader.open_table(node)?;
    if fields.len() != 1 {
        reader.problem(
            node,
            "a tag rule holds exactly one tag",
            "write `{ tag = { env = \"prod\" } }`, and each tag as a rule of its own",
        );
        return None;
    }
    let (key, value) = fields.entries().next()?;
    let values = filled(values::names(reader, &value))?;
    Some(TargetSelector::Tag {
        key: key.into(),
        values,
    })
}

/// Nothing where every value was a problem.
fn filled(values: Box<[Box<str>]>) -> Option<Box<[Box<str>]>> {
    (!values.is_empty()).then_some(values)
}
