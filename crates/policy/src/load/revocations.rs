//! `[[revocation]]`: a document of its own, since it changes at other times and by other hands than the policies.

use alloc::boxed::Box;

use super::reader::{Node, Quoted, Reader};
use super::{TOML_REVOCATION, values, windows};
use crate::document::Table;
use crate::limits::MAX_REVOCATIONS;
use crate::revocations::{Revocation, Revocations};

const FIELDS: &[&str] = &["device", "from", "identity", "reason", "session", "target"];

/// Hex digits of a session's name.
const SESSION_DIGITS: usize = 32;

pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Revocations {
    let document = reader.document(table, &["revocation"]);
    let Some(list) = document.get("revocation") else {
        return Revocations::default();
    };
    let items = reader.array(&list);
    if items.len() > MAX_REVOCATIONS {
        let what = format_args!("{} entries, more than {MAX_REVOCATIONS}", items.len());
        let help = "remove those of sessions that ended and of people whom no policy lets in";
        reader.problem(&list, what, help);
        return Revocations::default();
    }
    let entries = items.filter_map(|item| entry(reader, &item));
    Revocations {
        entries: entries.collect(),
    }
}

fn entry(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Revocation> {
    let fields = reader.table(node, FIELDS)?;
    let named = ["identity", "device", "session", "target"];
    if named.iter().all(|name| fields.get(name).is_none()) {
        let what = "an entry that names nothing would revoke everything";
        reader.problem(node, what, TOML_REVOCATION);
    }
    let mut lower = |name| match fields.get(name) {
        Some(node) => lower_case(reader, &node),
        None => Box::default(),
    };
    let (identities, devices, targets) = (lower("identity"), lower("device"), lower("target"));
    let sessions = match fields.get("session") {
        Some(node) => values::each(reader, &node, session),
        None => Box::default(),
    };
    let from = fields
        .get("from")
        .and_then(|node| windows::moment(reader, &node));
    let help = "write why, for whoever reads the log: `reason = \"left the company\"`";
    let reason = reader.required(&fields, "reason", help)?;
    let reason = values::name(reader, &reason)?;
    Some(Revocation {
        identities,
        devices,
        sessions,
        targets,
        from,
        reason: reason.into(),
        line: reader.line_of(node),
    })
}

fn lower_case(reader: &mut Reader<'_>, node: &Node<'_>) -> Box<[Box<str>]> {
    values::each(reader, node, |reader, item| {
        let name = values::name(reader, item)?;
        Some(name.to_ascii_lowercase().into())
    })
}

fn session(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Box<str>> {
    let text = reader.string(node)?;
    if text.len() == SESSION_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(text.to_ascii_lowercase().into());
    }
    let what = format_args!("{} is no session", Quoted(text));
    let help = "write the 32 hex digits that events and messages show";
    reader.problem(node, what, help);
    None
}
