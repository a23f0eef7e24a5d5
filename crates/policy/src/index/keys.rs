//! The keys under which things are filed, and those that a request looks up. A thing that can match has a key in common with
//! the request, or is filed under none.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

use ipnet::IpNet;

use crate::facts::Facts;
use crate::request::{Group, IdentityKind, Target};
use crate::rules::{Rule, RuleGroup, Rules};
use crate::selector::Selector;
use crate::set::{Application, Attached};
use crate::target::{Criterion, TargetSelector};

/// Keys of one thing. A list of more is filed under none: it is the same few comparisons whoever asks.
const MAX_KEYS: usize = 256;

/// What something is filed under.
#[derive(Clone, Debug)]
pub(super) enum Keys {
    /// A request without any of these cannot concern it.
    These(Vec<u64>),
    /// Any request can.
    Any,
}

impl Keys {
    const NONE: Self = Self::These(Vec::new());

    fn of(hashes: impl Iterator<Item = u64>) -> Self {
        let hashes: Vec<u64> = hashes.take(MAX_KEYS.saturating_add(1)).collect();
        if hashes.len() > MAX_KEYS {
            Self::Any
        } else {
            Self::These(hashes)
        }
    }

    /// Of something that one of several suffices for.
    fn either(all: impl Iterator<Item = Self>) -> Self {
        let mut together = Vec::new();
        for keys in all {
            match keys {
                Self::These(mut hashes) => together.append(&mut hashes),
                Self::Any => return Self::Any,
            }
            if together.len() > MAX_KEYS {
                return Self::Any;
            }
        }
        Self::These(together)
    }

    /// Of something that takes both: either alone will do, and the fewer keys narrow more.
    fn both(self, other: Self) -> Self {
        match (self, other) {
            (Self::These(one), Self::These(other)) => {
                Self::These(if other.len() < one.len() { other } else { one })
            }
            (Self::Any, keys) | (keys, Self::Any) => keys,
        }
    }
}

/// What kind of name a key is of, so that a group is not found under an address.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Email,
    EmailDomain,
    Group,
    Method,
    LoginMethod,
    Country,
    Token,
    AnyToken,
    TargetId,
    Hostname,
    Tag,
    Range,
}

/// The parts are told apart by a byte that no name holds. ASCII case does not count; looking again settles where it does.
fn hash(kind: Kind, parts: [&[u8]; 2]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let [one, other] = parts;
    let lowered = |hash, bytes: &[u8]| {
        let lower = bytes.iter().map(u8::to_ascii_lowercase);
        lower.fold(hash, mix)
    };
    let hash = mix(lowered(mix(BASIS, kind as u8), one), 0xff);
    let hash = lowered(hash, other);
    // The upper bits choose the bucket, and the last bytes have hardly reached them.
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn name(kind: Kind, name: &str) -> u64 {
    hash(kind, [name.as_bytes(), &[]])
}

fn group(group: &Group) -> u64 {
    hash(
        Kind::Group,
        [group.provider.as_bytes(), group.name.as_bytes()],
    )
}

fn tag(key: &str, value: &str) -> u64 {
    hash(Kind::Tag, [key.as_bytes(), value.as_bytes()])
}

/// The keys of a target.
pub(super) fn target_keys(target: &Target, look: &mut dyn FnMut(u64)) {
    look(name(Kind::TargetId, &target.id));
    look(name(Kind::Hostname, &target.hostname));
    for (key, value) in &target.tags {
        look(tag(key, value));
    }
}

fn range(range: &IpNet) -> u64 {
    let length = [range.prefix_len()];
    match range.addr() {
        IpAddr::V4(address) => hash(Kind::Range, [&address.octets(), &length]),
        IpAddr::V6(address) => hash(Kind::Range, [&address.octets(), &length]),
    }
}

/// The prefix lengths of the ranges that rules name, each once: an address is looked up under no others.
#[derive(Debug, Default)]
pub(super) struct PrefixLengths {
    v4: Vec<u8>,
    v6: Vec<u8>,
}

impl PrefixLengths {
    pub(super) fn of<'r>(rules: impl Iterator<Item = &'r Rule>) -> Self {
        let mut lengths = Self::default();
        for rule in rules {
            if let Rule::Selector(Selector::Ip(ranges)) = rule {
                ranges.as_slice().iter().for_each(|it| lengths.add(it));
            }
        }
        lengths
    }

    fn add(&mut self, range: &IpNet) {
        let lengths = match range {
            IpNet::V4(_) => &mut self.v4,
            IpNet::V6(_) => &mut self.v6,
        };
        if let Err(at) = lengths.binary_search(&range.prefix_len()) {
            lengths.insert(at, range.prefix_len());
        }
    }

    /// The ranges of these lengths that the address lies in.
    fn around(&self, address: IpAddr) -> impl Iterator<Item = IpNet> {
        let lengths = match address {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        let range = move |length: &u8| IpNet::new(address, *length).ok();
        lengths.iter().filter_map(range).map(|range| range.trunc())
    }
}

impl Facts<'_> {
    /// The keys of who asks, addresses under the prefix lengths that there are.
    pub(super) fn each_key(&self, lengths: &PrefixLengths, look: &mut dyn FnMut(u64)) {
        for address in [self.address, self.translated].into_iter().flatten() {
            lengths.around(address).for_each(|it| look(range(&it)));
        }
        let identity = self.request.identity;
        if let Some(email) = self.email {
            look(name(Kind::Email, email.whole));
            look(name(Kind::EmailDomain, email.domain));
        }
        for membership in &identity.groups {
            look(group(membership));
        }
        for method in &identity.authentication_methods {
            look(name(Kind::Method, method));
        }
        if let Some(method) = &identity.login_method {
            look(name(Kind::LoginMethod, method));
        }
        if let Some(country) = self.country {
            look(hash(Kind::Country, [&country, &[]]));
        }
        if let IdentityKind::ServiceToken { name: token } = &identity.kind {
            look(name(Kind::Token, token));
            look(hash(Kind::AnyToken, [&[], &[]]));
        }
    }
}

fn names(kind: Kind, names: &[Box<str>]) -> Keys {
    Keys::of(names.iter().map(|text| name(kind, text)))
}

fn selector_keys(selector: &Selector) -> Keys {
    match selector {
        Selector::Email(emails) => names(Kind::Email, emails),
        Selector::EmailDomain(domains) => names(Kind::EmailDomain, domains),
        Selector::Ip(ranges) => Keys::of(ranges.as_slice().iter().map(range)),
        Selector::Group(groups) => Keys::of(groups.iter().map(group)),
        Selector::AuthenticationMethod(methods) => names(Kind::Method, methods),
        Selector::LoginMethod(methods) => names(Kind::LoginMethod, methods),
        Selector::Country(codes) => {
            Keys::of(codes.iter().map(|code| hash(Kind::Country, [code, &[]])))
        }
        Selector::ServiceToken(tokens) => names(Kind::Token, tokens),
        Selector::AnyServiceToken => Keys::of([hash(Kind::AnyToken, [&[], &[]])].into_iter()),
        Selector::Everyone
        | Selector::AuthenticatedWithin(_)
        | Selector::DevicePosture(_)
        | Selector::ManagedDevice
        | Selector::Time(_)
        | Selector::Date(_) => Keys::Any,
    }
}

/// The keys of one rule of an `include`.
pub(super) fn rule_keys(rule: &Rule) -> Keys {
    match rule {
        Rule::Selector(selector) => selector_keys(selector),
        Rule::Groups(_) => Keys::Any,
    }
}

/// The keys of rule groups, each worked out once.
pub(super) struct GroupKeys<'g> {
    groups: &'g [RuleGroup],
    known: Vec<Option<Keys>>,
}

impl<'g> GroupKeys<'g> {
    pub(super) fn new(groups: &'g [RuleGroup]) -> Self {
        Self {
            groups,
            known: alloc::vec![None; groups.len()],
        }
    }

    /// Groups are not in circles and at most [`MAX_GROUP_DEPTH`](crate::limits::MAX_GROUP_DEPTH) deep.
    fn of_group(&mut self, index: usize) -> Keys {
        if let Some(Some(keys)) = self.known.get(index) {
            return keys.clone();
        }
        let Some(group) = self.groups.get(index) else {
            return Keys::NONE;
        };
        let keys = self.of_rules(&group.rules);
        if let Some(slot) = self.known.get_mut(index) {
            *slot = Some(keys.clone());
        }
        keys
    }

    /// A missing attribute matches in neither list, so whoever has none of the keys is not meant.
    fn of_rules(&mut self, rules: &Rules) -> Keys {
        let include = Keys::either(rules.include.iter().map(|rule| self.of_rule(rule)));
        let require = rules.require.iter().map(|rule| self.of_rule(rule));
        require.fold(include, Keys::both)
    }

    fn of_rule(&mut self, rule: &Rule) -> Keys {
        match rule {
            Rule::Selector(selector) => selector_keys(selector),
            Rule::Groups(indices) => {
                Keys::either(indices.iter().map(|index| self.of_group(*index)))
            }
        }
    }
}

/// The keys of a policy.
pub(super) fn policy_keys(attached: &Attached, groups: &mut GroupKeys<'_>) -> Keys {
    groups.of_rules(&attached.policy.rules)
}

/// The keys of an application.
pub(super) fn application_keys(application: &Application) -> Keys {
    Keys::either(application.criteria.iter().map(criterion_keys))
}

fn criterion_keys(criterion: &Criterion) -> Keys {
    let include = Keys::either(criterion.include.iter().map(target_selector_keys));
    let require = criterion.require.iter().map(target_selector_keys);
    require.fold(include, Keys::both)
}

fn target_selector_keys(selector: &TargetSelector) -> Keys {
    match selector {
        TargetSelector::AnyTarget => Keys::Any,
        TargetSelector::Id(ids) => names(Kind::TargetId, ids),
        TargetSelector::Hostname(hostnames) => names(Kind::Hostname, hostnames),
        TargetSelector::Tag { key, values } => Keys::of(values.iter().map(|value| tag(key, value))),
    }
}
