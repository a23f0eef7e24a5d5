//! Somebody between our client and our server, who sees whole packets and may drop, repeat, swap, cut, change and add them, at
//! every place of a short session: a login, packets both ways, a key exchange, more packets. Each time, the side that reads
//! them ends with the error that says so, and nothing comes through that was not sent.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;
#[path = "mitm/wire.rs"]
mod wire;

use common::wire::{Fields, Message, clear_packet, clear_payloads};
use common::{ClientEnd, Login, Pair, ServerEnd, TestKey};
use ssh_transport::{
    Algorithms, CipherAlgorithm, ClientConfig, Error, HostKeyAlgorithm, KexAlgorithm,
    PeerMisbehaved, ServerConfig,
};
use wire::{Attack, Direction, Frame, Kind, Outcome, Session};

const DIRECTIONS: [Direction; 2] = [Direction::Up, Direction::Down];
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;
const KEXINIT_AT: usize = 1;
const NEWKEYS_AT: usize = 3;

/// Those that leave the lengths of packets in clear, and the bytes that authenticate one.
const CIPHERS: [(CipherAlgorithm, usize); 2] = [
    (CipherAlgorithm::Aes128Gcm, 16),
    // With hmac-sha2-256-etm@openssh.com.
    (CipherAlgorithm::Aes256Ctr, 32),
];

fn session_with(cipher: CipherAlgorithm, tag_bytes: usize) -> Session {
    let mut config = ClientConfig::default();
    config.algorithms.kex = vec![KexAlgorithm::Curve25519Sha256];
    config.algorithms.ciphers = vec![cipher, CipherAlgorithm::Aes256Gcm];
    let server = ServerConfig {
        algorithms: Algorithms::compatible(),
        ..ServerConfig::default()
    };
    Session::new(
        ClientEnd::new(config, 1, Login::None),
        ServerEnd::new(server, 2, vec![TestKey::ed25519(7)]),
        tag_bytes,
    )
}

fn session() -> Session {
    session_with(CIPHERS[0].0, CIPHERS[0].1)
}

/// All packets of a session that nobody disturbs, by direction.
fn undisturbed(session: Session) -> [Vec<Frame>; 2] {
    let outcome = session.run(None);
    assert_eq!(
        (&outcome.client_error, &outcome.server_error),
        (&None, &None)
    );
    assert!(outcome.is_whole() && outcome.sent[0].len() == 5);
    assert_eq!(outcome.client.exchanges.len(), 2);
    outcome.frames
}

/// How the reader ends when a packet in clear of this message number, or the line, is tampered with. `""`: it does not notice, for what
/// was changed is padding, which means nothing.
#[rustfmt::skip]
const CLEAR: [(Direction, Option<u8>, [&str; 9]); 8] = {
    use Direction::{Down, Up};
    const LENGTH: &str = "bad packet length";
    const LINE: &str = "bad identification line";
    const LATE: &str = "timed out: login grace time exceeded";
    const STRICT_IGNORE: &str = "strict key exchange violated by message 2";
    const STRICT_KEXINIT: &str = "strict key exchange violated by message 20";
    const SIGNATURE: &str = "told: the peer broke the protocol: bad signature of the host key";
    const OWN_SIGNATURE: &str = "bad signature of the host key";
    [
        //           drop, repeat, swap, cut, first bit, length, body, last bit, add IGNORE
        (Up, None, [LINE, LENGTH, LINE, LINE, LINE, LINE, LINE, LINE, LINE]),
        (Up, Some(20), ["message 30 out of place", STRICT_KEXINIT, "message 30 out of place", LENGTH, LENGTH, LENGTH, SIGNATURE, "", STRICT_KEXINIT]),
        (Up, Some(30), [LATE, "message 30 out of place", LATE, LATE, LENGTH, LENGTH, "malformed message", "", STRICT_IGNORE]),
        (Up, Some(21), [LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, "", "", STRICT_IGNORE]),
        // A server may say lines before its own: a changed one may be such a line.
        (Down, None, [LATE, LENGTH, LATE, LINE, LATE, LATE, LINE, LINE, LATE]),
        (Down, Some(20), [LATE, STRICT_KEXINIT, LATE, LATE, LENGTH, LENGTH, OWN_SIGNATURE, "", STRICT_KEXINIT]),
        (Down, Some(31), ["message 21 out of place", "message 31 out of place", "message 21 out of place", LENGTH, LENGTH, LENGTH, "malformed message", "", STRICT_IGNORE]),
        (Down, Some(21), [LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, "", "", STRICT_IGNORE]),
    ]
};

const LAST: usize = usize::MAX;
const ATTACKS: [Attack; 9] = [
    Attack::Drop,
    Attack::Repeat,
    Attack::Swap,
    Attack::Cut,
    Attack::Flip(0),
    Attack::Flip(3),
    Attack::Flip(7),
    Attack::Flip(LAST),
    Attack::AddIgnore,
];

#[test]
fn what_is_tampered_with_before_encryption_ends_with_the_error_that_says_so() {
    let frames = undisturbed(session());
    for (direction, number, ends) in CLEAR {
        let kind = number.map_or(Kind::Line, Kind::Clear);
        let at = frames[direction as usize]
            .iter()
            .position(|frame| frame.kind == kind)
            .unwrap();
        for (attack, expected) in ATTACKS.into_iter().zip(ends) {
            let outcome = session().run(Some((direction, at, attack)));
            let end = outcome.end_of_reader(direction);
            let case = format!("{direction:?} {number:?} {attack:?}: {end}");
            if expected.is_empty() {
                assert!(outcome.is_whole() && end == "told: done", "{case}");
            } else {
                // Without the last byte of NEWKEYS, ciphertext is read as a length, which it is one time in 16.
                let waits = matches!(attack, Attack::Cut)
                    && number == Some(NEWKEYS)
                    && end == "timed out: login grace time exceeded";
                assert!(end.starts_with(expected) || waits, "{case}, not {expected}");
                assert!(nothing_passed(&outcome), "{case}");
            }
        }
    }
}

/// Whether nobody believes to be logged in. (A server may: what the client says at the end of its exchange is genuine.)
fn nothing_passed(outcome: &Outcome) -> bool {
    !outcome.client.authenticated
        && outcome.server.received.is_empty()
        && outcome.client.received.is_empty()
}

#[test]
fn no_sealed_packet_can_be_dropped_repeated_swapped_cut_or_changed() {
    for (cipher, tag_bytes) in CIPHERS {
        attack_every_sealed_packet(&|| session_with(cipher, tag_bytes));
    }
}

fn attack_every_sealed_packet(session: &dyn Fn() -> Session) {
    let frames = undisturbed(session());
    let mut cases = 0;
    for direction in DIRECTIONS {
        for (at, frame) in frames[direction as usize].iter().enumerate() {
            if frame.kind != Kind::Sealed {
                continue;
            }
            for attack in ATTACKS {
                let outcome = session().run(Some((direction, at, attack)));
                let end = outcome.end_of_reader(direction);
                let case = format!("{direction:?} {at} {attack:?}: {end}");
                assert!(outcome.is_beginning(), "{case}");
                let is_last = direction == Direction::Up && at + 1 == frames[0].len();
                let expected = match attack {
                    // A tag that ends in 0 is made whole by the next packet, which begins with one.
                    Attack::Cut if end.starts_with("bad packet length") => continue,
                    // Before the login a side may wait for the answer to what never arrived. Behind the very last packet
                    // there is none whose number could tell.
                    Attack::Drop | Attack::Swap | Attack::Cut if is_last => "",
                    Attack::Drop | Attack::Swap | Attack::Cut
                        if !outcome.server.authenticated || !outcome.client.authenticated =>
                    {
                        assert!(
                            [
                                "packet not authentic",
                                "timed out: login grace time exceeded"
                            ]
                            .contains(&&*end),
                            "{case}"
                        );
                        continue;
                    }
                    // The length is in clear: one that cannot be is refused before the tag is looked at.
                    Attack::Flip(0 | 3) | Attack::AddIgnore => "bad packet length",
                    // What is repeated after a goodbye is not read.
                    Attack::Repeat if is_last => "told: done",
                    _ => "packet not authentic",
                };
                assert!(end.starts_with(expected), "{case}, not {expected}");
                cases += 1;
            }
        }
    }
    assert!(cases > 150, "{cases}");
}

/// A KEXINIT packet with one of its lists changed; the first is that of key exchange methods.
fn with_list(packet: Vec<u8>, which: usize, change: impl Fn(&str) -> String) -> Vec<u8> {
    let payload = clear_payloads(&packet).remove(0);
    let mut fields = Fields(&payload);
    assert_eq!(fields.byte(), KEXINIT);
    let mut message = Message::new(KEXINIT).raw(fields.take(16));
    for number in 0..10 {
        let list = fields.text();
        message = if number == which {
            message.string(change(list))
        } else {
            message.string(list)
        };
    }
    clear_packet(&message.raw(fields.0).done())
}

fn without(list: &str, name: &str) -> String {
    let names: Vec<_> = list.split(',').filter(|n| !n.starts_with(name)).collect();
    names.join(",")
}

#[test]
fn a_downgraded_list_is_found_out_by_the_signature_of_the_host_key() {
    let downgrades: [wire::Change; 4] = [
        |packet| with_list(packet, 0, |list| without(list, "mlkem768x25519")),
        |packet| with_list(packet, 0, |list| without(list, "kex-strict")),
        |packet| with_list(packet, 0, |list| without(list, "ext-info")),
        |packet| {
            with_list(
                with_list(packet, 2, |list| without(list, "aes128-gcm")),
                3,
                |list| without(list, "aes128-gcm"),
            )
        },
    ];
    for (number, change) in downgrades.into_iter().enumerate() {
        for direction in DIRECTIONS {
            // A server does not say ext-info-c.
            if number == 2 && direction == Direction::Down {
                continue;
            }
            let mut config = ClientConfig::default();
            config.algorithms.kex = vec![
                KexAlgorithm::MlKem768X25519Sha256,
                KexAlgorithm::Curve25519Sha256,
            ];
            config.algorithms.ciphers =
                vec![CipherAlgorithm::Aes128Gcm, CipherAlgorithm::Aes256Gcm];
            let session = Session::new(
                ClientEnd::new(config, 1, Login::None),
                ServerEnd::new(ServerConfig::default(), 2, vec![TestKey::ed25519(7)]),
                16,
            );
            let outcome = session.run(Some((direction, KEXINIT_AT, Attack::Become(change))));
            let case = format!("downgrade {number} {direction:?}");
            // With different lists the sides may not even speak of the same method. Then the server finds its part malformed.
            let (client, server) = (
                outcome.end_of_reader(Direction::Down),
                outcome.end_of_reader(Direction::Up),
            );
            let found_by_client = client == "bad signature of the host key";
            let found_by_server = number == 0 && server == "unacceptable ephemeral key";
            assert!(
                found_by_client || found_by_server,
                "{case}: {client} | {server}"
            );
            assert!(nothing_passed(&outcome), "{case}");
            assert!(
                outcome.client.host_keys.is_empty(),
                "{case}: an unproven host key was shown"
            );
        }
    }
}

#[test]
fn a_list_with_nothing_in_common_is_told_in_clear() {
    for (list, what) in [
        (0, "no common key exchange method"),
        (1, "no common host key algorithm"),
        (2, "no common cipher"),
        (3, "no common cipher"),
    ] {
        let changes: [wire::Change; 4] = [
            |packet| with_list(packet, 0, |_| "none-such@example.com".to_owned()),
            |packet| with_list(packet, 1, |_| "ssh-dss".to_owned()),
            |packet| with_list(packet, 2, |_| "3des-cbc,arcfour".to_owned()),
            |packet| with_list(packet, 3, |_| String::new()),
        ];
        let outcome = session().run(Some((
            Direction::Up,
            KEXINIT_AT,
            Attack::Become(changes[list]),
        )));
        assert_eq!(outcome.end_of_reader(Direction::Up), what);
        assert_eq!(outcome.client.goodbye, Some((3, what.to_owned())));
        assert!(nothing_passed(&outcome));
    }
}

/// "Terrapin" (CVE-2023-48795): one packet put in before NEWKEYS, one dropped after it.
#[test]
fn a_spliced_handshake_breaks_strict_key_exchange_at_each_place_and_each_message() {
    // IGNORE, UNIMPLEMENTED, DEBUG, EXT_INFO, PING.
    let splices: [wire::Change; 5] = [
        |packet| [clear_packet(&[2, 0, 0, 0, 0]), packet].concat(),
        |packet| [clear_packet(&[3, 0, 0, 0, 0]), packet].concat(),
        |packet| [clear_packet(&[4, 0, 0, 0, 0, 0, 0, 0, 0, 0]), packet].concat(),
        |packet| [clear_packet(&[7, 0, 0, 0, 0]), packet].concat(),
        |packet| [clear_packet(&[192, 0, 0, 0, 0]), packet].concat(),
    ];
    for (splice, number) in splices.into_iter().zip([2, 3, 4, 7, 192]) {
        for direction in DIRECTIONS {
            for at in KEXINIT_AT..=NEWKEYS_AT {
                let outcome = session().run(Some((direction, at, Attack::Become(splice))));
                let end = outcome.end_of_reader(direction);
                // Before KEXINIT, what is allowed there is found out by the sequence number of KEXINIT.
                let violated = match (at, number) {
                    (KEXINIT_AT, 7 | 192) => format!("message {number} out of place"),
                    (KEXINIT_AT, _) => "strict key exchange violated by message 20".to_owned(),
                    _ => format!("strict key exchange violated by message {number}"),
                };
                assert_eq!(end, violated, "{direction:?} {at}");
                assert!(nothing_passed(&outcome));
            }
            let outcome = session().run(Some((direction, NEWKEYS_AT + 1, Attack::Drop)));
            assert_eq!(outcome.end_of_reader(direction), "packet not authentic");
        }
    }
    let frames = undisturbed(session());
    assert!(
        frames
            .iter()
            .all(|frames| frames[NEWKEYS_AT].kind == Kind::Clear(NEWKEYS))
    );
}

#[test]
fn the_key_of_another_host_is_shown_and_ends_the_connection_when_refused() {
    let mut pair = Pair::new(
        ClientConfig::default(),
        ServerConfig::default(),
        vec![TestKey::ed25519(66)],
        Login::None,
    );
    pair.client.accept_host_keys = false;
    pair.run();
    assert_eq!(
        pair.client.host_keys[0].public_key,
        TestKey::ed25519(66).blob
    );
    assert!(pair.client.machine.is_closed());
    assert_eq!(
        pair.server.goodbye,
        Some((9, "host key not accepted".to_owned()))
    );
    assert!(pair.server.attempts.is_empty() && !pair.client.authenticated);
}

#[test]
fn the_right_key_without_its_private_half_is_never_shown() {
    for algorithm in HostKeyAlgorithm::KEYS {
        let mut config = ClientConfig::default();
        config.algorithms.host_keys = vec![algorithm];
        let mut key = TestKey::of(algorithm);
        // Another key of the same kind signs: one made from another seed, or one more made at random.
        key.sign = match algorithm {
            HostKeyAlgorithm::Ed25519 => TestKey::ed25519(8).sign,
            _ => TestKey::of(algorithm).sign,
        };
        let mut client = ClientEnd::new(config, 1, Login::None);
        let mut server = ServerEnd::new(ServerConfig::default(), 2, vec![key]);
        let hello = server.machine.poll_output().unwrap();
        client.feed(&hello).unwrap();
        server.feed(&client.machine.poll_output().unwrap()).unwrap();
        let error = client
            .feed(&server.machine.poll_output().unwrap())
            .unwrap_err();
        assert_eq!(
            error,
            Error::PeerMisbehaved(PeerMisbehaved::BadHostKeySignature),
            "{algorithm:?}"
        );
        assert!(client.host_keys.is_empty() && !client.authenticated);
        server.feed(&client.machine.poll_output().unwrap()).unwrap();
        assert_eq!(server.goodbye.unwrap().0, 3, "{algorithm:?}");
    }
}
