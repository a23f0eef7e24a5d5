use core::time::Duration;

/// The two clocks of the caller at one moment.
///
/// Deadlines and record times follow `mono`; stamps in checkpoints and clock anchors follow `unix`. A clock that goes back is noted in the
/// log by a `clock_jump` record; time in the log never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// A clock that only goes forward, from any origin.
    pub mono: Duration,
    /// Time since 1970-01-01 00:00 UTC.
    pub unix: Duration,
}

impl Now {
    pub(crate) fn mono_us(&self) -> u64 {
        u64::try_from(self.mono.as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn unix_ms(&self) -> u64 {
        u64::try_from(self.unix.as_millis()).unwrap_or(u64::MAX)
    }
}
