//! What only a writer can do: everything is properly sealed and signed.

use super::super::liar::Liar;
use super::*;
use crate::checkpoint::{CheckpointKind, OpenKind};
use crate::compress::compress;
use crate::header::PreviousState;

/// `[output, 0, 1, h'6f']`
const OUTPUT: [u8; 6] = [0x84, 0x02, 0, 1, 0x41, b'o'];

fn begin() -> Liar {
    Liar::new(&[kit_identity(Kem::X25519)], None)
}

fn plain(content: u32, raw: u32, rest: &[u8]) -> Vec<u8> {
    [&encode_prefix(content, raw, 0)[..], rest].concat()
}

pub(super) fn add(kit: &mut Kit) {
    records(kit);
    contents(kit);
    signed(kit);
    let identities = [kit_identity(Kem::X25519)];
    kit.add(
        "lie-honest",
        begin().content(&RECORD).end().bytes,
        Expect::Good,
    );
    let two = [identity(77), kit_identity(Kem::X25519)];
    let split = Liar::new(&two, Some([9; 32])).content(&RECORD).end();
    kit.add("lie-two-plaintexts", split.bytes, Expect::Mismatch);

    let first = begin()
        .content(&RECORD)
        .checkpoint(CheckpointKind::Rotated, 9);
    let join = |next: Liar| [&first.bytes[..], &next.bytes].concat();
    let next = |kind, seed| first.next(&identities, kind, seed).content(&RECORD).end();
    kit.add(
        "lie-continued",
        join(next(OpenKind::Continued, 9)),
        Expect::Good,
    );
    kit.fault(
        "lie-continued-by-identity",
        join(next(OpenKind::Identity, 9)),
        Fault::Open,
    );
    kit.fault(
        "lie-continued-by-another-key",
        join(next(OpenKind::Continued, 8)),
        Fault::SegmentNotContinued,
    );
    let mut clean = first.clone();
    clean.state = PreviousState::Clean;
    let after_clean = clean.next(&identities, OpenKind::Continued, 9).end();
    kit.fault(
        "lie-continued-clean",
        join(after_clean),
        Fault::SegmentNotContinued,
    );
    let mut found = first.clone();
    found.state = PreviousState::Recovered;
    let unattested = found
        .next(&identities, OpenKind::Recovered, 5)
        .checkpoint(CheckpointKind::Recovered, 0);
    kit.fault(
        "lie-recovered-unattested",
        join(unattested),
        Fault::Attestation,
    );
    let attested = || {
        let attestation = crate::attestation::Attestation {
            found_bytes: first.bytes.len() as u64,
            kept_bytes: first.bytes.len() as u64,
            found_sha256: [0; 32],
            attested_frames: 2,
            frames: 3,
            unix_ms: 0,
        };
        found
            .next(&identities, OpenKind::Recovered, 5)
            .clear(FrameKind::Attestation, &attestation.encode())
    };
    let closed = |liar: Liar| join(liar.checkpoint(CheckpointKind::Recovered, 0));
    kit.add(
        "lie-recovered-honest",
        closed(attested()),
        Expect::Recovered,
    );
    kit.fault(
        "lie-recovered-with-data",
        closed(attested().content(&RECORD)),
        Fault::Attestation,
    );
    kit.fault(
        "lie-recovered-with-skippable",
        closed(attested().clear(FrameKind::Skippable(0x90), b"")),
        Fault::Attestation,
    );
    kit.fault(
        "lie-recovered-attested-twice",
        closed(attested().clear(FrameKind::Attestation, b"")),
        Fault::Attestation,
    );
    let finished = found.next(&identities, OpenKind::Recovered, 5).end();
    kit.fault("lie-recovered-final", join(finished), Fault::Attestation);
    let forged = found.next(&identities, OpenKind::Continued, 9).end();
    kit.fault("lie-recovered-continued", join(forged), Fault::Open);
}

fn records(kit: &mut Kit) {
    let mut case = |name: &str, content: &[u8], expect| {
        kit.add(
            &format!("record-{name}"),
            begin().content(content).end().bytes,
            expect,
        );
    };
    let bad = Expect::Fault(Fault::Record);
    let unknown = [
        (
            "largest-skipped-kind",
            &[0x84, 0x19, 0x7f, 0xff, 0, 0, 0x80][..],
        ),
        (
            "unknown-kind-with-any-body",
            &[0x85, 0x18, 0x70, 0, 0, 0x61, b'x', 0xa1, 0x20, 0xf4],
        ),
    ];
    for (name, record) in unknown {
        case(name, record, Expect::Good);
    }
    case(
        "unknown-kind",
        &[0x84, 0x18, 0x70, 0, 0, 0xa0],
        Expect::Good,
    );
    case(
        "extension",
        &[0x85, 0x02, 0, 0, 0x41, b'o', 0xf5],
        Expect::Good,
    );
    case(
        "further-key",
        &[0x84, 0x18, 0x52, 0, 0, 0xa2, 1, 0x61, b'x', 0x18, 99, 0],
        Expect::Good,
    );
    let body = |body: &[u8]| [&[0x84, 0x18, 0x52, 0, 0][..], body].concat();
    let further = [
        ("text-key", &[0xa2, 1, 0x61, b'x', 0x61, b'k', 0][..]),
        ("negative-key", &[0xa2, 1, 0x61, b'x', 0x20, 0]),
        ("array-key", &[0xa2, 1, 0x61, b'x', 0x81, 0, 0]),
    ];
    for (name, map) in further {
        case(name, &body(map), Expect::Good);
    }
    case("keys-descending", &body(&[0xa2, 2, 0, 1, 0x61, b'x']), bad);
    case(
        "key-twice",
        &body(&[0xa2, 1, 0x61, b'x', 1, 0x61, b'x']),
        bad,
    );
    let resize = |columns: &[u8]| {
        [
            &[0x84, 0x18, 0x19, 0, 0, 0xa4, 1][..],
            columns,
            &[2, 0, 3, 0, 4, 0],
        ]
        .concat()
    };
    case(
        "uint-of-32-bits",
        &resize(&[0x1a, 0xff, 0xff, 0xff, 0xff]),
        Expect::Good,
    );
    case(
        "uint-of-33-bits",
        &resize(&[0x1b, 0, 0, 0, 1, 0, 0, 0, 0]),
        bad,
    );
    let jump = |ms: &[u8]| [&[0x84, 0x18, 0x61, 0, 0, 0xa2, 1, 0, 2][..], ms].concat();
    case(
        "int-lowest",
        &jump(&[0x3b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        Expect::Good,
    );
    case(
        "int-too-low",
        &jump(&[0x3b, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        bad,
    );
    let late = [&[0x84, 0x02, 0x1b][..], &[0xff; 8], &[0, 0x41, b'o']].concat();
    case("times-beyond-all", &late.repeat(2), Expect::Good);
    case("none", &[], Expect::Good);
    case("critical-kind", &[0x84, 0x19, 0x80, 0, 0, 0, 0xa0], bad);
    case("three-entries", &[0x83, 0x02, 0, 0], bad);
    case(
        "six-entries",
        &[0x86, 0x02, 0, 0, 0x41, b'o', 0xf5, 0xf5],
        bad,
    );
    case("cut", &RECORD[..8], bad);
    case("trailing-byte", &[&RECORD[..], &[0]].concat(), bad);
    case("long-head", &[0x84, 0x18, 0x02, 0, 0, 0x41, b'o'], bad);
    case("indefinite-data", &[0x84, 0x02, 0, 0, 0x5f, 0xff], bad);
    case("text-for-data", &[0x84, 0x02, 0, 0, 0x61, b'o'], bad);
    case("key-missing", &[0x84, 0x18, 0x52, 0, 0, 0xa0], bad);
    case(
        "wrong-type",
        &[0x84, 0x18, 0x52, 0, 0, 0xa1, 1, 0x41, b'x'],
        bad,
    );
    for (name, lens) in [("first", [31, 32]), ("second", [32, 33])] {
        let [client, target] = lens.map(|len| [&[0x58, len as u8][..], &vec![7; len]].concat());
        let digests = [
            &[0x84, 0x18, 0x26, 0, 0, 0xa2, 1][..],
            &client,
            &[2],
            &target,
        ]
        .concat();
        case(&format!("digest-of-other-length-{name}"), &digests, bad);
    }
    case("side-2", &[0x84, 0x08, 0, 0, 0xa2, 1, 0, 2, 2], bad);
    case(
        "not-utf-8",
        &[0x84, 0x18, 0x52, 0, 0, 0xa1, 1, 0x61, 0xff],
        bad,
    );
    case("kind-too-large", &[0x84, 0x1a, 0, 1, 0, 0, 0, 0, 0xa0], bad);
    case(
        "channel-too-large",
        &[0x84, 0x02, 0, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0, 0x41, b'o'],
        bad,
    );
    let deep = [&[0x84, 0x18, 0x70, 0, 0][..], &[0x81; 8], &[0]].concat();
    case("too-deep", &deep, bad);
    let announced = [0x84, 0x02, 0, 0, 0x5a, 0xff, 0xff, 0xff, 0xff, b'o'];
    case("4-gib-announced", &announced, bad);
}

fn contents(kit: &mut Kit) {
    let mut case = |name: &str, flags: u8, body: Vec<u8>, expect| {
        let log = begin().frame(FrameKind::Data, flags, &body).end().bytes;
        kit.add(&format!("content-{name}"), log, expect);
    };
    let bad = Expect::Fault(Fault::FrameContent);
    let text = b"compress me, compress me, compress me. ".repeat(150);
    let record = [
        &[0x84, 0x02, 0, 0, 0x59][..],
        &(text.len() as u16).to_be_bytes(),
        &text,
    ]
    .concat();
    let small = compress(&record).expect("smaller");
    let zstd = |raw: usize, more: &[u8]| {
        let content = [&small[..], more].concat();
        plain(content.len() as u32, raw as u32, &content)
    };
    case(
        "padded",
        0,
        plain(9, 9, &[&RECORD[..], &[0; 5]].concat()),
        Expect::Good,
    );
    case(
        "padding-not-zero",
        0,
        plain(9, 9, &[&RECORD[..], &[0, 1]].concat()),
        bad,
    );
    case("length-beyond", 0, plain(10, 10, &RECORD), bad);
    case("length-4-gib", 0, plain(u32::MAX, u32::MAX, &RECORD), bad);
    case("raw-length-other", 0, plain(9, 10, &RECORD), bad);
    case("zstd", 1, zstd(record.len(), &[]), Expect::Good);
    case("zstd-unflagged", 0, zstd(record.len(), &[]), bad);
    case("zstd-no-frame", 1, plain(9, 40, &RECORD), bad);
    case("zstd-longer", 1, zstd(record.len() - 1, &[]), bad);
    case("zstd-shorter", 1, zstd(record.len() + 1, &[]), bad);
    case("zstd-trailing", 1, zstd(record.len(), &[0]), bad);
    case("zstd-raw-limit", 1, zstd((1 << 20) + 1, &[]), bad);
    case("zstd-header-limit", 1, zstd(1 << 17, &[]), bad);
    let bomb = compress(&vec![0; 1 << 20]).expect("tiny");
    case("zstd-bomb", 1, plain(bomb.len() as u32, 60_000, &bomb), bad);
    let large = vec![0; (1 << 16) + 1];
    case(
        "header-limit",
        0,
        plain(large.len() as u32, large.len() as u32, &large),
        bad,
    );
}

fn signed(kit: &mut Kit) {
    let data = || begin().content(&RECORD);
    let summary = data().summary();
    let summed = || data().summed(&summary);
    let mut case = |name: &str, log: Liar, expect| {
        kit.add(&format!("signed-{name}"), log.bytes, expect);
    };
    let fault = Expect::Fault;
    case(
        "final-without-summary",
        data().checkpoint(CheckpointKind::Final, 0),
        fault(Fault::Summary),
    );
    case(
        "summary-then-data",
        summed().content(&RECORD),
        fault(Fault::Summary),
    );
    case(
        "summary-then-periodic",
        summed().checkpoint(CheckpointKind::Periodic, 6),
        fault(Fault::Summary),
    );
    case(
        "summary-then-abort",
        summed().checkpoint(CheckpointKind::Abort, 0),
        fault(Fault::Summary),
    );
    case(
        "summary-twice",
        summed().summed(&summary),
        fault(Fault::Summary),
    );
    case(
        "abort",
        data().checkpoint(CheckpointKind::Abort, 0),
        Expect::Aborted,
    );
    case(
        "recovered-first",
        data().checkpoint(CheckpointKind::Recovered, 0),
        fault(Fault::Attestation),
    );
    case(
        "summary-malformed",
        data().summed(&[0xff]),
        fault(Fault::Record),
    );
    case(
        "summary-empty",
        data().summed(&[0xa0]),
        fault(Fault::Record),
    );
    let without_5 = [0xa4, 1, 0, 2, 0, 3, 0xa0, 4, 0x80];
    case(
        "summary-key-missing",
        data().summed(&without_5),
        fault(Fault::Record),
    );
    let channel = [0xa4, 1, 0, 2, 0, 3, 0, 4, 0];
    let twice = [
        &[0xa5, 1, 0, 2, 0, 3, 0xa0, 4, 0x82][..],
        &channel,
        &channel,
        &[5, 0],
    ]
    .concat();
    case(
        "summary-channel-twice",
        data().summed(&twice),
        fault(Fault::Record),
    );
    let further = [&[0xa6][..], &summary[1..], &[6, 0xf6]].concat();
    case(
        "summary-further-key",
        data().summed(&further).checkpoint(CheckpointKind::Final, 0),
        Expect::Good,
    );
    let text_key = [&[0xa6][..], &summary[1..], &[0x61, b'k', 0]].concat();
    case(
        "summary-text-key",
        data().summed(&text_key),
        fault(Fault::Record),
    );
    let fewer = begin().summary();
    case(
        "summary-of-fewer-records",
        data().summed(&fewer),
        fault(Fault::SummaryMismatch),
    );
    let elsewhere = begin().content(&OUTPUT).summary();
    let output = || begin().content(&OUTPUT);
    let bytes = elsewhere
        .iter()
        .rposition(|byte| *byte == 1)
        .expect("one byte of output");
    let mut longer = elsewhere.clone();
    longer[bytes] = 2;
    case(
        "summary-of-more-bytes",
        output().summed(&longer),
        fault(Fault::SummaryMismatch),
    );
    case(
        "summary-honest",
        output()
            .summed(&elsewhere)
            .checkpoint(CheckpointKind::Final, 0),
        Expect::Good,
    );
    let bad_index = plain(1, 1, &[0xa0]);
    case(
        "index-malformed",
        data().frame(FrameKind::Index, 0, &bad_index),
        fault(Fault::Index),
    );
    let elsewhere = [0xa3, 1, 5, 2, 0x80, 3, 0x80];
    let index = plain(7, 7, &elsewhere);
    let here = plain(7, 7, &[0xa3, 1, 0, 2, 0x80, 3, 0x80]);
    let indexed = || data().frame(FrameKind::Index, 0, &here);
    case(
        "index-without-trailer",
        indexed().end(),
        Expect::TrailerMissing,
    );
    case(
        "index-then-data",
        indexed().content(&RECORD),
        fault(Fault::Index),
    );
    case(
        "index-twice",
        indexed().frame(FrameKind::Index, 0, &here),
        fault(Fault::Index),
    );
    case(
        "index-then-skippable",
        indexed().clear(FrameKind::Skippable(0x90), b""),
        fault(Fault::Index),
    );
    case(
        "index-then-periodic",
        indexed().checkpoint(CheckpointKind::Periodic, 6),
        fault(Fault::Index),
    );
    case(
        "index-then-abort",
        indexed().checkpoint(CheckpointKind::Abort, 0),
        fault(Fault::Index),
    );
    let rows = |rows: &[u8]| {
        let map = [&[0xa3, 1, 0, 2][..], rows, &[3, 0x80]].concat();
        data().frame(
            FrameKind::Index,
            0,
            &plain(map.len() as u32, map.len() as u32, &map),
        )
    };
    case(
        "index-descending",
        rows(&[0x82, 0x82, 0, 9, 0x82, 0, 8]),
        fault(Fault::Index),
    );
    case(
        "index-times-descending",
        rows(&[0x82, 0x82, 1, 8, 0x82, 0, 9]),
        fault(Fault::Index),
    );
    let many = [&[0x99, 1, 1][..], &[0x82, 0, 0].repeat(257)].concat();
    let further = [0xa4, 1, 0, 2, 0x80, 3, 0x80, 4, 0];
    let text_key = [0xa4, 1, 0, 2, 0x80, 3, 0x80, 0x61, b'k', 0];
    let indexed = |map: &[u8]| {
        data().frame(
            FrameKind::Index,
            0,
            &plain(map.len() as u32, map.len() as u32, map),
        )
    };
    case(
        "index-further-key",
        indexed(&further).end(),
        Expect::TrailerMissing,
    );
    case("index-text-key", indexed(&text_key), fault(Fault::Index));
    case("index-257-places", rows(&many), fault(Fault::Index));
    case(
        "index-row-of-three",
        rows(&[0x81, 0x83, 0, 8, 9]),
        fault(Fault::Index),
    );
    case(
        "index-elsewhere",
        data().frame(FrameKind::Index, 0, &index),
        fault(Fault::Index),
    );
    let flagged = data().frame(FrameKind::Index, 2, &index);
    case("index-flag", flagged, fault(Fault::FrameFlags));
    case(
        "attestation",
        begin().clear(FrameKind::Attestation, &[0xa0]),
        fault(Fault::Attestation),
    );
    case(
        "skippable",
        data().clear(FrameKind::Skippable(0x90), b"later").end(),
        Expect::Good,
    );
    case(
        "skippable-first-byte",
        data().clear(FrameKind::Skippable(0xff), b"").end(),
        Expect::Good,
    );
    let mut unsigned = begin();
    unsigned
        .bytes
        .truncate(unsigned.bytes.len() - 24 - 1 - 32 - 165);
    case("nothing-but-a-header", unsigned, Expect::Truncated);
    let other_root = data();
    let mut missing = other_root
        .clone()
        .content(&RECORD)
        .checkpoint(CheckpointKind::Abort, 0);
    let cut = other_root.bytes.len();
    let frame = 24 + 16 + RECORD.len() + 16;
    missing.bytes[cut + frame - 1] ^= 1;
    case("frame-changed-later", missing, fault(Fault::NotAuthentic));
}
