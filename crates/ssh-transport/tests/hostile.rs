//! Somebody between two of our machines, and peers that send anything but SSH.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;

use common::wire::{Message, clear_packet, clear_payloads};
use common::{ClientEnd, Login, Pair, START, ServerEnd, TestKey};
use proptest::prelude::*;
use ssh_transport::{
    Algorithms, CipherAlgorithm, ClientConfig, DisconnectReason, Error, MAX_NAME_LIST_BYTES,
    MAX_PACKET_BYTES, PeerMisbehaved, RECEIVE_BUFFER_BYTES, ServerConfig, ServerEvent,
};

const LINE: &[u8] = b"SSH-2.0-mallory\r\n";

fn server() -> ServerEnd {
    ServerEnd::new(ServerConfig::default(), 2, vec![TestKey::ed25519(7)])
}

fn client() -> ClientEnd {
    ClientEnd::new(ClientConfig::default(), 1, Login::None)
}

fn misbehaved<T>(what: PeerMisbehaved) -> Result<T, Error> {
    Err(Error::PeerMisbehaved(what))
}

/// A session up to its first packets, with what each side sends changed on the way. Says whether it got through.
fn session_with(change: impl Fn(&mut Vec<u8>, &mut Vec<u8>, usize, usize)) -> bool {
    let (mut client, mut server) = (client(), server());
    let (mut up, mut down) = (0, 0);
    loop {
        let mut to_server = client.machine.poll_output().unwrap_or_default().to_vec();
        let mut to_client = server.machine.poll_output().unwrap_or_default().to_vec();
        if to_server.is_empty() && to_client.is_empty() {
            return client.authenticated && server.authenticated;
        }
        let (up_now, down_now) = (to_server.len(), to_client.len());
        change(&mut to_server, &mut to_client, up, down);
        up += up_now;
        down += down_now;
        if server.feed(&to_server).is_err() || client.feed(&to_client).is_err() {
            return false;
        }
    }
}

/// All bytes of an undisturbed session, by direction.
fn recorded() -> (Vec<u8>, Vec<u8>) {
    let record = std::cell::RefCell::new((Vec::new(), Vec::new()));
    assert!(session_with(|up, down, _, _| {
        record.borrow_mut().0.extend_from_slice(up);
        record.borrow_mut().1.extend_from_slice(down);
    }));
    record.into_inner()
}

/// Which bytes may change unnoticed, being neither hashed nor authenticated: the padding of packets in clear (RFC 4253
/// section 6).
fn is_free(bytes: &[u8]) -> Vec<bool> {
    let line_end = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    let mut free = vec![false; bytes.len()];
    let mut at = line_end;
    loop {
        let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let padding = usize::from(bytes[at + 4]);
        let is_newkeys = bytes[at + 5] == 21;
        free[at + 4 + length - padding..at + 4 + length].fill(true);
        at += 4 + length;
        if is_newkeys {
            return free;
        }
    }
}

#[test]
fn no_flipped_bit_in_either_direction_goes_unnoticed() {
    let (up, down) = recorded();
    let (up_free, down_free) = (is_free(&up), is_free(&down));
    let flip = |bytes: &mut Vec<u8>, start: usize, position: usize| {
        if let Some(byte) = position.checked_sub(start).and_then(|at| bytes.get_mut(at)) {
            *byte ^= 1 << (position % 8);
        }
    };
    for (position, is_free) in up_free.into_iter().enumerate() {
        let got_through = session_with(|bytes, _, start, _| flip(bytes, start, position));
        assert_eq!(
            got_through,
            is_free,
            "byte {position} of {} from the client",
            up.len()
        );
    }
    for (position, is_free) in down_free.into_iter().enumerate() {
        let got_through = session_with(|_, bytes, _, start| flip(bytes, start, position));
        assert_eq!(
            got_through,
            is_free,
            "byte {position} of {} from the server",
            down.len()
        );
    }
}

#[test]
fn a_packet_put_before_kexinit_breaks_strict_key_exchange() {
    // "Terrapin": IGNORE early, so that a later packet can be dropped without a gap in the sequence numbers.
    for injected in [
        &[2u8, 0, 0, 0, 0][..],
        &[4, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[3, 0, 0, 0, 0],
    ] {
        let mut server = server();
        let hello = client().machine.poll_output().unwrap();
        let line_end = hello.iter().position(|b| *b == b'\n').unwrap() + 1;
        server.feed(&hello[..line_end]).unwrap();
        server.feed(&clear_packet(injected)).unwrap();
        let violated = misbehaved(PeerMisbehaved::StrictKeyExchangeViolated { number: 20 });
        assert_eq!(server.feed(&hello[line_end..]), violated);

        let mut client = client();
        let hello = crate::server().machine.poll_output().unwrap();
        let line_end = hello.iter().position(|b| *b == b'\n').unwrap() + 1;
        client.feed(&hello[..line_end]).unwrap();
        client.feed(&clear_packet(injected)).unwrap();
        assert_eq!(client.feed(&hello[line_end..]), violated);
    }
}

#[test]
fn a_packet_put_after_kexinit_breaks_strict_key_exchange() {
    for number in [2, 3, 4, 7, 8, 50, 80, 192] {
        let violated = misbehaved(PeerMisbehaved::StrictKeyExchangeViolated { number });
        let mut server = server();
        server
            .feed(&client().machine.poll_output().unwrap())
            .unwrap();
        assert_eq!(server.feed(&clear_packet(&[number, 0, 0, 0, 0])), violated);
        let mut client = client();
        client
            .feed(&crate::server().machine.poll_output().unwrap())
            .unwrap();
        assert_eq!(client.feed(&clear_packet(&[number, 0, 0, 0, 0])), violated);
    }
}

#[test]
fn the_first_encrypted_packet_cannot_be_dropped() {
    let (_, down) = recorded();
    let newkeys_end = is_free(&down).iter().rposition(|free| *free).unwrap() + 1;
    let length =
        u32::from_be_bytes(down[newkeys_end..newkeys_end + 4].try_into().unwrap()) as usize;
    let ext_info = newkeys_end..newkeys_end + 4 + length + 16;
    let got_through = session_with(|_, bytes, _, start| {
        if let Some(from) = ext_info
            .start
            .checked_sub(start)
            .filter(|from| *from < bytes.len())
        {
            bytes.drain(from..from + ext_info.len());
        }
    });
    assert!(!got_through);
}

#[test]
fn replayed_reordered_and_reflected_packets_are_not_authentic() {
    for cipher in CipherAlgorithm::ALL {
        let ready = || {
            let mut config = ClientConfig::default();
            config.algorithms.ciphers = vec![cipher];
            let server = ServerConfig {
                algorithms: Algorithms::legacy(),
                ..ServerConfig::default()
            };
            let mut pair = Pair::new(config, server, vec![TestKey::ed25519(7)], Login::None);
            pair.run();
            let mut packets = Vec::new();
            for tag in 0..2 {
                pair.client
                    .machine
                    .send_packet(&[94, tag, 0, 0], START)
                    .unwrap();
                packets.push(pair.client.machine.poll_output().unwrap());
            }
            (pair, packets)
        };
        // ChaCha20's length field decrypts to anything under another sequence number.
        let is_refused = |result: Result<(), Error>| {
            matches!(
                result,
                Err(Error::PeerMisbehaved(
                    PeerMisbehaved::PacketNotAuthentic | PeerMisbehaved::BadPacketLength { .. }
                ))
            )
        };
        let (mut pair, packets) = ready();
        pair.server.feed(&packets[0]).unwrap();
        assert!(is_refused(pair.server.feed(&packets[0])));
        assert_eq!(pair.server.received.len(), 1);
        let (mut pair, packets) = ready();
        assert!(is_refused(pair.server.feed(&packets[1])));
        assert!(pair.server.received.is_empty() && pair.server.machine.is_closed());
        let (mut pair, packets) = ready();
        assert!(is_refused(pair.client.feed(&packets[0])));
    }
}

#[test]
fn a_bad_length_is_refused_before_anything_more_is_awaited() {
    let too_long = u32::try_from(MAX_PACKET_BYTES).unwrap() + 4;
    for length in [
        0,
        1,
        4,
        5,
        13,
        too_long,
        too_long + 8,
        0x7fff_ffff,
        0xffff_fffc,
        u32::MAX,
    ] {
        let mut server = server();
        server.feed(LINE).unwrap();
        let refused = misbehaved(PeerMisbehaved::BadPacketLength { got: length });
        assert_eq!(server.feed(&length.to_be_bytes()), refused);
        let mut pair = Pair::ready();
        assert_eq!(pair.server.feed(&length.to_be_bytes()), refused);
    }
}

#[test]
fn padding_that_is_short_or_swallows_the_payload_is_refused() {
    for (padding, expected) in [
        (0, PeerMisbehaved::BadPadding),
        (3, PeerMisbehaved::BadPadding),
        (12, PeerMisbehaved::BadPadding),
        (255, PeerMisbehaved::BadPadding),
        (11, PeerMisbehaved::BadPayloadLength { got: 0 }),
    ] {
        let mut packet = clear_packet(&[2; 6]);
        assert_eq!(packet.len(), 16);
        packet[4] = padding;
        let mut server = server();
        server.feed(LINE).unwrap();
        assert_eq!(server.feed(&packet), misbehaved(expected));
    }
}

#[test]
fn the_longest_packet_fits_the_receive_buffer() {
    let mut pair = Pair::ready();
    let mut longest = vec![94; ssh_transport::MAX_PAYLOAD_BYTES];
    longest[1] = 0;
    pair.client.machine.send_packet(&longest, START).unwrap();
    let sealed = pair.client.machine.poll_output().unwrap();
    assert!(sealed.len() <= RECEIVE_BUFFER_BYTES && sealed.len() > MAX_PACKET_BYTES - 64);
}

#[test]
fn what_is_not_ssh_is_told_nothing() {
    for input in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        b"\r\n\r\n\0\r\nQUIT\n",
        b"SSH-1.5-old\n",
    ] {
        let mut server = server();
        server.machine.poll_output().unwrap();
        assert_eq!(
            server.feed(input),
            misbehaved(PeerMisbehaved::BadIdentification)
        );
        assert_eq!(server.machine.poll_output(), None);
        assert!(server.machine.is_closed());
    }
}

#[test]
fn a_refused_packet_is_answered_with_a_disconnect_that_names_the_reason() {
    let mut server = server();
    let hello = server.machine.poll_output().unwrap();
    server.feed(LINE).unwrap();
    server.feed(&[0xff; 4]).unwrap_err();
    let goodbye = clear_payloads(&server.machine.poll_output().unwrap())
        .pop()
        .unwrap();
    assert_eq!(goodbye[..5], [1, 0, 0, 0, 2]);
    assert!(String::from_utf8_lossy(&goodbye).contains("bad packet length"));
    assert!(!hello.is_empty());
}

#[test]
fn every_truncation_of_a_kexinit_is_malformed() {
    let hello = client().machine.poll_output().unwrap();
    let line_end = hello.iter().position(|b| *b == b'\n').unwrap() + 1;
    let kexinit = clear_payloads(&hello[line_end..]).remove(0);
    for len in 1..kexinit.len() {
        let mut server = server();
        server.feed(LINE).unwrap();
        assert_eq!(
            server.feed(&clear_packet(&kexinit[..len])),
            misbehaved(PeerMisbehaved::MalformedMessage),
            "{len}"
        );
    }
    let mut longer = kexinit;
    longer.push(0);
    let mut server = server();
    server.feed(LINE).unwrap();
    assert_eq!(
        server.feed(&clear_packet(&longer)),
        misbehaved(PeerMisbehaved::MalformedMessage)
    );
}

#[test]
fn a_name_list_above_its_limit_is_malformed() {
    for (len, is_malformed) in [
        (MAX_NAME_LIST_BYTES, false),
        (MAX_NAME_LIST_BYTES + 1, true),
    ] {
        let mut kexinit = Message::new(20).raw([0; 16]).string(vec![b'x'; len]);
        for _ in 0..9 {
            kexinit = kexinit.string("none");
        }
        let mut server = server();
        server.feed(LINE).unwrap();
        let error = server
            .feed(&clear_packet(&kexinit.byte(0).word(0).done()))
            .unwrap_err();
        let malformed = Error::PeerMisbehaved(PeerMisbehaved::MalformedMessage);
        assert_eq!(error == malformed, is_malformed, "{error}");
    }
}

#[test]
fn a_client_that_is_refused_before_the_start_costs_no_public_key_operation() {
    let mut client = client();
    let mut hello = client.machine.poll_output().unwrap().to_vec();
    client
        .feed(&server().machine.poll_output().unwrap())
        .unwrap();
    // Its ephemeral key, too.
    hello.extend(client.machine.poll_output().unwrap());
    let line_end = hello.iter().position(|b| *b == b'\n').unwrap() + 1;
    let mut server =
        ServerEnd::unstarted(ServerConfig::default(), 2, vec![TestKey::ed25519(7)]).machine;
    let line = server.poll_output().unwrap();
    assert_eq!(
        server.handle_input(&mut hello, START).unwrap().consumed,
        line_end
    );
    let rest = &mut hello[line_end..];
    assert_eq!(server.handle_input(rest, START).unwrap().consumed, 0);
    assert!(matches!(
        server.poll_event(),
        Some(ServerEvent::PeerIdentified(_))
    ));
    // Nothing to sign, nothing sent but the line and the goodbye.
    assert_eq!(server.poll_event(), None);
    server.disconnect(DisconnectReason::HostNotAllowedToConnect, "not today");
    let goodbye = server.poll_output().unwrap();
    assert!(line.ends_with(b"\r\n") && !line[..line.len() - 1].contains(&b'\n'));
    assert_eq!(clear_payloads(&goodbye)[0][..5], [1, 0, 0, 0, 1]);
    assert_eq!(server.handle_input(rest, START).unwrap().payload, None);
    assert_eq!(server.poll_event(), None);
    assert_eq!(server.poll_output(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_at_any_point_end_in_an_error_or_in_waiting_for_more(
        cut in 0usize..4000,
        noise in prop::collection::vec(any::<u8>(), 0..600),
        numbers in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        // A real beginning, then packets in clear that begin with any number, then noise.
        let (up, down) = recorded();
        let mut server = server();
        let mut client = client();
        let clear: Vec<u8> =
            numbers.iter().flat_map(|n| clear_packet(&[&[*n], &noise[..noise.len() / 2]].concat())).collect();
        let tail = [clear, noise].concat();
        for end in [cut.min(up.len()), up.len()] {
            if server.feed(&up[..end.min(cut)]).is_err() || server.feed(&tail).is_err() {
                break;
            }
        }
        if client.feed(&down[..cut.min(down.len())]).is_ok() {
            let _ = client.feed(&tail);
        }
        prop_assert!(server.received.is_empty() && client.received.is_empty());
        prop_assert!(server.machine.queued_bytes() < 100_000);
        prop_assert!(client.machine.queued_bytes() < 100_000);
    }
}
