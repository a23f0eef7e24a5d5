//! What the auditor does: verify a log without the key, read it with the key, watch it again.

use std::time::SystemTime;

use session_log::{
    Authenticity, Completeness, Decryption, Event, Identity, Integrity, Reader, ReaderConfig,
    Record, RecordView, Sanitizer, Signers, Style, Verdict, kind_name,
};
use zeroize::Zeroizing;

use super::Failure;
use crate::tool::is_printable;

/// How many characters of a record's bytes are shown.
const SHOWN_CHARS: usize = 60;

/// A session's log.
pub(super) struct Log {
    pub(super) name: String,
    pub(super) written: SystemTime,
    pub(super) bytes: Vec<u8>,
}

/// What the proxy left behind, and what an auditor has.
pub(super) struct Recorded {
    /// The access events, a JSON object a line.
    pub(super) events: String,
    /// The logs, oldest first.
    pub(super) logs: Vec<Log>,
    /// The private half of the recipient's key.
    pub(super) recipient: Zeroizing<String>,
    /// An `allowed_signers` file.
    pub(super) signers: String,
}

/// A log that was read.
pub(super) struct Reading {
    pub(super) verdict: Verdict,
    /// A line of text for every record.
    pub(super) records: Vec<String>,
    /// All that the person typed or sent.
    pub(super) input: Vec<u8>,
    /// All that came back, but for standard error.
    pub(super) output: Vec<u8>,
    /// All standard error.
    pub(super) stderr: Vec<u8>,
}

impl Reading {
    /// The output as text that is harmless for a terminal.
    pub(super) fn replay(&self) -> String {
        let mut text = String::new();
        Sanitizer::new(Style::Plain).push(&self.output, &mut text);
        text
    }

    /// All records as text.
    pub(super) fn lines(&self) -> String {
        self.records
            .iter()
            .fold(String::new(), |text, line| text + line + "\n")
    }
}

/// Whether bytes hold a text.
pub(super) fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

impl Recorded {
    /// Checks a log as somebody without the key can.
    pub(super) fn verify(&self, log: &Log) -> Result<Verdict, Failure> {
        Ok(self.examine(&log.bytes, Vec::new())?.verdict)
    }

    /// Reads a log with the key.
    pub(super) fn read(&self, log: &Log) -> Result<Reading, Failure> {
        self.examine(&log.bytes, vec![Identity::from_text(&self.recipient)?])
    }

    /// Reads bytes as a log, with any keys.
    pub(super) fn examine(
        &self,
        bytes: &[u8],
        identities: Vec<Identity>,
    ) -> Result<Reading, Failure> {
        let mut reader = Reader::new(ReaderConfig {
            identities,
            signers: Some(Signers::from_text(&self.signers)?),
            ..ReaderConfig::default()
        });
        let mut reading = Reading {
            verdict: reader.verdict(),
            records: Vec::new(),
            input: Vec::new(),
            output: Vec::new(),
            stderr: Vec::new(),
        };
        // As from a file too long for the memory.
        for piece in bytes.chunks(64 << 10) {
            reader.push(piece);
            take(&mut reader, &mut reading);
        }
        reader.finish();
        take(&mut reader, &mut reading);
        reading.verdict = reader.verdict();
        Ok(reading)
    }
}

fn take(reader: &mut Reader, reading: &mut Reading) {
    while let Some(event) = reader.poll() {
        if let Event::Record(view) = event {
            match view.record {
                Record::Input(bytes) => reading.input.extend_from_slice(bytes),
                Record::Output(bytes) => reading.output.extend_from_slice(bytes),
                Record::Stderr(bytes) => reading.stderr.extend_from_slice(bytes),
                _ => {}
            }
            reading.records.push(line(&view));
        }
    }
}

/// A record as one line.
fn line(view: &RecordView<'_>) -> String {
    let seconds = std::time::Duration::from_micros(view.t_us).as_secs_f64();
    let kind = kind_name(view.kind);
    let mut line = format!("  {seconds:9.4} s  {:>2}  {kind:<16}", view.channel);
    let details = match &view.record {
        Record::Input(bytes) | Record::Output(bytes) | Record::Stderr(bytes) => shown(bytes),
        Record::Exec { command } => shown(command),
        Record::Env { name, value } => format!("{}={}", shown(name), shown(value)),
        Record::SessionMeta(meta) => format!(
            "{} as {} on {}, certificate {}",
            meta.identity_email, meta.unix_user, meta.target_id, meta.certificate_key_id
        ),
        Record::Pty {
            term,
            columns,
            rows,
            ..
        } => format!("{term} {columns}x{rows}"),
        Record::Resize { columns, rows, .. } => format!("{columns}x{rows}"),
        Record::ExitStatus { code } => code.to_string(),
        Record::ChannelOpen { kind, .. } => (*kind).to_owned(),
        Record::Refused { what, why, .. } => format!("{what}: {why}"),
        Record::PolicyDecision {
            allowed, policy, ..
        } => format!(
            "{} by {policy}",
            if *allowed { "allowed" } else { "denied" }
        ),
        Record::End { reason } => (*reason).to_owned(),
        _ => String::new(),
    };
    for character in details.chars() {
        if is_printable(character) {
            line.push(character);
        } else {
            line.extend(character.escape_default());
        }
    }
    line.trim_end().to_owned()
}

/// Bytes as short text, not yet harmless for a terminal.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut short: String = text.chars().take(SHOWN_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// A verdict for people.
pub(super) fn in_words(verdict: &Verdict) -> String {
    let complete = match verdict.completeness {
        Completeness::Complete => "complete".to_owned(),
        other => format!("{other:?}"),
    };
    let intact = match verdict.integrity {
        Integrity::Intact => "intact".to_owned(),
        other => format!("{other:?}"),
    };
    let signer = match &verdict.authenticity {
        Authenticity::Verified { signer } => format!("signed by {signer}"),
        other => format!("{other:?}"),
    };
    let read = match verdict.decryption {
        Decryption::Ok => "decrypted",
        Decryption::NotAttempted => "still encrypted",
        Decryption::NoMatchingIdentity => "not for this key",
        _ => "not decrypted",
    };
    format!("{complete}, {intact}, {signer}, {read}")
}
