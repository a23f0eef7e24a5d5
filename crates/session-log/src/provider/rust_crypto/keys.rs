//! Signatures, all of them deterministic (RFC 8032, RFC 6979).

#[cfg(test)]
use alloc::vec::Vec;

use ed25519_dalek::ed25519::signature::{Signer as _, Verifier as _};

use crate::provider::{CryptoFailed, PrivateKey};
use crate::sign::{PublicKey, Signature, SignatureAlgorithm};

/// A private key, erased when dropped.
pub(crate) enum Key {
    Ed25519(ed25519_dalek::SigningKey),
    EcdsaP256(p256::ecdsa::SigningKey),
    EcdsaP384(p384::ecdsa::SigningKey),
}

impl PrivateKey for Key {
    fn from_secret(algorithm: SignatureAlgorithm, secret: &[u8]) -> Option<Key> {
        if secret.len() != algorithm.private_len() {
            return None;
        }
        match algorithm {
            SignatureAlgorithm::Ed25519 => Some(Key::Ed25519(
                ed25519_dalek::SigningKey::from_bytes(secret.first_chunk()?),
            )),
            SignatureAlgorithm::EcdsaP256 => p256::ecdsa::SigningKey::from_slice(secret)
                .ok()
                .map(Key::EcdsaP256),
            SignatureAlgorithm::EcdsaP384 => p384::ecdsa::SigningKey::from_slice(secret)
                .ok()
                .map(Key::EcdsaP384),
        }
    }

    fn public(&self) -> PublicKey {
        match self {
            Key::Ed25519(key) => {
                PublicKey::of_private(SignatureAlgorithm::Ed25519, key.verifying_key().as_bytes())
            }
            Key::EcdsaP256(key) => PublicKey::of_private(
                SignatureAlgorithm::EcdsaP256,
                key.verifying_key().to_sec1_point(false).as_bytes(),
            ),
            Key::EcdsaP384(key) => PublicKey::of_private(
                SignatureAlgorithm::EcdsaP384,
                key.verifying_key().to_sec1_point(false).as_bytes(),
            ),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, CryptoFailed> {
        let signature = match self {
            Key::Ed25519(key) => {
                Signature::from_slice(SignatureAlgorithm::Ed25519, &key.sign(message).to_bytes())
            }
            Key::EcdsaP256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                Signature::from_slice(SignatureAlgorithm::EcdsaP256, &signature.to_bytes())
            }
            Key::EcdsaP384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(message);
                Signature::from_slice(SignatureAlgorithm::EcdsaP384, &signature.to_bytes())
            }
        };
        signature.ok_or(CryptoFailed)
    }

    #[cfg(test)]
    fn secret(&self) -> Vec<u8> {
        match self {
            Key::Ed25519(key) => key.to_bytes().to_vec(),
            Key::EcdsaP256(key) => key.to_bytes().to_vec(),
            Key::EcdsaP384(key) => key.to_bytes().to_vec(),
        }
    }
}

pub(super) fn verifies(public: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    let (key, signature) = (public.as_bytes(), signature.as_bytes());
    match public.algorithm() {
        SignatureAlgorithm::Ed25519 => {
            let (Some(key), Some(signature)) = (key.first_chunk(), signature.first_chunk()) else {
                return false;
            };
            ed25519_dalek::VerifyingKey::from_bytes(key).is_ok_and(|key| {
                let signature = ed25519_dalek::Signature::from_bytes(signature);
                key.verify_strict(message, &signature).is_ok()
            })
        }
        SignatureAlgorithm::EcdsaP256 => {
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key);
            let signature = p256::ecdsa::Signature::from_slice(signature);
            matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(message, &signature).is_ok())
        }
        SignatureAlgorithm::EcdsaP384 => {
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key);
            let signature = p384::ecdsa::Signature::from_slice(signature);
            matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(message, &signature).is_ok())
        }
    }
}
