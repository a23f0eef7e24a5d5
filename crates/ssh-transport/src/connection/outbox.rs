//! Sealed bytes that wait to be written, in one buffer that is used again.

use bytes::{Bytes, BytesMut};

use crate::limits::KEPT_OUTPUT_BYTES;

/// What an idle connection keeps, in bytes.
const IDLE_BYTES: usize = 8 * 1024;
/// So that a pause in a download does not give its buffer away.
const SMALL_TAKES_BEFORE_SHRINK: u8 = 16;

#[derive(Default)]
pub(super) struct Outbox {
    bytes: BytesMut,
    /// Size of the whole buffer, of which `bytes` may only see the end.
    buffer_bytes: usize,
    /// Small takes since the last large one.
    small_takes: u8,
}

impl Outbox {
    /// Where the next packet is sealed, behind what waits.
    pub(super) fn end(&mut self) -> &mut BytesMut {
        if self.bytes.is_empty() {
            // Back to the buffer's front, if what was taken has been written. If not, `reserve` finds other room.
            let _ = self.bytes.try_reclaim(self.buffer_bytes);
        }
        &mut self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// All that waits. What was taken before should have been dropped by then, or a new buffer is made.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        if self.bytes.is_empty() {
            return None;
        }
        self.buffer_bytes = self.bytes.capacity();
        self.small_takes = if self.bytes.len() > IDLE_BYTES / 2 {
            0
        } else {
            self.small_takes.saturating_add(1)
        };
        let is_quiet = self.small_takes >= SMALL_TAKES_BEFORE_SHRINK;
        let kept = if is_quiet {
            IDLE_BYTES
        } else {
            KEPT_OUTPUT_BYTES
        };
        let taken = if self.buffer_bytes > kept {
            self.buffer_bytes = 0;
            core::mem::take(&mut self.bytes)
        } else {
            self.bytes.split()
        };
        Some(taken.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(outbox: &mut Outbox, len: usize) -> *const u8 {
        outbox.end().extend_from_slice(&alloc::vec![7; len]);
        outbox.take().unwrap().as_ptr()
    }

    #[test]
    fn what_was_taken_and_dropped_makes_room_for_the_next() {
        let mut outbox = Outbox::default();
        let first = pass(&mut outbox, 40_000);
        for len in [1, 30_000, 40_000, 7, 40_000] {
            assert_eq!(pass(&mut outbox, len), first, "{len}");
        }
    }

    #[test]
    fn what_was_taken_stays_as_it_is_while_more_is_sealed() {
        let mut outbox = Outbox::default();
        outbox.end().extend_from_slice(&[1; 1000]);
        let first = outbox.take().unwrap();
        for _ in 0..100 {
            pass(&mut outbox, 1000);
        }
        assert_eq!(first, [1; 1000][..]);
    }

    #[test]
    fn a_large_buffer_goes_back_after_a_burst_and_after_a_quiet_time() {
        let mut outbox = Outbox::default();
        pass(&mut outbox, KEPT_OUTPUT_BYTES + 1);
        assert_eq!(outbox.bytes.capacity(), 0);
        pass(&mut outbox, KEPT_OUTPUT_BYTES / 2);
        let kept = outbox.buffer_bytes;
        assert!(kept >= KEPT_OUTPUT_BYTES / 2);
        for _ in 1..SMALL_TAKES_BEFORE_SHRINK {
            pass(&mut outbox, 100);
            assert_eq!(outbox.buffer_bytes, kept);
        }
        pass(&mut outbox, 100);
        assert_eq!(outbox.bytes.capacity(), 0);
        pass(&mut outbox, 100);
        assert!(outbox.buffer_bytes <= IDLE_BYTES);
    }
}
