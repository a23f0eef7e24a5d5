//! Whether what was allowed still is: decided again when the rules change, when time alone may change the answer, and as often as
//! the policy asks.
//!
//! Every stage up to the end holds to the newest rules that it was given: who is on the way in is refused, and who is in leaves
//! with a message. What passes afterwards was decided before.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use policy::{Grant, OnLoss, Reevaluation, Request};
use session_log::Record;

use super::Session;
use super::stage::{Denied, Stage};
use crate::event::EventKind;
use crate::rules::ENFORCED;
use crate::{Current, EndReason, Input, Now, Output, Refusal, Rules};

/// For the driver to answer [`Output::Reevaluate`]; after that a session decides with what it has. Its facts are at hand: 1 s.
const ANSWER: Duration = Duration::from_secs(1);

/// The longest wait for a moment on the wall clock, 1 h: until then somebody may have set it.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// When to decide again, on the monotonic clock.
#[derive(Default)]
pub(super) struct Recheck {
    at: Option<Duration>,
    /// The driver was asked for what there is to decide with, and has until `at`.
    is_asked: bool,
}

/// What stands in the log of an earlier decision about a session.
#[derive(PartialEq, Eq)]
pub(super) struct Standing {
    version: Arc<str>,
    is_allowed: bool,
}

impl Standing {
    pub(super) fn allowed_by(version: &Arc<str>) -> Self {
        Self {
            version: Arc::clone(version),
            is_allowed: true,
        }
    }
}

/// Why a session may not go on as it is.
struct Loss {
    reason: EndReason,
    /// For the operator.
    detail: String,
    /// For the person.
    advice: String,
}

/// What the rules say of a request in a session of this name.
pub(super) fn judge(rules: &Rules, request: &Request<'_>, session: &str) -> Result<Grant, Denied> {
    if let Some(revocation) = rules.revocations.find(request, session) {
        return Err(Denied::by_revocation(revocation));
    }
    match policy::decide(&rules.policy, request) {
        policy::Decision::Allow(grant) => Ok(grant),
        policy::Decision::Deny(denial) => Err(Denied::by_policy(&denial)),
    }
}

impl Session {
    /// May it be this user, or without one: anybody at all? It also settles when to ask again.
    pub(super) fn decide(&mut self, user: Option<&str>, now: Now) -> Result<Grant, Denied> {
        let request = Request {
            identity: &self.info.identity,
            device: &self.info.device,
            network: &self.info.network,
            target: &self.info.target.facts,
            user,
            now: now.unix,
        };
        let rules = &self.rules;
        let changes = [
            policy::next_change(&rules.policy, &request),
            rules.revocations.next_change(now.unix),
        ];
        let change = changes.into_iter().flatten().min();
        let wait = change.map(|at| at.saturating_sub(now.unix).min(LONGEST_WAIT));
        self.recheck = Recheck {
            at: wait.map(|wait| now.mono.saturating_add(wait)),
            is_asked: false,
        };
        let session = alloc::format!("{}", self.id);
        judge(rules, &request, &session)
    }

    /// What this user is granted, if it can be carried out here.
    pub(super) fn grant_for(&mut self, user: &str, now: Now) -> Result<Grant, Denied> {
        let grant = self.decide(Some(user), now)?;
        if grant.asks_for().without(ENFORCED).is_empty() {
            Ok(grant)
        } else {
            Err(Denied::unenforceable(&grant))
        }
    }

    /// New rules, or fresh facts.
    pub(super) fn reevaluate(&mut self, current: Current, now: Now) {
        // Those inside first: what ends of its own ends for its own reason.
        for session in self.inner.sessions_mut() {
            session.handle(Input::Reevaluate(Box::new(current.clone())), now);
        }
        self.rules = current.rules;
        self.info.identity = current.identity;
        self.info.device = current.device;
        self.decide_again(now);
    }

    /// When [`Self::recheck_timeout`] has something to do.
    pub(super) fn recheck_at(&self) -> Option<Duration> {
        let stands = !matches!(
            self.stage,
            Stage::ClientIdentification { refused: Some(_) }
                | Stage::Farewell { .. }
                | Stage::LogClosed(_)
                | Stage::Over
        );
        self.recheck.at.filter(|_| stands)
    }

    /// Asks for what there is to decide with, or decides without, where nobody has answered.
    pub(super) fn recheck_timeout(&mut self, now: Now) {
        if self.recheck_at().is_none_or(|at| at > now.mono) {
            return;
        }
        if self.recheck.is_asked {
            self.decide_again(now);
        } else {
            self.recheck = Recheck {
                at: Some(now.mono.saturating_add(ANSWER)),
                is_asked: true,
            };
            self.ask_to_reevaluate();
        }
    }

    /// Once for this session and all inside it.
    pub(super) fn ask_to_reevaluate(&mut self) {
        let is_asked = |output: &Output| matches!(output, Output::Reevaluate);
        if !self.outputs.iter().any(is_asked) {
            self.outputs.push_back(Output::Reevaluate);
        }
    }

    fn decide_again(&mut self, now: Now) {
        let user = self.user.clone();
        match (&self.stage, user) {
            (
                Stage::ClientIdentification { refused: None }
                | Stage::TargetConnection { .. }
                | Stage::TargetHostKey { .. }
                | Stage::HostCertificates { .. }
                | Stage::ClientLogin,
                _,
            ) => {
                if let Err(denied) = self.decide(None, now) {
                    self.refuse(denied, now);
                }
            }
            (
                Stage::StepUp(_)
                | Stage::TargetAgain { .. }
                | Stage::LogOpened(_)
                | Stage::Certificate { .. }
                | Stage::TargetLogin { .. },
                Some(user),
            ) => self.decide_login_again(&user, now),
            (Stage::End(_), Some(user)) => self.decide_session_again(&user, now),
            _ => {}
        }
    }

    /// A login goes on under the grant with which it began, or not at all.
    fn decide_login_again(&mut self, user: &str, now: Now) {
        let held = match &self.stage {
            Stage::StepUp(stepping) => &stepping.grant,
            Stage::TargetAgain { login, .. }
            | Stage::LogOpened(login)
            | Stage::Certificate { login, .. }
            | Stage::TargetLogin { login, .. } => &login.grant,
            _ => return,
        };
        let held = held.clone();
        if let Err(denied) = self.still_granted(user, &held, now) {
            self.refuse(denied, now);
        }
    }

    /// Whether what a login began under is what is granted now.
    pub(super) fn still_granted(
        &mut self,
        user: &str,
        held: &Grant,
        now: Now,
    ) -> Result<(), Denied> {
        if self.grant_for(user, now)? == *held {
            return Ok(());
        }
        Err(Denied {
            reason: Refusal::Policy,
            detail: "what the policy grants changed during the login".into(),
            advice: "the rules for this machine changed while you logged in; connect again".into(),
        })
    }

    fn decide_session_again(&mut self, user: &str, now: Now) {
        let decided = self.grant_for(user, now);
        let Stage::End(relaying) = &mut self.stage else {
            return;
        };
        let loss = match decided {
            Ok(grant) if covers(&grant, &relaying.grant) => {
                // What the session may do stays as it began; for how long is as it is granted now.
                let constraints = policy::Constraints {
                    reevaluation: grant.constraints.reevaluation,
                    ..(*relaying.grant.constraints).clone()
                };
                relaying.grant = Grant {
                    permissions: Arc::clone(&relaying.grant.permissions),
                    constraints: Arc::new(constraints),
                    ..grant
                };
                None
            }
            Ok(grant) => Some(Loss::of_what_it_began_with(&grant)),
            Err(denied) => Some(Loss::of_access(denied)),
        };
        let standing = Standing {
            version: Arc::clone(&self.rules.version),
            is_allowed: loss.is_none(),
        };
        let is_news = relaying.standing != standing;
        relaying.standing = standing;
        let policy = Arc::clone(&relaying.grant.policy);
        let reevaluation = relaying.grant.constraints.reevaluation;
        self.plan_recheck(reevaluation, now);
        if is_news {
            self.tell_standing(policy, loss.as_ref(), now);
        }
        if let Some(loss) = loss {
            let is_spared = reevaluation.is_some_and(|it| it.on_loss == OnLoss::Report);
            if !is_spared || loss.reason == EndReason::Revoked {
                self.end_saying(loss.reason, &loss.detail, loss.advice, now);
            }
        }
    }

    /// Besides the moments at which time alone may change the answer, as often as the policy asks.
    pub(super) fn plan_recheck(&mut self, reevaluation: Option<Reevaluation>, now: Now) {
        if let Some(again) = reevaluation {
            let at = now.mono.saturating_add(again.every);
            self.recheck.at = Some(self.recheck.at.map_or(at, |other| other.min(at)));
        }
    }

    fn tell_standing(&mut self, policy: Arc<str>, loss: Option<&Loss>, now: Now) {
        let version = Arc::clone(&self.rules.version);
        let detail = loss.map_or("still allowed", |loss| loss.detail.as_str());
        if let Some(recorder) = &mut self.recorder {
            recorder.record(
                0,
                &Record::PolicyDecision {
                    allowed: loss.is_none(),
                    policy: &policy,
                    text: &alloc::format!("decided again, rules `{version}`: {detail}"),
                },
            );
        }
        let kind = EventKind::SessionReevaluated {
            allowed: loss.is_none(),
            detail: detail.into(),
            policy,
            rules: version,
        };
        self.event(kind, now);
    }
}

impl Loss {
    fn of_access(denied: Denied) -> Self {
        let reason = match denied.reason {
            Refusal::Revoked => EndReason::Revoked,
            _ => EndReason::AccessLost,
        };
        Self {
            reason,
            detail: denied.detail,
            advice: alloc::format!("this session ends: {}", denied.advice),
        }
    }

    fn of_what_it_began_with(grant: &Grant) -> Self {
        Self {
            reason: EndReason::GrantChanged,
            detail: alloc::format!("policy {:?} no longer grants all of it", grant.policy),
            advice: EndReason::GrantChanged.farewell().into(),
        }
    }
}

/// Whether `grant` allows all that a session under `held` may be doing.
fn covers(grant: &Grant, held: &Grant) -> bool {
    let (new, old) = (&grant.permissions, &held.permissions);
    let mut subsystems = old.subsystems.iter();
    let mut env = old.env.iter();
    new.shell >= old.shell
        && new.exec >= old.exec
        && new.pty >= old.pty
        && new.max_channels >= old.max_channels
        && subsystems.all(|name| new.allows_subsystem(name))
        // A pattern covers the text of another where it covers all that the other does.
        && env.all(|pattern| new.allows_env(pattern.as_bytes()))
        && grant.recording == held.recording
        && grant.constraints.cover(&held.constraints)
}
