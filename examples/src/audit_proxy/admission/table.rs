//! A table of comers: how many connections each has, and how fast it makes them.
//!
//! A rate is kept as one moment: the one at which nothing will be remembered of a comer any more (a token bucket would be full). Each
//! connection moves it by a minute's share, and who would move it more than a minute ahead comes too fast. So a comer without
//! connections is forgotten by itself within a minute.
//!
//! The table is bounded for a flood of addresses, too. Beyond the bound the comer whose moment is next is forgotten first, which is
//! the one who came least lately. A flooder that wants to be forgotten needs as many other addresses as the table has places, and
//! has to make from each of them as many connections as it made itself, within the minute after which it is forgotten anyway.
//! Whoever has a connection is never forgotten, and there are only so many connections.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// How much one comer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Connections at once.
    pub connections: usize,
    /// Of them, before they are let in.
    pub unauthenticated: usize,
    /// New connections in a minute. So many may come at once, and then one whenever its share of the minute has passed.
    pub per_minute: u32,
}

/// What a comer has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Connections,
    Unauthenticated,
    Rate,
}

#[derive(Debug)]
pub(super) struct Table<K> {
    rule: Rule,
    max_remembered: usize,
    comers: BTreeMap<K, Comer>,
    /// Those without a connection, the next to be forgotten first.
    remembered: BTreeSet<(Duration, K)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Comer {
    open: usize,
    unauthenticated: usize,
    /// From when on its rate is forgotten.
    forgotten_at: Duration,
}

impl<K: Ord + Copy> Table<K> {
    pub(super) const fn new(rule: Rule, max_remembered: usize) -> Self {
        Self {
            rule,
            max_remembered,
            comers: BTreeMap::new(),
            remembered: BTreeSet::new(),
        }
    }

    /// One more connection, not let in yet.
    pub(super) fn enter(&mut self, key: K, now: Duration) -> Result<(), Over> {
        self.forget(now, self.max_remembered);
        let mut comer = self.comers.get(&key).copied().unwrap_or_default();
        if comer.open >= self.rule.connections {
            return Err(Over::Connections);
        }
        if comer.unauthenticated >= self.rule.unauthenticated {
            return Err(Over::Unauthenticated);
        }
        let forgotten_at = comer.forgotten_at.max(now) + MINUTE / self.rule.per_minute.max(1);
        if forgotten_at > now + MINUTE {
            return Err(Over::Rate);
        }
        self.remembered.remove(&(comer.forgotten_at, key));
        comer.open += 1;
        comer.unauthenticated += 1;
        comer.forgotten_at = forgotten_at;
        self.comers.insert(key, comer);
        Ok(())
    }

    /// One of the connections is let in.
    pub(super) fn let_in(&mut self, key: &K) {
        if let Some(comer) = self.comers.get_mut(key) {
            comer.unauthenticated = comer.unauthenticated.saturating_sub(1);
        }
    }

    /// One of the connections, which was let in, is gone.
    pub(super) fn leave(&mut self, key: K, now: Duration) {
        let Some(comer) = self.comers.get_mut(&key) else {
            return;
        };
        comer.open = comer.open.saturating_sub(1);
        if comer.open == 0 {
            self.remembered.insert((comer.forgotten_at, key));
        }
        self.forget(now, self.max_remembered);
    }

    /// Forgets whose time has come, and as many more as there are too many.
    fn forget(&mut self, now: Duration, at_most: usize) {
        while let Some((at, key)) = self.remembered.first().copied()
            && (at <= now || self.remembered.len() > at_most)
        {
            self.remembered.pop_first();
            self.comers.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        connections: 1000,
        unauthenticated: 1000,
        per_minute: 6,
    };

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn comes_and_goes(table: &mut Table<u32>, key: u32, now: Duration) -> Result<(), Over> {
        table.enter(key, now)?;
        table.let_in(&key);
        table.leave(key, now);
        Ok(())
    }

    #[test]
    fn so_many_come_at_once_and_then_one_for_each_share_of_the_minute() {
        let mut table = Table::new(RULE, 10);
        let come = |table: &mut Table<u32>, secs| comes_and_goes(table, 1, at(secs));
        for _ in 0..6 {
            assert_eq!(come(&mut table, 100), Ok(()));
        }
        assert_eq!(come(&mut table, 100), Err(Over::Rate));
        assert_eq!(come(&mut table, 109), Err(Over::Rate));
        assert_eq!(come(&mut table, 110), Ok(()));
        assert_eq!(come(&mut table, 110), Err(Over::Rate));
        // Refusals cost nothing: who waits long enough may come as often as at first.
        for _ in 0..6 {
            assert_eq!(come(&mut table, 170), Ok(()));
        }
        assert_eq!(come(&mut table, 170), Err(Over::Rate));
    }

    #[test]
    fn connections_that_stay_do_not_slow_down_the_forgetting_of_the_rate() {
        let mut table = Table::new(RULE, 10);
        for _ in 0..6 {
            table.enter(1, at(0)).unwrap();
        }
        for _ in 0..6 {
            table.enter(1, at(60)).unwrap();
        }
        assert_eq!(table.comers[&1].open, 12);
    }

    #[test]
    fn nothing_is_remembered_of_who_has_been_away_for_a_minute() {
        let mut table = Table::new(RULE, 10);
        for key in 0..5 {
            comes_and_goes(&mut table, key, at(0)).unwrap();
        }
        assert_eq!(table.comers.len(), 5);
        table.enter(9, at(60)).unwrap();
        assert_eq!((table.comers.len(), table.remembered.len()), (1, 0));
        table.leave(9, at(200));
        assert_eq!((table.comers.len(), table.remembered.len()), (0, 0));
    }

    #[test]
    fn a_flood_of_addresses_neither_grows_the_table_nor_makes_it_forget_a_flooder() {
        let mut table = Table::new(RULE, 100);
        for _ in 0..6 {
            comes_and_goes(&mut table, 0, at(0)).unwrap();
        }
        for key in 1..100_000 {
            // Each comes as often as it can without having come as often as the flooder.
            for _ in 0..5 {
                assert_eq!(comes_and_goes(&mut table, key, at(1)), Ok(()));
            }
            assert!(table.comers.len() <= 101 && table.remembered.len() <= 101);
        }
        assert_eq!(comes_and_goes(&mut table, 0, at(2)), Err(Over::Rate));
    }

    #[test]
    fn who_has_a_connection_is_not_forgotten() {
        let mut table = Table::new(RULE, 2);
        table.enter(0, at(0)).unwrap();
        for key in 1..1000 {
            comes_and_goes(&mut table, key, at(1)).unwrap();
        }
        assert_eq!(table.comers[&0].open, 1);
        assert!(table.comers.len() <= 4);
    }

    #[test]
    fn a_slow_model_agrees_about_the_rate() {
        // Whoever came so many times in the last minute, evenly refilled, as a bucket of tokens counts them.
        let mut table = Table::new(RULE, 10);
        let (mut tokens, mut last) = (6.0_f64, 0);
        let mut seed = 1_u32;
        let mut now = 0;
        for _ in 0..2000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // In steps of a whole share, so that both count without rounding.
            now += u64::from(seed >> 28) / 6 * 10;
            tokens = (tokens + (now - last) as f64 / 10.0).min(6.0);
            last = now;
            let expected = tokens >= 1.0;
            if expected {
                tokens -= 1.0;
            }
            let came = comes_and_goes(&mut table, 1, at(now));
            assert_eq!(came.is_ok(), expected, "at {now}");
        }
    }
}
