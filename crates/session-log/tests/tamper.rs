//! Every edit of a log is seen, and has its own name.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::*;
use proptest::prelude::*;
use session_log::{
    Authenticity, Completeness, Decryption, Fault, FrameInfo, FrameKind, Integrity, Kem, LogId,
    ReadMode, ReaderConfig, Record, SigningIdentity, Verdict, Writer, WriterPolicy,
};
use std::ops::Range;

fn why(verdict: &Verdict) -> Option<Fault> {
    match verdict.integrity {
        Integrity::Tampered { why, .. } => Some(why),
        _ => None,
    }
}

/// Byte ranges of the frames of a log.
fn frames(log: &[u8]) -> Vec<(FrameInfo, Range<usize>)> {
    read(log)
        .0
        .frames
        .into_iter()
        .map(|frame| {
            let start = usize::try_from(frame.offset).unwrap();
            (frame, start..start + frame.bytes as usize)
        })
        .collect()
}

#[test]
fn no_flipped_bit_of_what_is_clear_and_none_sampled_of_what_is_sealed_leaves_a_good_log() {
    let log = small_log();
    let frames = frames(&log);
    // Every bit of header, OPEN, checkpoints and frame heads; of the sealed bodies, which one tag protects as a whole, one bit of the first and
    // last bytes and of a sample.
    let clear = |at: usize| {
        let Some((frame, range)) = frames.iter().find(|(_, range)| range.contains(&at)) else {
            return true;
        };
        let signed = matches!(frame.kind, FrameKind::Open | FrameKind::Checkpoint);
        signed || at - range.start < 24
    };
    let sampled = |at: usize| {
        frames.iter().any(|(_, range)| {
            range.contains(&at)
                && (at - range.start < 28 || range.end - at < 18 || at.is_multiple_of(41))
        })
    };
    let mut tried = 0;
    for at in 0..log.len() {
        let bits = match (clear(at), sampled(at)) {
            (true, _) => 0..8,
            (false, true) => at % 8..at % 8 + 1,
            (false, false) => continue,
        };
        for bit in bits {
            let mut bent = log.clone();
            bent[at] ^= 1 << bit;
            let verdict = verify(&bent);
            assert!(
                !verdict.is_good(),
                "bit {bit} of byte {at} without the key: {verdict:?}"
            );
            if (at + bit).is_multiple_of(11) {
                let verdict = read(&bent).1;
                assert!(
                    !verdict.is_good(),
                    "bit {bit} of byte {at} with the key: {verdict:?}"
                );
            }
            tried += 1;
        }
    }
    assert!(tried > 10_000, "{tried}");
}

#[test]
fn a_log_cut_at_any_byte_gives_every_sealed_frame_and_says_truncated() {
    let log = small_log();
    let frames = frames(&log);
    let whole = read(&log).0;
    let header = frames[0].1.start;
    for len in
        (0..log.len()).filter(|len| *len < header + 300 || len % 7 == 0 || log.len() - len < 200)
    {
        let sealed = frames.iter().filter(|(_, range)| range.end <= len).count();
        let (found, verdict) = read(&log[..len]);
        assert_eq!(found.frames.len(), sealed, "cut at {len}");
        assert!(whole.records.starts_with(&found.records), "cut at {len}");
        assert_eq!(verdict.integrity, Integrity::Intact, "cut at {len}");
        let attested = frames[..sealed]
            .iter()
            .rposition(|(frame, _)| frame.kind == FrameKind::Checkpoint)
            .unwrap_or(0);
        let expected = match frames.len() - sealed {
            0 => Completeness::TrailerMissing,
            _ => Completeness::Truncated {
                attested_frames: attested as u64,
                frames: sealed as u64,
            },
        };
        assert_eq!(verdict.completeness, expected, "cut at {len}");
        assert_eq!(found.gaps, []);
        if len % 3 == 0 {
            let (salvaged, verdict) = salvage(&log[..len]);
            assert_eq!(salvaged.frames.len(), sealed, "salvage, cut at {len}");
            assert_eq!(
                (verdict.completeness, verdict.integrity),
                (expected, Integrity::Intact),
                "salvage, cut at {len}"
            );
        }
    }
}

#[test]
fn frames_that_are_swapped_repeated_or_taken_out_are_named() {
    let log = small_log();
    let frames = frames(&log);
    let data: Vec<&Range<usize>> = frames
        .iter()
        .filter(|(f, _)| f.kind == FrameKind::Data)
        .map(|(_, r)| r)
        .collect();
    let (a, b) = (data[0].clone(), data[1].clone());
    assert_eq!(a.end, b.start);

    let swapped = [
        &log[..a.start],
        &log[b.clone()],
        &log[a.clone()],
        &log[b.end..],
    ]
    .concat();
    assert_eq!(why(&verify(&swapped)), Some(Fault::FramesMissing));
    let repeated = [&log[..a.end], &log[a.clone()], &log[a.end..]].concat();
    assert_eq!(why(&verify(&repeated)), Some(Fault::FrameRepeated));
    let removed = [&log[..a.start], &log[a.end..]].concat();
    assert_eq!(why(&verify(&removed)), Some(Fault::FramesMissing));
    // The next numbers are given to the frames behind the hole: their headers no longer fit the tree.
    let mut renumbered = log[..a.start].to_vec();
    for (info, range) in frames.iter().filter(|(_, range)| range.start >= b.start) {
        let mut frame = log[range.clone()].to_vec();
        frame[8..16].copy_from_slice(&(info.seq - 1).to_be_bytes());
        if info.kind == FrameKind::Data && info.epoch == 0 {
            let index = u32::from_be_bytes(frame[20..24].try_into().unwrap());
            frame[20..24].copy_from_slice(&(index - 1).to_be_bytes());
        }
        renumbered.extend_from_slice(&frame);
    }
    assert_eq!(why(&verify(&renumbered)), Some(Fault::Checkpoint));
    assert_eq!(why(&read(&renumbered).1), Some(Fault::NotAuthentic));
}

#[test]
fn a_frame_changed_in_storage_is_seen_at_once_with_the_key_and_at_the_checkpoint_without() {
    let mut log = small_log();
    let frames = frames(&log);
    let data = frames
        .iter()
        .find(|(f, _)| f.kind == FrameKind::Data)
        .unwrap();
    log[data.1.start + 100] ^= 1;
    assert_eq!(why(&read(&log).1), Some(Fault::NotAuthentic));
    assert_eq!(why(&verify(&log)), Some(Fault::RootMismatch));
}

#[test]
fn data_after_the_end_is_named() {
    for more in [&b"x"[..], &small_log(), b"SSLGIDX1\0\0\0\0\0\0\0\0"] {
        let log = [&small_log(), more].concat();
        assert_eq!(why(&verify(&log)), Some(Fault::DataAfterEnd));
    }
}

#[test]
fn the_end_of_another_log_does_not_fit() {
    let log = small_log();
    let mut writer = Writer::create(
        &config(
            &[identity(Kem::X25519)],
            WriterPolicy {
                checkpoint_frames: 4,
                ..WriterPolicy::default()
            },
        ),
        &signer(),
        LogId([8; 16]),
        [2; 32],
        now(0),
    )
    .unwrap();
    let mut other = Vec::new();
    for (channel, record) in small_session() {
        writer.record(channel, &record, now(1)).unwrap();
        writer.flush(now(1)).unwrap();
        drain(&mut writer, &mut other);
    }
    writer.finish(now(2)).unwrap();
    drain(&mut writer, &mut other);
    let (ours, theirs) = (frames(&log), frames(&other));
    // Same shape, same lengths: everything before frame 2 from one log, the rest from the other.
    let spliced = [&log[..ours[2].1.start], &other[theirs[2].1.start..]].concat();
    assert_eq!(why(&read(&spliced).1), Some(Fault::NotAuthentic));
    assert_eq!(why(&verify(&spliced)), Some(Fault::CheckpointSignature));
    // A whole other header before our frames.
    let header_swapped = [&other[..theirs[0].1.start], &log[ours[0].1.start..]].concat();
    assert_eq!(why(&verify(&header_swapped)), Some(Fault::OpenSignature));
    assert_eq!(
        verify(&header_swapped).authenticity,
        Authenticity::BadSignature
    );
}

#[test]
fn recipient_stanzas_that_were_replaced_are_named() {
    let log = small_log();
    let core_len = u32::from_be_bytes(log[12..16].try_into().unwrap()) as usize;
    let wraps = 20 + core_len..frames(&log)[0].1.start;
    let mut bent = log.clone();
    bent[wraps.end - 1] ^= 1;
    assert_eq!(why(&verify(&bent)), Some(Fault::WrapsReplaced));
    assert_eq!(read(&bent).1.decryption, Decryption::NoMatchingIdentity);
    // Taken out altogether.
    let mut empty = log[..20].to_vec();
    empty[16..20].copy_from_slice(&1u32.to_be_bytes());
    empty.extend_from_slice(&log[20..wraps.start]);
    empty.push(0x80);
    empty.extend_from_slice(&log[wraps.end..]);
    assert_eq!(why(&verify(&empty)), Some(Fault::Wraps));
}

#[test]
fn a_signer_nobody_named_is_untrusted_and_no_signers_at_all_too() {
    let log = small_log();
    let other = SigningIdentity::from_seed([43; 32]);
    for signers in [None, Some(trust(&other))] {
        let (_, verdict) = read_with(
            ReaderConfig {
                identities: vec![],
                signers,
                mode: ReadMode::Strict,
                ..ReaderConfig::default()
            },
            &[&log],
        );
        assert!(
            matches!(verdict.authenticity, Authenticity::UntrustedSigner { .. }),
            "{verdict:?}"
        );
        assert_eq!(
            (verdict.completeness, verdict.integrity),
            (Completeness::Complete, Integrity::Intact)
        );
        assert!(!verdict.is_good());
    }
}

#[test]
fn a_log_without_its_opening_signature_is_unsigned() {
    let log = small_log();
    let frames = frames(&log);
    let unsigned = [&log[..frames[0].1.start], &log[frames[1].1.start..]].concat();
    let verdict = verify(&unsigned);
    assert_eq!(verdict.authenticity, Authenticity::Unsigned);
    assert_eq!(why(&verdict), Some(Fault::FramesMissing));
}

#[test]
fn segments_that_are_dropped_swapped_or_doubled_are_named() {
    let log = rotated_log();
    let (found, verdict) = read(&log);
    assert!(
        verdict.is_good() && found.segments.len() >= 3,
        "{verdict:?}"
    );
    let starts: Vec<usize> = (0..log.len() - 8)
        .filter(|at| log[*at..].starts_with(b"\x89SSLG\r\n\x1a"))
        .collect();
    assert_eq!(starts.len(), found.segments.len());
    let (a, b, c) = (
        &log[..starts[1]],
        &log[starts[1]..starts[2]],
        &log[starts[2]..],
    );
    assert_eq!(
        why(&verify(&[a, c].concat())),
        Some(Fault::SegmentNotContinued)
    );
    assert_eq!(
        why(&verify(&[a, a, b, c].concat())),
        Some(Fault::SegmentNotContinued)
    );
    assert_eq!(
        why(&verify(&[b, c].concat())),
        Some(Fault::SegmentNotContinued)
    );
    let cut = verify(a);
    assert_eq!(cut.integrity, Integrity::Intact);
    assert!(
        matches!(cut.completeness, Completeness::Truncated { .. }),
        "the next segment is missing: {cut:?}"
    );
}

#[test]
fn a_forger_with_the_public_keys_only_is_not_believed() {
    // Everything public is copied: the recipient, the log id, the moment. The signing key is the forger's own.
    let forger = SigningIdentity::from_seed([66; 32]);
    let mut writer = Writer::create(
        &config(&[identity(Kem::X25519)], WriterPolicy::default()),
        &forger,
        LogId([7; 16]),
        [1; 32],
        now(0),
    )
    .unwrap();
    writer
        .record(1, &Record::Input(b"rm -rf /\r"), now(1))
        .unwrap();
    writer.finish(now(2)).unwrap();
    let mut log = Vec::new();
    drain(&mut writer, &mut log);
    let (found, verdict) = read(&log);
    assert_eq!(
        found.input, b"rm -rf /\r",
        "it decrypts, since encrypting takes the public key only"
    );
    assert!(
        matches!(verdict.authenticity, Authenticity::UntrustedSigner { .. }) && !verdict.is_good()
    );
}

#[test]
fn lengths_from_the_file_are_checked_before_anything_is_kept() {
    let log = small_log();
    for (at, fault) in [(12, Fault::HeaderLimit), (16, Fault::HeaderLimit)] {
        let mut bent = log.clone();
        bent[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(why(&verify(&bent)), Some(fault));
    }
    let frame = frames(&log)[1].1.start;
    for (length, fault) in [
        (u32::MAX, Fault::FrameLength),
        ((1 << 20) + 33, Fault::FrameLength),
        (31, Fault::FrameLength),
        (0, Fault::FrameLength),
    ] {
        let mut bent = log.clone();
        bent[frame + 4..frame + 8].copy_from_slice(&length.to_be_bytes());
        assert_eq!(why(&verify(&bent)), Some(fault), "length {length}");
    }
}

#[test]
fn garbage_of_any_length_is_not_a_log() {
    for len in 0..100 {
        let verdict = verify(&vec![0x41; len]);
        match len {
            0 => assert_eq!(verdict.integrity, Integrity::Intact),
            _ => assert_eq!(why(&verdict), Some(Fault::Magic)),
        }
        assert!(!verdict.is_good());
    }
}

#[test]
fn salvage_gives_everything_but_what_was_damaged() {
    let log = small_log();
    let frames = frames(&log);
    let whole = read(&log).0;
    for (victim, range) in frames
        .iter()
        .filter(|(frame, _)| frame.kind == FrameKind::Data)
    {
        for at in [
            range.start,
            range.start + 5,
            range.start + 9,
            range.start + 30,
            range.end - 1,
        ] {
            let mut bent = log.clone();
            bent[at] ^= 0x10;
            let (found, verdict) = salvage(&bent);
            assert_eq!(
                found.frames.len(),
                frames.len() - 1,
                "frame {} byte {at}",
                victim.seq
            );
            assert!(found.frames.iter().all(|frame| frame.seq != victim.seq));
            assert_eq!(
                verdict.integrity,
                Integrity::Damaged { gaps: 1 },
                "frame {} byte {at}",
                victim.seq
            );
            let attested = frames
                .iter()
                .rfind(|(frame, _)| frame.kind == FrameKind::Checkpoint && frame.seq < victim.seq)
                .map_or(0, |(frame, _)| frame.seq);
            assert_eq!(
                verdict.completeness,
                Completeness::Truncated {
                    attested_frames: attested,
                    frames: frames.len() as u64 - 1
                },
                "no signature covers a log with a hole"
            );
            assert_eq!(found.gaps.len(), 1);
            assert_eq!(
                (found.gaps[0].offset, found.gaps[0].bytes),
                (range.start as u64, range.len() as u64)
            );
            assert!(found.records.len() < whole.records.len());
        }
    }
}

#[test]
fn salvage_passes_over_a_hole_with_a_checkpoint_in_it_and_does_not_call_the_rest_verified_to_the_end()
 {
    let log = small_log();
    let frames = frames(&log);
    let checkpoint = frames
        .iter()
        .position(|(frame, _)| frame.kind == FrameKind::Checkpoint)
        .unwrap();
    let hole = frames[checkpoint - 1].1.start..frames[checkpoint + 1].1.end;
    let holed = [&log[..hole.start], &log[hole.end..]].concat();
    let (found, verdict) = salvage(&holed);
    assert_eq!(found.frames.len(), frames.len() - 3);
    assert_eq!(
        found
            .gaps
            .iter()
            .map(|gap| (gap.bytes, gap.frames))
            .collect::<Vec<_>>(),
        [(0, 3)]
    );
    assert_eq!(verdict.integrity, Integrity::Damaged { gaps: 1 });
    assert!(
        matches!(verdict.completeness, Completeness::Truncated { .. }),
        "no known key signs the end: {verdict:?}"
    );
}

#[test]
fn salvage_finds_the_next_segment_behind_a_broken_header() {
    let log = rotated_log();
    let whole = read(&log).0;
    let second = 1;
    let starts: Vec<usize> = (0..log.len() - 8)
        .filter(|at| log[*at..].starts_with(b"\x89SSLG\r\n\x1a"))
        .collect();
    let mut bent = log.clone();
    bent[starts[second] + 40] ^= 1;
    let (found, verdict) = salvage(&bent);
    assert_eq!(found.segments.len(), whole.segments.len() - 1);
    assert!(
        !verdict.is_good() && verdict.authenticity == Authenticity::Unsigned,
        "{verdict:?}"
    );
    assert!(!found.gaps.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_edit_is_good_and_no_bytes_panic_in_either_mode(
        at in 0usize..8_000,
        remove in 0usize..700,
        insert in prop::collection::vec(any::<u8>(), 0..700),
        piece in 1usize..4_000,
    ) {
        let log = small_log();
        let at = at % log.len();
        let end = (at + remove).min(log.len());
        let edited = [&log[..at], &insert, &log[end..]].concat();
        prop_assume!(edited != log);
        for mode in [ReadMode::Strict, ReadMode::Salvage] {
            for identities in [vec![], vec![identity(Kem::X25519)]] {
                let pieces: Vec<&[u8]> = edited.chunks(piece).collect();
                let (_, verdict) = read_with(reader_config(identities, mode), &pieces);
                prop_assert!(!verdict.is_good(), "{:?} {:?}", mode, verdict);
            }
        }
    }

    #[test]
    fn random_bytes_behind_a_good_header_never_panic(tail in prop::collection::vec(any::<u8>(), 0..2_000), keep in 0usize..6) {
        let log = small_log();
        let cut = frames(&log)[keep].1.end;
        let bytes = [&log[..cut], &tail].concat();
        let (_, verdict) = salvage(&bytes);
        prop_assert!(!verdict.is_good());
        let (_, verdict) = read(&bytes);
        prop_assert!(!verdict.is_good());
    }
}
