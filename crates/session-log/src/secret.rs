//! Key derivation and the generator. Every value here that opens something is erased when it is dropped.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::hint::black_box;
use core::ops::Deref;

use rand_core::{TryCryptoRng, TryRng};
use zeroize::{Zeroize as _, Zeroizing};

use crate::hash::{Hash, MAX_HASH_BYTES};

/// Gives the buffer at least this capacity, and leaves no copy of its bytes where it was.
pub(crate) fn grow(buffer: &mut Vec<u8>, capacity: usize) {
    if capacity > buffer.capacity() {
        let mut moved = Vec::with_capacity(capacity);
        moved.extend_from_slice(buffer);
        buffer.zeroize();
        *buffer = moved;
    }
}

/// A secret of the length of a hash: chain keys, epoch keys, the segment secret.
///
/// It stays where it was made: each move of the bytes themselves would leave a copy behind that nobody erases.
#[derive(Clone)]
pub(crate) struct Secret {
    bytes: Box<Zeroizing<[u8; MAX_HASH_BYTES]>>,
    hash: Hash,
}

impl Secret {
    pub(crate) fn zeros(hash: Hash) -> Secret {
        Secret {
            bytes: Box::new(Zeroizing::new([0; MAX_HASH_BYTES])),
            hash,
        }
    }

    /// From bytes of exactly its length.
    pub(crate) fn from_slice(hash: Hash, bytes: &[u8]) -> Option<Secret> {
        let mut secret = Secret::zeros(hash);
        (bytes.len() == hash.len()).then(|| {
            secret.copy_from(bytes);
            secret
        })
    }

    pub(crate) fn copy_from(&mut self, bytes: &[u8]) {
        for (to, byte) in self.bytes.iter_mut().zip(bytes) {
            *to = *byte;
        }
    }

    /// Replaces it by what it expands to.
    pub(crate) fn step(&mut self, label: &str) {
        let mut next = Zeroizing::new([0; MAX_HASH_BYTES]);
        let next = next.get_mut(..self.hash.len()).unwrap_or_default();
        expand_into(self.hash, self, label, &[], next);
        self.copy_from(next);
    }

    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        let len = self.hash.len();
        self.bytes.get_mut(..len).unwrap_or_default()
    }
}

impl Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.hash.len()).unwrap_or_default()
    }
}

/// `Expand(prk, label, ctx, L)`: HKDF-Expand (RFC 5869) with info `"sslg1 " || label || 00 || ctx`.
pub(crate) fn expand_into(hash: Hash, prk: &[u8], label: &str, context: &[&[u8]], out: &mut [u8]) {
    let mut info: [&[u8]; 6] = [b"sslg1 ", label.as_bytes(), &[0], &[], &[], &[]];
    for (slot, part) in info.iter_mut().skip(3).zip(context) {
        *slot = part;
    }
    // A key of zeros must not come of a wrong length in this crate.
    assert!(
        hash.expand(prk, &info, out),
        "HKDF lengths are constants below 255 hashes"
    );
    wipe_stack();
}

/// What a derivation may leave below it on the stack, bytes: the states of HMAC, moved from function to function, take about 1 KiB.
const WIPED_STACK_BYTES: usize = 3_072;

/// Overwrites what the function called before it left on the stack. RustCrypto erases its states where they end, not where they were on the way.
#[inline(never)]
pub(crate) fn wipe_stack() {
    black_box(&mut [0_u8; WIPED_STACK_BYTES]);
}

/// `Expand` to a secret of hash length.
pub(crate) fn expand(secret: &Secret, label: &str) -> Secret {
    let mut out = Secret::zeros(secret.hash);
    expand_into(secret.hash, secret, label, &[], out.as_mut());
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
    pub(crate) fn new(mut seed: [u8; 32]) -> Generator {
        let mut first = Secret::zeros(Hash::Sha256);
        first.copy_from(&seed);
        seed.zeroize();
        Generator {
            state: expand(&first, "generator"),
        }
    }

    pub(crate) fn secret(&mut self, hash: Hash) -> Secret {
        let mut out = Secret::zeros(hash);
        self.fill(out.as_mut());
        out
    }

    pub(crate) fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(self.state.len()) {
            expand_into(Hash::Sha256, &self.state, "draw", &[], chunk);
            self.state.step("state");
        }
    }

    #[cfg(test)]
    pub(crate) fn state(&self) -> &Secret {
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

#[cfg(test)]
mod grow_tests {
    extern crate std;

    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn a_buffer_that_grows_leaves_nothing_where_it_was() {
        const SECRET: &[u8] = b"typed into a prompt without echo";
        let mut buffer = SECRET.repeat(100);
        buffer.truncate(SECRET.len() * 50);
        let (place, len) = (buffer.as_ptr() as u64, buffer.capacity());
        grow(&mut buffer, len + 1);
        assert!(buffer.capacity() > len && buffer.as_ptr() as u64 != place);
        assert_eq!(buffer, SECRET.repeat(50));
        let Ok(memory) = File::open("/proc/self/mem") else {
            return;
        };
        let mut was = alloc::vec![1; len];
        memory.read_exact_at(&mut was, place).expect("still mapped");
        let found = was.windows(SECRET.len()).any(|part| part == SECRET);
        assert!(!found, "the old bytes are still there");
    }
}
