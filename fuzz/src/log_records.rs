//! Records from the writer to the reader: whatever the writer takes is read back as it was, in its order, and what it does
//! not take leaves the log going.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use session_log::{
    Completeness, Event, Identity, Integrity, Kem, LogId, Reader, ReaderConfig, Record, Side,
    Suite, Writer, WriterConfig, WriterPolicy,
};

use crate::input::{Input, text};
use crate::log_reader::{now, signer};

/// Most records of one run.
const MAX_RECORDS: usize = 64;

/// What a log holds: the three streams of data, and all else one by one.
#[derive(Debug, Default, PartialEq)]
struct Content {
    streams: [Vec<u8>; 3],
    others: Vec<String>,
}

impl Content {
    fn add(&mut self, channel: u32, record: &Record<'_>) {
        match record {
            Record::Input(bytes) => self.streams[0].extend_from_slice(bytes),
            Record::Output(bytes) => self.streams[1].extend_from_slice(bytes),
            Record::Stderr(bytes) => self.streams[2].extend_from_slice(bytes),
            // The writer's own.
            Record::ClockAnchor { .. } | Record::ClockJump { .. } => {}
            other => self.others.push(format!("{channel} {other:?}")),
        }
    }

    fn drain(&mut self, reader: &mut Reader) {
        while let Some(event) = reader.poll() {
            if let Event::Record(view) = event {
                self.add(view.channel, &view.record);
            }
        }
    }
}

/// Writes the records that `data` chooses and reads them back.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let identity = Identity::generate(Kem::X25519, &mut ChaCha20Rng::from_seed([8; 32]));
    let policy = WriterPolicy {
        frame_bytes: 512,
        checkpoint_frames: 8,
        rotate_bytes: 8_192,
        ..WriterPolicy::default()
    };
    let config = WriterConfig {
        suite: Suite::default(),
        recipients: vec![identity.recipient()],
        policy,
    };
    let mut writer = Writer::create(&config, &signer(), LogId([1; 16]), [1; 32], now(0))
        .expect("the settings are good");
    let mut reader = Reader::new(ReaderConfig {
        identities: vec![identity],
        ..ReaderConfig::default()
    });
    let (mut written, mut read) = (Content::default(), Content::default());
    let mut millis = 0;
    for _ in 0..MAX_RECORDS {
        if input.is_over() {
            break;
        }
        let channel = u32::from(input.byte());
        millis += u64::from(input.byte());
        let record = any_record(&mut input);
        if writer.record(channel, &record, now(millis)).is_ok() {
            written.add(channel, &record);
        }
        if input.flag() {
            writer.handle_timeout(now(millis)).expect("the log is open");
        }
        reader.push(&writer.take_output().unwrap_or_default());
        read.drain(&mut reader);
    }
    writer.finish(now(millis)).expect("the log is open");
    reader.push(&writer.take_output().unwrap_or_default());
    reader.finish();
    read.drain(&mut reader);
    let verdict = reader.verdict();
    assert_eq!(
        (verdict.integrity, verdict.completeness),
        (Integrity::Intact, Completeness::Complete)
    );
    assert_eq!(written, read);
}

fn any_record<'a>(input: &mut Input<'a>) -> Record<'a> {
    let kind = input.byte();
    let from = if input.flag() {
        Side::Client
    } else {
        Side::Target
    };
    let number = u32::from(input.word());
    let len = usize::from(input.word() % 2_048);
    let bytes = input.bytes(len);
    match kind % 12 {
        0 => Record::Input(bytes),
        1 => Record::Output(bytes),
        2 => Record::Stderr(bytes),
        3 => Record::Eof { from },
        4 => Record::Request {
            from,
            kind: text(bytes),
            want_reply: number > 7,
        },
        5 => Record::ChannelOpen {
            from,
            kind: "session",
            window: number,
            max_packet: number,
            data: bytes,
        },
        6 => Record::Env {
            name: b"LANG",
            value: bytes,
        },
        7 => Record::Exec { command: bytes },
        8 => Record::ExitSignal {
            name: "HUP",
            core_dumped: number > 7,
            message: text(bytes),
            language: "",
        },
        9 => Record::Annotation { text: text(bytes) },
        10 => Record::Refused {
            from,
            what: text(bytes),
            why: "no",
        },
        // Bodies are the caller's own CBOR, so that this is the writer's parser.
        _ => Record::Other {
            kind: number as u16,
            body: bytes,
        },
    }
}
