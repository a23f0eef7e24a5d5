//! What a connection to the client's agent carries, put together in the plainest way: whole messages, nothing to the agent but requests
//! to list and to sign, and one answer for each request in its turn.

use std::collections::VecDeque;

use proxy_core::limits::{MAX_AGENT_BYTES, MAX_AGENT_QUESTIONS};
use proxy_core::relay::AGENT_WINDOW_BYTES;
use proxy_core::{Leg, PerLeg};

use super::super::noted::Noted;
use super::super::wire::{Fields, Packet};
use super::line::Line;
use super::{Oracle, Out, Verdict};

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// Of each side, what is no whole message yet.
    begun: PerLeg<Vec<u8>>,
    /// What was asked and has no answer.
    asked: VecDeque<Asked>,
    /// What each side is still to get.
    due: PerLeg<Vec<u8>>,
    end_is_due: PerLeg<bool>,
    close_is_due: PerLeg<bool>,
    has_end: PerLeg<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    List,
    Sign,
    /// What no agent here is asked.
    Other,
}

/// What has to come of a packet on such a connection.
#[derive(Debug, Default)]
pub(super) struct Expected {
    number: u32,
    /// Requests that are recorded.
    asked: usize,
    is_cut: bool,
    passes: bool,
    sent: PerLeg<Sent>,
}

/// What one side gets.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sent {
    bytes: Vec<u8>,
    end: bool,
    close: bool,
}

/// Nobody talks so.
struct Breach;

/// As long as OpenSSH's own agent takes.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;
const FAILURE: [u8; 5] = [0, 0, 0, 1, 5];

impl Talk {
    /// How many of the requests in it the agent gets.
    fn said(&mut self, from: Leg, bytes: &[u8]) -> Result<usize, Breach> {
        self.begun[from].extend_from_slice(bytes);
        let mut count = 0;
        while let Some(message) = next_message(&mut self.begun[from])? {
            if from == Leg::Client {
                self.answered(&message)?;
            } else if self.asks(&message)? {
                count += 1;
            }
            while self.asked.front() == Some(&Asked::Other) {
                self.asked.pop_front();
                self.due.target.extend(FAILURE);
            }
        }
        Ok(count)
    }

    fn asks(&mut self, message: &[u8]) -> Result<bool, Breach> {
        if self.asked.len() == MAX_AGENT_QUESTIONS {
            return Err(Breach);
        }
        let asked = Asked::read(&message[4..]);
        self.asked.push_back(asked);
        if asked != Asked::Other {
            self.due.client.extend_from_slice(message);
        }
        Ok(asked != Asked::Other)
    }

    fn answered(&mut self, message: &[u8]) -> Result<(), Breach> {
        let asked = self.asked.pop_front().ok_or(Breach)?;
        if !asked.is_answered_by(&message[4..]) {
            return Err(Breach);
        }
        self.due.target.extend_from_slice(message);
        Ok(())
    }

    /// What goes to a side that takes so much; nothing follows the end.
    fn flush(&mut self, to: Leg, takes: i64) -> Sent {
        if self.has_end[to] {
            self.due[to].clear();
        }
        let len = self.due[to].len().min(usize::try_from(takes).unwrap_or(0));
        let bytes = self.due[to].drain(..len).collect();
        let is_all = self.due[to].is_empty();
        let end = is_all && std::mem::take(&mut self.end_is_due[to]);
        let close = is_all && std::mem::take(&mut self.close_is_due[to]);
        self.has_end[to] |= end;
        Sent { bytes, end, close }
    }

    fn held_bytes(&self) -> usize {
        let all = [&self.begun, &self.due];
        all.iter().map(|it| it.client.len() + it.target.len()).sum()
    }
}

/// The next whole message, its length in front.
fn next_message(begun: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Breach> {
    let Some(head) = begun.first_chunk() else {
        return Ok(None);
    };
    let len = u32::from_be_bytes(*head) as usize;
    if len == 0 || len > MAX_MESSAGE_BYTES {
        return Err(Breach);
    }
    Ok((begun.len() >= 4 + len).then(|| begun.drain(..4 + len).collect()))
}

impl Asked {
    fn read(message: &[u8]) -> Self {
        let is_signing = || {
            let mut r = Fields(&message[1..]);
            let fields = r.string().and(r.string()).map(|_| r.u32());
            fields.flatten().is_some() && r.0.is_empty()
        };
        match message[0] {
            11 if message.len() == 1 => Self::List,
            13 if is_signing() => Self::Sign,
            _ => Self::Other,
        }
    }

    fn is_answered_by(self, message: &[u8]) -> bool {
        let mut r = Fields(&message[1..]);
        let fits = match (self, message[0]) {
            (_, 5) => true,
            (Self::List, 12) => {
                let count = r.u32().unwrap_or(u32::MAX);
                (0..count).all(|_| r.string().is_some() && r.string().is_some())
            }
            (Self::Sign, 14) => r.string().is_some(),
            _ => false,
        };
        fits && r.0.is_empty()
    }
}

impl Oracle {
    /// What has to come of a packet, if it is about a connection to the agent.
    pub(super) fn expects(
        &mut self,
        (from, packet): (Leg, &Packet),
        verdict: Verdict,
    ) -> Option<Expected> {
        let is_close = matches!(packet, Packet::Close(_)) && verdict == Verdict::Pass;
        let at = packet.to().and_then(|to| self.at(from, to))?;
        let line = self.lines.get_mut(at)?;
        let is_it = line.is_agent && !line.is_cut && (is_close || verdict == Verdict::Own);
        is_it.then(|| line.expects((from, packet)))
    }

    /// It came of it.
    ///
    /// # Panics
    /// When it did not.
    pub(super) fn is_as_expected(&mut self, from: Leg, expected: &Expected, outs: &[Out]) {
        let mut lines = self.lines.iter_mut();
        let line = lines.find(|it| it.number == expected.number);
        let line = line.expect("it is open");
        let mut sent = PerLeg::<Sent>::default();
        for out in outs {
            let Out::Send(to, packet) = out else { continue };
            let sent = &mut sent[*to];
            match packet {
                packet if packet.to() != line.ids[*to] => {}
                Packet::Data { bytes, .. } => {
                    assert!(!sent.end && !sent.close);
                    sent.bytes.extend_from_slice(bytes);
                }
                Packet::Eof(_) => sent.end = true,
                Packet::Close(_) => sent.close = true,
                _ => {}
            }
        }
        assert_eq!(sent, expected.sent, "on the agent's connection {line:?}");
        let passes = outs.contains(&Out::Pass);
        assert_eq!(passes, expected.passes, "the close of the agent's channel");
        let is_cut = outs.contains(&Out::Record(line.number, Noted::Refused(from)));
        assert_eq!(is_cut, expected.is_cut, "a connection to the agent is cut");
        let is_asked = |out: &&Out| matches!(out, Out::Record(_, Noted::AgentAsked));
        let first = outs.iter().position(|out| matches!(out, Out::Send(..)));
        let before = &outs[..first.unwrap_or(outs.len())];
        let recorded = before.iter().filter(is_asked).count();
        assert_eq!(recorded, expected.asked, "questions to the agent");
        if is_cut {
            line.is_cut = true;
            line.ended = PerLeg {
                client: true,
                target: true,
            };
        }
    }

    /// Whether a program of the target may use the client's agent: only beside the channel on which it was lent.
    pub(super) fn lends_agent(&self) -> bool {
        let mut lines = self.lines.iter();
        lines.any(|it| it.agent_is_lent && it.has_loans())
    }

    /// Once it is lent no more, what is open to it ends, and so does what opens later.
    pub(super) fn agent_is_taken_back(&mut self, packet: &Packet, outs: &[Out]) {
        let may_end = matches!(packet, Packet::Close(_) | Packet::Confirm { .. });
        if !may_end || self.lends_agent() {
            return;
        }
        for line in &mut self.lines {
            let goes_on = line.is_agent && !line.is_cut && line.is_open();
            if !goes_on || !line.has_loans() {
                continue;
            }
            let refused = Out::Record(line.number, Noted::Refused(Leg::Target));
            assert!(outs.contains(&refused), "{line:?} outlives what lent it");
            for leg in [Leg::Client, Leg::Target] {
                let is_due = !line.ended[leg.other()] || line.talk.end_is_due[leg];
                let ends = line.ids[leg].map(|id| Out::Send(leg, Packet::Eof(id)));
                let is_told = ends.is_some_and(|end| outs.contains(&end));
                assert_eq!(is_told, is_due, "the {leg:?} of {line:?}");
            }
            line.is_cut = true;
            line.ended = PerLeg {
                client: true,
                target: true,
            };
        }
    }

    /// Nobody who talks to an agent waits for ever, while all hold little enough.
    pub(super) fn agents_go_on(&self) {
        let agents = || self.lines.iter().filter(|it| it.is_agent && !it.is_cut);
        let held: usize = agents().map(|line| line.talk.held_bytes()).sum();
        // The room that is set aside for a message grows by half of what is there at most.
        if held > MAX_AGENT_BYTES / 2 {
            return;
        }
        for line in agents().filter(|it| it.is_open()) {
            let PerLeg { client, target } = &line.talk.due;
            for leg in [Leg::Client, Leg::Target] {
                let is_heard = line.may_send(leg) && !line.closed[leg.other()];
                let waits = is_heard && client.is_empty() && target.is_empty();
                let told = line.windows.told[leg];
                let is_fair = told >= i64::from(AGENT_WINDOW_BYTES / 2);
                assert!(is_fair || !waits, "the {leg:?} may send {told}: {line:?}");
            }
        }
    }
}

impl Line {
    fn expects(&mut self, (from, packet): (Leg, &Packet)) -> Expected {
        let mut expected = Expected {
            number: self.number,
            ..Expected::default()
        };
        let to = from.other();
        let mut takes = PerLeg {
            client: self.windows.takes.client,
            target: self.windows.takes.target,
        };
        let talk = &mut self.talk;
        match packet {
            // Nobody hears it.
            Packet::Data { .. } if self.closed[to] => return expected,
            Packet::Data { bytes, .. } => match talk.said(from, bytes) {
                Ok(asked) => expected.asked = asked,
                Err(Breach) => {
                    expected.is_cut = true;
                    for leg in [Leg::Client, Leg::Target] {
                        let other = leg.other();
                        let is_due = !self.ended[other] || talk.end_is_due[leg];
                        expected.sent[leg].end = is_due && !self.closed[other];
                    }
                    return expected;
                }
            },
            Packet::Eof(_) => talk.end_is_due[to] = true,
            Packet::Adjust { bytes, .. } => takes[from] += i64::from(*bytes),
            Packet::Close(_) => {
                expected.sent[from].close = std::mem::take(&mut talk.close_is_due[from]);
                talk.due[from].clear();
                let waits = !self.closed[to] && !talk.due[to].is_empty();
                talk.close_is_due[to] = waits;
                expected.passes = !waits;
                return expected;
            }
            _ => return expected,
        }
        for leg in [Leg::Client, Leg::Target] {
            if !self.closed[leg.other()] || talk.close_is_due[leg] {
                expected.sent[leg] = talk.flush(leg, takes[leg]);
            }
        }
        expected
    }
}
