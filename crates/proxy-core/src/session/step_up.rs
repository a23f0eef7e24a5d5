//! What a policy asks for besides a name: a proof with a security key, a reason, another person's approval, in this order.
//!
//! ```text
//!            publickey            keyboard-interactive        AskApproval
//!   ──> SecurityKey ──partial success──> Reason ──────────> Approval ──> decided again ──> TargetAgain ──> LogOpened
//! ```
//!
//! All of it happens in the client's login, before there is a log, a certificate or a login at the target. The target is not kept
//! waiting: servers admit few connections that have not logged in, and none for long. It is left, and connected to again.

mod approval;
mod done;
mod reason;
mod security_key;
mod target;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;

use policy::{Grant, StepUp};
use ssh_transport::{AuthAttempt, AuthId, AuthMethod, clean_text};

pub(super) use self::approval::Waiting;
pub(super) use self::done::Done;
pub use self::reason::MAX_REASON_BYTES;
use super::stage::{Denied, Login, Stage};
use super::{LOGIN_METHOD, Session};
use crate::{Leg, Now, Refusal};

/// A person on the way through the steps.
pub(super) struct SteppingUp {
    pub(super) grant: Grant,
    /// What is still to be done, the next first.
    left: VecDeque<StepUp>,
    done: Done,
    /// For another person's answer.
    pub(super) waiting: Option<Waiting>,
    /// What the person was told already.
    remarks: Vec<&'static str>,
}

impl SteppingUp {
    fn new(grant: Grant) -> Self {
        let mut steps = grant.constraints.step_up.clone();
        steps.sort_by_key(|step| match step {
            StepUp::SecurityKey => 0,
            StepUp::Reason => 1,
            // Whoever approves has read the reason. A kind that nobody here knows comes last, and is never done.
            _ => 2,
        });
        Self {
            grant,
            left: steps.into(),
            done: Done::default(),
            waiting: None,
            remarks: Vec::new(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.waiting.as_ref().map(|waiting| waiting.deadline)
    }

    /// What the client may go on with, as in a refusal.
    fn methods(&self) -> &'static [&'static str] {
        match self.left.front() {
            Some(StepUp::SecurityKey) => &["publickey"],
            Some(StepUp::Reason) => &["keyboard-interactive"],
            _ => &[LOGIN_METHOD],
        }
    }
}

impl Session {
    /// Whether a first attempt that is not `none` begins a login: where the policy asks this user for something that
    /// has a method of its own. Some clients go straight to their keys.
    pub(super) fn steps_begin_with_a_method(&mut self, user: &str, now: Now) -> bool {
        self.grant_for(user, now).is_ok_and(|grant| {
            let steps = &grant.constraints.step_up;
            steps.contains(&StepUp::SecurityKey) || steps.contains(&StepUp::Reason)
        })
    }

    /// The policy lets this user in once more was done. `attempt` is the first of the client's.
    pub(super) fn step_up(&mut self, attempt: AuthAttempt, grant: Grant, now: Now) {
        let stepping = SteppingUp::new(grant);
        if let Some(denied) = self.impossible(&stepping) {
            return self.refuse_login(attempt.id, denied, now);
        }
        self.leave_target();
        match stepping.left.front() {
            Some(StepUp::SecurityKey) => self.client.banner(security_key::ASK),
            Some(StepUp::Reason) => self.client.banner(reason::ASK),
            _ => {}
        }
        self.stage = Stage::StepUp(Box::new(stepping));
        self.step_attempted(attempt, now);
    }

    /// What this person can never do is said at once.
    fn impossible(&self, stepping: &SteppingUp) -> Option<Denied> {
        stepping.left.iter().find_map(|step| match step {
            StepUp::SecurityKey if self.info.security_keys.is_empty() => {
                Some(Denied::without_security_key())
            }
            StepUp::Approval(approvers) if self.others(approvers).is_empty() => {
                Some(Denied::without_approver())
            }
            _ => None,
        })
    }

    /// One more attempt of a client that is on its way through the steps.
    pub(super) fn step_attempted(&mut self, attempt: AuthAttempt, now: Now) {
        let Stage::StepUp(stepping) = &self.stage else {
            return;
        };
        match (stepping.left.front(), attempt.method) {
            (
                Some(StepUp::SecurityKey),
                AuthMethod::PublicKey {
                    algorithm,
                    public_key,
                    proof,
                },
            ) => self.key_shown(attempt.id, algorithm, &public_key, &proof, now),
            (Some(StepUp::Reason), AuthMethod::KeyboardInteractive { .. }) => {
                self.ask_reason(attempt.id, now);
            }
            (Some(StepUp::Approval(_)), AuthMethod::None) => self.ask_approval(attempt.id, now),
            _ => self.reject_step(attempt.id, now),
        }
    }

    /// Once for each remark: an agent may hold many keys.
    fn remark(&mut self, words: &'static str) {
        if let Stage::StepUp(stepping) = &mut self.stage
            && !stepping.remarks.contains(&words)
        {
            stepping.remarks.push(words);
            self.client.banner(words);
        }
    }

    fn reject_step(&mut self, attempt: AuthId, now: Now) {
        if let Stage::StepUp(stepping) = &self.stage {
            self.client.reject(attempt, stepping.methods(), now.mono);
        }
    }

    /// The step in front is done; `attempt` is what did it, and still has no answer.
    fn step_done(&mut self, attempt: AuthId, now: Now) {
        let Stage::StepUp(stepping) = &mut self.stage else {
            return;
        };
        stepping.left.pop_front();
        match stepping.left.front() {
            None => self.steps_done(attempt, now),
            Some(StepUp::Approval(_)) => self.ask_approval(attempt, now),
            Some(_) => {
                let methods = stepping.methods();
                if let Err(error) = self.client.accept_partially(attempt, methods, now.mono) {
                    self.leg_failed(Leg::Client, &error, now);
                }
            }
        }
    }

    /// All is done: what was allowed before must still be.
    fn steps_done(&mut self, attempt: AuthId, now: Now) {
        let Stage::StepUp(stepping) = self.take_stage_if(|s| matches!(s, Stage::StepUp(_))) else {
            return;
        };
        let user = self.user.clone().unwrap_or_default();
        let SteppingUp { grant, done, .. } = *stepping;
        match self.still_granted(&user, &grant, now) {
            Ok(()) => {
                let login = Login {
                    attempt,
                    grant,
                    done,
                };
                self.login_allowed(login, now);
            }
            Err(denied) => self.refuse_login(attempt, denied, now),
        }
    }

    /// What the client that leaves now has not done.
    pub(super) fn undone(&self) -> Option<Denied> {
        let Stage::StepUp(stepping) = &self.stage else {
            return None;
        };
        let what = match stepping.left.front()? {
            StepUp::SecurityKey => "a proof with a security key",
            StepUp::Reason => "a reason",
            // It was waiting for somebody else.
            _ => return None,
        };
        Some(Denied {
            reason: Refusal::StepUpMissing,
            detail: format!("the client left without {what}"),
            advice: "goodbye".into(),
        })
    }
}

/// What a person wrote, as one line that may be shown, from at most so many bytes.
fn one_line(text: &str, max_bytes: usize) -> String {
    clean_text(text.as_bytes(), max_bytes).replace(['\n', '\t'], " ")
}

impl Denied {
    fn without_security_key() -> Self {
        Self {
            reason: Refusal::StepUpMissing,
            detail: "no security key is enrolled for this identity".to_string(),
            advice: "this machine asks for a security key, and none is enrolled for you; ask who runs this proxy to enroll yours"
                .to_string(),
        }
    }

    fn without_approver() -> Self {
        Self {
            reason: Refusal::StepUpMissing,
            detail: "nobody else may approve".to_string(),
            advice: "this machine asks for another person's approval, and nobody else may give it; ask who runs this proxy"
                .to_string(),
        }
    }
}
