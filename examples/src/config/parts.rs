//! The tables of the configuration that are more than a file: log, timeouts, targets, identities,
//! listeners.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use proxy_core::Timeouts;
use session_log::{Recipient, SigningIdentity};

use super::reader::{Reader, Table, quoted};
use super::{DEFAULT_ARRIVAL, DEFAULT_SHUTDOWN, Who, keys};
use crate::arrival::{Directory, Listener, ListenerKind, TargetNames};
use crate::log_store::Sync;
use crate::token::TokenHash;

/// `[log]`
pub(super) struct Log {
    pub(super) directory: Option<PathBuf>,
    pub(super) recipients: Vec<Recipient>,
    pub(super) signer: Option<SigningIdentity>,
    pub(super) sync: Sync,
}

pub(super) fn log<'d>(reader: &mut Reader<'d>, document: &Table<'d>) -> Option<Log> {
    let known = ["directory", "recipients", "signing_key_file", "sync"];
    let help = "write `[log]` with `directory`, `recipients` and `signing_key_file`";
    let table = reader.needed_table(document, "log", &known, help)?;
    let directory = reader
        .needed_text(&table, "directory", "write `directory = \"logs\"`")
        .map(|(_, name)| keys::resolve(reader, name));
    let recipients = keys::recipients(reader, &table);
    let signer = keys::log_signer(reader, &table);
    let sync = match reader.optional_text(&table, "sync") {
        None | Some((_, "write")) => Sync::Write,
        Some((_, "fsync")) => Sync::Fsync,
        Some((field, other)) => {
            let what = format!("unknown way {}", quoted(other));
            reader.problem(&field, what, "write `\"write\"` or `\"fsync\"`");
            Sync::Write
        }
    };
    Some(Log {
        directory,
        recipients,
        signer,
        sync,
    })
}

/// `[events]`
pub(super) fn events_file<'d>(reader: &mut Reader<'d>, document: &Table<'d>) -> Option<PathBuf> {
    let table = reader.table(document, "events", &["file"])?;
    let (_, name) = reader.optional_text(&table, "file")?;
    (name != "-").then(|| keys::resolve(reader, name))
}

/// `[timeouts]`
pub(super) struct AllTimeouts {
    pub(super) session: Timeouts,
    pub(super) arrival: Duration,
    pub(super) shutdown: Duration,
}

pub(super) fn timeouts<'d>(reader: &mut Reader<'d>, document: &Table<'d>) -> AllTimeouts {
    let known = [
        "arrival",
        "login_grace",
        "connect",
        "target_login",
        "farewell",
        "shutdown",
    ];
    let mut timeouts = AllTimeouts {
        session: Timeouts::default(),
        arrival: DEFAULT_ARRIVAL,
        shutdown: DEFAULT_SHUTDOWN,
    };
    let Some(table) = reader.table(document, "timeouts", &known) else {
        return timeouts;
    };
    for (name, value) in [
        ("arrival", &mut timeouts.arrival),
        ("login_grace", &mut timeouts.session.login_grace),
        ("connect", &mut timeouts.session.connect),
        ("target_login", &mut timeouts.session.target_login),
        ("farewell", &mut timeouts.session.farewell),
        ("shutdown", &mut timeouts.shutdown),
    ] {
        if let Some(duration) = reader.duration(&table, name) {
            *value = duration;
        }
    }
    timeouts
}

/// `[[target]]`
pub(super) fn targets<'d>(
    reader: &mut Reader<'d>,
    document: &Table<'d>,
) -> Vec<proxy_core::Target> {
    let known = [
        "id",
        "hostname",
        "address",
        "port",
        "virtual_network",
        "tags",
        "host_keys",
        "host_ca",
    ];
    let mut targets: Vec<proxy_core::Target> = Vec::new();
    let tables = reader.tables(document, "target", &known);
    if tables.is_empty() {
        let help = "write at least one `[[target]]` with `id` and `hostname`";
        reader.lacks(document, "[[target]]", help);
    }
    for table in tables {
        let id = reader.needed_text(&table, "id", "write a name that no other target has");
        let hostname = reader.needed_text(&table, "hostname", "write `hostname = \"…\"`");
        for (field, name) in [&id, &hostname].into_iter().flatten() {
            if !is_host_name(name) {
                let what = format!("{} is no host name", quoted(name));
                let help = "write letters, digits, `-`, `_` and dots, at most 253";
                reader.problem(field, what, help);
            }
        }
        let address = reader
            .optional_text(&table, "address")
            .and_then(|(field, text)| {
                let address = text.parse::<IpAddr>().ok();
                if address.is_none() {
                    let what = format!("{} is no IP address", quoted(text));
                    let help =
                        "write an IP address, or leave it out to have the host name looked up";
                    reader.problem(&field, what, help);
                }
                address
            });
        let port = reader.number(&table, "port", 1..65_536).unwrap_or(22);
        let virtual_network = reader
            .optional_text(&table, "virtual_network")
            .map(|(_, name)| name.to_owned());
        let tags = reader.text_map(&table, "tags");
        let host_keys = keys::host_keys(reader, &table);
        let host_authorities = keys::host_authorities(reader, &table);
        if let Some((field, id)) = &id
            && targets
                .iter()
                .any(|other| other.facts.id.eq_ignore_ascii_case(id))
        {
            let what = format!("two targets have the id {}", quoted(id));
            reader.problem(field, what, "write a name that no other target has");
        }
        targets.push(proxy_core::Target {
            facts: policy::Target {
                id: text_or_empty(id),
                hostname: text_or_empty(hostname),
                address,
                virtual_network,
                port: u16::try_from(port).unwrap_or(22),
                tags,
            },
            host_keys,
            host_authorities,
        });
    }
    targets
}

/// `[[identity]]`, with the hashes of its tokens.
pub(super) struct KnownIdentity {
    pub(super) who: Who,
    pub(super) tokens: Vec<TokenHash>,
}

pub(super) fn identities<'d>(reader: &mut Reader<'d>, document: &Table<'d>) -> Vec<KnownIdentity> {
    let known = [
        "name",
        "kind",
        "email",
        "groups",
        "amr",
        "login_method",
        "posture",
        "managed_device",
        "country",
        "token_sha256",
    ];
    let mut identities: Vec<KnownIdentity> = Vec::new();
    let tables = reader.tables(document, "identity", &known);
    if tables.is_empty() {
        let help = "write at least one `[[identity]]` with `name` and `email`";
        reader.lacks(document, "[[identity]]", help);
    }
    for table in tables {
        let name = reader.needed_text(&table, "name", "write a name that no other identity has");
        if let Some((field, name)) = &name
            && identities.iter().any(|other| other.who.name == *name)
        {
            let what = format!("two identities are called {}", quoted(name));
            reader.problem(field, what, "write a name that no other identity has");
        }
        let tokens = tokens(reader, &table, &identities);
        let name = text_or_empty(name);
        let identity = identity(reader, &table, &name);
        let posture = reader.texts(&table, "posture");
        identities.push(KnownIdentity {
            who: Who {
                identity,
                managed_device: reader.boolean(&table, "managed_device").unwrap_or(false),
                posture: posture
                    .into_iter()
                    .map(|(_, text)| text.to_owned())
                    .collect(),
                name,
            },
            tokens,
        });
    }
    identities
}

fn identity<'d>(reader: &mut Reader<'d>, table: &Table<'d>, name: &str) -> policy::Identity {
    let kind = match reader.optional_text(table, "kind") {
        None | Some((_, "person")) => policy::IdentityKind::Person,
        Some((_, "service")) => policy::IdentityKind::ServiceToken {
            name: name.to_owned(),
        },
        Some((field, other)) => {
            let what = format!("unknown kind {}", quoted(other));
            reader.problem(&field, what, "write `\"person\"` or `\"service\"`");
            policy::IdentityKind::Person
        }
    };
    let email = reader.optional_text(table, "email");
    if let Some((field, text)) = &email
        && !is_email(text)
    {
        let what = format!("{} is no e-mail address", quoted(text));
        reader.problem(field, what, "write `name@example.com`");
    }
    let mut groups = Vec::new();
    for (field, text) in reader.texts(table, "groups") {
        match text.split_once(':') {
            Some((provider, name)) if !provider.is_empty() && !name.is_empty() => {
                groups.push(policy::Group {
                    provider: provider.to_owned(),
                    name: name.to_owned(),
                });
            }
            _ => reader.problem(
                &field,
                format!("{} does not say whose group it is", quoted(text)),
                "write `\"provider:group\"`, for example `\"okta:ops\"`",
            ),
        }
    }
    let country = reader.optional_text(table, "country");
    if let Some((field, text)) = &country
        && !(text.len() == 2 && text.bytes().all(|c| c.is_ascii_uppercase()))
    {
        let what = format!("{} is no country code", quoted(text));
        reader.problem(
            field,
            what,
            "write two capital letters, for example `\"PT\"`",
        );
    }
    policy::Identity {
        email: email.map(|(_, text)| text.to_owned()),
        subject: name.to_owned(),
        issuer: "configuration".to_owned(),
        kind,
        groups,
        authentication_methods: reader
            .texts(table, "amr")
            .into_iter()
            .map(|(_, text)| text.to_owned())
            .collect(),
        login_method: reader
            .optional_text(table, "login_method")
            .map(|(_, text)| text.to_owned()),
        authenticated_at: None,
        country: country.map(|(_, text)| text.to_owned()),
    }
}

fn tokens<'d>(
    reader: &mut Reader<'d>,
    table: &Table<'d>,
    others: &[KnownIdentity],
) -> Vec<TokenHash> {
    let mut tokens: Vec<TokenHash> = Vec::new();
    for (field, text) in reader.texts(table, "token_sha256") {
        let Some(hash) = TokenHash::from_hex(text) else {
            reader.problem(
                &field,
                "not the SHA-256 of a token",
                "write the 64 hexadecimal digits that `audit_proxy token` shows",
            );
            continue;
        };
        if tokens.contains(&hash) || others.iter().any(|other| other.tokens.contains(&hash)) {
            reader.problem(
                &field,
                "the same token twice",
                "make one token for each with `audit_proxy token`",
            );
        }
        tokens.push(hash);
    }
    tokens
}

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
fn position<'d>(
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

fn text_or_empty(field: Option<(super::reader::Field<'_>, &str)>) -> String {
    field.map(|(_, text)| text.to_owned()).unwrap_or_default()
}

fn is_host_name(text: &str) -> bool {
    let good = |c: u8| c.is_ascii_alphanumeric() || b".-_:".contains(&c);
    text.len() <= 253 && text.bytes().all(good)
}

/// A first look, so that a slip is found at load; the policy has the last word.
fn is_email(text: &str) -> bool {
    text.is_ascii()
        && text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && domain.contains('.') && !domain.contains('@')
        })
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}
