//! What several test files share: foreign tools, and keys they made.

#![allow(dead_code, reason = "each test file uses its part")]

use std::path::Path;
use std::process::{Command, Output};

/// Whether a program is there. Says so if not, and fails where nothing may be skipped.
pub(crate) fn have(program: &str) -> bool {
    if Command::new(program).arg("-?").output().is_ok() {
        return true;
    }
    assert!(
        std::env::var_os("PORTREEVE_NO_SKIP").is_none_or(|value| value != "1"),
        "{program} is missing and PORTREEVE_NO_SKIP=1"
    );
    // Not by `println!`, which the test harness keeps to itself.
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("SKIPPED: {program} is not on PATH\n").as_bytes(),
    );
    false
}

/// Runs `ssh-keygen` in a directory and expects success.
pub(crate) fn ssh_keygen(directory: &Path, arguments: &[&str]) -> Output {
    let output = Command::new("ssh-keygen")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("ssh-keygen starts");
    assert!(
        output.status.success(),
        "ssh-keygen {arguments:?}: {output:?}"
    );
    output
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

/// A plausible Ed25519 target key.
pub(crate) fn ed25519_blob(fill: u8) -> Vec<u8> {
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    blob.extend([fill; 32]);
    blob
}
