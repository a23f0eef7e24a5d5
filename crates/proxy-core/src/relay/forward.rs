//! Forwarded connections (RFC 4254 section 7): where they may lead, and what they may not carry.

use policy::{Constraints, Destinations, ForwardRecording};

use super::agent::Agent;
use super::listen::Listeners;
use super::tally::Tally;
use super::wire::forward::{
    Connection, DIRECT_SOCKET, DIRECT_TCP, FORWARDED_SOCKET, FORWARDED_TCP,
};
use crate::{Leg, PerLeg};

/// With what SSH begins on either side (RFC 4253 section 4.2).
pub(super) const SSH: &[u8] = b"SSH-";

/// Lines that a side may say before it begins, 50. RFC 4253 section 4.2 has servers say some, and no limit; those that do
/// say a banner of a few.
const MAX_LINES_BEFORE: u8 = 50;

/// How far into a stream SSH may begin: 16 KiB, room for as many lines of any length that a terminal shows.
const MAX_BYTES_BEFORE: usize = 16 * 1024;

/// A forwarded connection that is carried.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    heads: PerLeg<Head>,
    /// How it is written down.
    pub(crate) tally: Tally,
    /// Where it leads to the client's agent, until it is cut.
    pub(crate) agent: Option<Agent>,
    /// It turned out to be what nobody would see into, and ends.
    pub(crate) is_cut: bool,
    /// What came after that, and went nowhere.
    pub(crate) bytes_after_cut: u64,
}

impl Carried {
    /// On a channel of this type, of which the log keeps so much.
    pub(super) fn new(kind: &str, recording: ForwardRecording) -> Self {
        Self {
            tally: Tally::new(kind, recording),
            ..Self::default()
        }
    }

    /// To the client's agent. Of what is said there, the log keeps the requests alone.
    pub(super) fn to_agent(kind: &str, agent: Agent) -> Self {
        Self {
            agent: Some(agent),
            ..Self::new(kind, ForwardRecording::None)
        }
    }

    /// Takes note of what `from` sends; true once one side has begun as SSH does.
    pub(crate) fn begins_as_ssh(&mut self, from: Leg, data: &[u8]) -> bool {
        self.heads[from].begins_as_ssh(data)
    }
}

/// How far a stream was looked at.
#[derive(Debug, Default)]
struct Head {
    bytes: usize,
    lines: u8,
    at: InLine,
}

/// Where in a line it is.
#[derive(Debug, Clone, Copy)]
enum InLine {
    /// Like SSH, for so many bytes from its beginning.
    LikeSsh(usize),
    Other,
}

impl Default for InLine {
    fn default() -> Self {
        Self::LikeSsh(0)
    }
}

impl Head {
    fn begins_as_ssh(&mut self, data: &[u8]) -> bool {
        let left = MAX_BYTES_BEFORE.saturating_sub(self.bytes);
        for byte in data.iter().take(left) {
            if self.lines > MAX_LINES_BEFORE {
                break;
            }
            self.bytes = self.bytes.saturating_add(1);
            self.at = match self.at {
                _ if *byte == b'\n' => {
                    self.lines = self.lines.saturating_add(1);
                    InLine::default()
                }
                InLine::LikeSsh(len) if SSH.get(len) == Some(byte) => {
                    InLine::LikeSsh(len.saturating_add(1))
                }
                _ => InLine::Other,
            };
            if matches!(self.at, InLine::LikeSsh(len) if len == SSH.len()) {
                return true;
            }
        }
        false
    }
}

/// Whether the grant lets `from` open this forwarded connection.
pub(super) fn allows(
    constraints: &Constraints,
    listeners: &Listeners,
    (from, kind): (Leg, &str),
    connection: &Connection<'_>,
) -> bool {
    let Connection { host, port, .. } = *connection;
    match (from, kind) {
        (Leg::Client, DIRECT_TCP) => {
            covers(&constraints.local_forward, host, port) || covers(&constraints.jump, host, port)
        }
        (Leg::Client, DIRECT_SOCKET) => constraints.stream_local.cover(host),
        (Leg::Target, FORWARDED_TCP) => listeners.reached_at(host, port).is_some(),
        (Leg::Target, FORWARDED_SOCKET) => listeners.has_socket(host),
        _ => false,
    }
}

/// Whether the list covers a port as it stands in a packet.
pub(super) fn covers(destinations: &Destinations, host: &str, port: u32) -> bool {
    u16::try_from(port).is_ok_and(|port| destinations.cover(host, port))
}
