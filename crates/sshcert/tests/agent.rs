//! The authority's key in a real `ssh-agent`: what is prepared is signed elsewhere.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod common;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use common::{NOW, generate, program, put, read, user};
use sshcert::{CaPublicKey, CheckContext, MintError, Prepared, check_user_certificate};

/// `SSH_AGENTC_SIGN_REQUEST` and `SSH_AGENT_SIGN_RESPONSE` (draft-ietf-sshm-ssh-agent section 4.6).
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_agent(socket: &Path) -> Agent {
    let child = Command::new("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(socket)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let agent = Agent(child);
    for _ in 0..200 {
        if UnixStream::connect(socket).is_ok() {
            return agent;
        }
        sleep(Duration::from_millis(20));
    }
    panic!("ssh-agent did not open its socket");
}

fn ask_to_sign(socket: &Path, prepared: &Prepared, flags: u32) -> Vec<u8> {
    let mut request = vec![SIGN_REQUEST];
    put(&mut request, prepared.authority().blob());
    put(&mut request, prepared.to_be_signed());
    request.extend(flags.to_be_bytes());
    let mut framed = Vec::new();
    put(&mut framed, &request);
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(&framed).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut response = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut response).unwrap();
    assert_eq!(response[0], SIGN_RESPONSE);
    response[5..].to_vec()
}

#[test]
fn agent_signs_for_every_kind_of_authority() {
    if program("ssh-agent").is_none() || program("ssh-add").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let socket = at.join("agent");
    let _agent = start_agent(&socket);
    for (kind, bits) in [
        ("ed25519", "256"),
        ("ecdsa", "256"),
        ("ecdsa", "384"),
        ("ecdsa", "521"),
        ("rsa", "2048"),
    ] {
        let name = format!("{kind}{bits}");
        generate(at, kind, bits, &name);
        let added = Command::new("ssh-add")
            .arg(at.join(&name))
            .env("SSH_AUTH_SOCK", &socket)
            .output()
            .unwrap();
        assert!(added.status.success(), "{added:?}");
        let public = CaPublicKey::from_openssh(&read(at, &format!("{name}.pub"))).unwrap();

        // `SSH_AGENT_RSA_SHA2_256` is 2, `SSH_AGENT_RSA_SHA2_512` is 4; other keys ignore them.
        for (public, flags) in [
            (public.clone(), 4),
            (public.clone().signing_with_rsa_sha256(), 2),
        ] {
            let prepared = user().prepare(&public, [3; 32]).unwrap();
            let signature = ask_to_sign(&socket, &prepared, flags);
            let certificate = prepared.complete(&signature).unwrap();
            let context = CheckContext::new("deploy", NOW);
            let trusted = [public];
            check_user_certificate(certificate.blob(), &trusted, &context).unwrap();
        }
        if kind == "rsa" {
            // An agent that is not told which hash to use takes SHA-1.
            let prepared = user().prepare(&public, [3; 32]).unwrap();
            let sha1 = ask_to_sign(&socket, &prepared, 0);
            assert_eq!(prepared.clone().complete(&sha1), Err(MintError::Signature));
            let other_hash = ask_to_sign(&socket, &prepared, 2);
            assert_eq!(prepared.complete(&other_hash), Err(MintError::Signature));
        }
    }
}
