//! A generator fed by one seed, which forgets what it gave out.

use core::convert::Infallible;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _, TryCryptoRng, TryRng};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes made at a time. The first 32 are the next key ("fast key erasure"), so that a later look at the state does not
/// give away earlier ephemeral keys.
const BLOCK_BYTES: usize = 512;
const KEY_BYTES: usize = 32;

#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Random {
    key: [u8; KEY_BYTES],
    block: [u8; BLOCK_BYTES],
    used: usize,
}

impl Random {
    pub(crate) fn new(mut seed: [u8; 32]) -> Self {
        let random = Self {
            key: seed,
            block: [0; BLOCK_BYTES],
            used: BLOCK_BYTES,
        };
        seed.zeroize();
        random
    }

    pub(crate) fn fill(&mut self, mut out: &mut [u8]) {
        while !out.is_empty() {
            if self.used >= BLOCK_BYTES {
                self.refill();
            }
            let fresh = self.block.get_mut(self.used..).unwrap_or_default();
            let len = fresh.len().min(out.len());
            let (Some(from), Some((to, rest))) =
                (fresh.get_mut(..len), out.split_at_mut_checked(len))
            else {
                return;
            };
            to.copy_from_slice(from);
            from.zeroize();
            self.used += len;
            out = rest;
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    fn refill(&mut self) {
        ChaCha20Rng::from_seed(self.key).fill_bytes(&mut self.block);
        if let Some(next) = self.block.first_chunk_mut::<KEY_BYTES>() {
            self.key = *next;
            next.zeroize();
        }
        self.used = KEY_BYTES;
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.array()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.array()))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Random {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn how_the_output_is_cut_does_not_change_it() {
        let mut whole = vec![0; 3000];
        Random::new([3; 32]).fill(&mut whole);
        let mut pieces = vec![0; 3000];
        let mut random = Random::new([3; 32]);
        for piece in pieces.chunks_mut(7) {
            random.fill(piece);
        }
        assert_eq!(whole, pieces);
        assert!(whole.windows(32).all(|w| w != [0; 32]));
    }

    #[test]
    fn what_was_given_out_is_no_longer_in_the_state() {
        let mut random = Random::new([9; 32]);
        let given: [u8; 40] = random.array();
        assert!(random.block.windows(8).all(|w| w != &given[..8]));
        assert_ne!(random.key, [9; 32]);
    }

    #[test]
    fn other_seeds_give_other_bytes() {
        assert_ne!(
            Random::new([1; 32]).array::<32>(),
            Random::new([2; 32]).array::<32>()
        );
    }
}
