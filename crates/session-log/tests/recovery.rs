//! A damaged log is not a broken one: it is recovered knowingly or not at all, and what comes of it holds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::Path;

use common::*;
use session_log::{
    Completeness, CreateError, Fault, Identity, Integrity, Kem, OnDamage, ReadMode, ReaderConfig,
    Recipient, RecoveredLog, Recovery, Strength, Suite, Verdict,
};

fn recover(
    broken: &[u8],
    on_damage: OnDamage,
    recipient: Recipient,
) -> Result<RecoveredLog, CreateError> {
    let mut recovery = Recovery::new(on_damage);
    for piece in broken.chunks(501) {
        recovery.push(piece);
    }
    let suite_signer = match Suite::ALL.iter().find(|suite| {
        broken.get(10..12) == Some(&suite.id().to_be_bytes()[..]) && suite.id() > 0x100
    }) {
        Some(suite) => session_log::SigningIdentity::generate(suite.signature_algorithm(), [6; 32]),
        None => signer(),
    };
    recovery
        .begin(
            vec![recipient],
            suite_signer.public_key(),
            [5; 32],
            now(90_000),
        )?
        .sign(&suite_signer)
}

fn put_together(broken: &[u8], recovered: &RecoveredLog) -> Vec<u8> {
    let keep = usize::try_from(recovered.keep_bytes).unwrap();
    [&broken[..keep], &recovered.tail].concat()
}

fn kit_keys() -> Vec<Identity> {
    ["x25519", "x-wing", "p256", "p384"]
        .map(|name| {
            let file = kit().join(format!("identity-{name}"));
            Identity::from_text(&fs::read_to_string(file).unwrap()).unwrap()
        })
        .into()
}

fn kit() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testkit")
}

fn read_by(keys: Vec<Identity>, log: &[u8]) -> (Found, Verdict) {
    let config = ReaderConfig {
        identities: keys,
        mode: ReadMode::Strict,
        ..ReaderConfig::default()
    };
    read_with(config, &[log])
}

/// What a recipient's keys are for the suite of a log.
fn recipient_of(log: &[u8]) -> Recipient {
    let suite = Suite::ALL
        .into_iter()
        .find(|suite| log.get(10..12) == Some(&suite.id().to_be_bytes()[..]));
    let kem = suite.map_or(Kem::X25519, |suite| suite.kems()[0]);
    identity(kem).recipient()
}

#[test]
fn no_changed_log_of_the_testkit_is_recovered_unasked_and_what_is_cut_off_knowingly_holds() {
    let (mut refused, mut cut_off) = (0, 0);
    for entry in fs::read_dir(kit()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "sslg") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let log = fs::read(&path).unwrap();
        let (_, without_key) = read_by(Vec::new(), &log);
        let Integrity::Tampered { at, why } = without_key.integrity else {
            continue;
        };
        refused += 1;
        assert_eq!(
            recover(&log, OnDamage::Refuse, recipient_of(&log)).map(|_| ()),
            Err(CreateError::Damaged {
                offset: at.offset,
                fault: why
            }),
            "{name}"
        );
        let recovered = match recover(&log, OnDamage::CutOff, recipient_of(&log)) {
            Ok(recovered) => recovered,
            Err(CreateError::NothingFound | CreateError::Ended) => continue,
            Err(other) => panic!("{name}: {other}"),
        };
        cut_off += 1;
        assert!(recovered.keep_bytes <= at.offset, "{name}");
        let (found, verdict) = read_by(kit_keys(), &put_together(&log, &recovered));
        let changed_before = matches!(why, Fault::RootMismatch | Fault::CheckpointSignature);
        let (_, with_key) = read_by(kit_keys(), &log);
        // Somebody who has the keys and lies inside of frames is not found out without them.
        let lies_inside = with_key.integrity != without_key.integrity && !changed_before;
        if !lies_inside {
            assert_eq!(verdict.integrity, Integrity::Intact, "{name}");
            let is_recovered = matches!(verdict.completeness, Completeness::Recovered { .. });
            assert!(is_recovered, "{name}: {verdict:?}");
        }
        let (all, _) = read_by(kit_keys(), &log);
        assert!(all.records.starts_with(&found.records), "{name}");
    }
    assert!(refused > 80 && cut_off > 40, "{refused}, {cut_off}");
}

#[test]
fn behind_a_changed_frame_nothing_is_kept_that_no_good_signature_covers() {
    let log = fs::read(kit().join("frame-tag.sslg")).unwrap();
    let refused = recover(&log, OnDamage::Refuse, recipient_of(&log));
    assert!(
        matches!(
            refused,
            Err(CreateError::Damaged {
                fault: Fault::RootMismatch,
                ..
            })
        ),
        "{refused:?}"
    );
    let recovered = recover(&log, OnDamage::CutOff, recipient_of(&log)).unwrap();
    assert!(
        recovered.attestation.frames <= recovered.attestation.attested_frames + 1,
        "{recovered:?}"
    );
}

#[test]
fn zeros_that_a_crash_left_are_cut_off_when_asked_with_the_frame_that_they_begin_in() {
    let log = &small_log()[..3_000];
    let zeros = [log, &[0; 5_000]].concat();
    let refused = recover(&zeros, OnDamage::Refuse, recipient_of(log));
    assert!(matches!(refused, Err(CreateError::Damaged { .. })));
    let recovered = recover(&zeros, OnDamage::CutOff, recipient_of(log)).unwrap();
    assert_eq!(recovered.attestation.found_bytes, 8_000);
    let clean = recover(log, OnDamage::Refuse, recipient_of(log)).unwrap();
    let kept = (recovered.keep_bytes, recovered.attestation.frames);
    assert_eq!(kept, (clean.keep_bytes, clean.attestation.frames));
    let (found, verdict) = read(&put_together(&zeros, &recovered));
    assert_eq!(found.records, read(log).0.records);
    assert_eq!(verdict.integrity, Integrity::Intact);
}

#[test]
fn something_in_the_place_of_the_trailer_is_replaced_when_asked() {
    let log = small_log();
    let end = log.len() - 24;
    let bent = [&log[..end], &[0; 24]].concat();
    let missing = |on_damage| {
        let mut recovery = Recovery::new(on_damage);
        recovery.push(&bent);
        recovery.missing_trailer()
    };
    assert_eq!(missing(OnDamage::Refuse), None);
    let missing = missing(OnDamage::CutOff).unwrap();
    let keep = usize::try_from(missing.keep_bytes).unwrap();
    assert_eq!([&bent[..keep], &missing.tail].concat(), log);
    let again = recover(&bent, OnDamage::CutOff, recipient_of(&log));
    assert_eq!(again, Err(CreateError::Ended));
}

#[test]
fn whoever_recovers_a_log_changes_neither_who_could_read_it_nor_how_well_it_is_kept() {
    for name in ["recovered-for-another", "recovered-x-wing-for-x25519"] {
        let log = fs::read(kit().join(format!("{name}.sslg"))).unwrap();
        let (_, verdict) = read_by(kit_keys(), &log);
        assert_eq!(verdict.decryption, session_log::Decryption::Ok, "{name}");
        let quantum_safe = name.contains("x-wing");
        assert_eq!(verdict.strength == Strength::PostQuantum, quantum_safe);
    }
}
