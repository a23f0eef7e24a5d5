//! What a policy grants: `permit`, `subsystems`, `env`, `max_channels`, `recording`.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::reader::{Fields, Listed, Node, Quoted, Reader, nearest};
use super::{env, values};
use crate::decision::Recording;
use crate::feature::Feature;
use crate::limits::MAX_MAX_CHANNELS;
use crate::permissions::{NamePatterns, NameSet, Permissions};

/// The fields that this file reads.
const PERMISSION_FIELDS: [&str; 4] = ["env", "max_channels", "permit", "subsystems"];

pub(crate) const GRANTABLE: &[&str] = &[
    "agent_forwarding",
    "exec",
    "pty",
    "sftp",
    "shell",
    "x11_forwarding",
];

/// What people will look for here, and the field that says it.
const ELSEWHERE: [(&str, &str); 11] = [
    ("forwarding", "local_forward"),
    ("jump", "jump"),
    ("local_forwarding", "local_forward"),
    ("port_forwarding", "local_forward"),
    ("proxy_jump", "jump"),
    ("proxyjump", "jump"),
    ("remote_forwarding", "remote_forward"),
    ("streamlocal", "stream_local"),
    ("tcp_forwarding", "local_forward"),
    ("local_forward", "local_forward"),
    ("remote_forward", "remote_forward"),
];

/// The permissions of a policy. Policies that say nothing share the default.
pub(super) fn load(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Arc<Permissions> {
    if PERMISSION_FIELDS
        .iter()
        .all(|name| fields.get(name).is_none())
    {
        return reader.default_permissions();
    }
    let mut permissions = Permissions::default();
    let mut sftp = true;
    if let Some(node) = fields.get("permit") {
        (permissions.shell, permissions.exec, permissions.pty, sftp) = (false, false, false, false);
        for item in reader.array(&node) {
            match permit(reader, &item) {
                Some("shell") => permissions.shell = true,
                Some("exec") => permissions.exec = true,
                Some("pty") => permissions.pty = true,
                Some("sftp") => sftp = true,
                _ => {}
            }
        }
    }
    let named = fields.get("subsystems").map(|node| {
        texts(reader, &node, |reader, item| {
            values::name(reader, item).map(Box::from)
        })
    });
    // A written list of subsystems is the whole list, but for an `sftp` that `permit` names as well.
    let sftp = sftp && (named.is_none() || fields.get("permit").is_some());
    let subsystems = named
        .iter()
        .flatten()
        .map(|name| &**name)
        .chain(sftp.then_some("sftp"));
    permissions.subsystems = NameSet::from_iter(subsystems);
    if let Some(node) = fields.get("env") {
        let patterns = texts(reader, &node, env::pattern);
        permissions.env = NamePatterns::from_iter(patterns.iter().map(|pattern| &**pattern));
    }
    if let Some(node) = fields.get("max_channels")
        && let Some(max_channels) = reader.integer(&node, 1, MAX_MAX_CHANNELS)
    {
        permissions.max_channels = max_channels;
    }
    Arc::new(permissions)
}

fn texts(
    reader: &mut Reader<'_>,
    node: &Node<'_>,
    read: impl Fn(&mut Reader<'_>, &Node<'_>) -> Option<Box<str>>,
) -> Vec<Box<str>> {
    let items = reader.array(node);
    items.filter_map(|item| read(reader, &item)).collect()
}

fn permit<'p>(reader: &mut Reader<'_>, node: &Node<'p>) -> Option<&'p str> {
    let text = reader.string(node)?;
    if GRANTABLE.contains(&text) {
        return Some(text);
    }
    let name = text.to_ascii_lowercase().replace('-', "_");
    if name == "scp" || name == "rsync" {
        let what = format!("{} is no permission of its own", Quoted(text));
        reader.problem(node, what, "write `exec`, and `sftp` for a modern scp");
    } else if name == "tun" || name == "tunnel" {
        let what = format!("{} is never granted", Quoted(text));
        reader.problem(node, what, format_args!("remove {}", Quoted(text)));
    } else if let Some((_, field)) = ELSEWHERE.iter().find(|(known, _)| *known == name) {
        let what = format!("{} needs to know where to", Quoted(text));
        let example = match *field {
            "jump" => "{ host = \"bastion-2\", port = 22 }",
            "stream_local" => "\"/run/app.sock\"",
            _ => "{ host = \"db-1\", port = 5432 }",
        };
        let help = format!("write `{field} = [{example}]` beside `permit`");
        reader.problem(node, what, help);
    } else {
        let what = format!("there is no permission {}", Quoted(text));
        match nearest(text, GRANTABLE) {
            Some(near) => reader.problem(node, what, format_args!("write `{near}`")),
            None => reader.problem(
                node,
                what,
                format_args!(
                    "write some of {}; a subsystem goes into `subsystems`",
                    Listed(GRANTABLE)
                ),
            ),
        }
    }
    None
}

pub(super) fn recording(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Recording {
    let Some(node) = fields.get("recording") else {
        return Recording::Strict;
    };
    let recording = match reader.string(&node) {
        Some("strict") | None => return Recording::Strict,
        Some("bounded") => Recording::Bounded,
        Some("metadata_only") => Recording::MetadataOnly,
        Some(text) => {
            let what = format!("there is no recording {}", Quoted(text));
            let help = "write `strict`, `bounded` or `metadata_only`";
            reader.problem(&node, what, help);
            return Recording::Strict;
        }
    };
    reader.demand(&node, Feature::Recording);
    recording
}
