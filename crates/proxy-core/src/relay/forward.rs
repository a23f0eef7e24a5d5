//! Forwarded connections (RFC 4254 section 7): where they may lead, and what they may not carry.

use policy::{Constraints, Destinations};

use super::listen::Listeners;
use super::wire::forward::{
    Connection, DIRECT_SOCKET, DIRECT_TCP, FORWARDED_SOCKET, FORWARDED_TCP,
};
use crate::{Leg, PerLeg};

/// With what SSH begins on either side (RFC 4253 section 4.2). A client has no other way to begin, so that a server which
/// says something before is found out by its client.
const SSH: &[u8] = b"SSH-";

/// A forwarded connection that is carried.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    heads: PerLeg<Head>,
    /// It turned out to be what nobody would see into, and ends.
    pub(crate) is_cut: bool,
}

impl Carried {
    /// Takes note of what `from` sends; true once one side has begun as SSH does.
    pub(crate) fn begins_as_ssh(&mut self, from: Leg, data: &[u8]) -> bool {
        self.heads[from].begins_as_ssh(data)
    }
}

/// How a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// Like SSH, for so many bytes.
    LikeSsh(usize),
    Other,
}

impl Default for Head {
    fn default() -> Self {
        Self::LikeSsh(0)
    }
}

impl Head {
    fn begins_as_ssh(&mut self, data: &[u8]) -> bool {
        for byte in data {
            let Self::LikeSsh(len) = *self else {
                return false;
            };
            *self = if SSH.get(len) == Some(byte) {
                Self::LikeSsh(len.saturating_add(1))
            } else {
                Self::Other
            };
            if *self == Self::LikeSsh(SSH.len()) {
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
        (Leg::Client, DIRECT_TCP) => covers(&constraints.local_forward, host, port),
        (Leg::Client, DIRECT_SOCKET) => constraints.stream_local.cover(host),
        // RFC 4254 section 7.2: where the client listens by the number of the port; the address is as the target sees it.
        (Leg::Target, FORWARDED_TCP) => listeners.has_port(port),
        (Leg::Target, FORWARDED_SOCKET) => listeners.has_socket(host),
        _ => false,
    }
}

/// Whether the list covers a port as it stands in a packet.
pub(super) fn covers(destinations: &Destinations, host: &str, port: u32) -> bool {
    u16::try_from(port).is_ok_and(|port| destinations.cover(host, port))
}
