//! Signing with RustCrypto: where AWS-LC does not build. ECDSA takes its nonce from RFC 6979.

use alloc::vec::Vec;

use ed25519_dalek::Signer as _;
use rsa::pkcs1v15;
use rsa::signature::SignatureEncoding as _;
use sha2::{Sha256, Sha512};
use ssh_key::private::{EcdsaKeypair, KeypairData};
use ssh_key::{HashAlg, Signature};

use crate::wire::put_mpint;

/// A private key, ready to sign. Each of these erases itself on drop.
pub(super) enum Signer {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(EcdsaKeypair),
    Rsa(rsa::RsaPrivateKey),
}

impl Signer {
    /// `None` when the key is of another algorithm, or no key.
    pub(super) fn new(pair: &KeypairData) -> Option<Self> {
        Some(match pair {
            KeypairData::Ed25519(pair) => Self::Ed25519((&pair.private).into()),
            KeypairData::Ecdsa(EcdsaKeypair::NistP256 { private, .. }) => {
                Self::P256(p256::ecdsa::SigningKey::from_slice(private.as_slice()).ok()?)
            }
            KeypairData::Ecdsa(EcdsaKeypair::NistP384 { private, .. }) => {
                Self::P384(p384::ecdsa::SigningKey::from_slice(private.as_slice()).ok()?)
            }
            KeypairData::Ecdsa(pair) => Self::P521(pair.clone()),
            KeypairData::Rsa(pair) => Self::Rsa(rsa::RsaPrivateKey::try_from(pair).ok()?),
            _ => return None,
        })
    }

    /// The inner part of an SSH signature blob. The hash is for RSA.
    pub(super) fn sign(&self, message: &[u8], rsa_hash: HashAlg) -> Option<Vec<u8>> {
        Some(match self {
            Self::Ed25519(key) => key.sign(message).to_bytes().into(),
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                let (r, s) = signature.split_bytes();
                mpints(&r, &s)
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(message);
                let (r, s) = signature.split_bytes();
                mpints(&r, &s)
            }
            Self::P521(pair) => {
                let signature: Signature = pair.try_sign(message).ok()?;
                signature.as_bytes().into()
            }
            Self::Rsa(key) if rsa_hash == HashAlg::Sha256 => {
                let key = pkcs1v15::SigningKey::<Sha256>::new(key.clone());
                key.try_sign(message).ok()?.to_vec()
            }
            Self::Rsa(key) => {
                let key = pkcs1v15::SigningKey::<Sha512>::new(key.clone());
                key.try_sign(message).ok()?.to_vec()
            }
        })
    }
}

/// RFC 5656 section 3.1.2.
fn mpints(r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(10 + r.len() + s.len());
    put_mpint(&mut out, r);
    put_mpint(&mut out, s);
    out
}
