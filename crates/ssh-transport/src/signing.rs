//! An in-memory signer for keys that live as long as a session.

use alloc::vec::Vec;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use zeroize::Zeroizing;

use crate::algorithms::HostKeyAlgorithm;
use crate::wire::Put as _;

/// An Ed25519 key in memory that answers [`crate::SignRequest`]s. Erased on drop.
pub struct Ed25519Key(Ed25519KeyPair);

impl core::fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ed25519Key").finish_non_exhaustive()
    }
}

impl Ed25519Key {
    /// The key whose RFC 8032 private key is `seed`.
    #[must_use]
    #[expect(clippy::expect_used, reason = "any 32 bytes are a private key")]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice());
        Self(pair.expect("any 32 bytes are a private key"))
    }

    /// The public key blob (RFC 8709 section 4).
    #[must_use]
    pub fn public_key_blob(&self) -> Vec<u8> {
        let mut blob = Vec::with_capacity(51);
        blob.put_string(HostKeyAlgorithm::Ed25519.blob_type().as_bytes());
        blob.put_string(self.0.public_key().as_ref());
        blob
    }

    /// The signature blob over `data` (RFC 8709 section 6).
    #[must_use]
    pub fn sign(&self, data: &[u8]) -> Vec<u8> {
        let mut blob = Vec::with_capacity(83);
        blob.put_string(HostKeyAlgorithm::Ed25519.signature_name().as_bytes());
        blob.put_string(self.0.sign(data).as_ref());
        blob
    }
}
