//! How a proxy comes to its end: first it accepts nobody, then sessions are told to end, and what has not ended in its time is cut off.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Asks a proxy to end, from anywhere.
#[derive(Debug, Clone)]
pub struct Stopper {
    phase: Arc<watch::Sender<Phase>>,
}

/// What a proxy is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nobody is accepted any more, and sessions go on for as long as they need.
    Draining,
    /// As that, and sessions that still run at this time are told to end.
    Ending(Instant),
}

impl Default for Stopper {
    fn default() -> Self {
        Self {
            phase: Arc::new(watch::Sender::new(Phase::Open)),
        }
    }
}

impl Stopper {
    /// Nobody is accepted from now on, and sessions that still run after this time are told to end; without a time they go on for as
    /// long as they need. What was asked for before is never put off. Gives how long sessions have now.
    pub fn drain(&self, wait: Option<Duration>) -> Option<Duration> {
        let now = Instant::now();
        // A time beyond what the clock can tell is none.
        let asked = wait.and_then(|wait| now.checked_add(wait));
        let mut end_at = None;
        self.phase.send_modify(|phase| {
            let before = match *phase {
                Phase::Ending(at) => Some(at),
                Phase::Open | Phase::Draining => None,
            };
            end_at = before.into_iter().chain(asked).min();
            *phase = end_at.map_or(Phase::Draining, Phase::Ending);
        });
        end_at.map(|at| at.saturating_duration_since(now))
    }

    /// Nobody is accepted from now on, and sessions are told to end at once.
    pub fn end(&self) {
        self.drain(Some(Duration::ZERO));
    }

    /// Whether nobody is accepted any more.
    pub(super) fn is_draining(&self) -> bool {
        *self.phase.borrow() != Phase::Open
    }

    /// Waits until nobody is to be accepted any more.
    pub(super) async fn draining(&self) {
        let mut phase = self.phase.subscribe();
        // The sender is here, so that this cannot fail.
        let _ = phase.wait_for(|phase| *phase != Phase::Open).await;
    }

    /// Waits until sessions are to end.
    pub(super) async fn ending(&self) {
        let mut phase = self.phase.subscribe();
        loop {
            let now = *phase.borrow_and_update();
            let time = async {
                match now {
                    Phase::Ending(at) => sleep_until(at).await,
                    Phase::Open | Phase::Draining => std::future::pending().await,
                }
            };
            tokio::select! {
                () = time => return,
                _ = phase.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn sessions_end_when_the_time_is_over_and_no_later_word_puts_it_off() {
        let stopper = Stopper::default();
        let is_draining = async || timeout(Duration::ZERO, stopper.draining()).await.is_ok();
        let is_ending = async || timeout(Duration::ZERO, stopper.ending()).await.is_ok();
        assert!(!is_draining().await && !is_ending().await);
        assert!(!stopper.is_draining());
        assert_eq!(stopper.drain(None), None);
        assert_eq!(stopper.drain(Some(Duration::MAX)), None);
        assert!(stopper.is_draining());
        assert!(is_draining().await && !is_ending().await);
        let waiting = tokio::spawn({
            let stopper = stopper.clone();
            async move { stopper.ending().await }
        });
        let hour = Duration::from_secs(3600);
        assert_eq!(stopper.drain(Some(hour)), Some(hour));
        assert!(stopper.drain(Some(2 * hour)) <= Some(hour));
        assert!(stopper.drain(None).is_some_and(|left| left <= hour));
        assert!(is_draining().await && !is_ending().await);
        stopper.end();
        // Whoever waited for the hour to pass hears of it, too.
        timeout(Duration::from_secs(60), waiting)
            .await
            .unwrap()
            .unwrap();
        assert!(is_draining().await && is_ending().await);
        assert_eq!(stopper.drain(Some(hour)), Some(Duration::ZERO));
    }
}
