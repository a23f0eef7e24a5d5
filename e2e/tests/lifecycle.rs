//! Starting, stopping and configuring the proxy.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::client::Door;
use e2e::house::{House, through_the_proxy, through_the_proxy_with};
use e2e::live::Live;
use e2e::need;
use e2e::process::{Finished, Input, isolate, run, wait_until};
use e2e::room::{Room, free_port};
use e2e::tools;

fn audit_proxy(arguments: &[&str], folder: &Path) -> Finished {
    let mut command = Command::new(tools::own("audit_proxy"));
    isolate(&mut command);
    run(
        command.args(arguments).current_dir(folder),
        Input::Nothing,
        Duration::from_secs(20),
    )
}

#[test]
fn a_request_to_end_ends_sessions_with_words_and_their_logs_with_a_final_page() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let mut sessions: Vec<_> = (0..3)
            .map(|_| house.ssh().live("echo up; sleep 300"))
            .collect();
        for ssh in &sessions {
            ssh.hear("up");
        }
        house.proxy().terminate();
        for ssh in &mut sessions {
            assert_eq!(ssh.end(Duration::from_secs(10)).code(), Some(255));
            assert!(ssh.heard().contains("shutting down"), "{}", ssh.heard());
        }
        assert_eq!(house.proxy().end(Duration::from_secs(10)).code(), Some(0));
        let ends = house.proxy().events_named("session.end");
        assert_eq!(ends.len(), 3);
        assert!(
            ends.iter()
                .all(|end| end.text("reason") == "shutdown" && end.json()["log_complete"] == true)
        );
    });
}

#[test]
fn a_request_to_end_is_heard_when_nobody_is_there_and_when_somebody_does_not_read() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        house.proxy().terminate();
        assert_eq!(house.proxy().end(Duration::from_secs(5)).code(), Some(0));
    });
    through_the_proxy(|house| {
        let _stuck = house.ssh().stalled("yes");
        house.proxy().wait_for("session.start");
        std::thread::sleep(Duration::from_secs(1));
        house.proxy().terminate();
        assert_eq!(house.proxy().end(Duration::from_secs(20)).code(), Some(0));
        let end = house.proxy().wait_for("session.end");
        assert_eq!(end.json()["log_complete"], true);
    });
}

#[test]
fn one_connection_more_than_the_limit_is_not_served() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| plan.proxy.limits.push("max_connections = 2".to_owned()),
        |house| {
            let mut first = house.ssh().live("echo up; cat");
            first.hear("up");
            let second = house.ssh().live("echo up; cat");
            second.hear("up");
            let third = house
                .ssh()
                .option("ConnectTimeout=3")
                .within(Duration::from_secs(20))
                .run("echo third");
            assert_eq!(third.expect_failure().out(), "");
            first.end_input();
            first.end(Duration::from_secs(10));
            wait_until("a free place", Duration::from_secs(10), || {
                house
                    .ssh()
                    .option("ConnectTimeout=3")
                    .run("echo next")
                    .out()
                    == "next\n"
            });
        },
    );
}

#[test]
fn a_configuration_is_checked_without_being_run() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let config = house.proxy().folder().join("proxy.toml");
        let check = |path: &Path| {
            audit_proxy(
                &["--config", &path.display().to_string(), "--check"],
                house.room.folder(),
            )
        };
        check(&config).expect_code(0);

        let text = fs::read_to_string(&config).expect("the configuration");
        let wrong = house.proxy().folder().join("wrong.toml");
        for (good, bad, expected) in [
            ("[log]", "[lgo]", "lgo"),
            ("kind = \"plain\"", "kind = \"plane\"", "plane"),
            ("target = \"target-1\"", "target = \"target-7\"", "target-7"),
            ("identity = \"ada\"", "identity = \"stranger\"", "stranger"),
            ("port = ", "prot = ", "prot"),
            (
                "key_file = \"ca\"",
                "key_file = \"missing-ca\"",
                "missing-ca",
            ),
            (
                "recipients = [\"recipient.pub\"]",
                "recipients = []",
                "recipients",
            ),
            (
                "policy = \"policy.toml\"",
                "policy = \"nowhere.toml\"",
                "nowhere.toml",
            ),
            (
                "address = \"127.0.0.1\"",
                "address = \"not an address\"",
                "not an address",
            ),
        ] {
            assert!(text.contains(good), "{good}");
            fs::write(&wrong, text.replacen(good, bad, 1)).expect("a wrong configuration");
            let refused = check(&wrong).expect_failure();
            let said = refused.err() + &refused.out();
            assert!(
                said.contains("wrong.toml") && said.contains(expected),
                "{bad}: {said}"
            );
            let line = fs::read_to_string(&wrong)
                .expect("it")
                .lines()
                .position(|line| line.contains(expected));
            let line = line.expect("the wrong line") + 1;
            assert!(
                said.contains(&line.to_string()),
                "line {line} is not named for {bad}: {said}"
            );
        }
    });
}

#[test]
fn a_wrong_policy_is_refused_with_its_own_file_and_line() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let policy = house.proxy().folder().join("policy.toml");
        let text = fs::read_to_string(&policy)
            .expect("the policy")
            .replace("usernames", "user_names");
        let line = text
            .lines()
            .position(|line| line.contains("user_names"))
            .expect("the line")
            + 1;
        fs::write(&policy, text).expect("a wrong policy");
        let config = house
            .proxy()
            .folder()
            .join("proxy.toml")
            .display()
            .to_string();
        let refused =
            audit_proxy(&["--config", &config, "--check"], house.room.folder()).expect_failure();
        let said = refused.err() + &refused.out();
        assert!(
            said.contains("policy.toml") && said.contains(&line.to_string()),
            "{said}"
        );
        assert!(
            said.contains("user_names") && said.contains("usernames"),
            "{said}"
        );
    });
}

#[test]
fn secrets_that_others_can_read_are_not_used() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let config = house
            .proxy()
            .folder()
            .join("proxy.toml")
            .display()
            .to_string();
        for secret in ["account_secret", "ca", "signing"] {
            let path = house.proxy().folder().join(secret);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a file of ours");
            let refused = audit_proxy(&["--config", &config, "--check"], house.room.folder())
                .expect_failure();
            assert!(
                (refused.err() + &refused.out()).contains(secret),
                "{refused:?}"
            );
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a file of ours");
        }
    });
}

#[test]
fn without_a_place_for_logs_the_proxy_does_not_start() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let folder = house.proxy().folder();
        fs::remove_dir(folder.join("logs")).expect("an empty folder");
        fs::write(folder.join("logs"), "in the way").expect("a file in the place of the folder");
        let config = folder.join("proxy.toml");
        // Another port, so that nothing else is in its way.
        let text = fs::read_to_string(&config).expect("the configuration");
        fs::write(&config, text.replace(&house.proxy().port.to_string(), "0"))
            .expect("a configuration");
        let refused = audit_proxy(
            &["--config", &config.display().to_string()],
            house.room.folder(),
        )
        .expect_failure();
        assert!(
            (refused.err() + &refused.out()).contains("logs"),
            "{refused:?}"
        );
    });
}

#[test]
fn events_go_to_standard_output_where_the_configuration_says_so() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let config = house.proxy().folder().join("proxy.toml");
        let text = fs::read_to_string(&config).expect("the configuration");
        let port = free_port();
        let text = text
            .replace("\"events.jsonl\"", "\"-\"")
            .replace(&house.proxy().port.to_string(), &port.to_string());
        let other = house.proxy().folder().join("stdout.toml");
        fs::write(&other, text).expect("a configuration");
        let mut proxy = Command::new(tools::own("audit_proxy"));
        let proxy = Live::piped(proxy.arg("--config").arg(other));
        let door = Door::new(&house.room, "stdout_config", port, &house.door.user, &[]);
        wait_until("the other proxy", Duration::from_secs(10), || {
            door.ssh().run("true").code == Some(0)
        });
        proxy.hear("\"event\":\"session.end\"");
    });
}

#[test]
fn a_new_token_is_shown_with_the_line_for_the_configuration() {
    let room = Room::new();
    let made = audit_proxy(&["token"], room.folder()).expect_code(0);
    let said = made.out() + &made.err();
    assert!(said.contains("token_sha256 = \""), "{said}");
    let other = audit_proxy(&["token"], room.folder()).expect_code(0);
    assert_ne!(made.out(), other.out());
}

#[test]
fn a_starter_folder_is_complete_and_is_not_made_twice() {
    let room = Room::new();
    audit_proxy(&["init", "starter"], room.folder()).expect_code(0);
    let config = room.path("starter/proxy.toml").display().to_string();
    audit_proxy(&["--config", &config, "--check"], room.folder()).expect_code(0);
    audit_proxy(&["init", "starter"], room.folder()).expect_failure();
}

#[test]
fn the_demo_tests_itself() {
    let mut demo = Command::new(tools::own("demo"));
    isolate(&mut demo);
    let ended = run(
        demo.arg("--self-test"),
        Input::Nothing,
        Duration::from_secs(60),
    )
    .expect_code(0);
    assert!(!ended.out().is_empty());
}

#[test]
fn the_demo_tests_itself_against_the_installed_server() {
    need!("sshd", "ssh-keygen");
    let mut demo = Command::new(tools::own("demo"));
    isolate(&mut demo);
    run(
        demo.args(["--self-test", "--sshd"]),
        Input::Nothing,
        Duration::from_secs(60),
    )
    .expect_code(0);
}

#[test]
fn sessions_of_many_people_do_not_meet() {
    need!("ssh", "sshd");
    through_the_proxy(|house: &House| {
        let mut sessions: Vec<_> = (0..8).map(|_| house.ssh().live("cat")).collect();
        for (number, ssh) in sessions.iter_mut().enumerate() {
            ssh.say(&format!("mine is {number}\n"));
        }
        for (number, ssh) in sessions.iter_mut().enumerate() {
            ssh.hear(&format!("mine is {number}\n"));
            ssh.end_input();
            assert_eq!(ssh.end(Duration::from_secs(10)).code(), Some(0));
            assert_eq!(ssh.heard().matches("mine is").count(), 1);
        }
    });
}
