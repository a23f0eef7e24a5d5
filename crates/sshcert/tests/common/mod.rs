//! What several test files share: foreign tools, keys, and a certificate to start from.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use ssh_key::{Algorithm, EcdsaCurve, PrivateKey, PublicKey};
use sshcert::{CaKey, Certificate, Principals, UserCertificate, Validity};

/// A moment for tests that need no real time.
pub(crate) const NOW: Duration = Duration::from_secs(1_700_000_000);

pub(crate) const ED25519: Algorithm = Algorithm::Ed25519;
pub(crate) const P256: Algorithm = Algorithm::Ecdsa {
    curve: EcdsaCurve::NistP256,
};
pub(crate) const P384: Algorithm = Algorithm::Ecdsa {
    curve: EcdsaCurve::NistP384,
};
pub(crate) const P521: Algorithm = Algorithm::Ecdsa {
    curve: EcdsaCurve::NistP521,
};

/// The path of a program on PATH or among the system's. Says so if there is none, and fails where
/// nothing may be skipped.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("PORTREEVE_NO_SKIP").is_none_or(|value| value != "1"),
            "{name} is missing and PORTREEVE_NO_SKIP=1"
        );
        // Not by `println!`, which the test harness keeps to itself.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("SKIPPED: {name} is not on PATH\n").as_bytes(),
        );
    }
    found
}

/// Runs `ssh-keygen` in a directory and expects success.
pub(crate) fn ssh_keygen(directory: &Path, arguments: &[&str]) -> Output {
    let output = Command::new("ssh-keygen")
        .args(arguments)
        .current_dir(directory)
        .env("TZ", "UTC")
        .output()
        .expect("ssh-keygen starts");
    assert!(
        output.status.success(),
        "ssh-keygen {arguments:?}: {output:?}"
    );
    output
}

/// Has `ssh-keygen` make a key pair, `name` and `name.pub`.
pub(crate) fn generate(directory: &Path, kind: &str, bits: &str, name: &str) {
    ssh_keygen(
        directory,
        &["-q", "-t", kind, "-b", bits, "-N", "", "-C", "", "-f", name],
    );
}

pub(crate) fn key(seed: u64, algorithm: Algorithm) -> PrivateKey {
    PrivateKey::random(&mut ChaCha20Rng::seed_from_u64(seed), algorithm).unwrap()
}

pub(crate) fn subject() -> PublicKey {
    key(100, ED25519).public_key().clone()
}

pub(crate) fn ca(seed: u64) -> CaKey {
    CaKey::from_private_key(key(seed, ED25519)).unwrap()
}

pub(crate) fn validity() -> Validity {
    Validity::starting(NOW, Duration::from_secs(180), Duration::from_secs(60)).unwrap()
}

/// A user certificate for `deploy`, to be changed by the test.
pub(crate) fn user() -> UserCertificate {
    UserCertificate::new(subject(), Principals::one("deploy").unwrap(), validity())
}

pub(crate) fn issue(ca: &CaKey, certificate: UserCertificate) -> Certificate {
    let prepared = certificate.prepare(ca.public(), [7; 32]).unwrap();
    let signature = ca.sign(&prepared).unwrap();
    prepared.complete(&signature).unwrap()
}

/// The blob in a public key or certificate line.
pub(crate) fn blob(line: &str) -> Vec<u8> {
    use base64ct::Encoding as _;
    let base64 = line
        .split_whitespace()
        .nth(1)
        .expect("a key line has two words");
    base64ct::Base64::decode_vec(base64).expect("base64")
}

pub(crate) fn read(directory: &Path, name: &str) -> String {
    fs::read_to_string(directory.join(name)).unwrap()
}

/// Writes a file that only its owner may read, as OpenSSH demands of private keys.
pub(crate) fn write_private(path: &Path, content: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Appends an SSH string.
pub(crate) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend(bytes);
}
