//! `sshlog export`: what belongs to which stream, channel and event.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value as Json;
use session_log::{Record, SessionMeta, Side};

use crate::common;
use crate::lab::Lab;

#[test]
fn an_escape_that_is_cut_by_the_other_stream_stays_whole() {
    let lab = Lab::new();
    lab.put(
        "log",
        &[
            (0, 1, Record::Output(b"\x1b[3")),
            (1, 1, Record::Stderr(b"oops ")),
            (2, 1, Record::Output(b"1mred\r\n")),
        ],
    );
    assert_eq!(lab.export("transcript"), "oops red\n");
    assert!(lab.export("typescript").contains("oops \x1b[31mred"));
    let cast = lab.export("asciicast-v2");
    assert!(
        cast.contains("\"oops \"") && cast.contains("\\u001b[31mred"),
        "{cast}"
    );
}

#[test]
fn only_one_channel_is_exported_also_before_it_is_known_which() {
    let lab = Lab::new();
    lab.put(
        "log",
        &[
            (0, 7, Record::ExitStatus { code: 9 }),
            (1, 2, Record::Input(b"typed")),
            (2, 7, Record::Output(b"other")),
            (3, 2, Record::Output(b"shown")),
        ],
    );
    let cast = lab.export("asciicast-v3");
    assert!(
        cast.contains("other") && !cast.contains("\"x\"") && !cast.contains("shown"),
        "{cast}"
    );
    assert_eq!(lab.export("raw"), "shown");
    assert_eq!(fs::read(lab.path("raw.stdin")).unwrap(), b"typed");
}

#[test]
fn ocsf_events_have_what_their_classes_require_at_any_time() {
    let lab = Lab::new();
    let meta = SessionMeta {
        session: "0123",
        target_hostname: "db1",
        ..SessionMeta::default()
    };
    let transfer = Record::FileTransfer {
        from: Side::Client,
        path: b"/srv/data.tar",
        bytes: 7,
        sha256: &[],
        complete: true,
        via: "sftp",
    };
    lab.put(
        "log",
        &[
            (0, 0, Record::SessionMeta(meta)),
            (1, 0, Record::ClockAnchor { unix_ms: u64::MAX }),
            (2, 1, Record::Exec { command: b"make" }),
            (3, 1, transfer),
            (4, 1, Record::ExitStatus { code: 2 }),
        ],
    );
    let text = lab.export("ocsf");
    let events: Vec<Json> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.len(), 4, "{text}");
    for event in &events {
        for field in [
            "activity_id",
            "category_uid",
            "class_uid",
            "metadata",
            "severity_id",
            "time",
            "type_uid",
        ] {
            assert!(!event[field].is_null(), "{field}: {event}");
        }
        // What https://schema.ocsf.io/1.3.0 requires of the class, beyond what it requires of all.
        let required: &[&str] = match event["class_uid"].as_u64() {
            Some(1007) => &["/device/type_id", "/process/uid", "/actor/user"],
            Some(4007) => &["/dst_endpoint/hostname"],
            Some(6006) => &[
                "/actor/user",
                "/file/name",
                "/file/type_id",
                "/src_endpoint/ip",
            ],
            class => panic!("{class:?}"),
        };
        for field in required {
            assert!(event.pointer(field).is_some(), "{field}: {event}");
        }
    }
    let ended = &events[3];
    assert_eq!(
        (&ended["process"], &ended["exit_code"]),
        (&events[1]["process"], &Json::from(2))
    );
    assert_eq!(ended["process"]["cmd_line"], "make");
    assert_eq!(ended["time"], u64::MAX);
    assert_eq!(events[2]["file"]["name"], "data.tar");
}

#[test]
fn ocsf_events_tie_a_session_inside_to_the_one_around_it_from_both_sides() {
    let outer = "0a".repeat(16);
    let inner = "0b".repeat(16);
    let innermost = "0c".repeat(16);
    let meta = |session, target_hostname| {
        Record::SessionMeta(SessionMeta {
            session,
            target_hostname,
            ..SessionMeta::default()
        })
    };
    let began = |session, host| Record::InnerSession {
        session,
        host,
        port: 22,
    };
    let parent = |session, channel| Record::ParentSession { session, channel };
    let events = |records: &[(u64, u32, Record<'_>)]| -> Vec<Json> {
        let lab = Lab::new();
        lab.put("log", records);
        let text = lab.export("ocsf");
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let of_outer = events(&[
        (0, 0, meta(&outer, "bastion")),
        (1, 1, Record::Shell),
        (2, 3, began(&inner, "db-1")),
    ]);
    // It has opened, its shell began, and the session inside.
    assert_eq!(of_outer.len(), 3, "{of_outer:?}");
    assert_eq!(of_outer[0]["metadata"]["correlation_uid"], Json::Null);
    let tie = &of_outer[2];
    assert_eq!(
        (&tie["class_uid"], &tie["activity_id"]),
        (&4007.into(), &1.into())
    );
    assert_eq!(tie["metadata"]["correlation_uid"], *inner);
    assert_eq!(tie["unmapped"]["inner_session"], *inner);
    assert_eq!(tie["unmapped"]["inner_channel"], 3);
    assert_eq!(tie["dst_endpoint"]["hostname"], "db-1");
    assert_eq!(tie["actor"]["session"]["uid"], *outer);

    let of_inner = events(&[
        (0, 0, meta(&inner, "db-1")),
        (0, 0, parent(&outer, 3)),
        (1, 1, Record::Exec { command: b"psql" }),
        (2, 2, began(&innermost, "db-2")),
        (3, 0, Record::End { reason: "done" }),
    ]);
    assert_eq!(of_inner.len(), 4, "{of_inner:?}");
    for event in &of_inner {
        assert_eq!(event["unmapped"]["parent_session"], *outer, "{event}");
        assert_eq!(event["unmapped"]["parent_channel"], 3, "{event}");
        assert_eq!(event["actor"]["session"]["uid"], *inner, "{event}");
        assert_eq!(event["metadata"]["version"], "1.3.0", "{event}");
    }
    let ties = of_inner.iter().map(|it| &it["metadata"]["correlation_uid"]);
    let ties: Vec<_> = ties.map(|it| it.as_str().unwrap()).collect();
    assert_eq!(ties, [&outer, &outer, &innermost, &outer]);
    assert_eq!(of_inner[2]["unmapped"]["inner_session"], *innermost);

    // A log that was cut off right behind its beginning says that it opened all the same.
    let cut = events(&[(0, 0, meta(&inner, "db-1")), (0, 0, parent(&outer, 3))]);
    assert_eq!(cut.len(), 1);
    assert_eq!(cut[0]["metadata"]["correlation_uid"], *outer);
}

/// A program of asciinema 3, which reads version 3 of the format.
fn asciinema_3() -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| ["asciinema-3", "asciinema"].map(|name| folder.join(name)))
        .filter(|file| file.is_file())
        .find(|file| {
            let output = Command::new(file).arg("--version").output();
            output.is_ok_and(|output| output.stdout.starts_with(b"asciinema 3."))
        });
    if found.is_none() {
        common::skip("asciinema 3 is not installed: `cargo install asciinema --locked`");
    }
    found
}

#[test]
fn asciinema_3_reads_a_recording_of_version_3() {
    let lab = Lab::new();
    lab.put(
        "log",
        &[
            (
                0,
                1,
                Record::Pty {
                    term: "xterm",
                    columns: 100,
                    rows: 30,
                    pixel_width: 0,
                    pixel_height: 0,
                    modes: &[],
                },
            ),
            (10, 1, Record::Output("hällo ".as_bytes())),
            (
                1_260,
                1,
                Record::Resize {
                    columns: 120,
                    rows: 40,
                    pixel_width: 0,
                    pixel_height: 0,
                },
            ),
            (
                2_510,
                1,
                Record::Output(b"\x1b]52;c;ZXZpbA==\x07\x1b[31mdone\x1b[0m\r\n"),
            ),
            (2_600, 1, Record::ExitStatus { code: 7 }),
        ],
    );
    lab.export("asciicast-v3");
    let Some(asciinema) = asciinema_3() else {
        return;
    };
    let convert = |format: &str, name: &str| {
        common::run(
            Command::new(&asciinema)
                .args(["convert", "--output-format", format])
                .arg(lab.path("asciicast-v3"))
                .arg(lab.path(name)),
        );
        fs::read_to_string(lab.path(name)).unwrap()
    };
    assert_eq!(convert("txt", "text").trim_end(), "hällo done");
    // Version 2 counts from the beginning, so its times are judged by another program's arithmetic.
    let second = convert("asciicast-v2", "second");
    let lines: Vec<Json> = second
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["width"], &lines[0]["height"]),
        (&100.into(), &30.into())
    );
    let event = |at: usize| {
        let event = lines[at].as_array().unwrap();
        (event[0].as_f64().unwrap(), event[1].as_str().unwrap())
    };
    assert_eq!(event(1), (0.0, "o"));
    assert_eq!(event(2), (1.25, "r"));
    assert_eq!(event(3), (2.5, "o"));
    assert!(!second.contains("52;c"));
}

#[test]
fn a_log_from_standard_input_is_exported() {
    let lab = Lab::new();
    let log = fs::read(lab.path("log")).unwrap();
    let mut sshlog = Command::new(common::example("sshlog"))
        .args(["export", "--to", "raw", "-i"])
        .arg(lab.path("key"))
        .arg("--out")
        .arg(lab.path("out"))
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    sshlog.stdin.take().unwrap().write_all(&log).unwrap();
    assert!(sshlog.wait().unwrap().success());
    assert!(fs::read(lab.path("out")).unwrap().ends_with(b"done\r\n"));
}
