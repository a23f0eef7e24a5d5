//! The question whether another person approves, and its answer.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use serde::Serialize;

use crate::event::Subject;

/// Longest note of whoever approves or refuses, in bytes: a few sentences. What is longer is cut.
pub const MAX_NOTE_BYTES: usize = 512;

/// Somebody asks to be let in, and one of several others has to say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApprovalRequest {
    /// Who asks, from where, for which target; its session names the question.
    #[serde(flatten)]
    pub subject: Arc<Subject>,
    /// As which Unix user.
    pub user: Arc<str>,
    /// The application that lets them in.
    pub application: Arc<str>,
    /// Its policy.
    pub policy: Arc<str>,
    /// Why, in the person's own words, if the policy asks for that too. Without control characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who may answer, by e-mail address in lower case; who asks is not among them.
    pub approvers: Vec<Box<str>>,
    /// When it was asked, in milliseconds since 1970.
    pub asked_unix_ms: u64,
    /// How long an answer counts, from then on.
    #[serde(skip)]
    pub within: Duration,
}

/// The answer to an [`ApprovalRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The session that asked.
    pub session: crate::SessionId,
    /// Who answers, by e-mail address: the driver's word.
    pub by: String,
    /// What.
    pub verdict: Verdict,
    /// Why, for the person and the log; cleaned and cut to [`MAX_NOTE_BYTES`].
    pub note: String,
}

/// What somebody says to an [`ApprovalRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Let them in.
    Approve,
    /// Do not.
    Refuse,
}

impl ApprovalRequest {
    /// Whether this person's answer counts. ASCII case does not matter.
    #[must_use]
    pub fn may_be_answered_by(&self, email: &str) -> bool {
        self.approvers
            .iter()
            .any(|approver| approver.eq_ignore_ascii_case(email))
    }
}
