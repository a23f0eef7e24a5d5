//! Properties over random documents and requests: the slow evaluator agrees, and Blocks only ever take away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod slow;

use std::time::Duration;

use policy::{
    Decision, Device, Group, Identity, IdentityKind, Network, PolicySet, PostureResult, Request,
    Target, decide, explain,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree as _;
use slow::{Answer, Application, Document, Facts, Lists, Policy, Rule};

const NOW: Duration = Duration::from_secs(1_800_000_000);

/// What an identity may carry as an address, and what of it counts: local part and domain lowered, and the alias.
#[rustfmt::skip]
const ADDRESSES: [(Option<&str>, Option<(&str, &str)>, Option<&str>); 10] = [
    (None, None, None),
    (Some("ann@example.com"), Some(("ann", "example.com")), Some("ann")),
    (Some("ANN@Example.COM"), Some(("ann", "example.com")), Some("ann")),
    (Some("root@example.com"), Some(("root", "example.com")), None),
    (Some("kim@example.org"), Some(("kim", "example.org")), Some("kim")),
    (Some("\u{212a}im@example.org"), None, None),
    (Some("ann@evil-example.com"), Some(("ann", "evil-example.com")), Some("ann")),
    (Some("ann@sub.example.com"), Some(("ann", "sub.example.com")), Some("ann")),
    (Some("ann@example.com@example.org"), None, None),
    (Some("@example.com"), None, None),
];

/// Client addresses, what they are compared as, and the IPv4 address behind a NAT64 one.
#[rustfmt::skip]
const CLIENTS: [(Option<&str>, Option<&str>, Option<&str>); 6] = [
    (None, None, None),
    (Some("10.1.2.3"), Some("10.1.2.3"), None),
    (Some("192.0.2.7"), Some("192.0.2.7"), None),
    (Some("::ffff:10.1.2.3"), Some("10.1.2.3"), None),
    (Some("64:ff9b::10.1.2.3"), Some("64:ff9b::a01:203"), Some("10.1.2.3")),
    (Some("2001:db8::1"), Some("2001:db8::1"), None),
];

const EMAILS: &[&str] = &["ann@example.com", "kim@example.org", "root@example.com"];
const DOMAINS: &[&str] = &["example.com", "example.org"];
const RANGES: &[&str] = &[
    "10.0.0.0/8",
    "10.1.0.0/16",
    "192.0.2.0/24",
    "2001:db8::/32",
    "64:ff9b::/96",
];
const COUNTRIES: &[&str] = &["PT", "US"];
const METHODS: &[&str] = &["hwk", "mfa", "pwd"];
const GROUPS: &[(&str, &str)] = &[("okta", "ops"), ("okta", "staff"), ("github", "ops")];
const CHECKS: &[(&str, u64)] = &[("disk", 60), ("disk", 600), ("firewall", 60)];
const TOKENS: &[&str] = &["ci", "cd"];
const USERS: &[&str] = &["root", "deploy", "ann", "kim"];
const ENVS: &[&str] = &["prod", "lab"];
const PORTS: &[u16] = &[22, 2222];

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
fn rule(groups: usize) -> BoxedStrategy<Rule> {
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
    (
        vec(rule(groups), 1..4),
        vec(rule(groups), 0..2),
        vec(rule(groups), 0..2),
    )
        .prop_map(|(include, require, exclude)| Lists {
            include,
            require,
            exclude,
        })
}

fn policy(groups: usize) -> impl Strategy<Value = Policy> {
    let users = subsequence(USERS, 0..=USERS.len());
    let hours = prop::option::of(1..5_u64);
    (
        prop::bool::weighted(0.25),
        lists(groups),
        prop::bool::weighted(0.2),
        users,
        any::<bool>(),
        hours,
    )
        .prop_map(
            |(block, lists, missing_ignored, users, alias, max_session_hours)| {
                // A Block has no users, and an Allow without any does not load.
                let alias = !block && (alias || users.is_empty());
                let users = if block { Vec::new() } else { users };
                let max_session_hours = max_session_hours.filter(|_| !block);
                Policy {
                    block,
                    lists,
                    missing_ignored,
                    users,
                    alias,
                    max_session_hours,
                }
            },
        )
}

fn application(groups: usize) -> impl Strategy<Value = Application> {
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
        vec(policy(groups), 0..5),
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

fn document() -> impl Strategy<Value = Document> {
    (lists(0), lists(1), lists(2), vec(application(3), 0..4)).prop_map(|(a, b, c, applications)| {
        Document {
            groups: vec![a, b, c],
            applications,
        }
    })
}

/// A request in both forms.
#[derive(Clone, Debug)]
struct Asked {
    facts: Facts,
    identity: Identity,
    device: Device,
    network: Network,
    target: Target,
}

impl Asked {
    fn request(&self) -> Request<'_> {
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

fn asked() -> impl Strategy<Value = Asked> {
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

/// Loads the document, unless it happens to hold a contradiction that the loader refuses.
fn load(document: &Document) -> Option<PolicySet> {
    match PolicySet::from_toml(&slow::to_toml(document)) {
        Ok(set) => Some(set),
        Err(error) => {
            let contradictions = error.problems().iter().all(|problem| {
                problem.what.contains("at once") || problem.what == "it excludes everyone"
            });
            assert!(contradictions, "{error}\n{}", slow::to_toml(document));
            None
        }
    }
}

fn answer(decision: &Decision) -> Answer {
    match decision {
        Decision::Allow(grant) => {
            let index = |name: &str| name[1..].parse().unwrap();
            Answer::Allow {
                application: index(&grant.application),
                policy: index(&grant.policy),
                max_session_hours: grant.max_session.map(|duration| duration.as_secs() / 3600),
            }
        }
        Decision::Deny(denial) => Answer::Deny(match denial.reason.to_string().as_str() {
            "no_application_for_target" => "no_application_for_target",
            "no_policy_matched" => "no_policy_matched",
            "user_not_allowed" => "user_not_allowed",
            "blocked_by_policy" => "blocked_by_policy",
            other => panic!("{other}"),
        }),
    }
}

fn is_allowed(set: &PolicySet, asked: &Asked) -> bool {
    matches!(decide(set, &asked.request()), Decision::Allow(_))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_slow_evaluator_agrees(document in document(), requests in vec(asked(), 24)) {
        let Some(set) = load(&document) else { return Ok(()) };
        for asked in requests {
            let decision = decide(&set, &asked.request());
            prop_assert_eq!(answer(&decision), slow::decide(&document, &asked.facts), "{}\n{:?}", slow::to_toml(&document), asked.facts);
            prop_assert_eq!(&explain(&set, &asked.request()).decision, &decision);
        }
    }

    #[test]
    fn adding_a_block_never_allows_more(
        document in document(),
        block in policy(3),
        place in any::<prop::sample::Index>(),
        requests in vec(asked(), 24),
    ) {
        let mut stricter = document.clone();
        if stricter.applications.is_empty() { return Ok(()) }
        let application = place.index(stricter.applications.len());
        let policies = &mut stricter.applications[application].policies;
        let at = place.index(policies.len() + 1);
        policies.insert(at, Policy { block: true, users: Vec::new(), alias: false, max_session_hours: None, ..block });
        let (Some(before), Some(after)) = (load(&document), load(&stricter)) else { return Ok(()) };
        for asked in requests {
            prop_assert!(is_allowed(&before, &asked) || !is_allowed(&after, &asked), "{}", slow::to_toml(&stricter));
        }
    }

    #[test]
    fn removing_an_allow_never_allows_more(document in document(), place in any::<prop::sample::Index>(), requests in vec(asked(), 24)) {
        let mut document = document;
        document.applications.iter_mut().for_each(|application| application.first_match = false);
        let allows: Vec<_> = document.applications.iter().enumerate().flat_map(|(application, it)| {
            let allows = it.policies.iter().enumerate().filter(|(_, policy)| !policy.block);
            allows.map(move |(policy, _)| (application, policy)).collect::<Vec<_>>()
        }).collect();
        if allows.is_empty() { return Ok(()) }
        let (application, policy) = allows[place.index(allows.len())];
        let mut stricter = document.clone();
        stricter.applications[application].policies.remove(policy);
        let (Some(before), Some(after)) = (load(&document), load(&stricter)) else { return Ok(()) };
        for asked in requests {
            prop_assert!(is_allowed(&before, &asked) || !is_allowed(&after, &asked), "{}", slow::to_toml(&document));
        }
    }

    #[test]
    fn taking_facts_away_opens_no_door_through_an_exclude(document in document(), asked in asked()) {
        // Where no policy ignores missing attributes and no Block asks for one by `include` or `require` (S1), knowing less never lets in more.
        let mut document = document;
        // Under `first_match` an Allow that no longer matches no longer ends the search.
        document.applications.iter_mut().for_each(|application| application.first_match = false);
        for policy in document.applications.iter_mut().flat_map(|application| &mut application.policies) {
            policy.missing_ignored = false;
            if policy.block {
                policy.lists.include = vec![Rule::Everyone];
                policy.lists.require.clear();
            }
        }
        let Some(set) = load(&document) else { return Ok(()) };
        let mut without_address = asked.clone();
        without_address.network.client_addr = None;
        let mut without_country = asked.clone();
        (without_country.network.country, without_country.identity.country) = (None, None);
        let mut without_groups = asked.clone();
        without_groups.identity.groups.clear();
        let mut without_methods = asked.clone();
        without_methods.identity.authentication_methods.clear();
        for less in [without_address, without_country, without_groups, without_methods] {
            prop_assert!(
                is_allowed(&set, &asked) || !is_allowed(&set, &less),
                "{}\n{:?}", slow::to_toml(&document), less.facts
            );
        }
    }

    #[test]
    fn users_are_admitted_only_where_some_user_is(document in document(), asked in asked()) {
        let Some(set) = load(&document) else { return Ok(()) };
        if document.applications.iter().any(|application| application.first_match) { return Ok(()) }
        let mut anyone = asked.clone();
        anyone.facts.user = None;
        prop_assert!(!is_allowed(&set, &asked) || is_allowed(&set, &anyone));
    }

    #[test]
    fn equal_documents_and_requests_give_equal_decisions_and_texts(document in document(), asked in asked()) {
        let (Some(one), Some(other)) = (load(&document), load(&document)) else { return Ok(()) };
        prop_assert_eq!(explain(&one, &asked.request()), explain(&other, &asked.request()));
        prop_assert_eq!(explain(&one, &asked.request()).to_string(), explain(&other, &asked.request()).to_string());
    }
}

/// The properties above say nothing if almost everything is denied for one reason.
#[test]
fn the_random_documents_and_requests_reach_every_kind_of_decision() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut loaded, mut counts) = (0, std::collections::BTreeMap::new());
    for _ in 0..200 {
        let Some(set) = load(&document().new_tree(&mut runner).unwrap().current()) else {
            continue;
        };
        loaded += 1;
        for _ in 0..10 {
            let asked = asked().new_tree(&mut runner).unwrap().current();
            let kind = match answer(&decide(&set, &asked.request())) {
                Answer::Allow { policy, .. } => format!("allow by policy {}", policy.min(1)),
                Answer::Deny(reason) => reason.to_owned(),
            };
            *counts.entry(kind).or_insert(0) += 1;
        }
    }
    assert!(loaded >= 100, "only {loaded} of 200 documents load");
    assert!(
        counts.len() == 6 && counts.values().all(|count| *count >= 20),
        "{loaded} documents: {counts:?}"
    );
}
