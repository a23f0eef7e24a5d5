use core::time::Duration;

use crate::record::{Clock, Record};
use crate::time::Now;

/// The log's own time: microseconds since it began, never going back.
pub(crate) struct LogClock {
    t_us: u64,
    mono_us: u64,
    anchor_unix_ms: u64,
    anchor_t_us: u64,
    last_unix_ms: u64,
}

/// A calendar clock that is this far from where the monotonic one says it should be has jumped. Slower drift is correction by NTP.
const JUMP_MS: u64 = 1_000;

impl LogClock {
    pub(crate) fn new(now: Now) -> LogClock {
        LogClock {
            t_us: 0,
            mono_us: now.mono_us(),
            anchor_unix_ms: now.unix_ms(),
            anchor_t_us: 0,
            last_unix_ms: now.unix_ms(),
        }
    }

    /// Microseconds since the log began.
    pub(crate) fn t_us(&self) -> u64 {
        self.t_us
    }

    /// What to stamp signatures with.
    pub(crate) fn unix_ms(&self) -> u64 {
        self.last_unix_ms
    }

    /// A clock record that ties log time and calendar together.
    pub(crate) fn anchor(&self) -> Record<'static> {
        Record::ClockAnchor {
            unix_ms: self.last_unix_ms,
        }
    }

    /// Moves to `now` and says what jumped on the way.
    pub(crate) fn observe(&mut self, now: Now) -> [Option<Record<'static>>; 2] {
        let mono_us = now.mono_us();
        let back_us = self.mono_us.saturating_sub(mono_us);
        self.t_us = self
            .t_us
            .saturating_add(mono_us.saturating_sub(self.mono_us));
        self.mono_us = mono_us;
        let mono_jump = (back_us > 0).then(|| Record::ClockJump {
            clock: Clock::Mono,
            delta_ms: -i64::try_from(back_us.div_ceil(1_000)).unwrap_or(i64::MAX),
        });

        let unix_ms = now.unix_ms();
        self.last_unix_ms = unix_ms;
        let elapsed_ms = self.t_us.saturating_sub(self.anchor_t_us) / 1_000;
        let expected_ms = self.anchor_unix_ms.saturating_add(elapsed_ms);
        let unix_jump = (unix_ms.abs_diff(expected_ms) > JUMP_MS).then(|| {
            self.anchor_unix_ms = unix_ms;
            self.anchor_t_us = self.t_us;
            let distance = i64::try_from(unix_ms.abs_diff(expected_ms)).unwrap_or(i64::MAX);
            Record::ClockJump {
                clock: Clock::Unix,
                delta_ms: if unix_ms < expected_ms {
                    -distance
                } else {
                    distance
                },
            }
        });
        [mono_jump, unix_jump]
    }

    /// When, on the caller's monotonic clock, log time reaches `t_us`.
    pub(crate) fn deadline(&self, t_us: u64) -> Duration {
        Duration::from_micros(self.mono_us.saturating_add(t_us.saturating_sub(self.t_us)))
    }
}

/// A timer's length in log time.
pub(crate) fn timer_us(timer: Duration) -> u64 {
    u64::try_from(timer.as_micros()).unwrap_or(u64::MAX)
}
