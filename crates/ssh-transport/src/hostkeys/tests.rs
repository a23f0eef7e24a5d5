use super::*;
use crate::signing::Ed25519Key;
use alloc::vec;
use zeroize::Zeroizing;

const SESSION: &[u8] = &[9; 32];

fn key(seed: u8) -> Ed25519Key {
    Ed25519Key::from_seed(Zeroizing::new([seed; 32]))
}

fn proof(seed: u8, session_id: &[u8]) -> Vec<u8> {
    key(seed).sign(&prove_data(session_id, &key(seed).public_key_blob()))
}

#[test]
fn what_is_written_is_read_and_nothing_else_is() {
    let (one, two) = (key(1).public_key_blob(), key(2).public_key_blob());
    let keys = [one.as_slice(), two.as_slice()];
    assert_eq!(parse_announcement(&announcement(&keys)).unwrap(), keys);
    assert_eq!(parse_prove_request(&prove_request(&keys)).unwrap(), keys);
    let another = Err(HostKeysError::AnotherMessage);
    assert_eq!(parse_announcement(&prove_request(&keys)), another);
    assert_eq!(parse_prove_request(&announcement(&keys)), another);
    assert_eq!(parse_announcement(&proofs(&keys)), another);
    assert_eq!(
        verify_proofs(&announcement(&keys), SESSION, &keys),
        Err(HostKeysError::AnotherMessage)
    );
    assert!(parse_announcement(&announcement(&[])).unwrap().is_empty());
}

#[test]
fn every_truncation_is_an_error_or_has_fewer_keys() {
    let blob = key(1).public_key_blob();
    let message = announcement(&[&blob, &blob]);
    for len in 0..message.len() {
        match parse_announcement(&message[..len]) {
            Ok(keys) => assert!(keys.len() < 2, "{len}"),
            Err(error) => assert_eq!(error, HostKeysError::Malformed, "{len}"),
        }
    }
}

#[test]
fn keys_without_number_or_measure_are_refused() {
    let many = vec![&b"x"[..]; MAX_HOST_KEYS + 1];
    assert_eq!(
        parse_announcement(&announcement(&many)),
        Err(HostKeysError::TooMany)
    );
    assert!(parse_announcement(&announcement(&many[1..])).is_ok());
    let long = vec![0; MAX_PUBLIC_KEY_BYTES + 1];
    let too_long = HostKeysError::TooLong { got: long.len() };
    assert_eq!(parse_prove_request(&prove_request(&[&long])), Err(too_long));
    assert_eq!(
        verify_proofs(&proofs(&[&long]), SESSION, &[b"x"]),
        Err(too_long)
    );
}

#[test]
fn each_key_must_sign_for_this_session_itself_and_in_its_place() {
    let (one, two) = (key(1).public_key_blob(), key(2).public_key_blob());
    let keys = [one.as_slice(), two.as_slice()];
    let (by_one, by_two) = (proof(1, SESSION), proof(2, SESSION));
    assert_eq!(
        verify_proofs(&proofs(&[&by_one, &by_two]), SESSION, &keys),
        Ok(())
    );
    let not_proven = Err(HostKeysError::NotProven);
    let forged: [&[&[u8]]; 4] = [
        &[&by_two, &by_one],
        &[&by_one, &by_one],
        &[&by_one, &proof(2, &[8; 32])],
        &[&by_one, &key(2).sign(SESSION)],
    ];
    for signatures in forged {
        assert_eq!(
            verify_proofs(&proofs(signatures), SESSION, &keys),
            not_proven
        );
    }
    let malformed = Err(HostKeysError::Malformed);
    assert_eq!(
        verify_proofs(&proofs(&[&by_one]), SESSION, &keys),
        malformed
    );
    assert_eq!(
        verify_proofs(&proofs(&[&by_one, &by_two, &by_two]), SESSION, &keys),
        malformed
    );
}

#[test]
fn every_flipped_bit_of_a_proof_is_an_error() {
    let blob = key(1).public_key_blob();
    let message = proofs(&[&proof(1, SESSION)]);
    for bit in 0..message.len() * 8 {
        let mut changed = message.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(verify_proofs(&changed, SESSION, &[&blob]).is_err(), "{bit}");
    }
}

#[test]
fn an_rsa_key_proves_itself_as_the_key_exchange_did_or_with_sha_512() {
    let mut rsa = Vec::new();
    rsa.put_string(b"ssh-rsa");
    let ed25519 = key(1).public_key_blob();
    for (key, negotiated, expected) in [
        (
            &rsa,
            HostKeyAlgorithm::RsaSha256Cert,
            Some(HostKeyAlgorithm::RsaSha256),
        ),
        (
            &rsa,
            HostKeyAlgorithm::Ed25519,
            Some(HostKeyAlgorithm::RsaSha512),
        ),
        (
            &ed25519,
            HostKeyAlgorithm::RsaSha256,
            Some(HostKeyAlgorithm::Ed25519),
        ),
        (
            &Vec::from(b"\0\0\0\x07ssh-dss"),
            HostKeyAlgorithm::Ed25519,
            None,
        ),
        (&Vec::new(), HostKeyAlgorithm::Ed25519, None),
    ] {
        assert_eq!(proof_algorithm(key, negotiated), expected);
    }
}
