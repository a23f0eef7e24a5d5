//! operator, who-operates, and operators in lint, diff and test.

use super::*;

const OPERATORS: &str = r#"
[[operator]]
name = "desk"
may = ["list", "show"]
include = [{ email_domain = "example.com" }]
target = { include = [{ tag = { env = "prod" } }] }

[[operator]]
name = "security"
may = ["watch", "end"]
include = [{ email = "ann@example.com" }]
require = [{ authentication_method = "hwk" }]
target = { include = [{ tag = { env = "prod" } }, { hostname = "gate" }] }
"#;

fn world() -> World {
    let world = World::new();
    world.write("policy.toml", &format!("{POLICY}{OPERATORS}"));
    world
}

const ASK: [&str; 5] = [
    "operator",
    "--policy",
    "policy.toml",
    "--request",
    "request.toml",
];

#[test]
fn what_an_operator_may_do_is_told_action_by_action() {
    let world = world();
    let all = world.run(&ASK);
    assert_eq!(
        (all.code, all.out.as_str()),
        (
            1,
            "list allowed by operator \"desk\"\nshow allowed by operator \"desk\"\nend allowed by operator \"security\"\n\
             watch allowed by operator \"security\"\napprove denied\n"
        )
    );
    let watch = world.run(&[&ASK[..], &["--action", "watch"]].concat());
    assert_eq!(watch.code, 0, "{}", watch.out);
    let told = world.json(&ASK);
    assert_eq!(
        told[3],
        serde_json::json!({ "action": "watch", "operator": "security" })
    );
    assert_eq!(told[4]["operator"], Value::Null);
    let unknown = world.run(&[&ASK[..], &["--action", "join"]].concat());
    assert_eq!(unknown.code, 2);
    assert!(
        unknown
            .err
            .contains("an action is one of list, show, end, watch, approve"),
        "{}",
        unknown.err
    );
}

#[test]
fn a_revoked_operator_may_do_nothing() {
    let world = world();
    world.write(
        "gone.toml",
        "[[revocation]]\nidentity = \"ann@example.com\"\nreason = \"left\"\n",
    );
    let gone = world.run(&[&ASK[..], &["--revocations", "gone.toml"]].concat());
    assert_eq!(gone.code, 1);
    assert!(gone.out.starts_with("revoked: "), "{}", gone.out);
}

#[test]
fn who_operates_names_entries_and_people() {
    let world = world();
    let ask = [
        "who-operates",
        "--policy",
        "policy.toml",
        "--target",
        "gate",
    ];
    let people = ["--identities", "people.toml"];
    let told = world.run(&[&ask[..], &people].concat());
    assert_eq!(
        (told.code, told.out.as_str()),
        (
            0,
            "operator \"security\" may watch, end\n    include email = \"ann@example.com\"\n    require authentication_method = \"hwk\"\n\
             ann@example.com now: end, watch\n"
        )
    );
    let value = world.json(&[&ask[..], &people].concat());
    assert_eq!(value["operators"][0]["operator"], "security");
    assert_eq!(value["identities"][0]["may"][0], "end");
    let nobody = world.run(&[&ask[..], &["--action", "list"]].concat());
    assert_eq!((nobody.code, nobody.out.as_str()), (1, "nobody\n"));
}

#[test]
fn diff_and_lint_speak_of_operators() {
    let world = world();
    let more = OPERATORS.replace("may = [\"list\", \"show\"]", "may = [\"list\", \"end\"]");
    world.write("new.toml", &format!("{POLICY}{more}"));
    world.write(
        "people.toml",
        "[[person]]\nidentity = { email = \"bob@example.com\" }\n",
    );
    world.write(
        "targets.toml",
        "[[target]]\nhostname = \"web-1\"\ntags = { env = \"prod\" }\n",
    );
    let ask = [
        "diff",
        "policy.toml",
        "new.toml",
        "--identities",
        "people.toml",
        "--targets",
        "targets.toml",
    ];
    let told = world.run(&ask);
    assert_eq!(told.code, 1);
    assert_eq!(
        told.out,
        "bob@example.com loses show of sessions on web-1:22 env=prod (operator \"desk\")\n\
         bob@example.com gains end of sessions on web-1:22 env=prod (operator \"desk\")\n\
         2 change(s) for 1 identities on 1 targets\n"
    );
    assert_eq!(world.json(&ask)[1]["action"], "end");
    let anybody = OPERATORS.replace("{ email_domain = \"example.com\" }", "{ everyone = true }");
    world.write("policy.toml", &format!("{POLICY}{anybody}"));
    let finding = &world.json(&["lint", "policy.toml"])["findings"][0];
    assert_eq!(
        (&finding["lint"], &finding["operator"]),
        (&"allows_everyone".into(), &"desk".into())
    );
    assert_eq!(finding["policy"], Value::Null);
}

#[test]
fn cases_ask_for_actions() {
    let world = world();
    let case = |expect: &str, by: &str| {
        let text = format!(
            "policy = \"policy.toml\"\n[[case]]\nname = \"c\"\naction = \"watch\"\nexpect = \"{expect}\"\n{by}\n\
             [case.request.identity]\nemail = \"ann@example.com\"\nauthentication_methods = [\"hwk\"]\n[case.request.target]\nhostname = \"gate\"\n"
        );
        world.write("tests.toml", &text);
        world.run(&["test", "tests.toml"])
    };
    assert_eq!(case("allow", "by = \"security\"").code, 0);
    let other = case("allow", "by = \"desk\"");
    assert!(
        other.code == 1
            && other.out.contains(
                "expected operator \"desk\" to decide, but it is allowed by operator \"security\""
            ),
        "{}",
        other.out
    );
    assert_eq!(case("deny", "").code, 1);
}
