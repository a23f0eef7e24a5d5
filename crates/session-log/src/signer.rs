//! Who signs a log: a key in memory, or one elsewhere that is asked.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ssh_key::PrivateKey;
use ssh_key::private::{EcdsaKeypair, KeypairData};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{KeyFileError, SignError};
use crate::limits::MAX_KEY_FILE_BYTES;
use crate::sign::{PublicKey, Signature, SignatureAlgorithm, SigningKey};
use crate::sshsig::{self, MessageHash};

/// The proxy's key that certifies the first epoch key of a log. Erased when dropped.
pub struct SigningIdentity {
    key: SigningKey,
}

impl SigningIdentity {
    /// From an OpenSSH private key file without passphrase (`ssh-keygen -t ed25519 -N ''`, or `-t ecdsa` with `-b 256` or `-b 384`).
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
                KeyFileError::WrongAlgorithm
            }
            _ => KeyFileError::NotOpenSsh,
        })?;
        let (algorithm, private, public): (_, &[u8], &[u8]) = match key.key_data() {
            KeypairData::Ed25519(pair) => (
                SignatureAlgorithm::Ed25519,
                pair.private.as_ref(),
                &pair.public.0,
            ),
            KeypairData::Ecdsa(EcdsaKeypair::NistP256 { public, private }) => (
                SignatureAlgorithm::EcdsaP256,
                private.as_slice(),
                public.as_bytes(),
            ),
            KeypairData::Ecdsa(EcdsaKeypair::NistP384 { public, private }) => (
                SignatureAlgorithm::EcdsaP384,
                private.as_slice(),
                public.as_bytes(),
            ),
            KeypairData::Encrypted(_) => return Err(KeyFileError::Encrypted),
            _ => return Err(KeyFileError::WrongAlgorithm),
        };
        let key = SigningKey::from_slice(algorithm, private).ok_or(KeyFileError::Damaged)?;
        if key.public().as_bytes() != public {
            return Err(KeyFileError::Damaged);
        }
        Ok(SigningIdentity { key })
    }

    /// An Ed25519 key from the 32 secret bytes of RFC 8032.
    #[must_use]
    #[expect(clippy::expect_used, reason = "any 32 bytes are a key")]
    pub fn from_seed(mut seed: [u8; 32]) -> SigningIdentity {
        let key = SigningKey::from_slice(SignatureAlgorithm::Ed25519, &seed);
        seed.zeroize();
        SigningIdentity {
            key: key.expect("any 32 bytes are a key"),
        }
    }

    /// A key of any algorithm, drawn from a seed of 32 random bytes by this crate's generator.
    #[must_use]
    pub fn generate(algorithm: SignatureAlgorithm, seed: [u8; 32]) -> SigningIdentity {
        let mut generator = crate::secret::Generator::new(seed);
        SigningIdentity {
            key: SigningKey::generate(algorithm, &mut generator),
        }
    }

    /// The public half, as a line for an `allowed_signers` file after the principal: `ssh-ed25519 AAAA…`.
    #[must_use]
    pub fn public_key_openssh(&self) -> String {
        self.public_key().to_openssh()
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// Answers a request with this key. Empty, and so no answer, when the cryptographic library refused to sign.
    #[must_use]
    pub fn answer(&self, request: &SignRequest) -> Zeroizing<Vec<u8>> {
        let signature = self.key.sign(&request.data);
        Zeroizing::new(signature.map(Signature::to_ssh_blob).unwrap_or_default())
    }

    #[cfg(test)]
    pub(crate) fn sign(&self, hash: MessageHash, message: &[u8]) -> Signature {
        let signature = self.key.sign(&sshsig::preimage(hash, message));
        signature.expect("signed")
    }
}

impl fmt::Debug for SigningIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningIdentity").finish_non_exhaustive()
    }
}

/// What a key that is elsewhere, in an agent or in hardware, is asked to sign.
///
/// The data is what `SSH_AGENTC_SIGN_REQUEST` takes, and the answer is the signature blob that comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignRequest {
    /// The key that is asked.
    pub public: PublicKey,
    /// The bytes to be signed: an SSHSIG preimage.
    pub data: Vec<u8>,
}

impl SignRequest {
    pub(crate) fn new(hash: MessageHash, public: PublicKey, message: &[u8]) -> SignRequest {
        SignRequest {
            public,
            data: sshsig::preimage(hash, message),
        }
    }

    /// Takes the answer when it is this key's signature over this data.
    pub(crate) fn take(&self, blob: &[u8]) -> Result<Signature, SignError> {
        let signature = Signature::from_ssh_blob(blob)
            .ok_or(SignError::Malformed)?
            .normalized();
        if self.public.verifies(&self.data, &signature) {
            Ok(signature)
        } else {
            Err(SignError::Wrong)
        }
    }
}
