//! The decision itself (rules D1 to D9 of SPEC.md).

use alloc::sync::Arc;

use crate::closest::{self, Closest, Surroundings};
use crate::decision::{Advice, Decision, Denial, DenialReason, Grant};
use crate::facts::Facts;
use crate::index::{Candidates, Narrowed, View};
use crate::request::Request;
use crate::rules::RuleGroup;
use crate::set::{Action, Application, Attached, Durations, PolicySet};

/// Decides about one request.
///
/// It cannot fail and is a function of its arguments alone. It looks at no more than
/// [`MAX_DECISION_STEPS`](crate::limits::MAX_DECISION_STEPS) rules and values a few times over, each against the
/// groups, methods and posture results of the request.
///
/// Without a user it answers "may this identity reach the target as anyone at all?" and the grant names the policy that says so.
#[must_use]
pub fn decide(set: &PolicySet, request: &Request<'_>) -> Decision {
    let facts = &Facts::new(request);
    let narrowed = set.index.narrow(facts);
    let mut allowed = None;
    let mut user_missing = None;
    for (number, policies) in narrowed.picked(&set.index) {
        let about = set.applications.get(number);
        let Some(application) = about.filter(|it| it.governs(facts.request.target)) else {
            continue;
        };
        let found = match policies {
            Some(_) => None,
            None => set.index.pick(number, facts),
        };
        let policies = policies.or(found.as_ref().map(Candidates::as_slice));
        let Some(view) = set.index.view(&set.applications, number, policies) else {
            continue;
        };
        match evaluate(view, &set.groups, facts) {
            Verdict::Blocked(by) => {
                return Decision::Deny(denial(DenialReason::BlockedByPolicy, application, by));
            }
            Verdict::Allowed(by) if allowed.is_none() => {
                allowed = Some(grant(view, by, &set.groups, facts));
            }
            Verdict::UserNotAllowed(by) if user_missing.is_none() => {
                user_missing = Some((application, by));
            }
            _ => {}
        }
    }
    match allowed {
        Some(grant) => Decision::Allow(grant),
        None => Decision::Deny(refuse(set, &narrowed, facts, user_missing)),
    }
}

/// What to tell where nothing allowed and nothing blocked; `near` matched, but does not name the user.
fn refuse(
    set: &PolicySet,
    narrowed: &Narrowed,
    facts: &Facts<'_>,
    near: Option<(&Application, &Attached)>,
) -> Denial {
    let Surroundings { first, closest } = closest::find(set, narrowed, facts);
    if let Some((application, by)) = near {
        // A policy that names the user is worth telling of; others are further away than the one that matched.
        let closest = closest.filter(|closest| closest.names_user);
        let advice = match closest.as_ref().map(Closest::advice) {
            None | Some(Advice::AskForAccess) if facts.request.user.is_some() => {
                Advice::AskForAnotherUser
            }
            None => Advice::AskForAccess,
            Some(remedy) => remedy,
        };
        let denial = denial(DenialReason::UserNotAllowed, application, by);
        return Denial {
            advice,
            closest,
            ..denial
        };
    }
    let application = match &closest {
        Some(closest) => Some(Arc::clone(&closest.application)),
        None => first.map(|application| Arc::clone(&application.name)),
    };
    Denial {
        reason: match first {
            Some(_) => DenialReason::NoPolicyMatched,
            None => DenialReason::NoApplicationForTarget,
        },
        application,
        policy: None,
        advice: closest
            .as_ref()
            .map_or(Advice::AskForAccess, Closest::advice),
        closest,
    }
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
    view: View<'a, '_>,
    groups: &[RuleGroup],
    facts: &Facts<'_>,
) -> Verdict<'a> {
    let mut near = Verdict::NothingMatched;
    for attached in view.policies() {
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
                if view.application.ends_at_first_match() {
                    return near;
                }
            }
        }
    }
    near
}

fn grant(view: View<'_, '_>, by: &Attached, groups: &[RuleGroup], facts: &Facts<'_>) -> Grant {
    let application = view.application;
    let policy = &by.policy;
    let mut durations = by.durations;
    if !application.ends_at_first_match() {
        for other in view
            .policies()
            .filter(|other| may_shorten(other, by, groups, facts))
        {
            durations = durations.shorter(other.durations);
        }
    }
    let Durations {
        max_session,
        idle_timeout,
        max_login_age,
    } = durations;
    Grant {
        application: Arc::clone(&application.name),
        policy: Arc::clone(&policy.name),
        permissions: Arc::clone(&policy.permissions),
        constraints: Arc::clone(&policy.constraints),
        recording: policy.recording,
        max_session,
        idle_timeout,
        max_login_age,
    }
}

/// Whether it is another Allow policy that matches the identity, admits the user and says for how long.
fn may_shorten(other: &Attached, by: &Attached, groups: &[RuleGroup], facts: &Facts<'_>) -> bool {
    let policy = &other.policy;
    !core::ptr::eq(other, by)
        && policy.action == Action::Allow
        && other.durations != Durations::default()
        && policy.users.admits(facts.request.user, facts.email)
        && policy.matches(groups, facts)
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
