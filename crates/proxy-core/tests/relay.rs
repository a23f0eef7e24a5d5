//! The relay without any cryptography: packets in, packets and records out.
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

use std::time::Duration;

use bench::{Bench, Out, is_refusal, records};
use proptest::prelude::*;
use proxy_core::{Leg, RelayError};

#[test]
fn a_record_comes_before_the_packet_it_describes() {
    let mut bench = Bench::with_channel("");
    for (from, packet) in [
        (Leg::Client, p::data(7, b"ls\n")),
        (Leg::Target, p::data(0, b"file\n")),
        (Leg::Target, p::extended_data(0, 1, b"oops")),
        (
            Leg::Client,
            p::request(
                7,
                "env",
                false,
                &[p::string(b"LANG"), p::string(b"C")].concat(),
            ),
        ),
        (Leg::Client, p::request(7, "exec", true, &p::string(b"id"))),
        (
            Leg::Client,
            p::request(7, "signal", false, &p::string(b"INT")),
        ),
        (Leg::Target, p::exit_status(0, 0)),
        (Leg::Client, p::eof(7)),
        (Leg::Client, p::close(7)),
    ] {
        let out = bench.ok(from, &packet);
        assert!(matches!(out[0], Out::Record(_)), "{out:?}");
        assert_eq!(out[1..], [Out::Pass(from.other(), packet)]);
    }
}

#[test]
fn every_forwarding_is_refused_and_recorded() {
    let mut bench = Bench::with_channel("");
    let cases = [
        (Leg::Client, p::open("direct-tcpip", 1, 9999, b"x")),
        (
            Leg::Client,
            p::open("direct-streamlocal@openssh.com", 2, 9999, b"x"),
        ),
        (Leg::Client, p::open("tun@openssh.com", 3, 9999, b"x")),
        (Leg::Client, p::open("wonderful@example.com", 4, 9999, b"x")),
        (Leg::Target, p::open("forwarded-tcpip", 5, 9999, b"x")),
        (Leg::Target, p::open("x11", 6, 9999, b"x")),
        (
            Leg::Target,
            p::open("auth-agent@openssh.com", 8, 9999, b"x"),
        ),
        (Leg::Target, p::open("session", 9, 9999, b"x")),
        (Leg::Client, p::global_request("tcpip-forward", true, b"x")),
        (
            Leg::Client,
            p::global_request("streamlocal-forward@openssh.com", true, b"x"),
        ),
        (
            Leg::Client,
            p::global_request("hostkeys-prove-00@openssh.com", true, b"x"),
        ),
        (
            Leg::Client,
            p::global_request("new@example.com", false, b"x"),
        ),
        (
            Leg::Target,
            p::global_request("hostkeys-00@openssh.com", false, b"x"),
        ),
        (
            Leg::Target,
            p::global_request("no-more-sessions@openssh.com", false, b"x"),
        ),
        (
            Leg::Client,
            p::request(7, "x11-req", true, &p::x11(false, "c00c1e")),
        ),
        (
            Leg::Client,
            p::request(7, "auth-agent-req@openssh.com", false, b""),
        ),
        (
            Leg::Client,
            p::request(7, "unknown@example.com", true, b"x"),
        ),
        (Leg::Client, p::request(7, "exit-status", false, &[0; 4])),
        (Leg::Target, p::request(0, "exec", true, &p::string(b"id"))),
        (
            Leg::Client,
            p::request(
                7,
                "env",
                true,
                &[p::string(b"LD_PRELOAD"), p::string(b"x")].concat(),
            ),
        ),
        (Leg::Client, p::extended_data(7, 1, b"x")),
        (Leg::Target, p::extended_data(0, 2, b"x")),
        (Leg::Target, p::success(0)),
        (Leg::Target, p::request_success()),
    ];
    for (from, packet) in cases {
        let out = bench.ok(from, &packet);
        assert!(is_refusal(&out), "{packet:?}: {out:?}");
        for sent in &out {
            if let Out::Send(to, answer) = sent {
                assert_eq!(
                    *to,
                    if answer[0] == 95 { Leg::Client } else { from },
                    "{packet:?}"
                );
            }
        }
    }
}

#[test]
fn only_what_the_grant_names_passes() {
    let mut bench = Bench::with_channel("permit = [\"shell\"]");
    let pty = [p::string(b"xterm"), vec![0; 16], p::string(b"")].concat();
    for (kind, data) in [
        ("exec", p::string(b"id")),
        ("subsystem", p::string(b"sftp")),
        ("pty-req", pty),
    ] {
        assert!(
            is_refusal(&bench.ok(Leg::Client, &p::request(7, kind, true, &data))),
            "{kind}"
        );
    }
    assert!(!is_refusal(
        &bench.ok(Leg::Client, &p::request(7, "shell", true, b""))
    ));
}

#[test]
fn a_refusal_is_answered_after_everything_asked_before_it() {
    let mut bench = Bench::with_channel("");
    let exec = p::request(7, "exec", true, &p::string(b"id"));
    assert_eq!(bench.packets(Leg::Client, &exec).len(), 1);
    // Refused, but the exec before it has no answer yet.
    assert!(
        bench
            .packets(
                Leg::Client,
                &p::request(7, "signal", true, b"\0\0\0\x01\xff")
            )
            .is_empty()
    );
    assert!(
        bench
            .packets(Leg::Client, &p::request(7, "no@example.com", true, b""))
            .is_empty()
    );
    assert_eq!(
        bench.packets(Leg::Target, &p::success(0)),
        [
            Out::Pass(Leg::Client, p::success(0)),
            Out::Send(Leg::Client, p::failure(0)),
            Out::Send(Leg::Client, p::failure(0)),
        ]
    );
    let keepalive = p::global_request("keepalive@openssh.com", true, b"");
    assert_eq!(bench.packets(Leg::Client, &keepalive).len(), 1);
    assert!(
        bench
            .packets(Leg::Client, &p::global_request("tcpip-forward", true, b""))
            .is_empty()
    );
    assert_eq!(
        bench.packets(Leg::Target, &p::request_failure()),
        [
            Out::Pass(Leg::Client, p::request_failure()),
            Out::Send(Leg::Client, p::request_failure())
        ]
    );
}

#[test]
fn a_target_that_wants_to_know_whether_its_keys_arrived_is_answered() {
    let mut bench = Bench::new("");
    assert_eq!(
        bench.packets(
            Leg::Target,
            &p::global_request("hostkeys-00@openssh.com", true, b"")
        ),
        [Out::Send(Leg::Target, p::request_failure())]
    );
}

#[test]
fn channels_beyond_the_grant_are_refused_until_one_closes() {
    let mut bench = Bench::with_channel("max_channels = 1");
    let second = p::open("session", 1, 9999, b"");
    assert!(is_refusal(&bench.ok(Leg::Client, &second)));
    bench.ok(Leg::Client, &p::close(7));
    bench.ok(Leg::Target, &p::close(0));
    assert_eq!(bench.packets(Leg::Client, &second).len(), 1);
}

#[test]
fn what_no_honest_peer_does_ends_the_session() {
    let breaches = [
        (Leg::Client, p::open("session", 0, 9, b""), "number in use"),
        (Leg::Client, p::data(8, b"x"), "no such channel"),
        (Leg::Target, p::confirm(0, 9), "confirmed twice"),
        (Leg::Target, p::confirm(5, 9), "confirms nothing"),
        (Leg::Client, p::confirm(7, 9), "the opener confirms"),
        (
            Leg::Target,
            p::open_failure(0, 1, "no"),
            "refuses what it confirmed",
        ),
        (Leg::Client, vec![94, 0], "truncated"),
        (Leg::Client, [p::eof(7), vec![0]].concat(), "trailing bytes"),
        (Leg::Client, vec![127], "unknown message"),
        (Leg::Client, vec![83], "unknown message"),
        (Leg::Client, p::data(7, b"x")[..8].to_vec(), "truncated"),
        (
            Leg::Client,
            p::request(7, "exec", true, &[255, 255, 255, 255]),
            "4 GiB length",
        ),
        (
            Leg::Client,
            p::request(7, "exec", true, &p::string(&[b'x'; 200_000])),
            "giant command",
        ),
        (
            Leg::Client,
            p::request(7, "bad\u{7}name", true, b""),
            "control character in a name",
        ),
    ];
    for (from, packet, why) in breaches {
        let mut bench = Bench::with_channel("");
        let (result, out) = bench.hand(from, &packet);
        assert!(result.is_err(), "{why}");
        assert!(
            !out.iter().any(|out| matches!(out, Out::Pass(..))),
            "{why}: {out:?}"
        );
    }
    let mut bench = Bench::with_channel("");
    bench.ok(Leg::Client, &p::close(7));
    assert!(bench.hand(Leg::Client, &p::close(7)).0.is_err());
}

#[test]
fn nothing_follows_the_end_of_a_direction() {
    let mut bench = Bench::with_channel("");
    bench.ok(Leg::Client, &p::eof(7));
    assert!(is_refusal(&bench.ok(Leg::Client, &p::data(7, b"late"))));
    assert!(is_refusal(&bench.ok(Leg::Client, &p::eof(7))));
    assert!(!is_refusal(&bench.ok(Leg::Target, &p::data(0, b"still"))));
}

#[test]
fn no_reply_follows_the_end_of_a_channel() {
    let mut bench = Bench::with_channel("");
    bench.ok(Leg::Client, &p::request(7, "shell", true, b""));
    bench.ok(Leg::Client, &p::request(7, "no@example.com", true, b""));
    bench.ok(Leg::Target, &p::close(0));
    for late in [p::success(0), p::failure(0)] {
        let out = bench.ok(Leg::Target, &late);
        assert!(is_refusal(&out), "{out:?}");
        assert!(out.iter().all(|it| matches!(it, Out::Record(_))), "{out:?}");
    }
}

#[test]
fn a_peer_that_never_waits_for_replies_is_cut_off() {
    let mut bench = Bench::with_channel("");
    let exec = p::request(7, "exec", true, &p::string(b"id"));
    let ended = (0..1000).find_map(|_| bench.hand(Leg::Client, &exec).0.err());
    assert!(
        matches!(ended, Some(RelayError::TooManyRequests { .. })),
        "{ended:?}"
    );
}

fn any_leg() -> impl Strategy<Value = Leg> {
    prop_oneof![Just(Leg::Client), Just(Leg::Target)]
}

/// Packets that are almost right, so that they reach deep.
fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let id = 0..3_u32;
    let bytes = proptest::collection::vec(any::<u8>(), 0..12);
    prop_oneof![
        (id.clone(), 0..5000_u32).prop_map(|(id, window)| p::open("session", id, window, &[])),
        (id.clone(), id.clone()).prop_map(|(a, b)| p::confirm(a, b)),
        id.clone().prop_map(|id| p::open_failure(id, 1, "no")),
        (id.clone(), bytes.clone()).prop_map(|(id, bytes)| p::data(id, &bytes)),
        (id.clone(), bytes.clone()).prop_map(|(id, bytes)| p::extended_data(id, 1, &bytes)),
        id.clone().prop_map(p::eof),
        id.clone().prop_map(p::close),
        (id.clone(), any::<bool>()).prop_map(|(id, reply)| p::request(id, "shell", reply, b"")),
        (id.clone(), any::<bool>()).prop_map(|(id, reply)| p::request(id, "nope", reply, b"")),
        (id.clone(), 0..9_u32).prop_map(|(id, code)| p::exit_status(id, code)),
        id.clone().prop_map(p::success),
        id.prop_map(p::failure),
        any::<bool>().prop_map(|reply| p::global_request("keepalive@openssh.com", reply, b"")),
        any::<bool>().prop_map(|reply| p::global_request("nope", reply, b"")),
        Just(p::request_success()),
        bytes,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever two hostile peers send: no panic, a record before every packet that is not flow control,
    /// nothing passed that is not in hand, and the answers to one leg's requests in the order of its requests.
    #[test]
    fn two_hostile_peers_get_nothing_past_the_rules(
        packets in proptest::collection::vec((any_leg(), any_packet()), 1..120),
    ) {
        let mut bench = Bench::new("");
        // The plain model of answers: what each leg may still expect to global requests.
        let mut owed: [std::collections::VecDeque<bool>; 2] = Default::default();
        let at = |leg: Leg| usize::from(leg == Leg::Target);
        for (from, packet) in packets {
            bench.now += Duration::from_millis(1);
            let (result, out) = bench.hand(from, &packet);
            let recorded = out.iter().position(|out| matches!(out, Out::Record(_)));
            let passed = out.iter().position(|out| matches!(out, Out::Pass(..)));
            if let Some(passed) = passed {
                prop_assert!(result.is_ok());
                let flow_control = packet[0] == 93;
                prop_assert!(flow_control || recorded.is_some_and(|recorded| recorded < passed), "{packet:?} {out:?}");
            }
            for out in &out {
                if let Out::Pass(to, bytes) = out {
                    prop_assert_eq!((*to, bytes), (from.other(), &packet));
                }
            }
            if packet.first() == Some(&80) && packet.last() == Some(&1) && result.is_ok() {
                owed[at(from)].push_back(passed.is_some());
            }
            for out in &out {
                match out {
                    Out::Pass(to, bytes) if matches!(bytes[0], 81 | 82) => {
                        prop_assert_eq!(owed[at(*to)].pop_front(), Some(true));
                    }
                    Out::Send(to, bytes) if bytes[0] == 82 => {
                        prop_assert_eq!(owed[at(*to)].pop_front(), Some(false));
                    }
                    _ => {}
                }
            }
            if result.is_err() {
                break;
            }
        }
    }
}

#[test]
fn nothing_hides_behind_the_known_fields_of_a_message() {
    let tail = [0xAA; 100];
    let hiding = [
        (
            Leg::Client,
            p::global_request("keepalive@openssh.com", true, &tail),
        ),
        (
            Leg::Client,
            p::global_request("no-more-sessions@openssh.com", false, &tail),
        ),
        (Leg::Client, p::open("session", 1, 9999, &tail)),
        (
            Leg::Client,
            p::request(7, "keepalive@openssh.com", true, &tail),
        ),
        (Leg::Client, p::request(7, "shell", true, &tail)),
        (Leg::Target, [p::request_success(), tail.to_vec()].concat()),
        (Leg::Target, [p::success(0), tail.to_vec()].concat()),
        (Leg::Target, [p::exit_status(0, 1), tail.to_vec()].concat()),
    ];
    for (from, packet) in hiding {
        let mut bench = Bench::with_channel("");
        let (_, out) = bench.hand(from, &packet);
        assert!(
            !out.iter().any(|out| matches!(out, Out::Pass(..))),
            "{packet:?}"
        );
    }
    let mut bench = Bench::new("");
    bench.ok(Leg::Client, &p::open("session", 0, 9999, &[]));
    for packet in [
        [p::confirm(0, 7), tail.to_vec()].concat(),
        [p::open_failure(0, 1, "no"), tail.to_vec()].concat(),
        p::open_failure(0, 1, &"x".repeat(5000)),
    ] {
        assert!(bench.hand(Leg::Target, &packet).0.is_err());
    }
}

#[test]
fn the_language_of_a_failure_to_open_is_recorded_or_plain() {
    for (language, is_recorded) in [("", false), ("en", false), ("x-more", true)] {
        let mut bench = Bench::new("");
        bench.ok(Leg::Client, &p::open("session", 0, 9999, &[]));
        let mut failure = p::open_failure(0, 1, "no");
        failure.truncate(failure.len() - 6);
        failure.extend(p::string(language.as_bytes()));
        let out = bench.ok(Leg::Target, &failure);
        assert_eq!(records(&out).contains("x-more"), is_recorded, "{out:?}");
        assert_eq!(out.last(), Some(&Out::Pass(Leg::Client, failure)));
    }
    let mut bench = Bench::new("");
    bench.ok(Leg::Client, &p::open("session", 0, 9999, &[]));
    let mut unprintable = p::open_failure(0, 1, "no");
    unprintable.truncate(unprintable.len() - 6);
    unprintable.extend(p::string(&[0xAA; 100]));
    assert!(bench.hand(Leg::Target, &unprintable).0.is_err());
}

#[test]
fn a_terminal_name_that_is_no_text_is_refused_and_the_session_goes_on() {
    let mut bench = Bench::with_channel("");
    let pty = [p::string(&[0xff, 0x80]), vec![0; 16], p::string(b"")].concat();
    assert!(is_refusal(
        &bench.ok(Leg::Client, &p::request(7, "pty-req", true, &pty))
    ));
    assert!(!is_refusal(
        &bench.ok(Leg::Client, &p::request(7, "shell", true, b""))
    ));
}
