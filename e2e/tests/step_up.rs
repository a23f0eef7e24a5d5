//! What a policy asks for besides a name, with stock `ssh`: a security key, a reason, another person's approval.

use std::process::Command;
use std::time::Duration;

use e2e::client::Client;
use e2e::house::{House, Plan, through_the_proxy_with};
use e2e::live::Live;
use e2e::need;
use e2e::process::{Finished, Input, PATIENCE, isolate, run, wait_until};
use e2e::proxy::{ProxyPlan, TARGET};
use e2e::security_key::{Agent, SecurityKey, TOUCHED, VERIFIED};
use e2e::tools;
use rustix::process::Signal;

fn asking(lines: &str) -> impl Fn(&mut Plan) {
    let policy = ProxyPlan::policy_granting(lines);
    move |plan| plan.proxy.policy.clone_from(&policy)
}

const ADA: u8 = 40;

/// Decides nothing but how long a broken program is waited for.
const LIMIT: Duration = Duration::from_secs(60);

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
        let proven = house.proxy().wait_for_all("step_up.security_key", 2);
        let counters: Vec<u64> = proven.iter().map(|event| event.number("counter")).collect();
        assert_eq!(counters, [1, 2]);
        let session = proven[1].session();
        house.proxy().wait_for_event("the end", |event| {
            event.name() == "session.end" && event.session() == session
        });
        let records = house.proxy().records_of(session);
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
        let mut ssh = ssh.terminal("echo let me in");
        // Nothing, and then too much: it is asked for again.
        for (asked, typed) in [
            (1, "\n"),
            (2, &format!("{}\n", "x".repeat(600))),
            (3, "OPS-17: the disk is full\n"),
        ] {
            wait_until("the question", LIMIT, || {
                ssh.heard().matches("Reason for access: ").count() == asked
            });
            ssh.say(typed);
        }
        ssh.hear("let me in");
        assert_eq!(ssh.end(LIMIT).code(), Some(0));
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

/// A policy that asks `ann`, as whom the user who runs the tests acts on the admin socket; `more` are further lines for `ada`.
fn asking_ann(more: &'static str) -> impl Fn(&mut Plan) {
    asking_for_approval("ann@example.com", more)
}

fn asking_for_approval(approver: &'static str, more: &'static str) -> impl Fn(&mut Plan) {
    move |plan| {
        let policy = ProxyPlan::policy_granting(&format!("{more}\napprovers = [\"{approver}\"]"));
        plan.proxy.policy = format!(
            "{policy}\n[[operator]]\nname = \"on call\"\nmay = [\"approve\"]\ninclude = [{{ email = \"ann@example.com\" }}]\n\
             target = [{{ port = \"any\", include = [{{ hostname = \"{TARGET}\" }}] }}]\n"
        );
        plan.proxy.more_tables = format!(
            "[[identity]]\nname = \"ann\"\nemail = \"ann@example.com\"\n\n[admin]\nsocket = \"admin.sock\"\n\n\
             [[admin.operator]]\nuid = {}\nidentity = \"ann\"\n",
            rustix::process::geteuid().as_raw()
        );
    }
}

const APPROVAL: &str = "step_up = [\"approval\"]";

#[track_caller]
fn sessionctl(house: &House, arguments: &[&str]) -> Finished {
    let mut command = Command::new(tools::own("sessionctl"));
    isolate(&mut command);
    let socket = house.proxy().folder().join("admin.sock");
    command.arg("--socket").arg(socket).args(arguments);
    run(&mut command, Input::Nothing, PATIENCE)
}

/// `ssh` that waits for an approval, and the id of its request as it shows it.
#[track_caller]
fn waiting(ssh: &Client, remote: &str) -> (Live, String) {
    let waiting = ssh.live(remote);
    let asked = "for approval by ann@example.com; request ";
    waiting.hear(asked);
    let mut id = String::new();
    wait_until("a whole id", LIMIT, || {
        let heard = waiting.heard();
        let (_, said) = heard.split_once(asked).expect("heard before");
        let whole = said.split_once('.');
        id = whole.map_or_else(String::new, |(id, _)| id.to_owned());
        whole.is_some()
    });
    (waiting, id)
}

#[test]
fn an_approved_person_gets_in_and_the_approval_stands_in_the_log() {
    need!("ssh", "sshd");
    through_the_proxy_with(asking_ann(APPROVAL), |house| {
        let (mut ssh, id) = waiting(&house.ssh(), "echo in");
        let listed = sessionctl(house, &["approvals"]).expect_code(0).out();
        assert!(
            listed.contains(&id) && listed.contains("ada@example.com") && listed.contains(TARGET),
            "{listed}"
        );
        sessionctl(house, &["approve", &id[..8], "--note", "as agreed"]).expect_code(0);
        ssh.hear("Approved by ann@example.com.");
        assert!(ssh.end(PATIENCE).success());
        let given = house.proxy().wait_for("approval.given");
        assert_eq!(
            (given.session(), given.text("by")),
            (id.as_str(), "ann@example.com")
        );
        house.proxy().wait_for("operator.approve");
        house.proxy().wait_for_event("its end", |event| {
            event.name() == "session.end" && event.session() == id
        });
        let records = house.proxy().records_of(&id);
        let approval = records.iter().find(|record| record.kind() == "operator");
        let approval = approval.expect("a record of the approval");
        assert_eq!(
            ["who", "action", "text"].map(|field| approval.text(field)),
            ["ann@example.com", "approve", "as agreed"]
        );
        // The question is closed.
        assert_eq!(sessionctl(house, &["approvals"]).expect_code(0).out(), "");
        let late = sessionctl(house, &["refuse", &id]).expect_code(1);
        assert!(late.err().contains("nobody waits"), "{late:?}");
    });
}

#[test]
fn a_refused_person_reads_who_refused_and_why() {
    need!("ssh", "sshd");
    through_the_proxy_with(asking_ann(APPROVAL), |house| {
        let (mut ssh, id) = waiting(&house.ssh(), "echo never");
        sessionctl(house, &["refuse", &id, "--note", "not during the freeze"]).expect_code(0);
        ssh.hear("access denied: ann@example.com did not approve: not during the freeze");
        assert_eq!(ssh.end(PATIENCE).code(), Some(255));
        let denied = house.proxy().wait_for("access.denied");
        assert_eq!(denied.text("reason"), "not_approved");
        assert!(house.proxy().logs().is_empty());
    });
}

#[test]
fn a_person_whom_nobody_answers_is_refused_in_time() {
    need!("ssh", "sshd");
    let plan = |plan: &mut Plan| {
        asking_ann(APPROVAL)(plan);
        plan.proxy.timeouts.push("approval = \"2s\"".to_owned());
    };
    through_the_proxy_with(plan, |house| {
        let refused = house.ssh().run("echo never").expect_code(255);
        expect_denied(house, &refused, "not_approved", "nobody approved in time");
        let told = house.proxy().wait_for("approval.refused");
        assert_eq!(told.text("why"), "by_silence");
    });
}

#[test]
fn an_operator_who_was_not_asked_cannot_approve_and_a_person_who_leaves_is_forgotten() {
    need!("ssh", "sshd");
    through_the_proxy_with(asking_for_approval("bob@example.com", APPROVAL), |house| {
        let mut ssh = house.ssh().live("echo never");
        ssh.hear("for approval by bob@example.com; request ");
        let asked = house.proxy().wait_for("approval.asked");
        let foreign = sessionctl(house, &["approve", asked.session()]).expect_code(1);
        assert!(
            foreign.err().contains("is not one of those who were asked"),
            "{foreign:?}"
        );
        assert!(ssh.is_running());
        ssh.signal(Signal::TERM);
        ssh.end(PATIENCE);
        let told = house.proxy().wait_for("approval.refused");
        assert_eq!(told.text("why"), "withdrawn");
        wait_until("no question left", LIMIT, || {
            let listed = sessionctl(house, &["approvals"]).expect_code(0);
            listed.out().is_empty()
        });
    });
}

#[test]
fn an_operator_whom_the_policy_does_not_let_approve_is_told_so() {
    need!("ssh", "sshd");
    let plan = |plan: &mut Plan| {
        asking_ann(APPROVAL)(plan);
        let policy = &mut plan.proxy.policy;
        *policy = policy.replace("may = [\"approve\"]", "may = [\"list\"]");
    };
    through_the_proxy_with(plan, |house| {
        let (mut ssh, id) = waiting(&house.ssh(), "echo never");
        for arguments in [&["approvals"][..], &["approve", &id], &["refuse", &id]] {
            let refused = sessionctl(house, arguments).expect_code(1);
            assert!(
                refused.err().contains("the policy does not let"),
                "{refused:?}"
            );
        }
        assert!(ssh.is_running());
        ssh.signal(Signal::TERM);
        ssh.end(PATIENCE);
    });
}

#[test]
fn a_key_a_reason_and_an_approval_are_asked_for_in_this_order_and_the_approver_reads_the_reason() {
    need!("ssh", "sshd");
    let key = SecurityKey::touched(ADA);
    let plan = |plan: &mut Plan| {
        asking_ann("step_up = [\"approval\", \"reason\", \"security_key\"]")(plan);
        plan.proxy.ada = format!("security_keys = [\"{}\"]", key.line());
    };
    through_the_proxy_with(plan, |house| {
        let (ssh, agent) = ssh_with(house, key);
        let ssh = ssh.option("BatchMode=no").arg("-tt");
        let mut ssh = ssh.terminal("echo in");
        ssh.hear("Reason for access: ");
        assert_eq!(agent.signatures(), 1);
        assert!(house.proxy().events_named("approval.asked").is_empty());
        ssh.say("OPS-17\n");
        let asked = house.proxy().wait_for("approval.asked");
        wait_until("the reason at the approver's", LIMIT, || {
            let listed = sessionctl(house, &["approvals"]).expect_code(0);
            listed.out().contains("because: OPS-17")
        });
        // Until then nobody logged in at the target, and no log was opened.
        assert!(!house.sshd.log().contains("userauth-request"));
        assert!(house.proxy().logs().is_empty());
        sessionctl(house, &["approve", asked.session()]).expect_code(0);
        assert!(ssh.end(PATIENCE).success());
        house.proxy().wait_for("session.end");
        let records = house.proxy().records_of(asked.session());
        let told: Vec<&str> = records
            .iter()
            .map(|record| (record.kind(), record.text("text")))
            .filter_map(|(kind, text)| match kind {
                "operator" => Some("operator"),
                "annotation" if text.starts_with("security key ") => Some("key"),
                "annotation" if text.starts_with("reason for access: ") => Some("reason"),
                _ => None,
            })
            .collect();
        assert_eq!(told, ["key", "reason", "operator"]);
    });
}
