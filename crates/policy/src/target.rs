//! Which targets an application is about (rules T1 to T5 of SPEC.md).

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::email::cmp_folded;
use crate::request::Target;
use crate::selector::Quantifier;

/// One set of criteria: the port, and three lists over id, host name and tags.
#[derive(Debug)]
pub(crate) struct Criterion {
    pub(crate) ports: Ports,
    /// Never empty.
    pub(crate) include: Vec<TargetSelector>,
    pub(crate) require: Vec<TargetSelector>,
    pub(crate) exclude: Vec<TargetSelector>,
}

/// The ports that a criterion is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    Any,
    /// Never empty.
    These(Vec<u16>),
}

/// A question to a target. Lists are never empty; names are sorted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TargetSelector {
    AnyTarget,
    Id(Vec<Box<str>>),
    /// Lower case.
    Hostname(Vec<Box<str>>),
    Tag {
        key: Box<str>,
        values: Vec<Box<str>>,
    },
}

impl Criterion {
    /// The port and (any include) and (all require) and not (any exclude).
    pub(crate) fn covers(&self, target: &Target) -> bool {
        let port = match &self.ports {
            Ports::Any => true,
            Ports::These(ports) => ports.contains(&target.port),
        };
        port && self
            .include
            .iter()
            .any(|selector| selector.matches(target, Quantifier::Any))
            && self
                .require
                .iter()
                .all(|selector| selector.matches(target, Quantifier::All))
            && !self
                .exclude
                .iter()
                .any(|selector| selector.matches(target, Quantifier::Any))
    }
}

impl TargetSelector {
    /// Whether it asks, in a `require`, for several values of an attribute that has one.
    pub(crate) fn is_contradictory(&self) -> bool {
        match self {
            Self::AnyTarget => false,
            Self::Id(names) | Self::Hostname(names) | Self::Tag { values: names, .. } => {
                names.len() > 1
            }
        }
    }

    fn matches(&self, target: &Target, quantifier: Quantifier) -> bool {
        let one_of = |names: &[Box<str>], found: bool| {
            found && (quantifier == Quantifier::Any || names.len() == 1)
        };
        match self {
            Self::AnyTarget => true,
            Self::Id(ids) => one_of(
                ids,
                ids.binary_search_by(|id| (**id).cmp(&target.id)).is_ok(),
            ),
            Self::Hostname(names) => one_of(
                names,
                names
                    .binary_search_by(|name| cmp_folded(name, &target.hostname))
                    .is_ok(),
            ),
            Self::Tag { key, values } => target.tags.get(&**key).is_some_and(|value| {
                one_of(
                    values,
                    values
                        .binary_search_by(|wanted| (**wanted).cmp(value))
                        .is_ok(),
                )
            }),
        }
    }
}
