use alloc::vec::Vec;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use crate::AccountSecret;
use crate::target::put_string;

/// The salt of HKDF-Extract: names this derivation and its version.
pub(crate) const SALT: &[u8] = b"portreeve hostkey-derive v1";
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
        let mut info =
            Vec::with_capacity(LABEL.len() + 4 + algorithm_name.len() + 4 + target_blob.len() + 4);
        info.extend_from_slice(LABEL);
        put_string(&mut info, algorithm_name.as_bytes());
        put_string(&mut info, target_blob);
        let (mut prk, expander) = Hkdf::<Sha256>::extract(Some(SALT), secret.secret_bytes());
        prk.as_mut_slice().zeroize();
        Self {
            prk: expander,
            info,
        }
    }

    /// Candidate number `n`.
    pub(crate) fn at<const N: usize>(&self, n: u32) -> Zeroizing<[u8; N]> {
        const { assert!(N <= 255 * 32, "HKDF-SHA-256 gives at most 255 blocks") };
        let mut candidate = Zeroizing::new([0; N]);
        // Fails only above the length asserted at compile time.
        let expanded = self
            .prk
            .expand_multi_info(&[&self.info, &n.to_be_bytes()], candidate.as_mut_slice());
        debug_assert!(expanded.is_ok());
        candidate
    }

    /// The first candidate `c` with `1 <= c < order`, both big-endian, and how many were rejected before it.
    pub(crate) fn first_below<const N: usize>(
        &self,
        order: &[u8; N],
    ) -> Option<(Zeroizing<[u8; N]>, u32)> {
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
        let difference = u16::from(*c)
            .wrapping_sub(u16::from(*o))
            .wrapping_sub(borrow);
        borrow = difference >> 15;
    }
    any_bit != 0 && borrow == 1
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;

    fn hex<const N: usize>(value: &serde_json::Value) -> [u8; N] {
        let mut bytes = [0; N];
        base16ct::lower::decode(value.as_str().unwrap(), &mut bytes).unwrap();
        bytes
    }

    fn check<const N: usize>(vector: &serde_json::Value) -> u32 {
        let secret =
            AccountSecret::from_text(vector["account_secret_hex"].as_str().unwrap()).unwrap();
        let target: [u8; 51] = hex(&vector["target_host_key_hex"]);
        let algorithm: String = vector["algorithm"].as_str().unwrap().into();
        let candidates = Candidates::new(&secret, &target, &algorithm);
        let (found, rejected) = candidates
            .first_below::<N>(&hex(&vector["order_hex"]))
            .unwrap();
        assert_eq!(*found, hex::<N>(&vector["candidate_hex"]));
        assert_eq!(u64::from(rejected), vector["rejected"].as_u64().unwrap());
        rejected
    }

    #[test]
    fn candidates_at_or_above_a_small_order_are_rejected_as_in_the_reference() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../tests/vectors/rejection.json")).unwrap();
        let rejected: Vec<u32> = file["vectors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|vector| match vector["algorithm"].as_str().unwrap() {
                "ecdsa-sha2-nistp256" => check::<32>(vector),
                _ => check::<48>(vector),
            })
            .collect();
        assert_eq!(rejected.len(), 12);
        assert!(rejected.iter().filter(|n| **n > 0).count() >= 6);
    }

    #[test]
    fn range_excludes_zero_and_the_order_itself() {
        let order = [0x01, 0x00, 0x02];
        for (candidate, expected) in [
            ([0x00, 0x00, 0x00], false),
            ([0x00, 0x00, 0x01], true),
            ([0x00, 0xff, 0xff], true),
            ([0x01, 0x00, 0x01], true),
            ([0x01, 0x00, 0x02], false),
            ([0x01, 0x00, 0x03], false),
            ([0x01, 0x01, 0x00], false),
            ([0xff, 0x00, 0x00], false),
        ] {
            assert_eq!(in_range(&candidate, &order), expected, "{candidate:?}");
        }
    }

    #[test]
    fn range_agrees_with_numbers_on_every_pair_of_bytes() {
        for candidate in 0..=u16::MAX {
            for order in [1, 2, 0xff, 0x100, 0x101, 0x7fff, 0x8000, u16::MAX] {
                let expected = candidate >= 1 && candidate < order;
                assert_eq!(
                    in_range(&candidate.to_be_bytes(), &order.to_be_bytes()),
                    expected
                );
            }
        }
    }

    #[test]
    fn search_ends_when_no_candidate_is_ever_below_the_order() {
        let secret = AccountSecret::from_bytes(&[7; 32]).unwrap();
        let candidates = Candidates::new(&secret, b"target", "ecdsa-sha2-nistp256");
        let mut one = [0; 32];
        one[31] = 1;
        assert!(candidates.first_below(&one).is_none());
    }
}
