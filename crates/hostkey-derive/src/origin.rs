use alloc::string::{String, ToString};
use core::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroize as _;

use crate::candidate::SALT;
use crate::target::fingerprint_text;
use crate::{AccountSecret, Algorithm, DeriveError, OriginError, TargetKey};

/// The info string of a secret's id. It shares no prefix with those of keys.
const ID_INFO: &[u8] = b"secret id\0";
/// The bytes of a secret's id: two of 2^32 secrets have the same with a probability below 2^-64.
const ID_BYTES: usize = 16;
/// The start of the text form.
const TEXT_VERSION: &str = "v1";

/// What a derived key came from, without anything secret: to be kept beside it, so that when it changes the reason can be told.
///
/// As text: `v1 ssh-ed25519 SHA256:… 0123456789abcdef0123456789abcdef`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    algorithm: Algorithm,
    target: String,
    secret_id: [u8; ID_BYTES],
}

/// Which of its three inputs changed a derived key. When none did, neither did the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The target shows another key: a reinstallation, or somebody in between.
    pub target_key: bool,
    /// The account has another secret.
    pub secret: bool,
    /// Another algorithm was asked for: the key is another, and the target is the same.
    pub algorithm: bool,
}

impl Change {
    /// Whether anything changed.
    #[must_use]
    pub fn is_any(self) -> bool {
        self.target_key || self.secret || self.algorithm
    }
}

impl Origin {
    /// Of the key that [`derive`](crate::derive) gives for the same arguments.
    ///
    /// # Errors
    /// [`DeriveError`] as for [`derive`](crate::derive).
    pub fn of(
        secret: &AccountSecret,
        target_public_key: &[u8],
        algorithm: Algorithm,
    ) -> Result<Self, DeriveError> {
        let target = TargetKey::from_blob(target_public_key)?;
        Ok(Self {
            algorithm,
            target: target.fingerprint(),
            secret_id: secret_id(secret),
        })
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`OriginError`] for anything else.
    pub fn from_text(text: &str) -> Result<Self, OriginError> {
        let mut words = text.trim().split(' ');
        let mut word = || words.next().ok_or(OriginError);
        if word()? != TEXT_VERSION {
            return Err(OriginError);
        }
        let algorithm = Algorithm::from_name(word()?).ok_or(OriginError)?;
        let Ok(ssh_key::Fingerprint::Sha256(target)) = word()?.parse() else {
            return Err(OriginError);
        };
        let mut secret_id = [0; ID_BYTES];
        base16ct::lower::decode(word()?, &mut secret_id)
            .ok()
            .filter(|bytes| bytes.len() == ID_BYTES)
            .ok_or(OriginError)?;
        if words.next().is_some() {
            return Err(OriginError);
        }
        Ok(Self {
            algorithm,
            target: fingerprint_text(target),
            secret_id,
        })
    }

    /// What changed from an earlier origin to this one.
    #[must_use]
    pub fn change_since(&self, earlier: &Self) -> Change {
        Change {
            target_key: self.target != earlier.target,
            secret: self.secret_id != earlier.secret_id,
            algorithm: self.algorithm != earlier.algorithm,
        }
    }

    /// The algorithm of the derived key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `SHA256:…` of the target's key.
    #[must_use]
    pub fn target_fingerprint(&self) -> &str {
        &self.target
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.algorithm.name().to_string();
        write!(f, "{TEXT_VERSION} {name} {} ", self.target)?;
        self.secret_id
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// `Expand(prk, "secret id" || 00, 16)`: names a secret, and says nothing of it or of any key.
fn secret_id(secret: &AccountSecret) -> [u8; ID_BYTES] {
    let (mut prk, expander) = Hkdf::<Sha256>::extract(Some(SALT), secret.secret_bytes());
    prk.as_mut_slice().zeroize();
    let mut id = [0; ID_BYTES];
    // Fails only for more than 255 blocks.
    let expanded = expander.expand(ID_INFO, &mut id);
    debug_assert!(expanded.is_ok());
    id
}
