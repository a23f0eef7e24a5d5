//! User keys: which algorithm signs, and to which host a signature is bound.

use super::auth::FAILURE;
use super::*;
use crate::auth::{publickey_request, signed_data};
use crate::wire::Put as _;

fn rsa_blob() -> Vec<u8> {
    let mut blob = Vec::new();
    blob.put_string(b"ssh-rsa");
    blob.put_mpint(&[1, 0, 1]);
    blob.put_mpint(&[0xc1; 256]);
    blob
}

/// What a client signs with an RSA key for a server that takes `user_keys`.
fn rsa_against(user_keys: &[HostKeyAlgorithm]) -> Pair {
    let mut config = ServerConfig::default();
    config.algorithms.user_keys = user_keys.to_vec();
    let mut pair = Pair::with(ClientConfig::default(), config);
    // Before anything of the server is known: its EXT_INFO comes behind its NEWKEYS.
    let public_key = rsa_blob();
    pair.login = Some(ClientAuth::Key { public_key });
    pair.run().unwrap();
    pair
}

#[test]
fn an_rsa_key_waits_for_the_servers_algorithms_and_never_signs_with_sha_1() {
    use HostKeyAlgorithm as A;
    let cases: [(&[A], Option<&str>); 4] = [
        (&A::USER_KEYS, Some("rsa-sha2-512")),
        (&[A::Ed25519, A::RsaSha256], Some("rsa-sha2-256")),
        (&[A::RsaSha256Cert], Some("rsa-sha2-256")),
        (&[A::Ed25519, A::RsaSha1], None),
    ];
    for (user_keys, expected) in cases {
        let pair = rsa_against(user_keys);
        let asked: Vec<_> = pair.to_sign.iter().map(|r| r.algorithm.as_str()).collect();
        assert_eq!(asked.first().copied(), expected);
        assert_eq!(pair.unsignable, usize::from(expected.is_none()));
        assert!(pair.attempts.is_empty());
    }
}

#[test]
fn who_has_no_algorithm_may_try_something_else() {
    let mut pair = rsa_against(&[HostKeyAlgorithm::Ed25519]);
    pair.client
        .authenticate("alice", ClientAuth::None, NOW)
        .unwrap();
    pair.run().unwrap();
    assert_eq!(pair.authenticated, (true, true));
}

#[test]
fn what_is_no_key_is_not_shown() {
    let mut pair = Pair::exchanged();
    let public_key = Vec::from(b"\0\0\0\x40ssh-ed25519");
    assert_eq!(
        pair.client
            .authenticate("alice", ClientAuth::Key { public_key }, NOW),
        Err(Error::ApiMisuse(ApiMisuse::BadUserKey))
    );
    pair.client
        .authenticate("alice", ClientAuth::None, NOW)
        .unwrap();
}

/// A signed request that is bound to a host key (OpenSSH `PROTOCOL` 1.8).
fn bound_request(pair: &Pair, host_key: &[u8]) -> Vec<u8> {
    let user_key = key(50);
    let blob = user_key.public_key_blob();
    let mut message = publickey_request("alice", "ssh-ed25519", &blob, Some(host_key));
    let data = signed_data(pair.server.core.session_id().unwrap(), &message);
    message.put_string(&user_key.sign(&data));
    message
}

#[test]
fn a_client_binds_its_key_to_the_first_host_key_of_a_server_that_takes_that() {
    let mut pair = Pair::new();
    let public_key = key(50).public_key_blob();
    pair.login = Some(ClientAuth::Key { public_key });
    pair.run().unwrap();
    let request = pair.to_sign.pop().unwrap();
    let mut host_key = Vec::new();
    host_key.put_string(&pair.key.public_key_blob());
    assert!(request.data.ends_with(&host_key));
    let signature = key(50).sign(&request.data);
    pair.client.signed(request.id, &signature, NOW).unwrap();
    pair.run().unwrap();
    assert_eq!(pair.authenticated, (true, true));
    assert_eq!(pair.attempts.len(), 1);
}

#[test]
fn a_signature_that_is_bound_to_another_host_is_refused() {
    let mut pair = Pair::in_service();
    let own = pair.key.public_key_blob();
    let bound = bound_request(&pair, &own);
    pair.judge = Judge::Reject;
    pair.server_gets(&bound).unwrap();
    assert!(matches!(
        pair.attempts[0].1,
        AuthMethod::PublicKey {
            proof: KeyProof::Verified,
            ..
        }
    ));
    pair.server_said();
    for other in [key(8).public_key_blob(), Vec::new(), own[1..].to_vec()] {
        let mut pair = Pair::in_service();
        let bound = bound_request(&pair, &other);
        pair.server_gets(&bound).unwrap();
        assert!(pair.attempts.is_empty());
        assert_eq!(pair.server_said(), [FAILURE]);
    }
}

#[test]
fn a_bound_signature_does_not_serve_as_a_plain_one_nor_the_other_way_round() {
    let mut pair = Pair::in_service();
    let own = pair.key.public_key_blob();
    let bound = bound_request(&pair, &own);
    let bound_name = b"publickey-hostbound-v00@openssh.com";
    let at = bound
        .windows(bound_name.len())
        .position(|w| w == bound_name)
        .unwrap();
    let mut plain = bound[..at - 4].to_vec();
    plain.put_string(b"publickey");
    plain.extend_from_slice(&bound[at + bound_name.len()..]);
    // With the host key still in it, it is not even well formed.
    assert_eq!(
        pair.server_gets(&plain),
        misbehaved(PeerMisbehaved::MalformedMessage)
    );
    let mut pair = Pair::in_service();
    let bound = bound_request(&pair, &own);
    let mut field = Vec::new();
    field.put_string(&own);
    let host_key_at = bound
        .windows(field.len())
        .rposition(|w| w == field)
        .unwrap();
    let mut plain = bound[..at - 4].to_vec();
    plain.put_string(b"publickey");
    plain.extend_from_slice(&bound[at + bound_name.len()..host_key_at]);
    plain.extend_from_slice(&bound[host_key_at + field.len()..]);
    pair.server_gets(&plain).unwrap();
    assert!(pair.attempts.is_empty());
    assert_eq!(pair.server_said(), [FAILURE]);
}
