//! Hostile logs.
//!
//! - A log reads as complete, intact and signed when it is what the writer wrote: one of the seeds, byte for byte.
//! - The verdict does not depend on how the bytes are cut.
//! - What comes out is not more than what went in.

use std::sync::OnceLock;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use session_log::{
    Event, Identity, Kem, LogId, Now, ReadMode, Reader, ReaderConfig, Record, Side, Signers,
    SigningIdentity, Suite, Verdict, Writer, WriterConfig, WriterPolicy,
};

/// Reads `data` as a log in every way.
pub fn run(data: &[u8]) {
    let whole = read(data, ReadMode::Strict, usize::MAX);
    // A prime, so that the cuts fall everywhere; the length decides, so that mutations vary it.
    assert_eq!(
        whole,
        read(data, ReadMode::Strict, data.len() % 97 + 1),
        "the cuts change the verdict"
    );
    read(data, ReadMode::Salvage, usize::MAX);
}

fn read(data: &[u8], mode: ReadMode, piece: usize) -> (Verdict, usize) {
    let world = world();
    let config = ReaderConfig {
        identities: vec![Identity::from_text(&world.identity).expect("it is our own")],
        signers: Some(Signers::from_text(&world.signers).expect("they are our own")),
        mode,
        ..ReaderConfig::default()
    };
    let mut reader = Reader::new(config);
    let (mut events, mut record_bytes) = (0, 0);
    let mut drain = |reader: &mut Reader| {
        while let Some(event) = reader.poll() {
            events += 1;
            if let Event::Record(view) = event
                && let Record::Input(bytes) | Record::Output(bytes) | Record::Stderr(bytes) =
                    view.record
            {
                record_bytes += bytes.len();
            }
        }
    };
    for piece in data.chunks(piece) {
        reader.push(piece);
        drain(&mut reader);
    }
    reader.finish();
    drain(&mut reader);
    let verdict = reader.verdict();
    assert!(
        record_bytes <= data.len() && events <= data.len() + 1,
        "more comes out than went in"
    );
    let is_genuine = world.logs.iter().any(|log| log == data);
    assert_eq!(
        verdict.is_good(),
        is_genuine,
        "a forged log reads as good, or a good one as forged"
    );
    (verdict, events)
}

struct World {
    identity: String,
    signers: String,
    logs: Vec<Vec<u8>>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let identity = identity();
        World {
            identity: identity.to_text().to_string(),
            signers: format!("proxy@example {}", signer().public_key_openssh()),
            logs: genuine_logs(),
        }
    })
}

pub(crate) fn identity() -> Identity {
    Identity::generate(Kem::X25519, &mut ChaCha20Rng::from_seed([8; 32]))
}

pub(crate) fn signer() -> SigningIdentity {
    SigningIdentity::from_seed([42; 32])
}

pub(crate) fn now(millis: u64) -> Now {
    Now {
        mono: Duration::from_millis(millis),
        unix: Duration::from_millis(1_800_000_000_000 + millis),
    }
}

/// Whole logs: one short, one with checkpoints on the way, one of several segments.
pub(crate) fn genuine_logs() -> Vec<Vec<u8>> {
    let policy = WriterPolicy::default();
    [
        policy,
        WriterPolicy {
            checkpoint_frames: 2,
            ..policy
        },
        WriterPolicy {
            rotate_bytes: 4_096,
            padding: session_log::Padding::Exact,
            ..policy
        },
    ]
    .into_iter()
    .zip(0_u8..)
    .map(|(policy, number)| log_of(policy, number))
    .collect()
}

fn log_of(policy: WriterPolicy, number: u8) -> Vec<u8> {
    let config = WriterConfig {
        suite: Suite::default(),
        recipients: vec![identity().recipient()],
        policy,
    };
    let mut writer = Writer::create(
        &config,
        &signer(),
        LogId([number; 16]),
        [number; 32],
        now(0),
    )
    .expect("the settings are good");
    let mut log = Vec::new();
    let filler = [b'x'; 2_000];
    let records = [
        Record::ChannelOpen {
            from: Side::Client,
            kind: "session",
            window: 1 << 21,
            max_packet: 32_768,
            data: b"",
        },
        Record::Exec { command: b"ls" },
        Record::Output(b"file\r\n"),
        Record::Output(if number == 2 { &filler } else { b"$ " }),
        Record::Output(if number == 2 { &filler } else { b"" }),
        Record::ExitStatus { code: 0 },
    ];
    for (record, millis) in records.iter().zip(1_u64..) {
        writer
            .record(1, record, now(millis))
            .expect("the record is within limits");
        writer.flush(now(millis)).expect("the log is open");
        log.extend_from_slice(&writer.take_output().unwrap_or_default());
    }
    writer.finish(now(9)).expect("the log is open");
    log.extend_from_slice(&writer.take_output().unwrap_or_default());
    log
}
