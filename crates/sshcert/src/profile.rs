use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use crate::CaPublicKey;

/// Which algorithms may be used, of those that this crate knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// All of them.
    #[default]
    Any,
    /// ECDSA on P-256, P-384 and P-521, and RSA of 2048 bits or more: what every FIPS 140-3 module can do.
    ///
    /// FIPS 186-5 has Ed25519 as well, but few validated modules do, and `sshd` in FIPS mode refuses it.
    Fips,
}

impl Profile {
    /// Whether an authority with this key may sign.
    #[must_use]
    pub fn permits_authority(self, authority: &CaPublicKey) -> bool {
        self.permits(authority.key_data())
    }

    /// Whether this key may be certified.
    #[must_use]
    pub fn permits_subject(self, subject: &PublicKey) -> bool {
        self.permits(subject.key_data())
    }

    fn permits(self, key: &KeyData) -> bool {
        match self {
            Self::Any => true,
            Self::Fips => matches!(
                key,
                KeyData::Ecdsa(_) | KeyData::Rsa(_) | KeyData::SkEcdsaSha2NistP256(_)
            ),
        }
    }
}
