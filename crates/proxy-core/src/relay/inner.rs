//! Connections that carry SSH: they end here, and a session inside the session goes on in their place.
//!
//! ```text
//!   direct-tcpip to where the grant has `jump` ────────────────> Session, begun when the target confirmed
//!   direct-tcpip to where it has `local_forward` only ──> Unknown
//!                                                           │ one side begins with "SSH-"  ──> Session
//!                                                           └ it begins otherwise, or ends ──> passes, and is cut if SSH comes later
//! ```
//!
//! While it is not known what a connection carries, its windows are kept as though it ended here. What little passed by then, a part of
//! "SSH-", is the beginning of what either session would say.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use policy::{Constraints, Destinations};
use session_log::Record;

use super::channel::Channel;
use super::data::{record_end, tell_close};
use super::describe::unread;
use super::forward::SSH;
use super::refusal::refuse;
use super::terminated::{MIN_PACKET_BYTES, Terminated};
use super::wire::forward::{Connection, DIRECT_TCP};
use super::wire::{self, own};
use super::{Outlet, Relay};
use crate::{Leg, Limits, PerLeg};

/// Who makes sessions of the SSH connections inside this one, and keeps them. Channels are named by their numbers in the log.
pub trait InnerSessions {
    /// What else the machine is called that a client names so: what is granted for one name is not to be had by another.
    fn other_names(&self, host: &str, port: u16) -> Vec<String>;

    /// The client asks for a connection on which nothing but SSH may pass. The name of the session that is to be there.
    ///
    /// # Errors
    /// Why there is to be none.
    fn asked(&mut self, channel: u32, host: &str, port: u16) -> Result<String, NoSession>;

    /// A connection that is there turned out to carry SSH; `passed` tells how many bytes of each leg's peer went on before it was known.
    /// The name of the session.
    ///
    /// # Errors
    /// Why there can be none, for the log and the operator: the connection is cut.
    fn found(
        &mut self,
        channel: u32,
        host: &str,
        port: u16,
        passed: PerLeg<usize>,
    ) -> Result<String, &'static str>;

    /// The target opened the connection that was asked for; false if the session has not waited for it.
    fn connected(&mut self, channel: u32) -> bool;

    /// The target did not.
    fn unreachable(&mut self, channel: u32);

    /// Bytes of a leg's peer.
    fn received(&mut self, channel: u32, from: Leg, bytes: &[u8]);

    /// A leg's peer says nothing more.
    fn ended(&mut self, channel: u32, from: Leg);

    /// It closed the channel, and waits for no answer to what it said.
    fn closed(&mut self, channel: u32, from: Leg);
}

/// Why there is no session on a connection on which nothing else may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSession {
    /// For the log and the operator.
    pub why: &'static str,
    /// For the person.
    pub message: String,
    /// The name of the session that was refused, where it had one already.
    pub session: Option<String>,
}

impl From<&'static str> for NoSession {
    fn from(why: &'static str) -> Self {
        Self {
            why,
            message: why.into(),
            session: None,
        }
    }
}

/// A connection that ends here, or may yet.
#[derive(Debug)]
pub(crate) struct Inside {
    pub(crate) windows: Terminated,
    state: State,
    /// Legs to which the proxy closed the channel.
    closed_to: PerLeg<bool>,
}

#[derive(Debug)]
enum State {
    /// What it carries: so many bytes of "SSH-" came from each side.
    Unknown {
        host: String,
        port: u16,
        passed: PerLeg<usize>,
    },
    /// A session, of whose client so many bytes of "SSH-" came.
    Session { greeted: usize },
}

/// What becomes of data on a connection.
pub(super) enum Next {
    /// It passes, or is cut, as on any other.
    Pass,
    /// The session has it.
    Taken,
    /// It is SSH, and the connection is cut: no session can be on it, for this reason.
    Cut(&'static str),
}

impl Inside {
    /// Of a connection that `from` asks for, if SSH on it would be a session.
    pub(super) fn of(
        (from, kind): (Leg, &str),
        connection: &Connection<'_>,
        constraints: &Constraints,
        ((window, max_packet), limits): ((u32, u32), &Limits),
        sessions: Option<&mut dyn InnerSessions>,
    ) -> Option<Self> {
        let port = u16::try_from(connection.port).ok()?;
        if (from, kind) != (Leg::Client, DIRECT_TCP) {
            return None;
        }
        let state = if is_for_ssh(&constraints.jump, (connection.host, port), sessions) {
            State::Session { greeted: 0 }
        } else {
            State::Unknown {
                host: connection.host.into(),
                port,
                passed: PerLeg::default(),
            }
        };
        let said = (from, window, max_packet);
        let most = limits.inner_window();
        let windows = match state {
            State::Session { .. } => Terminated::of_own(most, said),
            // It passes as it is: no session could be on it.
            State::Unknown { .. } if max_packet < MIN_PACKET_BYTES => return None,
            State::Unknown { .. } => Terminated::opened(most, said),
        };
        Some(Self {
            windows,
            state,
            closed_to: PerLeg::default(),
        })
    }

    pub(super) const fn is_session(&self) -> bool {
        matches!(self.state, State::Session { .. })
    }
}

/// Whether nothing but SSH may pass there: the grant says so of this name, or of another of the same machine.
fn is_for_ssh(
    jump: &Destinations,
    (host, port): (&str, u16),
    sessions: Option<&mut dyn InnerSessions>,
) -> bool {
    let names = || sessions.map_or_else(Vec::new, |it| it.other_names(host, port));
    jump.cover(host, port) || names().iter().any(|name| jump.cover(name, port))
}

impl Channel {
    /// Whether it carries a session inside the session.
    pub(super) fn has_session(&self) -> bool {
        self.inside.as_ref().is_some_and(Inside::is_session)
    }

    /// Whether a leg's peer may use its number of it again (RFC 4254 section 5.3).
    pub(super) fn is_free_at(&self, leg: Leg) -> bool {
        self.has_session() && self.closed_by[leg] && self.is_closed_to(leg)
    }

    /// Whether a leg's peer was told that the channel is closed.
    pub(super) fn is_closed_to(&self, leg: Leg) -> bool {
        let agent = self.carried.as_ref().and_then(|it| it.agent.as_ref());
        if agent.is_some_and(|it| it.close_waits_for(leg)) {
            return false;
        }
        match &self.inside {
            Some(inside) if inside.is_session() => inside.closed_to[leg],
            _ => self.closed_by[leg.other()],
        }
    }
}

/// Why there are no sessions inside others where nobody knows where they could lead.
pub(super) const NOWHERE: &str = "no session can begin here";

/// The log's word for a session on a channel.
pub(super) fn record_session(
    number: u32,
    name: &str,
    (host, port): (&str, u32),
    out: &mut impl Outlet,
) {
    let record = Record::InnerSession {
        session: name,
        host,
        port,
    };
    out.record(number, &record);
}

/// What becomes of data that `from` sent.
pub(super) fn look_into(
    channel: &mut Channel,
    from: Leg,
    data: &[u8],
    out: &mut impl Outlet,
) -> Next {
    let number = channel.number;
    let Some(inside) = &mut channel.inside else {
        return Next::Pass;
    };
    let (host, port, passed) = match &mut inside.state {
        State::Unknown { host, port, passed } => (host, port, passed),
        State::Session { greeted } => {
            if from == Leg::Client {
                expect_ssh(number, greeted, data, out);
            }
            if let Some(sessions) = out.inner_sessions() {
                sessions.received(number, from, data);
            }
            return Next::Taken;
        }
    };
    let awaited = SSH.get(passed[from]..).unwrap_or_default();
    let len = awaited.len().min(data.len());
    if awaited.get(..len) != data.get(..len) {
        inside.windows.sent(from.other(), data.len());
        pass_on(channel, out);
        return Next::Pass;
    }
    if len < awaited.len() {
        passed[from] = passed[from].saturating_add(len);
        inside.windows.sent(from.other(), data.len());
        return Next::Pass;
    }
    let (port, passed) = (*port, *passed);
    let name = match out.inner_sessions() {
        Some(sessions) => sessions.found(number, host, port, passed),
        None => Err(NOWHERE),
    };
    let name = match name {
        Ok(name) => name,
        Err(why) => {
            inside.windows.sent(from.other(), data.len());
            pass_on(channel, out);
            return Next::Cut(why);
        }
    };
    record_session(number, &name, (host, port.into()), out);
    let greeted = SSH.len();
    inside.state = State::Session { greeted };
    let mut in_hand = passed;
    in_hand[from] = in_hand[from].saturating_add(data.len());
    let raised = inside.windows.end_here(in_hand, channel.ids);
    for (leg, packet) in [(Leg::Client, raised.client), (Leg::Target, raised.target)] {
        if let Some(packet) = packet {
            out.send(leg, packet);
        }
    }
    if let Some(sessions) = out.inner_sessions() {
        for leg in [Leg::Client, Leg::Target] {
            sessions.received(number, leg, SSH.get(..passed[leg]).unwrap_or_default());
        }
        sessions.received(number, from, data);
    }
    Next::Taken
}

/// A client begins with "SSH-" (RFC 4253 section 4.2). One that does not is turned away by the session, and here stands with what.
fn expect_ssh(number: u32, greeted: &mut usize, data: &[u8], out: &mut impl Outlet) {
    let awaited = SSH.get(*greeted..).unwrap_or_default();
    let len = awaited.len().min(data.len());
    if awaited.get(..len) == data.get(..len) {
        *greeted = greeted.saturating_add(len);
        return;
    }
    // Once is enough.
    *greeted = SSH.len();
    let (what, why) = ("bytes that are not SSH", "only a session may pass here");
    let in_log = format!("{what}: {}", unread(data));
    refuse(number, Leg::Client, (&in_log, what), why, out);
}

/// It carries something else, or ends before it was known what: from here on the windows are the peers' own.
pub(super) fn pass_on(channel: &mut Channel, out: &mut impl Outlet) {
    if channel.has_session() {
        return;
    }
    let Some(inside) = channel.inside.take() else {
        return;
    };
    for leg in [Leg::Client, Leg::Target] {
        let kept = inside.windows.kept_from(leg);
        if kept > 0
            && let Some(id) = channel.ids[leg]
        {
            out.send(leg, own::window_adjust(id, kept));
        }
    }
}

impl Relay {
    /// The session on this channel has taken so many bytes of a leg's peer: the packet that lets it send more, once there is
    /// enough of it.
    pub fn consumed(&mut self, number: u32, from: Leg, len: usize) -> Option<Vec<u8>> {
        let channel = self.channels.numbered(number)?;
        let id = channel.ids[from]?;
        let inside = channel.inside.as_mut()?;
        if channel.eof_from[from] || channel.closed_by[from] || inside.closed_to[from] {
            return None;
        }
        inside.windows.consumed(from, len, id)
    }

    /// Whether a leg's peer takes data of the session on this channel, now or later.
    #[must_use]
    pub fn takes_data(&mut self, number: u32, to: Leg) -> bool {
        self.channels
            .numbered(number)
            .is_some_and(|channel| match &channel.inside {
                Some(inside) => !channel.closed_by[to] && !inside.closed_to[to],
                None => false,
            })
    }

    /// A packet with as much of the session's bytes as a leg's peer takes now, and how much that is.
    pub fn packet(&mut self, number: u32, to: Leg, bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
        let channel = self.channels.numbered(number)?;
        let id = channel.ids[to]?;
        channel.inside.as_mut()?.windows.packet(to, id, bytes)
    }

    /// The session on this channel has nothing more to say to a leg's peer.
    pub fn close_to(&mut self, number: u32, to: Leg, out: &mut impl Outlet) {
        let Some(channel) = self.channels.numbered(number) else {
            return;
        };
        let (Some(inside), Some(id)) = (&mut channel.inside, channel.ids[to]) else {
            return;
        };
        if core::mem::replace(&mut inside.closed_to[to], true) {
            return;
        }
        out.send(to, own::to_channel(wire::CHANNEL_EOF, id));
        out.send(to, own::to_channel(wire::CHANNEL_CLOSE, id));
        self.forget_if_closed(number, out);
    }

    /// A channel with a session is no more once both legs' peers and the proxy have closed it to each other.
    pub(super) fn forget_if_closed(&mut self, number: u32, out: &mut impl Outlet) {
        let is_closed = self.channels.numbered(number).is_some_and(|channel| {
            let closed_to = channel.inside.as_ref().map(|inside| inside.closed_to);
            [Leg::Client, Leg::Target]
                .into_iter()
                .all(|leg| channel.closed_by[leg] && closed_to.is_some_and(|it| it[leg]))
        });
        if is_closed && let Some(mut channel) = self.channels.remove(number) {
            record_end(&mut channel, out);
            tell_close(channel, out);
        }
    }
}
