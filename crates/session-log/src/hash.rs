//! The two hashes of the suites, and HKDF over each.

use crate::provider::{ChosenHashing, Hashing as _, Sha2};
use crate::secret::{Secret, wipe_stack};

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
    fn sha2(self) -> Sha2 {
        match self {
            Hash::Sha256 => Sha2::Sha256,
            Hash::Sha384 => Sha2::Sha384,
        }
    }

    /// Length of its output, bytes.
    pub(crate) fn len(self) -> usize {
        self.sha2().len()
    }

    /// The hash of the parts, one after the other.
    pub(crate) fn of(self, parts: &[&[u8]]) -> Digest {
        let mut bytes = [0; MAX_HASH_BYTES];
        ChosenHashing::sha2(self.sha2(), parts, &mut bytes);
        Digest { bytes, hash: self }
    }

    /// A digest of this hash from outside; `None` when its length is another.
    pub(crate) fn digest_from(self, from: &[u8]) -> Option<Digest> {
        let mut bytes = [0; MAX_HASH_BYTES];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        (from.len() == self.len()).then_some(Digest { bytes, hash: self })
    }

    /// HKDF-Expand (RFC 5869). Whether it did: the lengths are constants below 255 hashes, so it always does.
    pub(crate) fn expand(self, prk: &[u8], info: &[&[u8]], out: &mut [u8]) -> bool {
        ChosenHashing::expand(self.sha2(), prk, info, out)
    }

    /// HKDF-Extract (RFC 5869).
    pub(crate) fn extract(self, salt: &[u8], ikm: &[u8]) -> Secret {
        let mut out = Secret::zeros(self);
        ChosenHashing::extract(self.sha2(), salt, ikm, out.as_mut());
        wipe_stack();
        out
    }
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
