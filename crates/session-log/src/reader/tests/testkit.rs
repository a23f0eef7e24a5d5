//! The testkit in `testkit/`: one small log for each thing that a reader must say, and what it says.
//!
//! This generator makes the same files again and compares. With `PORTREEVE_WRITE_TESTKIT=1` it writes them. Every case names by hand what must come
//! of it; `verdicts.json` holds the whole verdict, for readers in other languages.

extern crate std;

mod beside;
mod edits;
mod lies;
mod whole;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::hash::Hash;
use crate::keyfile::Kem;
use crate::record::Record;
use crate::sign::SignatureAlgorithm;
use crate::signer::SigningIdentity;
use crate::signers::Signers;
use crate::suite::Suite;

/// What must come of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expect {
    /// Complete, intact, verified, decrypted.
    Good,
    /// Intact, and cut off.
    Truncated,
    /// Intact, and without its trailer.
    TrailerMissing,
    Aborted,
    Recovered,
    /// Good but for its signer.
    Untrusted,
    NoIdentity,
    Mismatch,
    Fault(Fault),
}

/// All cases by name. A name that is used twice fails.
#[derive(Default)]
struct Kit {
    cases: BTreeMap<String, (Vec<u8>, Expect)>,
}

impl Kit {
    fn add(&mut self, name: &str, log: Vec<u8>, expect: Expect) {
        let before = self.cases.insert(name.to_string(), (log, expect));
        assert!(before.is_none(), "{name} twice");
    }

    fn fault(&mut self, name: &str, log: Vec<u8>, fault: Fault) {
        self.add(name, log, Expect::Fault(fault));
    }
}

fn kit_identity(kem: Kem) -> Identity {
    let seed = match kem {
        Kem::X25519 => 1,
        Kem::XWing => 31,
        Kem::P256 => 32,
        Kem::P384 => 33,
    };
    Identity::generate(kem, &mut Generator::new([seed; 32]))
}

fn kit_signer(algorithm: SignatureAlgorithm) -> SigningIdentity {
    match algorithm {
        SignatureAlgorithm::Ed25519 => liar::signer(),
        SignatureAlgorithm::EcdsaP256 => SigningIdentity::generate(algorithm, [12; 32]),
        SignatureAlgorithm::EcdsaP384 => SigningIdentity::generate(algorithm, [13; 32]),
    }
}

fn allowed_signers() -> String {
    SignatureAlgorithm::ALL
        .map(|algorithm| {
            let key = kit_signer(algorithm).public_key_openssh();
            format!("kit@example {key}\n")
        })
        .concat()
}

/// Reads as every reader of the kit does: with all keys, strictly.
fn judge(log: &[u8]) -> (Verdict, String) {
    judge_with(log, Vec::new())
}

fn judge_with(log: &[u8], sidecars: Vec<Sidecar>) -> (Verdict, String) {
    let mut reader = Reader::new(ReaderConfig {
        identities: Kem::ALL.map(kit_identity).into_iter().collect(),
        signers: Some(Signers::from_text(&allowed_signers()).expect("signers")),
        mode: ReadMode::Strict,
        sidecars,
    });
    reader.push(log);
    reader.finish();
    let (mut records, mut frames, mut data) = (0, 0, Vec::new());
    while let Some(event) = reader.poll() {
        match event {
            Event::Frame(_) => frames += 1,
            Event::Record(view) => {
                records += 1;
                if let Record::Input(bytes) | Record::Output(bytes) | Record::Stderr(bytes) =
                    view.record
                {
                    data.extend_from_slice(bytes);
                }
            }
            _ => {}
        }
    }
    let verdict = reader.verdict();
    let (completeness, attested) = match verdict.completeness {
        Completeness::Complete => ("complete", None),
        Completeness::Aborted { .. } => ("aborted", None),
        Completeness::Recovered {
            attested_frames, ..
        } => ("recovered", Some(attested_frames)),
        Completeness::Truncated {
            attested_frames, ..
        } => ("truncated", Some(attested_frames)),
        Completeness::TrailerMissing => ("trailer missing", None),
        _ => ("other", None),
    };
    let integrity = match verdict.integrity {
        Integrity::Intact => "intact".to_string(),
        Integrity::Tampered { why, .. } => word(why),
        _ => "damaged".to_string(),
    };
    let authenticity = match &verdict.authenticity {
        Authenticity::Verified { .. } => "verified",
        Authenticity::UntrustedSigner { .. } => "untrusted",
        Authenticity::BadSignature => "bad signature",
        Authenticity::Unsigned => "unsigned",
    };
    let decryption = match verdict.decryption {
        Decryption::Ok => "ok",
        Decryption::NotAttempted => "not attempted",
        Decryption::NoMatchingIdentity => "no matching identity",
        Decryption::KeyCommitmentMismatch => "key commitment mismatch",
    };
    let strength = match verdict.strength {
        Strength::PostQuantum => "post-quantum",
        Strength::Classical => "classical",
        Strength::Unknown => "unknown",
    };
    let sum = Hash::Sha256.of(&[&data]).to_string();
    let attested = attested.map_or("null".to_string(), |frames: u64| frames.to_string());
    let line = format!(
        "{{\"completeness\": \"{completeness}\", \"integrity\": \"{integrity}\", \"authenticity\": \"{authenticity}\", \
         \"decryption\": \"{decryption}\", \"strength\": \"{strength}\", \"frames\": {frames}, \"attested\": {attested}, \
         \"records\": {records}, \"data_sha256\": \"{sum}\"}}"
    );
    (verdict, line)
}

/// The name of a fault without its numbers.
fn word(fault: Fault) -> String {
    let text = format!("{fault:?}");
    text.split('(').next().unwrap_or_default().to_string()
}

fn meets(verdict: &Verdict, expect: Expect) -> bool {
    let intact = verdict.integrity == Integrity::Intact;
    let verified = matches!(verdict.authenticity, Authenticity::Verified { .. });
    match expect {
        Expect::Good => verdict.is_good() && verdict.decryption == Decryption::Ok,
        Expect::Truncated => {
            intact && matches!(verdict.completeness, Completeness::Truncated { .. })
        }
        Expect::TrailerMissing => {
            intact && verified && verdict.completeness == Completeness::TrailerMissing
        }
        Expect::Aborted => {
            intact && verified && matches!(verdict.completeness, Completeness::Aborted { .. })
        }
        Expect::Recovered => {
            intact && verified && matches!(verdict.completeness, Completeness::Recovered { .. })
        }
        Expect::Untrusted => {
            intact
                && verdict.completeness == Completeness::Complete
                && matches!(verdict.authenticity, Authenticity::UntrustedSigner { .. })
        }
        Expect::NoIdentity => {
            verdict.is_good() && verdict.decryption == Decryption::NoMatchingIdentity
        }
        Expect::Mismatch => verdict.decryption == Decryption::KeyCommitmentMismatch,
        Expect::Fault(fault) => {
            matches!(verdict.integrity, Integrity::Tampered { why, .. } if why == fault)
                && !verdict.is_good()
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testkit")
}

/// Writes a file of the kit, or compares with it.
fn settle(name: &str, contents: &[u8]) {
    let path = folder().join(name);
    if std::env::var_os("PORTREEVE_WRITE_TESTKIT").is_some() {
        fs::write(&path, contents).expect("write");
    }
    let there = fs::read(&path).unwrap_or_default();
    assert!(
        there == contents,
        "{name} is not what the generator makes; PORTREEVE_WRITE_TESTKIT=1 writes it"
    );
}

/// Whether signatures in a log of this build differ from run to run: the FIPS module draws the nonces of ECDSA.
fn has_drawn_signatures(log: &[u8]) -> bool {
    let name = b"ecdsa-sha2-";
    let ecdsa = log.get(10) == Some(&1) || log.windows(name.len()).any(|part| part == name);
    cfg!(feature = "fips") && ecdsa
}

#[test]
fn every_stored_log_gets_its_verdict_whatever_computes_it() {
    let verdicts = fs::read_to_string(folder().join("verdicts.json")).expect("verdicts");
    let mut judged = 0;
    for line in verdicts.lines() {
        let Some((name, verdict)) = line.trim().trim_end_matches(',').split_once(": ") else {
            continue;
        };
        let name = name.trim_matches('"');
        let log = fs::read(folder().join(format!("{name}.sslg"))).expect("the log");
        assert_eq!(judge(&log).1, verdict, "{name}");
        judged += 1;
    }
    assert!(judged >= 120, "{judged}");
}

#[test]
fn every_case_of_the_testkit_is_what_the_generator_makes_and_gets_its_verdict() {
    let mut kit = Kit::default();
    whole::add(&mut kit);
    edits::add(&mut kit);
    lies::add(&mut kit);
    beside::add(&mut kit);
    assert!(kit.cases.len() >= 120, "{}", kit.cases.len());
    let mut lines = Vec::new();
    let mut wrong = Vec::new();
    for (name, (log, expect)) in &kit.cases {
        let (verdict, line) = judge(log);
        if !meets(&verdict, *expect) {
            wrong.push(format!("{name}: {expect:?}, but {line}"));
        }
        lines.push(format!("  \"{name}\": {line}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (name, (log, _)) in &kit.cases {
        if !has_drawn_signatures(log) {
            settle(&format!("{name}.sslg"), log);
        }
    }
    settle(
        "verdicts.json",
        format!("{{\n{}\n}}\n", lines.join(",\n")).as_bytes(),
    );
    for kem in Kem::ALL {
        let name = format!("identity-{}", kem.name());
        settle(&name, kit_identity(kem).to_text().as_bytes());
    }
    settle("allowed_signers", allowed_signers().as_bytes());
    let beside = beside::settle_all(&kit);
    let files = fs::read_dir(folder()).expect("the folder").count();
    assert_eq!(
        files,
        kit.cases.len() + beside + 6,
        "files that no case makes"
    );
}
