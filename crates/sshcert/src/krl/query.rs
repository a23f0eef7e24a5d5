use core::fmt;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use super::{Krl, RevokedCertificates, authority_blob, plain_blob};
use crate::{KrlError, Unverified};

/// By what a list revokes a key or certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Revocation {
    /// The key itself is listed.
    Key,
    /// The hash of the key is listed.
    Fingerprint,
    /// The certificate's key id is listed.
    KeyId,
    /// The certificate's serial number is listed.
    Serial,
    /// The key of the certificate's authority, or its hash, is listed.
    Authority,
}

impl fmt::Display for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Fingerprint => "fingerprint",
            Self::KeyId => "key id",
            Self::Serial => "serial number",
            Self::Authority => "authority",
        })
    }
}

impl Krl {
    /// Whether, and by what, a key is revoked. Of a certificate, looks at the key it certifies only.
    ///
    /// # Errors
    /// [`KrlError::Key`] when it has no blob that could be looked for.
    pub fn find_key(&self, key: &PublicKey) -> Result<Option<Revocation>, KrlError> {
        Ok(self.find_blob(&plain_blob(key)?))
    }

    /// Whether, and by what, a certificate is revoked: its key, its key id, its serial number, or its authority's key.
    ///
    /// The certificate need not have been checked: a list has no use for the signature.
    ///
    /// # Errors
    /// [`KrlError::Key`] when its key has no blob that could be looked for, [`KrlError::Authority`] when its authority is no key.
    pub fn find_certificate(
        &self,
        certificate: &Unverified,
    ) -> Result<Option<Revocation>, KrlError> {
        if let Some(found) = self.find_key(certificate.subject())? {
            return Ok(Some(found));
        }
        let authority = authority_blob(certificate.authority_blob())?;
        let found = [authority.as_slice(), &[]]
            .into_iter()
            .filter_map(|issuer| self.certificates.get(issuer))
            .find_map(|revoked| revoked.find(certificate))
            .or_else(|| self.find_blob(&authority).map(|_| Revocation::Authority));
        Ok(found)
    }

    /// As [`find_certificate`](Self::find_certificate) or [`find_key`](Self::find_key), whichever it is, for a blob of anybody.
    ///
    /// # Errors
    /// [`KrlError::Unreadable`] for what is neither, or of an algorithm that is not known and not listed: nobody can tell by
    /// what it might be revoked.
    pub fn find(&self, blob: &[u8]) -> Result<Option<Revocation>, KrlError> {
        if let Ok(certificate) = Unverified::parse(blob) {
            return self.find_certificate(&certificate);
        }
        let listed = self.find_blob(blob);
        if listed.is_some() {
            return Ok(listed);
        }
        let key = PublicKey::from_bytes(blob).map_err(|_| KrlError::Unreadable)?;
        match key.key_data() {
            KeyData::Certificate(_) | KeyData::Other(_) => Err(KrlError::Unreadable),
            _ => self.find_key(&key),
        }
    }

    fn find_blob(&self, blob: &[u8]) -> Option<Revocation> {
        let sha1: [u8; 20] = Sha1::digest(blob).into();
        let sha256: [u8; 32] = Sha256::digest(blob).into();
        if self.sha1.contains(&sha1) || self.sha256.contains(&sha256) {
            return Some(Revocation::Fingerprint);
        }
        self.keys.contains(blob).then_some(Revocation::Key)
    }
}

impl RevokedCertificates {
    fn find(&self, certificate: &Unverified) -> Option<Revocation> {
        if self.key_ids.contains(certificate.key_id().as_bytes()) {
            return Some(Revocation::KeyId);
        }
        // Zero is no serial number, but the lack of one.
        let serial = certificate.serial();
        (serial != 0 && self.serials.contains(serial)).then_some(Revocation::Serial)
    }
}
