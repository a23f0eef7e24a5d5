//! The checks of a presented certificate, in the order of OpenSSH's `sshkey_cert_check_authority`.

mod checked;
mod source_address;

use alloc::string::{String, ToString};
use core::net::IpAddr;
use core::time::Duration;

use ipnet::IpNet;
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

pub use self::checked::Checked;
use self::source_address::parse_source_addresses;
use crate::options::{FORCE_COMMAND, SOURCE_ADDRESS, VERIFY_REQUIRED};
use crate::public::acceptable_subject;
use crate::wire::Reader;
use crate::{CaPublicKey, CertificateKind, Extension, Krl, Profile, Refusal, Unverified};

/// A critical option that the caller of a check has to enforce, because the check cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EnforcedOption {
    /// Runs [`Checked::force_command`] instead of whatever is asked for.
    ForceCommand,
    /// Accepts no signature without the user-verified flag when [`Checked::is_verification_required`].
    VerifyRequired,
}

/// For whom, when and from where a certificate is checked.
#[derive(Clone, Copy, Debug)]
pub struct CheckContext<'a> {
    name: &'a str,
    now_unix: Duration,
    address: Option<IpAddr>,
    enforced: &'a [EnforcedOption],
    revoked: &'a [Krl],
    profile: Profile,
}

impl<'a> CheckContext<'a> {
    /// For this user, or this hostname, at this time since 1970-01-01.
    ///
    /// The address is unknown, and the caller enforces no critical option, until they are given.
    #[must_use]
    pub fn new(name: &'a str, now_unix: Duration) -> Self {
        Self {
            name,
            now_unix,
            address: None,
            enforced: &[],
            revoked: &[],
            profile: Profile::default(),
        }
    }

    /// Presented from this address. IPv4 inside IPv6 counts as IPv4, as for sshd.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.address = Some(address.to_canonical());
        self
    }

    /// The caller promises to enforce these options. A certificate with another is refused.
    #[must_use]
    pub fn enforcing(mut self, options: &'a [EnforcedOption]) -> Self {
        self.enforced = options;
        self
    }

    /// A certificate that one of these lists revokes is refused.
    #[must_use]
    pub fn revoked_by(mut self, lists: &'a [Krl]) -> Self {
        self.revoked = lists;
        self
    }

    /// A certificate with algorithms outside this profile is refused.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    pub(crate) fn name(&self) -> &str {
        self.name
    }

    pub(crate) fn now_unix(&self) -> Duration {
        self.now_unix
    }

    pub(crate) fn from(&self) -> Option<IpAddr> {
        self.address
    }

    pub(crate) fn enforces(&self, option: EnforcedOption) -> bool {
        self.enforced.contains(&option)
    }
}

/// Whether a presented user certificate lets its holder log in under a name, now, from an address.
///
/// That the holder has the certified key is for the authentication to prove. Names are compared byte for byte.
///
/// # Errors
/// [`Refusal`], for the first thing that is wrong.
pub fn check_user_certificate(
    blob: &[u8],
    trusted: &[CaPublicKey],
    context: &CheckContext<'_>,
) -> Result<Checked, Refusal> {
    check_user(blob, trusted, context, |principals| {
        if principals.iter().any(|name| name == context.name) {
            Ok(())
        } else {
            Err(Refusal::PrincipalNotListed)
        }
    })
}

/// As [`check_user_certificate`], with another idea of which principals will do.
pub(crate) fn check_user(
    blob: &[u8],
    trusted: &[CaPublicKey],
    context: &CheckContext<'_>,
    check_principals: impl FnOnce(&[String]) -> Result<(), Refusal>,
) -> Result<Checked, Refusal> {
    let certificate = Unverified::parse(blob)?;
    let authority = check_common(&certificate, CertificateKind::User, trusted, context)?;
    check_principals(certificate.principals())?;
    let mut force_command = None;
    let mut verification_required = false;
    for (name, data) in certificate.critical_options() {
        match name.as_str() {
            FORCE_COMMAND if context.enforces(EnforcedOption::ForceCommand) => {
                force_command = Some(option_text(data)?.to_string());
            }
            VERIFY_REQUIRED if context.enforces(EnforcedOption::VerifyRequired) => {
                check_flag(data)?;
                if !is_security_key(certificate.subject()) {
                    return Err(Refusal::VerifyRequired);
                }
                verification_required = true;
            }
            SOURCE_ADDRESS => check_source_address(data, context.address)?,
            _ => return Err(Refusal::CriticalOption),
        }
    }
    for (name, data) in certificate.extensions() {
        if Extension::ALL.iter().any(|known| known.name() == name) {
            check_flag(data)?;
        }
    }
    Ok(Checked::new(
        certificate,
        authority,
        force_command,
        verification_required,
    ))
}

/// Whether a presented host certificate proves that its holder is a host, now.
///
/// Hostnames are compared without regard to case. Patterns such as `*.example.com` in the certificate match nothing,
/// and any critical option refuses it: none is defined for hosts.
///
/// # Errors
/// [`Refusal`], for the first thing that is wrong.
pub fn check_host_certificate(
    blob: &[u8],
    trusted: &[CaPublicKey],
    context: &CheckContext<'_>,
) -> Result<Checked, Refusal> {
    let certificate = Unverified::parse(blob)?;
    let authority = check_common(&certificate, CertificateKind::Host, trusted, context)?;
    if !certificate
        .principals()
        .iter()
        .any(|name| name.eq_ignore_ascii_case(context.name))
    {
        return Err(Refusal::PrincipalNotListed);
    }
    if !certificate.critical_options().is_empty() {
        return Err(Refusal::CriticalOption);
    }
    Ok(Checked::new(certificate, authority, None, false))
}

/// Kind, authority, signature, subject, time, and that it names anybody.
fn check_common(
    certificate: &Unverified,
    kind: CertificateKind,
    trusted: &[CaPublicKey],
    context: &CheckContext<'_>,
) -> Result<CaPublicKey, Refusal> {
    if certificate.kind() != kind {
        return Err(Refusal::WrongKind);
    }
    let authority = trusted
        .iter()
        .find(|ca| ca.blob() == certificate.authority_blob())
        .ok_or(Refusal::UntrustedAuthority)?;
    let profile = context.profile;
    if !profile.permits_authority(authority) || !profile.permits_subject(certificate.subject()) {
        return Err(Refusal::Profile);
    }
    authority
        .verify(certificate.to_be_signed(), certificate.signature())
        .map_err(|_| Refusal::Signature)?;
    if !acceptable_subject(certificate.subject().key_data()) {
        return Err(Refusal::Subject);
    }
    for krl in context.revoked {
        match krl.find_certificate(certificate) {
            Ok(None) => {}
            Ok(Some(found)) => return Err(Refusal::Revoked(found)),
            Err(error) => return Err(Refusal::Revocation(error)),
        }
    }
    let now = context.now_unix.as_secs();
    if now < certificate.valid_after() {
        return Err(Refusal::NotYetValid {
            valid_after: certificate.valid_after(),
            now,
        });
    }
    if now >= certificate.valid_before() {
        return Err(Refusal::Expired {
            valid_before: certificate.valid_before(),
            now,
        });
    }
    if certificate.principals().is_empty() {
        return Err(Refusal::NoPrincipals);
    }
    Ok(authority.clone())
}

/// Whether a key can verify its user: only those of FIDO tokens can.
pub(crate) fn is_security_key(key: &PublicKey) -> bool {
    matches!(
        key.key_data(),
        KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_)
    )
}

/// An option's data that must hold exactly one string.
fn option_text(data: &[u8]) -> Result<&str, Refusal> {
    let mut reader = Reader::new(data);
    let text = reader.text().map_err(|_| Refusal::OptionValue)?;
    reader.finish().map_err(|_| Refusal::OptionValue)?;
    if text.contains('\0') {
        return Err(Refusal::OptionValue);
    }
    Ok(text)
}

fn check_flag(data: &[u8]) -> Result<(), Refusal> {
    if data.is_empty() {
        Ok(())
    } else {
        Err(Refusal::OptionValue)
    }
}

fn check_source_address(data: &[u8], address: Option<IpAddr>) -> Result<(), Refusal> {
    let ranges = parse_source_addresses(option_text(data)?).ok_or(Refusal::OptionValue)?;
    let address = address.ok_or(Refusal::SourceAddress)?;
    if ranges.iter().any(|range: &IpNet| range.contains(&address)) {
        return Ok(());
    }
    Err(Refusal::SourceAddress)
}
