use super::*;
use allocation_counter::{AllocationInfo, measure};

type End = (AllocationInfo, Result<(), Error>);

/// What a client holds that asks to be let in without a proof, while it hears `wire`, and how it ends.
fn hear(peer: Peer, wire: &[u8]) -> End {
    let (config, mut wire) = (Arc::new(ClientConfig::default()), wire.to_vec());
    let mut end = Ok(());
    let used = measure(|| {
        let mut client = Client::new(config, [1; 32], NOW);
        let mut at = 0;
        end = loop {
            match client.handle_input(&mut wire[at..], NOW) {
                Err(error) => break Err(error),
                Ok(progress) => at += progress.consumed,
            }
            let mut is_idle = true;
            while let Some(event) = client.poll_event() {
                is_idle = false;
                answer(&mut client, event);
            }
            if peer == Peer::Reads {
                client.poll_output();
            }
            if is_idle && (at == wire.len() || client.is_closed()) {
                break Ok(());
            }
        };
    });
    (used, end)
}

fn answer(client: &mut Client, event: ClientEvent) {
    match event {
        ClientEvent::HostKey(question) => client.accept_host_key(question.id, NOW).unwrap(),
        ClientEvent::KeyExchanged(exchange) if exchange.first => {
            client.authenticate("alice", ClientAuth::None, NOW).unwrap()
        }
        _ => {}
    }
}

/// Everything that the server of a pair says until the client waits to be let in, or until it is in, and then `payloads`.
fn server_says(judge: Judge, payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut pair = Pair::new();
    pair.judge = judge;
    let mut wire = Vec::new();
    let mut carry = |pair: &mut Pair| {
        pair.run_server().unwrap();
        let said = pair.server.poll_output().unwrap_or_default();
        wire.extend_from_slice(&said);
        pair.to_client.extend_from_slice(&said);
        pair.run_client().unwrap();
        !said.is_empty()
    };
    while carry(&mut pair) {}
    pair.client
        .authenticate("alice", ClientAuth::None, NOW)
        .unwrap();
    while carry(&mut pair) {}
    for payload in payloads {
        pair.server_sends(payload);
    }
    wire.extend_from_slice(&pair.server.poll_output().unwrap_or_default());
    wire
}

fn quiet(judge: Judge) -> AllocationInfo {
    let (used, end) = hear(Peer::NeverReads, &server_says(judge, &[]));
    assert_eq!(end, Ok(()));
    used
}

#[test]
fn lines_before_the_identification_are_not_kept() {
    let mut line = alloc::vec![b'x'; MAX_LINE_BEFORE_IDENTIFICATION_BYTES - 1];
    line.push(b'\n');
    let wire = line.repeat(MAX_LINES_BEFORE_IDENTIFICATION);
    let (used, end) = hear(Peer::NeverReads, &wire);
    assert_eq!(end, Ok(()));
    check_stated("client: nothing said", used.bytes_max);
    let (_, end) = hear(Peer::NeverReads, &[wire, line].concat());
    assert_eq!(end, misbehaved(PeerMisbehaved::BadIdentification));
}

#[test]
fn the_longest_name_lists_cost_one_copy() {
    let wire = [
        b"SSH-2.0-mallory\r\n".as_slice(),
        &in_clear(&longest_kexinit()),
    ]
    .concat();
    let (used, end) = hear(Peer::NeverReads, &wire);
    assert_eq!(end, Ok(()));
    check_stated("client: ten name-lists of 16 KiB", used.bytes_max);
}

#[test]
fn what_a_server_says_of_itself_is_kept_once() {
    let mut info = Vec::from([number::EXT_INFO]);
    info.put_word(1);
    info.put_string(b"server-sig-algs");
    info.put_string(&[b'y'; MAX_NAME_LIST_BYTES]);
    let wire = server_says(Judge::Wait, &alloc::vec![info; MAX_EXT_INFOS]);
    let (used, end) = hear(Peer::NeverReads, &wire);
    assert_eq!(end, unexpected(number::EXT_INFO));
    let kept = used.bytes_max - quiet(Judge::Wait).bytes_max;
    assert!(kept < 2 * MAX_NAME_LIST_BYTES as u64 + 4096, "{kept}");
}

#[test]
fn banners_are_few_and_cut_before_they_are_kept() {
    let mut banner = Vec::from([number::USERAUTH_BANNER]);
    banner.put_string(&[b'x'; 250_000]);
    banner.put_string(b"");
    let wire = server_says(Judge::Wait, &alloc::vec![banner; 10 * MAX_BANNERS]);
    let (used, end) = hear(Peer::NeverReads, &wire);
    assert_eq!(end, Ok(()));
    let quiet = quiet(Judge::Wait);
    let kept = used.bytes_max - quiet.bytes_max;
    assert!(kept < 4 * MAX_BANNER_BYTES as u64, "{kept}");
    assert!(used.count_total < quiet.count_total + 20 * MAX_BANNERS as u64);
}

#[test]
fn a_refusal_with_any_number_of_methods_keeps_few() {
    let mut failure = Vec::from([number::USERAUTH_FAILURE]);
    failure.put_string("x,".repeat(MAX_NAME_LIST_BYTES / 2).as_bytes());
    failure.put_byte(0);
    let wire = server_says(Judge::Wait, &[failure]);
    let (used, end) = hear(Peer::NeverReads, &wire);
    assert_eq!(end, Ok(()));
    let kept = used.bytes_max - quiet(Judge::Wait).bytes_max;
    assert!(kept < 4096, "{kept}");
}

#[test]
fn answers_that_are_never_read_stop_at_their_bound() {
    check_stated("client: logged in", quiet(Judge::Accept).bytes_max);
    let wire = server_says(Judge::Accept, &alloc::vec![ping(30_000); 40]);
    let (used, end) = hear(Peer::NeverReads, &wire);
    assert_eq!(end, misbehaved(PeerMisbehaved::ReplyFlood));
    check_stated("client: PINGs, no answer read", used.bytes_max);
    let (used, end) = hear(Peer::Reads, &wire);
    assert_eq!(end, Ok(()));
    assert!(used.bytes_max < stated_bytes("client: PINGs, no answer read") / 4);
}

#[test]
fn of_host_keys_that_a_server_tells_only_references_are_kept_and_few() {
    let key = alloc::vec![7; 100];
    let most = hostkeys::announcement(&[key.as_slice(); hostkeys::MAX_HOST_KEYS]);
    let flood = hostkeys::announcement(&[b"".as_slice(); 60_000]);
    for (message, is_taken) in [(most, true), (flood, false)] {
        let mut taken = None;
        let used = measure(|| {
            taken = Some(hostkeys::parse_announcement(&message).is_ok());
        });
        assert_eq!(taken, Some(is_taken));
        assert!(used.bytes_max < 4096, "{used:?}");
    }
}
