//! Signatures by public keys and by the keys within certificates.

mod security_key;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RsaParameters, UnparsedPublicKey,
};

use crate::algorithms::{HostKeyAlgorithm, SignatureScheme, Wrapping};
use crate::limits::MAX_PUBLIC_KEY_BYTES;
use crate::wire::{Malformed, Reader};

pub(crate) use security_key::SecurityKeySignature;

/// Longest RSA modulus taken, in bytes (8192 bits): the cost of a verification grows with its square.
const MAX_RSA_MODULUS_BYTES: usize = 1024;
/// Longest ECDSA coordinate, that of P-521, in bytes.
const MAX_COORDINATE_BYTES: usize = 66;

/// The key within a public key blob or certificate blob, checked to be of its algorithm.
pub(crate) struct VerifyingKey<'a> {
    scheme: SignatureScheme,
    key: Key<'a>,
    /// What a security key was made for. Others have none.
    application: Option<&'a str>,
}

enum Key<'a> {
    Ed25519(&'a [u8]),
    Ecdsa {
        curve: Curve,
        point: &'a [u8],
    },
    Rsa {
        parameters: &'static RsaParameters,
        exponent: &'a [u8],
        modulus: &'a [u8],
    },
}

#[derive(Clone, Copy)]
struct Curve {
    name: &'static str,
    coordinate_bytes: usize,
    algorithm: &'static EcdsaVerificationAlgorithm,
}

const P256: Curve = Curve {
    name: "nistp256",
    coordinate_bytes: 32,
    algorithm: &ECDSA_P256_SHA256_FIXED,
};
const P384: Curve = Curve {
    name: "nistp384",
    coordinate_bytes: 48,
    algorithm: &ECDSA_P384_SHA384_FIXED,
};
const P521: Curve = Curve {
    name: "nistp521",
    coordinate_bytes: 66,
    algorithm: &ECDSA_P521_SHA512_FIXED,
};

/// The signature is not of this key over this data.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadSignature;

impl From<Malformed> for BadSignature {
    fn from(_: Malformed) -> Self {
        Self
    }
}

/// The signature is of this key over this data.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Verified<'a> {
    /// What a security key said along with it, and whether that suffices is still to be asked. Others say nothing.
    pub(crate) security_key: Option<SecurityKeySignature<'a>>,
}

impl<'a> VerifyingKey<'a> {
    /// Reads a blob of `algorithm`. Of a certificate only the key is read: whether it is valid is the caller's question.
    pub(crate) fn parse(algorithm: HostKeyAlgorithm, blob: &'a [u8]) -> Result<Self, Malformed> {
        if blob.len() > MAX_PUBLIC_KEY_BYTES {
            return Err(Malformed);
        }
        use SignatureScheme as S;
        let mut reader = Reader::new(blob);
        if reader.string()? != algorithm.blob_type().as_bytes() {
            return Err(Malformed);
        }
        if algorithm.wrapping() == Wrapping::Certificate {
            let _nonce = reader.string()?;
        }
        let scheme = algorithm.scheme();
        let key = match scheme {
            S::Ed25519 | S::SkEd25519 => Key::ed25519(&mut reader)?,
            S::EcdsaP256 | S::SkEcdsaP256 => Key::ecdsa(&mut reader, P256)?,
            S::EcdsaP384 => Key::ecdsa(&mut reader, P384)?,
            S::EcdsaP521 => Key::ecdsa(&mut reader, P521)?,
            S::RsaSha256 => Key::rsa(&mut reader, &RSA_PKCS1_2048_8192_SHA256)?,
            S::RsaSha512 => Key::rsa(&mut reader, &RSA_PKCS1_2048_8192_SHA512)?,
            S::RsaSha1 => Key::rsa(&mut reader, &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY)?,
        };
        let application = if scheme.is_security_key() {
            Some(core::str::from_utf8(reader.string()?).map_err(|_| Malformed)?)
        } else {
            None
        };
        match algorithm.wrapping() {
            Wrapping::Key => reader.finish()?,
            // Serial and the rest follow.
            Wrapping::Certificate if reader.is_empty() => return Err(Malformed),
            Wrapping::Certificate => {}
        }
        Ok(Self {
            scheme,
            key,
            application,
        })
    }

    /// What a key in a security key was made for.
    pub(crate) fn application(&self) -> Option<&'a str> {
        self.application
    }

    /// Whether both are the same key, however it signs and whatever is around it.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.application == other.application && self.key.public_bytes() == other.key.public_bytes()
    }

    /// Checks a signature blob over `data`.
    pub(crate) fn verify(
        &self,
        data: &[u8],
        signature_blob: &[u8],
    ) -> Result<Verified<'a>, BadSignature> {
        let blob = SignatureBlob::parse(signature_blob, self.scheme.name())?;
        let (Some(application), Some((flags, counter))) = (self.application, blob.security_key)
        else {
            self.key.verify(data, blob.signature)?;
            return Ok(Verified { security_key: None });
        };
        let said = SecurityKeySignature::new(application, flags, counter);
        self.key.verify(&said.signed_data(data), blob.signature)?;
        Ok(Verified {
            security_key: Some(said),
        })
    }
}

impl<'a> Key<'a> {
    fn ed25519(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let key = reader.string()?;
        if key.len() == 32 {
            Ok(Self::Ed25519(key))
        } else {
            Err(Malformed)
        }
    }

    fn ecdsa(reader: &mut Reader<'a>, curve: Curve) -> Result<Self, Malformed> {
        if reader.string()? != curve.name.as_bytes() {
            return Err(Malformed);
        }
        let point = reader.string()?;
        if point.len() != 1 + 2 * curve.coordinate_bytes || point.first() != Some(&4) {
            return Err(Malformed);
        }
        Ok(Self::Ecdsa { curve, point })
    }

    fn rsa(reader: &mut Reader<'a>, parameters: &'static RsaParameters) -> Result<Self, Malformed> {
        let exponent = reader.positive_mpint()?;
        let modulus = reader.positive_mpint()?;
        if modulus.len() > MAX_RSA_MODULUS_BYTES || exponent.len() > 8 {
            return Err(Malformed);
        }
        Ok(Self::Rsa {
            parameters,
            exponent,
            modulus,
        })
    }

    /// What tells it from any other key.
    fn public_bytes(&self) -> (&'a [u8], &'a [u8]) {
        match self {
            Self::Ed25519(key) => (key, &[]),
            Self::Ecdsa { point, .. } => (point, &[]),
            Self::Rsa {
                exponent, modulus, ..
            } => (modulus, exponent),
        }
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        match self {
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key)
                .verify(data, signature)
                .map_err(|_| BadSignature),
            Self::Ecdsa { curve, point } => verify_ecdsa(*curve, point, data, signature),
            Self::Rsa {
                parameters,
                exponent,
                modulus,
            } => {
                // RFC 8332 section 3: some signers drop leading zeros.
                let mut padded = [0; MAX_RSA_MODULUS_BYTES];
                let padded = left_pad(&mut padded, modulus.len(), signature).ok_or(BadSignature)?;
                PublicKeyComponents {
                    n: *modulus,
                    e: *exponent,
                }
                .verify(parameters, data, padded)
                .map_err(|_| BadSignature)
            }
        }
    }
}

/// A signature as it is sent: `string algorithm, string signature`, and of a security key `byte flags, uint32 counter`
/// (OpenSSH `PROTOCOL.u2f`).
pub(crate) struct SignatureBlob<'a> {
    signature: &'a [u8],
    security_key: Option<(u8, u32)>,
}

impl<'a> SignatureBlob<'a> {
    /// Reads `blob` if its algorithm is the one called `name` ([`HostKeyAlgorithm::signature_name`]).
    pub(crate) fn parse(blob: &'a [u8], name: &str) -> Result<Self, Malformed> {
        let mut reader = Reader::new(blob);
        if reader.string()? != name.as_bytes() {
            return Err(Malformed);
        }
        let signature = reader.string()?;
        let is_security_key =
            HostKeyAlgorithm::from_name(name).is_some_and(HostKeyAlgorithm::is_security_key);
        let security_key = if is_security_key {
            Some((reader.u8()?, reader.u32()?))
        } else {
            None
        };
        reader.finish()?;
        Ok(Self {
            signature,
            security_key,
        })
    }
}

fn verify_ecdsa(
    curve: Curve,
    point: &[u8],
    data: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    // RFC 5656 section 3.1.2: mpint r, mpint s.
    let mut reader = Reader::new(signature);
    let (r, s) = (reader.positive_mpint()?, reader.positive_mpint()?);
    reader.finish()?;
    let mut fixed = [0; 2 * MAX_COORDINATE_BYTES];
    let size = curve.coordinate_bytes;
    let (low, high) = fixed.split_at_mut_checked(size).ok_or(BadSignature)?;
    left_pad(low, size, r).ok_or(BadSignature)?;
    left_pad(high, size, s).ok_or(BadSignature)?;
    let fixed = fixed.get(..2 * size).ok_or(BadSignature)?;
    UnparsedPublicKey::new(curve.algorithm, point)
        .verify(data, fixed)
        .map_err(|_| BadSignature)
}

/// Puts `value` at the end of the first `len` bytes of `buffer`, which are zero.
fn left_pad<'b>(buffer: &'b mut [u8], len: usize, value: &[u8]) -> Option<&'b [u8]> {
    let start = len.checked_sub(value.len())?;
    buffer.get_mut(start..len)?.copy_from_slice(value);
    buffer.get(..len)
}

#[cfg(test)]
mod tests;
