//! What the connections to the agent of one session hold together, and which of them may take more.
//!
//! Up to a limit all may. Beyond it one goes first until it holds nothing; of the others, those that hold nothing go on as well. So each
//! message gets through in the end, and no more is held than the limit, what one connection can hold, and a window of each of the others.

use alloc::collections::{BTreeMap, BTreeSet};

/// The shares of a session's connections to the agent, by the numbers of their channels.
#[derive(Debug)]
pub(crate) struct Shares {
    connections: usize,
    limit_bytes: usize,
    held_by: BTreeMap<u32, usize>,
    held_bytes: usize,
    /// Those that would take more.
    waiting: BTreeSet<u32>,
    /// The one that goes first.
    first: Option<u32>,
}

impl Shares {
    /// Of so many connections at most, which hold so much together.
    pub(crate) const fn new(connections: usize, limit_bytes: usize) -> Self {
        Self {
            connections,
            limit_bytes,
            held_by: BTreeMap::new(),
            held_bytes: 0,
            waiting: BTreeSet::new(),
            first: None,
        }
    }

    /// Whether there may be another connection.
    pub(crate) fn has_room(&self) -> bool {
        self.held_by.len() < self.connections
    }

    /// A connection holds so many bytes now, or is no more.
    pub(super) fn holds(&mut self, number: u32, bytes: Option<usize>) {
        let before = match bytes {
            Some(bytes) => self.held_by.insert(number, bytes),
            None => self.held_by.remove(&number),
        };
        let others = self.held_bytes.saturating_sub(before.unwrap_or(0));
        self.held_bytes = others.saturating_add(bytes.unwrap_or(0));
        if bytes.is_none() {
            self.waiting.remove(&number);
        }
        let is_done = self.first == Some(number) && bytes.unwrap_or(0) == 0;
        if is_done || self.held_bytes <= self.limit_bytes {
            self.first = None;
        }
    }

    /// A connection would take more.
    pub(super) fn wants(&mut self, number: u32) {
        self.waiting.insert(number);
    }

    /// One of those that would take more, and may.
    pub(super) fn next(&mut self) -> Option<u32> {
        if self.held_bytes <= self.limit_bytes {
            return self.waiting.pop_first();
        }
        let holds_nothing = |number: &u32| self.held_by.get(number) == Some(&0);
        let mut waiting = self.waiting.iter().copied();
        if self.first.is_none() {
            self.first = waiting.clone().find(|number| !holds_nothing(number));
        }
        let next = waiting.find(|it| self.first == Some(*it) || holds_nothing(it))?;
        self.waiting.remove(&next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that may take more now.
    fn all(shares: &mut Shares) -> alloc::vec::Vec<u32> {
        core::iter::from_fn(|| shares.next()).collect()
    }

    #[test]
    fn beyond_the_limit_one_goes_first_until_it_holds_nothing() {
        let mut shares = Shares::new(3, 100);
        for number in [1, 2, 3] {
            assert!(shares.has_room());
            shares.holds(number, Some(0));
        }
        assert!(!shares.has_room());
        for number in [2, 3] {
            shares.holds(number, Some(50));
            shares.wants(number);
            assert_eq!(all(&mut shares), [number]);
        }
        shares.holds(3, Some(60));
        shares.wants(3);
        assert_eq!(all(&mut shares), [3], "it is the first to ask");
        shares.holds(1, Some(10));
        for number in [1, 2, 3] {
            shares.wants(number);
        }
        assert_eq!(all(&mut shares), [3]);
        shares.holds(1, Some(0));
        assert_eq!(all(&mut shares), [1], "what holds nothing costs nothing");
        shares.holds(2, Some(200));
        shares.holds(3, Some(0));
        assert_eq!(all(&mut shares), [2]);
        shares.holds(1, Some(1));
        shares.wants(1);
        assert!(all(&mut shares).is_empty());
        shares.holds(2, None);
        assert_eq!(all(&mut shares), [1]);
        assert!(shares.has_room());
    }

    #[test]
    fn what_is_gone_neither_waits_nor_counts() {
        let mut shares = Shares::new(3, 100);
        shares.holds(1, Some(1000));
        shares.wants(1);
        shares.holds(1, None);
        assert!(all(&mut shares).is_empty());
        shares.holds(2, Some(100));
        shares.wants(2);
        assert_eq!(all(&mut shares), [2]);
    }
}
