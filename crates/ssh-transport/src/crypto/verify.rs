//! Signatures by public keys and by the keys within certificates.

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512,
    UnparsedPublicKey,
};

use crate::algorithms::{HostKeyAlgorithm, SignatureScheme, Wrapping};
use crate::wire::{Malformed, Reader};

/// Longest RSA modulus taken, in bytes (8192 bits): the cost of a verification grows with its square.
const MAX_RSA_MODULUS_BYTES: usize = 1024;
/// Longest ECDSA coordinate, that of P-521, in bytes.
const MAX_COORDINATE_BYTES: usize = 66;

/// The key within a public key blob or certificate blob, checked to be of its algorithm.
pub(crate) enum VerifyingKey<'a> {
    Ed25519(&'a [u8]),
    Ecdsa {
        curve: Curve,
        point: &'a [u8],
    },
    Rsa {
        scheme: SignatureScheme,
        exponent: &'a [u8],
        modulus: &'a [u8],
    },
}

#[derive(Clone, Copy)]
pub(crate) struct Curve {
    scheme: SignatureScheme,
    name: &'static str,
    coordinate_bytes: usize,
    algorithm: &'static EcdsaVerificationAlgorithm,
}

const P256: Curve = Curve {
    scheme: SignatureScheme::EcdsaP256,
    name: "nistp256",
    coordinate_bytes: 32,
    algorithm: &ECDSA_P256_SHA256_FIXED,
};
const P384: Curve = Curve {
    scheme: SignatureScheme::EcdsaP384,
    name: "nistp384",
    coordinate_bytes: 48,
    algorithm: &ECDSA_P384_SHA384_FIXED,
};
const P521: Curve = Curve {
    scheme: SignatureScheme::EcdsaP521,
    name: "nistp521",
    coordinate_bytes: 66,
    algorithm: &ECDSA_P521_SHA512_FIXED,
};

/// The signature is not of this key over this data.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadSignature;

impl<'a> VerifyingKey<'a> {
    /// Reads a blob of `algorithm`. Of a certificate only the key is read: whether it is valid is the caller's question.
    pub(crate) fn parse(algorithm: HostKeyAlgorithm, blob: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(blob);
        if reader.string()? != algorithm.blob_type().as_bytes() {
            return Err(Malformed);
        }
        if algorithm.wrapping() == Wrapping::Certificate {
            let _nonce = reader.string()?;
        }
        let key = match algorithm.scheme() {
            SignatureScheme::Ed25519 => Self::ed25519(&mut reader)?,
            SignatureScheme::EcdsaP256 => Self::ecdsa(&mut reader, P256)?,
            SignatureScheme::EcdsaP384 => Self::ecdsa(&mut reader, P384)?,
            SignatureScheme::EcdsaP521 => Self::ecdsa(&mut reader, P521)?,
            scheme @ (SignatureScheme::RsaSha256 | SignatureScheme::RsaSha512) => {
                Self::rsa(&mut reader, scheme)?
            }
        };
        match algorithm.wrapping() {
            Wrapping::Key => reader.finish()?,
            // Serial and the rest follow.
            Wrapping::Certificate if reader.is_empty() => return Err(Malformed),
            Wrapping::Certificate => {}
        }
        Ok(key)
    }

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

    fn rsa(reader: &mut Reader<'a>, scheme: SignatureScheme) -> Result<Self, Malformed> {
        let exponent = reader.positive_mpint()?;
        let modulus = reader.positive_mpint()?;
        if modulus.len() > MAX_RSA_MODULUS_BYTES || exponent.len() > 8 {
            return Err(Malformed);
        }
        Ok(Self::Rsa {
            scheme,
            exponent,
            modulus,
        })
    }

    fn scheme(&self) -> SignatureScheme {
        match self {
            Self::Ed25519(_) => SignatureScheme::Ed25519,
            Self::Ecdsa { curve, .. } => curve.scheme,
            Self::Rsa { scheme, .. } => *scheme,
        }
    }

    /// Checks a signature blob (`string algorithm, string signature`) over `data`.
    pub(crate) fn verify(&self, data: &[u8], signature_blob: &[u8]) -> Result<(), BadSignature> {
        let signature =
            signature_bytes(signature_blob, self.scheme().name()).map_err(|_| BadSignature)?;
        match self {
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key)
                .verify(data, signature)
                .map_err(|_| BadSignature),
            Self::Ecdsa { curve, point } => verify_ecdsa(*curve, point, data, signature),
            Self::Rsa {
                scheme,
                exponent,
                modulus,
            } => {
                let parameters = match scheme {
                    SignatureScheme::RsaSha512 => &RSA_PKCS1_2048_8192_SHA512,
                    _ => &RSA_PKCS1_2048_8192_SHA256,
                };
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

/// The signature within a blob, when the blob is of this algorithm.
pub(crate) fn signature_bytes<'a>(blob: &'a [u8], algorithm: &str) -> Result<&'a [u8], Malformed> {
    let mut reader = Reader::new(blob);
    if reader.string()? != algorithm.as_bytes() {
        return Err(Malformed);
    }
    let signature = reader.string()?;
    reader.finish()?;
    Ok(signature)
}

fn verify_ecdsa(
    curve: Curve,
    point: &[u8],
    data: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    // RFC 5656 section 3.1.2: mpint r, mpint s.
    let mut reader = Reader::new(signature);
    let mut read = || reader.positive_mpint().map_err(|_| BadSignature);
    let (r, s) = (read()?, read()?);
    reader.finish().map_err(|_| BadSignature)?;
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
