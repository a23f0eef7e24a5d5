//! The client's agent in the hands of a target: lent where granted, asked for keys and signatures, and for nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

#[path = "sim/bench.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
mod bench;
#[path = "sim/packets.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
mod p;

use bench::{Bench, Out, is_refusal, records, told};
use proptest::prelude::*;
use proxy_core::limits::MAX_AGENT_BYTES;
use proxy_core::relay::TERMINATED_WINDOW_BYTES;
use proxy_core::{ChannelEvent, Leg, RelayError};

const GRANTED: &str = "permit = [\"shell\", \"agent_forwarding\"]";
const KIND: &str = "auth-agent@openssh.com";

/// The target's number of the connection to the agent, and the client's.
const AT_TARGET: u32 = 3;
const AT_CLIENT: u32 = 5;

fn ask() -> Vec<u8> {
    p::request(7, "auth-agent-req@openssh.com", true, b"")
}

fn message(parts: &[&[u8]]) -> Vec<u8> {
    p::string(&parts.concat())
}

fn list() -> Vec<u8> {
    message(&[&[11]])
}

fn sign(key: &[u8]) -> Vec<u8> {
    message(&[&[13], &p::string(key), &p::string(b"challenge"), &[0; 4]])
}

fn keys() -> Vec<u8> {
    message(&[&[12, 0, 0, 0, 1], &p::string(b"key"), &p::string(b"ada")])
}

fn signature() -> Vec<u8> {
    message(&[&[14], &p::string(b"signed")])
}

fn failure() -> Vec<u8> {
    message(&[&[5]])
}

/// All that a client knows of an agent and no target is to do.
fn forbidden() -> Vec<Vec<u8>> {
    let bind = p::string(b"session-bind@openssh.com");
    vec![
        message(&[&[17], &p::string(b"ssh-ed25519"), &[7; 100]]),
        message(&[&[18], &p::string(b"key")]),
        message(&[&[19]]),
        message(&[&[22], &p::string(b"passphrase")]),
        message(&[&[23], &p::string(b"passphrase")]),
        message(&[&[25], &p::string(b"ssh-ed25519"), &[7; 100]]),
        message(&[&[27], &bind, &[7; 100]]),
        message(&[&[1]]),
        message(&[&[200]]),
    ]
}

/// A target may use the agent, and the client takes this window on the connection.
fn lent_with(window: u32, max_packet: u32) -> Bench {
    let mut bench = Bench::with_channel(GRANTED);
    bench.ok(Leg::Client, &ask());
    connect(&mut bench, AT_TARGET, AT_CLIENT, window, max_packet);
    bench
}

fn lent() -> Bench {
    lent_with(2_097_152, 32_768)
}

fn connect(bench: &mut Bench, target: u32, client: u32, window: u32, max_packet: u32) {
    let opened = bench.ok(Leg::Target, &p::open(KIND, target, 2_097_152, b""));
    assert!(records(&opened).contains("ForwardOpen"), "{opened:?}");
    let numbers = [target, client, window, max_packet].map(u32::to_be_bytes);
    let confirmed = [&[91][..], &numbers.concat()].concat();
    bench.ok(Leg::Client, &confirmed);
}

/// The data that goes to a leg.
fn data_to(leg: Leg, out: &[Out]) -> Vec<u8> {
    let sent = out.iter().filter_map(|out| match out {
        Out::Send(to, packet) | Out::Pass(to, packet) if *to == leg && packet[0] == 94 => {
            Some(packet[9..].to_vec())
        }
        _ => None,
    });
    sent.flatten().collect()
}

fn target_says(bench: &mut Bench, bytes: &[u8]) -> Vec<Out> {
    bench.ok(Leg::Target, &p::data(AT_CLIENT, bytes))
}

fn agent_says(bench: &mut Bench, bytes: &[u8]) -> Vec<Out> {
    bench.ok(Leg::Client, &p::data(AT_TARGET, bytes))
}

#[test]
fn an_agent_is_lent_only_where_granted_and_asked_for() {
    for (body, asks, passes) in [
        ("", true, false),
        (GRANTED, false, false),
        (GRANTED, true, true),
        ("permit = [\"shell\", \"x11_forwarding\"]", true, false),
    ] {
        for kind in [KIND, "agent-connect"] {
            let mut bench = Bench::with_channel(body);
            if asks {
                let out = bench.ok(Leg::Client, &ask());
                assert_eq!(!is_refusal(&out), passes, "{body}");
                let said = "this policy does not allow agent forwarding";
                assert_eq!(told(&out).contains(said), !passes);
            }
            let open = |sender, data| p::open(kind, sender, 2_097_152, data);
            let out = bench.ok(Leg::Target, &open(3, b""));
            assert_eq!(!is_refusal(&out), passes, "{body}");
            if passes {
                assert_eq!(out[1..], [Out::Send(Leg::Client, open(3, b""))]);
            } else {
                assert!(matches!(&out[1], Out::Send(Leg::Target, no) if no[0] == 92));
            }
            for (from, packet) in [(Leg::Client, open(4, b"")), (Leg::Target, open(6, b"x"))] {
                assert!(is_refusal(&bench.ok(from, &packet)), "{from:?}");
            }
        }
    }
}

#[test]
fn keys_are_listed_and_signatures_made_each_recorded_before_it_is_asked_for() {
    let mut bench = lent();
    for (asked, record, answer) in [
        (
            list(),
            "message: 11, key_fingerprint: \"\", allowed: true",
            keys(),
        ),
        (
            sign(b"key"),
            "message: 13, key_fingerprint: \"SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM\", allowed: true",
            signature(),
        ),
        (sign(b"other"), "message: 13", failure()),
    ] {
        let out = target_says(&mut bench, &asked);
        assert!(records(&out).contains(record), "{out:?}");
        assert!(records(&out).contains("ForwardData { from: Target"));
        assert_eq!(
            out.last(),
            Some(&Out::Send(Leg::Client, p::data(AT_CLIENT, &asked)))
        );
        let out = agent_says(&mut bench, &answer);
        assert!(matches!(&out[0], Out::Record(text) if text.contains("ForwardData")));
        assert_eq!(
            out[1..],
            [Out::Send(Leg::Target, p::data(AT_TARGET, &answer))]
        );
        // What is said is nobody's business but theirs.
        assert!(!records(&out).contains("100, 97"), "{out:?}");
    }
    let signatures = bench.events.iter().filter_map(|it| match it {
        ChannelEvent::AgentSignature { channel: 2, key } => Some(key.as_str()),
        _ => None,
    });
    let signatures: Vec<_> = signatures.collect();
    assert_eq!(
        signatures[0],
        "SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM"
    );
    assert_eq!(signatures.len(), 2);
    assert!(matches!(
        bench.events[1],
        ChannelEvent::Agent { channel: 1 }
    ));
}

#[test]
fn whatever_else_a_target_asks_fails_and_no_agent_hears_of_it() {
    for asked in forbidden() {
        let mut bench = lent();
        let out = target_says(&mut bench, &asked);
        assert_eq!(data_to(Leg::Client, &out), b"");
        assert_eq!(data_to(Leg::Target, &out), failure());
        let record = format!(
            "message: {}, key_fingerprint: \"\", allowed: false",
            asked[4]
        );
        assert!(records(&out).contains(&record), "{out:?}");
        assert!(matches!(
            bench.events.last(),
            Some(ChannelEvent::Refused { what, .. }) if *what == format!("agent request {}", asked[4])
        ));
        // The connection goes on.
        assert_eq!(
            data_to(Leg::Client, &target_says(&mut bench, &list())),
            list()
        );
    }
}

#[test]
fn who_does_not_talk_as_agents_do_is_cut_off_and_the_session_goes_on() {
    for (from, said) in [
        (Leg::Client, keys()),
        (Leg::Client, vec![0, 0, 0, 0]),
        (Leg::Target, vec![0, 0, 0, 0]),
        (Leg::Target, b"SSH-2.0-x\r\n".to_vec()),
        (Leg::Target, list().repeat(65)),
    ] {
        let mut bench = lent();
        let id = if from == Leg::Client {
            AT_TARGET
        } else {
            AT_CLIENT
        };
        let out = bench.ok(from, &p::data(id, &said));
        assert!(is_refusal(&out), "{out:?}");
        assert!(out.contains(&Out::Send(Leg::Client, p::eof(AT_CLIENT))));
        assert!(out.contains(&Out::Send(Leg::Target, p::eof(AT_TARGET))));
        let told = bench.events.len();
        for _ in 0..10 {
            assert_eq!(target_says(&mut bench, &list()), []);
            assert_eq!(agent_says(&mut bench, &keys()), []);
            assert_eq!(bench.ok(Leg::Client, &p::window_adjust(AT_TARGET, 9)), []);
        }
        assert_eq!(bench.events.len(), told, "it was told once");
        bench.ok(Leg::Client, &p::close(AT_TARGET));
        let end = bench.ok(Leg::Target, &p::close(AT_CLIENT));
        assert!(records(&end).contains("ForwardClose"), "{end:?}");
        connect(&mut bench, AT_TARGET, AT_CLIENT, 1000, 1000);
    }
}

#[test]
fn it_is_no_session() {
    let mut bench = lent();
    for (from, packet) in [
        (Leg::Client, p::request(AT_TARGET, "shell", true, b"")),
        (Leg::Target, p::exit_status(AT_CLIENT, 0)),
        (Leg::Target, p::extended_data(AT_CLIENT, 1, b"x")),
        (Leg::Client, p::extended_data(AT_TARGET, 1, b"x")),
    ] {
        assert!(is_refusal(&bench.ok(from, &packet)), "{packet:?}");
    }
}

#[test]
fn each_side_is_held_to_the_window_that_the_proxy_gave_it() {
    for window in [0, 100, TERMINATED_WINDOW_BYTES] {
        let mut bench = lent_with(window, 32_768);
        let (result, _) = bench.hand(
            Leg::Target,
            &p::data(AT_CLIENT, &vec![0; window as usize + 1]),
        );
        assert!(matches!(result, Err(RelayError::BeyondWindow { .. })));
    }
}

#[test]
fn what_is_asked_waits_for_the_agents_window_and_the_end_behind_it() {
    let mut bench = lent_with(20, 8);
    let asked = sign(b"key");
    let (first, rest) = asked.split_at(20);
    let mut out = target_says(&mut bench, first);
    // Granted again, since nothing waits.
    assert!(out.contains(&Out::Send(Leg::Target, p::window_adjust(AT_TARGET, 20))));
    out.extend(target_says(&mut bench, rest));
    out.extend(bench.ok(Leg::Target, &p::eof(AT_CLIENT)));
    assert_eq!(data_to(Leg::Client, &out), asked[..20]);
    let longest = out.iter().filter_map(|out| match out {
        Out::Send(Leg::Client, packet) => Some(packet.len() - 9),
        _ => None,
    });
    assert_eq!(longest.max(), Some(8));
    let more = bench.ok(Leg::Client, &p::window_adjust(AT_TARGET, 100));
    assert_eq!(data_to(Leg::Client, &more), asked[20..]);
    assert_eq!(
        more.last(),
        Some(&Out::Send(Leg::Client, p::eof(AT_CLIENT)))
    );
    let answered = agent_says(&mut bench, &signature());
    assert_eq!(data_to(Leg::Target, &answered), signature());
}

#[test]
fn nothing_is_sent_behind_a_close() {
    // What waits for a window is lost with the channel.
    let mut bench = lent_with(4, 4);
    target_says(&mut bench, &list()[..4]);
    let close = p::close(AT_CLIENT);
    target_says(&mut bench, &[11]);
    let out = bench.packets(Leg::Target, &close);
    assert_eq!(out, [Out::Pass(Leg::Client, close)]);
    let late = bench.packets(Leg::Client, &p::window_adjust(AT_TARGET, 1000));
    assert!(
        late.iter()
            .all(|it| !matches!(it, Out::Send(Leg::Client, _))),
        "{late:?}"
    );
    let late = agent_says(&mut bench, &keys());
    assert!(
        late.iter()
            .all(|it| !matches!(it, Out::Send(Leg::Client, _))),
        "{late:?}"
    );
}

#[test]
fn nothing_is_sent_behind_an_end() {
    let mut bench = lent();
    let ended = bench.packets(Leg::Client, &p::eof(AT_TARGET));
    assert_eq!(ended, [Out::Send(Leg::Target, p::eof(AT_TARGET))]);
    // The proxy would answer this itself.
    let out = target_says(&mut bench, &message(&[&[27]]));
    assert!(data_to(Leg::Target, &out).is_empty(), "{out:?}");
}

#[test]
fn all_connections_together_hold_no_more_than_their_limit() {
    let mut bench = Bench::with_channel(GRANTED);
    bench.ok(Leg::Client, &ask());
    let long = [&[0, 3, 0xff, 0xff][..], &[13; 200_000]].concat();
    let mut held = 0;
    for id in 10..40 {
        connect(&mut bench, id, id, 2_097_152, 32_768);
        let out = bench.ok(Leg::Target, &p::data(id, &long));
        if !is_refusal(&out) {
            held += long.len();
        }
    }
    assert_eq!(held, MAX_AGENT_BYTES / long.len() * long.len());
}

/// What a side says in one go, and how much the other then takes.
fn any_talk() -> impl Strategy<Value = Vec<(Vec<u8>, usize, u32)>> {
    let forbidden = (0..forbidden().len()).prop_map(|at| forbidden().swap_remove(at));
    let key = prop_oneof![Just(&b"key"[..]), Just(&[9; 500][..])];
    let asked = prop_oneof![Just(list()), key.prop_map(sign), forbidden];
    proptest::collection::vec((asked, 1..40_usize, 0..300_u32), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// In pieces of any size and through windows of any size: the agent hears every allowed question whole and nothing else, and the
    /// target hears the answer to each of its questions in their order.
    #[test]
    fn every_question_is_answered_in_its_turn(talk in any_talk(), window in 64..2000_u32) {
        let mut bench = lent_with(window, 64);
        let (mut heard, mut unread, mut got) = (Vec::new(), Vec::new(), Vec::new());
        let (mut allowed, mut wanted) = (Vec::new(), Vec::new());
        let mut may_send = window;
        let mut left: std::collections::VecDeque<u8> = std::collections::VecDeque::new();
        for (asked, _, _) in &talk {
            left.extend(asked);
            let answer = match asked[4] {
                11 => keys(),
                13 => signature(),
                _ => failure(),
            };
            if asked[4] == 11 || asked[4] == 13 {
                allowed.extend_from_slice(asked);
            }
            wanted.extend(answer);
        }
        for round in 0..10_000 {
            let (_, piece, more) = &talk[round % talk.len()];
            let piece = (*piece).min(left.len()).min(may_send as usize);
            let mut outs = Vec::new();
            if piece > 0 {
                let bytes: Vec<u8> = left.drain(..piece).collect();
                may_send -= u32::try_from(piece).unwrap();
                outs.extend(target_says(&mut bench, &bytes));
            }
            outs.extend(bench.ok(Leg::Client, &p::window_adjust(AT_TARGET, *more)));
            let to_agent = data_to(Leg::Client, &outs);
            heard.extend_from_slice(&to_agent);
            unread.extend_from_slice(&to_agent);
            // The agent answers what it has read whole.
            while let Some(len) = unread.first_chunk::<4>().map(|len| u32::from_be_bytes(*len) as usize + 4)
                && unread.len() >= len
            {
                let question: Vec<u8> = unread.drain(..len).collect();
                let answer = if question[4] == 11 { keys() } else { signature() };
                outs.extend(agent_says(&mut bench, &answer));
            }
            got.extend(data_to(Leg::Target, &outs));
            for out in &outs {
                if let Out::Send(Leg::Target, packet) = out && packet[0] == 93 {
                    may_send += u32::from_be_bytes(packet[5..9].try_into().unwrap());
                }
            }
            if got.len() >= wanted.len() && left.is_empty() {
                break;
            }
        }
        prop_assert_eq!(heard, allowed);
        prop_assert_eq!(got, wanted);
    }

    /// Whatever the two say: the agent hears nothing but whole questions that are allowed.
    #[test]
    fn hostile_bytes_reach_no_agent(
        said in proptest::collection::vec(
            (any::<bool>(), proptest::collection::vec(prop_oneof![0..20_u8, any::<u8>()], 0..40)),
            0..40,
        ),
    ) {
        let mut bench = lent();
        let mut heard = Vec::new();
        for (is_target, bytes) in said {
            let (from, id) = if is_target { (Leg::Target, AT_CLIENT) } else { (Leg::Client, AT_TARGET) };
            let out = bench.ok(from, &p::data(id, &bytes));
            heard.extend(data_to(Leg::Client, &out));
        }
        while let Some(len) = heard.first_chunk::<4>().map(|len| u32::from_be_bytes(*len) as usize + 4) {
            prop_assert!(len <= heard.len() && matches!(heard[4], 11 | 13));
            heard.drain(..len);
        }
        prop_assert!(heard.is_empty());
    }
}
