//! Our client against the real `sshd`, started for one connection at a time (`sshd -i`).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;

use std::io::{Read as _, Write as _};
use std::process::Command;

use common::channel::pattern;
use common::sshd::{HOST_KEYS, Target};
use common::tools::text;
use common::{ClientEnd, Login, TestKey, tools};
use ssh_transport::{
    Algorithms, CipherAlgorithm, ClientConfig, Ed25519Key, Error, HostKeyAlgorithm, KexAlgorithm,
    MacAlgorithm, Negotiated, Provider,
};
use zeroize::Zeroizing;

#[test]
fn sshd_lets_a_plain_key_in_and_runs_a_command() {
    let Some(target) = Target::new("") else {
        return;
    };
    let (end, outcome) = target.run(
        ClientConfig::default(),
        target.key_login(),
        "read line; echo got $line; exit 7",
        b"hello\n",
    );
    assert_eq!(
        (text(&outcome.stdout).as_str(), outcome.status),
        ("got hello\n", Some(7)),
        "{}",
        target.log()
    );
    assert!(end.exchanges[0].strict || !target.log().contains("kex-strict"));
    assert_eq!(end.exchanges[0].cipher_out, "aes256-gcm@openssh.com");
    assert_eq!(
        end.host_keys[0].public_key,
        tools::blob_of(&target.path("host_ed25519.pub"))
    );
    assert!(!end.host_keys[0].rekey && !end.host_keys[0].changed);
    assert!(
        end.machine
            .server_sig_algs()
            .unwrap()
            .contains("ssh-ed25519")
    );
}

#[test]
fn sshd_lets_a_certificate_in_that_ssh_keygen_signed() {
    let Some(target) = Target::new("") else {
        return;
    };
    let key = Ed25519Key::from_seed(Zeroizing::new(tools::ed25519_seed(&target.path("user"))));
    tools::run(
        Command::new("ssh-keygen")
            .args([
                "-q",
                "-I",
                "session",
                "-n",
                &target.user,
                "-V",
                "-1m:+3m",
                "-s",
            ])
            .arg(target.path("authority"))
            .arg(target.path("user.pub")),
    );
    let login = Login::Key {
        algorithm: "ssh-ed25519-cert-v01@openssh.com".to_owned(),
        blob: tools::blob_of(&target.path("user-cert.pub")),
        sign: Box::new(move |data| key.sign(data)),
    };
    let (end, outcome) = target.run(ClientConfig::default(), login, "echo in", b"");
    assert_eq!(
        (text(&outcome.stdout).as_str(), outcome.status),
        ("in\n", Some(0)),
        "{}",
        target.log()
    );
    assert!(end.failures.is_empty());
}

#[test]
fn sshd_refuses_none_and_a_stranger_and_shows_its_banner() {
    let Some(target) = Target::new("") else {
        return;
    };
    let banner = target.path("banner");
    std::fs::write(&banner, "Keep out\n").unwrap();
    let Some(target) = Target::new(&format!("Banner {}", banner.display())) else {
        return;
    };
    let (end, outcome) = target.run(ClientConfig::default(), Login::None, "echo in", b"");
    assert!(outcome.refused && !end.authenticated);
    assert_eq!(end.failures, [["publickey"]]);
    assert_eq!(end.banners, ["Keep out\n"]);

    let stranger = TestKey::ed25519(77);
    let login = Login::Key {
        algorithm: "ssh-ed25519".to_owned(),
        blob: stranger.blob,
        sign: stranger.sign,
    };
    let (end, outcome) = target.run(ClientConfig::default(), login, "echo in", b"");
    assert!(outcome.refused && !end.authenticated, "{}", target.log());
}

#[test]
fn sshd_takes_each_cipher_and_each_key_exchange() {
    let Some(target) = Target::new("") else {
        return;
    };
    let data: Vec<u8> = (0..300_000).map(pattern).collect();
    let check = |kex: KexAlgorithm, cipher: CipherAlgorithm, mac: MacAlgorithm| {
        let mut config = ClientConfig::default();
        config.algorithms.kex = vec![kex];
        config.algorithms.ciphers = vec![cipher];
        config.algorithms.macs = vec![mac];
        let (end, outcome) = target.run(config, target.key_login(), "cat", &data);
        assert!(
            outcome.stdout == data && outcome.status == Some(0),
            "{kex:?} {cipher:?} {mac:?}: {}",
            target.log()
        );
        let exchange = &end.exchanges[0];
        assert_eq!(
            (exchange.kex, exchange.cipher_in),
            (kex.name(), cipher.name())
        );
        let mac = (!cipher.is_authenticated()).then(|| mac.name());
        assert_eq!((exchange.mac_in, exchange.mac_out), (mac, mac));
    };
    for cipher in CipherAlgorithm::ALL {
        for mac in MacAlgorithm::ALL {
            check(KexAlgorithm::Curve25519Sha256, cipher, mac);
        }
    }
    for kex in KexAlgorithm::ALL {
        // sshd has it from version 9.9 on.
        if kex != KexAlgorithm::MlKem768X25519Sha256 {
            check(kex, CipherAlgorithm::Aes256Ctr, MacAlgorithm::HmacSha512);
        }
    }
}

#[test]
fn sshd_proves_each_kind_of_host_key_and_the_preference_decides() {
    let Some(target) = Target::new("") else {
        return;
    };
    let files = [
        (HostKeyAlgorithm::EcdsaP256, "host_p256"),
        (HostKeyAlgorithm::EcdsaP384, "host_p384"),
        (HostKeyAlgorithm::EcdsaP521, "host_p521"),
        (HostKeyAlgorithm::RsaSha512, "host_rsa"),
        (HostKeyAlgorithm::RsaSha256, "host_rsa"),
    ];
    for (algorithm, file) in files {
        let mut config = ClientConfig::default();
        config.algorithms.host_keys = vec![algorithm, HostKeyAlgorithm::Ed25519];
        let (end, outcome) = target.run(config, target.key_login(), "true", b"");
        assert_eq!(outcome.status, Some(0), "{algorithm:?}: {}", target.log());
        assert_eq!(
            end.host_keys[0].public_key,
            tools::blob_of(&target.path(&format!("{file}.pub")))
        );
    }
}

#[test]
fn sshd_takes_the_fips_profile() {
    let Some(target) = Target::new("") else {
        return;
    };
    let config = ClientConfig {
        provider: Provider::AwsLc,
        algorithms: Algorithms::fips(),
        ..ClientConfig::default()
    };
    let data: Vec<u8> = (0..300_000).map(pattern).collect();
    let (end, outcome) = target.run(config, target.key_login(), "cat", &data);
    assert!(outcome.stdout == data, "{}", target.log());
    let exchange = &end.exchanges[0];
    assert_eq!(
        (
            exchange.kex,
            exchange.host_key_algorithm.name(),
            exchange.cipher_in
        ),
        (
            "ecdh-sha2-nistp256",
            "ecdsa-sha2-nistp256",
            "aes256-gcm@openssh.com"
        )
    );
}

#[test]
fn an_old_sshd_that_signs_with_sha_1_is_taken_only_where_that_is_configured() {
    let Some(target) = Target::new("HostKeyAlgorithms ssh-rsa\n") else {
        return;
    };
    let config = ClientConfig {
        algorithms: Algorithms::legacy(),
        ..ClientConfig::default()
    };
    let (end, outcome) = target.run(config, target.key_login(), "true", b"");
    assert_eq!(outcome.status, Some(0), "{}", target.log());
    assert_eq!(end.host_keys[0].algorithm, HostKeyAlgorithm::RsaSha1);

    let (mut stream, mut child) = target.connect();
    let mut end = ClientEnd::new(ClientConfig::default(), 3, Login::None);
    let mut buffer = [0; 4096];
    let refused = loop {
        let output = end.machine.poll_output().unwrap_or_default();
        stream.write_all(&output).unwrap();
        let len = stream.read(&mut buffer).unwrap();
        assert!(len > 0, "{}", target.log());
        if let Err(error) = end.feed(&buffer[..len]) {
            break error;
        }
    };
    drop(stream);
    child.wait().unwrap();
    assert_eq!(
        refused,
        Error::PeerIncompatible {
            what: Negotiated::HostKey
        }
    );
}

#[test]
fn sshd_proves_its_host_certificate_when_the_client_asks_for_one() {
    let Some(target) = Target::new("") else {
        return;
    };
    let mut lines = String::new();
    for (file, _) in HOST_KEYS {
        tools::run(
            Command::new("ssh-keygen")
                .args(["-q", "-h", "-I", "host", "-n", "localhost", "-s"])
                .arg(target.path("authority"))
                .arg(target.path(&format!("{file}.pub"))),
        );
        lines += &format!(
            "HostCertificate {}\n",
            target.path(&format!("{file}-cert.pub")).display()
        );
    }
    let config_file = target.path("sshd_config");
    let config = std::fs::read_to_string(&config_file).unwrap();
    std::fs::write(&config_file, config + &lines).unwrap();
    target.authorize(&target.path("user.pub"));
    for algorithm in HostKeyAlgorithm::CERTIFICATES {
        let mut config = ClientConfig::default();
        config.algorithms.host_keys = vec![algorithm];
        // The user's key is bound to the whole certificate.
        let (end, outcome) = target.run(config, target.login_with("user"), "true", b"");
        assert_eq!(outcome.status, Some(0), "{algorithm:?}: {}", target.log());
        assert_eq!(end.host_keys[0].algorithm, algorithm);
        assert!(end.host_keys[0].public_key[4..].starts_with(algorithm.blob_type().as_bytes()));
    }
}

#[test]
fn data_is_whole_and_in_order_while_sshd_and_the_client_exchange_keys() {
    let Some(target) = Target::new("RekeyLimit 1M") else {
        return;
    };
    let data: Vec<u8> = (0..12 << 20).map(pattern).collect();
    for cipher in CipherAlgorithm::ALL {
        let mut config = ClientConfig::default();
        config.rekey.max_bytes = 900_000;
        config.algorithms.ciphers = vec![cipher];
        let (end, outcome) = target.run(config, target.key_login(), "cat", &data);
        assert!(
            outcome.stdout == data && outcome.status == Some(0),
            "{}",
            target.log()
        );
        assert!(
            end.exchanges.len() > 10,
            "{} exchanges",
            end.exchanges.len()
        );
        assert!(end.host_keys[1..].iter().all(|k| k.rekey && !k.changed));
    }
}
