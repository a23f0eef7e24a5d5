//! `[[listen]]`: where clients arrive, and what they are looked up in.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::identities::KnownIdentity;
use super::reader::{Reader, Table, quoted};
use crate::arrival::{Directory, Listener, ListenerKind, TargetNames};

/// `[[listen]]`
pub(super) fn listeners<'d>(
    reader: &mut Reader<'d>,
    document: &Table<'d>,
    targets: &[proxy_core::Target],
    identities: &[KnownIdentity],
) -> Vec<Listener> {
    let known = [
        "address",
        "kind",
        "identity",
        "target",
        "proxy_protocol_from",
    ];
    let tables = reader.tables(document, "listen", &known);
    if tables.is_empty() {
        let help = "write at least one `[[listen]]` with `address` and `kind`";
        reader.lacks(document, "[[listen]]", help);
    }
    let target_names: Vec<_> = targets.iter().map(|target| &*target.facts.id).collect();
    let identity_names: Vec<_> = identities.iter().map(|known| &*known.who.name).collect();
    let mut listeners: Vec<Listener> = Vec::new();
    for table in tables {
        let address = address(reader, &table, &listeners);
        let identity = position(reader, &table, "identity", &identity_names);
        let target = position(reader, &table, "target", &target_names);
        let kind = kind(reader, &table, identity, target);
        let proxy_protocol_from = ranges(reader, &table);
        if let (Some(address), Some(kind)) = (address, kind) {
            listeners.push(Listener {
                address,
                kind,
                proxy_protocol_from,
            });
        }
    }
    listeners
}

fn address<'d>(
    reader: &mut Reader<'d>,
    table: &Table<'d>,
    others: &[Listener],
) -> Option<SocketAddr> {
    let help = "write an IP address and a port: `\"127.0.0.1:2222\"` or `\"[::]:2222\"`";
    let (field, text) = reader.needed_text(table, "address", help)?;
    let Ok(address) = text.parse::<SocketAddr>() else {
        reader.problem(
            &field,
            format!("{} is no address to listen on", quoted(text)),
            help,
        );
        return None;
    };
    if address.port() != 0 && others.iter().any(|other| other.address == address) {
        let what = format!("two listeners have the address {address}");
        reader.problem(&field, what, "write another port");
    }
    Some(address)
}

/// Checks that a listener says what its kind needs, and nothing that it does not.
fn kind<'d>(
    reader: &mut Reader<'d>,
    table: &Table<'d>,
    identity: Option<usize>,
    target: Option<usize>,
) -> Option<ListenerKind> {
    let help = "write `kind = \"plain\"` for SSH from the first byte, or `kind = \"connect\"` for HTTP CONNECT";
    let (field, kind) = reader.needed_text(table, "kind", help)?;
    match kind {
        "plain" => {
            for (name, help) in [
                (
                    "identity",
                    "write the name of the `[[identity]]` that everybody is here",
                ),
                (
                    "target",
                    "write the id of the `[[target]]` that everybody goes to",
                ),
            ] {
                reader.needed(table, name, help);
            }
            Some(ListenerKind::Plain {
                identity: identity?,
                target: target?,
            })
        }
        "connect" => {
            if let Some(field) = table.field("target") {
                reader.problem(
                    &field,
                    "a connect listener has no target: the client names it",
                    "remove it, or write `kind = \"plain\"`",
                );
            }
            Some(ListenerKind::Connect { identity })
        }
        other => {
            reader.problem(&field, format!("unknown kind {}", quoted(other)), help);
            None
        }
    }
}

/// The position of what a field names.
pub(super) fn position<'d>(
    reader: &mut Reader<'d>,
    table: &Table<'d>,
    name: &str,
    known: &[&str],
) -> Option<usize> {
    let (field, text) = reader.optional_text(table, name)?;
    let found = known.iter().position(|candidate| *candidate == text);
    if found.is_none() {
        let mut names: Vec<_> = known.iter().take(10).map(|name| quoted(name)).collect();
        if known.len() > names.len() {
            names.push("…".to_owned());
        }
        let help = if names.is_empty() {
            format!("add `[[{name}]]`")
        } else {
            format!("write one of {}, or add `[[{name}]]`", names.join(", "))
        };
        reader.problem(&field, format!("there is no {name} {}", quoted(text)), help);
    }
    found
}

fn ranges<'d>(reader: &mut Reader<'d>, table: &Table<'d>) -> Vec<IpNet> {
    let mut ranges = Vec::new();
    for (field, text) in reader.texts(table, "proxy_protocol_from") {
        let range = text
            .parse::<IpNet>()
            .ok()
            .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        match range {
            Some(range) if range.trunc() == range => ranges.push(range),
            Some(range) => reader.problem(
                &field,
                format!("{} has bits set beyond its prefix", quoted(text)),
                format!("write `\"{}\"`", range.trunc()),
            ),
            None => reader.problem(
                &field,
                format!("{} is no range of addresses", quoted(text)),
                "write `\"10.0.0.0/8\"` or one address",
            ),
        }
    }
    ranges
}

/// The directory that arriving clients are looked up in.
pub(super) fn directory(targets: &[proxy_core::Target], identities: &[KnownIdentity]) -> Directory {
    Directory {
        tokens: (0..)
            .zip(identities)
            .flat_map(|(position, known)| known.tokens.iter().map(move |hash| (*hash, position)))
            .collect(),
        targets: targets
            .iter()
            .map(|target| TargetNames {
                id: target.facts.id.clone(),
                hostname: target.facts.hostname.clone(),
                address: target.facts.address,
                port: target.facts.port,
            })
            .collect(),
    }
}
