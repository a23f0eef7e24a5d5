//! Which targets an application is about (rules T1 to T5 of SPEC.md).

use alloc::boxed::Box;

use crate::email::cmp_folded;
use crate::request::Target;

/// One set of criteria: the port, and three lists over id, host name and tags.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Criterion {
    pub(crate) ports: Ports,
    /// Never empty.
    pub(crate) include: Box<[TargetSelector]>,
    /// Each of one value.
    pub(crate) require: Box<[TargetSelector]>,
    pub(crate) exclude: Box<[TargetSelector]>,
}

/// The ports that a criterion is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    Any,
    /// Never empty.
    These(Box<[u16]>),
}

/// A question to a target. Lists are never empty; names are sorted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TargetSelector {
    AnyTarget,
    Id(Box<[Box<str>]>),
    /// Lower case.
    Hostname(Box<[Box<str>]>),
    Tag {
        key: Box<str>,
        values: Box<[Box<str>]>,
    },
}

impl Ports {
    pub(crate) fn cover(&self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::These(ports) => ports.contains(&port),
        }
    }
}

impl Criterion {
    /// The port and (any include) and (all require) and not (any exclude).
    pub(crate) fn covers(&self, target: &Target) -> bool {
        let matches = |selector: &TargetSelector| selector.matches(target);
        self.ports.cover(target.port)
            && self.include.iter().any(matches)
            && self.require.iter().all(matches)
            && !self.exclude.iter().any(matches)
    }
}

impl TargetSelector {
    /// How many values of one attribute it names. In a `require`, more than one would match nothing.
    pub(crate) fn values(&self) -> usize {
        match self {
            Self::AnyTarget => 1,
            Self::Id(names) | Self::Hostname(names) | Self::Tag { values: names, .. } => {
                names.len()
            }
        }
    }

    fn matches(&self, target: &Target) -> bool {
        match self {
            Self::AnyTarget => true,
            Self::Id(ids) => ids.binary_search_by(|id| (**id).cmp(&target.id)).is_ok(),
            Self::Hostname(names) => names
                .binary_search_by(|name| cmp_folded(name, &target.hostname))
                .is_ok(),
            Self::Tag { key, values } => target
                .tags
                .get(&**key)
                .is_some_and(|tag| values.binary_search_by(|value| (**value).cmp(tag)).is_ok()),
        }
    }
}
