use alloc::vec::Vec;
use core::time::Duration;

use crate::{AccountSecret, Algorithm, DeriveError, DerivedHostKey, RingError, derive};

/// The secrets of one account while it changes from one to the next.
///
/// Meanwhile the keys of every live secret are announced (`hostkeys-00@openssh.com`), so that clients which update their
/// `known_hosts` have the new key before the old one goes. Which secret answers a client depends on what its server remembers.
/// With [`serving`](Self::serving), one that knows when each client first came:
///
/// ```text
///          first secret            second secret
///   |--------------------------|------------------------->
///                         replaced      until
///   known clients of the first |..........|   served by the first, shown both
///   new clients                |..........|   served by the second, shown both
/// ```
///
/// With [`oldest`](Self::oldest), one that knows nothing of its clients: everybody is served by the first until it ends.
#[derive(Debug)]
pub struct SecretRing {
    current: AccountSecret,
    /// Oldest first.
    previous: Vec<Previous>,
}

#[derive(Debug)]
struct Previous {
    secret: AccountSecret,
    replaced: Duration,
    until: Duration,
}

impl SecretRing {
    /// The most secrets that are still served beside the current one: each is one more key to announce for every key of a target.
    pub const MAX_PREVIOUS: usize = 3;

    /// Only a current secret.
    #[must_use]
    pub fn new(current: AccountSecret) -> Self {
        Self {
            current,
            previous: Vec::new(),
        }
    }

    /// Makes another secret the current one. The one so far serves those who know it until `until`, both since 1970-01-01.
    ///
    /// # Errors
    /// [`RingError::Known`] for a secret that is in the ring, [`RingError::Order`] unless `now_unix` is later than the rotation
    /// before and earlier than `until`, [`RingError::TooMany`] when [`MAX_PREVIOUS`](Self::MAX_PREVIOUS) are still live.
    pub fn rotate(
        mut self,
        next: AccountSecret,
        now_unix: Duration,
        until: Duration,
    ) -> Result<Self, RingError> {
        let is_known = self.previous.iter().any(|kept| kept.secret == next);
        if is_known || self.current == next {
            return Err(RingError::Known);
        }
        let last = self.previous.last().map(|kept| kept.replaced);
        if until <= now_unix || last.is_some_and(|last| now_unix <= last) {
            return Err(RingError::Order);
        }
        self.previous.retain(|kept| kept.until > now_unix);
        if self.previous.len() == Self::MAX_PREVIOUS {
            return Err(RingError::TooMany {
                limit: Self::MAX_PREVIOUS,
            });
        }
        self.previous.push(Previous {
            secret: core::mem::replace(&mut self.current, next),
            replaced: now_unix,
            until,
        });
        Ok(self)
    }

    /// The newest secret.
    #[must_use]
    pub fn current(&self) -> &AccountSecret {
        &self.current
    }

    /// The secret that answers a client in the key exchange: `first_seen` is when it first came to this target, `None` if it never
    /// has.
    #[must_use]
    pub fn serving(&self, first_seen: Option<Duration>, now_unix: Duration) -> &AccountSecret {
        let Some(first_seen) = first_seen else {
            return &self.current;
        };
        // The oldest that was replaced after it came is the one that it knows.
        let mut since = self.previous.iter();
        let known = since.find(|kept| kept.replaced > first_seen);
        match known {
            Some(kept) if kept.until > now_unix => &kept.secret,
            _ => &self.current,
        }
    }

    /// The oldest live secret: the one that every client knows who knows any that is live.
    #[must_use]
    pub fn oldest(&self, now_unix: Duration) -> &AccountSecret {
        let mut previous = self.previous.iter();
        let oldest = previous.find(|kept| kept.until > now_unix);
        oldest.map_or(&self.current, |kept| &kept.secret)
    }

    /// Every secret that still serves somebody: the current one, then the others, newest first.
    pub fn live(&self, now_unix: Duration) -> impl Iterator<Item = &AccountSecret> {
        let previous = self.previous.iter().rev();
        let live = previous.filter(move |kept| kept.until > now_unix);
        core::iter::once(&self.current).chain(live.map(|kept| &kept.secret))
    }

    /// The keys to announce for a target's keys: of each secret that is live, of each key, in each algorithm, in that order.
    ///
    /// # Errors
    /// [`DeriveError`] for the first key that cannot be read.
    pub fn announced(
        &self,
        target_keys: &[&[u8]],
        algorithms: &[Algorithm],
        now_unix: Duration,
    ) -> Result<Vec<DerivedHostKey>, DeriveError> {
        let mut keys = Vec::new();
        for secret in self.live(now_unix) {
            for target in target_keys {
                for algorithm in algorithms {
                    keys.push(derive(secret, target, *algorithm)?);
                }
            }
        }
        Ok(keys)
    }
}

impl From<AccountSecret> for SecretRing {
    fn from(current: AccountSecret) -> Self {
        Self::new(current)
    }
}
