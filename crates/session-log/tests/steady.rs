//! Neither writing nor reading takes more memory for a longer log.
#![allow(clippy::unwrap_used)]

mod common;

use allocation_counter::{measure, opt_out};
use common::{identity, now, signer, trust, writer};
use session_log::{Kem, Reader, ReaderConfig, Record, Writer, WriterPolicy};

/// Two frames, and the room that a buffer has left after it grew.
const WRITER_BYTES: u64 = 256 << 10;
/// The piece that was pushed, a frame, its plaintext and a header, each with room to grow.
const READER_BYTES: u64 = 448 << 10;
/// A writer with one X25519 recipient between two frames.
const IDLE_BYTES: usize = 3 << 10;
/// A short log, and one that is eight times as long and has many segments.
const FRAMES: [u64; 2] = [64, 512];
/// Output that fills a frame of 64 KiB.
static FRAME_DATA: [u8; 65_500] = [b'x'; 65_500];

fn take(writer: &mut Writer, log: &mut Vec<u8>) {
    while let Some(sealed) = writer.take_output() {
        opt_out(|| log.extend_from_slice(&sealed));
    }
}

fn write(frames: u64, log: &mut Vec<u8>) {
    let mut writer = writer(WriterPolicy {
        rotate_bytes: 2 << 20,
        checkpoint_frames: 8,
        ..WriterPolicy::default()
    });
    for frame in 0..frames {
        writer.handle_timeout(now(frame)).unwrap();
        writer
            .record(1, &Record::Output(&FRAME_DATA), now(frame))
            .unwrap();
        take(&mut writer, log);
    }
    writer.finish(now(frames)).unwrap();
    take(&mut writer, log);
}

fn read(log: &[u8], decrypt: bool) {
    let mut reader = Reader::new(ReaderConfig {
        identities: decrypt.then(|| identity(Kem::X25519)).into_iter().collect(),
        signers: Some(trust(&signer())),
        ..ReaderConfig::default()
    });
    for piece in log.chunks(65_536) {
        reader.push(piece);
        while reader.poll().is_some() {}
    }
    reader.finish();
    while reader.poll().is_some() {}
    assert!(reader.verdict().is_good());
}

#[test]
fn a_log_eight_times_as_long_is_written_and_read_in_the_same_memory() {
    for frames in FRAMES {
        let mut log = Vec::new();
        let writing = measure(|| write(frames, &mut log)).bytes_max;
        assert!(writing <= WRITER_BYTES, "writing {frames}: {writing}");
        for decrypt in [false, true] {
            let reading = measure(|| read(&log, decrypt)).bytes_max;
            assert!(reading <= READER_BYTES, "reading {frames}: {reading}");
        }
    }
}

#[test]
fn a_writer_that_waits_holds_less_than_three_kibibytes() {
    let mut idle = None;
    let held = measure(|| {
        let mut writer = writer(WriterPolicy::default());
        let mut log = Vec::new();
        writer
            .record(1, &Record::Output(&FRAME_DATA), now(1))
            .unwrap();
        writer.flush(now(1)).unwrap();
        take(&mut writer, &mut log);
        writer.handle_timeout(now(40_000)).unwrap();
        take(&mut writer, &mut log);
        writer.handle_timeout(now(80_000)).unwrap();
        opt_out(|| drop(log));
        idle = Some(writer);
    });
    let bytes = size_of::<Writer>() + usize::try_from(held.bytes_current).unwrap();
    assert!(idle.is_some() && bytes <= IDLE_BYTES, "{bytes}");
}
