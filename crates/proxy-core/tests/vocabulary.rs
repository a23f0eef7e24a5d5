//! Every word of RFC 4254 and of OpenSSH's `PROTOCOL` file, from either side: what lets it pass, and what is written down. The table of
//! the README says the same for people, and every word here has to stand there.
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

use Leg::{Client, Target};
use bench::{Bench, Out, is_refusal, records};
use proxy_core::Leg;

const README: &str = include_str!("../README.md");

/// As little as a policy can grant.
const NOTHING: &str = "permit = []\nsubsystems = []\nenv = []";
const EVERYTHING: &str = "permit = [\"shell\", \"exec\", \"pty\", \"sftp\", \"agent_forwarding\", \"x11_forwarding\"]\n\
    env = [\"LANG\"]\nlocal_forward = [{ host = \"db-1\", port = 5432 }]\n\
    remote_forward = [{ host = \"localhost\", port = \"any\" }]\nstream_local = [\"/run/app\"]";

/// What makes the difference.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    /// It passes whatever the policy says.
    Direction,
    /// It passes where the policy grants it.
    Grant,
    /// Nobody may say it.
    Nobody,
}
use By::{Direction, Grant, Nobody};

/// A channel request: who may send it, on what grounds, and what stands in the log.
type Request = (&'static str, Vec<u8>, &'static [Leg], By, &'static str);

fn requests() -> Vec<Request> {
    let number = |n: u32| n.to_be_bytes().to_vec();
    let pty = [p::string(b"xterm"), vec![0; 16], p::string(b"")].concat();
    let env = [p::string(b"LANG"), p::string(b"C")].concat();
    let exit_signal = [
        p::string(b"TERM"),
        vec![0],
        p::string(b"terminated"),
        p::string(b"en"),
    ]
    .concat();
    const BOTH: &[Leg] = &[Client, Target];
    vec![
        ("pty-req", pty, &[Client], Grant, "Pty { term: \"xterm\""),
        (
            "x11-req",
            p::x11(false, "c00c1e"),
            &[Client],
            Grant,
            "X11 { single_connection: false, auth_protocol: \"MIT",
        ),
        (
            "auth-agent-req@openssh.com",
            vec![],
            &[Client],
            Grant,
            "Agent { want_reply",
        ),
        ("agent-req", vec![], &[Client], Grant, "Agent { want_reply"),
        (
            "env",
            env,
            &[Client],
            Grant,
            "Env { name: [76, 65, 78, 71], value: [67] }",
        ),
        ("shell", vec![], &[Client], Grant, "Shell"),
        (
            "exec",
            p::string(b"id"),
            &[Client],
            Grant,
            "Exec { command: [105, 100] }",
        ),
        (
            "subsystem",
            p::string(b"sftp"),
            &[Client],
            Grant,
            "Subsystem { name: \"sftp\" }",
        ),
        (
            "window-change",
            vec![0; 16],
            &[Client],
            Grant,
            "Resize { columns: 0",
        ),
        (
            "signal",
            p::string(b"INT"),
            &[Client],
            Direction,
            "Signal { name: \"INT\" }",
        ),
        (
            "break",
            number(500),
            &[Client],
            Direction,
            "Break { millis: 500 }",
        ),
        (
            "xon-xoff",
            vec![1],
            &[Target],
            Direction,
            "kind: \"xon-xoff\"",
        ),
        (
            "exit-status",
            number(3),
            &[Target],
            Direction,
            "ExitStatus { code: 3 }",
        ),
        (
            "exit-signal",
            exit_signal,
            &[Target],
            Direction,
            "ExitSignal { name: \"TERM\"",
        ),
        (
            "eow@openssh.com",
            vec![],
            BOTH,
            Direction,
            "kind: \"eow@openssh.com\"",
        ),
        (
            "keepalive@openssh.com",
            vec![],
            BOTH,
            Direction,
            "kind: \"keepalive@openssh.com\"",
        ),
        (
            "winadj@putty.projects.tartarus.org",
            vec![],
            &[Client],
            Direction,
            "kind: \"winadj@",
        ),
        (
            "simple@putty.projects.tartarus.org",
            vec![],
            &[Client],
            Direction,
            "kind: \"simple@",
        ),
        ("wonderful@example.com", vec![1, 2, 3], &[], Nobody, ""),
    ]
}

/// The two outcomes, with whether an answer is wanted: what comes out, and nothing else.
#[track_caller]
fn expect_request(from: Leg, (name, data, _, _, record): &Request, grant: &str, passes: bool) {
    let (to, answered_as) = match from {
        Client => (7, 0),
        Target => (0, 7),
    };
    for want_reply in [false, true] {
        let mut bench = Bench::with_channel(grant);
        let packet = p::request(to, name, want_reply, data);
        let out = bench.ok(from, &packet);
        if !passes {
            assert!(is_refusal(&out), "{name} {from:?} {grant}: {out:?}");
            bench.now += proxy_core::relay::WORDS_HOLD;
            let later = bench.timeout(bench.now);
            let answers = out.iter().chain(&later).filter(
                |it| matches!(it, Out::Send(leg, packet) if *leg == from && packet[0] == 100),
            );
            let wanted = usize::from(want_reply);
            assert_eq!(answers.count(), wanted, "{name}: {out:?} {later:?}");
            continue;
        }
        assert!(records(&out).contains(record), "{name}: {out:?}");
        assert!(matches!(out[0], Out::Record(_)), "{name}: {out:?}");
        assert_eq!(out[1..], [Out::Pass(from.other(), packet)], "{name}");
        // One answer passes where one was wanted, and none where it was not.
        for (reply, passes) in [
            (p::success(answered_as), want_reply),
            (p::failure(answered_as), false),
        ] {
            let out = bench.ok(from.other(), &reply);
            assert_eq!(
                out.contains(&Out::Pass(from, reply.clone())),
                passes,
                "{name} {reply:?}"
            );
        }
    }
}

#[test]
fn every_channel_request_passes_from_whom_and_where_the_table_says() {
    for request in requests() {
        let (name, _, from, by, _) = &request;
        for leg in [Client, Target] {
            let may = from.contains(&leg);
            expect_request(leg, &request, EVERYTHING, may && *by != Nobody);
            expect_request(leg, &request, NOTHING, may && *by == Direction);
        }
        let is_told = README.contains(&format!("`{name}`")) || *by == Nobody;
        assert!(is_told, "`{name}` is missing in the README");
    }
}

/// A channel: its opening, who may open it, on what grounds, and what stands in the log.
type Channel = (&'static str, Vec<u8>, &'static [Leg], By, &'static str);

fn channels() -> Vec<Channel> {
    let tcp = |host, port| [p::host_port(host, port), p::host_port("::1", 50_000)].concat();
    let direct_socket = [p::string(b"/run/app/x"), p::string(b""), vec![0; 4]].concat();
    let socket = [p::string(b"/run/app/x"), p::string(b"")].concat();
    vec![
        ("session", vec![], &[Client], Direction, "ChannelOpen"),
        (
            "direct-tcpip",
            tcp("db-1", 5432),
            &[Client],
            Grant,
            "ForwardOpen",
        ),
        (
            "direct-streamlocal@openssh.com",
            direct_socket,
            &[Client],
            Grant,
            "ForwardOpen",
        ),
        (
            "forwarded-tcpip",
            tcp("localhost", 80),
            &[Target],
            Grant,
            "ForwardOpen",
        ),
        (
            "forwarded-streamlocal@openssh.com",
            socket,
            &[Target],
            Grant,
            "ForwardOpen",
        ),
        (
            "x11",
            p::host_port("127.0.0.1", 6010),
            &[Target],
            Grant,
            "ForwardOpen",
        ),
        (
            "auth-agent@openssh.com",
            vec![],
            &[Target],
            Grant,
            "ForwardOpen",
        ),
        ("agent-connect", vec![], &[Target], Grant, "ForwardOpen"),
        (
            "tun@openssh.com",
            vec![0, 0, 0, 1, 0, 0, 0, 0],
            &[],
            Nobody,
            "",
        ),
        ("wonderful@example.com", vec![], &[], Nobody, ""),
    ]
}

/// With everything asked for that a target needs to open what it may.
fn asked_for_all(grant: &str) -> Bench {
    let mut bench = Bench::with_channel(grant);
    let socket = p::string(b"/run/app/x");
    for packet in [
        p::request(7, "auth-agent-req@openssh.com", false, b""),
        p::request(7, "x11-req", false, &p::x11(false, "c00c1e")),
        p::global_request("tcpip-forward", true, &p::host_port("localhost", 80)),
        p::global_request("streamlocal-forward@openssh.com", true, &socket),
    ] {
        let passes = bench
            .ok(Client, &packet)
            .iter()
            .any(|it| matches!(it, Out::Pass(..)));
        if passes && packet[0] == 80 {
            bench.ok(Target, &p::request_success());
        }
    }
    bench
}

#[test]
fn every_channel_is_opened_by_whom_and_where_the_table_says() {
    for (kind, data, from, by, record) in channels() {
        for leg in [Client, Target] {
            for (grant, is_granted) in [(EVERYTHING, true), (NOTHING, false)] {
                let passes = from.contains(&leg) && (is_granted || by == Direction);
                let mut bench = asked_for_all(grant);
                let open = p::open(kind, 3, 100_000, &data);
                let out = bench.ok(leg, &open);
                assert_eq!(!is_refusal(&out), passes, "{kind} {leg:?}: {out:?}");
                if passes {
                    assert!(records(&out).contains(record), "{kind}: {out:?}");
                    let goes_on = |it: &Out| matches!(it, Out::Pass(to, packet) | Out::Send(to, packet) if *to == leg.other() && packet[0] == 90);
                    assert!(goes_on(&out[1]) && out.len() == 2, "{kind}: {out:?}");
                } else {
                    assert!(matches!(&out[1..], [Out::Send(to, no)] if *to == leg && no[0] == 92));
                }
            }
        }
        let is_told = README.contains(&format!("`{kind}`")) || kind.contains("example");
        assert!(is_told, "`{kind}` is missing in the README");
    }
}

/// A global request, as [`Request`].
fn global_requests() -> Vec<Request> {
    let listener = p::host_port("localhost", 80);
    let socket = p::string(b"/run/app/x");
    vec![
        (
            "tcpip-forward",
            listener.clone(),
            &[Client],
            Grant,
            "ForwardRequest",
        ),
        (
            "cancel-tcpip-forward",
            listener,
            &[Client],
            Grant,
            "ForwardRequest",
        ),
        (
            "streamlocal-forward@openssh.com",
            socket.clone(),
            &[Client],
            Grant,
            "ForwardRequest",
        ),
        (
            "cancel-streamlocal-forward@openssh.com",
            socket,
            &[Client],
            Grant,
            "ForwardRequest",
        ),
        (
            "keepalive@openssh.com",
            vec![],
            &[Client, Target],
            Direction,
            "kind: \"keepalive@openssh.com\"",
        ),
        (
            "no-more-sessions@openssh.com",
            vec![],
            &[Client],
            Direction,
            "kind: \"no-more-sessions@",
        ),
        // What they are about is answered by whoever has the keys.
        ("hostkeys-00@openssh.com", vec![], &[], Nobody, ""),
        ("hostkeys-prove-00@openssh.com", vec![], &[], Nobody, ""),
        ("wonderful@example.com", vec![], &[], Nobody, ""),
    ]
}

#[test]
fn every_global_request_passes_from_whom_and_where_the_table_says() {
    for (name, data, from, by, record) in global_requests() {
        for leg in [Client, Target] {
            for (grant, is_granted) in [(EVERYTHING, true), (NOTHING, false)] {
                let passes = from.contains(&leg) && by != Nobody && (is_granted || by == Direction);
                let mut bench = Bench::with_channel(grant);
                if name.starts_with("cancel-") && is_granted {
                    let begin = name.trim_start_matches("cancel-");
                    bench.ok(Client, &p::global_request(begin, true, &data));
                    bench.ok(Target, &p::request_success());
                }
                let out = bench.ok(leg, &p::global_request(name, true, &data));
                if !passes {
                    assert!(is_refusal(&out), "{name} {leg:?} {grant}: {out:?}");
                    assert!(
                        out.contains(&Out::Send(leg, p::request_failure())),
                        "{name}"
                    );
                    continue;
                }
                assert!(records(&out).contains(record), "{name}: {out:?}");
                assert!(matches!(&out[1..], [Out::Pass(..)]), "{name}: {out:?}");
                let reply = p::request_failure();
                let answered = bench.ok(leg.other(), &reply);
                assert_eq!(
                    answered.last(),
                    Some(&Out::Pass(leg, reply.clone())),
                    "{name}"
                );
                let again = bench.ok(leg.other(), &reply);
                assert!(is_refusal(&again), "{name}: nobody asked again");
            }
        }
        let is_told = README.contains(&format!("`{name}`")) || name.contains("example");
        assert!(is_told, "`{name}` is missing in the README");
    }
}

#[test]
fn a_message_that_rfc_4254_does_not_know_ends_the_session() {
    for number in (83..=89).chain(101..=127) {
        let mut bench = Bench::with_channel(EVERYTHING);
        let (result, out) = bench.hand(Client, &[number, 0, 0, 0, 7]);
        assert!(result.is_err() && out.is_empty(), "{number}");
    }
}
