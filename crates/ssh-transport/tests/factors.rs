//! Our client against an `sshd` that wants more than one thing.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;

use common::sshd::Target;
use common::tools::{self, text};
use common::{ClientEnd, Login, TestKey};
use ssh_transport::{ClientConfig, HostKeyAlgorithm};

/// An `sshd` that wants two keys, both of which it knows.
fn two_keys() -> Option<Target> {
    let target = Target::new("AuthenticationMethods publickey,publickey")?;
    tools::keygen(&target.path(""), "second", &["-t", "ed25519"]);
    let known =
        ["user.pub", "second.pub"].map(|name| std::fs::read_to_string(target.path(name)).unwrap());
    std::fs::write(target.path("authorized_keys"), known.concat()).unwrap();
    Some(target)
}

#[test]
fn sshd_lets_the_client_in_after_its_second_key() {
    let Some(target) = two_keys() else {
        return;
    };
    let mut end = ClientEnd::new(ClientConfig::default(), 3, target.login_with("user"));
    end.further_logins = vec![target.login_with("second")];
    let outcome = target.run_end(&mut end, "echo in", b"");
    assert_eq!(
        (text(&outcome.stdout).as_str(), outcome.status),
        ("in\n", Some(0)),
        "{}",
        target.log()
    );
    assert_eq!(end.partial_successes, [["publickey"]]);
    // Both signatures were for this host only.
    let bound = "method publickey-hostbound-v00@openssh.com";
    assert!(target.log().matches(bound).count() >= 2, "{}", target.log());
}

#[test]
fn sshd_takes_the_same_key_only_once() {
    let Some(target) = two_keys() else {
        return;
    };
    let mut end = ClientEnd::new(ClientConfig::default(), 3, target.login_with("user"));
    end.further_logins = vec![target.login_with("user")];
    let outcome = target.run_end(&mut end, "echo in", b"");
    assert!(outcome.refused, "{}", target.log());
    assert_eq!(end.partial_successes.len(), 1);
    assert_eq!(end.failures, [["publickey"]]);
}

#[test]
fn an_rsa_key_and_its_certificate_sign_with_what_sshd_takes() {
    let Some(target) = Target::new("") else {
        return;
    };
    for of_certificate in [false, true] {
        let key = TestKey::rsa(HostKeyAlgorithm::RsaSha512);
        let line = format!("ssh-rsa {} test\n", tools::base64_of(&key.blob));
        std::fs::write(target.path("rsa.pub"), line).unwrap();
        let blob = if of_certificate {
            std::fs::write(target.path("authorized_keys"), "").unwrap();
            tools::run(
                std::process::Command::new("ssh-keygen")
                    .args(["-q", "-I", "session", "-n", &target.user, "-s"])
                    .arg(target.path("authority"))
                    .arg(target.path("rsa.pub")),
            );
            tools::blob_of(&target.path("rsa-cert.pub"))
        } else {
            target.authorize(&target.path("rsa.pub"));
            key.blob
        };
        let login = Login::AnyAlgorithm {
            blob,
            sign: key.sign,
        };
        let (end, outcome) = target.run(ClientConfig::default(), login, "true", b"");
        assert_eq!(outcome.status, Some(0), "{}", target.log());
        assert_eq!(end.signed_with, ["rsa-sha2-512"]);
    }
}
