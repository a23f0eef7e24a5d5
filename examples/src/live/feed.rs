//! What a session's task gives to one watcher: a queue with a bound, because the session waits for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proxy_core::{Seen, WatchId};
use tokio::sync::mpsc;

/// What may wait for one watcher where nothing else is said, in bytes: some seconds of what a terminal shows, and a bound on what a watcher who does not read
/// costs. One who has more waiting is sent away.
pub const MAX_FEED_BYTES: usize = 1024 * 1024;

/// What a piece in the queue takes beside its bytes.
const PIECE_BYTES: usize = 128;

/// The session's end of the queue.
#[derive(Debug)]
pub struct Feed {
    watch: WatchId,
    to: mpsc::UnboundedSender<Shown>,
    queued_bytes: Arc<AtomicUsize>,
    most_bytes: usize,
}

/// The watcher's end of the queue.
#[derive(Debug)]
pub struct View {
    from: mpsc::UnboundedReceiver<Shown>,
    queued_bytes: Arc<AtomicUsize>,
}

/// What a watcher gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Something of the session, on the channel of this number.
    Seen(u32, Seen),
    /// The watching is over, for this reason.
    Over(String),
}

/// Why a watcher is sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfed {
    /// They have not taken what there is.
    #[error("the watcher did not keep up")]
    Lagged,
    /// They are gone.
    #[error("the watcher left")]
    Left,
}

/// A queue for one watching, and for so many bytes.
pub fn feed(watch: WatchId, most_bytes: usize) -> (Feed, View) {
    let (to, from) = mpsc::unbounded_channel();
    let queued_bytes = Arc::new(AtomicUsize::new(0));
    let feed = Feed {
        watch,
        to,
        queued_bytes: Arc::clone(&queued_bytes),
        most_bytes,
    };
    (feed, View { from, queued_bytes })
}

fn cost(seen: &Seen) -> usize {
    seen.len().saturating_add(PIECE_BYTES)
}

impl Feed {
    /// Which watching it is.
    pub fn watch(&self) -> WatchId {
        self.watch
    }

    /// Puts something at the end.
    ///
    /// # Errors
    /// When there is no room, which the watcher is told as their last, or nobody takes it.
    pub fn push(&self, channel: u32, seen: Seen) -> Result<(), Unfed> {
        let cost = cost(&seen);
        // Only this side adds, so that nobody else can take the room meanwhile.
        if self
            .queued_bytes
            .load(Ordering::Relaxed)
            .saturating_add(cost)
            > self.most_bytes
        {
            self.end("you did not keep up with the session; watch again");
            return Err(Unfed::Lagged);
        }
        self.queued_bytes.fetch_add(cost, Ordering::Relaxed);
        let sent = self.to.send(Shown::Seen(channel, seen));
        sent.map_err(|_| Unfed::Left)
    }

    /// Puts the last there will be.
    pub fn end(&self, why: &str) {
        // A watcher who left needs no word.
        let _ = self.to.send(Shown::Over(why.to_owned()));
    }
}

impl View {
    /// The next there is; `None` when the session's task is gone without a word.
    pub async fn next(&mut self) -> Option<Shown> {
        let shown = self.from.recv().await?;
        if let Shown::Seen(_, seen) = &shown {
            self.queued_bytes.fetch_sub(cost(seen), Ordering::Relaxed);
        }
        Some(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(len: usize) -> Seen {
        Seen::Output(vec![7; len].into())
    }

    #[tokio::test]
    async fn what_is_taken_makes_room_and_who_takes_nothing_is_sent_away_with_a_word() {
        let (feed, mut view) = feed(WatchId(1), MAX_FEED_BYTES);
        for _ in 0..1000 {
            feed.push(1, output(30_000)).unwrap();
            assert_eq!(view.next().await, Some(Shown::Seen(1, output(30_000))));
        }
        let mut taken = 0;
        while feed.push(1, output(30_000)).is_ok() {
            taken += 1;
        }
        assert_eq!(taken, MAX_FEED_BYTES / (30_000 + PIECE_BYTES));
        for _ in 0..taken {
            assert!(matches!(view.next().await, Some(Shown::Seen(..))));
        }
        let Some(Shown::Over(why)) = view.next().await else {
            panic!("no last word")
        };
        assert!(why.contains("keep up"), "{why}");
    }

    #[tokio::test]
    async fn pieces_without_bytes_take_room_too_and_who_left_is_noticed() {
        let (feed, view) = feed(WatchId(1), MAX_FEED_BYTES);
        let pushed = (0..MAX_FEED_BYTES).take_while(|_| feed.push(1, Seen::Closed).is_ok());
        assert_eq!(pushed.count(), MAX_FEED_BYTES / PIECE_BYTES);
        drop(view);
        let (feed, view) = super::feed(WatchId(2), 1000);
        drop(view);
        assert_eq!(feed.push(1, output(1)), Err(Unfed::Left));
    }
}
