//! ML-KEM-768 with X25519 (draft-ietf-sshm-mlkem-hybrid-kex): the secret holds if either does.

use alloc::boxed::Box;
use alloc::vec::Vec;

use aws_lc_rs::{digest, kem};
use ml_kem::DecapsulationKey768;
use ml_kem::kem::{Decapsulate as _, KeyExport as _};
use zeroize::Zeroizing;

use super::{BAD, Curve, EcdhKey, SharedSecret};
use crate::crypto::provider::{KemSecret, Primitives};
use crate::error::Error;

pub(super) const MLKEM768_PUBLIC_BYTES: usize = 1184;
pub(super) const MLKEM768_CIPHERTEXT_BYTES: usize = 1088;

/// A private key of ML-KEM-768, made of a seed or by AWS-LC. Both erase it on drop.
pub(crate) enum KemKey {
    RustCrypto(Box<DecapsulationKey768>),
    AwsLc(kem::DecapsulationKey),
}

impl KemKey {
    pub(super) fn public(&self) -> Result<Vec<u8>, Error> {
        match self {
            Self::RustCrypto(key) => Ok(key.encapsulation_key().to_bytes().to_vec()),
            Self::AwsLc(key) => {
                let public = key.encapsulation_key().and_then(|public| {
                    let bytes = public.key_bytes()?;
                    Ok(bytes.as_ref().to_vec())
                });
                public.map_err(|_| Error::ProviderFailed)
            }
        }
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<KemSecret, Error> {
        match self {
            Self::RustCrypto(key) => {
                let secret = key.decapsulate_slice(ciphertext).map_err(|_| BAD)?;
                Ok(Zeroizing::new(secret.into()))
            }
            Self::AwsLc(key) => {
                let secret = key.decapsulate(ciphertext.into()).map_err(|_| BAD)?;
                let secret = secret.as_ref().try_into().map_err(|_| BAD)?;
                Ok(Zeroizing::new(secret))
            }
        }
    }
}

/// `K = SHA256(K_PQ || K_CL)` as a `string` (section 2.4).
pub(super) fn combine(post_quantum: &[u8], classical: &[u8]) -> SharedSecret {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(post_quantum);
    hash.update(classical);
    SharedSecret::string(hash.finish().as_ref())
}

/// The client's side: `S_REPLY` is the ciphertext and the server's point.
pub(super) fn agree(kem: &KemKey, key: &EcdhKey, reply: &[u8]) -> Result<SharedSecret, Error> {
    let (ciphertext, point) = reply
        .split_at_checked(MLKEM768_CIPHERTEXT_BYTES)
        .ok_or(BAD)?;
    Curve::X25519.check_point(point)?;
    let post_quantum = kem.decapsulate(ciphertext)?;
    key.agree(point, |classical| {
        combine(post_quantum.as_slice(), classical)
    })
}

/// The server's side: `C_INIT` is the client's encapsulation key and its point.
pub(super) fn respond(
    init: &[u8],
    primitives: &mut dyn Primitives,
) -> Result<(Vec<u8>, SharedSecret), Error> {
    let (public, point) = init.split_at_checked(MLKEM768_PUBLIC_BYTES).ok_or(BAD)?;
    Curve::X25519.check_point(point)?;
    let (mut reply, post_quantum) = primitives.encapsulate(public)?;
    let key = primitives.ecdh_key(Curve::X25519)?;
    let secret = key.agree(point, |classical| {
        combine(post_quantum.as_slice(), classical)
    })?;
    reply.extend_from_slice(&key.public()?);
    Ok((reply, secret))
}
