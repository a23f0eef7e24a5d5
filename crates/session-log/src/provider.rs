//! The AEADs of the suites, behind two functions: AWS-LC by default, RustCrypto without the feature `aws-lc`.
//!
//! A further module, such as one in hardware, is a further file with the same two functions.

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(any(test, not(feature = "aws-lc")))]
mod rust_crypto;

use alloc::vec::Vec;

use crate::suite::{FRAME_KEY_BYTES, NONCE_BYTES, TAG_BYTES};

#[cfg(feature = "aws-lc")]
use aws_lc as chosen;
#[cfg(not(feature = "aws-lc"))]
use rust_crypto as chosen;

/// An AEAD with 32-byte keys, 12-byte nonces and 16-byte tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aead {
    ChaCha20Poly1305,
    Aes256Gcm,
}

/// The cryptographic library failed or the bytes are not authentic. One opaque case on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CryptoFailed;

/// What computes the AEAD of the frames in this build.
///
/// With the feature `fips` it is the FIPS module of AWS-LC. Only the AEAD runs there: hashes, key derivation, signatures and key wrapping are
/// RustCrypto's, which is not validated. A log of a suite with FIPS algorithms is therefore not a log made by a validated module alone.
#[must_use]
pub fn provider_name() -> &'static str {
    chosen::NAME
}

impl Aead {
    /// Encrypts in place and gives the tag.
    pub(crate) fn seal_in_place(
        self,
        key: &[u8; FRAME_KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], CryptoFailed> {
        chosen::seal_in_place(self, key, nonce, aad, data)
    }

    /// Decrypts ciphertext and tag into `plain`, which is cleared first and holds nothing after a failure.
    pub(crate) fn open_into(
        self,
        key: &[u8; FRAME_KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        sealed: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<(), CryptoFailed> {
        plain.clear();
        let split = sealed.len().checked_sub(TAG_BYTES).ok_or(CryptoFailed)?;
        let (ciphertext, tag) = sealed.split_at_checked(split).ok_or(CryptoFailed)?;
        plain.resize(split, 0);
        let opened = chosen::open_into(self, key, nonce, aad, (ciphertext, tag), plain);
        if opened.is_err() {
            plain.clear();
        }
        opened
    }
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use super::*;

    #[test]
    fn both_providers_make_the_same_bytes_and_refuse_the_same_changes() {
        for aead in [Aead::ChaCha20Poly1305, Aead::Aes256Gcm] {
            let (key, nonce, aad) = ([1; 32], [2; 12], [3; 56]);
            let (mut ours, mut theirs) = ([4; 700], [4; 700]);
            let tag = aws_lc::seal_in_place(aead, &key, nonce, &aad, &mut ours);
            assert_eq!(
                tag,
                rust_crypto::seal_in_place(aead, &key, nonce, &aad, &mut theirs)
            );
            assert_eq!(ours, theirs);
            let tag = tag.expect("sealed");
            let mut plain = [0; 700];
            let good = (&ours[..], &tag[..]);
            assert_eq!(
                rust_crypto::open_into(aead, &key, nonce, &aad, good, &mut plain),
                Ok(())
            );
            assert_eq!(plain, [4; 700]);
            let bent = (&ours[..], &[0; 16][..]);
            for open in [aws_lc::open_into, rust_crypto::open_into] {
                assert_eq!(
                    open(aead, &key, nonce, &aad, bent, &mut plain),
                    Err(CryptoFailed)
                );
                assert_eq!(
                    open(aead, &key, nonce, b"other", good, &mut plain),
                    Err(CryptoFailed)
                );
            }
        }
    }
}
