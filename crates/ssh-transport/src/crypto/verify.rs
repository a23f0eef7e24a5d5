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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    use crate::signing::Ed25519Key;
    use crate::wire::Put as _;
    use zeroize::Zeroizing;

    #[test]
    fn a_signature_verifies_over_its_data_and_every_flipped_bit_fails() {
        let key = Ed25519Key::from_seed(Zeroizing::new([3; 32]));
        let blob = key.public_key_blob();
        let signature = key.sign(b"data");
        let parsed = VerifyingKey::parse(HostKeyAlgorithm::Ed25519, &blob).unwrap();
        assert_eq!(parsed.verify(b"data", &signature), Ok(()));
        assert_eq!(parsed.verify(b"dat", &signature), Err(BadSignature));
        for bit in 0..signature.len() * 8 {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                parsed.verify(b"data", &changed),
                Err(BadSignature),
                "bit {bit}"
            );
        }
        for len in 0..signature.len() {
            assert_eq!(parsed.verify(b"data", &signature[..len]), Err(BadSignature));
        }
    }

    #[test]
    fn a_blob_is_taken_only_by_its_own_algorithm_and_only_whole() {
        let blob = Ed25519Key::from_seed(Zeroizing::new([3; 32])).public_key_blob();
        for algorithm in HostKeyAlgorithm::ALL {
            let is_own = algorithm == HostKeyAlgorithm::Ed25519;
            assert_eq!(
                VerifyingKey::parse(algorithm, &blob).is_ok(),
                is_own,
                "{algorithm:?}"
            );
        }
        for len in 0..blob.len() {
            assert!(VerifyingKey::parse(HostKeyAlgorithm::Ed25519, &blob[..len]).is_err());
        }
        let mut longer = blob;
        longer.push(0);
        assert!(VerifyingKey::parse(HostKeyAlgorithm::Ed25519, &longer).is_err());
    }

    #[test]
    fn a_certificate_is_not_taken_for_a_key_nor_a_key_for_a_certificate() {
        let mut certificate = Vec::new();
        certificate.put_string(b"ssh-ed25519-cert-v01@openssh.com");
        certificate.put_string(&[0; 32]);
        certificate.put_string(&[7; 32]);
        certificate.put_word(0);
        assert!(VerifyingKey::parse(HostKeyAlgorithm::Ed25519Cert, &certificate).is_ok());
        assert!(VerifyingKey::parse(HostKeyAlgorithm::Ed25519, &certificate).is_err());
        let key_only = &certificate[..certificate.len() - 4];
        assert!(VerifyingKey::parse(HostKeyAlgorithm::Ed25519Cert, key_only).is_err());
    }

    #[test]
    fn oversized_numbers_of_rsa_and_ecdsa_are_refused() {
        let rsa = |modulus: &[u8]| {
            let mut blob = Vec::new();
            blob.put_string(b"ssh-rsa");
            blob.put_mpint(&[1, 0, 1]);
            blob.put_mpint(modulus);
            blob
        };
        let largest = rsa(&[0xff; MAX_RSA_MODULUS_BYTES]);
        let key = VerifyingKey::parse(HostKeyAlgorithm::RsaSha512, &largest).unwrap();
        let mut signature = Vec::new();
        signature.put_string(b"rsa-sha2-512");
        signature.put_string(&[1; MAX_RSA_MODULUS_BYTES + 1]);
        assert_eq!(key.verify(b"data", &signature), Err(BadSignature));
        let too_large = rsa(&[0xff; MAX_RSA_MODULUS_BYTES + 1]);
        assert!(VerifyingKey::parse(HostKeyAlgorithm::RsaSha512, &too_large).is_err());

        let mut blob = Vec::new();
        blob.put_string(b"ecdsa-sha2-nistp256");
        blob.put_string(b"nistp256");
        blob.put_string(&[4; 65]);
        let key = VerifyingKey::parse(HostKeyAlgorithm::EcdsaP256, &blob).unwrap();
        let mut numbers = Vec::new();
        numbers.put_mpint(&[1; 33]);
        numbers.put_mpint(&[1; 32]);
        let mut signature = Vec::new();
        signature.put_string(b"ecdsa-sha2-nistp256");
        signature.put_string(&numbers);
        assert_eq!(key.verify(b"data", &signature), Err(BadSignature));
    }
}
