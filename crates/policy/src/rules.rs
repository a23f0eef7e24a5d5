//! Rules in their three lists, rule groups, and what a missing attribute counts for (rules R1 to R6 and S4 of SPEC.md).

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use crate::facts::Facts;
use crate::index::{RuleIndex, place};
use crate::selector::{Quantifier, RuleOutcome, Selector, Toward, list};

/// Which list of a policy or rule group a rule stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// At least one must match.
    Include,
    /// Every one must match.
    Require,
    /// None may match.
    Exclude,
}

impl List {
    pub(crate) fn quantifier(self) -> Quantifier {
        match self {
            Self::Include | Self::Exclude => Quantifier::Any,
            Self::Require => Quantifier::All,
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Include => "include",
            Self::Require => "require",
            Self::Exclude => "exclude",
        })
    }
}

/// From where a rule is looked at. It settles what a missing attribute counts for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stance {
    pub(crate) toward: Toward,
    under_exclude: bool,
    /// Whether a match here names who is let in: in the include of an Allow, and in the includes of the groups it uses.
    lets_in: bool,
    missing: MissingInExclude,
}

/// What an attribute that nobody supplied does in the `exclude` of an Allow policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MissingInExclude {
    #[default]
    Denies,
    Ignored,
}

impl Stance {
    pub(crate) const fn new(toward: Toward, missing: MissingInExclude) -> Self {
        Self {
            toward,
            under_exclude: false,
            lets_in: matches!(toward, Toward::Access),
            missing,
        }
    }

    pub(crate) fn inside(self, list: List) -> Self {
        match list {
            List::Include => self,
            List::Require => Self {
                lets_in: false,
                ..self
            },
            List::Exclude => Self {
                toward: match self.toward {
                    Toward::Access => Toward::Denial,
                    Toward::Denial => Toward::Access,
                },
                under_exclude: true,
                lets_in: false,
                ..self
            },
        }
    }

    /// What a selector says that is looked at from here. What lets in people lets in no program that shares their network or their
    /// groups: it must be let in as a program.
    fn ask(self, selector: &Selector, facts: &Facts<'_>, quantifier: Quantifier) -> RuleOutcome {
        if self.lets_in && facts.is_token() && !selector.names_tokens() {
            return RuleOutcome::NotMatched;
        }
        selector.outcome(facts, quantifier, self.toward)
    }

    /// Whether `outcome` is as good as a match. A missing attribute is none, except where that would open a door through an exclude.
    pub(crate) fn counts(self, outcome: RuleOutcome) -> bool {
        match outcome {
            RuleOutcome::Matched => true,
            RuleOutcome::NotMatched => false,
            RuleOutcome::Missing => {
                self.under_exclude
                    && self.toward == Toward::Denial
                    && self.missing == MissingInExclude::Denies
            }
        }
    }
}

/// One rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Selector(Selector),
    /// Indices into the set's rule groups; never empty, never in a cycle.
    Groups(Box<[usize]>),
}

/// A named set of rules.
#[derive(Debug)]
pub(crate) struct RuleGroup {
    pub(crate) name: Arc<str>,
    pub(crate) rules: Rules,
}

/// The three lists. `include` is never empty.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) include: Box<[Rule]>,
    pub(crate) require: Box<[Rule]>,
    pub(crate) exclude: Box<[Rule]>,
    /// Where `include` is long, which of its rules a request can meet.
    pub(crate) include_index: Option<Box<RuleIndex>>,
}

impl Rules {
    /// (any include) and (all require) and not (any exclude).
    pub(crate) fn hold(&self, groups: &[RuleGroup], facts: &Facts<'_>, stance: Stance) -> bool {
        let holds = |rule: &Rule, list| rule.holds(groups, facts, list, stance);
        self.includes(groups, facts, stance)
            && self.require.iter().all(|rule| holds(rule, List::Require))
            && !self.exclude.iter().any(|rule| holds(rule, List::Exclude))
    }

    /// Whether any rule of `include` holds.
    pub(crate) fn includes(&self, groups: &[RuleGroup], facts: &Facts<'_>, stance: Stance) -> bool {
        let holds = |rule: &Rule| rule.holds(groups, facts, List::Include, stance);
        // Where a missing attribute counts as a match, rules are met that the request has no key for.
        let index = self
            .include_index
            .as_ref()
            .filter(|_| !stance.counts(RuleOutcome::Missing));
        match index.and_then(|index| index.pick(&self.include, facts)) {
            Some(picked) => {
                let mut rules = picked.as_slice().iter();
                rules.any(|number| self.include.get(place(*number)).is_some_and(holds))
            }
            None => self.include.iter().any(holds),
        }
    }

    /// Whether both were written alike, so that they hold for the same requests.
    pub(crate) fn is_as_written(&self, other: &Self) -> bool {
        self.include == other.include
            && self.require == other.require
            && self.exclude == other.exclude
    }

    /// The rules with the list each stands in.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (List, &Rule)> {
        let include = self.include.iter().map(|rule| (List::Include, rule));
        let require = self.require.iter().map(|rule| (List::Require, rule));
        let exclude = self.exclude.iter().map(|rule| (List::Exclude, rule));
        include.chain(require).chain(exclude)
    }
}

impl Rule {
    /// Whether the rule counts as a match, standing in `list` of rules that are looked at from `stance`.
    pub(crate) fn holds(
        &self,
        groups: &[RuleGroup],
        facts: &Facts<'_>,
        list: List,
        stance: Stance,
    ) -> bool {
        let inside = stance.inside(list);
        match self {
            Self::Selector(selector) => {
                inside.counts(inside.ask(selector, facts, list.quantifier()))
            }
            Self::Groups(indices) => {
                let mut members = indices.iter().filter_map(|index| groups.get(*index));
                let holds = |group: &RuleGroup| group.rules.hold(groups, facts, inside);
                match list.quantifier() {
                    Quantifier::Any => members.any(holds),
                    Quantifier::All => members.all(holds),
                }
            }
        }
    }

    /// What to tell about the rule; a rule group is matched or not, never missing.
    pub(crate) fn outcome(
        &self,
        groups: &[RuleGroup],
        facts: &Facts<'_>,
        list: List,
        stance: Stance,
    ) -> RuleOutcome {
        match self {
            Self::Selector(selector) => stance.inside(list).ask(selector, facts, list.quantifier()),
            Self::Groups(_) => self.holds(groups, facts, list, stance).into(),
        }
    }

    /// The rule as a document writes it.
    pub(crate) fn describe<'a>(&'a self, groups: &'a [RuleGroup]) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| match self {
            Self::Selector(selector) => write!(f, "{selector}"),
            Self::Groups(indices) => {
                f.write_str("rule_group = ")?;
                list(f, indices, |f, index| {
                    write!(
                        f,
                        "{:?}",
                        groups.get(*index).map_or("", |group| &group.name)
                    )
                })
            }
        })
    }
}
