//! The sessions that run, and what operators ask of them.
//!
//! Every session's task has a desk here, and answers what is asked there between two other things that it does. Nobody waits for an
//! operator: what a watcher does not take in time is not kept.

mod feed;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proxy_core::{Input, Now, Operation, Overview, Seen, Session, SessionId, WatchEnd, WatchId};
use tokio::sync::{mpsc, oneshot};

pub use feed::{Feed, MAX_FEED_BYTES, Shown, View, feed};

/// Questions that may wait at one session's desk; who asks more waits.
const MAX_QUESTIONS: usize = 16;

/// Where the sessions of a process are found.
#[derive(Debug, Default)]
pub struct Live {
    desks: Mutex<BTreeMap<SessionId, mpsc::Sender<Question>>>,
    last_watch: AtomicU64,
}

/// What a session is asked.
#[derive(Debug)]
pub enum Question {
    /// What it is like, and those inside it.
    Overviews(oneshot::Sender<Vec<Overview>>),
    /// An operator ends it, or watches no more.
    Operate(SessionId, Operation, oneshot::Sender<()>),
    /// An operator watches it.
    Watch(SessionId, String, Feed),
}

/// The way to one connection's task.
#[derive(Debug, Clone)]
pub struct Way(mpsc::Sender<Question>);

impl Live {
    /// A desk for a session; it is gone when this is dropped.
    pub fn desk(self: &Arc<Self>, session: SessionId) -> Desk {
        let (to, questions) = mpsc::channel(MAX_QUESTIONS);
        self.desks().insert(session, to);
        Desk {
            live: Arc::clone(self),
            session,
            questions,
            feeds: BTreeMap::new(),
        }
    }

    fn desks(&self) -> MutexGuard<'_, BTreeMap<SessionId, mpsc::Sender<Question>>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections have a session.
    pub fn len(&self) -> usize {
        self.desks().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A number for a watching that no other has.
    pub fn next_watch(&self) -> WatchId {
        WatchId(self.last_watch.fetch_add(1, Ordering::Relaxed))
    }

    /// All sessions as they are now, each with the way to its connection's task. One that is about to be gone may be missing.
    pub async fn overviews(&self) -> Vec<(Way, Overview)> {
        let ways: Vec<Way> = self.desks().values().cloned().map(Way).collect();
        // All are asked before any is waited for.
        let mut asked = Vec::with_capacity(ways.len());
        for way in ways {
            let (answer, answered) = oneshot::channel();
            if way.0.send(Question::Overviews(answer)).await.is_ok() {
                asked.push((way, answered));
            }
        }
        let mut all = Vec::new();
        for (way, answered) in asked {
            let overviews = answered.await.unwrap_or_default();
            all.extend(
                overviews
                    .into_iter()
                    .map(|overview| (way.clone(), overview)),
            );
        }
        all
    }
}

impl Way {
    /// Has an operation done; false where the connection is over.
    pub async fn operate(&self, session: SessionId, operation: Operation) -> bool {
        let (done, is_done) = oneshot::channel();
        let question = Question::Operate(session, operation, done);
        self.0.send(question).await.is_ok() && is_done.await.is_ok()
    }

    /// Has what happens in a session fed to a view; false where the connection is over.
    pub async fn watch(&self, session: SessionId, who: String, feed: Feed) -> bool {
        let question = Question::Watch(session, who, feed);
        self.0.send(question).await.is_ok()
    }
}

/// Where the task of one connection answers operators, and feeds those who watch.
pub struct Desk {
    live: Arc<Live>,
    session: SessionId,
    questions: mpsc::Receiver<Question>,
    /// With the session that is watched, which may be one inside the connection's own.
    feeds: BTreeMap<WatchId, (SessionId, Feed)>,
}

impl Desk {
    /// The next question; waits for ever when there can be none any more.
    pub async fn asked(&mut self) -> Question {
        match self.questions.recv().await {
            Some(question) => question,
            None => std::future::pending().await,
        }
    }

    /// Answers it.
    pub fn answer(&mut self, question: Question, session: &mut Session, now: Now) {
        match question {
            Question::Overviews(answer) => {
                // Whoever asked may have left.
                let _ = answer.send(session.overviews(now));
            }
            Question::Operate(id, operation, done) => {
                if let Operation::Unwatch { watch, .. } = &operation {
                    self.feeds.remove(watch);
                }
                session.handle(Input::Operator(id, operation), now);
                let _ = done.send(());
            }
            Question::Watch(id, who, feed) => {
                let watch = feed.watch();
                self.feeds.insert(watch, (id, feed));
                let operation = Operation::Watch { watch, who };
                session.handle(Input::Operator(id, operation), now);
            }
        }
    }

    /// Feeds a watcher; gives what to tell the session of one who cannot be fed.
    pub fn show(&mut self, watch: WatchId, channel: u32, seen: Seen) -> Option<Input<'static>> {
        let (session, feed) = self.feeds.get(&watch)?;
        let session = *session;
        let why = feed.push(channel, seen).err()?.to_string();
        self.feeds.remove(&watch);
        Some(Input::Operator(session, Operation::Unwatch { watch, why }))
    }

    /// A watching is over, or never began.
    pub fn over(&mut self, watch: WatchId, why: WatchEnd) {
        if let Some((_, feed)) = self.feeds.remove(&watch) {
            feed.end(&why.to_string());
        }
    }

    /// Takes no more questions: the session is over. Who has asked is not kept waiting.
    pub fn close(&mut self) {
        self.live.desks().remove(&self.session);
        self.questions.close();
        while self.questions.try_recv().is_ok() {}
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.live.desks().remove(&self.session);
    }
}
