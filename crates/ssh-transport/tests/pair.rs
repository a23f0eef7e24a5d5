//! Our client and our server with a wire between them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;

use std::time::Duration;

use common::wire::Message;
use common::{ClientEnd, Login, Pair, START, ServerEnd, TestKey};
use proptest::prelude::*;
use ssh_transport::{
    Algorithms, ApiMisuse, CipherAlgorithm, ClientConfig, DisconnectReason, Error,
    HostKeyAlgorithm, KexAlgorithm, MAX_PAYLOAD_BYTES, MacAlgorithm, Provider, ServerConfig,
};

fn packet(tag: u32, len: usize) -> Vec<u8> {
    let mut payload = Message::new(94).word(tag).done();
    payload.resize(len.max(5), (tag % 256) as u8);
    payload
}

/// One algorithm of each kind. Without a MAC for ciphers that need none.
#[derive(Debug, Clone, Copy)]
struct Choice {
    kex: KexAlgorithm,
    cipher: CipherAlgorithm,
    mac: Option<MacAlgorithm>,
    host_key: HostKeyAlgorithm,
}

const PLAIN: Choice = Choice {
    kex: KexAlgorithm::Curve25519Sha256,
    cipher: CipherAlgorithm::Aes256Gcm,
    mac: None,
    host_key: HostKeyAlgorithm::Ed25519,
};

impl Choice {
    fn client_config(self) -> ClientConfig {
        let mut config = ClientConfig::default();
        config.algorithms.kex = vec![self.kex];
        config.algorithms.ciphers = vec![self.cipher];
        if let Some(mac) = self.mac {
            config.algorithms.macs = vec![mac];
        }
        config.algorithms.host_keys = vec![self.host_key];
        config
    }
}

/// Every cipher with every MAC that it may have.
fn suites() -> Vec<Choice> {
    let mut suites = Vec::new();
    for cipher in CipherAlgorithm::ALL {
        if cipher.is_authenticated() {
            suites.push(Choice { cipher, ..PLAIN });
            continue;
        }
        for mac in MacAlgorithm::ALL.map(Some) {
            suites.push(Choice {
                cipher,
                mac,
                ..PLAIN
            });
        }
    }
    suites
}

/// Each key exchange method with three ciphers, each cipher with each MAC, each host key.
fn choices() -> Vec<Choice> {
    let mut choices = suites();
    for kex in KexAlgorithm::ALL {
        for suite in suites().into_iter().step_by(5) {
            choices.push(Choice { kex, ..suite });
        }
    }
    choices.extend(HostKeyAlgorithm::KEYS.map(|host_key| Choice { host_key, ..PLAIN }));
    choices
}

fn every_algorithm() -> ServerConfig {
    ServerConfig {
        algorithms: Algorithms::legacy(),
        ..ServerConfig::default()
    }
}

#[test]
fn every_algorithm_carries_packets_both_ways_across_a_rekey() {
    for choice in choices() {
        let key = TestKey::of(choice.host_key);
        let blob = key.blob.clone();
        let config = choice.client_config();
        let mut pair = Pair::new(config, every_algorithm(), vec![key], Login::None);
        let mut turn = 0;
        pair.run_in_pieces(|| {
            turn += 1;
            turn * 7919 % 300 + 1
        });
        assert!(
            pair.client.authenticated && pair.server.authenticated,
            "{choice:?}"
        );
        let sent: Vec<_> = (0..5).map(|i| packet(i, 1 << (3 * i))).collect();
        for payload in &sent {
            pair.client.machine.send_packet(payload, START).unwrap();
            pair.server.machine.send_packet(payload, START).unwrap();
        }
        pair.client.machine.start_rekey(START);
        pair.server.machine.start_rekey(START);
        for payload in &sent {
            pair.client.machine.send_packet(payload, START).unwrap();
            pair.server.machine.send_packet(payload, START).unwrap();
        }
        pair.run();
        let twice = [sent.clone(), sent].concat();
        assert!(pair.client.received == twice && pair.server.received == twice);
        for exchanges in [&pair.client.exchanges, &pair.server.exchanges] {
            assert_eq!(exchanges.len(), 2);
            assert_eq!(exchanges[0].session_id, exchanges[1].session_id);
            assert_eq!((exchanges[0].first, exchanges[1].first), (true, false));
            for exchange in exchanges {
                assert!(exchange.strict && exchange.kex == choice.kex.name());
                assert_eq!(exchange.cipher_in, choice.cipher.name());
                assert_eq!(exchange.mac_in, choice.mac.map(MacAlgorithm::name));
            }
        }
        assert_eq!(
            pair.client.exchanges[0].session_id,
            pair.server.exchanges[0].session_id
        );
        assert_eq!(pair.client.host_keys.len(), 2);
        assert!(
            pair.client
                .host_keys
                .iter()
                .all(|k| k.public_key == blob && !k.changed)
        );
    }
}

#[test]
fn the_library_draws_its_own_randomness_and_everything_works_alike() {
    let hello = |provider| {
        let config = ServerConfig {
            provider,
            ..ServerConfig::default()
        };
        let mut end = ServerEnd::new(config, 2, vec![TestKey::ed25519(7)]);
        end.machine.poll_output().unwrap().to_vec()
    };
    assert_eq!(hello(Provider::Seeded), hello(Provider::Seeded));
    assert_ne!(hello(Provider::AwsLc), hello(Provider::AwsLc));
    assert!(Provider::Seeded.is_deterministic() && !Provider::AwsLc.is_deterministic());
    for kex in KexAlgorithm::ALL {
        if KexAlgorithm::LEGACY.contains(&kex) {
            continue;
        }
        let mut client = Choice { kex, ..PLAIN }.client_config();
        client.provider = Provider::AwsLc;
        let mut server = every_algorithm();
        server.provider = Provider::AwsLc;
        let mut pair = Pair::new(client, server, vec![TestKey::ed25519(7)], Login::None);
        pair.run();
        assert!(pair.client.authenticated && pair.server.authenticated);
        assert_eq!(pair.client.exchanges[0].kex, kex.name());
    }
}

#[test]
fn the_fips_profile_meets_itself_and_says_whether_it_is_the_module() {
    let (mut client, mut server) = (ClientConfig::default(), ServerConfig::default());
    (client.provider, client.algorithms) = (Provider::AwsLc, Algorithms::fips());
    (server.provider, server.algorithms) = (Provider::AwsLc, Algorithms::fips());
    let key = TestKey::of(HostKeyAlgorithm::EcdsaP256);
    let mut pair = Pair::new(client, server, vec![key], Login::None);
    pair.run();
    assert!(pair.client.authenticated && pair.server.authenticated);
    let exchange = &pair.client.exchanges[0];
    assert_eq!(
        (exchange.kex, exchange.cipher_in),
        ("ecdh-sha2-nistp256", "aes256-gcm@openssh.com")
    );
    assert_eq!(Provider::AwsLc.is_fips_module(), cfg!(feature = "fips"));
    assert!(!Provider::Seeded.is_fips_module());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_packet_is_lost_or_reordered_however_bytes_are_cut_and_exchanges_cross(
        sizes in prop::collection::vec(1usize..3000, 1..20),
        lengths in prop::collection::vec(5usize..9000, 1..60),
        client_rekeys in 1u64..200_000,
        server_rekeys in 1u64..200_000,
        suite in 0usize..15,
    ) {
        let mut client = suites()[suite].client_config();
        client.rekey.max_bytes = client_rekeys;
        let mut server = every_algorithm();
        server.rekey.max_bytes = server_rekeys;
        let mut pair = Pair::new(client, server, vec![TestKey::ed25519(7)], Login::None);
        let mut turn = 0;
        let mut size = || {
            turn += 1;
            sizes[turn % sizes.len()]
        };
        pair.run_in_pieces(&mut size);
        let mut sent = Vec::new();
        for (i, len) in lengths.iter().enumerate() {
            let payload = packet(u32::try_from(i).unwrap(), *len);
            pair.client.machine.send_packet(&payload, START).unwrap();
            pair.server.machine.send_packet(&payload, START).unwrap();
            sent.push(payload);
            if i % 3 == 0 {
                // One direction a little, so that the sides are at different points of an exchange.
                let some = pair.client.machine.poll_output().unwrap_or_default();
                pair.server.feed(&some).unwrap();
            }
            if i % 7 == 0 {
                pair.run_in_pieces(&mut size);
            }
        }
        pair.run_in_pieces(&mut size);
        prop_assert!(pair.client.received == sent);
        prop_assert!(pair.server.received == sent);
        prop_assert_eq!(pair.client.machine.queued_bytes(), 0);
        prop_assert_eq!(pair.server.machine.queued_bytes(), 0);
    }
}

/// All bytes that both sides send in a session, with the input cut at `size`.
fn transcript(client_seed: u8, size: usize) -> (Vec<u8>, Vec<u8>) {
    let mut client = ClientEnd::new(ClientConfig::default(), client_seed, Login::None);
    let mut server = ServerEnd::new(ServerConfig::default(), 2, vec![TestKey::ed25519(7)]);
    let (mut up, mut down) = (Vec::new(), Vec::new());
    let mut turn = 0;
    loop {
        let to_server = client.machine.poll_output().unwrap_or_default();
        let to_client = server.machine.poll_output().unwrap_or_default();
        up.extend_from_slice(&to_server);
        down.extend_from_slice(&to_client);
        for piece in to_server.chunks(size) {
            server.feed(piece).unwrap();
        }
        for piece in to_client.chunks(size) {
            client.feed(piece).unwrap();
        }
        if to_server.is_empty() && to_client.is_empty() {
            turn += 1;
            if turn == 3 {
                return (up, down);
            }
            client
                .machine
                .send_packet(&packet(turn, 1000), START)
                .unwrap();
            server.machine.start_rekey(START);
            server
                .machine
                .send_packet(&packet(turn, 1000), START)
                .unwrap();
        }
    }
}

#[test]
fn equal_seeds_give_equal_bytes_however_the_input_is_cut() {
    let whole = transcript(1, usize::MAX);
    assert!(whole.0.len() > 4000 && whole.1.len() > 4000);
    for size in [1, 2, 3, 17, 64, 1000] {
        assert!(transcript(1, size) == whole, "pieces of {size}");
    }
    assert!(transcript(3, usize::MAX).0 != whole.0);
}

#[test]
fn a_goodbye_amid_a_key_exchange_still_arrives() {
    let mut pair = Pair::ready();
    pair.server.machine.start_rekey(START);
    pair.server
        .machine
        .send_packet(&packet(1, 100), START)
        .unwrap();
    pair.server
        .machine
        .disconnect(DisconnectReason::ByApplication, "session ended");
    pair.run();
    assert_eq!(pair.client.goodbye, Some((11, "session ended".to_owned())));
    assert!(pair.client.received.is_empty());
    assert_eq!(
        pair.client.machine.send_packet(&packet(1, 9), START),
        Err(Error::Disconnected)
    );
}

#[test]
fn nothing_of_the_connection_layer_leaves_between_kexinit_and_newkeys() {
    let mut pair = Pair::ready();
    pair.client.machine.start_rekey(START);
    let kexinit = pair.client.machine.poll_output().unwrap();
    pair.client
        .machine
        .send_packet(&packet(1, 50_000), START)
        .unwrap();
    assert_eq!(pair.client.machine.poll_output(), None);
    assert!(pair.client.machine.queued_bytes() >= 50_000);
    // What the server sent before it saw the KEXINIT still comes through.
    pair.server
        .machine
        .send_packet(&packet(2, 500), START)
        .unwrap();
    let late = pair.server.machine.poll_output().unwrap();
    pair.client.feed(&late).unwrap();
    assert_eq!(pair.client.received, [packet(2, 500)]);
    pair.server.feed(&kexinit).unwrap();
    pair.run();
    assert_eq!(pair.server.received, [packet(1, 50_000)]);
    assert_eq!(pair.client.machine.queued_bytes(), 0);
}

#[test]
fn keys_are_exchanged_again_after_their_time() {
    let mut pair = Pair::ready();
    let due = pair.server.machine.poll_timeout().unwrap();
    assert_eq!(due, START + Duration::from_secs(3600));
    pair.server
        .machine
        .handle_timeout(due - Duration::from_millis(1))
        .unwrap();
    assert_eq!(pair.server.machine.poll_output(), None);
    pair.server.now = due;
    pair.server.machine.handle_timeout(due).unwrap();
    pair.run();
    assert_eq!(pair.client.exchanges.len(), 2);
    assert_eq!(
        pair.server.machine.poll_timeout(),
        Some(due + Duration::from_secs(3600))
    );
}

#[test]
fn keys_are_exchanged_again_after_their_packets() {
    let mut config = ClientConfig::default();
    config.rekey.max_packets = 10;
    let mut pair = Pair::new(
        config,
        ServerConfig::default(),
        vec![TestKey::ed25519(7)],
        Login::None,
    );
    pair.run();
    for i in 0..40 {
        pair.server
            .machine
            .send_packet(&packet(i, 10), START)
            .unwrap();
        pair.run();
    }
    assert_eq!(pair.client.received.len(), 40);
    assert!(
        (3..=12).contains(&pair.client.exchanges.len()),
        "{}",
        pair.client.exchanges.len()
    );
}

#[test]
fn the_host_key_is_asked_about_again_on_rekey_and_is_the_same() {
    let mut pair = Pair::ready();
    pair.client.machine.start_rekey(START);
    pair.run();
    let seen: Vec<_> = pair
        .client
        .host_keys
        .iter()
        .map(|k| (k.algorithm, k.rekey, k.changed))
        .collect();
    let algorithm = HostKeyAlgorithm::Ed25519;
    assert_eq!(seen, [(algorithm, false, false), (algorithm, true, false)]);
}

#[test]
fn the_longest_payload_passes_and_a_longer_one_is_refused_without_harm() {
    let mut pair = Pair::ready();
    let longest = packet(1, MAX_PAYLOAD_BYTES);
    let too_long = packet(1, MAX_PAYLOAD_BYTES + 1);
    let refused = Err(Error::ApiMisuse(ApiMisuse::PayloadTooLong {
        got: MAX_PAYLOAD_BYTES + 1,
    }));
    assert_eq!(pair.client.machine.send_packet(&too_long, START), refused);
    assert_eq!(
        pair.client.machine.send_packet(&[50], START),
        Err(Error::ApiMisuse(ApiMisuse::NotConnectionPacket))
    );
    pair.client.machine.send_packet(&longest, START).unwrap();
    pair.run();
    assert!(pair.server.received == [longest]);
}
