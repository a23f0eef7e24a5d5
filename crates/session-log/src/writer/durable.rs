//! Back-pressure: how far storage is behind.

use super::Writer;

/// Whether a caller should go on recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// Yes.
    Low,
    /// Storage is behind by more than the policy's `pressure_bytes`: take nothing more from the session until it caught up.
    High {
        /// How many sealed bytes are not stored yet.
        waiting_bytes: u64,
    },
}

/// Counts what was handed out and what of it is stored.
#[derive(Default)]
pub(super) struct Durability {
    taken: u64,
    stored: u64,
}

impl Durability {
    pub(super) fn note_taken(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes as u64);
    }
}

impl Writer {
    /// Says that so many further bytes of the output are stored, as storage keeps its word. For storage that answers at once it need not be
    /// called; then nothing but [`Self::pressure`] is affected.
    pub fn on_durable(&mut self, bytes: u64) {
        let stored = self.durability.stored.saturating_add(bytes);
        self.durability.stored = stored.min(self.durability.taken);
    }

    /// Whether storage keeps up. Sealed bytes that were not taken count as not stored.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        let taken = self.durability.taken.saturating_sub(self.durability.stored);
        let waiting_bytes = taken.saturating_add(self.sealed as u64);
        if waiting_bytes > self.policy.pressure_bytes {
            Pressure::High { waiting_bytes }
        } else {
            Pressure::Low
        }
    }
}
