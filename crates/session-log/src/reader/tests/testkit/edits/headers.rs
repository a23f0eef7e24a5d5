//! Changes of a segment's header: preamble, core, stanzas.

use super::*;

pub(super) fn preamble(kit: &mut Kit, log: &[u8]) {
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

pub(super) fn core(kit: &mut Kit, log: &[u8]) {
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

pub(super) fn wraps(kit: &mut Kit, log: &[u8]) {
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
