//! A leg's received bytes, decrypted where they lie.

use alloc::vec::Vec;
use core::ops::Range;

use ssh_transport::RECEIVE_BUFFER_BYTES;

/// What an idle leg keeps.
const IDLE_BYTES: usize = 8 * 1024;
/// So that a pause in a download does not give its buffer away.
const SMALL_READS_BEFORE_SHRINK: u32 = 16;

/// Bytes received and not yet passed on.
///
/// ```text
///   0 ········ cursor ········ filled ········ storage.len()
///   │ decrypted, │ not yet     │ free
///   │ held until │ looked at   │
///   │ recorded   │             │
/// ```
#[derive(Default)]
pub(super) struct ReceiveBuffer {
    storage: Vec<u8>,
    cursor: usize,
    filled: usize,
    /// Small reads since the last large one.
    small_reads: u32,
}

impl ReceiveBuffer {
    /// Room for the next read; empty only while [`RECEIVE_BUFFER_BYTES`] wait to be processed.
    pub(super) fn free(&mut self) -> &mut [u8] {
        if self.storage.is_empty() {
            self.storage.resize(IDLE_BYTES, 0);
        }
        self.storage.get_mut(self.filled..).unwrap_or_default()
    }

    pub(super) fn received(&mut self, len: usize) {
        self.filled = self.filled.saturating_add(len).min(self.storage.len());
        if self.filled == self.storage.len() {
            // The peer had at least this much to say: read more at once.
            let len = (self.storage.len() * 4).min(RECEIVE_BUFFER_BYTES);
            self.storage.resize(len, 0);
        }
        self.small_reads = if len > IDLE_BYTES / 2 {
            0
        } else {
            self.small_reads.saturating_add(1)
        };
    }

    /// What was not yet looked at, and where it begins.
    pub(super) fn unread(&mut self) -> (&mut [u8], usize) {
        let begin = self.cursor;
        (
            self.storage.get_mut(begin..self.filled).unwrap_or_default(),
            begin,
        )
    }

    pub(super) fn consume(&mut self, len: usize) {
        self.cursor = self.cursor.saturating_add(len).min(self.filled);
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.storage.get(range).unwrap_or_default()
    }

    /// Nothing before the cursor is needed any more.
    pub(super) fn discard_consumed(&mut self) {
        if self.cursor > 0 {
            self.storage.copy_within(self.cursor..self.filled, 0);
            self.filled -= self.cursor;
            self.cursor = 0;
        }
        // Keystrokes do not keep the buffer of the download before them.
        if self.filled == 0
            && self.small_reads > SMALL_READS_BEFORE_SHRINK
            && self.storage.len() > IDLE_BYTES
        {
            self.storage = Vec::new();
        }
    }
}
