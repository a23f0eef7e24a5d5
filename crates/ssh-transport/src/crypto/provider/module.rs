//! Everything random is drawn within AWS-LC.

use alloc::vec::Vec;

use aws_lc_rs::{kem, rand};
use zeroize::Zeroizing;

use super::{KemSecret, Primitives};
use crate::crypto::exchange::{BAD, Curve, EcdhKey, KemKey};
use crate::error::Error;

pub(super) struct AwsLc;

/// What is built to be the FIPS module must be it.
fn check_mode() -> Result<(), Error> {
    if cfg!(feature = "fips") && aws_lc_rs::try_fips_mode().is_err() {
        return Err(Error::ProviderFailed);
    }
    Ok(())
}

impl Primitives for AwsLc {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), Error> {
        check_mode()?;
        rand::fill(out).map_err(|_| Error::ProviderFailed)
    }

    fn ecdh_key(&mut self, curve: Curve) -> Result<EcdhKey, Error> {
        check_mode()?;
        EcdhKey::generate(curve)
    }

    fn kem_key(&mut self) -> Result<KemKey, Error> {
        check_mode()?;
        let key = kem::DecapsulationKey::generate(&kem::ML_KEM_768);
        Ok(KemKey::AwsLc(key.map_err(|_| Error::ProviderFailed)?))
    }

    fn encapsulate(&mut self, public: &[u8]) -> Result<(Vec<u8>, KemSecret), Error> {
        check_mode()?;
        let public = kem::EncapsulationKey::new(&kem::ML_KEM_768, public).map_err(|_| BAD)?;
        // AWS-LC checks the modulus here (FIPS 203 section 7.2).
        let (ciphertext, secret) = public.encapsulate().map_err(|_| BAD)?;
        let secret = secret.as_ref().try_into().map_err(|_| BAD)?;
        Ok((ciphertext.as_ref().to_vec(), Zeroizing::new(secret)))
    }
}
