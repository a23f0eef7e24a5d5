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
use aws_lc_rs::kem;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use benches::{ClientEnd, ServerEnd, run_pair};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ml_kem::kem::{Decapsulate as _, Encapsulate as _, KeyExport as _};
use ml_kem::{DecapsulationKey768, EncapsulationKey768};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
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

/// The public-key work of one `curve25519-sha256` exchange with an Ed25519 host key, both sides, by the library that the
/// machines use.
fn raw_exchange(host: &Ed25519KeyPair) {
    let key =
        |private: &[u8; 32]| agreement::PrivateKey::from_private_key(&X25519, private).unwrap();
    let (ours, theirs) = (key(black_box(&[5; 32])), key(black_box(&[6; 32])));
    let (our_public, their_public) = (
        ours.compute_public_key().unwrap(),
        theirs.compute_public_key().unwrap(),
    );
    let agree = |mine: &agreement::PrivateKey, other: &[u8]| {
        let other = agreement::UnparsedPublicKey::new(&X25519, other);
        agreement::agree(mine, other, (), |secret| Ok(secret[0])).unwrap()
    };
    black_box((
        agree(&ours, their_public.as_ref()),
        agree(&theirs, our_public.as_ref()),
    ));
    let signature = host.sign(&[3; 32]);
    UnparsedPublicKey::new(&ED25519, host.public_key().as_ref())
        .verify(&[3; 32], signature.as_ref())
        .unwrap();
}

/// What the hybrid exchange adds, from given randomness.
fn raw_encapsulation(random: &mut ChaCha20Rng) {
    let key = DecapsulationKey768::from_seed(black_box([9; 64]).into());
    let public = key.encapsulation_key().to_bytes();
    let theirs = EncapsulationKey768::new(&public).unwrap();
    let (ciphertext, _) = theirs.encapsulate_with_rng(random);
    black_box(key.decapsulate(&ciphertext));
}

/// The same by AWS-LC, which draws its own randomness.
fn raw_encapsulation_by_aws_lc() {
    let key = kem::DecapsulationKey::generate(&kem::ML_KEM_768).unwrap();
    let public = key.encapsulation_key().unwrap().key_bytes().unwrap();
    let theirs = kem::EncapsulationKey::new(&kem::ML_KEM_768, public.as_ref()).unwrap();
    let (ciphertext, _) = theirs.encapsulate().unwrap();
    black_box(key.decapsulate(ciphertext.as_ref().into()).unwrap());
}

fn logins(c: &mut Criterion) {
    let host = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let mut random = ChaCha20Rng::from_seed([1; 32]);

    let mut group = c.benchmark_group("login, both sides, curve25519");
    group.bench_function("floor: X25519 and Ed25519", |b| {
        b.iter(|| raw_exchange(&host))
    });
    group.bench_function("login", |b| {
        b.iter(|| login(KexAlgorithm::Curve25519Sha256))
    });
    group.finish();

    let mut group = c.benchmark_group("login, both sides, ML-KEM hybrid");
    group.bench_function("floor: X25519, Ed25519 and ML-KEM", |b| {
        b.iter(|| {
            raw_exchange(&host);
            raw_encapsulation(&mut random);
        });
    });
    group.bench_function("alternative: ML-KEM of aws-lc-rs", |b| {
        b.iter(|| {
            raw_exchange(&host);
            raw_encapsulation_by_aws_lc();
        });
    });
    group.bench_function("login", |b| {
        b.iter(|| login(KexAlgorithm::MlKem768X25519Sha256))
    });
    group.finish();
}

fn login(kex: KexAlgorithm) {
    let mut pair = (ClientEnd::new(kex), ServerEnd::new(kex));
    run_pair(&mut pair.0, &mut pair.1);
}

criterion_group! { name = all; config = benches::criterion(); targets = packets, logins }
criterion_main!(all);
