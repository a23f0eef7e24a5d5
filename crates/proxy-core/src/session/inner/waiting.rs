//! What a peer has said to a session inside that has no room for it yet.

use alloc::collections::VecDeque;

use bytes::{Buf as _, BytesMut};

/// In one piece, 32 KiB: what one packet brings. A buffer that doubles would take twice as much as waits.
const PIECE_BYTES: usize = 32 * 1024;

/// Bytes in pieces that are all full but for the last.
#[derive(Default)]
pub(super) struct Waiting {
    pieces: VecDeque<BytesMut>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.pieces = VecDeque::new();
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let last = self.pieces.back();
            if last.is_none_or(|last| last.len() == last.capacity()) {
                self.pieces.push_back(BytesMut::with_capacity(PIECE_BYTES));
            }
            let Some(last) = self.pieces.back_mut() else {
                return;
            };
            let free = last.capacity().saturating_sub(last.len());
            let (now, later) = rest.split_at(free.min(rest.len()));
            last.extend_from_slice(now);
            rest = later;
        }
    }

    /// Offers all of it, the oldest first, to one that tells how much of a piece it takes; returns how much that was.
    pub(super) fn hand_to(&mut self, mut takes: impl FnMut(&[u8]) -> usize) -> usize {
        let mut taken = 0_usize;
        while let Some(oldest) = self.pieces.front_mut() {
            let len = takes(oldest);
            oldest.advance(len);
            taken = taken.saturating_add(len);
            if !oldest.is_empty() {
                break;
            }
            self.pieces.pop_front();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn what_is_handed_out_is_what_came_in_any_pieces_and_holds_no_more_than_a_piece_besides() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        for (came, takes) in [(1, 40_000), (31_000, 7), (32_768, 32_768), (100_000, 1000)] {
            let (mut waiting, mut got) = (Waiting::default(), Vec::new());
            for piece in bytes.chunks(came) {
                waiting.push(piece);
                // Some goes meanwhile.
                let mut budget = piece.len() / 2;
                waiting.hand_to(|offered| {
                    let len = offered.len().min(takes).min(budget);
                    budget -= len;
                    got.extend_from_slice(&offered[..len]);
                    len
                });
                let held: usize = waiting.pieces.iter().map(BytesMut::capacity).sum();
                assert!(
                    held + got.len() <= bytes.len() + PIECE_BYTES,
                    "{came} {takes}"
                );
            }
            while !waiting.is_empty() {
                waiting.hand_to(|offered| {
                    let len = offered.len().min(takes);
                    got.extend_from_slice(&offered[..len]);
                    len
                });
            }
            assert!(got == bytes, "{came} {takes}");
        }
    }
}
