//! What a policy asks for besides a name, with stock `ssh`: a security key, a reason, another person's approval.

use std::time::Duration;

use e2e::client::Client;
use e2e::house::{House, Plan, through_the_proxy_with};
use e2e::need;
use e2e::process::{Finished, wait_until};
use e2e::proxy::ProxyPlan;
use e2e::security_key::{Agent, SecurityKey, TOUCHED, VERIFIED};

fn asking(lines: &str) -> impl Fn(&mut Plan) {
    let policy = ProxyPlan::policy_granting(lines);
    move |plan| plan.proxy.policy.clone_from(&policy)
}

const ADA: u8 = 40;

/// A policy that asks for a security key, where this line enrols one.
fn asking_for_a_key(line: String) -> impl Fn(&mut Plan) {
    let ask = asking("step_up = [\"security_key\"]");
    move |plan| {
        ask(plan);
        plan.proxy.ada = format!("security_keys = [\"{line}\"]");
    }
}

/// `ssh` of somebody with this security key.
fn ssh_with(house: &House, key: SecurityKey) -> (Client, Agent) {
    let name = format!("agent-{}-{}", key.seed[0], key.flags);
    let agent = Agent::serve(&house.path(&name), key);
    let ssh = house
        .ssh()
        .option(format!("IdentityAgent={}", agent.socket.display()));
    (ssh, agent)
}

#[track_caller]
fn expect_denied(house: &House, refused: &Finished, reason: &str, words: &str) {
    assert!(refused.err().contains(words), "{refused:?}");
    let denied = house.proxy().wait_for("access.denied");
    assert_eq!(denied.text("reason"), reason, "{denied:?}");
    assert_eq!(refused.out(), "");
    assert!(
        house.proxy().logs().is_empty(),
        "a refused person has no log"
    );
    let asked = house.sshd.log();
    assert!(!asked.contains("userauth-request"), "{asked}");
}

#[test]
fn a_security_key_that_is_enrolled_lets_in_and_stands_in_the_log() {
    need!("ssh", "sshd");
    let key = SecurityKey::touched(ADA);
    through_the_proxy_with(asking_for_a_key(key.line()), |house| {
        let (ssh, agent) = ssh_with(house, key);
        for count in 1..=2 {
            let done = ssh.run("echo in").expect_code(0);
            assert_eq!(done.out(), "in\n");
            assert!(
                done.err().contains("asks for your security key"),
                "{done:?}"
            );
            assert_eq!(agent.signatures(), count);
        }
        let proven = house.proxy().events_named("step_up.security_key");
        let counters: Vec<u64> = proven.iter().map(|event| event.number("counter")).collect();
        assert_eq!(counters, [1, 2]);
        let records = house.proxy().records_of(proven[1].session());
        let told = format!("security key {} was touched", proven[1].text("key"));
        let noted = |text: &str| text.starts_with(&told) && text.ends_with("counter 2");
        assert!(
            records.iter().any(|record| noted(record.text("text"))),
            "{records:#?}"
        );
    });
}

#[test]
fn keys_that_are_plain_unknown_untouched_or_unverified_let_nobody_in() {
    need!("ssh", "sshd", "ssh-keygen");
    let enrolled = SecurityKey::touched(ADA);
    let with = |flags| SecurityKey { flags, ..enrolled };
    for (line, key, words) in [
        (
            enrolled.line(),
            SecurityKey::touched(ADA + 1),
            "is not enrolled for you",
        ),
        (enrolled.line(), with(0), "Permission denied"),
        (enrolled.line(), with(VERIFIED), "Permission denied"),
        (
            format!("verify-required {}", enrolled.line()),
            enrolled,
            "has to verify you",
        ),
    ] {
        through_the_proxy_with(asking_for_a_key(line), |house| {
            let (ssh, _agent) = ssh_with(house, key);
            let refused = ssh.run("echo never").expect_code(255);
            expect_denied(house, &refused, "step_up_missing", words);
        });
    }
    through_the_proxy_with(asking_for_a_key(enrolled.line()), |house| {
        let plain = house.room.key("plain", "ed25519");
        let ssh = house.ssh().arg("-i").arg(plain);
        let refused = ssh.run("echo never").expect_code(255);
        expect_denied(house, &refused, "step_up_missing", "not in a security key");
    });
}

#[test]
fn a_key_that_must_verify_its_user_and_does_lets_in() {
    need!("ssh", "sshd");
    let key = SecurityKey {
        flags: TOUCHED | VERIFIED,
        ..SecurityKey::touched(ADA)
    };
    let line = format!("verify-required {}", key.line());
    through_the_proxy_with(asking_for_a_key(line), |house| {
        ssh_with(house, key).0.run("true").expect_code(0);
    });
}

#[test]
fn who_has_no_security_key_is_told_whom_to_ask() {
    need!("ssh", "sshd");
    through_the_proxy_with(asking("step_up = [\"security_key\"]"), |house| {
        let refused = house.ssh().run("echo never").expect_code(255);
        expect_denied(
            house,
            &refused,
            "step_up_missing",
            "none is enrolled for you",
        );
    });
}

#[test]
fn a_reason_typed_on_a_terminal_stands_in_the_log_and_not_in_the_events() {
    need!("ssh", "sshd");
    through_the_proxy_with(asking("step_up = [\"reason\"]"), |house| {
        let ssh = house.ssh().option("BatchMode=no").arg("-tt");
        let mut ssh = ssh.terminal("echo in");
        // Nothing, and then too much: it is asked for again.
        for (asked, typed) in [
            (1, "\n"),
            (2, &format!("{}\n", "x".repeat(600))),
            (3, "OPS-17: the disk is full\n"),
        ] {
            wait_until("the question", Duration::from_secs(20), || {
                ssh.heard().matches("Reason for access: ").count() == asked
            });
            ssh.say(typed);
        }
        ssh.hear("in");
        ssh.end(Duration::from_secs(20));
        let given = house.proxy().wait_for("step_up.reason");
        assert_eq!(given.number("bytes"), 24);
        let ended = house.proxy().wait_for("session.end");
        let records = house.proxy().records_of(ended.session());
        let reason = "reason for access: OPS-17: the disk is full";
        assert!(
            records.iter().any(|record| record.text("text") == reason),
            "{records:#?}"
        );
        let events = format!("{:?}", house.proxy().events());
        assert!(!events.contains("OPS-17"), "{events}");
    });
}

#[test]
fn a_reason_comes_from_a_program_that_asks_the_person() {
    need!("ssh", "sshd");
    through_the_proxy_with(asking("step_up = [\"reason\"]"), |house| {
        let askpass = house
            .room
            .write("askpass", "#!/bin/sh\necho \"because: $1\"\n");
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&askpass, permissions).expect("a program");
        let ssh = house
            .ssh()
            .option("BatchMode=no")
            .env("SSH_ASKPASS", &askpass)
            .env("SSH_ASKPASS_REQUIRE", "force");
        ssh.run("true").expect_code(0);
        let ended = house.proxy().wait_for("session.end");
        let records = house.proxy().records_of(ended.session());
        let told = |text: &str| text.starts_with("reason for access: because: ");
        assert!(
            records.iter().any(|record| told(record.text("text"))),
            "{records:#?}"
        );
    });
}

#[test]
fn a_client_that_cannot_ask_the_person_reads_what_was_wanted() {
    need!("ssh", "sshd");
    through_the_proxy_with(asking("step_up = [\"reason\"]"), |house| {
        let refused = house.ssh().run("echo never").expect_code(255);
        expect_denied(
            house,
            &refused,
            "step_up_missing",
            "asks why you want to use it",
        );
    });
}
