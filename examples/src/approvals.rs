//! Questions of sessions whether another person approves, and the way of an answer to the session that asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proxy_core::{AccessEvent, Approval, ApprovalRequest, EventKind, SessionId};
use tokio::sync::{mpsc, oneshot};

/// Answers on their way to one connection; who brings more is told to try again. More than one comes only when several
/// people answer at the same moment.
const MAX_ANSWERS: usize = 8;

/// Questions of one identity that are open at once where nothing else is said: whoever approves reads them all, and nobody needs more logins than these to
/// wait for at a time.
pub const MAX_QUESTIONS: usize = 4;

/// So many questions of one identity are open that nobody was asked one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} questions of this identity are open already")]
pub(crate) struct TooMany(usize);

/// The questions of all sessions that are open now.
#[derive(Debug)]
pub struct Approvals {
    /// Of one identity.
    most: usize,
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
    /// With so many questions of one identity at once.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            open: Mutex::default(),
        }
    }

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

    /// Refused where as many of the same identity are open as may be.
    pub(crate) fn ask(&mut self, request: ApprovalRequest) -> Result<(), TooMany> {
        let session = request.subject.session;
        let answers = self.sender.clone();
        let mut open = self.approvals.lock();
        let asker = &request.subject.identity;
        let of_asker = |open: &&Open| open.request.subject.identity.eq_ignore_ascii_case(asker);
        if open.values().filter(of_asker).count() >= self.approvals.most {
            return Err(TooMany(self.approvals.most));
        }
        open.insert(session, Open { request, answers });
        self.open.push(session);
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proxy_core::Subject;

    use super::*;

    fn request(number: u8, identity: &str) -> ApprovalRequest {
        ApprovalRequest {
            subject: Arc::new(Subject {
                session: SessionId::from_bytes([number; 16]),
                identity: identity.into(),
                client_addr: "192.0.2.1:50000".into(),
                target: "web-1".into(),
                hostname: "web-1".into(),
                port: 22,
                parent: None,
            }),
            user: "deploy".into(),
            application: "lab".into(),
            policy: "p".into(),
            reason: None,
            approvers: vec!["ann@example.com".into()],
            asked_unix_ms: 0,
            within: Duration::from_secs(120),
        }
    }

    #[test]
    fn one_person_cannot_fill_the_list_however_many_connections_ask() {
        let approvals = Arc::new(Approvals::new(MAX_QUESTIONS));
        let mut connections = Vec::new();
        for number in 0..70 {
            let mut asking = Asking::new(&approvals);
            let name = ["ada@example.com", "Ada@Example.com"][usize::from(number % 2)];
            let asked = asking.ask(request(number, name));
            assert_eq!(asked.is_ok(), usize::from(number) < MAX_QUESTIONS);
            connections.push(asking);
        }
        assert_eq!(approvals.open().len(), MAX_QUESTIONS);
        let mut other = Asking::new(&approvals);
        assert_eq!(other.ask(request(100, "bob@example.com")), Ok(()));
        // One that is no longer open leaves its place to another.
        connections.swap_remove(0);
        assert_eq!(connections[50].ask(request(101, "ada@example.com")), Ok(()));
        assert_eq!(
            connections[50].ask(request(102, "ada@example.com")),
            Err(TooMany(MAX_QUESTIONS))
        );
    }
}
