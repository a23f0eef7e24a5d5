//! Changes of frames: their headers, their order, their signatures.

use super::*;

pub(super) fn frame_headers(kit: &mut Kit, log: &[u8]) {
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

pub(super) fn frame_order(kit: &mut Kit, log: &[u8]) {
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

pub(super) fn signatures(kit: &mut Kit, log: &[u8]) {
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
