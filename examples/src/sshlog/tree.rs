//! `sshlog tree`: which sessions went on inside which others.

mod forest;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use session_log::{Event, Record, RecordView};

use super::input::logs_of;
use super::moment::Calendar;
use super::progress::Prints;
use super::read::{is_good, print_verdict, read_log, reader_config, say_if_unchecked};
use super::{Keys, SshlogError};
use crate::tool::escape_json;
use forest::Forest;

#[derive(Debug, Args)]
#[command(after_help = "\
Every session is a line: when it began, who was whom where, its id. Below it stand the sessions that went through one of its channels, as those of
`ssh -J` do, each with that channel and the destination that the client named. One that was refused leaves no log.

Examples:
  sshlog tree -i auditor --signers allowed_signers logs/
  sshlog tree -i auditor outer.sslg inner.sslg

Exit status: 0 all logs agree; 1 what one says of another is not what that one says; 2 a log is not good, or could not be read.")]
pub(super) struct Arguments {
    #[command(flatten)]
    keys: Keys,
    /// The logs: files, folders with segments, folders with logs; - for standard input
    #[arg(required = true)]
    log: Vec<PathBuf>,
}

/// Links that are kept of one log: the connections of a busy day, and no more of a hostile one.
const MAX_LINKS: usize = 10_000;

/// Bytes of a text that are kept, cut between characters: what is longer is no name.
const MAX_TEXT_BYTES: usize = 256;

/// What one log says of itself and of others.
#[derive(Clone, Debug, Default)]
struct Session {
    /// Its id, or where it has none, the name of its file.
    id: String,
    /// What it is called in a line.
    label: String,
    parent: Option<Parent>,
    links: Vec<Link>,
}

/// The channel of another session through which one came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parent {
    session: String,
    channel: u32,
}

/// A session that went on through a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    session: String,
    channel: u32,
    /// As the client named it.
    host: String,
    port: u32,
}

pub(super) fn run(
    arguments: &Arguments,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool, SshlogError> {
    let mut logs = Vec::new();
    for name in &arguments.log {
        logs.extend(logs_of(name)?);
    }
    let (mut sessions, mut bad) = (Vec::new(), 0);
    for log in &logs {
        let (session, is_good) = read(log, &arguments.keys, err)?;
        sessions.push(session);
        bad += usize::from(!is_good);
    }
    let agree = Forest::new(&sessions).print(out)?;
    out.flush()?;
    say_if_unchecked(arguments.keys.opening.signers.is_some(), err)?;
    match bad {
        0 => Ok(agree),
        count => Err(SshlogError::NotGood { count }),
    }
}

/// What a log says, and whether it is a good one.
fn read(log: &Path, keys: &Keys, err: &mut dyn Write) -> Result<(Session, bool), SshlogError> {
    let config = reader_config(keys, err)?;
    let mut calendar = Calendar::default();
    let mut session = Session {
        id: shown(&log.display().to_string()),
        label: "unknown".into(),
        ..Session::default()
    };
    let judged = read_log(log, config, Prints::AtTheEnd, |event| {
        calendar.see(&event);
        if let Event::Record(view) = event {
            session.take(&view, calendar);
        }
        Ok(())
    })?;
    let good = is_good(&judged.verdict, keys);
    if !good {
        writeln!(err, "sshlog: {}:", log.display())?;
        print_verdict(&judged.verdict, err)?;
    }
    Ok((session, good))
}

impl Session {
    fn take(&mut self, view: &RecordView<'_>, calendar: Calendar) {
        match &view.record {
            Record::SessionMeta(meta) => {
                self.id = shown(meta.session);
                self.label = format!(
                    "{} {} as {} on {}:{}",
                    calendar.format(view.t_us),
                    shown(meta.identity_email),
                    shown(meta.unix_user),
                    shown(meta.target_hostname),
                    meta.target_port,
                );
            }
            Record::ParentSession { session, channel } if self.parent.is_none() => {
                self.parent = Some(Parent {
                    session: shown(session),
                    channel: *channel,
                });
            }
            Record::InnerSession {
                session,
                host,
                port,
            } if self.links.len() < MAX_LINKS => self.links.push(Link {
                session: shown(session),
                channel: view.channel,
                host: shown(host),
                port: *port,
            }),
            _ => {}
        }
    }
}

/// A text as a terminal can show it, without harm and in one piece: in quotes unless it is a plain name.
fn shown(text: &str) -> String {
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || b".-_@:/+".contains(&c);
    let kept = text.floor_char_boundary(MAX_TEXT_BYTES);
    let text = text.get(..kept).unwrap_or_default();
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    escape_json(&serde_json::Value::from(text).to_string())
}
