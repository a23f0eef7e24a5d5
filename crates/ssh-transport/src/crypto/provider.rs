//! Where random values come from, and the ephemeral keys that are made of them. All else is AWS-LC, whatever the provider.

mod module;
mod random;
mod seeded;

use alloc::boxed::Box;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::exchange::{Curve, EcdhKey, KemKey};
use crate::algorithms::KexAlgorithm;
use crate::error::Error;

/// A secret that a key encapsulation gives.
pub(crate) type KemSecret = Zeroizing<[u8; 32]>;

/// What a connection draws.
pub(crate) trait Primitives: Send + Sync {
    /// Fills `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), Error>;

    fn ecdh_key(&mut self, curve: Curve) -> Result<EcdhKey, Error>;

    /// A key of ML-KEM-768.
    fn kem_key(&mut self) -> Result<KemKey, Error>;

    /// The ciphertext for a public key of ML-KEM-768, and the secret in it.
    fn encapsulate(&mut self, public: &[u8]) -> Result<(Vec<u8>, KemSecret), Error>;
}

/// Where a machine takes its random values from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Provider {
    /// From the seed that the machine is made with: equal seeds and inputs give equal outputs, so that runs can be
    /// replayed. The seed must be secret and never be used twice.
    #[default]
    Seeded,
    /// From the generator of AWS-LC, with every ephemeral key generated within it. The seed is not used, and no two runs
    /// are equal. Finite-field key exchange ([`KexAlgorithm::LEGACY`]), which the library does not offer, is left
    /// out of what is offered.
    ///
    /// With the feature `fips` the library is its FIPS module, and a connection fails unless that is in FIPS mode.
    AwsLc,
}

impl Provider {
    /// Whether equal seeds and inputs give equal outputs.
    #[must_use]
    pub const fn is_deterministic(self) -> bool {
        matches!(self, Self::Seeded)
    }

    /// Whether every primitive is computed by AWS-LC's FIPS module in FIPS mode: with [`Provider::AwsLc`] and the feature
    /// `fips`. Which of them the module's certificate covers is told by its security policy.
    #[must_use]
    pub fn is_fips_module(self) -> bool {
        self == Self::AwsLc && aws_lc_rs::try_fips_mode().is_ok()
    }

    pub(crate) const fn supports(self, kex: KexAlgorithm) -> bool {
        match self {
            Self::Seeded => true,
            Self::AwsLc => !matches!(
                kex,
                KexAlgorithm::DhGroup14Sha256
                    | KexAlgorithm::DhGroup16Sha512
                    | KexAlgorithm::DhGroupExchangeSha256
            ),
        }
    }

    pub(crate) fn primitives(self, seed: [u8; 32]) -> Box<dyn Primitives> {
        match self {
            Self::Seeded => Box::new(seeded::Seeded::new(seed)),
            Self::AwsLc => {
                drop(Zeroizing::new(seed));
                Box::new(module::AwsLc)
            }
        }
    }
}

/// `N` random bytes of a secret.
pub(crate) fn secret<const N: usize>(
    primitives: &mut dyn Primitives,
) -> Result<Zeroizing<[u8; N]>, Error> {
    let mut secret = Zeroizing::new([0; N]);
    primitives.fill(secret.as_mut_slice())?;
    Ok(secret)
}
