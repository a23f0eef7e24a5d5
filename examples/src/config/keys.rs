//! Keys and secrets: files that the configuration names, parsed.

use std::path::{Path, PathBuf};

use hostkey_derive::{Pin, Pins};
use session_log::{Recipient, SigningIdentity};
use sshcert::{CaKey, CaPublicKey};

use super::files::{self, FileError};
use super::reader::{Field, Reader, Table, quoted};

pub(super) const NEW_KEY: &str = "make one with `ssh-keygen -t ed25519 -N '' -f FILE`";
const NEW_RECIPIENT: &str = "make a pair with `sshlog keygen --out FILE` and name its `FILE.pub`";

/// `[ca]`
pub(super) fn ca_key<'d>(reader: &mut Reader<'d>, document: &Table<'d>) -> Option<CaKey> {
    let help = "write `[ca]` with `key_file = \"FILE\"`, an OpenSSH private key";
    let table = reader.needed_table(document, "ca", &["key_file"], help)?;
    let (field, text) = secret_file(reader, &table, "key_file", NEW_KEY)?;
    parsed(reader, &field, CaKey::from_openssh(&text), NEW_KEY)
}

/// `signing_key_file` of `[log]`
pub(super) fn log_signer<'d>(
    reader: &mut Reader<'d>,
    table: &Table<'d>,
) -> Option<SigningIdentity> {
    let (field, text) = secret_file(reader, table, "signing_key_file", NEW_KEY)?;
    parsed(
        reader,
        &field,
        SigningIdentity::from_openssh(&text),
        NEW_KEY,
    )
}

/// `recipients` of `[log]`
pub(super) fn recipients<'d>(reader: &mut Reader<'d>, table: &Table<'d>) -> Vec<Recipient> {
    let Some(list) = reader.needed(table, "recipients", NEW_RECIPIENT) else {
        return Vec::new();
    };
    let files = reader.texts(table, "recipients");
    if files.is_empty() {
        reader.problem(&list, "nobody could read the logs", NEW_RECIPIENT);
    }
    let mut recipients = Vec::new();
    for (field, name) in files {
        let Some(text) = public_file(reader, &field, name, NEW_RECIPIENT) else {
            continue;
        };
        let recipient = Recipient::from_text(&text);
        recipients.extend(parsed(reader, &field, recipient, NEW_RECIPIENT));
    }
    recipients
}

/// `host_keys` of a target: fingerprints, public key lines, or files with them.
pub(super) fn host_keys<'d>(reader: &mut Reader<'d>, table: &Table<'d>) -> Option<Pins> {
    let help = "write the line of the target's `/etc/ssh/ssh_host_ed25519_key.pub`, a file with it, or its `SHA256:…` fingerprint";
    let field = table.field("host_keys")?;
    let mut pins = Vec::new();
    for (field, text) in public_keys(reader, table, "host_keys", help) {
        pins.extend(parsed(reader, &field, Pin::from_text(&text), help));
    }
    if pins.is_empty() {
        // Whatever stands there has been reported; nothing must not come to mean any key.
        return None;
    }
    parsed(reader, &field, Pins::new(pins), help)
}

/// `host_ca` of a target.
pub(super) fn host_authorities<'d>(reader: &mut Reader<'d>, table: &Table<'d>) -> Vec<CaPublicKey> {
    let help = "write the public key line of the authority that signs host keys, or a file with it";
    let mut authorities = Vec::new();
    for (field, text) in public_keys(reader, table, "host_ca", help) {
        authorities.extend(parsed(
            reader,
            &field,
            CaPublicKey::from_openssh(&text),
            help,
        ));
    }
    authorities
}

/// Public keys of a list: each entry is a key line or the name of a file with one key a line.
fn public_keys<'d>(
    reader: &mut Reader<'d>,
    table: &Table<'d>,
    name: &str,
    help: &str,
) -> Vec<(Field<'d>, String)> {
    let entries = reader.texts(table, name);
    if let Some(field) = table.field(name)
        && entries.is_empty()
    {
        reader.problem(&field, "an empty list", help);
    }
    let mut keys = Vec::new();
    for (field, entry) in entries {
        // A key line has a blank after the algorithm.
        let (algorithm, is_long) = match entry.split_once(' ') {
            Some((algorithm, _)) => (algorithm, true),
            None => (entry, false),
        };
        let is_line = is_long
            && ["ssh-", "ecdsa-", "sk-"]
                .iter()
                .any(|prefix| algorithm.starts_with(prefix));
        if is_line || entry.starts_with("SHA256:") {
            keys.push((field, entry.trim().to_owned()));
            continue;
        }
        let Some(text) = public_file(reader, &field, entry, help) else {
            continue;
        };
        let lines = text.lines().map(str::trim);
        let lines: Vec<_> = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        if lines.is_empty() {
            reader.problem(&field, "no key in the file", help);
        }
        keys.extend(
            lines
                .into_iter()
                .map(|line| (field.clone(), line.to_owned())),
        );
    }
    keys
}

/// A name in the configuration as a path: relative ones start at the configuration's folder.
pub(super) fn resolve(reader: &Reader<'_>, name: &str) -> PathBuf {
    reader.folder().join(name)
}

pub(super) fn secret_file<'d>(
    reader: &mut Reader<'d>,
    table: &Table<'d>,
    name: &str,
    help: &str,
) -> Option<(Field<'d>, zeroize::Zeroizing<String>)> {
    let (field, file) = reader.needed_text(table, name, help)?;
    let path = resolve(reader, file);
    if let Some(private) = file.strip_suffix(".pub") {
        let what = format!("{} is the public half of a key", quoted(file));
        let help = format!("name the file without `.pub`: {}", quoted(private));
        reader.problem(&field, what, help);
        return None;
    }
    match files::read_secret(&path) {
        Ok(text) => Some((field, text)),
        Err(error) => {
            unusable(reader, &field, &path, &error, help);
            None
        }
    }
}

pub(super) fn public_file<'d>(
    reader: &mut Reader<'d>,
    field: &Field<'d>,
    name: &str,
    help: &str,
) -> Option<String> {
    let path = resolve(reader, name);
    files::read(&path)
        .map_err(|error| unusable(reader, field, &path, &error, help))
        .ok()
}

fn unusable<'d>(
    reader: &mut Reader<'d>,
    field: &Field<'d>,
    path: &Path,
    error: &FileError,
    help: &str,
) {
    let shown = path.display();
    let help = match error {
        FileError::TooOpen { .. } => format!("run `chmod 600 {shown}`"),
        FileError::NotOurs { .. } => format!("run `chown` on {shown} for the user of this program"),
        _ => help.to_owned(),
    };
    let what = format!("{} cannot be used: {error}", quoted(&shown.to_string()));
    reader.problem(field, what, help);
}

/// A parsed value, or its error as a problem.
pub(super) fn parsed<'d, T, E: std::fmt::Display>(
    reader: &mut Reader<'d>,
    field: &Field<'d>,
    result: Result<T, E>,
    help: &str,
) -> Option<T> {
    result
        .map_err(|error| reader.problem(field, error.to_string(), help))
        .ok()
}
