//! The client's agent, lent to programs of the target (draft-ietf-sshm-ssh-agent, OpenSSH's `PROTOCOL.agent`).
//!
//! A program may ask which keys there are and have something signed with one; each such request is recorded before it goes on. Whatever
//! else it asks, extensions as well, is answered by the proxy in its turn and reaches no agent. So the channel ends at the proxy: the
//! messages of both sides are put together here, and each side has a window of its own.

mod dialogue;
mod message;

use alloc::format;
use bytes::{Buf as _, BytesMut};
use session_log::Record;

use self::dialogue::{Dialogue, Step};
use self::message::{LIST, Question, SIGN};
use super::channel::Channel;
use super::data::cut;
use super::terminated::Terminated;
use super::wire::{self, own};
use super::{Outlet, Relay, RelayError};
use crate::{ChannelEvent, Leg, Limits, PerLeg};

/// Signatures of one connection told as events; the log has all.
const MAX_SIGNATURE_EVENTS: u32 = 16;

/// A side does not talk as agents and their users do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breach {
    Empty,
    TooLong,
    TooManyQuestions,
    NothingAsked,
    NoAnswer,
    HeldTooMuch,
}

impl Breach {
    const fn why(self) -> &'static str {
        match self {
            Self::Empty => "a message of the agent protocol without content",
            Self::TooLong => "a message of the agent protocol that is too long",
            Self::TooManyQuestions => "too many questions to the agent without an answer",
            Self::NothingAsked => "the agent answers what nobody asked",
            Self::NoAnswer => "what the agent says is no answer to what was asked",
            Self::HeldTooMuch => "the session's connections to the agent hold too much",
        }
    }
}

/// One connection to the agent.
#[derive(Debug)]
pub(crate) struct Agent {
    dialogue: Dialogue,
    windows: Terminated,
    /// Bytes that wait for the window of each leg's peer.
    waiting_for: PerLeg<BytesMut>,
    /// Bytes of each leg that are not granted again before nothing waits.
    unreturned_from: PerLeg<usize>,
    /// The end goes to each leg behind what waits for it.
    end_is_due: PerLeg<bool>,
    /// It went: nothing follows.
    has_ended: PerLeg<bool>,
    signatures: u32,
}

impl Agent {
    /// On a channel that the target asks for with this window and size of packets.
    pub(super) fn asked_for((window, max_packet): (u32, u32), limits: &Limits) -> Self {
        Self {
            dialogue: Dialogue::new(limits.agent_questions),
            windows: Terminated::opened(Leg::Target, window, max_packet),
            waiting_for: PerLeg::default(),
            unreturned_from: PerLeg::default(),
            end_is_due: PerLeg::default(),
            has_ended: PerLeg::default(),
            signatures: 0,
        }
    }

    /// The same request for a channel with the window that the client is to know of.
    pub(super) fn open_packet(&self, packet: &[u8], kind: &str) -> alloc::vec::Vec<u8> {
        own::with_window(packet, kind, self.windows.window_for(Leg::Client))
    }

    /// The client agrees; the same for the target.
    pub(super) fn confirmed(
        &mut self,
        (recipient, sender): (u32, u32),
        (window, max_packet): (u32, u32),
    ) -> alloc::vec::Vec<u8> {
        self.windows.confirmed(Leg::Client, window, max_packet);
        let window = self.windows.window_for(Leg::Target);
        own::open_confirmation(recipient, sender, window, max_packet)
    }

    /// Bytes that are held of either side.
    pub(super) fn held_bytes(&self) -> usize {
        let PerLeg { client, target } = &self.waiting_for;
        let waiting = client.len().saturating_add(target.len());
        waiting.saturating_add(self.dialogue.held_bytes())
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
                waiting_for.client.extend_from_slice(&message);
            }
            Step::Refused { number: message } => record_refusal(number, message, out),
            Step::Answered(message) => waiting_for.target.extend_from_slice(&message),
        })
    }
}

impl Relay {
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
        let Some(agent) = channel.agent_mut() else {
            return Ok(());
        };
        agent.windows.received(from, data.len())?;
        agent.unreturned_from[from] = agent.unreturned_from[from].saturating_add(data.len());
        let mut result = agent.said((number, from), data, out);
        if result.is_ok() {
            flush(channel, out);
            if self.channels.agent_bytes() > self.limits.agent_bytes {
                result = Err(Breach::HeldTooMuch);
            }
        }
        if let Err(breach) = result
            && let Some(channel) = self.channels.numbered(number)
        {
            cut(channel, from, ("the agent's connection", breach.why()), out);
        }
        Ok(())
    }
}

/// The peer of `from` takes more. False where that is for the other side to know.
pub(super) fn adjusted(
    channel: &mut Channel,
    from: Leg,
    bytes: u32,
    out: &mut impl Outlet,
) -> bool {
    if channel.carried.as_ref().is_some_and(|it| it.is_cut) {
        // Nothing follows.
        return true;
    }
    let Some(agent) = channel.agent_mut() else {
        return false;
    };
    agent.windows.adjusted(from, bytes);
    flush(channel, out);
    true
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

/// Sends what the windows let through, and grants again what was taken once nothing waits.
fn flush(channel: &mut Channel, out: &mut impl Outlet) {
    // Nothing follows a close.
    let to = |leg: Leg| channel.ids[leg].filter(|_| !channel.closed_by[leg.other()]);
    let ids = PerLeg {
        client: to(Leg::Client),
        target: to(Leg::Target),
    };
    let Some(agent) = channel.agent_mut() else {
        return;
    };
    for leg in [Leg::Client, Leg::Target] {
        let Some(id) = ids[leg] else { continue };
        let waiting = &mut agent.waiting_for[leg];
        if agent.has_ended[leg] {
            waiting.clear();
        }
        while let Some((packet, len)) = agent.windows.packet(leg, id, waiting) {
            waiting.advance(len);
            out.send(leg, packet);
        }
        if waiting.is_empty() && core::mem::take(&mut agent.end_is_due[leg]) {
            agent.has_ended[leg] = true;
            out.send(leg, own::to_channel(wire::CHANNEL_EOF, id));
        }
    }
    if !agent.waiting_for.client.is_empty() || !agent.waiting_for.target.is_empty() {
        return;
    }
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

fn record_refusal(channel: u32, message: u8, out: &mut impl Outlet) {
    let record = Record::AgentRequest {
        message: message.into(),
        key_fingerprint: "",
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
