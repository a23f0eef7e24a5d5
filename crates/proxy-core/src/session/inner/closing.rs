//! How a channel ends that a session was on.
//!
//! ```text
//!        the session says no more        the peer has taken all, or had its time
//!   No ───────────────────────> Draining ───────────────────────────────────────> Lingering ──> Ready ──> Closed
//!                                                                                  (client)       └ both sides at once
//! ```

use core::time::Duration;

use super::{Inner, Session};
use crate::{Leg, Now};

/// How long a client of a session that is over may take to say that it heard: as long as it may with a connection of its own.
const CLIENT_LINGER: Duration = Duration::from_secs(2);
/// The longest that a slow peer may take over what a session inside said last, as long as it takes some, in
/// [`Timeouts::farewell`](crate::Timeouts::farewell): a minute, as on a socket.
const MAX_FAREWELLS: u32 = 12;

/// How far one side of a channel is on its way to its end.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Closing {
    #[default]
    No,
    /// The peer has until `by` to take some of what is left, and until `at_most` to take all.
    Draining {
        by: Duration,
        at_most: Duration,
    },
    /// It has all, and until then to end its own side.
    Lingering(Duration),
    /// It waits for the other side only.
    Ready,
    Closed,
}

impl Closing {
    fn begun(farewell: Duration, now: Now) -> Self {
        let at_most = farewell.saturating_mul(MAX_FAREWELLS);
        Self::Draining {
            by: now.mono.saturating_add(farewell),
            at_most: now.mono.saturating_add(at_most),
        }
    }

    /// The peer takes some of what is left.
    pub(super) fn goes_on(&mut self, farewell: Duration, now: Now) {
        if let Self::Draining { by, at_most } = self {
            *by = now.mono.saturating_add(farewell).min(*at_most);
        }
    }

    const fn deadline(self) -> Option<Duration> {
        match self {
            Self::Draining { by, .. } | Self::Lingering(by) => Some(by),
            Self::No | Self::Ready | Self::Closed => None,
        }
    }
}

impl Session {
    /// Once the session inside has no more to say, ends its channel; true when that got further.
    pub(super) fn close(&mut self, channel: u32, inner: &mut Inner, now: Now) -> bool {
        let farewell = self.gateway.timeouts.farewell;
        let mut any = false;
        for leg in [Leg::Client, Leg::Target] {
            any |= inner.move_on(leg, farewell, now);
        }
        any | self.close_both(channel, inner, now)
    }

    /// Closes the channel to both peers at once: a number that one of them may use again has then ended for the other too.
    fn close_both(&mut self, channel: u32, inner: &mut Inner, now: Now) -> bool {
        let legs = [Leg::Client, Leg::Target];
        if !legs
            .iter()
            .all(|leg| inner.to[*leg].closing == Closing::Ready)
        {
            return false;
        }
        for leg in legs {
            inner.to[leg].closing = Closing::Closed;
            if let Some((relaying, mut outlet, _)) = self.split(leg, &(0..0), now) {
                relaying.relay.close_to(channel, leg, &mut outlet);
            }
        }
        true
    }

    /// When the first peer has had its time, of a channel that is to end.
    pub(in crate::session) fn poll_closing(&self) -> Option<Duration> {
        let connected = self.inner.open.values().filter(|inner| inner.is_connected);
        let deadlines = connected.flat_map(|inner| {
            let closing = [inner.to.client.closing, inner.to.target.closing];
            let taking = [inner.from.client.take_by, inner.from.target.take_by];
            let closing = closing.into_iter().map(Closing::deadline);
            closing.chain(taking).flatten()
        });
        deadlines.min()
    }
}

impl Inner {
    /// One side is a step nearer to its end; true when it is.
    fn move_on(&mut self, leg: Leg, farewell: Duration, now: Now) -> bool {
        let is_over = self.session.is_over();
        let outbound = &mut self.to[leg];
        if outbound.closing == Closing::No && (outbound.has_ended || is_over) {
            outbound.closing = Closing::begun(farewell, now);
        }
        // `ssh -W` reads no further once its channel has ended or is closed, and the `ssh` that speaks through it would fail at its next word
        // before it has read the last ones. When that has read them, it ends by itself.
        let lingers = leg == Leg::Client && !self.from[leg].has_ended;
        let next = match outbound.closing {
            Closing::Draining { by, .. } if outbound.queue.is_empty() || by <= now.mono => {
                outbound.queue.clear();
                match lingers {
                    true => Closing::Lingering(now.mono.saturating_add(CLIENT_LINGER)),
                    false => Closing::Ready,
                }
            }
            Closing::Lingering(by) if !lingers || by <= now.mono => Closing::Ready,
            _ => return false,
        };
        outbound.closing = next;
        true
    }
}
