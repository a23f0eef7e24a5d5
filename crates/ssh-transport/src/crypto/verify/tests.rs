use super::*;
use alloc::vec::Vec;

use ed25519_dalek::Signer as _;
use sha2::{Digest as _, Sha256};

use crate::signing::Ed25519Key;
use crate::wire::Put as _;
use zeroize::Zeroizing;

#[test]
fn a_signature_verifies_over_its_data_and_every_flipped_bit_fails() {
    let key = Ed25519Key::from_seed(Zeroizing::new([3; 32]));
    let blob = key.public_key_blob();
    let signature = key.sign(b"data");
    let parsed = VerifyingKey::parse(HostKeyAlgorithm::Ed25519, &blob).unwrap();
    assert_eq!(
        parsed.verify(b"data", &signature),
        Ok(Verified { security_key: None })
    );
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

/// The public key blobs of a security key in software and what signs for it, bare and in a certificate.
struct SecurityKey {
    ed25519: ed25519_dalek::SigningKey,
    ecdsa: p256::ecdsa::SigningKey,
}

impl SecurityKey {
    fn new() -> Self {
        Self {
            ed25519: ed25519_dalek::SigningKey::from_bytes(&[4; 32]),
            ecdsa: p256::ecdsa::SigningKey::from_slice(&[5; 32]).unwrap(),
        }
    }

    fn blob(&self, algorithm: HostKeyAlgorithm, application: &[u8]) -> Vec<u8> {
        let mut blob = Vec::new();
        blob.put_string(algorithm.blob_type().as_bytes());
        if algorithm.is_certificate() {
            blob.put_string(&[0; 32]);
        }
        if algorithm.scheme() == SignatureScheme::SkEd25519 {
            blob.put_string(self.ed25519.verifying_key().as_bytes());
        } else {
            blob.put_string(b"nistp256");
            let point = self.ecdsa.verifying_key().to_sec1_point(false);
            blob.put_string(point.as_bytes());
        }
        blob.put_string(application);
        if algorithm.is_certificate() {
            blob.put_word(0);
        }
        blob
    }

    /// As OpenSSH `PROTOCOL.u2f` has it.
    fn sign(&self, algorithm: HostKeyAlgorithm, flags: u8, counter: u32, data: &[u8]) -> Vec<u8> {
        let mut signed = Sha256::digest(b"ssh:").to_vec();
        signed.push(flags);
        signed.put_word(counter);
        signed.extend(Sha256::digest(data));
        let mut blob = Vec::new();
        blob.put_string(algorithm.signature_name().as_bytes());
        if algorithm.scheme() == SignatureScheme::SkEd25519 {
            blob.put_string(&self.ed25519.sign(&signed).to_bytes());
        } else {
            let signature: p256::ecdsa::Signature = self.ecdsa.sign(&signed);
            let bytes = signature.to_bytes();
            let mut numbers = Vec::new();
            numbers.put_mpint(&bytes[..32]);
            numbers.put_mpint(&bytes[32..]);
            blob.put_string(&numbers);
        }
        blob.push(flags);
        blob.put_word(counter);
        blob
    }
}

const SECURITY_KEYS: [HostKeyAlgorithm; 4] = [
    HostKeyAlgorithm::SkEd25519,
    HostKeyAlgorithm::SkEcdsaP256,
    HostKeyAlgorithm::SkEd25519Cert,
    HostKeyAlgorithm::SkEcdsaP256Cert,
];

#[test]
fn a_security_key_says_what_it_signed_along_and_every_flipped_bit_fails() {
    let device = SecurityKey::new();
    for algorithm in SECURITY_KEYS {
        let blob = device.blob(algorithm, b"ssh:");
        let key = VerifyingKey::parse(algorithm, &blob).unwrap();
        for flags in [0, 1, 4, 5] {
            let signature = device.sign(algorithm, flags, 77, b"data");
            let verified = key.verify(b"data", &signature).unwrap();
            let said = verified.security_key.unwrap();
            assert_eq!((said.application, said.counter), ("ssh:", 77));
            assert_eq!(said.is_user_present(), flags & 1 != 0);
            assert_eq!(key.verify(b"dat", &signature), Err(BadSignature));
            for bit in 0..signature.len() * 8 {
                let mut changed = signature.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(key.verify(b"data", &changed).is_err(), "bit {bit}");
            }
            for len in 0..signature.len() {
                assert!(key.verify(b"data", &signature[..len]).is_err());
            }
        }
    }
}

#[test]
fn a_security_key_of_another_application_or_none_does_not_verify() {
    let device = SecurityKey::new();
    for algorithm in SECURITY_KEYS {
        let signature = device.sign(algorithm, 1, 1, b"data");
        for other in [&b"ssh:other"[..], b"", b"http://"] {
            let blob = device.blob(algorithm, other);
            let key = VerifyingKey::parse(algorithm, &blob).unwrap();
            assert_eq!(key.verify(b"data", &signature), Err(BadSignature));
        }
        let blob = device.blob(algorithm, &[0xff]);
        assert!(VerifyingKey::parse(algorithm, &blob).is_err());
    }
}

#[test]
fn a_signature_of_a_plain_key_is_none_of_a_security_key_nor_the_other_way_round() {
    let device = SecurityKey::new();
    let sk = device.blob(HostKeyAlgorithm::SkEd25519, b"ssh:");
    let sk = VerifyingKey::parse(HostKeyAlgorithm::SkEd25519, &sk).unwrap();
    let plain = Ed25519Key::from_seed(Zeroizing::new([4; 32]));
    let blob = plain.public_key_blob();
    let plain_key = VerifyingKey::parse(HostKeyAlgorithm::Ed25519, &blob).unwrap();
    let signature = device.sign(HostKeyAlgorithm::SkEd25519, 1, 1, b"data");
    assert_eq!(sk.verify(b"data", &plain.sign(b"data")), Err(BadSignature));
    assert_eq!(plain_key.verify(b"data", &signature), Err(BadSignature));
}
