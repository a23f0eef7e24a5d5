//! What was written is what is read.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::*;
use proptest::prelude::*;
use session_log::{
    Authenticity, ChannelSummary, CheckpointKind, Clock, Completeness, CreateError, Decryption,
    Exit, FrameKind, Integrity, Kem, LogId, Now, OutputDigest, Padding, ReadMode, Record, Side,
    Strength, Suite, WriteError, Writer, WriterConfig, WriterPolicy,
};
use std::time::Duration;

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
        "23540c6d8cd88ae9a52a8df3fcdda46c16d1577938ad8d4447415182ab287586"
    );
    assert_eq!(
        digest(&rotated_log()),
        "6492fe5481cea0fbfcbc8aca420002cc515f89e09d02b281f9e5adeef46e15f7"
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
fn a_segment_that_is_old_enough_is_closed_by_the_timer() {
    let mut writer = writer(WriterPolicy {
        rotate_after: Duration::from_secs(60),
        ..WriterPolicy::default()
    });
    let mut log = Vec::new();
    let mut at = now(0);
    while at.mono < now(200_000).mono {
        let due = writer.poll_timeout().unwrap();
        assert!(due > at.mono, "a deadline lies ahead");
        at = Now {
            mono: due,
            unix: at.unix + (due - at.mono),
        };
        writer.handle_timeout(at).unwrap();
        drain(&mut writer, &mut log);
    }
    writer.finish(at).unwrap();
    drain(&mut writer, &mut log);
    let (found, verdict) = read(&log);
    assert!(verdict.is_good(), "{verdict:?}");
    assert_eq!(found.segments.len(), 4);
}

#[test]
fn timers_seal_sign_and_beat_without_being_asked() {
    let mut writer = writer(WriterPolicy::default());
    let mut log = Vec::new();
    drain(&mut writer, &mut log);
    writer.record(1, &Record::Input(b"x"), now(10)).unwrap();
    assert!(writer.take_output().is_none(), "a keystroke may wait");
    assert_eq!(writer.poll_timeout(), Some(now(1_010).mono));
    writer.handle_timeout(now(1_009)).unwrap();
    assert!(writer.take_output().is_none(), "an early call does nothing");
    writer.handle_timeout(now(1_010)).unwrap();
    drain(&mut writer, &mut log);
    let (found, verdict) = read(&log);
    assert_eq!(found.input, b"x");
    assert_eq!(
        verdict.completeness,
        Completeness::Truncated {
            attested_frames: 0,
            frames: 2
        }
    );

    assert_eq!(
        writer.poll_timeout(),
        Some(now(30_000).mono),
        "the OPEN frame is the first that waits for a checkpoint"
    );
    writer.handle_timeout(now(30_000)).unwrap();
    drain(&mut writer, &mut log);
    assert_eq!(writer.poll_timeout(), Some(now(330_000).mono));
    writer.handle_timeout(now(330_000)).unwrap();
    drain(&mut writer, &mut log);
    let (found, verdict) = read(&log);
    assert_eq!(
        verdict.completeness,
        Completeness::Truncated {
            attested_frames: 3,
            frames: 4
        }
    );
    assert_eq!(
        found.checkpoints.iter().map(|c| c.kind).collect::<Vec<_>>(),
        [CheckpointKind::Periodic, CheckpointKind::Heartbeat]
    );
}

#[test]
fn a_timer_signature_does_not_disturb_the_frame_being_filled() {
    let policy = WriterPolicy {
        flush_after: Duration::from_secs(100),
        ..WriterPolicy::default()
    };
    let mut writer = writer(policy);
    writer
        .record(1, &Record::Input(b"before"), now(10))
        .unwrap();
    writer.handle_timeout(now(30_000)).unwrap();
    writer
        .record(1, &Record::Input(b" after"), now(30_001))
        .unwrap();
    writer.finish(now(30_002)).unwrap();
    let mut log = Vec::new();
    drain(&mut writer, &mut log);
    let (found, verdict) = read(&log);
    assert!(verdict.is_good(), "{verdict:?}");
    assert_eq!(found.input, b"before after");
}

#[test]
fn commands_decisions_and_exits_are_sealed_at_once_and_keystrokes_are_not() {
    let urgent = [
        Record::Exec { command: b"id" },
        Record::Shell,
        Record::Subsystem { name: "sftp" },
        Record::ExitStatus { code: 1 },
        Record::ExitSignal {
            name: "KILL",
            core_dumped: false,
            message: "",
            language: "",
        },
        Record::PolicyDecision {
            allowed: false,
            policy: "p",
            text: "no",
        },
        Record::Alert {
            code: "x",
            text: "y",
        },
        Record::Refused {
            from: Side::Client,
            what: "channel x11",
            why: "not supported",
        },
        Record::End { reason: "r" },
    ];
    for record in urgent {
        let mut writer = writer(WriterPolicy::default());
        let _ = writer.take_output();
        writer.record(1, &record, now(1)).unwrap();
        assert!(writer.take_output().is_some(), "{record:?}");
        writer.flush(now(1)).unwrap();
        assert!(writer.take_output().is_none(), "nothing is left to flush");
    }
}

#[test]
fn clocks_that_jump_are_noted_and_log_time_never_goes_back() {
    let mut writer = writer(WriterPolicy::default());
    let at = |mono_ms: u64, unix_ms: u64| Now {
        mono: Duration::from_millis(mono_ms),
        unix: Duration::from_millis(unix_ms),
    };
    let base = 1_800_000_000_000;
    writer
        .record(1, &Record::Input(b"a"), at(5_000, base))
        .unwrap();
    writer
        .record(1, &Record::Input(b"b"), at(3_000, base + 10))
        .unwrap();
    writer
        .record(1, &Record::Input(b"c"), at(3_500, base + 510))
        .unwrap();
    writer
        .record(1, &Record::Input(b"d"), at(3_600, base - 3_600_000))
        .unwrap();
    writer
        .record(1, &Record::Input(b"e"), at(3_700, base - 3_600_000 + 100))
        .unwrap();
    writer.finish(at(3_800, base - 3_600_000 + 200)).unwrap();
    let mut log = Vec::new();
    drain(&mut writer, &mut log);
    let (found, verdict) = read(&log);
    assert!(verdict.is_good(), "{verdict:?}");
    assert!(found.times.is_sorted(), "{:?}", found.times);
    let jumps: Vec<&String> = found
        .records
        .iter()
        .filter(|record| record.contains("Clock"))
        .collect();
    let mono = format!(
        "0 {:?}",
        Record::ClockJump {
            clock: Clock::Mono,
            delta_ms: -2_000
        }
    );
    let unix = format!(
        "0 {:?}",
        Record::ClockJump {
            clock: Clock::Unix,
            delta_ms: -3_600_600
        }
    );
    assert_eq!(jumps.len(), 4, "{jumps:?}");
    assert_eq!((jumps[1], jumps[2]), (&mono, &unix));
    assert!(jumps[3].contains("ClockAnchor"));
    assert_eq!(
        *found.times.last().unwrap(),
        700_000,
        "time went on by what went forward"
    );
}

#[test]
fn a_closed_log_takes_nothing_more() {
    for end in [Writer::finish, Writer::abort] {
        let mut writer = writer(WriterPolicy::default());
        end(&mut writer, now(1)).unwrap();
        let mut log = Vec::new();
        drain(&mut writer, &mut log);
        assert_eq!(
            writer.record(1, &Record::Shell, now(2)),
            Err(WriteError::Closed)
        );
        assert_eq!(writer.flush(now(2)), Err(WriteError::Closed));
        assert_eq!(writer.handle_timeout(now(2)), Err(WriteError::Closed));
        assert_eq!(writer.finish(now(2)), Err(WriteError::Closed));
        assert_eq!(writer.abort(now(2)), Err(WriteError::Closed));
        assert_eq!(writer.poll_timeout(), None);
        assert!(writer.take_output().is_none());
    }
}

#[test]
fn an_aborted_log_says_so_and_keeps_what_was_pending() {
    let mut writer = writer(WriterPolicy::default());
    writer
        .record(1, &Record::Input(b"last words"), now(1))
        .unwrap();
    writer.abort(now(2)).unwrap();
    let mut log = Vec::new();
    drain(&mut writer, &mut log);
    let (found, verdict) = read(&log);
    assert_eq!(verdict.completeness, Completeness::Aborted { frames: 3 });
    assert_eq!(verdict.integrity, Integrity::Intact);
    assert_eq!(found.input, b"last words");
    assert!(!verdict.is_good());
}

#[test]
fn records_that_a_reader_would_refuse_are_refused_when_written_and_the_log_goes_on() {
    let mut writer = writer(WriterPolicy::default());
    let long = "x".repeat(65_537);
    let huge = vec![0; 1 << 20];
    let many = vec!["g"; 1_025];
    let cases = [
        (
            Record::Annotation { text: &long },
            WriteError::TextTooLong {
                limit: 65_536,
                got: 65_537,
            },
        ),
        (
            Record::Exec { command: &huge },
            WriteError::RecordTooLarge {
                limit: 1_048_576,
                got: 1_048_587,
            },
        ),
        (
            Record::SessionMeta(session_log::SessionMeta {
                groups: many,
                ..Default::default()
            }),
            WriteError::ListTooLong {
                limit: 1_024,
                got: 1_025,
            },
        ),
        (
            Record::Other {
                kind: 0x30,
                body: &[0x18, 0x01],
            },
            WriteError::MalformedBody,
        ),
        (
            Record::Other {
                kind: 0x14,
                body: &[0xa0],
            },
            WriteError::MalformedBody,
        ),
    ];
    for (record, expected) in cases {
        assert_eq!(writer.record(1, &record, now(1)), Err(expected));
    }
    let largest = vec![0; (1 << 20) - 64];
    writer
        .record(1, &Record::Exec { command: &largest }, now(1))
        .unwrap();
    writer
        .record(
            1,
            &Record::Other {
                kind: 0x30,
                body: &[0xa1, 0x01, 0x61, b'x'],
            },
            now(1),
        )
        .unwrap();
    writer.finish(now(2)).unwrap();
    let mut log = Vec::new();
    drain(&mut writer, &mut log);
    let (found, verdict) = read(&log);
    assert!(verdict.is_good(), "{verdict:?}");
    assert!(
        found
            .records
            .last()
            .unwrap()
            .contains("Other { kind: 48, body: [161, 1, 97, 120] }")
    );
}

#[test]
fn a_writer_needs_recipients_and_a_policy_in_range() {
    let create = |count: usize, policy: WriterPolicy| {
        let recipients = vec![identity(Kem::X25519).recipient(); count];
        let config = WriterConfig {
            suite: Suite::default(),
            recipients,
            policy,
        };
        Writer::create(&config, &signer(), LogId([7; 16]), [1; 32], now(0)).map(|_| ())
    };
    let policy = WriterPolicy::default();
    assert_eq!(create(0, policy), Err(CreateError::NoRecipients));
    assert_eq!(
        create(65, policy),
        Err(CreateError::TooManyRecipients { limit: 64, got: 65 })
    );
    assert_eq!(create(1, policy), Ok(()));
    for bad in [
        WriterPolicy {
            frame_bytes: 511,
            ..policy
        },
        WriterPolicy {
            frame_bytes: (1 << 20) + 1,
            ..policy
        },
        WriterPolicy {
            checkpoint_frames: 0,
            ..policy
        },
        WriterPolicy {
            checkpoint_bytes: 0,
            ..policy
        },
        WriterPolicy {
            heartbeat_after: Duration::ZERO,
            ..policy
        },
        WriterPolicy {
            rotate_bytes: 4_095,
            ..policy
        },
        WriterPolicy {
            rotate_bytes: 1 << 30,
            ..policy
        },
        WriterPolicy {
            padding: Padding::Padme {
                floor_bytes: 65_537,
            },
            ..policy
        },
    ] {
        assert!(
            matches!(create(1, bad), Err(CreateError::Policy(_))),
            "{bad:?}"
        );
    }
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
