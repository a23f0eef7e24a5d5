//! Who signed, who granted, and who can check it.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use session_log::WriterPolicy;
use sha2::{Digest as _, Sha256};

use crate::common;
use crate::lab::{Lab, REWRAP};

#[test]
fn nothing_is_granted_of_a_log_that_is_not_intact() {
    let lab = Lab::new();
    let mut log = lab.in_segments(60, b"line\r\n", 4_096);
    let second = lab.split(&log)[0].len();
    log[second + 200] ^= 1;
    fs::write(lab.path("log"), &log).unwrap();
    let (status, out, err) = lab.sshlog(&[&REWRAP[..], &["@log"]].concat());
    assert!(status == 2 && err.contains("is not intact"), "{out}{err}");
    assert!(!lab.path("wraps").exists());
    log[second + 200] ^= 1;
    fs::write(lab.path("log"), &log[..log.len() - 100]).unwrap();
    let out = lab.good(&[&REWRAP[..], &["@log"]].concat());
    assert!(out.contains("TRUNCATED"), "{out}");
}

#[test]
fn a_changed_log_is_recovered_knowingly_only_and_what_was_found_is_shown() {
    let lab = Lab::new();
    let log = fs::read(lab.path("log")).unwrap();
    let mut changed = log.clone();
    let middle = log.len() / 2;
    changed[middle] ^= 1;
    let mut zeros = log[..log.len() - 700].to_vec();
    zeros.resize(log.len() + 4_096, 0);
    let recover = [
        "recover",
        "--sign-with",
        "@signer",
        "--recipient",
        "@key.pub",
        "--out",
        "@whole",
        "@broken",
    ];
    for found in [changed, zeros] {
        fs::write(lab.path("broken"), &found).unwrap();
        let (status, out, err) = lab.sshlog(&recover);
        assert_eq!((status, out.as_str()), (2, ""));
        assert!(
            err.contains("is damaged at byte") && err.contains("--cut-off-damage"),
            "{err}"
        );
        assert!(!lab.path("whole").exists());
        let out = lab.good(&[&recover[..], &["--cut-off-damage"]].concat());
        assert!(out.contains("that was cut off"), "{out}");
        let digest: String = Sha256::digest(&found)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        for command in ["verify", "inspect"] {
            let out = lab.good(&[
                command,
                "--signers",
                "@signers",
                "--allow",
                "recovered",
                "@whole",
            ]);
            assert!(
                out.contains(&format!(
                    "of {} bytes kept of a log with SHA-256 {digest}",
                    found.len()
                )),
                "{out}"
            );
            assert!(out.contains("RECOVERED"), "{out}");
        }
        fs::remove_file(lab.path("whole")).unwrap();
    }
}

#[test]
fn who_granted_a_sidecar_is_said_and_a_stranger_is_refused() {
    let lab = Lab::new();
    let Some(keygen) = common::tool("ssh-keygen") else {
        return;
    };
    lab.good(&[&REWRAP[..], &["@log"]].concat());
    let records = [
        "records",
        "-i",
        "@late",
        "--sidecar",
        "@wraps",
        "--signers",
        "@signers",
    ];
    let (status, _, err) = lab.sshlog(&[&records[..], &["@log"]].concat());
    assert!(
        status == 0 && err.contains("granted by proxy@example, SHA256:"),
        "{err}"
    );
    let unchecked = ["records", "-i", "@late", "--sidecar", "@wraps", "@log"];
    assert!(lab.sshlog(&unchecked).2.contains("which was not checked"));

    let other = lab.writer(WriterPolicy::default());
    assert_eq!(other.log_id().0, [2; 16]);
    let mut log = fs::read(lab.path("log")).unwrap();
    // The name of the log, which the sidecar then is not for.
    let id = log.windows(16).position(|part| part == [2; 16]).unwrap();
    log[id] ^= 1;
    fs::write(lab.path("stray"), &log).unwrap();
    let (status, _, err) = lab.sshlog(&[&records[..], &["@stray"]].concat());
    assert!(
        status == 1 && err.contains("a sidecar is of the log 0202"),
        "{err}"
    );

    common::ssh_keygen(&keygen, &lab.path("."), "stranger");
    fs::remove_file(lab.path("wraps")).unwrap();
    let rewrap = REWRAP.map(|word| if word == "@signer" { "@stranger" } else { word });
    lab.good(&[&rewrap[..], &["@log"]].concat());
    let (status, out, err) = lab.sshlog(&[&records[..], &["@log"]].concat());
    assert_eq!((status, out.as_str()), (2, ""));
    assert!(err.contains("whom --signers does not name"), "{err}");
    let out = lab.good(&[&records[..], &["--allow", "unknown-granter", "@log"]].concat());
    assert!(out.contains("secret-plan"));
}

#[test]
fn a_proof_is_checked_before_it_is_given_away_and_what_is_none_cannot_be_read() {
    let lab = Lab::new();
    let Some(keygen) = common::tool("ssh-keygen") else {
        return;
    };
    common::ssh_keygen(&keygen, &lab.path("."), "stranger");
    let stranger = fs::read_to_string(lab.path("stranger.pub")).unwrap();
    fs::write(lab.path("strangers"), format!("x {stranger}")).unwrap();
    let prove = [
        "prove", "-i", "@key", "--frame", "2", "--out", "@proof", "@log",
    ];
    let (status, _, err) = lab.sshlog(&[&prove[..], &["--signers", "@strangers"]].concat());
    assert!(status == 2 && err.contains("not trusted"), "{err}");
    assert!(!lab.path("proof").exists());
    lab.good(&[&prove[..], &["--signers", "@signers"]].concat());
    for no_proof in ["@log", "@signers"] {
        let check = ["check-proof", "--signers", "@signers", no_proof];
        let (status, _, err) = lab.sshlog(&check);
        assert!(status == 2 && err.contains("not a proof"), "{err}");
    }
    let check = ["check-proof", "--signers", "@strangers", "@proof"];
    assert_eq!(lab.sshlog(&check).0, 1);
}

/// `ssh-keygen -Y verify` over one exported statement.
fn keygen_verifies(keygen: &Path, lab: &Lab, signers: &str, name: &str, statement: &str) -> Output {
    let mut judge = Command::new(keygen)
        .args(["-Y", "verify", "-n", "sslg1", "-I", name, "-f"])
        .arg(lab.path(signers))
        .arg("-s")
        .arg(lab.path(&format!("{statement}.sig")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let message = fs::read(lab.path(statement)).unwrap();
    judge.stdin.take().unwrap().write_all(&message).unwrap();
    judge.wait_with_output().unwrap()
}

#[test]
fn ssh_keygen_verifies_the_signatures_that_inspect_writes() {
    let lab = Lab::new();
    fs::write(lab.path("log"), lab.in_segments(60, b"line\r\n", 8_192)).unwrap();
    let inspect = ["inspect", "--export-signatures", "@signed", "@log"];
    let (status, _, err) = lab.sshlog(&inspect);
    assert_eq!(status, 0, "{err}");
    let Some(keygen) = common::tool("ssh-keygen") else {
        return;
    };
    let verifies = |signers: &str, name: &str, statement: &str| {
        keygen_verifies(&keygen, &lab, signers, name, statement)
            .status
            .success()
    };
    assert!(verifies("signers", "proxy@example", "signed/0.open"));
    assert!(verifies(
        "signed/0.epochs",
        "epoch",
        "signed/0.checkpoint-0"
    ));
    assert!(verifies(
        "signed/1.epochs",
        "epoch",
        "signed/1.checkpoint-0"
    ));
    assert!(!verifies(
        "signers",
        "proxy@example",
        "signed/0.checkpoint-0"
    ));
    let mut message = fs::read(lab.path("signed/0.open")).unwrap();
    message[20] ^= 1;
    fs::write(lab.path("signed/0.open"), message).unwrap();
    assert!(!verifies("signers", "proxy@example", "signed/0.open"));
    let (status, _, err) = lab.sshlog(&inspect);
    assert!(
        status == 2 && err.contains("nothing is overwritten"),
        "{err}"
    );
}

#[test]
fn a_key_that_is_only_in_an_agent_signs() {
    let lab = Lab::new();
    let (Some(agent), Some(add), Some(keygen)) = (
        common::tool("ssh-agent"),
        common::tool("ssh-add"),
        common::tool("ssh-keygen"),
    ) else {
        return;
    };
    let log = fs::read(lab.path("log")).unwrap();
    fs::write(lab.path("broken"), &log[..log.len() - 700]).unwrap();
    let socket = lab.path("agent");
    let _agent = common::Agent::start(&agent, &socket);
    let sshlog = |arguments: &[&str]| {
        let whole = arguments
            .iter()
            .map(|argument| match argument.strip_prefix('@') {
                Some(name) => lab.path(name).into_os_string(),
                None => (*argument).into(),
            });
        let output = Command::new(common::example("sshlog"))
            .args(whole)
            .env("SSH_AUTH_SOCK", &socket)
            .output()
            .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), err)
    };
    let recover = [
        "recover",
        "--recipient",
        "@key.pub",
        "--out",
        "@whole",
        "@broken",
    ];
    let with = |key: &'static str, more: &[&'static str]| {
        sshlog(&[&recover[..], &["--sign-with", key], more].concat())
    };
    let (status, err) = with("@signer.pub", &["--agent"]);
    assert!(status == Some(2) && err.contains("ssh-add -L"), "{err}");
    let (status, err) = with("@signer.pub", &[]);
    assert!(status == Some(2) && err.contains("add --agent"), "{err}");
    let (status, err) = with("@signer", &["--agent"]);
    assert!(status == Some(2) && err.contains(".pub file"), "{err}");
    common::run(
        Command::new(&add)
            .arg("-q")
            .arg(lab.path("signer"))
            .env("SSH_AUTH_SOCK", &socket),
    );
    common::run(
        Command::new(&keygen)
            .args(["-q", "-p", "-N", "a passphrase", "-f"])
            .arg(lab.path("signer")),
    );
    let (status, err) = with("@signer", &[]);
    assert!(status == Some(2) && err.contains("passphrase"), "{err}");
    assert!(!lab.path("whole").exists());
    fs::remove_file(lab.path("signer")).unwrap();
    let (status, err) = with("@signer.pub", &["--agent"]);
    assert_eq!(status, Some(0), "{err}");
    lab.good(&[
        "verify",
        "--allow",
        "recovered",
        "--signers",
        "@signers",
        "@whole",
    ]);
    let rewrap = REWRAP.map(|word| {
        if word == "@signer" {
            "@signer.pub"
        } else {
            word
        }
    });
    let (status, err) = sshlog(&[&rewrap[..], &["--agent", "@log"]].concat());
    assert_eq!(status, Some(0), "{err}");
    lab.good(&[
        "records",
        "-i",
        "@late",
        "--sidecar",
        "@wraps",
        "--signers",
        "@signers",
        "@log",
    ]);
}
