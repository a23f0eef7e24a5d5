//! Changes of what a log is made of: its end, its segments, what was found of it.

use super::*;

pub(super) fn ends(kit: &mut Kit, log: &[u8]) {
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

pub(super) fn cuts(kit: &mut Kit, log: &[u8]) {
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

pub(super) fn segments(kit: &mut Kit) {
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

pub(super) fn others(kit: &mut Kit) {
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
