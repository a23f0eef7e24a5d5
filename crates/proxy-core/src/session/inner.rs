//! Sessions inside this one: each is a [`Session`] like any other, whose two connections are the two ends of one channel.
//!
//! ```text
//!   client ══ channel ══╗                                ╔══ channel ══ target
//!                       ║ waiting   ┌─────────┐  waiting ║
//!                       ╟──────────>│ Session │<─────────╢
//!                       ║<──────────│         │─────────>╢
//!                         queue     └─────────┘  queue
//! ```
//!
//! All sessions of a tree share one order. While a page of any of their logs is unanswered, nothing is read and nothing is released in the
//! whole tree; and what a session inside says goes out only after all that waited here was released, the confirmation of its channel
//! included.

mod births;
mod closing;
mod places;
mod waiting;

pub(super) use self::births::Nursery;
use self::closing::Closing;
use self::places::{Place, Places};
use self::waiting::Waiting;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::vec::Vec;
use core::ops::Bound;
use core::time::Duration;

use bytes::{Buf as _, Bytes};

use super::seeds::SeedChain;
use super::stage::{Denied, Stage};
use super::{Held, Session};
use crate::{EndReason, Input, Leg, Now, Output, PerLeg, Refusal, SessionId};

/// Where a session comes from.
pub(super) struct Lineage {
    pub(super) parent: Option<Parent>,
    /// How many sessions it is inside of.
    depth: usize,
    /// Of the whole tree.
    places: Places,
}

/// The channel that a session is inside of.
#[derive(Clone, Copy)]
pub(super) struct Parent {
    pub(super) session: SessionId,
    /// Its number in that session's log.
    pub(super) channel: u32,
}

impl Lineage {
    /// Of a connection's own session.
    pub(super) fn root() -> Self {
        Self {
            parent: None,
            depth: 0,
            places: Places::default(),
        }
    }
}

/// The sessions inside one session, by the number of their channel in its log.
pub(super) struct Inners {
    lineage: Lineage,
    seeds: SeedChain,
    open: BTreeMap<u32, Inner>,
    /// The channel of the one that said something last; 0 of none.
    spoke_last: u32,
}

/// One of them.
struct Inner {
    session: Box<Session>,
    /// The target has confirmed the channel.
    is_connected: bool,
    from: PerLeg<Inbound>,
    to: PerLeg<Outbound>,
    _place: Place,
}

/// What comes from a leg's peer.
#[derive(Default)]
struct Inbound {
    /// What the session has no room for: at most the channel's window.
    waiting: Waiting,
    /// Taken by the session, and not told to the channel's windows yet.
    consumed_bytes: usize,
    /// The session has to look at what it took.
    is_news: bool,
    /// The peer says nothing more…
    has_ended: bool,
    /// …and the session knows.
    is_told: bool,
    /// It closed the channel: until then the session has to take more of what waits.
    take_by: Option<Duration>,
}

/// What goes to a leg's peer.
#[derive(Default)]
struct Outbound {
    queue: VecDeque<Bytes>,
    /// So many of the first bytes are there already.
    skip_bytes: usize,
    /// The session says nothing more.
    has_ended: bool,
    closing: Closing,
}

impl Inner {
    fn new(session: Session, place: Place) -> Self {
        Self {
            session: Box::new(session),
            is_connected: false,
            from: PerLeg::default(),
            to: PerLeg::default(),
            _place: place,
        }
    }

    fn received(&mut self, from: Leg, bytes: &[u8]) {
        if self.session.is_over() {
            return;
        }
        let inbound = &mut self.from[from];
        let taken = if inbound.waiting.is_empty() {
            self.session.take_in(from, bytes)
        } else {
            0
        };
        inbound.consumed_bytes = inbound.consumed_bytes.saturating_add(taken);
        inbound.is_news |= taken > 0;
        inbound.waiting.push(bytes.get(taken..).unwrap_or_default());
    }

    /// Has the session look at what came; true if there was anything.
    fn hand_in(&mut self, patience: Duration, now: Now) -> bool {
        let mut any = false;
        for leg in [Leg::Target, Leg::Client] {
            let inbound = &mut self.from[leg];
            if self.session.is_over() || inbound.take_by.is_some_and(|by| by <= now.mono) {
                inbound.take_by = None;
                inbound.waiting.clear();
            }
            let session = &mut self.session;
            let taken = inbound.waiting.hand_to(|piece| session.take_in(leg, piece));
            if inbound.waiting.is_empty() {
                inbound.take_by = None;
            } else if let (Some(by), true) = (&mut inbound.take_by, taken > 0) {
                *by = now.mono.saturating_add(patience);
            }
            inbound.consumed_bytes = inbound.consumed_bytes.saturating_add(taken);
            if core::mem::take(&mut inbound.is_news) || taken > 0 {
                self.session.handle(Input::Received(leg, 0), now);
                any = true;
            }
            let inbound = &mut self.from[leg];
            if inbound.has_ended && inbound.waiting.is_empty() && !inbound.is_told {
                inbound.is_told = true;
                self.session.handle(Input::Closed(leg), now);
                any = true;
            }
        }
        any
    }

    fn queue(&mut self, to: Leg, mut bytes: Bytes) {
        let outbound = &mut self.to[to];
        let skipped = outbound.skip_bytes.min(bytes.len());
        outbound.skip_bytes = outbound.skip_bytes.saturating_sub(skipped);
        bytes.advance(skipped);
        if !bytes.is_empty() {
            outbound.queue.push_back(bytes);
        }
    }

    /// Nothing more will come of it. One whose channel the target has not confirmed has nobody to say anything to.
    fn is_done(&self) -> bool {
        let legs = [&self.to.client, &self.to.target];
        let are_closed = legs.iter().all(|it| it.closing == Closing::Closed);
        self.session.is_over() && (are_closed || !self.is_connected)
    }
}

impl Inners {
    pub(super) fn new(lineage: Lineage, seeds: SeedChain) -> Self {
        Self {
            lineage,
            seeds,
            open: BTreeMap::new(),
            spoke_last: 0,
        }
    }

    pub(super) fn parent(&self) -> Option<Parent> {
        self.lineage.parent
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.open.values().map(|inner| &*inner.session)
    }

    pub(super) fn sessions_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.open.values_mut().map(|inner| &mut *inner.session)
    }

    /// None of them has anything left to say or to write.
    pub(super) fn are_over(&self) -> bool {
        self.sessions()
            .all(|session| session.is_over() && session.outputs.is_empty())
    }

    /// The channels of all. Whoever spoke last is the last to speak again, so that one that says much does not keep the others waiting.
    fn in_turn(&self) -> Vec<u32> {
        let later = (Bound::Excluded(self.spoke_last), Bound::Unbounded);
        let earlier = ..=self.spoke_last;
        let channels = self.open.range(later).chain(self.open.range(earlier));
        channels.map(|(channel, _)| *channel).collect()
    }

    fn after(&self, channel: Option<u32>) -> Option<u32> {
        let from = channel.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.open.range((from, Bound::Unbounded));
        rest.next().map(|(channel, _)| *channel)
    }
}

impl Session {
    pub(super) fn has(&self, id: SessionId) -> bool {
        self.id == id || self.inner.sessions().any(|session| session.has(id))
    }

    /// An answer for a session inside this one, if it is still there.
    pub(super) fn handle_inside(&mut self, id: SessionId, input: Input<'_>, now: Now) {
        let mut sessions = self.inner.sessions_mut();
        if let Some(session) = sessions.find(|session| session.has(id)) {
            session.handle(input, now);
        }
    }

    /// Takes bytes of a leg's peer in without looking at them yet; returns how many.
    fn take_in(&mut self, leg: Leg, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty()
            && let Some(free) = self.read_buffer(leg)
        {
            let len = free.len().min(rest.len());
            let (Some(free), Some((now, later))) =
                (free.get_mut(..len), rest.split_at_checked(len))
            else {
                break;
            };
            free.copy_from_slice(now);
            self.io[leg].buffer.received(len);
            rest = later;
        }
        bytes.len().saturating_sub(rest.len())
    }

    /// Moves on every session inside this one, as far as the logs allow; true when anything happened.
    pub(super) fn advance_inner(&mut self, now: Now) -> bool {
        let mut any = false;
        for channel in self.inner.in_turn() {
            // Apart for as long as it works with the rest of this session.
            let Some(mut inner) = self.inner.open.remove(&channel) else {
                continue;
            };
            let patience = self.gateway.timeouts.farewell;
            any |= inner.is_connected && inner.hand_in(patience, now);
            self.collect_from(&mut inner, now);
            self.live_on(&inner.session);
            let waits = inner.session.awaits_log();
            if inner.is_connected && !waits {
                any |= self.deliver(channel, &mut inner, now);
            }
            if !inner.is_done() || !inner.session.outputs.is_empty() {
                self.inner.open.insert(channel, inner);
            }
            if waits {
                return true;
            }
        }
        any
    }

    /// What happens in a session inside this one happens in this one too.
    fn live_on(&mut self, inside: &Self) {
        let inner = match &inside.stage {
            Stage::End(relaying) => relaying,
            Stage::LogClosed(ending) => &ending.relaying,
            _ => return,
        };
        if let Stage::End(relaying) = &mut self.stage {
            relaying.last_activity = relaying.last_activity.max(inner.last_activity);
        }
    }

    /// What the sessions inside ask for. Their pages and events are this session's from here on; what they have for their peers waits.
    pub(super) fn collect_inner(&mut self, now: Now) {
        let mut at = None;
        while let Some(channel) = self.inner.after(at) {
            at = Some(channel);
            if let Some(mut inner) = self.inner.open.remove(&channel) {
                self.collect_from(&mut inner, now);
                self.inner.open.insert(channel, inner);
            }
        }
    }

    fn collect_from(&mut self, inner: &mut Inner, now: Now) {
        while let Some(output) = inner.session.poll_output() {
            match output {
                // The channel is the connection.
                Output::ConnectTarget => inner.session.handle(Input::TargetConnected, now),
                Output::Send(leg, bytes) => inner.queue(leg, bytes),
                Output::Close(leg) => inner.to[leg].has_ended = true,
                Output::Reevaluate => self.ask_to_reevaluate(),
                other => self.outputs.push_back(other),
            }
        }
    }

    /// Sends what a session inside has for its peers, as far as they and this session's connections take it.
    fn deliver(&mut self, channel: u32, inner: &mut Inner, now: Now) -> bool {
        let mut any = false;
        let farewell = self.gateway.timeouts.farewell;
        for leg in [Leg::Client, Leg::Target] {
            let sent = self.deliver_to(leg, channel, &mut inner.to[leg]);
            if sent > 0 {
                self.inner.spoke_last = channel;
                inner.to[leg].closing.goes_on(farewell, now);
                inner.session.handle(Input::Written(leg, sent), now);
                any = true;
            }
            let consumed = core::mem::take(&mut inner.from[leg].consumed_bytes);
            if consumed > 0
                && let Some(payload) = self
                    .relay()
                    .and_then(|relay| relay.consumed(channel, leg, consumed))
            {
                self.held.push_back(Held::Own { to: leg, payload });
                any = true;
            }
        }
        any | self.close(channel, inner, now)
    }

    /// Returns how many bytes are done with.
    fn deliver_to(&mut self, leg: Leg, channel: u32, outbound: &mut Outbound) -> usize {
        let mut done = 0;
        // Access to the target is lost.
        let is_withheld = leg == Leg::Target
            && matches!(&self.stage, Stage::LogClosed(ending) if ending.is_hurried);
        let held = self.held.iter().map(|held| held.bytes_for(leg));
        let queued = held.sum::<usize>().saturating_add(self.backlog_bytes(leg));
        let mut budget = self.limits.backlog_bytes.saturating_sub(queued);
        let Some(relay) = self.relay() else {
            return 0;
        };
        if !relay.takes_data(channel, leg) || is_withheld {
            // Nobody will ever read it.
            return outbound.queue.drain(..).map(|bytes| bytes.len()).sum();
        }
        let mut packets = VecDeque::new();
        while budget > 0
            && let Some(front) = outbound.queue.front_mut()
            && let Some((payload, len)) = relay.packet(channel, leg, front)
        {
            front.advance(len);
            if front.is_empty() {
                outbound.queue.pop_front();
            }
            budget = budget.saturating_sub(payload.len());
            packets.push_back(Held::Own { to: leg, payload });
            done += len;
        }
        self.held.append(&mut packets);
        done
    }

    /// Deadlines of the sessions inside.
    pub(super) fn inner_timeout(&mut self, now: Now) {
        for session in self.inner.sessions_mut() {
            if session.poll_timeout().is_some_and(|at| at <= now.mono) {
                session.handle_timeout(now);
            }
        }
    }

    /// This session ends for `reason`: those inside end first.
    pub(super) fn end_inner(&mut self, reason: EndReason, now: Now) {
        for session in self.inner.sessions_mut() {
            session.outer_ends(reason, now);
        }
        self.collect_inner(now);
    }

    fn outer_ends(&mut self, outer: EndReason, now: Now) {
        if let Some(recorder) = &mut self.recorder {
            recorder.set_now(now);
        }
        let detail = format!("the session around it ended: {}", outer.name());
        if outer == EndReason::Shutdown {
            self.shut_down(now);
        } else if matches!(self.stage, Stage::End(_)) {
            self.end(EndReason::OuterEnded, &detail, now);
        } else {
            let advice = "the session around this one ended; connect again".into();
            self.refuse(
                Denied {
                    reason: Refusal::OuterEnded,
                    detail,
                    advice,
                },
                now,
            );
        }
        if matches!(self.stage, Stage::Farewell { .. }) {
            // Nobody is left to read it.
            self.say_goodbye();
        }
        if outer.is_loss_of_access() {
            self.hurry_last_pages(now);
        }
        self.advance(now);
    }

    /// The earliest deadline of the sessions inside.
    pub(super) fn poll_inner_timeout(&self) -> Option<Duration> {
        self.inner.sessions().filter_map(Self::poll_timeout).min()
    }
}
