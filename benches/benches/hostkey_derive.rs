//! `hostkey-derive`: the host keys of one connection.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench; criterion makes the rest"
)]

use std::hint::black_box;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use criterion::{Criterion, criterion_group, criterion_main};
use hostkey_derive::{AccountSecret, Algorithm, Pin, Pins, derive};
use p256::elliptic_curve::sec1::ToSec1Point as _;

fn target() -> Vec<u8> {
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    blob.extend([9; 32]);
    blob
}

fn derivations(c: &mut Criterion) {
    let (secret, target) = (AccountSecret::from_bytes(&[7; 32]).unwrap(), target());

    let mut group = c.benchmark_group("derive an Ed25519 host key");
    group.bench_function("floor: ed25519-dalek key pair with tables", |b| {
        b.iter(|| ed25519_dalek::SigningKey::from_bytes(black_box(&[3; 32])).verifying_key());
    });
    group.bench_function("alternative: aws-lc-rs key pair", |b| {
        b.iter(|| {
            Ed25519KeyPair::from_seed_unchecked(black_box(&[3; 32]))
                .unwrap()
                .public_key()
                .as_ref()[0]
        });
    });
    group.bench_function("derive", |b| {
        b.iter(|| derive(&secret, black_box(&target), Algorithm::Ed25519).unwrap())
    });
    group.finish();

    let mut group = c.benchmark_group("derive a P-256 host key");
    group.bench_function("floor: p256 public key with tables", |b| {
        b.iter(|| {
            p256::SecretKey::from_slice(black_box(&[3; 32]))
                .unwrap()
                .public_key()
                .to_sec1_point(false)
        });
    });
    group.bench_function("derive", |b| {
        b.iter(|| derive(&secret, black_box(&target), Algorithm::EcdsaP256).unwrap())
    });
    group.finish();

    let mut group = c.benchmark_group("derive a P-384 host key");
    group.bench_function("floor: p384 public key with tables", |b| {
        b.iter(|| {
            p384::SecretKey::from_slice(black_box(&[3; 48]))
                .unwrap()
                .public_key()
                .to_sec1_point(false)
        });
    });
    group.bench_function("derive", |b| {
        b.iter(|| derive(&secret, black_box(&target), Algorithm::EcdsaP384).unwrap())
    });
    group.finish();

    let key = derive(&secret, &target, Algorithm::Ed25519).unwrap();
    c.bench_function("sign an exchange hash with Ed25519", |b| {
        b.iter(|| key.sign(black_box(&[3; 32])))
    });
    let pins = Pins::new([Pin::from_blob(&target).unwrap()]).unwrap();
    c.bench_function("check a pin", |b| {
        b.iter(|| pins.check(black_box(&target)).unwrap())
    });
}

criterion_group! { name = all; config = benches::criterion(); targets = derivations }
criterion_main!(all);
