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
use aws_lc_rs::aead::{
    AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use aws_lc_rs::agreement::{self, X25519};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use benches::{ClientEnd, ServerEnd, run_pair};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ssh_transport::{CipherAlgorithm, ClientConfig, KexAlgorithm, RekeyPolicy};

const NOW: Duration = Duration::ZERO;
/// A full packet of OpenSSH, and a key press.
const SIZES: [(&str, usize); 2] = [("32 KiB", 32_768), ("64 B", 64)];

fn raw_key(algorithm: &'static Algorithm) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(algorithm, &[7; 32]).unwrap())
}

fn raw_seal(key: &LessSafeKey, buffer: &mut [u8]) {
    let nonce = Nonce::assume_unique_for_key([1; 12]);
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::from([0; 4]), buffer)
        .unwrap();
    let _ = black_box(tag);
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
    let ciphers = [
        ("aes256-gcm", CipherAlgorithm::Aes256Gcm, &AES_256_GCM),
        (
            "chacha20-poly1305",
            CipherAlgorithm::ChaCha20Poly1305,
            &CHACHA20_POLY1305,
        ),
    ];
    for (name, cipher, raw) in ciphers {
        for (size, bytes) in SIZES {
            let mut group = c.benchmark_group(format!("seal {size} {name}"));
            group.throughput(Throughput::Bytes(bytes as u64));
            let (key, mut buffer) = (raw_key(raw), vec![0; bytes]);
            group.bench_function("floor: aws-lc-rs", |b| {
                b.iter(|| raw_seal(&key, &mut buffer))
            });
            if cipher == CipherAlgorithm::Aes256Gcm {
                let key = Aes256Gcm::new(&[7; 32].into());
                group.bench_function("alternative: aes-gcm", |b| {
                    b.iter(|| {
                        key.encrypt_inout_detached(
                            &[1; 12].into(),
                            &[0; 4],
                            buffer.as_mut_slice().into(),
                        )
                        .unwrap()
                    });
                });
            }
            let (mut client, _server) = pair(cipher);
            let mut payload = vec![0; bytes];
            payload[0] = 94;
            group.bench_function("send_packet", |b| {
                b.iter(|| {
                    client.ssh.send_packet(&payload, NOW).unwrap();
                    client.ssh.poll_output()
                });
            });
            group.finish();

            let mut group = c.benchmark_group(format!("open {size} {name}"));
            group.throughput(Throughput::Bytes(bytes as u64));
            let key = raw_key(raw);
            let mut sealed = vec![0; bytes];
            let nonce = || Nonce::assume_unique_for_key([1; 12]);
            key.seal_in_place_append_tag(nonce(), Aad::from([0; 4]), &mut sealed)
                .unwrap();
            group.bench_function("floor: aws-lc-rs", |b| {
                b.iter_batched_ref(
                    || sealed.clone(),
                    |packet| {
                        key.open_in_place(nonce(), Aad::from([0; 4]), packet)
                            .unwrap()
                            .len()
                    },
                    BatchSize::SmallInput,
                );
            });
            let (mut client, mut server) = pair(cipher);
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
    }
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
