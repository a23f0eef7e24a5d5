//! When the writer seals, signs, rotates, refuses and ends.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::*;
use session_log::{
    CheckpointKind, Clock, Completeness, CreateError, Event, Integrity, Kem, LogId, Now, Padding,
    ReadMode, Reader, Record, Side, Suite, WriteError, Writer, WriterConfig, WriterPolicy,
};
use std::time::Duration;

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
fn records_until_a_flush_share_a_frame_however_urgent() {
    let refused = Record::Refused {
        from: Side::Client,
        what: "channel x11",
        why: "not supported",
    };
    let len = |records: usize| {
        let mut writer = writer(WriterPolicy::default());
        let _ = writer.take_output();
        for _ in 0..records {
            writer.record_until_flush(1, &refused, now(1)).unwrap();
        }
        assert!(writer.take_output().is_none());
        writer.flush(now(1)).unwrap();
        let mut log = writer.take_output().unwrap().to_vec();
        writer.finish(now(2)).unwrap();
        log.extend(writer.take_output().unwrap());
        log.len()
    };
    assert_eq!(len(1), len(3), "padding hides how many");
    assert!(len(1000) < len(1) + 1000 * 64);
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

type Write = fn(&mut Writer);

/// Kinds of the records of each segment.
fn kinds_by_segment(log: &[u8]) -> Vec<Vec<u16>> {
    let mut reader = Reader::new(reader_config(vec![identity(Kem::X25519)], ReadMode::Strict));
    reader.push(log);
    reader.finish();
    let mut segments = Vec::new();
    while let Some(event) = reader.poll() {
        match event {
            Event::Segment(_) => segments.push(Vec::new()),
            Event::Record(view) => segments.last_mut().unwrap().push(view.kind),
            _ => {}
        }
    }
    assert!(reader.verdict().is_good(), "{:?}", reader.verdict());
    segments
}

#[test]
fn the_calendar_is_the_first_record_of_every_segment_however_it_came_to_be() {
    const ANCHOR: u16 = 0x60;
    let policy = WriterPolicy {
        frame_bytes: 512,
        rotate_bytes: 4_096,
        ..WriterPolicy::default()
    };
    let one_large = |writer: &mut Writer| {
        writer
            .record(1, &Record::Output(&[7; 40_000]), now(1))
            .unwrap();
    };
    let many_small = |writer: &mut Writer| {
        for i in 0..200 {
            let text = "x".repeat(100 + i);
            writer
                .record(1, &Record::Annotation { text: &text }, now(1))
                .unwrap();
        }
    };
    let larger_than_segments = |writer: &mut Writer| {
        for _ in 0..5 {
            writer
                .record(
                    1,
                    &Record::Exec {
                        command: &[7; 9_000],
                    },
                    now(1),
                )
                .unwrap();
        }
    };
    let cases: [(&str, Write); 3] = [
        ("one large record", one_large),
        ("many small ones", many_small),
        ("records larger than a segment", larger_than_segments),
    ];
    for (what, write) in cases {
        let mut writer = writer(policy);
        write(&mut writer);
        writer.finish(now(2)).unwrap();
        let mut log = Vec::new();
        drain(&mut writer, &mut log);
        let segments = kinds_by_segment(&log);
        assert!(segments.len() > 4, "{what}: {}", segments.len());
        for kinds in segments.iter().filter(|kinds| !kinds.is_empty()) {
            let anchors = kinds.iter().filter(|kind| **kind == ANCHOR).count();
            assert_eq!((kinds[0], anchors), (ANCHOR, 1), "{what}: {kinds:?}");
            assert!(kinds.len() > 1, "{what}: an anchor for nothing");
        }
    }
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
            // Critical, and no reader knows it.
            Record::Other {
                kind: 0x8000,
                body: &[0xA0],
            },
            WriteError::MalformedBody,
        ),
        (
            Record::Other {
                kind: 0x70,
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
                kind: 0x70,
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
            .contains("Other { kind: 112, body: [161, 1, 97, 120] }")
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
