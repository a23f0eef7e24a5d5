//! Ephemeral keys and the secret that two sides agree on.

use alloc::boxed::Box;
use alloc::vec::Vec;

use ml_kem::kem::{Decapsulate as _, Encapsulate as _, KeyExport as _};
use ml_kem::{DecapsulationKey768, EncapsulationKey768};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use sha2::{Digest as _, Sha256};
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use super::Random;
use crate::algorithms::KexAlgorithm;
use crate::error::{Error, PeerMisbehaved};
use crate::wire::Put as _;

const X25519_BYTES: usize = 32;
const P256_POINT_BYTES: usize = 65;
const MLKEM768_PUBLIC_BYTES: usize = 1184;
const MLKEM768_CIPHERTEXT_BYTES: usize = 1088;

/// The shared secret K in the form in which it is hashed: an `mpint`, or for hybrids a `string`.
pub(crate) struct SharedSecret(Zeroizing<Vec<u8>>);

impl SharedSecret {
    fn mpint(magnitude: &[u8]) -> Self {
        let mut wire = Zeroizing::new(Vec::with_capacity(magnitude.len() + 5));
        wire.put_mpint(magnitude);
        Self(wire)
    }

    /// `K = SHA256(K_PQ || K_CL)` as a `string` (draft-ietf-sshm-mlkem-hybrid-kex section 2.4).
    fn hybrid(post_quantum: &[u8], classical: &[u8]) -> Self {
        let digest: Zeroizing<[u8; 32]> = Zeroizing::new(
            Sha256::new()
                .chain_update(post_quantum)
                .chain_update(classical)
                .finalize()
                .into(),
        );
        let mut wire = Zeroizing::new(Vec::with_capacity(36));
        wire.put_string(digest.as_slice());
        Self(wire)
    }

    pub(crate) fn wire_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The secret half of a client's ephemeral key.
pub(crate) enum Ephemeral {
    X25519(StaticSecret),
    P256(p256::SecretKey),
    MlKem768X25519(Box<DecapsulationKey768>, StaticSecret),
}

impl Ephemeral {
    pub(crate) fn generate(algorithm: KexAlgorithm, random: &mut Random) -> Result<Self, Error> {
        Ok(match algorithm {
            KexAlgorithm::Curve25519Sha256 | KexAlgorithm::Curve25519Sha256Libssh => {
                Self::X25519(x25519(random))
            }
            KexAlgorithm::EcdhNistP256 => Self::P256(p256_secret(random)?),
            KexAlgorithm::MlKem768X25519Sha256 => {
                let seed = Zeroizing::new(random.array::<64>());
                Self::MlKem768X25519(
                    Box::new(DecapsulationKey768::from_seed((*seed).into())),
                    x25519(random),
                )
            }
        })
    }

    /// What the client sends: Q_C, or C_INIT of a hybrid.
    pub(crate) fn public(&self) -> Vec<u8> {
        match self {
            Self::X25519(secret) => x25519_public(secret).to_vec(),
            Self::P256(secret) => secret.public_key().to_sec1_point(false).as_bytes().to_vec(),
            Self::MlKem768X25519(secret, x) => {
                let mut public = secret.encapsulation_key().to_bytes().to_vec();
                public.extend_from_slice(&x25519_public(x));
                public
            }
        }
    }

    /// The client's side: the server's reply gives the secret.
    pub(crate) fn agree(self, reply: &[u8]) -> Result<SharedSecret, Error> {
        match self {
            Self::X25519(secret) => Ok(SharedSecret::mpint(
                x25519_agree(&secret, reply)?.as_bytes(),
            )),
            Self::P256(secret) => p256_agree(&secret, reply),
            Self::MlKem768X25519(secret, x) => {
                let (ciphertext, point) = reply
                    .split_at_checked(MLKEM768_CIPHERTEXT_BYTES)
                    .ok_or(BAD)?;
                let post_quantum = secret.decapsulate_slice(ciphertext).map_err(|_| BAD)?;
                let post_quantum = Zeroizing::new(<[u8; 32]>::from(post_quantum));
                Ok(SharedSecret::hybrid(
                    post_quantum.as_slice(),
                    x25519_agree(&x, point)?.as_bytes(),
                ))
            }
        }
    }
}

/// The server's side: the client's first message gives the reply and the secret.
pub(crate) fn respond(
    algorithm: KexAlgorithm,
    init: &[u8],
    random: &mut Random,
) -> Result<(Vec<u8>, SharedSecret), Error> {
    match algorithm {
        KexAlgorithm::Curve25519Sha256 | KexAlgorithm::Curve25519Sha256Libssh => {
            let secret = x25519(random);
            let shared = x25519_agree(&secret, init)?;
            Ok((
                x25519_public(&secret).to_vec(),
                SharedSecret::mpint(shared.as_bytes()),
            ))
        }
        KexAlgorithm::EcdhNistP256 => {
            let secret = p256_secret(random)?;
            let shared = p256_agree(&secret, init)?;
            Ok((
                secret.public_key().to_sec1_point(false).as_bytes().to_vec(),
                shared,
            ))
        }
        KexAlgorithm::MlKem768X25519Sha256 => {
            let (key, point) = init.split_at_checked(MLKEM768_PUBLIC_BYTES).ok_or(BAD)?;
            // Checks the modulus, as FIPS 203 section 7.2 demands.
            let key =
                EncapsulationKey768::new(key.try_into().map_err(|_| BAD)?).map_err(|_| BAD)?;
            let secret = x25519(random);
            let classical = x25519_agree(&secret, point)?;
            let (ciphertext, post_quantum) = key.encapsulate_with_rng(random);
            let post_quantum = Zeroizing::new(<[u8; 32]>::from(post_quantum));
            let mut reply = ciphertext.to_vec();
            reply.extend_from_slice(&x25519_public(&secret));
            Ok((
                reply,
                SharedSecret::hybrid(post_quantum.as_slice(), classical.as_bytes()),
            ))
        }
    }
}

const BAD: Error = Error::PeerMisbehaved(PeerMisbehaved::BadEphemeralKey);

fn x25519(random: &mut Random) -> StaticSecret {
    StaticSecret::from(*Zeroizing::new(random.array::<X25519_BYTES>()))
}

fn x25519_public(secret: &StaticSecret) -> [u8; X25519_BYTES] {
    x25519_dalek::PublicKey::from(secret).to_bytes()
}

fn x25519_agree(secret: &StaticSecret, point: &[u8]) -> Result<x25519_dalek::SharedSecret, Error> {
    let point: [u8; X25519_BYTES] = point.try_into().map_err(|_| BAD)?;
    let shared = secret.diffie_hellman(&point.into());
    // RFC 8731 section 3: abort when the result is all zeros.
    if shared.was_contributory() {
        Ok(shared)
    } else {
        Err(BAD)
    }
}

fn p256_secret(random: &mut Random) -> Result<p256::SecretKey, Error> {
    // A random value is out of range once in 2^32 times.
    for _ in 0..16 {
        if let Ok(secret) =
            p256::SecretKey::from_slice(Zeroizing::new(random.array::<32>()).as_slice())
        {
            return Ok(secret);
        }
    }
    Err(Error::ProviderFailed)
}

fn p256_agree(secret: &p256::SecretKey, point: &[u8]) -> Result<SharedSecret, Error> {
    // RFC 5656 section 4 allows compressed points only when agreed on; nobody sends them.
    if point.len() != P256_POINT_BYTES {
        return Err(BAD);
    }
    let public = p256::PublicKey::from_sec1_bytes(point).map_err(|_| BAD)?;
    let shared = p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), public.as_affine());
    Ok(SharedSecret::mpint(shared.raw_secret_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::kem;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }

    #[test]
    fn x25519_gives_the_secret_of_rfc_7748() {
        // RFC 7748 section 6.1.
        let alice = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let alice_public =
            hex::<32>("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        let bob_public =
            hex::<32>("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let shared = hex::<32>("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        let ephemeral = Ephemeral::X25519(StaticSecret::from(alice));
        assert_eq!(ephemeral.public(), alice_public);
        let secret = ephemeral.agree(&bob_public).unwrap();
        assert_eq!(
            secret.wire_bytes(),
            SharedSecret::mpint(&shared).wire_bytes()
        );
    }

    #[test]
    fn p256_gives_the_secret_of_rfc_5903() {
        // RFC 5903 section 8.1.
        let secret = hex::<32>("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433");
        let peer = hex::<65>(concat!(
            "04",
            "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63",
            "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
        ));
        let own_public = hex::<65>(concat!(
            "04",
            "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180",
            "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
        ));
        let shared = hex::<32>("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de");
        let ephemeral = Ephemeral::P256(p256::SecretKey::from_slice(&secret).unwrap());
        assert_eq!(ephemeral.public(), own_public);
        assert_eq!(
            ephemeral.agree(&peer).unwrap().wire_bytes(),
            SharedSecret::mpint(&shared).wire_bytes()
        );
    }

    #[test]
    fn mlkem_agrees_with_another_implementation_in_both_roles() {
        // AWS-LC's ML-KEM on the other side, X25519 by hand.
        let mut random = Random::new([5; 32]);
        let x = StaticSecret::from([8; 32]);
        let x_public = x25519_public(&x);

        let ours = Ephemeral::generate(KexAlgorithm::MlKem768X25519Sha256, &mut random).unwrap();
        let public = ours.public();
        let (mlkem, point) = public.split_at(MLKEM768_PUBLIC_BYTES);
        let theirs = kem::EncapsulationKey::new(&kem::ML_KEM_768, mlkem).unwrap();
        let (ciphertext, post_quantum) = theirs.encapsulate().unwrap();
        let reply = [ciphertext.as_ref(), &x_public].concat();
        let classical = x25519_agree(&x, point).unwrap();
        let expected = SharedSecret::hybrid(post_quantum.as_ref(), classical.as_bytes());
        assert_eq!(
            ours.agree(&reply).unwrap().wire_bytes(),
            expected.wire_bytes()
        );

        let theirs = kem::DecapsulationKey::generate(&kem::ML_KEM_768).unwrap();
        let key = theirs.encapsulation_key().unwrap();
        let init = [key.key_bytes().unwrap().as_ref(), &x_public].concat();
        let (reply, secret) =
            respond(KexAlgorithm::MlKem768X25519Sha256, &init, &mut random).unwrap();
        let (ciphertext, point) = reply.split_at(MLKEM768_CIPHERTEXT_BYTES);
        let post_quantum = theirs.decapsulate(ciphertext.into()).unwrap();
        let classical = x25519_agree(&x, point).unwrap();
        let expected = SharedSecret::hybrid(post_quantum.as_ref(), classical.as_bytes());
        assert_eq!(secret.wire_bytes(), expected.wire_bytes());
    }
}
