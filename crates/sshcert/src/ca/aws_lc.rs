//! Signing with AWS-LC. Ed25519 and RSA are deterministic; ECDSA draws its nonce inside.

use alloc::vec;
use alloc::vec::Vec;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA512, RsaKeyPair,
};
use rsa::traits::PrivateKeyParts as _;
use ssh_key::HashAlg;
use ssh_key::private::{EcdsaKeypair, KeypairData, RsaKeypair};
use zeroize::Zeroizing;

use crate::wire::{put_mpint, without_zeros};

/// A private key, ready to sign. AWS-LC erases what it frees.
pub(super) enum Signer {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    /// `None` when the key is of another algorithm, or no key.
    pub(super) fn new(pair: &KeypairData) -> Option<Self> {
        match pair {
            KeypairData::Ed25519(pair) => {
                let seed = Zeroizing::new(pair.private.to_bytes());
                Ed25519KeyPair::from_seed_and_public_key(&*seed, &pair.public.0)
                    .ok()
                    .map(Self::Ed25519)
            }
            KeypairData::Ecdsa(pair) => ecdsa(pair).map(Self::Ecdsa),
            KeypairData::Rsa(pair) => RsaKeyPair::from_der(&rsa_private_key(pair)?)
                .ok()
                .map(Self::Rsa),
            _ => None,
        }
    }

    /// The inner part of an SSH signature blob. The hash is for RSA.
    pub(super) fn sign(&self, message: &[u8], rsa_hash: HashAlg) -> Option<Vec<u8>> {
        // AWS-LC has its own generator and ignores this one.
        let rng = SystemRandom::new();
        match self {
            Self::Ed25519(key) => Some(key.try_sign(message).ok()?.as_ref().to_vec()),
            Self::Ecdsa(key) => {
                // RFC 5656 section 3.1.2: two integers instead of two halves.
                let signature = key.sign(&rng, message).ok()?;
                let halves = signature.as_ref();
                let (r, s) = halves.split_at_checked(halves.len() / 2)?;
                let mut out = Vec::with_capacity(halves.len() + 10);
                put_mpint(&mut out, r);
                put_mpint(&mut out, s);
                Some(out)
            }
            Self::Rsa(key) => {
                let encoding = match rsa_hash {
                    HashAlg::Sha256 => &RSA_PKCS1_SHA256,
                    _ => &RSA_PKCS1_SHA512,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &rng, message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

fn ecdsa(pair: &EcdsaKeypair) -> Option<EcdsaKeyPair> {
    let (algorithm, private, public) = match pair {
        EcdsaKeypair::NistP256 { public, private } => (
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            private.as_slice(),
            public.as_bytes(),
        ),
        EcdsaKeypair::NistP384 { public, private } => (
            &ECDSA_P384_SHA384_FIXED_SIGNING,
            private.as_slice(),
            public.as_bytes(),
        ),
        EcdsaKeypair::NistP521 { public, private } => (
            &ECDSA_P521_SHA512_FIXED_SIGNING,
            private.as_slice(),
            public.as_bytes(),
        ),
    };
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, public).ok()
}

/// `RSAPrivateKey` of RFC 8017 appendix A.1.2. OpenSSH files lack two of its numbers, which are computed here.
fn rsa_private_key(pair: &RsaKeypair) -> Option<Zeroizing<Vec<u8>>> {
    let key = rsa::RsaPrivateKey::try_from(pair).ok()?;
    let [p, q] = key.primes() else {
        return None;
    };
    let exponents = [key.dp()?, key.dq()?].map(|n| Zeroizing::new(n.to_be_bytes()));
    let primes = [p, q].map(|n| Zeroizing::new(n.to_be_bytes()));
    let [dp, dq] = &exponents;
    let [p, q] = &primes;
    let numbers = [
        &[0][..], // version: two primes
        pair.public().n().as_bytes(),
        pair.public().e().as_bytes(),
        pair.private().d().as_bytes(),
        p,
        q,
        dp,
        dq,
        pair.private().iqmp().as_bytes(),
    ];
    // What grows leaves a copy of itself behind that nobody erases.
    let most = numbers
        .iter()
        .map(|number| number.len() + 1 + MAX_DER_HEAD_BYTES);
    let mut integers = Zeroizing::new(Vec::with_capacity(most.sum()));
    for number in numbers {
        put_der_integer(&mut integers, number);
    }
    let mut out = Zeroizing::new(Vec::with_capacity(integers.len() + MAX_DER_HEAD_BYTES));
    put_der(&mut out, 0x30, &integers);
    Some(out)
}

/// A tag, and a length in three bytes.
const MAX_DER_HEAD_BYTES: usize = 4;

fn put_der_integer(out: &mut Vec<u8>, number: &[u8]) {
    let number = without_zeros(number);
    let mut content = Zeroizing::new(Vec::with_capacity(number.len() + 1));
    // One zero byte keeps it positive, or stands for zero.
    if number.first().is_none_or(|byte| *byte >= 0x80) {
        content.push(0);
    }
    content.extend_from_slice(number);
    put_der(out, 0x02, &content);
}

/// A tag, a length in two bytes, which is enough for RSA keys of 8192 bits, and the content.
fn put_der(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    match content.len() {
        len @ 0..=0x7f => out.push(len as u8),
        len @ 0x80..=0xff => out.extend_from_slice(&[0x81, len as u8]),
        len => {
            debug_assert!(len <= 0xffff);
            out.push(0x82);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(content);
}
