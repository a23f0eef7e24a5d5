//! Judged by OpenSSH: keys that `ssh-keygen` makes sign logs, and `ssh-keygen -Y verify` accepts what is exported.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::*;
use session_log::{
    Kem, KeyFileError, LogId, NAMESPACE, PublicKey, ReaderConfig, Record, Signers, SigningIdentity,
    Suite, Writer, WriterPolicy,
};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Whether `ssh-keygen` is there; a test that returns early for its lack says so.
fn ssh_keygen_is_there() -> bool {
    let there = Command::new("ssh-keygen")
        .arg("-?")
        .stdin(Stdio::null())
        .output()
        .is_ok();
    if !there {
        skip("ssh-keygen is not on PATH");
    }
    there
}

/// Says why a test is left, or fails when nothing may be skipped.
fn skip(why: &str) {
    assert!(
        std::env::var_os("PORTREEVE_NO_SKIP").is_none_or(|value| value != "1"),
        "{why} and nothing may be skipped"
    );
    // Not by `println!`, which the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
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

/// Every suite, with a key of its reader and what `ssh-keygen` makes the signer's key of.
fn suites() -> [(Suite, Kem, &'static [&'static str]); 4] {
    [
        (
            Suite::ChaCha20Poly1305Sha256,
            Kem::X25519,
            &["-t", "ed25519"],
        ),
        (
            Suite::Aes256GcmSha256,
            Kem::XWing,
            &["-t", "ecdsa", "-b", "256"],
        ),
        (
            Suite::Aes256GcmSha256P256,
            Kem::P256,
            &["-t", "ecdsa", "-b", "256"],
        ),
        (
            Suite::Aes256GcmSha384P384,
            Kem::P384,
            &["-t", "ecdsa", "-b", "384"],
        ),
    ]
}

#[test]
fn what_a_log_of_any_suite_is_opened_and_closed_with_is_accepted_by_ssh_keygen() {
    if !ssh_keygen_is_there() {
        return;
    }
    for (suite, kem, key_type) in suites() {
        let dir = tempfile::tempdir().unwrap();
        let (private, public) = keygen(dir.path(), "key", &[key_type, &["-N", ""]].concat());
        let signer = SigningIdentity::from_openssh(&private).unwrap();
        let mut config = config(&[identity(kem)], WriterPolicy::default());
        config.suite = suite;
        let mut writer = Writer::create(&config, &signer, LogId([1; 16]), [1; 32], now(0)).unwrap();
        writer.record(1, &Record::Shell, now(1)).unwrap();
        writer.finish(now(2)).unwrap();
        let mut log = Vec::new();
        drain(&mut writer, &mut log);

        let trusted = format!("proxy@example {public}");
        let reader = ReaderConfig {
            signers: Some(Signers::from_text(&trusted).unwrap()),
            ..ReaderConfig::default()
        };
        let (found, verdict) = read_with(reader, &[&log]);
        assert!(verdict.is_good(), "{suite:?}: {verdict:?}");
        let closing = found
            .checkpoints
            .last()
            .unwrap()
            .statement
            .as_ref()
            .unwrap();
        let epoch = format!("proxy@example {}\n", closing.public_key().to_openssh());
        for (statement, allowed) in [(&found.opens[0], &trusted), (closing, &epoch)] {
            let armored = statement.signature_armored();
            let check = |message: &[u8]| keygen_verify(dir.path(), allowed, message, &armored);
            assert!(check(&statement.message), "{suite:?}");
            let mut bent = statement.message.clone();
            *bent.last_mut().unwrap() ^= 1;
            assert!(!check(&bent), "{suite:?}");
        }
    }
}

/// An `ssh-agent` with one key that is nowhere else.
struct Agent {
    process: Child,
    socket: PathBuf,
    public: String,
}

impl Agent {
    fn with_key(dir: &Path, key_type: &[&str]) -> Option<Agent> {
        let (_, public) = keygen(dir, "key", &[key_type, &["-N", ""]].concat());
        let socket = dir.join("agent");
        let started = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn();
        let process = started.ok()?;
        let agent = Agent {
            process,
            socket,
            public,
        };
        let mut tries = 6_000;
        while !agent.socket.exists() {
            tries -= 1;
            assert!(tries > 0, "no socket after a minute");
            std::thread::sleep(Duration::from_millis(10));
        }
        let added = Command::new("ssh-add")
            .arg("-q")
            .arg(dir.join("key"))
            .env("SSH_AUTH_SOCK", &agent.socket)
            .status()
            .unwrap();
        assert!(added.success());
        fs::remove_file(dir.join("key")).unwrap();
        Some(agent)
    }

    /// The blob that the agent answers `SSH_AGENTC_SIGN_REQUEST` with.
    fn sign(&self, key: &[u8], data: &[u8]) -> Vec<u8> {
        let string = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
        let request = [&[13], &string(key)[..], &string(data), &[0; 4]].concat();
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.write_all(&string(&request)).unwrap();
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(head[4], 14, "SSH_AGENT_SIGN_RESPONSE");
        let mut blob = vec![0; u32::from_be_bytes(head[5..].try_into().unwrap()) as usize];
        stream.read_exact(&mut blob).unwrap();
        blob
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_key_that_only_ssh_agent_has_opens_a_log() {
    if !ssh_keygen_is_there() {
        return;
    }
    for (suite, kem, key_type) in suites() {
        let dir = tempfile::tempdir().unwrap();
        let Some(agent) = Agent::with_key(dir.path(), key_type) else {
            skip("ssh-agent is not on PATH");
            return;
        };
        let identity_key = PublicKey::from_openssh(&agent.public).unwrap();
        let mut config = config(&[identity(kem)], WriterPolicy::default());
        config.suite = suite;
        let begin =
            || Writer::begin(&config, identity_key, LogId([1; 16]), [1; 32], now(0)).unwrap();
        let opening = begin();
        let request = opening.request().clone();
        assert_eq!(request.public, identity_key);
        let key = request.public.to_ssh_blob();
        let answer = agent.sign(&key, &request.data);
        let mut writer = opening.answer(&answer).unwrap();
        writer.record(1, &Record::Shell, now(1)).unwrap();
        writer.finish(now(2)).unwrap();
        let mut log = Vec::new();
        drain(&mut writer, &mut log);
        let allowed = format!("proxy@example {}", agent.public);
        let reader = ReaderConfig {
            signers: Some(Signers::from_text(&allowed).unwrap()),
            ..ReaderConfig::default()
        };
        let (found, verdict) = read_with(reader, &[&log]);
        assert!(verdict.is_good(), "{suite:?}: {verdict:?}");
        let open = &found.opens[0];
        assert!(keygen_verify(
            dir.path(),
            &allowed,
            &open.message,
            &open.signature_armored()
        ));
        let elsewhere = agent.sign(&key, b"something else");
        assert!(begin().answer(&elsewhere).is_err(), "{suite:?}");
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
