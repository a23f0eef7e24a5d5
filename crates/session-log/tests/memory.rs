//! What a reader holds stays below one figure, whatever the log says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::Path;

use allocation_counter::measure;
use common::*;
use session_log::{
    Identity, Kem, LogId, ReadMode, Reader, ReaderConfig, Record, Writer, WriterPolicy,
};

/// How much is pushed at once, bytes.
const PIECE_BYTES: usize = 16_384;
/// Most that a reader may hold: two frames of 1 MiB while they are moved together, the plaintext, what it decompresses to with the decoder's
/// window, a header, and a count of every kind of record.
const MOST_BYTES: u64 = 6 << 20;

fn every_key() -> Vec<Identity> {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("testkit");
    let kit = [Kem::X25519, Kem::XWing, Kem::P256, Kem::P384].map(|kem| {
        let name = kit.join(format!("identity-{}", kem.name()));
        Identity::from_text(&fs::read_to_string(name).unwrap()).unwrap()
    });
    kit.into_iter().chain([identity(Kem::X25519)]).collect()
}

/// The most that is held while the pieces are read, bytes; and how many events came.
fn held(mode: ReadMode, pieces: &mut dyn Iterator<Item = Vec<u8>>) -> (u64, u64) {
    let mut events = 0;
    let info = measure(|| {
        let mut reader = Reader::new(ReaderConfig {
            identities: every_key(),
            mode,
            ..ReaderConfig::default()
        });
        for piece in pieces {
            reader.push(&piece);
            while reader.poll().is_some() {
                events += 1;
            }
        }
        reader.finish();
        while reader.poll().is_some() {
            events += 1;
        }
    });
    (info.bytes_max, events)
}

#[track_caller]
fn check(name: &str, pieces: impl Fn() -> Box<dyn Iterator<Item = Vec<u8>>>) {
    for mode in [ReadMode::Strict, ReadMode::Salvage] {
        let (most, events) = held(mode, &mut pieces());
        assert!(
            most <= MOST_BYTES,
            "{name}, {mode:?}: {most} bytes held, {events} events"
        );
    }
}

fn check_log(name: &str, log: &[u8]) {
    check(name, || {
        let pieces: Vec<Vec<u8>> = log.chunks(PIECE_BYTES).map(<[u8]>::to_vec).collect();
        Box::new(pieces.into_iter())
    });
}

/// Header and OPEN of a good log.
fn beginning() -> Vec<u8> {
    let log = small_log();
    let (found, _) = read(&log);
    log[..usize::try_from(found.frames[1].offset).unwrap()].to_vec()
}

fn frame_header(kind: u8, len: u32, seq: u64, index: u32) -> Vec<u8> {
    [
        &[0xc5, 0x5c, kind, 0][..],
        &len.to_be_bytes(),
        &seq.to_be_bytes(),
        &[0; 4],
        &index.to_be_bytes(),
    ]
    .concat()
}

#[test]
fn no_log_of_the_testkit_makes_a_reader_hold_more_than_the_bound() {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("testkit");
    let mut logs = 0;
    for entry in fs::read_dir(kit).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "sslg")
        {
            check_log(&path.display().to_string(), &fs::read(&path).unwrap());
            logs += 1;
        }
    }
    assert!(logs > 200, "{logs}");
}

#[test]
fn lengths_that_only_stand_in_a_header_hold_nothing() {
    let largest = (1 << 20) + 32;
    for (kind, len, index) in [
        (1, u32::MAX, 0),
        (1, largest, 0),
        (0x90, largest, u32::MAX),
        (0x11, largest, u32::MAX),
    ] {
        let header = frame_header(kind, len, 1, index);
        check_log("announced", &[&beginning()[..], &header].concat());
        // What is announced comes, and is nothing.
        let zeros = vec![0; 3 << 20];
        check_log("zeros", &[&beginning()[..], &header, &zeros].concat());
    }
    let mut preamble = beginning()[..20].to_vec();
    preamble[12..20].copy_from_slice(&[0, 1, 0, 0, 0, 4, 0, 0]);
    check_log(
        "largest header",
        &[&preamble[..], &[0x80; 330_000]].concat(),
    );
    check_log("deep", &[&preamble[..], &[0x81; 330_000]].concat());
    check_log("noise", &b"\x89SSLG\r\n\x1a\xc5\x5c".repeat(200_000));
}

#[test]
fn a_million_tiny_frames_hold_no_more_than_one() {
    let frames = |seq: u64| frame_header(0x90, 0, seq, u32::MAX);
    check("tiny frames", move || {
        let piece = move |from: u64| (from..from + 1_000).flat_map(frames).collect::<Vec<u8>>();
        let pieces = (0..1_000).map(move |n| piece(1 + n * 1_000));
        Box::new(std::iter::once(beginning()).chain(pieces))
    });
    let (_, events) = held(
        ReadMode::Strict,
        &mut std::iter::once(beginning()).chain([(1..1_001).flat_map(frames).collect()]),
    );
    assert_eq!(events, 1_000 + 3, "segment, frame, OPEN, and each of them");
}

#[test]
fn as_many_recipients_kinds_and_channels_as_there_may_be_stay_below_the_bound() {
    let recipients: Vec<Identity> = (0..64).map(|_| identity(Kem::XWing)).collect();
    let config = config(&recipients, WriterPolicy::default());
    let mut writer = Writer::create(&config, &signer(), LogId([1; 16]), [1; 32], now(0)).unwrap();
    let mut log = Vec::new();
    writer.finish(now(1)).unwrap();
    drain(&mut writer, &mut log);
    check_log("64 recipients", &log);

    let mut writer = common::writer(WriterPolicy::default());
    for kind in 0x100..0x8000 {
        let channel = u32::from(kind);
        let record = Record::Other { kind, body: &[0] };
        writer.record(channel, &record, now(1)).unwrap();
    }
    let mut log = Vec::new();
    writer.finish(now(2)).unwrap();
    drain(&mut writer, &mut log);
    assert!(verify(&log).is_good());
    let read = read(&log).1;
    assert!(read.is_good(), "{read:?}");
    check_log("kinds and channels", &log);
}
