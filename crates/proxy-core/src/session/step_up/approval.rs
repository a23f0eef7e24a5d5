//! Another person's approval: a question with a deadline. Silence refuses.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use policy::StepUp;
use ssh_transport::AuthId;

use super::super::Session;
use super::super::stage::{Denied, Stage};
use super::done::Approved;
use super::one_line;
use crate::event::{ApprovalRefusal, EventKind, millis};
use crate::{Approval, ApprovalRequest, MAX_NOTE_BYTES, Now, Output, Refusal, Verdict};

/// Approvers that a waiting person is told by name: more would fill the screen.
const MAX_NAMED_APPROVERS: usize = 4;

/// How long an answer counts for a session inside another, at most: its target is connected already, and a server lets nobody
/// linger who has not logged in (OpenSSH: 120 s). 90 s leave it half a minute for what comes before and after.
const INNER_APPROVAL: Duration = Duration::from_secs(90);

/// A login that waits for an approval.
pub(in super::super) struct Waiting {
    pub(in super::super) attempt: AuthId,
    pub(in super::super) deadline: Duration,
    request: ApprovalRequest,
}

impl Session {
    /// Of these people, all but who asks.
    pub(super) fn others(&self, approvers: &[Box<str>]) -> Vec<Box<str>> {
        approvers
            .iter()
            .filter(|approver| !self.is_the_asker(approver))
            .cloned()
            .collect()
    }

    fn is_the_asker(&self, email: &str) -> bool {
        let own = self.info.identity.email.as_deref();
        own.is_some_and(|own| own.eq_ignore_ascii_case(email))
            || self.subject.identity.eq_ignore_ascii_case(email)
    }

    fn approval_time(&self) -> Duration {
        let configured = self.gateway.timeouts.approval;
        match self.inner.parent() {
            Some(_) => configured.min(INNER_APPROVAL),
            None => configured,
        }
    }

    /// `attempt` gets its answer when the question does.
    pub(super) fn ask_approval(&mut self, attempt: AuthId, now: Now) {
        let Stage::StepUp(stepping) = &self.stage else {
            return;
        };
        let Some(StepUp::Approval(approvers)) = stepping.left.front() else {
            return;
        };
        let within = self.approval_time();
        let request = ApprovalRequest {
            subject: Arc::clone(&self.subject),
            user: self.user.clone().unwrap_or_default(),
            application: Arc::clone(&stepping.grant.application),
            policy: Arc::clone(&stepping.grant.policy),
            reason: stepping.done.reason.clone(),
            approvers: self.others(approvers),
            asked_unix_ms: millis(now.unix),
            within,
        };
        // The time that somebody else takes is not the person's.
        self.client.extend_login_grace(within);
        let banner = format!(
            "Waiting up to {} s for approval by {}; request {}.\r\n",
            within.as_secs(),
            names(&request.approvers),
            self.id
        );
        self.client.banner(&banner);
        let kind = EventKind::ApprovalAsked {
            approvers: request.approvers.clone(),
        };
        self.event(kind, now);
        self.outputs
            .push_back(Output::AskApproval(Box::new(request.clone())));
        if let Stage::StepUp(stepping) = &mut self.stage {
            stepping.waiting = Some(Waiting {
                attempt,
                deadline: now.mono.saturating_add(within),
                request,
            });
        }
    }

    /// Somebody's answer. What does not answer the open question, or not from one of those who were asked, changes nothing.
    pub(in super::super) fn approval_answered(&mut self, approval: &Approval, now: Now) {
        let counts = matches!(&self.stage, Stage::StepUp(stepping)
        if stepping.waiting.as_ref().is_some_and(|waiting| {
            approval.session == self.id
                && waiting.request.may_be_answered_by(&approval.by)
                && !self.is_the_asker(&approval.by)
                && now.mono < waiting.deadline
        }));
        if !counts {
            return;
        }
        let Some(waiting) = self.take_waiting() else {
            return;
        };
        let by = approval.by.to_ascii_lowercase();
        let note = one_line(&approval.note, MAX_NOTE_BYTES);
        match approval.verdict {
            Verdict::Approve => self.approved(waiting.attempt, Approved { by, note }, now),
            Verdict::Refuse => {
                self.tell_refused(ApprovalRefusal::ByPerson, Some(by.clone()), now);
                self.refuse_login(waiting.attempt, Denied::by_person(&by, &note), now);
            }
        }
    }

    fn approved(&mut self, attempt: AuthId, approval: Approved, now: Now) {
        self.client
            .banner(&format!("Approved by {}.\r\n", approval.by));
        let by = approval.by.clone();
        self.event(EventKind::ApprovalGiven { by }, now);
        if let Stage::StepUp(stepping) = &mut self.stage {
            stepping.done.approval = Some(approval);
        }
        self.step_done(attempt, now);
    }

    pub(in super::super) fn approval_timed_out(&mut self, now: Now) {
        if let Some(waiting) = self.take_waiting() {
            self.tell_refused(ApprovalRefusal::BySilence, None, now);
            self.refuse_login(waiting.attempt, Denied::by_silence(), now);
        }
    }

    pub(in super::super) fn approval_not_asked(&mut self, now: Now) {
        if let Some(waiting) = self.take_waiting() {
            self.tell_refused(ApprovalRefusal::NotAsked, None, now);
            self.refuse_login(waiting.attempt, Denied::unasked(), now);
        }
    }

    /// The question is void: the person left, or may not come in whatever anybody answers.
    pub(in super::super) fn tell_withdrawn(&mut self, now: Now) {
        self.tell_refused(ApprovalRefusal::Withdrawn, None, now);
    }

    fn tell_refused(&mut self, why: ApprovalRefusal, by: Option<String>, now: Now) {
        self.event(EventKind::ApprovalRefused { why, by }, now);
    }

    fn take_waiting(&mut self) -> Option<Waiting> {
        match &mut self.stage {
            Stage::StepUp(stepping) => stepping.waiting.take(),
            _ => None,
        }
    }
}

fn names(approvers: &[Box<str>]) -> String {
    let named: Vec<&str> = approvers
        .iter()
        .take(MAX_NAMED_APPROVERS)
        .map(|name| &**name)
        .collect();
    let mut text = named.join(" or ");
    let more = approvers.len() - named.len();
    if more > 0 {
        text.push_str(&format!(" or {more} others"));
    }
    text
}

impl Denied {
    fn by_person(by: &str, note: &str) -> Self {
        let said = if note.is_empty() {
            String::new()
        } else {
            format!(": {note}")
        };
        Self {
            reason: Refusal::NotApproved,
            detail: format!("{by} refused"),
            advice: format!("{by} did not approve{said}"),
        }
    }

    fn unasked() -> Self {
        Self {
            reason: Refusal::NotApproved,
            detail: "too many questions of this person wait already".to_string(),
            advice: "too many of your connections wait for an approval already; wait for an answer, or close one of them"
                .to_string(),
        }
    }

    fn by_silence() -> Self {
        Self {
            reason: Refusal::NotApproved,
            detail: "nobody approved in time".to_string(),
            advice: "nobody approved in time; agree with one of them and connect again".to_string(),
        }
    }
}
