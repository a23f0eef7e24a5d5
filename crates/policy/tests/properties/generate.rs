//! Random documents and requests over small alphabets, so that they meet.

use std::ops::Range;

use std::time::Duration;

use policy::{
    Device, Group, Identity, IdentityKind, Network, OperatorAction, OperatorRequest, PostureResult,
    Request, Target,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::alphabet::{
    ACTIONS, ADDRESSES, CHECKS, CLIENTS, COUNTRIES, DOMAINS, EMAILS, ENVS, GROUPS, METHODS, PORTS,
    RANGES, TOKENS, USERS,
};
use crate::slow::{Application, Document, Facts, Lists, Operator, Policy, Rule};

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn some_of<T: Clone + std::fmt::Debug + 'static>(
    values: &'static [T],
) -> impl Strategy<Value = Vec<T>> {
    // One value more often than several.
    prop_oneof![
        2 => select(values).prop_map(|value| vec![value]),
        1 => subsequence(values, 1..=values.len()),
    ]
}

/// A rule that may use the rule groups below `groups`.
pub(crate) fn rule(groups: usize) -> BoxedStrategy<Rule> {
    let simple = prop_oneof![
        Just(Rule::Everyone),
        Just(Rule::AnyToken),
        Just(Rule::Managed),
        some_of(TOKENS).prop_map(Rule::Token),
        some_of(EMAILS).prop_map(Rule::Email),
        some_of(DOMAINS).prop_map(Rule::Domain),
        some_of(RANGES).prop_map(Rule::Ip),
        some_of(COUNTRIES).prop_map(Rule::Country),
        some_of(METHODS).prop_map(Rule::Method),
        some_of(GROUPS).prop_map(Rule::Group),
        some_of(CHECKS).prop_map(Rule::Posture),
    ];
    if groups == 0 {
        return simple.boxed();
    }
    prop_oneof![3 => simple, 1 => vec(0..groups, 1..3).prop_map(Rule::Groups)].boxed()
}

fn lists(groups: usize) -> impl Strategy<Value = Lists> {
    lists_of(groups, 1..4)
}

/// Lists with this many rules to include.
fn lists_of(groups: usize, includes: Range<usize>) -> impl Strategy<Value = Lists> {
    (
        vec(rule(groups), includes),
        vec(rule(groups), 0..2),
        vec(rule(groups), 0..2),
    )
        .prop_map(|(include, require, exclude)| Lists {
            include,
            require,
            exclude,
        })
}

pub(crate) fn policy(groups: usize) -> impl Strategy<Value = Policy> {
    let users = subsequence(USERS, 0..=USERS.len());
    let hours = (prop::option::of(1..5_u64), prop::option::of(0..5_u64));
    (
        prop::bool::weighted(0.25),
        lists(groups),
        prop::bool::weighted(0.2),
        users,
        any::<bool>(),
        hours,
    )
        .prop_map(|(block, lists, missing_ignored, users, alias, hours)| {
            // A Block has no users, and an Allow without any does not load.
            let alias = !block && (alias || users.is_empty());
            let users = if block { Vec::new() } else { users };
            let (max_session_hours, max_login_hours) = if block { (None, None) } else { hours };
            let missing_ignored = missing_ignored && !block;
            Policy {
                block,
                lists,
                missing_ignored,
                users,
                alias,
                max_session_hours,
                max_login_hours,
            }
        })
}

fn application(groups: usize, policies: Range<usize>) -> impl Strategy<Value = Application> {
    let ports = subsequence(PORTS, 1..=PORTS.len());
    let (include, exclude) = (
        subsequence(ENVS, 1..=ENVS.len()),
        prop::option::weighted(0.2, select(ENVS)),
    );
    (
        ports,
        include,
        exclude,
        prop::bool::weighted(0.25),
        vec(policy(groups), policies),
    )
        .prop_map(
            |(ports, include_env, exclude, first_match, policies)| Application {
                ports,
                include_env,
                exclude_env: exclude.into_iter().collect(),
                first_match,
                policies,
            },
        )
}

fn operator(groups: usize) -> impl Strategy<Value = Operator> {
    (
        subsequence(ACTIONS, 1..=ACTIONS.len()),
        subsequence(PORTS, 1..=PORTS.len()),
        subsequence(ENVS, 1..=ENVS.len()),
        lists(groups),
    )
        .prop_map(|(may, ports, include_env, lists)| Operator {
            may,
            ports,
            include_env,
            lists,
        })
}

pub(crate) fn document() -> impl Strategy<Value = Document> {
    with_groups(vec(application(3, 0..5), 0..4).boxed(), 1..4)
}

/// A document that is looked at through an index: many policies of one application, many rules of one `include` of a policy
/// or a rule group, or more applications for one target than an index gathers.
pub(crate) fn long_document() -> impl Strategy<Value = Document> {
    let policies = vec(application(3, 9..40), 1..3);
    let applications = vec(application(3, 0..2), 60..90);
    let rules = vec(application(3, 1..4), 1..3).prop_flat_map(|applications| {
        vec(vec(rule(3), 9..40), 6).prop_map(move |includes| {
            let mut applications = applications.clone();
            let policies = applications.iter_mut().flat_map(|it| &mut it.policies);
            for (policy, include) in policies.zip(includes) {
                policy.lists.include = include;
            }
            applications
        })
    });
    let long = prop_oneof![policies, applications, rules].boxed();
    // What a group leaves out when it is excluded shows only where the rest lets somebody in.
    let short = vec(application(3, 1..5), 1..4).prop_map(|mut applications| {
        for policy in applications.iter_mut().flat_map(|it| &mut it.policies) {
            policy.lists.exclude = vec![Rule::Groups(vec![2])];
        }
        applications
    });
    let short = short.boxed();
    prop_oneof![3 => with_groups(long, 1..4), 1 => with_groups(short, 9..20)]
}

/// With rule groups that have this many rules to include.
fn with_groups(
    applications: BoxedStrategy<Vec<Application>>,
    includes: Range<usize>,
) -> impl Strategy<Value = Document> {
    let group = |index| lists_of(index, includes.clone());
    let groups = (group(0), group(1), group(2));
    (groups, applications, vec(operator(3), 0..4)).prop_map(
        |((a, b, c), applications, operators)| Document {
            groups: vec![a, b, c],
            applications,
            operators,
        },
    )
}

/// A request in both forms.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) facts: Facts,
    pub(crate) identity: Identity,
    pub(crate) device: Device,
    pub(crate) network: Network,
    pub(crate) target: Target,
}

impl Asked {
    pub(crate) fn operator_request(&self, action: OperatorAction) -> OperatorRequest<'_> {
        OperatorRequest {
            identity: &self.identity,
            device: &self.device,
            network: &self.network,
            target: &self.target,
            action,
            now: NOW,
        }
    }

    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            identity: &self.identity,
            device: &self.device,
            network: &self.network,
            target: &self.target,
            user: self.facts.user,
            now: NOW,
        }
    }
}

pub(crate) fn asked() -> impl Strategy<Value = Asked> {
    let who = (
        select(&ADDRESSES[..]),
        prop::option::weighted(0.2, select(TOKENS)),
        subsequence(METHODS, 0..=2),
    );
    let posture = vec(
        (
            select(&["disk", "firewall"][..]),
            any::<bool>(),
            select(&[0_u64, 30, 60, 61, 600, 601][..]),
        ),
        0..4,
    );
    let with = (subsequence(GROUPS, 0..=2), any::<bool>(), posture);
    let from = (
        select(&CLIENTS[..]),
        prop::option::of(select(COUNTRIES)),
        any::<bool>(),
    );
    let to = (
        prop::option::weighted(0.9, select(ENVS)),
        select(PORTS),
        prop::option::weighted(0.8, select(USERS)),
    );
    (who, with, from, to).prop_map(|(who, with, from, to)| {
        let ((email, counts, alias), token, methods) = who;
        let (groups, managed, posture) = with;
        let ((client, addr, nat64_of), country, country_of_login) = from;
        let (env, port, user) = to;
        let parse = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        let text = |text: Option<&str>| text.map(str::to_owned);
        let identity = Identity {
            email: text(email),
            kind: token.map_or(IdentityKind::Person, |name| IdentityKind::ServiceToken {
                name: name.into(),
            }),
            groups: groups
                .iter()
                .map(|(provider, name)| Group {
                    provider: (*provider).into(),
                    name: (*name).into(),
                })
                .collect(),
            authentication_methods: methods.iter().map(|method| (*method).into()).collect(),
            country: text(country.filter(|_| country_of_login)),
            ..Identity::default()
        };
        let results = posture.iter().map(|(check, passed, age)| PostureResult {
            check: (*check).into(),
            passed: *passed,
            checked_at: NOW - Duration::from_secs(*age),
        });
        let device = Device {
            id: None,
            managed,
            posture: results.collect(),
        };
        let country_here = text(country.filter(|_| !country_of_login));
        let network = Network {
            client_addr: parse(client),
            virtual_network: None,
            country: country_here,
        };
        let tags = env
            .map(|env| ("env".to_owned(), env.to_owned()))
            .into_iter()
            .collect();
        let target = Target {
            id: "t".into(),
            hostname: "h".into(),
            port,
            tags,
            ..Target::default()
        };
        let (addr, nat64_of) = (parse(addr), parse(nat64_of));
        let facts = Facts {
            token,
            email: counts,
            alias,
            addr,
            nat64_of,
            country,
            methods,
            groups,
            managed,
            posture,
            env,
            port,
            user,
        };
        Asked {
            facts,
            identity,
            device,
            network,
            target,
        }
    })
}
