//! Events and session logs: complete, in order, before release, readable by the recipient and by nobody else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use e2e::events::Event;
use e2e::house::{House, through_the_proxy, through_the_proxy_with};
use e2e::need;
use e2e::records::Record;
use e2e::samples::noise;

/// One finished session: its end event and its log.
fn session(house: &House, remote: &str) -> (Event, PathBuf) {
    let ended = house.proxy().events_named("session.end").len();
    house.ssh().run(remote).expect_code(0);
    let mut events = Vec::new();
    e2e::process::wait_until("the end of the session", Duration::from_secs(10), || {
        events = house.proxy().events_named("session.end");
        events.len() > ended
    });
    let end = events.pop().expect("an end");
    let log = house.proxy().log_of(end.session());
    (end, log)
}

#[test]
fn events_of_a_command_come_in_order_with_their_fields() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        house.ssh().feed("cat; exit 3", b"four").expect_code(3);
        house.proxy().wait_for("session.end");
        let events: Vec<_> = house
            .proxy()
            .events()
            .into_iter()
            .filter(|event| event.name() != "channel.refused")
            .collect();
        let names: Vec<_> = events.iter().map(Event::name).collect();
        assert_eq!(
            names,
            [
                "access.allowed",
                "session.start",
                "channel.open",
                "channel.exec",
                "channel.close",
                "session.end"
            ]
        );
        for event in &events {
            assert_eq!(event.session(), events[0].session());
            assert_eq!(event.text("identity"), "ada@example.com");
            assert_eq!(event.text("target"), "target-1");
            assert_eq!(event.text("user"), house.door.user);
            assert_eq!(event.number("port"), u64::from(house.sshd.port));
            assert!(event.text("client_addr").starts_with("127.0.0.1:"));
        }
        let times: Vec<_> = events
            .iter()
            .map(|event| event.number("time_unix_ms"))
            .collect();
        assert!(
            times.is_sorted() && times[0] > 1_600_000_000_000,
            "{times:?}"
        );
        let end = &events[5];
        assert_eq!(end.json()["exit"]["status"], 3);
        assert_eq!(
            (
                end.number("bytes_from_client"),
                end.number("bytes_from_target")
            ),
            (4, 4)
        );
        assert_eq!(end.json()["log_complete"], true);
        assert!(end.number("duration_ms") < 20_000);
        assert_eq!(end.text("reason"), "client_disconnected");
    });
}

#[test]
fn a_terminal_session_is_recorded_from_its_size_to_its_exit() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let mut ssh = house.ssh().option("SetEnv=LC_TEST=noted").terminal("");
        ssh.expect_shell();
        ssh.say("echo screen $((40 + 2))\n");
        ssh.hear("screen 42");
        ssh.say("exit 7\n");
        assert_eq!(ssh.end(Duration::from_secs(10)).code(), Some(7));
        let records = house
            .proxy()
            .records_of(house.proxy().wait_for("session.end").session());
        let kinds: Vec<_> = records.iter().map(Record::kind).collect();
        let position = |kind: &str| {
            kinds
                .iter()
                .position(|other| *other == kind)
                .unwrap_or_else(|| panic!("no {kind} in {kinds:?}"))
        };
        let order = [
            "session_meta",
            "channel_open",
            "pty",
            "env",
            "shell",
            "output",
            "input",
            "exit_status",
            "end",
        ];
        let positions: Vec<_> = order.iter().map(|kind| position(kind)).collect();
        // A prompt may come before or after the first key.
        let (fixed, talk): (Vec<_>, Vec<_>) = order
            .iter()
            .zip(&positions)
            .partition(|(kind, _)| !["output", "input"].contains(kind));
        assert!(
            fixed.is_sorted_by_key(|(_, position)| *position),
            "{kinds:?}"
        );
        assert!(
            talk.iter()
                .all(|(_, talk)| **talk > positions[4] && **talk < positions[7]),
            "{kinds:?}"
        );

        let pty = &records[position("pty")];
        assert_eq!(
            (pty.text("term"), pty.number("columns"), pty.number("rows")),
            ("xterm", 90, 30)
        );
        assert!(
            String::from_utf8_lossy(&Record::data_of(&records, "input"))
                .contains("echo screen $((40 + 2))")
        );
        assert!(
            String::from_utf8_lossy(&Record::data_of(&records, "output")).contains("screen 42")
        );
        assert!(
            records
                .iter()
                .any(|record| record.kind() == "exit_status" && record.number("code") == 7)
        );
        let meta = records[position("session_meta")].json().to_string();
        for fact in [
            "ada@example.com",
            "target-1",
            "127.0.0.1",
            &house.door.user,
            "SSH-2.0-OpenSSH",
        ] {
            assert!(meta.contains(fact), "`{fact}` is not in {meta}");
        }
    });
}

#[test]
fn what_the_client_has_seen_stands_in_the_log_at_that_moment() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let mut ssh = house.ssh().live("echo begun; cat");
        ssh.hear("begun");
        let log = house.proxy().logs().remove(0);
        for round in 0..12 {
            let line = format!("line {round}\n");
            ssh.say(&line);
            ssh.hear(&line);
            // Read after the client has it, while the session lives: it must be there already, both ways.
            let records = house.proxy().records_so_far(&log);
            for kind in ["input", "output"] {
                let data = Record::data_of(&records, kind);
                assert!(
                    data.ends_with(line.as_bytes()),
                    "{kind}: {}",
                    String::from_utf8_lossy(&data)
                );
            }
        }
        ssh.end_input();
        ssh.end(Duration::from_secs(10));
    });
}

#[test]
fn a_log_verifies_without_a_key_and_only_with_the_right_signer() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let (_, log) = session(house, "echo verified");
        let verdict = house.proxy().verify(&log).expect_code(0).out();
        for word in ["complete", "intact", "verified: proxy@example.com"] {
            assert!(verdict.contains(word), "{verdict}");
        }
        let other = house.room.key("other_signer", "ed25519");
        let signers = house.room.write(
            "other_signers",
            format!(
                "x@example.com {}\n",
                fs::read_to_string(other.with_extension("pub"))
                    .expect("a key")
                    .trim()
            ),
        );
        let untrusted = house.proxy().sshlog(
            &["verify", "--signers", &signers.display().to_string()],
            &log,
        );
        let untrusted = untrusted.expect_failure();
        assert!(
            untrusted.out().contains("UNTRUSTED signer"),
            "{untrusted:?}"
        );
        house.proxy().sshlog(&["inspect"], &log).expect_code(0);
    });
}

#[test]
fn a_changed_or_shortened_log_is_found_out() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let (_, log) = session(house, "echo one; echo two; seq 1 2000");
        let sound = fs::read(&log).expect("the log");
        let changed = house.path("changed.sslg");
        for position in [
            0,
            12,
            40,
            300,
            sound.len() / 2,
            sound.len() - 200,
            sound.len() - 1,
        ] {
            let mut bytes = sound.clone();
            bytes[position] ^= 1;
            fs::write(&changed, &bytes).expect("a changed log");
            house.proxy().verify(&changed).expect_failure();
        }
        for length in [0, 10, 500, sound.len() / 2, sound.len() - 1] {
            fs::write(&changed, &sound[..length]).expect("a shortened log");
            house.proxy().verify(&changed).expect_failure();
        }
        fs::write(&changed, [&sound[..], b"x"].concat()).expect("a longer log");
        house.proxy().verify(&changed).expect_failure();
        fs::write(&changed, &sound).expect("the same log");
        house.proxy().verify(&changed).expect_code(0);
    });
}

#[test]
fn only_a_recipient_opens_a_log_and_each_of_several_does() {
    need!("ssh", "sshd");
    through_the_proxy_with(
        |plan| plan.proxy.recipients = 2,
        |house| {
            let (_, log) = session(house, "echo shared");
            let records = |key: &str| {
                house.proxy().sshlog(
                    &["records", "-i", key, "--signers", "allowed_signers"],
                    &log,
                )
            };
            assert_eq!(
                records("recipient").expect_code(0).out(),
                records("recipient2").expect_code(0).out()
            );
            let stranger = house.path("stranger");
            house
                .proxy()
                .sshlog(&["keygen", "--out"], &stranger)
                .expect_code(0);
            let shut = records(&stranger.display().to_string()).expect_failure();
            assert_eq!(shut.out(), "", "nothing is printed without a key");
        },
    );
}

#[test]
fn nothing_of_a_session_stands_readable_anywhere() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let canary = "correct-horse-battery-staple-7431";
        let command = format!(
            "echo {canary}-command; read line; echo $line; printf '\\033]0;{canary}-title\\007' >&2"
        );
        house
            .ssh()
            .option(format!("SetEnv=LC_TEST={canary}-env"))
            .feed(&command, format!("{canary}-input\n").as_bytes());
        let end = house.proxy().wait_for("session.end");
        let mut texts = vec![house.proxy().said().into_bytes()];
        texts.extend(
            [
                house.proxy().log_of(end.session()),
                house.proxy().folder().join("events.jsonl"),
            ]
            .map(|path| fs::read(path).expect("a file of the proxy")),
        );
        for text in texts {
            assert!(
                !text
                    .windows(canary.len())
                    .any(|window| window == canary.as_bytes()),
                "found in the clear"
            );
        }
        let records = house.proxy().records_of(end.session());
        let all = records
            .iter()
            .map(|record| record.json().to_string())
            .collect::<String>();
        for place in ["command", "input", "env"] {
            assert!(
                all.contains(&format!("{canary}-{place}")),
                "{place} is not recorded"
            );
        }
    });
}

#[test]
fn the_log_of_the_target_names_the_person_the_session_and_the_certificate() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        house.ssh().run("true").expect_code(0);
        let start = house.proxy().wait_for("session.start");
        let accepted = house.sshd.log();
        let accepted = accepted
            .lines()
            .find(|line| line.contains("Accepted publickey"))
            .expect("a login");
        for fact in [
            "ada@example.com",
            start.session(),
            &format!("serial {}", start.number("certificate_serial")),
        ] {
            assert!(accepted.contains(fact), "`{fact}` is not in: {accepted}");
        }
        // Of each session its own.
        house.ssh().run("true").expect_code(0);
        let keys: std::collections::BTreeSet<_> = house
            .sshd
            .log()
            .lines()
            .filter(|line| line.contains("Accepted publickey"))
            .map(|line| {
                line.split("ED25519-CERT ")
                    .nth(1)
                    .expect("a certificate")
                    .split(' ')
                    .next()
                    .map(str::to_owned)
            })
            .collect();
        assert_eq!(keys.len(), 2, "a key was used twice");
    });
}

#[test]
fn logs_are_for_the_proxys_own_user_only() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let (_, log) = session(house, "true");
        assert_eq!(
            fs::metadata(log).expect("the log").permissions().mode() & 0o777,
            0o600
        );
    });
}

#[test]
fn every_session_has_a_log_of_its_own() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        for number in 0..5 {
            let (end, _) = session(house, &format!("echo number {number}"));
            let records = house.proxy().records_of(end.session());
            assert_eq!(
                Record::data_of(&records, "output"),
                format!("number {number}\n").as_bytes()
            );
        }
        assert_eq!(house.proxy().logs().len(), 5);
    });
}

#[test]
fn a_replay_shows_the_screen_and_never_commands_the_auditors_terminal() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        // Set the clipboard, set the title, ask for an answer: all that a hostile log would try.
        let hostile = r"printf 'visible\033]52;c;aGFjaw==\007\033]0;title\007\033[6n\033[c\033P$qm\033\\ text\n'";
        let (_, log) = session(house, hostile);
        for mode in [&["--plain"][..], &[]] {
            let arguments = [
                &[
                    "replay",
                    "-i",
                    "recipient",
                    "--signers",
                    "allowed_signers",
                    "--speed",
                    "1000",
                ],
                mode,
            ]
            .concat();
            let shown = house.proxy().sshlog(&arguments, &log).expect_code(0).out();
            assert!(
                shown.contains("visible") && shown.contains("text"),
                "{shown:?}"
            );
            for forbidden in ["\u{1b}]", "\u{1b}P", "\u{1b}[6n", "\u{1b}[c", "aGFjaw"] {
                assert!(!shown.contains(forbidden), "{forbidden:?} in {shown:?}");
            }
        }
    });
}

#[test]
fn after_kill_9_every_sealed_frame_is_read_and_the_verdict_is_truncated() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let mut ssh = house.ssh().live("echo begun; cat");
        ssh.hear("begun");
        for round in 0..20 {
            let line = format!("line {round}\n");
            ssh.say(&line);
            ssh.hear(&line);
        }
        let seen: Vec<u8> = ssh
            .heard()
            .lines()
            .filter(|line| line.starts_with("line"))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
            .into();
        house.proxy().kill();
        ssh.end(Duration::from_secs(10));
        let log = house.proxy().logs().remove(0);
        let verdict = house.proxy().verify(&log).expect_failure();
        assert!(verdict.out().contains("TRUNCATED"), "{verdict:?}");
        let records = house.proxy().records_so_far(&log);
        let output = Record::data_of(&records, "output");
        assert!(
            output.ends_with(&seen),
            "what the client saw is not all in the log"
        );
        assert!(Record::data_of(&records, "input") == seen);
        house.proxy().forget_unsound();
    });
}

#[test]
fn a_kill_in_the_middle_of_bulk_data_leaves_what_the_client_got() {
    need!("ssh", "sshd");
    through_the_proxy(|house| {
        let file = house.room.write("big", noise(30 << 20));
        let mut ssh = house
            .ssh()
            .live(&format!("while cat {}; do :; done", file.display()));
        std::thread::sleep(Duration::from_millis(700));
        house.proxy().kill();
        ssh.end(Duration::from_secs(10));
        let log = house.proxy().logs().remove(0);
        let output = Record::data_of(&house.proxy().records_so_far(&log), "output");
        let got = ssh.heard_bytes();
        let content = noise(30 << 20);
        assert!(
            !output.is_empty()
                && output
                    .iter()
                    .zip(content.iter().cycle())
                    .all(|(one, other)| one == other)
        );
        // Lines of the client itself may stand between: only the amount is compared.
        assert!(
            output.len() + 4096 > got.len(),
            "{} recorded, {} received",
            output.len(),
            got.len()
        );
        house.proxy().forget_unsound();
    });
}
