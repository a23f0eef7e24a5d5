//! What holds of every log: all suites, one segment and several, compressed and not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

use common::*;
use proptest::prelude::*;
use session_log::{
    Completeness, Compression, Decryption, Event, Integrity, LogId, Padding, ReadMode, Reader,
    ReaderConfig, Record, Recovery, Suite, Verdict, Writer, WriterConfig, WriterPolicy,
};

const HOURS_6: Duration = Duration::from_secs(6 * 3_600);

/// A log, another of the same shape and signer, and what their reader needs.
struct Subject {
    name: String,
    suite: Suite,
    log: Vec<u8>,
    other: Vec<u8>,
}

/// Each suite, with and without compression, in one segment and in several.
fn subjects() -> &'static [Subject] {
    static SUBJECTS: OnceLock<Vec<Subject>> = OnceLock::new();
    SUBJECTS.get_or_init(|| {
        let mut subjects = Vec::new();
        for suite in Suite::ALL {
            for compression in [Compression::Off, Compression::Output] {
                for is_rotated in [true, false] {
                    // By size; and by time, since what is compressed stays small.
                    let (rotate_bytes, rotate_after) = match (is_rotated, compression) {
                        (true, Compression::Off) => (4_096, HOURS_6),
                        (true, _) => (1 << 26, Duration::from_secs(2)),
                        (false, _) => (1 << 26, HOURS_6),
                    };
                    let policy = WriterPolicy {
                        compression,
                        rotate_bytes,
                        rotate_after,
                        padding: Padding::Exact,
                        checkpoint_frames: 4,
                        ..WriterPolicy::default()
                    };
                    let subject = Subject {
                        name: format!("{suite:?} {compression:?} {is_rotated}"),
                        suite,
                        log: session(suite, policy, 7),
                        other: session(suite, policy, 8),
                    };
                    let segments = parts(&subject.log).0.len();
                    assert_eq!(segments > 2, is_rotated, "{}: {segments}", subject.name);
                    subjects.push(subject);
                }
            }
        }
        subjects
    })
}

fn session(suite: Suite, policy: WriterPolicy, number: u8) -> Vec<u8> {
    let config = WriterConfig {
        suite,
        recipients: vec![identity(suite.kems()[0]).recipient()],
        policy,
    };
    let (id, seed) = (LogId([number; 16]), [number; 32]);
    let mut writer = Writer::create(&config, &signer(), id, seed, now(0)).unwrap();
    let mut log = Vec::new();
    let listing = b"drwxr-xr-x 2 root root 4096 Jan  1 00:00 folder\r\n".repeat(90);
    let records = [
        Record::Exec { command: b"ls -l" },
        Record::Output(&listing),
        Record::Input(b"q"),
        Record::Output(&listing),
        Record::Stderr(b"gone\n"),
        Record::ExitStatus { code: 2 },
    ];
    for (second, record) in (1..).zip(&records) {
        let at = now(second * 1_000);
        writer.record(1, record, at).unwrap();
        writer.flush(at).unwrap();
        writer.handle_timeout(at).unwrap();
        drain(&mut writer, &mut log);
    }
    writer.finish(now(8_000)).unwrap();
    drain(&mut writer, &mut log);
    log
}

/// Byte ranges of the segments, and of the frames of all of them; read without any check but lengths.
fn parts(log: &[u8]) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let len = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap()) as usize;
    let (mut segments, mut frames): (Vec<Range<usize>>, Vec<Range<usize>>) = Default::default();
    let mut at = 0;
    while log[at..].starts_with(b"\x89SSLG\r\n\x1a") {
        let start = at;
        at += 20 + len(at + 12) + len(at + 16);
        while log[at..].starts_with(b"\xc5\x5c") {
            let end = at + 24 + len(at + 4);
            frames.push(at..end);
            at = end;
        }
        segments.push(start..at);
    }
    (segments, frames)
}

fn reader_of(suite: Suite, with_key: bool, mode: ReadMode) -> ReaderConfig {
    let keys = with_key.then(|| identity(suite.kems()[0]));
    reader_config(keys.into_iter().collect(), mode)
}

/// What somebody without any key may do to a log.
#[derive(Clone, Debug)]
enum Change {
    Flip { at: usize, bit: u8 },
    Delete { at: usize, len: usize },
    Insert { at: usize, bytes: Vec<u8> },
    Repeat { at: usize, len: usize },
    Truncate { at: usize },
    SwapFrames(usize, usize),
    DropFrame(usize),
    RepeatFrame { frame: usize, before: usize },
    ForeignFrame(usize),
    SwapSegments(usize, usize),
    DropSegment(usize),
    RepeatSegment { segment: usize, before: usize },
    ForeignSegment(usize),
    ForeignHeader(usize),
    ForeignTail { frame: usize },
}

fn any_change() -> impl Strategy<Value = Change> {
    let n = || any::<usize>();
    prop_oneof![
        4 => (n(), 0u8..8).prop_map(|(at, bit)| Change::Flip { at, bit }),
        2 => (n(), 1usize..40).prop_map(|(at, len)| Change::Delete { at, len }),
        2 => (n(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Change::Insert { at, bytes }),
        1 => (n(), 1usize..400).prop_map(|(at, len)| Change::Repeat { at, len }),
        2 => n().prop_map(|at| Change::Truncate { at }),
        2 => (n(), n()).prop_map(|(a, b)| Change::SwapFrames(a, b)),
        2 => n().prop_map(Change::DropFrame),
        1 => (n(), n()).prop_map(|(frame, before)| Change::RepeatFrame { frame, before }),
        2 => n().prop_map(Change::ForeignFrame),
        1 => (n(), n()).prop_map(|(a, b)| Change::SwapSegments(a, b)),
        1 => n().prop_map(Change::DropSegment),
        1 => (n(), n()).prop_map(|(segment, before)| Change::RepeatSegment { segment, before }),
        1 => n().prop_map(Change::ForeignSegment),
        1 => n().prop_map(Change::ForeignHeader),
        1 => n().prop_map(|frame| Change::ForeignTail { frame }),
    ]
}

fn replaced(log: &[u8], range: Range<usize>, with: &[u8]) -> Vec<u8> {
    [&log[..range.start], with, &log[range.end..]].concat()
}

fn swapped(log: &[u8], parts: &[Range<usize>], a: usize, b: usize) -> Vec<u8> {
    let (a, b) = (a % parts.len(), b % parts.len());
    let (first, second) = (parts[a.min(b)].clone(), parts[a.max(b)].clone());
    if a == b {
        return log.to_vec();
    }
    [
        &log[..first.start],
        &log[second.clone()],
        &log[first.end..second.start],
        &log[first],
        &log[second.end..],
    ]
    .concat()
}

fn apply(change: &Change, subject: &Subject) -> Vec<u8> {
    let (log, other) = (&subject.log[..], &subject.other[..]);
    let (segments, frames) = parts(log);
    let (other_segments, other_frames) = parts(other);
    let pick = |parts: &[Range<usize>], n: usize| parts[n % parts.len()].clone();
    match change {
        Change::Flip { at, bit } => {
            let mut log = log.to_vec();
            let at = at % log.len();
            log[at] ^= 1 << bit;
            log
        }
        Change::Delete { at, len } => {
            let at = at % log.len();
            replaced(log, at..(at + len).min(log.len()), b"")
        }
        Change::Insert { at, bytes } => {
            let at = at % (log.len() + 1);
            replaced(log, at..at, bytes)
        }
        Change::Repeat { at, len } => {
            let at = at % log.len();
            let end = (at + len).min(log.len());
            replaced(log, end..end, &log[at..end])
        }
        Change::Truncate { at } => log[..at % log.len()].to_vec(),
        Change::SwapFrames(a, b) => swapped(log, &frames, *a, *b),
        Change::DropFrame(n) => replaced(log, pick(&frames, *n), b""),
        Change::RepeatFrame { frame, before } => {
            let at = pick(&frames, *before).start;
            replaced(log, at..at, &log[pick(&frames, *frame)])
        }
        Change::ForeignFrame(n) => {
            replaced(log, pick(&frames, *n), &other[pick(&other_frames, *n)])
        }
        Change::SwapSegments(a, b) => swapped(log, &segments, *a, *b),
        Change::DropSegment(n) => replaced(log, pick(&segments, *n), b""),
        Change::RepeatSegment { segment, before } => {
            let at = pick(&segments, *before).start;
            replaced(log, at..at, &log[pick(&segments, *segment)])
        }
        Change::ForeignSegment(n) => {
            replaced(log, pick(&segments, *n), &other[pick(&other_segments, *n)])
        }
        Change::ForeignHeader(n) => {
            let header = |segments: &[Range<usize>], frames: &[Range<usize>]| {
                let start = pick(segments, *n).start;
                let first = frames.iter().find(|frame| frame.start > start);
                start..first.unwrap().start
            };
            let theirs = &other[header(&other_segments, &other_frames)];
            replaced(log, header(&segments, &frames), theirs)
        }
        Change::ForeignTail { frame } => {
            let at = pick(&frames, *frame).start;
            let theirs = pick(&other_frames, *frame).start;
            [&log[..at], &other[theirs..]].concat()
        }
    }
}

/// All that a reader says, in words.
fn story(config: ReaderConfig, pieces: &[&[u8]]) -> (Vec<String>, Verdict) {
    let mut reader = Reader::new(config);
    let mut events = Vec::new();
    let mut drain = |reader: &mut Reader| {
        while let Some(event) = reader.poll() {
            events.push(match event {
                Event::Record(view) => format!("{} {:?}", view.t_us, view.record),
                other => format!("{other:?}"),
            });
        }
    };
    for piece in pieces {
        reader.push(piece);
        drain(&mut reader);
    }
    reader.finish();
    drain(&mut reader);
    (events, reader.verdict())
}

#[test]
fn each_subject_is_good_with_its_key_and_without() {
    for subject in subjects() {
        for with_key in [false, true] {
            let config = reader_of(subject.suite, with_key, ReadMode::Strict);
            let verdict = story(config, &[&subject.log]).1;
            assert!(verdict.is_good(), "{}: {verdict:?}", subject.name);
            assert_eq!(verdict.decryption == Decryption::Ok, with_key);
        }
    }
    let compressed = |n: usize| subjects()[n].log.len() * 3 < subjects()[n - 2].log.len() * 2;
    assert!(compressed(3) && compressed(7), "compression does something");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_single_change_is_complete_and_intact_and_verified(
        which in any::<prop::sample::Index>(),
        change in any_change(),
        with_key in any::<bool>(),
        salvage in prop::bool::weighted(0.3),
    ) {
        let subject = which.get(subjects());
        let changed = apply(&change, subject);
        // Another whole log of the same signer is good as well: what a log is about, its reader must know from elsewhere.
        prop_assume!(changed != subject.log && changed != subject.other);
        let mode = if salvage { ReadMode::Salvage } else { ReadMode::Strict };
        let verdict = story(reader_of(subject.suite, with_key, mode), &[&changed]).1;
        prop_assert!(!verdict.is_good(), "{}: {verdict:?}", subject.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_split_of_the_input_gives_the_same_events(
        which in any::<prop::sample::Index>(),
        change in prop::option::of(any_change()),
        salvage in any::<bool>(),
        cuts in prop::collection::vec(1usize..3_000, 1..40),
    ) {
        let subject = which.get(subjects());
        let log = change.map_or_else(|| subject.log.clone(), |change| apply(&change, subject));
        let mode = if salvage { ReadMode::Salvage } else { ReadMode::Strict };
        let config = || reader_of(subject.suite, true, mode);
        let mut pieces = Vec::new();
        let mut rest = &log[..];
        for cut in cuts.iter().cycle() {
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(story(config(), &[&log]), story(config(), &pieces), "{}", subject.name);
    }

    #[test]
    fn a_log_cut_at_any_byte_is_recovered_and_attests_what_was_sealed(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
    ) {
        let subject = which.get(subjects());
        let cut = &subject.log[..at.index(subject.log.len())];
        let (segments, frames) = parts(&subject.log);
        let sealed = frames.iter().filter(|frame| frame.end <= cut.len()).count();
        let config = || reader_of(subject.suite, true, ReadMode::Strict);
        let (found, verdict) = read_with(config(), &[cut]);
        prop_assert_eq!(found.frames.len(), sealed);
        prop_assert_eq!(verdict.integrity, Integrity::Intact);
        let mut recovery = Recovery::default();
        recovery.push(cut);
        if let Some(missing) = recovery.missing_trailer() {
            let keep = usize::try_from(missing.keep_bytes).unwrap();
            prop_assert_eq!(&[&cut[..keep], &missing.tail].concat(), &subject.log);
            return Ok(());
        }
        let recipients = vec![identity(subject.suite.kems()[0]).recipient()];
        let recovered = recovery
            .begin(recipients, signer().public_key(), [5; 32], now(90_000))
            .and_then(|opening| opening.sign(&signer()));
        if sealed == 0 {
            prop_assert!(recovered.is_err());
            return Ok(());
        }
        let recovered = recovered.unwrap();
        let begun = segments.iter().rfind(|segment| {
            frames.iter().any(|frame| segment.contains(&frame.start) && frame.end <= cut.len())
        });
        let begun = begun.unwrap();
        let whole = |frame: &&Range<usize>| begun.contains(&frame.start) && frame.end <= cut.len();
        prop_assert_eq!(recovered.attestation.frames, frames.iter().filter(whole).count() as u64);
        let keep = usize::try_from(recovered.keep_bytes).unwrap();
        prop_assert_eq!(keep, frames[sealed - 1].end);
        let log = [&cut[..keep], &recovered.tail].concat();
        let (again, verdict) = read_with(config(), &[&log]);
        prop_assert_eq!(&again.records, &found.records);
        let is_recovered = matches!(
            verdict.completeness,
            Completeness::Recovered { frames, .. } if frames == sealed as u64
        );
        prop_assert!(is_recovered && verdict.integrity == Integrity::Intact, "{verdict:?}");
    }
}

#[test]
fn after_each_byte_exactly_the_sealed_frames_are_read() {
    for subject in subjects() {
        let frames = parts(&subject.log).1;
        let mut reader = Reader::new(reader_of(subject.suite, true, ReadMode::Strict));
        let mut seen = 0;
        for (at, byte) in (1..).zip(&subject.log) {
            reader.push(core::slice::from_ref(byte));
            while let Some(event) = reader.poll() {
                seen += usize::from(matches!(event, Event::Frame(_)));
            }
            let sealed = frames.iter().filter(|frame| frame.end <= at).count();
            assert_eq!(seen, sealed, "{}: byte {at}", subject.name);
            assert_eq!(reader.verdict().integrity, Integrity::Intact);
        }
        reader.finish();
        assert!(reader.verdict().is_good(), "{}", subject.name);
    }
}
