//! The client's agent in the hands of a target: lent where granted, asked for keys and signatures, and for nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

#[path = "../sim/bench.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
mod bench;
#[path = "../sim/packets.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
mod p;

mod lending;

use bench::{Bench, Out, is_refusal, records, told};
use proptest::prelude::*;
use proxy_core::limits::{MAX_AGENT_BYTES, MAX_AGENTS};
use proxy_core::relay::AGENT_WINDOW_BYTES;
use proxy_core::{ChannelEvent, Leg, Limits, RelayError};

const GRANTED: &str = "permit = [\"shell\", \"agent_forwarding\"]";
const KIND: &str = "auth-agent@openssh.com";

/// The target's number of the connection to the agent, and the client's.
const AT_TARGET: u32 = 3;
const AT_CLIENT: u32 = 5;

fn ask() -> Vec<u8> {
    p::request(7, "auth-agent-req@openssh.com", true, b"")
}

/// With a channel whose program may use the agent.
fn lending(body: &str) -> Bench {
    let mut bench = Bench::with_channel(body);
    bench.ok(Leg::Client, &ask());
    bench.ok(Leg::Target, &p::success(0));
    bench
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
    let mut bench = lending(GRANTED);
    connect(&mut bench, AT_TARGET, AT_CLIENT, window, max_packet);
    bench
}

fn lent() -> Bench {
    lent_with(2_097_152, 32_768)
}

fn connect(bench: &mut Bench, target: u32, client: u32, window: u32, max_packet: u32) {
    let opened = bench.ok(Leg::Target, &p::open(KIND, target, 2_097_152, b""));
    assert!(records(&opened).contains("ForwardOpen"), "{opened:?}");
    let confirmed = p::confirm_sized(target, client, (window, max_packet));
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

/// What a leg is granted.
fn grants_to(leg: Leg, out: &[Out]) -> usize {
    let grants = out.iter().filter_map(|out| match out {
        Out::Send(to, packet) if *to == leg && packet[0] == 93 => {
            Some(u32::from_be_bytes(packet[5..9].try_into().unwrap()) as usize)
        }
        _ => None,
    });
    grants.sum()
}

/// Data of a side on the one connection.
fn data_from(from: Leg, bytes: &[u8]) -> Vec<u8> {
    let id = if from == Leg::Client {
        AT_TARGET
    } else {
        AT_CLIENT
    };
    p::data(id, bytes)
}

fn target_says(bench: &mut Bench, bytes: &[u8]) -> Vec<Out> {
    bench.ok(Leg::Target, &p::data(AT_CLIENT, bytes))
}

fn agent_says(bench: &mut Bench, bytes: &[u8]) -> Vec<Out> {
    bench.ok(Leg::Client, &p::data(AT_TARGET, bytes))
}

fn ends_it(out: &[Out]) -> bool {
    out.contains(&Out::Send(Leg::Client, p::eof(AT_CLIENT)))
        && out.contains(&Out::Send(Leg::Target, p::eof(AT_TARGET)))
}

#[test]
fn both_sides_of_a_connection_to_the_agent_have_the_windows_of_the_setting() {
    let limits = Limits {
        agent_window_bytes: 8192,
        ..Limits::default()
    };
    let mut bench = Bench::within(GRANTED, &limits).and_channel();
    bench.ok(Leg::Client, &ask());
    bench.ok(Leg::Target, &p::success(0));
    let out = bench.ok(Leg::Target, &p::open(KIND, AT_TARGET, 2_097_152, b""));
    let told = p::open(KIND, AT_TARGET, 8192, b"");
    assert_eq!(out[1..], [Out::Send(Leg::Client, told)]);
    let sizes = (2_097_152, 32_768);
    let out = bench.ok(Leg::Client, &p::confirm_sized(AT_TARGET, AT_CLIENT, sizes));
    let told = p::confirm_sized(AT_TARGET, AT_CLIENT, (8192, 32_768));
    assert_eq!(out[1..], [Out::Send(Leg::Target, told)]);
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
        let record = format!("message: {}, key_fingerprint: \"", asked[4]);
        assert!(records(&out).contains(&record), "{out:?}");
        assert!(records(&out).contains("allowed: false"), "{out:?}");
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

/// Whether both sides see the end of the one connection.
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
        let out = bench.ok(from, &data_from(from, &said));
        assert!(is_refusal(&out), "{out:?}");
        assert!(ends_it(&out), "{out:?}");
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
        connect(&mut bench, AT_TARGET, AT_CLIENT, 1000, 1024);
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
    for window in [0, 100, 2_097_152] {
        for from in [Leg::Target, Leg::Client] {
            let mut bench = lent_with(window, 32_768);
            let len = AGENT_WINDOW_BYTES as usize + 1;
            let (result, _) = bench.hand(from, &data_from(from, &vec![0; len]));
            assert!(matches!(result, Err(RelayError::BeyondWindow { .. })));
        }
    }
}

#[test]
fn a_window_that_begins_at_nothing_takes_as_much_as_any() {
    let mut bench = lent_with(0, 32_768);
    assert_eq!(data_to(Leg::Client, &target_says(&mut bench, &list())), b"");
    let more = bench.ok(Leg::Client, &p::window_adjust(AT_TARGET, 2_097_152));
    assert_eq!(data_to(Leg::Client, &more), list());
    agent_says(&mut bench, &keys());
    let (mut sent, mut granted) = (list().len(), AGENT_WINDOW_BYTES as usize);
    while sent < 200_000 {
        let out = target_says(&mut bench, &list());
        sent += list().len();
        granted += grants_to(Leg::Target, &out);
        granted += grants_to(Leg::Target, &agent_says(&mut bench, &failure()));
        assert!(sent + list().len() <= granted);
    }
}

#[test]
fn what_is_asked_waits_for_the_agents_window_and_the_end_behind_it() {
    let mut bench = lent_with(3000, 1024);
    let asked = message(&[&[13], &p::string(b"key"), &p::string(&[7; 5000]), &[0; 4]]);
    let mut out = target_says(&mut bench, &asked);
    out.extend(bench.ok(Leg::Target, &p::eof(AT_CLIENT)));
    assert_eq!(data_to(Leg::Client, &out), asked[..3000]);
    let longest = out.iter().filter_map(|out| match out {
        Out::Send(Leg::Client, packet) => Some(packet.len() - 9),
        _ => None,
    });
    assert_eq!(longest.max(), Some(1024));
    let more = bench.ok(Leg::Client, &p::window_adjust(AT_TARGET, 5000));
    assert_eq!(data_to(Leg::Client, &more), asked[3000..]);
    assert_eq!(
        more.last(),
        Some(&Out::Send(Leg::Client, p::eof(AT_CLIENT)))
    );
    let answered = agent_says(&mut bench, &signature());
    assert_eq!(data_to(Leg::Target, &answered), signature());
}

/// A connection on which an answer waits for the target's window.
fn answer_waits() -> Bench {
    let mut bench = lending(GRANTED);
    bench.ok(Leg::Target, &p::open(KIND, AT_TARGET, 4, b""));
    bench.ok(Leg::Client, &p::confirm(AT_TARGET, AT_CLIENT));
    target_says(&mut bench, &list());
    let out = agent_says(&mut bench, &keys());
    assert_eq!(data_to(Leg::Target, &out), keys()[..4]);
    bench
}

#[test]
fn an_end_and_a_close_wait_behind_the_last_answer() {
    let mut bench = answer_waits();
    assert_eq!(bench.packets(Leg::Client, &p::eof(AT_TARGET)), []);
    assert_eq!(bench.packets(Leg::Client, &p::close(AT_TARGET)), []);
    let out = bench.ok(Leg::Target, &p::window_adjust(AT_CLIENT, 1000));
    assert_eq!(
        out,
        [
            Out::Send(Leg::Target, p::data(AT_TARGET, &keys()[4..])),
            Out::Send(Leg::Target, p::eof(AT_TARGET)),
            Out::Send(Leg::Target, p::close(AT_TARGET)),
        ]
    );
    // Nothing follows it.
    let late = target_says(&mut bench, &list());
    assert!(
        late.iter().all(|it| matches!(it, Out::Record(_))),
        "{late:?}"
    );
    let close = p::close(AT_CLIENT);
    let last = bench.packets(Leg::Target, &close);
    assert_eq!(last, [Out::Pass(Leg::Client, close)]);
    connect(&mut bench, AT_TARGET, AT_CLIENT, 1000, 1024);
}

#[test]
fn who_closes_itself_gets_nothing_more_but_the_close() {
    let mut bench = answer_waits();
    assert_eq!(bench.packets(Leg::Client, &p::close(AT_TARGET)), []);
    let close = p::close(AT_CLIENT);
    let last = bench.packets(Leg::Target, &close);
    assert_eq!(
        last,
        [
            Out::Send(Leg::Target, p::close(AT_TARGET)),
            Out::Pass(Leg::Client, close)
        ]
    );
    connect(&mut bench, AT_TARGET, AT_CLIENT, 1000, 1024);
    let mut bench = answer_waits();
    let close = p::close(AT_CLIENT);
    let first = bench.packets(Leg::Target, &close);
    assert_eq!(first, [Out::Pass(Leg::Client, close)]);
    let close = p::close(AT_TARGET);
    let last = bench.packets(Leg::Client, &close);
    assert_eq!(last, [Out::Pass(Leg::Target, close)]);
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
fn who_takes_only_short_packets_gets_no_connection() {
    let mut bench = lending(GRANTED);
    let open = |max| p::open_sized(KIND, 9, (100_000, max), b"");
    assert!(is_refusal(&bench.ok(Leg::Target, &open(1023))));
    assert!(!is_refusal(&bench.ok(Leg::Target, &open(1024))));
    for (max, is_cut) in [(0, true), (1, true), (1023, true), (1024, false)] {
        let mut bench = lending(GRANTED);
        bench.ok(Leg::Target, &open(1024));
        let out = bench.ok(Leg::Client, &p::confirm_sized(9, 9, (100_000, max)));
        assert_eq!(is_refusal(&out), is_cut, "{max}");
        let out = bench.ok(Leg::Target, &p::data(9, &list()));
        assert_eq!(data_to(Leg::Client, &out).is_empty(), is_cut, "{max}");
    }
}

#[test]
fn there_are_as_many_connections_as_the_limit_and_a_refused_one_is_none() {
    let mut bench = lending("permit = [\"shell\", \"agent_forwarding\"]\nmax_channels = 1024");
    let most = u32::try_from(MAX_AGENTS).unwrap();
    let open = |id| p::open(KIND, id, 1000, b"");
    for id in 100..100 + most {
        assert!(!is_refusal(&bench.ok(Leg::Target, &open(id))));
    }
    assert!(is_refusal(&bench.ok(Leg::Target, &open(most + 100))));
    bench.ok(Leg::Client, &p::open_failure(105, 2, "no"));
    assert!(!is_refusal(&bench.ok(Leg::Target, &open(most + 100))));
    assert!(is_refusal(&bench.ok(Leg::Target, &open(105))));
}

#[test]
fn refusals_of_one_kind_are_written_down_up_to_a_limit_and_then_counted() {
    let mut bench = lent();
    let lock = message(&[&[22]]);
    let out = target_says(&mut bench, &lock.repeat(1000));
    assert_eq!(data_to(Leg::Target, &out), failure().repeat(1000));
    assert_eq!(records(&out).matches("AgentRequest").count(), 16);
    let out = target_says(&mut bench, &message(&[&[18], &p::string(b"key")]));
    let removed = "message: 18, key_fingerprint: \"SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM\", allowed: false";
    assert!(records(&out).contains(removed), "{out:?}");
    bench.ok(Leg::Target, &p::close(AT_CLIENT));
    let end = bench.ok(Leg::Client, &p::close(AT_TARGET));
    assert!(
        records(&end).contains("984 more agent requests 22 were refused"),
        "{end:?}"
    );
    assert!(!records(&end).contains("requests 18"), "{end:?}");
}

/// A side of one of many connections, as far as the proxy has granted it.
#[derive(Default)]
struct Speaker {
    left: std::collections::VecDeque<u8>,
    granted: usize,
}

impl Speaker {
    fn next(&mut self, at_most: usize) -> Vec<u8> {
        let len = at_most.min(self.granted).min(self.left.len());
        self.granted -= len;
        self.left.drain(..len).collect()
    }
}

#[test]
fn many_long_lists_at_once_all_arrive_whole() {
    // 90 keys with long comments, told to 30 programs in turn: more than may be held, and no window takes a whole one.
    let mut bench = lending(GRANTED);
    let key = [p::string(&[7; 51]), p::string(&[b'x'; 1000])].concat();
    let listed = message(&[&[12], &90_u32.to_be_bytes(), &key.repeat(90)]);
    let ids = 10..40_u32;
    assert!(listed.len() * ids.len() > 3 * MAX_AGENT_BYTES);
    let mut agents: Vec<Speaker> = Vec::new();
    let mut got: Vec<Vec<u8>> = Vec::new();
    for id in ids.clone() {
        bench.ok(Leg::Target, &p::open(KIND, id, 65_536, b""));
        bench.ok(Leg::Client, &p::confirm_sized(id, id, (65_536, 16_384)));
        bench.ok(Leg::Target, &p::data(id, &list()));
        agents.push(Speaker {
            left: listed.iter().copied().collect(),
            granted: AGENT_WINDOW_BYTES as usize,
        });
        got.push(Vec::new());
    }
    for _ in 0..1000 {
        for id in ids.clone() {
            let piece = agents[(id - 10) as usize].next(16_384);
            if piece.is_empty() {
                continue;
            }
            let mut out = bench.ok(Leg::Client, &p::data(id, &piece));
            assert!(!is_refusal(&out), "{id} was cut off");
            while !out.is_empty() {
                let mut more = Vec::new();
                for out in out {
                    let Out::Send(to, packet) = out else { continue };
                    let number = u32::from_be_bytes(packet[1..5].try_into().unwrap());
                    let at = (number - 10) as usize;
                    match (to, packet[0]) {
                        (Leg::Client, 93) => {
                            let bytes = u32::from_be_bytes(packet[5..9].try_into().unwrap());
                            agents[at].granted += bytes as usize;
                        }
                        (Leg::Target, 94) => {
                            got[at].extend_from_slice(&packet[9..]);
                            let read = u32::try_from(packet.len() - 9).unwrap();
                            more.extend(bench.ok(Leg::Target, &p::window_adjust(number, read)));
                        }
                        _ => {}
                    }
                }
                out = more;
            }
        }
    }
    assert!(got.iter().all(|got| *got == listed));
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
        let mut bench = lent_with(window, 1024);
        let (mut heard, mut unread, mut got) = (Vec::new(), Vec::new(), Vec::new());
        let (mut allowed, mut wanted) = (Vec::new(), Vec::new());
        let mut may_send = AGENT_WINDOW_BYTES;
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
