//! Several factors in one login, and what must not be lost or counted twice between them.

use super::auth::{none, query, request, signed_request};
use super::*;
use crate::message::number;
use crate::wire::Put as _;

fn failure(methods: &str, partial: u8) -> Vec<u8> {
    let mut message = Vec::from([number::USERAUTH_FAILURE]);
    message.put_string(methods.as_bytes());
    message.put_byte(partial);
    message
}

/// A client whose key 50 was the first of two factors.
fn half_way() -> Pair {
    let mut pair = Pair::in_service();
    pair.judge = Judge::Wait;
    let attempt = signed_request(&pair, "alice", &key(50), |_| {});
    pair.server_gets(&attempt).unwrap();
    let attempt = pair.open.pop().unwrap();
    assert!(attempt.succeeded_before.is_empty());
    pair.server
        .accept_partially(attempt.id, &["publickey", "keyboard-interactive"], NOW)
        .unwrap();
    pair.run_server().unwrap();
    let said = pair.server_said();
    assert_eq!(said, [failure("publickey,keyboard-interactive", 1)]);
    pair
}

#[test]
fn half_a_login_lets_nobody_in_and_the_first_half_is_told_with_the_second() {
    // CVE-2026-39828: what restricts the first factor restricts the login.
    let mut pair = half_way();
    assert_eq!(pair.authenticated, (false, false));
    assert_eq!(
        pair.server.send_packet(&[98], NOW),
        Err(Error::ApiMisuse(ApiMisuse::NotAuthenticated))
    );
    let second = signed_request(&pair, "alice", &key(51), |_| {});
    pair.server_gets(&second).unwrap();
    let attempt = pair.open.pop().unwrap();
    assert_eq!(
        attempt.succeeded_before,
        [AuthMethod::PublicKey {
            algorithm: HostKeyAlgorithm::Ed25519,
            public_key: key(50).public_key_blob(),
            proof: KeyProof::Verified,
        }]
    );
    pair.server.accept(attempt.id, NOW).unwrap();
    pair.run_server().unwrap();
    assert!(pair.authenticated.1);
}

#[test]
fn the_same_key_is_no_second_factor() {
    let mut pair = half_way();
    let again = signed_request(&pair, "alice", &key(50), |_| {});
    for message in [again, query("alice", &key(50))] {
        pair.server_gets(&message).unwrap();
        assert!(pair.open.is_empty());
        // The methods are those that the caller named last.
        assert_eq!(
            pair.server_said(),
            [failure("publickey,keyboard-interactive", 0)]
        );
    }
}

#[test]
fn a_certificate_of_the_same_key_is_no_second_factor() {
    let mut pair = half_way();
    let mut certificate = Vec::new();
    certificate.put_string(b"ssh-ed25519-cert-v01@openssh.com");
    certificate.put_string(&[0; 32]);
    certificate.put_string(&key(50).public_key_blob()[19..]);
    certificate.put_word(0);
    let mut query = request("alice", "ssh-connection", "publickey");
    query.put_byte(0);
    query.put_string(b"ssh-ed25519-cert-v01@openssh.com");
    query.put_string(&certificate);
    pair.server_gets(&query).unwrap();
    assert!(pair.open.is_empty());
}

#[test]
fn a_query_is_no_factor() {
    let mut pair = Pair::in_service();
    pair.judge = Judge::Wait;
    pair.server_gets(&query("alice", &key(50))).unwrap();
    let attempt = pair.open.pop().unwrap();
    pair.server
        .accept_partially(attempt.id, &["publickey"], NOW)
        .unwrap();
    assert_eq!(pair.server_said()[0][0], number::USERAUTH_PK_OK);
    pair.server_gets(&none("alice")).unwrap();
    assert!(pair.open[0].succeeded_before.is_empty());
}

#[test]
fn a_rejection_after_half_a_login_keeps_the_first_half() {
    let mut pair = half_way();
    pair.judge = Judge::Reject;
    pair.server_gets(&none("alice")).unwrap();
    pair.judge = Judge::Wait;
    pair.server_gets(&none("alice")).unwrap();
    assert_eq!(pair.open[0].succeeded_before.len(), 1);
}

#[test]
fn another_user_name_after_half_a_login_ends_the_connection() {
    let changed = misbehaved(PeerMisbehaved::UserNameChanged);
    assert_eq!(half_way().server_gets(&none("root")), changed);
    let mut pair = half_way();
    let attempt = signed_request(&pair, "root", &key(51), |_| {});
    assert_eq!(pair.server_gets(&attempt), changed);
}

#[test]
fn a_client_is_told_of_half_a_login_and_goes_on() {
    let mut pair = Pair::exchanged();
    pair.judge = Judge::Wait;
    pair.client
        .authenticate("alice", ClientAuth::None, NOW)
        .unwrap();
    pair.run().unwrap();
    let attempt = pair.open.pop().unwrap();
    pair.server
        .accept_partially(attempt.id, &["publickey"], NOW)
        .unwrap();
    pair.run().unwrap();
    assert_eq!(
        pair.failures,
        [(Vec::from(["publickey".to_string()]), true)]
    );
    assert_eq!(pair.authenticated, (false, false));
    pair.judge = Judge::Accept;
    let public_key = key(50).public_key_blob();
    pair.client
        .authenticate("alice", ClientAuth::Key { public_key }, NOW)
        .unwrap();
    pair.run().unwrap();
    let request = pair.to_sign.pop().unwrap();
    let signature = key(50).sign(&request.data);
    pair.client.signed(request.id, &signature, NOW).unwrap();
    pair.run().unwrap();
    assert_eq!(pair.authenticated, (true, true));
}
