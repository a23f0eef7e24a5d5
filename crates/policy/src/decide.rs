//! The decision itself (rules D1 to D9 of SPEC.md).

use alloc::sync::Arc;
use core::time::Duration;

use crate::closest::{self, Closest};
use crate::decision::{Advice, Decision, Denial, DenialReason, Grant};
use crate::facts::Facts;
use crate::request::Request;
use crate::rules::RuleGroup;
use crate::set::{Action, Application, Attached, Evaluation, PolicySet};

/// Decides about one request.
///
/// It cannot fail and is a function of its arguments alone. It looks at no more than
/// [`MAX_DECISION_STEPS`](crate::limits::MAX_DECISION_STEPS) rules and values a few times over, each against the
/// groups, methods and posture results of the request.
///
/// Without a user it answers "may this identity reach the target as anyone at all?" and the grant names the policy that says so.
#[must_use]
pub fn decide(set: &PolicySet, request: &Request<'_>) -> Decision {
    let facts = Facts::new(request);
    let mut governed = false;
    let mut allowed = None;
    let mut user_missing = None;
    for application in set
        .applications
        .iter()
        .filter(|application| application.governs(request.target))
    {
        governed = true;
        match evaluate(application, &set.groups, &facts) {
            Verdict::Blocked(by) => {
                return Decision::Deny(denial(DenialReason::BlockedByPolicy, application, by));
            }
            Verdict::Allowed(by) => allowed = allowed.or(Some((application, by))),
            Verdict::UserNotAllowed(by) => user_missing = user_missing.or(Some((application, by))),
            Verdict::NothingMatched => {}
        }
    }
    if let Some((application, by)) = allowed {
        return Decision::Allow(grant(application, by, &set.groups, &facts));
    }
    let closest = closest::find(set, &facts);
    if let Some((application, by)) = user_missing {
        // A policy that names the user is worth telling of; others are further away than the one that matched.
        let closest = closest.filter(|closest| closest.names_user);
        let advice = match closest.as_ref().map(Closest::advice) {
            None | Some(Advice::AskForAccess) if request.user.is_some() => {
                Advice::AskForAnotherUser
            }
            None => Advice::AskForAccess,
            Some(remedy) => remedy,
        };
        let denial = denial(DenialReason::UserNotAllowed, application, by);
        return Decision::Deny(Denial {
            advice,
            closest,
            ..denial
        });
    }
    let governing = || {
        set.applications
            .iter()
            .find(|application| application.governs(request.target))
    };
    let application = match &closest {
        Some(closest) => Some(Arc::clone(&closest.application)),
        None => governing().map(|application| Arc::clone(&application.name)),
    };
    Decision::Deny(Denial {
        reason: if governed {
            DenialReason::NoPolicyMatched
        } else {
            DenialReason::NoApplicationForTarget
        },
        application,
        policy: None,
        advice: closest
            .as_ref()
            .map_or(Advice::AskForAccess, Closest::advice),
        closest,
    })
}

/// What one application says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict<'a> {
    Blocked(&'a Attached),
    Allowed(&'a Attached),
    /// This policy was the first to match the identity.
    UserNotAllowed(&'a Attached),
    NothingMatched,
}

/// Goes through the policies of one application from top to bottom.
pub(crate) fn evaluate<'a>(
    application: &'a Application,
    groups: &[RuleGroup],
    facts: &Facts<'_>,
) -> Verdict<'a> {
    let mut near = Verdict::NothingMatched;
    for attached in &application.policies {
        let policy = &attached.policy;
        if !policy.matches(groups, facts) {
            continue;
        }
        match policy.action {
            Action::Block => return Verdict::Blocked(attached),
            Action::Allow if policy.users.admits(facts.request.user, facts.email) => {
                return Verdict::Allowed(attached);
            }
            Action::Allow => {
                if matches!(near, Verdict::NothingMatched) {
                    near = Verdict::UserNotAllowed(attached);
                }
                if application.evaluation == Evaluation::FirstMatch {
                    return near;
                }
            }
        }
    }
    near
}

fn grant(
    application: &Application,
    by: &Attached,
    groups: &[RuleGroup],
    facts: &Facts<'_>,
) -> Grant {
    let policy = &by.policy;
    let mut max_session = by.max_session;
    let mut idle_timeout = by.idle_timeout;
    if application.evaluation == Evaluation::Candidates {
        for other in candidates(application, groups, facts) {
            max_session = shorter(max_session, other.max_session);
            idle_timeout = shorter(idle_timeout, other.idle_timeout);
        }
    }
    Grant {
        application: Arc::clone(&application.name),
        policy: Arc::clone(&policy.name),
        permissions: Arc::clone(&policy.permissions),
        recording: policy.recording,
        max_session,
        idle_timeout,
    }
}

/// Every Allow policy that matches the identity and admits the user, wherever it stands.
fn candidates<'a>(
    application: &'a Application,
    groups: &'a [RuleGroup],
    facts: &'a Facts<'_>,
) -> impl Iterator<Item = &'a Attached> {
    application.policies.iter().filter(|attached| {
        let policy = &attached.policy;
        policy.action == Action::Allow
            && (attached.max_session.is_some() || attached.idle_timeout.is_some())
            && policy.users.admits(facts.request.user, facts.email)
            && policy.matches(groups, facts)
    })
}

fn shorter(left: Option<Duration>, right: Option<Duration>) -> Option<Duration> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (one, other) => one.or(other),
    }
}

fn denial(reason: DenialReason, application: &Application, by: &Attached) -> Denial {
    Denial {
        reason,
        application: Some(Arc::clone(&application.name)),
        policy: Some(Arc::clone(&by.policy.name)),
        closest: None,
        advice: Advice::AskForAccess,
    }
}
