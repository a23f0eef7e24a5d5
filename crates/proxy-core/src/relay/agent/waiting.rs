//! What waits for the window of one side.

use alloc::vec::Vec;
use core::fmt;

/// Bytes in the order in which they are to go. Nothing stays set aside for what has gone.
#[derive(Default)]
pub(super) struct Waiting {
    bytes: Vec<u8>,
    sent: usize,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("bytes", &self.bytes().len())
            .finish()
    }
}

impl Waiting {
    pub(super) fn push(&mut self, message: Vec<u8>) {
        if self.bytes.is_empty() {
            self.bytes = message;
        } else {
            self.bytes.extend_from_slice(&message);
        }
    }

    /// What goes next.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// So much of it went.
    pub(super) fn advance(&mut self, len: usize) {
        self.sent = self.sent.saturating_add(len);
    }

    /// Gives back what was set aside for what went, once that is half of it.
    pub(super) fn shrink(&mut self) {
        if self.sent.saturating_mul(2) >= self.bytes.len() {
            self.bytes = self.bytes().to_vec();
            self.sent = 0;
        }
    }

    /// Bytes set aside.
    pub(super) const fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn what_went_is_given_back() {
        let mut waiting = Waiting::default();
        waiting.push(vec![1; 1000]);
        waiting.push(vec![2; 1000]);
        assert!(waiting.held_bytes() >= 2000);
        waiting.advance(1500);
        waiting.shrink();
        assert_eq!(waiting.bytes(), vec![2; 500]);
        assert_eq!(waiting.held_bytes(), 500);
        waiting.advance(500);
        waiting.shrink();
        assert!(waiting.is_empty());
        assert_eq!(waiting.held_bytes(), 0);
    }
}
