//! `sshlog export`: a log in the formats of other programs.
//!
//! What a player writes to a terminal goes through the filter of `session-log` first. `raw` is what was recorded, byte for byte.

mod cast;
mod ocsf;
mod streams;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use session_log::{Event, Record, RecordView};

use super::keygen::create;
use super::read::{conclude, read_log, reader_config};
use super::{Source, SshlogError};

#[derive(Debug, Args)]
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
    };
    let whole = matches!(arguments.to, Format::Jsonl | Format::Ocsf);
    let mut channel = arguments.channel;
    let verdict = read_log(
        &arguments.source.log,
        reader_config(&arguments.source)?,
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
    conclude(&verdict, &arguments.source, out, err)
}
