//! What two lists come to (RFC 4253 section 7.1), with a peer that writes its KEXINIT by hand.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;

use common::wire::{Message, clear_packet, clear_payloads};
use common::{ClientEnd, Login, ServerEnd, TestKey};
use ssh_transport::{
    Algorithms, ClientConfig, Error, MAX_NAME_LIST_BYTES, Negotiated, PeerMisbehaved, ServerConfig,
};

const LINE: &[u8] = b"SSH-2.0-by-hand\r\n";
const ECDH_INIT: u8 = 30;
const ECDH_REPLY: u8 = 31;
const NEWKEYS: u8 = 21;

/// A KEXINIT to be changed.
#[derive(Clone)]
struct KexInit {
    lists: [String; 10],
    guess_follows: bool,
}

impl KexInit {
    fn new() -> Self {
        let gcm = "aes256-gcm@openssh.com";
        let lists = [
            "curve25519-sha256",
            "ssh-ed25519",
            gcm,
            gcm,
            "",
            "",
            "none",
            "none",
            "",
            "",
        ];
        Self {
            lists: lists.map(str::to_owned),
            guess_follows: false,
        }
    }

    fn with(mut self, which: &[usize], list: &str) -> Self {
        for number in which {
            self.lists[*number] = list.to_owned();
        }
        self
    }

    fn guessing(mut self) -> Self {
        self.guess_follows = true;
        self
    }

    fn packet(&self) -> Vec<u8> {
        let start = Message::new(20).raw([7; 16]);
        let message = self
            .lists
            .iter()
            .fold(start, |message, list| message.string(list));
        clear_packet(&message.byte(u8::from(self.guess_follows)).word(0).done())
    }
}

const KEX: &[usize] = &[0];
const HOST_KEYS: &[usize] = &[1];
const CIPHERS: &[usize] = &[2, 3];
const MACS: &[usize] = &[4, 5];
const COMPRESSION: &[usize] = &[6, 7];
const LANGUAGES: &[usize] = &[8, 9];

/// A server that offers what old peers have, too.
fn server() -> ServerEnd {
    let config = ServerConfig {
        algorithms: Algorithms::legacy(),
        ..ServerConfig::default()
    };
    let mut end = ServerEnd::new(config, 2, vec![TestKey::ed25519(7)]);
    end.feed(LINE).unwrap();
    end.machine.poll_output();
    end
}

fn client() -> ClientEnd {
    let config = ClientConfig {
        algorithms: Algorithms::legacy(),
        ..ClientConfig::default()
    };
    let mut end = ClientEnd::new(config, 1, Login::None);
    end.feed(LINE).unwrap();
    end.machine.poll_output();
    end
}

/// An X25519 public key: the curve's base point, little-endian.
fn init() -> Vec<u8> {
    let mut point = [0; 32];
    point[0] = 9;
    clear_packet(&Message::new(ECDH_INIT).string(point).done())
}

/// Whether both roles go on with this list: the client says its ephemeral key, the server answers one.
fn is_taken(kexinit: &KexInit) -> bool {
    let (mut server, mut client) = (server(), client());
    let results = (
        server.feed(&kexinit.packet()),
        client.feed(&kexinit.packet()),
    );
    assert_eq!(results.0, results.1, "the roles disagree");
    if results.0.is_err() {
        return false;
    }
    let said = clear_payloads(&client.machine.poll_output().unwrap());
    assert_eq!(said[0][0], ECDH_INIT);
    server.feed(&init()).unwrap();
    numbers(&mut server) == [ECDH_REPLY, NEWKEYS]
}

/// The message numbers that a server has said in clear.
fn numbers(server: &mut ServerEnd) -> Vec<u8> {
    let said = clear_payloads(&server.machine.poll_output().unwrap_or_default());
    said.into_iter().map(|payload| payload[0]).take(2).collect()
}

fn refusals(kexinit: &KexInit) -> [Error; 2] {
    let packet = kexinit.packet();
    [
        server().feed(&packet).unwrap_err(),
        client().feed(&packet).unwrap_err(),
    ]
}

#[test]
fn a_list_with_nothing_in_it_is_nothing_in_common_but_for_macs_that_are_not_needed() {
    let plain = KexInit::new();
    assert!(is_taken(&plain));
    for (which, what) in [
        (KEX, Negotiated::KeyExchange),
        (HOST_KEYS, Negotiated::HostKey),
        (CIPHERS, Negotiated::Cipher),
        (&[2], Negotiated::Cipher),
        (&[3], Negotiated::Cipher),
        (COMPRESSION, Negotiated::Compression),
        (&[6], Negotiated::Compression),
        (&[7], Negotiated::Compression),
    ] {
        for empty in ["", ",", ",,,"] {
            let expected = Error::PeerIncompatible { what };
            assert_eq!(
                refusals(&plain.clone().with(which, empty)),
                [expected.clone(), expected]
            );
        }
    }
    for macs in ["", ",", "hmac-md5", "hmac-sha2-256"] {
        assert!(is_taken(&plain.clone().with(MACS, macs)), "{macs}");
        assert!(is_taken(&plain.clone().with(LANGUAGES, macs)), "{macs}");
    }
}

#[test]
fn a_cipher_that_does_not_authenticate_needs_a_mac_in_each_direction() {
    let ctr = KexInit::new().with(CIPHERS, "aes256-ctr");
    let expected = Error::PeerIncompatible {
        what: Negotiated::Mac,
    };
    for macs in [
        "",
        "hmac-md5,hmac-sha1",
        "hmac-sha2-256-etm",
        "hmac-sha2-256@openssh.com",
    ] {
        assert_eq!(
            refusals(&ctr.clone().with(MACS, macs)),
            [expected.clone(), expected.clone()]
        );
        let one_way = ctr.clone().with(MACS, "hmac-sha2-256").with(&[4], macs);
        assert_eq!(refusals(&one_way), [expected.clone(), expected.clone()]);
    }
    assert!(is_taken(
        &ctr.clone()
            .with(&[4], "hmac-sha2-512")
            .with(&[5], "hmac-sha2-256-etm@openssh.com")
    ));
    // In the other direction the cipher does authenticate.
    let mixed = ctr
        .with(&[3], "aes128-gcm@openssh.com")
        .with(&[4], "hmac-sha2-256");
    assert!(is_taken(&mixed));
    assert!(is_taken(&mixed.with(&[5], "")));
}

#[test]
fn the_longest_list_is_read_to_its_end_and_a_longer_one_not_at_all() {
    for (which, name) in [
        (KEX, "curve25519-sha256"),
        (HOST_KEYS, "ssh-ed25519"),
        (CIPHERS, "aes256-gcm@openssh.com"),
    ] {
        let longest = format!(
            "{},{name}",
            "x".repeat(MAX_NAME_LIST_BYTES - name.len() - 1)
        );
        assert_eq!(longest.len(), MAX_NAME_LIST_BYTES);
        assert!(is_taken(&KexInit::new().with(which, &longest)), "{name}");
        let many = format!(
            "{}{name}",
            "a,".repeat((MAX_NAME_LIST_BYTES - name.len()) / 2)
        );
        assert!(is_taken(&KexInit::new().with(which, &many)), "{name}");
        let malformed = Error::PeerMisbehaved(PeerMisbehaved::MalformedMessage);
        let longer = KexInit::new().with(which, &format!("x{longest}"));
        assert_eq!(refusals(&longer), [malformed.clone(), malformed]);
    }
}

#[test]
fn a_name_is_in_common_only_as_a_whole() {
    for (which, names) in [
        (
            KEX,
            [
                "curve25519-sha25",
                "curve25519-sha2566",
                "Curve25519-SHA256",
                "kex-strict-c-v00@openssh.com",
                "ext-info-s",
            ],
        ),
        (
            HOST_KEYS,
            [
                "ssh-ed2551",
                "ssh-ed255199",
                "SSH-ED25519",
                "ssh-ed25519-cert-v01@openssh.com",
                "none",
            ],
        ),
        (
            CIPHERS,
            [
                "aes256-gcm",
                "aes256-gcm@openssh.co",
                "AES256-GCM@openssh.com",
                "none",
                "aes256-cbc",
            ],
        ),
    ] {
        for name in names {
            let [by_server, by_client] = refusals(&KexInit::new().with(which, name));
            assert!(
                matches!(by_server, Error::PeerIncompatible { .. }),
                "{name}: {by_server}"
            );
            assert_eq!(by_server, by_client, "{name}");
        }
    }
}

#[test]
fn what_no_name_may_hold_is_malformed() {
    let malformed = Error::PeerMisbehaved(PeerMisbehaved::MalformedMessage);
    for list in [
        "curve25519-sha256 ",
        "a\0,curve25519-sha256",
        "é,curve25519-sha256",
        "\x1b[2J",
    ] {
        let refused = refusals(&KexInit::new().with(KEX, list));
        assert_eq!(refused, [malformed.clone(), malformed.clone()], "{list:?}");
    }
}

#[test]
fn the_clients_first_choice_wins_whoever_reads_the_lists() {
    let theirs = KexInit::new()
        .with(
            KEX,
            "ecdh-sha2-nistp256,none-such,curve25519-sha256,curve25519-sha256",
        )
        .with(CIPHERS, "aes128-gcm@openssh.com,aes256-gcm@openssh.com");
    // A client's wish is followed by our server: NIST P-256 takes a point of 65 bytes, not one of 32.
    let mut server = server();
    server.feed(&theirs.packet()).unwrap();
    assert_eq!(
        server.feed(&init()),
        Err(PeerMisbehaved::BadEphemeralKey.into())
    );
    // A server's is not followed by our client.
    let mut client = client();
    client.feed(&theirs.packet()).unwrap();
    let said = clear_payloads(&client.machine.poll_output().unwrap());
    assert_eq!((said[0][0], said[0].len()), (ECDH_INIT, 1 + 4 + 32));
}

/// What a server does after this list, given these packets.
fn after(kexinit: &KexInit, packets: &[Vec<u8>]) -> (Result<(), Error>, Vec<u8>) {
    let mut server = server();
    let all = [kexinit.packet(), packets.concat()].concat();
    let result = server.feed(&all);
    let said = numbers(&mut server);
    (result, said)
}

#[test]
fn a_guess_is_used_when_right_and_dropped_once_when_wrong() {
    let taken = (Ok(()), vec![ECDH_REPLY, NEWKEYS]);
    let first = Algorithms::legacy().kex[0].name();
    // Right: what the server likes best, too. ML-KEM wants more than 32 bytes, so that this one is seen to be read.
    let right = KexInit::new()
        .with(KEX, &format!("{first},curve25519-sha256"))
        .guessing();
    let (result, _) = after(&right, &[init()]);
    assert_eq!(result, Err(PeerMisbehaved::BadEphemeralKey.into()));
    // Wrong, by another method or another kind of host key.
    let guess = clear_packet(&Message::new(ECDH_INIT).string("a guess").done());
    for wrong in [
        KexInit::new().with(KEX, "none-such,curve25519-sha256"),
        KexInit::new(),
        KexInit::new().with(HOST_KEYS, "ssh-dss,ssh-ed25519"),
    ] {
        let wrong = wrong.guessing();
        assert_eq!(after(&wrong, &[guess.clone(), init()]), taken);
        assert_eq!(after(&wrong, &[clear_packet(&[34]), init()]), taken);
        // One guess, not two; and none is no answer yet.
        let (result, _) = after(&wrong, &[guess.clone(), guess.clone()]);
        assert_eq!(result, Err(PeerMisbehaved::BadEphemeralKey.into()));
        assert_eq!(after(&wrong, &[init()]), (Ok(()), Vec::new()));
        // Only a message of the key exchange can be one.
        let (result, _) = after(&wrong, &[clear_packet(&[NEWKEYS])]);
        let unexpected = PeerMisbehaved::UnexpectedMessage { number: NEWKEYS };
        assert_eq!(result, Err(unexpected.into()));
    }
    // Who does not say that it guesses has not guessed.
    assert_eq!(after(&KexInit::new(), &[init()]), taken);
    let (result, _) = after(&KexInit::new(), &[guess, init()]);
    assert_eq!(result, Err(PeerMisbehaved::BadEphemeralKey.into()));
}
