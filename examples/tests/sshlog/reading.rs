//! The `sshlog` command as its users meet it: files in, text and an exit status out.
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common;
use examples::sshlog::run;
use session_log::{
    LogId, Now, Recipient, Record, Side, SigningIdentity, Suite, Writer, WriterConfig, WriterPolicy,
};

struct Lab {
    dir: tempfile::TempDir,
}

/// Exit status, standard output, standard error.
type Outcome = (u8, String, String);

impl Lab {
    fn new() -> Lab {
        let lab = Lab {
            dir: tempfile::tempdir().unwrap(),
        };
        let (status, _, stderr) = lab.sshlog(&["keygen", "--out", "key"]);
        assert_eq!((status, stderr.as_str()), (0, ""));
        let signer = SigningIdentity::from_seed([1; 32]);
        fs::write(
            lab.path("signers"),
            format!("proxy@example {}\n", signer.public_key_openssh()),
        )
        .unwrap();
        fs::write(lab.path("log"), lab.log()).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs with every argument that names a file of the lab made whole.
    fn sshlog(&self, arguments: &[&str]) -> Outcome {
        let names = [
            "key",
            "other",
            "key.pub",
            "log",
            "signers",
            "absent",
            "strangers",
        ];
        let whole = |argument: &&str| match names.contains(argument) {
            true => self.path(argument).into_os_string(),
            false => (*argument).into(),
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let all = std::iter::once("sshlog".into()).chain(arguments.iter().map(whole));
        let status = run(all, &mut out, &mut err);
        (
            status,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    fn log(&self) -> Vec<u8> {
        let recipient =
            Recipient::from_text(&fs::read_to_string(self.path("key.pub")).unwrap()).unwrap();
        let config = WriterConfig {
            suite: Suite::default(),
            recipients: vec![recipient],
            policy: WriterPolicy::default(),
        };
        let at = |ms| Now {
            mono: Duration::from_millis(ms),
            unix: Duration::from_millis(1_800_000_000_000 + ms),
        };
        let mut writer = Writer::create(
            &config,
            &SigningIdentity::from_seed([1; 32]),
            LogId([2; 16]),
            [3; 32],
            at(0),
        )
        .unwrap();
        let records = [
            Record::Exec {
                command: b"printf \xff",
            },
            Record::Output("\x1b[31mred\x1b[0m \x1b]52;c;ZXZpbA==\x07after\u{9b}5n\r\n".as_bytes()),
            Record::Stderr(b"oops\n"),
            Record::Refused {
                from: Side::Client,
                what: "channel x11",
                why: "not supported\u{9b}5n",
            },
            Record::ExitStatus { code: 3 },
        ];
        let mut log = Vec::new();
        for (i, record) in records.iter().enumerate() {
            let now = at(i as u64 * 10);
            writer.record(1, record, now).unwrap();
            writer.flush(now).unwrap();
        }
        writer.finish(at(100)).unwrap();
        while let Some(bytes) = writer.take_output() {
            log.extend_from_slice(&bytes);
        }
        log
    }

    fn edit(&self, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut log = fs::read(self.path("log")).unwrap();
        edit(&mut log);
        fs::write(self.path("log"), log).unwrap();
    }
}

#[test]
fn keygen_makes_a_private_file_for_its_owner_only_and_overwrites_nothing() {
    let lab = Lab::new();
    let mode = |name: &str| fs::metadata(lab.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("key"), 0o600);
    assert_eq!(mode("key.pub") & 0o600, 0o600);
    let before = fs::read(lab.path("key")).unwrap();
    let (status, _, stderr) = lab.sshlog(&["keygen", "--out", "key"]);
    assert_eq!(status, 2);
    assert!(
        stderr.contains("key.pub exists; choose another name"),
        "{stderr}"
    );
    fs::remove_file(lab.path("key.pub")).unwrap();
    let (status, _, stderr) = lab.sshlog(&["keygen", "--out", "key", "--kem", "x25519"]);
    assert_eq!(status, 2);
    assert!(stderr.contains("key exists"), "{stderr}");
    assert_eq!(fs::read(lab.path("key")).unwrap(), before);
    assert!(
        !lab.path("key.pub").exists(),
        "no public key is left of a private one that was not made"
    );
    let (status, stdout, _) = lab.sshlog(&["keygen", "--out", "other", "--kem", "x25519"]);
    assert_eq!(status, 0);
    assert!(stdout.contains("other.pub"));
    assert!(
        fs::read_to_string(lab.path("other"))
            .unwrap()
            .contains("kem: x25519")
    );
}

#[test]
fn verify_needs_no_key_and_exits_0_for_a_good_log_only() {
    let lab = Lab::new();
    let (status, stdout, stderr) = lab.sshlog(&["verify", "--signers", "signers", "log"]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    let expected = "completeness  complete\nintegrity     intact\nauthenticity  verified: proxy@example\n\
                    decryption    not attempted\nstrength      post-quantum\n";
    assert_eq!(stdout, expected);

    let stranger = SigningIdentity::from_seed([9; 32]).public_key_openssh();
    fs::write(lab.path("strangers"), format!("x {stranger}\n")).unwrap();
    let (status, stdout, _) = lab.sshlog(&["verify", "--signers", "strangers", "log"]);
    assert_eq!(status, 1);
    assert!(stdout.contains("UNTRUSTED signer SHA256:"), "{stdout}");

    lab.edit(|log| {
        let at = log.len() - 400;
        log[at] ^= 1;
    });
    let (status, stdout, _) = lab.sshlog(&["verify", "--signers", "signers", "log"]);
    assert_eq!(status, 1);
    assert!(
        stdout.contains("TAMPERED: the frames are not those that the checkpoint signs (byte "),
        "{stdout}"
    );
}

#[test]
fn a_truncated_log_is_accepted_only_when_allowed() {
    let lab = Lab::new();
    lab.edit(|log| log.truncate(log.len() - 100));
    let (status, stdout, _) = lab.sshlog(&["verify", "--signers", "signers", "log"]);
    assert_eq!(status, 1);
    assert!(
        stdout.contains("TRUNCATED: the end is missing; 8 frames are there, 0 of them signed for"),
        "{stdout}"
    );
    assert_eq!(
        lab.sshlog(&[
            "verify",
            "--allow",
            "truncated",
            "--signers",
            "signers",
            "log"
        ])
        .0,
        0
    );
    let (status, stdout, _) = lab.sshlog(&["records", "-i", "key", "log"]);
    assert_eq!(
        (status, stdout.lines().count()),
        (1, 6),
        "every sealed record is there"
    );
}

#[test]
fn records_are_lines_of_json_that_a_terminal_takes_no_harm_from() {
    let lab = Lab::new();
    let (status, stdout, stderr) =
        lab.sshlog(&["records", "-i", "key", "--signers", "signers", "log"]);
    assert_eq!(status, 0, "{stderr}");
    assert!(stderr.contains("verified: proxy@example") && !stderr.contains("not checked"));
    let lines: Vec<serde_json::Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = lines
        .iter()
        .map(|line| line["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "clock_anchor",
            "exec",
            "output",
            "stderr",
            "refused",
            "exit_status"
        ]
    );
    assert_eq!(lines[1]["command"], "printf \u{fffd}");
    assert_eq!(lines[1]["command_base64"], "cHJpbnRmIP8=");
    assert_eq!(lines[4]["from"], "client");
    assert_eq!(
        lines[4]["why"], "not supported\u{9b}5n",
        "what is escaped comes back"
    );
    assert_eq!(
        (
            lines[5]["code"].as_u64(),
            lines[5]["t_us"].as_u64(),
            lines[5]["channel"].as_u64()
        ),
        (Some(3), Some(40_000), Some(1))
    );
    assert!(stdout.chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
fn without_signers_the_log_is_shown_and_the_lack_is_said() {
    let lab = Lab::new();
    for command in [
        &["records", "-i", "key", "log"][..],
        &["replay", "-i", "key", "--speed", "0", "log"],
        &["inspect", "log"],
    ] {
        let (status, _, stderr) = lab.sshlog(command);
        assert_eq!(status, 0, "{command:?} {stderr}");
        assert!(
            stderr.contains("the signer was not checked"),
            "{command:?} {stderr}"
        );
    }
}

#[test]
fn another_key_reads_nothing_and_fails() {
    let lab = Lab::new();
    assert_eq!(lab.sshlog(&["keygen", "--out", "other"]).0, 0);
    let (status, stdout, stderr) = lab.sshlog(&["records", "-i", "other", "log"]);
    assert_eq!((status, stdout.as_str()), (1, ""));
    assert!(
        stderr.contains("FAILED: the log was not made for this key"),
        "{stderr}"
    );
    assert_eq!(
        lab.sshlog(&["records", "-i", "other", "-i", "key", "log"])
            .0,
        0,
        "one of several is enough"
    );
}

#[test]
fn a_replay_into_a_file_ends_without_a_word_to_the_terminal() {
    let lab = Lab::new();
    let mut sshlog = Command::new(common::example("sshlog"));
    sshlog.args(["replay", "--speed", "0", "-i"]);
    let output = common::run(sshlog.arg(lab.path("key")).arg(lab.path("log")));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(shown, "\x1b[31mred\x1b[0m after\r\noops\n\n");
}

#[test]
fn a_signers_file_that_is_none_is_told_with_what_to_write() {
    let lab = Lab::new();
    for text in [
        "",
        "ssh-ed25519",
        "proxy ssh-ed25519 AAAA",
        "proxy ssh-rsa AAAAB3NzaC1yc2E=",
    ] {
        fs::write(lab.path("strangers"), text).unwrap();
        let (status, _, stderr) = lab.sshlog(&["verify", "--signers", "strangers", "log"]);
        assert_eq!(status, 2, "{text}");
        let help = "`name ssh-ed25519 AAAA…`";
        assert_eq!(stderr.matches(help).count(), 1, "{text}: {stderr}");
    }
}

#[test]
fn replay_lets_colours_pass_and_nothing_that_reaches_the_clipboard_or_asks_questions() {
    let lab = Lab::new();
    let (status, stdout, _) = lab.sshlog(&["replay", "-i", "key", "--speed", "100", "log"]);
    assert_eq!(status, 0);
    assert!(
        stdout.starts_with("\x1b[31mred\x1b[0m after\r\noops\n"),
        "{stdout:?}"
    );
    let (_, stdout, _) = lab.sshlog(&["replay", "-i", "key", "--plain", "--speed", "0", "log"]);
    assert_eq!(stdout, "red after\noops\n\n");
    let (_, stdout, _) = lab.sshlog(&[
        "replay",
        "-i",
        "key",
        "--plain",
        "--speed",
        "0",
        "--channel",
        "2",
        "log",
    ]);
    assert_eq!(stdout, "\n");
}

#[test]
fn replay_keeps_the_recorded_pace_up_to_the_longest_pause() {
    let lab = Lab::new();
    let timed = |arguments: &[&str]| {
        let began = Instant::now();
        assert_eq!(lab.sshlog(arguments).0, 0);
        began.elapsed()
    };
    // The two outputs were recorded 10 ms apart.
    assert!(
        timed(&["replay", "-i", "key", "--speed", "0.05", "log"]) >= Duration::from_millis(200)
    );
    let capped = timed(&[
        "replay",
        "-i",
        "key",
        "--speed",
        "0.0001",
        "--max-pause",
        "0.05",
        "log",
    ]);
    assert!(
        capped >= Duration::from_millis(50) && capped < Duration::from_secs(60),
        "{capped:?}"
    );
    for bad in ["-1", "x", "inf", "NaN"] {
        let speed = format!("--speed={bad}");
        let (status, _, stderr) = lab.sshlog(&["replay", "-i", "key", &speed, "log"]);
        assert_eq!(status, 2);
        assert!(stderr.contains("expected a number"), "{stderr}");
    }
}

#[test]
fn salvage_skips_what_is_damaged_and_says_where() {
    let lab = Lab::new();
    let (_, whole, _) = lab.sshlog(&["records", "-i", "key", "log"]);
    lab.edit(|log| {
        let at = log.len() - 24 - 169 - 2 * 568 - 300;
        log[at] ^= 1;
    });
    let (status, strict, _) = lab.sshlog(&["records", "-i", "key", "log"]);
    assert_eq!(status, 1);
    assert!(whole.starts_with(&strict) && strict.len() < whole.len());
    let (status, _, stderr) = lab.sshlog(&["records", "-i", "key", "--salvage", "log"]);
    assert_eq!(status, 1);
    assert!(
        stderr.contains("gap at byte") && stderr.contains("DAMAGED: 1 gap"),
        "{stderr}"
    );
}

#[test]
fn inspect_shows_the_structure_without_a_key() {
    let lab = Lab::new();
    let (status, stdout, _) = lab.sshlog(&["inspect", "--signers", "signers", "log"]);
    assert_eq!(status, 0);
    for part in [
        "segment 0 of log 02020202020202020202020202020202",
        "suite 0x0002: SHA-256, AES-256-GCM, Ed25519",
        "recipient x-wing ",
        "opened by SHA256:",
        "checkpoint final over 8 frames at 1800000000.100, signed",
        "data          5 frames, 2840 bytes",
        "verified: proxy@example",
    ] {
        assert!(stdout.contains(part), "{part} in {stdout}");
    }
}

#[test]
fn errors_say_which_file_and_what_to_do() {
    let lab = Lab::new();
    let cases: [(&[&str], &str); 6] = [
        (&["verify", "--signers", "signers", "absent"], "cannot read"),
        (
            &["verify", "--signers", "key", "log"],
            "signers line 1: unknown option",
        ),
        (
            &["records", "-i", "key.pub", "log"],
            "this is a public key file; give the private file",
        ),
        (&["records", "-i", "log", "log"], "cannot read"),
        (&["records", "log"], "--identity <KEY>"),
        (&["verify", "log"], "--signers <FILE>"),
    ];
    for (arguments, expected) in cases {
        let (status, stdout, stderr) = lab.sshlog(arguments);
        assert_eq!((status, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
    let (status, stdout, _) = lab.sshlog(&["--help"]);
    assert_eq!(status, 0);
    assert!(stdout.contains("sshlog verify --signers allowed_signers LOG"));
}
