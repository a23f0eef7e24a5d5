//! Ephemeral keys and the secret that two sides agree on.

mod ecdh;
mod finite_field;
mod groups;
mod hybrid;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::provider::Primitives;
use crate::algorithms::KexAlgorithm;
use crate::error::{Error, PeerMisbehaved};
use crate::wire::Put as _;

pub(crate) use ecdh::{Curve, EcdhKey};
pub(crate) use finite_field::{DhKey, Group, GroupRequest};
pub(crate) use hybrid::KemKey;

/// What a public key that is none comes to.
pub(crate) const BAD: Error = Error::PeerMisbehaved(PeerMisbehaved::BadEphemeralKey);

/// The shared secret K in the form in which it is hashed: an `mpint`, or for hybrids a `string`.
pub(crate) struct SharedSecret(Zeroizing<Vec<u8>>);

impl SharedSecret {
    pub(super) fn mpint(magnitude: &[u8]) -> Self {
        let mut wire = Zeroizing::new(Vec::with_capacity(magnitude.len() + 5));
        wire.put_mpint(magnitude);
        Self(wire)
    }

    fn string(bytes: &[u8]) -> Self {
        let mut wire = Zeroizing::new(Vec::with_capacity(bytes.len() + 4));
        wire.put_string(bytes);
        Self(wire)
    }

    pub(crate) fn wire_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a method exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Ecdh(Curve),
    /// ML-KEM-768 with X25519.
    Hybrid,
    Group14,
    Group16,
    /// The server chooses a group when it is asked for one (RFC 4419).
    GroupExchange,
}

impl Method {
    pub(crate) const fn of(algorithm: KexAlgorithm) -> Self {
        match algorithm {
            KexAlgorithm::MlKem768X25519Sha256 => Self::Hybrid,
            KexAlgorithm::Curve25519Sha256 | KexAlgorithm::Curve25519Sha256Libssh => {
                Self::Ecdh(Curve::X25519)
            }
            KexAlgorithm::EcdhNistP256 => Self::Ecdh(Curve::P256),
            KexAlgorithm::EcdhNistP384 => Self::Ecdh(Curve::P384),
            KexAlgorithm::EcdhNistP521 => Self::Ecdh(Curve::P521),
            KexAlgorithm::DhGroup14Sha256 => Self::Group14,
            KexAlgorithm::DhGroup16Sha512 => Self::Group16,
            KexAlgorithm::DhGroupExchangeSha256 => Self::GroupExchange,
        }
    }
}

/// The secret half of a client's ephemeral key.
pub(crate) enum Ephemeral {
    Ecdh(EcdhKey),
    Hybrid(KemKey, EcdhKey),
    FiniteField(DhKey),
}

impl Ephemeral {
    /// `None` for a method that needs a [`Group`] first.
    pub(crate) fn generate(
        method: Method,
        primitives: &mut dyn Primitives,
    ) -> Result<Option<Self>, Error> {
        Ok(Some(match method {
            Method::Ecdh(curve) => Self::Ecdh(primitives.ecdh_key(curve)?),
            Method::Hybrid => {
                Self::Hybrid(primitives.kem_key()?, primitives.ecdh_key(Curve::X25519)?)
            }
            Method::Group14 => Self::in_group(Group::modp_2048()?, primitives)?,
            Method::Group16 => Self::in_group(Group::modp_4096()?, primitives)?,
            Method::GroupExchange => return Ok(None),
        }))
    }

    pub(crate) fn in_group(group: Group, primitives: &mut dyn Primitives) -> Result<Self, Error> {
        Ok(Self::FiniteField(DhKey::generate(group, primitives)?))
    }

    /// What the client sends as a `string`: Q_C, C_INIT of a hybrid, or the bytes of the `mpint` e.
    pub(crate) fn public(&self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Ecdh(key) => key.public(),
            Self::Hybrid(kem, key) => {
                let mut public = kem.public()?;
                public.extend_from_slice(&key.public()?);
                Ok(public)
            }
            Self::FiniteField(key) => Ok(key.public()),
        }
    }

    /// The client's side: the server's reply gives the secret.
    pub(crate) fn agree(&self, reply: &[u8]) -> Result<SharedSecret, Error> {
        match self {
            Self::Ecdh(key) => key.agree(reply, SharedSecret::mpint),
            Self::Hybrid(kem, key) => hybrid::agree(kem, key, reply),
            Self::FiniteField(key) => key.agree(reply),
        }
    }
}

/// The server's side: the client's first message gives the reply and the secret. A method that needs a [`Group`] goes
/// through [`respond_in_group`].
pub(crate) fn respond(
    method: Method,
    init: &[u8],
    primitives: &mut dyn Primitives,
) -> Result<(Vec<u8>, SharedSecret), Error> {
    match method {
        Method::Ecdh(curve) => {
            curve.check_point(init)?;
            let key = primitives.ecdh_key(curve)?;
            Ok((key.public()?, key.agree(init, SharedSecret::mpint)?))
        }
        Method::Hybrid => hybrid::respond(init, primitives),
        Method::Group14 => respond_in_group(Group::modp_2048()?, init, primitives),
        Method::Group16 => respond_in_group(Group::modp_4096()?, init, primitives),
        Method::GroupExchange => Err(BAD),
    }
}

pub(crate) fn respond_in_group(
    group: Group,
    init: &[u8],
    primitives: &mut dyn Primitives,
) -> Result<(Vec<u8>, SharedSecret), Error> {
    group.check_public(init)?;
    let key = DhKey::generate(group, primitives)?;
    Ok((key.public(), key.agree(init)?))
}
