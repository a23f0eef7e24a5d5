//! The two hashes of the suites, and HKDF over each.

use hkdf::{Hkdf, HkdfExtract};
use sha2::{Sha256, Sha384};
use zeroize::Zeroize as _;

use crate::secret::Secret;

/// Length of the longest hash of a suite, bytes.
pub(crate) const MAX_HASH_BYTES: usize = 48;

/// A hash function of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
}

/// A hash of the log's suite: 32 or 48 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    bytes: [u8; MAX_HASH_BYTES],
    hash: Hash,
}

impl Hash {
    /// Length of its output, bytes.
    pub(crate) fn len(self) -> usize {
        match self {
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
        }
    }

    /// The hash of the parts, one after the other.
    pub(crate) fn of(self, parts: &[&[u8]]) -> Digest {
        match self {
            Hash::Sha256 => self.digest(&hash_parts::<Sha256>(parts)),
            Hash::Sha384 => self.digest(&hash_parts::<Sha384>(parts)),
        }
    }

    /// A digest of this hash from outside; `None` when its length is another.
    pub(crate) fn digest_from(self, bytes: &[u8]) -> Option<Digest> {
        (bytes.len() == self.len()).then(|| self.digest(bytes))
    }

    fn digest(self, from: &[u8]) -> Digest {
        let mut bytes = [0; MAX_HASH_BYTES];
        for (to, byte) in bytes.iter_mut().zip(from) {
            *to = *byte;
        }
        Digest { bytes, hash: self }
    }

    /// HKDF-Expand (RFC 5869). Whether it did: the lengths are constants below 255 hashes, so it always does.
    pub(crate) fn expand(self, prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> bool {
        match self {
            Hash::Sha256 => {
                Hkdf::<Sha256>::from_prk(prk).is_ok_and(|k| k.expand_multi_info(info, out).is_ok())
            }
            Hash::Sha384 => {
                Hkdf::<Sha384>::from_prk(prk).is_ok_and(|k| k.expand_multi_info(info, out).is_ok())
            }
        }
    }

    /// HKDF-Extract (RFC 5869).
    pub(crate) fn extract(self, salt: &[u8], ikm: &[u8]) -> Secret {
        let mut out = Secret::zeros(self);
        match self {
            Hash::Sha256 => {
                let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
                extract.input_ikm(ikm);
                let (mut prk, _) = extract.finalize();
                out.copy_from(&prk);
                prk.as_mut_slice().zeroize();
            }
            Hash::Sha384 => {
                let mut extract = HkdfExtract::<Sha384>::new(Some(salt));
                extract.input_ikm(ikm);
                let (mut prk, _) = extract.finalize();
                out.copy_from(&prk);
                prk.as_mut_slice().zeroize();
            }
        }
        out
    }
}

fn hash_parts<H: sha2::Digest>(parts: &[&[u8]]) -> sha2::digest::Output<H> {
    let mut hash = H::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize()
}

impl Digest {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.hash.len()).unwrap_or(&self.bytes)
    }

    /// Its first eight bytes: the key ids and checksums of this format.
    pub(crate) fn short(&self) -> [u8; 8] {
        self.bytes.first_chunk().copied().unwrap_or_default()
    }
}

impl core::fmt::Display for Digest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl core::fmt::Debug for Digest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Digest({self})")
    }
}
