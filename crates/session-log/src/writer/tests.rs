use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::frame::{Aad, FRAME_HEADER_BYTES, FrameHeader};
use crate::hash::Hash;
use crate::keyfile::Identity;
use crate::secret::{Secret, expand};
use crate::sign::SigningKey;
use crate::suite::{FRAME_KEY_BYTES, NONCE_BYTES};

const SEED: [u8; 32] = [1; 32];

fn now(millis: u64) -> Now {
    Now {
        mono: Duration::from_millis(millis),
        unix: Duration::from_millis(1_800_000_000_000 + millis),
    }
}

fn writer(policy: WriterPolicy) -> Writer {
    writer_of(Suite::default(), policy)
}

fn writer_of(suite: Suite, policy: WriterPolicy) -> Writer {
    let identity = Identity::generate(suite.kems()[0], &mut Generator::new([9; 32]));
    let config = WriterConfig {
        suite,
        recipients: vec![identity.recipient()],
        policy,
    };
    Writer::create(
        &config,
        &SigningIdentity::from_seed([2; 32]),
        LogId([3; 16]),
        SEED,
        now(0),
    )
    .expect("writer")
}

/// Everything secret that the writer holds.
fn live_secrets(writer: &Writer) -> Vec<Vec<u8>> {
    let mut secrets = writer.segment.as_ref().expect("open").secrets();
    secrets.push(writer.generator.state().to_vec());
    secrets
}

/// What one derivation makes of a secret. Shorter ones, such as frame keys, are its beginning.
fn step(secret: &[u8], label: &str) -> Vec<u8> {
    let hash = match secret.len() {
        32 => Hash::Sha256,
        _ => Hash::Sha384,
    };
    let secret = Secret::from_slice(hash, secret).expect("of a hash's length");
    expand(&secret, label).to_vec()
}

/// Everything that the derivations of this crate make of the secrets, some steps deep.
fn derivable(secrets: &[Vec<u8>]) -> BTreeSet<Vec<u8>> {
    let labels = [
        "key",
        "next",
        "chain",
        "next epoch",
        "epoch",
        "draw",
        "state",
        "generator",
        "commit",
    ];
    let mut all: BTreeSet<Vec<u8>> = secrets.iter().cloned().collect();
    let mut edge: Vec<Vec<u8>> = secrets.to_vec();
    for _ in 0..3 {
        edge = edge
            .iter()
            .flat_map(|secret| labels.map(|label| step(secret, label)))
            .collect();
        all.extend(edge.iter().cloned());
    }
    all
}

struct Sealed {
    header: FrameHeader,
    head: [u8; FRAME_HEADER_BYTES],
    body: Vec<u8>,
}

fn next_frame(writer: &mut Writer, millis: u64) -> Sealed {
    writer
        .record(1, &Record::Input(b"secret keystroke"), now(millis))
        .expect("record");
    writer.flush(now(millis)).expect("flush");
    let bytes = writer.take_output().expect("a frame");
    let (head, _) = bytes
        .split_first_chunk::<FRAME_HEADER_BYTES>()
        .expect("a header");
    let header = FrameHeader::parse(head).expect("a good header");
    Sealed {
        header,
        head: *head,
        body: bytes[FRAME_HEADER_BYTES..header.frame_len()].to_vec(),
    }
}

fn opens(writer: &Writer, key: &[u8], nonce: [u8; NONCE_BYTES], frame: &Sealed) -> bool {
    let header_hash = writer.segment.as_ref().expect("open").header_hash();
    let key: &[u8; FRAME_KEY_BYTES] = key.first_chunk().expect("at least a key");
    let aad = Aad::new(&header_hash, &frame.head);
    writer
        .constant
        .suite
        .aead()
        .open_into(key, nonce, aad.as_bytes(), &frame.body, &mut Vec::new())
        .is_ok()
}

#[test]
fn what_is_in_memory_at_frame_k_opens_nothing_before_k() {
    for suite in Suite::ALL {
        opens_nothing_before(suite);
    }
}

fn opens_nothing_before(suite: Suite) {
    let policy = WriterPolicy {
        checkpoint_frames: 3,
        ..WriterPolicy::default()
    };
    let mut writer = writer_of(suite, policy);
    writer.take_output();
    let mut frames = Vec::new();
    for k in 0..8u64 {
        let known = derivable(&live_secrets(&writer));
        // The nonce is public for whoever holds any state of the segment; give it away.
        let nonces: Vec<[u8; NONCE_BYTES]> = frames
            .iter()
            .map(|frame: &Sealed| {
                writer
                    .segment
                    .as_ref()
                    .expect("open")
                    .nonce(frame.header.seq)
            })
            .collect();
        for (frame, nonce) in frames.iter().zip(nonces) {
            assert!(
                known.iter().all(|key| !opens(&writer, key, nonce, frame)),
                "{suite:?}: state at frame {k} opens frame {}",
                frame.header.seq
            );
        }
        let next = next_frame(&mut writer, k);
        let nonce = writer
            .segment
            .as_ref()
            .expect("open")
            .nonce(next.header.seq);
        assert!(
            known.iter().any(|key| opens(&writer, key, nonce, &next)),
            "{suite:?}: the same search finds the key of the frame that follows, {k}"
        );
        frames.push(next);
    }
}

#[test]
fn signing_keys_of_past_epochs_and_the_seed_are_gone() {
    for suite in Suite::ALL {
        past_signing_keys_are_gone(suite);
    }
}

fn past_signing_keys_are_gone(suite: Suite) {
    let policy = WriterPolicy {
        checkpoint_frames: 2,
        ..WriterPolicy::default()
    };
    let mut writer = writer_of(suite, policy);
    writer.take_output();
    let signing_key = |writer: &Writer| live_secrets(writer).get(2).expect("third").clone();
    let mut past: Vec<Vec<u8>> = vec![SEED.to_vec()];
    for k in 0..10 {
        let current = signing_key(&writer);
        let known = derivable(&live_secrets(&writer));
        for old in past.iter().filter(|old| **old != current) {
            assert!(
                !known.contains(old),
                "{suite:?}: an old signing key can be derived at step {k}"
            );
        }
        if past.last() != Some(&current) {
            past.push(current);
        }
        next_frame(&mut writer, k);
    }
    let publics: BTreeSet<Vec<u8>> = past
        .iter()
        .filter_map(|secret| SigningKey::from_slice(suite.signature_algorithm(), secret))
        .map(|key| key.public().as_bytes().to_vec())
        .collect();
    assert!(publics.len() > 4, "each epoch has its own key");
}

#[test]
fn a_closed_writer_holds_no_segment_keys() {
    let mut writer = writer(WriterPolicy::default());
    writer.finish(now(1)).expect("finish");
    assert!(writer.segment.is_none());
}

#[test]
fn an_idle_writer_is_small_and_gives_its_buffer_back() {
    let mut writer = writer(WriterPolicy::default());
    writer
        .record(1, &Record::Output(&[0; 300_000]), now(0))
        .expect("record");
    writer.flush(now(0)).expect("flush");
    while writer.take_output().is_some() {}
    writer.handle_timeout(now(30_000)).expect("checkpoint");
    while writer.take_output().is_some() {}
    writer.handle_timeout(now(30_001)).expect("idle");
    assert_eq!(writer.out.capacity(), 0);
    assert!(
        size_of::<Writer>() <= 1_088,
        "{} bytes",
        size_of::<Writer>()
    );
}

#[test]
fn what_was_pending_is_erased_when_the_writer_is_dropped_or_broken() {
    let mut writer = writer(WriterPolicy::default());
    writer.take_output();
    writer
        .record(1, &Record::Input(b"not flushed"), now(0))
        .expect("record");
    assert!(writer.buffered_bytes() > 0);
    writer.close_broken();
    assert_eq!(writer.buffered_bytes(), 0);
    assert_eq!(
        writer.record(1, &Record::Shell, now(1)),
        Err(WriteError::Closed)
    );
}

/// Records so much output and takes the sealed bytes; gives where they began.
fn pass(writer: &mut Writer, bytes: usize) -> *const u8 {
    let output = vec![7; bytes];
    writer
        .record(1, &Record::Output(&output), now(1))
        .expect("record");
    writer.flush(now(1)).expect("flush");
    writer.take_output().expect("frames").as_ptr()
}

#[test]
fn what_was_taken_and_dropped_makes_room_for_the_next() {
    let mut writer = writer(WriterPolicy::default());
    pass(&mut writer, 200_000);
    let first = pass(&mut writer, 200_000);
    for bytes in [1, 100_000, 200_000, 7, 150_000] {
        assert_eq!(pass(&mut writer, bytes), first, "{bytes}");
    }
}

#[test]
fn what_was_taken_stays_as_it_is_while_more_is_sealed() {
    let mut writer = writer(WriterPolicy::default());
    pass(&mut writer, 1_000);
    writer
        .record(1, &Record::Output(&[7; 1_000]), now(1))
        .expect("record");
    writer.flush(now(1)).expect("flush");
    let first = writer.take_output().expect("a frame");
    let copy = first.to_vec();
    for _ in 0..100 {
        pass(&mut writer, 1_000);
    }
    assert_eq!(first, copy);
}

#[test]
fn a_large_buffer_goes_back_after_a_burst_and_after_a_quiet_time() {
    let mut writer = writer(WriterPolicy::default());
    pass(&mut writer, 2 * KEPT_BUFFER_BYTES);
    assert_eq!(writer.buffer_bytes, 0);
    pass(&mut writer, 100_000);
    assert!((100_000..=KEPT_BUFFER_BYTES).contains(&writer.buffer_bytes));
    writer.handle_timeout(now(60_000)).expect("timeout");
    writer.take_output();
    writer.handle_timeout(now(60_000)).expect("timeout");
    assert_eq!(writer.buffer_bytes, 0);
}
