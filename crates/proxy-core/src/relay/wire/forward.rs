//! Forwarded connections and listeners as they are asked for (RFC 4254 section 7, OpenSSH PROTOCOL section 2.4).

use super::Fields;
use crate::RelayError;

pub(crate) const DIRECT_TCP: &str = "direct-tcpip";
pub(crate) const DIRECT_SOCKET: &str = "direct-streamlocal@openssh.com";
pub(crate) const FORWARDED_TCP: &str = "forwarded-tcpip";
pub(crate) const FORWARDED_SOCKET: &str = "forwarded-streamlocal@openssh.com";
pub(crate) const X11: &str = "x11";
/// To the client's agent, by OpenSSH's name and the IETF's.
pub(crate) const AGENT: &str = "auth-agent@openssh.com";
pub(crate) const AGENT_BY_IETF: &str = "agent-connect";

const LISTEN_TCP: &str = "tcpip-forward";
const LISTEN_SOCKET: &str = "streamlocal-forward@openssh.com";
const CANCEL_TCP: &str = "cancel-tcpip-forward";
const CANCEL_SOCKET: &str = "cancel-streamlocal-forward@openssh.com";

/// A connection that one side wants carried by the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connection<'a> {
    /// A path for a socket, empty for X11 and an agent.
    pub(crate) host: &'a str,
    /// 0 for all but TCP.
    pub(crate) port: u32,
    pub(crate) origin_host: &'a str,
    pub(crate) origin_port: u32,
}

impl<'a> Connection<'a> {
    /// What stands behind the common fields of a `CHANNEL_OPEN` of this kind; `None` of other kinds, where it is not what it
    /// should be, and where a name in it is not printable.
    pub(crate) fn parse(kind: &str, data: &'a [u8]) -> Option<Self> {
        let known = [
            DIRECT_TCP,
            DIRECT_SOCKET,
            FORWARDED_TCP,
            FORWARDED_SOCKET,
            X11,
            AGENT,
            AGENT_BY_IETF,
        ];
        if !known.contains(&kind) {
            return None;
        }
        let mut r = Fields::new(data);
        let connection = Self::read(kind, &mut r).ok()?;
        (r.rest.is_empty() && !r.has_unprintable).then_some(connection)
    }

    fn read(kind: &str, r: &mut Fields<'a>) -> Result<Self, RelayError> {
        if matches!(kind, AGENT | AGENT_BY_IETF) {
            return Ok(Self {
                host: "",
                port: 0,
                origin_host: "",
                origin_port: 0,
            });
        }
        let has_port = matches!(kind, DIRECT_TCP | FORWARDED_TCP);
        let host = if kind == X11 { "" } else { r.text()? };
        let port = if has_port { r.u32()? } else { 0 };
        // Of a socket, this is reserved.
        let origin_host = r.text()?;
        let origin_port = if kind == FORWARDED_SOCKET {
            0
        } else {
            r.u32()?
        };
        Ok(Self {
            host,
            port,
            origin_host,
            origin_port,
        })
    }
}

/// Whether a listener is to begin or to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Begin,
    End,
}

/// A listener that the client wants at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListenRequest<'a> {
    pub(crate) act: Act,
    pub(crate) is_socket: bool,
    /// A path for a socket.
    pub(crate) host: &'a str,
    /// 0 for a socket, and where the target is to choose.
    pub(crate) port: u32,
}

impl<'a> ListenRequest<'a> {
    /// Whether a global request of this name is about a listener.
    pub(crate) fn is_one(name: &str) -> bool {
        matches!(
            name,
            LISTEN_TCP | LISTEN_SOCKET | CANCEL_TCP | CANCEL_SOCKET
        )
    }

    /// As [`Connection::parse`], for a global request.
    pub(crate) fn parse(name: &str, data: &'a [u8]) -> Option<Self> {
        let mut r = Fields::new(data);
        let is_socket = matches!(name, LISTEN_SOCKET | CANCEL_SOCKET);
        let act = if matches!(name, LISTEN_TCP | LISTEN_SOCKET) {
            Act::Begin
        } else {
            Act::End
        };
        let host = r.text().ok()?;
        let port = if is_socket { 0 } else { r.u32().ok()? };
        (r.rest.is_empty() && !r.has_unprintable).then_some(Self {
            act,
            is_socket,
            host,
            port,
        })
    }
}
