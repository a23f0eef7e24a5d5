//! ECDSA in the FIPS module, which draws its nonces: two signatures over the same message differ.

#[cfg(test)]
use alloc::vec::Vec;

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
};

use crate::provider::{CryptoFailed, PrivateKey};
use crate::sign::{PublicKey, Signature, SignatureAlgorithm};

pub(crate) struct Key {
    algorithm: SignatureAlgorithm,
    pair: EcdsaKeyPair,
}

impl PrivateKey for Key {
    fn from_secret(algorithm: SignatureAlgorithm, secret: &[u8]) -> Option<Key> {
        let (signing, agreeing) = match algorithm {
            SignatureAlgorithm::Ed25519 => return None,
            SignatureAlgorithm::EcdsaP256 => (&ECDSA_P256_SHA256_FIXED_SIGNING, &ECDH_P256),
            SignatureAlgorithm::EcdsaP384 => (&ECDSA_P384_SHA384_FIXED_SIGNING, &ECDH_P384),
        };
        // A signing key is taken with its public half only; a key for agreement computes it.
        let public = agreement::PrivateKey::from_private_key(agreeing, secret)
            .ok()?
            .compute_public_key()
            .ok()?;
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(signing, secret, public.as_ref()).ok()?;
        Some(Key { algorithm, pair })
    }

    fn public(&self) -> PublicKey {
        PublicKey::of_private(self.algorithm, self.pair.public_key().as_ref())
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, CryptoFailed> {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| CryptoFailed)?;
        Signature::from_slice(self.algorithm, signature.as_ref()).ok_or(CryptoFailed)
    }

    #[cfg(test)]
    fn secret(&self) -> Vec<u8> {
        use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
        let bytes: EcPrivateKeyBin<'_> = self.pair.private_key().as_be_bytes().expect("a scalar");
        bytes.as_ref().to_vec()
    }
}
