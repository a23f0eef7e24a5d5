//! AWS-LC.
//!
//! It erases what it frees: key pairs, key schedules and the states of HMAC live in memory that `OPENSSL_free` overwrites.

#[cfg(feature = "fips")]
mod hashing;
mod keys;

use aws_lc_rs::aead::{
    AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    VerificationAlgorithm,
};

use super::{Aead, CryptoFailed, Provider};
use crate::sign::{PublicKey, Signature, SignatureAlgorithm};
use crate::suite::{FRAME_KEY_BYTES, NONCE_BYTES, TAG_BYTES};

pub(crate) struct AwsLc;

fn key(aead: Aead, key: &[u8; FRAME_KEY_BYTES]) -> Result<LessSafeKey, CryptoFailed> {
    let algorithm: &'static Algorithm = match aead {
        Aead::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        Aead::Aes256Gcm => &AES_256_GCM,
    };
    UnboundKey::new(algorithm, key)
        .map(LessSafeKey::new)
        .map_err(|_| CryptoFailed)
}

impl Provider for AwsLc {
    const NAME: &'static str = if cfg!(feature = "fips") {
        "AWS-LC, FIPS module (aws-lc-fips-sys)"
    } else {
        "AWS-LC (aws-lc-sys), not a FIPS module"
    };
    type Key = keys::Key;

    fn seal_in_place(
        aead: Aead,
        frame_key: &[u8; FRAME_KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], CryptoFailed> {
        let tag = key(aead, frame_key)?
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), data)
            .map_err(|_| CryptoFailed)?;
        tag.as_ref().try_into().map_err(|_| CryptoFailed)
    }

    fn open_into(
        aead: Aead,
        frame_key: &[u8; FRAME_KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        (ciphertext, tag): (&[u8], &[u8]),
        plain: &mut [u8],
    ) -> Result<(), CryptoFailed> {
        key(aead, frame_key)?
            .open_separate_gather(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                ciphertext,
                tag,
                plain,
            )
            .map_err(|_| CryptoFailed)
    }

    fn verifies(public: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match public.algorithm() {
            SignatureAlgorithm::Ed25519 => &ED25519,
            SignatureAlgorithm::EcdsaP256 => &ECDSA_P256_SHA256_FIXED,
            SignatureAlgorithm::EcdsaP384 => &ECDSA_P384_SHA384_FIXED,
        };
        ParsedPublicKey::new(algorithm, public.as_bytes())
            .is_ok_and(|key| key.verify_sig(message, signature.as_bytes()).is_ok())
    }
}
