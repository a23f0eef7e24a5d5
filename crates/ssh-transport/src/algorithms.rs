//! The algorithms by name. Each enum is a table: adding an algorithm is adding a row.

mod cipher;
mod kex;
mod public_key;

use alloc::vec::Vec;

pub(crate) use cipher::Suite;
pub use cipher::{CipherAlgorithm, MacAlgorithm};
pub use kex::KexAlgorithm;
pub use public_key::HostKeyAlgorithm;
pub(crate) use public_key::{SignatureScheme, Wrapping};

/// What is offered, in order of preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithms {
    /// Key exchange methods.
    pub kex: Vec<KexAlgorithm>,
    /// Host key algorithms. A client's only: a server offers those of the keys it is started with.
    pub host_keys: Vec<HostKeyAlgorithm>,
    /// Algorithms of user keys and certificates that are taken. A server's only.
    pub user_keys: Vec<HostKeyAlgorithm>,
    /// Ciphers, for both directions.
    pub ciphers: Vec<CipherAlgorithm>,
    /// MACs, for both directions and ciphers that do not authenticate.
    pub macs: Vec<MacAlgorithm>,
}

impl Algorithms {
    /// The default, and after it what well-kept peers of the last ten years may be restricted to: the NIST curves, and
    /// as ciphers also AES-CTR with a MAC over the encrypted packet.
    ///
    /// Not for a server that OpenSSH clients before version 10 use: they would take AES-CTR instead of AES-GCM.
    #[must_use]
    pub fn compatible() -> Self {
        let mut all = Self::default();
        all.kex.extend(KexAlgorithm::NIST);
        all.host_keys = HostKeyAlgorithm::KEYS.to_vec();
        all.ciphers.extend(CipherAlgorithm::LEGACY);
        all
    }

    /// Everything, the weakest last, for one old peer that cannot be updated: also finite-field key exchange, MACs over
    /// plain packets, and SHA-1 signatures by host keys. Users' SHA-1 signatures are not taken.
    #[must_use]
    pub fn legacy() -> Self {
        let mut all = Self::compatible();
        all.kex.extend(KexAlgorithm::LEGACY);
        all.host_keys.push(HostKeyAlgorithm::RsaSha1);
        all.macs.extend(MacAlgorithm::LEGACY);
        all
    }
}

impl Algorithms {
    /// What is made of primitives that FIPS 140 approves, for [`crate::Provider::AwsLc`] with the feature `fips`: the NIST curves,
    /// AES-GCM, ECDSA and RSA. X25519, and with it the post-quantum hybrid, is not among them.
    #[must_use]
    pub fn fips() -> Self {
        use HostKeyAlgorithm as K;
        Self {
            kex: KexAlgorithm::NIST.to_vec(),
            host_keys: Vec::from([
                K::EcdsaP256,
                K::EcdsaP384,
                K::EcdsaP521,
                K::RsaSha512,
                K::RsaSha256,
            ]),
            user_keys: Vec::from([
                K::EcdsaP256,
                K::SkEcdsaP256,
                K::EcdsaP384,
                K::EcdsaP521,
                K::RsaSha512,
                K::RsaSha256,
                K::EcdsaP256Cert,
                K::SkEcdsaP256Cert,
                K::EcdsaP384Cert,
                K::EcdsaP521Cert,
                K::RsaSha512Cert,
                K::RsaSha256Cert,
            ]),
            ciphers: Vec::from([CipherAlgorithm::Aes256Gcm, CipherAlgorithm::Aes128Gcm]),
            macs: MacAlgorithm::DEFAULT.to_vec(),
        }
    }
}

impl Default for Algorithms {
    fn default() -> Self {
        Self {
            kex: KexAlgorithm::DEFAULT.to_vec(),
            host_keys: HostKeyAlgorithm::DEFAULT.to_vec(),
            user_keys: HostKeyAlgorithm::USER_KEYS.to_vec(),
            ciphers: CipherAlgorithm::DEFAULT.to_vec(),
            macs: MacAlgorithm::DEFAULT.to_vec(),
        }
    }
}
