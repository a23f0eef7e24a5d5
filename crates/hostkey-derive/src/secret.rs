use core::fmt;

use base64ct::Encoding as _;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::SecretError;

/// The secret of one account, from which all its host keys come.
///
/// 32 to 64 bytes, kept in place and erased on drop. It can be neither printed nor cloned nor
/// serialized, and compares in constant time.
///
/// ```compile_fail,E0599
/// # let secret = hostkey_derive::AccountSecret::from_bytes(&[1; 32]).unwrap();
/// let copy = secret.clone();
/// ```
/// ```compile_fail,E0277
/// # let secret = hostkey_derive::AccountSecret::from_bytes(&[1; 32]).unwrap();
/// println!("{secret}");
/// ```
pub struct AccountSecret {
    bytes: [u8; Self::MAX_BYTES],
    len: usize,
}

impl AccountSecret {
    /// The fewest bytes of a secret: what a 128-bit security level asks of a key used for years.
    pub const MIN_BYTES: usize = 32;
    /// The most bytes of a secret: twice what can ever help, so that a wrong file is noticed.
    pub const MAX_BYTES: usize = 64;

    /// Takes the secret as raw bytes. The caller still owns, and should erase, its copy.
    ///
    /// # Errors
    /// [`SecretError::Length`] unless there are 32 to 64 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        let mut secret = Self::checked(bytes.len())?;
        for (to, from) in secret.bytes.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(secret)
    }

    /// Reads the secret from text: hex in either case, or base64 with or without padding.
    /// Whitespace around it is ignored.
    ///
    /// Text that is hex throughout is hex, anything else is base64: that a random secret's base64 looks like hex
    /// has a probability below 2^-64.
    ///
    /// # Errors
    /// [`SecretError::Encoding`] for other text, [`SecretError::Length`] unless it stands for 32 to 64 bytes.
    pub fn from_text(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            if !text.len().is_multiple_of(2) {
                return Err(SecretError::Encoding);
            }
            let mut secret = Self::checked(text.len() / 2)?;
            base16ct::mixed::decode(text, &mut secret.bytes).map_err(|_| SecretError::Encoding)?;
            return Ok(secret);
        }
        let text = text.trim_end_matches('=');
        let mut secret = Self::checked(text.len() / 4 * 3 + text.len() % 4 * 3 / 4)?;
        base64ct::Base64Unpadded::decode(text, &mut secret.bytes)
            .map_err(|_| SecretError::Encoding)?;
        Ok(secret)
    }

    /// Draws a new secret of 32 bytes.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = Self {
            bytes: [0; Self::MAX_BYTES],
            len: Self::MIN_BYTES,
        };
        let (drawn, _) = secret.bytes.split_at_mut(Self::MIN_BYTES);
        rng.fill_bytes(drawn);
        secret
    }

    /// The bytes themselves, for storing a generated secret. Handle with care.
    #[must_use]
    pub fn secret_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn checked(len: usize) -> Result<Self, SecretError> {
        if (Self::MIN_BYTES..=Self::MAX_BYTES).contains(&len) {
            return Ok(Self {
                bytes: [0; Self::MAX_BYTES],
                len,
            });
        }
        Err(SecretError::Length {
            min: Self::MIN_BYTES,
            max: Self::MAX_BYTES,
            got: len,
        })
    }
}

impl Drop for AccountSecret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl PartialEq for AccountSecret {
    fn eq(&self, other: &Self) -> bool {
        // The length is no secret; bytes past it are zero in both.
        (self.len.ct_eq(&other.len) & self.bytes.ct_eq(&other.bytes)).into()
    }
}

impl Eq for AccountSecret {}

impl fmt::Debug for AccountSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountSecret").finish_non_exhaustive()
    }
}
