//! A second evaluator, written straight from SPEC.md over plain data: no index, no short cut, no normal forms.

use std::fmt::Write as _;
use std::net::IpAddr;

#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) groups: Vec<Lists>,
    pub(crate) applications: Vec<Application>,
    pub(crate) operators: Vec<Operator>,
}

/// Who may do what about sessions on which targets.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    pub(crate) may: Vec<&'static str>,
    pub(crate) ports: Vec<u16>,
    pub(crate) include_env: Vec<&'static str>,
    pub(crate) lists: Lists,
}

#[derive(Clone, Debug)]
pub(crate) struct Application {
    pub(crate) ports: Vec<u16>,
    pub(crate) include_env: Vec<&'static str>,
    pub(crate) exclude_env: Vec<&'static str>,
    pub(crate) first_match: bool,
    pub(crate) policies: Vec<Policy>,
}

#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) block: bool,
    pub(crate) lists: Lists,
    pub(crate) missing_ignored: bool,
    pub(crate) users: Vec<&'static str>,
    pub(crate) alias: bool,
    pub(crate) max_session_hours: Option<u64>,
    pub(crate) max_login_hours: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    pub(crate) include: Vec<Rule>,
    pub(crate) require: Vec<Rule>,
    pub(crate) exclude: Vec<Rule>,
}

/// One rule: one selector with one value or several.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    Everyone,
    AnyToken,
    Managed,
    Token(Vec<&'static str>),
    Email(Vec<&'static str>),
    Domain(Vec<&'static str>),
    Ip(Vec<&'static str>),
    Country(Vec<&'static str>),
    Method(Vec<&'static str>),
    Group(Vec<(&'static str, &'static str)>),
    /// Check and age in seconds.
    Posture(Vec<(&'static str, u64)>),
    /// Rule groups with a smaller index than the group that uses them.
    Groups(Vec<usize>),
}

/// What the evaluator needs to know, spelled out by whoever made the request.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) token: Option<&'static str>,
    /// Lowered local part and domain of an address that counts.
    pub(crate) email: Option<(&'static str, &'static str)>,
    pub(crate) alias: Option<&'static str>,
    pub(crate) addr: Option<IpAddr>,
    pub nat64_of: Option<IpAddr>,
    pub(crate) country: Option<&'static str>,
    pub(crate) methods: Vec<&'static str>,
    pub(crate) groups: Vec<(&'static str, &'static str)>,
    pub(crate) managed: bool,
    /// Check, passed, age in seconds.
    pub(crate) posture: Vec<(&'static str, bool, u64)>,
    pub(crate) env: Option<&'static str>,
    pub(crate) port: u16,
    pub(crate) user: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Allow {
        application: usize,
        policy: usize,
        max_session_hours: Option<u64>,
        max_login_hours: Option<u64>,
    },
    Deny(&'static str),
}

pub(crate) fn decide(document: &Document, facts: &Facts) -> Answer {
    let governing: Vec<usize> = (0..document.applications.len())
        .filter(|index| governs(&document.applications[*index], facts))
        .collect();
    if governing.is_empty() {
        return Answer::Deny("no_application_for_target");
    }
    let answers: Vec<Answer> = governing
        .into_iter()
        .map(|index| one(document, index, facts))
        .collect();
    for wanted in ["blocked_by_policy", "allow", "user_not_allowed"] {
        for answer in &answers {
            match answer {
                Answer::Deny(reason) if *reason == wanted => return answer.clone(),
                Answer::Allow { .. } if wanted == "allow" => return answer.clone(),
                _ => {}
            }
        }
    }
    Answer::Deny("no_policy_matched")
}

/// The first operator of the document who may do `action` about sessions on the target of the facts.
pub(crate) fn operator(document: &Document, facts: &Facts, action: &str) -> Option<usize> {
    let place = Place {
        excludes: 0,
        helps: true,
        lets_in: true,
        missing_ignored: false,
    };
    document.operators.iter().position(|operator| {
        let is_there = facts
            .env
            .is_some_and(|env| operator.include_env.contains(&env));
        operator.may.contains(&action)
            && operator.ports.contains(&facts.port)
            && is_there
            && lists_hold(document, &operator.lists, facts, place)
    })
}

fn governs(application: &Application, facts: &Facts) -> bool {
    let port = application.ports.contains(&facts.port);
    let included = facts
        .env
        .is_some_and(|env| application.include_env.contains(&env));
    let excluded = facts
        .env
        .is_some_and(|env| application.exclude_env.contains(&env));
    port && included && !excluded
}

fn one(document: &Document, application: usize, facts: &Facts) -> Answer {
    let Application {
        policies,
        first_match,
        ..
    } = &document.applications[application];
    let matches: Vec<bool> = policies
        .iter()
        .map(|policy| matches(document, policy, facts))
        .collect();
    let names: Vec<bool> = policies
        .iter()
        .map(|policy| names_user(policy, facts))
        .collect();
    let mut unnamed = false;
    for (index, policy) in policies
        .iter()
        .enumerate()
        .filter(|(index, _)| matches[*index])
    {
        if policy.block {
            return Answer::Deny("blocked_by_policy");
        }
        if names[index] {
            let candidates = policies.iter().enumerate().filter(|(other, policy)| {
                let counts = if *first_match {
                    *other == index
                } else {
                    matches[*other] && names[*other]
                };
                counts && !policy.block
            });
            let candidates: Vec<&Policy> = candidates.map(|(_, policy)| policy).collect();
            let shortest = |hours: fn(&Policy) -> Option<u64>| {
                candidates.iter().filter_map(|policy| hours(policy)).min()
            };
            return Answer::Allow {
                application,
                policy: index,
                max_session_hours: shortest(|policy| policy.max_session_hours),
                max_login_hours: shortest(|policy| policy.max_login_hours),
            };
        }
        unnamed = true;
        if *first_match {
            break;
        }
    }
    Answer::Deny(if unnamed {
        "user_not_allowed"
    } else {
        "no_policy_matched"
    })
}

fn names_user(policy: &Policy, facts: &Facts) -> bool {
    let alias = facts.alias.filter(|_| policy.alias);
    match facts.user {
        Some(user) => policy.users.contains(&user) || alias == Some(user),
        None => !policy.users.is_empty() || alias.is_some(),
    }
}

/// Where a rule is looked at from: through how many excludes, and whether a match of it helps to let somebody in.
#[derive(Clone, Copy)]
struct Place {
    excludes: u32,
    helps: bool,
    /// Through includes alone, from an Allow.
    lets_in: bool,
    missing_ignored: bool,
}

fn matches(document: &Document, policy: &Policy, facts: &Facts) -> bool {
    let place = Place {
        excludes: 0,
        helps: !policy.block,
        lets_in: !policy.block,
        missing_ignored: policy.missing_ignored,
    };
    lists_hold(document, &policy.lists, facts, place)
}

fn lists_hold(document: &Document, lists: &Lists, facts: &Facts, place: Place) -> bool {
    let through_exclude = Place {
        excludes: place.excludes + 1,
        helps: !place.helps,
        lets_in: false,
        ..place
    };
    let through_require = Place {
        lets_in: false,
        ..place
    };
    let holds = |rule: &Rule, place, all: bool| {
        let values: Vec<bool> = values(document, rule, facts, place);
        if all {
            values.iter().all(|holds| *holds)
        } else {
            values.iter().any(|holds| *holds)
        }
    };
    let mut included = false;
    for rule in &lists.include {
        included |= holds(rule, place, false);
    }
    let mut required = true;
    for rule in &lists.require {
        required &= holds(rule, through_require, true);
    }
    let mut excluded = false;
    for rule in &lists.exclude {
        excluded |= holds(rule, through_exclude, false);
    }
    included && required && !excluded
}

/// What each value of a rule says.
fn values(document: &Document, rule: &Rule, facts: &Facts, place: Place) -> Vec<bool> {
    // K1.
    let about_tokens = matches!(rule, Rule::Token(_) | Rule::AnyToken | Rule::Groups(_));
    if place.lets_in && facts.token.is_some() && !about_tokens {
        return vec![false];
    }
    // S1 to S3.
    let settle = |answer: Option<bool>| match answer {
        Some(answer) => answer,
        None => place.excludes > 0 && !place.helps && !place.missing_ignored,
    };
    match rule {
        Rule::Everyone => vec![facts.token.is_none() || !place.helps],
        Rule::AnyToken => vec![facts.token.is_some()],
        Rule::Managed => vec![facts.managed],
        Rule::Token(names) => names
            .iter()
            .map(|name| facts.token == Some(*name))
            .collect(),
        Rule::Email(emails) => emails
            .iter()
            .map(|email| {
                settle(
                    facts
                        .email
                        .map(|(local, domain)| format!("{local}@{domain}") == *email),
                )
            })
            .collect(),
        Rule::Domain(domains) => domains
            .iter()
            .map(|wanted| settle(facts.email.map(|(_, domain)| domain == *wanted)))
            .collect(),
        Rule::Ip(ranges) => ranges
            .iter()
            .map(|range| {
                let hidden = facts
                    .nat64_of
                    .is_some_and(|inner| !place.helps && is_in(inner, range));
                settle(facts.addr.map(|addr| is_in(addr, range) || hidden))
            })
            .collect(),
        Rule::Country(codes) => codes
            .iter()
            .map(|code| settle(facts.country.map(|country| country == *code)))
            .collect(),
        Rule::Method(methods) => methods
            .iter()
            .map(|method| {
                settle((!facts.methods.is_empty()).then(|| facts.methods.contains(method)))
            })
            .collect(),
        Rule::Group(groups) => groups
            .iter()
            .map(|group| {
                let answered = facts
                    .groups
                    .iter()
                    .any(|(provider, _)| *provider == group.0);
                settle(answered.then(|| facts.groups.contains(group)))
            })
            .collect(),
        Rule::Posture(checks) => checks
            .iter()
            .map(|(check, max_age)| settle(posture(facts, check, *max_age)))
            .collect(),
        Rule::Groups(indices) => indices
            .iter()
            .map(|index| lists_hold(document, &document.groups[*index], facts, place))
            .collect(),
    }
}

fn posture(facts: &Facts, check: &str, max_age: u64) -> Option<bool> {
    let results: Vec<_> = facts
        .posture
        .iter()
        .filter(|(name, ..)| *name == check)
        .collect();
    let youngest = results.iter().map(|(_, _, age)| *age).min()?;
    if youngest > max_age {
        return None;
    }
    Some(
        results
            .iter()
            .filter(|(_, _, age)| *age == youngest)
            .all(|(_, passed, _)| *passed),
    )
}

/// By writing both out in bits.
fn is_in(addr: IpAddr, range: &str) -> bool {
    let (network, length) = range.split_once('/').unwrap();
    let bits = |addr: IpAddr| {
        let octets = match addr {
            IpAddr::V4(addr) => addr.octets().to_vec(),
            IpAddr::V6(addr) => addr.octets().to_vec(),
        };
        octets.iter().fold(String::new(), |mut bits, octet| {
            write!(bits, "{octet:08b}").unwrap();
            bits
        })
    };
    let (network, addr) = (bits(network.parse().unwrap()), bits(addr));
    let length: usize = length.parse().unwrap();
    network.len() == addr.len() && network[..length] == addr[..length]
}

// The document as text.

pub(crate) fn to_toml(document: &Document) -> String {
    let mut text = String::new();
    for (index, group) in document.groups.iter().enumerate() {
        writeln!(
            text,
            "[[rule_group]]\nname = \"g{index}\"\n{}",
            lists_to_toml(group)
        )
        .unwrap();
    }
    for (index, application) in document.applications.iter().enumerate() {
        let tags = |values: &[&str]| {
            if values.is_empty() {
                "[]".to_owned()
            } else {
                format!("[{{ tag = {{ env = {values:?} }} }}]")
            }
        };
        writeln!(
            text,
            "[[application]]\nname = \"a{index}\"\nevaluation = \"{}\"\ntarget = {{ port = {:?}, include = {}, exclude = {} }}",
            if application.first_match { "first_match" } else { "candidates" },
            application.ports,
            tags(&application.include_env),
            tags(&application.exclude_env),
        )
        .unwrap();
        for (index, policy) in application.policies.iter().enumerate() {
            policy_to_toml(&mut text, index, policy);
        }
    }
    for (index, operator) in document.operators.iter().enumerate() {
        writeln!(
            text,
            "[[operator]]\nname = \"o{index}\"\nmay = {:?}\ntarget = {{ port = {:?}, include = [{{ tag = {{ env = {:?} }} }}] }}\n{}",
            operator.may,
            operator.ports,
            operator.include_env,
            lists_to_toml(&operator.lists),
        )
        .unwrap();
    }
    text
}

fn policy_to_toml(text: &mut String, index: usize, policy: &Policy) {
    let action = if policy.block { "block" } else { "allow" };
    writeln!(
        text,
        "[[application.policy]]\nname = \"p{index}\"\naction = \"{action}\""
    )
    .unwrap();
    if policy.missing_ignored {
        writeln!(text, "missing_in_exclude = \"ignored\"").unwrap();
    }
    if !policy.block {
        writeln!(
            text,
            "usernames = {:?}\nallow_email_alias = {}",
            policy.users, policy.alias
        )
        .unwrap();
        if let Some(hours) = policy.max_session_hours {
            writeln!(text, "max_session = \"{hours}h\"").unwrap();
        }
        if let Some(hours) = policy.max_login_hours {
            writeln!(text, "max_login_age = \"{hours}h\"").unwrap();
        }
    }
    writeln!(text, "{}", lists_to_toml(&policy.lists)).unwrap();
}

fn lists_to_toml(lists: &Lists) -> String {
    let list = |rules: &[Rule]| {
        rules
            .iter()
            .map(rule_to_toml)
            .collect::<Vec<_>>()
            .join(", ")
    };
    format!(
        "include = [{}]\nrequire = [{}]\nexclude = [{}]",
        list(&lists.include),
        list(&lists.require),
        list(&lists.exclude)
    )
}

fn rule_to_toml(rule: &Rule) -> String {
    match rule {
        Rule::Everyone => "{ everyone = true }".into(),
        Rule::AnyToken => "{ any_service_token = true }".into(),
        Rule::Managed => "{ managed_device = true }".into(),
        Rule::Token(values) => format!("{{ service_token = {values:?} }}"),
        Rule::Email(values) => format!("{{ email = {values:?} }}"),
        Rule::Domain(values) => format!("{{ email_domain = {values:?} }}"),
        Rule::Ip(values) => format!("{{ ip = {values:?} }}"),
        Rule::Country(values) => format!("{{ country = {values:?} }}"),
        Rule::Method(values) => format!("{{ authentication_method = {values:?} }}"),
        Rule::Group(values) => {
            let groups = values
                .iter()
                .map(|(provider, name)| format!("{{ provider = {provider:?}, name = {name:?} }}"));
            format!("{{ group = [{}] }}", groups.collect::<Vec<_>>().join(", "))
        }
        Rule::Posture(values) => {
            let checks = values
                .iter()
                .map(|(check, age)| format!("{{ check = {check:?}, max_age = \"{age}s\" }}"));
            format!(
                "{{ device_posture = [{}] }}",
                checks.collect::<Vec<_>>().join(", ")
            )
        }
        Rule::Groups(indices) => {
            let names = indices.iter().map(|index| format!("\"g{index}\""));
            format!(
                "{{ rule_group = [{}] }}",
                names.collect::<Vec<_>>().join(", ")
            )
        }
    }
}
