//! What computes the cryptography of a log, behind two traits: AWS-LC by default, RustCrypto without the feature `aws-lc`.
//!
//! | | `fips` | default | without `aws-lc` |
//! |---|---|---|---|
//! | AEAD, signatures checked, Ed25519 signed | AWS-LC, FIPS module | AWS-LC | RustCrypto |
//! | ECDSA signed | AWS-LC, FIPS module, which draws its nonces | RustCrypto (RFC 6979) | RustCrypto (RFC 6979) |
//! | SHA-2, HKDF | AWS-LC, FIPS module | RustCrypto | RustCrypto |
//!
//! A further module, such as one in hardware, is a further type with these traits.

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(any(test, not(feature = "fips")))]
mod rust_crypto;
#[cfg(all(test, feature = "aws-lc"))]
mod tests;

use alloc::vec::Vec;

use crate::secret::grow;
use crate::sign::{PublicKey, Signature, SignatureAlgorithm};
use crate::suite::{FRAME_KEY_BYTES, NONCE_BYTES, TAG_BYTES};

/// What seals, opens, signs and verifies.
#[cfg(feature = "aws-lc")]
type Chosen = aws_lc::AwsLc;
#[cfg(not(feature = "aws-lc"))]
type Chosen = rust_crypto::RustCrypto;

/// What hashes: SHA-2 of RustCrypto is as fast, and has no cost for each short input.
#[cfg(feature = "fips")]
pub(crate) type ChosenHashing = aws_lc::AwsLc;
#[cfg(not(feature = "fips"))]
pub(crate) type ChosenHashing = rust_crypto::RustCrypto;

/// A private signature key of this build.
pub(crate) type ChosenKey = <Chosen as Provider>::Key;

/// An AEAD with 32-byte keys, 12-byte nonces and 16-byte tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aead {
    ChaCha20Poly1305,
    Aes256Gcm,
}

/// A hash function of SHA-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sha2 {
    Sha256,
    Sha384,
    Sha512,
}

/// The cryptographic library failed or the bytes are not authentic. One opaque case on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CryptoFailed;

/// AEADs and signatures.
pub(crate) trait Provider {
    /// For people.
    const NAME: &'static str;
    type Key: PrivateKey;

    /// Encrypts in place and gives the tag.
    fn seal_in_place(
        aead: Aead,
        key: &[u8; FRAME_KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], CryptoFailed>;

    /// Decrypts ciphertext and tag into `plain`, which has the ciphertext's length. After a failure what is in it means nothing.
    fn open_into(
        aead: Aead,
        key: &[u8; FRAME_KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        sealed: (&[u8], &[u8]),
        plain: &mut [u8],
    ) -> Result<(), CryptoFailed>;

    /// Whether the signature is the key's over the message, when both are of its algorithm and neither is weak or malleable.
    fn verifies(public: &PublicKey, message: &[u8], signature: &Signature) -> bool;
}

/// A private signature key, erased when dropped.
pub(crate) trait PrivateKey: Sized {
    /// From an Ed25519 seed or the scalar of a curve, of exactly its length. `None` when it is no key.
    fn from_secret(algorithm: SignatureAlgorithm, secret: &[u8]) -> Option<Self>;

    fn public(&self) -> PublicKey;

    /// Signs. Of the two ECDSA signatures it may give either.
    fn sign(&self, message: &[u8]) -> Result<Signature, CryptoFailed>;

    #[cfg(test)]
    fn secret(&self) -> Vec<u8>;
}

/// SHA-2, and HKDF (RFC 5869) over it. Outputs are as long as `out`.
pub(crate) trait Hashing {
    /// The hash of the parts, one after the other.
    fn sha2(hash: Sha2, parts: &[&[u8]], out: &mut [u8]);

    /// HKDF-Extract.
    fn extract(hash: Sha2, salt: &[u8], ikm: &[u8], out: &mut [u8]);

    /// HKDF-Expand. Whether it did: `prk` must be as long as a hash, `out` at most 255 hashes.
    fn expand(hash: Sha2, prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> bool;
}

/// What computes the AEAD and checks the signatures of logs in this build.
///
/// With the feature `fips` it is the FIPS module of AWS-LC, which then also hashes, derives keys and signs. Wrapping a log's secret for its recipients is
/// RustCrypto's in every build, and not validated: no log is made by a validated module alone.
#[must_use]
pub fn provider_name() -> &'static str {
    Chosen::NAME
}

/// See [`Provider::verifies`].
pub(crate) fn verifies(public: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    Chosen::verifies(public, message, signature)
}

impl Sha2 {
    /// Length of its output, bytes.
    pub(crate) const fn len(self) -> usize {
        match self {
            Sha2::Sha256 => 32,
            Sha2::Sha384 => 48,
            Sha2::Sha512 => 64,
        }
    }
}

impl Aead {
    /// Encrypts in place and gives the tag.
    pub(crate) fn seal_in_place(
        self,
        key: &[u8; FRAME_KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], CryptoFailed> {
        Chosen::seal_in_place(self, key, nonce, aad, data)
    }

    /// Decrypts ciphertext and tag into `plain`, which is cleared first and holds nothing after a failure.
    pub(crate) fn open_into(
        self,
        key: &[u8; FRAME_KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        sealed: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<(), CryptoFailed> {
        plain.clear();
        let split = sealed.len().checked_sub(TAG_BYTES).ok_or(CryptoFailed)?;
        let (ciphertext, tag) = sealed.split_at_checked(split).ok_or(CryptoFailed)?;
        grow(plain, split);
        plain.resize(split, 0);
        let opened = Chosen::open_into(self, key, nonce, aad, (ciphertext, tag), plain);
        if opened.is_err() {
            plain.clear();
        }
        opened
    }
}
