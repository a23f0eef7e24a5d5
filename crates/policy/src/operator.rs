//! Who may look at or act on running sessions (rules O1 to O5 of SPEC.md).

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::facts::Facts;
use crate::reach::Person;
use crate::request::{Device, Identity, Network, Request, Target};
use crate::rules::{List, MissingInExclude, RuleGroup, Rules, Stance};
use crate::selector::Toward;
use crate::set::PolicySet;
use crate::target::Criterion;

/// Something that an operator does about running sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum OperatorAction {
    /// See that the session is there.
    List,
    /// See who it is, where, since when, and what was run last.
    Show,
    /// End it.
    End,
    /// See what passes while it passes.
    Watch,
    /// Answer whether somebody else's session may begin.
    Approve,
}

impl OperatorAction {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 5] = [
        Self::List,
        Self::Show,
        Self::End,
        Self::Watch,
        Self::Approve,
    ];

    /// The word for it in a document.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Show => "show",
            Self::End => "end",
            Self::Watch => "watch",
            Self::Approve => "approve",
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

impl fmt::Display for OperatorAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One question: may this identity, on this device, from this network, do this about sessions on this target, now?
#[derive(Clone, Copy, Debug)]
pub struct OperatorRequest<'a> {
    /// Who asks: the operator, not whoever's session it is.
    pub identity: &'a Identity,
    /// The device they sit at.
    pub device: &'a Device,
    /// Where they come from.
    pub network: &'a Network,
    /// The target of the session.
    pub target: &'a Target,
    /// What they want to do.
    pub action: OperatorAction,
    /// The time since the Unix epoch.
    pub now: Duration,
}

/// The answer to an [`OperatorRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorDecision {
    /// They may.
    Allow {
        /// The entry of the document that says so.
        operator: Arc<str>,
    },
    /// They may not.
    Deny,
}

/// Decides about one action of an operator.
///
/// Like [`decide`](crate::decide) it cannot fail, denies unless an entry allows, and is a function of its arguments alone. Of several entries that
/// allow, the first of the document is named.
#[must_use]
pub fn decide_operator(set: &PolicySet, request: &OperatorRequest<'_>) -> OperatorDecision {
    let facts_request = Request {
        identity: request.identity,
        device: request.device,
        network: request.network,
        target: request.target,
        user: None,
        now: request.now,
    };
    let facts = Facts::new(&facts_request);
    let mut operators = set.operators.iter();
    let found = operators.find(|it| it.allows(request.action, &set.groups, &facts));
    match found {
        Some(operator) => OperatorDecision::Allow {
            operator: Arc::clone(&operator.name),
        },
        None => OperatorDecision::Deny,
    }
}

/// One entry: who may do what about sessions on which targets.
#[derive(Debug)]
pub(crate) struct Operator {
    pub(crate) name: Arc<str>,
    /// Never empty.
    pub(crate) may: Box<[OperatorAction]>,
    /// Sessions on the targets that any of these covers.
    pub(crate) criteria: Box<[Criterion]>,
    pub(crate) rules: Rules,
}

impl Operator {
    fn allows(&self, action: OperatorAction, groups: &[RuleGroup], facts: &Facts<'_>) -> bool {
        self.may.contains(&action)
            && self.governs(facts.request.target)
            && self.rules.hold(groups, facts, Self::STANCE)
    }

    /// Whether this entry, certainly, allows whatever `other` does.
    pub(crate) fn allows_all_of(&self, other: &Self) -> bool {
        other.may.iter().all(|action| self.may.contains(action))
            && self.criteria == other.criteria
            && self.rules.is_as_written(&other.rules)
    }

    /// As an Allow that does not ignore what is missing.
    const STANCE: Stance = Stance::new(Toward::Access, MissingInExclude::Denies);

    fn governs(&self, target: &Target) -> bool {
        self.criteria
            .iter()
            .any(|criterion| criterion.covers(target))
    }
}

/// An entry that has a say about sessions on a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorSay {
    /// Its name.
    pub operator: Arc<str>,
    /// What it allows.
    pub may: Vec<OperatorAction>,
    /// Its rules as the document writes them.
    pub rules: Vec<(List, String)>,
}

/// The entries about sessions on the target, in the order of the document.
#[must_use]
pub fn who_operates(set: &PolicySet, target: &Target) -> Vec<OperatorSay> {
    let operators = set.operators.iter().filter(|it| it.governs(target));
    operators
        .map(|operator| OperatorSay {
            operator: Arc::clone(&operator.name),
            may: operator.may.to_vec(),
            rules: operator
                .rules
                .iter()
                .map(|(list, rule)| (list, rule.describe(&set.groups).to_string()))
                .collect(),
        })
        .collect()
}

/// A change of what one person may do about sessions on one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorChange {
    /// The place of the person in the list.
    pub person: usize,
    /// The place of the target in the list.
    pub target: usize,
    /// The action.
    pub action: OperatorAction,
    /// The entry that allows before, if one does.
    pub before: Option<Arc<str>>,
    /// The entry that allows after, if one does.
    pub after: Option<Arc<str>>,
}

/// Who of `people` gains or loses which action about sessions on which of `targets` when `new` takes the place of `old`, in the order of both lists.
#[must_use]
pub fn operator_changes(
    old: &PolicySet,
    new: &PolicySet,
    people: &[Person],
    targets: &[Target],
    now: Duration,
) -> Vec<OperatorChange> {
    let mut changes = Vec::new();
    for (place, person) in people.iter().enumerate() {
        for (to, target) in targets.iter().enumerate() {
            for action in OperatorAction::ALL {
                let by = |set| match person.decide_operator(set, target, action, now) {
                    OperatorDecision::Allow { operator } => Some(operator),
                    OperatorDecision::Deny => None,
                };
                let (before, after) = (by(old), by(new));
                if before.is_some() != after.is_some() {
                    changes.push(OperatorChange {
                        person: place,
                        target: to,
                        action,
                        before,
                        after,
                    });
                }
            }
        }
    }
    changes
}

impl Person {
    /// What [`decide_operator`] says about this person.
    #[must_use]
    pub fn decide_operator(
        &self,
        set: &PolicySet,
        target: &Target,
        action: OperatorAction,
        now: Duration,
    ) -> OperatorDecision {
        let request = OperatorRequest {
            identity: &self.identity,
            device: &self.device,
            network: &self.network,
            target,
            action,
            now,
        };
        decide_operator(set, &request)
    }
}
