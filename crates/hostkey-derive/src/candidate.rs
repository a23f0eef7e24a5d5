use alloc::vec::Vec;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::AccountSecret;
use crate::target::put_string;

/// The salt of HKDF-Extract: names this derivation and its version.
const SALT: &[u8] = b"portreeve hostkey-derive v1";
/// The start of every info string, with the NUL that ends it.
const LABEL: &[u8] = b"host key\0";
/// How many candidates are tried before giving up. With the worst order in use (P-256: one in 2^32
/// is rejected) reaching it has a probability of 2^-32768; it only bounds the loop.
pub(crate) const MAX_CANDIDATES: u32 = 1024;

/// The candidates of one (secret, target key, algorithm): `Expand(prk, info(A, n), N)`.
pub(crate) struct Candidates {
    prk: Hkdf<Sha256>,
    info: Vec<u8>,
}

impl Candidates {
    pub(crate) fn new(secret: &AccountSecret, target_blob: &[u8], algorithm_name: &str) -> Self {
        let mut info = Vec::with_capacity(LABEL.len() + 4 + algorithm_name.len() + 4 + target_blob.len() + 4);
        info.extend_from_slice(LABEL);
        put_string(&mut info, algorithm_name.as_bytes());
        put_string(&mut info, target_blob);
        Self { prk: Hkdf::new(Some(SALT), secret.secret_bytes()), info }
    }

    /// Candidate number `n`.
    pub(crate) fn at<const N: usize>(&self, n: u32) -> Zeroizing<[u8; N]> {
        const { assert!(N <= 255 * 32, "HKDF-SHA-256 gives at most 255 blocks") };
        let mut candidate = Zeroizing::new([0; N]);
        // Fails only above the length asserted at compile time.
        let expanded = self.prk.expand_multi_info(&[&self.info, &n.to_be_bytes()], candidate.as_mut_slice());
        debug_assert!(expanded.is_ok());
        candidate
    }

    /// The first candidate `c` with `1 <= c < order`, both big-endian, and how many were rejected before it.
    pub(crate) fn first_below<const N: usize>(&self, order: &[u8; N]) -> Option<(Zeroizing<[u8; N]>, u32)> {
        (0..MAX_CANDIDATES).find_map(|n| {
            let candidate = self.at::<N>(n);
            in_range(&candidate, order).then_some((candidate, n))
        })
    }
}

/// `1 <= candidate < order`, big-endian, without branching on the candidate's bytes.
fn in_range<const N: usize>(candidate: &[u8; N], order: &[u8; N]) -> bool {
    let mut any_bit = 0u8;
    let mut borrow = 0u16;
    for (c, o) in candidate.iter().zip(order).rev() {
        any_bit |= c;
        let difference = u16::from(*c).wrapping_sub(u16::from(*o)).wrapping_sub(borrow);
        borrow = difference >> 15;
    }
    any_bit != 0 && borrow == 1
}
