//! What somebody without any key can do to a log: change, cut, move and repeat its bytes.

use core::ops::Range;

use super::whole::{Session, broken_and_recovered, plain, rotated, short};
use super::*;
use crate::header::PREAMBLE_BYTES;

/// Byte ranges of the frames of the log, read without any check but lengths.
fn frames(log: &[u8]) -> Vec<Range<usize>> {
    let len = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().expect("4 bytes")) as usize;
    let mut at = PREAMBLE_BYTES + len(12) + len(16);
    let mut frames = Vec::new();
    while log.get(at..at + 2) == Some(&[0xc5, 0x5c]) {
        let end = at + 24 + len(at + 4);
        frames.push(at..end);
        at = end;
    }
    frames
}

fn core_range(log: &[u8]) -> Range<usize> {
    let len = u32::from_be_bytes(log[12..16].try_into().expect("4 bytes")) as usize;
    PREAMBLE_BYTES..PREAMBLE_BYTES + len
}

fn wraps_range(log: &[u8]) -> Range<usize> {
    let len = u32::from_be_bytes(log[16..20].try_into().expect("4 bytes")) as usize;
    let start = core_range(log).end;
    start..start + len
}

fn set(log: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut log = log.to_vec();
    log[at..at + bytes.len()].copy_from_slice(bytes);
    log
}

fn flip(log: &[u8], at: usize) -> Vec<u8> {
    set(log, at, &[log[at] ^ 1])
}

fn splice(log: &[u8], range: Range<usize>, with: &[u8]) -> Vec<u8> {
    let mut log = log.to_vec();
    log.splice(range, with.iter().copied());
    log
}

/// Replaces a part of the core or the wraps, and the length that stands for it.
fn replace(log: &[u8], whole: Range<usize>, length_at: usize, from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = log[whole.clone()]
        .windows(from.len())
        .position(|window| window == from)
        .expect("it is there")
        + whole.start;
    let changed = splice(log, at..at + from.len(), to);
    let len = (whole.len() + to.len() - from.len()) as u32;
    set(&changed, length_at, &len.to_be_bytes())
}

pub(super) fn add(kit: &mut Kit) {
    let log = plain();
    preamble(kit, &log);
    core(kit, &log);
    wraps(kit, &log);
    frame_headers(kit, &log);
    frame_order(kit, &log);
    signatures(kit, &log);
    ends(kit, &log);
    cuts(kit, &log);
    segments(kit);
    others(kit);
}

fn preamble(kit: &mut Kit, log: &[u8]) {
    kit.fault("preamble-magic", flip(log, 0), Fault::Magic);
    kit.fault("preamble-line-ends", splice(log, 5..7, b"\n"), Fault::Magic);
    kit.fault(
        "preamble-text",
        b"not a log, but long enough to be one".to_vec(),
        Fault::Magic,
    );
    kit.fault("preamble-major", set(log, 8, &[2]), Fault::Version(2));
    kit.fault("preamble-minor", set(log, 9, &[1]), Fault::OpenSignature);
    kit.fault(
        "preamble-suite-unknown",
        set(log, 10, &[0x77, 0x77]),
        Fault::Suite(0x7777),
    );
    kit.fault(
        "preamble-suite-swapped",
        set(log, 10, &[0, 1]),
        Fault::OpenSignature,
    );
    kit.fault("preamble-suite-fips", set(log, 10, &[1, 1]), Fault::Header);
    kit.fault(
        "preamble-core-limit",
        set(log, 12, &[0, 1, 0, 1]),
        Fault::HeaderLimit,
    );
    kit.fault(
        "preamble-wraps-limit",
        set(log, 16, &[0, 4, 0, 1]),
        Fault::HeaderLimit,
    );
    kit.fault(
        "preamble-4-gib",
        set(log, 12, &[0xff; 4]),
        Fault::HeaderLimit,
    );
    kit.fault(
        "preamble-core-longer",
        set(log, 15, &[log[15] + 1]),
        Fault::Header,
    );
    kit.fault(
        "preamble-core-shorter",
        set(log, 15, &[log[15] - 1]),
        Fault::Header,
    );
    kit.fault(
        "preamble-wraps-longer",
        set(log, 19, &[log[19] + 1]),
        Fault::Wraps,
    );
    kit.fault(
        "preamble-wraps-shorter",
        set(log, 19, &[log[19] - 1]),
        Fault::Wraps,
    );
}

fn core(kit: &mut Kit, log: &[u8]) {
    let range = core_range(log);
    let with = |from: &[u8], to: &[u8]| replace(log, range.clone(), 12, from, to);
    let id = [&[1, 0x50][..], &[7; 16]].concat();
    kit.fault(
        "core-log-id",
        with(&id, &[&[1, 0x50][..], &[8; 16]].concat()),
        Fault::OpenSignature,
    );
    kit.fault(
        "core-log-id-short",
        with(&id, &[&[1, 0x4f][..], &[7; 15]].concat()),
        Fault::Header,
    );
    kit.fault(
        "core-critical",
        with(&[8, 0x80, 9], &[8, 0x81, 0x18, 99, 9]),
        Fault::CriticalExtension,
    );
    kit.fault(
        "core-long-head",
        with(&[2, 0, 3], &[2, 0x18, 0, 3]),
        Fault::Header,
    );
    kit.fault(
        "core-segment-1",
        with(&[2, 0, 3], &[2, 1, 3]),
        Fault::Header,
    );
    kit.fault(
        "core-state-rotated",
        with(&[5, 0, 6], &[5, 3, 6]),
        Fault::Header,
    );
    kit.fault(
        "core-state-unknown",
        with(&[5, 0, 6], &[5, 4, 6]),
        Fault::Header,
    );
    kit.fault(
        "core-previous-size",
        with(&[4, 0, 5], &[4, 1, 5]),
        Fault::Header,
    );
    kit.fault(
        "core-signature-algorithm",
        with(&[7, 0x82, 1], &[7, 0x82, 2]),
        Fault::Header,
    );
    kit.fault(
        "core-content-limit",
        with(&[0xa0, 12, 20], &[0xa0, 12, 21]),
        Fault::Header,
    );
    kit.fault(
        "core-content-smaller",
        with(&[0xa0, 12, 20], &[0xa0, 12, 19]),
        Fault::OpenSignature,
    );
    kit.fault(
        "core-remarks-no-map",
        with(&[11, 0xa0, 12], &[11, 0x80, 12]),
        Fault::Header,
    );
    kit.fault(
        "core-remarks-changed",
        with(&[11, 0xa0, 12], &[11, 0xa1, 0, 0, 12]),
        Fault::OpenSignature,
    );
    kit.fault("core-key-twice", with(&[12, 20], &[11, 20]), Fault::Header);
    kit.fault("core-no-map", set(log, range.start, &[0x8c]), Fault::Header);
    kit.fault(
        "core-key-missing",
        with(&[0xac, 1], &[0xab, 1]),
        Fault::Header,
    );
    let indefinite = with(&[0xac, 1], &[0xbf, 1]);
    kit.fault("core-indefinite", indefinite, Fault::Header);
    let float = with(&[11, 0xa0, 12], &[11, 0xa1, 0, 0xf9, 0, 0, 12]);
    kit.fault("core-float", float, Fault::Header);
    let deep = [&[11, 0xa1, 0][..], &[0x81; 7], &[0, 12]].concat();
    kit.fault("core-too-deep", with(&[11, 0xa0, 12], &deep), Fault::Header);
    let commitment = log[range.clone()]
        .windows(3)
        .position(|w| w == [6, 0x58, 0x20]);
    let at = range.start + commitment.expect("key 6") + 5;
    kit.fault("core-commitment", flip(log, at), Fault::OpenSignature);
}

fn wraps(kit: &mut Kit, log: &[u8]) {
    let range = wraps_range(log);
    let own = log[range.clone()].to_vec();
    let with = |wraps: &[u8]| {
        let changed = splice(log, range.clone(), wraps);
        set(&changed, 16, &(wraps.len() as u32).to_be_bytes())
    };
    let stanza = &own[1..];
    kit.fault("wraps-none", with(&[0x80]), Fault::Wraps);
    kit.fault(
        "wraps-65",
        with(&[&[0x98, 65][..], &stanza.repeat(65)].concat()),
        Fault::Wraps,
    );
    kit.fault("wraps-no-array", with(&[0xa0]), Fault::Wraps);
    kit.fault(
        "wraps-indefinite",
        with(&[&[0x9f][..], stanza, &[0xff]].concat()),
        Fault::Wraps,
    );
    kit.fault(
        "wraps-trailing",
        with(&[&own[..], &[0]].concat()),
        Fault::Wraps,
    );
    kit.fault(
        "wraps-repeated",
        with(&[&[0x82][..], stanza, stanza].concat()),
        Fault::WrapsReplaced,
    );
    let id = own.windows(9).position(|w| w[0] == 0x48).expect("a key id");
    let long = [&own[..id], &[0x58, 33], &[1; 33], &own[id + 9..]].concat();
    kit.fault("wraps-long-key-id", with(&long), Fault::Wraps);
    let unnamed = [&own[..id], &[0x40], &own[id + 9..]].concat();
    kit.fault("wraps-unnamed", with(&unnamed), Fault::WrapsReplaced);
    let short = [&own[..own.len() - 50], &[0x58, 47], &[1; 47]].concat();
    kit.fault("wraps-short-secret", with(&short), Fault::Wraps);
    kit.fault(
        "wraps-secret",
        flip(log, range.end - 1),
        Fault::WrapsReplaced,
    );
    kit.fault(
        "wraps-kem",
        set(log, range.start + 3, &[0x21]),
        Fault::WrapsReplaced,
    );
}

fn frame_headers(kit: &mut Kit, log: &[u8]) {
    let at = frames(log)[2].start;
    let seq = |value: u64| set(log, at + 8, &value.to_be_bytes());
    kit.fault("frame-sync", flip(log, at), Fault::Sync);
    kit.fault(
        "frame-kind-unknown",
        set(log, at + 2, &[0x7f]),
        Fault::FrameKind,
    );
    kit.fault(
        "frame-kind-summary",
        set(log, at + 2, &[0x03, 0]),
        Fault::NotAuthentic,
    );
    kit.fault(
        "frame-kind-skippable",
        set(log, at + 2, &[0x80]),
        Fault::RootMismatch,
    );
    kit.fault(
        "frame-flag-unknown",
        set(log, at + 3, &[0x08]),
        Fault::FrameFlags,
    );
    kit.fault(
        "frame-flag-zstd",
        set(log, at + 3, &[0x03]),
        Fault::NotAuthentic,
    );
    kit.fault(
        "frame-flag-urgent",
        set(log, at + 3, &[log[at + 3] ^ 2]),
        Fault::NotAuthentic,
    );
    kit.fault(
        "frame-zero-length",
        set(log, at + 4, &[0; 4]),
        Fault::FrameLength,
    );
    kit.fault(
        "frame-length-31",
        set(log, at + 4, &[0, 0, 0, 31]),
        Fault::FrameLength,
    );
    kit.fault(
        "frame-length-limit",
        set(log, at + 4, &[0, 0x10, 0, 0x21]),
        Fault::FrameLength,
    );
    kit.fault(
        "frame-4-gib",
        set(log, at + 4, &[0xff; 4]),
        Fault::FrameLength,
    );
    kit.fault(
        "frame-length-shorter",
        set(log, at + 7, &[log[at + 7] - 1]),
        Fault::NotAuthentic,
    );
    kit.add(
        "frame-length-beyond-end",
        set(log, at + 4, &[0, 8, 0, 0]),
        Expect::Truncated,
    );
    kit.fault("frame-seq-ahead", seq(3), Fault::FramesMissing);
    kit.fault("frame-seq-behind", seq(1), Fault::FrameRepeated);
    kit.fault("frame-seq-limit", seq(1 << 21), Fault::TooManyFrames);
    kit.fault("frame-seq-huge", seq(u64::MAX), Fault::TooManyFrames);
    kit.fault("frame-epoch", set(log, at + 19, &[1]), Fault::FramePlace);
    kit.fault("frame-index", set(log, at + 23, &[5]), Fault::FramePlace);
    kit.fault(
        "frame-clear",
        set(log, at + 20, &[0xff; 4]),
        Fault::FramePlace,
    );
    kit.fault("frame-body", flip(log, at + 30), Fault::NotAuthentic);
    kit.fault(
        "frame-tag",
        flip(log, frames(log)[2].end - 1),
        Fault::NotAuthentic,
    );
}

fn frame_order(kit: &mut Kit, log: &[u8]) {
    let all = frames(log);
    let (one, two) = (&log[all[1].clone()], &log[all[2].clone()]);
    let swapped = [&log[..all[1].start], two, one, &log[all[2].end..]].concat();
    kit.fault("order-swapped", swapped, Fault::FramesMissing);
    kit.fault(
        "order-removed",
        splice(log, all[1].clone(), &[]),
        Fault::FramesMissing,
    );
    let repeated = splice(log, all[2].start..all[2].start, one);
    kit.fault("order-repeated", repeated, Fault::FrameRepeated);
    let garbage = splice(
        log,
        all[2].start..all[2].start,
        b"garbage between frames...",
    );
    kit.fault("order-garbage", garbage, Fault::Sync);
    let other = Session {
        recipients: vec![kit_identity(Kem::XWing).recipient()],
        ..Session::new()
    }
    .log(&short());
    let foreign = &other[frames(&other)[1].clone()];
    kit.fault(
        "order-foreign-frame",
        splice(log, all[1].clone(), foreign),
        Fault::NotAuthentic,
    );
    let head = &other[..frames(&other)[0].start];
    let header_swapped = splice(log, 0..all[0].start, head);
    kit.fault("order-foreign-header", header_swapped, Fault::OpenSignature);
    let with_open = splice(log, 0..all[0].end, &other[..frames(&other)[0].end]);
    kit.fault("order-foreign-beginning", with_open, Fault::NotAuthentic);
}

fn signatures(kit: &mut Kit, log: &[u8]) {
    let all = frames(log);
    let open = all[0].clone();
    let body = open.start + 24;
    kit.fault(
        "open-missing",
        splice(log, open.clone(), &[]),
        Fault::FramesMissing,
    );
    let mut no_open = splice(log, open.clone(), &[]);
    no_open[open.start + 8..open.start + 16].fill(0);
    kit.fault("open-replaced-by-data", no_open, Fault::OpenMissing);
    kit.fault("open-kind-continued", set(log, body, &[1]), Fault::Open);
    kit.fault("open-kind-recovered", set(log, body, &[2]), Fault::Open);
    kit.fault("open-kind-unknown", set(log, body, &[3]), Fault::Open);
    kit.fault("open-wraps-hash", flip(log, body + 1), Fault::OpenSignature);
    kit.fault(
        "open-namespace",
        flip(log, body + 33 + 14 + 51 + 4),
        Fault::Open,
    );
    kit.fault(
        "open-key",
        flip(log, body + 33 + 14 + 30),
        Fault::OpenSignature,
    );
    kit.fault(
        "open-signature",
        flip(log, open.end - 3),
        Fault::OpenSignature,
    );
    kit.fault(
        "open-signature-noncanonical",
        set(log, open.end - 1, &[0xff]),
        Fault::OpenSignature,
    );
    let again = splice(log, all[2].start..all[2].start, &log[open]);
    kit.fault("open-again", again, Fault::FrameRepeated);
    let at = all
        .iter()
        .position(|frame| log[frame.start + 2] == 0x11)
        .expect("a checkpoint");
    let checkpoint = all[at].clone();
    let body = checkpoint.start + 24;
    kit.fault(
        "checkpoint-kind-unknown",
        set(log, body, &[9]),
        Fault::Checkpoint,
    );
    kit.fault(
        "checkpoint-kind-heartbeat",
        set(log, body, &[1]),
        Fault::CheckpointSignature,
    );
    kit.fault(
        "checkpoint-kind-abort",
        set(log, body, &[3]),
        Fault::Checkpoint,
    );
    kit.fault(
        "checkpoint-size",
        flip(log, body + 8),
        Fault::CheckpointSignature,
    );
    kit.fault(
        "checkpoint-root",
        flip(log, body + 9),
        Fault::CheckpointSignature,
    );
    kit.fault(
        "checkpoint-time",
        flip(log, body + 48),
        Fault::CheckpointSignature,
    );
    kit.fault(
        "checkpoint-next-key",
        flip(log, body + 50),
        Fault::CheckpointSignature,
    );
    kit.fault(
        "checkpoint-no-next-key",
        set(log, body + 49, &[0; 32]),
        Fault::Checkpoint,
    );
    kit.fault(
        "checkpoint-signature",
        flip(log, checkpoint.end - 2),
        Fault::CheckpointSignature,
    );
    kit.fault(
        "checkpoint-removed",
        splice(log, checkpoint.clone(), &[]),
        Fault::FramesMissing,
    );
    let short = set(
        &splice(log, checkpoint.end - 1..checkpoint.end, &[]),
        checkpoint.start + 7,
        &[144],
    );
    kit.fault("checkpoint-short", short, Fault::Checkpoint);
    kit.fault(
        "checkpoint-index",
        set(log, checkpoint.start + 20, &[0; 4]),
        Fault::FramePlace,
    );
}

fn ends(kit: &mut Kit, log: &[u8]) {
    let end = frames(log).last().expect("frames").end;
    assert_eq!(log.len(), end + 24);
    kit.fault("end-data", [log, b"x"].concat(), Fault::DataAfterEnd);
    kit.fault("end-log-again", log.repeat(2), Fault::DataAfterEnd);
    kit.fault(
        "end-trailer-again",
        [log, &log[end..]].concat(),
        Fault::DataAfterEnd,
    );
    kit.fault("end-trailer-mark", flip(log, end), Fault::Trailer);
    kit.fault("end-trailer-segment", flip(log, end + 15), Fault::Trailer);
    kit.fault("end-trailer-index", flip(log, end + 23), Fault::Trailer);
    let zeros = [&log[..end], &[0; 24]].concat();
    kit.fault("end-zeros", zeros, Fault::Trailer);
    kit.add(
        "end-trailer-removed",
        log[..end].to_vec(),
        Expect::TrailerMissing,
    );
    for (name, len) in [("cut", 9), ("cut-in-mark", 3), ("last-byte-missing", 23)] {
        let cut = log[..end + len].to_vec();
        kit.add(&format!("end-trailer-{name}"), cut, Expect::TrailerMissing);
    }
    let other = [&log[..end], b"SSLGIDX1\0\x01"].concat();
    kit.fault("end-trailer-of-another-cut", other, Fault::Trailer);
    kit.fault(
        "end-byte-for-trailer",
        [&log[..end], b"x"].concat(),
        Fault::Trailer,
    );
}

fn cuts(kit: &mut Kit, log: &[u8]) {
    let all = frames(log);
    let last = all.last().expect("frames");
    for (name, len) in [
        ("empty", 0),
        ("in-magic", 3),
        ("in-preamble", 12),
        ("in-core", 60),
        ("in-wraps", wraps_range(log).end - 1),
        ("after-header", all[0].start),
        ("in-open", all[0].end - 1),
        ("after-open", all[0].end),
        ("in-frame-header", all[1].start + 1),
        ("in-frame-body", all[1].end - 1),
        ("after-frame", all[2].end),
        ("before-final", last.start),
        ("in-final", last.end - 1),
    ] {
        kit.add(
            &format!("cut-{name}"),
            log[..len].to_vec(),
            Expect::Truncated,
        );
    }
}

fn segments(kit: &mut Kit) {
    let log = rotated();
    let starts: Vec<usize> = (0..log.len() - 8)
        .filter(|at| log[*at..].starts_with(b"\x89SSLG\r\n\x1a"))
        .collect();
    assert_eq!(starts.len(), 3, "{starts:?}");
    let (first, second, third) = (
        &log[..starts[1]],
        &log[starts[1]..starts[2]],
        &log[starts[2]..],
    );
    let fault = Fault::SegmentNotContinued;
    kit.fault("segments-missing", [first, third].concat(), fault);
    kit.fault("segments-swapped", [first, third, second].concat(), fault);
    kit.fault(
        "segments-repeated",
        [first, second, second, third].concat(),
        fault,
    );
    kit.fault("segments-first-missing", [second, third].concat(), fault);
    kit.fault("segments-first-repeated", [first, &log].concat(), fault);
    kit.add(
        "segments-last-missing",
        [first, second].concat(),
        Expect::Truncated,
    );
    kit.add("segments-first-alone", first.to_vec(), Expect::Truncated);
    let all = frames(first);
    let unclosed = first[..all[all.len() - 1].start].to_vec();
    kit.fault(
        "segments-not-closed",
        [&unclosed, second].concat(),
        Fault::Sync,
    );
}

fn others(kit: &mut Kit) {
    let log = Session::of(Suite::Aes256GcmSha256P256).log(&short());
    let all = frames(&log);
    let at = all
        .iter()
        .position(|frame| log[frame.start + 2] == 0x11)
        .expect("a checkpoint");
    let sig = all[at].end - 64..all[at].end;
    let signature = p256::ecdsa::Signature::from_slice(&log[sig.clone()]).expect("a signature");
    let (r, s) = signature.split_scalars();
    let high = p256::ecdsa::Signature::from_scalars(r, -s).expect("a signature");
    kit.fault(
        "ecdsa-high-s",
        splice(&log, sig.clone(), &high.to_bytes()),
        Fault::CheckpointSignature,
    );
    kit.fault(
        "ecdsa-zero",
        splice(&log, sig, &[0; 64]),
        Fault::CheckpointSignature,
    );
    let log = Session::of(Suite::Aes256GcmSha384P384).log(&short());
    let all = frames(&log);
    kit.fault(
        "sha384-frame-body",
        flip(&log, all[1].start + 30),
        Fault::NotAuthentic,
    );
    kit.fault(
        "sha384-open",
        flip(&log, all[0].end - 2),
        Fault::OpenSignature,
    );

    let signer = kit_signer(SignatureAlgorithm::Ed25519);
    let (broken, recovered) = broken_and_recovered(&signer, 11);
    kit.add("recovered-not-yet", broken.clone(), Expect::Truncated);
    let start = recovered
        .windows(8)
        .rposition(|window| window == b"\x89SSLG\r\n\x1a")
        .expect("the last segment");
    let tail = frames(&recovered[start..]);
    let at = |frame: usize, offset: usize| start + tail[frame].start + offset;
    kit.fault(
        "recovered-attestation-frames",
        flip(&recovered, at(1, 24 + 45)),
        Fault::Attestation,
    );
    kit.fault(
        "recovered-attestation-hash",
        flip(&recovered, at(1, 24 + 20)),
        Fault::RootMismatch,
    );
    let without = splice(&recovered, at(1, 0)..start + tail[1].end, &[]);
    kit.fault(
        "recovered-attestation-removed",
        without,
        Fault::FramesMissing,
    );
    kit.add(
        "recovered-unsigned",
        recovered[..start + tail[1].end].to_vec(),
        Expect::Truncated,
    );
    let torn = splice(&recovered, start..start, &broken[broken.len() - 30..]);
    kit.fault("recovered-torn-bytes-kept", torn, Fault::Sync);
    let whole = frames(&recovered[..start]);
    let fewer = splice(&recovered, whole[whole.len() - 1].clone(), &[]);
    kit.fault("recovered-frame-removed", fewer, Fault::SegmentNotContinued);
    kit.fault(
        "recovered-data-after",
        [&recovered[..], &[0]].concat(),
        Fault::DataAfterEnd,
    );
}
