//! What somebody who runs the proxy sees of a session, and what they can do to it.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use ssh_transport::is_printable;

use crate::{PerLeg, SessionId, Subject};

/// Watchers of one session at once. Each costs its driver a queue.
pub const MAX_WATCHERS: usize = 4;

/// What an operator's name or reason may take of a log, an event and a message to the person, in characters; the rest is left out.
pub const MAX_OPERATOR_TEXT_CHARS: usize = 256;

/// What is kept of the command that was asked for last, in bytes: enough for a person to see what runs.
pub const MAX_LAST_COMMAND_BYTES: usize = 1024;

/// One watching of one session. The driver chooses the number, and uses each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);

/// What an operator does, with [`Input::Operator`](crate::Input::Operator). Whether they may was decided before.
///
/// Control characters in names and reasons are left out: they are shown on terminals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// The session ends, at whatever stage it is, with the reason as a message to the person.
    End {
        /// Who wants it, for the log and the event.
        who: String,
        /// Why, for the person as well.
        reason: String,
    },
    /// From now on what is recorded of the session's terminals is given out as [`Output::Watched`](crate::Output::Watched), each
    /// piece once its page of the log is written; the page that says who watches comes before.
    Watch {
        /// Names the watching.
        watch: WatchId,
        /// Who watches.
        who: String,
    },
    /// The watching is over. Nothing more is given out for it.
    Unwatch {
        /// Which one.
        watch: WatchId,
        /// Why, for the log.
        why: String,
    },
}

/// What a watcher is given. All of it stands in the log already.
#[derive(Clone, PartialEq, Eq)]
pub enum Seen {
    /// The watching is in the log; what follows was recorded after it.
    Began,
    /// A channel's terminal has this size: at the beginning of the watching, when it is asked for, and when it changes.
    Terminal {
        /// Characters in a row; 0 is unknown (RFC 4254 section 6.2).
        columns: u32,
        /// Rows; 0 is unknown.
        rows: u32,
    },
    /// A command or subsystem was asked for; the first 32 KiB of it.
    Command(Bytes),
    /// The person sent this to a program.
    Input(Bytes),
    /// The program wrote this to its standard output.
    Output(Bytes),
    /// The program wrote this to its standard error.
    Stderr(Bytes),
    /// The target has closed the channel.
    Closed,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Began => "Began",
            Self::Terminal { columns, rows } => {
                return write!(f, "Terminal {{ {columns} by {rows} }}");
            }
            Self::Command(_) => "Command",
            Self::Input(_) => "Input",
            Self::Output(_) => "Output",
            Self::Stderr(_) => "Stderr",
            Self::Closed => "Closed",
        };
        write!(f, "{name}({} bytes)", self.len())
    }
}

impl Seen {
    /// What it holds of the session, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Command(bytes)
            | Self::Input(bytes)
            | Self::Output(bytes)
            | Self::Stderr(bytes) => bytes.len(),
            Self::Began | Self::Terminal { .. } | Self::Closed => 0,
        }
    }

    /// Whether it holds nothing of the session but that something happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why nothing more is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum WatchEnd {
    /// There is no such session any more.
    #[error("the session is over")]
    Over,
    /// Nobody is logged in yet, so there is nothing to see.
    #[error("the session has not begun yet")]
    NotBegun,
    /// As many watch it as may.
    #[error("the session has {most} watchers already")]
    TooMany {
        /// How many those are.
        most: usize,
    },
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Progress {
    /// Nobody is let in yet.
    Arriving,
    /// Packets pass.
    Open,
    /// It is over, but for what is still to be written and said.
    Ending,
}

/// A session at one moment, with [`Session::overviews`](crate::Session::overviews).
#[derive(Debug, Clone)]
pub struct Overview {
    /// Who and where.
    pub subject: Arc<Subject>,
    /// The Unix user, once the client has named one.
    pub user: Option<Arc<str>>,
    /// The identity's device, where it has a name.
    pub device: Option<String>,
    /// What the policy knows of the target.
    pub target: policy::Target,
    /// How far it is.
    pub progress: Progress,
    /// When the connection began, since the Unix epoch.
    pub connected: Duration,
    /// For how long nothing has passed; nothing before the session begins.
    pub idle: Option<Duration>,
    /// Channel data so far, in bytes.
    pub bytes_from: PerLeg<u64>,
    /// Open channels.
    pub channels: usize,
    /// Who watches it.
    pub watchers: usize,
    /// The command or subsystem that was asked for last and allowed. It is session content: for those only who may see that.
    pub last_command: Option<LastCommand>,
}

impl Overview {
    /// The session's name.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.subject.session
    }
}

/// A command or subsystem that was asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct LastCommand {
    /// The channel, by its number in the log.
    pub channel: u32,
    /// Whether a command or the name of a subsystem.
    pub kind: CommandKind,
    /// At most its first [`MAX_LAST_COMMAND_BYTES`]; any bytes.
    pub text: Bytes,
}

/// What a [`LastCommand`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandKind {
    /// `exec` (RFC 4254 section 6.5).
    Exec,
    /// `subsystem`.
    Subsystem,
}

impl fmt::Debug for LastCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastCommand")
            .field("channel", &self.channel)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A line of an operator's as it may stand in events, logs and messages: without what a terminal would act on, and at most
/// [`MAX_OPERATOR_TEXT_CHARS`] characters of it.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| is_printable(*c))
        .take(MAX_OPERATOR_TEXT_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn a_line_keeps_its_letters_and_loses_what_steers_a_terminal() {
        assert_eq!(
            plain("maintenance — until 10:00 é界"),
            "maintenance — until 10:00 é界"
        );
        assert_eq!(
            plain("a\u{1b}]52;c;YQ==\u{7}b\r\n\u{9b}2J\u{202e}c"),
            "a]52;c;YQ==b2Jc"
        );
        assert_eq!(plain(&"x".repeat(1000)).len(), MAX_OPERATOR_TEXT_CHARS);
        assert_eq!(
            WatchEnd::TooMany { most: 4 }.to_string(),
            "the session has 4 watchers already"
        );
    }

    #[test]
    fn the_text_of_a_command_is_not_printed_for_debugging() {
        let last = LastCommand {
            channel: 1,
            kind: CommandKind::Exec,
            text: Bytes::from_static(b"mysql -phunter2"),
        };
        assert!(!alloc::format!("{last:?}").contains("hunter2"));
        let seen = Seen::Input(Bytes::from_static(b"hunter2"));
        assert_eq!(alloc::format!("{seen:?}"), "Input(7 bytes)");
    }
}
