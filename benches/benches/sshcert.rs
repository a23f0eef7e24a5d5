//! `sshcert`: minting a user certificate, and checking one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench; criterion makes the rest"
)]

use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA512, RsaKeyPair, UnparsedPublicKey,
};
use criterion::{Criterion, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::{Ed25519Keypair, RsaKeypair};
use ssh_key::{LineEnding, PrivateKey, PublicKey};
use sshcert::{
    CaKey, Certificate, CheckContext, DEFAULT_BACKDATE, DEFAULT_TTL, Extension, Issuer, KeyId, Krl,
    Prepared, Principals, Unverified, UserCertificate, Validity, check_user_certificate,
};

const NOW: Duration = Duration::from_secs(1_800_000_000);
/// As long as what is signed for a certificate with one extension.
const SIGNED_BYTES: usize = 330;

fn key(seed: u8) -> PrivateKey {
    Ed25519Keypair::from_seed(&[seed; 32]).into()
}

fn p256() -> PrivateKey {
    let algorithm = ssh_key::Algorithm::Ecdsa {
        curve: ssh_key::EcdsaCurve::NistP256,
    };
    PrivateKey::random(&mut ChaCha20Rng::from_seed([1; 32]), algorithm).unwrap()
}

fn rsa3072() -> PrivateKey {
    RsaKeypair::random(&mut ChaCha20Rng::from_seed([1; 32]), 3072)
        .unwrap()
        .into()
}

fn prepare(ca: &CaKey, subject: &PublicKey) -> Prepared {
    UserCertificate::new(
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
    .unwrap()
}

fn mint(ca: &CaKey, subject: &PublicKey) -> Certificate {
    ca.mint(prepare(ca, subject)).unwrap()
}

/// As with a signature from elsewhere, which is checked.
fn complete(ca: &CaKey, subject: &PublicKey) -> Certificate {
    let prepared = prepare(ca, subject);
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

/// Raw signing by AWS-LC, minting, and what others take, for one kind of authority.
fn minting_by(c: &mut Criterion, kind: &str, authority: &PrivateKey, floor: &dyn Fn()) {
    let (ca, subject) = (
        CaKey::from_private_key(authority.clone()).unwrap(),
        key(2).public_key().clone(),
    );
    let mut group = c.benchmark_group(format!("mint a user certificate by {kind}"));
    group.bench_function("floor: aws-lc-rs sign", |b| b.iter(floor));
    group.bench_function("prepare, mint", |b| b.iter(|| mint(&ca, &subject)));
    group.bench_function("prepare, sign, complete with its check", |b| {
        b.iter(|| complete(&ca, &subject));
    });
    group.bench_function("alternative: ssh-key Builder", |b| {
        b.iter(|| mint_with_ssh_key(authority, &subject))
    });
    if let Some(lab) = SshKeygen::new(authority, &subject) {
        group.sample_size(10);
        group.bench_function("alternative: ssh-keygen -s, a process each", |b| {
            b.iter(|| lab.sign(1));
        });
        group.bench_function("alternative: ssh-keygen -s, 100 in a process", |b| {
            b.iter(|| lab.sign(100));
        });
    }
    group.finish();
}

/// A folder with an authority and many copies of a key.
struct SshKeygen(tempfile::TempDir);

impl SshKeygen {
    /// None where there is no `ssh-keygen`.
    fn new(authority: &PrivateKey, subject: &PublicKey) -> Option<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        Command::new("ssh-keygen").arg("-?").output().ok()?;
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca");
        fs::write(&ca, authority.to_openssh(LineEnding::LF).unwrap()).unwrap();
        fs::set_permissions(&ca, fs::Permissions::from_mode(0o600)).unwrap();
        for n in 0..100 {
            let file = folder.path().join(format!("{n}.pub"));
            fs::write(file, subject.to_openssh().unwrap()).unwrap();
        }
        Some(Self(folder))
    }

    fn sign(&self, count: usize) {
        let output = Command::new("ssh-keygen")
            .args([
                "-q", "-s", "ca", "-I", "id", "-n", "deploy", "-V", "-1m:+3m",
            ])
            .args((0..count).map(|n| format!("{n}.pub")))
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(output.status.success());
    }
}

fn minting(c: &mut Criterion) {
    let (ca, subject) = (
        CaKey::from_private_key(key(1)).unwrap(),
        key(2).public_key().clone(),
    );
    assert_eq!(
        mint(&ca, &subject).blob(),
        mint_with_ssh_key(&key(1), &subject),
        "the same certificate"
    );
    let message = [5; SIGNED_BYTES];

    let raw = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    minting_by(c, "Ed25519", &key(1), &|| {
        black_box(raw.sign(black_box(&message)));
    });
    let rng = SystemRandom::new();
    let raw = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    minting_by(c, "P-256", &p256(), &|| {
        black_box(raw.sign(&rng, black_box(&message)).unwrap());
    });
    let raw = RsaKeyPair::generate(KeySize::Rsa3072).unwrap();
    minting_by(c, "RSA-3072", &rsa3072(), &|| {
        let mut signature = vec![0; raw.public_modulus_len()];
        raw.sign(&RSA_PKCS1_SHA512, &rng, black_box(&message), &mut signature)
            .unwrap();
        black_box(signature);
    });
}

/// A list with a hundred thousand serial numbers.
fn revoking(c: &mut Criterion) {
    let (ca, subject) = (
        CaKey::from_private_key(key(1)).unwrap(),
        key(2).public_key().clone(),
    );
    let certificate = Unverified::parse(mint(&ca, &subject).blob()).unwrap();
    let mut krl = Krl::new(1, NOW);
    for serial in 0..100_000 {
        let serial = 1_000 + serial * 3;
        krl.revoke_serials(Issuer::Authority(ca.public()), serial..=serial)
            .unwrap();
    }
    let bytes = krl.to_bytes();
    let mut group = c.benchmark_group("a revocation list of 100000 serial numbers");
    group.bench_function("read", |b| {
        b.iter(|| Krl::parse(black_box(&bytes)).unwrap())
    });
    group.bench_function("query", |b| {
        b.iter(|| krl.find_certificate(black_box(&certificate)))
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

criterion_group! { name = all; config = benches::criterion(); targets = minting, checking, revoking }
criterion_main!(all);
