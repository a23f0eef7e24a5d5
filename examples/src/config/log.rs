//! `[log]`: where session logs go, who can read them, and by which algorithms.

use std::path::PathBuf;

use session_log::{CreateError, Profile, SigningIdentity, Suite, WriterConfig, WriterPolicy};

use super::keys;
use super::parts::writable_folder;
use super::reader::{Field, Reader, Table, quoted};
use crate::log_store::Sync;

pub(super) struct Log {
    pub(super) directory: Option<PathBuf>,
    pub(super) writer: WriterConfig,
    pub(super) signer: Option<SigningIdentity>,
    pub(super) sync: Sync,
}

const SUITES: [(&str, Suite); 4] = [
    ("aes256gcm-ed25519", Suite::Aes256GcmSha256),
    ("chacha20poly1305-ed25519", Suite::ChaCha20Poly1305Sha256),
    ("aes256gcm-p256", Suite::Aes256GcmSha256P256),
    ("aes256gcm-p384", Suite::Aes256GcmSha384P384),
];
const PROFILES: [(&str, Profile); 2] = [("any", Profile::Any), ("fips", Profile::Fips)];
const SYNCS: [(&str, Sync); 2] = [("write", Sync::Write), ("fsync", Sync::Fsync)];

pub(super) fn log<'d>(reader: &mut Reader<'d>, document: &Table<'d>) -> Option<Log> {
    let known = [
        "directory",
        "recipients",
        "signing_key_file",
        "suite",
        "profile",
        "sync",
    ];
    let help = "write `[log]` with `directory`, `recipients` and `signing_key_file`";
    let table = reader.needed_table(document, "log", &known, help)?;
    let directory = reader
        .needed_text(&table, "directory", "write `directory = \"logs\"`")
        .map(|(field, name)| {
            let folder = keys::resolve(reader, name);
            writable_folder(reader, &field, &folder, &folder);
            folder
        });
    let recipients = keys::recipients(reader, &table);
    let signer = keys::log_signer(reader, &table);
    let sync = one_of(reader, &table, "sync", "way", &SYNCS);
    let suite = one_of(reader, &table, "suite", "suite", &SUITES);
    let profile = one_of(reader, &table, "profile", "profile", &PROFILES);
    let writer = WriterConfig {
        suite: suite.unwrap_or_default(),
        recipients,
        policy: WriterPolicy {
            profile: profile.unwrap_or_default(),
            ..WriterPolicy::default()
        },
    };
    // A problem that was told already would only be told in other words.
    if let Some(signer) = &signer
        && !writer.recipients.is_empty()
    {
        fits(reader, &table, &writer, signer);
    }
    Some(Log {
        directory,
        writer,
        signer,
        sync: sync.unwrap_or_default(),
    })
}

/// The value that a word of the table stands for; nothing when it is left out, or unknown.
fn one_of<'d, T: Copy>(
    reader: &mut Reader<'d>,
    table: &Table<'d>,
    name: &str,
    what: &str,
    known: &[(&str, T)],
) -> Option<T> {
    let (field, word) = reader.optional_text(table, name)?;
    let found = known.iter().find(|(known, _)| *known == word);
    if found.is_none() {
        let words: Vec<_> = known
            .iter()
            .map(|(word, _)| format!("`\"{word}\"`"))
            .collect();
        let help = format!("write {}", words.join(" or "));
        reader.problem(&field, format!("unknown {what} {}", quoted(word)), help);
    }
    found.map(|(_, value)| *value)
}

/// Whether suite, profile, recipients and signing key go together.
fn fits<'d>(
    reader: &mut Reader<'d>,
    table: &Table<'d>,
    writer: &WriterConfig,
    signer: &SigningIdentity,
) {
    let Err(error) = writer.check(&signer.public_key()) else {
        return;
    };
    let kems: Vec<_> = writer.suite.kems().iter().map(|kem| kem.name()).collect();
    let (name, help) = match error {
        CreateError::ProfileSuite { .. } => (
            "profile",
            "write `suite = \"aes256gcm-p256\"` or `suite = \"aes256gcm-p384\"`".to_owned(),
        ),
        CreateError::ProfileIdentity { .. } => (
            "signing_key_file",
            "make one with `ssh-keygen -t ecdsa -b 256 -N '' -f FILE`".to_owned(),
        ),
        _ => (
            "recipients",
            format!(
                "make a pair with `sshlog keygen --kem {} --out FILE` and name its `FILE.pub`",
                kems.join("|")
            ),
        ),
    };
    let field: Option<Field<'d>> = table.field(name);
    if let Some(field) = field {
        reader.problem(&field, error.to_string(), help);
    }
}
