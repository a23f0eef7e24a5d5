//! A loaded document: types that cannot hold nonsense.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::constraints::Constraints;
use crate::decision::Recording;
use crate::error::{LoadError, Problem};
use crate::facts::Facts;
use crate::feature::{Feature, Features};
use crate::index::Index;
use crate::limits::MAX_PROBLEMS;
use crate::operator::Operator;
use crate::permissions::Permissions;
use crate::request::Target;
use crate::rules::{MissingInExclude, RuleGroup, Rules, Stance};
use crate::selector::Toward;
use crate::target::Criterion;
use crate::unix_user::Users;

/// A complete policy. It never changes; share it in an [`Arc`] and swap in a new one whole.
#[derive(Debug)]
pub struct PolicySet {
    pub(crate) applications: Box<[Application]>,
    pub(crate) operators: Box<[Operator]>,
    pub(crate) groups: Vec<RuleGroup>,
    pub(crate) index: Index,
    pub(crate) warnings: Vec<Problem>,
    pub(crate) demands: Vec<Demand>,
}

/// A field by which a policy asks for something that not everybody can carry out.
#[derive(Debug)]
pub(crate) struct Demand {
    pub(crate) feature: Feature,
    pub(crate) place: Problem,
}

impl PolicySet {
    /// Loads a TOML document; SPEC.md lists what may stand in one.
    ///
    /// # Errors
    ///
    /// [`LoadError`] with every problem found: a syntax error, an unknown or repeated field, a name that is used twice or does not exist,
    /// an empty `include`, rule groups in a circle, a value that cannot be, or more than a limit of [`limits`](crate::limits) allows.
    pub fn from_toml(text: &str) -> Result<Self, LoadError> {
        crate::load::from_toml(text)
    }

    /// Loads the same document written in JSON: tables are objects, and a member that is `null` counts as not written.
    ///
    /// # Errors
    ///
    /// As [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str) -> Result<Self, LoadError> {
        crate::load::from_json(text)
    }

    /// The set itself, if none of its policies asks for more than `enforced`.
    ///
    /// # Errors
    ///
    /// [`LoadError`] that names each field which asks for another feature.
    pub fn refuse_beyond(self, enforced: Features) -> Result<Self, LoadError> {
        let beyond = self.demands.iter();
        let beyond = beyond.filter(|demand| !enforced.contains(demand.feature));
        let problems: Vec<Problem> = beyond.map(|demand| demand.place.clone()).collect();
        if problems.is_empty() {
            return Ok(self);
        }
        let unlisted = problems.len().saturating_sub(MAX_PROBLEMS);
        let problems = problems.into_iter().take(MAX_PROBLEMS).collect();
        Err(LoadError::new(problems, unlisted))
    }

    /// How many policies the applications have in all.
    #[must_use]
    pub fn policies(&self) -> usize {
        let each = self.applications.iter();
        each.map(|application| application.policies.len()).sum()
    }

    /// What is allowed but probably not meant, in the order of the lines.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

/// Targets and the policies that decide about them.
#[derive(Debug)]
pub(crate) struct Application {
    pub(crate) name: Arc<str>,
    /// The targets that any of these covers.
    pub(crate) criteria: Box<[Criterion]>,
    pub(crate) evaluation: Evaluation,
    pub(crate) policies: Box<[Attached]>,
}

impl Application {
    pub(crate) fn governs(&self, target: &Target) -> bool {
        self.criteria
            .iter()
            .any(|criterion| criterion.covers(target))
    }

    pub(crate) fn ends_at_first_match(&self) -> bool {
        self.evaluation == Evaluation::FirstMatch
    }
}

/// Which Allow policies of an application may decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Evaluation {
    /// The first that matches the identity and names the user.
    #[default]
    Candidates,
    /// The first that matches the identity, whether it names the user or not.
    FirstMatch,
}

/// A policy where an application uses it, with the durations that hold there.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) policy: Arc<Policy>,
    pub(crate) durations: Durations,
}

/// For how long; what is absent is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Durations {
    pub(crate) max_session: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) max_login_age: Option<Duration>,
}

impl Durations {
    /// These, and where they are silent those of `outer`.
    pub(crate) fn or(self, outer: Self) -> Self {
        self.with_each(outer, Option::or)
    }

    /// The shorter of each.
    pub(crate) fn shorter(self, other: Self) -> Self {
        self.with_each(other, |left, right| match (left, right) {
            (Some(left), Some(right)) => Some(left.min(right)),
            (one, other) => one.or(other),
        })
    }

    fn with_each(
        self,
        other: Self,
        join: fn(Option<Duration>, Option<Duration>) -> Option<Duration>,
    ) -> Self {
        Self {
            max_session: join(self.max_session, other.max_session),
            idle_timeout: join(self.idle_timeout, other.idle_timeout),
            max_login_age: join(self.max_login_age, other.max_login_age),
        }
    }
}

/// One policy.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) name: Arc<str>,
    pub(crate) action: Action,
    pub(crate) rules: Rules,
    pub(crate) missing_in_exclude: MissingInExclude,
    /// Admits nobody if the action is Block.
    pub(crate) users: Users,
    pub(crate) permissions: Arc<Permissions>,
    pub(crate) constraints: Arc<Constraints>,
    pub(crate) recording: Recording,
    pub(crate) durations: Durations,
}

impl Policy {
    pub(crate) fn stance(&self) -> Stance {
        let toward = match self.action {
            Action::Allow => Toward::Access,
            Action::Block => Toward::Denial,
        };
        Stance::new(toward, self.missing_in_exclude)
    }

    /// Whether the policy is about this identity, device and network; the user is another question.
    pub(crate) fn matches(&self, groups: &[RuleGroup], facts: &Facts<'_>) -> bool {
        self.rules.hold(groups, facts, self.stance())
    }
}

/// What a policy does when it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It lets in the users it names.
    Allow,
    /// It keeps out every user.
    Block,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Block => "block",
        })
    }
}
