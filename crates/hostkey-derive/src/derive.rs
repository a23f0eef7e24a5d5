use crate::candidate::Candidates;
use crate::{AccountSecret, Algorithm, DeriveError, DerivedHostKey, TargetKey};

/// Order of the group of P-256 (FIPS 186-5, SP 800-186 section 3.2.1.3), big-endian.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// Order of the group of P-384 (SP 800-186 section 3.2.1.4), big-endian.
const P384_ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// Derives the host key that stands for a target, as SPEC.md says.
///
/// `target_public_key` is the SSH public key blob from the target's key exchange, or its host
/// certificate, of which only the certified key counts. Call this after the key exchange has proved
/// that the target holds the private half, and after pins were checked.
///
/// Equal arguments give the same key, now and in every later version of this crate.
///
/// # Errors
/// [`DeriveError`] when the blob is not a host key of a known shape.
pub fn derive(
    secret: &AccountSecret,
    target_public_key: &[u8],
    algorithm: Algorithm,
) -> Result<DerivedHostKey, DeriveError> {
    let target = TargetKey::from_blob(target_public_key)?;
    let candidates = Candidates::new(secret, target.blob(), algorithm.name());
    let no_candidate = DeriveError::NoCandidate { algorithm };
    match algorithm {
        Algorithm::Ed25519 => Ok(DerivedHostKey::ed25519(&candidates.at(0))),
        Algorithm::EcdsaP256 => {
            let (scalar, _) = candidates.first_below(&P256_ORDER).ok_or(no_candidate)?;
            DerivedHostKey::p256(&scalar).ok_or(no_candidate)
        }
        Algorithm::EcdsaP384 => {
            let (scalar, _) = candidates.first_below(&P384_ORDER).ok_or(no_candidate)?;
            DerivedHostKey::p384(&scalar).ok_or(no_candidate)
        }
    }
}
