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
    pub asked: usize,
    pub owes: usize,
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
            owes: 0,
        }
    }

    fn by_theirs(&mut self, theirs: u32) -> Option<(u32, &mut End)> {
        let mut ends = self.channels.iter_mut();
        ends.find(|(_, end)| end.theirs == Some(theirs))
            .map(|(own, end)| (*own, end))
    }

    /// Takes note of what it sends. What is against the rules changes nothing here: the proxy keeps it to itself.
    pub fn sends(&mut self, packet: &Packet) {
        match packet {
            Packet::Open { kind, sender, .. } => {
                self.channels
                    .entry(*sender)
                    .or_insert_with(|| End::new(None, kind));
            }
            Packet::Confirm { to, sender } => {
                if let Some(at) = self.knocks.iter().position(|it| it.theirs == *to)
                    && let Some(knock) = self.knocks.remove(at)
                {
                    let end = End::new(Some(*to), &knock.kind);
                    self.channels.entry(*sender).or_insert(end);
                }
            }
            Packet::OpenFailure { to, .. } => self.knocks.retain(|it| it.theirs != *to),
            Packet::Global { want_reply, .. } => self.asked += usize::from(*want_reply),
            Packet::GlobalSuccess(_) | Packet::GlobalFailure => {
                self.owes = self.owes.saturating_sub(1);
            }
            _ => self.sends_on_channel(packet),
        }
    }

    fn sends_on_channel(&mut self, packet: &Packet) {
        let Some((own, end)) = packet.to().and_then(|to| self.by_theirs(to)) else {
            return;
        };
        if end.sent_close {
            return;
        }
        match packet {
            Packet::Eof(_) => end.sent_eof = true,
            Packet::Close(_) => {
                end.sent_close = true;
                if end.got_close {
                    self.channels.remove(&own);
                }
            }
            Packet::Request { want_reply, .. } => end.asked += usize::from(*want_reply),
            Packet::Success(_) | Packet::Failure(_) => end.owes = end.owes.saturating_sub(1),
            _ => {}
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
            Packet::Global { want_reply, .. } => self.owes += usize::from(*want_reply),
            Packet::GlobalSuccess(_) | Packet::GlobalFailure => {
                assert!(
                    self.asked > 0,
                    "the {leg:?} got an answer that it did not ask for"
                );
                self.asked -= 1;
            }
            Packet::Open { kind, sender, .. } => {
                let is_used = self.by_theirs(*sender).is_some()
                    || self.knocks.iter().any(|it| it.theirs == *sender);
                assert!(!is_used, "the {leg:?} was given number {sender} twice");
                self.knocks.push_back(Knock {
                    theirs: *sender,
                    kind: kind.clone(),
                });
            }
            Packet::Confirm { to, sender } => {
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
