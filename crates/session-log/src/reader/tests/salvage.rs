//! What damage, and somebody who inserts frames and headers, can and cannot do to a salvaging reader.

use super::*;
use crate::checkpoint::OpenKind;
use crate::frame::NO_INDEX;
use crate::header::{PREAMBLE_BYTES, Preamble};
use crate::limits::DECAPSULATION_STEPS;

/// A clear frame that nothing signs.
fn inserted(kind: FrameKind, seq: u64, epoch: u32, body_len: u32) -> Vec<u8> {
    let header = FrameHeader {
        kind,
        flags: 0,
        body_len,
        seq,
        epoch,
        index: NO_INDEX,
    };
    let mut frame = header.encode().to_vec();
    frame.resize(header.frame_len(), 0);
    frame
}

#[test]
fn an_inserted_clear_frame_far_ahead_does_not_hide_what_follows() {
    let far = (1 << 21) - 1;
    let mut checkpoint = inserted(FrameKind::Checkpoint, far, 1_000, 145);
    // Its own number as size, and another key to come.
    checkpoint[24 + 1..24 + 9].copy_from_slice(&far.to_be_bytes());
    checkpoint[24 + 49..24 + 81].fill(7);
    for (what, frame) in [
        (
            "a skippable",
            inserted(FrameKind::Skippable(0x80), far, 0, 5),
        ),
        (
            "an attestation",
            inserted(FrameKind::Attestation, far, 0, 5),
        ),
        ("a checkpoint of an unknown epoch", checkpoint),
    ] {
        let liar = Liar::new(&[identity(1)], None).content(&RECORD);
        let before = liar.bytes.len();
        let liar = liar.content(&RECORD).content(&RECORD);
        for junk in [&b""[..], b"junk"] {
            let bytes = [&liar.bytes[..before], junk, &frame, &liar.bytes[before..]].concat();
            let (records, verdict) = read(&bytes, identity(1), ReadMode::Salvage);
            assert_eq!(records, 3, "{what}");
            assert_eq!(verdict.integrity, Integrity::Damaged { gaps: 1 }, "{what}");
        }
    }
}

#[test]
fn a_gap_in_any_segment_leaves_the_log_truncated_at_the_last_checkpoint_before_it() {
    let identities = [identity(1)];
    let first = Liar::new(&identities, None)
        .content(&RECORD)
        .checkpoint(CheckpointKind::Periodic, 8)
        .content(&RECORD);
    let in_last = first.bytes.len() - 1;
    let first = first.checkpoint(CheckpointKind::Rotated, 9);
    let second = first
        .next(&identities, OpenKind::Continued, 9)
        .content(&RECORD);
    for ends in [
        second.clone().end(),
        second.checkpoint(CheckpointKind::Abort, 0),
    ] {
        let mut bytes = [&first.bytes[..], &ends.bytes].concat();
        bytes[in_last] ^= 1;
        let (records, verdict) = read(&bytes, identity(1), ReadMode::Salvage);
        assert_eq!(records, 2);
        let Completeness::Truncated {
            attested_frames, ..
        } = verdict.completeness
        else {
            panic!("{verdict:?}");
        };
        assert_eq!(attested_frames, 2);
    }
}

#[test]
fn a_file_of_false_frames_costs_salvage_no_more_than_its_budget() {
    let honest = Liar::new(&[identity(1)], None).content(&RECORD);
    let mut bytes = honest.bytes.clone();
    bytes.extend_from_slice(b"broken");
    // Every 24 bytes a header that could be the next frame's, far ahead, each with a body of 256 KiB that is there.
    for seq in 3..3_000u64 {
        let header = FrameHeader {
            kind: FrameKind::Data,
            flags: 0,
            body_len: 1 << 18,
            seq: (1 << 20) + seq,
            epoch: 0,
            index: 1 << 20,
        };
        bytes.extend_from_slice(&header.encode());
    }
    bytes.resize(bytes.len() + (1 << 18), 0);
    let mut reader = Reader::new(ReaderConfig {
        identities: vec![identity(1)],
        signers: None,
        mode: ReadMode::Salvage,
        ..ReaderConfig::default()
    });
    // A smaller budget than the real one shows the same without the seconds.
    reader.budget = 1 << 16;
    reader.push(&bytes);
    reader.finish();
    let mut records = 0;
    while let Some(event) = reader.poll() {
        records += usize::from(matches!(event, Event::Record(_)));
    }
    assert_eq!(records, 1);
    assert!(
        reader.budget < 1_000,
        "{} left: it was spent and then respected",
        reader.budget
    );
}

#[test]
fn a_file_of_false_headers_costs_salvage_no_more_than_its_budget() {
    let identities = [identity(1), identity(1), identity(1), identity(1)];
    let honest = Liar::new(&identities, None).content(&RECORD);
    // Later segments of this log by anybody, each with four stanzas that the reader must try, and a commitment that none of them meets.
    let mut bytes = honest.bytes.clone();
    let mut later = honest;
    for _ in 0..60 {
        later = later.next(&identities, OpenKind::Continued, 66);
        let parsed = Preamble::parse(later.bytes.first_chunk().expect("whole")).expect("good");
        let mut header = later.bytes[..parsed.header_len()].to_vec();
        let commit_at = header
            .windows(3)
            .position(|bytes| bytes == [0x06, 0x58, 0x20])
            .expect("commitment");
        header[commit_at + 3] ^= 1;
        bytes.extend_from_slice(b"broken");
        bytes.extend_from_slice(&header);
    }
    let mut reader = Reader::new(ReaderConfig {
        identities: vec![identity(1)],
        signers: None,
        mode: ReadMode::Salvage,
        ..ReaderConfig::default()
    });
    reader.budget = 20 * 4 * DECAPSULATION_STEPS;
    reader.push(&bytes);
    reader.finish();
    let mut segments = 0;
    while let Some(event) = reader.poll() {
        segments += usize::from(matches!(event, Event::Segment(_)));
    }
    assert_eq!(
        segments,
        1 + 19,
        "the true one, and those that the budget pays"
    );
    assert!(reader.budget < 5 * DECAPSULATION_STEPS, "{}", reader.budget);
}

#[test]
fn a_plausible_preamble_does_not_end_the_segment_that_is_being_read() {
    let liar = Liar::new(&[identity(1)], None).content(&RECORD);
    let before = liar.bytes.len();
    let preamble = &liar.bytes[..PREAMBLE_BYTES];
    let parsed = Preamble::parse(preamble.first_chunk().expect("whole")).expect("good");
    let own_header = &liar.bytes[..parsed.header_len()];
    for false_header in [preamble, own_header] {
        let later = liar.clone().content(&RECORD).content(&RECORD);
        let bytes = [
            &later.bytes[..before],
            b"junk",
            false_header,
            &later.bytes[before..],
        ]
        .concat();
        for piece in [1, 100, bytes.len()] {
            let mut reader = Reader::new(ReaderConfig {
                identities: vec![identity(1)],
                signers: None,
                mode: ReadMode::Salvage,
                ..ReaderConfig::default()
            });
            let mut records = 0;
            for piece in bytes.chunks(piece) {
                reader.push(piece);
                while let Some(event) = reader.poll() {
                    records += usize::from(matches!(event, Event::Record(_)));
                }
            }
            reader.finish();
            while let Some(event) = reader.poll() {
                records += usize::from(matches!(event, Event::Record(_)));
            }
            assert_eq!(records, 3);
        }
    }
}

#[test]
fn a_segment_that_stands_where_a_frame_is_missing_is_found() {
    let identities = [identity(1)];
    let first = Liar::new(&identities, None).content(&RECORD);
    let cut = first.bytes.clone();
    let second = first
        .checkpoint(CheckpointKind::Rotated, 9)
        .next(&identities, OpenKind::Continued, 9)
        .content(&RECORD)
        .end();
    let (records, verdict) = read(
        &[cut, second.bytes].concat(),
        identity(1),
        ReadMode::Salvage,
    );
    assert_eq!(records, 2);
    assert_eq!(verdict.integrity, Integrity::Damaged { gaps: 1 });
}
