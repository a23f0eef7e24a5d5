//! `ssh-transport`: packets sealed and opened, and the whole way to a login.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench; criterion makes the rest"
)]

use std::hint::black_box;
use std::time::Duration;

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes256Gcm, KeyInit as _};
use aws_lc_rs::aead::chacha20_poly1305_openssh as chacha;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, X25519};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use benches::{ClientEnd, ServerEnd, run_pair};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ssh_transport::{CipherAlgorithm, ClientConfig, KexAlgorithm, RekeyPolicy};

const NOW: Duration = Duration::ZERO;
/// A full packet of OpenSSH, and a key press.
const SIZES: [(&str, usize); 2] = [("32 KiB", 32_768), ("64 B", 64)];
/// Length, padding length; then the payload; then padding of a packet that is a whole number of blocks.
const HEADER_BYTES: usize = 5;
const PADDING_BYTES: usize = 11;

/// The library's cipher for packets, with nothing around it.
enum Raw {
    Gcm(LessSafeKey),
    ChaCha(chacha::SealingKey, chacha::OpeningKey),
}

impl Raw {
    fn new(cipher: CipherAlgorithm) -> Self {
        match cipher {
            CipherAlgorithm::ChaCha20Poly1305 => Self::ChaCha(
                chacha::SealingKey::new(&[7; 64]),
                chacha::OpeningKey::new(&[7; 64]),
            ),
            _ => Self::Gcm(LessSafeKey::new(
                UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap(),
            )),
        }
    }

    fn seal(&self, packet: &mut [u8]) -> [u8; 16] {
        match self {
            Self::Gcm(key) => {
                let (length, body) = packet.split_at_mut(4);
                let tag = key
                    .seal_in_place_separate_tag(nonce(), Aad::from(&*length), body)
                    .unwrap();
                tag.as_ref().try_into().unwrap()
            }
            Self::ChaCha(key, _) => {
                let mut tag = [0; 16];
                key.seal_in_place(1, packet, &mut tag);
                tag
            }
        }
    }

    fn open(&self, packet: &mut [u8], tag: &[u8; 16]) {
        match self {
            Self::Gcm(key) => {
                let (length, body) = packet.split_at_mut(4);
                key.open_in_place_separate_tag(nonce(), Aad::from(&*length), tag, body)
                    .unwrap();
            }
            Self::ChaCha(_, key) => {
                key.open_in_place(1, packet, tag).unwrap();
            }
        }
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([1; 12])
}

/// A logged-in pair with this cipher.
fn pair(cipher: CipherAlgorithm) -> (ClientEnd, ServerEnd) {
    let rekey = RekeyPolicy {
        max_bytes: u64::MAX,
        max_packets: u64::MAX,
        max_age: Duration::MAX,
    };
    let mut config = ClientConfig {
        rekey,
        ..ClientConfig::default()
    };
    config.algorithms.kex = vec![KexAlgorithm::Curve25519Sha256];
    config.algorithms.ciphers = vec![cipher];
    let mut pair = (
        ClientEnd::with(config),
        ServerEnd::new(KexAlgorithm::Curve25519Sha256),
    );
    run_pair(&mut pair.0, &mut pair.1);
    pair
}

fn packets(c: &mut Criterion) {
    for (name, cipher) in [
        ("aes256-gcm", CipherAlgorithm::Aes256Gcm),
        ("chacha20-poly1305", CipherAlgorithm::ChaCha20Poly1305),
    ] {
        for (size, bytes) in SIZES {
            seal(c, &format!("{size} {name}"), cipher, bytes);
            open(c, &format!("{size} {name}"), cipher, bytes);
        }
    }
}

fn seal(c: &mut Criterion, name: &str, cipher: CipherAlgorithm, bytes: usize) {
    let mut group = c.benchmark_group(format!("seal {name}"));
    group.throughput(Throughput::Bytes(bytes as u64));
    let raw = Raw::new(cipher);
    let packet_bytes = HEADER_BYTES + bytes + PADDING_BYTES;
    let mut packet = vec![0; packet_bytes];
    group.bench_function("floor: aws-lc-rs", |b| b.iter(|| raw.seal(&mut packet)));
    let mut payload = vec![0; bytes];
    payload[0] = 94;
    let mut output = Vec::with_capacity(packet_bytes + 16);
    group.bench_function("floor: aws-lc-rs, and a copy of the payload", |b| {
        b.iter(|| {
            output.clear();
            output.extend_from_slice(&[0; HEADER_BYTES]);
            output.extend_from_slice(&payload);
            output.extend_from_slice(&[0; PADDING_BYTES]);
            let tag = raw.seal(&mut output);
            output.extend_from_slice(&tag);
        });
    });
    if cipher == CipherAlgorithm::Aes256Gcm {
        let key = Aes256Gcm::new(&[7; 32].into());
        group.bench_function("alternative: aes-gcm", |b| {
            b.iter(|| {
                key.encrypt_inout_detached(&[1; 12].into(), &[0; 4], packet.as_mut_slice().into())
                    .unwrap()
            });
        });
    }
    let (mut client, _server) = pair(cipher);
    group.bench_function("send_packet", |b| {
        b.iter(|| {
            client.ssh.send_packet(&payload, NOW).unwrap();
            client.ssh.poll_output()
        });
    });
    group.finish();
}

fn open(c: &mut Criterion, name: &str, cipher: CipherAlgorithm, bytes: usize) {
    let mut group = c.benchmark_group(format!("open {name}"));
    group.throughput(Throughput::Bytes(bytes as u64));
    let raw = Raw::new(cipher);
    let mut sealed = vec![0; HEADER_BYTES + bytes + PADDING_BYTES];
    let tag = raw.seal(&mut sealed);
    group.bench_function("floor: aws-lc-rs", |b| {
        b.iter_batched_ref(
            || sealed.clone(),
            |packet| raw.open(packet, &tag),
            BatchSize::SmallInput,
        );
    });
    let (mut client, mut server) = pair(cipher);
    let mut payload = vec![0; bytes];
    payload[0] = 94;
    group.bench_function("handle_input", |b| {
        b.iter_batched_ref(
            || {
                client.ssh.send_packet(&payload, NOW).unwrap();
                client.say()
            },
            |packet| {
                server
                    .ssh
                    .handle_input(packet, NOW)
                    .unwrap()
                    .payload
                    .expect("one packet")
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// The public-key work of one `curve25519-sha256` exchange with an Ed25519 host key, both sides.
fn raw_exchange(host: &Ed25519KeyPair) {
    let ours = agreement::PrivateKey::generate(&X25519).unwrap();
    let theirs = agreement::PrivateKey::generate(&X25519).unwrap();
    let public = |key: &agreement::PrivateKey| key.compute_public_key().unwrap();
    let agree = |mine: &agreement::PrivateKey, other: &agreement::PrivateKey| {
        let other = agreement::UnparsedPublicKey::new(&X25519, public(other));
        agreement::agree(mine, other, (), |secret| Ok(secret[0])).unwrap()
    };
    black_box((agree(&ours, &theirs), agree(&theirs, &ours)));
    let signature = host.sign(&[3; 32]);
    UnparsedPublicKey::new(&ED25519, host.public_key().as_ref())
        .verify(&[3; 32], signature.as_ref())
        .unwrap();
}

fn logins(c: &mut Criterion) {
    let mut group = c.benchmark_group("login, both sides");
    let host = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    group.bench_function("floor: aws-lc-rs X25519 and Ed25519", |b| {
        b.iter(|| raw_exchange(&host))
    });
    for kex in [
        KexAlgorithm::Curve25519Sha256,
        KexAlgorithm::MlKem768X25519Sha256,
        KexAlgorithm::EcdhNistP256,
    ] {
        group.bench_function(kex.name(), |b| {
            b.iter(|| {
                let mut pair = (ClientEnd::new(kex), ServerEnd::new(kex));
                run_pair(&mut pair.0, &mut pair.1);
            });
        });
    }
    group.finish();
}

criterion_group! { name = all; config = benches::criterion(); targets = packets, logins }
criterion_main!(all);
