//! The real `ssh` against our server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;

use std::process::Command;

use common::channel::pattern;
use common::ssh::ssh_against;
use common::tools::text;
use common::{TestKey, accept_keys, accept_none, tools};
use ssh_transport::{
    Algorithms, CipherAlgorithm, HostKeyAlgorithm, KexAlgorithm, MacAlgorithm, ServerConfig,
};

#[test]
fn ssh_logs_in_with_none_and_gets_the_exit_status() {
    let Some(ssh) = tools::find("ssh") else {
        return;
    };
    let seen = ssh_against(
        &ssh,
        ServerConfig::default(),
        vec![TestKey::ed25519(7)],
        accept_none,
        &["127.0.0.1", "exit 42"],
        b"",
    );
    assert_eq!(
        seen.output.status.code(),
        Some(42),
        "{}",
        text(&seen.output.stderr)
    );
    assert_eq!(seen.end.attempts.len(), 1);
    assert_eq!(seen.end.attempts[0].0, "alice");
    assert!(seen.end.exchanges[0].strict);
    assert!(seen.end.idents[0].starts_with("SSH-2.0-OpenSSH_"));
    assert!(seen.session.done);
    assert!(seen.session.requests.contains(&"exec".to_owned()));
}

#[test]
fn ssh_takes_each_cipher_and_key_exchange() {
    let Some(ssh) = tools::find("ssh") else {
        return;
    };
    let ciphers = [
        "aes256-gcm@openssh.com",
        "aes128-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
    ];
    let exchanges = ["curve25519-sha256", "curve25519-sha256@libssh.org"];
    let data: Vec<u8> = (0..200_000).map(pattern).collect();
    for (cipher, kex) in ciphers.iter().flat_map(|c| exchanges.map(|k| (c, k))) {
        let kex_option = format!("KexAlgorithms={kex}");
        let seen = ssh_against(
            &ssh,
            ServerConfig::default(),
            vec![TestKey::ed25519(7)],
            accept_none,
            &["-c", cipher, "-o", &kex_option, "127.0.0.1", "cat"],
            &data,
        );
        assert_eq!(
            seen.output.status.code(),
            Some(0),
            "{cipher} {kex}: {}",
            text(&seen.output.stderr)
        );
        assert!(seen.output.stdout == data, "{cipher} {kex}");
        let exchange = &seen.end.exchanges[0];
        assert_eq!(
            (exchange.cipher_in, exchange.cipher_out, exchange.kex),
            (*cipher, *cipher, kex)
        );
    }
}

#[test]
fn ssh_takes_each_algorithm_of_old_peers() {
    let Some(ssh) = tools::find("ssh") else {
        return;
    };
    let data: Vec<u8> = (0..200_000).map(pattern).collect();
    let check = |kex: KexAlgorithm, cipher: CipherAlgorithm, mac: MacAlgorithm| {
        let config = ServerConfig {
            algorithms: Algorithms::legacy(),
            ..ServerConfig::default()
        };
        let kex_option = format!("KexAlgorithms={}", kex.name());
        let seen = ssh_against(
            &ssh,
            config,
            vec![TestKey::ed25519(7)],
            accept_none,
            &[
                "-c",
                cipher.name(),
                "-m",
                mac.name(),
                "-o",
                &kex_option,
                "127.0.0.1",
                "cat",
            ],
            &data,
        );
        let said = text(&seen.output.stderr);
        assert_eq!(
            seen.output.status.code(),
            Some(0),
            "{kex:?} {cipher:?} {mac:?}: {said}"
        );
        assert!(seen.output.stdout == data);
        let exchange = &seen.end.exchanges[0];
        assert_eq!(
            (exchange.kex, exchange.cipher_in, exchange.mac_in),
            (kex.name(), cipher.name(), Some(mac.name()))
        );
    };
    for cipher in CipherAlgorithm::LEGACY {
        for mac in MacAlgorithm::ALL {
            check(KexAlgorithm::Curve25519Sha256, cipher, mac);
        }
    }
    for kex in KexAlgorithm::NIST.into_iter().chain(KexAlgorithm::LEGACY) {
        check(kex, CipherAlgorithm::Aes128Ctr, MacAlgorithm::HmacSha256Etm);
    }
}

#[test]
fn ssh_takes_each_kind_of_host_key() {
    let Some(ssh) = tools::find("ssh") else {
        return;
    };
    for algorithm in HostKeyAlgorithm::KEYS {
        let seen = ssh_against(
            &ssh,
            ServerConfig::default(),
            vec![TestKey::of(algorithm)],
            accept_none,
            &["127.0.0.1", "exit 3"],
            b"",
        );
        assert_eq!(
            seen.output.status.code(),
            Some(3),
            "{algorithm:?}: {}",
            text(&seen.output.stderr)
        );
        assert_eq!(seen.end.exchanges[0].host_key_algorithm, algorithm);
    }
}

#[test]
fn data_is_whole_and_in_order_while_ssh_exchanges_keys_every_megabyte() {
    let Some(ssh) = tools::find("ssh") else {
        return;
    };
    let data: Vec<u8> = (0..12 << 20).map(pattern).collect();
    let seen = ssh_against(
        &ssh,
        ServerConfig::default(),
        vec![TestKey::ed25519(7)],
        accept_none,
        &["-o", "RekeyLimit=1M", "127.0.0.1", "cat"],
        &data,
    );
    assert_eq!(
        seen.output.status.code(),
        Some(0),
        "{}",
        text(&seen.output.stderr)
    );
    assert!(
        seen.output.stdout == data,
        "{} of {} bytes",
        seen.output.stdout.len(),
        data.len()
    );
    assert!(
        seen.end.exchanges.len() > 5,
        "{} exchanges",
        seen.end.exchanges.len()
    );
    let session = &seen.end.exchanges[0].session_id;
    assert!(
        seen.end
            .exchanges
            .iter()
            .all(|e| e.session_id == *session && e.strict)
    );
}

#[test]
fn data_is_whole_and_in_order_while_both_sides_exchange_keys() {
    let Some(ssh) = tools::find("ssh") else {
        return;
    };
    let mut config = ServerConfig::default();
    config.rekey.max_bytes = 700_000;
    let data: Vec<u8> = (0..12 << 20).map(pattern).collect();
    for cipher in ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"] {
        let seen = ssh_against(
            &ssh,
            config.clone(),
            vec![TestKey::ed25519(7)],
            accept_none,
            &["-c", cipher, "-o", "RekeyLimit=1M", "127.0.0.1", "cat"],
            &data,
        );
        assert_eq!(
            seen.output.status.code(),
            Some(0),
            "{}",
            text(&seen.output.stderr)
        );
        assert!(
            seen.output.stdout == data,
            "{} of {} bytes",
            seen.output.stdout.len(),
            data.len()
        );
        assert!(
            seen.end.exchanges.len() > 10,
            "{} exchanges",
            seen.end.exchanges.len()
        );
    }
}

#[test]
fn ssh_proves_its_key_of_each_kind_and_shows_the_banner() {
    let Some(ssh) = tools::find("ssh") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let kinds: [(&str, &[&str]); 4] = [
        ("ed", &["-t", "ed25519"]),
        ("p256", &["-t", "ecdsa", "-b", "256"]),
        ("p521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
    ];
    for (name, kind) in kinds {
        let file = tools::keygen(folder.path(), name, kind);
        let seen = ssh_against(
            &ssh,
            ServerConfig::default(),
            vec![TestKey::ed25519(7)],
            accept_keys,
            &[
                "-i",
                file.to_str().unwrap(),
                "-o",
                "IdentitiesOnly=yes",
                "127.0.0.1",
                "exit 5",
            ],
            b"",
        );
        let shown = text(&seen.output.stderr);
        assert_eq!(seen.output.status.code(), Some(5), "{name}: {shown}");
        assert!(shown.contains("not that way"), "{shown}");
        assert!(shown.contains("rsa-sha2-512,rsa-sha2-256"), "{shown}");
        assert_eq!(
            seen.end.verified_keys(),
            1,
            "{name}: {:?}",
            seen.end.attempts
        );
    }
}

#[test]
fn ssh_proves_the_key_within_its_certificate() {
    let Some(ssh) = tools::find("ssh") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let authority = tools::keygen(folder.path(), "authority", &["-t", "ed25519"]);
    for (name, kind) in [
        ("ed", &["-t", "ed25519"][..]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
    ] {
        let file = tools::keygen(folder.path(), name, kind);
        let public = format!("{}.pub", file.display());
        tools::run(
            Command::new("ssh-keygen")
                .args(["-q", "-I", "id", "-n", "alice", "-s"])
                .arg(&authority)
                .arg(&public),
        );
        let only_certificates: common::Judge = |method| matches!(method, ssh_transport::AuthMethod::PublicKey { algorithm, .. } if algorithm.is_certificate());
        let seen = ssh_against(
            &ssh,
            ServerConfig::default(),
            vec![TestKey::ed25519(7)],
            only_certificates,
            &[
                "-i",
                file.to_str().unwrap(),
                "-o",
                "IdentitiesOnly=yes",
                "127.0.0.1",
                "exit 6",
            ],
            b"",
        );
        assert_eq!(
            seen.output.status.code(),
            Some(6),
            "{name}: {}",
            text(&seen.output.stderr)
        );
        assert_eq!(
            seen.end.verified_keys(),
            1,
            "{name}: {:?}",
            seen.end.attempts
        );
    }
}
