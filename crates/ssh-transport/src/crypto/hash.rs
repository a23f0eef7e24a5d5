//! The hash of a key exchange: the exchange hash (RFC 4253 section 8) and the keys made from it (section 7.2).

use alloc::vec::Vec;

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use super::SharedSecret;
use crate::algorithms::KexAlgorithm;

/// The hash that a key exchange method is named after.
const fn algorithm(kex: KexAlgorithm) -> &'static digest::Algorithm {
    match kex {
        KexAlgorithm::MlKem768X25519Sha256
        | KexAlgorithm::Curve25519Sha256
        | KexAlgorithm::Curve25519Sha256Libssh
        | KexAlgorithm::EcdhNistP256
        | KexAlgorithm::DhGroupExchangeSha256
        | KexAlgorithm::DhGroup14Sha256 => &digest::SHA256,
        KexAlgorithm::EcdhNistP384 => &digest::SHA384,
        KexAlgorithm::EcdhNistP521 | KexAlgorithm::DhGroup16Sha512 => &digest::SHA512,
    }
}

#[derive(Clone)]
pub(crate) struct Hasher(digest::Context);

impl Hasher {
    pub(crate) fn new(kex: KexAlgorithm) -> Self {
        Self(digest::Context::new(algorithm(kex)))
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds `bytes` as an SSH `string`.
    pub(crate) fn string(&mut self, bytes: &[u8]) {
        self.raw(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.raw(bytes);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

/// Makes keys of one exchange.
pub(crate) struct KeyDerivation<'a> {
    /// What every key begins with, `K || H`, hashed.
    begun: Hasher,
    session_id: &'a [u8],
}

impl<'a> KeyDerivation<'a> {
    pub(crate) fn new(
        kex: KexAlgorithm,
        secret: &SharedSecret,
        exchange_hash: &[u8],
        session_id: &'a [u8],
    ) -> Self {
        let mut begun = Hasher::new(kex);
        begun.raw(secret.wire_bytes());
        begun.raw(exchange_hash);
        Self { begun, session_id }
    }

    /// RFC 4253 section 7.2: `K1 = HASH(K || H || letter || session_id)`, `K2 = HASH(K || H || K1)`, and so on.
    pub(crate) fn key(&self, letter: u8, len: usize) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(Vec::with_capacity(len.next_multiple_of(64)));
        while key.len() < len {
            let mut hasher = self.begun.clone();
            if key.is_empty() {
                hasher.raw(&[letter]);
                hasher.raw(self.session_id);
            } else {
                hasher.raw(&key);
            }
            key.extend_from_slice(&Zeroizing::new(hasher.finish()));
        }
        key.truncate(len);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::{SHA256, digest};

    #[test]
    fn keys_are_derived_as_rfc_4253_has_it_with_each_hash() {
        // hashlib of Python: 150 bytes for the letter C, K = mpint 0x80010203, H = 00 01 02..., session id = 64 65 66....
        let vectors = [
            (
                KexAlgorithm::Curve25519Sha256,
                32,
                "4f6e02a89ca42491e3f6f14e851b50168bef4148928afb5611ef2035d99f2fcb",
            ),
            (
                KexAlgorithm::EcdhNistP384,
                48,
                "ab5207b8fc087d291b0099f735907d49bacc730c86ae28f0de0856c1ddef98a1",
            ),
            (
                KexAlgorithm::DhGroup16Sha512,
                64,
                "0047574911f9dc093b53bb1ba179b54bb89c9eced1ef3a62546e10c8b765670a",
            ),
        ];
        for (kex, hash_bytes, expected) in vectors {
            let secret = SharedSecret::mpint(&[0x80, 1, 2, 3]);
            let hash: Vec<u8> = (0..hash_bytes).collect();
            let session_id: Vec<u8> = (100..100 + hash_bytes).collect();
            let derivation = KeyDerivation::new(kex, &secret, &hash, &session_id);
            let key = derivation.key(b'C', 150);
            let hex: alloc::string::String = digest(&SHA256, &key)
                .as_ref()
                .iter()
                .map(|b| alloc::format!("{b:02x}"))
                .collect();
            assert_eq!(hex, expected, "{kex:?}");
            assert_eq!(*derivation.key(b'C', 5), key[..5]);
            assert_ne!(*derivation.key(b'D', 5), key[..5]);
        }
    }
}
