//! How a proxy comes to its end: first it accepts nobody, then sessions are told to end, and what has not ended in its time is cut off.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Asks a proxy to end, from anywhere.
#[derive(Debug, Clone)]
pub struct Stopper {
    /// When sessions are told to end; nothing while the proxy goes on.
    end_at: Arc<watch::Sender<Option<Instant>>>,
}

impl Default for Stopper {
    fn default() -> Self {
        Self {
            end_at: Arc::new(watch::Sender::new(None)),
        }
    }
}

impl Stopper {
    /// Nobody is accepted from now on, and sessions that still run after this time are told to end. Asked again, the time begins anew.
    pub fn drain(&self, wait: Duration) {
        let now = Instant::now();
        // A time beyond what the clock can tell is as good as a day.
        let end_at = now
            .checked_add(wait)
            .unwrap_or(now + Duration::from_secs(86_400));
        self.end_at.send_replace(Some(end_at));
    }

    /// Nobody is accepted from now on, and sessions are told to end at once.
    pub fn end(&self) {
        self.end_at.send_replace(Some(Instant::now()));
    }

    /// Waits until nobody is to be accepted any more.
    pub(super) async fn draining(&self) {
        // The sender is here, so that this cannot fail.
        let _ = self.end_at.subscribe().wait_for(Option::is_some).await;
    }

    /// Waits until sessions are to end.
    pub(super) async fn ending(&self) {
        let mut end_at = self.end_at.subscribe();
        loop {
            let at = *end_at.borrow_and_update();
            let time = async {
                match at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = time => return,
                _ = end_at.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn sessions_end_when_the_time_is_over_and_the_last_word_counts() {
        let stopper = Stopper::default();
        let is_draining = async || timeout(Duration::ZERO, stopper.draining()).await.is_ok();
        let is_ending = async || timeout(Duration::ZERO, stopper.ending()).await.is_ok();
        assert!(!is_draining().await && !is_ending().await);
        stopper.drain(Duration::MAX);
        assert!(is_draining().await && !is_ending().await);
        let waiting = tokio::spawn({
            let stopper = stopper.clone();
            async move { stopper.ending().await }
        });
        stopper.drain(Duration::from_secs(3600));
        assert!(is_draining().await && !is_ending().await);
        stopper.end();
        // Whoever waited for the hour to pass hears of it, too.
        timeout(Duration::from_secs(60), waiting)
            .await
            .unwrap()
            .unwrap();
        assert!(is_draining().await && is_ending().await);
    }
}
