//! What `sshlog` makes of logs: exports that other programs play, proofs, recovered logs, sidecars, and logs of Cloudflare's `ssh-log-cli`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use examples::sshlog::run;
use session_log::{
    CloudflareMetadata, CloudflareSource, CloudflareWriter, LogId, Now, Recipient, Record,
    SigningIdentity, Suite, Writer, WriterConfig, WriterPolicy,
};

struct Lab {
    dir: tempfile::TempDir,
}

impl Lab {
    /// A reader's key, a signer's key from ssh-keygen, and a log.
    fn new() -> Lab {
        let lab = Lab {
            dir: tempfile::tempdir().unwrap(),
        };
        lab.good(&["keygen", "--out", "@key"]);
        lab.good(&["keygen", "--out", "@late"]);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(lab.path("signer"))
            .status()
            .unwrap();
        assert!(made.success());
        let public = fs::read_to_string(lab.path("signer.pub")).unwrap();
        fs::write(lab.path("signers"), format!("proxy@example {public}")).unwrap();
        fs::write(lab.path("log"), lab.log()).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Arguments that begin with `@` are files of the lab.
    fn sshlog(&self, arguments: &[&str]) -> (u8, String, String) {
        let whole = arguments
            .iter()
            .map(|argument| match argument.strip_prefix('@') {
                Some(name) => self.path(name).into_os_string(),
                None => (*argument).into(),
            });
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = run(
            std::iter::once("sshlog".into()).chain(whole),
            &mut out,
            &mut err,
        );
        (
            status,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    fn good(&self, arguments: &[&str]) -> String {
        let (status, out, err) = self.sshlog(arguments);
        assert_eq!(status, 0, "{arguments:?}: {err}");
        out
    }

    fn log(&self) -> Vec<u8> {
        let public = fs::read_to_string(self.path("key.pub")).unwrap();
        let config = WriterConfig {
            suite: Suite::default(),
            recipients: vec![Recipient::from_text(&public).unwrap()],
            policy: WriterPolicy::default(),
        };
        let private = fs::read_to_string(self.path("signer")).unwrap();
        let signer = SigningIdentity::from_openssh(&private).unwrap();
        let at = |ms| Now {
            mono: Duration::from_millis(ms),
            unix: Duration::from_millis(1_800_000_000_000 + ms),
        };
        let mut writer = Writer::create(&config, &signer, LogId([2; 16]), [3; 32], at(0)).unwrap();
        let records = [
            Record::Pty {
                term: "xterm",
                columns: 100,
                rows: 30,
                pixel_width: 0,
                pixel_height: 0,
                modes: &[],
            },
            Record::Exec {
                command: b"cat secret-plan",
            },
            Record::Input(b"typed"),
            Record::Output("\x1b[31mhällo\x1b[0m \x1b]52;c;ZXZpbA==\x07done\r\n".as_bytes()),
            Record::ExitStatus { code: 0 },
        ];
        for (i, record) in records.iter().enumerate() {
            writer.record(1, record, at(i as u64 * 10)).unwrap();
            writer.flush(at(i as u64 * 10)).unwrap();
        }
        writer.finish(at(100)).unwrap();
        writer.take_output().unwrap().to_vec()
    }

    fn export(&self, to: &str) -> String {
        let out = format!("@{to}");
        self.good(&[
            "export",
            "-i",
            "@key",
            "--signers",
            "@signers",
            "--to",
            to,
            "--out",
            &out,
            "@log",
        ]);
        fs::read_to_string(self.path(to)).unwrap()
    }
}

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

#[test]
fn a_word_is_found_and_another_is_not() {
    let lab = Lab::new();
    let grep = |word: &str| lab.sshlog(&["grep", "-i", "@key", "--ignore-case", word, "@log"]);
    let (status, out, _) = grep("SECRET-plan");
    assert_eq!((status, out.lines().count()), (0, 1));
    assert_eq!(grep("nowhere").0, 1);
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
    lab.good(&[
        "rewrap",
        "-i",
        "@key",
        "--recipient",
        "@late.pub",
        "--sign-with",
        "@signer",
        "--out",
        "@wraps",
        "@log",
    ]);
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
    assert!(status == 1 && err.contains("ends inside"), "{err}");
}

#[test]
fn completions_name_the_commands() {
    let lab = Lab::new();
    assert!(lab.good(&["completions", "bash"]).contains("check-proof"));
}
