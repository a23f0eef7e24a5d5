//! `sshlog export`: a log in the formats of other programs.
//!
//! What a player writes to a terminal goes through the filter of `session-log` first. `raw` is what was recorded, byte for byte.

mod cast;
mod cloudflare;
mod ocsf;
mod streams;

pub(super) use cloudflare::ERROR_ALERT;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use session_log::{Event, Kem, Recipient, Record, RecordView};

use super::afterwards::read_recipients;
use super::keygen::create;
use super::read::{conclude, read_log, reader_config};
use super::{Source, SshlogError};

#[derive(Debug, Args)]
#[command(after_help = "\
Recordings, typescripts and transcripts are made harmless for the terminal that they are played on; raw and cloudflare hold what was recorded, byte
for byte. Files are made for their owner only, none is overwritten, and no name comes from the log.

Examples:
  sshlog export -i auditor --to asciicast-v2 --out session.cast session.sslg; asciinema play session.cast
  sshlog export -i auditor --to typescript --out session.txt session.sslg; scriptreplay -t session.txt.timing session.txt
  sshlog export -i auditor --to raw --channel 2 --out session.bin session.sslg
  sshlog export -i auditor --to cloudflare --recipient their.pub --out session.log session.sslg

Exit status: 0 the log is complete and intact, and its signer is the one asked for; 1 it is not, and what there is was exported; 2 it could not be
read, or a file not be written.")]
pub(super) struct Arguments {
    /// The format
    #[arg(long, value_enum)]
    to: Format,
    /// Only this channel; without it the first one that has output
    #[arg(long, value_name = "N")]
    channel: Option<u32>,
    /// Where to write it. `typescript` writes a second file with .timing at the end, `raw` one with .stdin and .stderr
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Who may read a log in Cloudflare's format: the public file of an X25519 key
    #[arg(long, value_name = "KEY.pub", required_if_eq("to", "cloudflare"))]
    recipient: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// asciinema recording, version 2
    AsciicastV2,
    /// asciinema recording, version 3
    AsciicastV3,
    /// What `script` writes and `scriptreplay` plays
    Typescript,
    /// Text without colours and cursor movement
    Transcript,
    /// Input, output and standard error as they were
    Raw,
    /// Every record as a line of JSON
    Jsonl,
    /// OCSF events: SSH activity, processes, files
    Ocsf,
    /// What Cloudflare's ssh-log-cli reads
    Cloudflare,
}

/// Takes the records of one channel.
trait Sink {
    fn take(&mut self, view: &RecordView<'_>) -> Result<(), SshlogError>;
    fn finish(&mut self) -> Result<(), SshlogError>;
}

pub(super) fn run(
    arguments: &Arguments,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool, SshlogError> {
    let file = |ending: &str| -> Result<BufWriter<File>, SshlogError> {
        let mut path = arguments.out.clone().into_os_string();
        path.push(ending);
        Ok(BufWriter::new(create(&PathBuf::from(path), 0o600, &[])?))
    };
    let mut channel = arguments.channel;
    let mut sink: Box<dyn Sink> = match arguments.to {
        Format::AsciicastV2 => Box::new(cast::Cast::new(file("")?, cast::Version::Two)),
        Format::AsciicastV3 => Box::new(cast::Cast::new(file("")?, cast::Version::Three)),
        Format::Typescript => Box::new(streams::Typescript::new(file("")?, file(".timing")?)),
        Format::Transcript => Box::new(streams::Transcript::new(file("")?)),
        Format::Raw => Box::new(streams::Raw::new(
            file("")?,
            file(".stdin")?,
            file(".stderr")?,
        )),
        Format::Jsonl => Box::new(streams::Lines::new(file("")?)),
        Format::Ocsf => Box::new(ocsf::Ocsf::new(file("")?)),
        Format::Cloudflare => {
            let facts = arguments.facts()?;
            channel = facts.channel;
            warn(&facts, err)?;
            let recipient = arguments.recipient()?;
            let sink = cloudflare::Cloudflare::new(file("")?, &recipient, facts.metadata)?;
            Box::new(sink)
        }
    };
    let whole = matches!(arguments.to, Format::Jsonl | Format::Ocsf);
    let verdict = read_log(
        &arguments.source.log,
        reader_config(&arguments.source.keys)?,
        |event| {
            let Event::Record(view) = event else {
                return Ok(());
            };
            if let Record::Pty { .. } | Record::Output(_) | Record::Stderr(_) = view.record
                && !whole
            {
                channel.get_or_insert(view.channel);
            }
            let every = matches!(view.record, Record::ClockAnchor { .. });
            let wanted = channel.is_none_or(|channel| channel == view.channel);
            if wanted || every {
                sink.take(&view)?;
            }
            Ok(())
        },
    )?;
    sink.finish()?;
    conclude(&verdict, &arguments.source.keys, out, err)
}

/// Says what Cloudflare's format has no place for.
fn warn(facts: &cloudflare::Facts, err: &mut dyn Write) -> Result<(), SshlogError> {
    writeln!(
        err,
        "sshlog: the format has no signature and no end, and holds one channel's data, its terminal and its exit; {} records were left out",
        facts.left_out
    )?;
    Ok(())
}

impl Arguments {
    /// What has to stand in front, from reading the log once.
    fn facts(&self) -> Result<cloudflare::Facts, SshlogError> {
        if self.source.log == Path::new("-") {
            return Err(SshlogError::ReadTwice);
        }
        let mut facts = cloudflare::Facts {
            channel: self.channel,
            ..cloudflare::Facts::default()
        };
        let config = reader_config(&self.source.keys)?;
        read_log(&self.source.log, config, |event| {
            facts.take(&event);
            Ok(())
        })?;
        Ok(facts)
    }

    fn recipient(&self) -> Result<Recipient, SshlogError> {
        let recipients = read_recipients(self.recipient.as_slice())?;
        recipients
            .into_iter()
            .find(|recipient| recipient.kem() == Kem::X25519)
            .ok_or(SshlogError::CloudflareKem)
    }
}
