//! 64 KiB at a time, in memory: sealed and opened by hand, by `session-log` and by age.

use std::hint::black_box;
use std::io::{Read as _, Write};
use std::iter::once;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use session_log::{Reader, Record, Suite};
use sha2::{Digest as _, Sha256};

use crate::logs::{PIECE_BYTES, at, identity, post_quantum_recipient, reading, writer, writer_for};
use crate::{gigabytes_per_second, shortest, time};

/// A round writes, or reads, so many pieces: 8 MiB. Short rounds find the quiet moments of a busy machine.
const PIECES: usize = 128;
const ROUNDS: usize = 60;
/// A key press is measured over so many.
const KEY_PRESSES: u32 = 2_000;
const START: Duration = Duration::ZERO;

pub fn print() {
    println!("| 64 KiB at a time | write | | read | |");
    println!("|---|---|---|---|---|");
    let data = vec![b'x'; PIECE_BYTES];
    let (mut aes, mut chacha, mut aged) = (Vec::new(), Vec::new(), Vec::new());
    log(Suite::Aes256GcmSha256, &data, &mut aes);
    log(Suite::ChaCha20Poly1305Sha256, &data, &mut chacha);
    age(&data, &mut aged);
    let writes = shortest(
        ROUNDS,
        [
            &mut || seal_by_hand(),
            &mut || log(Suite::Aes256GcmSha256, &data, Seen),
            &mut || log(Suite::ChaCha20Poly1305Sha256, &data, Seen),
            &mut || age(&data, Seen),
        ],
    );
    let (key, sealed) = (raw_key(), sealed_by_hand());
    let reads = shortest(
        ROUNDS,
        [
            &mut || open_by_hand(&key, &sealed),
            &mut || read(&aes),
            &mut || read(&chacha),
            &mut || unage(&aged),
        ],
    );
    let names = [
        "floor: `aws-lc-rs` AES-256-GCM and SHA-256",
        "`session-log`, AES-256-GCM",
        "`session-log`, ChaCha20-Poly1305",
        "`age`, ChaCha20-Poly1305, no signature",
    ];
    let bytes = (PIECES * PIECE_BYTES) as u64;
    for (name, (write, read)) in names.into_iter().zip(writes.into_iter().zip(reads)) {
        println!(
            "| {name} | {:.2} GB/s | {:.2} | {:.2} GB/s | {:.2} |",
            gigabytes_per_second(bytes, write),
            write.as_secs_f64() / writes[1].as_secs_f64(),
            gigabytes_per_second(bytes, read),
            read.as_secs_f64() / reads[1].as_secs_f64(),
        );
    }
    println!(
        "\nThe second and fourth figure: time, beside that of `session-log` with AES-256-GCM.\n"
    );
    let press = (0..50).map(|_| key_presses()).min().unwrap_or_default();
    println!("A key press, recorded, flushed and taken: {press:.2?}\n");
    let recipient = post_quantum_recipient();
    let new = || time(|| drop(black_box(writer_for(Suite::default(), recipient.clone()))));
    let new = (0..200).map(|_| new()).min().unwrap_or_default();
    println!("A new log for one X-Wing recipient: {new:.0?}\n");
}

fn raw_key() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a key"))
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([1; 12])
}

fn seal_by_hand() {
    let (key, mut buffer) = (raw_key(), vec![b'x'; PIECE_BYTES]);
    for _ in 0..PIECES {
        let tag = key
            .seal_in_place_separate_tag(nonce(), Aad::from([0; 32]), &mut buffer)
            .expect("sealed");
        let _ = black_box((tag, Sha256::digest(&buffer)));
    }
}

fn sealed_by_hand() -> Vec<u8> {
    let mut sealed = vec![b'x'; PIECE_BYTES];
    raw_key()
        .seal_in_place_append_tag(nonce(), Aad::from([0; 32]), &mut sealed)
        .expect("sealed");
    sealed
}

fn open_by_hand(key: &LessSafeKey, sealed: &[u8]) {
    let (ciphertext, tag) = sealed.split_at(PIECE_BYTES);
    let mut plain = vec![0; PIECE_BYTES];
    for _ in 0..PIECES {
        black_box(Sha256::digest(sealed));
        key.open_separate_gather(nonce(), Aad::from([0; 32]), ciphertext, tag, &mut plain)
            .expect("opened");
        black_box(&plain);
    }
}

/// Takes what is written and does nothing with it.
struct Seen;

impl Write for Seen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn log(suite: Suite, data: &[u8], mut to: impl Write) {
    let mut writer = writer(suite);
    for _ in 0..PIECES {
        writer
            .record(1, &Record::Output(data), at(START))
            .expect("recorded");
        writer.flush(at(START)).expect("flushed");
        to.write_all(&writer.take_output().unwrap_or_default())
            .expect("written");
    }
    writer.finish(at(START)).expect("finished");
    to.write_all(&writer.take_output().unwrap_or_default())
        .expect("written");
}

fn read(log: &[u8]) {
    let mut reader = Reader::new(reading(vec![identity()]));
    for piece in log.chunks(65_536) {
        reader.push(piece);
        while let Some(event) = reader.poll() {
            black_box(event);
        }
    }
    reader.finish();
    while reader.poll().is_some() {}
    assert!(reader.verdict().is_good());
}

/// A key that is the same in every call.
fn age_identity() -> age::x25519::Identity {
    "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33"
        .parse()
        .expect("a key")
}

fn age(data: &[u8], to: impl Write) {
    let recipient = age_identity().to_public();
    let recipients = once(&recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).expect("an encryptor");
    let mut output = encryptor.wrap_output(to).expect("a header");
    for _ in 0..PIECES {
        output.write_all(data).expect("written");
    }
    output.finish().expect("finished");
}

fn unage(sealed: &[u8]) {
    let identity = age_identity();
    let identities = once(&identity as &dyn age::Identity);
    let mut input = age::Decryptor::new(sealed)
        .and_then(|decryptor| decryptor.decrypt(identities))
        .expect("a header");
    let mut piece = vec![0; PIECE_BYTES];
    for _ in 0..PIECES {
        input.read_exact(&mut piece).expect("opened");
        black_box(&piece);
    }
}

fn key_presses() -> Duration {
    let mut writer = writer(Suite::default());
    let took = time(|| {
        for _ in 0..KEY_PRESSES {
            writer
                .record(1, &Record::Input(b"x"), at(START))
                .expect("recorded");
            writer.flush(at(START)).expect("flushed");
            black_box(writer.take_output());
        }
    });
    took / KEY_PRESSES
}
