//! What the operator is told of refusals: each reason at once, and then in sums.

use std::collections::BTreeMap;
use std::time::Duration;

/// How often one reason is told, 10 s: a flood must not fill the disk that the logs are on.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Refusals of one reason since it was last told, the one in hand included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusals {
    /// How many.
    pub count: u64,
}

/// When each reason was told, and how often it was not.
#[derive(Debug)]
pub(in crate::audit_proxy) struct Told<K>(BTreeMap<K, Since>);

#[derive(Debug, Default)]
struct Since {
    told_at: Option<Duration>,
    untold: u64,
}

impl<K> Default for Told<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Told<K> {
    /// One more; what is to be told of it now.
    pub(in crate::audit_proxy) fn refused(&mut self, why: K, now: Duration) -> Option<Refusals> {
        let since = self.0.entry(why).or_default();
        since.untold = since.untold.saturating_add(1);
        let is_fresh = |told_at| now.saturating_sub(told_at) < TELL_EVERY;
        if since.told_at.is_some_and(is_fresh) {
            return None;
        }
        since.told_at = Some(now);
        let count = std::mem::take(&mut since.untold);
        Some(Refusals { count })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Full;
    use super::*;

    #[test]
    fn a_reason_is_told_at_once_and_then_in_sums() {
        let mut told = Told::default();
        let mut counts = Vec::new();
        for tenths in 1..=250_u64 {
            let now = Duration::from_millis(100 * tenths);
            if let Some(refusals) = told.refused(Full::SourceRate, now) {
                counts.push((tenths, refusals.count));
            }
        }
        assert_eq!(counts, [(1, 1), (101, 100), (201, 100)]);
        let now = Duration::from_secs(25);
        let other = told.refused(Full::Connections, now).map(|it| it.count);
        assert_eq!(other, Some(1));
    }
}
