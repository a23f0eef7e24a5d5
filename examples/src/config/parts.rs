//! The tables of the configuration that are no more than a few fields: events, timeouts, targets.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proxy_core::Timeouts;
use ssh_transport::Algorithms;

use super::reader::{Field, Reader, Table, quoted};
use super::{DEFAULT_ARRIVAL, DEFAULT_SHUTDOWN, keys};
use crate::log_store;

/// `[events]`
pub(super) fn events_file<'d>(reader: &mut Reader<'d>, document: &Table<'d>) -> Option<PathBuf> {
    let table = reader.table(document, "events", &["file"])?;
    let (field, name) = reader.optional_text(&table, "file")?;
    if name == "-" {
        return None;
    }
    let file = keys::resolve(reader, name);
    let shown = quoted(&file.display().to_string());
    match std::fs::metadata(&file) {
        Ok(there) if there.is_dir() => {
            let what = format!("access events cannot be written to {shown}: it is a folder");
            reader.problem(
                &field,
                what,
                "name a file, or write `\"-\"` for standard output",
            );
        }
        Ok(there) if there.is_file() => {
            if let Err(error) = std::fs::OpenOptions::new().append(true).open(&file) {
                let what = format!("access events cannot be written to {shown}: {error}");
                let help = "let the user of this program write it, or name another file";
                reader.problem(&field, what, help);
            }
        }
        // A pipe or device, which a look must not open.
        Ok(_) => {}
        Err(_) => {
            let folder = match file.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            };
            writable_folder(reader, &field, &file, folder);
        }
    }
    Some(file)
}

/// Reports a folder where nothing can be written; `for_what` is what is to go there.
pub(super) fn writable_folder<'d>(
    reader: &mut Reader<'d>,
    field: &Field<'d>,
    for_what: &Path,
    folder: &Path,
) {
    let shown = folder.display();
    let Err(error) = log_store::probe(folder) else {
        return;
    };
    let (why, help) = match std::fs::metadata(folder) {
        Ok(there) if there.is_dir() => (
            error.to_string(),
            format!("let the user of this program write into `{shown}`, or name another place"),
        ),
        Ok(_) => (
            format!("`{shown}` is no folder"),
            "name another place".to_owned(),
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (
            format!("there is no folder `{shown}`"),
            format!("make it with `mkdir -p -m 700 {shown}`, or name another place"),
        ),
        Err(error) => (error.to_string(), "name another place".to_owned()),
    };
    let what = format!(
        "{} cannot be written: {why}",
        quoted(&for_what.display().to_string())
    );
    reader.problem(field, what, help);
}

/// `[timeouts]`
pub(super) struct AllTimeouts {
    pub(super) session: Timeouts,
    pub(super) arrival: Duration,
    pub(super) shutdown: Duration,
    pub(super) drain: Duration,
}

pub(super) fn timeouts<'d>(reader: &mut Reader<'d>, document: &Table<'d>) -> AllTimeouts {
    let mut timeouts = AllTimeouts {
        session: Timeouts::default(),
        arrival: DEFAULT_ARRIVAL,
        shutdown: DEFAULT_SHUTDOWN,
        drain: Duration::ZERO,
    };
    // Here the authority's key is in a file, so that nobody is asked to sign.
    let of_sessions = timeouts.session.settings().into_iter();
    let of_sessions = of_sessions.filter(|(name, _)| *name != "signing");
    let settings: Vec<_> = of_sessions
        .chain([
            ("arrival", &mut timeouts.arrival),
            ("shutdown", &mut timeouts.shutdown),
            ("drain", &mut timeouts.drain),
        ])
        .collect();
    let known: Vec<_> = settings.iter().map(|(name, _)| *name).collect();
    let Some(table) = reader.table(document, "timeouts", &known) else {
        return timeouts;
    };
    for (name, value) in settings {
        if let Some(duration) = reader.duration(&table, name) {
            *value = duration;
        }
    }
    timeouts
}

/// `[clients]`
pub(super) fn client_algorithms<'d>(reader: &mut Reader<'d>, document: &Table<'d>) -> Algorithms {
    match reader.table(document, "clients", &["algorithms"]) {
        Some(table) => algorithms(reader, &table),
        None => Algorithms::default(),
    }
}

/// The field `algorithms` of a table.
fn algorithms<'d>(reader: &mut Reader<'d>, table: &Table<'d>) -> Algorithms {
    match reader.optional_text(table, "algorithms") {
        None | Some((_, "default")) => Algorithms::default(),
        Some((_, "compatible")) => Algorithms::compatible(),
        Some((_, "legacy")) => Algorithms::legacy(),
        Some((field, other)) => {
            let what = format!("unknown set of algorithms {}", quoted(other));
            let help = "write `\"default\"`, `\"compatible\"` or `\"legacy\"`";
            reader.problem(&field, what, help);
            Algorithms::default()
        }
    }
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
        "any_host_key_inside",
        "algorithms",
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
        let any_host_key_inside = reader
            .boolean(&table, "any_host_key_inside")
            .unwrap_or(false);
        let algorithms = algorithms(reader, &table);
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
            any_host_key_inside,
            algorithms,
        });
    }
    targets
}

pub(super) fn text_or_empty(field: Option<(super::reader::Field<'_>, &str)>) -> String {
    field.map(|(_, text)| text.to_owned()).unwrap_or_default()
}

fn is_host_name(text: &str) -> bool {
    let good = |c: u8| c.is_ascii_alphanumeric() || b".-_:".contains(&c);
    text.len() <= 253 && text.bytes().all(good)
}
