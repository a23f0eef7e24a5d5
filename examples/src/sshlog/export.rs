//! `sshlog export`: a log in the formats of other programs.
//!
//! What a player writes to a terminal goes through the filter of `session-log` first. `raw` is what was recorded, byte for byte.

mod cast;
mod cloudflare;
mod ocsf;
mod streams;

pub(super) use cloudflare::ERROR_ALERT;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use session_log::{Event, Kem, Recipient, Record, RecordView, Sanitizer, Style};

use super::afterwards::read_recipients;
use super::output::{NewFile, PRIVATE};
use super::progress::Prints;
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
    /// Only this channel; without it the first with a terminal or output, or for `raw` and `cloudflare` with data of either direction
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
    // Whatever may fail comes before the files are made.
    let config = reader_config(&arguments.source.keys, err)?;
    let mut channel = arguments.channel;
    let mut sink: Box<dyn Sink> = match arguments.to {
        Format::AsciicastV2 => Box::new(cast::Cast::new(arguments.file("")?, cast::Version::Two)),
        Format::AsciicastV3 => Box::new(cast::Cast::new(arguments.file("")?, cast::Version::Three)),
        Format::Typescript => Box::new(streams::Typescript::new(
            arguments.file("")?,
            arguments.file(".timing")?,
        )),
        Format::Transcript => Box::new(streams::Transcript::new(arguments.file("")?)),
        Format::Raw => Box::new(streams::Raw::new(
            arguments.file("")?,
            arguments.file(".stdin")?,
            arguments.file(".stderr")?,
        )),
        Format::Jsonl => Box::new(streams::Lines::new(arguments.file("")?)),
        Format::Ocsf => Box::new(ocsf::Ocsf::new(arguments.file("")?)),
        Format::Cloudflare => {
            let recipient = arguments.recipient()?;
            let facts = arguments.facts()?;
            channel = facts.channel;
            warn(&facts, err)?;
            let file = arguments.file("")?;
            Box::new(cloudflare::Cloudflare::new(
                file,
                &recipient,
                facts.metadata,
            )?)
        }
    };
    let judged = read_log(&arguments.source.log, config, Prints::AtTheEnd, |event| {
        let Event::Record(view) = event else {
            return Ok(());
        };
        if arguments.to.chooses(&view.record) {
            channel.get_or_insert(view.channel);
        }
        // The clock stands on no channel.
        let is_clock = matches!(view.record, Record::ClockAnchor { .. });
        let is_wanted = match channel {
            Some(channel) => channel == view.channel,
            None => arguments.to.takes_all(),
        };
        if is_wanted || is_clock {
            sink.take(&view)?;
        }
        Ok(())
    })?;
    sink.finish()?;
    conclude(&judged, &arguments.source.keys, out, err)
}

impl Format {
    /// Whether, without `--channel`, the records of all channels are wanted.
    fn takes_all(self) -> bool {
        matches!(self, Format::Jsonl | Format::Ocsf)
    }

    /// Whether, without `--channel`, the first record of this kind says which channel is exported.
    fn chooses(self, record: &Record<'_>) -> bool {
        match record {
            Record::Pty { .. } | Record::Output(_) | Record::Stderr(_) => !self.takes_all(),
            // What was typed first belongs to the data, where input is exported.
            Record::Input(_) => matches!(self, Format::Raw | Format::Cloudflare),
            _ => false,
        }
    }
}

/// The filters of a channel's output and of its standard error: the pieces of two streams cannot be put together to something that neither holds.
struct Filters {
    output: Sanitizer,
    stderr: Sanitizer,
}

impl Filters {
    fn new(style: Style) -> Filters {
        Filters {
            output: Sanitizer::new(style),
            stderr: Sanitizer::new(style),
        }
    }

    /// What of the record a terminal may see; `None` for other records.
    fn text(&mut self, record: &Record<'_>) -> Option<String> {
        let (filter, data) = match record {
            Record::Output(data) => (&mut self.output, data),
            Record::Stderr(data) => (&mut self.stderr, data),
            _ => return None,
        };
        let mut text = String::new();
        filter.push(data, &mut text);
        Some(text)
    }
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
    fn file(&self, ending: &str) -> Result<NewFile, SshlogError> {
        let mut name = self.out.clone().into_os_string();
        name.push(ending);
        NewFile::create(&PathBuf::from(name), PRIVATE)
    }

    /// What has to stand in front, from reading the log once.
    fn facts(&self) -> Result<cloudflare::Facts, SshlogError> {
        if self.source.log == Path::new("-") {
            return Err(SshlogError::ReadTwice);
        }
        let mut facts = cloudflare::Facts {
            channel: self.channel,
            ..cloudflare::Facts::default()
        };
        let config = reader_config(&self.source.keys, &mut io::sink())?;
        read_log(&self.source.log, config, Prints::AtTheEnd, |event| {
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
