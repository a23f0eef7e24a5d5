//! Our client and our server up to the login: what comes through, what is refused and how that is told.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;

use std::time::Duration;

use common::{ClientEnd, Login, Pair, START, ServerEnd, TestKey, accept_keys};
use ssh_transport::{
    ApiMisuse, CipherAlgorithm, ClientConfig, DisconnectReason, Error, HostKeyAlgorithm,
    KexAlgorithm, Negotiated, PeerMisbehaved, ServerConfig, Timer,
};

/// A packet of the connection layer.
const PACKET: &[u8] = &[94, 0, 0, 0, 1];

#[test]
fn a_server_leaves_the_clients_packets_alone_until_it_is_started() {
    let mut client = ClientEnd::new(ClientConfig::default(), 1, Login::None);
    let mut server = ServerEnd::unstarted(ServerConfig::default(), 2, vec![TestKey::ed25519(7)]);
    let mut bytes = client.machine.poll_output().unwrap().to_vec();
    let line = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    assert_eq!(
        server
            .machine
            .handle_input(&mut bytes, START)
            .unwrap()
            .consumed,
        line
    );
    assert_eq!(
        server
            .machine
            .handle_input(&mut bytes[line..], START)
            .unwrap()
            .consumed,
        0
    );
    let ours = server.machine.poll_output().unwrap();
    assert!(
        ours.starts_with(b"SSH-2.0-")
            && ours.ends_with(b"\r\n")
            && ours.iter().filter(|b| **b == b'\n').count() == 1
    );
    client.feed(&ours).unwrap();
    server.start();
    server.feed(&bytes[line..]).unwrap();
    let mut pair = Pair { client, server };
    pair.run();
    assert!(pair.client.authenticated);
}

#[test]
fn a_refusal_right_after_the_identification_is_read_by_the_client() {
    let mut client = ClientEnd::new(ClientConfig::default(), 1, Login::None);
    let mut server = ServerEnd::unstarted(ServerConfig::default(), 2, vec![TestKey::ed25519(7)]);
    server.machine.disconnect(
        DisconnectReason::HostNotAllowedToConnect,
        "access denied: not \x1b[31myou\n",
    );
    assert!(server.machine.is_closed());
    client.feed(&server.machine.poll_output().unwrap()).unwrap();
    assert_eq!(
        client.goodbye,
        Some((1, "access denied: not [31myou\n".to_owned()))
    );
    assert!(client.machine.is_closed());
    // What comes later is ignored.
    server.feed(b"anything").unwrap();
    assert_eq!(server.machine.poll_output(), None);
}

#[test]
fn a_rejected_host_key_ends_the_connection_before_new_keys() {
    let mut pair = Pair::plain();
    pair.client.accept_host_keys = false;
    pair.run();
    assert!(pair.client.machine.is_closed() && !pair.client.authenticated);
    assert!(pair.client.exchanges.is_empty());
    assert_eq!(
        pair.server.goodbye.as_ref().unwrap().0,
        DisconnectReason::HostKeyNotVerifiable.code()
    );
}

#[test]
fn each_kind_of_user_key_logs_in_with_a_verified_signature() {
    for algorithm in HostKeyAlgorithm::KEYS {
        let key = TestKey::of(algorithm);
        let login = Login::Key {
            algorithm: algorithm.name().to_owned(),
            blob: key.blob,
            sign: key.sign,
        };
        let mut pair = Pair::new(
            ClientConfig::default(),
            ServerConfig::default(),
            vec![TestKey::ed25519(7)],
            login,
        );
        pair.server.judge = accept_keys;
        pair.run();
        assert!(pair.client.authenticated, "{algorithm:?}");
        assert_eq!(pair.server.verified_keys(), 1);
        assert_eq!(pair.server.attempts[0].0, "alice");
    }
}

#[test]
fn a_refused_client_is_told_what_remains_and_sees_the_banner() {
    let mut pair = Pair::plain();
    pair.server.judge = |_| false;
    pair.server.machine.banner("before\x07 all");
    pair.run();
    assert_eq!(pair.client.failures, [["publickey"]]);
    assert_eq!(pair.client.banners, ["before all", "not that way\n"]);
    assert!(!pair.client.authenticated && !pair.client.machine.is_closed());
}

#[test]
fn sides_without_a_common_algorithm_say_which() {
    let incompatible = |change: fn(&mut ClientConfig)| {
        let mut config = ClientConfig::default();
        change(&mut config);
        let mut client = ClientEnd::new(config, 1, Login::None);
        let mut server_config = ServerConfig::default();
        server_config.algorithms.kex = vec![KexAlgorithm::Curve25519Sha256];
        server_config.algorithms.ciphers = vec![CipherAlgorithm::Aes256Gcm];
        let mut server = ServerEnd::new(server_config, 2, vec![TestKey::ed25519(7)]);
        let error = server
            .feed(&client.machine.poll_output().unwrap())
            .unwrap_err();
        assert!(server.machine.is_closed());
        let reply = server.machine.poll_output().unwrap();
        let line = reply.iter().position(|b| *b == b'\n').unwrap() + 1;
        let last = common::wire::clear_payloads(&reply[line..]).pop().unwrap();
        assert_eq!(
            last[..5],
            [1, 0, 0, 0, 3],
            "the last packet is DISCONNECT, key exchange failed"
        );
        client.feed(&reply).unwrap_err();
        error
    };
    let what = |what| Error::PeerIncompatible { what };
    assert_eq!(
        incompatible(|c| c.algorithms.kex = vec![KexAlgorithm::EcdhNistP256]),
        what(Negotiated::KeyExchange)
    );
    assert_eq!(
        incompatible(|c| c.algorithms.ciphers = vec![CipherAlgorithm::ChaCha20Poly1305]),
        what(Negotiated::Cipher)
    );
    assert_eq!(
        incompatible(|c| c.algorithms.host_keys = vec![HostKeyAlgorithm::RsaSha512]),
        what(Negotiated::HostKey)
    );
}

#[test]
fn who_does_not_log_in_in_time_is_sent_away() {
    let mut pair = Pair::plain();
    pair.server.judge = |_| false;
    pair.run();
    let deadline = pair.server.machine.poll_timeout().unwrap();
    assert_eq!(deadline, START + ServerConfig::default().login_grace);
    pair.server
        .machine
        .handle_timeout(deadline - Duration::from_nanos(1))
        .unwrap();
    assert_eq!(
        pair.server.machine.handle_timeout(deadline),
        Err(Error::TimedOut(Timer::LoginGrace))
    );
    assert!(pair.server.machine.is_closed());
    assert_eq!(pair.server.machine.poll_timeout(), None);
    pair.run();
    assert_eq!(
        pair.client.goodbye.as_ref().unwrap().1,
        "timed out: login grace time exceeded"
    );
}

#[test]
fn more_time_to_log_in_is_given_once_asked_and_never_after_the_login() {
    let mut pair = Pair::plain();
    pair.server.judge = |_| false;
    pair.run();
    let grace = ServerConfig::default().login_grace;
    let more = Duration::from_secs(100);
    pair.server.machine.extend_login_grace(more);
    let deadline = pair.server.machine.poll_timeout().unwrap();
    assert_eq!(deadline, START + grace + more);
    pair.server.machine.handle_timeout(START + grace).unwrap();
    pair.server.machine.handle_timeout(deadline).unwrap_err();

    let mut pair = Pair::plain();
    pair.run();
    let deadline = pair.server.machine.poll_timeout();
    pair.server.machine.extend_login_grace(more);
    assert_eq!(pair.server.machine.poll_timeout(), deadline);
}

#[test]
fn nothing_can_be_sent_before_authentication() {
    let mut pair = Pair::plain();
    let early = Err(Error::ApiMisuse(ApiMisuse::NotAuthenticated));
    assert_eq!(pair.client.machine.send_packet(PACKET, START), early);
    pair.server.judge = |_| false;
    pair.run();
    assert_eq!(pair.server.machine.send_packet(PACKET, START), early);
    assert!(!pair.server.machine.is_closed());
}

#[test]
fn a_client_that_tries_too_often_is_sent_away() {
    let mut config = ServerConfig::default();
    config.limits.max_auth_attempts = 3;
    let mut pair = Pair::new(
        ClientConfig::default(),
        config,
        vec![TestKey::ed25519(7)],
        Login::None,
    );
    pair.server.judge = |_| false;
    pair.run();
    for _ in 0..2 {
        pair.client
            .machine
            .authenticate("alice", ssh_transport::ClientAuth::None, START)
            .unwrap();
        pair.run();
    }
    pair.client
        .machine
        .authenticate("alice", ssh_transport::ClientAuth::None, START)
        .unwrap();
    let bytes = pair.client.machine.poll_output().unwrap();
    let error = pair.server.feed(&bytes).unwrap_err();
    assert_eq!(
        error,
        Error::PeerMisbehaved(PeerMisbehaved::TooManyAuthAttempts)
    );
}
