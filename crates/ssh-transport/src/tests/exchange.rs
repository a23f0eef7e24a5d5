use super::*;
use crate::connection::Phase;
use crate::message::number;
use crate::packet::Sealer;
use crate::wire::Put as _;

#[test]
fn another_host_key_on_rekey_is_told() {
    let mut pair = Pair::ready();
    pair.key = key(8);
    let changed = [host_key(&pair.key)];
    pair.server.change_host_keys(&changed).unwrap();
    pair.server.start_rekey(NOW);
    pair.run().unwrap();
    assert_eq!(pair.host_keys_changed, [false, true]);
}

#[test]
fn host_keys_change_only_into_readable_ones_of_the_same_algorithms() {
    let mut pair = Pair::ready();
    let other = host_key(&key(8));
    let mut of_other_kind = other.clone();
    of_other_kind.algorithm = HostKeyAlgorithm::RsaSha512;
    let mut unreadable = other.clone();
    unreadable.public_key.truncate(20);
    for bad in [
        &[][..],
        &[of_other_kind],
        &[unreadable],
        &[other.clone(), other],
    ] {
        let changed = pair.server.change_host_keys(bad);
        assert_eq!(changed, Err(ApiMisuse::BadHostKeys));
    }
}

#[test]
fn another_host_key_on_rekey_that_is_refused_ends_the_connection() {
    let mut pair = Pair::ready();
    pair.key = key(8);
    let changed = [host_key(&pair.key)];
    pair.server.change_host_keys(&changed).unwrap();
    pair.server.start_rekey(NOW);
    pair.server.send_packet(&[97, 0, 0, 0, 0], NOW).unwrap();
    pair.run_client().unwrap();
    pair.run_server().unwrap();
    pair.to_client
        .extend(pair.server.poll_output().unwrap_or_default());
    let question = loop {
        let progress = pair.client.handle_input(&mut pair.to_client, NOW).unwrap();
        pair.to_client.drain(..progress.consumed);
        if let Some(ClientEvent::HostKey(question)) = pair.client.poll_event() {
            break question;
        }
        assert!(progress.consumed > 0, "no question");
    };
    assert!(question.rekey && question.changed);
    pair.client.reject_host_key(question.id);
    pair.run().unwrap();
    assert!(pair.client.is_closed() && pair.client_received.is_empty());
    let goodbye = (9, "host key not accepted".into());
    assert_eq!(pair.goodbyes, [goodbye]);
}

#[test]
fn a_second_kexinit_within_an_exchange_ends_the_connection() {
    let mut pair = Pair::ready();
    pair.client.start_rekey(NOW);
    pair.run_server().unwrap();
    let again = pair.client.core.kexinit_for_test();
    assert_eq!(pair.server_gets(&again), unexpected(number::KEXINIT));
}

#[test]
fn who_does_not_finish_a_later_exchange_is_sent_away_in_time_and_who_does_not_begin_is_waited_for()
{
    let mut pair = Pair::ready();
    pair.client.start_rekey(NOW);
    pair.run_server().unwrap();
    let deadline = NOW + REKEY_GRACE;
    assert_eq!(pair.server.poll_timeout(), Some(deadline));
    let almost = deadline - Duration::from_nanos(1);
    pair.server.handle_timeout(almost).unwrap();
    let late = Err(Error::TimedOut(Timer::KeyExchange));
    assert_eq!(pair.server.handle_timeout(deadline), late);
    assert!(pair.server.is_closed());

    let mut pair = Pair::ready();
    pair.server.start_rekey(NOW);
    pair.run_client().unwrap();
    assert_eq!(pair.client.poll_timeout(), Some(deadline));
    // The client's part was not heard yet.
    assert_eq!(pair.server.poll_timeout(), None);
    pair.run().unwrap();
    let next = Some(NOW + RekeyPolicy::default().max_age);
    assert_eq!(pair.server.poll_timeout(), next);
    assert_eq!(pair.client.poll_timeout(), next);
}

#[test]
fn authentication_messages_between_kexinit_and_newkeys_end_the_connection() {
    for number in [5, 7, 50, 192] {
        let mut pair = Pair::ready();
        pair.client.start_rekey(NOW);
        pair.run_server().unwrap();
        assert_eq!(pair.server_gets(&[number]), unexpected(number));
    }
}

#[test]
fn connection_packets_that_putty_sends_after_its_kexinit_are_taken() {
    let mut pair = Pair::ready();
    pair.client.start_rekey(NOW);
    pair.client_sends(&[97, 0, 0, 0, 0]);
    pair.run().unwrap();
    assert_eq!(pair.server_received, [[97, 0, 0, 0, 0]]);
    assert_eq!(pair.exchanges, 4);
}

/// A client whose KEXINIT says that a guessed packet follows, which does.
fn guessing_client(pair: &mut Pair, guess: &[u8]) {
    let line = pair.client.poll_output().unwrap();
    let line_end = line.iter().position(|b| *b == b'\n').unwrap() + 1;
    pair.to_server.extend_from_slice(&line[..line_end]);
    pair.client.core.sealer_for_test(Sealer::default());
    let kexinit = pair.client.core.change_kexinit_for_test(|kexinit| {
        let flag = kexinit.len() - 5;
        kexinit[flag] = 1;
    });
    pair.client_sends(&kexinit);
    pair.client_sends(guess);
}

#[test]
fn a_wrong_guess_is_dropped_and_the_exchange_goes_on() {
    let mut config = ClientConfig::default();
    config.algorithms.kex = Vec::from([KexAlgorithm::EcdhNistP256, KexAlgorithm::Curve25519Sha256]);
    let mut pair = Pair::with(config, ServerConfig::default());
    let mut guess = Vec::from([number::KEX_ECDH_INIT]);
    guess.put_string(&[4; 65]);
    guessing_client(&mut pair, &guess);
    pair.run().unwrap();
    assert_eq!(pair.exchanges, 2);
}

#[test]
fn a_right_guess_is_used() {
    let mut pair = Pair::new();
    // The first choice of both: the guess counts, and this one is no key.
    guessing_client(&mut pair, &[number::KEX_ECDH_INIT, 0, 0, 0, 1, 0]);
    assert_eq!(
        pair.run_server(),
        misbehaved(PeerMisbehaved::BadEphemeralKey)
    );
}

#[test]
fn a_bad_ephemeral_key_ends_the_connection_for_each_method() {
    let small_order = [0u8; 32];
    let mut p256_not_on_curve = [7u8; 65];
    p256_not_on_curve[0] = 4;
    let mut mlkem_modulus = [0xffu8; 1184 + 32];
    mlkem_modulus[1184..].fill(9);
    let mut group16_too_large = [0xffu8; 513];
    group16_too_large[0] = 0;
    let cases: [(KexAlgorithm, &[u8]); 14] = [
        (KexAlgorithm::Curve25519Sha256, &small_order),
        (KexAlgorithm::Curve25519Sha256, &[9; 31]),
        (KexAlgorithm::Curve25519Sha256Libssh, &[9; 33]),
        (KexAlgorithm::EcdhNistP256, &p256_not_on_curve),
        (KexAlgorithm::EcdhNistP256, &[0]),
        (KexAlgorithm::EcdhNistP256, &[2; 33]),
        (KexAlgorithm::EcdhNistP384, &[4; 97]),
        (KexAlgorithm::EcdhNistP521, &[4; 133]),
        (KexAlgorithm::DhGroup14Sha256, &[1]),
        (KexAlgorithm::DhGroup14Sha256, &[]),
        (KexAlgorithm::DhGroup14Sha256, &[0x80]),
        (KexAlgorithm::DhGroup16Sha512, &group16_too_large),
        (KexAlgorithm::MlKem768X25519Sha256, &mlkem_modulus),
        (KexAlgorithm::MlKem768X25519Sha256, &[0; 1184 + 32]),
    ];
    for (kex, public) in cases {
        let mut config = ServerConfig::default();
        config.algorithms.kex = Vec::from([kex]);
        let mut pair = Pair::with(everything(), config);
        let mut init = Vec::from([number::KEX_ECDH_INIT]);
        init.put_string(public);
        pair.client_sends(&init);
        assert_eq!(
            pair.run_server(),
            misbehaved(PeerMisbehaved::BadEphemeralKey),
            "{kex:?}"
        );
        assert!(pair.server.is_closed());
    }
}

#[test]
fn a_host_key_of_another_kind_or_a_wrong_signature_ends_the_connection() {
    let mut pair = Pair::new();
    pair.key = key(99);
    assert_eq!(pair.run(), misbehaved(PeerMisbehaved::BadHostKeySignature));
    let mut pair = Pair::new();
    // An RSA blob where Ed25519 was agreed on.
    let mut blob = Vec::new();
    blob.put_string(b"ssh-rsa");
    blob.put_mpint(&[1, 0, 1]);
    blob.put_mpint(&[0xc1; 256]);
    pair.server.host_keys[0].public_key = blob;
    assert_eq!(pair.run(), misbehaved(PeerMisbehaved::BadHostKey));
}

#[test]
fn a_signature_of_another_algorithm_is_refused_and_the_question_stays_open() {
    let mut pair = Pair::new();
    let mut bytes = pair.client.poll_output().unwrap().to_vec();
    let request = loop {
        let consumed = pair.server.handle_input(&mut bytes, NOW).unwrap().consumed;
        bytes.drain(..consumed);
        if consumed == 0 {
            let hello = pair.server.poll_output().unwrap();
            pair.to_client.extend_from_slice(&hello);
            pair.run_client().unwrap();
            bytes.extend(pair.client.poll_output().unwrap());
        }
        if let Some(ServerEvent::SignExchangeHash(request)) = pair.server.poll_event() {
            break request;
        }
    };
    let mut wrong = Vec::new();
    wrong.put_string(b"ssh-rsa");
    wrong.put_string(&[0; 64]);
    let copy = SignId(request.id.0);
    assert_eq!(
        pair.server.signed(request.id, &wrong, NOW),
        Err(Error::ApiMisuse(ApiMisuse::SignatureMismatch))
    );
    assert!(!pair.server.is_closed());
    let signature = pair.key.sign(&request.data);
    pair.server.signed(copy, &signature, NOW).unwrap();
    pair.run().unwrap();
    assert_eq!(pair.exchanges, 2);
}

#[test]
fn a_peer_without_strict_exchange_is_taken_and_sequence_numbers_go_on() {
    let mut pair = Pair::new();
    let line = pair.client.poll_output().unwrap();
    let line_end = line.iter().position(|b| *b == b'\n').unwrap() + 1;
    pair.to_server.extend_from_slice(&line[..line_end]);
    pair.client.core.sealer_for_test(Sealer::default());
    let kexinit = pair.client.core.change_kexinit_for_test(|kexinit| {
        let at = kexinit
            .windows(12)
            .position(|w| w == b"kex-strict-c")
            .unwrap();
        kexinit[at] = b'x';
    });
    // Without strict exchange an IGNORE may come first.
    pair.client_sends(&[number::IGNORE, 0, 0, 0, 0]);
    pair.client_sends(&kexinit);
    pair.run_server().unwrap();
    // The client saw the server's mark and believes in it: so do not let it.
    pair.to_client.extend(pair.server.poll_output().unwrap());
    while !matches!(pair.client.core.phase_for_test(), Phase::Exchanging { .. }) {
        let consumed = pair
            .client
            .handle_input(&mut pair.to_client, NOW)
            .unwrap()
            .consumed;
        pair.to_client.drain(..consumed);
    }
    pair.client.core.forget_strict_for_test();
    pair.run().unwrap();
    pair.client
        .authenticate("alice", ClientAuth::None, NOW)
        .unwrap();
    pair.run().unwrap();
    assert_eq!(pair.authenticated, (true, true));
    pair.client.start_rekey(NOW);
    pair.run().unwrap();
    assert_eq!(pair.exchanges, 4);
}

#[test]
fn key_exchanges_before_authentication_are_few() {
    let mut pair = Pair::exchanged();
    let mut result = Ok(());
    let mut rounds = 0;
    while result.is_ok() {
        rounds += 1;
        pair.client.start_rekey(NOW);
        result = pair.run();
    }
    assert_eq!(result, misbehaved(PeerMisbehaved::TooManyPacketsBeforeAuth));
    assert_eq!(rounds, MAX_EXCHANGES_BEFORE_AUTH);
}

type Outcome = Result<(), Error>;

/// A client that offers all there is.
fn everything() -> ClientConfig {
    ClientConfig {
        algorithms: Algorithms::legacy(),
        ..ClientConfig::default()
    }
}

/// A pair that has agreed on a group exchange, of which nothing was sent.
fn in_group_exchange() -> Pair {
    let (mut client, mut server) = (everything(), ServerConfig::default());
    client.algorithms.kex = Vec::from([KexAlgorithm::DhGroupExchangeSha256]);
    server.algorithms.kex = client.algorithms.kex.clone();
    Pair::with(client, server)
}

fn group_request(sizes: [u32; 3]) -> Vec<u8> {
    let mut message = Vec::from([number::KEX_DH_GEX_REQUEST]);
    for bits in sizes {
        message.put_word(bits);
    }
    message
}

#[test]
fn a_group_exchange_takes_its_messages_only_in_order_and_whole() {
    let bad_init = [number::KEX_DH_GEX_INIT, 0, 0, 0, 1, 1];
    let request = group_request([2048, 2048, 8192]);
    let is_malformed = misbehaved(PeerMisbehaved::MalformedMessage);
    let is_bad = misbehaved(PeerMisbehaved::BadEphemeralKey);
    let none_fits = Err(Error::PeerIncompatible {
        what: Negotiated::KeyExchange,
    });
    let cases: [(&[&[u8]], Outcome); 8] = [
        (&[&bad_init], unexpected(number::KEX_DH_GEX_INIT)),
        (&[&[number::KEX_ECDH_INIT, 0, 0, 0, 1, 1]], unexpected(30)),
        (&[&request, &bad_init], is_bad),
        (&[&request, &request], unexpected(34)),
        (&[&request, &[31, 0, 0, 0, 1, 1]], unexpected(31)),
        (&[&request[..12]], is_malformed.clone()),
        (&[&[&request[..], &[0]].concat()], is_malformed),
        (&[&group_request([8192, 8192, 8192])], none_fits),
    ];
    for (messages, expected) in cases {
        let mut pair = in_group_exchange();
        for message in messages {
            pair.client_sends(message);
        }
        assert_eq!(pair.run_server(), expected, "{messages:?}");
    }
}

#[test]
fn a_group_that_is_none_ends_the_connection_of_a_client() {
    let mut even = Vec::from([0xff; 256]);
    even[255] = 0xfe;
    let bad = misbehaved(PeerMisbehaved::BadGroup);
    let malformed = misbehaved(PeerMisbehaved::MalformedMessage);
    let cases: [(&[u8], &[u8], Outcome); 4] = [
        (&[0xff; 128], &[2], bad.clone()),
        (&[0xff; 1025], &[2], bad.clone()),
        (&even, &[2], bad),
        (&[0xff; 256], &[], malformed),
    ];
    for (prime, generator, expected) in cases {
        let mut pair = in_group_exchange();
        pair.run_server().unwrap();
        let mut message = Vec::from([number::KEX_DH_GEX_GROUP]);
        message.put_mpint(prime);
        message.put_mpint(generator);
        pair.server_sends(&message);
        assert_eq!(pair.run_client(), expected);
    }
    // The answer to a request that was never made.
    let mut pair = in_group_exchange();
    pair.run_server().unwrap();
    pair.server_sends(&[number::KEX_DH_GEX_REPLY, 0, 0, 0, 0]);
    assert_eq!(pair.run_client(), unexpected(number::KEX_DH_GEX_REPLY));
}

#[test]
fn a_mac_is_agreed_on_only_for_a_cipher_that_needs_one() {
    let pair_of = |ciphers: &[CipherAlgorithm], ours: &[MacAlgorithm], theirs: &[MacAlgorithm]| {
        let (mut client, mut server) = (everything(), ServerConfig::default());
        client.algorithms.ciphers = ciphers.to_vec();
        server.algorithms.ciphers = ciphers.to_vec();
        client.algorithms.macs = theirs.to_vec();
        server.algorithms.macs = ours.to_vec();
        Pair::with(client, server).run()
    };
    let (ours, theirs) = (&[MacAlgorithm::HmacSha256], &[MacAlgorithm::HmacSha512]);
    assert_eq!(pair_of(&[CipherAlgorithm::Aes256Gcm], ours, theirs), Ok(()));
    assert_eq!(pair_of(&[CipherAlgorithm::Aes256Ctr], ours, ours), Ok(()));
    assert_eq!(
        pair_of(&[CipherAlgorithm::Aes256Ctr], ours, theirs),
        Err(Error::PeerIncompatible {
            what: Negotiated::Mac
        })
    );
}

#[test]
fn by_default_nothing_weak_is_offered_and_finite_fields_only_by_the_seeded_provider() {
    let offered = |algorithms: Algorithms, provider: Provider| {
        let config = ServerConfig {
            algorithms,
            provider,
            ..ServerConfig::default()
        };
        let mut pair = Pair::with(ClientConfig::default(), config);
        let hello = pair.server.poll_output().unwrap();
        String::from_utf8_lossy(&hello).into_owned()
    };
    for provider in [Provider::Seeded, Provider::AwsLc] {
        let hello = offered(Algorithms::default(), provider);
        for weak in [
            "nistp",
            "diffie-hellman-group",
            "ctr",
            "sha2-256,",
            "ssh-rsa",
        ] {
            assert!(!hello.contains(weak), "{weak}");
        }
    }
    let everything = offered(Algorithms::legacy(), Provider::Seeded);
    let without = offered(Algorithms::legacy(), Provider::AwsLc);
    assert!(everything.contains("diffie-hellman-group14-sha256"));
    assert!(!without.contains("diffie-hellman") && without.contains("nistp521"));
}

/// How many exchanges in a row `begin` gets to begin, with so many bytes of payload before each.
fn exchanges_in_a_row(pair: &mut Pair, begin: fn(&mut Pair), bytes: usize) -> usize {
    for count in 0..200 {
        let mut payload = Vec::from([97]);
        payload.resize(bytes.max(1), 0);
        pair.client.send_packet(&payload, NOW).unwrap();
        begin(pair);
        if let Err(error) = pair.run() {
            let expected = Error::PeerMisbehaved(PeerMisbehaved::TooManyExchanges);
            assert_eq!(error, expected);
            return count;
        }
    }
    200
}

#[test]
fn a_peer_that_begins_exchanges_back_to_back_is_told_so_and_left() {
    type Begin = fn(&mut Pair);
    let client: Begin = |pair| pair.client.start_rekey(NOW);
    let server: Begin = |pair| pair.server.start_rekey(NOW);
    for begin in [client, server] {
        let mut pair = Pair::ready();
        let count = exchanges_in_a_row(&mut pair, begin, 1);
        // What the exchanges themselves say counts as well, and comes to a few more.
        let at_most = MAX_PEER_EXCHANGES as usize;
        assert!((at_most..at_most + at_most / 2).contains(&count), "{count}");
        let (mut to_client, mut to_server) = (pair.client.poll_output(), pair.server.poll_output());
        pair.to_server.extend(to_client.take().unwrap_or_default());
        pair.to_client.extend(to_server.take().unwrap_or_default());
        let _ = (pair.run_client(), pair.run_server());
        let words = "the peer broke the protocol: too many key exchanges";
        assert_eq!(pair.goodbyes, [(2, words.to_string())]);
    }
}

#[test]
fn exchanges_that_much_was_sent_between_may_go_on_for_ever() {
    let mut pair = Pair::ready();
    let bytes = usize::try_from(PEER_EXCHANGE_BYTES).unwrap();
    let count = exchanges_in_a_row(&mut pair, |pair| pair.client.start_rekey(NOW), bytes);
    assert_eq!(count, 200);
}

#[test]
fn a_peer_that_waits_may_begin_as_many_exchanges_again() {
    let mut pace = crate::connection::Pace::new(4, NOW);
    let mut begun = |now| {
        pace.passed(0, now);
        core::iter::from_fn(|| pace.begin().then_some(())).count()
    };
    assert_eq!(begun(NOW), 4);
    assert_eq!(begun(NOW), 0);
    assert_eq!(begun(NOW + PEER_EXCHANGE_EVERY / 2), 0);
    assert_eq!(begun(NOW + PEER_EXCHANGE_EVERY), 1);
    assert_eq!(begun(NOW + 3 * PEER_EXCHANGE_EVERY), 2);
    assert_eq!(begun(NOW + 100 * PEER_EXCHANGE_EVERY), 4);
    // A clock that goes back gives nothing.
    assert_eq!(begun(NOW), 0);
}
