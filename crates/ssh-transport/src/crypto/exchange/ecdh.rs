//! Elliptic curves (RFC 5656 section 4, RFC 8731).

use alloc::vec::Vec;

use aws_lc_rs::agreement::{
    self, Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey, UnparsedPublicKey, X25519,
};

use super::BAD;
use crate::error::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    X25519,
    P256,
    P384,
    P521,
}

/// First byte of an uncompressed point (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

impl Curve {
    /// Bytes of the longest private key, that of P-521.
    pub(crate) const MAX_PRIVATE_BYTES: usize = 66;

    const fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::X25519 => &X25519,
            Self::P256 => &ECDH_P256,
            Self::P384 => &ECDH_P384,
            Self::P521 => &ECDH_P521,
        }
    }

    /// Bytes of a private key, and of a coordinate.
    pub(crate) const fn private_bytes(self) -> usize {
        match self {
            Self::X25519 | Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    pub(crate) const fn public_bytes(self) -> usize {
        match self {
            Self::X25519 => 32,
            Self::P256 | Self::P384 | Self::P521 => 1 + 2 * self.private_bytes(),
        }
    }

    /// Whether `point` has the only form that is taken. RFC 5656 section 4 allows compressed points when both sides want
    /// them, which nobody does.
    pub(crate) fn check_point(self, point: &[u8]) -> Result<(), Error> {
        let is_formed = match self {
            Self::X25519 => true,
            Self::P256 | Self::P384 | Self::P521 => point.first() == Some(&UNCOMPRESSED),
        };
        if is_formed && point.len() == self.public_bytes() {
            Ok(())
        } else {
            Err(BAD)
        }
    }
}

/// An ephemeral private key. AWS-LC erases it on drop.
pub(crate) struct EcdhKey {
    curve: Curve,
    key: PrivateKey,
}

impl EcdhKey {
    /// The key of this many big-endian bytes (X25519: RFC 7748's), if they are one.
    pub(crate) fn from_private(curve: Curve, bytes: &[u8]) -> Result<Self, Error> {
        let key = PrivateKey::from_private_key(curve.algorithm(), bytes)
            .map_err(|_| Error::ProviderFailed)?;
        Ok(Self { curve, key })
    }

    /// A key of AWS-LC's own randomness.
    pub(crate) fn generate(curve: Curve) -> Result<Self, Error> {
        let key = PrivateKey::generate(curve.algorithm()).map_err(|_| Error::ProviderFailed)?;
        Ok(Self { curve, key })
    }

    pub(crate) fn public(&self) -> Result<Vec<u8>, Error> {
        let public = self
            .key
            .compute_public_key()
            .map_err(|_| Error::ProviderFailed)?;
        Ok(public.as_ref().to_vec())
    }

    /// What `derive` makes of the shared secret: the x coordinate, or X25519's output. A point that is not on the curve, and
    /// one that gives zero (RFC 8731 section 3), is refused.
    pub(crate) fn agree<T>(
        &self,
        point: &[u8],
        derive: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, Error> {
        self.curve.check_point(point)?;
        let point = UnparsedPublicKey::new(self.curve.algorithm(), point);
        agreement::agree(&self.key, point, BAD, |secret| Ok(derive(secret)))
    }
}
