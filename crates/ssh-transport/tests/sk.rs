//! Security keys: `ssh` with an agent that holds one in software, before our server and before the real `sshd`.
//!
//! The two verdicts must agree, whatever the key says of touch and verification and whatever is asked of it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::agent::{Agent, SecurityKey, TOUCHED, VERIFIED};
use common::ssh::run;
use common::sshd::Target;
use common::tools::{self, text};
use common::{Question, ServerEnd, TestKey, Verdict};
use ssh_transport::{AuthMethod, KeyProof, Requirement, SecurityKeyPolicy, ServerConfig};

/// What is asked of the key.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    Nothing,
    /// `no-touch-required` in `authorized_keys`.
    NoTouch,
    /// `verify-required` in `authorized_keys`.
    Verified,
    /// A certificate.
    Certificate,
    /// A certificate with `no-touch-required`.
    NoTouchCertificate,
}

impl Asked {
    /// What stands before the key in `authorized_keys`.
    fn key_options(self) -> &'static str {
        match self {
            Self::NoTouch => "no-touch-required ",
            Self::Verified => "verify-required ",
            _ => "",
        }
    }

    fn certificate_options(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Certificate => Some(&[]),
            Self::NoTouchCertificate => Some(&["-O", "no-touch-required"]),
            _ => None,
        }
    }

    fn policy(self) -> SecurityKeyPolicy {
        let default = SecurityKeyPolicy::default();
        match self {
            Self::Nothing => default,
            // What a certificate says, the caller reads.
            Self::NoTouch | Self::Certificate | Self::NoTouchCertificate => SecurityKeyPolicy {
                touch: Requirement::Optional,
                ..default
            },
            Self::Verified => SecurityKeyPolicy {
                verification: Requirement::Required,
                ..default
            },
        }
    }
}

/// One row: what the key says, what is asked of it, and whether that lets it in.
struct Row {
    flags: u8,
    asked: Asked,
    spoil: fn(&mut Vec<u8>),
    is_in: bool,
}

const fn row(flags: u8, asked: Asked, is_in: bool) -> Row {
    Row {
        flags,
        asked,
        spoil: |_| {},
        is_in,
    }
}

/// Flags and counter are the last five bytes of a signature.
const fn spoilt(flags: u8, asked: Asked, spoil: fn(&mut Vec<u8>)) -> Row {
    Row {
        flags,
        asked,
        spoil,
        is_in: false,
    }
}

fn set_flags(signature: &mut [u8], flags: u8) {
    let at = signature.len() - 5;
    signature[at] = flags;
}

const ROWS: [Row; 13] = [
    row(TOUCHED, Asked::Nothing, true),
    row(0, Asked::Nothing, false),
    row(VERIFIED, Asked::Nothing, false),
    row(0, Asked::NoTouch, true),
    row(TOUCHED, Asked::Verified, false),
    row(TOUCHED | VERIFIED, Asked::Verified, true),
    row(TOUCHED, Asked::Certificate, true),
    row(0, Asked::Certificate, false),
    row(0, Asked::NoTouchCertificate, true),
    spoilt(0, Asked::Nothing, |s| set_flags(s, TOUCHED)),
    spoilt(TOUCHED, Asked::Verified, |s| {
        set_flags(s, TOUCHED | VERIFIED)
    }),
    spoilt(TOUCHED, Asked::NoTouch, |s| set_flags(s, 0)),
    // Another counter than the one that was signed.
    spoilt(TOUCHED, Asked::Nothing, |s| *s.last_mut().unwrap() ^= 1),
];

/// A security key with its agent, its public key file and its certificate, if one is asked for.
struct Holder {
    agent: Agent,
    public_file: PathBuf,
}

impl Holder {
    fn new(target: &Target, key: SecurityKey, asked: Asked) -> Self {
        let public_file = target.path("sk.pub");
        std::fs::write(&public_file, key.line()).unwrap();
        let certificate = asked.certificate_options().map(|options| {
            tools::run(
                Command::new("ssh-keygen")
                    .args(["-q", "-I", "session", "-n", &target.user])
                    .args(options)
                    .arg("-s")
                    .arg(target.path("authority"))
                    .arg(&public_file),
            );
            tools::blob_of(&target.path("sk-cert.pub"))
        });
        Self {
            agent: Agent::serve(&target.path("agent"), key, certificate),
            public_file,
        }
    }

    fn configure(&self, command: &mut Command) {
        command
            .args(["-o", "BatchMode=yes", "-o"])
            .arg(format!("IdentityAgent={}", self.agent.socket.display()))
            .args(["127.0.0.1", "exit 42"]);
    }
}

/// Whether `ssh` was let in by its exit status; it was refused only if it says so, and else something broke.
fn verdict(code: Option<i32>, ssh_said: &str, all_said: &str) -> bool {
    let is_in = code == Some(42);
    let is_refused = code == Some(255) && ssh_said.contains("Permission denied");
    assert!(is_in || is_refused, "{code:?}\n{all_said}");
    is_in
}

/// Whether the real `sshd` lets `ssh` in, and what both said.
fn sshd_verdict(ssh: &Path, target: &Target, holder: &Holder, asked: Asked) -> (bool, String) {
    let authorized = match asked.certificate_options() {
        Some(_) => String::new(),
        None => {
            let line = std::fs::read_to_string(&holder.public_file).unwrap();
            format!("{}{line}", asked.key_options())
        }
    };
    std::fs::write(target.path("authorized_keys"), authorized).unwrap();
    let mut command = tools::bounded(ssh);
    command
        .args(["-F", "none", "-l", &target.user])
        .args(["-o", "StrictHostKeyChecking=no", "-o", "LogLevel=DEBUG1"])
        .args(["-o", "UserKnownHostsFile=/dev/null", "-o"])
        .arg(format!(
            "ProxyCommand={} -i -e -f {} 2>>{}",
            target.sshd.display(),
            target.path("sshd_config").display(),
            target.path("log").display()
        ));
    holder.configure(&mut command);
    let output = command.output().unwrap();
    let ssh_said = text(&output.stderr);
    let said = format!("{ssh_said}\n{}", target.log());
    (verdict(output.status.code(), &ssh_said, &said), said)
}

/// Whether our server lets `ssh` in, what `ssh` said, and the counters that the server saw.
fn our_verdict(
    ssh: &Path,
    target: &Target,
    holder: &Holder,
    asked: Asked,
) -> (bool, String, Vec<u32>) {
    let config = ServerConfig {
        security_keys: asked.policy(),
        ..ServerConfig::default()
    };
    let mut end = ServerEnd::new(config, 5, vec![TestKey::ed25519(7)]);
    end.decide = Some(Box::new(move |question| {
        let Question::Attempt(attempt) = question else {
            return Verdict::Reject(&["publickey"]);
        };
        match &attempt.method {
            AuthMethod::PublicKey {
                public_key, proof, ..
            } => {
                let is_touched = match proof {
                    KeyProof::SecurityKey(proof) => proof.user_present,
                    _ => true,
                };
                // The options of a certificate stand in it by name.
                let option = b"no-touch-required";
                let may_be_untouched = asked.certificate_options().is_none()
                    || public_key.windows(option.len()).any(|w| w == option);
                if is_touched || may_be_untouched {
                    Verdict::Accept
                } else {
                    Verdict::Reject(&["publickey"])
                }
            }
            _ => Verdict::Reject(&["publickey"]),
        }
    }));
    let folder = target.path("");
    let seen = run(ssh, end, &folder, |command| holder.configure(command), b"");
    let counters = seen
        .end
        .attempts
        .iter()
        .filter_map(|(_, method)| match method {
            AuthMethod::PublicKey {
                proof: KeyProof::SecurityKey(proof),
                ..
            } => Some(proof.counter),
            _ => None,
        })
        .collect();
    let said = text(&seen.output.stderr);
    let is_in = verdict(seen.output.status.code(), &said, &said);
    assert_eq!(seen.end.authenticated, is_in, "{said}");
    (is_in, said, counters)
}

fn verdicts_agree(make: fn(&str) -> SecurityKey) {
    let (Some(ssh), Some(target)) = (tools::find("ssh"), Target::new("")) else {
        return;
    };
    for (number, row) in ROWS.iter().enumerate() {
        let mut key = make("ssh:");
        key.flags = row.flags;
        key.spoil = row.spoil;
        let holder = Holder::new(&target, key, row.asked);
        let about = format!("row {number}: flags {} {:?}", row.flags, row.asked);
        let (theirs, said) = sshd_verdict(&ssh, &target, &holder, row.asked);
        assert_eq!(theirs, row.is_in, "sshd, {about}\n{said}");
        // Each verdict is one on a signature.
        assert_eq!(holder.agent.signatures(), 1, "sshd, {about}\n{said}");
        let (ours, said, counters) = our_verdict(&ssh, &target, &holder, row.asked);
        assert_eq!(ours, row.is_in, "our server, {about}\n{said}");
        assert_eq!(holder.agent.signatures(), 2, "our server, {about}\n{said}");
        if ours {
            // The agent counts its signatures from 1; `sshd` had the first.
            assert_eq!(counters, [2], "{about}");
        }
    }
}

#[test]
fn our_server_and_sshd_agree_on_each_signature_of_an_ed25519_security_key() {
    verdicts_agree(SecurityKey::ed25519);
}

#[test]
fn our_server_and_sshd_agree_on_each_signature_of_an_ecdsa_security_key() {
    verdicts_agree(SecurityKey::ecdsa);
}

#[test]
fn a_key_that_a_web_site_had_made_is_refused_by_us_before_it_signs() {
    let (Some(ssh), Some(target)) = (tools::find("ssh"), Target::new("")) else {
        return;
    };
    for (application, is_in) in [("ssh:work", true), ("https://example.com", false)] {
        let key = SecurityKey::ed25519(application);
        let holder = Holder::new(&target, key, Asked::Nothing);
        let (verdict, said, counters) = our_verdict(&ssh, &target, &holder, Asked::Nothing);
        assert_eq!(verdict, is_in, "{application}\n{said}");
        assert_eq!(counters.len(), usize::from(is_in));
        assert_eq!(holder.agent.signatures() > 0, is_in);
    }
}
