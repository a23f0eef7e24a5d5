use super::*;
use crate::auth::{publickey_request, signed_data};
use crate::message::number;
use crate::wire::Put as _;

pub(super) fn request(user: &str, service: &str, method: &str) -> Vec<u8> {
    let mut message = Vec::from([number::USERAUTH_REQUEST]);
    for field in [user, service, method] {
        message.put_string(field.as_bytes());
    }
    message
}

pub(super) fn none(user: &str) -> Vec<u8> {
    request(user, "ssh-connection", "none")
}

/// A signed request of `key`, where `change` may spoil the data before it is signed.
pub(super) fn signed_request(
    pair: &Pair,
    user: &str,
    key: &Ed25519Key,
    change: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let mut request = publickey_request(user, "ssh-ed25519", &key.public_key_blob(), None);
    let mut data = signed_data(pair.server.core.session_id().unwrap(), &request);
    change(&mut data);
    request.put_string(&key.sign(&data));
    request
}

/// RFC 4252 section 7: the request without a signature.
pub(super) fn query(user: &str, key: &Ed25519Key) -> Vec<u8> {
    let mut message = request(user, "ssh-connection", "publickey");
    message.put_byte(0);
    message.put_string(b"ssh-ed25519");
    message.put_string(&key.public_key_blob());
    message
}

pub(super) const FAILURE: &[u8] = b"\x33\0\0\0\x09publickey\0";

#[test]
fn public_key_operations_before_a_login_are_bounded() {
    let mut pair = Pair::in_service();
    pair.judge = Judge::Reject;
    pair.client.start_rekey(NOW);
    pair.run().unwrap();
    // Two on each side; `key_exchanges_before_authentication_are_few` has the third.
    assert_eq!(pair.exchanges, 4);
    // Each of these is one verification, whatever comes of it.
    let mut verifications = 0;
    let result = loop {
        let spoil = |data: &mut Vec<u8>| data.truncate(verifications % 2 * data.len());
        let request = signed_request(&pair, "alice", &key(9), spoil);
        match pair.server_gets(&request) {
            Ok(()) => verifications += 1,
            error => break error,
        }
    };
    assert_eq!(result, misbehaved(PeerMisbehaved::TooManyAuthAttempts));
    let limit = Limits::default().max_auth_attempts as usize;
    assert_eq!((verifications, pair.attempts.len()), (limit, limit / 2));
}

#[test]
fn a_request_before_its_service_is_refused() {
    assert_eq!(
        Pair::exchanged().server_gets(&none("alice")),
        unexpected(50)
    );
}

#[test]
fn a_service_other_than_authentication_is_refused() {
    for service in ["ssh-connection", "", "ssh-userauth\0"] {
        let request = message::service(number::SERVICE_REQUEST, service);
        assert_eq!(
            Pair::exchanged().server_gets(&request),
            misbehaved(PeerMisbehaved::UnknownService)
        );
    }
}

#[test]
fn accepting_a_query_lets_nobody_in() {
    // CVE-2024-45337: what was decided for a key that was only shown.
    let mut pair = Pair::in_service();
    let shown = key(50);
    pair.server_gets(&query("alice", &shown)).unwrap();
    assert!(matches!(
        &pair.attempts[0].1,
        AuthMethod::PublicKey {
            proof: KeyProof::Query,
            ..
        }
    ));
    assert_eq!(pair.authenticated, (false, false));
    let mut ok = Vec::from([number::USERAUTH_PK_OK]);
    ok.put_string(b"ssh-ed25519");
    ok.put_string(&shown.public_key_blob());
    assert_eq!(pair.server_said(), [ok]);
    assert_eq!(
        pair.server.send_packet(&[98], NOW),
        Err(Error::ApiMisuse(ApiMisuse::NotAuthenticated))
    );

    // A signature by another key is another question, about that key.
    let other = key(51);
    let attempt = signed_request(&pair, "alice", &other, |_| {});
    pair.judge = Judge::Wait;
    pair.server_gets(&attempt).unwrap();
    let blob = other.public_key_blob();
    assert!(matches!(
        &pair.open[0].method,
        AuthMethod::PublicKey { proof: KeyProof::Verified, public_key, .. } if *public_key == blob
    ));
    assert_eq!(pair.authenticated, (false, false));
}

/// Changes the first `from`, which is as long as `to`.
fn change_in(data: &mut [u8], from: &str, to: &str) {
    let at = data
        .windows(from.len())
        .position(|window| window == from.as_bytes())
        .unwrap();
    data[at..at + to.len()].copy_from_slice(to.as_bytes());
}

#[test]
fn a_signature_over_anything_else_is_refused_without_asking() {
    let user_key = key(50);
    let spoil: [fn(&mut Vec<u8>); 8] = [
        |data| data[4] ^= 1,                            // another session
        |data| data.truncate(data.len() - 1),           // another blob
        |data| data[4 + 32 + 1 + 4] = b'b',             // another user
        |data| data[4 + 32] = number::USERAUTH_FAILURE, // another message
        |data| change_in(data, "ssh-connection", "ssh-connectiom"),
        |data| change_in(data, "publickey", "hostbased"),
        |data| change_in(data, "publickey\x01", "publickey\0"),
        |data| change_in(data, "ssh-ed25519", "ssh-ed25518"),
    ];
    for change in spoil {
        let mut pair = Pair::in_service();
        let attempt = signed_request(&pair, "alice", &user_key, change);
        pair.server_gets(&attempt).unwrap();
        assert!(pair.attempts.is_empty());
        assert_eq!(pair.server_said(), [FAILURE]);
    }
    let mut pair = Pair::in_service();
    let attempt = signed_request(&pair, "alice", &user_key, |_| {});
    pair.server_gets(&attempt).unwrap();
    assert_eq!(pair.attempts.len(), 1);
}

#[test]
fn a_key_is_taken_only_under_an_algorithm_of_its_own_blob() {
    let bare = key(50).public_key_blob();
    let mut certificate = Vec::new();
    certificate.put_string(b"ssh-ed25519-cert-v01@openssh.com");
    certificate.put_string(&[0; 32]);
    certificate.put_string(&bare[19..]);
    certificate.put_word(0);
    for (algorithm, blob, is_taken) in [
        ("ssh-ed25519", &bare, true),
        ("ssh-ed25519", &certificate, false),
        ("ssh-ed25519-cert-v01@openssh.com", &certificate, true),
        ("ssh-ed25519-cert-v01@openssh.com", &bare, false),
        ("ecdsa-sha2-nistp256", &bare, false),
        ("rsa-sha2-512", &bare, false),
        ("sk-ssh-ed25519@openssh.com", &bare, false),
    ] {
        let mut pair = Pair::in_service();
        let mut request = publickey_request("alice", algorithm, blob, None);
        let data = signed_data(pair.server.core.session_id().unwrap(), &request);
        request.put_string(&key(50).sign(&data));
        pair.judge = Judge::Reject;
        pair.server_gets(&request).unwrap();
        assert_eq!(pair.attempts.len(), usize::from(is_taken), "{algorithm}");
    }
}

#[test]
fn every_flipped_bit_of_a_signed_request_is_refused() {
    let user_key = key(50);
    let mut pair = Pair::in_service();
    let good = signed_request(&pair, "alice", &user_key, |_| {});
    for position in 0..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 1 << (position % 8);
        pair.judge = Judge::Reject;
        let result = pair.server_gets(&bad);
        let is_verified = |(_, method): &(String, AuthMethod)| {
            matches!(
                method,
                AuthMethod::PublicKey {
                    proof: KeyProof::Verified,
                    ..
                }
            )
        };
        assert!(
            !pair.attempts.iter().any(is_verified),
            "bit in byte {position}"
        );
        if result.is_err() || position % 15 == 14 {
            pair = Pair::in_service();
        }
    }
}

#[test]
fn a_signature_for_one_session_does_not_serve_in_another() {
    let user_key = key(50);
    let first = Pair::in_service();
    let attempt = signed_request(&first, "alice", &user_key, |_| {});
    let config = ClientConfig {
        identification: "SSH-2.0-another".to_string(),
        ..ClientConfig::default()
    };
    let mut second = Pair::with(config, ServerConfig::default());
    second.run().unwrap();
    second.client_sends(&message::service(number::SERVICE_REQUEST, "ssh-userauth"));
    second.server_gets(&attempt).unwrap();
    assert!(second.attempts.is_empty());
}

#[test]
fn another_user_name_or_service_after_the_first_ends_the_connection() {
    let changed = misbehaved(PeerMisbehaved::UserNameChanged);
    for next in [
        none("root"),
        none("alice "),
        none(""),
        request("alice", "other", "none"),
    ] {
        let mut pair = Pair::in_service();
        pair.judge = Judge::Reject;
        pair.server_gets(&none("alice")).unwrap();
        pair.server_gets(&none("alice")).unwrap();
        assert_eq!(pair.server_gets(&next), changed);
    }
}

#[test]
fn requests_after_success_change_nothing() {
    let mut pair = Pair::ready();
    pair.server_gets(&none("root")).unwrap();
    assert_eq!(pair.attempts.len(), 1);
    assert_eq!(pair.server.poll_output(), None);
    pair.client.send_packet(&[98, 1], NOW).unwrap();
    pair.run().unwrap();
    assert_eq!(pair.server_received, [[98, 1]]);
}

#[test]
fn a_request_waits_while_another_is_undecided() {
    let mut pair = Pair::in_service();
    pair.judge = Judge::Wait;
    pair.client_sends(&none("alice"));
    pair.client_sends(&none("alice"));
    pair.run_server().unwrap();
    assert_eq!(pair.open.len(), 1);
    let attempt = pair.open.pop().unwrap();
    pair.server.reject(attempt.id, &["publickey"], NOW);
    pair.run_server().unwrap();
    assert_eq!(pair.open.len(), 1);
    assert_eq!(pair.server_said(), [FAILURE]);
}

#[test]
fn an_answer_to_an_old_or_foreign_question_does_nothing() {
    let mut pair = Pair::in_service();
    pair.judge = Judge::Wait;
    pair.server_gets(&none("alice")).unwrap();
    let wrong = Err(Error::ApiMisuse(ApiMisuse::NoSuchQuestion));
    assert_eq!(pair.server.accept(AuthId(9999), NOW), wrong);
    assert_eq!(
        pair.server.signed(SignId(pair.open[0].id.0), b"", NOW),
        wrong
    );
    pair.server.reject(AuthId(9999), &[], NOW);
    assert_eq!(pair.server.poll_output(), None);
    let attempt = pair.open.pop().unwrap();
    let copy = AuthId(attempt.id.0);
    pair.server.accept(attempt.id, NOW).unwrap();
    assert_eq!(pair.server.accept(copy, NOW), wrong);
}

#[test]
fn names_that_no_user_has_are_refused_without_asking() {
    let long = "x".repeat(MAX_USER_NAME_BYTES + 1);
    for bad in [
        none(&long),
        none("al\nice"),
        none("a\x1b[2J"),
        request("alice", "ssh-userauth", "none"),
    ] {
        let mut pair = Pair::in_service();
        pair.server_gets(&bad).unwrap();
        assert!(pair.attempts.is_empty());
        assert_eq!(pair.server_said(), [FAILURE]);
    }
    let mut not_utf8 = Vec::from([number::USERAUTH_REQUEST]);
    not_utf8.put_string(b"\xff\xfe");
    not_utf8.put_string(b"ssh-connection");
    not_utf8.put_string(b"none");
    let mut pair = Pair::in_service();
    pair.server_gets(&not_utf8).unwrap();
    assert!(pair.attempts.is_empty());
}

#[test]
fn other_methods_and_unknown_keys_are_handed_over_as_such() {
    let mut password = request("alice", "ssh-connection", "password");
    password.put_byte(0);
    password.put_string(b"secret");
    let key_of = |algorithm: &str| {
        let mut message = request("alice", "ssh-connection", "publickey");
        message.put_byte(0);
        message.put_string(algorithm.as_bytes());
        message.put_string(b"blob");
        message
    };
    for (message, expected) in [
        (password, "password"),
        (key_of("ssh-dss"), "publickey"),
        // Known, and not taken unless configured.
        (key_of("ssh-rsa"), "publickey"),
    ] {
        let mut pair = Pair::in_service();
        pair.judge = Judge::Wait;
        pair.server_gets(&message).unwrap();
        assert_eq!(
            pair.attempts[0].1,
            AuthMethod::Other {
                name: expected.to_string()
            }
        );
        // Nothing of it was verified: nobody can be let in by it, not even by mistake.
        let attempt = pair.open.pop().unwrap();
        let copies = [AuthId(attempt.id.0), AuthId(attempt.id.0)];
        let nothing = Err(Error::ApiMisuse(ApiMisuse::NothingToAccept));
        assert_eq!(pair.server.accept(attempt.id, NOW), nothing);
        let [copy, last] = copies;
        assert_eq!(pair.server.accept_partially(copy, &[], NOW), nothing);
        pair.server.reject(last, &["publickey"], NOW);
        assert_eq!(pair.server_said(), [FAILURE]);
    }
}

#[test]
fn every_truncation_of_a_request_is_malformed_or_refused() {
    let pair = Pair::in_service();
    let good = signed_request(&pair, "alice", &key(50), |_| {});
    for len in 1..good.len() {
        let mut pair = Pair::in_service();
        let result = pair.server_gets(&good[..len]);
        assert_eq!(
            result,
            misbehaved(PeerMisbehaved::MalformedMessage),
            "{len}"
        );
        assert!(pair.server.is_closed());
    }
}

#[test]
fn a_client_does_not_take_success_or_failure_that_it_did_not_ask_for() {
    assert_eq!(
        Pair::exchanged().client_gets(&[number::USERAUTH_SUCCESS]),
        unexpected(52)
    );
    assert_eq!(Pair::exchanged().client_gets(FAILURE), unexpected(51));
    assert_eq!(
        Pair::exchanged().client_gets(&[number::USERAUTH_PK_OK]),
        unexpected(60)
    );
    let mut pair = Pair::ready();
    pair.client_gets(&[number::USERAUTH_SUCCESS]).unwrap();
    assert_eq!(pair.client.core.poll_event(), None);
}

#[test]
fn only_a_few_banners_of_a_server_are_shown() {
    let mut pair = Pair::exchanged();
    let mut banner = Vec::from([number::USERAUTH_BANNER]);
    banner.put_string("x".repeat(100_000).as_bytes());
    banner.put_string(b"");
    for _ in 0..MAX_BANNERS + 5 {
        pair.server_sends(&banner);
    }
    let mut bytes = pair.server.poll_output().unwrap().to_vec();
    let mut texts = Vec::new();
    loop {
        let consumed = pair.client.handle_input(&mut bytes, NOW).unwrap().consumed;
        bytes.drain(..consumed);
        while let Some(event) = pair.client.poll_event() {
            if let ClientEvent::Banner(text) = event {
                texts.push(text.len());
            }
        }
        if consumed == 0 {
            break;
        }
    }
    assert_eq!(texts, [MAX_BANNER_BYTES; MAX_BANNERS]);
}
