//! Keys that sign, of every kind that can be verified.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair,
};
use ssh_transport::{Ed25519Key, HostKey, HostKeyAlgorithm};
use zeroize::Zeroizing;

use super::wire::Message;

/// Makes a signature blob.
pub type Sign = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;

pub struct TestKey {
    pub algorithm: HostKeyAlgorithm,
    pub blob: Vec<u8>,
    pub sign: Sign,
}

impl TestKey {
    pub fn host_key(&self) -> HostKey {
        HostKey {
            algorithm: self.algorithm,
            public_key: self.blob.clone(),
        }
    }

    pub fn ed25519(seed: u8) -> Self {
        let key = Ed25519Key::from_seed(Zeroizing::new([seed; 32]));
        Self {
            algorithm: HostKeyAlgorithm::Ed25519,
            blob: key.public_key_blob(),
            sign: Box::new(move |data| key.sign(data)),
        }
    }

    pub fn ecdsa(algorithm: HostKeyAlgorithm) -> Self {
        let (signing, curve): (&'static EcdsaSigningAlgorithm, _) = match algorithm {
            HostKeyAlgorithm::EcdsaP256 => (&ECDSA_P256_SHA256_FIXED_SIGNING, "nistp256"),
            HostKeyAlgorithm::EcdsaP384 => (&ECDSA_P384_SHA384_FIXED_SIGNING, "nistp384"),
            HostKeyAlgorithm::EcdsaP521 => (&ECDSA_P521_SHA512_FIXED_SIGNING, "nistp521"),
            other => panic!("{other:?} is not ECDSA"),
        };
        let key = EcdsaKeyPair::generate(signing).unwrap();
        let blob = Message::bare()
            .string(algorithm.name())
            .string(curve)
            .string(key.public_key().as_ref())
            .done();
        let sign = move |data: &[u8]| {
            let signature = key.sign(&SystemRandom::new(), data).unwrap();
            let (r, s) = signature.as_ref().split_at(signature.as_ref().len() / 2);
            let inner = Message::bare().mpint(r).mpint(s).done();
            Message::bare()
                .string(algorithm.signature_name())
                .string(inner)
                .done()
        };
        Self {
            algorithm,
            blob,
            sign: Box::new(sign),
        }
    }

    pub fn rsa(algorithm: HostKeyAlgorithm) -> Self {
        let encoding: &'static dyn RsaEncoding = if algorithm == HostKeyAlgorithm::RsaSha512 {
            &RSA_PKCS1_SHA512
        } else {
            &RSA_PKCS1_SHA256
        };
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let (modulus, exponent) = rsa_numbers(key.public_key().as_ref());
        let blob = Message::bare()
            .string("ssh-rsa")
            .mpint(&exponent)
            .mpint(&modulus)
            .done();
        let sign = move |data: &[u8]| {
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(encoding, &SystemRandom::new(), data, &mut signature)
                .unwrap();
            Message::bare()
                .string(algorithm.signature_name())
                .string(signature)
                .done()
        };
        Self {
            algorithm,
            blob,
            sign: Box::new(sign),
        }
    }

    pub fn of(algorithm: HostKeyAlgorithm) -> Self {
        match algorithm {
            HostKeyAlgorithm::Ed25519 => Self::ed25519(7),
            HostKeyAlgorithm::RsaSha256 | HostKeyAlgorithm::RsaSha512 => Self::rsa(algorithm),
            _ => Self::ecdsa(algorithm),
        }
    }
}

/// Modulus and exponent of a DER `RSAPublicKey` (RFC 8017 appendix A.1.1).
fn rsa_numbers(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    fn item(der: &[u8]) -> (&[u8], &[u8]) {
        let (len, header) = match der[1] {
            0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
            0x81 => (usize::from(der[2]), 3),
            short => (usize::from(short), 2),
        };
        der[header..].split_at(len)
    }
    let (sequence, _) = item(der);
    let (modulus, rest) = item(sequence);
    let (exponent, _) = item(rest);
    (modulus.to_vec(), exponent.to_vec())
}
