//! Who signs a log.

use alloc::string::String;
use core::fmt;

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::SigningKey;
use ssh_key::PrivateKey;
use ssh_key::private::KeypairData;
use zeroize::{Zeroize, Zeroizing};

use crate::error::KeyFileError;
use crate::limits::MAX_KEY_FILE_BYTES;
use crate::sshsig::{self, key_blob};
use crate::suite::{PUBLIC_KEY_BYTES, SIGNATURE_BYTES};

/// The proxy's Ed25519 key that certifies the first epoch key of a log. Erased when dropped.
pub struct SigningIdentity {
    key: SigningKey,
}

impl SigningIdentity {
    /// From an OpenSSH private key file without passphrase (`ssh-keygen -t ed25519 -N ''`).
    ///
    /// # Errors
    /// When it is not such a file, has a passphrase, or is a key of another algorithm.
    pub fn from_openssh(text: &str) -> Result<SigningIdentity, KeyFileError> {
        if text.len() > MAX_KEY_FILE_BYTES {
            return Err(KeyFileError::TooLarge {
                limit: MAX_KEY_FILE_BYTES,
                got: text.len(),
            });
        }
        let key = PrivateKey::from_openssh(text).map_err(|error| match error {
            ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. } => {
                KeyFileError::NotEd25519
            }
            _ => KeyFileError::NotOpenSsh,
        })?;
        match key.key_data() {
            KeypairData::Ed25519(pair) => {
                let mut seed = Zeroizing::new([0; 32]);
                seed.copy_from_slice(pair.private.as_ref());
                let identity = SigningIdentity {
                    key: SigningKey::from_bytes(&seed),
                };
                if identity.public() != pair.public.0 {
                    return Err(KeyFileError::Damaged);
                }
                Ok(identity)
            }
            KeypairData::Encrypted(_) => Err(KeyFileError::Encrypted),
            _ => Err(KeyFileError::NotEd25519),
        }
    }

    /// From the 32 secret bytes of RFC 8032.
    #[must_use]
    pub fn from_seed(mut seed: [u8; 32]) -> SigningIdentity {
        let identity = SigningIdentity {
            key: SigningKey::from_bytes(&seed),
        };
        seed.zeroize();
        identity
    }

    /// The public half, as a line for an `allowed_signers` file after the principal: `ssh-ed25519 AAAA…`.
    #[must_use]
    pub fn public_key_openssh(&self) -> String {
        let mut line = String::from("ssh-ed25519 ");
        line.push_str(&Base64::encode_string(&key_blob(&self.public())));
        line
    }

    pub(crate) fn public(&self) -> [u8; PUBLIC_KEY_BYTES] {
        self.key.verifying_key().to_bytes()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        sshsig::sign(&self.key, message)
    }
}

impl fmt::Debug for SigningIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningIdentity").finish_non_exhaustive()
    }
}
