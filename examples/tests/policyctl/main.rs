//! `policyctl` as people and programs run it: what it prints and its exit status.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../common/mod.rs"]
mod common;

mod documents;
mod operators;
mod programs;
mod questions;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::example;
use serde_json::Value;
use tempfile::TempDir;

const POLICY: &str = r#"
[[application]]
name = "production"
target = { include = [{ tag = { env = "prod" } }, { hostname = "gate" }] }

[[application.policy]]
name = "not eve"
action = "block"
include = [{ email = "eve@example.com" }]

[[application.policy]]
name = "staff"
action = "allow"
include = [{ email_domain = "example.com" }]
require = [{ time = { zone = "Europe/Lisbon", from = "08:00", to = "18:00" } }]
usernames = ["deploy"]
allow_email_alias = true

[[application.policy]]
name = "break glass"
action = "allow"
include = [{ email = "ann@example.com" }]
require = [{ authentication_method = "hwk" }]
usernames = ["root"]
"#;

const REQUEST: &str = r#"
user = "deploy"
at = "2026-07-15T12:00:00Z"
[identity]
email = "Ann@example.com"
authentication_methods = ["hwk"]
[target]
hostname = "web-1"
tags = { env = "prod" }
"#;

const PEOPLE: &str = r#"
[[person]]
identity = { email = "ann@example.com", authentication_methods = ["hwk"] }
[[person]]
identity = { email = "bob@example.org" }
[[person]]
identity = { service_token = "ci" }
"#;

/// A folder with `policy.toml`, `request.toml` and `people.toml`.
struct World {
    folder: TempDir,
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl World {
    fn new() -> Self {
        let world = Self {
            folder: TempDir::new().unwrap(),
        };
        world.write("policy.toml", POLICY);
        world.write("request.toml", REQUEST);
        world.write("people.toml", PEOPLE);
        world
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(example("policyctl"))
            .current_dir(self.folder.path())
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&ran.out)
            .unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err))
    }
}

#[test]
fn a_revocation_is_checked_and_comes_before_the_policy() {
    let world = World::new();
    let decide = [
        "decide",
        "--policy",
        "policy.toml",
        "--request",
        "request.toml",
        "--revocations",
        "revocations.toml",
    ];
    let entry = |whose: &str| format!("[[revocation]]\n{whose}\nreason = \"left\"\n");
    for (whose, code) in [
        ("identity = \"ann@example.com\"", 1),
        ("target = \"web-1\"", 1),
        ("identity = \"bob@example.com\"", 0),
        ("session = \"00000000000000000000000000000000\"", 0),
    ] {
        world.write("revocations.toml", &entry(whose));
        assert_eq!(world.run(&decide).code, code, "{whose}");
    }
    world.write("revocations.toml", &entry("target = \"web-1\""));
    let told = world.run(&decide).out;
    assert!(
        told.starts_with("revoked: ") && told.contains("left"),
        "{told}"
    );
    let json = world.json(&decide);
    assert_eq!(
        (&json["decision"], &json["reason"]),
        (&"deny".into(), &"revoked".into())
    );
    assert!(!json["person_reads"].to_string().contains("left"));

    let check = ["check", "policy.toml", "--revocations", "revocations.toml"];
    let good = world.run(&check);
    assert!(
        good.out
            .ends_with("revocations.toml: no problems, 1 revocation(s)\n")
    );
    assert_eq!(good.code, 0);
    world.write("revocations.toml", "[[revocation]]\nreason = \"left\"\n");
    for arguments in [&check[..], &decide] {
        let bad = world.run(arguments);
        assert_eq!(bad.code, 3);
        assert!(bad.err.contains("revocations.toml: line 1"), "{}", bad.err);
    }
    let problems = world.json(&check);
    assert_eq!(problems["problems"][0]["file"], "revocations.toml");
}

#[test]
fn check_tells_every_problem_with_file_line_and_fix() {
    let world = World::new();
    let good = world.run(&["check", "policy.toml"]);
    assert_eq!(
        (good.code, good.out.as_str()),
        (0, "policy.toml: no problems, 0 warning(s)\n")
    );
    world.write(
        "bad.toml",
        &POLICY.replace(
            "usernames = [\"deploy\"]",
            "usernames = [\"*\"]\nmax_channels = 0",
        ),
    );
    let bad = world.run(&["check", "bad.toml"]);
    assert_eq!(bad.code, 3);
    assert!(bad.err.contains("bad.toml has 2 problem(s)"), "{}", bad.err);
    assert!(
        bad.err.contains(
            "bad.toml: line 16: application[0].policy[1].usernames[0]: there are no wildcards"
        ),
        "{}",
        bad.err
    );
    let problems = world.json(&["check", "bad.toml"]);
    assert_eq!(problems["problems"][1]["line"], 17);
    let missing = world.run(&["check", "none.toml"]);
    assert_eq!(missing.code, 2);
    assert!(
        missing
            .err
            .starts_with("policyctl: cannot read none.toml: "),
        "{}",
        missing.err
    );
    assert_eq!(world.run(&["chek", "policy.toml"]).code, 2);
}

#[test]
fn decide_says_yes_or_no_and_why() {
    let world = World::new();
    let decide = [
        "decide",
        "--policy",
        "policy.toml",
        "--request",
        "request.toml",
    ];
    let yes = world.run(&decide);
    assert_eq!(yes.code, 0);
    assert!(yes.out.starts_with("allowed by policy \"staff\" of application \"production\"\nmay shell, exec, pty, sftp\n"), "{}", yes.out);
    world.write("request.toml", &REQUEST.replace("12:00:00Z", "20:00:00Z"));
    let no = world.run(&decide);
    assert_eq!(no.code, 1);
    assert!(no.out.contains("closest is policy \"staff\""), "{}", no.out);
    assert!(no.out.contains("the person reads: "), "{}", no.out);
    let explained = world.run(&[&decide[..], &["--explain"]].concat());
    assert!(explained.out.contains("require time = { zone = \"Europe/Lisbon\", from = \"08:00\", to = \"18:00\" }: not_matched"), "{}", explained.out);
    let value = world.json(&[&decide[..], &["--explain"]].concat());
    assert_eq!(
        (&value["decision"], &value["closest"]["policy"]),
        (&"deny".into(), &"staff".into())
    );
    assert_eq!(
        value["explanation"][0]["policies"][1]["rules"][1]["outcome"],
        "not_matched"
    );
    world.write("request.toml", "usr = \"deploy\"");
    let wrong = world.run(&decide);
    assert_eq!(wrong.code, 3);
    assert!(wrong.err.contains("unknown field `usr`"), "{}", wrong.err);
}

/// What `--help` says of the exit status.
#[test]
fn the_exit_status_is_what_the_help_says() {
    let world = World::new();
    let help = world.run(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(
        help.out.contains("Exit status: 0 all is well")
            && help.out.contains("Examples:\n  policyctl check"),
        "{}",
        help.out
    );
    world.write("bad.toml", "[[application]]\nname = 1\n");
    world.write("denied.toml", &REQUEST.replace("Ann@", "eve@"));
    let decide = |policy, request| {
        world
            .run(&["decide", "--policy", policy, "--request", request])
            .code
    };
    assert_eq!(decide("policy.toml", "request.toml"), 0);
    assert_eq!(decide("policy.toml", "denied.toml"), 1);
    assert_eq!(decide("policy.toml", "none.toml"), 2);
    assert_eq!(decide("none.toml", "request.toml"), 2);
    assert_eq!(decide("bad.toml", "request.toml"), 3);
    assert_eq!(decide("policy.toml", "policy.toml"), 3);
    for (arguments, code) in [
        (&["lint", "bad.toml"][..], 3),
        (&["lint", "none.toml"], 2),
        (
            &[
                "diff",
                "policy.toml",
                "bad.toml",
                "--identities",
                "people.toml",
            ],
            3,
        ),
        (
            &[
                "diff",
                "policy.toml",
                "policy.toml",
                "--identities",
                "none.toml",
            ],
            2,
        ),
        (&["diff", "policy.toml", "policy.toml"], 2),
        (
            &[
                "access",
                "--policy",
                "bad.toml",
                "--identity",
                "ann@example.com",
            ],
            3,
        ),
        (&["who-can", "--policy", "bad.toml", "--target", "gate"], 3),
        (&["test", "bad.toml"], 3),
        (&["import-cloudflare", "policy.toml"], 3),
        (&["import-cloudflare"], 2),
        (&["schema"], 0),
        (&[], 2),
    ] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(
            ran.code == 0 || !ran.err.is_empty(),
            "{arguments:?} says nothing"
        );
    }
}

#[test]
fn nothing_is_coloured_where_no_terminal_reads() {
    let world = World::new();
    for arguments in [
        &["check", "policy.toml"][..],
        &["lint", "policy.toml"],
        &[
            "decide",
            "--policy",
            "policy.toml",
            "--request",
            "request.toml",
        ],
    ] {
        let ran = world.run(arguments);
        assert!(
            !ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'),
            "{}",
            ran.out
        );
    }
}

#[test]
fn test_files_say_what_must_come_out() {
    let world = World::new();
    let cases = r#"
policy = "policy.toml"
[[case]]
name = "ann deploys"
expect = "allow"
by = "staff"
request = { user = "deploy", at = "2026-07-15T12:00:00Z", identity = { email = "ann@example.com" }, target = { hostname = "gate" } }
[[case]]
name = "eve does not"
expect = "blocked_by_policy"
request = { user = "deploy", at = "2026-07-15T12:00:00Z", identity = { email = "eve@example.com" }, target = { hostname = "gate" } }
"#;
    world.write("cases.toml", cases);
    fs::remove_file(world.folder.path().join("people.toml")).unwrap();
    let good = world.run(&["test", "."]);
    assert_eq!(
        (good.code, good.out.as_str()),
        (0, "ok: 2 passed, 0 failed\n"),
        "{}",
        good.err
    );
    world.write(
        "cases.toml",
        &cases
            .replace("by = \"staff\"", "by = \"root\"")
            .replace("blocked_by_policy", "allow"),
    );
    let bad = world.run(&["test", "."]);
    assert_eq!(bad.code, 1);
    assert!(bad.out.contains("FAILED ./cases.toml: ann deploys: expected policy \"root\" to decide, but it is allowed by policy \"staff\""), "{}", bad.out);
    assert!(
        bad.out
            .contains("eve does not: expected allow, but it is denied: blocked_by_policy"),
        "{}",
        bad.out
    );
    assert!(
        bad.out.ends_with("failed: 0 passed, 2 failed\n"),
        "{}",
        bad.out
    );
    let empty = TempDir::new().unwrap();
    assert_eq!(world.run(&["test", empty.path().to_str().unwrap()]).code, 2);
}

#[test]
fn a_login_that_is_too_old_is_told_beside_the_decision() {
    let world = World::new();
    world.write("policy.toml", &format!("max_login_age = \"1h\"\n{POLICY}"));
    let decide = [
        "decide",
        "--policy",
        "policy.toml",
        "--request",
        "request.toml",
    ];
    for (at, is_fresh) in [("11:00:00Z", true), ("10:59:59Z", false)] {
        let login = format!("[identity]\nauthenticated_at = \"2026-07-15T{at}\"");
        world.write("request.toml", &REQUEST.replace("[identity]", &login));
        let ran = world.run(&decide);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(
            ran.out.contains("asks for a login no older than 3600 s"),
            "{}",
            ran.out
        );
        assert_eq!(ran.out.contains("log in again"), !is_fresh, "{}", ran.out);
        let value = world.json(&decide);
        assert_eq!(value["max_login_age_secs"], 3600);
        assert_eq!(value["login_is_fresh"], is_fresh);
    }
}
