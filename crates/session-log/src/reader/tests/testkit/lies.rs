//! What only a writer can do: everything is properly sealed and signed.

use super::super::liar::Liar;
use super::*;
use crate::checkpoint::{CheckpointKind, OpenKind};
use crate::compress::compress;
use crate::header::PreviousState;

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
    let summary = plain(1, 1, &[0xa0]);
    let summed = || data().frame(FrameKind::Summary, 0, &summary);
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
        summed().frame(FrameKind::Summary, 0, &summary),
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
    let bad_summary = plain(1, 1, &[0xff]);
    let log = data().frame(FrameKind::Summary, 0, &bad_summary);
    case("summary-malformed", log, fault(Fault::Record));
    let bad_index = plain(1, 1, &[0xa0]);
    case(
        "index-malformed",
        data().frame(FrameKind::Index, 0, &bad_index),
        fault(Fault::Index),
    );
    let elsewhere = [0xa3, 1, 5, 2, 0x80, 3, 0x80];
    let index = plain(7, 7, &elsewhere);
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
