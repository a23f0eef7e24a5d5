//! The Allow policy that came closest, for whoever has to find out why a person was refused.

use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::decision::Advice;
use crate::facts::Facts;
use crate::limits::MAX_QUOTED;
use crate::rules::{List, Rule, RuleGroup};
use crate::selector::{RuleOutcome, Selector};
use crate::set::{Action, Application, Policy, PolicySet};

/// An Allow policy that did not match, and what it lacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closest {
    /// The application.
    pub application: Arc<str>,
    /// The policy.
    pub policy: Arc<str>,
    /// What stood against it, the first few.
    pub unmet: Vec<Unmet>,
    /// How many further rules stood against it.
    pub unlisted: usize,
    /// Whether it names the user who was asked for; without one, whether it names any.
    pub names_user: bool,
    advice: Advice,
}

impl Closest {
    pub(crate) fn advice(&self) -> Advice {
        self.advice
    }
}

/// A rule that stood against a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The list that the rule stands in.
    pub list: List,
    /// The rule as the document writes it.
    pub rule: String,
    /// What it said.
    pub outcome: RuleOutcome,
}

impl fmt::Display for Closest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "closest is policy {:?} of application {:?}, but",
            self.policy, self.application
        )?;
        for (index, unmet) in self.unmet.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(
                f,
                "{separator} {} {} is {}",
                unmet.list, unmet.rule, unmet.outcome
            )?;
        }
        if self.unlisted > 0 {
            write!(f, ", and {} more", self.unlisted)?;
        }
        if !self.names_user {
            f.write_str(", and it does not name the user")?;
        }
        Ok(())
    }
}

/// How far an Allow policy is from letting the request in; the least is the closest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Distance {
    user_not_named: bool,
    not_included: bool,
    rules_against: usize,
}

/// Among the Allow policies that do not match, of the applications that govern the target: one that names the user before one that
/// does not, then one whose include matches, then the fewest rules against it, then the first in the document.
pub(crate) fn find(set: &PolicySet, facts: &Facts<'_>) -> Option<Closest> {
    let mut best: Option<(Distance, &Application, &Policy)> = None;
    for application in set
        .applications
        .iter()
        .filter(|application| application.governs(facts.request.target))
    {
        for attached in application
            .policies
            .iter()
            .filter(|attached| attached.policy.action == Action::Allow)
        {
            let policy = &*attached.policy;
            let distance = distance(policy, &set.groups, facts);
            if distance.rules_against > 0 && best.is_none_or(|(least, ..)| distance < least) {
                best = Some((distance, application, policy));
            }
        }
    }
    let (distance, application, policy) = best?;
    let unmet: Vec<_> = unmet(policy, &set.groups, facts).take(MAX_QUOTED).collect();
    let advice = if distance.user_not_named || distance.not_included {
        Advice::AskForAccess
    } else {
        advice(unmet.iter().map(|(_, rule)| *rule), distance.rules_against)
    };
    Some(Closest {
        application: Arc::clone(&application.name),
        policy: Arc::clone(&policy.name),
        advice,
        names_user: !distance.user_not_named,
        unlisted: distance.rules_against.saturating_sub(unmet.len()),
        unmet: unmet
            .into_iter()
            .map(|(list, rule)| Unmet {
                list,
                rule: rule.describe(&set.groups).to_string(),
                outcome: rule.outcome(&set.groups, facts, list, policy.stance()),
            })
            .collect(),
    })
}

fn distance(policy: &Policy, groups: &[RuleGroup], facts: &Facts<'_>) -> Distance {
    Distance {
        user_not_named: !policy.users.admits(facts.request.user, facts.email),
        not_included: !is_included(policy, groups, facts),
        rules_against: unmet(policy, groups, facts).count(),
    }
}

fn is_included(policy: &Policy, groups: &[RuleGroup], facts: &Facts<'_>) -> bool {
    policy
        .rules
        .include
        .iter()
        .any(|rule| rule.holds(groups, facts, List::Include, policy.stance()))
}

fn unmet<'a>(
    policy: &'a Policy,
    groups: &'a [RuleGroup],
    facts: &'a Facts<'a>,
) -> impl Iterator<Item = (List, &'a Rule)> {
    let included = is_included(policy, groups, facts);
    policy.rules.iter().filter(move |(list, rule)| match list {
        List::Include => !included,
        List::Require => !rule.holds(groups, facts, *list, policy.stance()),
        List::Exclude => rule.holds(groups, facts, *list, policy.stance()),
    })
}

/// What would help a person who is included and lacks only the rules given, which are all of them if there are `count`.
fn advice<'a>(mut rules: impl Iterator<Item = &'a Rule>, count: usize) -> Advice {
    let remedy = |rule: &Rule| match rule {
        Rule::Selector(Selector::DevicePosture(_) | Selector::ManagedDevice) => Advice::CheckDevice,
        Rule::Selector(Selector::AuthenticationMethod(_) | Selector::AuthenticatedWithin(_)) => {
            Advice::LogInAgain
        }
        Rule::Selector(_) | Rule::Groups(_) => Advice::AskForAccess,
    };
    let Some(first) = rules.next().map(remedy) else {
        return Advice::AskForAccess;
    };
    if count <= MAX_QUOTED && rules.all(|rule| remedy(rule) == first) {
        first
    } else {
        Advice::AskForAccess
    }
}
