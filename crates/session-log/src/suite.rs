//! The cryptographic suites, one row each, and the few operations that the rest of the crate asks of them.

use alloc::vec::Vec;

use aws_lc_rs::aead::{
    AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use sha2::{Digest as _, Sha256};

/// Length of a hash and of every chain key, bytes.
pub(crate) const HASH_BYTES: usize = 32;
/// Length of a frame key, bytes.
pub(crate) const FRAME_KEY_BYTES: usize = 32;
/// Length of an AEAD nonce, bytes.
pub(crate) const NONCE_BYTES: usize = 12;
/// Length of an AEAD tag, bytes.
pub(crate) const TAG_BYTES: usize = 16;
/// Length of an Ed25519 public key, bytes.
pub(crate) const PUBLIC_KEY_BYTES: usize = 32;
/// Length of an Ed25519 signature, bytes.
pub(crate) const SIGNATURE_BYTES: usize = 64;
/// `sig_alg` of Ed25519 in the header.
pub(crate) const SIG_ED25519: u64 = 1;

/// A set of algorithms for one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Suite {
    /// `0x0001`: SHA-256, ChaCha20-Poly1305, Ed25519. For processors without AES instructions.
    ChaCha20Poly1305Sha256,
    /// `0x0002`: SHA-256, AES-256-GCM, Ed25519.
    #[default]
    Aes256GcmSha256,
}

/// What distinguishes a suite. A further one is a further row.
struct Row {
    suite: Suite,
    id: u16,
    name: &'static str,
    aead: &'static Algorithm,
    /// HPKE code point of the AEAD that wraps the segment secret.
    wrap_aead: u16,
}

static ROWS: [Row; 2] = [
    Row {
        suite: Suite::ChaCha20Poly1305Sha256,
        id: 0x0001,
        name: "SHA-256, ChaCha20-Poly1305, Ed25519",
        aead: &CHACHA20_POLY1305,
        wrap_aead: 0x0003,
    },
    Row {
        suite: Suite::Aes256GcmSha256,
        id: 0x0002,
        name: "SHA-256, AES-256-GCM, Ed25519",
        aead: &AES_256_GCM,
        wrap_aead: 0x0002,
    },
];

/// The cryptographic library failed or the bytes are not authentic. One opaque case on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CryptoFailed;

impl Suite {
    fn row(self) -> &'static Row {
        let [chacha, aes] = &ROWS;
        match self {
            Suite::ChaCha20Poly1305Sha256 => chacha,
            Suite::Aes256GcmSha256 => aes,
        }
    }

    /// The suite with this number, if this version has it.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Suite> {
        ROWS.iter().find(|row| row.id == id).map(|row| row.suite)
    }

    /// Its number in the preamble.
    #[must_use]
    pub fn id(self) -> u16 {
        self.row().id
    }

    /// Its algorithms, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    pub(crate) fn wrap_aead(self) -> u16 {
        self.row().wrap_aead
    }

    fn key(self, key: &[u8; FRAME_KEY_BYTES]) -> Result<LessSafeKey, CryptoFailed> {
        UnboundKey::new(self.row().aead, key)
            .map(LessSafeKey::new)
            .map_err(|_| CryptoFailed)
    }

    /// Encrypts in place and gives the tag.
    pub(crate) fn seal_in_place(
        self,
        key: &[u8; FRAME_KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], CryptoFailed> {
        let tag = self
            .key(key)?
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), data)
            .map_err(|_| CryptoFailed)?;
        tag.as_ref().try_into().map_err(|_| CryptoFailed)
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
        plain.resize(split, 0);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened =
            self.key(key)?
                .open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, plain);
        if opened.is_err() {
            plain.clear();
        }
        opened.map_err(|_| CryptoFailed)
    }
}

/// A hash of the log's suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; HASH_BYTES]);

impl Digest {
    /// The hash of the parts, one after the other.
    pub(crate) fn of(parts: &[&[u8]]) -> Digest {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
        }
        Digest(hash.finalize().into())
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Digest> {
        bytes.try_into().ok().map(Digest)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
