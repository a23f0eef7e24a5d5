//! What a policy grants on channels, kept with real clients: commands, subsystems, and what nobody else sees of a refusal.

use e2e::client::Client;
use e2e::foreign::{dbclient, plink};
use e2e::house::{House, Plan, through_the_proxy_with};
use e2e::need;
use e2e::proxy::ProxyPlan;

fn granting(lines: &str) -> impl Fn(&mut Plan) {
    move |plan| plan.proxy.policy = ProxyPlan::policy_granting(lines)
}

/// The refused texts of all sessions that have ended.
#[track_caller]
fn expect_refused_in_log(house: &House, text: &str) {
    let end = house.proxy().wait_for("session.end");
    let records = house.proxy().records_of(end.session());
    assert!(
        records
            .iter()
            .any(|record| record.kind() == "refused" && record.text("what").contains(text)),
        "{records:?}"
    );
}

#[test]
fn a_command_that_no_pattern_covers_is_refused_with_words_and_recorded() {
    need!("ssh", "sshd");
    let lines = "commands = { allow = [\"echo *\", \"uptime\"], deny = [\"* secret*\"] }";
    through_the_proxy_with(granting(lines), |house| {
        let refused = house.ssh().run("touch /never").expect_failure();
        assert!(
            refused
                .err()
                .contains("portreeve: this policy does not allow this command"),
            "{refused:?}"
        );
        assert_eq!(refused.out(), "");
        expect_refused_in_log(house, "exec touch /never");
        let told = house
            .proxy()
            .wait_for_event("the refusal", |event| event.name() == "channel.refused");
        assert_eq!(told.text("what"), "exec", "commands stay out of the events");

        let passed = house.ssh().run("echo passed").expect_code(0);
        assert_eq!(passed.out(), "passed\n");
        house.ssh().run("echo a secret").expect_failure();
        house.ssh().run("uptime -p").expect_failure();
    });
}

#[test]
fn a_terminal_changes_nothing_for_a_command() {
    need!("ssh", "sshd");
    let lines = "commands = { allow = [\"echo *\"] }";
    through_the_proxy_with(granting(lines), |house| {
        let refused = house.ssh().arg("-tt").run("id").expect_failure();
        assert!(!refused.out().contains("uid="), "{refused:?}");
        expect_refused_in_log(house, "exec id");
        let passed = house.ssh().arg("-tt").run("echo on").expect_code(0);
        assert_eq!(passed.out(), "on\r\n");
        let is_second = |event: &e2e::events::Event| {
            event.name() == "session.end" && event.number("bytes_from_target") == 4
        };
        let end = house
            .proxy()
            .wait_for_event("the end of the second", is_second);
        house.proxy().expect_record_of(end.session(), "exec");
        house.proxy().expect_record_of(end.session(), "pty");
    });
}

#[test]
fn dropbear_and_putty_are_held_to_the_same_commands() {
    need!(
        "ssh",
        "sshd",
        "dbclient",
        "dropbearkey",
        "plink",
        "puttygen"
    );
    let lines = "commands = { allow = [\"echo passed\", \"true\"] }";
    through_the_proxy_with(granting(lines), |house| {
        for client in [dbclient(house), plink(house)] {
            let passed = client.run("echo passed").expect_code(0);
            assert_eq!(passed.out(), "passed\n");
        }
        let refused = plink(house).run("echo passed; id").expect_failure();
        assert!(!refused.out().contains("uid="), "{refused:?}");
        // It wants no answer to its request, so it shows why and waits.
        let waiting = dbclient(house).live("echo passed; id");
        waiting.hear("portreeve: this policy does not allow this command");
        assert!(!waiting.heard().contains("uid="));
        drop(waiting);
        house.proxy().expect_refusal("exec");
    });
}

#[test]
fn the_sftp_server_by_its_path_is_the_subsystem() {
    need!("ssh", "sshd", "sftp");
    let path = "/usr/lib/openssh/sftp-server";
    let list = |house: &House| {
        let batch = house.room.write("batch", "ls /etc/hostname\n");
        Client::openssh(&house.door, "sftp")
            .args(&["-s", path, "-b"])
            .arg(batch)
            .run("")
    };
    through_the_proxy_with(granting("permit = [\"exec\"]"), |house| {
        let refused = list(house).expect_failure();
        assert!(
            refused
                .err()
                .contains("portreeve: this policy does not allow sftp"),
            "{refused:?}"
        );
        house.proxy().expect_refusal("exec");
        // Other commands are not affected.
        house.ssh().run("true").expect_code(0);
    });
    through_the_proxy_with(granting("permit = [\"exec\", \"sftp\"]"), |house| {
        let listed = list(house).expect_code(0);
        assert!(listed.out().contains("/etc/hostname"), "{listed:?}");
    });
}

#[test]
fn a_refused_command_leaves_the_others_of_its_connection_alone() {
    need!("ssh", "sshd");
    let lines = "commands = { deny = [\"id*\"] }";
    through_the_proxy_with(granting(lines), |house| {
        let socket = format!("ControlPath={}", house.path("socket").display());
        let ssh = house.ssh().option(&socket);
        let mut master = ssh.clone().arg("-M").live("echo master is up; cat");
        master.hear("master is up");
        for round in 0..5 {
            let refused = ssh.run("id").expect_failure();
            assert!(!refused.out().contains("uid="), "{refused:?}");
            let passed = ssh.run(&format!("echo {round}")).expect_code(0);
            assert_eq!(passed.out(), format!("{round}\n"));
        }
        master.say("still here\n");
        master.hear("still here");
        assert_eq!(house.sshd.connections(), 1);
    });
}
