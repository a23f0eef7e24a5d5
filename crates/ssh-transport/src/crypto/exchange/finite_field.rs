//! Diffie-Hellman in finite fields (RFC 4253 section 8, RFC 8268, RFC 4419), for old peers.

use alloc::vec::Vec;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use zeroize::Zeroizing;

use super::groups::{MODP_2048, MODP_3072, MODP_4096};
use super::{BAD, SharedSecret};
use crate::crypto::provider::{Primitives, secret};
use crate::error::{Error, PeerMisbehaved};
use crate::wire::{Malformed, Put as _, Reader, positive_magnitude};

/// Sizes of groups that a client takes from a server, in bits: RFC 8270 section 2, and what an exchange may cost.
const MIN_GROUP_BITS: u32 = 2048;
const MAX_GROUP_BITS: u32 = 8192;
/// What a client asks for: as strong as a 128-bit cipher (NIST SP 800-57 part 1 section 5.6.1).
const PREFERRED_GROUP_BITS: u32 = 3072;
/// Groups that a server has, in bits.
const SERVED_GROUP_BITS: [u32; 3] = [2048, 3072, 4096];

/// The generator of every group of RFC 3526.
const GENERATOR: u8 = 2;

/// Bytes of a private exponent: twice the strength of the largest group, by the higher of RFC 3526's two estimates.
const EXPONENT_BYTES: usize = 80;

/// Sizes of a group, in bits, that a client would take (RFC 4419 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupRequest {
    min: u32,
    preferred: u32,
    max: u32,
}

impl GroupRequest {
    /// What a client here asks for.
    pub(crate) const OURS: Self = Self {
        min: MIN_GROUP_BITS,
        preferred: PREFERRED_GROUP_BITS,
        max: MAX_GROUP_BITS,
    };

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (min, preferred, max) = (reader.u32()?, reader.u32()?, reader.u32()?);
        Ok(Self {
            min,
            preferred,
            max,
        })
    }

    pub(crate) fn write(self, out: &mut Vec<u8>) {
        for bits in [self.min, self.preferred, self.max] {
            out.put_word(bits);
        }
    }

    /// The smallest group that is as large as the client prefers, or the largest there is.
    pub(crate) fn choose(self) -> Result<Option<Group>, Error> {
        let mut fitting = SERVED_GROUP_BITS
            .into_iter()
            .filter(|bits| (self.min..=self.max).contains(bits));
        let largest = fitting.clone().next_back();
        Ok(match fitting.find(|b| *b >= self.preferred).or(largest) {
            Some(2048) => Some(Group::modp_2048()?),
            Some(3072) => Some(Group::rfc_3526(MODP_3072, 3072)?),
            Some(4096) => Some(Group::modp_4096()?),
            _ => None,
        })
    }
}

/// The integers modulo a prime, and a generator.
pub(crate) struct Group {
    params: BoxedMontyParams,
    generator: BoxedUint,
}

impl Group {
    pub(crate) fn modp_2048() -> Result<Self, Error> {
        Self::rfc_3526(MODP_2048, 2048)
    }

    pub(crate) fn modp_4096() -> Result<Self, Error> {
        Self::rfc_3526(MODP_4096, 4096)
    }

    fn rfc_3526(prime: &str, bits: u32) -> Result<Self, Error> {
        let prime = BoxedUint::from_be_hex(prime, bits).into_option();
        let generator = BoxedUint::from_be_slice(&[GENERATOR], bits).ok();
        prime
            .zip(generator)
            .and_then(|(prime, generator)| Self::new(prime, generator))
            .ok_or(Error::ProviderFailed)
    }

    /// `None` if `prime` is even. Both numbers have the same precision.
    fn new(prime: BoxedUint, generator: BoxedUint) -> Option<Self> {
        let prime: Odd<BoxedUint> = prime.into_odd().into_option()?;
        Some(Self {
            params: BoxedMontyParams::new_vartime(prime),
            generator,
        })
    }

    /// The group that a server chose, in the bytes of the `mpint`s p and g. Whether p is a safe prime is not checked: the
    /// host key vouches for the server, which has the secret in any case.
    pub(crate) fn of_server(prime: &[u8], generator: &[u8]) -> Result<Self, Error> {
        let bad = Error::PeerMisbehaved(PeerMisbehaved::BadGroup);
        let prime = positive_magnitude(prime)?;
        let largest = usize::try_from(MAX_GROUP_BITS / 8).unwrap_or_default();
        if prime.len() > largest {
            return Err(bad);
        }
        let prime = BoxedUint::from_be_slice_vartime(prime);
        if prime.bits_vartime() < MIN_GROUP_BITS {
            return Err(bad);
        }
        let precision = prime.bits_precision();
        let generator = BoxedUint::from_be_slice(positive_magnitude(generator)?, precision)
            .map_err(|_| bad.clone())?;
        Self::new(prime, generator)
            .filter(|group| group.has_inside(&group.generator))
            .ok_or(bad)
    }

    fn prime(&self) -> &BoxedUint {
        self.params.modulus().as_ref()
    }

    /// `1 < value < p - 1`, of a public value.
    fn has_inside(&self, value: &BoxedUint) -> bool {
        let one = BoxedUint::one_with_precision(value.bits_precision());
        // p is odd, so that p - 1 is p without its last bit.
        *value > one && *value < self.prime().wrapping_sub(&one)
    }

    /// Appends the `mpint`s p and g.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.put_mpint(&self.prime().to_be_bytes());
        out.put_mpint(&self.generator.to_be_bytes());
    }

    /// The peer's public value, from the bytes of its `mpint`.
    fn read_public(&self, bytes: &[u8]) -> Result<BoxedUint, Error> {
        let magnitude = positive_magnitude(bytes).map_err(|_| BAD)?;
        let precision = self.params.bits_precision();
        let value = BoxedUint::from_be_slice(magnitude, precision).map_err(|_| BAD)?;
        if self.has_inside(&value) {
            Ok(value)
        } else {
            Err(BAD)
        }
    }

    /// Whether the peer's public value, in the bytes of its `mpint`, may be used (RFC 4253 section 8).
    pub(crate) fn check_public(&self, bytes: &[u8]) -> Result<(), Error> {
        self.read_public(bytes).map(drop)
    }

    /// `base ^ exponent mod p`, in constant time.
    fn power(&self, base: BoxedUint, exponent: &BoxedUint) -> Zeroizing<BoxedUint> {
        let power = BoxedMontyForm::new(base, &self.params).pow(exponent);
        Zeroizing::new(Zeroizing::new(power).retrieve())
    }
}

/// An ephemeral private key in a group.
pub(crate) struct DhKey {
    group: Group,
    exponent: Zeroizing<BoxedUint>,
}

impl DhKey {
    pub(super) fn generate(group: Group, primitives: &mut dyn Primitives) -> Result<Self, Error> {
        let exponent = secret::<EXPONENT_BYTES>(primitives)?;
        Ok(Self::new(group, exponent.as_slice()))
    }

    pub(super) fn new(group: Group, exponent: &[u8]) -> Self {
        let exponent = Zeroizing::new(BoxedUint::from_be_slice_vartime(exponent));
        Self { group, exponent }
    }

    /// The bytes of the `mpint` e, or f.
    pub(super) fn public(&self) -> Vec<u8> {
        let public = self
            .group
            .power(self.group.generator.clone(), &self.exponent);
        let mut wire = Vec::new();
        wire.put_mpint(&public.to_be_bytes());
        // Without the length.
        wire.split_off(4)
    }

    /// K, from the bytes of the peer's `mpint`.
    pub(super) fn agree(&self, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = self.group.read_public(peer)?;
        let secret = self.group.power(peer, &self.exponent);
        Ok(SharedSecret::mpint(&Zeroizing::new(secret.to_be_bytes())))
    }
}
