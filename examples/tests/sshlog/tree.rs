//! `sshlog tree`: sessions below those that they went through, and logs that do not agree.

use std::fs;

use session_log::{Record, SessionMeta};

use super::lab::Lab;

/// A log of a session that is inside `parent`, and has these others inside.
fn put(lab: &Lab, id: &str, target: &str, parent: Option<(&str, u32)>, inner: &[(u32, &str)]) {
    let meta = SessionMeta {
        session: id,
        identity_email: "ada@example.com",
        unix_user: "deploy",
        target_hostname: target,
        target_port: 22,
        ..SessionMeta::default()
    };
    let mut records = vec![(0, 0, Record::SessionMeta(meta))];
    if let Some((session, channel)) = parent {
        records.push((0, 0, Record::ParentSession { session, channel }));
    }
    for (channel, session) in inner {
        let record = Record::InnerSession {
            session,
            host: "10.0.0.7",
            port: 2222,
        };
        records.push((10, *channel, record));
    }
    fs::create_dir_all(lab.path("logs")).unwrap();
    lab.put(&format!("logs/{id}.sslg"), &records);
}

const TREE: [&str; 6] = ["tree", "-i", "@key", "--signers", "@signers", "@logs"];

#[test]
fn sessions_stand_below_those_that_they_went_through() {
    let lab = Lab::new();
    put(&lab, "cc", "innermost", Some(("bb", 1)), &[]);
    put(&lab, "aa", "bastion", None, &[(2, "bb"), (3, "dd")]);
    put(&lab, "bb", "inner", Some(("aa", 2)), &[(1, "cc")]);
    put(&lab, "ee", "apart", Some(("ff", 9)), &[]);
    assert_eq!(
        lab.good(&TREE),
        "2027-01-15T08:00:00.000Z ada@example.com as deploy on bastion:22 session aa\n\
         \x20 channel 2 to 10.0.0.7:2222: 2027-01-15T08:00:00.000Z ada@example.com as deploy on inner:22 session bb\n\
         \x20   channel 1 to 10.0.0.7:2222: 2027-01-15T08:00:00.000Z ada@example.com as deploy on innermost:22 session cc\n\
         \x20 channel 3 to 10.0.0.7:2222: session dd, of which no log is here\n\
         2027-01-15T08:00:00.000Z ada@example.com as deploy on apart:22 session ee, inside channel 9 of session ff, of which no log is here\n"
    );
}

#[test]
fn logs_that_say_different_things_of_each_other_are_told() {
    let denies = |parent: Option<(&str, u32)>, inner: &[(u32, &str)]| {
        let lab = Lab::new();
        put(&lab, "aa", "bastion", None, inner);
        put(&lab, "bb", "inner", parent, &[]);
        let (status, out, _) = lab.sshlog(&TREE);
        assert_eq!(status, 1, "{out}");
        assert!(out.contains("WHICH DOES NOT SAY SO"), "{out}");
        assert!(
            out.contains("on bastion") && out.contains("on inner"),
            "{out}"
        );
    };
    denies(Some(("aa", 3)), &[(2, "bb")]);
    denies(Some(("aa", 2)), &[]);
    denies(None, &[(2, "bb")]);
    // Twice through one channel.
    denies(Some(("aa", 2)), &[(2, "bb"), (2, "bb")]);
}

#[test]
fn sessions_that_go_in_a_circle_are_each_shown_once_and_told() {
    let lab = Lab::new();
    put(&lab, "aa", "one", Some(("bb", 1)), &[(1, "bb")]);
    put(&lab, "bb", "two", Some(("aa", 1)), &[(1, "aa")]);
    let (status, out, _) = lab.sshlog(&TREE);
    assert_eq!((status, out.lines().count()), (1, 3), "{out}");
}

#[test]
fn what_a_log_says_does_no_harm_to_a_terminal() {
    let lab = Lab::new();
    put(&lab, "aa", "bas\u{1b}]0;tion\u{202e}", None, &[(1, "x\ny")]);
    let out = lab.good(&TREE);
    assert!(
        out.contains(r#"on "bas\u001b]0;tion\u202e":22 session aa"#)
            && out.contains(r#"session "x\ny", of which"#),
        "{out}"
    );
}

#[test]
fn a_log_that_is_not_good_is_told_beside_the_tree() {
    let lab = Lab::new();
    put(&lab, "aa", "bastion", None, &[]);
    let log = fs::read(lab.path("logs/aa.sslg")).unwrap();
    fs::write(lab.path("logs/bb.sslg"), &log[..log.len() / 2]).unwrap();
    let (status, out, err) = lab.sshlog(&TREE);
    assert_eq!(status, 2);
    assert!(out.contains("on bastion:22 session aa"), "{out}");
    assert!(err.contains("TRUNCATED"), "{err}");
}
