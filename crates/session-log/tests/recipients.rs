//! Recipients that change within a log: each reads the segments made for it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::*;
use session_log::{
    Completeness, CreateError, Decryption, Identity, Integrity, Kem, LogId, ReadMode, Record,
    Strength, Suite, WriteError, Writer, WriterPolicy,
};

/// A log that is for `first`, then for `then`: what was pending at the change is the first one's.
fn changed(first: &Identity, then: &Identity, policy: WriterPolicy) -> Vec<u8> {
    let config = config(std::slice::from_ref(first), policy);
    let mut writer = Writer::create(&config, &signer(), LogId([7; 16]), [1; 32], now(0)).unwrap();
    let mut log = Vec::new();
    writer
        .record(1, &Record::Output(b"before "), now(1))
        .unwrap();
    writer.flush(now(1)).unwrap();
    writer
        .record(1, &Record::Output(b"pending "), now(2))
        .unwrap();
    writer.rotate_to(vec![then.recipient()], now(3)).unwrap();
    drain(&mut writer, &mut log);
    writer.record(1, &Record::Output(b"after"), now(4)).unwrap();
    writer.finish(now(5)).unwrap();
    drain(&mut writer, &mut log);
    log
}

#[test]
fn each_recipient_reads_the_segments_made_for_it_and_everybody_verifies_all() {
    let (first, then) = (|| identity(Kem::X25519), || identity(Kem::XWing));
    let log = changed(&first(), &then(), WriterPolicy::default());
    let cases: [(Vec<Identity>, &[u8], Decryption); 4] = [
        (
            vec![first(), then()],
            b"before pending after",
            Decryption::Ok,
        ),
        (
            vec![first()],
            b"before pending ",
            Decryption::NoMatchingIdentity,
        ),
        (vec![then()], b"after", Decryption::NoMatchingIdentity),
        (vec![], b"", Decryption::NotAttempted),
    ];
    for mode in [ReadMode::Strict, ReadMode::Salvage] {
        for (keys, output, decryption) in &cases {
            let keys = keys.iter().map(|key| identity(key.recipient().kem()));
            let (found, verdict) = read_with(reader_config(keys.collect(), mode), &[&log]);
            assert_eq!(&found.output, output);
            assert_eq!(verdict.decryption, *decryption);
            assert!(verdict.is_good(), "{verdict:?}");
            assert_eq!(found.segments.len(), 2);
        }
    }
}

#[test]
fn a_log_is_as_strong_as_the_weakest_of_its_segments() {
    for (first, then, strength) in [
        (Kem::XWing, Kem::XWing, Strength::PostQuantum),
        (Kem::XWing, Kem::X25519, Strength::Classical),
        (Kem::X25519, Kem::XWing, Strength::Classical),
    ] {
        let log = changed(&identity(first), &identity(then), WriterPolicy::default());
        assert_eq!(verify(&log).strength, strength, "{first:?}, then {then:?}");
    }
}

#[test]
fn recipients_that_do_not_suit_the_log_are_refused_and_it_goes_on_for_those_so_far() {
    let mut writer = writer(WriterPolicy::default());
    let mut log = Vec::new();
    writer
        .record(1, &Record::Output(b"pending"), now(1))
        .unwrap();
    drain(&mut writer, &mut log);
    let kem = |kem| identity(kem).recipient();
    for (recipients, why) in [
        (vec![], CreateError::NoRecipients),
        (
            vec![kem(Kem::X25519); 65],
            CreateError::TooManyRecipients { limit: 64, got: 65 },
        ),
        (
            vec![kem(Kem::X25519), kem(Kem::P256)],
            CreateError::RecipientKem {
                suite: Suite::default().id(),
                kem: "p256",
            },
        ),
    ] {
        let refused = writer.rotate_to(recipients, now(2));
        assert_eq!(refused, Err(WriteError::Recipients(why)));
        assert!(writer.take_output().is_none(), "nothing was written");
    }
    writer
        .record(1, &Record::Output(b" and more"), now(3))
        .unwrap();
    writer.finish(now(4)).unwrap();
    drain(&mut writer, &mut log);
    let (found, verdict) = read(&log);
    assert!(verdict.is_good(), "{verdict:?}");
    assert_eq!(found.output, b"pending and more");
    assert_eq!(found.segments.len(), 1);
    let closed = writer.rotate_to(vec![kem(Kem::X25519)], now(5));
    assert_eq!(closed, Err(WriteError::Closed));
}

#[test]
fn a_change_that_meets_a_full_segment_makes_one_new_segment() {
    let policy = WriterPolicy {
        rotate_bytes: 4_096,
        ..WriterPolicy::default()
    };
    let (first, then) = (identity(Kem::X25519), identity(Kem::XWing));
    let config = config(std::slice::from_ref(&first), policy);
    let mut writer = Writer::create(&config, &signer(), LogId([7; 16]), [1; 32], now(0)).unwrap();
    writer
        .record(1, &Record::Output(&[7; 8_000]), now(1))
        .unwrap();
    writer.rotate_to(vec![then.recipient()], now(2)).unwrap();
    writer.rotate_to(vec![first.recipient()], now(2)).unwrap();
    writer.finish(now(3)).unwrap();
    let mut log = Vec::new();
    drain(&mut writer, &mut log);
    let (found, verdict) = read_with(reader_config(vec![first, then], ReadMode::Strict), &[&log]);
    assert_eq!(verdict.integrity, Integrity::Intact);
    assert_eq!(verdict.completeness, Completeness::Complete);
    assert_eq!(verdict.decryption, Decryption::Ok);
    assert_eq!((found.segments.len(), found.output.len()), (3, 8_000));
}
