//! What other proxies of this kind have got wrong, each by its symptom: with real clients, through the real proxy.
//!
//! Some symptoms have relatives elsewhere: 50 MB both ways in `streams`, small files in `files`, stuck readers in
//! `pressure`, a log that cannot grow in `failures`, refused forwardings in `denials`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use e2e::client::Client;
use e2e::detour::Detour;
use e2e::foreign::{self, DropbearServer, dbclient};
use e2e::house::{
    House, by_both_ways, by_both_ways_with, through_the_proxy, through_the_proxy_with,
};
use e2e::live::Live;
use e2e::need;
use e2e::process::{quoted, shell, wait_until};
use e2e::proxy::SESSION_CEILING;
use e2e::records::Record;
use e2e::samples::{noise, write_noise};
use e2e::sftp;
use e2e::shared::Shared;
use e2e::tools;
use rustix::process::Signal;

const MIB: usize = 1024 * 1024;

/// For tens of megabytes on a busy machine.
const LONG: Duration = Duration::from_secs(90);

#[test]
fn eight_megabytes_through_cat_do_not_hang() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let (file, sent) = write_noise(&house.room, "eight", 8 * MIB);
        // A pipe on the way out: what comes back may have to wait while more goes up.
        let line = house.ssh().line("cat");
        let back = shell(&format!("{line} < {} | cat", file.display()), LONG).expect_code(0);
        assert!(back.stdout == sent, "{} bytes", back.stdout.len());
    });
}

#[test]
fn large_downloads_by_scp_and_sftp_do_not_hang() {
    need!("ssh", "sshd", "scp", "sftp");
    by_both_ways(|house| {
        let (file, sent) = write_noise(&house.room, "large", 72 * MIB);
        for (program, arguments) in [("scp", &["-s"][..]), ("scp", &["-O"]), ("sftp", &[])] {
            let copy = house.path("copy");
            Client::openssh(&house.door, program)
                .args(arguments)
                .to(format!("target:{}", file.display()))
                .within(LONG)
                .run(&copy.display().to_string())
                .expect_code(0);
            let copied = fs::read(&copy).expect("a copy");
            assert!(copied == sent, "{program}: {} bytes", copied.len());
            fs::remove_file(copy).expect("a copy");
        }
    });
}

#[test]
fn a_stalled_session_does_not_hold_up_the_one_beside_it() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let shared = Shared::start(house);
        let mut stalled = shared
            .client
            .stalled("head -c 20000000 /dev/zero | tr '\\0' s");
        // Long enough for its window to be full.
        thread::sleep(Duration::from_secs(1));
        for round in 0..5 {
            let live = shared
                .client
                .clone()
                .within(Duration::from_secs(20))
                .run(&format!("echo round {round}"));
            assert_eq!(live.expect_code(0).out(), format!("round {round}\n"));
        }
        let sent = noise(5 * MIB);
        let beside = shared.client.feed("cat", &sent).expect_code(0);
        assert!(beside.stdout == sent);
        let late = stalled.drain();
        assert_eq!(
            (late.len(), late.iter().all(|byte| *byte == b's')),
            (20_000_000, true)
        );
    });
}

/// 0x03 is Ctrl-C, 0x04 the end of a terminal's input, 0x11 and 0x13 flow control.
fn control_bytes_first() -> Vec<u8> {
    b"\x03\x04\x11\x13\x1a\x1c\x00\xff~.\n~B\nrest".repeat(40)
}

#[test]
fn binary_input_that_is_waiting_from_the_start_is_not_taken_for_keys() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let sent = control_bytes_first();
        let received = house.ssh().feed("cat", &sent).expect_code(0);
        assert!(received.stdout == sent, "{received:?}");
    });
}

#[test]
fn an_upload_that_begins_with_control_c_is_kept_while_the_target_is_still_being_reached() {
    need!("ssh", "sshd", "sftp");
    let detour = Detour::open();
    through_the_proxy_with(
        |plan| plan.proxy.target_port = Some(detour.port),
        |house| {
            detour.lead(house.sshd.port, Duration::from_secs(2));
            let mut sent = control_bytes_first();
            sent.extend(noise(MIB));
            let received = house.ssh().feed("cat", &sent).expect_code(0);
            assert!(received.took > Duration::from_secs(2));
            assert!(received.stdout == sent, "{} bytes", received.stdout.len());

            let (source, copy) = (house.room.write("source", &sent), house.path("copy"));
            let batch = house.room.write(
                "batch",
                format!("put {} {}\n", source.display(), copy.display()),
            );
            let sftp = Client::openssh(&house.door, "sftp").arg("-b").arg(batch);
            sftp.run("").expect_code(0);
            assert!(fs::read(copy).expect("an uploaded file") == sent);
        },
    );
}

#[test]
fn ten_commands_at_once_over_one_connection_keep_their_exit_statuses() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let shared = Shared::start(house);
        for round in 0..6 {
            thread::scope(|scope| {
                for number in 0..10 {
                    let client = &shared.client;
                    scope.spawn(move || {
                        let code = 10 * round + number;
                        let ended = client
                            .run(&format!("echo I am {number}; exit {code}"))
                            .expect_code(code);
                        assert_eq!(ended.out(), format!("I am {number}\n"));
                    });
                }
            });
        }
    });
}

#[test]
fn tasks_as_ansible_pipelines_them_keep_their_exit_statuses() {
    need!("ssh", "sshd", "python3");
    by_both_ways(|house| {
        let shared = Shared::start(house);
        thread::scope(|scope| {
            for number in 0..10 {
                let client = &shared.client;
                scope.spawn(move || {
                    // A module comes in on standard input, larger than a window's first part, and answers with JSON.
                    let module = format!(
                        "{}\nimport json, sys\nprint(json.dumps({{'item': {number}}}))\nsys.exit({number})\n",
                        "# a line of the module's wrapper\n".repeat(8_000)
                    );
                    let task = "/bin/sh -c 'python3 && sleep 0'";
                    let ended = client.feed(task, module.as_bytes()).expect_code(number);
                    assert_eq!(ended.out(), format!("{{\"item\": {number}}}\n"));
                });
            }
        });
    });
}

#[test]
fn the_channel_closes_after_large_output() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        // The connection stays: it is the close of the channel that ends the client.
        let shared = Shared::start(house);
        let client = shared.client.clone().within(LONG);
        for _ in 0..2 {
            let all = client
                .run("head -c 64000000 /dev/zero; exit 9")
                .expect_code(9);
            assert_eq!(all.stdout.len(), 64_000_000);
        }
    });
}

#[test]
fn memory_stays_flat_while_an_upload_waits_for_a_stopped_target() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        house.ssh().run("true").expect_code(0);
        let before = house.proxy().resident_bytes();
        let counted = house.path("counted");
        let line = house.ssh().line(&format!(
            "echo up; head -c 1000000 >/dev/null; echo some; wc -c > {}",
            counted.display()
        ));
        let mut upload = Live::piped(
            Command::new("sh").args(["-c", &format!("head -c 120000000 /dev/zero | {line}")]),
        );
        upload.hear("some");
        house.sshd.signal_sessions(Signal::STOP);
        let most = house
            .proxy()
            .most_resident_bytes_during(Duration::from_secs(6));
        let growth = most.saturating_sub(before);
        assert!(growth < SESSION_CEILING, "grew by {growth} bytes");
        assert!(upload.is_running(), "the whole upload went nowhere");

        house.sshd.signal_sessions(Signal::CONT);
        assert!(upload.end(LONG).success());
        let counted = fs::read_to_string(counted).expect("a count");
        assert_eq!(counted.trim(), "119000000");
    });
}

#[test]
fn memory_stays_flat_while_an_upload_waits_for_a_program_that_does_not_read() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        house.ssh().run("true").expect_code(0);
        let before = house.proxy().resident_bytes();
        let line = house.ssh().line("echo up; sleep 30");
        let upload =
            Live::piped(Command::new("sh").args(["-c", &format!("exec {line} </dev/zero")]));
        upload.hear("up");
        let most = house
            .proxy()
            .most_resident_bytes_during(Duration::from_secs(4));
        let growth = most.saturating_sub(before);
        assert!(growth < SESSION_CEILING, "grew by {growth} bytes");
    });
}

#[test]
fn on_a_full_disk_the_session_ends_and_no_other_begins() {
    need!("ssh", "sshd", "unshare", "mount");
    /// What fits on the disk.
    const DISK: usize = 4 * MIB;
    let Some(namespace) = mount_namespace() else {
        return tools::skip("this user may mount nothing, not even in a namespace");
    };
    through_the_proxy_with(
        |plan| {
            let logs = quoted(plan.room.path("proxy/logs").as_os_str());
            plan.proxy.before = format!(
                "exec unshare {namespace} -- sh -c 'mount -t tmpfs -o size={DISK},mode=0700 logs \"$0\" && exec \"$@\"' {logs} \"$@\";"
            );
        },
        |house| {
            let disk = format!("/proc/{}/root", house.proxy().id());
            let logs = house.proxy().folder().join("logs");
            let logs = Path::new(&disk).join(logs.strip_prefix("/").expect("an absolute path"));

            let ended = house
                .ssh()
                .run("head -c 20000000 /dev/zero; sleep 1; echo never")
                .expect_code(255);
            assert!(
                ended.err().contains("can no longer be recorded"),
                "{}",
                ended.err()
            );
            assert!(
                (1..DISK).contains(&ended.stdout.len()),
                "{} bytes came out of a disk of {DISK}",
                ended.stdout.len()
            );
            let end = house.proxy().wait_for("session.end");
            assert_eq!(
                (end.text("reason"), end.json()["log_complete"].as_bool()),
                ("recorder_failed", Some(false))
            );
            for _ in 0..3 {
                let refused = house.ssh().run("echo never").expect_code(255);
                assert!(refused.err().contains("record"), "{refused:?}");
                assert_eq!(refused.out(), "");
            }

            for log in fs::read_dir(logs)
                .expect("the folder on the disk")
                .flatten()
            {
                fs::remove_file(log.path()).expect("a log");
            }
            let again = house.ssh().run("echo again").expect_code(0);
            assert_eq!(again.out(), "again\n");
            house.proxy().forget_unsound();
        },
    );
}

/// Options of `unshare` for a namespace in which this user may mount.
fn mount_namespace() -> Option<&'static str> {
    ["-m", "-m --map-current-user --keep-caps"]
        .into_iter()
        .find(|options| {
            let tried = format!("unshare {options} -- mount -t tmpfs tried /mnt");
            shell(&tried, Duration::from_secs(10)).code == Some(0)
        })
}

#[test]
fn each_remote_forward_of_port_zero_is_answered_and_counted() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        // What ssh is told twice it asks once, so they differ.
        let warned = house
            .ssh()
            .args(&["-R", "0:127.0.0.1:7"])
            .args(&["-R", "0:127.0.0.1:8"])
            .args(&["-R", "0:127.0.0.1:9"])
            .run("echo on")
            .expect_code(0);
        assert_eq!(warned.out(), "on\n");
        assert_eq!(
            warned
                .err()
                .matches("remote port forwarding failed")
                .count(),
            3,
            "{warned:?}"
        );
        let end = house.proxy().wait_for("session.end");
        let refused = house.proxy().records_of(end.session());
        let refused = refused
            .iter()
            .filter(|record| record.kind() == "refused" && record.text("what").contains("tcpip"));
        assert_eq!(refused.count(), 3);
    });
}

#[test]
fn an_unknown_subsystem_is_answered_with_a_refusal() {
    need!("ssh", "sshd");
    by_both_ways(|house| {
        let refused = house
            .ssh()
            .within(Duration::from_secs(15))
            .arg("-s")
            .run("no-such-thing")
            .expect_failure();
        assert!(
            refused.err().contains("subsystem request failed"),
            "{refused:?}"
        );
    });
}

#[test]
fn dropbear_sees_no_violation_of_strict_key_exchange_as_client() {
    need!("ssh", "sshd", "dbclient", "dropbearkey");
    by_both_ways_with(foreign::plan, |house| {
        let sent = noise(3 * MIB);
        let ended = dbclient(house).feed("cat; exit 7", &sent).expect_code(7);
        assert!(ended.stdout == sent, "{} bytes", ended.stdout.len());
        assert!(!ended.err().contains("iolation"), "{ended:?}");
    });
}

#[test]
fn dropbear_sees_no_violation_of_strict_key_exchange_as_target() {
    need!("ssh", "sshd", "dropbear", "dropbearkey");
    let detour = Detour::open();
    through_the_proxy_with(
        |plan| plan.proxy.target_port = Some(detour.port),
        |house| {
            let dropbear = DropbearServer::start(&house.room);
            detour.lead(dropbear.port, Duration::ZERO);
            // It knows no certificates, so nobody gets in; but it hears, under the new keys, what it does not take.
            let refused = house.ssh().run("echo never").expect_code(255);
            assert!(refused.err().contains("access denied: "), "{refused:?}");
            let denied = house.proxy().wait_for("access.denied");
            assert_eq!(denied.text("reason"), "certificate_rejected");
            wait_until("the end of the login", Duration::from_secs(10), || {
                dropbear.said().contains("Exit before auth")
            });
            let said = dropbear.said();
            assert!(!said.contains("iolation"), "{said}");
        },
    );
}

#[test]
fn nothing_of_the_proxy_appears_on_a_terminal() {
    need!("ssh", "sshd");
    // The same bytes on the terminal as without the proxy: no banner, no notice in the stream.
    let screen = |house: &House| {
        let ssh = house
            .ssh()
            .arg("-tt")
            .run("printf 'first\\nlast\\n'")
            .expect_code(0);
        (ssh.out(), ssh.err())
    };
    let direct = screen(&House::direct(|_| ()));
    through_the_proxy(|house| {
        let (out, err) = screen(house);
        assert_eq!(out, direct.0);
        // The client's own farewell names the address it connected to, which is the same for both.
        assert_eq!(err, direct.1);
    });
}

#[test]
fn files_that_move_by_sftp_stand_whole_in_the_record() {
    need!("ssh", "sshd", "scp", "sftp");
    through_the_proxy(|house| {
        let (source, content) = write_noise(&house.room, "source", 2 * MIB);
        let (copy, back) = (house.path("copy"), house.path("back"));
        let there = format!("target:{}", copy.display());
        let scp = Client::openssh(&house.door, "scp").arg("-s").to(&source);
        scp.run(&there).expect_code(0);
        let sftp = Client::openssh(&house.door, "sftp").to(&there);
        sftp.run(&back.display().to_string()).expect_code(0);
        assert!(fs::read(back).expect("a copy of the copy") == content);

        wait_until("both ends", Duration::from_secs(15), || {
            house.proxy().events_named("session.end").len() == 2
        });
        let ends = house.proxy().events_named("session.end");
        for (end, from_client) in ends.iter().zip([true, false]) {
            let raw = house.path("raw");
            let exported = ["export", "-i", "recipient", "--signers", "allowed_signers"];
            let mut arguments = exported.to_vec();
            let raw_name = raw.display().to_string();
            arguments.extend(["--to", "raw", "--out", &raw_name]);
            let log = house.proxy().log_of(end.session());
            house.proxy().sshlog(&arguments, &log).expect_code(0);
            let requests = fs::read(raw.with_extension("stdin")).expect("what the client said");
            let replies = fs::read(&raw).expect("what the target said");
            for half in [
                raw.clone(),
                raw.with_extension("stdin"),
                raw.with_extension("stderr"),
            ] {
                fs::remove_file(half).expect("an exported stream");
            }
            let moved = sftp::moved(&requests, &replies);
            assert_eq!(moved.opened, [copy.display().to_string()]);
            let bytes = if from_client {
                moved.written
            } else {
                moved.read
            };
            assert!(bytes == content, "{} bytes", bytes.len());
            // The same bytes as the records hold.
            let records = house.proxy().records_of(end.session());
            assert!(Record::data_of(&records, "input") == requests);
            assert!(Record::data_of(&records, "output") == replies);
        }
    });
}
