//! Clients and algorithms: OpenSSH, dropbear and PuTTY, with every algorithm that the proxy offers.

use std::thread;
use std::time::Duration;

use e2e::client::Client;
use e2e::foreign::{dbclient, plan, plink};
use e2e::house::{
    House, Plan, by_both_ways, by_both_ways_with, through_the_proxy, through_the_proxy_with,
};
use e2e::need;
use e2e::process::shell;
use e2e::samples::noise;

/// Exit codes get lost by a race, so one run proves little.
const RUNS: i32 = 20;

fn expect_exit_codes(client: &Client) {
    for code in 1..=RUNS {
        let ended = client
            .run(&format!(
                "echo out {code}; echo err {code} >&2; exit {code}"
            ))
            .expect_code(code);
        assert_eq!(ended.out(), format!("out {code}\n"));
        assert!(ended.err().contains(&format!("err {code}")), "{ended:?}");
    }
}

#[test]
fn dropbear_gets_every_exit_code() {
    need!("ssh", "sshd", "dbclient", "dropbearkey");
    by_both_ways_with(plan, |house| expect_exit_codes(&dbclient(house)));
}

#[test]
fn dropbear_gets_large_output_and_its_exit_code() {
    need!("ssh", "sshd", "dbclient", "dropbearkey");
    by_both_ways_with(plan, |house| {
        let sent = noise(8 << 20);
        let received = dbclient(house).feed("cat; exit 6", &sent).expect_code(6);
        assert!(
            received.stdout == sent,
            "{} of {} bytes",
            received.stdout.len(),
            sent.len()
        );
    });
}

#[test]
fn dropbear_gets_a_terminal() {
    need!("ssh", "sshd", "dbclient", "dropbearkey");
    by_both_ways_with(plan, |house| {
        let mut client = dbclient(house).arg("-t").terminal("stty size; exit 8");
        client.hear("30 90");
        assert_eq!(client.end(Duration::from_secs(10)).code(), Some(8));
    });
}

#[test]
fn putty_gets_every_exit_code() {
    need!("ssh", "sshd", "plink", "puttygen");
    by_both_ways_with(plan, |house| expect_exit_codes(&plink(house)));
}

#[test]
fn putty_gets_large_output_and_its_exit_code() {
    need!("ssh", "sshd", "plink", "puttygen");
    by_both_ways_with(plan, |house| {
        let sent = noise(8 << 20);
        let received = plink(house).feed("cat; exit 6", &sent).expect_code(6);
        assert!(
            received.stdout == sent,
            "{} of {} bytes",
            received.stdout.len(),
            sent.len()
        );
        if let Some(proxy) = &house.proxy {
            // It asks about windows all the way, what no server knows.
            assert!(proxy.events_named("channel.refused").is_empty());
        }
    });
}

#[test]
fn openssh_gets_every_exit_code() {
    need!("ssh", "sshd");
    by_both_ways(|house| expect_exit_codes(&house.ssh()));
}

#[test]
fn a_master_that_starts_by_itself_serves_commands_as_ansible_sends_them() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let socket = format!("ControlPath={}", house.path("socket").display());
        let ssh = house
            .ssh()
            .args(&[
                "-C",
                "-tt",
                "-o",
                "ControlMaster=auto",
                "-o",
                "ControlPersist=4s",
                "-o",
            ])
            .arg(&socket)
            .option("KbdInteractiveAuthentication=no");
        ssh.run("echo first").expect_code(0);
        thread::scope(|scope| {
            for number in 0..8 {
                let ssh = &ssh;
                scope.spawn(move || {
                    let ended = ssh.run(&format!(
                        "/bin/sh -c 'echo ~ && sleep 0.1 && exit {number}'"
                    ));
                    ended.expect_code(number);
                });
            }
        });
        shell(
            &format!("ssh -F none -O exit -o {socket} target"),
            Duration::from_secs(10),
        )
        .expect_code(0);
    });
}

#[test]
fn a_client_may_use_each_key_exchange_that_the_proxy_offers() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        for name in ["curve25519-sha256", "curve25519-sha256@libssh.org"] {
            let ended = house
                .ssh()
                .arg("-v")
                .option(format!("KexAlgorithms={name}"))
                .run("echo ok")
                .expect_code(0);
            assert!(
                ended.err().contains(&format!("kex: algorithm: {name}")),
                "{ended:?}"
            );
        }
    });
}

#[test]
fn a_client_may_use_each_cipher_that_the_proxy_offers() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        for name in [
            "aes128-gcm@openssh.com",
            "aes256-gcm@openssh.com",
            "chacha20-poly1305@openssh.com",
        ] {
            let ssh = house.ssh().arg("-v").option(format!("Ciphers={name}"));
            let ended = ssh.feed("cat", &noise(300_000)).expect_code(0);
            assert!(ended.stdout == noise(300_000));
            assert!(
                ended.err().contains(&format!("cipher: {name}")),
                "{ended:?}"
            );
        }
    });
}

#[test]
fn a_client_may_use_each_host_key_type_that_the_proxy_derives() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        for name in ["ssh-ed25519", "ecdsa-sha2-nistp256"] {
            let known = format!("UserKnownHostsFile={}", house.path(name).display());
            let ended = house
                .ssh()
                .arg("-v")
                .option(known)
                .option(format!("HostKeyAlgorithms={name}"))
                .run("echo ok");
            assert!(
                ended
                    .expect_code(0)
                    .err()
                    .contains(&format!("host key algorithm: {name}"))
            );
        }
    });
}

#[test]
fn a_client_without_a_common_algorithm_is_told_so_and_reaches_nothing() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let refused = house
            .ssh()
            .option("Ciphers=aes128-cbc")
            .run("echo never")
            .expect_failure();
        assert!(
            refused.err().contains("no matching cipher") || refused.err().contains("disconnect"),
            "{refused:?}"
        );
        house.proxy().wait_for("access.denied");
        assert_eq!(house.sshd.log().matches("Accepted ").count(), 0);
    });
}

#[test]
fn strict_key_exchange_is_in_force_with_the_client_and_with_the_target() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| plan.sshd.lines.push("LogLevel DEBUG3".to_owned()),
        |house| {
            // Every OpenSSH that is still looked after knows it.
            const SAID: &str = "will use strict KEX ordering";
            let ended = house.ssh().arg("-vvv").run("true").expect_code(0);
            assert!(ended.err().contains(SAID), "{ended:?}");
            assert!(house.sshd.log().contains(SAID), "{}", house.sshd.log());
        },
    );
}

#[test]
fn a_target_may_have_each_kind_of_host_key() {
    need!("ssh", "sshd");
    for kind in ["ed25519", "ecdsa", "rsa"] {
        through_the_proxy_with(
            |plan| plan.sshd.host_keys = vec![kind],
            |house| works(house, kind),
        );
    }
}

#[test]
fn a_target_may_want_each_key_exchange_and_cipher() {
    need!("ssh", "sshd");
    for (exchange, cipher) in [
        ("curve25519-sha256", "aes128-gcm@openssh.com"),
        ("curve25519-sha256@libssh.org", "aes256-gcm@openssh.com"),
        ("curve25519-sha256", "chacha20-poly1305@openssh.com"),
    ] {
        let lines = [
            format!("KexAlgorithms {exchange}"),
            format!("Ciphers {cipher}"),
        ];
        through_the_proxy_with(
            |plan| plan.sshd.lines.extend(lines.clone()),
            |house| works(house, exchange),
        );
    }
}

#[test]
fn an_old_target_is_reached_once_its_table_says_so() {
    need!("ssh", "sshd");
    let old = |exchange: &str, mac: &str, algorithms: Option<&str>| {
        let (exchange, mac) = (exchange.to_owned(), mac.to_owned());
        let algorithms = algorithms.map(|set| format!("algorithms = \"{set}\""));
        move |plan: &mut Plan| {
            plan.sshd.lines.extend([
                format!("KexAlgorithms {exchange}"),
                "Ciphers aes256-ctr".to_owned(),
                format!("MACs {mac}"),
            ]);
            plan.proxy.target_lines.extend(algorithms.clone());
        }
    };
    let group14 = ("diffie-hellman-group14-sha256", "hmac-sha2-256");
    through_the_proxy_with(old(group14.0, group14.1, Some("legacy")), |house| {
        works(house, group14.0);
    });
    let curve = ("ecdh-sha2-nistp521", "hmac-sha2-512-etm@openssh.com");
    through_the_proxy_with(old(curve.0, curve.1, Some("compatible")), |house| {
        works(house, curve.0);
    });
    through_the_proxy_with(old(group14.0, group14.1, None), |house| {
        house.ssh().run("true").expect_failure();
        assert!(!house.sshd.log().contains("Accepted"));
    });
}

#[test]
fn old_clients_are_served_once_the_configuration_says_so() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| plan.proxy.more_tables += "[clients]\nalgorithms = \"legacy\"\n",
        |house| {
            for name in ["ecdh-sha2-nistp256", "diffie-hellman-group16-sha512"] {
                let ssh = house.ssh().option(format!("KexAlgorithms={name}"));
                let ssh = ssh
                    .option("Ciphers=aes128-ctr")
                    .option("MACs=hmac-sha2-512");
                let ended = ssh.feed("cat", &noise(300_000)).expect_code(0);
                assert!(ended.stdout == noise(300_000), "{name}");
            }
        },
    );
}

#[test]
fn the_authority_may_have_each_kind_of_key() {
    need!("ssh", "sshd");
    for kind in ["ed25519", "ecdsa", "rsa"] {
        through_the_proxy_with(
            |plan| {
                for half in ["ca", "ca.pub"] {
                    std::fs::remove_file(plan.room.path(half)).expect("the authority of the plan");
                }
                plan.room.key("ca", kind);
            },
            |house| works(house, kind),
        );
    }
}

#[test]
fn each_side_is_shown_the_software_of_the_other() {
    need!("ssh", "sshd");
    // OpenSSH sends `eow`, `no-more-sessions` and `hostkeys-prove` to nobody but its own kind.
    through_the_proxy(|house| {
        let ended = house.ssh().arg("-v").run("true").expect_code(0);
        assert!(
            ended.err().contains("remote software version OpenSSH_"),
            "{ended:?}"
        );
        assert!(
            house
                .sshd
                .log()
                .contains("remote software version OpenSSH_"),
            "{}",
            house.sshd.log()
        );
    });
}

#[test]
fn a_client_that_updates_its_host_keys_finds_nothing_wrong() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| plan.sshd.host_keys = vec!["ed25519", "ecdsa", "rsa"],
        |house| {
            let known =
                || std::fs::read_to_string(house.path("known_hosts")).expect("a learnt key");
            house.ssh().run("true").expect_code(0);
            let first = known();
            for _ in 0..2 {
                let ended = house
                    .ssh()
                    .arg("-v")
                    .option("UpdateHostKeys=yes")
                    .run("echo ok; sleep 0.3")
                    .expect_code(0);
                assert_eq!(ended.out(), "ok\n");
                for word in ["bad signature", "host key update failed", "hostkeys_find"] {
                    assert!(!ended.err().contains(word), "{ended:?}");
                }
            }
            // The key that the client trusts is still the one that it is shown.
            assert!(known().contains(first.trim()));
            house
                .ssh()
                .option("StrictHostKeyChecking=yes")
                .run("true")
                .expect_code(0);
        },
    );
}

#[track_caller]
fn works(house: &House, what: &str) {
    assert_eq!(
        house
            .ssh()
            .run(&format!("echo {what}"))
            .expect_code(0)
            .out(),
        format!("{what}\n")
    );
}
