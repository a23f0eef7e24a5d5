//! `sshcert`: minting a user certificate, and checking one.
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

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use criterion::{Criterion, criterion_group, criterion_main};
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::Ed25519Keypair;
use ssh_key::{PrivateKey, PublicKey};
use sshcert::{
    CaKey, Certificate, CheckContext, DEFAULT_BACKDATE, DEFAULT_TTL, Extension, KeyId, Principals,
    UserCertificate, Validity, check_user_certificate,
};

const NOW: Duration = Duration::from_secs(1_800_000_000);
/// As long as what is signed for a certificate with one extension.
const SIGNED_BYTES: usize = 330;

fn key(seed: u8) -> PrivateKey {
    Ed25519Keypair::from_seed(&[seed; 32]).into()
}

fn mint(ca: &CaKey, subject: &PublicKey) -> Certificate {
    let prepared = UserCertificate::new(
        subject.clone(),
        Principals::one("deploy").unwrap(),
        Validity::starting(NOW, DEFAULT_TTL, DEFAULT_BACKDATE).unwrap(),
    )
    .serial(7)
    .key_id(
        KeyId::new(
            "jdoe@example.com",
            "5f3a0000000000000000000000000000",
            "engineers",
        )
        .unwrap(),
    )
    .extension(Extension::PermitPty)
    .prepare(ca.public(), [3; 32])
    .unwrap();
    let signature = ca.sign(&prepared).unwrap();
    prepared.complete(&signature).unwrap()
}

fn mint_with_ssh_key(ca: &PrivateKey, subject: &PublicKey) -> Vec<u8> {
    let now = NOW.as_secs();
    let mut builder =
        Builder::new(vec![3; 32], subject.key_data().clone(), now - 60, now + 180).unwrap();
    builder.serial(7).unwrap();
    builder.cert_type(CertType::User).unwrap();
    builder
        .key_id(
            "identity=jdoe@example.com;session=5f3a0000000000000000000000000000;decision=engineers",
        )
        .unwrap();
    builder.valid_principal("deploy").unwrap();
    builder.extension("permit-pty", "").unwrap();
    builder.sign(ca).unwrap().to_bytes().unwrap()
}

fn minting(c: &mut Criterion) {
    let raw = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let (ca, subject) = (
        CaKey::from_private_key(key(1)).unwrap(),
        key(2).public_key().clone(),
    );
    assert_eq!(
        mint(&ca, &subject).blob(),
        mint_with_ssh_key(&key(1), &subject),
        "the same certificate"
    );

    let mut group = c.benchmark_group("mint an Ed25519 user certificate");
    let message = [5; SIGNED_BYTES];
    group.bench_function("floor: aws-lc-rs sign", |b| {
        b.iter(|| raw.sign(black_box(&message)))
    });
    group.bench_function("floor: aws-lc-rs sign and verify", |b| {
        b.iter(|| {
            let signature = raw.sign(black_box(&message));
            UnparsedPublicKey::new(&ED25519, raw.public_key().as_ref())
                .verify(&message, signature.as_ref())
                .unwrap();
        });
    });
    let ssh_ca = key(1);
    group.bench_function("alternative: ssh-key Builder", |b| {
        b.iter(|| mint_with_ssh_key(&ssh_ca, &subject))
    });
    group.bench_function("prepare, sign, complete", |b| {
        b.iter(|| mint(&ca, &subject))
    });
    group.finish();
}

fn checking(c: &mut Criterion) {
    let (ca, subject) = (
        CaKey::from_private_key(key(1)).unwrap(),
        key(2).public_key().clone(),
    );
    let certificate = mint(&ca, &subject);
    let raw = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let (message, signature) = ([5; SIGNED_BYTES], raw.sign(&[5; SIGNED_BYTES]));

    let mut group = c.benchmark_group("check an Ed25519 user certificate");
    group.bench_function("floor: aws-lc-rs verify", |b| {
        let public = UnparsedPublicKey::new(&ED25519, raw.public_key().as_ref());
        b.iter(|| {
            public
                .verify(black_box(&message), signature.as_ref())
                .unwrap()
        });
    });
    let fingerprint = key(1).public_key().fingerprint(ssh_key::HashAlg::Sha256);
    group.bench_function("alternative: ssh-key validate_at", |b| {
        b.iter(|| {
            let certificate =
                ssh_key::Certificate::from_bytes(black_box(certificate.blob())).unwrap();
            certificate
                .validate_at(NOW.as_secs(), [&fingerprint])
                .unwrap();
        });
    });
    let trusted = [ca.public().clone()];
    group.bench_function("check_user_certificate", |b| {
        let context = CheckContext::new("deploy", NOW);
        b.iter(|| {
            check_user_certificate(black_box(certificate.blob()), &trusted, &context).unwrap()
        });
    });
    group.finish();
}

criterion_group! { name = all; config = benches::criterion(); targets = minting, checking }
criterion_main!(all);
