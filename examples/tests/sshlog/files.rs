//! What `sshlog` makes of logs: exports that other programs play, proofs, recovered logs, sidecars, and logs of Cloudflare's `ssh-log-cli`.
use std::fs;
use std::process::Command;

use session_log::{CloudflareMetadata, CloudflareSource, CloudflareWriter, Recipient, Record};

use crate::common;
use crate::lab::{Lab, REWRAP};

#[test]
fn asciinema_plays_a_cast_and_nothing_of_it_reaches_the_clipboard() {
    let lab = Lab::new();
    let cast = lab.export("asciicast-v2");
    assert!(cast.lines().next().unwrap().contains("\"width\":100"));
    let cast = lab.export("asciicast-v3");
    assert!(cast.lines().next().unwrap().contains("\"cols\":100"));
    let Some(asciinema) = common::tool("asciinema") else {
        return;
    };
    let output = Command::new(asciinema)
        .arg("cat")
        .arg(lab.path("asciicast-v2"))
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && shown.contains("hällo") && shown.contains("done"));
    assert!(!shown.contains("52;c"));
}

#[test]
fn scriptreplay_plays_a_typescript() {
    let lab = Lab::new();
    lab.export("typescript");
    let Some(scriptreplay) = common::tool("scriptreplay") else {
        return;
    };
    let output = Command::new(scriptreplay)
        .arg("--timing")
        .arg(lab.path("typescript.timing"))
        .arg(lab.path("typescript"))
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && shown.contains("hällo"),
        "{shown}"
    );
    assert!(!shown.contains("52;c"));
}

#[test]
fn text_streams_lines_and_events_come_out_and_nothing_is_overwritten() {
    let lab = Lab::new();
    assert_eq!(lab.export("transcript"), "hällo done\n");
    assert!(lab.export("raw").contains("\x1b]52;c"));
    assert_eq!(fs::read(lab.path("raw.stdin")).unwrap(), b"typed");
    assert_eq!(lab.export("jsonl").lines().count(), 6);
    let events = lab.export("ocsf");
    assert!(events.contains("\"class_uid\":1007") && events.contains("cat secret-plan"));
    let again = [
        "export", "-i", "@key", "--to", "raw", "--out", "@raw", "@log",
    ];
    assert_eq!(lab.sshlog(&again).0, 2);
}

/// What no terminal may get to see of a recording.
const HOSTILE: [&str; 8] = [
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b]0;title\x07",
    "\x1b[6n",
    "\x1b[c",
    "\x1bP$qm\x1b\\",
    "\x1b[8;9999;9999t",
    "\x1b[?1000h",
    "\u{9b}5n",
];

#[test]
fn a_hostile_session_is_harmless_in_every_export_that_is_shown_and_names_no_file() {
    let lab = Lab::new();
    let text = HOSTILE.join("x");
    let path = "../../../../tmp/evil\x1b]0;title\x07";
    lab.put(
        "log",
        &[
            (
                0,
                1,
                Record::Pty {
                    term: "../../evil\x1b[c\n",
                    columns: u32::MAX,
                    rows: u32::MAX,
                    pixel_width: 0,
                    pixel_height: 0,
                    modes: &[255; 1_000],
                },
            ),
            (
                1,
                1,
                Record::Exec {
                    command: text.as_bytes(),
                },
            ),
            (2, 1, Record::Output(text.as_bytes())),
            (3, 1, Record::Stderr(b"\xff\x9b\xc2")),
            (4, 1, Record::Input(text.as_bytes())),
            (
                5,
                1,
                Record::FileTransfer {
                    from: session_log::Side::Client,
                    path: path.as_bytes(),
                    bytes: 1,
                    sha256: &[],
                    complete: true,
                    via: "sftp",
                },
            ),
            (
                6,
                1,
                Record::Resize {
                    columns: 60_000,
                    rows: 60_000,
                    pixel_width: 0,
                    pixel_height: 0,
                },
            ),
            (7, 1, Record::End { reason: &text }),
        ],
    );
    lab.good(&["keygen", "--out", "@cf", "--kem", "x25519"]);
    let names = || {
        let mut names: Vec<_> = fs::read_dir(lab.path("."))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let mut expected = names();
    for to in [
        "asciicast-v2",
        "asciicast-v3",
        "typescript",
        "transcript",
        "jsonl",
        "ocsf",
        "raw",
    ] {
        let shown = lab.export(to);
        expected.push(to.to_owned());
        if to == "raw" {
            expected.extend(["raw.stdin".to_owned(), "raw.stderr".to_owned()]);
            continue;
        }
        if to == "typescript" {
            expected.push("typescript.timing".to_owned());
        }
        // Lines of JSON hold escapes as text, which whoever plays a cast turns back.
        let shown = match to {
            "asciicast-v2" | "asciicast-v3" => cast_output(&shown),
            _ => shown,
        };
        for hostile in HOSTILE {
            assert!(!shown.contains(hostile), "{to}: {hostile:?}");
        }
        let allowed = ['\n', '\r', '\t', '\u{8}', '\u{1b}'];
        assert!(
            shown
                .chars()
                .all(|c| !c.is_control() || allowed.contains(&c)),
            "{to}: {shown:?}"
        );
    }
    lab.good(&[
        "export",
        "-i",
        "@key",
        "--to",
        "cloudflare",
        "--recipient",
        "@cf.pub",
        "--out",
        "@there",
        "@log",
    ]);
    expected.push("there".to_owned());
    expected.sort();
    assert_eq!(names(), expected, "every name comes from the command line");
}

/// What a player writes to its terminal: the header's texts, and the output.
fn cast_output(cast: &str) -> String {
    let mut lines = cast.lines();
    let header: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    let size = header.get("term").unwrap_or(&header);
    let columns = size.get("cols").or(size.get("width")).unwrap();
    assert!(columns.as_u64().unwrap() <= 500, "{header}");
    let mut shown = header.to_string();
    for line in lines {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event[1] != "r" || event[2] == "500x200", "{line}");
        if event[1] == "o" {
            shown.push_str(event[2].as_str().unwrap());
        }
    }
    shown
}

#[test]
fn one_frame_is_proven_to_somebody_without_a_key() {
    let lab = Lab::new();
    lab.good(&[
        "prove", "-i", "@key", "--frame", "2", "--out", "@proof", "@log",
    ]);
    let shown = lab.good(&["check-proof", "--signers", "@signers", "@proof"]);
    assert!(shown.contains("cat secret-plan") && !shown.contains("hällo"));
    let mut proof = fs::read(lab.path("proof")).unwrap();
    let middle = proof.len() / 2;
    proof[middle] ^= 1;
    fs::write(lab.path("proof"), proof).unwrap();
    let (status, out, _) = lab.sshlog(&["check-proof", "--signers", "@signers", "@proof"]);
    assert_eq!((status, out.as_str()), (1, ""));
}

#[test]
fn a_broken_log_is_recovered_and_a_late_reader_let_in() {
    let lab = Lab::new();
    let log = fs::read(lab.path("log")).unwrap();
    fs::write(lab.path("broken"), &log[..log.len() - 700]).unwrap();
    lab.good(&[
        "recover",
        "--sign-with",
        "@signer",
        "--recipient",
        "@key.pub",
        "--out",
        "@whole",
        "@broken",
    ]);
    let verify = ["verify", "--signers", "@signers", "@whole"];
    let (status, out, _) = lab.sshlog(&verify);
    assert!(
        status == 1 && out.contains("RECOVERED") && out.contains("intact"),
        "{out}"
    );
    lab.good(&[
        "verify",
        "--allow",
        "recovered",
        "--signers",
        "@signers",
        "@whole",
    ]);

    let late = ["records", "-i", "@late", "--signers", "@signers", "@log"];
    assert_eq!(lab.sshlog(&late).0, 1);
    lab.good(&[&REWRAP[..], &["@log"]].concat());
    let out = lab.good(&[
        "records",
        "-i",
        "@late",
        "--sidecar",
        "@wraps",
        "--signers",
        "@signers",
        "@log",
    ]);
    assert!(out.contains("secret-plan"));
}

#[test]
fn a_log_of_ssh_log_cli_is_imported_and_said_to_be_unsigned() {
    let lab = Lab::new();
    lab.good(&[
        "keygen",
        "--out",
        "@cf",
        "--kem",
        "x25519",
        "--format",
        "cloudflare",
    ]);
    let (status, _, err) = lab.sshlog(&["keygen", "--out", "@no", "--format", "cloudflare"]);
    assert!(status == 2 && err.contains("x25519"), "{err}");
    let public = fs::read_to_string(lab.path("cf.pub")).unwrap();
    let recipient = Recipient::from_cloudflare(&public).unwrap();
    let metadata = CloudflareMetadata::default();
    let (mut writer, mut bytes) = CloudflareWriter::begin(&recipient, metadata, [9; 32]).unwrap();
    writer
        .packet(
            CloudflareSource::Origin,
            0,
            1_000,
            b"from cloudflare",
            &mut bytes,
        )
        .unwrap();
    fs::write(lab.path("original"), &bytes).unwrap();
    let import = |out: &str| {
        lab.sshlog(&[
            "import",
            "-i",
            "@cf",
            "--recipient",
            "@key.pub",
            "--sign-with",
            "@signer",
            "--out",
            out,
            "@original",
        ])
    };
    let (status, _, err) = import("@imported");
    assert!(status == 0 && err.contains("unsigned"), "{err}");
    let out = lab.good(&[
        "records",
        "-i",
        "@key",
        "--signers",
        "@signers",
        "@imported",
    ]);
    assert!(out.contains("from cloudflare") && out.contains("no signature"));
    fs::write(lab.path("original"), &bytes[..bytes.len() - 3]).unwrap();
    let (status, _, err) = import("@cut");
    assert!(status == 2 && err.contains("ends inside"), "{err}");
    assert!(!lab.path("cut").exists(), "no packet was whole");
}

#[test]
fn completions_name_the_commands_for_every_shell() {
    let lab = Lab::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = lab.good(&["completions", shell]);
        for word in ["check-proof", "replay", "snapshot", "cloudflare"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let Some(bash) = common::tool("bash") else {
        return;
    };
    fs::write(lab.path("script"), lab.good(&["completions", "bash"])).unwrap();
    common::run(Command::new(bash).arg("-n").arg(lab.path("script")));
}

#[test]
fn the_help_of_every_command_has_an_example_and_its_exit_status() {
    let lab = Lab::new();
    let list = lab.good(&["--help"]);
    let commands: Vec<&str> = list
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help" && *name != "completions")
        .collect();
    assert_eq!(commands.len(), 13, "{commands:?}");
    for command in commands {
        let help = lab.good(&[command, "--help"]);
        assert!(help.contains(&format!("  sshlog {command} ")), "{help}");
        assert!(help.contains("Exit status: 0 "), "{help}");
        let signer = help.contains("is the one asked for");
        assert!(
            !signer || help.contains("truncated"),
            "{command} lists what --allow takes: {help}"
        );
    }
}
