//! `proxy-core`: what a session adds between two sockets. Two legs with AES-256-GCM, strict recording: every page of the log is
//! written (to nowhere) before the packets in it go on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench; criterion makes the rest"
)]

use std::hint::black_box;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use benches::{ClientEnd, ServerEnd, run_pair};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proxy_core::{Ca, ConnectionInfo, Gateway, Input, Leg, Now, Output, Rules, Session, Target};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use session_log::{Identity, Kem, SigningIdentity};
use sha2::{Digest as _, Sha256};
use ssh_key::private::Ed25519Keypair;
use ssh_transport::{KexAlgorithm, RECEIVE_BUFFER_BYTES};

const NOW: Now = Now {
    mono: Duration::ZERO,
    unix: Duration::from_secs(1_800_000_000),
};
/// Data of a full packet of OpenSSH.
const DATA_BYTES: usize = 32_768;
/// As many such packets as a busy leg brings with one read.
const PACKETS_PER_READ: u64 = 7;
/// Data of one session before a new one begins, so that no key exchange (1 GiB) falls into a measurement.
const SESSION_BYTES: u64 = 512 << 20;
const POLICY: &str = r#"
[[application]]
name = "lab"
target = { include = [{ hostname = "web-1" }] }
[[application.policy]]
name = "engineers"
action = "allow"
include = [{ email_domain = "example.com" }]
usernames = ["deploy"]
"#;

/// A session between two plain peers.
struct World {
    session: Session,
    person: ClientEnd,
    target: Option<ServerEnd>,
    kex: KexAlgorithm,
}

fn gateway() -> Arc<Gateway> {
    let reader = Identity::generate(Kem::XWing, &mut ChaCha20Rng::from_seed([8; 32]));
    Arc::new(Gateway::new(
        hostkey_derive::AccountSecret::from_bytes(&[2; 32]).unwrap(),
        Ca::Local(
            sshcert::CaKey::from_private_key(Ed25519Keypair::from_seed(&[1; 32]).into()).unwrap(),
        ),
        vec![reader.recipient()],
        SigningIdentity::from_seed([3; 32]),
    ))
}

/// Loaded once, as a proxy does.
fn rules() -> Arc<Rules> {
    static RULES: OnceLock<Arc<Rules>> = OnceLock::new();
    let load = || Arc::new(Rules::new(policy::PolicySet::from_toml(POLICY).unwrap()));
    Arc::clone(RULES.get_or_init(load))
}

fn info() -> ConnectionInfo {
    let facts = policy::Target {
        hostname: "web-1".into(),
        port: 22,
        ..policy::Target::default()
    };
    ConnectionInfo {
        identity: policy::Identity {
            email: Some("ada@example.com".into()),
            ..policy::Identity::default()
        },
        device: policy::Device::default(),
        network: policy::Network::default(),
        client_addr: ([198, 51, 100, 7], 50_000).into(),
        security_keys: Vec::new(),
        target: Target {
            facts,
            host_keys: None,
            host_authorities: Vec::new(),
            any_host_key_inside: false,
            algorithms: ssh_transport::Algorithms::default(),
        },
    }
}

impl World {
    fn logged_in(gateway: &Arc<Gateway>, kex: KexAlgorithm) -> Self {
        let session = Session::new(Arc::clone(gateway), rules(), info(), &[4; 32], NOW);
        let mut world = Self {
            session,
            person: ClientEnd::new(kex),
            target: None,
            kex,
        };
        while world.turn() {}
        assert!(world.person.is_in);
        world
    }

    /// With a session channel, number 0 on both sides.
    fn with_channel(gateway: &Arc<Gateway>) -> Self {
        let mut world = Self::logged_in(gateway, KexAlgorithm::Curve25519Sha256);
        let open = [
            &[90, 0, 0, 0, 7][..],
            b"session",
            &[0, 0, 0, 0, 127, 0, 0, 0, 0, 0, 128, 0],
        ]
        .concat();
        world.person.ssh.send_packet(&open, NOW.mono).unwrap();
        while world.turn() {}
        let confirm = [&[91][..], &[0; 8], &[127, 0, 0, 0, 0, 0, 128, 0]].concat();
        world
            .target
            .as_mut()
            .unwrap()
            .ssh
            .send_packet(&confirm, NOW.mono)
            .unwrap();
        while world.turn() {}
        world
    }

    /// Everything the session asks for, and all that the peers have to say; false when nothing happened.
    fn turn(&mut self) -> bool {
        let mut any = false;
        while let Some(output) = self.session.poll_output() {
            any = true;
            match output {
                Output::ConnectTarget => {
                    self.target = Some(ServerEnd::new(self.kex));
                    self.session.handle(Input::TargetConnected, NOW);
                }
                Output::Log(id, _) => self.session.handle(Input::LogWritten(id), NOW),
                Output::Send(leg, bytes) => {
                    match leg {
                        Leg::Client => self.person.hear(&bytes),
                        Leg::Target => self.target.as_mut().unwrap().hear(&bytes),
                    }
                    self.session.handle(Input::Written(leg, bytes.len()), NOW);
                }
                Output::Event(_) => {}
                Output::AskApproval(_)
                | Output::Reevaluate
                | Output::SignCertificate(_)
                | Output::Watched(..)
                | Output::WatchOver(..)
                | Output::Close(_) => {
                    panic!("not in a session that goes well")
                }
            }
        }
        let said = self.person.say();
        any |= !said.is_empty();
        self.receive_all(Leg::Client, &said);
        let said = self.target.as_mut().map(ServerEnd::say).unwrap_or_default();
        any |= !said.is_empty();
        self.receive_all(Leg::Target, &said);
        any
    }

    fn receive_all(&mut self, leg: Leg, bytes: &[u8]) {
        assert_eq!(self.session.receive(leg, bytes, NOW), bytes.len());
    }

    /// One read of a leg's socket, and everything that follows from it but the peers' own work.
    fn relay(&mut self, leg: Leg, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.session.receive(leg, bytes, NOW);
            bytes = &bytes[taken..];
            while let Some(output) = self.session.poll_output() {
                match output {
                    Output::Log(id, page) => {
                        black_box(&page);
                        self.session.handle(Input::LogWritten(id), NOW);
                    }
                    Output::Send(leg, bytes) => self
                        .session
                        .handle(Input::Written(leg, black_box(bytes).len()), NOW),
                    other => panic!("{other:?} while packets pass"),
                }
            }
        }
    }

    /// Packets of channel data as a peer sends them.
    fn sealed(&mut self, from: Leg, packets: u64, bytes: usize) -> Vec<u8> {
        let data = [
            &[94, 0, 0, 0, 0][..],
            &(bytes as u32).to_be_bytes(),
            &vec![b'x'; bytes],
        ]
        .concat();
        for _ in 0..packets {
            match from {
                Leg::Client => self.person.ssh.send_packet(&data, NOW.mono).unwrap(),
                Leg::Target => self
                    .target
                    .as_mut()
                    .unwrap()
                    .ssh
                    .send_packet(&data, NOW.mono)
                    .unwrap(),
            }
        }
        match from {
            Leg::Client => self.person.say(),
            Leg::Target => self.target.as_mut().unwrap().say(),
        }
    }
}

/// Time for `reads` reads of `packets` packets each, sealed beforehand.
fn relay_reads(gateway: &Arc<Gateway>, from: Leg, reads: u64, packets: u64) -> Duration {
    let reads_per_session = SESSION_BYTES / (DATA_BYTES as u64 * packets);
    let (mut spent, mut left) = (Duration::ZERO, reads);
    while left > 0 {
        let mut world = World::with_channel(gateway);
        for _ in 0..left.min(reads_per_session) {
            let bytes = world.sealed(from, packets, DATA_BYTES);
            assert!(bytes.len() <= RECEIVE_BUFFER_BYTES);
            let start = Instant::now();
            world.relay(from, &bytes);
            spent += start.elapsed();
        }
        left -= left.min(reads_per_session);
    }
    spent
}

fn raw_key() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap())
}

/// Open on one leg, seal for the log with the leaf's hash, seal on the other leg; the opening measured as a sealing, which
/// costs the same and needs no fresh ciphertext.
fn raw_relay(key: &LessSafeKey, packet: &mut [u8], page: &mut [u8]) {
    let seal = |buffer: &mut [u8]| {
        let nonce = Nonce::assume_unique_for_key([1; 12]);
        let _ = black_box(
            key.seal_in_place_separate_tag(nonce, Aad::from([0; 4]), buffer)
                .unwrap(),
        );
    };
    seal(packet);
    seal(page);
    black_box(Sha256::digest(&*page));
    seal(packet);
}

fn bulk(c: &mut Criterion) {
    let (gateway, key) = (gateway(), raw_key());
    let mut group = c.benchmark_group("relay 32 KiB of channel data");
    group.throughput(Throughput::Bytes(DATA_BYTES as u64));
    let (mut packet, mut page) = (vec![0; DATA_BYTES], vec![0; DATA_BYTES]);
    group.bench_function("floor: open, log seal and SHA-256, seal", |b| {
        b.iter(|| raw_relay(&key, &mut packet, &mut page));
    });
    for (name, from) in [
        ("client to target", Leg::Client),
        ("target to client", Leg::Target),
    ] {
        group.bench_function(format!("{name}, one packet a read"), |b| {
            b.iter_custom(|packets| relay_reads(&gateway, from, packets, 1));
        });
        group.bench_function(format!("{name}, seven packets a read"), |b| {
            b.iter_custom(|packets| {
                let reads = packets.div_ceil(PACKETS_PER_READ);
                let spent = relay_reads(&gateway, from, reads, PACKETS_PER_READ);
                spent.mul_f64(packets as f64 / (reads * PACKETS_PER_READ) as f64)
            });
        });
    }
    group.finish();
}

/// Key presses of one session before a new one begins, far below the packets of one key.
const KEYS_PER_SESSION: u64 = 1 << 20;

fn keystrokes(c: &mut Criterion) {
    let (gateway, key) = (gateway(), raw_key());
    let mut group = c.benchmark_group("a key press and its echo");
    let (mut packet, mut page) = (vec![0; 32], vec![0; 528]);
    group.bench_function("floor: open, log seal and SHA-256, seal, twice", |b| {
        b.iter(|| (0..2).for_each(|_| raw_relay(&key, &mut packet, &mut page)));
    });
    group.bench_function("session", |b| {
        b.iter_custom(|rounds| {
            let (mut spent, mut left) = (Duration::ZERO, rounds);
            while left > 0 {
                let mut world = World::with_channel(&gateway);
                for _ in 0..left.min(KEYS_PER_SESSION) {
                    for leg in [Leg::Client, Leg::Target] {
                        let bytes = world.sealed(leg, 1, 1);
                        let start = Instant::now();
                        world.relay(leg, &bytes);
                        spent += start.elapsed();
                    }
                }
                left -= left.min(KEYS_PER_SESSION);
            }
            spent
        });
    });
    group.finish();
}

fn logins(c: &mut Criterion) {
    let gateway = gateway();
    for kex in [
        KexAlgorithm::Curve25519Sha256,
        KexAlgorithm::MlKem768X25519Sha256,
    ] {
        let mut group = c.benchmark_group(format!("login with {}, all sides", kex.name()));
        group.bench_function("alternative: without a proxy", |b| {
            b.iter(|| {
                let (mut client, mut server) = (ClientEnd::new(kex), ServerEnd::new(kex));
                run_pair(&mut client, &mut server);
            });
        });
        group.bench_function("session", |b| b.iter(|| World::logged_in(&gateway, kex)));
        group.finish();
    }
}

criterion_group! { name = all; config = benches::criterion(); targets = bulk, keystrokes, logins }
criterion_main!(all);
