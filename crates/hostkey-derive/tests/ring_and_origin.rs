//! Rotation of the account secret, and what changed when a key did.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::time::Duration;

use common::ed25519_blob;
use hostkey_derive::{
    AccountSecret, Algorithm, Change, DeriveError, Origin, OriginError, RingError, SecretRing,
    derive,
};

fn secret(fill: u8) -> AccountSecret {
    AccountSecret::from_bytes(&[fill; 32]).unwrap()
}

fn at(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// 1 until 100, then 2 until 200, then 3; the first serves until 250, the second until 400.
fn ring() -> SecretRing {
    let ring = SecretRing::new(secret(1));
    let ring = ring.rotate(secret(2), at(100), at(250)).unwrap();
    ring.rotate(secret(3), at(200), at(400)).unwrap()
}

#[test]
fn client_is_served_by_the_secret_it_first_met_until_that_ends() {
    let ring = ring();
    let serving = |first_seen: Option<u64>, now| {
        let serving = ring.serving(first_seen.map(at), at(now));
        serving.secret_bytes()[0]
    };
    for (first_seen, now, expected) in [
        (None, 210, 3),
        (Some(50), 210, 1),
        (Some(99), 249, 1),
        (Some(50), 250, 3),
        (Some(50), 500, 3),
        (Some(100), 210, 2),
        (Some(150), 399, 2),
        (Some(150), 400, 3),
        (Some(200), 210, 3),
        (Some(205), 210, 3),
    ] {
        assert_eq!(serving(first_seen, now), expected, "{first_seen:?} {now}");
    }
}

#[test]
fn every_live_secret_is_announced_the_current_one_first() {
    let ring = ring();
    let live = |now| -> Vec<u8> { ring.live(at(now)).map(|s| s.secret_bytes()[0]).collect() };
    assert_eq!(live(210), [3, 2, 1]);
    let oldest = |now| ring.oldest(at(now)).secret_bytes()[0];
    assert_eq!([oldest(210), oldest(250), oldest(400)], [1, 2, 3]);
    assert_eq!(live(250), [3, 2]);
    assert_eq!(live(400), [3]);

    let targets = [ed25519_blob(1), ed25519_blob(2)];
    let targets: Vec<&[u8]> = targets.iter().map(Vec::as_slice).collect();
    let algorithms = [Algorithm::Ed25519, Algorithm::EcdsaP256];
    let announced = ring.announced(&targets, &algorithms, at(250)).unwrap();
    let mut expected = Vec::new();
    for n in [3, 2] {
        for target in &targets {
            for algorithm in algorithms {
                expected.push(derive(&secret(n), target, algorithm).unwrap());
            }
        }
    }
    let blobs = |keys: &[hostkey_derive::DerivedHostKey]| -> Vec<Vec<u8>> {
        keys.iter()
            .map(|key| key.public_key_blob().to_vec())
            .collect()
    };
    assert_eq!(blobs(&announced), blobs(&expected));
    assert_eq!(announced.len(), 8);
    let refused = ring.announced(&[b"no key"], &algorithms, at(250));
    assert_eq!(refused.unwrap_err(), DeriveError::Malformed);
}

#[test]
fn rotation_goes_forward_to_a_new_secret_and_a_few_at_a_time() {
    let rotate = |to, now, until| ring().rotate(secret(to), at(now), at(until)).err();
    assert_eq!(rotate(4, 300, 500), None);
    for known in [1, 2, 3] {
        assert_eq!(rotate(known, 210, 500), Some(RingError::Known));
    }
    assert_eq!(rotate(4, 200, 500), Some(RingError::Order));
    assert_eq!(rotate(4, 210, 210), Some(RingError::Order));
    let full = ring().rotate(secret(4), at(210), at(500)).unwrap();
    let limit = SecretRing::MAX_PREVIOUS;
    let refused = full.rotate(secret(5), at(220), at(500));
    assert_eq!(refused.unwrap_err(), RingError::TooMany { limit });
    // Once the first has ended there is room, and it may come back as a new one.
    let full = ring().rotate(secret(4), at(210), at(500)).unwrap();
    full.rotate(secret(5), at(251), at(500)).unwrap();
}

#[test]
fn debug_of_a_ring_shows_no_secret() {
    let shown = format!("{:?}", ring());
    assert!(
        !shown.contains("[1,") && !shown.contains("01, 01"),
        "{shown}"
    );
    assert!(shown.contains("AccountSecret { .. }"), "{shown}");
}

#[test]
fn what_changed_a_key_is_told_apart_and_no_change_is_none() {
    let of = |s: u8, target: u8, algorithm| {
        let blob = ed25519_blob(target);
        let key = derive(&secret(s), &blob, algorithm).unwrap();
        let origin = Origin::of(&secret(s), &blob, algorithm).unwrap();
        (key.public_key_blob().to_vec(), origin)
    };
    let (key, before) = of(1, 1, Algorithm::Ed25519);
    for (s, target, algorithm) in [
        (1, 1, Algorithm::Ed25519),
        (1, 2, Algorithm::Ed25519),
        (2, 1, Algorithm::Ed25519),
        (1, 1, Algorithm::EcdsaP384),
        (2, 2, Algorithm::EcdsaP256),
    ] {
        let (changed, after) = of(s, target, algorithm);
        let expected = Change {
            target_key: target != 1,
            secret: s != 1,
            algorithm: algorithm != Algorithm::Ed25519,
        };
        assert_eq!(after.change_since(&before), expected);
        assert_eq!(expected.is_any(), changed != key);
    }
}

#[test]
fn origin_reads_back_from_its_text_and_nothing_else_reads() {
    let blob = ed25519_blob(1);
    let origin = Origin::of(&secret(1), &blob, Algorithm::EcdsaP384).unwrap();
    let text = origin.to_string();
    assert!(text.starts_with("v1 ecdsa-sha2-nistp384 SHA256:"), "{text}");
    assert_eq!(Origin::from_text(&text), Ok(origin.clone()));
    assert_eq!(Origin::from_text(&format!("{text}\n")), Ok(origin));
    let id = text.rsplit(' ').next().unwrap();
    for wrong in [
        "".to_string(),
        text.replace("v1", "v2"),
        text.replace("ecdsa-sha2-nistp384", "ssh-rsa"),
        text.replace("SHA256:", "SHA1:"),
        text.replace(id, &id[1..]),
        text.replace(id, &id[2..]),
        text.replace(id, &id.to_uppercase().replace(char::is_numeric, "A")),
        text.replace(' ', "  "),
        format!("{text} more"),
        format!("{text}00"),
    ] {
        assert_eq!(Origin::from_text(&wrong), Err(OriginError), "{wrong}");
    }
}
