//! The Allow policy that came closest, for whoever has to find out why a person was refused.

use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::decision::Advice;
use crate::facts::Facts;
use crate::index::{Candidates, Narrowed};
use crate::limits::{MAX_CLOSEST_LOOKS, MAX_QUOTED};
use crate::rules::{List, Rule, RuleGroup};
use crate::selector::{RuleOutcome, Selector};
use crate::set::{Action, Application, Attached, Policy, PolicySet};

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

/// What there is around a request that nothing decided.
pub(crate) struct Surroundings<'s> {
    /// The first application that is about the target.
    pub(crate) first: Option<&'s Application>,
    pub(crate) closest: Option<Closest>,
}

/// Among the Allow policies that do not match, of the applications that govern the target: one that names the user before one that
/// does not, then one whose include matches, then the fewest rules against it, then the first in the document.
///
/// Where whom the policies include rules out most of them, those that remain are looked at, and of the others only the first
/// [`MAX_CLOSEST_LOOKS`]: a policy that is not about the person at all is little to tell of, and a refusal should not cost much.
pub(crate) fn find<'s>(
    set: &'s PolicySet,
    narrowed: &Narrowed,
    facts: &Facts<'_>,
) -> Surroundings<'s> {
    let mut search = Search {
        groups: &set.groups,
        facts,
        best: None,
    };
    let governing = |number| {
        let about = set.applications.get(number);
        about.filter(|it: &&Application| it.governs(facts.request.target))
    };
    for (number, policies) in narrowed.picked(&set.index) {
        let Some(application) = governing(number) else {
            continue;
        };
        let found = match policies {
            Some(_) => None,
            None => set.index.pick(number, facts),
        };
        let policies = policies.or(found.as_ref().map(Candidates::as_slice));
        if let Some(view) = set.index.view(&set.applications, number, policies) {
            search.look_at(application, view.policies());
        }
    }
    let mut places = narrowed
        .applications(&set.index)
        .filter_map(governing)
        .peekable();
    let first = places.peek().copied();
    if !search.is_near() {
        let policies = places.flat_map(|application| {
            let policies = application.policies.iter();
            policies.map(move |attached| (application, attached))
        });
        for (application, attached) in policies.take(MAX_CLOSEST_LOOKS) {
            search.look_at(application, core::iter::once(attached));
        }
    }
    Surroundings {
        first,
        closest: search.into_closest(),
    }
}

/// The closest policy so far.
struct Search<'s, 'f> {
    groups: &'s [RuleGroup],
    facts: &'f Facts<'f>,
    best: Option<(Distance, &'s Application, &'s Policy)>,
}

impl<'s> Search<'s, '_> {
    fn look_at(
        &mut self,
        application: &'s Application,
        policies: impl Iterator<Item = &'s Attached>,
    ) {
        for attached in policies.filter(|attached| attached.policy.action == Action::Allow) {
            let policy = &*attached.policy;
            let distance = distance(policy, self.groups, self.facts);
            let is_closer = self.best.is_none_or(|(least, ..)| distance < least);
            if distance.rules_against > 0 && is_closer {
                self.best = Some((distance, application, policy));
            }
        }
    }

    /// Whether no policy that does not include the person could be closer.
    fn is_near(&self) -> bool {
        let best = self.best.map(|(distance, ..)| distance);
        best.is_some_and(|distance| !distance.user_not_named && !distance.not_included)
    }

    fn into_closest(self) -> Option<Closest> {
        let Self {
            groups,
            facts,
            best,
        } = self;
        let (distance, application, policy) = best?;
        let unmet: Vec<_> = unmet(policy, groups, facts).take(MAX_QUOTED).collect();
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
                    rule: rule.describe(groups).to_string(),
                    outcome: rule.outcome(groups, facts, list, policy.stance()),
                })
                .collect(),
        })
    }
}

fn distance(policy: &Policy, groups: &[RuleGroup], facts: &Facts<'_>) -> Distance {
    let stance = policy.stance();
    let rules = &policy.rules;
    let is_included = rules.includes(groups, facts, stance);
    let not_included = if is_included { 0 } else { rules.include.len() };
    let holds = |rule: &Rule, list| rule.holds(groups, facts, list, stance);
    let required = rules.require.iter();
    let required = required.filter(|rule| !holds(rule, List::Require)).count();
    let excluded = rules.exclude.iter();
    let excluded = excluded.filter(|rule| holds(rule, List::Exclude)).count();
    Distance {
        user_not_named: !policy.users.admits(facts.request.user, facts.email),
        not_included: !is_included,
        rules_against: not_included
            .saturating_add(required)
            .saturating_add(excluded),
    }
}

/// The rules against a policy: all of its include if none of them matches, and of its other rules those that do not let it match.
fn unmet<'a>(
    policy: &'a Policy,
    groups: &'a [RuleGroup],
    facts: &'a Facts<'a>,
) -> impl Iterator<Item = (List, &'a Rule)> {
    let stance = policy.stance();
    let is_included = policy.rules.includes(groups, facts, stance);
    policy.rules.iter().filter(move |(list, rule)| match list {
        List::Include => !is_included,
        List::Require => !rule.holds(groups, facts, *list, stance),
        List::Exclude => rule.holds(groups, facts, *list, stance),
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
