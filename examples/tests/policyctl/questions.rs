//! Who can, access, lint and diff: questions about a whole policy.

use super::*;

#[test]
fn who_can_names_policies_and_people() {
    let world = World::new();
    world.write(
        "targets.toml",
        "[[target]]\nid = \"t-1\"\nhostname = \"web-1\"\ntags = { env = \"prod\" }\n",
    );
    let ask = [
        "who-can",
        "--policy",
        "policy.toml",
        "--target",
        "t-1",
        "--user",
        "root",
        "--targets",
        "targets.toml",
        "--identities",
        "people.toml",
    ];
    let root = world.run(&ask);
    assert_eq!(root.code, 0);
    assert!(
        root.out.contains("block policy \"not eve\"")
            && root.out.contains("allow policy \"break glass\""),
        "{}",
        root.out
    );
    assert!(!root.out.contains("staff"), "{}", root.out);
    assert!(
        root.out
            .ends_with("of 3 known, 1 now:\n    ann@example.com\n"),
        "{}",
        root.out
    );
    let nobody = world.run(&[
        "who-can",
        "--policy",
        "policy.toml",
        "--target",
        "t-1",
        "--user",
        "root",
    ]);
    assert_eq!(
        (nobody.code, nobody.out.as_str()),
        (1, "nobody\n"),
        "the id alone is in no application"
    );
    let gate = world.json(&[
        "who-can",
        "--policy",
        "policy.toml",
        "--target",
        "gate",
        "--user",
        "bob",
    ]);
    assert_eq!(gate["policies"][1]["by_alias"], true);
}

#[test]
fn access_lists_what_an_identity_reaches() {
    let world = World::new();
    let ask = |identity| {
        [
            "access",
            "--policy",
            "policy.toml",
            "--identities",
            "people.toml",
            "--identity",
            identity,
        ]
    };
    let ann = world.json(&ask("ann@example.com"));
    let users = ann[0]["users"].as_array().unwrap();
    assert!(
        users
            .iter()
            .any(|user| user["user"] == "root" && user["policy"] == "break glass"),
        "{ann}"
    );
    let eve = world.run(&ask("eve@example.com"));
    assert_eq!(eve.code, 1);
    assert!(
        eve.out.contains("blocked by policy \"not eve\"") && eve.out.contains("nothing"),
        "{}",
        eve.out
    );
    assert_eq!(world.run(&ask("bob@example.org")).out, "nothing\n");
    world.write("targets.toml", "[[target]]\nhostname = \"gate\"\n");
    let there = world.json(&[&ask("ann@example.com")[..], &["--targets", "targets.toml"]].concat());
    assert_eq!(
        there.as_array().unwrap().last().unwrap()["target"],
        "gate:22"
    );
}

#[test]
fn lint_finds_what_is_not_meant() {
    let world = World::new();
    assert_eq!(world.run(&["lint", "policy.toml"]).code, 0);
    world.write(
        "policy.toml",
        &POLICY.replace("{ email = \"eve@example.com\" }", "{ everyone = true }"),
    );
    let ran = world.run(&["lint", "policy.toml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("unreachable: policy \"staff\" of application \"production\": policy \"not eve\" above keeps out everyone"), "{}", ran.out);
    assert_eq!(
        world.json(&["lint", "policy.toml"])["findings"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn diff_tells_who_gains_and_who_loses() {
    let world = World::new();
    world.write(
        "new.toml",
        &POLICY
            .replace("email = \"ann@", "email = \"bob@")
            .replace("[\"deploy\"]", "[\"deploy\", \"web\"]")
            .replace(
                "from = \"08:00\", to = \"18:00\"",
                "from = \"00:00\", to = \"24:00\"",
            ),
    );
    world.write(
        "old.toml",
        &POLICY.replace(
            "from = \"08:00\", to = \"18:00\"",
            "from = \"00:00\", to = \"24:00\"",
        ),
    );
    let ran = world.run(&[
        "diff",
        "old.toml",
        "new.toml",
        "--identities",
        "people.toml",
    ]);
    assert_eq!(ran.code, 1);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(
        lines,
        [
            "ann@example.com loses root on sample:22 env=prod (policy \"break glass\")",
            "ann@example.com gains web on sample:22 env=prod (policy \"staff\")",
            "ann@example.com loses root on gate:22 (policy \"break glass\")",
            "ann@example.com gains web on gate:22 (policy \"staff\")",
            "4 change(s) for 3 identities on 2 targets made up from what the policies name",
        ]
    );
    let same = world.run(&[
        "diff",
        "old.toml",
        "old.toml",
        "--identities",
        "people.toml",
    ]);
    assert_eq!(same.code, 0);
    assert_eq!(
        world.json(&[
            "diff",
            "old.toml",
            "new.toml",
            "--identities",
            "people.toml"
        ])[0]["change"],
        "loses"
    );
}
