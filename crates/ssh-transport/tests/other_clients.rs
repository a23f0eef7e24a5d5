//! dropbear's `dbclient` and PuTTY's `plink` against our server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use common::channel::{SessionServer, pattern, serve};
use common::{ServerEnd, TestKey, tools};
use ssh_transport::{CipherAlgorithm, Error, KexAlgorithm, Negotiated, ServerConfig};

fn served(
    config: ServerConfig,
    command: impl FnOnce(u16) -> Command,
    input: Vec<u8>,
) -> (Output, ServerEnd, Result<(), Error>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let stream = tools::accept_within(&listener, tools::LIMIT);
        let mut end = ServerEnd::new(config, 5, vec![TestKey::ed25519(7)]);
        let result = serve(stream, &mut end, &mut SessionServer::default());
        (end, result)
    });
    let mut child = command(port)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let _ = std::io::Write::write_all(&mut stdin, &input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let (end, result) = server.join().unwrap();
    (output, end, result)
}

fn check(name: &str, command: impl Fn(u16, &str) -> Command) {
    let (output, end, result) = served(
        ServerConfig::default(),
        |port| command(port, "exit 42"),
        Vec::new(),
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(42), "{name}: {said}");
    assert!(end.authenticated && result.is_ok(), "{name}: {result:?}");

    let data: Vec<u8> = (0..6 << 20).map(pattern).collect();
    for cipher in CipherAlgorithm::DEFAULT {
        let mut config = ServerConfig::default();
        config.algorithms.ciphers = vec![cipher];
        config.rekey.max_bytes = 1 << 20;
        let (output, end, result) = served(config, |port| command(port, "sink"), data.clone());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Many builds of dropbear have no AES-GCM.
        if cipher != CipherAlgorithm::ChaCha20Poly1305
            && result
                == Err(Error::PeerIncompatible {
                    what: Negotiated::Cipher,
                })
        {
            assert_ne!(output.status.code(), Some(0));
            continue;
        }
        assert_eq!(result, Ok(()), "{name} {cipher:?}: {said}");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            data.len().to_string(),
            "{name} {cipher:?}: {said}"
        );
        assert_eq!(output.status.code(), Some(0), "{name} {cipher:?}: {said}");
        assert!(
            end.exchanges.len() > 2,
            "{name} {cipher:?}: {} exchanges",
            end.exchanges.len()
        );
    }
    for kex in [KexAlgorithm::Curve25519Sha256, KexAlgorithm::EcdhNistP256] {
        let mut config = ServerConfig::default();
        config.algorithms.kex = vec![kex];
        let (output, ..) = served(config, |port| command(port, "exit 9"), Vec::new());
        assert_eq!(
            output.status.code(),
            Some(9),
            "{name} {kex:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn dropbear_logs_in_moves_data_and_exchanges_keys() {
    let Some(dbclient) = tools::find("dbclient") else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    check("dbclient", |port, remote| {
        let mut command = tools::bounded(&dbclient);
        command.env("HOME", home.path()).args([
            "-y",
            "-y",
            "-T",
            "-l",
            "alice",
            "-p",
            &port.to_string(),
        ]);
        command.args(["127.0.0.1", remote]);
        command
    });
}

#[test]
fn putty_logs_in_moves_data_and_exchanges_keys() {
    let Some(plink) = tools::find("plink") else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    // SHA256 of the host key's blob, which plink takes instead of asking.
    let blob = TestKey::ed25519(7).blob;
    let file = home.path().join("key.pub");
    std::fs::write(&file, format!("ssh-ed25519 {} x\n", base64(&blob))).unwrap();
    let line = tools::run(Command::new("ssh-keygen").arg("-l").arg("-f").arg(&file)).stdout;
    let fingerprint = String::from_utf8(line)
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .to_owned();
    check("plink", |port, remote| {
        let mut command = tools::bounded(&plink);
        command.env("HOME", home.path()).args([
            "-ssh",
            "-batch",
            "-T",
            "-hostkey",
            &fingerprint,
            "-l",
            "alice",
        ]);
        command.args(["-P", &port.to_string(), "127.0.0.1", remote]);
        command
    });
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    out
}
