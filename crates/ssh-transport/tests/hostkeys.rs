//! A server's other host keys: `ssh` learns ours, and we learn those of `sshd`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::ssh::run;
use common::sshd::{HOST_KEYS, Target};
use common::tools::{self, text};
use common::{ClientEnd, ServerEnd, TestKey};
use ssh_transport::{ClientConfig, HostKeyAlgorithm, HostKeysError, ServerConfig, hostkeys};

/// Logs in to a server that shows an Ed25519 key and announces others, which it proves as `sign` has it.
/// What `ssh` knows of the server afterwards, and whether it asked for proofs.
fn learn(
    ssh: &Path,
    others: Vec<TestKey>,
    sign: fn(&TestKey, session_id: &[u8]) -> Vec<u8>,
) -> (String, bool) {
    let folder = tempfile::tempdir().unwrap();
    let config = ServerConfig {
        // `ssh` learns from its own kind only.
        identification: "SSH-2.0-OpenSSH_9.9 test".to_owned(),
        ..ServerConfig::default()
    };
    let shown = TestKey::ed25519(7);
    let shown_blob = shown.blob.clone();
    let mut end = ServerEnd::new(config, 5, vec![shown]);
    let mut announced = vec![shown_blob.as_slice()];
    announced.extend(others.iter().map(|key| key.blob.as_slice()));
    end.greeting = Some(hostkeys::announcement(&announced));
    let asked = Arc::new(AtomicBool::new(false));
    let was_asked = asked.clone();
    end.answer_global = Some(Box::new(move |packet, session_id| {
        let Ok(keys) = hostkeys::parse_prove_request(packet) else {
            return None;
        };
        asked.store(true, Ordering::Relaxed);
        let signatures: Vec<_> = keys
            .into_iter()
            .map(|blob| sign(others.iter().find(|k| k.blob == blob).unwrap(), session_id))
            .collect();
        let signatures: Vec<_> = signatures.iter().map(Vec::as_slice).collect();
        Some(hostkeys::proofs(&signatures))
    }));
    // It learns only from a host that it knew before.
    let known_hosts = folder.path().join("known_hosts");
    let line = format!("target ssh-ed25519 {}\n", tools::base64_of(&shown_blob));
    std::fs::write(&known_hosts, line).unwrap();
    let seen = run(
        ssh,
        end,
        folder.path(),
        |command| {
            command
                .args(["-o", "UpdateHostKeys=yes", "-o", "BatchMode=yes"])
                .args(["-o", "HashKnownHosts=no", "-o", "HostKeyAlias=target"])
                .args(["127.0.0.1", "exit 42"]);
        },
        b"",
    );
    let said = text(&seen.output.stderr);
    assert_eq!(seen.output.status.code(), Some(42), "{said}");
    let known = std::fs::read_to_string(known_hosts).unwrap();
    (known, was_asked.load(Ordering::Relaxed))
}

fn prove(key: &TestKey, session_id: &[u8]) -> Vec<u8> {
    let algorithm = hostkeys::proof_algorithm(&key.blob, HostKeyAlgorithm::Ed25519);
    assert_eq!(algorithm, Some(key.algorithm));
    (key.sign)(&hostkeys::prove_data(session_id, &key.blob))
}

#[test]
fn ssh_learns_the_keys_that_we_prove() {
    let Some(ssh) = tools::find("ssh") else {
        return;
    };
    let others = vec![
        TestKey::ecdsa(HostKeyAlgorithm::EcdsaP256),
        TestKey::rsa(HostKeyAlgorithm::RsaSha512),
        TestKey::ed25519(8),
    ];
    let lines: Vec<_> = others.iter().map(|k| tools::base64_of(&k.blob)).collect();
    let (known, was_asked) = learn(&ssh, others, prove);
    assert!(was_asked);
    for line in lines {
        assert!(known.contains(&line), "{known}");
    }
    assert_eq!(known.lines().count(), 4);
}

#[test]
fn ssh_does_not_learn_a_key_that_signed_for_another_session() {
    let Some(ssh) = tools::find("ssh") else {
        return;
    };
    let (known, was_asked) = learn(&ssh, vec![TestKey::ed25519(8)], |key, _| {
        (key.sign)(&hostkeys::prove_data(&[0; 32], &key.blob))
    });
    assert!(was_asked);
    assert_eq!(known.lines().count(), 1, "{known}");
}

/// Sends one packet to an `sshd` as soon as it has announced its keys; the announcement and the answer.
fn ask_sshd(
    target: &Target,
    config: ClientConfig,
    question: fn(&[&[u8]]) -> Vec<u8>,
) -> (ClientEnd, Vec<u8>, Vec<u8>) {
    use std::io::{Read as _, Write as _};
    let (mut stream, mut child) = target.connect();
    tools::bound(&stream);
    let mut end = ClientEnd::new(config, 3, target.key_login());
    end.user.clone_from(&target.user);
    let mut buffer = vec![0; 64 * 1024];
    let (mut announcement, mut answer) = (None, None);
    while answer.is_none() {
        for packet in std::mem::take(&mut end.received) {
            if let Ok(keys) = hostkeys::parse_announcement(&packet) {
                let question = question(&keys);
                end.machine.send_packet(&question, end.now).unwrap();
                announcement = Some(packet);
            } else if matches!(packet[0], 81 | 82) {
                answer = Some(packet);
            }
        }
        while let Some(bytes) = end.machine.poll_output() {
            stream.write_all(&bytes).unwrap();
        }
        if answer.is_none() {
            let len = stream.read(&mut buffer).unwrap();
            assert!(len > 0, "{}", target.log());
            end.feed(&buffer[..len]).unwrap();
        }
    }
    drop(stream);
    child.wait().unwrap();
    (end, announcement.unwrap(), answer.unwrap())
}

#[test]
fn sshd_proves_each_of_its_keys_to_us() {
    let Some(target) = Target::new("") else {
        return;
    };
    // What is negotiated decides how its RSA key signs: without any offer of RSA, with SHA-1.
    use HostKeyAlgorithm::{Ed25519, RsaSha256, RsaSha512};
    for preference in [
        [Ed25519, RsaSha512],
        [RsaSha256, Ed25519],
        [RsaSha512, Ed25519],
    ] {
        let mut config = ClientConfig::default();
        config.algorithms.host_keys = preference.to_vec();
        let (end, announcement, answer) = ask_sshd(&target, config, hostkeys::prove_request);
        let keys = hostkeys::parse_announcement(&announcement).unwrap();
        for (name, _) in HOST_KEYS {
            let blob = tools::blob_of(&target.path(&format!("{name}.pub")));
            assert!(keys.contains(&blob.as_slice()), "{name}");
        }
        let session_id = &end.exchanges[0].session_id;
        assert_eq!(hostkeys::verify_proofs(&answer, session_id, &keys), Ok(()));
        let mut another = session_id.clone();
        another[0] ^= 1;
        assert_eq!(
            hostkeys::verify_proofs(&answer, &another, &keys),
            Err(HostKeysError::NotProven)
        );
        let reversed: Vec<_> = keys.iter().rev().copied().collect();
        assert!(hostkeys::verify_proofs(&answer, session_id, &reversed).is_err());
    }
}

#[test]
fn sshd_proves_no_key_that_is_not_its_own() {
    let Some(target) = Target::new("") else {
        return;
    };
    let (end, _, answer) = ask_sshd(&target, ClientConfig::default(), |_| {
        hostkeys::prove_request(&[&TestKey::ed25519(9).blob])
    });
    let foreign = TestKey::ed25519(9).blob;
    let session_id = &end.exchanges[0].session_id;
    assert!(hostkeys::verify_proofs(&answer, session_id, &[&foreign]).is_err());
}
