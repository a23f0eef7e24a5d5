//! Questions about a policy set that are not about one request: who can, what can they, what changes.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::decide::{Verdict, decide, evaluate};
use crate::decision::Decision;
use crate::facts::Facts;
use crate::index::View;
use crate::request::{Device, Identity, Network, Request, Target};
use crate::rules::List;
use crate::set::{Action, PolicySet};
use crate::target::{Criterion, Ports, TargetSelector};

/// A policy that has a say about who is let in to a target as a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Say {
    /// Its application.
    pub application: Arc<str>,
    /// Its name.
    pub policy: Arc<str>,
    /// What it does when it matches.
    pub action: Action,
    /// Its rules as the document writes them.
    pub rules: Vec<(List, String)>,
    /// Whether it lets in only whoever's e-mail alias the user is.
    pub by_alias: bool,
}

/// The policies that have a say about the target and the user, in the order in which they are evaluated: Allows that can name the user, and Blocks.
/// Without a user, every Allow.
#[must_use]
pub fn who_can(set: &PolicySet, target: &Target, user: Option<&str>) -> Vec<Say> {
    let governing = set.applications.iter().filter(|it| it.governs(target));
    let mut says = Vec::new();
    for application in governing {
        for attached in &application.policies {
            let policy = &attached.policy;
            let users = &policy.users;
            let is_named = user.is_none_or(|user| users.names(user));
            let by_alias = !is_named && user.is_some_and(|user| users.could_alias(user));
            if policy.action == Action::Block || is_named || by_alias {
                let rules = policy.rules.iter();
                says.push(Say {
                    application: Arc::clone(&application.name),
                    policy: Arc::clone(&policy.name),
                    action: policy.action,
                    rules: rules
                        .map(|(list, rule)| (list, rule.describe(&set.groups).to_string()))
                        .collect(),
                    by_alias,
                });
            }
        }
    }
    says
}

/// Somebody with what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub identity: Identity,
    /// With which device.
    pub device: Device,
    /// From where.
    pub network: Network,
}

impl Person {
    /// What [`decide`] says about this person.
    #[must_use]
    pub fn decide(
        &self,
        set: &PolicySet,
        target: &Target,
        user: Option<&str>,
        now: Duration,
    ) -> Decision {
        decide(set, &self.request(target, user, now))
    }

    fn request<'a>(
        &'a self,
        target: &'a Target,
        user: Option<&'a str>,
        now: Duration,
    ) -> Request<'a> {
        Request {
            identity: &self.identity,
            device: &self.device,
            network: &self.network,
            target,
            user,
            now,
        }
    }
}

/// What one application lets a person do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The application.
    pub application: Arc<str>,
    /// The users with the policy that lets in, in alphabetical order.
    pub users: Vec<(String, Arc<str>)>,
    /// The Block that keeps the person out of the application's targets, also where another application lets in.
    pub blocked_by: Option<Arc<str>>,
}

/// What each application by itself lets the person do, in the order of the document; those that say nothing about them are left out.
#[must_use]
pub fn access(set: &PolicySet, person: &Person, now: Duration) -> Vec<Access> {
    let users = users(&[set], person);
    let nowhere = Target::default();
    let mut found = Vec::new();
    for application in &set.applications {
        let mut access = Access {
            application: Arc::clone(&application.name),
            users: Vec::new(),
            blocked_by: None,
        };
        for user in &users {
            let request = person.request(&nowhere, Some(user), now);
            match evaluate(View::whole(application), &set.groups, &Facts::new(&request)) {
                Verdict::Allowed(by) => {
                    let by = Arc::clone(&by.policy.name);
                    access.users.push((user.clone(), by));
                }
                Verdict::Blocked(by) => access.blocked_by = Some(Arc::clone(&by.policy.name)),
                Verdict::UserNotAllowed(_) | Verdict::NothingMatched => {}
            }
        }
        if !access.users.is_empty() || access.blocked_by.is_some() {
            found.push(access);
        }
    }
    found
}

/// The users that any policy of the sets could let this person be, in alphabetical order.
#[must_use]
pub fn users(sets: &[&PolicySet], person: &Person) -> BTreeSet<String> {
    let nowhere = Target::default();
    let request = person.request(&nowhere, None, Duration::ZERO);
    let email = Facts::new(&request).email;
    let applications = sets.iter().flat_map(|set| &set.applications);
    let policies = applications.flat_map(|application| &application.policies);
    let mut found = BTreeSet::new();
    for attached in policies {
        let users = &attached.policy.users;
        found.extend(users.names.iter().map(|name| String::from(&**name)));
        if users.email_alias {
            found.extend(email.and_then(crate::unix_user::alias));
        }
    }
    found
}

/// A change that one person would notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The place of the person in the list.
    pub person: usize,
    /// The place of the target in the list.
    pub target: usize,
    /// The user.
    pub user: String,
    /// The policy that lets in before, if one does.
    pub before: Option<Arc<str>>,
    /// The policy that lets in after, if one does.
    pub after: Option<Arc<str>>,
}

/// Who of `people` gains or loses which user on which of `targets` when `new` takes the place of `old`, in the order of both lists.
#[must_use]
pub fn changes(
    old: &PolicySet,
    new: &PolicySet,
    people: &[Person],
    targets: &[Target],
    now: Duration,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for (place, person) in people.iter().enumerate() {
        let users = users(&[old, new], person);
        for (to, target) in targets.iter().enumerate() {
            for user in &users {
                let by = |set| match person.decide(set, target, Some(user), now) {
                    Decision::Allow(grant) => Some(grant.policy),
                    Decision::Deny(_) => None,
                };
                let (before, after) = (by(old), by(new));
                if before.is_some() != after.is_some() {
                    changes.push(Change {
                        person: place,
                        target: to,
                        user: user.clone(),
                        before,
                        after,
                    });
                }
            }
        }
    }
    changes
}

/// Targets made up so that each value which a target criterion of the sets includes is met by one: something to ask about where the real ones are not known.
#[must_use]
pub fn sample_targets(sets: &[&PolicySet]) -> Vec<Target> {
    let mut samples: Vec<Target> = Vec::new();
    let applications = sets.iter().flat_map(|set| &set.applications);
    let operators = sets.iter().flat_map(|set| &set.operators);
    let criteria = applications
        .flat_map(|application| &application.criteria)
        .chain(operators.flat_map(|operator| &operator.criteria));
    for criterion in criteria {
        for selector in &criterion.include {
            for value in 0..selector.values() {
                let sample = sample(criterion, selector, value);
                if criterion.covers(&sample) && !samples.contains(&sample) {
                    samples.push(sample);
                }
            }
        }
    }
    samples
}

fn sample(criterion: &Criterion, selector: &TargetSelector, value: usize) -> Target {
    let mut target = Target {
        id: "sample".into(),
        hostname: "sample".into(),
        port: match &criterion.ports {
            Ports::Any => 22,
            Ports::These(ports) => ports.first().copied().unwrap_or(22),
        },
        ..Target::default()
    };
    let required = criterion.require.iter().map(|selector| (selector, 0));
    for (selector, value) in required.chain([(selector, value)]) {
        match selector {
            TargetSelector::AnyTarget => {}
            TargetSelector::Id(ids) => {
                target.id = ids.get(value).map_or_else(String::new, ToString::to_string);
            }
            TargetSelector::Hostname(names) => {
                target.hostname = names
                    .get(value)
                    .map_or_else(String::new, ToString::to_string);
            }
            TargetSelector::Tag { key, values } => {
                let value = values
                    .get(value)
                    .map_or_else(String::new, ToString::to_string);
                target.tags.insert(key.to_string(), value);
            }
        }
    }
    target
}
