//! What is told of those who are turned away: at once, and then in sums, because anybody on the machine can connect again and again.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::audit_proxy::admission::Told;

/// Why somebody is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turned {
    /// The configuration does not know them.
    Stranger,
    /// There is no place for them.
    Full,
}

/// What was told, and when.
#[derive(Debug)]
pub(in crate::audit_proxy) struct Noise {
    since: Instant,
    told: Mutex<Told<Turned>>,
}

impl Default for Noise {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            told: Mutex::default(),
        }
    }
}

impl Noise {
    /// One more is turned away; if that is to be told now, how many were since it last was, this one included.
    pub(super) fn count(&self, why: Turned) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let refusals = told.refused(why, self.since.elapsed())?;
        Some(refusals.count)
    }
}
