//! Bearer tokens: what a client shows to say who it is. The proxy keeps only their hashes.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

/// How long the longest token that is looked at may be. Our own have 43 characters.
pub const MAX_TOKEN_BYTES: usize = 512;

/// The SHA-256 of a token. A token has 256 random bits, so that no slow hash is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes a token as a client sends it.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(text.chunks(2)) {
            *byte = pair.iter().try_fold(0_u8, |byte, digit| {
                let value = char::from(*digit).to_digit(16)?;
                Some(byte << 4 | u8::try_from(value).ok()?)
            })?;
        }
        Some(Self(hash))
    }

    /// The 64 hexadecimal digits that [`from_hex`](Self::from_hex) reads.
    pub fn to_hex(&self) -> String {
        crate::tool::hex(&self.0)
    }
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenHash").finish_non_exhaustive()
    }
}

/// Makes a token of 32 bytes of the operating system's randomness, as base64url.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn generate() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice())?;
    Ok(Zeroizing::new(Base64UrlUnpadded::encode_string(
        bytes.as_slice(),
    )))
}

/// Finds whose token it is. The time it takes says nothing about which hashes there are: all are
/// looked at, each to its end.
pub fn find(known: &[(TokenHash, usize)], token: &str) -> Option<usize> {
    let hash = TokenHash::of(token);
    let mut found = Choice::from(0);
    let mut owner = 0;
    for (position, (candidate, _)) in (0_u64..).zip(known) {
        let equal = candidate.0.ct_eq(&hash.0);
        owner = u64::conditional_select(&owner, &position, equal);
        found |= equal;
    }
    if !bool::from(found) {
        return None;
    }
    let (_, identity) = known.get(usize::try_from(owner).ok()?)?;
    Some(*identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_43_characters_and_never_the_same() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_eq!(one.len(), 43);
        assert!(
            one.bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
        );
        assert_ne!(one, other);
    }

    #[test]
    fn the_hash_is_sha256_of_the_text() {
        let hash = TokenHash::of("abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_hex(), hex);
        assert_eq!(TokenHash::from_hex(hex), Some(hash));
        assert_eq!(TokenHash::from_hex(&hex.to_uppercase()), Some(hash));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let hex = TokenHash::of("abc").to_hex();
        for wrong in [
            "",
            "00",
            &hex[1..],
            &format!("{hex}0"),
            &hex.replace('a', "g"),
        ] {
            assert_eq!(TokenHash::from_hex(wrong), None, "{wrong}");
        }
        assert_eq!(TokenHash::from_hex(&"+f".repeat(32)), None);
        assert_eq!(TokenHash::from_hex(&"é".repeat(32)), None);
    }

    #[test]
    fn the_owner_of_a_token_is_found_and_nobody_else() {
        let known: Vec<_> = ["one", "two", "three"]
            .iter()
            .zip([10, 20, 30])
            .map(|(token, owner)| (TokenHash::of(token), owner))
            .collect();
        assert_eq!(find(&known, "one"), Some(10));
        assert_eq!(find(&known, "three"), Some(30));
        assert_eq!(find(&known, "four"), None);
        assert_eq!(find(&known, ""), None);
        assert_eq!(find(&[], "one"), None);
    }
}
