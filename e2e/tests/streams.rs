//! Bytes in quantity: both ways, byte for byte, without a hang, and with ends that arrive.

use std::thread;
use std::time::{Duration, Instant};

use e2e::house::{by_both_ways, by_both_ways_with};
use e2e::need;
use e2e::process::shell;
use e2e::samples::{noise, write_noise};
use e2e::shared::Shared;

const MIB: usize = 1024 * 1024;

#[test]
fn the_end_of_input_reaches_the_remote_program() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let echoed = shell(
            &format!("echo x | {}", house.ssh().line("cat; echo done")),
            Duration::from_secs(20),
        );
        assert_eq!(echoed.expect_code(0).out(), "x\ndone\n");
    });
}

#[test]
fn output_after_the_end_of_input_still_arrives() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let late = house
            .ssh()
            .feed("cat >/dev/null; sleep 0.7; echo late; exit 4", b"all")
            .expect_code(4);
        assert_eq!(late.out(), "late\n");
    });
}

#[test]
fn an_endless_command_ends_at_once_when_nobody_reads_it() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let started = Instant::now();
        let head = shell(
            &format!("{} | head -1", house.ssh().line("yes")),
            Duration::from_secs(20),
        );
        assert_eq!(head.out(), "y\n");
        assert!(
            started.elapsed() < Duration::from_secs(8),
            "took {:?}",
            started.elapsed()
        );
    });
}

#[test]
fn fifty_megabytes_come_down_byte_for_byte() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let (file, sent) = write_noise(&house.room, "big", 50 * MIB);
        let received = house
            .ssh()
            .run(&format!("cat {}", file.display()))
            .expect_code(0);
        assert!(
            received.stdout == sent,
            "{} of {} bytes",
            received.stdout.len(),
            sent.len()
        );
        house.expect_counted(0, 50 * MIB);
    });
}

#[test]
fn fifty_megabytes_go_up_byte_for_byte() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let sent = noise(50 * MIB);
        let file = house.path("uploaded");
        house
            .ssh()
            .feed(&format!("cat > {}", file.display()), &sent)
            .expect_code(0);
        assert!(std::fs::read(&file).expect("the uploaded file") == sent);
        house.expect_counted(50 * MIB, 0);
    });
}

#[test]
fn fifty_megabytes_go_both_ways_at_once_byte_for_byte() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let sent = noise(50 * MIB);
        let received = house.ssh().feed("cat", &sent).expect_code(0);
        assert!(
            received.stdout == sent,
            "{} of {} bytes",
            received.stdout.len(),
            sent.len()
        );
    });
}

#[test]
fn what_passes_and_what_is_recorded_are_the_same_bytes() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let sent = noise(2 * MIB);
        let received = house.ssh().feed("cat", &sent).expect_code(0);
        assert!(received.stdout == sent);
        house.expect_recorded("input", &sent);
        house.expect_recorded("output", &sent);
    });
}

#[test]
fn standard_error_in_quantity_stays_apart() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let both = house
            .ssh()
            .run("head -c 3000000 /dev/zero & head -c 2000000 /dev/zero >&2; wait")
            .expect_code(0);
        assert_eq!(both.stdout.len(), 3_000_000);
        assert_eq!(
            both.stderr.iter().filter(|byte| **byte == 0).count(),
            2_000_000
        );
        house.expect_recorded("output", &both.stdout);
        house.expect_recorded("stderr", &vec![0; 2_000_000]);
    });
}

#[test]
fn many_connections_at_once_are_each_their_own_session() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        house.ssh().run("true").expect_code(0);
        thread::scope(|scope| {
            for number in 0..12 {
                scope.spawn(move || {
                    let ended = house
                        .ssh()
                        .run(&format!("echo {number}; exit {number}"))
                        .expect_code(number);
                    assert_eq!(ended.out(), format!("{number}\n"));
                });
            }
        });
        if let Some(proxy) = &house.proxy {
            let mut sessions: Vec<_> = proxy
                .wait_for_all("session.start", 13)
                .iter()
                .map(|event| event.session().to_owned())
                .collect();
            sessions.sort();
            sessions.dedup();
            assert_eq!(sessions.len(), 13);
        }
    });
}

#[test]
fn a_client_that_rekeys_every_megabyte_loses_nothing() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let sent = noise(20 * MIB);
        let ssh = house.ssh().arg("-v").option("RekeyLimit=1M");
        let received = ssh.feed("cat", &sent).expect_code(0);
        assert!(
            received.stdout == sent,
            "{} of {} bytes",
            received.stdout.len(),
            sent.len()
        );
        let rekeys = received.err().matches("SSH2_MSG_NEWKEYS received").count();
        assert!(rekeys > 5, "only {rekeys} key exchanges");
    });
}

#[test]
fn a_target_that_rekeys_every_megabyte_loses_nothing() {
    need!("ssh", "sshd");
    by_both_ways_with(
        |plan| plan.sshd.lines.push("RekeyLimit 1M".to_owned()),
        |house| {
            let sent = noise(20 * MIB);
            let received = house.ssh().feed("cat", &sent).expect_code(0);
            assert!(
                received.stdout == sent,
                "{} of {} bytes",
                received.stdout.len(),
                sent.len()
            );
            let rekeys = house
                .sshd
                .log()
                .matches("SSH2_MSG_NEWKEYS received")
                .count();
            assert!(rekeys > 5, "only {rekeys} key exchanges");
        },
    );
}

#[test]
fn peers_that_want_new_keys_for_every_kilobyte_lose_nothing() {
    need!("ssh", "sshd");
    by_both_ways_with(
        |plan| plan.sshd.lines.push("RekeyLimit 1K".to_owned()),
        |house| {
            let sent = noise(MIB);
            let ssh = || house.ssh().option("RekeyLimit=1K");
            let echoed = ssh().arg("-v").feed("cat", &sent).expect_code(0);
            assert!(echoed.stdout == sent, "{}", echoed.stdout.len());
            let rekeys = echoed.err().matches("SSH2_MSG_NEWKEYS received").count();
            assert!(rekeys > 30, "only {rekeys} key exchanges");
            // A line at a time, as a terminal shows them.
            let lines = ssh().run("for n in $(seq 3000); do echo line $n of a long text; done");
            assert_eq!(lines.expect_code(0).out().lines().count(), 3000);
        },
    );
}

#[test]
fn both_sides_rekeying_under_load_over_several_channels_lose_nothing() {
    need!("ssh", "sshd");
    by_both_ways_with(
        |plan| plan.sshd.lines.push("RekeyLimit 1M".to_owned()),
        |house| {
            let shared = Shared::start_with(house, |client| client.option("RekeyLimit=1M"));
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        let sent = noise(6 * MIB);
                        assert!(shared.client.feed("cat", &sent).expect_code(0).stdout == sent);
                    });
                }
            });
        },
    );
}

#[test]
fn keepalives_of_the_client_are_answered() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let ssh = house
            .ssh()
            .option("ServerAliveInterval=1")
            .option("ServerAliveCountMax=1")
            .arg("-vvv");
        let ended = ssh.run("sleep 4; echo alive").expect_code(0);
        assert_eq!(ended.out(), "alive\n");
    });
}

#[test]
fn keepalives_of_the_target_are_answered() {
    need!("ssh", "sshd");
    by_both_ways_with(
        |plan| {
            plan.sshd.lines.extend([
                "ClientAliveInterval 1".to_owned(),
                "ClientAliveCountMax 1".to_owned(),
            ])
        },
        |house| {
            assert_eq!(
                house.ssh().run("sleep 4; echo alive").expect_code(0).out(),
                "alive\n"
            )
        },
    );
}

#[test]
fn keystrokes_come_back_without_delay() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let mut ssh = house.ssh().live("echo up; cat");
        ssh.hear("up");
        let mut times: Vec<_> = (0..60)
            .map(|number| {
                let key = format!("key {number}\n");
                let started = Instant::now();
                ssh.say(&key);
                ssh.hear(&key);
                started.elapsed()
            })
            .collect();
        times.sort();
        // A socket that waits for acknowledgements costs every key 40 ms; a busy machine only some of them.
        assert!(
            times[6] < Duration::from_millis(25),
            "nine tenths of them took {:?} or more",
            times[6]
        );
    });
}

#[test]
fn many_small_writes_arrive_in_order() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let ended = house
            .ssh()
            .run("for i in $(seq 1 3000); do echo $i; done")
            .expect_code(0);
        let expected: String = (1..=3000).map(|number| format!("{number}\n")).collect();
        assert_eq!(ended.out(), expected);
    });
}
