//! Questions of sessions whether another person approves, and the way of an answer to the session that asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proxy_core::{AccessEvent, Approval, ApprovalRequest, EventKind, SessionId};
use tokio::sync::{mpsc, oneshot};

/// Answers on their way to one connection; who brings more is told to try again. More than one comes only when several
/// people answer at the same moment.
const MAX_ANSWERS: usize = 8;

/// The questions of all sessions that are open now.
#[derive(Debug, Default)]
pub struct Approvals {
    open: Mutex<BTreeMap<SessionId, Open>>,
}

#[derive(Debug)]
struct Open {
    request: ApprovalRequest,
    answers: mpsc::Sender<Answer>,
}

/// An answer, and where to say whether it counted.
#[derive(Debug)]
pub struct Answer {
    approval: Approval,
    counted: oneshot::Sender<bool>,
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// It was the answer.
    Counted,
    /// It came too late, or nobody asked.
    NotOpen,
    /// Whoever gave it is not one of those who were asked.
    NotAsked,
}

impl Approvals {
    /// Everything that waits for an answer, by session.
    pub fn open(&self) -> Vec<ApprovalRequest> {
        let open = self.lock();
        open.values().map(|open| open.request.clone()).collect()
    }

    /// Brings an answer to the session that asked.
    pub async fn answer(&self, approval: Approval) -> Answered {
        let answers = {
            let open = self.lock();
            let Some(open) = open.get(&approval.session) else {
                return Answered::NotOpen;
            };
            if !open.request.may_be_answered_by(&approval.by) {
                return Answered::NotAsked;
            }
            open.answers.clone()
        };
        let (counted, verdict) = oneshot::channel();
        if answers.try_send(Answer { approval, counted }).is_err() {
            return Answered::NotOpen;
        }
        // A session that is gone has dropped it.
        match verdict.await {
            Ok(true) => Answered::Counted,
            _ => Answered::NotOpen,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's questions, its own and those of sessions inside it. They are closed when this is dropped.
pub(crate) struct Asking {
    approvals: Arc<Approvals>,
    sender: mpsc::Sender<Answer>,
    receiver: mpsc::Receiver<Answer>,
    open: Vec<SessionId>,
    /// Who has answered what the session has not said anything about yet.
    unsettled: Vec<(SessionId, String, oneshot::Sender<bool>)>,
}

impl Asking {
    pub(crate) fn new(approvals: &Arc<Approvals>) -> Self {
        let (sender, receiver) = mpsc::channel(MAX_ANSWERS);
        Self {
            approvals: Arc::clone(approvals),
            sender,
            receiver,
            open: Vec::new(),
            unsettled: Vec::new(),
        }
    }

    pub(crate) fn ask(&mut self, request: ApprovalRequest) {
        let session = request.subject.session;
        let answers = self.sender.clone();
        self.open.push(session);
        let open = Open { request, answers };
        self.approvals.lock().insert(session, open);
    }

    /// Waits for somebody's answer.
    pub(crate) async fn answer(&mut self) -> Answer {
        match self.receiver.recv().await {
            Some(answer) => answer,
            // Cannot be: a sender is kept here.
            None => std::future::pending().await,
        }
    }

    /// What the session is to be told.
    pub(crate) fn take(&mut self, answer: Answer) -> Approval {
        let Answer { approval, counted } = answer;
        let by = approval.by.to_ascii_lowercase();
        self.unsettled.push((approval.session, by, counted));
        approval
    }

    /// What the sessions tell of their questions.
    pub(crate) fn hear(&mut self, event: &AccessEvent) {
        let by = match &event.kind {
            EventKind::ApprovalGiven { by } => Some(by),
            EventKind::ApprovalRefused { by, .. } => by.as_ref(),
            _ => return,
        };
        let session = event.subject.session;
        self.close(session);
        let told = self.unsettled.iter().position(|(asked, answered_by, _)| {
            *asked == session && by.is_some_and(|by| by == answered_by)
        });
        if let Some(told) = told {
            let (_, _, counted) = self.unsettled.swap_remove(told);
            // Whoever answered may have left.
            let _ = counted.send(true);
        }
    }

    /// The sessions have said all that they have to say: what they said nothing about did not count.
    pub(crate) fn settle(&mut self) {
        self.unsettled.clear();
    }

    fn close(&mut self, session: SessionId) {
        self.open.retain(|open| *open != session);
        self.approvals.lock().remove(&session);
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        for session in std::mem::take(&mut self.open) {
            self.close(session);
        }
    }
}
