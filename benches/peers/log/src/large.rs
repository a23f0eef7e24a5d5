//! A large log in a file: written, verified, decrypted, and its last minute found. Memory is what the allocator of Rust gave out.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::time::{Duration, Instant};

use allocation_counter::{measure, opt_out};
use session_log::{Event, Identity, Reader, Record, SeekTo, Seeker, Suite};
use sha2::{Digest as _, Sha256};

use crate::logs::{PIECE_BYTES, at, identity, reading, writer};
use crate::{gigabytes_per_second, time};

/// What is read from the file at a time, bytes.
const READ_BYTES: usize = 65_536;
/// How long the session of the log took.
const SESSION: Duration = Duration::from_secs(4 * 3_600);
const MINUTE_US: u64 = 60_000_000;
const ROUNDS: usize = 5;

pub fn print(mib: usize) {
    let mut file = tempfile::tempfile().expect("a file");
    let pieces = (mib << 20).div_ceil(PIECE_BYTES) as u32;
    let writing = measure(|| write(&mut file, pieces));
    let bytes = file.stream_position().expect("its length");
    println!(
        "A log of {:.2} GB, {SESSION:?} of output, in a file:\n",
        bytes as f64 / 1e9
    );
    println!("| | speed | peak memory |");
    println!("|---|---|---|");
    println!("| written | | {} KiB |", writing.bytes_max / 1_024);
    let plain = least(|| hash(&mut file));
    println!(
        "| floor: SHA-256 | {:.2} GB/s | |",
        gigabytes_per_second(bytes, plain)
    );
    for (name, identities) in [("verified", 0), ("verified and decrypted", 1)] {
        let keys = || (0..identities).map(|_| identity()).collect();
        let took = least(|| verify(&mut file, keys()));
        let reading = measure(|| verify(&mut file, keys()));
        let speed = gigabytes_per_second(bytes, took);
        println!(
            "| {name} | {speed:.2} GB/s | {} KiB |",
            reading.bytes_max / 1_024
        );
    }
    let mut found = 0;
    // What a person waits for, with all that the machine does beside.
    let start = Instant::now();
    last_minute(&mut file);
    let waited = start.elapsed();
    let seeking = measure(|| found = last_minute(&mut file));
    println!(
        "| its last minute, {:.1} MB, found and read | {waited:.1?} | {} KiB |",
        found as f64 / 1e6,
        seeking.bytes_max / 1_024
    );
}

fn least(mut run: impl FnMut()) -> Duration {
    (0..ROUNDS)
        .map(|_| time(&mut run))
        .min()
        .unwrap_or_default()
}

fn write(file: &mut File, pieces: u32) {
    let data = opt_out_vec();
    let mut writer = writer(Suite::default());
    for piece in 0..pieces {
        let now = at(SESSION / pieces * piece);
        writer.handle_timeout(now).expect("open");
        writer
            .record(1, &Record::Output(&data), now)
            .expect("recorded");
        while let Some(sealed) = writer.take_output() {
            file.write_all(&sealed).expect("written");
        }
    }
    writer.finish(at(SESSION)).expect("finished");
    while let Some(sealed) = writer.take_output() {
        file.write_all(&sealed).expect("written");
    }
}

/// The caller's own buffer, which is not the crate's.
fn opt_out_vec() -> Vec<u8> {
    let mut data = Vec::new();
    opt_out(|| data = vec![b'x'; PIECE_BYTES]);
    data
}

/// Calls with each piece of the file from here on.
fn pieces(file: &mut File, from: u64, mut each: impl FnMut(&[u8])) {
    file.seek(SeekFrom::Start(from)).expect("a place");
    let mut piece = opt_out_vec();
    piece.truncate(READ_BYTES);
    loop {
        let read = file.read(&mut piece).expect("read");
        if read == 0 {
            break;
        }
        each(&piece[..read]);
    }
}

fn hash(file: &mut File) {
    let mut hash = Sha256::new();
    pieces(file, 0, |piece| hash.update(piece));
    black_box(hash.finalize());
}

fn verify(file: &mut File, identities: Vec<Identity>) {
    let mut reader = Reader::new(reading(identities));
    pieces(file, 0, |piece| {
        reader.push(piece);
        while let Some(event) = reader.poll() {
            black_box(event);
        }
    });
    reader.finish();
    while reader.poll().is_some() {}
    assert!(reader.verdict().is_good());
}

/// Finds the last minute and reads it to the end. Gives the bytes of its output.
fn last_minute(file: &mut File) -> u64 {
    let length = file.metadata().expect("its length").len();
    let to = SeekTo::BeforeEnd { us: MINUTE_US };
    let mut seeker = Seeker::new(reading(vec![identity()]), length, to);
    while let Some(wanted) = seeker.poll_wanted() {
        let mut bytes = vec![0; wanted.bytes as usize];
        file.seek(SeekFrom::Start(wanted.offset)).expect("a place");
        file.read_exact(&mut bytes).expect("read");
        seeker.handle_bytes(&bytes).expect("an index");
    }
    let from_us = seeker.t_us().expect("a time");
    let mut sought = seeker.into_sought().expect("found");
    let mut output = 0;
    pieces(file, sought.offset, |piece| {
        sought.reader.push(piece);
        while let Some(event) = sought.reader.poll() {
            if let Event::Record(view) = event
                && let Record::Output(data) = view.record
                && view.t_us >= from_us
            {
                output += data.len() as u64;
            }
        }
    });
    assert!(output > 0, "the last minute has output");
    output
}
