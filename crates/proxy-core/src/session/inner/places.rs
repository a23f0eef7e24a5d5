//! How many sessions there may be inside others, in one tree: at a time, and one after the other.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// The places of a tree. It is worked on by one thread at a time.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Tally>);

#[derive(Default)]
struct Tally {
    taken: AtomicUsize,
    /// When all those that were begun are a minute's share each in the past, microseconds of the monotonic clock.
    paid_at: AtomicU64,
}

/// One of them; it is free again when this is dropped.
pub(super) struct Place(Places);

impl Places {
    /// A place, where fewer than `most` are taken, and fewer than `per_minute` sessions began in the last minute or so: each gives its
    /// share of a minute back as time goes on.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn take(
        &self,
        most: usize,
        per_minute: usize,
        now: Duration,
    ) -> Result<Place, &'static str> {
        let taken = self.0.taken.load(Ordering::Relaxed);
        if taken >= most {
            return Err("too many sessions are open inside this connection");
        }
        let now = micros(now);
        let share = micros(MINUTE) / u64::try_from(per_minute.max(1)).unwrap_or(u64::MAX);
        let paid_at = self.0.paid_at.load(Ordering::Relaxed).max(now);
        let paid_at = paid_at.saturating_add(share);
        if paid_at > now.saturating_add(micros(MINUTE)) {
            return Err("too many sessions were begun inside this connection in a minute");
        }
        self.0.paid_at.store(paid_at, Ordering::Relaxed);
        self.0
            .taken
            .store(taken.saturating_add(1), Ordering::Relaxed);
        Ok(Place(self.clone()))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn as_many_begin_in_a_minute_as_may_and_then_one_for_each_share_of_it() {
        let places = Places::default();
        for minute in [0, 7] {
            let at = |secs| HOUR + MINUTE * minute + Duration::from_secs(secs);
            for _ in 0..4 {
                assert!(places.take(1, 4, at(0)).is_ok());
            }
            for (secs, may) in [(0, false), (14, false), (15, true), (16, false), (31, true)] {
                assert_eq!(places.take(1, 4, at(secs)).is_ok(), may, "{secs} s");
            }
        }
    }

    #[test]
    fn a_place_that_is_refused_costs_no_share_and_one_that_is_dropped_is_free() {
        let places = Places::default();
        let first = places.take(1, 2, HOUR);
        assert!(places.take(1, 2, HOUR).is_err());
        drop(first);
        assert!(places.take(1, 2, HOUR).is_ok());
        assert!(places.take(1, 2, HOUR).is_err());
    }
}
