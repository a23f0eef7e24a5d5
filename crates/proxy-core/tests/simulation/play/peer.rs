//! One side's view of its connection, by RFC 4254 alone: what it may send, and what it must never get. Whatever the other side does,
//! the proxy keeps each side within these rules.

use std::collections::{BTreeMap, VecDeque};

use proxy_core::Leg;

use super::wire::Packet;

/// A peer of the proxy.
#[derive(Debug, Clone)]
pub struct Peer {
    pub leg: Leg,
    /// By this side's own number.
    pub channels: BTreeMap<u32, End>,
    /// Openings that this side has not answered.
    pub knocks: VecDeque<Knock>,
    /// Global requests without an answer, of this side, and of the other with whether the answer has a port in it.
    pub asked: usize,
    pub owes: VecDeque<bool>,
}

/// An opening as it came in.
#[derive(Debug, Clone)]
pub struct Knock {
    pub theirs: u32,
    pub kind: String,
}

/// This side's end of a channel.
#[derive(Debug, Clone)]
pub struct End {
    /// The other end's number, once it is open.
    pub theirs: Option<u32>,
    pub kind: String,
    pub sent_eof: bool,
    pub sent_close: bool,
    pub got_eof: bool,
    pub got_close: bool,
    /// Requests without an answer, of this side and of the other.
    pub asked: usize,
    pub owes: usize,
}

impl End {
    fn new(theirs: Option<u32>, kind: &str) -> Self {
        Self {
            theirs,
            kind: kind.into(),
            sent_eof: false,
            sent_close: false,
            got_eof: false,
            got_close: false,
            asked: 0,
            owes: 0,
        }
    }

    /// The end of a channel that nobody may have opened.
    pub fn unknown(theirs: u32) -> Self {
        Self::new(Some(theirs), "session")
    }
}

impl Peer {
    pub const fn new(leg: Leg) -> Self {
        Self {
            leg,
            channels: BTreeMap::new(),
            knocks: VecDeque::new(),
            asked: 0,
            owes: VecDeque::new(),
        }
    }

    fn by_theirs(&mut self, theirs: u32) -> Option<(u32, &mut End)> {
        let ends = self.channels.iter_mut();
        // The other side may use a number again that it has closed, and so has its other side: who has not yet closes it first.
        ends.filter(|(_, end)| end.theirs == Some(theirs) && !end.sent_close)
            .max_by_key(|(_, end)| end.got_close)
            .map(|(own, end)| (*own, end))
    }

    /// Whether the other side calls another channel the same.
    pub fn has_twin(&self, end: &End) -> bool {
        let ends = self.channels.values();
        ends.filter(|it| it.theirs == end.theirs).count() > 1
    }

    /// Takes note of what it sends; false where it may not send that. What is against the rules changes nothing here: the proxy keeps
    /// it to itself.
    pub fn sends(&mut self, packet: &Packet) -> bool {
        match packet {
            Packet::Open { kind, sender, .. } => {
                let is_free = !self.channels.contains_key(sender);
                if is_free {
                    self.channels.insert(*sender, End::new(None, kind));
                }
                is_free
            }
            Packet::Confirm { to, sender, .. } => {
                let at = self.knocks.iter().position(|it| it.theirs == *to);
                let is_free = !self.channels.contains_key(sender);
                let knock = at.filter(|_| is_free).and_then(|at| self.knocks.remove(at));
                if let Some(knock) = &knock {
                    let end = End::new(Some(*to), &knock.kind);
                    self.channels.insert(*sender, end);
                }
                knock.is_some()
            }
            Packet::OpenFailure { to, .. } => {
                let at = self.knocks.iter().position(|it| it.theirs == *to);
                at.is_some_and(|at| self.knocks.remove(at).is_some())
            }
            Packet::Global { want_reply, .. } => {
                self.asked += usize::from(*want_reply);
                true
            }
            Packet::GlobalSuccess(_) | Packet::GlobalFailure => self.owes.pop_front().is_some(),
            Packet::Raw(_) => false,
            _ => self.sends_on_channel(packet),
        }
    }

    fn sends_on_channel(&mut self, packet: &Packet) -> bool {
        let leg = self.leg;
        let Some((own, end)) = packet.to().and_then(|to| self.by_theirs(to)) else {
            return false;
        };
        if end.sent_close {
            return false;
        }
        match packet {
            Packet::Data { .. } => !end.sent_eof,
            Packet::Extended { .. } => !end.sent_eof && leg == Leg::Target,
            Packet::Eof(_) => !std::mem::replace(&mut end.sent_eof, true),
            Packet::Close(_) => {
                end.sent_close = true;
                if end.got_close {
                    self.channels.remove(&own);
                }
                true
            }
            Packet::Request { want_reply, .. } => {
                end.asked += usize::from(*want_reply);
                true
            }
            Packet::Success(_) | Packet::Failure(_) => {
                let is_owed = end.owes > 0;
                end.owes = end.owes.saturating_sub(1);
                is_owed
            }
            _ => true,
        }
    }

    /// Takes note of what it gets.
    ///
    /// # Panics
    /// When RFC 4254 does not let it come.
    pub fn gets(&mut self, packet: &Packet) {
        let leg = self.leg;
        match packet {
            Packet::Raw(bytes) => panic!("the {leg:?} got what is no packet: {bytes:?}"),
            Packet::Global {
                name,
                want_reply,
                data,
            } => {
                if *want_reply {
                    let is_any_port = name == "tcpip-forward" && data.ends_with(&[0; 4]);
                    self.owes.push_back(is_any_port);
                }
            }
            Packet::GlobalSuccess(_) | Packet::GlobalFailure => {
                assert!(
                    self.asked > 0,
                    "the {leg:?} got an answer that it did not ask for"
                );
                self.asked -= 1;
            }
            Packet::Open { kind, sender, .. } => {
                let mut ends = self.channels.values();
                let is_used = ends.any(|it| it.theirs == Some(*sender) && !it.got_close)
                    || self.knocks.iter().any(|it| it.theirs == *sender);
                assert!(!is_used, "the {leg:?} was given number {sender} twice");
                self.knocks.push_back(Knock {
                    theirs: *sender,
                    kind: kind.clone(),
                });
            }
            Packet::Confirm { to, sender, .. } => {
                let end = self.channels.get_mut(to);
                let end = end.filter(|end| end.theirs.is_none());
                end.expect("a confirmation of nothing").theirs = Some(*sender);
            }
            Packet::OpenFailure { to, .. } => {
                let end = self.channels.remove(to);
                assert!(
                    end.is_some_and(|end| end.theirs.is_none()),
                    "the {leg:?} was refused a channel that it did not wait for"
                );
            }
            _ => self.gets_on_channel(packet),
        }
    }

    fn gets_on_channel(&mut self, packet: &Packet) {
        let leg = self.leg;
        let to = packet.to().expect("the others are about channels");
        let is_window = matches!(packet, Packet::Adjust { .. });
        let end = self.channels.get_mut(&to);
        // RFC 4254 section 5.3 lets nothing follow a close but does not name windows, and no program minds them.
        let end = end.filter(|end| end.theirs.is_some() && (!end.got_close || is_window));
        let end = end.unwrap_or_else(|| panic!("the {leg:?} has no channel for {packet:?}"));
        match packet {
            Packet::Data { .. } | Packet::Extended { .. } => {
                assert!(!end.got_eof, "the {leg:?} got data after the end of it");
            }
            Packet::Eof(_) => {
                assert!(!end.got_eof, "the {leg:?} got two ends");
                end.got_eof = true;
            }
            Packet::Close(_) => {
                end.got_close = true;
                if end.sent_close {
                    self.channels.remove(&to);
                }
            }
            Packet::Request { want_reply, .. } => end.owes += usize::from(*want_reply),
            Packet::Success(_) | Packet::Failure(_) => {
                assert!(
                    end.asked > 0,
                    "the {leg:?} got an answer that it did not ask for"
                );
                end.asked -= 1;
            }
            _ => {}
        }
    }
}
