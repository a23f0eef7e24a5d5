//! `sshlog grep`: what is found, how it is shown, and what the status says.

use std::fs;

use session_log::{Record, Side};

use crate::lab::Lab;

/// A session typed key by key, with colours, a correction, and a second channel.
fn session() -> Vec<(u64, u32, Record<'static>)> {
    vec![
        (0, 1, Record::Exec { command: b"bash" }),
        (10, 1, Record::Input(b"s")),
        (20, 1, Record::Input(b"ux\x7f")),
        (30, 2, Record::Output(b"other cha")),
        (40, 1, Record::Input(b"do\r")),
        (50, 1, Record::Output(b"\x1b[3")),
        (60, 1, Record::Output(b"1msu")),
        (70, 2, Record::Output(b"nnel\r\n")),
        (
            80,
            1,
            Record::Output(b"do\x1b[0m: password\x1b]52;c;ZXZpbA==\x07 wrong\r\n"),
        ),
        (90, 1, Record::Stderr(b"sudo failed")),
        (
            1_500,
            1,
            Record::Refused {
                from: Side::Client,
                what: "channel x11",
                why: "sudo is not\nfor \x1b]0;you\x07everybody",
            },
        ),
    ]
}

fn lab() -> Lab {
    let lab = Lab::new();
    lab.put("session.sslg", &session());
    lab
}

#[test]
fn lines_are_put_together_across_records_and_matched_without_their_escapes() {
    let lab = lab();
    let found = lab.good(&["grep", "-i", "@key", "^sudo", "@session.sslg"]);
    assert_eq!(
        found,
        "2027-01-15T08:00:00.010Z 1 input: sudo\n\
         2027-01-15T08:00:00.060Z 1 output: sudo: password wrong\n\
         2027-01-15T08:00:01.500Z 1 refused: sudo is not\n\
         2027-01-15T08:00:00.090Z 1 stderr: sudo failed\n"
    );
    let found = lab.good(&["grep", "-i", "@key", "other channel$", "@session.sslg"]);
    assert_eq!(found, "2027-01-15T08:00:00.030Z 2 output: other channel\n");
}

#[test]
fn a_search_can_be_narrowed_counted_and_made_blind_to_case() {
    let lab = lab();
    let count = |more: &[&str], pattern: &str| {
        let all = [
            &["grep", "-i", "@key", "--count"],
            more,
            &[pattern, "@session.sslg"],
        ]
        .concat();
        let (status, out, err) = lab.sshlog(&all);
        assert!(status < 2, "{err}");
        let found: u64 = out.trim().parse().unwrap();
        assert_eq!(status, u8::from(found == 0));
        found
    };
    assert_eq!(count(&["--input"], "sudo"), 1);
    assert_eq!(count(&["--output"], "sudo"), 2);
    assert_eq!(count(&["--commands"], "sudo"), 0);
    assert_eq!(count(&["--commands"], "^ba.h$"), 1);
    assert_eq!(count(&["--input", "--output"], "sudo"), 3);
    assert_eq!(count(&[], "SUDO"), 0);
    assert_eq!(count(&["--ignore-case"], "SUDO"), 4);
    assert_eq!(count(&[], "evil|ZXZ|\\x1b|\\]0;"), 0);
}

#[test]
fn folders_are_looked_through_log_by_log_and_each_is_named() {
    let lab = lab();
    fs::create_dir_all(lab.path("logs/0202")).unwrap();
    fs::rename(lab.path("session.sslg"), lab.path("logs/a\u{1b}[31m.sslg")).unwrap();
    let log = lab.in_segments(200, b"line of sudo\r\n", 4_096);
    let segments = lab.split(&log);
    assert!(segments.len() > 10, "{}", segments.len());
    for (number, segment) in segments.iter().enumerate() {
        fs::write(lab.path(&format!("logs/0202/{number}.sslg")), segment).unwrap();
    }
    let out = lab.good(&["grep", "-i", "@key", "-c", "sudo", "@logs"]);
    let counts: Vec<&str> = out
        .lines()
        .map(|line| line.rsplit_once(' ').unwrap().1)
        .collect();
    assert_eq!(counts, ["200", "4"], "{out}");
    assert!(!out.contains('\u{1b}'));
    for command in ["verify", "inspect"] {
        let out = lab.good(&[command, "--signers", "@signers", "@logs/0202"]);
        assert!(
            out.contains("complete\n") && out.contains("verified"),
            "{out}"
        );
    }
    let out = lab.good(&["records", "-i", "@key", "@logs/0202"]);
    assert_eq!(out.matches("line of sudo").count(), 200);
    let (status, _, err) = lab.sshlog(&["verify", "--signers", "@signers", "@logs"]);
    assert!(status == 2 && err.contains("has no segments"), "{err}");
    fs::remove_file(lab.path("logs/0202/3.sslg")).unwrap();
    let (status, _, _) = lab.sshlog(&["verify", "--signers", "@signers", "@logs/0202"]);
    assert_eq!(status, 1);
}

#[test]
fn trouble_is_told_apart_from_nothing_found() {
    let lab = lab();
    let grep = |pattern: &str| lab.sshlog(&["grep", "-i", "@key", pattern, "@session.sslg"]);
    assert_eq!(grep("nowhere").0, 1);
    let (status, _, err) = grep("(");
    assert!(status == 2 && err.contains("unclosed group"), "{err}");
    let (status, _, err) = grep("(a{1000}){1000}");
    assert!(status == 2 && err.contains("size limit"), "{err}");
    let mut log = fs::read(lab.path("session.sslg")).unwrap();
    log.truncate(log.len() - 100);
    fs::write(lab.path("session.sslg"), &log).unwrap();
    let (status, out, err) = grep("sudo");
    assert_eq!((status, out.lines().count()), (2, 4));
    assert!(
        err.contains("TRUNCATED") && err.contains("--allow"),
        "{err}"
    );
    lab.good(&[
        "grep",
        "-i",
        "@key",
        "--allow",
        "truncated",
        "sudo",
        "@session.sslg",
    ]);
    let other = lab.sshlog(&["grep", "-i", "@late", "sudo", "@session.sslg"]);
    assert!(
        other.0 == 2 && other.2.contains("not made for this key"),
        "{}",
        other.2
    );
}
