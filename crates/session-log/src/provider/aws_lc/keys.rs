//! Private keys in AWS-LC.

#[cfg(feature = "fips")]
mod ecdsa;

#[cfg(test)]
use alloc::vec::Vec;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

use crate::provider::{CryptoFailed, PrivateKey};
use crate::sign::{PublicKey, Signature, SignatureAlgorithm};

#[cfg(feature = "fips")]
type Ecdsa = ecdsa::Key;
/// AWS-LC draws the nonces of ECDSA; those of RFC 6979 keep equal inputs at equal outputs.
#[cfg(not(feature = "fips"))]
type Ecdsa = crate::provider::rust_crypto::Key;

pub(crate) enum Key {
    Ed25519(Ed25519KeyPair),
    Ecdsa(Ecdsa),
}

impl PrivateKey for Key {
    fn from_secret(algorithm: SignatureAlgorithm, secret: &[u8]) -> Option<Key> {
        if secret.len() != algorithm.private_len() {
            return None;
        }
        match algorithm {
            SignatureAlgorithm::Ed25519 => Ed25519KeyPair::from_seed_unchecked(secret)
                .ok()
                .map(Key::Ed25519),
            SignatureAlgorithm::EcdsaP256 | SignatureAlgorithm::EcdsaP384 => {
                Ecdsa::from_secret(algorithm, secret).map(Key::Ecdsa)
            }
        }
    }

    fn public(&self) -> PublicKey {
        match self {
            Key::Ed25519(key) => {
                PublicKey::of_private(SignatureAlgorithm::Ed25519, key.public_key().as_ref())
            }
            Key::Ecdsa(key) => key.public(),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, CryptoFailed> {
        match self {
            Key::Ed25519(key) => {
                let signature = key.try_sign(message).map_err(|_| CryptoFailed)?;
                Signature::from_slice(SignatureAlgorithm::Ed25519, signature.as_ref())
                    .ok_or(CryptoFailed)
            }
            Key::Ecdsa(key) => key.sign(message),
        }
    }

    #[cfg(test)]
    fn secret(&self) -> Vec<u8> {
        use aws_lc_rs::encoding::{AsBigEndian as _, Curve25519SeedBin};
        match self {
            Key::Ed25519(key) => {
                let seed = key.seed().expect("a seed");
                let bytes: Curve25519SeedBin<'_> = seed.as_be_bytes().expect("32 bytes");
                bytes.as_ref().to_vec()
            }
            Key::Ecdsa(key) => key.secret(),
        }
    }
}
