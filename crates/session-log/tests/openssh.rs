//! Judged by OpenSSH: keys that `ssh-keygen` makes sign logs, and `ssh-keygen -Y verify` accepts what is exported.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::*;
use session_log::{
    KeyFileError, LogId, NAMESPACE, ReaderConfig, Record, Signers, SigningIdentity, Writer,
    WriterPolicy,
};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether `ssh-keygen` is there; a test that returns early for its lack says so.
fn ssh_keygen_is_there() -> bool {
    let there = Command::new("ssh-keygen")
        .arg("-?")
        .stdin(Stdio::null())
        .output()
        .is_ok();
    if !there {
        assert!(
            std::env::var_os("PORTREEVE_NO_SKIP").is_none_or(|value| value != "1"),
            "ssh-keygen is missing and nothing may be skipped"
        );
        // Not by `println!`, which the test harness keeps to itself.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"SKIPPED: ssh-keygen is not on PATH\n",
        );
    }
    there
}

fn keygen(dir: &Path, name: &str, args: &[&str]) -> (String, String) {
    let file = dir.join(name);
    let output = Command::new("ssh-keygen")
        .args(args)
        .args(["-q", "-C", "test", "-f"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    (
        fs::read_to_string(&file).unwrap(),
        fs::read_to_string(file.with_extension("pub")).unwrap(),
    )
}

fn keygen_verify(dir: &Path, allowed: &str, message: &[u8], signature: &str) -> bool {
    fs::write(dir.join("allowed"), allowed).unwrap();
    fs::write(dir.join("sig"), signature).unwrap();
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-I", "proxy@example", "-n", NAMESPACE, "-f"])
        .arg(dir.join("allowed"))
        .arg("-s")
        .arg(dir.join("sig"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(message).unwrap();
    child.wait().unwrap().success()
}

#[test]
fn a_key_from_ssh_keygen_signs_and_its_public_file_makes_the_signer_trusted() {
    if !ssh_keygen_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (private, public) = keygen(dir.path(), "key", &["-t", "ed25519", "-N", ""]);
    let signer = SigningIdentity::from_openssh(&private).unwrap();
    assert!(public.starts_with(&signer.public_key_openssh()));
    let mut writer = Writer::create(
        &config(
            &[identity(session_log::Kem::X25519)],
            WriterPolicy::default(),
        ),
        &signer,
        LogId([1; 16]),
        [1; 32],
        now(0),
    )
    .unwrap();
    writer.record(1, &Record::Shell, now(1)).unwrap();
    writer.finish(now(2)).unwrap();
    let mut log = Vec::new();
    drain(&mut writer, &mut log);

    let allowed = format!("proxy@example namespaces=\"sslg1\" {public}");
    let signers = Some(Signers::from_text(&allowed).unwrap());
    let (found, verdict) = read_with(
        ReaderConfig {
            signers,
            ..ReaderConfig::default()
        },
        &[&log],
    );
    assert!(verdict.is_good(), "{verdict:?}");

    let open = &found.opens[0];
    assert!(keygen_verify(
        dir.path(),
        &allowed,
        &open.message,
        &open.signature_armored()
    ));
    let mut bent = open.message.clone();
    bent[12] ^= 1;
    assert!(!keygen_verify(
        dir.path(),
        &allowed,
        &bent,
        &open.signature_armored()
    ));
    let fingerprint = Command::new("ssh-keygen")
        .arg("-lf")
        .arg(dir.path().join("key.pub"))
        .output()
        .unwrap();
    assert!(
        String::from_utf8(fingerprint.stdout)
            .unwrap()
            .contains(&open.fingerprint)
    );
}

#[test]
fn every_exported_checkpoint_is_accepted_by_ssh_keygen_under_its_epoch_key_and_no_other() {
    if !ssh_keygen_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (found, verdict) = read(&small_log());
    assert!(verdict.is_good());
    assert!(found.checkpoints.len() >= 3);
    let mut previous: Option<String> = None;
    for checkpoint in &found.checkpoints {
        let statement = checkpoint.statement.as_ref().unwrap();
        let allowed = format!("proxy@example {}\n", statement.public_key().to_openssh());
        let armored = statement.signature_armored();
        assert!(
            keygen_verify(dir.path(), &allowed, &statement.message, &armored),
            "{:?}",
            checkpoint.kind
        );
        if let Some(previous) = previous.replace(allowed) {
            assert!(
                !keygen_verify(dir.path(), &previous, &statement.message, &armored),
                "each epoch has its own key"
            );
        }
    }
}

#[test]
fn private_keys_that_cannot_sign_logs_are_refused_by_name() {
    if !ssh_keygen_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (locked, public) = keygen(dir.path(), "locked", &["-t", "ed25519", "-N", "passphrase"]);
    let (ecdsa, _) = keygen(dir.path(), "ecdsa", &["-t", "ecdsa", "-b", "521", "-N", ""]);
    let (good, _) = keygen(dir.path(), "good", &["-t", "ed25519", "-N", ""]);
    let refused = |text: &str| SigningIdentity::from_openssh(text).map(|_| ()).unwrap_err();
    assert_eq!(refused(&locked), KeyFileError::Encrypted);
    assert_eq!(refused(&ecdsa), KeyFileError::WrongAlgorithm);
    assert_eq!(refused(&public), KeyFileError::NotOpenSsh);
    assert_eq!(
        refused(&"x".repeat(16_385)),
        KeyFileError::TooLarge {
            limit: 16_384,
            got: 16_385
        }
    );
    for len in 0..good.trim_end().len() {
        assert!(
            SigningIdentity::from_openssh(&good[..len]).is_err(),
            "cut at {len}"
        );
    }
}
