#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(not(feature = "aws-lc-rs"))]
mod rust_crypto;

use alloc::vec::Vec;
use core::fmt;

use ssh_key::{PrivateKey, PublicKey};

#[cfg(feature = "aws-lc-rs")]
use self::aws_lc::Signer;
#[cfg(not(feature = "aws-lc-rs"))]
use self::rust_crypto::Signer;
use crate::wire::put_string;
use crate::{CaKeyError, CaPublicKey, Certificate, Prepared, SignError};

/// An authority's private key in memory, ready to sign, erased on drop.
///
/// It signs certificates that this crate prepared for it, and nothing else.
///
/// ```compile_fail,E0599
/// # let ca = sshcert::CaKey::from_openssh("").unwrap();
/// let copy = ca.clone();
/// ```
/// ```compile_fail,E0308
/// # let ca = sshcert::CaKey::from_openssh("").unwrap();
/// let signature = ca.sign(b"anything");
/// ```
pub struct CaKey {
    signer: Signer,
    public: CaPublicKey,
}

impl CaKey {
    /// Reads an OpenSSH private key file (`-----BEGIN OPENSSH PRIVATE KEY-----`) without a passphrase.
    ///
    /// # Errors
    /// [`CaKeyError`], [`CaKeyError::Encrypted`] when it has a passphrase.
    pub fn from_openssh(text: &str) -> Result<Self, CaKeyError> {
        let key = PrivateKey::from_openssh(text).map_err(|_| CaKeyError::Malformed)?;
        Self::from_private_key(key)
    }

    /// Takes a private key that has been read.
    ///
    /// # Errors
    /// [`CaKeyError`] when it is encrypted, not of an authority, or its halves do not match.
    pub fn from_private_key(key: PrivateKey) -> Result<Self, CaKeyError> {
        if key.is_encrypted() {
            return Err(CaKeyError::Encrypted);
        }
        // From the private part: the public key in the clear part of the file is not what signs.
        let public = ssh_key::public::KeyData::try_from(key.key_data())
            .map_err(|_| CaKeyError::Algorithm)?;
        let public = CaPublicKey::from_public_key(&PublicKey::from(public))?;
        let signer = Signer::new(key.key_data()).ok_or(CaKeyError::Inconsistent)?;
        let ca = Self { signer, public };
        // A key whose halves differ would make certificates that nobody takes.
        let probe = b"portreeve sshcert key probe";
        let signature = ca.sign_bytes(probe).map_err(|_| CaKeyError::Inconsistent)?;
        ca.public
            .verify(probe, &signature)
            .map_err(|_| CaKeyError::Inconsistent)?;
        Ok(ca)
    }

    /// Has an RSA key sign with `rsa-sha2-256` instead of `rsa-sha2-512`. Changes nothing for other keys.
    #[must_use]
    pub fn signing_with_rsa_sha256(mut self) -> Self {
        self.public = self.public.signing_with_rsa_sha256();
        self
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &CaPublicKey {
        &self.public
    }

    /// Signs a certificate that was prepared for this authority, and gives it out.
    ///
    /// The signature is not checked again: the two halves of this key were found to match when it was taken.
    ///
    /// # Errors
    /// [`SignError::OtherAuthority`] when it names another authority or signature algorithm.
    pub fn mint(&self, prepared: Prepared) -> Result<Certificate, SignError> {
        let signature = self.sign(&prepared)?;
        prepared
            .complete_signed(&signature)
            .map_err(|_| SignError::Failed)
    }

    /// Signs a certificate that was prepared for this authority. Gives the SSH signature blob that
    /// [`Prepared::complete`] takes.
    ///
    /// # Errors
    /// [`SignError::OtherAuthority`] when it names another authority or signature algorithm.
    pub fn sign(&self, prepared: &Prepared) -> Result<Vec<u8>, SignError> {
        if prepared.authority() != &self.public
            || prepared.signature_algorithm() != self.public.signature_algorithm()
        {
            return Err(SignError::OtherAuthority);
        }
        self.sign_bytes(prepared.to_be_signed())
    }

    fn sign_bytes(&self, bytes: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.signer.sign(bytes, self.public.rsa_hash());
        let signature = signature.ok_or(SignError::Failed)?;
        let name = self.public.signature_algorithm().as_bytes();
        let mut blob = Vec::with_capacity(8 + name.len() + signature.len());
        put_string(&mut blob, name);
        put_string(&mut blob, &signature);
        Ok(blob)
    }
}

impl fmt::Debug for CaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaKey")
            .field("public", &self.public.fingerprint())
            .finish_non_exhaustive()
    }
}
