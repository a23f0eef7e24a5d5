//! Proxies that drain: nobody is let in any more, and what runs may finish.

use super::*;

/// Where the house's proxy is asked while it drains.
fn socket_aside(house: &House) -> PathBuf {
    let name = format!("admin.sock.{}", house.proxy().id());
    house.proxy().folder().join(name)
}

#[test]
fn a_proxy_that_drains_lets_what_runs_finish_and_nobody_in() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = program(house, "wc -c");
        ssh.say("first half ");
        let said = asked(house, &["drain", "--wait", "10m"]);
        let draining = &of_kind(&said, "draining")[0];
        assert_eq!(
            (&draining["connections"], &draining["wait_ms"]),
            (&1.into(), &600_000.into())
        );
        assert_eq!(
            house.proxy().wait_for("operator.drain").json()["allowed"],
            true
        );
        wait_until("a closed door", LIMIT, || {
            let refused = house.ssh().run("echo in");
            refused.code == Some(255) && refused.err().contains("refused")
        });
        let listed = &mut command_at(&socket_aside(house), &["list"]);
        let listed = run(listed, Input::Nothing, LIMIT).expect_code(0).out();
        assert!(listed.contains("ada@example.com"), "{listed}");
        ssh.say("second half");
        ssh.end_input();
        assert_eq!(ssh.end(LIMIT).code(), Some(0));
        assert!(ssh.heard().contains("22"), "{}", ssh.heard());
        assert_eq!(house.proxy().end(LIMIT).code(), Some(0));
    });
}

#[test]
fn a_drain_without_a_time_waits_until_a_signal_ends_it() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = program(house, "cat");
        let said = asked(house, &["drain"]);
        assert!(of_kind(&said, "draining")[0].get("wait_ms").is_none());
        wait_until("a closed door", LIMIT, || {
            house.ssh().run("echo in").code == Some(255)
        });
        ssh.say("goes on");
        ssh.hear("goes on");
        house.proxy().terminate();
        expect_ended(&mut ssh, "shutting down");
        assert_eq!(house.proxy().end(LIMIT).code(), Some(0));
    });
}

#[test]
fn a_drain_of_no_time_ends_what_runs_and_a_signal_does_not_prolong_a_drain() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| {
            operated_by_nia(ALL)(plan);
            plan.proxy.timeouts.push("drain = \"10m\"".to_owned());
        },
        |house| {
            let mut ssh = program(house, "sleep 300");
            asked(house, &["drain", "--wait", "5m"]);
            house.proxy().terminate();
            assert_eq!(ssh.end(LIMIT).code(), Some(255));
            assert_eq!(house.proxy().end(LIMIT).code(), Some(0));
        },
    );
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = program(house, "sleep 300");
        asked(house, &["drain", "--wait", "0s"]);
        assert_eq!(ssh.end(LIMIT).code(), Some(255));
        assert_eq!(house.proxy().end(LIMIT).code(), Some(0));
    });
}

#[test]
fn a_successor_takes_the_addresses_and_the_socket_of_a_proxy_that_drains() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = program(house, "cat");
        asked(house, &["drain"]);
        let aside = socket_aside(house);
        wait_until("a socket that stepped aside", LIMIT, || aside.exists());
        let config = house.proxy().folder().join("proxy.toml");
        let mut successor = Live::piped(&mut other_proxy(&config));
        wait_until("a successor that answers", LIMIT, || {
            sessionctl(house, &["list"]).code == Some(0)
        });
        assert!(listed(house).is_empty());
        house.ssh().run("echo in").expect_code(0);
        ssh.say("goes on");
        ssh.hear("goes on");

        let all = ["--json", "end", "--all", "--reason", "moved"];
        let ended = run(&mut command_at(&aside, &all), Input::Nothing, LIMIT);
        assert!(ended.expect_code(0).out().contains("\"ended\""));
        assert_eq!(ssh.end(LIMIT).code(), Some(255));
        assert_eq!(house.proxy().end(LIMIT).code(), Some(0));
        assert!(!aside.exists());
        asked(house, &["list"]);
        successor.signal(rustix::process::Signal::TERM);
        assert_eq!(successor.end(LIMIT).code(), Some(0));
    });
}

#[test]
fn what_runs_longer_than_the_drain_is_ended_with_words() {
    need!("ssh", "sshd");
    through_the_proxy_with(operated_by_nia(ALL), |house| {
        let mut ssh = program(house, "sleep 300");
        asked(house, &["drain", "--wait", "1s"]);
        expect_ended(&mut ssh, "shutting down");
        assert_eq!(house.proxy().end(LIMIT).code(), Some(0));
    });
}

#[test]
fn a_request_to_end_drains_first_where_that_is_configured_and_a_second_one_does_not_wait() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| plan.proxy.timeouts.push("drain = \"10m\"".to_owned()),
        |house| {
            let mut ssh = program(house, "cat");
            house.proxy().terminate();
            wait_until("a closed door", LIMIT, || {
                house.ssh().run("echo in").code == Some(255)
            });
            ssh.say("goes on");
            ssh.hear("goes on");
            house.proxy().terminate();
            expect_ended(&mut ssh, "shutting down");
            assert_eq!(house.proxy().end(LIMIT).code(), Some(0));
        },
    );
}
