//! Targets that send anything but a host key, and properties of those that do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::ed25519_blob;
use hostkey_derive::{
    AccountSecret, Algorithm, DeriveError, MAX_TARGET_KEY_BYTES, TargetKey, derive,
};
use proptest::prelude::*;

fn secret() -> AccountSecret {
    AccountSecret::from_bytes(&[9; 32]).unwrap()
}

fn strings(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        out.extend((part.len() as u32).to_be_bytes());
        out.extend(*part);
    }
    out
}

/// A well-formed blob of every known algorithm.
fn known() -> Vec<Vec<u8>> {
    vec![
        strings(&[b"ssh-ed25519", &[1; 32]]),
        strings(&[b"ssh-rsa", &[1, 0, 1], &[7; 256]]),
        strings(&[b"ssh-dss", &[1; 128], &[2; 20], &[3; 128], &[4; 128]]),
        strings(&[b"ecdsa-sha2-nistp256", b"nistp256", &[4; 65]]),
        strings(&[b"ecdsa-sha2-nistp384", b"nistp384", &[4; 97]]),
        strings(&[b"ecdsa-sha2-nistp521", b"nistp521", &[4; 133]]),
        strings(&[b"sk-ssh-ed25519@openssh.com", &[1; 32], b"ssh:"]),
        strings(&[
            b"sk-ecdsa-sha2-nistp256@openssh.com",
            b"nistp256",
            &[4; 65],
            b"ssh:",
        ]),
    ]
}

/// The host certificate around a blob, as PROTOCOL.certkeys lays it out.
fn certified(plain: &[u8], kind: u32) -> Vec<u8> {
    let name_len = u32::from_be_bytes(plain[..4].try_into().unwrap()) as usize;
    let name = str::from_utf8(&plain[4..4 + name_len]).unwrap();
    let base = name.strip_suffix("@openssh.com").unwrap_or(name);
    let mut out = strings(&[format!("{base}-cert-v01@openssh.com").as_bytes(), &[8; 32]]);
    out.extend(&plain[4 + name_len..]);
    out.extend(5u64.to_be_bytes());
    out.extend(kind.to_be_bytes());
    out.extend(strings(&[b"id", b""]));
    out.extend([0; 16]);
    out.extend(strings(&[b"", b"", b"", b"authority", b"signature"]));
    out
}

#[test]
fn every_known_algorithm_is_read_plain_and_certified() {
    for plain in known() {
        let key = TargetKey::from_blob(&plain).unwrap();
        assert_eq!(key.blob(), plain);
        assert!(!key.is_certified());
        let from_certificate = TargetKey::from_blob(&certified(&plain, 2)).unwrap();
        assert_eq!(from_certificate.blob(), plain);
        assert!(from_certificate.is_certified());
        assert_eq!(from_certificate.algorithm_name(), key.algorithm_name());
    }
}

#[test]
fn every_shorter_and_every_longer_blob_is_refused() {
    for plain in known() {
        for blob in [plain.clone(), certified(&plain, 2)] {
            for end in 0..blob.len() {
                assert!(TargetKey::from_blob(&blob[..end]).is_err());
            }
            let mut longer = blob;
            longer.push(0);
            assert_eq!(TargetKey::from_blob(&longer), Err(DeriveError::Malformed));
        }
    }
}

#[test]
fn every_flipped_bit_of_a_key_gives_another_key_or_an_error() {
    let secret = secret();
    for plain in known() {
        let before = derive(&secret, &plain, Algorithm::Ed25519).unwrap();
        for bit in 0..plain.len() * 8 {
            let mut flipped = plain.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(after) = derive(&secret, &flipped, Algorithm::Ed25519) {
                assert_ne!(after.public_key_blob(), before.public_key_blob());
            }
        }
    }
}

#[test]
fn errors_name_what_is_wrong() {
    let check = |blob: &[u8], expected| {
        assert_eq!(
            derive(&secret(), blob, Algorithm::EcdsaP256).unwrap_err(),
            expected
        );
    };
    check(b"", DeriveError::Malformed);
    check(b"\xff\xff\xff\xff", DeriveError::Malformed);
    check(&strings(&[b""]), DeriveError::UnknownAlgorithm);
    check(
        &strings(&[b"ssh-ed448", &[1; 57]]),
        DeriveError::UnknownAlgorithm,
    );
    check(&strings(&[b"ssh-ed25519"]), DeriveError::Malformed);
    check(&strings(&[b"ssh-ed25519", b""]), DeriveError::Malformed);
    check(
        &strings(&[b"ecdsa-sha2-nistp256", b"nistp384", &[4; 65]]),
        DeriveError::Malformed,
    );
    check(
        &strings(&[b"ecdsa-sha2-nistp256", b"256", &[4; 65]]),
        DeriveError::Malformed,
    );
    check(
        &strings(&[b"ecdsa-sha2-nistp256", b"", &[4; 65]]),
        DeriveError::Malformed,
    );
    check(
        &strings(&[b"-cert-v01@openssh.com", b"nonce"]),
        DeriveError::UnknownAlgorithm,
    );
    check(
        &strings(&[
            b"ssh-ed25519-cert-v01@openssh.com-cert-v01@openssh.com",
            b"nonce",
        ]),
        DeriveError::UnknownAlgorithm,
    );
    check(
        &certified(&ed25519_blob(1), 1),
        DeriveError::NotAHostCertificate,
    );
    check(
        &certified(&ed25519_blob(1), 3),
        DeriveError::NotAHostCertificate,
    );
    let long = strings(&[b"ssh-ed25519", &vec![1; MAX_TARGET_KEY_BYTES]]);
    check(
        &long,
        DeriveError::TooLong {
            limit: MAX_TARGET_KEY_BYTES,
            got: long.len(),
        },
    );
}

#[test]
fn longest_allowed_key_is_still_read() {
    let fill = vec![1; MAX_TARGET_KEY_BYTES - 4 - 11 - 4];
    let longest = strings(&[b"ssh-ed25519", &fill]);
    assert_eq!(longest.len(), MAX_TARGET_KEY_BYTES);
    assert_eq!(TargetKey::from_blob(&longest).unwrap().blob(), longest);
}

#[test]
fn secret_target_and_algorithm_each_change_the_key_and_nothing_else_does() {
    let key = |secret: u8, target: u8, algorithm| {
        let secret = AccountSecret::from_bytes(&[secret; 32]).unwrap();
        let key = derive(&secret, &ed25519_blob(target), algorithm).unwrap();
        (key.public_key_blob().to_vec(), key.sign(b"data"))
    };
    let mut seen = Vec::new();
    for secret in [1, 2] {
        for target in [1, 2] {
            for algorithm in Algorithm::ALL {
                let first = key(secret, target, algorithm);
                assert_eq!(first, key(secret, target, algorithm));
                assert!(!seen.contains(&first));
                seen.push(first);
            }
        }
    }
}

#[test]
fn longer_secret_with_zeros_is_another_secret() {
    let mut padded = vec![3; 32];
    padded.resize(64, 0);
    let short = AccountSecret::from_bytes(&[3; 32]).unwrap();
    let long = AccountSecret::from_bytes(&padded).unwrap();
    assert_ne!(short, long);
    let key = |secret| derive(secret, &ed25519_blob(1), Algorithm::Ed25519).unwrap();
    assert_ne!(key(&short).public_key_blob(), key(&long).public_key_blob());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = TargetKey::from_blob(&bytes);
    }

    #[test]
    fn no_bytes_after_a_known_name_panic(
        which in 0..8usize,
        certificate in any::<bool>(),
        at in any::<prop::sample::Index>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let plain = known()[which].clone();
        let mut blob = if certificate { certified(&plain, 2) } else { plain };
        let start = at.index(blob.len());
        for (to, from) in blob[start..].iter_mut().zip(&bytes) {
            *to = *from;
        }
        if let Ok(key) = TargetKey::from_blob(&blob) {
            // What was read reads as itself again.
            let again = TargetKey::from_blob(key.blob()).unwrap();
            prop_assert_eq!(again.blob(), key.blob());
        }
    }
}
