use alloc::string::String;
use alloc::vec::Vec;

use ssh_key::{Fingerprint, PublicKey};

use crate::target::fingerprint_text;
use crate::{PinError, PinMismatch, TargetKey};

/// One host key that a target is expected to have, known by the SHA-256 of its public key blob.
///
/// A pinned authority is not a pin of this kind: host certificates are for a certificate library to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    sha256: [u8; 32],
    /// Unknown for a bare fingerprint.
    algorithm: Option<String>,
}

impl Pin {
    /// Reads `SHA256:…` as `ssh-keygen -l` prints it, or a public key line as in `known_hosts` or a `.pub` file
    /// (`ssh-ed25519 AAAA… comment`). Whitespace around it is ignored.
    ///
    /// # Errors
    /// [`PinError::Unrecognised`] for anything else, [`PinError::Certificate`] for a certificate line.
    pub fn from_text(text: &str) -> Result<Self, PinError> {
        let text = text.trim();
        if text.starts_with("SHA256:") {
            return match text.parse() {
                Ok(Fingerprint::Sha256(sha256)) => Ok(Self {
                    sha256,
                    algorithm: None,
                }),
                _ => Err(PinError::Unrecognised),
            };
        }
        if text
            .split_whitespace()
            .next()
            .is_some_and(|name| name.contains("-cert-v01@"))
        {
            return Err(PinError::Certificate);
        }
        let key = PublicKey::from_openssh(text).map_err(|_| PinError::Unrecognised)?;
        Self::from_blob(&key.to_bytes().map_err(|_| PinError::Unrecognised)?)
    }

    /// Takes an SSH public key blob.
    ///
    /// # Errors
    /// [`PinError::Unrecognised`] unless it is a plain public key of a known algorithm,
    /// [`PinError::Certificate`] for a certificate.
    pub fn from_blob(blob: &[u8]) -> Result<Self, PinError> {
        let key = TargetKey::from_blob(blob).map_err(|_| PinError::Unrecognised)?;
        if key.is_certified() {
            return Err(PinError::Certificate);
        }
        Ok(Self {
            sha256: key.sha256(),
            algorithm: Some(key.algorithm_name().into()),
        })
    }

    /// The SSH name of the key's type, such as `ssh-ed25519` or `ssh-rsa`; `None` for a bare fingerprint.
    #[must_use]
    pub fn algorithm_name(&self) -> Option<&str> {
        self.algorithm.as_deref()
    }

    /// `SHA256:…` as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint_text(self.sha256)
    }
}

/// The host keys of which a target must present one. Never empty: a target without pins has no `Pins`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins(Vec<Pin>);

impl Pins {
    /// Takes the expected keys.
    ///
    /// # Errors
    /// [`PinError::Empty`] without any.
    pub fn new(pins: impl IntoIterator<Item = Pin>) -> Result<Self, PinError> {
        let pins: Vec<Pin> = pins.into_iter().collect();
        if pins.is_empty() {
            return Err(PinError::Empty);
        }
        Ok(Self(pins))
    }

    /// Whether a target that presented this public key or host certificate in its key exchange is the expected one.
    ///
    /// A certificate counts as the key it certifies. Check this before anything is derived or sent.
    ///
    /// # Errors
    /// [`PinMismatch`] if the key is not pinned, or is none.
    pub fn check(&self, presented_blob: &[u8]) -> Result<(), PinMismatch> {
        let mismatch = |presented| PinMismatch {
            presented,
            expected: self.0.iter().map(Pin::fingerprint).collect(),
        };
        let Ok(presented) = TargetKey::from_blob(presented_blob) else {
            return Err(mismatch(None));
        };
        let sha256 = presented.sha256();
        if self.0.iter().any(|pin| pin.sha256 == sha256) {
            Ok(())
        } else {
            Err(mismatch(Some(presented.fingerprint())))
        }
    }

    /// The key types of which the target must show one (as in [`Pin::algorithm_name`]), for the negotiation of its host key;
    /// `None` when a bare fingerprint leaves the type open.
    #[must_use]
    pub fn algorithm_names(&self) -> Option<Vec<&str>> {
        self.0.iter().map(Pin::algorithm_name).collect()
    }

    /// The pins, in the order they were given.
    #[must_use]
    pub fn as_slice(&self) -> &[Pin] {
        &self.0
    }
}
