//! Selectors: each asks one attribute of a request one question.

use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use ipnet::IpNet;

use crate::email::cmp_folded;
use crate::facts::Facts;
use crate::limits::MAX_QUOTED;
use crate::ranges::Ranges;
use crate::request::{Group, IdentityKind};
use crate::steps::step;
use crate::window::{Span, Window};

/// What one rule says about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleOutcome {
    /// The attribute is there and is what the rule asks for.
    Matched,
    /// The attribute is there and is something else, or the rule lets in people and a token asks.
    NotMatched,
    /// The attribute was not supplied, cannot be believed or is too old.
    Missing,
}

impl fmt::Display for RuleOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Matched => "matched",
            Self::NotMatched => "not_matched",
            Self::Missing => "missing",
        })
    }
}

impl From<bool> for RuleOutcome {
    fn from(matched: bool) -> Self {
        if matched {
            Self::Matched
        } else {
            Self::NotMatched
        }
    }
}

/// How several values of one rule combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    /// In `include` and `exclude`.
    Any,
    /// In `require`.
    All,
}

impl Quantifier {
    fn over(self, outcomes: impl Iterator<Item = RuleOutcome>) -> RuleOutcome {
        let (decisive, other) = match self {
            Self::Any => (RuleOutcome::Matched, RuleOutcome::NotMatched),
            Self::All => (RuleOutcome::NotMatched, RuleOutcome::Matched),
        };
        let mut result = other;
        for outcome in outcomes {
            if outcome == decisive {
                return decisive;
            }
            if outcome == RuleOutcome::Missing {
                result = RuleOutcome::Missing;
            }
        }
        result
    }
}

/// Where a match of this rule leads: a rule that lets in and one that keeps out read a doubtful attribute in opposite ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toward {
    Access,
    Denial,
}

/// A posture check and the age up to which its result counts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PostureCheck {
    pub(crate) check: Box<str>,
    pub(crate) max_age: Duration,
}

/// A question to a request. Lists are never empty; lists of names are sorted and hold no name twice.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    Everyone,
    /// Lower case.
    Email(Box<[Box<str>]>),
    /// Lower case.
    EmailDomain(Box<[Box<str>]>),
    Ip(Ranges),
    /// Upper case.
    Country(Box<[[u8; 2]]>),
    AuthenticationMethod(Box<[Box<str>]>),
    AuthenticatedWithin(Duration),
    LoginMethod(Box<[Box<str>]>),
    Group(Box<[Group]>),
    DevicePosture(Box<[PostureCheck]>),
    ManagedDevice,
    ServiceToken(Box<[Box<str>]>),
    AnyServiceToken,
    Time(Box<[Window]>),
    Date(Span),
}

impl Selector {
    /// The name of the selector in a document.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Email(_) => "email",
            Self::EmailDomain(_) => "email_domain",
            Self::Ip(_) => "ip",
            Self::Country(_) => "country",
            Self::AuthenticationMethod(_) => "authentication_method",
            Self::AuthenticatedWithin(_) => "authenticated_within",
            Self::LoginMethod(_) => "login_method",
            Self::Group(_) => "group",
            Self::DevicePosture(_) => "device_posture",
            Self::ManagedDevice => "managed_device",
            Self::ServiceToken(_) => "service_token",
            Self::AnyServiceToken => "any_service_token",
            Self::Time(_) => "time",
            Self::Date(_) => "date",
        }
    }

    /// Whether it can let in a service token.
    pub(crate) fn names_tokens(&self) -> bool {
        matches!(self, Self::ServiceToken(_) | Self::AnyServiceToken)
    }

    /// How many values a decision may have to look at.
    pub(crate) fn steps(&self) -> u64 {
        let values = match self {
            Self::Email(names)
            | Self::EmailDomain(names)
            | Self::AuthenticationMethod(names)
            | Self::LoginMethod(names)
            | Self::ServiceToken(names) => names.len(),
            Self::Ip(ranges) => ranges.as_slice().len(),
            Self::Country(codes) => codes.len(),
            Self::Group(groups) => groups.len(),
            Self::DevicePosture(checks) => checks.len(),
            Self::Time(windows) => windows.len(),
            Self::Date(_)
            | Self::Everyone
            | Self::AuthenticatedWithin(_)
            | Self::ManagedDevice
            | Self::AnyServiceToken => 1,
        };
        u64::try_from(values).unwrap_or(u64::MAX)
    }

    pub(crate) fn outcome(
        &self,
        facts: &Facts<'_>,
        quantifier: Quantifier,
        toward: Toward,
    ) -> RuleOutcome {
        step();
        let identity = facts.request.identity;
        let token = match &identity.kind {
            IdentityKind::Person => None,
            IdentityKind::ServiceToken { name } => Some(name.as_str()),
        };
        match self {
            // It lets in people; a program is let in by its own name. It keeps out both.
            Self::Everyone => (token.is_none() || toward == Toward::Denial).into(),
            Self::Email(emails) => folded(emails, facts.email.map(|email| email.whole), quantifier),
            Self::EmailDomain(domains) => {
                folded(domains, facts.email.map(|email| email.domain), quantifier)
            }
            Self::Ip(ranges) => {
                let Some(address) = facts.address else {
                    return RuleOutcome::Missing;
                };
                // Whoever can choose a NAT64 address must neither gain by the IPv4 address in it nor hide behind it.
                let translated = facts.translated.filter(|_| toward == Toward::Denial);
                let addresses = || [Some(address), translated].into_iter().flatten();
                if quantifier == Quantifier::Any {
                    return addresses().any(|it| ranges.contain(it)).into();
                }
                let within = |range: &IpNet| addresses().any(|it| range.contains(&it));
                quantifier.over(ranges.as_slice().iter().map(|range| within(range).into()))
            }
            Self::Country(codes) => {
                let Some(country) = facts.country else {
                    return RuleOutcome::Missing;
                };
                quantifier.over(codes.iter().map(|code| (*code == country).into()))
            }
            Self::AuthenticationMethod(names) => {
                several(names, &identity.authentication_methods, quantifier)
            }
            Self::AuthenticatedWithin(limit) => {
                match identity.authenticated_at.and_then(|then| facts.age(then)) {
                    None => RuleOutcome::Missing,
                    Some(age) => (age <= *limit).into(),
                }
            }
            Self::LoginMethod(names) => exact(
                names,
                supplied(identity.login_method.as_deref()),
                quantifier,
            ),
            Self::Group(groups) => quantifier.over(
                groups
                    .iter()
                    .map(|group| membership(group, &identity.groups)),
            ),
            Self::DevicePosture(checks) => {
                quantifier.over(checks.iter().map(|check| posture(check, facts)))
            }
            Self::ManagedDevice => facts.request.device.managed.into(),
            Self::ServiceToken(names) => match token {
                None => RuleOutcome::NotMatched,
                Some(_) => exact(names, token, quantifier),
            },
            Self::AnyServiceToken => token.is_some().into(),
            Self::Time(windows) => quantifier.over(windows.iter().map(|window| {
                let within = window.contains(facts.request.now);
                within.map_or(RuleOutcome::Missing, RuleOutcome::from)
            })),
            Self::Date(span) => span.contains(facts.request.now).into(),
        }
    }
}

/// An empty text is what a careless caller passes for "unknown".
fn supplied(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// Compares the one value of an attribute with sorted names, ASCII case aside.
fn folded(names: &[Box<str>], value: Option<&str>, quantifier: Quantifier) -> RuleOutcome {
    let Some(value) = value else {
        return RuleOutcome::Missing;
    };
    let found = names
        .binary_search_by(|name| cmp_folded(name, value))
        .is_ok();
    // One attribute has one value: it cannot be all of several different ones.
    (found && (quantifier == Quantifier::Any || names.len() == 1)).into()
}

/// Compares the one value of an attribute with sorted names, byte for byte.
fn exact(names: &[Box<str>], value: Option<&str>, quantifier: Quantifier) -> RuleOutcome {
    let Some(value) = value else {
        return RuleOutcome::Missing;
    };
    let found = names.binary_search_by(|name| (**name).cmp(value)).is_ok();
    (found && (quantifier == Quantifier::Any || names.len() == 1)).into()
}

/// Compares the values of a many-valued attribute with names, byte for byte.
fn several(
    names: &[Box<str>],
    values: &[alloc::string::String],
    quantifier: Quantifier,
) -> RuleOutcome {
    if values.is_empty() {
        return RuleOutcome::Missing;
    }
    quantifier.over(
        names
            .iter()
            .map(|name| values.iter().any(|value| **value == **name).into()),
    )
}

/// A provider that reports no membership at all may as well not have been asked: identity providers leave the claim out
/// when a person is in too many groups.
fn membership(group: &Group, memberships: &[Group]) -> RuleOutcome {
    if memberships.contains(group) {
        RuleOutcome::Matched
    } else if memberships
        .iter()
        .any(|other| other.provider == group.provider)
    {
        RuleOutcome::NotMatched
    } else {
        RuleOutcome::Missing
    }
}

/// The newest result of a check decides, and of two from the same moment the failure.
fn posture(check: &PostureCheck, facts: &Facts<'_>) -> RuleOutcome {
    let results = facts
        .request
        .device
        .posture
        .iter()
        .filter(|result| *result.check == *check.check);
    let Some(newest) = results.max_by_key(|result| (result.checked_at, !result.passed)) else {
        return RuleOutcome::Missing;
    };
    match facts.age(newest.checked_at) {
        Some(age) if age <= check.max_age => newest.passed.into(),
        _ => RuleOutcome::Missing,
    }
}

impl fmt::Display for Selector {
    /// As a document writes it, long lists shortened.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = ", self.name())?;
        match self {
            Self::Everyone | Self::ManagedDevice | Self::AnyServiceToken => f.write_str("true"),
            Self::Email(names)
            | Self::EmailDomain(names)
            | Self::AuthenticationMethod(names)
            | Self::LoginMethod(names)
            | Self::ServiceToken(names) => list(f, names, |f, name| write!(f, "{name:?}")),
            Self::Ip(ranges) => list(f, ranges.as_slice(), |f, range| write!(f, "\"{range}\"")),
            Self::Country(codes) => list(f, codes, |f, [first, second]| {
                write!(f, "\"{}{}\"", char::from(*first), char::from(*second))
            }),
            Self::AuthenticatedWithin(limit) => write!(f, "\"{}s\"", limit.as_secs()),
            Self::Group(groups) => list(f, groups, |f, group| {
                write!(
                    f,
                    "{{ provider = {:?}, name = {:?} }}",
                    group.provider, group.name
                )
            }),
            Self::Time(windows) => list(f, windows, |f, window| write!(f, "{window}")),
            Self::Date(span) => write!(f, "{span}"),
            Self::DevicePosture(checks) => list(f, checks, |f, check| {
                write!(
                    f,
                    "{{ check = {:?}, max_age = \"{}s\" }}",
                    check.check,
                    check.max_age.as_secs()
                )
            }),
        }
    }
}

/// One value as it is, several in brackets, and of many only the first.
pub(crate) fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    mut item: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    if let [only] = items {
        return item(f, only);
    }
    f.write_str("[")?;
    for (index, value) in items.iter().take(MAX_QUOTED).enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        item(f, value)?;
    }
    match items.len().saturating_sub(MAX_QUOTED) {
        0 => f.write_str("]"),
        more => write!(f, ", and {more} more]"),
    }
}
