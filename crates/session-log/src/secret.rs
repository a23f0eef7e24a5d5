//! Key derivation and the generator. Every value here that opens something is erased when it is dropped.

use core::convert::Infallible;

use hkdf::{Hkdf, HkdfExtract};
use rand_core::{TryCryptoRng, TryRng};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::suite::HASH_BYTES;

/// A secret of hash length: chain keys, epoch keys, the segment secret.
pub(crate) type Secret = Zeroizing<[u8; HASH_BYTES]>;

/// `Expand(prk, label, ctx, L)`: HKDF-Expand (RFC 5869) with info `"sslg1 " || label || 00 || ctx`.
pub(crate) fn expand_into(prk: &[u8; HASH_BYTES], label: &str, context: &[&[u8]], out: &mut [u8]) {
    let mut info: [&[u8]; 6] = [b"sslg1 ", label.as_bytes(), &[0], &[], &[], &[]];
    for (slot, part) in info.iter_mut().skip(3).zip(context) {
        *slot = part;
    }
    let filled =
        Hkdf::<Sha256>::from_prk(prk).is_ok_and(|hkdf| hkdf.expand_multi_info(&info, out).is_ok());
    // Both calls fail only for lengths that no caller here asks for; a key of zeros must not come of it all the same.
    assert!(filled, "HKDF lengths are constants below 255 hashes");
}

/// `Expand` to a secret of hash length.
pub(crate) fn expand(prk: &[u8; HASH_BYTES], label: &str, context: &[&[u8]]) -> Secret {
    let mut out = Zeroizing::new([0; HASH_BYTES]);
    expand_into(prk, label, context, &mut *out);
    out
}

/// HKDF-Extract (RFC 5869).
pub(crate) fn extract(salt: &[u8], ikm: &[u8; HASH_BYTES]) -> Secret {
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    extract.input_ikm(ikm);
    let (mut prk, _) = extract.finalize();
    let mut out = Zeroizing::new([0; HASH_BYTES]);
    out.copy_from_slice(&prk);
    prk.as_mut_slice().zeroize();
    out
}

/// The writer's generator: a hash ratchet over the caller's seed.
///
/// A stream cipher's state would give back everything drawn since the seed, and with it the keys of every page already written. Here each draw
/// replaces the state by a one-way function of it, so that a seized state tells nothing about the past.
pub(crate) struct Generator {
    state: Secret,
}

impl Generator {
    pub(crate) fn new(seed: [u8; 32]) -> Generator {
        let seed = Zeroizing::new(seed);
        Generator {
            state: expand(&seed, "generator", &[]),
        }
    }

    pub(crate) fn secret(&mut self) -> Secret {
        let mut out = Zeroizing::new([0; HASH_BYTES]);
        self.fill(&mut *out);
        out
    }

    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(HASH_BYTES) {
            expand_into(&self.state, "draw", &[], chunk);
            self.state = expand(&self.state, "state", &[]);
        }
    }

    #[cfg(test)]
    pub(crate) fn state(&self) -> &[u8; HASH_BYTES] {
        &self.state
    }
}

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut out = [0; 4];
        self.fill(&mut out);
        Ok(u32::from_le_bytes(out))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut out = [0; 8];
        self.fill(&mut out);
        Ok(u64::from_le_bytes(out))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Generator {}
