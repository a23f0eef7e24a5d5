//! `session-log`: bulk frames, a key press recorded strictly, and reading back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench; criterion makes the rest"
)]

use std::hint::black_box;
use std::time::Duration;

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes256Gcm, KeyInit as _};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use session_log::{
    Identity, Kem, LogId, Now, Reader, ReaderConfig, Record, SeekTo, Seeker, Signers,
    SigningIdentity, Suite, Writer, WriterConfig, WriterPolicy,
};
use sha2::{Digest as _, Sha256};

const NOW: Now = Now {
    mono: Duration::ZERO,
    unix: Duration::from_secs(1_800_000_000),
};
/// Output that fills a 64 KiB frame to the byte before it is sealed.
const FRAME_DATA_BYTES: usize = 65_500;
/// The log that is read back.
const LOG_BYTES: usize = 16 << 20;
/// It took an hour, in records of this size.
const RECORD_BYTES: usize = 32_000;
const SESSION: Duration = Duration::from_secs(3_600);
const MINUTE_US: u64 = 60_000_000;
/// Records of one byte in another log that is read back.
const KEY_PRESSES: u64 = 100_000;

fn identity() -> Identity {
    Identity::generate(Kem::XWing, &mut ChaCha20Rng::from_seed([8; 32]))
}

fn writer() -> Writer {
    let recipients = vec![identity().recipient()];
    let config = WriterConfig {
        suite: Suite::default(),
        recipients,
        policy: WriterPolicy::default(),
    };
    Writer::create(
        &config,
        &SigningIdentity::from_seed([3; 32]),
        LogId([1; 16]),
        [2; 32],
        NOW,
    )
    .unwrap()
}

fn raw_key() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap())
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([1; 12])
}

/// AEAD and the leaf's hash.
fn raw_frame(key: &LessSafeKey, buffer: &mut [u8]) {
    let tag = key
        .seal_in_place_separate_tag(nonce(), Aad::from([0; 32]), buffer)
        .unwrap();
    let _ = black_box((tag, Sha256::digest(&*buffer)));
}

fn record(writer: &mut Writer, data: &[u8]) {
    writer.record(1, &Record::Output(data), NOW).unwrap();
    writer.flush(NOW).unwrap();
    black_box(writer.take_output());
}

fn write(c: &mut Criterion) {
    let key = raw_key();
    let mut group = c.benchmark_group("seal a 64 KiB frame");
    group.throughput(Throughput::Bytes(FRAME_DATA_BYTES as u64));
    let mut buffer = vec![0; 65_536 + 16];
    group.bench_function("floor: aws-lc-rs AES-256-GCM and SHA-256", |b| {
        b.iter(|| raw_frame(&key, &mut buffer))
    });
    let rust_crypto = Aes256Gcm::new(&[7; 32].into());
    group.bench_function("alternative: aes-gcm and SHA-256", |b| {
        b.iter(|| {
            let tag = rust_crypto
                .encrypt_inout_detached(&[1; 12].into(), &[0; 32], buffer.as_mut_slice().into())
                .unwrap();
            black_box((tag, Sha256::digest(&buffer)));
        });
    });
    let (mut writer_, data) = (writer(), vec![b'x'; FRAME_DATA_BYTES]);
    group.bench_function("record and flush", |b| {
        b.iter(|| record(&mut writer_, &data))
    });
    group.finish();

    let mut group = c.benchmark_group("seal one key press");
    let mut buffer = vec![0; 512 + 16];
    group.bench_function("floor: aws-lc-rs AES-256-GCM of 512 B and SHA-256", |b| {
        b.iter(|| raw_frame(&key, &mut buffer))
    });
    let mut writer_ = writer();
    group.bench_function("record and flush", |b| {
        b.iter(|| record(&mut writer_, b"x"))
    });
    group.finish();

    c.bench_function("create a log with one X-Wing recipient", |b| b.iter(writer));
}

fn log() -> Vec<u8> {
    let (mut writer, mut log) = (writer(), Vec::new());
    let step = SESSION / (LOG_BYTES / RECORD_BYTES) as u32;
    let mut now = NOW;
    while log.len() < LOG_BYTES {
        now.mono += step;
        now.unix += step;
        writer.handle_timeout(now).unwrap();
        writer
            .record(1, &Record::Output(&[b'x'; RECORD_BYTES]), now)
            .unwrap();
        log.extend_from_slice(&writer.take_output().unwrap_or_default());
    }
    writer.finish(now).unwrap();
    log.extend_from_slice(&writer.take_output().unwrap_or_default());
    log
}

/// A log of echoed key presses, many in a frame.
fn key_presses() -> Vec<u8> {
    let mut writer = writer();
    for _ in 0..KEY_PRESSES / 2 {
        for record in [Record::Input(b"x"), Record::Output(b"x")] {
            writer.record(1, &record, NOW).unwrap();
        }
    }
    writer.finish(NOW).unwrap();
    writer.take_output().unwrap().to_vec()
}

fn config(identities: Vec<Identity>) -> ReaderConfig {
    let line = format!(
        "proxy {}",
        SigningIdentity::from_seed([3; 32]).public_key_openssh()
    );
    ReaderConfig {
        identities,
        signers: Some(Signers::from_text(&line).unwrap()),
        ..ReaderConfig::default()
    }
}

fn read_all(log: &[u8], identities: Vec<Identity>) {
    let mut reader = Reader::new(config(identities));
    push_all(&mut reader, log);
    assert!(reader.verdict().is_good());
}

fn push_all(reader: &mut Reader, log: &[u8]) {
    for piece in log.chunks(65_536) {
        reader.push(piece);
        while let Some(event) = reader.poll() {
            black_box(event);
        }
    }
    reader.finish();
    while reader.poll().is_some() {}
}

fn read_last_minute(log: &[u8]) {
    let to = SeekTo::BeforeEnd { us: MINUTE_US };
    let mut seeker = Seeker::new(config(vec![identity()]), log.len() as u64, to);
    while let Some(wanted) = seeker.poll_wanted() {
        let from = wanted.offset as usize;
        seeker
            .handle_bytes(&log[from..from + wanted.bytes as usize])
            .unwrap();
    }
    let mut sought = seeker.into_sought().unwrap();
    let from = sought.offset as usize;
    assert!(from > log.len() / 2, "near the end");
    push_all(&mut sought.reader, &log[from..]);
}

fn read(c: &mut Criterion) {
    let log = log();
    let mut group = c.benchmark_group("read 16 MiB back");
    group.throughput(Throughput::Bytes(log.len() as u64));
    group.bench_function("floor: SHA-256", |b| {
        b.iter(|| {
            log.chunks(65_536)
                .map(|frame| Sha256::digest(frame)[0])
                .fold(0, u8::wrapping_add)
        });
    });
    group.bench_function("verify without a key", |b| {
        b.iter(|| read_all(&log, Vec::new()))
    });
    let (key, mut frame) = (raw_key(), vec![0; 65_536]);
    key.seal_in_place_append_tag(nonce(), Aad::from([0; 32]), &mut frame)
        .unwrap();
    group.bench_function("floor: SHA-256 and aws-lc-rs open", |b| {
        let mut buffer = frame.clone();
        b.iter(|| {
            for piece in log.chunks(65_536) {
                buffer.copy_from_slice(&frame);
                black_box((
                    Sha256::digest(piece),
                    key.open_in_place(nonce(), Aad::from([0; 32]), &mut buffer)
                        .unwrap(),
                ));
            }
        });
    });
    group.bench_function("verify and decrypt", |b| {
        b.iter(|| read_all(&log, vec![identity()]))
    });
    group.finish();

    let presses = key_presses();
    let mut group = c.benchmark_group("read 100,000 records of one byte back");
    group.throughput(Throughput::Elements(KEY_PRESSES));
    group.bench_function("floor: verify without a key", |b| {
        b.iter(|| read_all(&presses, Vec::new()))
    });
    group.bench_function("verify and decrypt", |b| {
        b.iter(|| read_all(&presses, vec![identity()]))
    });
    group.finish();

    c.bench_function("find the last minute of an hour and read it", |b| {
        b.iter(|| read_last_minute(&log))
    });
}

criterion_group! { name = all; config = benches::criterion(); targets = write, read }
criterion_main!(all);
