//! A document and requests chosen by the bytes: the slow evaluator, written straight from the specification, gives the same decisions.

use std::time::Duration;

use policy::{
    Decision, Device, Group, Identity, IdentityKind, Network, PolicySet, PostureResult, Request,
    Target, decide,
};

use crate::input::Input;

#[expect(dead_code, reason = "operators are not asked about here")]
#[path = "../../crates/policy/tests/properties/alphabet.rs"]
mod alphabet;
#[expect(dead_code, reason = "operators are not asked about here")]
#[path = "../../crates/policy/tests/properties/slow.rs"]
mod slow;

use alphabet::{
    ADDRESSES, CHECKS, CLIENTS, COUNTRIES, DOMAINS, EMAILS, ENVS, GROUPS, METHODS, PORTS, RANGES,
    TOKENS, USERS,
};
use slow::{Answer, Application, Document, Facts, Lists, Policy, Rule};

const NOW: Duration = Duration::from_secs(1_800_000_000);

/// Rule groups of a document, each using those before it.
const RULE_GROUPS: usize = 3;

/// Requests to one document.
const MAX_REQUESTS: usize = 16;

/// Makes a document and asks it.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let document = document(&mut input);
    let toml = slow::to_toml(&document);
    // A contradiction that the loader refuses.
    let Ok(set) = PolicySet::from_toml(&toml) else {
        return;
    };
    for _ in 0..MAX_REQUESTS {
        ask(&mut input, &set, &document, &toml);
        if input.is_over() {
            return;
        }
    }
}

fn pick<T: Copy>(input: &mut Input<'_>, values: &[T]) -> T {
    values[usize::from(input.byte()) % values.len()]
}

/// Some of the values in their order, by the bits of a byte.
fn some<T: Copy>(input: &mut Input<'_>, values: &[T]) -> Vec<T> {
    let bits = input.byte();
    let chosen = values.iter().enumerate();
    chosen
        .filter(|(index, _)| bits >> (index % 8) & 1 == 1)
        .map(|(_, value)| *value)
        .collect()
}

/// As `some`, but never none.
fn some_at_least_one<T: Copy>(input: &mut Input<'_>, values: &[T]) -> Vec<T> {
    let chosen = some(input, values);
    if chosen.is_empty() {
        vec![values[0]]
    } else {
        chosen
    }
}

fn document(input: &mut Input<'_>) -> Document {
    let groups = (0..RULE_GROUPS).map(|index| lists(input, index)).collect();
    let count = usize::from(input.byte() % 4);
    let applications = (0..count).map(|_| application(input)).collect();
    Document {
        groups,
        applications,
        operators: Vec::new(),
    }
}

fn application(input: &mut Input<'_>) -> Application {
    let ports = some_at_least_one(input, PORTS);
    let include_env = some_at_least_one(input, ENVS);
    let exclude_env = if input.byte() % 4 == 0 {
        vec![pick(input, ENVS)]
    } else {
        Vec::new()
    };
    let first_match = input.byte() % 4 == 1;
    // More than a handful are looked at through the index.
    let count = usize::from(input.byte() % 16);
    Application {
        ports,
        include_env,
        exclude_env,
        first_match,
        policies: (0..count).map(|_| policy(input)).collect(),
    }
}

fn policy(input: &mut Input<'_>) -> Policy {
    let block = input.byte() % 4 == 1;
    let lists = lists(input, RULE_GROUPS);
    let users = some(input, USERS);
    let options = input.byte();
    Policy {
        block,
        lists,
        missing_ignored: !block && options & 1 == 1,
        alias: !block && (options & 2 == 2 || users.is_empty()),
        users: if block { Vec::new() } else { users },
        max_session_hours: (!block && options & 4 == 4).then_some(u64::from(options >> 4) + 1),
        max_login_hours: (!block && options & 8 == 8).then_some(u64::from(options >> 4)),
    }
}

fn lists(input: &mut Input<'_>, groups: usize) -> Lists {
    let counts = input.byte();
    let mut rules = |count: u8| (0..count).map(|_| rule(input, groups)).collect();
    Lists {
        include: rules(counts % 16 + 1),
        require: rules(counts >> 4 & 1),
        exclude: rules(counts >> 5 & 1),
    }
}

fn rule(input: &mut Input<'_>, groups: usize) -> Rule {
    match input.byte() % if groups == 0 { 11 } else { 12 } {
        0 => Rule::Email(some_at_least_one(input, EMAILS)),
        1 => Rule::Domain(some_at_least_one(input, DOMAINS)),
        2 => Rule::Ip(some_at_least_one(input, RANGES)),
        3 => Rule::Country(some_at_least_one(input, COUNTRIES)),
        4 => Rule::Method(some_at_least_one(input, METHODS)),
        5 => Rule::Group(some_at_least_one(input, GROUPS)),
        6 => Rule::Posture(some_at_least_one(input, CHECKS)),
        7 => Rule::Token(some_at_least_one(input, TOKENS)),
        8 => Rule::AnyToken,
        9 => Rule::Managed,
        10 => Rule::Everyone,
        _ => Rule::Groups(vec![usize::from(input.byte()) % groups]),
    }
}

/// One request, decided twice.
fn ask(input: &mut Input<'_>, set: &PolicySet, document: &Document, toml: &str) {
    let (email, counts, alias) = pick(input, &ADDRESSES);
    let (client, addr, nat64_of) = pick(input, &CLIENTS);
    let token = (input.byte() % 5 == 1).then(|| pick(input, TOKENS));
    let (methods, groups) = (some(input, METHODS), some(input, GROUPS));
    let country = input.flag().then(|| pick(input, COUNTRIES));
    let country_of_login = input.flag();
    let results = usize::from(input.byte() % 4);
    let mut posture = Vec::new();
    for _ in 0..results {
        let check = pick(input, &["disk", "firewall"]);
        posture.push((check, input.flag(), pick(input, &[0, 30, 60, 61, 600, 601])));
    }
    let parse = |text: Option<&str>| text.and_then(|text| text.parse().ok());
    let facts = Facts {
        token,
        email: counts,
        alias,
        addr: parse(addr),
        nat64_of: parse(nat64_of),
        country,
        methods,
        groups,
        managed: input.flag(),
        posture,
        env: (input.byte() % 8 != 7).then(|| pick(input, ENVS)),
        port: pick(input, PORTS),
        user: (input.byte() % 8 != 7).then(|| pick(input, USERS)),
    };
    let text = |text: Option<&str>| text.map(str::to_owned);
    let group = |(provider, name): &(&str, &str)| Group {
        provider: (*provider).into(),
        name: (*name).into(),
    };
    let identity = Identity {
        email: text(email),
        kind: token.map_or(IdentityKind::Person, |name| IdentityKind::ServiceToken {
            name: name.into(),
        }),
        groups: facts.groups.iter().map(group).collect(),
        authentication_methods: facts.methods.iter().map(|it| (*it).into()).collect(),
        country: text(country.filter(|_| country_of_login)),
        ..Identity::default()
    };
    let result = |(check, passed, age): &(&str, bool, u64)| PostureResult {
        check: (*check).into(),
        passed: *passed,
        checked_at: NOW - Duration::from_secs(*age),
    };
    let device = Device {
        id: None,
        managed: facts.managed,
        posture: facts.posture.iter().map(result).collect(),
    };
    let network = Network {
        client_addr: parse(client),
        virtual_network: None,
        country: text(country.filter(|_| !country_of_login)),
    };
    let tags = facts.env.map(|env| ("env".to_owned(), env.to_owned()));
    let target = Target {
        port: facts.port,
        tags: tags.into_iter().collect(),
        ..Target::default()
    };
    let request = Request {
        identity: &identity,
        device: &device,
        network: &network,
        target: &target,
        user: facts.user,
        now: NOW,
    };
    let index = |name: &str| {
        name.get(1..)
            .and_then(|number| number.parse().ok())
            .unwrap_or(usize::MAX)
    };
    let fast = match decide(set, &request) {
        Decision::Allow(grant) => Answer::Allow {
            application: index(&grant.application),
            policy: index(&grant.policy),
            max_session_hours: grant.max_session.map(|limit| limit.as_secs() / 3600),
            max_login_hours: grant.max_login_age.map(|limit| limit.as_secs() / 3600),
        },
        Decision::Deny(denial) => match slow::decide(document, &facts) {
            Answer::Deny(reason) if reason == denial.reason.to_string() => Answer::Deny(reason),
            other => panic!(
                "denied, {}, and not {other:?}:\n{toml}\n{facts:?}",
                denial.reason
            ),
        },
    };
    assert_eq!(fast, slow::decide(document, &facts), "{toml}\n{facts:?}");
}
