//! Everything random is a function of the seed.

use alloc::boxed::Box;
use alloc::vec::Vec;

use ml_kem::kem::Encapsulate as _;
use ml_kem::{DecapsulationKey768, EncapsulationKey768};
use zeroize::Zeroizing;

use super::random::Random;
use super::{KemSecret, Primitives, secret};
use crate::crypto::exchange::{BAD, Curve, EcdhKey, KemKey};
use crate::error::Error;

/// Tries to find a private key of a curve. Random bytes are none once in 2^32 times, and then only of P-256.
const MAX_TRIES: usize = 16;

pub(super) struct Seeded(Random);

impl Seeded {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self(Random::new(seed))
    }
}

impl Primitives for Seeded {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.0.fill(out);
        Ok(())
    }

    fn ecdh_key(&mut self, curve: Curve) -> Result<EcdhKey, Error> {
        let mut bytes = Zeroizing::new([0; Curve::MAX_PRIVATE_BYTES]);
        let bytes = bytes
            .get_mut(..curve.private_bytes())
            .ok_or(Error::ProviderFailed)?;
        for _ in 0..MAX_TRIES {
            self.0.fill(bytes);
            if curve == Curve::P521
                && let Some(top) = bytes.first_mut()
            {
                // 521 bits are 65 bytes and one bit.
                *top &= 1;
            }
            if let Ok(key) = EcdhKey::from_private(curve, bytes) {
                return Ok(key);
            }
        }
        Err(Error::ProviderFailed)
    }

    // AWS-LC cannot make an ML-KEM key of a given seed, nor encapsulate with given randomness.
    fn kem_key(&mut self) -> Result<KemKey, Error> {
        let seed = secret::<64>(self)?;
        Ok(KemKey::RustCrypto(Box::new(
            DecapsulationKey768::from_seed((*seed).into()),
        )))
    }

    fn encapsulate(&mut self, public: &[u8]) -> Result<(Vec<u8>, KemSecret), Error> {
        // Checks the modulus, as FIPS 203 section 7.2 demands.
        let public =
            EncapsulationKey768::new(public.try_into().map_err(|_| BAD)?).map_err(|_| BAD)?;
        let (ciphertext, secret) = public.encapsulate_with_rng(&mut self.0);
        Ok((ciphertext.to_vec(), Zeroizing::new(secret.into())))
    }
}
