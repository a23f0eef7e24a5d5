//! One seed for a session, a stream of its own for everything in it.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use crate::SessionId;

/// What is made of a seed, for whoever takes it once. Neither the seed nor what was taken is kept: from the memory of a
/// running session nothing that was used before can be made again.
pub(super) struct Seeds {
    pub(super) session_id: SessionId,
    pub(super) certificate_serial: u64,
    pub(super) certificate_nonce: [u8; 32],
    pub(super) host_certificate_nonce: [u8; 32],
    pub(super) client_leg: Zeroizing<[u8; 32]>,
    pub(super) session_key: Zeroizing<[u8; 32]>,
    pub(super) later: LaterSeeds,
    pub(super) inner: SeedChain,
}

/// The seeds of what begins in the course of a session; `None` once taken.
pub(super) struct LaterSeeds {
    pub(super) target_leg: Option<Zeroizing<[u8; 32]>>,
    pub(super) target_leg_again: Option<Zeroizing<[u8; 32]>>,
    pub(super) log: Option<Zeroizing<[u8; 32]>>,
}

/// A seed for each session inside this one. What is left after one was taken does not give it again.
pub(super) struct SeedChain(Zeroizing<[u8; 32]>);

impl SeedChain {
    pub(super) fn next(&mut self) -> Zeroizing<[u8; 32]> {
        let salt = Some(b"portreeve inner session v1".as_slice());
        let (mut prk, root) = Hkdf::<Sha256>::extract(salt, self.0.as_slice());
        prk.as_mut_slice().zeroize();
        let mut seed = Zeroizing::new([0; 32]);
        fill(&root, "seed", seed.as_mut());
        fill(&root, "chain", self.0.as_mut());
        seed
    }
}

impl Seeds {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        let (mut prk, root) = Hkdf::<Sha256>::extract(Some(b"portreeve session v1"), seed);
        prk.as_mut_slice().zeroize();
        let (mut session_id, mut serial) = ([0; 16], [0; 8]);
        let (mut certificate_nonce, mut host_certificate_nonce) = ([0; 32], [0; 32]);
        fill(&root, "session id", &mut session_id);
        fill(&root, "certificate serial", &mut serial);
        fill(&root, "certificate nonce", &mut certificate_nonce);
        fill(&root, "host certificate nonce", &mut host_certificate_nonce);
        let secret = |label| {
            let mut bytes = Zeroizing::new([0; 32]);
            fill(&root, label, bytes.as_mut());
            bytes
        };
        Self {
            session_id: SessionId(session_id),
            // 53 bits, so that every reader of JSON keeps them, and never zero: zero means "none" to a revocation list.
            certificate_serial: (u64::from_be_bytes(serial) >> 11).max(1),
            certificate_nonce,
            host_certificate_nonce,
            client_leg: secret("client leg"),
            session_key: secret("session key"),
            later: LaterSeeds {
                target_leg: Some(secret("target leg")),
                target_leg_again: Some(secret("target leg again")),
                log: Some(secret("log")),
            },
            inner: SeedChain(secret("inner sessions")),
        }
    }
}

fn fill(root: &Hkdf<Sha256>, label: &str, out: &mut [u8]) {
    let filled = root.expand(label.as_bytes(), out);
    debug_assert!(filled.is_ok(), "HKDF gives up to 8160 bytes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_of_a_chain_is_another_and_equal_chains_give_equal_ones() {
        let chain = || Seeds::new(&[7; 32]).inner;
        let (mut one, mut two) = (chain(), chain());
        let mut seen = alloc::vec::Vec::new();
        for _ in 0..100 {
            let seed = one.next();
            assert_eq!(seed, two.next());
            assert!(!seen.contains(&seed) && *seed != *one.0);
            seen.push(seed);
        }
    }
}
