//! What may pass between the legs, and what of it is written down.
//!
//! ```text
//!   packet of one leg ──> parse ──> decide ──> record ──> pass, unchanged
//!                           │          └──> record ──> refuse, in its turn
//!                           └──> malformed: the connection ends, that leg to blame
//! ```
//!
//! The relay sees connection-layer payloads (messages 80 to 127) and no cryptography. The bytes that crossed
//! the wire go on, so channel numbers, windows and reply wishes stay end to end. Every direction is
//! strictly first in, first out; the one exception is the target's EOF, which waits a moment for the
//! exit status, because dropbear and PuTTY forget the status of a channel that is at its end on both sides.

mod channel;
mod global;
mod request;
mod wire;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use policy::Permissions;
use session_log::Record;

use self::channel::{Channel, Channels, Pending};
use self::global::GlobalRequests;
pub use self::global::{Announcement, HostKeys, NextStep, Proofs};
use self::request::{decide, describe, exit_of, told};
use self::wire::{ChannelRequest, Message, own};
use crate::{ChannelEvent, Exit, Leg, PerLeg};

/// How long the target's EOF waits for the exit status.
pub const EOF_HOLD: Duration = Duration::from_millis(50);
/// Bytes of each channel's first window that the target is not told of, for text of the proxy's own.
pub const NOTICE_CREDIT_BYTES: u32 = 1024;

/// A leg broke the connection protocol; the session ends and that leg is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// A message that does not have the shape RFC 4254 gives it.
    #[error("malformed connection protocol message")]
    Malformed,
    /// A message number between 80 and 127 without a meaning.
    #[error("unknown connection protocol message {number}")]
    UnknownMessage {
        /// The number.
        number: u8,
    },
    /// A field longer than any program sends.
    #[error("a field of {got_bytes} bytes, at most {limit_bytes} are taken")]
    TooLong {
        /// The limit.
        limit_bytes: usize,
        /// What came.
        got_bytes: usize,
    },
    /// A channel number that is not in use.
    #[error("no open channel has number {id}")]
    UnknownChannel {
        /// The number.
        id: u32,
    },
    /// A channel number that is still in use.
    #[error("channel number {id} is in use already")]
    ChannelReused {
        /// The number.
        id: u32,
    },
    /// Too many requests without waiting for their replies.
    #[error("more than {limit} requests wait for a reply")]
    TooManyRequests {
        /// The limit.
        limit: usize,
    },
}

/// Where the relay's results go, in the order in which they are given.
pub trait Outlet {
    /// Goes into the log before anything that is passed or sent after it.
    fn record(&mut self, channel: u32, record: &Record<'_>);
    /// The packet in hand goes to the other leg, unchanged.
    fn pass(&mut self);
    /// A packet of the relay's own goes to `to`.
    fn send(&mut self, to: Leg, payload: Vec<u8>);
    /// Something the operator is told.
    fn event(&mut self, event: ChannelEvent);
    /// Who has the host keys. Without anybody, the target's announcements end here and the client's questions are refused.
    fn host_keys(&mut self) -> Option<&mut dyn HostKeys> {
        None
    }
}

/// The connection layer of one session, after both logins.
#[derive(Debug)]
pub struct Relay {
    permissions: Arc<Permissions>,
    channels: Channels,
    global: GlobalRequests,
    bytes_from: PerLeg<u64>,
    last_exit: Option<Exit>,
}

impl Relay {
    /// A relay that passes what `permissions` name, and nothing else.
    #[must_use]
    pub fn new(permissions: Arc<Permissions>) -> Self {
        Self {
            permissions,
            channels: Channels::default(),
            global: GlobalRequests::default(),
            bytes_from: PerLeg::default(),
            last_exit: None,
        }
    }

    /// Channel data so far, in bytes, by the leg it came from.
    #[must_use]
    pub const fn bytes_from(&self) -> PerLeg<u64> {
        self.bytes_from
    }

    /// How the last program that ended did so.
    #[must_use]
    pub const fn last_exit(&self) -> Option<&Exit> {
        self.last_exit.as_ref()
    }

    /// One payload that came from `from`.
    ///
    /// # Errors
    /// [`RelayError`] when `from` broke the protocol; nothing of this packet went on.
    pub fn handle_packet(
        &mut self,
        from: Leg,
        payload: &[u8],
        now: Duration,
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let message = Message::parse(payload)?;
        if from == Leg::Target {
            self.target_begins(&message, out);
        }
        match message {
            Message::GlobalRequest { .. } => self.global_request(from, message, payload, out),
            Message::RequestSuccess { data } => self.global_reply(from, true, data, payload, out),
            Message::RequestFailure => self.global_reply(from, false, &[], payload, out),
            Message::Open { .. } => self.open(from, message, payload, out),
            Message::OpenConfirmation { recipient, sender } => {
                let channel = self.channels.confirm(from, recipient, sender)?;
                let (number, opener) = (channel.number, channel.opener);
                out.record(
                    number,
                    &Record::OpenReply {
                        from: from.side(),
                        ok: true,
                        reason: 0,
                        text: "",
                    },
                );
                out.event(ChannelEvent::Open {
                    channel: number,
                    from: opener,
                });
                out.pass();
                Ok(())
            }
            Message::OpenFailure {
                recipient,
                reason,
                text,
            } => {
                let channel = self.channels.refuse(from, recipient)?;
                out.record(
                    channel.number,
                    &Record::OpenReply {
                        from: from.side(),
                        ok: false,
                        reason,
                        text,
                    },
                );
                out.pass();
                Ok(())
            }
            Message::WindowAdjust { recipient } => {
                // A window given for a channel that just closed here crosses the close on the wire.
                self.channels.addressed(from, recipient)?;
                out.pass();
                Ok(())
            }
            Message::Data { recipient, data } => {
                let record = match from {
                    Leg::Client => Record::Input(data),
                    Leg::Target => Record::Output(data),
                };
                self.data(from, recipient, data.len(), &record, out)
            }
            Message::ExtendedData {
                recipient,
                code,
                data,
            } => {
                if from == Leg::Client || code != own::STDERR {
                    let number = self.channels.addressed(from, recipient)?.number;
                    write_refusal(
                        number,
                        from,
                        "extended data",
                        "only a target's stderr is known",
                        out,
                    );
                    return Ok(());
                }
                self.data(from, recipient, data.len(), &Record::Stderr(data), out)
            }
            Message::Eof { recipient } => self.eof(from, recipient, now, out),
            Message::Close { recipient } => self.close(from, recipient, out),
            Message::Request {
                recipient,
                kind,
                want_reply,
                data,
            } => self.request(from, recipient, kind, want_reply, data, out),
            Message::Success { recipient } => self.channel_reply(from, recipient, true, out),
            Message::Failure { recipient } => self.channel_reply(from, recipient, false, out),
            Message::Unknown { number } => Err(RelayError::UnknownMessage { number }),
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.channels.earliest_held_eof()
    }

    /// Lets go of every EOF that waited long enough; early calls do nothing.
    pub fn handle_timeout(&mut self, now: Duration, out: &mut impl Outlet) {
        for channel in self.channels.values_mut() {
            if channel.held_eof_until.is_some_and(|until| until <= now) {
                release_eof(channel, out);
            }
        }
    }

    /// Tells the person something on every open channel's stderr, as far as the kept-back window goes.
    pub fn notify_all(&mut self, text: &str, out: &mut impl Outlet) {
        for channel in self.channels.values_mut() {
            notify(channel, text, out);
        }
    }

    fn open(
        &mut self,
        from: Leg,
        message: Message<'_>,
        payload: &[u8],
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let Message::Open {
            kind,
            sender,
            window,
            max_packet,
            data,
        } = message
        else {
            return Err(RelayError::Malformed);
        };
        if self.channels.is_used(from, sender) {
            return Err(RelayError::ChannelReused { id: sender });
        }
        let max_channels = self.permissions.max_channels;
        let refusal = match (from, kind) {
            (Leg::Client, "session") if self.channels.len() >= max_channels as usize => {
                Some((own::RESOURCE_SHORTAGE, "too many channels are open"))
            }
            (Leg::Client, "session") => None,
            (_, "direct-tcpip" | "direct-streamlocal@openssh.com" | "forwarded-tcpip") => Some((
                own::ADMINISTRATIVELY_PROHIBITED,
                "port forwarding is not granted",
            )),
            (_, "tun@openssh.com") => Some((
                own::ADMINISTRATIVELY_PROHIBITED,
                "tunnel forwarding is never granted",
            )),
            (Leg::Target, "x11" | "auth-agent@openssh.com") => Some((
                own::ADMINISTRATIVELY_PROHIBITED,
                "agent and X11 forwarding are not granted",
            )),
            _ => Some((own::ADMINISTRATIVELY_PROHIBITED, "not a known channel type")),
        };
        if let Some((reason, why)) = refusal {
            let what = alloc::format!("channel {kind}");
            write_refusal(0, from, &what, why, out);
            out.send(from, own::open_failure(sender, reason, why));
            return Ok(());
        }
        let notice_credit = if window > 2 * NOTICE_CREDIT_BYTES {
            NOTICE_CREDIT_BYTES
        } else {
            0
        };
        let number = self.channels.open(from, sender, notice_credit)?;
        let record = Record::ChannelOpen {
            from: from.side(),
            kind,
            window,
            max_packet,
            data,
        };
        out.record(number, &record);
        out.send(
            from.other(),
            own::with_window(payload, kind, window - notice_credit),
        );
        Ok(())
    }

    fn data(
        &mut self,
        from: Leg,
        recipient: u32,
        len: usize,
        record: &Record<'_>,
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.addressed(from, recipient)?;
        let number = channel.number;
        if channel.eof_from[from] || channel.closed_by[from] {
            write_refusal(
                number,
                from,
                "data",
                "it comes after the end of this direction",
                out,
            );
            return Ok(());
        }
        let len = len as u64;
        channel.bytes_from[from] = channel.bytes_from[from].saturating_add(len);
        self.bytes_from[from] = self.bytes_from[from].saturating_add(len);
        out.record(number, record);
        out.pass();
        Ok(())
    }

    fn eof(
        &mut self,
        from: Leg,
        recipient: u32,
        now: Duration,
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.addressed(from, recipient)?;
        if core::mem::replace(&mut channel.eof_from[from], true) || channel.closed_by[from] {
            write_refusal(
                channel.number,
                from,
                "EOF",
                "this direction has ended already",
                out,
            );
            return Ok(());
        }
        out.record(channel.number, &Record::Eof { from: from.side() });
        if from == Leg::Target && channel.exit.is_none() && !channel.closed_by[Leg::Client] {
            channel.held_eof_until = Some(now.saturating_add(EOF_HOLD));
        } else {
            out.pass();
        }
        Ok(())
    }

    fn close(
        &mut self,
        from: Leg,
        recipient: u32,
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.addressed(from, recipient)?;
        let number = channel.number;
        if core::mem::replace(&mut channel.closed_by[from], true) {
            return Err(RelayError::UnknownChannel { id: recipient });
        }
        out.record(number, &Record::Close { from: from.side() });
        if from == Leg::Target {
            release_eof(channel, out);
        }
        out.pass();
        if channel.closed_by[from.other()]
            && let Some(channel) = self.channels.remove(number)
        {
            out.event(ChannelEvent::Close {
                channel: number,
                bytes_from_client: channel.bytes_from.client,
                bytes_from_target: channel.bytes_from.target,
                exit: channel.exit,
            });
        }
        Ok(())
    }

    fn request(
        &mut self,
        from: Leg,
        recipient: u32,
        kind: &str,
        want_reply: bool,
        data: &[u8],
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.addressed(from, recipient)?;
        let request = ChannelRequest::parse(kind, data)?;
        if channel.closed_by[from] {
            return Err(RelayError::UnknownChannel { id: recipient });
        }
        match decide(&self.permissions, from, &request) {
            Ok(()) => {
                out.record(channel.number, &describe(from, kind, want_reply, &request));
                if let Some(event) = told(channel, &request) {
                    out.event(event);
                }
                if let Some(exit) = exit_of(&request) {
                    channel.exit = Some(exit.clone());
                    self.last_exit = Some(exit);
                    release_eof(channel, out);
                }
                if want_reply {
                    channel.replies_to[from].push(Pending::FromPeer)?;
                }
                out.pass();
            }
            Err(why) => {
                write_refusal(channel.number, from, kind, why, out);
                if want_reply {
                    channel.replies_to[from].push(Pending::Refusal)?;
                    flush_refusals(channel, from, out);
                } else if matches!(request, ChannelRequest::AgentForwarding) {
                    notify(channel, "agent forwarding is refused here\r\n", out);
                }
            }
        }
        Ok(())
    }

    fn channel_reply(
        &mut self,
        from: Leg,
        recipient: u32,
        ok: bool,
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.addressed(from, recipient)?;
        if !channel.replies_to[from.other()].peer_answered() {
            write_refusal(channel.number, from, "channel reply", "nobody asked", out);
            return Ok(());
        }
        out.record(
            channel.number,
            &Record::Reply {
                from: from.side(),
                ok,
            },
        );
        out.pass();
        flush_refusals(channel, from.other(), out);
        Ok(())
    }
}

/// Writes down a refusal that has no answer, or whose answer comes in its turn.
fn write_refusal(channel: u32, from: Leg, what: &str, why: &'static str, out: &mut impl Outlet) {
    out.record(
        channel,
        &Record::Refused {
            from: from.side(),
            what,
            why,
        },
    );
    out.event(ChannelEvent::Refused {
        channel,
        from,
        what: what.into(),
        why,
    });
}

fn flush_refusals(channel: &mut Channel, to: Leg, out: &mut impl Outlet) {
    while channel.replies_to[to].next_refusal() {
        if let Some(id) = channel.ids[to] {
            out.send(to, own::to_channel(wire::CHANNEL_FAILURE, id));
        }
    }
}

fn release_eof(channel: &mut Channel, out: &mut impl Outlet) {
    if channel.held_eof_until.take().is_some()
        && let Some(id) = channel.ids[Leg::Client]
    {
        out.send(Leg::Client, own::to_channel(wire::CHANNEL_EOF, id));
    }
}

fn notify(channel: &mut Channel, text: &str, out: &mut impl Outlet) {
    let cost = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let unconfirmed = channel.ids[Leg::Target].is_none();
    let ended = unconfirmed || channel.eof_from[Leg::Target] || channel.closed_by[Leg::Target];
    if let (Some(left), Some(id), false) = (
        channel.notice_credit.checked_sub(cost),
        channel.ids[Leg::Client],
        ended,
    ) {
        channel.notice_credit = left;
        out.record(channel.number, &Record::WriterNotice { text });
        out.send(Leg::Client, own::stderr(id, text.as_bytes()));
    }
}
