//! From the hash of a key to the numbers of what stands under it.

use alloc::vec::Vec;
use core::ops::Range;

use super::keys::Keys;
use super::{count, place};

/// Candidates that one look-up gathers. Where there are more, narrowing further costs more than it saves.
const MAX_CANDIDATES: usize = 64;

/// Entries of one index, 16 bytes each. What comes after is always a candidate.
const MAX_ENTRIES: usize = 1 << 20;

/// Numbers by the hash of a key.
#[derive(Debug, Default)]
pub(super) struct Postings {
    /// Sorted, each once.
    entries: Vec<(u64, u32)>,
    /// For each value of the hash's upper bits, where its entries begin; and at last, where they end.
    buckets: Vec<u32>,
    shift: u32,
    /// What no key finds, sorted.
    always: Vec<u32>,
}

/// A few numbers in ascending order.
pub(crate) struct Candidates {
    numbers: [u32; MAX_CANDIDATES],
    length: usize,
}

impl Postings {
    /// An index of things by their keys; each is numbered by its place.
    pub(super) fn new(things: impl Iterator<Item = Keys>) -> Self {
        let mut entries = Vec::new();
        let mut always = Vec::new();
        for (number, keys) in things.enumerate() {
            let number = count(number);
            match keys {
                Keys::These(hashes)
                    if entries.len().saturating_add(hashes.len()) <= MAX_ENTRIES =>
                {
                    entries.extend(hashes.into_iter().map(|hash| (hash, number)));
                }
                Keys::These(_) | Keys::Any => always.push(number),
            }
        }
        entries.sort_unstable();
        entries.dedup();
        entries.shrink_to_fit();
        let (buckets, shift) = buckets(&entries);
        Self {
            entries,
            buckets,
            shift,
            always,
        }
    }

    /// The numbers in `within` under the keys that `each_key` looks up; nothing if they are too many.
    pub(super) fn gather(
        &self,
        within: Range<u32>,
        each_key: impl FnOnce(&mut dyn FnMut(u64)),
    ) -> Option<Candidates> {
        let mut found = Candidates {
            numbers: [0; MAX_CANDIDATES],
            length: 0,
        };
        let from = self.always.partition_point(|number| *number < within.start);
        let always = self.always.get(from..).unwrap_or_default().iter().copied();
        let mut fits = found.extend(always.take_while(|number| *number < within.end));
        if fits && !self.entries.is_empty() {
            each_key(&mut |hash| {
                let numbers = self.under(hash, &within).iter().map(|(_, number)| *number);
                fits = fits && found.extend(numbers);
            });
        }
        fits.then(|| found.sorted())
    }

    /// The entries of one key.
    fn under(&self, hash: u64, within: &Range<u32>) -> &[(u64, u32)] {
        let bucket = usize::try_from(hash.checked_shr(self.shift).unwrap_or(0)).unwrap_or(0);
        let bound = |bucket| self.buckets.get(bucket).map_or(0, |bound| place(*bound));
        let entries = self
            .entries
            .get(bound(bucket)..bound(bucket.saturating_add(1)));
        let entries = entries.unwrap_or_default();
        let from = entries.partition_point(|entry| *entry < (hash, within.start));
        let to = entries.partition_point(|entry| *entry < (hash, within.end));
        entries.get(from..to).unwrap_or_default()
    }
}

/// About one bucket for each entry.
fn buckets(entries: &[(u64, u32)]) -> (Vec<u32>, u32) {
    let bits = entries.len().max(1).ilog2();
    let shift = u64::BITS.saturating_sub(bits);
    let mut buckets = Vec::with_capacity((1_usize << bits).saturating_add(1));
    buckets.push(0);
    let mut end = 0_usize;
    for bucket in 0..(1_u64 << bits) {
        let in_bucket = |entry: &&(u64, u32)| entry.0.checked_shr(shift).unwrap_or(0) == bucket;
        let rest = entries.get(end..).unwrap_or_default();
        end = end.saturating_add(rest.iter().take_while(in_bucket).count());
        buckets.push(count(end));
    }
    (buckets, shift)
}

impl Candidates {
    /// Whether all fit.
    fn extend(&mut self, numbers: impl Iterator<Item = u32>) -> bool {
        for number in numbers {
            let Some(slot) = self.numbers.get_mut(self.length) else {
                return false;
            };
            *slot = number;
            self.length = self.length.saturating_add(1);
        }
        true
    }

    fn sorted(mut self) -> Self {
        let numbers = self.numbers.get_mut(..self.length).unwrap_or_default();
        numbers.sort_unstable();
        // What stands under two keys is still one candidate.
        let mut kept = 0_usize;
        let mut last = None;
        for at in 0..self.length {
            let number = self.numbers.get(at).copied();
            if number != last
                && let (Some(number), Some(slot)) = (number, self.numbers.get_mut(kept))
            {
                *slot = number;
                kept = kept.saturating_add(1);
            }
            last = number;
        }
        self.length = kept;
        self
    }

    /// The numbers in ascending order, each once.
    pub(crate) fn as_slice(&self) -> &[u32] {
        self.numbers.get(..self.length).unwrap_or_default()
    }
}
