//! What the log keeps of forwarded connections: all bytes, their digests, or their number.
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

use bench::{Bench, Out, is_refusal, records};
use proxy_core::Leg;

/// By `sha256sum`.
const OF_QUESTION: &str = "822ae07d4783158bc1912bb623e5107cc9002d519e1143a9c200ed6ee18b6d0f";
const OF_ANSWER: &str = "1cdce607f83e3ffb5da85203ad540abc25ce6193b2ec0e98d8a8cbc7ad374659";
const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// As a record shows it.
fn shown(hex: &str) -> String {
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    format!("{bytes:?}")
}

fn digests(client: &str, target: &str) -> String {
    let (client, target) = (shown(client), shown(target));
    format!("ForwardDigest {{ client_sha256: {client}, target_sha256: {target} }}")
}

fn granting(mode: &str) -> String {
    format!(
        "permit = [\"shell\", \"x11_forwarding\"]\nforward_recording = \"{mode}\"\n\
         local_forward = [{{ host = \"db-1\", port = 5432 }}]\n\
         remote_forward = [{{ host = \"localhost\", port = 80 }}]\nstream_local = [\"/run/app\"]"
    )
}

/// A connection of each kind, opened by `from` as its number 3; the other side's is 5.
fn open_every_kind(mode: &str) -> Vec<(Leg, Bench)> {
    let socket = [p::string(b"/run/app/s"), p::string(b""), vec![0; 4]].concat();
    let arrived = [p::string(b"/run/app/s"), p::string(b"")].concat();
    let opens = [
        (Leg::Client, p::open_tcp("direct-tcpip", 3, "db-1", 5432)),
        (
            Leg::Client,
            p::open("direct-streamlocal@openssh.com", 3, 100_000, &socket),
        ),
        (
            Leg::Target,
            p::open_tcp("forwarded-tcpip", 3, "localhost", 80),
        ),
        (
            Leg::Target,
            p::open("forwarded-streamlocal@openssh.com", 3, 100_000, &arrived),
        ),
        (Leg::Target, p::open_x11(3)),
    ];
    opens
        .into_iter()
        .map(|(from, open)| {
            let mut bench = Bench::with_channel(&granting(mode));
            let asks = [
                p::request(7, "x11-req", false, &p::x11(false, "00")),
                p::global_request("tcpip-forward", true, &p::host_port("localhost", 80)),
                p::global_request(
                    "streamlocal-forward@openssh.com",
                    true,
                    &p::string(b"/run/app/s"),
                ),
            ];
            for ask in asks {
                bench.ok(Leg::Client, &ask);
            }
            bench.ok(Leg::Target, &p::request_success());
            bench.ok(Leg::Target, &p::request_success());
            let out = bench.ok(from, &open);
            assert!(!is_refusal(&out), "{out:?}");
            bench.ok(from.other(), &p::confirm(3, 5));
            (from, bench)
        })
        .collect()
}

#[test]
fn the_log_keeps_of_every_kind_of_connection_what_the_policy_says() {
    for mode in ["full", "digest", "none"] {
        for (opener, mut bench) in open_every_kind(mode) {
            let (to_opener, from_opener) = (3, 5);
            for (from, said) in [
                (opener, &b"sel"[..]),
                (opener.other(), b"42 rows"),
                (opener, b"ect 1"),
            ] {
                let id = if from == opener {
                    from_opener
                } else {
                    to_opener
                };
                let packet = p::data(id, said);
                let out = bench.ok(from, &packet);
                let kept = if mode == "full" { said } else { b"" };
                let wanted = format!("bytes: {}, data: {kept:?}", said.len());
                assert!(records(&out).contains(&wanted), "{wanted} {out:?}");
                assert_eq!(out[1..], [Out::Pass(from.other(), packet)], "{mode}");
            }
            bench.ok(opener, &p::close(from_opener));
            let end = records(&bench.ok(opener.other(), &p::close(to_opener)));
            let (client, target) = match opener {
                Leg::Client => (8, 7),
                Leg::Target => (7, 8),
            };
            let counts =
                format!("ForwardClose {{ client_bytes: {client}, target_bytes: {target} }}");
            assert!(end.contains(&counts), "{mode} {end}");
            let wanted = match opener {
                Leg::Client => digests(OF_QUESTION, OF_ANSWER),
                Leg::Target => digests(OF_ANSWER, OF_QUESTION),
            };
            assert_eq!(end.contains("ForwardDigest"), mode == "digest", "{end}");
            assert_eq!(end.contains(&wanted), mode == "digest", "{end}");
        }
    }
}

#[test]
fn ssh_is_cut_whatever_the_log_keeps() {
    for mode in ["full", "digest", "none"] {
        for (opener, mut bench) in open_every_kind(mode) {
            let out = bench.ok(opener, &p::data(5, b"SSH-2.0-x\r\n"));
            assert!(is_refusal(&out), "{mode}: {out:?}");
            bench.ok(opener, &p::close(5));
            let end = records(&bench.ok(opener.other(), &p::close(3)));
            // What was cut never passed.
            assert!(end.contains("ForwardClose { client_bytes: 0, target_bytes: 0 }"));
            assert_eq!(
                end.contains(&digests(OF_NOTHING, OF_NOTHING)),
                mode == "digest"
            );
        }
    }
}

#[test]
fn a_connection_that_the_end_of_the_session_ends_is_summed_up_too() {
    for (opener, mut bench) in open_every_kind("digest") {
        bench.ok(opener, &p::data(5, b"select 1"));
        let end = records(&bench.end());
        let (wanted, counts) = match opener {
            Leg::Client => (digests(OF_QUESTION, OF_NOTHING), "client_bytes: 8"),
            Leg::Target => (digests(OF_NOTHING, OF_QUESTION), "target_bytes: 8"),
        };
        assert!(end.contains(&wanted) && end.contains(counts), "{end}");
    }
}
