//! Connections that end at the proxy because SSH is inside: what whoever has the session hears of them, and what it may say there.

use proxy_core::{Leg, PerLeg};

use super::super::wire::{MAX_PACKET, Packet};
use super::line::Line;
use super::{Oracle, Out, Told, Verdict};

/// What a session inside hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    Asked,
    Found,
    Connected,
    Unreachable,
    Bytes(Leg, Vec<u8>),
    Ended(Leg),
    Closed(Leg),
}

/// What a session inside does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// It is done with so many of a leg's bytes.
    Take(Leg, usize),
    Speak(Leg, Vec<u8>),
    /// It is over.
    Close,
}

/// What a connection is to the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// Nothing but a connection.
    Nothing,
    /// It may turn out to be SSH.
    Unknown,
    Session,
}

const SSH: &[u8] = b"SSH-";

/// The session of a channel of this number is over when the target agrees to it.
pub const fn is_abandoned(number: u32) -> bool {
    number % 11 == 5
}

/// There is to be no session on a channel of this number.
pub const fn is_unwanted(number: u32) -> bool {
    number % 7 == 3
}

impl Oracle {
    /// Whether it is for nothing but a session.
    pub(super) fn asks_for_session(&self, from: Leg, (host, port): (&str, u32)) -> bool {
        from == Leg::Client && self.granted.allows_jump(host, port)
    }

    /// What a new connection is.
    pub(super) fn begins(&self, from: Leg, kind: &str, place: Option<(String, u32)>) -> Inside {
        match place {
            Some((host, port)) if kind == "direct-tcpip" => {
                if self.asks_for_session(from, (&host, port)) {
                    Inside::Session
                } else if self.granted.has_sessions() {
                    Inside::Unknown
                } else {
                    Inside::Nothing
                }
            }
            _ => Inside::Nothing,
        }
    }

    /// Everything that sessions inside hear of a packet.
    pub(super) fn words(&self, (from, packet): (Leg, &Packet), verdict: Verdict) -> Vec<Out> {
        let word = |number, word| vec![Out::Inside(number, word)];
        match packet {
            Packet::Open {
                kind, sender, data, ..
            } if self.is_asked(from, kind, *sender, data) => {
                word(self.last_number + 1, Word::Asked)
            }
            Packet::Confirm { to, .. } | Packet::OpenFailure { to, .. }
                if verdict == Verdict::Pass =>
            {
                let is_open = matches!(packet, Packet::Confirm { .. });
                match self.unanswered(from, *to) {
                    Some(line) if line.inside == Inside::Session && is_open => {
                        word(line.number, Word::Connected)
                    }
                    Some(line) if line.inside == Inside::Session => {
                        word(line.number, Word::Unreachable)
                    }
                    _ => Vec::new(),
                }
            }
            _ => {
                let line = packet.to().and_then(|to| self.at(from, to));
                match line.and_then(|at| self.lines.get(at)) {
                    Some(line) => line.words((from, packet), verdict),
                    None => Vec::new(),
                }
            }
        }
    }

    /// The sessions inside, by their channels' numbers in the log, and whether they are over.
    fn sessions(&self) -> impl Iterator<Item = (u32, bool)> {
        let is_one = |line: &&Line| line.inside == Inside::Session && line.is_open();
        let lines = self.lines.iter().filter(is_one);
        lines.map(|line| (line.number, line.is_told_close.client))
    }

    /// The `which`th of them.
    pub fn session(&self, which: usize) -> Option<u32> {
        let at = which % self.sessions().count().max(1);
        self.sessions().nth(at).map(|(number, _)| number)
    }

    /// The place of one that goes on.
    pub fn unfinished_session(&self) -> Option<usize> {
        self.sessions().position(|(_, is_over)| !is_over)
    }

    /// As much as a leg may still send on this channel, and what it calls it.
    pub fn room_of(&self, number: u32, from: Leg) -> Option<(u32, usize)> {
        let line = self.lines.iter().find(|it| it.number == number)?;
        let room = usize::try_from(line.windows.told[from]).unwrap_or(0);
        Some((line.ids[from.other()]?, room))
    }

    /// As much of an act as a session can do.
    pub fn within_reason(&self, number: u32, act: Act) -> Option<Act> {
        let line = self.lines.iter().find(|it| it.number == number)?;
        match act {
            Act::Take(from, len) => Some(Act::Take(from, len.min(line.untaken[from]))),
            act => Some(act),
        }
    }

    /// Whether a leg's peer takes data on this channel, now or later.
    pub fn takes_data(&self, number: u32, to: Leg) -> bool {
        let line = self.lines.iter().find(|it| it.number == number);
        line.is_some_and(|line| !line.closed[to] && !line.is_told_close[to])
    }

    /// What the two sides are told when the target agrees to a session that has not waited for it.
    pub(super) fn is_over_at_once(&mut self, (from, packet): (Leg, &Packet), outs: &[Out]) {
        let Packet::Confirm { sender, .. } = packet else {
            return;
        };
        let mut lines = self.lines.iter_mut().rev();
        let line = lines.find(|it| it.ids[from] == Some(*sender) && !it.is_free_at(from));
        let line = line.expect("it was just confirmed");
        if line.inside != Inside::Session || !is_abandoned(line.number) {
            return;
        }
        let wanted = line.acts(&Act::Close);
        let mut sends = outs.iter().filter(|out| wanted.contains(out));
        assert!(wanted.iter().all(|it| sends.next() == Some(it)), "{outs:?}");
    }

    /// What came of an act.
    ///
    /// # Panics
    /// When anything else had to.
    pub fn acted(&mut self, number: u32, act: &Act, outs: &[Out]) {
        let mut lines = self.lines.iter_mut();
        let line = lines.find(|it| it.number == number).expect("it goes on");
        let wanted = line.acts(act);
        let sends = outs.iter().filter(|out| matches!(out, Out::Send(..)));
        match (act, outs) {
            (Act::Take(from, _), [Out::Send(to, Packet::Adjust { to: id, bytes })]) => {
                assert!(to == from && Some(*id) == line.ids[*from] && line.may_send(*from));
                assert!(!line.is_told_close[*from], "a window of what is closed");
                line.windows.told[*from] += i64::from(*bytes);
            }
            _ => assert!(sends.eq(&wanted), "{act:?} came to {outs:?}"),
        }
        let is_over = line.is_over();
        let ends = outs.iter().filter(|out| **out == Out::Event(Told::Close));
        assert_eq!(ends.count(), usize::from(is_over), "channel.close");
        self.is_summed_up(outs);
        self.lines.retain(|line| !line.is_over());
        self.windows_agree();
    }
}

impl Line {
    /// Whether a leg's peer may use its number of it again.
    pub(super) fn is_free_at(&self, leg: Leg) -> bool {
        self.inside == Inside::Session && self.closed[leg] && self.is_told_close[leg]
    }

    /// It has neither ended nor closed its direction.
    pub(super) fn may_send(&self, from: Leg) -> bool {
        !self.ended[from] && !self.closed[from]
    }

    /// Whether these bytes make it known that SSH is inside.
    pub(super) fn is_found_by(&self, from: Leg, bytes: &[u8]) -> bool {
        let whole = [&self.heads[from], bytes].concat();
        self.inside == Inside::Unknown && self.may_send(from) && whole.starts_with(SSH)
    }

    /// Whether a session is there, or is found with these bytes.
    pub(super) fn is_taken(&self, from: Leg, bytes: &[u8]) -> bool {
        let is_found = self.is_found_by(from, bytes) && !is_unwanted(self.number);
        self.may_send(from) && (self.inside == Inside::Session || is_found)
    }

    /// Whether it is not yet known that SSH is not inside, once these bytes came as well.
    pub(super) fn is_unknown_after(&self, from: Leg, bytes: &[u8]) -> bool {
        let whole = [&self.heads[from], bytes].concat();
        self.inside == Inside::Unknown && SSH.starts_with(&whole)
    }

    fn words(&self, (from, packet): (Leg, &Packet), verdict: Verdict) -> Vec<Out> {
        let mut words = Vec::new();
        match packet {
            Packet::Data { bytes, .. } if verdict != Verdict::TooMuch => {
                if self.is_found_by(from, bytes) {
                    words.push(Word::Found);
                }
                if self.is_taken(from, bytes) {
                    if self.inside == Inside::Unknown {
                        words.push(Word::Bytes(Leg::Client, self.heads.client.clone()));
                        words.push(Word::Bytes(Leg::Target, self.heads.target.clone()));
                    }
                    words.push(Word::Bytes(from, bytes.clone()));
                }
            }
            Packet::Eof(_) if verdict == Verdict::Taken => words.push(Word::Ended(from)),
            Packet::Close(_) if verdict == Verdict::Taken => words.push(Word::Closed(from)),
            _ => {}
        }
        let words = words.into_iter();
        words.map(|word| Out::Inside(self.number, word)).collect()
    }

    /// A client's first word has to be SSH's: whether it is told once that it is not.
    pub(super) fn is_no_ssh(&self, from: Leg, bytes: &[u8]) -> bool {
        let awaited = &SSH[self.greeted.min(SSH.len())..];
        let len = awaited.len().min(bytes.len());
        from == Leg::Client && self.inside == Inside::Session && awaited[..len] != bytes[..len]
    }

    /// A session has these bytes.
    pub(super) fn take(&mut self, from: Leg, bytes: &[u8]) {
        if self.inside == Inside::Unknown {
            self.inside = Inside::Session;
            self.greeted = SSH.len();
            for leg in [Leg::Client, Leg::Target] {
                self.untaken[leg] = self.heads[leg].len();
            }
        } else if self.is_no_ssh(from, bytes) {
            self.greeted = SSH.len();
        } else if from == Leg::Client {
            self.greeted += bytes.len();
        }
        self.untaken[from] += bytes.len();
        self.windows.told[from] -= bytes.len() as i64;
        self.carried[from].bytes += bytes.len() as u64;
    }

    /// Takes note of what a session does, and gives all that has to be sent.
    fn acts(&mut self, act: &Act) -> Vec<Out> {
        let ids = PerLeg {
            client: self.ids.client.expect("it is open"),
            target: self.ids.target.expect("it is open"),
        };
        let mut sends = Vec::new();
        match act {
            Act::Take(from, len) => self.untaken[*from] -= len,
            Act::Speak(to, bytes) => {
                let left = usize::try_from(self.windows.takes[*to]).expect("it is not exceeded");
                let len = bytes.len().min(left).min(MAX_PACKET as usize);
                if len > 0 && !self.closed[*to] && !self.is_told_close[*to] {
                    self.windows.takes[*to] -= len as i64;
                    let (to, bytes) = (*to, bytes[..len].to_vec());
                    sends.push(Out::Send(to, Packet::Data { to: ids[to], bytes }));
                }
            }
            Act::Close => {
                for to in [Leg::Client, Leg::Target] {
                    if !std::mem::replace(&mut self.is_told_close[to], true) {
                        sends.push(Out::Send(to, Packet::Eof(ids[to])));
                        sends.push(Out::Send(to, Packet::Close(ids[to])));
                    }
                }
            }
        }
        sends
    }
}
