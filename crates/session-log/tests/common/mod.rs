//! A log to test with, and a reader that keeps what it found.
#![allow(dead_code, reason = "each test file uses a part")]

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use session_log::{
    Event, Fault, GapInfo, Identity, Kem, LogId, Now, ReadMode, Reader, ReaderConfig, Record,
    SessionMeta, Side, Signers, SigningIdentity, Statement, Suite, Verdict, Writer, WriterConfig,
    WriterPolicy,
};

pub(crate) fn now(millis: u64) -> Now {
    Now {
        mono: Duration::from_millis(5_000 + millis),
        unix: Duration::from_millis(1_800_000_000_000 + millis),
    }
}

pub(crate) fn signer() -> SigningIdentity {
    SigningIdentity::from_seed([42; 32])
}

pub(crate) fn trust(signer: &SigningIdentity) -> Signers {
    Signers::from_text(&format!("proxy@example {}", signer.public_key_openssh())).unwrap()
}

pub(crate) fn identity(kem: Kem) -> Identity {
    Identity::generate(
        kem,
        &mut ChaCha20Rng::from_seed(
            [match kem {
                Kem::XWing => 9,
                Kem::P256 => 10,
                Kem::P384 => 11,
                _ => 8,
            }; 32],
        ),
    )
}

pub(crate) fn config(identities: &[Identity], policy: WriterPolicy) -> WriterConfig {
    WriterConfig {
        suite: Suite::default(),
        recipients: identities.iter().map(Identity::recipient).collect(),
        policy,
    }
}

pub(crate) fn writer(policy: WriterPolicy) -> Writer {
    Writer::create(
        &config(&[identity(Kem::X25519)], policy),
        &signer(),
        LogId([7; 16]),
        [1; 32],
        now(0),
    )
    .unwrap()
}

pub(crate) fn drain(writer: &mut Writer, log: &mut Vec<u8>) {
    while let Some(bytes) = writer.take_output() {
        log.extend_from_slice(&bytes);
    }
}

/// A short session: some checkpoints, every sort of frame, an end.
pub(crate) fn small_log() -> Vec<u8> {
    small_log_with(WriterPolicy {
        checkpoint_frames: 4,
        ..WriterPolicy::default()
    })
}

pub(crate) fn small_log_with(policy: WriterPolicy) -> Vec<u8> {
    let mut writer = writer(policy);
    let mut log = Vec::new();
    for (i, (channel, record)) in small_session().iter().enumerate() {
        let at = now(i as u64 * 100);
        writer.record(*channel, record, at).unwrap();
        writer.flush(at).unwrap();
        drain(&mut writer, &mut log);
    }
    writer.finish(now(2_000)).unwrap();
    drain(&mut writer, &mut log);
    log
}

pub(crate) fn small_session() -> Vec<(u32, Record<'static>)> {
    vec![
        (
            0,
            Record::SessionMeta(SessionMeta {
                session: "5e55",
                identity_email: "a@example.com",
                groups: vec!["admins", "db"],
                target_port: 22,
                unix_user: "root",
                ..SessionMeta::default()
            }),
        ),
        (
            1,
            Record::ChannelOpen {
                from: Side::Client,
                kind: "session",
                window: 2_097_152,
                max_packet: 32_768,
                data: b"",
            },
        ),
        (
            1,
            Record::Pty {
                term: "xterm",
                columns: 80,
                rows: 24,
                pixel_width: 0,
                pixel_height: 0,
                modes: &[1, 0, 0, 0, 3, 0],
            },
        ),
        (1, Record::Shell),
        (1, Record::Input(b"ls\r")),
        (1, Record::Output(b"ls\r\nfile\r\n$ ")),
        (1, Record::Input(&[4])),
        (1, Record::Output(b"logout\r\n")),
        (1, Record::ExitStatus { code: 0 }),
        (1, Record::Eof { from: Side::Target }),
        (1, Record::Close { from: Side::Target }),
        (
            0,
            Record::End {
                reason: "closed by target",
            },
        ),
    ]
}

/// A session long enough for several segments of the smallest size.
pub(crate) fn rotated_log() -> Vec<u8> {
    let mut writer = writer(WriterPolicy {
        rotate_bytes: 4_096,
        ..WriterPolicy::default()
    });
    let mut log = Vec::new();
    for i in 0..30 {
        writer
            .record(1, &Record::Output(&[i; 10]), now(u64::from(i)))
            .unwrap();
        writer.flush(now(u64::from(i))).unwrap();
        drain(&mut writer, &mut log);
    }
    writer.finish(now(40)).unwrap();
    drain(&mut writer, &mut log);
    log
}

/// What a reader found, owned.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) input: Vec<u8>,
    pub(crate) output: Vec<u8>,
    pub(crate) kinds: Vec<u16>,
    pub(crate) times: Vec<u64>,
    pub(crate) records: Vec<String>,
    pub(crate) gaps: Vec<GapInfo>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) checkpoints: Vec<session_log::CheckpointInfo>,
    pub(crate) opens: Vec<Statement>,
    pub(crate) frames: Vec<session_log::FrameInfo>,
    pub(crate) segments: Vec<session_log::SegmentInfo>,
    pub(crate) summary: Option<session_log::Summary>,
}

impl Found {
    pub(crate) fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Record(view) => {
                match &view.record {
                    Record::Input(data) => self.input.extend_from_slice(data),
                    Record::Output(data) => self.output.extend_from_slice(data),
                    _ => {}
                }
                self.kinds.push(view.kind);
                self.times.push(view.t_us);
                self.records
                    .push(format!("{} {:?}", view.channel, view.record));
            }
            Event::Gap(gap) => self.gaps.push(gap),
            Event::Checkpoint(info) => self.checkpoints.push(info),
            Event::Open(statement) => self.opens.push(statement),
            Event::Frame(info) => self.frames.push(info),
            Event::Segment(info) => self.segments.push(info),
            Event::Summary(summary) => self.summary = Some(summary),
            _ => {}
        }
    }
}

pub(crate) fn read_with(config: ReaderConfig, pieces: &[&[u8]]) -> (Found, Verdict) {
    let mut reader = Reader::new(config);
    let mut found = Found::default();
    for piece in pieces {
        reader.push(piece);
        while let Some(event) = reader.poll() {
            found.take(event);
        }
    }
    reader.finish();
    while let Some(event) = reader.poll() {
        found.take(event);
    }
    (found, reader.verdict())
}

pub(crate) fn reader_config(identities: Vec<Identity>, mode: ReadMode) -> ReaderConfig {
    ReaderConfig {
        identities,
        signers: Some(trust(&signer())),
        mode,
        ..ReaderConfig::default()
    }
}

/// Reads with the key and the right signers, strictly.
pub(crate) fn read(log: &[u8]) -> (Found, Verdict) {
    read_with(
        reader_config(vec![identity(Kem::X25519)], ReadMode::Strict),
        &[log],
    )
}

/// Verifies without a key.
pub(crate) fn verify(log: &[u8]) -> Verdict {
    read_with(reader_config(vec![], ReadMode::Strict), &[log]).1
}

pub(crate) fn salvage(log: &[u8]) -> (Found, Verdict) {
    read_with(
        reader_config(vec![identity(Kem::X25519)], ReadMode::Salvage),
        &[log],
    )
}
