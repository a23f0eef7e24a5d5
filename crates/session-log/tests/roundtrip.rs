//! What was written is what is read.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::*;
use proptest::prelude::*;
use session_log::{
    Authenticity, ChannelSummary, CheckpointKind, Decryption, Exit, FrameKind, Kem, LogId,
    OutputDigest, Padding, ReadMode, Record, Strength, Suite, Writer, WriterConfig, WriterPolicy,
};

#[test]
fn a_session_reads_back_complete_intact_and_verified() {
    let log = small_log();
    let (found, verdict) = read(&log);
    assert!(verdict.is_good(), "{verdict:?}");
    assert_eq!(verdict.decryption, Decryption::Ok);
    assert_eq!(verdict.strength, Strength::Classical);
    assert_eq!(
        verdict.authenticity,
        Authenticity::Verified {
            signer: "proxy@example".into()
        }
    );
    let expected: Vec<String> =
        std::iter::once("0 ClockAnchor { unix_ms: 1800000000000 }".to_owned())
            .chain(
                small_session()
                    .iter()
                    .map(|(channel, record)| format!("{channel} {record:?}")),
            )
            .collect();
    assert_eq!(found.records, expected);
    assert_eq!(
        found.times,
        (0..13)
            .map(|i: u64| i.saturating_sub(1) * 100_000)
            .collect::<Vec<_>>()
    );
    let last = found.checkpoints.last().unwrap();
    assert_eq!(last.kind, CheckpointKind::Final);
    assert_eq!(last.frames, found.frames.len() as u64 - 1);
    let summary = found.summary.unwrap();
    assert_eq!(
        summary.channels[&1],
        ChannelSummary {
            input_bytes: 4,
            output_bytes: 20,
            exit: Some(Exit::Status(0)),
            ..ChannelSummary::default()
        }
    );
    assert_eq!((summary.first_us, summary.last_us), (0, 1_100_000));
    assert_eq!(summary.counters.values().sum::<u64>(), 13);
}

#[test]
fn verification_needs_no_key() {
    let verdict = verify(&small_log());
    assert!(verdict.is_good(), "{verdict:?}");
    assert_eq!(verdict.decryption, Decryption::NotAttempted);
}

#[test]
fn every_recipient_reads_with_either_mechanism_and_suite() {
    for suite in [Suite::Aes256GcmSha256, Suite::ChaCha20Poly1305Sha256] {
        let recipients = vec![
            identity(Kem::XWing).recipient().anonymous(),
            identity(Kem::X25519).recipient(),
        ];
        let config = WriterConfig {
            suite,
            recipients,
            policy: WriterPolicy::default(),
        };
        let mut writer =
            Writer::create(&config, &signer(), LogId([7; 16]), [1; 32], now(0)).unwrap();
        writer.record(1, &Record::Output(b"hello"), now(1)).unwrap();
        writer.finish(now(2)).unwrap();
        let mut log = Vec::new();
        drain(&mut writer, &mut log);
        for kem in [Kem::XWing, Kem::X25519] {
            let (found, verdict) = read_with(
                reader_config(vec![identity(kem)], ReadMode::Strict),
                &[&log],
            );
            assert!(
                verdict.is_good() && verdict.decryption == Decryption::Ok,
                "{suite:?} {kem:?} {verdict:?}"
            );
            assert_eq!(
                verdict.strength,
                Strength::Classical,
                "one classical recipient makes it so"
            );
            assert_eq!(found.output, b"hello");
            assert_eq!(
                found.segments[0]
                    .recipients
                    .iter()
                    .map(|r| r.key_id.len())
                    .collect::<Vec<_>>(),
                [0, 8]
            );
        }
    }
}

#[test]
fn a_log_for_post_quantum_recipients_only_says_so() {
    let config = config(&[identity(Kem::XWing)], WriterPolicy::default());
    let mut writer = Writer::create(&config, &signer(), LogId([7; 16]), [1; 32], now(0)).unwrap();
    writer.finish(now(2)).unwrap();
    let mut log = Vec::new();
    drain(&mut writer, &mut log);
    assert_eq!(verify(&log).strength, Strength::PostQuantum);
}

#[test]
fn another_identity_verifies_and_reads_nothing() {
    let other = session_log::Identity::from_text(&identity(Kem::XWing).to_text()).unwrap();
    let (found, verdict) = read_with(
        reader_config(vec![other], ReadMode::Strict),
        &[&small_log()],
    );
    assert_eq!(verdict.decryption, Decryption::NoMatchingIdentity);
    assert!(verdict.is_good() && found.records.is_empty());
}

#[test]
fn equal_seed_and_calls_give_equal_bytes_and_another_seed_others() {
    assert_eq!(small_log(), small_log());
    let with_seed = |seed: u8| {
        let config = config(&[identity(Kem::X25519)], WriterPolicy::default());
        let mut writer =
            Writer::create(&config, &signer(), LogId([7; 16]), [seed; 32], now(0)).unwrap();
        let mut log = Vec::new();
        drain(&mut writer, &mut log);
        log
    };
    assert_ne!(with_seed(1), with_seed(2));
}

#[test]
fn the_bytes_of_version_1_have_not_changed() {
    use sha2::Digest as _;
    let digest = |log: &[u8]| {
        sha2::Sha256::digest(log)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(
        digest(&small_log()),
        "d440df763c2ae02a24a731217a7296908cfbe91a5103fe369143d2fb43bb45c8"
    );
    assert_eq!(
        digest(&rotated_log()),
        "5bcb9924bd333e7ebdea33092ff2dfd62ed0e4fa00c4f3e24dbd89e174a29e90"
    );
}

#[test]
fn large_data_is_split_and_nothing_is_lost() {
    let data: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 % 251) as u8).collect();
    let mut writer = writer(WriterPolicy {
        output_digest: OutputDigest::Sha256,
        ..WriterPolicy::default()
    });
    let mut log = Vec::new();
    for chunk in data.chunks(123_457) {
        writer.record(3, &Record::Output(chunk), now(1)).unwrap();
        drain(&mut writer, &mut log);
    }
    writer.finish(now(2)).unwrap();
    drain(&mut writer, &mut log);
    let (found, verdict) = read(&log);
    assert!(verdict.is_good(), "{verdict:?}");
    assert!(found.output == data);
    assert!(
        log.len() < data.len() + data.len() / 200,
        "overhead below half a percent, got {}",
        log.len() - data.len()
    );
    assert!(found.frames.iter().all(|frame| frame.bytes <= 65_536 + 56));
    use sha2::Digest as _;
    let sum: [u8; 32] = sha2::Sha256::digest(&data).into();
    assert_eq!(found.summary.unwrap().channels[&3].output_sha256, Some(sum));
}

#[test]
fn a_session_does_not_end_for_being_large_but_opens_further_segments() {
    let policy = WriterPolicy {
        rotate_bytes: 20_000,
        checkpoint_frames: 7,
        ..WriterPolicy::default()
    };
    let mut writer = writer(policy);
    let (mut log, mut expected) = (Vec::new(), Vec::new());
    for i in 0..200u64 {
        let piece = vec![i as u8; 1_000];
        writer.record(1, &Record::Output(&piece), now(i)).unwrap();
        writer.flush(now(i)).unwrap();
        drain(&mut writer, &mut log);
        expected.extend_from_slice(&piece);
    }
    writer.finish(now(300)).unwrap();
    drain(&mut writer, &mut log);
    let (found, verdict) = read(&log);
    assert!(verdict.is_good(), "{verdict:?}");
    assert!(verify(&log).is_good());
    assert_eq!(found.output, expected);
    assert!(found.segments.len() > 10, "{}", found.segments.len());
    assert!(
        found
            .segments
            .iter()
            .enumerate()
            .all(|(i, segment)| segment.number as usize == i)
    );
    assert!(found.times.is_sorted());
    let rotated = found
        .checkpoints
        .iter()
        .filter(|c| c.kind == CheckpointKind::Rotated)
        .count();
    assert_eq!(rotated, found.segments.len() - 1);
    assert_eq!(
        found.kinds.iter().filter(|kind| **kind == 0x60).count(),
        found.segments.len(),
        "each segment ties its clock"
    );
}

#[test]
fn keystrokes_all_look_alike_at_rest() {
    let (found, _) = read(&small_log());
    let sizes: Vec<u32> = found
        .frames
        .iter()
        .filter(|f| f.kind == FrameKind::Data)
        .map(|f| f.bytes)
        .collect();
    assert!(sizes.iter().all(|size| *size == 24 + 32 + 512), "{sizes:?}");
}

#[test]
fn counts_of_channels_beyond_the_limit_are_summed() {
    let mut writer = writer(WriterPolicy::default());
    for channel in 0..300 {
        writer
            .record(channel, &Record::Input(b"x"), now(1))
            .unwrap();
    }
    writer.finish(now(2)).unwrap();
    let mut log = Vec::new();
    drain(&mut writer, &mut log);
    let (found, _) = read(&log);
    let summary = found.summary.unwrap();
    assert_eq!((summary.channels.len(), summary.omitted_records), (256, 44));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_operations_read_back_in_order_in_any_pieces(
        ops in prop::collection::vec((0u8..4, prop::collection::vec(any::<u8>(), 0..3_000), 0u64..2_000), 1..40),
        frame_bytes in 512u32..8_192,
        rotate_bytes in 4_096u64..40_000,
        exact in any::<bool>(),
        piece in 1usize..5_000,
    ) {
        let padding = if exact { Padding::Exact } else { Padding::Padme { floor_bytes: 512 } };
        let policy = WriterPolicy { frame_bytes, rotate_bytes, padding, checkpoint_frames: 3, ..WriterPolicy::default() };
        let mut writer = writer(policy);
        let (mut log, mut input, mut output, mut millis) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (op, data, wait) in &ops {
            millis += wait;
            match op {
                0 => {
                    writer.record(1, &Record::Input(data), now(millis)).unwrap();
                    input.extend_from_slice(data);
                }
                1 => {
                    writer.record(1, &Record::Output(data), now(millis)).unwrap();
                    output.extend_from_slice(data);
                }
                2 => writer.flush(now(millis)).unwrap(),
                _ => writer.handle_timeout(now(millis)).unwrap(),
            }
            drain(&mut writer, &mut log);
        }
        writer.finish(now(millis)).unwrap();
        drain(&mut writer, &mut log);
        let whole = read(&log);
        prop_assert!(whole.1.is_good(), "{:?}", whole.1);
        prop_assert_eq!(&whole.0.input, &input);
        prop_assert_eq!(&whole.0.output, &output);
        prop_assert!(whole.0.times.is_sorted());
        let pieces: Vec<&[u8]> = log.chunks(piece).collect();
        let split = read_with(reader_config(vec![identity(Kem::X25519)], ReadMode::Strict), &pieces);
        prop_assert_eq!(split.1, whole.1);
        prop_assert_eq!(split.0.records, whole.0.records);
    }
}
