//! The client's agent, lent to programs of the target (draft-ietf-sshm-ssh-agent, OpenSSH's `PROTOCOL.agent`).
//!
//! A program may ask which keys there are and have something signed with one; each such request is recorded before it goes on. Whatever
//! else it asks, extensions as well, is answered by the proxy in its turn and reaches no agent. So the channel ends at the proxy: the
//! messages of both sides are put together here, and each side has a window of its own.

mod dialogue;
mod message;
mod shares;
mod waiting;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use session_log::Record;

use self::dialogue::{Dialogue, Step};
use self::message::{LIST, Question, SIGN};
pub(super) use self::shares::Shares;
use self::waiting::Waiting;
use super::channel::Channel;
use super::data::cut;
use super::terminated::{MIN_PACKET_BYTES, Terminated};
use super::wire::{self, own};
use super::{Outlet, Relay, RelayError};
use crate::{ChannelEvent, Leg, Limits, PerLeg};

/// What each side of a connection to the agent may send before it was taken, 32 KiB: hundreds of questions, and far away a list of a
/// hundred keys in a few round trips.
pub const AGENT_WINDOW_BYTES: u32 = 32 * 1024;

/// Signatures of one connection told as events; the log has all.
const MAX_SIGNATURE_EVENTS: u32 = 16;

/// Refused requests of one kind on one connection that are written down one by one; at its end the log has the number of the others.
const MAX_REFUSALS: u32 = 16;

/// A side does not talk as agents and their users do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breach {
    Empty,
    TooLong,
    TooManyQuestions,
    NothingAsked,
    NoAnswer,
    ShortPackets,
    NoLongerLent,
}

impl Breach {
    const fn why(self) -> &'static str {
        match self {
            Self::Empty => "a message of the agent protocol without content",
            Self::TooLong => "a message of the agent protocol that is too long",
            Self::TooManyQuestions => "too many questions to the agent without an answer",
            Self::NothingAsked => "the agent answers what nobody asked",
            Self::NoAnswer => "what the agent says is no answer to what was asked",
            Self::ShortPackets => "it takes no packets of a usual length",
            Self::NoLongerLent => "the channel is closed on which the agent was lent",
        }
    }
}

/// One connection to the agent.
#[derive(Debug)]
pub(crate) struct Agent {
    dialogue: Dialogue,
    windows: Terminated,
    /// Bytes that wait for the window of each leg's peer.
    waiting_for: PerLeg<Waiting>,
    /// Bytes of each leg that are not granted again yet.
    unreturned_from: PerLeg<usize>,
    /// The end goes to each leg behind what waits for it.
    pub(super) end_is_due: PerLeg<bool>,
    /// It went: nothing follows but a close.
    has_ended: PerLeg<bool>,
    /// The close goes to each leg behind all that.
    close_is_due: PerLeg<bool>,
    signatures: u32,
    /// Refused requests by their number.
    refused: BTreeMap<u8, u32>,
}

impl Agent {
    /// On a channel that the target asks for with this window and size of packets.
    pub(super) fn asked_for((window, max_packet): (u32, u32), limits: &Limits) -> Self {
        let said = (Leg::Target, window, max_packet);
        Self {
            dialogue: Dialogue::new(limits.agent_questions),
            windows: Terminated::of_own(limits.agent_window(), said),
            waiting_for: PerLeg::default(),
            unreturned_from: PerLeg::default(),
            end_is_due: PerLeg::default(),
            has_ended: PerLeg::default(),
            close_is_due: PerLeg::default(),
            signatures: 0,
            refused: BTreeMap::new(),
        }
    }

    /// The same request for a channel with the window that the client is to know of.
    pub(super) fn open_packet(&self, packet: &[u8], kind: &str) -> Vec<u8> {
        own::with_window(packet, kind, self.windows.window_for(Leg::Client))
    }

    /// The client agrees; the same for the target.
    fn confirmed(
        &mut self,
        (recipient, sender): (u32, u32),
        (window, max_packet): (u32, u32),
    ) -> Vec<u8> {
        self.windows.confirmed(Leg::Client, window, max_packet);
        let window = self.windows.window_for(Leg::Target);
        own::open_confirmation(recipient, sender, window, max_packet)
    }

    /// Whether the close of the other side still waits for its turn to go to `leg`.
    pub(super) fn close_waits_for(&self, leg: Leg) -> bool {
        self.close_is_due[leg]
    }

    /// Bytes that are held of either side.
    fn held_bytes(&self) -> usize {
        let PerLeg { client, target } = &self.waiting_for;
        let waiting = client.held_bytes().saturating_add(target.held_bytes());
        waiting.saturating_add(self.dialogue.held_bytes())
    }

    /// Whether nothing waits, and something is to be granted again.
    fn would_take_more(&self) -> bool {
        let PerLeg { client, target } = &self.waiting_for;
        let is_anything = self.unreturned_from.client > 0 || self.unreturned_from.target > 0;
        client.is_empty() && target.is_empty() && is_anything
    }

    /// Takes note of what `from` said, and writes down what is asked.
    fn said(
        &mut self,
        (number, from): (u32, Leg),
        data: &[u8],
        out: &mut impl Outlet,
    ) -> Result<(), Breach> {
        let Self {
            dialogue,
            waiting_for,
            signatures,
            refused,
            ..
        } = self;
        dialogue.said(from, data, |step| match step {
            Step::Asked { question, message } => {
                record_question(number, &question, out);
                if let Question::Sign { key } = question {
                    *signatures = signatures.saturating_add(1);
                    if *signatures <= MAX_SIGNATURE_EVENTS {
                        out.event(ChannelEvent::AgentSignature {
                            channel: number,
                            key,
                        });
                    }
                }
                waiting_for.client.push(message);
            }
            Step::Refused {
                number: message,
                key,
            } => {
                let count = refused.entry(message).or_default();
                *count = count.saturating_add(1);
                if *count <= MAX_REFUSALS {
                    record_refusal(number, message, &key, out);
                }
            }
            Step::Answered(message) => waiting_for.target.push(message),
        })
    }

    /// Nothing more is said.
    pub(super) fn end(self, number: u32, out: &mut impl Outlet) {
        for (message, count) in self.refused {
            if let Some(more @ 1..) = count.checked_sub(MAX_REFUSALS) {
                let text = format!("{more} more agent requests {message} were refused");
                out.record(number, &Record::Annotation { text: &text });
            }
        }
    }
}

impl Relay {
    /// Whether programs of the target may use the client's agent.
    pub(super) fn agent_is_lent(&self) -> bool {
        self.channels.values().any(Channel::has_agent)
    }

    /// A channel on which the agent was lent is closed: if it was the last, the connections to the agent end with it. A channel that a
    /// side has closed ends by itself.
    pub(super) fn take_agent_back(&mut self, out: &mut impl Outlet) {
        if self.agent_is_lent() {
            return;
        }
        let mut cut = Vec::new();
        for channel in self.channels.values_mut() {
            let is_confirmed = channel.ids[Leg::Client].is_some();
            if is_confirmed && channel.is_open() && channel.agent_mut().is_some() {
                cut_off((channel, Leg::Target), Breach::NoLongerLent, out);
                cut.push(channel.number);
            }
        }
        for number in cut {
            self.share(number, out);
        }
    }

    /// The client agrees to a connection to its agent; false where it is none.
    pub(super) fn agent_confirmed(
        &mut self,
        number: u32,
        ids: (u32, u32),
        windows: (u32, u32),
        out: &mut impl Outlet,
    ) -> bool {
        let is_lent = self.agent_is_lent();
        let Some(channel) = self.channels.numbered(number) else {
            return false;
        };
        let Some(agent) = channel.agent_mut() else {
            return false;
        };
        let packet = agent.confirmed(ids, windows);
        out.send(Leg::Target, packet);
        if !is_lent {
            cut_off((channel, Leg::Target), Breach::NoLongerLent, out);
        } else if windows.1 < MIN_PACKET_BYTES {
            cut_off((channel, Leg::Client), Breach::ShortPackets, out);
        }
        self.share(number, out);
        true
    }

    /// Data on a connection to the agent.
    pub(super) fn agent_data(
        &mut self,
        (number, from): (u32, Leg),
        data: &[u8],
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let Some(channel) = self.channels.numbered(number) else {
            return Ok(());
        };
        let nobody_hears = channel.closed_by[from.other()];
        let Some(agent) = channel.agent_mut() else {
            return Ok(());
        };
        agent.windows.received(from, data.len())?;
        if nobody_hears {
            return Ok(());
        }
        agent.unreturned_from[from] = agent.unreturned_from[from].saturating_add(data.len());
        match agent.said((number, from), data, out) {
            Ok(()) => flush(channel, out),
            Err(breach) => cut_off((channel, from), breach, out),
        }
        self.share(number, out);
        Ok(())
    }

    /// The peer of `from` takes more. False where that is for the other side to know.
    pub(super) fn agent_adjusted(
        &mut self,
        (number, from): (u32, Leg),
        bytes: u32,
        out: &mut impl Outlet,
    ) -> bool {
        let Some(channel) = self.channels.numbered(number) else {
            return false;
        };
        if channel.carried.as_ref().is_some_and(|it| it.is_cut) {
            // Nothing follows.
            return true;
        }
        let Some(agent) = channel.agent_mut() else {
            return false;
        };
        agent.windows.adjusted(from, bytes, None);
        flush(channel, out);
        self.share(number, out);
        true
    }

    /// What a connection holds has changed: those that would take more are granted it, as far as all together hold little enough.
    pub(super) fn share(&mut self, number: u32, out: &mut impl Outlet) {
        let channel = self.channels.numbered(number);
        let agent = channel.and_then(|it| it.agent_mut().map(|agent| &*agent));
        self.agents.holds(number, agent.map(Agent::held_bytes));
        if agent.is_some_and(Agent::would_take_more) {
            self.agents.wants(number);
        }
        while let Some(number) = self.agents.next() {
            if let Some(channel) = self.channels.numbered(number) {
                grant(channel, out);
            }
        }
    }
}

/// `from` says nothing more: the other side is told so behind what waits for it. False where that is nothing.
pub(super) fn ended(channel: &mut Channel, from: Leg, out: &mut impl Outlet) -> bool {
    let Some(agent) = channel.agent_mut() else {
        return false;
    };
    agent.end_is_due[from.other()] = true;
    flush(channel, out);
    true
}

/// `from` has closed the channel: true if the other side, which has not, is told so behind what waits for it.
pub(super) fn close_waits(channel: &mut Channel, from: Leg) -> bool {
    let is_open = !channel.closed_by[from.other()];
    let Some(agent) = channel.agent_mut() else {
        return false;
    };
    agent.waiting_for[from] = Waiting::default();
    agent.close_is_due[from.other()] = is_open && !agent.waiting_for[from.other()].is_empty();
    agent.close_is_due[from.other()]
}

/// `leg` has closed the channel: it is told that the other side has, if it was not yet.
pub(super) fn close_now(channel: &mut Channel, leg: Leg, out: &mut impl Outlet) {
    let id = channel.ids[leg];
    let Some(agent) = channel.agent_mut() else {
        return;
    };
    if core::mem::take(&mut agent.close_is_due[leg])
        && let Some(id) = id
    {
        out.send(leg, own::to_channel(wire::CHANNEL_CLOSE, id));
    }
}

fn cut_off((channel, from): (&mut Channel, Leg), breach: Breach, out: &mut impl Outlet) {
    cut(channel, from, ("the agent's connection", breach.why()), out);
}

/// The channel's numbers where something may still be sent: nothing follows a close.
fn open_ends(channel: &Channel) -> PerLeg<Option<u32>> {
    let to = |leg: Leg| channel.ids[leg].filter(|_| !channel.is_closed_to(leg));
    PerLeg {
        client: to(Leg::Client),
        target: to(Leg::Target),
    }
}

/// Sends what the windows let through.
fn flush(channel: &mut Channel, out: &mut impl Outlet) {
    let ids = open_ends(channel);
    let Some(agent) = channel.agent_mut() else {
        return;
    };
    for leg in [Leg::Client, Leg::Target] {
        let Some(id) = ids[leg] else { continue };
        let waiting = &mut agent.waiting_for[leg];
        if agent.has_ended[leg] {
            *waiting = Waiting::default();
        }
        while let Some((packet, len)) = agent.windows.packet(leg, id, waiting.bytes()) {
            waiting.advance(len);
            out.send(leg, packet);
        }
        waiting.shrink();
        if !waiting.is_empty() {
            continue;
        }
        if core::mem::take(&mut agent.end_is_due[leg]) {
            agent.has_ended[leg] = true;
            out.send(leg, own::to_channel(wire::CHANNEL_EOF, id));
        }
        if core::mem::take(&mut agent.close_is_due[leg]) {
            out.send(leg, own::to_channel(wire::CHANNEL_CLOSE, id));
        }
    }
}

/// Grants again what was taken, if nothing waits.
fn grant(channel: &mut Channel, out: &mut impl Outlet) {
    let ids = open_ends(channel);
    let Some(agent) = channel.agent_mut().filter(|it| it.would_take_more()) else {
        return;
    };
    for leg in [Leg::Client, Leg::Target] {
        let len = core::mem::take(&mut agent.unreturned_from[leg]);
        if let Some(id) = ids[leg]
            && let Some(packet) = agent.windows.consumed(leg, len, id)
        {
            out.send(leg, packet);
        }
    }
}

fn record_question(channel: u32, question: &Question, out: &mut impl Outlet) {
    let (message, key_fingerprint) = match question {
        Question::Sign { key } => (SIGN, key.as_str()),
        _ => (LIST, ""),
    };
    let record = Record::AgentRequest {
        message: message.into(),
        key_fingerprint,
        allowed: true,
    };
    out.record(channel, &record);
}

fn record_refusal(channel: u32, message: u8, key_fingerprint: &str, out: &mut impl Outlet) {
    let record = Record::AgentRequest {
        message: message.into(),
        key_fingerprint,
        allowed: false,
    };
    out.record(channel, &record);
    out.event(ChannelEvent::Refused {
        channel,
        from: Leg::Target,
        what: format!("agent request {message}"),
        why: "an agent is lent to list keys and to sign",
    });
}
