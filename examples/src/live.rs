//! The sessions that run, and what operators ask of them.
//!
//! Every session's task has a desk here, and answers what is asked there between two other things that it does. Nobody waits for an
//! operator: what a watcher does not take in time is not kept.

mod feed;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proxy_core::{Input, Now, Operation, Overview, Seen, Session, SessionId, WatchEnd, WatchId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

pub use feed::{Feed, MAX_FEED_BYTES, Shown, View, feed};

/// Questions that may wait at one session's desk: two of each operator who may be there at once. At a desk with more nobody answers.
const MAX_QUESTIONS: usize = 64;

/// Of them, those that only what is to be done to a session may take: who looks again and again at one that does not answer must leave
/// room for who ends it.
const KEPT_FOR_OPERATIONS: usize = MAX_QUESTIONS / 2;

/// Where the sessions of a process are found.
#[derive(Debug, Default)]
pub struct Live {
    desks: Mutex<BTreeMap<SessionId, Way>>,
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
pub struct Way {
    to: mpsc::Sender<Question>,
    arrived: Arc<Overview>,
}

/// A session as it is now, with the way to its connection's task.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where to ask.
    pub way: Way,
    /// What it is like; where its task does not answer, what was known when the connection began.
    pub overview: Overview,
    /// Whether its task answers. One that waits for a disk that is stuck does not.
    pub answers: bool,
}

/// What became of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, or the connection is over.
    Done,
    /// The task does not answer: it is done once that goes on.
    Late,
    /// The task does not answer, and so much waits for it that it was not told.
    Untold,
}

/// An operation that was asked for.
#[derive(Debug)]
pub struct Asked(Result<oneshot::Receiver<()>, Outcome>);

impl Live {
    /// A desk for a connection; it is gone when this is dropped.
    pub fn desk(self: &Arc<Self>, arrived: Overview) -> Desk {
        let session = arrived.session();
        let (to, questions) = mpsc::channel(MAX_QUESTIONS);
        let arrived = Arc::new(arrived);
        self.desks().insert(session, Way { to, arrived });
        Desk {
            live: Arc::clone(self),
            session,
            questions,
            feeds: BTreeMap::new(),
        }
    }

    fn desks(&self) -> MutexGuard<'_, BTreeMap<SessionId, Way>> {
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

    /// All sessions as they are now: the oldest connection first, and after each session those inside it. One that is about to be gone may
    /// be missing. Whoever has not answered by `deadline` is told of as they arrived.
    pub async fn entries(&self, deadline: Instant) -> Vec<Entry> {
        let mut ways: Vec<Way> = self.desks().values().cloned().collect();
        ways.sort_by_key(|way| (way.arrived.connected, way.arrived.session()));
        // All are asked before any is waited for.
        let asked: Vec<_> = ways
            .into_iter()
            .map(|way| (way.ask_overviews(), way))
            .collect();
        let mut all = Vec::new();
        for (asked, way) in asked {
            let answer = match asked {
                Some(asked) => timeout_at(deadline, asked).await.ok(),
                None => None,
            };
            let answers = answer.is_some();
            // A connection that is over answers nothing.
            let overviews = match answer {
                Some(answer) => answer.unwrap_or_default(),
                None => vec![Overview::clone(&way.arrived)],
            };
            all.extend(overviews.into_iter().map(|overview| Entry {
                way: way.clone(),
                overview,
                answers,
            }));
        }
        all
    }
}

impl Way {
    /// What will have the answer; `None` where nobody answers.
    fn ask_overviews(&self) -> Option<oneshot::Receiver<Vec<Overview>>> {
        let (answer, answered) = oneshot::channel();
        if !self.to.is_closed() && self.to.capacity() <= KEPT_FOR_OPERATIONS {
            return None;
        }
        match self.to.try_send(Question::Overviews(answer)) {
            Err(TrySendError::Full(_)) => None,
            // What is closed has dropped the question, which is an answer.
            Ok(()) | Err(TrySendError::Closed(_)) => Some(answered),
        }
    }

    /// Asks for an operation, and does not wait for it.
    pub fn operate(&self, session: SessionId, operation: Operation) -> Asked {
        let (done, is_done) = oneshot::channel();
        let question = Question::Operate(session, operation, done);
        Asked(match self.to.try_send(question) {
            Ok(()) => Ok(is_done),
            Err(TrySendError::Closed(_)) => Err(Outcome::Done),
            Err(TrySendError::Full(_)) => Err(Outcome::Untold),
        })
    }

    /// Has what happens in a session fed to a view; false where the connection is over, or its task does not answer.
    pub fn watch(&self, session: SessionId, who: String, feed: Feed) -> bool {
        let question = Question::Watch(session, who, feed);
        self.to.try_send(question).is_ok()
    }
}

impl Asked {
    /// Whether it was told: it is done now, later, or not needed any more.
    pub fn is_told(&self) -> bool {
        !matches!(self.0, Err(Outcome::Untold))
    }

    /// What has become of it by then.
    pub async fn outcome(self, deadline: Instant) -> Outcome {
        match self.0 {
            Err(outcome) => outcome,
            Ok(is_done) => match timeout_at(deadline, is_done).await {
                // A connection that is over meanwhile has dropped the question.
                Ok(_) => Outcome::Done,
                Err(_) => Outcome::Late,
            },
        }
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

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use proxy_core::{PerLeg, Progress, Subject};

    use super::*;

    pub(crate) fn overview(number: u8, connected: u64) -> Overview {
        let name = format!("web-{number}");
        Overview {
            subject: Arc::new(Subject {
                session: SessionId::from_bytes([number; 16]),
                identity: "ada@example.com".into(),
                client_addr: "192.0.2.1:50000".into(),
                target: name.clone(),
                hostname: name.clone(),
                port: 22,
                parent: None,
            }),
            user: None,
            device: None,
            target: policy::Target {
                id: name.clone(),
                hostname: name,
                address: None,
                virtual_network: None,
                port: 22,
                tags: BTreeMap::new(),
            },
            progress: Progress::Arriving,
            connected: Duration::from_secs(connected),
            idle: None,
            bytes_from: PerLeg::default(),
            channels: 0,
            watchers: 0,
            last_command: None,
        }
    }

    pub(crate) fn in_secs(secs: u64) -> Instant {
        Instant::now() + Duration::from_secs(secs)
    }

    pub(crate) fn end() -> Operation {
        Operation::End {
            who: "nia".into(),
            reason: "x".into(),
        }
    }

    /// The number of a session that is inside another.
    const INSIDE: u8 = 0xff;

    /// A task that answers, with one session more inside its own.
    pub(crate) fn answering(mut desk: Desk) {
        tokio::spawn(async move {
            loop {
                match desk.asked().await {
                    Question::Overviews(answer) => {
                        let open = Overview {
                            progress: Progress::Open,
                            ..overview(desk.session.as_bytes()[0], 0)
                        };
                        let _ = answer.send(vec![open, overview(INSIDE, 9)]);
                    }
                    Question::Operate(_, _, done) => drop(done.send(())),
                    Question::Watch(..) => {}
                }
            }
        });
    }

    #[tokio::test]
    async fn a_session_that_does_not_answer_is_listed_as_it_arrived_and_holds_up_nobody_elses() {
        let live = Arc::new(Live::default());
        answering(live.desk(overview(1, 20)));
        let _stuck = live.desk(overview(2, 10));
        let mut over = live.desk(overview(3, 30));
        over.questions.close();
        let entries = live.entries(in_secs(1)).await;
        let listed = entries.iter().map(|it| {
            let [number, ..] = *it.overview.session().as_bytes();
            (number, it.answers, it.overview.progress)
        });
        assert_eq!(
            listed.collect::<Vec<_>>(),
            [
                (2, false, Progress::Arriving),
                (1, true, Progress::Open),
                (INSIDE, true, Progress::Arriving)
            ]
        );
        let asked: Vec<_> = entries
            .iter()
            .map(|it| it.way.operate(it.overview.session(), end()))
            .collect();
        let deadline = in_secs(1);
        let mut outcomes = Vec::new();
        for asked in asked {
            outcomes.push(asked.outcome(deadline).await);
        }
        assert_eq!(outcomes, [Outcome::Late, Outcome::Done, Outcome::Done]);
    }

    #[tokio::test]
    async fn who_looks_again_and_again_leaves_room_for_who_ends_and_what_waits_is_done_with_the_session()
     {
        let live = Arc::new(Live::default());
        let mut stuck = live.desk(overview(1, 0));
        for _ in 0..2 * MAX_QUESTIONS {
            let entries = live.entries(Instant::now()).await;
            assert_eq!(entries.len(), 1);
            assert!(!entries[0].answers);
        }
        let entry = live.entries(Instant::now()).await.remove(0);
        let session = entry.overview.session();
        let mut asked: Vec<_> = (0..=KEPT_FOR_OPERATIONS)
            .map(|_| entry.way.operate(session, end()))
            .collect();
        let last = asked.pop().expect("one too many");
        assert!(!last.is_told());
        assert_eq!(last.outcome(in_secs(60)).await, Outcome::Untold);
        assert!(asked.iter().all(Asked::is_told));
        let first = asked.swap_remove(0);
        assert_eq!(first.outcome(Instant::now()).await, Outcome::Late);
        stuck.close();
        for asked in asked {
            assert_eq!(asked.outcome(in_secs(60)).await, Outcome::Done);
        }
        assert!(live.entries(in_secs(60)).await.is_empty());
        let after = entry.way.operate(session, end());
        assert_eq!(after.outcome(in_secs(60)).await, Outcome::Done);
    }
}
