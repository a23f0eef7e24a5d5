//! Going to a time by a log's index.

use std::io::Write;

use session_log::{Event, Reader, ReaderConfig, Record, SeekTo, Seeker};

use super::Arguments;
use crate::sshlog::SshlogError;
use crate::sshlog::input::{Files, Input};
use crate::sshlog::moment::Calendar;
use crate::sshlog::read::PIECE_BYTES;

/// Where the reading begins.
pub(super) struct Place {
    pub(super) files: Files,
    pub(super) reader: Reader,
    pub(super) calendar: Calendar,
    /// The terminal that the session asked for at its beginning.
    pub(super) size: Option<(u32, u32)>,
}

/// So much earlier the reading begins, microseconds: prompts and full-screen programs have drawn what is to be seen by then.
const LEAD_US: u64 = 60_000_000;
/// How much of the beginning is looked through for the terminal's size, bytes.
const HEAD_BYTES: u64 = 1 << 20;

impl Place {
    /// The place of `--at`, or, where the log has no index that leads there, its beginning.
    pub(super) fn find(
        arguments: &Arguments,
        config: impl Fn() -> Result<ReaderConfig, SshlogError>,
        err: &mut dyn Write,
    ) -> Result<Place, SshlogError> {
        let log = &arguments.source.log;
        let (calendar, size) = read_head(log, config()?, arguments.channel)?;
        let at_us = arguments.at.map_or(0, |at| at.on_clock(calendar));
        let mut files = Files::open(log)?;
        let t_us = at_us.saturating_sub(LEAD_US);
        let mut seeker = Seeker::new(config()?, files.len(), SeekTo::Time { t_us });
        let sought = loop {
            let Some(wanted) = seeker.poll_wanted() else {
                break seeker.into_sought();
            };
            let handled = match files.read_at(wanted.offset, wanted.bytes) {
                Ok(bytes) => seeker
                    .handle_bytes(&bytes)
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = handled {
                writeln!(err, "sshlog: {error}; reading from the beginning")?;
                break None;
            }
        };
        let (reader, offset) = match sought {
            Some(sought) => (sought.reader, sought.offset),
            None => (Reader::new(config()?), 0),
        };
        files.seek(offset).map_err(|error| SshlogError::Read {
            file: log.clone(),
            error,
        })?;
        Ok(Place {
            files,
            reader,
            calendar,
            size: if offset == 0 { None } else { size },
        })
    }
}

/// What the beginning says: when it was, and how large the terminal.
fn read_head(
    log: &std::path::Path,
    config: ReaderConfig,
    channel: Option<u32>,
) -> Result<(Calendar, Option<(u32, u32)>), SshlogError> {
    let mut input = Input::Files(Files::open(log)?);
    let mut reader = Reader::new(config);
    let mut calendar = Calendar::default();
    let mut piece = vec![0; PIECE_BYTES];
    let mut done = 0;
    while done < HEAD_BYTES {
        let bytes = input.read(&mut piece)?;
        if bytes.is_empty() {
            break;
        }
        done += bytes.len() as u64;
        reader.push(bytes);
        while let Some(event) = reader.poll() {
            calendar.see(&event);
            if let Event::Record(view) = event
                && let Record::Pty { columns, rows, .. } = view.record
                && channel.is_none_or(|channel| channel == view.channel)
            {
                return Ok((calendar, Some((columns, rows))));
            }
        }
    }
    Ok((calendar, None))
}
