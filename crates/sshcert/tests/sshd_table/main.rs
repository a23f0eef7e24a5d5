//! A table of certificates of all kinds, good, odd, wrong and hostile: a real sshd takes exactly those that the check takes.
//! The few where the check is stricter on purpose say so.

#![cfg(unix)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/present.rs"]
mod present;
#[path = "../common/raw.rs"]
mod raw;
#[path = "../common/sshd.rs"]
mod server;

mod authorities;
mod names;
mod options;
mod revocations;
mod security_keys;

use std::fs;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{P256, ca, key};
use present::{Attempt, Holder, is_paramiko_there, present};
use raw::Raw;
use server::Sshd;
use sshcert::{
    CaKey, CheckContext, EnforcedOption, Extension, Krl, check_user_certificate,
    parse_trusted_user_ca_keys,
};

#[expect(clippy::disallowed_methods, reason = "sshd looks at the real clock")]
fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// What is expected of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Accepted,
    Refused,
    /// sshd accepts it, and the check does not: its documentation says why.
    RefusedHereOnly,
}
use Expected::{Accepted, Refused, RefusedHereOnly};

struct Case {
    name: String,
    expected: Expected,
    source: &'static str,
    certificate: Vec<u8>,
    holder: Holder,
    /// The content of `RevokedKeys`, when it is not a list that revokes nothing.
    revoked: Option<Vec<u8>>,
    /// The content of `TrustedUserCAKeys`, when it is not the two authorities.
    trusted: Option<String>,
}

#[derive(Default)]
struct Table(Vec<Case>);

impl Table {
    fn add(&mut self, name: &str, expected: Expected, certificate: Vec<u8>) -> &mut Case {
        self.0.push(Case {
            name: name.into(),
            expected,
            source: "127.0.0.1",
            certificate,
            holder: Holder::PlainKey,
            revoked: None,
            trusted: None,
        });
        self.0.last_mut().unwrap()
    }
}

/// A good certificate for this user, to be changed in one place.
fn good(user: &str) -> Raw {
    let now = unix_now().as_secs();
    Raw {
        principals: vec![user.into()],
        after: now - 60,
        before: now + 3_600,
        ..Raw::default()
    }
}

/// As sshd: either form, and an unreadable one revokes everything.
fn revoked_keys(content: &[u8]) -> Option<Krl> {
    Krl::parse(content)
        .or_else(|error| match error {
            sshcert::KrlError::NotAList => Krl::from_key_list(str::from_utf8(content).unwrap()),
            other => Err(other),
        })
        .ok()
}

fn is_accepted_here(case: &Case, user: &str, trusted: &str, revoked: &[u8]) -> bool {
    let trusted = case.trusted.as_deref().unwrap_or(trusted);
    let Ok(trusted) = parse_trusted_user_ca_keys(trusted) else {
        return false;
    };
    let Some(krl) = revoked_keys(case.revoked.as_deref().unwrap_or(revoked)) else {
        return false;
    };
    let krl = [krl];
    let context = CheckContext::new(user, unix_now())
        .address(case.source.parse::<IpAddr>().unwrap())
        .enforcing(&[EnforcedOption::ForceCommand, EnforcedOption::VerifyRequired])
        .revoked_by(&krl);
    // What the check leaves to the caller: that the holder's signature says what the certificate demands.
    check_user_certificate(&case.certificate, &trusted, &context).is_ok_and(|checked| {
        case.holder.satisfies(
            checked.permits(Extension::NoTouchRequired),
            checked.is_verification_required(),
        )
    })
}

#[test]
fn sshd_takes_exactly_the_certificates_of_the_table_that_the_check_takes() {
    if !is_paramiko_there() {
        return;
    }
    let second = CaKey::from_private_key(key(3, P256)).unwrap();
    let trusted = format!(
        "{}\n{}\n",
        ca(1).public().to_openssh(),
        second.public().to_openssh()
    );
    let revoked = Krl::new(1, unix_now()).to_bytes();
    let directory = tempfile::tempdir().unwrap();
    let revoked_path = directory.path().join("revoked");
    fs::write(&revoked_path, &revoked).unwrap();
    let further = format!("RevokedKeys {}", revoked_path.display());
    let Some(sshd) = Sshd::start(&trusted, &further) else {
        return;
    };
    let user = sshd.user.as_str();
    let mut table = Table::default();
    names::add(&mut table, user);
    options::add(&mut table, user);
    authorities::add(&mut table, user);
    authorities::add_rsa(&mut table, user);
    revocations::add(&mut table, user);
    security_keys::add(&mut table, user);

    let trusted_path = sshd.path().join("ca.pub");
    let attempts: Vec<Attempt> = table
        .0
        .iter()
        .map(|case| Attempt {
            name: case.name.clone(),
            source: case.source,
            certificate: case.certificate.clone(),
            holder: case.holder,
            files: vec![
                (
                    trusted_path.clone(),
                    case.trusted.as_ref().unwrap_or(&trusted).clone().into(),
                ),
                (
                    revoked_path.clone(),
                    case.revoked.as_ref().unwrap_or(&revoked).clone(),
                ),
            ],
        })
        .collect();
    let verdicts = present(&sshd, &attempts);
    let mut wrong = Vec::new();
    for case in &table.0 {
        let here = is_accepted_here(case, user, &trusted, &revoked);
        let got = (verdicts[&case.name], here);
        let expected = match case.expected {
            Accepted => (true, true),
            Refused => (false, false),
            RefusedHereOnly => (true, false),
        };
        if got != expected {
            wrong.push(format!("{}: sshd {}, check {}", case.name, got.0, got.1));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", sshd.log());
    assert!(table.0.len() >= 100, "{}", table.0.len());
    let stricter = |case: &&Case| case.expected == RefusedHereOnly;
    assert_eq!(table.0.iter().filter(stricter).count(), 9);
}
