//! What real peers say to machines with known seeds. Played to a machine with the same seed it leads to the same end, and it is what
//! fuzzing starts from: `WRITE_SEEDS=1 cargo test -p ssh-transport --test captures` writes `fuzz/seeds/` anew, which is to be
//! done when what the machines say changes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use common::channel::{SessionServer, read_some};
use common::sshd::Target;
use common::wire::Message;
use common::{ClientEnd, Login, ServerEnd, TestKey, tools};
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, PrivateKey};
use ssh_transport::{Algorithms, CipherAlgorithm, ClientConfig, KexAlgorithm, ServerConfig};

/// Seeds of the machines and of the host key. As the configurations below, they are those of the fuzz targets.
const SERVER_SEED: u8 = 2;
const CLIENT_SEED: u8 = 1;
const HOST_SEED: u8 = 7;

/// Longest capture, in bytes: a seed is to be small.
const MAX_CAPTURE_BYTES: usize = 12 * 1024;

fn server() -> ServerEnd {
    let mut config = ServerConfig {
        algorithms: Algorithms::compatible(),
        ..ServerConfig::default()
    };
    config.algorithms.kex = vec![KexAlgorithm::Curve25519Sha256];
    ServerEnd::new(config, SERVER_SEED, vec![TestKey::ed25519(HOST_SEED)])
}

fn client() -> ClientEnd {
    let mut config = ClientConfig::default();
    config.algorithms.kex = vec![KexAlgorithm::Curve25519Sha256];
    config.algorithms.ciphers = vec![CipherAlgorithm::ChaCha20Poly1305];
    let mut end = ClientEnd::new(config, CLIENT_SEED, Login::None);
    end.user = "deploy".to_owned();
    end
}

/// Writes a seed if that is wanted.
fn keep(target: &str, name: &str, bytes: &[u8]) {
    assert!(
        !bytes.is_empty() && bytes.len() <= MAX_CAPTURE_BYTES,
        "{name}: {} bytes",
        bytes.len()
    );
    if std::env::var_os("WRITE_SEEDS").is_some() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fuzz/seeds")
            .join(target);
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Payloads as the target `transport_keyed` reads them: which side is played, how it is answered, then each with its length.
fn keyed_seed(head: [u8; 2], payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut seed = head.to_vec();
    for payload in payloads {
        seed.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        seed.extend_from_slice(payload);
    }
    seed
}

/// What a client said in bytes, and in packets of the connection layer.
struct Said {
    bytes: Vec<u8>,
    packets: Vec<Vec<u8>>,
}

/// Serves one client until it hangs up.
fn listen_to(mut stream: TcpStream) -> Said {
    tools::bound(&stream);
    let (mut end, mut session) = (server(), SessionServer::default());
    let (mut bytes, mut packets, mut chunk) = (Vec::new(), Vec::new(), [0; 4096]);
    loop {
        for packet in std::mem::take(&mut end.received) {
            for reply in session.handle(&packet) {
                end.machine.send_packet(&reply, end.now).unwrap();
            }
            packets.push(packet);
        }
        while let Some(output) = end.machine.poll_output() {
            stream.write_all(&output).unwrap();
        }
        let read = read_some(&mut stream, &mut chunk);
        if read == 0 {
            break;
        }
        bytes.extend_from_slice(&chunk[..read]);
        end.feed(&chunk[..read]).unwrap();
    }
    assert!(end.authenticated && session.done);
    Said { bytes, packets }
}

/// Has `program` log in as `deploy`, and plays what it said to another machine of the same seed.
fn capture_client(name: &str, arguments: impl FnOnce(&mut Command, u16)) {
    let Some(program) = tools::find(name) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = tools::bounded(&program);
    arguments(&mut command, listener.local_addr().unwrap().port());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = listen_to(tools::accept_within(&listener, tools::LIMIT));
    assert_eq!(child.wait().unwrap().code(), Some(3));

    for size in [usize::MAX, 1, 61] {
        let mut again = server();
        for piece in said.bytes.chunks(size) {
            again.feed(piece).unwrap();
        }
        assert!(
            again.authenticated && again.received == said.packets,
            "{name} in pieces of {size}"
        );
    }
    keep("transport_server", name, &said.bytes);
    let service = Message::new(5).string("ssh-userauth").done();
    let login = Message::new(50)
        .string("deploy")
        .string("ssh-connection")
        .string("none")
        .done();
    let payloads = [vec![service, login], said.packets].concat();
    keep("transport_keyed", name, &keyed_seed([1, 0xff], &payloads));
}

#[test]
fn what_ssh_said_leads_to_the_same_end_again() {
    capture_client("ssh", |ssh, port| {
        ssh.args([
            "-F",
            "none",
            "-l",
            "deploy",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
        ]);
        ssh.args([
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-p",
            &port.to_string(),
            "127.0.0.1",
            "exit 3",
        ]);
    });
}

#[test]
fn what_dropbear_said_leads_to_the_same_end_again() {
    let home = tempfile::tempdir().unwrap();
    capture_client("dbclient", |dbclient, port| {
        dbclient
            .env("HOME", home.path())
            .args(["-y", "-y", "-T", "-l", "deploy"]);
        dbclient.args(["-p", &port.to_string(), "127.0.0.1", "exit 3"]);
    });
}

#[test]
fn what_sshd_said_leads_to_the_same_end_again() {
    let Some(target) = Target::new("") else {
        return;
    };
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&[HOST_SEED; 32]));
    let file = target.path("host_ed25519");
    std::fs::write(&file, key.to_openssh(LineEnding::LF).unwrap().as_bytes()).unwrap();

    let (mut stream, mut child) = target.connect();
    tools::bound(&stream);
    let mut end = client();
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    while end.failures.is_empty() {
        while let Some(output) = end.machine.poll_output() {
            stream.write_all(&output).unwrap();
        }
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "{}", target.log());
        bytes.extend_from_slice(&chunk[..read]);
        end.feed(&chunk[..read]).unwrap();
    }
    drop(stream);
    child.wait().unwrap();
    let mut again = client();
    again.feed(&bytes).unwrap();
    assert_eq!(again.failures, end.failures);
    assert_eq!(
        again.host_keys[0].public_key,
        TestKey::ed25519(HOST_SEED).blob
    );
    keep("transport_client", "sshd", &bytes);
}

#[test]
fn what_sshd_says_in_a_session_is_a_seed() {
    let Some(target) = Target::new("") else {
        return;
    };
    let mut end = ClientEnd::new(ClientConfig::default(), CLIENT_SEED, target.key_login());
    let outcome = target.run_end(&mut end, "echo out; echo err >&2; exit 3", b"");
    assert_eq!(outcome.status, Some(3));
    let accept = Message::new(6).string("ssh-userauth").done();
    let payloads = [vec![accept, vec![52]], outcome.packets].concat();
    keep("transport_keyed", "sshd", &keyed_seed([0, 0], &payloads));
}
