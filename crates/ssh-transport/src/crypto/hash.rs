//! The hash of a key exchange: the exchange hash (RFC 4253 section 8) and the keys made from it (section 7.2).

use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::SharedSecret;
use crate::algorithms::KexAlgorithm;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HashAlgorithm {
    Sha256,
}

impl HashAlgorithm {
    pub(crate) const fn of(kex: KexAlgorithm) -> Self {
        match kex {
            KexAlgorithm::MlKem768X25519Sha256
            | KexAlgorithm::Curve25519Sha256
            | KexAlgorithm::Curve25519Sha256Libssh
            | KexAlgorithm::EcdhNistP256 => Self::Sha256,
        }
    }

    /// RFC 4253 section 7.2: `K1 = HASH(K || H || letter || session_id)`, `K2 = HASH(K || H || K1)`, and so on.
    pub(crate) fn derive(
        self,
        secret: &SharedSecret,
        exchange_hash: &[u8],
        letter: u8,
        session_id: &[u8],
        len: usize,
    ) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(Vec::with_capacity(len.next_multiple_of(64)));
        while key.len() < len {
            let mut hasher = Hasher::new(self);
            hasher.raw(secret.wire_bytes());
            hasher.raw(exchange_hash);
            if key.is_empty() {
                hasher.raw(&[letter]);
                hasher.raw(session_id);
            } else {
                hasher.raw(&key);
            }
            key.extend_from_slice(&Zeroizing::new(hasher.finish()));
        }
        key.truncate(len);
        key
    }
}

pub(crate) enum Hasher {
    Sha256(Sha256),
}

impl Hasher {
    pub(crate) fn new(algorithm: HashAlgorithm) -> Self {
        match algorithm {
            HashAlgorithm::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
        }
    }

    /// Adds `bytes` as an SSH `string`.
    pub(crate) fn string(&mut self, bytes: &[u8]) {
        self.raw(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.raw(bytes);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha256(hash) => hash.finalize().to_vec(),
        }
    }
}
