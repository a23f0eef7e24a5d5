//! `[account]`: the secrets from which host keys are derived, and what is made of them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hostkey_derive::{AccountSecret, Algorithm, SecretRing};
use sshcert::CaKey;

use super::keys::{self, NEW_KEY};
use super::reader::{Reader, Table, quoted};

const NEW_SECRET: &str = "make one with `openssl rand -hex 32`, readable by its owner only";
const MOMENT: &str =
    "write when clients have had time to learn the new keys: `2027-01-31T00:00:00Z`";
/// What `host_key_algorithms` is when nobody says.
const DEFAULT_ALGORITHMS: [Algorithm; 2] = [Algorithm::Ed25519, Algorithm::EcdsaP256];

/// All of `[account]`.
pub(super) struct Account {
    pub(super) secrets: SecretRing,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) host_ca: Option<CaKey>,
}

pub(super) fn account<'d>(reader: &mut Reader<'d>, document: &Table<'d>) -> Option<Account> {
    let known = [
        "secret_file",
        "previous",
        "host_key_algorithms",
        "host_ca_key_file",
    ];
    let help = "write `[account]` with `secret_file = \"FILE\"`";
    let table = reader.needed_table(document, "account", &known, help)?;
    let current = secret(reader, &table);
    let secrets = ring(reader, &table, current);
    let algorithms = algorithms(reader, &table);
    let host_ca = host_ca(reader, &table);
    Some(Account {
        secrets: secrets?,
        algorithms,
        host_ca,
    })
}

fn secret<'d>(reader: &mut Reader<'d>, table: &Table<'d>) -> Option<AccountSecret> {
    let (field, text) = keys::secret_file(reader, table, "secret_file", NEW_SECRET)?;
    keys::parsed(reader, &field, AccountSecret::from_text(&text), NEW_SECRET)
}

/// The previous secrets, oldest first, and then the current one.
fn ring<'d>(
    reader: &mut Reader<'d>,
    account: &Table<'d>,
    current: Option<AccountSecret>,
) -> Option<SecretRing> {
    let mut ring: Option<SecretRing> = None;
    let mut until = Duration::ZERO;
    let mut place = 0;
    // Every file is read, so that every problem is told.
    for table in reader.tables(account, "previous", &["secret_file", "until"]) {
        let ends = moment(reader, &table);
        let Some(secret) = secret(reader, &table) else {
            continue;
        };
        ring = match ring {
            None => Some(SecretRing::new(secret)),
            Some(ring) => rotated(reader, &table, ring, secret, (place, until)),
        };
        until = ends.unwrap_or(Duration::MAX);
        place += 1;
    }
    match ring {
        None => current.map(SecretRing::new),
        Some(ring) => rotated(reader, account, ring, current?, (place, until)),
    }
}

/// The ring with its next secret. When each was replaced is not known, and only the order counts here.
fn rotated<'d>(
    reader: &mut Reader<'d>,
    table: &Table<'d>,
    ring: SecretRing,
    next: AccountSecret,
    (place, until): (u64, Duration),
) -> Option<SecretRing> {
    let rotated = ring.rotate(next, Duration::from_nanos(place), until);
    let help = "name each secret once, the oldest first, and none that ended long ago";
    let field = table.field("secret_file")?;
    keys::parsed(reader, &field, rotated, help)
}

/// `until` of a previous secret, since 1970.
fn moment<'d>(reader: &mut Reader<'d>, table: &Table<'d>) -> Option<Duration> {
    reader.needed(table, "until", MOMENT)?;
    let until = reader.moment(table, "until", MOMENT)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    if now.is_ok_and(|now| until <= now) {
        tracing::warn!("the time of a secret in `[[account.previous]]` is over: remove it");
    }
    Some(until)
}

fn algorithms<'d>(reader: &mut Reader<'d>, table: &Table<'d>) -> Vec<Algorithm> {
    let known = Algorithm::ALL.map(Algorithm::name).join("`, `");
    let help = format!("write some of `{known}`, each once, the preferred first");
    let mut algorithms = Vec::new();
    let Some(list) = table.field("host_key_algorithms") else {
        return DEFAULT_ALGORITHMS.to_vec();
    };
    for (field, name) in reader.texts(table, "host_key_algorithms") {
        match Algorithm::from_name(name) {
            Some(algorithm) if !algorithms.contains(&algorithm) => algorithms.push(algorithm),
            Some(_) => reader.problem(&field, format!("{} twice", quoted(name)), &help),
            None => {
                let what = format!("no key is derived for {}", quoted(name));
                reader.problem(&field, what, &help);
            }
        }
    }
    if algorithms.is_empty() {
        reader.problem(&list, "no algorithm", &help);
    }
    algorithms
}

fn host_ca<'d>(reader: &mut Reader<'d>, table: &Table<'d>) -> Option<CaKey> {
    table.field("host_ca_key_file")?;
    let (field, text) = keys::secret_file(reader, table, "host_ca_key_file", NEW_KEY)?;
    keys::parsed(reader, &field, CaKey::from_openssh(&text), NEW_KEY)
}
