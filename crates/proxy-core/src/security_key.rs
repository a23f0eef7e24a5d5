//! Security keys that were enrolled for somebody.

use alloc::string::String;
use alloc::vec::Vec;

use ssh_key::public::KeyData;
use ssh_transport::{Requirement, SecurityKeyProof};

/// A security key (FIDO) that belongs to one identity: `sk-ssh-ed25519@openssh.com` or `sk-ecdsa-sha2-nistp256@openssh.com`.
///
/// Whoever proves to have it must have touched it, always; `verification` says whether it must have verified its user too,
/// by a PIN or a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityKey {
    blob: Vec<u8>,
    fingerprint: String,
    verification: Requirement,
}

/// What the `application` of a key for SSH begins with (OpenSSH's PROTOCOL.u2f). A key of another one signs for whoever that belongs to,
/// a web site for example.
const APPLICATION: &str = "ssh:";

/// Why a line names no security key that can be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityKeyError {
    /// Not a public key as OpenSSH writes it.
    #[error("not a public key as it stands in a `.pub` file")]
    NotAKey,
    /// A key that is not in a security key.
    #[error("not the key of a security key: its type begins with `sk-`")]
    NotInSecurityKey,
    /// A key that was made for something else than SSH: `ssh-keygen` makes them for `ssh:` and what begins so.
    #[error("a key for another application: its `application` begins with `ssh:`")]
    OtherApplication,
    /// `no-touch-required`: a key that signs without a touch proves nobody's presence.
    #[error("`no-touch-required`, where a touch is always asked for")]
    NoTouch,
    /// Any option but `verify-required`.
    #[error("an option other than `verify-required`")]
    UnknownOption,
}

impl SecurityKey {
    /// A key that has to verify its user, or need not.
    ///
    /// # Errors
    /// [`SecurityKeyError::NotInSecurityKey`], [`SecurityKeyError::OtherApplication`], [`SecurityKeyError::NotAKey`] when it cannot be
    /// written out.
    pub fn new(
        public_key: &ssh_key::PublicKey,
        verification: Requirement,
    ) -> Result<Self, SecurityKeyError> {
        let application = match public_key.key_data() {
            KeyData::SkEd25519(key) => key.application(),
            KeyData::SkEcdsaSha2NistP256(key) => key.application(),
            _ => return Err(SecurityKeyError::NotInSecurityKey),
        };
        if !application.starts_with(APPLICATION) {
            return Err(SecurityKeyError::OtherApplication);
        }
        Ok(Self {
            blob: public_key
                .to_bytes()
                .map_err(|_| SecurityKeyError::NotAKey)?,
            fingerprint: alloc::format!("{}", public_key.fingerprint(ssh_key::HashAlg::Sha256)),
            verification,
        })
    }

    /// Reads a line as of `authorized_keys` (`sshd(8)`): the key, and before it `verify-required` where it must verify its user.
    ///
    /// # Errors
    /// One [`SecurityKeyError`] for each thing that such a line may not be or say.
    pub fn from_line(line: &str) -> Result<Self, SecurityKeyError> {
        let line = line.trim();
        let (first, rest) = line
            .split_once([' ', '\t'])
            .ok_or(SecurityKeyError::NotAKey)?;
        if let Ok(key) = line.parse() {
            return Self::new(&key, Requirement::Optional);
        }
        let key = rest
            .trim_start()
            .parse()
            .map_err(|_| SecurityKeyError::NotAKey)?;
        for option in first.split(',') {
            match option {
                _ if option.eq_ignore_ascii_case("verify-required") => {}
                _ if option.eq_ignore_ascii_case("no-touch-required") => {
                    return Err(SecurityKeyError::NoTouch);
                }
                _ => return Err(SecurityKeyError::UnknownOption),
            }
        }
        Self::new(&key, Requirement::Required)
    }

    /// The public key's SHA-256 fingerprint, as `ssh-keygen -l` shows it.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(crate) fn is(&self, blob: &[u8]) -> bool {
        self.blob == blob
    }

    /// Whether what the key said along with its signature suffices.
    pub(crate) fn is_met_by(&self, proof: &SecurityKeyProof) -> bool {
        let is_verified = proof.user_verified || self.verification == Requirement::Optional;
        proof.user_present && is_verified
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of `PLAIN`, which `ssh-keygen` made, written as that of a security key.
    const SK: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAINltLdFQfl3zi77jQPLd4tpID0xHSnAE4zjC4gtv675UAAAABHNzaDo=";
    const PLAIN: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINltLdFQfl3zi77jQPLd4tpID0xHSnAE4zjC4gtv675U";

    fn said(user_present: bool, user_verified: bool) -> SecurityKeyProof {
        SecurityKeyProof {
            application: "ssh:".into(),
            user_present,
            user_verified,
            counter: 1,
        }
    }

    #[test]
    fn a_touch_is_always_asked_for_and_verification_where_the_line_says_so() {
        let key = SecurityKey::from_line(&alloc::format!("{SK} ada's key")).unwrap();
        assert!(key.is_met_by(&said(true, false)));
        assert!(!key.is_met_by(&said(false, true)));
        for line in [
            alloc::format!("verify-required {SK}"),
            alloc::format!("Verify-Required {SK} ada's own key"),
        ] {
            let key = SecurityKey::from_line(&line).unwrap();
            assert!(!key.is_met_by(&said(true, false)), "{line}");
            assert!(!key.is_met_by(&said(false, true)), "{line}");
            assert!(key.is_met_by(&said(true, true)), "{line}");
        }
    }

    #[test]
    fn a_key_of_another_application_is_refused_and_ssh_may_have_several() {
        let key = |application: &str| {
            let public = [0x11; 32];
            let sk = ssh_key::public::SkEd25519::new(
                ssh_key::public::Ed25519PublicKey(public),
                application,
            );
            let line = ssh_key::PublicKey::from(KeyData::SkEd25519(sk));
            SecurityKey::from_line(&line.to_openssh().unwrap())
        };
        for application in ["ssh:", "ssh:work"] {
            assert!(key(application).is_ok(), "{application}");
        }
        for application in ["", "ssh", "SSH:", " ssh:", "https://login.example.com"] {
            let refused = key(application);
            assert_eq!(
                refused,
                Err(SecurityKeyError::OtherApplication),
                "{application}"
            );
        }
    }

    #[test]
    fn its_fingerprint_is_the_one_that_ssh_keygen_shows() {
        let key = SecurityKey::from_line(SK).unwrap();
        let shown = "SHA256:gVv1R0R896hkxUeSXSCuTl0tVlIW6n5OBMpQWM/K22g";
        assert_eq!(key.fingerprint(), shown);
    }

    #[test]
    fn a_line_that_is_no_security_key_or_says_more_is_refused_by_name() {
        use SecurityKeyError as E;
        for (line, error) in [
            (alloc::string::String::new(), E::NotAKey),
            ("sk-ssh-ed25519@openssh.com".into(), E::NotAKey),
            ("sk-ssh-ed25519@openssh.com AAAA".into(), E::NotAKey),
            (PLAIN.into(), E::NotInSecurityKey),
            (
                alloc::format!("verify-required {PLAIN}"),
                E::NotInSecurityKey,
            ),
            (alloc::format!("no-touch-required {SK}"), E::NoTouch),
            (
                alloc::format!("verify-required,no-touch-required {SK}"),
                E::NoTouch,
            ),
            (alloc::format!("restrict {SK}"), E::UnknownOption),
            (alloc::format!(" {SK},"), E::NotAKey),
        ] {
            assert_eq!(SecurityKey::from_line(&line), Err(error), "{line}");
        }
    }
}
