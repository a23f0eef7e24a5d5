//! Who may look at and act on running sessions (rules O1 to O5 of SPEC.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::Duration;

use policy::{
    Decision, Identity, IdentityKind, Network, OperatorAction, OperatorChange, OperatorDecision,
    Person, PolicySet, Target, operator_changes, sample_targets, who_operates,
};

const NOW: Duration = Duration::from_secs(1_800_000_000);

const DOCUMENT: &str = r#"
[[application]]
name = "production"
target = { include = [{ tag = { env = "prod" } }] }
[[application.policy]]
name = "staff"
action = "allow"
include = [{ email_domain = "example.com" }, { service_token = "ci" }]
usernames = ["deploy"]

[[operator]]
name = "desk"
may = ["list", "show"]
include = [{ email_domain = "example.com" }]
target = { include = [{ tag = { env = "prod" } }] }

[[operator]]
name = "security"
may = ["show", "watch", "end"]
include = [{ email = "sec@example.com" }]
require = [{ authentication_method = "hwk" }]
exclude = [{ ip = "192.0.2.0/24" }]
target = { include = [{ tag = { env = "prod" } }] }

[[operator]]
name = "robot"
may = ["end"]
include = [{ service_token = "reaper" }, { everyone = true }]
require = [{ ip = "10.0.0.0/8" }]
target = [{ include = [{ hostname = "lab-1" }] }, { port = "any", include = [{ id = "t-9" }] }]
"#;

fn load(text: &str) -> PolicySet {
    PolicySet::from_toml(text).unwrap_or_else(|error| panic!("{error}"))
}

fn person(email: &str, methods: &[&str], addr: &str) -> Person {
    Person {
        identity: Identity {
            email: Some(email.into()),
            authentication_methods: methods.iter().map(|it| (*it).into()).collect(),
            ..Identity::default()
        },
        network: Network {
            client_addr: addr.parse().ok(),
            ..Network::default()
        },
        ..Person::default()
    }
}

fn token(name: &str) -> Person {
    let mut token = person("", &[], "10.0.0.1");
    token.identity.email = None;
    token.identity.kind = IdentityKind::ServiceToken { name: name.into() };
    token
}

fn target(id: &str, hostname: &str, env: &str, port: u16) -> Target {
    let mut target = Target {
        id: id.into(),
        hostname: hostname.into(),
        port,
        ..Target::default()
    };
    target.tags.insert("env".into(), env.into());
    target
}

fn prod() -> Target {
    target("t-1", "web-1", "prod", 22)
}

/// What of all actions the person may do, and by which entries.
fn may(set: &PolicySet, person: &Person, target: &Target) -> Vec<String> {
    let one = |action| match person.decide_operator(set, target, action, NOW) {
        OperatorDecision::Allow { operator } => Some(format!("{action} by {operator}")),
        OperatorDecision::Deny => None,
    };
    OperatorAction::ALL.into_iter().filter_map(one).collect()
}

#[test]
fn nobody_operates_unless_an_entry_says_so_whatever_they_may_be_on_the_target() {
    let (without, _) = DOCUMENT.split_once("[[operator]]").unwrap();
    let (set, ann) = (
        load(without),
        person("ann@example.com", &["hwk"], "10.0.0.1"),
    );
    let decision = ann.decide(&set, &prod(), Some("deploy"), NOW);
    assert!(matches!(decision, Decision::Allow(_)));
    assert!(may(&set, &ann, &prod()).is_empty());
    assert!(may(&load(""), &ann, &prod()).is_empty());
}

#[test]
fn an_entry_allows_what_it_lists_to_whom_it_is_about_on_its_targets() {
    let set = load(DOCUMENT);
    let ann = person("Ann@Example.com", &["hwk"], "10.0.0.1");
    assert_eq!(may(&set, &ann, &prod()), ["list by desk", "show by desk"]);
    assert!(may(&set, &ann, &target("t-1", "web-1", "lab", 22)).is_empty());
    assert!(may(&set, &ann, &target("t-1", "web-1", "prod", 2222)).is_empty());
    let eve = person("eve@example.org", &["hwk"], "10.0.0.1");
    assert!(may(&set, &eve, &prod()).is_empty());
}

#[test]
fn the_first_entry_that_allows_is_the_one_named_and_no_action_implies_another() {
    let set = load(DOCUMENT);
    let sec = person("sec@example.com", &["hwk"], "10.0.0.1");
    assert_eq!(
        may(&set, &sec, &prod()),
        [
            "list by desk",
            "show by desk",
            "end by security",
            "watch by security"
        ]
    );
    let (_, last) = DOCUMENT.split_at(DOCUMENT.rfind("[[operator]]").unwrap());
    assert_eq!(
        may(&load(last), &sec, &target("t-1", "LAB-1", "", 22)),
        ["end by robot"]
    );
}

#[test]
fn what_is_missing_opens_no_door() {
    let set = load(DOCUMENT);
    let weak = person("sec@example.com", &["pwd"], "10.0.0.1");
    let lobby = person("sec@example.com", &["hwk"], "::ffff:192.0.2.7");
    let unknown = person("sec@example.com", &["hwk"], "");
    for person in [weak, lobby, unknown] {
        assert_eq!(
            may(&set, &person, &prod()),
            ["list by desk", "show by desk"]
        );
    }
}

#[test]
fn a_token_is_let_in_by_its_own_selectors_alone() {
    let (set, lab) = (load(DOCUMENT), target("t-9", "x", "", 2222));
    assert_eq!(may(&set, &token("reaper"), &lab), ["end by robot"]);
    assert!(may(&set, &token("ci"), &lab).is_empty());
}

#[test]
fn operators_that_cannot_be_meant_are_problems() {
    let operator = |fields: &str| format!("[[operator]]\nname = \"o\"\n{fields}\n");
    let include = "include = [{ everyone = true }]";
    let target = "target = { include = [{ any_target = true }] }";
    let may = "may = [\"list\"]";
    let some = "write some of `list`, `show`, `end`, `watch` and `approve`";
    for (fields, expected) in [
        (format!("{include}\n{target}"), format!("line 1: operator[0]: `may` is missing; {some}")),
        (format!("may = []\n{include}\n{target}"), format!("line 3: operator[0].may: an empty `may` allows nothing; {some}")),
        (format!("may = [\"wacth\"]\n{include}\n{target}"), "line 3: operator[0].may[0]: there is no action `wacth` about sessions; write `watch`".into()),
        (format!("may = [\"own\"]\n{include}\n{target}"), format!("line 3: operator[0].may[0]: there is no action `own` about sessions; {some}")),
        (format!("{may}\n{target}"), "line 1: operator[0]: `include` is missing; write whom it is about, as in `include = [{ email_domain = \"example.com\" }]`".into()),
        (format!("{may}\n{include}"), "line 1: operator[0]: `target` is missing; write about whose sessions, as in `target = { include = [{ any_target = true }] }`".into()),
        (format!("{may}\n{include}\n{target}\naction = \"allow\""), "line 6: operator[0].action: unknown field `action`; remove it, or write one of `exclude`, `include`, `may`, `name`, `require`, `target`".into()),
        (format!("{may}\n{include}\n{target}\nrequire = [{{ rule_group = \"g\" }}]"), "line 6: operator[0].require[0].rule_group: there is no rule group `g`; add a `[[rule_group]]` of that name".into()),
    ] {
        let error = PolicySet::from_toml(&operator(&fields)).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let nobody = operator(&format!(
        "{may}\n{include}\n{target}\nexclude = [{{ everyone = true }}]"
    ));
    let warnings: Vec<String> = load(&nobody)
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        warnings
            .iter()
            .any(|it| it.starts_with("line 1: operator[0]: it excludes everyone")),
        "{warnings:?}"
    );
}

#[test]
fn the_entries_about_a_target_are_listed_with_what_they_ask() {
    let says = who_operates(&load(DOCUMENT), &prod());
    let names: Vec<&str> = says.iter().map(|say| &*say.operator).collect();
    assert_eq!(names, ["desk", "security"]);
    assert_eq!(
        says[1].may,
        [
            OperatorAction::Show,
            OperatorAction::Watch,
            OperatorAction::End
        ]
    );
    let rules: Vec<String> = says[1]
        .rules
        .iter()
        .map(|(list, rule)| format!("{list} {rule}"))
        .collect();
    assert_eq!(
        rules,
        [
            "include email = \"sec@example.com\"",
            "require authentication_method = \"hwk\"",
            "exclude ip = \"192.0.2.0/24\""
        ]
    );
}

#[test]
fn who_gains_or_loses_an_action_is_a_change() {
    let old = load(DOCUMENT);
    let new = load(&DOCUMENT.replace("may = [\"list\", \"show\"]", "may = [\"list\", \"watch\"]"));
    let people = [
        person("ann@example.com", &[], "10.0.0.1"),
        person("sec@example.com", &["hwk"], "10.0.0.1"),
    ];
    let change = |person, action, before: Option<&str>, after: Option<&str>| OperatorChange {
        person,
        target: 0,
        action,
        before: before.map(Into::into),
        after: after.map(Into::into),
    };
    let changes = operator_changes(&old, &new, &people, &[prod()], NOW);
    assert_eq!(
        changes,
        [
            change(0, OperatorAction::Show, Some("desk"), None),
            change(0, OperatorAction::Watch, None, Some("desk")),
        ]
    );
    assert!(operator_changes(&old, &old, &people, &[prod()], NOW).is_empty());
}

#[test]
fn targets_that_only_operators_name_are_made_up_too() {
    let (_, operators) = DOCUMENT.split_at(DOCUMENT.find("[[operator]]").unwrap());
    let samples = sample_targets(&[&load(operators)]);
    let hostnames: Vec<&str> = samples
        .iter()
        .map(|target| target.hostname.as_str())
        .collect();
    assert_eq!(hostnames, ["sample", "lab-1", "sample"]);
    assert_eq!(samples[2].id, "t-9");
}

#[test]
fn what_a_reviewer_should_look_at_in_operators_is_found() {
    let operator = |name: &str, may: &str, rest: &str| {
        format!(
            "[[operator]]\nname = \"{name}\"\nmay = [{may}]\n{rest}\ntarget = {{ include = [{{ any_target = true }}] }}\n"
        )
    };
    let (ann, all) = (
        "include = [{ email = \"ann@example.com\" }]",
        "include = [{ everyone = true }]",
    );
    let found = |text: &str| -> Vec<String> {
        policy::lint(&load(text), NOW)
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let all_may = operator("all", "\"list\"", all);
    assert_eq!(
        found(&all_may),
        ["allows_everyone: operator \"all\": it includes everyone and requires nothing"]
    );
    let (both, one) = (
        operator("both", "\"list\", \"end\"", ann),
        operator("one", "\"end\"", ann),
    );
    assert_eq!(
        found(&format!("{both}{one}")),
        [
            "shadowed: operator \"one\": operator \"both\" above has the same rules and targets, and its actions"
        ]
    );
    assert!(found(&format!("{one}{both}")).is_empty());
    let over = format!("{ann}\nrequire = [{{ date = {{ until = \"2020-01-01T00:00:00Z\" }} }}]");
    let over = found(&operator("over", "\"list\"", &over));
    assert!(
        over.len() == 1 && over[0].starts_with("expired: operator \"over\": its time is over"),
        "{over:?}"
    );
    let nobody = format!("{ann}\nexclude = [{{ email_domain = \"example.com\" }}]");
    assert_eq!(
        found(&operator("nobody", "\"list\"", &nobody)),
        ["matches_nobody: operator \"nobody\": whom it includes, it excludes"]
    );
}
