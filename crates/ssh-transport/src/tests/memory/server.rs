use super::*;
use crate::tests::interactive::{asked, responses};
use allocation_counter::{AllocationInfo, measure, opt_out};

const LINE: &[u8] = b"SSH-2.0-mallory\r\n";

type End = (AllocationInfo, Result<(), Error>);

/// What a server holds while it hears `wire`, and how it ends.
fn hear(judge: Judge, peer: Peer, wire: &[u8]) -> End {
    hear_with(ServerConfig::default(), judge, peer, wire)
}

fn hear_with(config: ServerConfig, judge: Judge, peer: Peer, wire: &[u8]) -> End {
    let (key, mut wire) = (key(7), wire.to_vec());
    let (keys, config) = ([host_key(&key)], Arc::new(config));
    let mut end = Ok(());
    let used = measure(|| {
        let mut server = Server::new(config, [2; 32], NOW);
        server.start(&keys, NOW).unwrap();
        let mut at = 0;
        end = loop {
            match server.handle_input(&mut wire[at..], NOW) {
                Err(error) => break Err(error),
                Ok(progress) => at += progress.consumed,
            }
            let mut is_idle = true;
            while let Some(event) = server.poll_event() {
                is_idle = false;
                answer(&mut server, event, &key, judge);
            }
            if peer == Peer::Reads {
                server.poll_output();
            }
            if is_idle && (at == wire.len() || server.is_closed()) {
                break Ok(());
            }
        };
    });
    (used, end)
}

/// As a caller does; what it allocates itself is not counted.
fn answer(server: &mut Server, event: ServerEvent, key: &Ed25519Key, judge: Judge) {
    match event {
        ServerEvent::SignExchangeHash(request) => {
            let mut signature = Vec::new();
            opt_out(|| signature = key.sign(&request.data));
            server.signed(request.id, &signature, NOW).unwrap();
            opt_out(|| drop(core::mem::take(&mut signature)));
        }
        ServerEvent::AuthAttempt(attempt) if judge == Judge::Accept => {
            server.accept(attempt.id, NOW).unwrap();
        }
        ServerEvent::AuthAttempt(attempt) => server.reject(attempt.id, &["publickey"], NOW),
        _ => {}
    }
}

/// Everything that the client of a pair says, logging in if the judge accepts, and then `payloads` under its key.
fn client_says(judge: Judge, payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut pair = Pair::new();
    let mut wire = Vec::new();
    let mut carry = |pair: &mut Pair| {
        let said = pair.client.poll_output().unwrap_or_default();
        wire.extend_from_slice(&said);
        pair.to_server.extend_from_slice(&said);
        pair.run_server().unwrap();
        pair.run_client().unwrap();
        !said.is_empty()
    };
    while carry(&mut pair) {}
    if judge == Judge::Accept {
        pair.client
            .authenticate("alice", ClientAuth::None, NOW)
            .unwrap();
        while carry(&mut pair) {}
        assert_eq!(pair.authenticated, (true, true));
    }
    for payload in payloads {
        pair.client_sends(payload);
    }
    wire.extend_from_slice(&pair.client.poll_output().unwrap_or_default());
    wire
}

/// What a server holds whose client says no more than it must.
fn quiet(judge: Judge) -> AllocationInfo {
    let (used, end) = hear(judge, Peer::NeverReads, &client_says(judge, &[]));
    assert_eq!(end, Ok(()));
    used
}

fn request(user: &str, method: &str, rest: &[u8]) -> Vec<u8> {
    let mut request = Vec::from([number::USERAUTH_REQUEST]);
    request.put_string(user.as_bytes());
    request.put_string(b"ssh-connection");
    request.put_string(method.as_bytes());
    request.extend_from_slice(rest);
    request
}

#[test]
fn who_says_nothing_or_a_line_without_end_costs_next_to_nothing() {
    let (silent, _) = hear(Judge::Accept, Peer::NeverReads, b"");
    check_stated("server: nothing said", silent.bytes_max);
    let mut line = Vec::from(b"SSH-2.0-".as_slice());
    line.resize(MAX_IDENTIFICATION_BYTES - 1, b'x');
    let mut server = Pair::new().server;
    let used = measure(|| {
        for known in 0..=line.len() {
            let progress = server.handle_input(&mut line[..known], NOW).unwrap();
            assert_eq!(progress, Progress::default());
        }
    });
    assert_eq!(used.count_total, 0);
    line.push(b'x');
    assert_eq!(
        server.handle_input(&mut line, NOW),
        Err(Error::PeerMisbehaved(PeerMisbehaved::BadIdentification))
    );
}

#[test]
fn a_packet_that_trickles_in_is_neither_stored_nor_touched_before_it_is_whole() {
    check_stated("server: logged in", quiet(Judge::Accept).bytes_max);
    let mut pair = Pair::ready();
    pair.client_sends(&[94; MAX_PAYLOAD_BYTES]);
    let mut packet = pair.client.poll_output().unwrap().to_vec();
    let before = packet.clone();
    let used = measure(|| {
        for known in 1..packet.len() {
            let progress = pair.server.handle_input(&mut packet[..known], NOW).unwrap();
            assert_eq!(progress, Progress::default());
        }
    });
    assert_eq!(used.count_total, 0);
    assert!(packet == before);
    let progress = pair.server.handle_input(&mut packet, NOW).unwrap();
    assert_eq!(progress.consumed, packet.len());
    assert_eq!(progress.payload.unwrap().len(), MAX_PAYLOAD_BYTES);
}

#[test]
fn a_claimed_length_allocates_nothing_but_the_goodbye() {
    let (idle, _) = hear(Judge::Accept, Peer::NeverReads, LINE);
    for length in [0u32, 1, 13, 0x0004_0004, 0x7fff_fff4, u32::MAX] {
        let wire = [LINE, &length.to_be_bytes()].concat();
        let (used, end) = hear(Judge::Accept, Peer::NeverReads, &wire);
        assert_eq!(
            end,
            misbehaved(PeerMisbehaved::BadPacketLength { got: length })
        );
        assert!(used.bytes_max < idle.bytes_max + 4096, "{length}: {used:?}");
    }
}

#[test]
fn the_longest_name_lists_cost_one_copy() {
    let wire = [LINE, &in_clear(&longest_kexinit())].concat();
    let (used, end) = hear(Judge::Accept, Peer::NeverReads, &wire);
    assert_eq!(end, Ok(()));
    check_stated("server: ten name-lists of 16 KiB", used.bytes_max);
}

#[test]
fn packets_before_authentication_are_few_and_cost_no_allocation() {
    let limit = Limits::default().max_packets_before_auth as usize;
    let mut payloads = alloc::vec![Vec::from([number::IGNORE; 40]); limit];
    for payload in payloads.iter_mut().step_by(40) {
        *payload = alloc::vec![number::IGNORE; MAX_PAYLOAD_BYTES];
    }
    let wire = client_says(Judge::Reject, &payloads);
    let (used, end) = hear(Judge::Reject, Peer::NeverReads, &wire);
    assert_eq!(end, misbehaved(PeerMisbehaved::TooManyPacketsBeforeAuth));
    let quiet = quiet(Judge::Reject);
    // The goodbye.
    assert!(used.count_total < quiet.count_total + 16);
    assert!(used.bytes_max < quiet.bytes_max + 4096);
}

#[test]
fn ext_infos_are_few_and_leave_nothing_behind() {
    let mut info = Vec::from([number::EXT_INFO]);
    info.put_word(1);
    info.put_string(b"server-sig-algs");
    info.put_string(&[b'y'; MAX_NAME_LIST_BYTES]);
    let wire = client_says(Judge::Reject, &alloc::vec![info; MAX_EXT_INFOS + 1]);
    let (used, end) = hear(Judge::Reject, Peer::NeverReads, &wire);
    assert_eq!(end, unexpected(number::EXT_INFO));
    assert!(used.bytes_max < quiet(Judge::Reject).bytes_max + 4096);
}

#[test]
fn attempts_to_log_in_are_few_and_each_is_forgotten() {
    let mut payloads = alloc::vec![message::service(number::SERVICE_REQUEST, "ssh-userauth")];
    let user = "u".repeat(MAX_USER_NAME_BYTES);
    let mut key = Vec::from([0]);
    key.put_string(b"ssh-ed25519");
    key.put_string(&alloc::vec![7; 200_000]);
    for round in 0..=Limits::default().max_auth_attempts {
        payloads.push(match round % 3 {
            0 => request(&user, "publickey", &key),
            1 => request(&user, &"m".repeat(MAX_NAME_BYTES), &[9; 200_000]),
            _ => request(&user, "none", b""),
        });
    }
    let wire = client_says(Judge::Reject, &payloads);
    let (used, end) = hear(Judge::Reject, Peer::NeverReads, &wire);
    assert_eq!(end, misbehaved(PeerMisbehaved::TooManyAuthAttempts));
    check_stated(
        "server: all attempts to log in, no answer read",
        used.bytes_max,
    );
}

#[test]
fn keys_that_are_asked_about_are_not_long_and_are_forgotten() {
    let user = "u";
    let query = |len| {
        let mut certificate = Vec::new();
        certificate.put_string(b"ssh-ed25519-cert-v01@openssh.com");
        certificate.put_string(&[0; 32]);
        certificate.put_string(&[7; 32]);
        certificate.resize(len, 0);
        let mut key = Vec::from([0]);
        key.put_string(b"ssh-ed25519-cert-v01@openssh.com");
        key.put_string(&certificate);
        request(user, "publickey", &key)
    };
    let said = |len| {
        let mut payloads = alloc::vec![message::service(number::SERVICE_REQUEST, "ssh-userauth")];
        for _ in 0..Limits::default().max_auth_attempts {
            payloads.push(query(len));
        }
        client_says(Judge::Reject, &payloads)
    };
    let wire = said(MAX_PUBLIC_KEY_BYTES);
    let (used, end) = hear(Judge::Accept, Peer::NeverReads, &wire);
    assert_eq!(end, Ok(()));
    check_stated(
        "server: all keys asked about, no answer read",
        used.bytes_max,
    );
    let wire = said(MAX_PUBLIC_KEY_BYTES + 1);
    let (used, end) = hear(Judge::Accept, Peer::NeverReads, &wire);
    assert_eq!(end, Ok(()));
    assert!(used.bytes_max < quiet(Judge::Reject).bytes_max + 4096);
}

#[test]
fn answers_that_are_never_read_stop_at_their_bound() {
    for (attack, payload) in [
        ("server: PINGs, no answer read", ping(30_000)),
        ("server: unknown messages, no answer read", Vec::from([200])),
    ] {
        let count = 2 * MAX_WAITING_REPLY_BYTES / (payload.len() + 5).max(37);
        let wire = client_says(Judge::Accept, &alloc::vec![payload; count]);
        let (used, end) = hear(Judge::Accept, Peer::NeverReads, &wire);
        assert_eq!(end, misbehaved(PeerMisbehaved::ReplyFlood), "{attack}");
        check_stated(attack, used.bytes_max);
        let (used, end) = hear(Judge::Accept, Peer::Reads, &wire);
        assert_eq!(end, Ok(()), "{attack}");
        assert!(used.bytes_max < stated_bytes(attack) / 4, "{attack}");
    }
}

#[test]
fn answers_held_for_a_key_exchange_that_never_ends_stop_at_their_bound() {
    // The peer begins one and goes on with messages that nobody knows.
    let mut payloads = alloc::vec![Pair::ready().client.core.kexinit_for_test()];
    payloads.resize(2 * MAX_WAITING_REPLY_BYTES / 37, Vec::from([8]));
    let wire = client_says(Judge::Accept, &payloads);
    let (used, end) = hear(Judge::Accept, Peer::Reads, &wire);
    assert_eq!(end, misbehaved(PeerMisbehaved::ReplyFlood));
    check_stated(
        "server: unknown messages in a key exchange without end",
        used.bytes_max,
    );
    // Ours is due, and the peer answers with PINGs.
    let mut config = ServerConfig::default();
    config.rekey.max_packets = 10;
    let wire = client_says(Judge::Accept, &alloc::vec![ping(30_000); 40]);
    let (used, end) = hear_with(config, Judge::Accept, Peer::Reads, &wire);
    assert_eq!(end, misbehaved(PeerMisbehaved::ReplyFlood));
    check_stated(
        "server: PINGs instead of a key exchange that is due",
        used.bytes_max,
    );
}

#[test]
fn a_long_goodbye_is_cut_before_it_is_kept() {
    let mut goodbye = Vec::from([number::DISCONNECT]);
    goodbye.put_word(11);
    goodbye.put_string(&[b'x'; 250_000]);
    goodbye.put_string(b"");
    let wire = client_says(Judge::Accept, &[goodbye]);
    let (used, end) = hear(Judge::Accept, Peer::NeverReads, &wire);
    assert_eq!(end, Ok(()));
    assert!(used.bytes_max < quiet(Judge::Accept).bytes_max + 8192);
}

#[test]
fn debug_texts_are_cut_before_they_are_kept() {
    let mut debug = Vec::from([number::DEBUG, 1]);
    debug.put_string(&[b'x'; 200_000]);
    debug.put_string(b"");
    let wire = client_says(Judge::Accept, &alloc::vec![debug; 20]);
    let (used, end) = hear(Judge::Accept, Peer::NeverReads, &wire);
    assert_eq!(end, Ok(()));
    assert!(used.bytes_max < quiet(Judge::Accept).bytes_max + 8192);
}

#[test]
fn answers_to_prompts_are_kept_within_their_bound_or_not_at_all() {
    let hear_answers = |bytes: usize| {
        let mut pair = asked(MAX_PROMPTS);
        let answer = alloc::vec![b'x'; bytes];
        pair.client_sends(&responses(&[answer.as_slice(); MAX_PROMPTS]));
        let mut packet = pair.client.poll_output().unwrap().to_vec();
        let used = measure(|| {
            let _ = pair.server.handle_input(&mut packet, NOW);
        });
        (used.bytes_max, pair.server.poll_event().is_some())
    };
    let (peak, is_asked) = hear_answers(MAX_RESPONSE_BYTES);
    assert!(is_asked && peak < 2 * (MAX_PROMPTS * MAX_RESPONSE_BYTES) as u64);
    let (peak, is_asked) = hear_answers(15 * MAX_RESPONSE_BYTES);
    assert!(!is_asked && peak < 4096, "{peak}");
}

#[test]
fn key_exchanges_after_the_login_leave_nothing_behind() {
    let mut config = ServerConfig::default();
    config.limits.peer_exchanges = 100;
    let mut pair = Pair::with(ClientConfig::default(), config).logged_in();
    let mut exchange = || {
        pair.client.start_rekey(NOW);
        pair.run().unwrap();
    };
    (0..4).for_each(|_| exchange());
    let used = measure(|| (0..50).for_each(|_| exchange()));
    // The test's own notes.
    assert!(used.bytes_current < 200, "{used:?}");
}
