use alloc::collections::BTreeMap;
use core::ops::RangeInclusive;

use super::MAX_SERIAL_RANGES;
use crate::KrlError;

/// A set of serial numbers: last by first of each range. Ranges neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Serials(BTreeMap<u64, u64>);

impl Serials {
    /// Adds a range, unless that makes more than `room` of them.
    pub(super) fn insert(&mut self, first: u64, last: u64, room: usize) -> Result<(), KrlError> {
        if first == 0 || first > last {
            return Err(KrlError::Serials);
        }
        let (mut first, mut last) = (first, last);
        // The only range before it that it can touch is the nearest.
        if let Some((start, end)) = self.0.range(..first).next_back()
            && *end >= first - 1
        {
            first = *start;
        }
        while let Some((start, end)) = self.0.range(first..=last.saturating_add(1)).next() {
            let start = *start;
            last = last.max(*end);
            self.0.remove(&start);
        }
        if self.0.len() >= room {
            return Err(KrlError::TooManySerials {
                limit: MAX_SERIAL_RANGES,
            });
        }
        self.0.insert(first, last);
        Ok(())
    }

    /// How many separate ranges it has.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, serial: u64) -> bool {
        let before = self.0.range(..=serial).next_back();
        before.is_some_and(|(_, last)| serial <= *last)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.0.iter().map(|(first, last)| *first..=*last)
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zero_and_reversed_ranges_are_refused_and_the_last_number_is_not() {
        let mut serials = Serials::default();
        for (first, last) in [(0, 0), (0, 5), (5, 4), (u64::MAX, 1)] {
            assert_eq!(serials.insert(first, last, 9), Err(KrlError::Serials));
        }
        serials.insert(u64::MAX, u64::MAX, 9).unwrap();
        serials.insert(u64::MAX - 1, u64::MAX, 9).unwrap();
        serials.insert(1, u64::MAX, 9).unwrap();
        assert_eq!(serials.iter().collect::<Vec<_>>(), [1..=u64::MAX]);
        assert!(!serials.contains(0) && serials.contains(u64::MAX));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn ranges_are_the_set_of_their_numbers_and_never_touch(
            ranges in proptest::collection::vec((1..60u64, 0..12u64), 0..24)
        ) {
            let (mut serials, mut model) = (Serials::default(), BTreeSet::new());
            for (first, more) in ranges {
                serials.insert(first, first + more, 60).unwrap();
                model.extend(first..=first + more);
            }
            for serial in 0..80 {
                prop_assert_eq!(serials.contains(serial), model.contains(&serial));
            }
            let kept: Vec<_> = serials.iter().collect();
            for pair in kept.windows(2) {
                prop_assert!(pair[0].end() + 1 < *pair[1].start());
            }
        }
    }
}
