//! Packets of one batch: decided and recorded first, released when the log has them.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use session_log::Record;

use super::identity::Identity;
use super::inner::Nursery;
use super::recorder::Recorder;
use super::stage::{Relaying, Stage};
use super::{Held, Session};
use crate::event::{EventKind, Subject, millis};
use crate::relay::{HostKeys, InnerSessions, Outlet};
use crate::{AccessEvent, ChannelEvent, EndReason, Leg, Now, Output};

/// Most packets of one batch; a receive buffer full of the smallest ones has about this many.
pub(super) const MAX_HELD_PACKETS: usize = 16 * 1024;

impl Relaying {
    pub(super) fn poll_timeout(&self) -> Option<core::time::Duration> {
        let idle = self
            .grant
            .idle_timeout
            .map(|idle| self.last_activity.saturating_add(idle));
        let max = self
            .grant
            .max_session
            .map(|max| self.started.mono.saturating_add(max));
        [idle, max, self.relay.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Session {
    /// Decides about one packet; it waits in the receive buffer until its record is written.
    pub(super) fn relay_packet(&mut self, from: Leg, at: Range<usize>, now: Now) {
        let Some((relaying, mut outlet, packet)) = self.split(from, &at, now) else {
            return;
        };
        let before = relaying.relay.bytes_from();
        let result = relaying
            .relay
            .handle_packet(from, packet, now.mono, &mut outlet);
        // What a session carries for itself, keepalives and keys, is not what its people do.
        if relaying.relay.bytes_from() != before && !outlet.is_for_admitted {
            relaying.last_activity = now.mono;
        }
        if let Err(error) = result {
            self.leg_misbehaved(from, &error, now);
        }
    }

    /// Lets go of what waited for the log.
    pub(super) fn release(&mut self, now: Now) {
        while let Some(held) = self.held.pop_front() {
            self.take_turns_in_rekeying(now);
            let (to, payload) = match &held {
                Held::Packet { from, at } => {
                    (from.other(), self.io[*from].buffer.bytes(at.clone()))
                }
                Held::Own { to, payload } => (*to, payload.as_slice()),
                Held::Banner(text) => {
                    self.client.banner(text);
                    continue;
                }
            };
            let sent = match to {
                Leg::Client => self.client.send_packet(payload, now.mono),
                Leg::Target => self
                    .target
                    .as_mut()
                    .map_or(Ok(()), |target| target.send_packet(payload, now.mono)),
            };
            if let Err(error) = sent {
                self.leg_failed(to, &error, now);
            }
        }
        for leg in [Leg::Client, Leg::Target] {
            self.io[leg].buffer.discard_consumed();
        }
    }

    /// Deadlines of the relay and of the grant.
    pub(super) fn relay_timeout(&mut self, now: Now) {
        let Some((relaying, mut outlet, _)) = self.split(Leg::Target, &(0..0), now) else {
            return;
        };
        relaying.relay.handle_timeout(now.mono, &mut outlet);
        let passed = |since: core::time::Duration, limit: Option<core::time::Duration>| {
            limit.is_some_and(|limit| since.saturating_add(limit) <= now.mono)
        };
        if passed(relaying.started.mono, relaying.grant.max_session) {
            self.end(
                EndReason::MaxSession,
                "the policy's maximum session length was reached",
                now,
            );
        } else if passed(relaying.last_activity, relaying.grant.idle_timeout) {
            self.end(
                EndReason::IdleTimeout,
                "nothing passed for the policy's idle timeout",
                now,
            );
        }
    }

    /// The relay, where its results go, and the packet in hand; `None` unless packets pass.
    pub(super) fn split(
        &mut self,
        from: Leg,
        at: &Range<usize>,
        now: Now,
    ) -> Option<(&mut Relaying, Batch<'_>, &[u8])> {
        let Stage::End(relaying) = &mut self.stage else {
            return None;
        };
        let outlet = Batch {
            recorder: self.recorder.as_mut()?,
            held: &mut self.held,
            outputs: &mut self.outputs,
            subject: &self.subject,
            user: self.user.as_ref(),
            refusal_events: &mut self.refusal_events,
            max_refusal_events: self.limits.refusal_events,
            channel_events: &mut self.channel_events,
            max_channel_events: self.limits.channel_events,
            identity: self.identity.as_mut(),
            from,
            at: at.clone(),
            time_unix_ms: millis(now.unix),
            is_for_admitted: false,
            nursery: Nursery {
                inners: &mut self.inner,
                gateway: &self.gateway,
                rules: &self.rules,
                info: &self.info,
                limits: &self.limits,
                id: self.id,
                now,
            },
        };
        Some((relaying, outlet, self.io[from].buffer.bytes(at.clone())))
    }
}

/// Where the relay's results go while one packet is in hand.
pub(super) struct Batch<'a> {
    recorder: &'a mut Recorder,
    held: &'a mut VecDeque<Held>,
    pub(super) outputs: &'a mut VecDeque<Output>,
    subject: &'a Arc<Subject>,
    user: Option<&'a Arc<str>>,
    refusal_events: &'a mut usize,
    max_refusal_events: usize,
    channel_events: &'a mut usize,
    max_channel_events: usize,
    identity: Option<&'a mut Identity>,
    from: Leg,
    at: Range<usize>,
    time_unix_ms: u64,
    /// It is for a session inside whose person is in, or was.
    pub(super) is_for_admitted: bool,
    pub(super) nursery: Nursery<'a>,
}

impl Batch<'_> {
    /// Of no further refusal the operator is told by itself.
    pub(super) fn are_refusals_muted(&self) -> bool {
        *self.refusal_events >= self.max_refusal_events
    }

    /// One more was told.
    pub(super) fn count_refusal(&mut self) {
        *self.refusal_events = self.refusal_events.saturating_add(1);
    }

    fn tell(&mut self, event: ChannelEvent) {
        self.outputs.push_back(Output::Event(AccessEvent {
            time_unix_ms: self.time_unix_ms,
            kind: EventKind::Channel(event),
            subject: Arc::clone(self.subject),
            user: self.user.cloned(),
        }));
    }
}

impl Outlet for Batch<'_> {
    fn record(&mut self, channel: u32, record: &Record<'_>) {
        self.recorder.record(channel, record);
    }

    fn pass(&mut self) {
        self.held.push_back(Held::Packet {
            from: self.from,
            at: self.at.clone(),
        });
    }

    fn send(&mut self, to: Leg, payload: Vec<u8>) {
        self.held.push_back(Held::Own { to, payload });
    }

    fn event(&mut self, event: ChannelEvent) {
        let is_refusal = matches!(event, ChannelEvent::Refused { .. });
        let (count, limit) = if is_refusal {
            (&mut *self.refusal_events, self.max_refusal_events)
        } else {
            (&mut *self.channel_events, self.max_channel_events)
        };
        let before = *count;
        *count = before.saturating_add(1);
        let told = u32::try_from(before).unwrap_or(u32::MAX);
        match before.cmp(&limit) {
            Ordering::Less => self.tell(event),
            Ordering::Equal if is_refusal => self.tell(ChannelEvent::RefusalsMuted { told }),
            Ordering::Equal => self.tell(ChannelEvent::EventsMuted { told }),
            Ordering::Greater => {}
        }
    }

    fn host_keys(&mut self) -> Option<&mut dyn HostKeys> {
        let identity = self.identity.as_deref_mut()?;
        Some(identity)
    }

    fn inner_sessions(&mut self) -> Option<&mut dyn InnerSessions> {
        // Without a directory there is nowhere to go.
        self.nursery.gateway.directory.as_ref()?;
        Some(self)
    }
}
