use alloc::string::{String, ToString};
use core::fmt::Write as _;

use ipnet::IpNet;
use rand_core::CryptoRng;
use ssh_key::PublicKey;

use crate::options::{FORCE_COMMAND, SOURCE_ADDRESS, VERIFY_REQUIRED, check_value};
use crate::prepared::Draft;
use crate::{
    CaPublicKey, CertificateKind, CustomOption, Extension, KeyId, MAX_FORCE_COMMAND_BYTES,
    MAX_SOURCE_ADDRESSES, MintError, OptionError, Prepared, Principals, Profile, Validity,
};

/// A user certificate to be: who may log in with this key, when, and with what.
///
/// It permits nothing but running commands until an [`Extension`] is added. It cannot be made for nobody in particular or
/// for ever by leaving something out:
///
/// ```compile_fail,E0061
/// # fn f(key: ssh_key::PublicKey, principals: sshcert::Principals) {
/// let certificate = sshcert::UserCertificate::new(key, principals);
/// # }
/// ```
/// ```compile_fail,E0308
/// # fn f(key: ssh_key::PublicKey, principals: sshcert::Principals, year: sshcert::HostValidity) {
/// let certificate = sshcert::UserCertificate::new(key, principals, year);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct UserCertificate {
    draft: Draft,
}

impl UserCertificate {
    /// For this key, these users, this time. Serial 0 and no key id until they are set.
    #[must_use]
    pub fn new(subject: PublicKey, principals: Principals, validity: Validity) -> Self {
        let principals = principals.as_slice().to_vec();
        Self {
            draft: Draft::new(CertificateKind::User, subject, principals, validity),
        }
    }

    /// Without principals. What that means is up to each server: sshd refuses it under `TrustedUserCAKeys`, but
    /// takes it for any user whose `authorized_keys` trusts the authority.
    #[must_use]
    pub fn dangerous_any_principal(subject: PublicKey, validity: Validity) -> Self {
        Self {
            draft: Draft::new(CertificateKind::User, subject, [].into(), validity),
        }
    }

    /// The number by which a revocation list can name it.
    #[must_use]
    pub fn serial(mut self, serial: u64) -> Self {
        self.draft.serial = serial;
        self
    }

    /// What the server's log shows when it is used.
    #[must_use]
    pub fn key_id(mut self, key_id: KeyId) -> Self {
        self.draft.key_id = key_id.as_str().to_string();
        self
    }

    /// Permits one thing more. Adding it twice changes nothing.
    #[must_use]
    pub fn extension(mut self, extension: Extension) -> Self {
        self.draft.extensions.set(extension.name());
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

    /// Adds a critical option that OpenSSH does not know: only servers that know it will accept the certificate.
    ///
    /// # Errors
    /// [`OptionError::Duplicate`] when it has been added.
    pub fn custom_critical_option(mut self, option: &CustomOption) -> Result<Self, OptionError> {
        self.draft.critical.insert_custom(option)?;
        Ok(self)
    }

    /// The server runs this instead of whatever is asked for.
    ///
    /// # Errors
    /// [`OptionError`] when it is empty, has control characters, is over [`MAX_FORCE_COMMAND_BYTES`], or was set before.
    pub fn force_command(mut self, command: &str) -> Result<Self, OptionError> {
        check_value(command, MAX_FORCE_COMMAND_BYTES)?;
        self.draft.critical.insert(FORCE_COMMAND, Some(command))?;
        Ok(self)
    }

    /// Only for connections from these addresses or ranges. Host bits of a range are cleared, as sshd demands.
    ///
    /// # Errors
    /// [`OptionError`] when there is none, more than [`MAX_SOURCE_ADDRESSES`], or it was set before.
    pub fn source_address<A: Into<IpNet>>(
        mut self,
        ranges: impl IntoIterator<Item = A>,
    ) -> Result<Self, OptionError> {
        let list = source_address_list(ranges)?;
        self.draft.critical.insert(SOURCE_ADDRESS, Some(&list))?;
        Ok(self)
    }

    /// A security key must verify its user (PIN or biometrics) for every signature.
    #[must_use]
    pub fn verify_required(mut self) -> Self {
        self.draft.critical.set(VERIFY_REQUIRED);
        self
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

/// Comma-separated, single addresses without a prefix length.
fn source_address_list<A: Into<IpNet>>(
    ranges: impl IntoIterator<Item = A>,
) -> Result<String, OptionError> {
    let mut list = String::new();
    for (index, range) in ranges.into_iter().enumerate() {
        if index == MAX_SOURCE_ADDRESSES {
            return Err(OptionError::TooMany {
                limit: MAX_SOURCE_ADDRESSES,
            });
        }
        let range: IpNet = range.into().trunc();
        let comma = if list.is_empty() { "" } else { "," };
        // Writing into a String does not fail.
        let _ = if range.prefix_len() == range.max_prefix_len() {
            write!(list, "{comma}{}", range.addr())
        } else {
            write!(list, "{comma}{range}")
        };
    }
    if list.is_empty() {
        return Err(OptionError::Empty);
    }
    Ok(list)
}
