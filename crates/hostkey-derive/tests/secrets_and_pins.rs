//! Account secrets from every text people write, and pins.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use base64ct::{Base64, Base64Unpadded, Encoding as _};
use common::ed25519_blob;
use hostkey_derive::{AccountSecret, Algorithm, Pin, PinError, Pins, SecretError, derive};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

fn length(got: usize) -> SecretError {
    SecretError::Length {
        min: 32,
        max: 64,
        got,
    }
}

#[test]
fn only_32_to_64_bytes_are_a_secret() {
    for len in 0..100 {
        let made = AccountSecret::from_bytes(&vec![1; len]);
        match len {
            32..=64 => assert_eq!(made.unwrap().secret_bytes().len(), len),
            _ => assert_eq!(made.unwrap_err(), length(len)),
        }
    }
}

#[test]
fn text_that_is_neither_hex_nor_base64_is_refused() {
    let check = |text: &str, expected| {
        assert_eq!(
            AccountSecret::from_text(text).unwrap_err(),
            expected,
            "{text:?}"
        );
    };
    check("", length(0));
    check("   \n", length(0));
    // Hex that is too short is not taken for base64 that is long enough.
    check(&"ab".repeat(24), length(24));
    check(&"a".repeat(63), SecretError::Encoding);
    // The bits to spare at the end of base64 must be zero.
    check(&"z".repeat(62), SecretError::Encoding);
    check(&"ab".repeat(65), length(65));
    check(&format!("{}a", "ab".repeat(32)), SecretError::Encoding);
    check(&format!("{}!", "A".repeat(50)), SecretError::Encoding);
    check(
        &format!("{} {}", "ab".repeat(16), "ab".repeat(16)),
        SecretError::Encoding,
    );
    check(&"ä".repeat(30), SecretError::Encoding);
    check("c2hvcnQ=", length(5));
    check(&"=".repeat(64), length(0));
}

#[test]
fn debug_shows_nothing_of_a_secret_or_a_key() {
    let secret = AccountSecret::from_text(&"5e".repeat(32)).unwrap();
    assert_eq!(format!("{secret:?}"), "AccountSecret { .. }");
    let key = derive(&secret, &ed25519_blob(1), Algorithm::Ed25519).unwrap();
    let shown = format!("{key:?}");
    assert!(shown.starts_with("DerivedHostKey { algorithm: Ed25519, fingerprint: \"SHA256:"));
    assert!(shown.ends_with("\", .. }"));
}

#[test]
fn generated_secrets_are_32_bytes_of_the_generator() {
    let first = AccountSecret::generate(&mut ChaCha20Rng::seed_from_u64(1));
    let again = AccountSecret::generate(&mut ChaCha20Rng::seed_from_u64(1));
    let other = AccountSecret::generate(&mut ChaCha20Rng::seed_from_u64(2));
    assert_eq!(first.secret_bytes().len(), 32);
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[test]
fn pinned_key_passes_and_another_is_named_beside_what_was_expected() {
    let pin = Pin::from_blob(&ed25519_blob(1)).unwrap();
    let second = Pin::from_blob(&ed25519_blob(2)).unwrap();
    let pins = Pins::new([pin.clone(), second.clone()]).unwrap();
    pins.check(&ed25519_blob(1)).unwrap();
    pins.check(&ed25519_blob(2)).unwrap();

    let presented = Pin::from_blob(&ed25519_blob(3)).unwrap().fingerprint();
    let mismatch = pins.check(&ed25519_blob(3)).unwrap_err();
    assert_eq!(mismatch.presented(), Some(presented.as_str()));
    assert_eq!(
        mismatch.expected(),
        [pin.fingerprint(), second.fingerprint()]
    );
    assert_eq!(
        mismatch.to_string(),
        format!(
            "target host key {presented} is not the pinned one: expected {} or {}",
            pin.fingerprint(),
            second.fingerprint()
        )
    );

    let mismatch = pins.check(b"nonsense").unwrap_err();
    assert_eq!(mismatch.presented(), None);
    assert!(
        mismatch
            .to_string()
            .starts_with("target host key is unreadable")
    );
}

#[test]
fn pins_are_never_empty_and_never_certificates() {
    assert_eq!(Pins::new([]).unwrap_err(), PinError::Empty);
    for text in [
        "",
        "SHA256:",
        "SHA256:short",
        "SHA512:abc",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "x",
    ] {
        assert_eq!(
            Pin::from_text(text),
            Err(PinError::Unrecognised),
            "{text:?}"
        );
    }
    let line = "ssh-ed25519-cert-v01@openssh.com AAAA";
    assert_eq!(Pin::from_text(line), Err(PinError::Certificate));
    assert_eq!(Pin::from_blob(b"x"), Err(PinError::Unrecognised));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hex_and_base64_in_every_spelling_are_the_same_secret(
        bytes in proptest::collection::vec(any::<u8>(), 32..=64),
    ) {
        let secret = AccountSecret::from_bytes(&bytes).unwrap();
        prop_assert_eq!(secret.secret_bytes(), &bytes);
        let lower = base16ct::lower::encode_string(&bytes);
        for text in [
            lower.to_uppercase(),
            format!("\n  {lower}\r\n"),
            Base64::encode_string(&bytes),
            format!("{}\n", Base64Unpadded::encode_string(&bytes)),
            lower,
        ] {
            prop_assert!(AccountSecret::from_text(&text).unwrap() == secret);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = AccountSecret::from_text(&text);
        let _ = Pin::from_text(&text);
    }
}
