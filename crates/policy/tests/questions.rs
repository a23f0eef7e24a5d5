//! Questions that are not about one request: who can, what can they, what changes, what is odd.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::Duration;

use policy::{
    About, Action, Identity, Lint, Person, PolicySet, Target, access, changes, lint,
    sample_targets, users, who_can,
};

const NOW: Duration = Duration::from_secs(1_800_000_000);

const DOCUMENT: &str = r#"
[[application]]
name = "web"
target = { port = [22, 2222], include = [{ tag = { role = ["web", "edge"] } }, { hostname = "gate" }], require = [{ tag = { env = "prod" } }] }
[[application.policy]]
name = "not eve"
action = "block"
include = [{ email = "eve@example.com" }]
[[application.policy]]
name = "staff"
action = "allow"
include = [{ email_domain = "example.com" }]
usernames = ["deploy"]
allow_email_alias = true
[[application.policy]]
name = "root"
action = "allow"
include = [{ email = "ann@example.com" }]
usernames = ["root"]

[[application]]
name = "lab"
target = { include = [{ id = "lab-1" }] }
[[application.policy]]
name = "all"
action = "allow"
include = [{ everyone = true }]
usernames = ["lab"]
"#;

fn load(text: &str) -> PolicySet {
    PolicySet::from_toml(text).unwrap_or_else(|error| panic!("{error}"))
}

fn person(email: &str) -> Person {
    let identity = Identity {
        email: Some(email.into()),
        ..Identity::default()
    };
    Person {
        identity,
        ..Person::default()
    }
}

fn web() -> Target {
    let tags = [("env", "prod"), ("role", "web")];
    Target {
        port: 22,
        tags: tags.map(|(key, value)| (key.into(), value.into())).into(),
        ..Target::default()
    }
}

#[test]
fn who_can_names_the_policies_that_can_let_the_user_in_and_the_blocks() {
    let set = load(DOCUMENT);
    let names = |user| {
        let says = who_can(&set, &web(), user);
        says.iter()
            .map(|say| (say.policy.to_string(), say.by_alias))
            .collect::<Vec<_>>()
    };
    let expected = |list: &[(&str, bool)]| {
        list.iter()
            .map(|(name, by)| ((*name).to_owned(), *by))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(Some("deploy")),
        expected(&[("not eve", false), ("staff", false)])
    );
    assert_eq!(
        names(Some("ann")),
        expected(&[("not eve", false), ("staff", true)])
    );
    assert_eq!(
        names(Some("root")),
        expected(&[("not eve", false), ("root", false)]),
        "an alias is never root"
    );
    assert_eq!(names(Some("Ann")), expected(&[("not eve", false)]));
    assert_eq!(
        names(None),
        expected(&[("not eve", false), ("staff", false), ("root", false)])
    );
    let say = &who_can(&set, &web(), Some("root"))[1];
    assert_eq!(
        (say.action, say.rules[0].1.as_str()),
        (Action::Allow, "email = \"ann@example.com\"")
    );
}

#[test]
fn access_lists_users_by_application() {
    let set = load(DOCUMENT);
    let of = |email| access(&set, &person(email), NOW);
    let ann = of("Ann@example.com");
    let users: Vec<_> = ann[0]
        .users
        .iter()
        .map(|(user, by)| (user.as_str(), &**by))
        .collect();
    assert_eq!(
        users,
        [("ann", "staff"), ("deploy", "staff"), ("root", "root")]
    );
    assert_eq!(ann[1].users.len(), 1);
    let eve = of("eve@example.com");
    assert_eq!(
        (eve[0].users.len(), eve[0].blocked_by.as_deref()),
        (0, Some("not eve"))
    );
    assert_eq!(of("bob@example.org").len(), 1);
}

#[test]
fn samples_meet_each_value_that_a_criterion_includes() {
    let samples = sample_targets(&[&load(DOCUMENT)]);
    let texts: Vec<String> = samples
        .iter()
        .map(|it| format!("{} {} {:?}", it.id, it.hostname, it.tags))
        .collect();
    assert_eq!(
        texts,
        [
            "sample sample {\"env\": \"prod\", \"role\": \"edge\"}",
            "sample sample {\"env\": \"prod\", \"role\": \"web\"}",
            "sample gate {\"env\": \"prod\"}",
            "lab-1 sample {}",
        ]
    );
}

#[test]
fn changes_are_gains_and_losses_of_people_on_targets() {
    let old = load(DOCUMENT);
    let new = load(
        &DOCUMENT
            .replace("\"root\"]", "\"admin\"]")
            .replace("email = \"eve@", "email = \"bob@"),
    );
    let people = [
        person("ann@example.com"),
        person("bob@example.com"),
        person("eve@example.com"),
    ];
    let found = changes(&old, &new, &people, &[web()], NOW);
    let texts: Vec<String> = found
        .iter()
        .map(|it| {
            format!(
                "{} {} {:?} {:?}",
                it.person,
                it.user,
                it.before.as_deref(),
                it.after.as_deref()
            )
        })
        .collect();
    assert_eq!(
        texts,
        [
            "0 admin None Some(\"root\")",
            "0 root Some(\"root\") None",
            "1 bob Some(\"staff\") None",
            "1 deploy Some(\"staff\") None",
            "2 deploy None Some(\"staff\")",
            "2 eve None Some(\"staff\")",
        ]
    );
    assert!(changes(&old, &old, &people, &[web()], NOW).is_empty());
    assert!(
        users(&[&old, &new], &people[0])
            .iter()
            .eq(["admin", "ann", "deploy", "lab", "root"])
    );
}

/// The findings of an application with these policies.
fn found(target: &str, policies: &str) -> Vec<(Lint, String)> {
    let set = load(&format!(
        "[[application]]\nname = \"a\"\ntarget = {{ include = [{target}] }}\n{policies}"
    ));
    lint(&set, NOW)
        .into_iter()
        .map(|finding| match finding.about {
            About::Policy { policy, .. } => (finding.lint, policy.to_string()),
            About::Operator(name) => (finding.lint, name.to_string()),
        })
        .collect()
}

fn policy(name: &str, action: &str, rest: &str) -> String {
    format!("[[application.policy]]\nname = \"{name}\"\naction = \"{action}\"\n{rest}\n")
}

#[test]
fn what_a_reviewer_should_look_at_is_found() {
    const ANN: &str = "include = [{ email = \"ann@example.com\" }]\n";
    const TAGGED: &str = "{ tag = { env = \"prod\" } }";
    let allow = |name, rules: &str, users: &str| {
        policy(name, "allow", &format!("{rules}usernames = [{users}]"))
    };
    let block = |name, rules| policy(name, "block", rules);
    let everyone = "include = [{ everyone = true }]\n";
    assert_eq!(found(TAGGED, &allow("p", ANN, "\"deploy\"")), []);
    let below = block("b", everyone) + &allow("p", ANN, "\"deploy\"");
    assert_eq!(found(TAGGED, &below), [(Lint::Unreachable, "p".into())]);
    let same = block("b", ANN) + &allow("p", ANN, "\"deploy\"");
    assert_eq!(found(TAGGED, &same), [(Lint::Unreachable, "p".into())]);
    let narrow = block(
        "b",
        "include = [{ everyone = true }]\nexclude = [{ email = \"ann@example.com\" }]\n",
    ) + &allow("p", ANN, "\"deploy\"");
    assert_eq!(found(TAGGED, &narrow), []);
    let twice = allow("p", ANN, "\"deploy\", \"web\"")
        + &allow("q", ANN, "\"web\"")
        + &allow("r", ANN, "\"lab\"");
    assert_eq!(found(TAGGED, &twice), [(Lint::Shadowed, "q".into())]);
    assert_eq!(
        found(TAGGED, &allow("p", everyone, "\"deploy\"")),
        [(Lint::AllowsEveryone, "p".into())]
    );
    let required = "include = [{ everyone = true }]\nrequire = [{ managed_device = true }]\n";
    assert_eq!(found(TAGGED, &allow("p", required, "\"deploy\"")), []);
    assert_eq!(
        found("{ any_target = true }", &allow("p", ANN, "\"deploy\"")),
        [(Lint::AllowsEverywhere, "p".into())]
    );
    assert_eq!(
        found(TAGGED, &allow("p", ANN, "\"root\"")),
        [(Lint::RootWithoutProof, "p".into())]
    );
    let proven = "include = [{ email = \"ann@example.com\" }]\nrequire = [{ authentication_method = \"hwk\" }]\n";
    assert_eq!(found(TAGGED, &allow("p", proven, "\"root\"")), []);
    let nobody = "include = [{ email = \"ann@example.com\" }]\nexclude = [{ email_domain = \"example.com\" }]\n";
    assert_eq!(
        found(TAGGED, &allow("p", nobody, "\"deploy\"")),
        [(Lint::MatchesNobody, "p".into())]
    );
    let some = "include = [{ email = [\"ann@example.com\", \"bob@example.org\"] }]\nexclude = [{ email_domain = \"example.com\" }]\n";
    assert_eq!(found(TAGGED, &allow("p", some, "\"deploy\"")), []);
    let over = "include = [{ email = \"ann@example.com\" }]\nrequire = [{ date = { until = \"2026-01-01T00:00:00Z\" } }]\n";
    assert_eq!(
        found(TAGGED, &allow("p", over, "\"deploy\"")),
        [(Lint::Expired, "p".into())]
    );
}

#[test]
fn an_alias_that_several_people_share_or_nobody_has_is_found() {
    const TAGGED: &str = "{ tag = { env = \"prod\" } }";
    let alias = |rules: &str| {
        let lines = format!("{rules}\nallow_email_alias = true");
        let found = found(TAGGED, &policy("p", "allow", &lines));
        found.iter().any(|(lint, _)| *lint == Lint::Alias)
    };
    for (rules, is_odd) in [
        ("include = [{ email_domain = \"example.com\" }]", false),
        (
            "include = [{ email_domain = [\"example.com\", \"example.org\"] }]",
            true,
        ),
        (
            "include = [{ email_domain = \"example.com\" }, { email = \"ann@example.org\" }]",
            true,
        ),
        ("include = [{ everyone = true }]", true),
        (
            "include = [{ everyone = true }]\nrequire = [{ email_domain = \"example.com\" }]",
            false,
        ),
        (
            "include = [{ email = \"ann@example.com\" }, { any_service_token = true }]",
            false,
        ),
        ("include = [{ email = \"root@example.com\" }]", true),
        ("include = [{ email = \"Daemon@example.com\" }]", true),
        (
            "include = [{ email = \"root@example.com\" }]\nusernames = [\"root\"]",
            false,
        ),
    ] {
        assert_eq!(alias(rules), is_odd, "{rules}");
    }
}
