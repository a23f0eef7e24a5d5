//! Certificates of any content, presented to a real sshd by paramiko, which does not look at them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};
use ssh_key::LineEnding;

use crate::common::{ED25519, key, program, write_private};
use crate::server::Sshd;

/// One login to try.
pub(crate) struct Attempt {
    pub(crate) name: String,
    pub(crate) source: &'static str,
    pub(crate) certificate: Vec<u8>,
    pub(crate) holder: Holder,
    /// Files that sshd reads at each login.
    pub(crate) files: Vec<(PathBuf, Vec<u8>)>,
}

/// A token's word that somebody touched it (PROTOCOL.u2f).
pub(crate) const TOUCHED: u8 = 1;
/// A token's word that it knows who.
pub(crate) const VERIFIED: u8 = 4;

/// What the holder of the certificate signs with: always the private half of `subject()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    PlainKey,
    /// As a token does whose word is this.
    SecurityKey {
        flags: u8,
    },
}

impl Holder {
    /// Whether a server takes this signature, which for a plain key it always does.
    pub(crate) fn satisfies(self, no_touch_required: bool, verification_required: bool) -> bool {
        match self {
            Self::PlainKey => true,
            Self::SecurityKey { flags } => {
                (no_touch_required || flags & TOUCHED != 0)
                    && (!verification_required || flags & VERIFIED != 0)
            }
        }
    }
}

/// Whether there is a Python with paramiko. Says so if there is none, and fails where nothing may be skipped.
pub(crate) fn is_paramiko_there() -> bool {
    let works = program("python3").is_some()
        && Command::new("python3")
            .args(["-c", "import paramiko"])
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success();
    if !works {
        assert!(
            std::env::var_os("PORTREEVE_NO_SKIP").is_none_or(|value| value != "1"),
            "paramiko is missing and PORTREEVE_NO_SKIP=1"
        );
        let _ = std::io::stderr().write_all(b"SKIPPED: python3 has no paramiko\n");
    }
    works
}

/// Tries to log in with each certificate and the key that `subject()` is the public half of.
pub(crate) fn present(sshd: &Sshd, attempts: &[Attempt]) -> BTreeMap<String, bool> {
    let identity = sshd.path().join("presented");
    let private = key(100, ED25519).to_openssh(LineEnding::LF).unwrap();
    write_private(&identity, &private);
    let cases: Vec<Value> = attempts.iter().map(case).collect();
    let job = json!({
        "port": sshd.port(),
        "user": sshd.user,
        "key": identity,
        "cases": cases,
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/present.py");
    let mut child = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(job.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}\n{}", sshd.log());
    let verdicts: BTreeMap<String, bool> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdicts.len(), attempts.len(), "names are unique");
    verdicts
}

fn case(attempt: &Attempt) -> Value {
    let files: BTreeMap<&str, String> = attempt
        .files
        .iter()
        .map(|(path, content)| (path.to_str().unwrap(), Base64::encode_string(content)))
        .collect();
    json!({
        "name": attempt.name,
        "source": attempt.source,
        "certificate": Base64::encode_string(&attempt.certificate),
        "token_flags": match attempt.holder {
            Holder::PlainKey => None,
            Holder::SecurityKey { flags } => Some(flags),
        },
        "files": files,
    })
}
