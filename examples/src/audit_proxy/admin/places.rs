//! Places for operators: so many in all, and so many for each user of the machine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who is there.
#[derive(Debug)]
pub(super) struct Places {
    /// How many may be there at once; more are turned away.
    most: usize,
    /// How many of those may be of one user.
    most_of_one: usize,
    taken: Mutex<BTreeMap<u32, usize>>,
}

/// A place, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    uid: u32,
}

impl Places {
    pub(super) fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            most,
            most_of_one,
            taken: Mutex::default(),
        }
    }

    /// A place for this user, if there is one.
    pub(super) fn enter(self: &Arc<Self>, uid: u32) -> Option<Place> {
        let mut taken = self.taken();
        let all: usize = taken.values().sum();
        let own = taken.get(&uid).copied().unwrap_or_default();
        if all >= self.most || own >= self.most_of_one {
            return None;
        }
        taken.insert(uid, own + 1);
        Some(Place {
            places: Arc::clone(self),
            uid,
        })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<u32, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let left = taken.get(&self.uid).copied().unwrap_or_default();
        match left.saturating_sub(1) {
            0 => taken.remove(&self.uid),
            left => taken.insert(self.uid, left),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_places_and_a_place_that_is_left_is_free() {
        let places = Arc::new(Places::new(32, 8));
        let mut own: Vec<_> = (0..8).map(|_| places.enter(1).unwrap()).collect();
        assert!(places.enter(1).is_none());
        let others: Vec<_> = (2..100).filter_map(|uid| places.enter(uid)).collect();
        assert_eq!(own.len() + others.len(), 32);
        own.pop();
        assert!(places.enter(1).is_some());
        drop((own, others));
        assert!(places.taken().is_empty());
    }
}
