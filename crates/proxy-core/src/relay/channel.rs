//! The table of channels, by each leg's own numbers.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::time::Duration;

use super::agent::Agent;
use super::forward::Carried;
use super::inner::Inside;
use super::wire::ChannelRequest;
use super::x11::Displays;
use crate::{Exit, Leg, PerLeg, RelayError};

/// What the next reply to a request will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    /// The peer's, as it comes.
    FromPeer(Asked),
    /// Ours, a refusal, when all earlier ones were answered.
    Refusal,
}

/// What a request that passed was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To start the channel's program.
    ToStart,
    /// To lend the client's agent to it.
    ForAgent,
    /// To lend it the client's display, for one connection or any number.
    ForDisplay {
        single_connection: bool,
    },
    Other,
}

impl Asked {
    pub(crate) fn by(request: &ChannelRequest<'_>) -> Self {
        match *request {
            _ if request.starts_a_program() => Self::ToStart,
            ChannelRequest::AgentForwarding => Self::ForAgent,
            ChannelRequest::X11Forwarding {
                single_connection, ..
            } => Self::ForDisplay { single_connection },
            _ => Self::Other,
        }
    }
}

/// What runs at the target's end of a channel: one program at most (RFC 4254 section 6.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Program {
    /// Nothing yet.
    #[default]
    Awaited,
    /// One that the target was asked to start and has not refused.
    Started,
    /// Nothing, since the policy does not allow what was asked for last.
    Refused,
}

/// Replies owed to one leg, in the order of its requests.
#[derive(Debug)]
pub(crate) struct Replies {
    owed: VecDeque<Pending>,
    limit: usize,
}

impl Replies {
    const fn at_most(limit: usize) -> Self {
        Self {
            owed: VecDeque::new(),
            limit,
        }
    }

    pub(crate) fn push(&mut self, pending: Pending) -> Result<(), RelayError> {
        if self.owed.len() >= self.limit {
            return Err(RelayError::TooManyRequests { limit: self.limit });
        }
        self.owed.push_back(pending);
        Ok(())
    }

    /// Whether a refusal is next, and an answer of the peer behind it.
    pub(crate) fn refusal_is_before_peer(&self) -> bool {
        let mut replies = self.owed.iter();
        replies.next() == Some(&Pending::Refusal)
            && replies.any(|it| matches!(it, Pending::FromPeer(_)))
    }

    /// The peer answered: to what, if it was asked.
    pub(crate) fn peer_answered(&mut self) -> Option<Asked> {
        let Some(&Pending::FromPeer(asked)) = self.owed.front() else {
            return None;
        };
        self.owed.pop_front();
        Some(asked)
    }

    /// A refusal whose turn it is now.
    pub(crate) fn next_refusal(&mut self) -> bool {
        let due = self.owed.front() == Some(&Pending::Refusal);
        if due {
            self.owed.pop_front();
        }
        due
    }
}

/// One channel between the client and the target.
#[derive(Debug)]
pub(crate) struct Channel {
    /// Its number in the log, from 1.
    pub(crate) number: u32,
    pub(crate) opener: Leg,
    /// Its number at each end; `None` until that end gave one.
    pub(crate) ids: PerLeg<Option<u32>>,
    pub(crate) eof_from: PerLeg<bool>,
    pub(crate) closed_by: PerLeg<bool>,
    pub(crate) bytes_from: PerLeg<u64>,
    pub(crate) replies_to: PerLeg<Replies>,
    pub(crate) program: Program,
    /// Of a forwarded connection; nothing of a session.
    pub(crate) carried: Option<Carried>,
    /// Of a connection that ends here, or may yet.
    pub(crate) inside: Option<Inside>,
    /// Its program may use the client's agent.
    pub(crate) agent_is_lent: bool,
    /// What its program may show at the client.
    pub(crate) displays: Displays,
    /// Of a window at the client: the channel that had the only one to open.
    pub(crate) only_display_of: Option<u32>,
    /// The target's EOF waits until then for the exit status.
    pub(crate) held_eof_until: Option<Duration>,
    /// Refusals wait until then for the client to have heard why.
    pub(crate) words_until: Option<Duration>,
    /// Bytes of the client's window kept back for text of the proxy's own.
    pub(crate) notice_credit: u32,
    pub(crate) exit: Option<Exit>,
    /// Columns and rows of its terminal, where it has one.
    pub(crate) terminal: Option<(u32, u32)>,
    /// Kinds of requests that the operator was told of.
    pub(crate) told: u8,
}

impl Channel {
    /// The target has agreed to what was asked for, or will not say: what was to be lent is lent.
    pub(crate) const fn lend(&mut self, asked: Asked) {
        match asked {
            Asked::ForAgent => self.agent_is_lent = true,
            Asked::ForDisplay { single_connection } => self.displays.lend(single_connection),
            Asked::ToStart | Asked::Other => {}
        }
    }

    /// Neither side has closed it. Nothing is lent beyond the word of either that it is.
    pub(crate) const fn is_open(&self) -> bool {
        !self.closed_by.client && !self.closed_by.target
    }

    pub(crate) const fn has_agent(&self) -> bool {
        self.agent_is_lent && self.is_open()
    }

    /// The connection to the client's agent that it is.
    pub(crate) fn agent_mut(&mut self) -> Option<&mut Agent> {
        self.carried.as_mut()?.agent.as_mut()
    }
}

/// All channels of a session.
#[derive(Debug)]
pub(crate) struct Channels {
    pending_replies: usize,
    open: BTreeMap<u32, Channel>,
    /// The numbers that each end gave, with those in the log. One may stand for two channels: when its end may use it again
    /// while the other end has not yet closed the older one.
    by_id: PerLeg<BTreeSet<(u32, u32)>>,
    last_number: u32,
}

impl Channels {
    /// None yet; on each, so many requests of a direction may wait for their reply.
    pub(crate) fn new(pending_replies: usize) -> Self {
        Self {
            pending_replies,
            open: BTreeMap::new(),
            by_id: PerLeg::default(),
            last_number: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn opened_by(&self, leg: Leg) -> usize {
        self.open.values().filter(|it| it.opener == leg).count()
    }

    /// The first moment at which something that waits is to wait no longer.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.open
            .values()
            .flat_map(|channel| [channel.held_eof_until, channel.words_until])
            .flatten()
            .min()
    }

    pub(crate) fn numbered(&mut self, number: u32) -> Option<&mut Channel> {
        self.open.get_mut(&number)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Channel> {
        self.open.values()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Channel> {
        self.open.values_mut()
    }

    /// A channel in the making, and its number in the log. The opener's numbers may be used again only after both
    /// sides closed the channel.
    pub(crate) fn open(
        &mut self,
        opener: Leg,
        id: u32,
        notice_credit: u32,
    ) -> Result<u32, RelayError> {
        if self.is_used(opener, id) {
            return Err(RelayError::ChannelReused { id });
        }
        self.last_number = self.last_number.wrapping_add(1).max(1);
        let number = self.last_number;
        let mut channel = Channel {
            number,
            opener,
            ids: PerLeg::default(),
            eof_from: PerLeg::default(),
            closed_by: PerLeg::default(),
            bytes_from: PerLeg::default(),
            replies_to: PerLeg {
                client: Replies::at_most(self.pending_replies),
                target: Replies::at_most(self.pending_replies),
            },
            program: Program::default(),
            carried: None,
            inside: None,
            agent_is_lent: false,
            displays: Displays::default(),
            only_display_of: None,
            held_eof_until: None,
            words_until: None,
            notice_credit,
            exit: None,
            terminal: None,
            told: 0,
        };
        channel.ids[opener] = Some(id);
        self.by_id[opener].insert((id, number));
        self.open.insert(number, channel);
        Ok(number)
    }

    pub(crate) fn is_used(&self, leg: Leg, id: u32) -> bool {
        self.named(leg, id).any(|channel| !channel.is_free_at(leg))
    }

    /// The channels to which a leg's peer gave this number, the older first.
    fn named(&self, leg: Leg, id: u32) -> impl Iterator<Item = &Channel> {
        let numbers = self.by_id[leg].range((id, 0)..=(id, u32::MAX));
        numbers.filter_map(|(_, number)| self.open.get(number))
    }

    /// The one of them that `from` was asked for and has not answered.
    fn unanswered(&self, from: Leg, recipient: u32) -> Option<u32> {
        let mut channels = self.named(from.other(), recipient);
        let asked = channels.find(|channel| channel.opener != from && channel.ids[from].is_none());
        asked.map(|channel| channel.number)
    }

    /// The side that did not open a channel gives its own number for it.
    pub(crate) fn confirm(
        &mut self,
        from: Leg,
        recipient: u32,
        sender: u32,
    ) -> Result<&mut Channel, RelayError> {
        if self.is_used(from, sender) {
            return Err(RelayError::ChannelReused { id: sender });
        }
        let channel = self
            .unanswered(from, recipient)
            .and_then(|number| self.open.get_mut(&number))
            .ok_or(RelayError::UnknownChannel { id: recipient })?;
        channel.ids[from] = Some(sender);
        self.by_id[from].insert((sender, channel.number));
        Ok(channel)
    }

    /// The open channel that a packet from `from` is about; `recipient` is the other end's number.
    pub(crate) fn addressed(
        &mut self,
        from: Leg,
        recipient: u32,
    ) -> Result<&mut Channel, RelayError> {
        let of_peer = || {
            let named = self.named(from.other(), recipient);
            named.filter(|channel| channel.ids[from].is_some())
        };
        // It closes the older one before it speaks on the younger: both were said to it in that order.
        let number = of_peer()
            .find(|channel| !channel.closed_by[from])
            .or_else(|| of_peer().next())
            .map(|channel| channel.number);
        number
            .and_then(|number| self.open.get_mut(&number))
            .ok_or(RelayError::UnknownChannel { id: recipient })
    }

    /// Forgets a channel that was never confirmed.
    pub(crate) fn refuse(&mut self, from: Leg, recipient: u32) -> Result<Channel, RelayError> {
        let unknown = RelayError::UnknownChannel { id: recipient };
        let number = self.unanswered(from, recipient).ok_or(unknown)?;
        self.remove(number)
            .ok_or(RelayError::UnknownChannel { id: recipient })
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<Channel> {
        let channel = self.open.remove(&number)?;
        for leg in [Leg::Client, Leg::Target] {
            if let Some(id) = channel.ids[leg] {
                self.by_id[leg].remove(&(id, number));
            }
        }
        Some(channel)
    }
}
