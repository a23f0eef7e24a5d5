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
//! Forwarded connections pass the same way, until one turns out to carry SSH: then it ends for both sides.

mod agent;
mod channel;
mod data;
mod decide;
mod describe;
mod forward;
mod global;
mod inner;
mod listen;
mod open;
mod refusal;
mod request;
mod tally;
mod terminated;
mod wire;
mod x11;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use policy::{Constraints, Grant, Permissions};
use session_log::Record;

pub use self::agent::AGENT_WINDOW_BYTES;
use self::agent::Shares;
use self::channel::Channels;
use self::data::{Stream, record_end, release_eof};
use self::global::GlobalRequests;
pub use self::global::{Announcement, HostKeys, NextStep, Proofs};
pub use self::inner::{InnerSessions, NoSession};
use self::listen::Listeners;
use self::refusal::{flush_refusals, notify};
pub use self::terminated::TERMINATED_WINDOW_BYTES;
use self::wire::{ChannelRequest, Message};
use crate::{
    ChannelEvent, CommandKind, Exit, LastCommand, Leg, Limits, MAX_LAST_COMMAND_BYTES, PerLeg,
};

/// How long the target's EOF waits for the exit status.
pub const EOF_HOLD: Duration = Duration::from_millis(50);
/// How long the refusal of a request waits for the client to have heard why: `ssh` ends at the refusal and forgets what it has
/// not shown yet. A client answers at once; one that does not is not to wait much.
pub const WORDS_HOLD: Duration = Duration::from_secs(1);
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
    /// Data beyond the window (RFC 4254 section 5.2), of a channel that ends at the proxy.
    #[error("{got_bytes} bytes of data where {window_bytes} may come")]
    BeyondWindow {
        /// What the window had left.
        window_bytes: u32,
        /// What came.
        got_bytes: usize,
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
    /// Who makes sessions of the SSH connections inside this one. Without anybody, they are refused or cut.
    fn inner_sessions(&mut self) -> Option<&mut dyn InnerSessions> {
        None
    }
}

/// The connection layer of one session, after both logins.
pub struct Relay {
    permissions: Arc<Permissions>,
    constraints: Arc<Constraints>,
    channels: Channels,
    global: GlobalRequests,
    listeners: Listeners,
    bytes_from: PerLeg<u64>,
    last_exit: Option<Exit>,
    agents: Shares,
    limits: Limits,
    last_command: Option<LastCommand>,
}

/// Nothing of what passes.
impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("channels", &self.channels.len())
            .field("bytes_from", &self.bytes_from)
            .finish_non_exhaustive()
    }
}

impl Relay {
    /// A relay that passes what `grant` names, and nothing else, within the default limits.
    #[must_use]
    pub fn new(grant: &Grant) -> Self {
        Self::with_limits(grant, &Limits::default())
    }

    /// A relay that passes what `grant` names, and nothing else.
    #[must_use]
    pub fn with_limits(grant: &Grant, limits: &Limits) -> Self {
        let limits = limits.within_bounds();
        Self {
            permissions: Arc::clone(&grant.permissions),
            constraints: Arc::clone(&grant.constraints),
            channels: Channels::new(limits.pending_replies),
            global: GlobalRequests::new(&limits),
            listeners: Listeners::default(),
            bytes_from: PerLeg::default(),
            last_exit: None,
            agents: Shares::new(limits.agents, limits.agent_bytes),
            limits,
            last_command: None,
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

    /// How many channels there are, those in the making included.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// The command or subsystem that was asked for last, and passed.
    #[must_use]
    pub const fn last_command(&self) -> Option<&LastCommand> {
        self.last_command.as_ref()
    }

    /// The channels with a terminal, by their numbers in the log, and its columns and rows as they were told last.
    pub(crate) fn terminals(&self) -> impl Iterator<Item = (u32, (u32, u32))> {
        let channels = self.channels.values();
        channels.filter_map(|channel| Some((channel.number, channel.terminal?)))
    }

    /// Remembers what operators are told of a request that passes.
    fn note(&mut self, number: u32, request: &ChannelRequest<'_>) {
        let (kind, text) = match *request {
            ChannelRequest::Exec { command } => (CommandKind::Exec, command),
            ChannelRequest::Subsystem { name } => (CommandKind::Subsystem, name.as_bytes()),
            ChannelRequest::Pty { columns, rows, .. }
            | ChannelRequest::WindowChange { columns, rows, .. } => {
                if let Some(channel) = self.channels.numbered(number) {
                    channel.terminal = Some((columns, rows));
                }
                return;
            }
            _ => return,
        };
        self.last_command = Some(LastCommand {
            channel: number,
            kind,
            text: Bytes::copy_from_slice(text.get(..MAX_LAST_COMMAND_BYTES).unwrap_or(text)),
        });
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
            Message::OpenConfirmation {
                recipient,
                sender,
                window,
                max_packet,
            } => self.open_confirmed(from, (recipient, sender), (window, max_packet), out),
            Message::OpenFailure {
                recipient,
                reason,
                text,
                language,
            } => self.open_failed(from, recipient, (reason, text, language), out),
            Message::WindowAdjust { recipient, bytes } => {
                // A window given for a channel that just closed here crosses the close on the wire.
                let channel = self.channels.addressed(from, recipient)?;
                let (number, id) = (channel.number, channel.ids[from.other()]);
                if let Some(inside) = &mut channel.inside {
                    if let Some(packet) = inside.windows.adjusted(from, bytes, id) {
                        out.send(from.other(), packet);
                    }
                } else if !self.agent_adjusted((number, from), bytes, out) {
                    out.pass();
                }
                Ok(())
            }
            Message::Data { recipient, data } => {
                self.data(from, recipient, Stream::Plain, data, out)
            }
            Message::ExtendedData {
                recipient,
                code,
                data,
            } => self.extended_data(from, recipient, code, data, out),
            Message::Eof { recipient } => self.eof(from, recipient, now, out),
            Message::Close { recipient } => self.close(from, recipient, out),
            Message::Request {
                recipient,
                kind,
                want_reply,
                data,
            } => self.request(from, recipient, (kind, want_reply, data), now, out),
            Message::Success { recipient } => self.channel_reply(from, recipient, true, out),
            Message::Failure { recipient } => self.channel_reply(from, recipient, false, out),
            Message::Unknown { number } => Err(RelayError::UnknownMessage { number }),
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.channels.poll_timeout()
    }

    /// Lets go of everything that waited long enough; early calls do nothing.
    pub fn handle_timeout(&mut self, now: Duration, out: &mut impl Outlet) {
        for channel in self.channels.values_mut() {
            if channel.words_until.is_some_and(|until| until <= now) {
                channel.words_until = None;
                flush_refusals(channel, Leg::Client, out);
            }
            if channel.held_eof_until.is_some_and(|until| until <= now) {
                release_eof(channel, out);
            }
        }
    }

    /// Nothing passes any more: writes down how far every forwarded connection came.
    pub fn end(&mut self, out: &mut impl Outlet) {
        for channel in self.channels.values_mut() {
            record_end(channel, out);
        }
    }

    /// Tells the person something on every open channel's stderr, as far as the kept-back window goes.
    pub fn notify_all(&mut self, text: &str, out: &mut impl Outlet) {
        for channel in self.channels.values_mut() {
            notify(channel, text, out);
        }
    }
}
