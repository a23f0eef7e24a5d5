use alloc::string::ToString;

use rand_core::CryptoRng;
use ssh_key::PublicKey;

use crate::prepared::Draft;
use crate::{
    CaPublicKey, CertificateKind, CustomOption, HostValidity, KeyId, MintError, OptionError,
    Prepared, Principals, Profile,
};

/// A host certificate to be: which hostnames this key may stand for, and when.
///
/// OpenSSH defines neither critical options nor extensions for hosts, and refuses any critical option.
#[derive(Clone, Debug)]
pub struct HostCertificate {
    draft: Draft,
}

impl HostCertificate {
    /// For this host key, these hostnames, this time. Serial 0 and no key id until they are set.
    ///
    /// Hostnames are written in lower case, as clients compare them.
    #[must_use]
    pub fn new(
        subject: PublicKey,
        hostnames: Principals,
        validity: impl Into<HostValidity>,
    ) -> Self {
        let names = hostnames
            .as_slice()
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect();
        Self {
            draft: Draft::new(
                CertificateKind::Host,
                subject,
                names,
                validity.into().span(),
            ),
        }
    }

    /// The number by which a revocation list can name it.
    #[must_use]
    pub fn serial(mut self, serial: u64) -> Self {
        self.draft.serial = serial;
        self
    }

    /// What a verbose client shows when it is presented.
    #[must_use]
    pub fn key_id(mut self, key_id: KeyId) -> Self {
        self.draft.key_id = key_id.as_str().to_string();
        self
    }

    /// Adds an extension that OpenSSH ignores and other readers may know.
    ///
    /// # Errors
    /// [`OptionError::Duplicate`] when it has been added.
    pub fn custom_extension(mut self, extension: &CustomOption) -> Result<Self, OptionError> {
        self.draft.extensions.insert_custom(extension)?;
        Ok(self)
    }

    /// Refuses algorithms outside this profile, of the authority and of the certified key.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.draft.profile = profile;
        self
    }

    /// Writes the certificate up to the signature, for this authority.
    ///
    /// The nonce must be unpredictable to the holder of the subject key; equal inputs give equal bytes.
    ///
    /// # Errors
    /// [`MintError::Subject`] for a key that is not certified here, [`MintError::Profile`], [`MintError::TooLong`].
    pub fn prepare(self, ca: &CaPublicKey, nonce: [u8; 32]) -> Result<Prepared, MintError> {
        self.draft.prepare(ca, &nonce)
    }

    /// As [`prepare`](Self::prepare), drawing the nonce.
    ///
    /// # Errors
    /// As for [`prepare`](Self::prepare).
    pub fn prepare_with_rng(
        self,
        ca: &CaPublicKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Prepared, MintError> {
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        self.prepare(ca, nonce)
    }
}
