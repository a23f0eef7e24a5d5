//! Certificates that are damaged, out of shape, or signed in the wrong way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

#[path = "common/raw.rs"]
mod raw;

use common::{ca, issue, put, user};
use proptest::prelude::*;
use raw::{Raw, check, option};
use sshcert::{
    CaPublicKey, MAX_CERTIFICATE_BYTES, MAX_PRINCIPALS, ParseError, Refusal, Unverified,
};

#[test]
fn certificates_nested_as_authorities_to_the_limit_are_refused_without_recursion() {
    let mut authority = ca(1).public().blob().to_vec();
    while authority.len() < MAX_CERTIFICATE_BYTES - 300 {
        authority = Raw {
            authority: Some(authority),
            ..Raw::default()
        }
        .sign();
    }
    assert!(authority.len() <= MAX_CERTIFICATE_BYTES);
    assert_eq!(check(&authority).unwrap_err(), Refusal::UntrustedAuthority);
}

#[test]
fn options_out_of_order_or_repeated_are_refused() {
    let pair = |first: &str, second: &str| {
        let options = vec![option(first, None), option(second, None)];
        let extensions = Raw {
            extensions: options.clone(),
            ..Raw::default()
        };
        let critical = Raw {
            critical: options,
            ..Raw::default()
        };
        for raw in [extensions, critical] {
            let refused = raw.check().unwrap_err();
            assert_eq!(refused, Refusal::Parse(ParseError::OptionOrder));
        }
    };
    pair("permit-pty", "permit-pty");
    pair("permit-pty", "permit-X11-forwarding");
    let ordered = vec![
        option("permit-X11-forwarding", None),
        option("permit-pty", None),
    ];
    Raw {
        extensions: ordered,
        ..Raw::default()
    }
    .check()
    .unwrap();
}

#[test]
fn signature_in_another_name_or_with_more_behind_it_is_refused() {
    for name in [
        "ssh-rsa",
        "rsa-sha2-512",
        "ecdsa-sha2-nistp256",
        "",
        "ssh-ed25519\0",
    ] {
        let raw = Raw {
            signature_name: name.into(),
            ..Raw::default()
        };
        assert_eq!(raw.check().unwrap_err(), Refusal::Signature, "{name:?}");
    }
    let raw = Raw {
        tail: vec![0],
        ..Raw::default()
    };
    assert_eq!(raw.check().unwrap_err(), Refusal::Signature);
}

#[test]
fn keys_that_are_not_certified_here_are_refused() {
    for name in ["ssh-dss", "ssh-ed448", "ssh-ed25519"] {
        let raw = Raw {
            name: name.into(),
            ..Raw::default()
        };
        assert_eq!(
            raw.check().unwrap_err(),
            Refusal::Parse(ParseError::Algorithm),
            "{name}"
        );
        let raw = Raw {
            name: format!("{name}-cert-v01@example.com").into(),
            ..Raw::default()
        };
        assert_eq!(
            raw.check().unwrap_err(),
            Refusal::Parse(ParseError::Algorithm),
            "{name}"
        );
    }
    let mut key = Vec::new();
    put(&mut key, &[1, 0, 1]);
    put(&mut key, &[0x7f; 128]);
    let name = b"ssh-rsa-cert-v01@openssh.com".to_vec();
    let weak = Raw {
        name,
        key,
        ..Raw::default()
    };
    assert_eq!(weak.check().unwrap_err(), Refusal::Subject);
    let mut key = Vec::new();
    put(&mut key, &[1; 31]);
    let short = Raw {
        key,
        ..Raw::default()
    };
    assert_eq!(
        short.check().unwrap_err(),
        Refusal::Parse(ParseError::Malformed)
    );
}

#[test]
fn more_principals_than_openssh_reads_are_refused() {
    let principals: Vec<Vec<u8>> = (0..=MAX_PRINCIPALS).map(|_| b"deploy".to_vec()).collect();
    let refused = Raw {
        principals,
        ..Raw::default()
    }
    .check()
    .unwrap_err();
    assert_eq!(
        refused,
        Refusal::Parse(ParseError::TooManyPrincipals {
            limit: MAX_PRINCIPALS
        })
    );
}

#[test]
fn every_shorter_and_every_longer_certificate_is_refused() {
    let blob = issue(&ca(1), user().force_command("uptime").unwrap())
        .blob()
        .to_vec();
    check(&blob).unwrap();
    for end in 0..blob.len() {
        assert!(
            matches!(check(&blob[..end]), Err(Refusal::Parse(_))),
            "{end}"
        );
    }
    let mut longer = blob.clone();
    longer.push(0);
    assert_eq!(
        check(&longer).unwrap_err(),
        Refusal::Parse(ParseError::Malformed)
    );
    let padded = vec![0; MAX_CERTIFICATE_BYTES + 1];
    let too_long = ParseError::TooLong {
        limit: MAX_CERTIFICATE_BYTES,
        got: padded.len(),
    };
    assert_eq!(check(&padded).unwrap_err(), Refusal::Parse(too_long));
}

#[test]
fn every_flipped_bit_is_refused() {
    let blob = issue(&ca(1), user().force_command("uptime").unwrap())
        .blob()
        .to_vec();
    for bit in 0..blob.len() * 8 {
        let mut flipped = blob.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&flipped).is_err(), "bit {bit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(check(&bytes).is_err());
        let _ = CaPublicKey::from_openssh(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_damage_to_a_certificate_panics_or_passes(
        at in any::<prop::sample::Index>(),
        bytes in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let good = Raw::default().sign();
        let mut blob = good.clone();
        let start = at.index(blob.len());
        for (to, from) in blob[start..].iter_mut().zip(&bytes) {
            *to = *from;
        }
        prop_assert!(blob == good || check(&blob).is_err());
        if let Ok(parsed) = Unverified::parse(&blob) {
            prop_assert_eq!(parsed.blob(), &blob);
        }
    }
}
