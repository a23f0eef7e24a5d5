//! How fast a peer may begin key exchanges: each costs this side a signature and an agreement, and the peer hardly more than two packets.

use core::time::Duration;

use crate::limits::{PEER_EXCHANGE_BYTES, PEER_EXCHANGE_EVERY};

/// Exchanges that the peer may begin, in bytes: each takes [`PEER_EXCHANGE_BYTES`] of them.
pub(crate) struct Pace {
    most: u64,
    left: u64,
    counted_at: Duration,
}

impl Pace {
    pub(crate) fn new(exchanges: u32, now: Duration) -> Self {
        let most = u64::from(exchanges).saturating_mul(PEER_EXCHANGE_BYTES);
        Self {
            most,
            left: most,
            counted_at: now,
        }
    }

    /// Counts what passed since the exchange before.
    pub(crate) fn passed(&mut self, bytes: u64, now: Duration) {
        let elapsed = now.saturating_sub(self.counted_at).as_micros();
        let for_time = elapsed.saturating_mul(u128::from(PEER_EXCHANGE_BYTES))
            / PEER_EXCHANGE_EVERY.as_micros();
        let for_time = u64::try_from(for_time).unwrap_or(u64::MAX);
        let left = self.left.saturating_add(bytes).saturating_add(for_time);
        self.left = left.min(self.most);
        self.counted_at = now.max(self.counted_at);
    }

    /// Whether the peer may begin one, which is counted.
    pub(crate) fn begin(&mut self) -> bool {
        let left = self.left.checked_sub(PEER_EXCHANGE_BYTES);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}
