//! What only somebody with the format's insides can build.

use alloc::vec;

use super::*;
use crate::frame::{FrameHeader, FrameKind, PREFIX_BYTES, encode_prefix};
use crate::keyfile::Kem;
use crate::secret::Generator;
use liar::{CONTENT_LOG2, Liar};

mod forged;
mod liar;
mod salvage;
mod testkit;

fn identity(seed: u8) -> Identity {
    Identity::generate(Kem::X25519, &mut Generator::new([seed; 32]))
}

fn read(bytes: &[u8], identity: Identity, mode: ReadMode) -> (usize, Verdict) {
    let mut reader = Reader::new(ReaderConfig {
        identities: vec![identity],
        signers: None,
        mode,
        ..ReaderConfig::default()
    });
    reader.push(bytes);
    reader.finish();
    let mut records = 0;
    while let Some(event) = reader.poll() {
        records += usize::from(matches!(event, Event::Record(_)));
    }
    (records, reader.verdict())
}

fn fault_of(liar: Liar) -> Option<Fault> {
    match read(&liar.bytes, identity(1), ReadMode::Strict).1.integrity {
        Integrity::Tampered { why, .. } => Some(why),
        _ => None,
    }
}

/// `[annotation, 0, 0, {1: "x"}]`
const RECORD: [u8; 9] = [0x84, 0x18, 0x52, 0x00, 0x00, 0xa1, 0x01, 0x61, b'x'];

#[test]
fn an_honest_liar_is_read() {
    let (records, verdict) = read(
        &Liar::new(&[identity(1)], None).content(&RECORD).bytes,
        identity(1),
        ReadMode::Strict,
    );
    assert_eq!(
        (records, verdict.integrity, verdict.decryption),
        (1, Integrity::Intact, Decryption::Ok)
    );
}

#[test]
fn a_recipient_who_was_given_another_key_learns_it() {
    let liar = Liar::new(&[identity(1), identity(2)], Some([0xee; 32])).content(&RECORD);
    assert_eq!(
        read(&liar.bytes, identity(1), ReadMode::Strict)
            .1
            .decryption,
        Decryption::Ok
    );
    let (records, verdict) = read(&liar.bytes, identity(2), ReadMode::Strict);
    assert_eq!(
        (records, verdict.decryption),
        (0, Decryption::KeyCommitmentMismatch)
    );
}

#[test]
fn signed_nonsense_inside_a_frame_is_named_and_not_passed_on() {
    let cases: [(&str, &[u8]); 10] = [
        ("not CBOR", &[0xff]),
        ("not an array", &[0x01]),
        ("three fields", &[0x83, 0x18, 0x52, 0x00, 0x00]),
        (
            "a kind that must be known",
            &[0x84, 0x19, 0x80, 0x00, 0x00, 0x00, 0xa0],
        ),
        ("no such key", &[0x84, 0x18, 0x52, 0x00, 0x00, 0xa0]),
        (
            "bytes for text",
            &[0x84, 0x18, 0x52, 0x00, 0x00, 0xa1, 0x01, 0x41, b'x'],
        ),
        (
            "a side that is neither",
            &[0x84, 0x0a, 0x00, 0x00, 0xa2, 0x01, 0x02, 0x02, 0xf5],
        ),
        (
            "data that is no byte string",
            &[0x84, 0x01, 0x00, 0x00, 0x00],
        ),
        ("cut in the middle", &RECORD[..8]),
        (
            "4 GiB announced",
            &[0x84, 0x01, 0x00, 0x00, 0x5a, 0xff, 0xff, 0xff, 0xff],
        ),
    ];
    for (why, content) in cases {
        let liar = || Liar::new(&[identity(1)], None).content(&[&RECORD, content].concat());
        assert_eq!(fault_of(liar()), Some(Fault::Record), "{why}");
        let (records, verdict) = read(
            &liar().content(&RECORD).bytes,
            identity(1),
            ReadMode::Salvage,
        );
        assert_eq!(
            (records, verdict.integrity),
            (2, Integrity::Damaged { gaps: 1 }),
            "{why}"
        );
    }
}

#[test]
fn kinds_and_fields_of_later_versions_are_passed_over() {
    let later: [(&str, &[u8]); 3] = [
        (
            "an unknown kind",
            &[0x84, 0x19, 0x01, 0x00, 0x00, 0x00, 0xa0],
        ),
        (
            "a fifth field",
            &[0x85, 0x18, 0x52, 0x00, 0x00, 0xa1, 0x01, 0x61, b'x', 0xf6],
        ),
        (
            "a further key",
            &[
                0x84, 0x18, 0x52, 0x00, 0x00, 0xa2, 0x01, 0x61, b'x', 0x18, 0x63, 0x00,
            ],
        ),
    ];
    for (why, content) in later {
        let liar = Liar::new(&[identity(1)], None).content(content);
        let (records, verdict) = read(&liar.bytes, identity(1), ReadMode::Strict);
        assert_eq!(
            (records, verdict.integrity),
            (1, Integrity::Intact),
            "{why}"
        );
    }
}

#[test]
fn lengths_and_padding_that_no_writer_makes_are_named() {
    let with = |prefix: [u8; PREFIX_BYTES], rest: &[u8]| {
        Liar::new(&[identity(1)], None).frame(FrameKind::Data, 0, &[&prefix[..], rest].concat())
    };
    assert_eq!(
        fault_of(with(encode_prefix(10, 10, 0), &RECORD)),
        Some(Fault::FrameContent),
        "longer than the frame"
    );
    assert_eq!(
        fault_of(with(encode_prefix(u32::MAX, u32::MAX, 0), &RECORD)),
        Some(Fault::FrameContent),
        "4 GiB"
    );
    assert_eq!(
        fault_of(with(encode_prefix(8, 8, 0), &RECORD)),
        Some(Fault::FrameContent),
        "padding that is not zero"
    );
    let mut inflated = encode_prefix(9, 9, 0);
    inflated[7] = 0xff;
    assert_eq!(
        fault_of(with(inflated, &RECORD)),
        Some(Fault::FrameContent),
        "a raw length of its own"
    );
    let flags = |flags, plain: &[u8]| {
        fault_of(Liar::new(&[identity(1)], None).frame(FrameKind::Data, flags, plain))
    };
    assert_eq!(flags(8, &[0; 16]), Some(Fault::FrameFlags));
    assert_eq!(
        flags(1, &[0; 16]),
        Some(Fault::FrameContent),
        "nothing is compressed to nothing"
    );
    let no_zstd = [&encode_prefix(4, 5_000, 0)[..], b"zstd"].concat();
    assert_eq!(flags(1, &no_zstd), Some(Fault::FrameContent));
    let summary = [&encode_prefix(1, 1, 0)[..], &[0xff]].concat();
    assert_eq!(
        fault_of(Liar::new(&[identity(1)], None).frame(FrameKind::Summary, 0, &summary)),
        Some(Fault::Record)
    );
}

#[test]
fn a_content_larger_than_the_header_admits_is_named() {
    let largest = |extra: usize| {
        let room = (1 << CONTENT_LOG2) + extra;
        let mut content = RECORD.repeat(room / RECORD.len() + 1);
        content.truncate(room / RECORD.len() * RECORD.len());
        Liar::new(&[identity(1)], None).content(&content)
    };
    assert_eq!(fault_of(largest(0)), None);
    assert_eq!(fault_of(largest(RECORD.len())), Some(Fault::FrameContent));
}

#[test]
fn an_idle_log_of_many_heartbeats_costs_nothing_of_the_budget() {
    let mut liar = Liar::new(&[identity(1)], None);
    for _ in 0..20 {
        liar = liar.checkpoint(CheckpointKind::Heartbeat, 5);
    }
    let mut reader = Reader::new(ReaderConfig {
        identities: vec![identity(1)],
        ..ReaderConfig::default()
    });
    reader.budget = 1;
    reader.push(&liar.content(&RECORD).end().bytes);
    while reader.poll().is_some() {}
    assert_eq!(reader.budget, 1);
    assert_eq!(reader.verdict().completeness, Completeness::Complete);
}

#[test]
fn nothing_but_the_end_follows_a_summary() {
    let liar = Liar::new(&[identity(1)], None);
    let summary = liar.summary();
    let liar = liar.summed(&summary).content(&RECORD);
    assert_eq!(fault_of(liar), Some(Fault::Summary));
}

#[test]
fn a_frame_kind_from_0x80_is_skipped_and_one_below_is_not() {
    let skippable = Liar::new(&[identity(1)], None)
        .frame(FrameKind::Skippable(0x90), 0xff, &[0; 16])
        .content(&RECORD);
    let (records, verdict) = read(&skippable.bytes, identity(1), ReadMode::Strict);
    assert_eq!((records, verdict.integrity), (1, Integrity::Intact));
    let unknown = Liar::new(&[identity(1)], None).frame(FrameKind::Skippable(0x7f), 0, &[0; 16]);
    assert_eq!(fault_of(unknown), Some(Fault::FrameKind));
}

#[test]
fn what_is_held_stays_bounded_while_a_long_log_streams_through() {
    let mut liar = Liar::new(&[identity(1)], None);
    for _ in 0..200 {
        liar = liar.content(&[&RECORD[..]; 2_000].concat());
    }
    let mut reader = Reader::new(ReaderConfig {
        identities: vec![identity(1)],
        ..ReaderConfig::default()
    });
    let mut records = 0;
    for piece in liar.bytes.chunks(10_000) {
        reader.push(piece);
        while let Some(event) = reader.poll() {
            records += usize::from(matches!(event, Event::Record(_)));
        }
        assert!(reader.input.capacity() + reader.plain.capacity() < 300_000);
    }
    assert_eq!(records, 400_000);
}
