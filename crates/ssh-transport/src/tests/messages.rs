use super::*;
use crate::message::number;
use crate::wire::Put as _;

#[test]
fn a_connection_packet_before_authentication_ends_the_connection() {
    for number in [80, 90, 94, 98, 127] {
        assert_eq!(
            Pair::exchanged().server_gets(&[number, 0, 0, 0, 0]),
            unexpected(number)
        );
        assert_eq!(
            Pair::in_service().server_gets(&[number, 0, 0, 0, 0]),
            unexpected(number)
        );
        assert_eq!(
            Pair::exchanged().client_gets(&[number, 0, 0, 0, 0]),
            unexpected(number)
        );
    }
}

#[test]
fn messages_of_a_key_exchange_outside_of_one_end_the_connection() {
    for number in [0, 21, 30, 31, 49] {
        assert_eq!(Pair::ready().server_gets(&[number]), unexpected(number));
        assert_eq!(Pair::ready().client_gets(&[number]), unexpected(number));
    }
}

#[test]
fn messages_of_the_other_role_end_the_connection() {
    assert_eq!(
        Pair::exchanged().server_gets(&message::service(6, "ssh-userauth")),
        unexpected(6)
    );
    assert_eq!(
        Pair::exchanged().client_gets(&message::service(5, "ssh-userauth")),
        unexpected(5)
    );
    assert_eq!(Pair::in_service().server_gets(&[52]), unexpected(52));
}

#[test]
fn an_unknown_message_is_answered_with_its_sequence_number() {
    for number in [8, 19, 22, 29, 128, 191, 194, 255] {
        let mut pair = Pair::ready();
        // EXT_INFO and two requests came since NEWKEYS, where strict key exchange starts from 0.
        pair.server_gets(&[number]).unwrap();
        assert_eq!(pair.server_said(), [[3, 0, 0, 0, 3]]);
        // Before a login it is one request less.
        let mut pair = Pair::in_service();
        pair.server_gets(&[number]).unwrap();
        assert_eq!(pair.server_said(), [[3, 0, 0, 0, 2]]);
        let mut pair = Pair::ready();
        pair.client_gets(&[number]).unwrap();
        let mut bytes = pair.client.poll_output().unwrap().to_vec();
        let opened = pair.server.core.open_for_test(&mut bytes).unwrap();
        // EXT_INFO, SERVICE_ACCEPT and USERAUTH_SUCCESS.
        assert_eq!(bytes[opened.payload], [3, 0, 0, 0, 3]);
    }
}

#[test]
fn ignore_debug_and_unimplemented_are_taken_and_forgotten() {
    for mut pair in [Pair::exchanged(), Pair::in_service(), Pair::ready()] {
        for number in [2, 3, 4] {
            pair.server_gets(&[number, 1, 2, 3]).unwrap();
            pair.client_gets(&[number]).unwrap();
        }
        assert_eq!(pair.server.poll_output(), None);
        assert_eq!(pair.client.poll_output(), None);
        assert!(pair.debugs.is_empty());
    }
}

#[test]
fn the_text_of_a_debug_message_comes_clean_and_short_before_and_after_authentication() {
    let debug = |text: &[u8]| {
        let mut message = Vec::from([number::DEBUG, 1]);
        message.put_string(text);
        message.put_string(b"");
        message
    };
    for mut pair in [Pair::exchanged(), Pair::in_service(), Pair::ready()] {
        pair.server_gets(&debug(b"a\x1b[2Jb")).unwrap();
        pair.client_gets(&debug(&[b'x'; 5000])).unwrap();
        let long = "x".repeat(MAX_DEBUG_TEXT_BYTES);
        assert_eq!(
            pair.debugs,
            [(true, "a[2Jb".to_string()), (true, long)],
            "server first"
        );
        assert!(!pair.server.is_closed() && !pair.client.is_closed());
    }
}

#[test]
fn a_goodbye_is_told_with_its_reason_before_and_after_authentication() {
    for mut pair in [Pair::exchanged(), Pair::in_service(), Pair::ready()] {
        let mut bye = Vec::from([number::DISCONNECT]);
        bye.put_word(999);
        bye.put_string(b"so\x07 long");
        bye.put_string(b"");
        pair.server_gets(&bye).unwrap();
        assert_eq!(pair.goodbyes, [(999, "so long".to_string())]);
        assert!(pair.server.is_closed() && pair.server.poll_output().is_none());
        pair.client_gets(&bye).unwrap();
        assert_eq!(pair.goodbyes.len(), 2);
        assert!(pair.client.is_closed());
    }
}

#[test]
fn a_ping_is_answered_with_its_data_inside() {
    let mut pair = Pair::ready();
    let mut ping = Vec::from([number::PING]);
    ping.put_string(b"marker");
    let mut pong = ping.clone();
    pong[0] = number::PONG;
    pair.server_gets(&ping).unwrap();
    assert_eq!(pair.server_said(), [pong.clone()]);
    pair.client_gets(&pong).unwrap();
    ping.push(0);
    assert_eq!(
        pair.server_gets(&ping),
        misbehaved(PeerMisbehaved::MalformedMessage)
    );
}

#[test]
fn both_sides_ping_and_hear_what_they_said() {
    let mut pair = Pair::ready();
    pair.client.ping(b"from the client", NOW).unwrap();
    pair.server.ping(b"", NOW).unwrap();
    pair.run().unwrap();
    assert_eq!(
        (pair.client_pongs.as_slice(), pair.server_pongs.as_slice()),
        (&[b"from the client".to_vec()][..], &[Vec::new()][..])
    );
    // In a key exchange it waits.
    pair.client.start_rekey(NOW);
    pair.client.ping(b"later", NOW).unwrap();
    pair.run().unwrap();
    assert_eq!(pair.client_pongs.len(), 2);
}

#[test]
fn pings_are_bounded_and_only_for_who_announced_to_answer_them() {
    let mut pair = Pair::ready();
    let misuse = |what| Err(Error::ApiMisuse(what));
    let got = MAX_PING_BYTES + 1;
    assert_eq!(
        pair.client.ping(&alloc::vec![0; got], NOW),
        misuse(ApiMisuse::PingTooLong { got })
    );
    for _ in 0..MAX_OPEN_PINGS {
        pair.client.ping(&[0; MAX_PING_BYTES], NOW).unwrap();
    }
    assert_eq!(pair.client.ping(b"", NOW), misuse(ApiMisuse::TooManyPings));
    pair.run().unwrap();
    assert_eq!(pair.client_pongs.len(), MAX_OPEN_PINGS);
    pair.client.ping(b"", NOW).unwrap();

    let mut early = Pair::new();
    assert_eq!(
        early.server.ping(b"", NOW),
        misuse(ApiMisuse::PingNotAnswered)
    );
}

#[test]
fn a_pong_that_nobody_asked_for_or_that_is_too_long_is_not_told() {
    let mut pair = Pair::ready();
    let pong = message::echo(number::PONG, b"surprise");
    pair.client_gets(&pong).unwrap();
    pair.client.ping(b"", NOW).unwrap();
    let long = message::echo(number::PONG, &[0; MAX_PING_BYTES + 1]);
    pair.client_gets(&long).unwrap();
    assert!(pair.client_pongs.is_empty());
    pair.client_gets(&pong).unwrap();
    pair.client_gets(&pong).unwrap();
    assert_eq!(pair.client_pongs.len(), 1);
}

#[test]
fn a_peer_that_pings_and_does_not_read_is_cut_off() {
    let mut pair = Pair::ready();
    let mut ping = Vec::from([number::PING]);
    ping.put_string(&[0; 30_000]);
    let mut result = Ok(());
    for _ in 0..100 {
        result = pair.server_gets(&ping);
        if result.is_err() {
            break;
        }
    }
    assert_eq!(result, misbehaved(PeerMisbehaved::ReplyFlood));
    assert!(pair.server.queued_bytes() < 2 * MAX_WAITING_REPLY_BYTES);
    // Who reads may ping for ever.
    let mut pair = Pair::ready();
    for _ in 0..100 {
        pair.server_gets(&ping).unwrap();
        pair.server.poll_output().unwrap();
    }
}

#[test]
fn a_flood_before_authentication_is_cut_off() {
    let mut pair = Pair::exchanged();
    let mut sent = 0;
    let result = loop {
        sent += 1;
        let result = pair.server_gets(&[2, 0, 0, 0, 0]);
        if result.is_err() {
            break result;
        }
    };
    assert_eq!(result, misbehaved(PeerMisbehaved::TooManyPacketsBeforeAuth));
    assert!(sent <= Limits::default().max_packets_before_auth);
}

#[test]
fn ext_info_is_bounded_in_number_and_size() {
    let mut pair = Pair::in_service();
    let message = message::server_ext_info("ssh-ed25519");
    // The first one came with the key exchange.
    for _ in 1..MAX_EXT_INFOS {
        pair.server_gets(&message).unwrap();
    }
    assert_eq!(pair.server_gets(&message), unexpected(7));
    let mut long = Vec::from([number::EXT_INFO]);
    long.put_word(1);
    long.put_string(b"x");
    long.put_string(&[b'y'; MAX_EXT_INFO_BYTES]);
    assert_eq!(Pair::in_service().server_gets(&long), unexpected(7));
    assert_eq!(
        Pair::in_service().server_gets(&[7, 0xff, 0xff, 0xff, 0xff]),
        misbehaved(PeerMisbehaved::MalformedMessage)
    );
}

#[test]
fn a_client_learns_the_signature_algorithms_of_its_server() {
    let pair = Pair::exchanged();
    assert!(
        pair.client
            .server_sig_algs()
            .unwrap()
            .starts_with("ssh-ed25519,")
    );
}

#[test]
fn a_goodbye_closes_even_without_its_language_tag() {
    let mut pair = Pair::ready();
    let mut bye = Vec::from([number::DISCONNECT]);
    bye.put_word(11);
    bye.put_string(b"bye");
    pair.client_sends(&bye);
    pair.client_sends(&[98]);
    pair.run_server().unwrap();
    assert!(pair.server.is_closed());
    assert!(pair.server_received.is_empty());
}

#[test]
fn whatever_follows_a_message_number_is_no_reason_to_panic() {
    let mut random = Provider::Seeded.primitives([42; 32]);
    for round in 0..200 {
        let mut pair = match round % 3 {
            0 => Pair::exchanged(),
            1 => Pair::in_service(),
            _ => Pair::ready(),
        };
        loop {
            let mut bytes = [0; 256];
            random.fill(&mut bytes).unwrap();
            let mut payload = Vec::from(bytes);
            payload.truncate(usize::from(bytes[255]).max(1));
            // A disconnect would end the round early.
            if payload[0] == number::DISCONNECT {
                continue;
            }
            if pair.server_gets(&payload).is_err() {
                break;
            }
        }
        assert!(pair.server.is_closed());
    }
}
