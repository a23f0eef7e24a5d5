//! The `krl` command: key revocation lists for `RevokedKeys` of sshd and `RevokedHostKeys` of ssh.

use std::io::Write;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use sshcert::{CaPublicKey, Issuer, KeyHash, Krl, KrlExtension, Unverified};

use crate::tool::files::{Replacement, read_bytes, read_text};
use crate::tool::time::{format_time, unix_now};
use crate::tool::{self, ToolError, in_file, option, printable, read_key_blob, read_krl};

/// Make, extend, show and query key revocation lists.
#[derive(Debug, Parser)]
#[command(
    name = "krl",
    after_help = "\
Examples:
  krl create --out revoked --ca ca.pub --serial 7 --serial 100-199 --key-id jdoe@example.com
  krl create --out revoked --certificate stolen-cert.pub --key stolen.pub
  krl update revoked --sha256 SHA256:VAwc8GWnfGrDECKjmnx13V+HW4tQYlzRfJxFTdWnizM
  krl query revoked id-cert.pub id.pub
  krl show revoked

On the server: `RevokedKeys /etc/ssh/revoked` in sshd_config. sshd reads the file at every login, so replace it in one
step (write beside it, then mv): one that cannot be read locks everybody out.

Exit status: 0 when it was done, and for query when nothing is revoked; 1 when something is; 2 when it could not be told."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a list, where there is none: another one in its place would no longer revoke what the first did
    Create {
        /// Where to write it
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Replace the one that is there
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        entries: Entries,
    },
    /// Add to a list, in place; its version grows by one unless --krl-version says otherwise. Signatures on it are not kept
    Update {
        /// The list
        krl: PathBuf,
        #[command(flatten)]
        entries: Entries,
    },
    /// Say of keys and certificates whether they are revoked
    Query {
        /// The list
        krl: PathBuf,
        /// Public keys and certificates
        #[arg(required = true)]
        keys: Vec<PathBuf>,
    },
    /// Print what is in a list
    Show {
        /// The list
        krl: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Entries {
    /// Whose certificates --serial and --key-id mean: an authority's public key, or `any`
    #[arg(long, value_name = "FILE|any")]
    ca: Option<PathBuf>,
    /// Revoke a serial number or a range of them, such as 7 or 100-199
    #[arg(long = "serial", value_name = "N[-M]", requires = "ca")]
    serials: Vec<String>,
    /// Revoke the certificates with this key id
    #[arg(long = "key-id", value_name = "ID", requires = "ca")]
    key_ids: Vec<String>,
    /// Revoke this certificate, by its serial number or else its key id
    #[arg(long = "certificate", value_name = "FILE")]
    certificates: Vec<PathBuf>,
    /// Revoke this key, its certificates, and certificates by it
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The same, naming the key by its SHA-256 only: a key file, or the hash
    #[arg(long = "sha256", value_name = "FILE|SHA256:…")]
    sha256: Vec<String>,
    /// The same, naming the key by its SHA-1 only
    #[arg(long = "sha1", value_name = "FILE")]
    sha1: Vec<PathBuf>,
    /// The number of this edition
    #[arg(long, value_name = "N")]
    krl_version: Option<u64>,
    /// A comment in the list
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

/// The program.
pub fn main() -> ExitCode {
    tool::main("krl", |cli: &Cli, out| match &cli.command {
        Command::Create {
            out: file,
            force,
            entries,
        } => create(file, *force, entries).map(|()| true),
        Command::Update { krl, entries } => update(krl, entries).map(|()| true),
        Command::Query { krl, keys } => query(krl, keys, out),
        Command::Show { krl } => show(krl, out).map(|()| true),
    })
}

fn create(file: &Path, is_forced: bool, entries: &Entries) -> Result<(), ToolError> {
    let place = Replacement::begin(file)?;
    if place.is_over_another() && !is_forced {
        let why = "this is there already: add to it with `krl update`, or replace it with --force";
        return Err(in_file(file, why));
    }
    let version = entries.krl_version.unwrap_or(1);
    finish(place, Krl::new(version, unix_now()), entries)
}

fn update(file: &Path, entries: &Entries) -> Result<(), ToolError> {
    // Before the list is read, so that what another run adds meanwhile is not lost.
    let place = Replacement::begin(file)?;
    let mut krl = Krl::parse(&read_bytes(file)?).map_err(|error| in_file(file, error))?;
    let next = krl.version().saturating_add(1);
    krl.renew(entries.krl_version.unwrap_or(next), unix_now());
    finish(place, krl, entries)
}

fn finish(place: Replacement, mut krl: Krl, entries: &Entries) -> Result<(), ToolError> {
    add(&mut krl, entries)?;
    if let Some(comment) = &entries.comment {
        krl = krl.comment(comment);
    }
    place.finish(&krl.to_bytes())
}

fn add(krl: &mut Krl, entries: &Entries) -> Result<(), ToolError> {
    let authority = match &entries.ca {
        Some(file) if file == Path::new("any") => None,
        Some(file) => Some(
            CaPublicKey::from_openssh(&read_text(file)?).map_err(|error| in_file(file, error))?,
        ),
        None => None,
    };
    let issuer = authority.as_ref().map_or(Issuer::Any, Issuer::Authority);
    for text in &entries.serials {
        krl.revoke_serials(issuer, serials(text)?)
            .map_err(|error| option("--serial", format!("`{text}`: {error}")))?;
    }
    for key_id in &entries.key_ids {
        krl.revoke_key_id(issuer, key_id)
            .map_err(|error| option("--key-id", error))?;
    }
    for file in &entries.certificates {
        let certificate =
            Unverified::parse(&read_key_blob(file)?).map_err(|error| in_file(file, error))?;
        krl.revoke_certificate(&certificate)
            .map_err(|error| in_file(file, error))?;
    }
    for file in &entries.keys {
        krl.revoke_key(&key(file)?)
            .map_err(|error| in_file(file, error))?;
    }
    for text in &entries.sha256 {
        let hash = if text.starts_with("SHA256:") {
            KeyHash::from_text(text).map_err(|error| option("--sha256", error))?
        } else {
            let file = Path::new(text);
            KeyHash::sha256_of(&key(file)?).map_err(|error| in_file(file, error))?
        };
        krl.revoke_fingerprint(&hash);
    }
    for file in &entries.sha1 {
        let hash = KeyHash::sha1_of(&key(file)?).map_err(|error| in_file(file, error))?;
        krl.revoke_fingerprint(&hash);
    }
    Ok(())
}

fn key(file: &Path) -> Result<ssh_key::PublicKey, ToolError> {
    ssh_key::PublicKey::from_bytes(&read_key_blob(file)?).map_err(|error| in_file(file, error))
}

fn serials(text: &str) -> Result<RangeInclusive<u64>, ToolError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) => Ok(first..=last),
        _ => {
            let why = format!("`{text}` is no serial number; write 7 or 100-199");
            Err(option("--serial", why))
        }
    }
}

fn query(file: &Path, keys: &[PathBuf], out: &mut dyn Write) -> Result<bool, ToolError> {
    let krl = read_krl(file)?;
    let mut is_any = false;
    for key in keys {
        let found = krl
            .find(&read_key_blob(key)?)
            .map_err(|error| in_file(key, error))?;
        is_any |= found.is_some();
        match found {
            Some(by) => writeln!(out, "{}: revoked by its {by}", key.display())?,
            None => writeln!(out, "{}: ok", key.display())?,
        }
    }
    Ok(!is_any)
}

fn show(file: &Path, out: &mut dyn Write) -> Result<(), ToolError> {
    let krl = read_krl(file)?;
    writeln!(out, "version: {}", krl.version())?;
    writeln!(out, "generated: {}", format_time(krl.generated()))?;
    if !krl.comment_text().is_empty() {
        writeln!(out, "comment: {}", printable(krl.comment_text()))?;
    }
    for (authority, revoked) in krl.certificates() {
        match authority {
            Some(blob) => writeln!(out, "certificates by {}:", fingerprint(blob))?,
            None => writeln!(out, "certificates by any authority:")?,
        }
        for range in revoked.serials() {
            if range.start() == range.end() {
                writeln!(out, "  serial: {}", range.start())?;
            } else {
                writeln!(out, "  serial: {}-{}", range.start(), range.end())?;
            }
        }
        for key_id in revoked.key_ids() {
            let key_id = String::from_utf8_lossy(key_id);
            writeln!(out, "  key id: {}", printable(&key_id))?;
        }
        for extension in revoked.extensions() {
            show_extension("  ", extension, out)?;
        }
    }
    for blob in krl.keys() {
        writeln!(out, "key: {}", fingerprint(blob))?;
    }
    for hash in krl.fingerprints() {
        match hash {
            KeyHash::Sha256(hash) => {
                writeln!(out, "hash: {}", ssh_key::Fingerprint::Sha256(hash))?;
            }
            KeyHash::Sha1(hash) => {
                let hex = tool::hex(hash.as_ref());
                writeln!(out, "hash: SHA1:{hex}")?;
            }
        }
    }
    for extension in krl.extensions() {
        show_extension("", extension, out)?;
    }
    Ok(())
}

fn show_extension(
    indent: &str,
    extension: &KrlExtension,
    out: &mut dyn Write,
) -> Result<(), ToolError> {
    let name = String::from_utf8_lossy(extension.name());
    let bytes = extension.contents().len();
    writeln!(
        out,
        "{indent}extension: {} of {bytes} bytes, which is not understood and revokes nothing",
        printable(&name)
    )?;
    Ok(())
}

/// A list may hold keys of algorithms that nobody here knows.
fn fingerprint(blob: &[u8]) -> String {
    match ssh_key::PublicKey::from_bytes(blob) {
        Ok(key) => key.fingerprint(ssh_key::HashAlg::Sha256).to_string(),
        Err(_) => "a key of an unknown algorithm".into(),
    }
}
