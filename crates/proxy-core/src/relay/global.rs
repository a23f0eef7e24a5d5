//! Global requests (RFC 4254 section 4): which pass, and who answers them, in the order in which they were asked.
//!
//! ```text
//!   target                         proxy                          client
//!   hostkeys-00 ───────────────────> │                              │
//!     │ <──────── hostkeys-prove-00  │                              │
//!   proofs ────────────────────────> │ hostkeys-00, derived keys ──>│
//!                                    │ <────────── hostkeys-prove-00
//!                                    │ proofs ─────────────────────>│
//! ```
//!
//! The requests about host keys (OpenSSH `PROTOCOL` 2.5) end here on both sides, since the client knows derived keys only.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use session_log::Record;

use super::listen::Listener;
use super::refusal::{flush_refusals, write_refusal};
use super::wire::forward::{Act, ListenRequest};
use super::wire::{self, Message, own};
use super::{Outlet, Relay, RelayError};
use crate::{ChannelEvent, Leg, Limits, PerLeg};

const ANNOUNCEMENT: &str = "hostkeys-00@openssh.com";
const KEEPALIVE: &str = "keepalive@openssh.com";
const PROVE: &str = "hostkeys-prove-00@openssh.com";

/// Who has the host keys of both sides. The relay carries its packets and keeps their turn.
pub trait HostKeys {
    /// The target announced its host keys in this packet.
    ///
    /// # Errors
    /// Why it is ignored.
    fn announced(&mut self, packet: &[u8]) -> Result<NextStep, &'static str>;

    /// The target answered the request of [`NextStep::Ask`] with this packet. Keys that it does not prove are left out.
    ///
    /// # Errors
    /// Why nothing is told.
    fn answered(&mut self, packet: &[u8]) -> Result<Announcement, &'static str>;

    /// The target began with something else than an announcement. `None` leaves the client with what it knows.
    fn not_announced(&mut self) -> Option<Announcement>;

    /// The client wants the keys in this packet proven.
    ///
    /// # Errors
    /// Why it is refused.
    fn prove(&mut self, packet: &[u8]) -> Result<Proofs, &'static str>;
}

/// What follows an announcement of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// The target is to answer this packet.
    Ask(Vec<u8>),
    /// There is nothing to prove.
    Tell(Announcement),
}

/// Host keys told to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// For the client.
    pub packet: Vec<u8>,
    /// For the log.
    pub text: String,
    /// Why some of the target's keys are not in it, if they are not.
    pub left_out: Option<&'static str>,
}

/// Host keys proven to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proofs {
    /// The answer for the client.
    pub packet: Vec<u8>,
    /// How many keys it proves.
    pub keys: u32,
}

/// What answers the oldest unanswered request of a leg.
#[derive(Debug)]
pub(super) enum Answer {
    /// Its peer, as it comes.
    FromPeer,
    /// Its peer, about a listener.
    AboutListener(Act, Listener),
    /// The proxy, when all earlier ones were answered.
    Own(Vec<u8>),
    /// Nobody on that leg asked: the proxy did, between that leg's requests.
    ForProxy,
    /// Likewise, to know that the client has what it was told on this channel.
    Heard { channel: u32 },
}

/// The global requests of both legs.
#[derive(Debug)]
pub(super) struct GlobalRequests {
    pending_replies: usize,
    unheard: usize,
    answers_to: PerLeg<VecDeque<Answer>>,
    /// The target has sent its first packet, which is where OpenSSH announces its keys.
    target_has_begun: bool,
}

impl Answer {
    /// Whether it is a peer's debt to the proxy, which is no request of the other peer.
    const fn is_for_proxy(&self) -> bool {
        matches!(self, Self::ForProxy | Self::Heard { .. })
    }
}

impl GlobalRequests {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            pending_replies: limits.pending_replies,
            unheard: limits.unheard,
            answers_to: PerLeg {
                client: VecDeque::new(),
                target: VecDeque::new(),
            },
            target_has_begun: false,
        }
    }

    pub(super) fn push(&mut self, to: Leg, answer: Answer) -> Result<(), RelayError> {
        let answers = &mut self.answers_to[to];
        let asked = answers.iter().filter(|it| !it.is_for_proxy()).count();
        if asked >= self.pending_replies {
            return Err(RelayError::TooManyRequests {
                limit: self.pending_replies,
            });
        }
        answers.push_back(answer);
        Ok(())
    }

    /// The listeners that the target was asked for and has not answered about.
    pub(super) fn awaited_listeners(&self) -> impl Iterator<Item = &Listener> {
        let answers = self.answers_to[Leg::Client].iter();
        answers.filter_map(|it| match it {
            Answer::AboutListener(Act::Begin, listener) => Some(listener),
            _ => None,
        })
    }

    /// A refusal goes out in its turn.
    pub(super) fn refuse(&mut self, to: Leg, out: &mut impl Outlet) -> Result<(), RelayError> {
        self.answer(to, refusal(), out)
    }

    /// An answer of the proxy goes out in its turn.
    fn answer(
        &mut self,
        to: Leg,
        packet: Vec<u8>,
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        self.push(to, Answer::Own(packet))?;
        self.flush(to, out);
        Ok(())
    }

    /// Asks the client for an answer that it gives behind all it got before, as `sshd` does to see whether it is alive. One
    /// question about a channel is enough until it is answered.
    pub(super) fn ask_whether_heard(&mut self, channel: u32, out: &mut impl Outlet) {
        let answers = &mut self.answers_to[Leg::Target];
        let unheard = || {
            answers.iter().filter_map(|it| match it {
                Answer::Heard { channel } => Some(*channel),
                _ => None,
            })
        };
        if unheard().count() >= self.unheard || unheard().any(|it| it == channel) {
            return;
        }
        answers.push_back(Answer::Heard { channel });
        out.send(Leg::Client, own::global_request(KEEPALIVE));
    }

    /// Sends the proxy's answers that no answer of the peer is due before. What the peer owes the proxy holds nobody up.
    fn flush(&mut self, to: Leg, out: &mut impl Outlet) {
        let answers = &mut self.answers_to[to];
        while let Some(next) = answers.iter().position(|answer| !answer.is_for_proxy())
            && matches!(answers.get(next), Some(Answer::Own(_)))
            && let Some(Answer::Own(packet)) = answers.remove(next)
        {
            out.send(to, packet);
        }
    }
}

impl Relay {
    /// A target whose first packet is no announcement makes none: the client is told what there is to tell.
    pub(super) fn target_begins(&mut self, message: &Message<'_>, out: &mut impl Outlet) {
        if core::mem::replace(&mut self.global.target_has_begun, true) {
            return;
        }
        let announces =
            matches!(message, Message::GlobalRequest { name, .. } if *name == ANNOUNCEMENT);
        if !announces
            && let Some(announcement) = out.host_keys().and_then(|keys| keys.not_announced())
        {
            tell(announcement, out);
        }
    }

    pub(super) fn global_request(
        &mut self,
        from: Leg,
        message: Message<'_>,
        packet: &[u8],
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let Message::GlobalRequest {
            name,
            want_reply,
            data,
        } = message
        else {
            return Err(RelayError::Malformed);
        };
        let verdict = match (from, name) {
            (_, KEEPALIVE | "no-more-sessions@openssh.com") if !data.is_empty() => {
                Err("it has no room for data")
            }
            (_, KEEPALIVE) | (Leg::Client, "no-more-sessions@openssh.com") => Ok(()),
            (Leg::Target, ANNOUNCEMENT) => {
                return self.target_announces(want_reply, packet, out);
            }
            (Leg::Client, name) if ListenRequest::is_one(name) => {
                return self.listen_request((name, want_reply, data), out);
            }
            (Leg::Client, PROVE) if want_reply => return self.client_asks(packet, out),
            (Leg::Client, PROVE) => Err("no answer is wanted"),
            _ => Err("not a known global request"),
        };
        match verdict {
            Ok(()) => {
                record_request(from, name, want_reply, out);
                if want_reply {
                    self.global.push(from, Answer::FromPeer)?;
                }
                out.pass();
            }
            Err(why) => {
                write_refusal(0, from, name, why, out);
                if want_reply {
                    self.global.refuse(from, out)?;
                }
            }
        }
        Ok(())
    }

    /// An answer to the oldest request of the other leg, or of the proxy's own.
    pub(super) fn global_reply(
        &mut self,
        from: Leg,
        ok: bool,
        data: &[u8],
        packet: &[u8],
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let asker = from.other();
        let owed = |answer: &mut Answer| !matches!(answer, Answer::Own(_));
        match self.global.answers_to[asker].pop_front_if(owed) {
            Some(Answer::ForProxy) => {
                let announcement = out.host_keys().map(|keys| keys.answered(packet));
                match announcement {
                    Some(Ok(announcement)) => tell(announcement, out),
                    Some(Err(why)) => write_refusal(0, from, ANNOUNCEMENT, why, out),
                    None => {}
                }
            }
            Some(Answer::Heard { channel }) => {
                if let Some(channel) = self.channels.numbered(channel) {
                    channel.words_until = None;
                    flush_refusals(channel, Leg::Client, out);
                }
            }
            Some(Answer::AboutListener(act, listener)) => {
                if self.listener_answered((act, listener), ok, data, out) {
                    pass_reply(from, ok, out);
                } else {
                    out.send(asker, refusal());
                }
            }
            // No other request that passes has an answer with data.
            _ if !data.is_empty() => return Err(RelayError::Malformed),
            Some(_) => pass_reply(from, ok, out),
            None => {
                write_refusal(0, from, "global reply", "nobody asked", out);
                return Ok(());
            }
        }
        self.global.flush(asker, out);
        Ok(())
    }

    fn target_announces(
        &mut self,
        want_reply: bool,
        packet: &[u8],
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        record_request(Leg::Target, ANNOUNCEMENT, want_reply, out);
        if want_reply {
            self.global.refuse(Leg::Target, out)?;
        }
        match out.host_keys().map(|keys| keys.announced(packet)) {
            Some(Ok(NextStep::Ask(request))) => {
                // Beyond the client's own limit, since the client did not ask.
                self.global.answers_to[Leg::Client].push_back(Answer::ForProxy);
                out.send(Leg::Target, request);
            }
            Some(Ok(NextStep::Tell(announcement))) => tell(announcement, out),
            Some(Err(why)) => write_refusal(0, Leg::Target, ANNOUNCEMENT, why, out),
            None => {
                let why = "nobody here has host keys for the client";
                write_refusal(0, Leg::Target, ANNOUNCEMENT, why, out);
            }
        }
        Ok(())
    }

    fn client_asks(&mut self, packet: &[u8], out: &mut impl Outlet) -> Result<(), RelayError> {
        let proofs = out.host_keys().map(|keys| keys.prove(packet));
        let answer = match proofs.unwrap_or(Err("no host key was announced")) {
            Ok(proofs) => {
                record_request(Leg::Client, PROVE, true, out);
                out.event(ChannelEvent::HostKeysProven { keys: proofs.keys });
                proofs.packet
            }
            Err(why) => {
                write_refusal(0, Leg::Client, PROVE, why, out);
                refusal()
            }
        };
        self.global.answer(Leg::Client, answer, out)
    }
}

fn tell(announcement: Announcement, out: &mut impl Outlet) {
    if let Some(why) = announcement.left_out {
        write_refusal(0, Leg::Target, ANNOUNCEMENT, why, out);
    }
    out.record(
        0,
        &Record::Annotation {
            text: &announcement.text,
        },
    );
    out.send(Leg::Client, announcement.packet);
}

fn pass_reply(from: Leg, ok: bool, out: &mut impl Outlet) {
    let record = Record::Reply {
        from: from.side(),
        ok,
    };
    out.record(0, &record);
    out.pass();
}

fn record_request(from: Leg, kind: &str, want_reply: bool, out: &mut impl Outlet) {
    out.record(
        0,
        &Record::Request {
            from: from.side(),
            kind,
            want_reply,
        },
    );
}

fn refusal() -> Vec<u8> {
    own::bare(wire::REQUEST_FAILURE)
}
