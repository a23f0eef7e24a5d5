//! Forwarded connections and listeners: only where the grant says, recorded, counted, and never with SSH inside.
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
use proxy_core::limits::MAX_LISTENERS;
use proxy_core::{ChannelEvent, Leg};

const LOCAL: &str =
    "local_forward = [{ host = \"db-1\", port = 5432 }, { ip = \"10.0.0.0/8\", port = \"any\" }]";
const REMOTE: &str = "remote_forward = [{ host = \"localhost\", port = \"any\" }]";
const SOCKETS: &str = "stream_local = [\"/run/app\"]";

/// With a connection to `db-1`: channel 1 of the client, number 9 at the target.
fn connected() -> Bench {
    let mut bench = Bench::new(LOCAL);
    let open = p::open_tcp("direct-tcpip", 1, "db-1", 5432);
    let out = bench.ok(Leg::Client, &open);
    assert_eq!(out[1..], [Out::Pass(Leg::Target, open)], "unchanged");
    assert!(records(&out).contains("ForwardOpen"), "{out:?}");
    bench.ok(Leg::Target, &p::confirm(1, 9));
    bench
}

#[test]
fn a_connection_leads_only_where_the_grant_says() {
    for (host, port, passes) in [
        ("db-1", 5432, true),
        ("DB-1", 5432, true),
        ("db-1", 5433, false),
        ("db-1.example", 5432, false),
        ("db-1", 5432 + 65_536, false),
        ("10.1.2.3", 22, true),
        ("::ffff:10.1.2.3", 22, true),
        ("11.1.2.3", 22, false),
        ("167837955", 22, false),
        ("10.1", 22, false),
        ("localhost", 5432, false),
        ("", 5432, false),
        ("db-1\0", 5432, false),
    ] {
        let mut bench = Bench::new(LOCAL);
        let out = bench.ok(Leg::Client, &p::open_tcp("direct-tcpip", 1, host, port));
        assert_eq!(!is_refusal(&out), passes, "{host:?} {port}: {out:?}");
        if !passes {
            assert!(
                matches!(&out[1], Out::Send(Leg::Client, packet) if packet[0] == 92),
                "{out:?}"
            );
        }
    }
    // What is granted to the client is not granted to the target, nor by another name.
    let mut bench = Bench::new(LOCAL);
    for (from, kind) in [
        (Leg::Target, "direct-tcpip"),
        (Leg::Client, "forwarded-tcpip"),
        (Leg::Target, "forwarded-tcpip"),
        (Leg::Client, "tun@openssh.com"),
    ] {
        let out = bench.ok(from, &p::open_tcp(kind, 1, "db-1", 5432));
        assert!(is_refusal(&out), "{kind}");
    }
    let short = p::open("direct-tcpip", 1, 9999, &p::host_port("db-1", 5432));
    assert!(is_refusal(&bench.ok(Leg::Client, &short)));
}

#[test]
fn what_a_connection_carries_is_recorded_before_it_passes_and_counted() {
    let mut bench = connected();
    for (from, packet) in [
        (Leg::Client, p::data(9, b"select 1")),
        (Leg::Target, p::data(1, b"1")),
    ] {
        let out = bench.ok(from, &packet);
        assert!(records(&out).contains("ForwardData"), "{out:?}");
        assert_eq!(out[1..], [Out::Pass(from.other(), packet)]);
    }
    // The end of one direction is not held back: there is no exit status to wait for.
    let eof = p::eof(1);
    assert_eq!(
        bench.packets(Leg::Target, &eof),
        [Out::Pass(Leg::Client, eof)]
    );
    assert_eq!(bench.relay.poll_timeout(), None);
    bench.ok(Leg::Target, &p::close(1));
    let out = bench.ok(Leg::Client, &p::close(9));
    let end = records(&out);
    assert!(
        end.contains("ForwardClose { client_bytes: 8, target_bytes: 1 }"),
        "{end}"
    );
    let counted = bench.relay.bytes_from();
    assert_eq!((counted.client, counted.target), (8, 1));
    assert!(matches!(
        bench.events.last(),
        Some(ChannelEvent::Close {
            bytes_from_client: 8,
            bytes_from_target: 1,
            ..
        })
    ));
}

#[test]
fn a_connection_is_no_session() {
    let mut bench = connected();
    for (from, packet) in [
        (Leg::Client, p::request(9, "shell", true, b"")),
        (Leg::Client, p::request(9, "exec", true, &p::string(b"id"))),
        (Leg::Target, p::exit_status(1, 0)),
        (Leg::Target, p::extended_data(1, 1, b"x")),
    ] {
        assert!(is_refusal(&bench.ok(from, &packet)), "{packet:?}");
    }
    let eow = p::request(1, "eow@openssh.com", false, b"");
    assert!(!is_refusal(&bench.ok(Leg::Target, &eow)));
}

#[test]
fn ssh_inside_a_connection_is_cut_however_it_is_split() {
    for from in [Leg::Client, Leg::Target] {
        for pieces in [
            &["SSH-2.0-x\r\n"][..],
            &["S", "SH", "-2.0-x\r\n"],
            &["SSH", "-"],
        ] {
            let mut bench = connected();
            let id = if from == Leg::Client { 9 } else { 1 };
            let outs: Vec<_> = pieces
                .iter()
                .map(|piece| bench.ok(from, &p::data(id, piece.as_bytes())))
                .collect();
            let cut = outs.iter().flatten().cloned().collect::<Vec<_>>();
            let whole: Vec<u8> = cut
                .iter()
                .filter_map(|out| match out {
                    Out::Pass(_, packet) => Some(packet[9..].to_vec()),
                    _ => None,
                })
                .flatten()
                .collect();
            assert!(whole.len() < 4, "the identification passed: {whole:?}");
            assert!(cut.contains(&Out::Send(Leg::Client, p::eof(1))), "{cut:?}");
            assert!(cut.contains(&Out::Send(Leg::Target, p::eof(9))), "{cut:?}");
            // Nothing goes on, and both close the channel as they do after an end.
            let told = bench.events.len();
            for _ in 0..100 {
                assert_eq!(bench.ok(Leg::Client, &p::data(9, b"x")), []);
                assert_eq!(bench.ok(Leg::Target, &p::data(1, b"x")), []);
                assert_eq!(bench.ok(Leg::Target, &p::extended_data(1, 1, b"x")), []);
            }
            assert_eq!(bench.events.len(), told, "it was told once");
            assert_eq!(bench.ok(Leg::Client, &p::eof(9)), []);
            assert!(!is_refusal(&bench.ok(Leg::Client, &p::close(9))));
            let end = bench.ok(Leg::Target, &p::close(1));
            assert!(!is_refusal(&end));
            let unseen = pieces.last().unwrap().len() + 300;
            let counted = format!("{unseen} bytes came when it was cut and after");
            assert!(records(&end).contains(&counted), "{end:?}");
            assert!(matches!(
                bench.events.last(),
                Some(ChannelEvent::Close { .. })
            ));
        }
    }
    for other in [
        "ssh-2.0",
        "SSH 2.0",
        "GET / HTTP/1.1\r\nX: SSH-2.0-x\r\n",
        "SS",
    ] {
        let mut bench = connected();
        assert!(!is_refusal(
            &bench.ok(Leg::Client, &p::data(9, other.as_bytes()))
        ));
        assert!(!is_refusal(&bench.ok(Leg::Client, &p::data(9, b"-2.0"))));
    }
}

#[test]
fn what_is_cut_gets_no_end_behind_a_close() {
    for (closer, close, ssh, end) in [
        (Leg::Client, p::close(9), p::data(1, b"SSH-2"), p::eof(1)),
        (Leg::Target, p::close(1), p::data(9, b"SSH-2"), p::eof(9)),
    ] {
        let mut bench = connected();
        bench.ok(closer, &close);
        // The other side has the close already, and takes nothing behind it.
        assert_eq!(
            bench.packets(closer.other(), &ssh),
            [Out::Send(closer, end)]
        );
    }
}

#[test]
fn ssh_behind_a_banner_is_cut_and_far_into_a_stream_it_is_no_beginning() {
    for (before, is_cut) in [
        ("Welcome\r\n".to_owned(), true),
        ("Welcome\n\n\n".to_owned(), true),
        ("SSSH-\nSSH\n".to_owned(), true),
        ("Welcome\r\n".repeat(50), true),
        ("Welcome\r\n".repeat(51), false),
        (format!("{}\n", "x".repeat(16 * 1024 - 5)), true),
        (format!("{}\n", "x".repeat(16 * 1024 - 4)), false),
        ("Welcome".to_owned(), false),
    ] {
        for (from, id) in [(Leg::Client, 9), (Leg::Target, 1)] {
            for whole in [true, false] {
                let mut bench = connected();
                let text = format!("{before}SSH-2.0-x\r\n");
                let outs: Vec<_> = if whole {
                    vec![bench.ok(from, &p::data(id, text.as_bytes()))]
                } else {
                    text.bytes()
                        .map(|byte| bench.ok(from, &p::data(id, &[byte])))
                        .collect()
                };
                let last = outs.iter().rev().find(|out| !out.is_empty()).unwrap();
                assert_eq!(is_refusal(last), is_cut, "{} bytes before", before.len());
            }
        }
    }
}

fn listen(host: &str, port: u32, want_reply: bool) -> Vec<u8> {
    p::global_request("tcpip-forward", want_reply, &p::host_port(host, port))
}

fn chosen(port: u32) -> Vec<u8> {
    [p::request_success(), port.to_be_bytes().to_vec()].concat()
}

#[test]
fn the_target_listens_only_where_the_grant_says() {
    let any = "remote_forward = [{ ip = \"0.0.0.0/0\", port = 80 }, { ip = \"::/0\", port = 80 }]";
    let one = "remote_forward = [{ ip = \"0.0.0.0/0\", port = 80 }]";
    for (body, host, port, passes) in [
        ("", "localhost", 8080, false),
        (LOCAL, "db-1", 5432, false),
        (REMOTE, "localhost", 8080, true),
        (REMOTE, "localhost", 0, true),
        (REMOTE, "", 8080, false),
        (REMOTE, "0.0.0.0", 8080, false),
        (any, "", 80, true),
        (any, "", 81, false),
        (any, "", 0, false),
        (one, "", 80, false),
        (one, "127.0.0.1", 80, true),
    ] {
        let mut bench = Bench::new(body);
        let out = bench.ok(Leg::Client, &listen(host, port, true));
        assert_eq!(!is_refusal(&out), passes, "{body} {host:?} {port}");
        // Whether it listens is not left open, and who wants no answer gets none.
        let silent = bench.ok(Leg::Client, &listen(host, port, false));
        assert!(is_refusal(&silent));
        assert!(silent.iter().all(|out| matches!(out, Out::Record(_))));
    }
}

#[test]
fn a_port_that_the_target_chooses_reaches_the_client_and_is_the_one_it_may_use() {
    let mut bench = Bench::new(REMOTE);
    let arrival = |port| p::open_tcp("forwarded-tcpip", 3, "localhost", port);
    bench.ok(Leg::Client, &listen("localhost", 0, true));
    assert!(is_refusal(&bench.ok(Leg::Target, &arrival(0))));
    let reply = chosen(40_404);
    let out = bench.ok(Leg::Target, &reply);
    assert!(records(&out).contains("listens at port 40404"), "{out:?}");
    assert_eq!(out.last(), Some(&Out::Pass(Leg::Client, reply)));
    let told = ChannelEvent::Listening {
        host: "localhost".into(),
        port: 40_404,
    };
    assert_eq!(bench.events.last(), Some(&told));
    assert!(is_refusal(&bench.ok(Leg::Target, &arrival(40_405))));
    let out = bench.ok(Leg::Target, &arrival(40_404));
    assert!(records(&out).contains("ForwardOpen"), "{out:?}");
    bench.ok(Leg::Client, &p::confirm(3, 5));
    let out = bench.ok(Leg::Target, &p::data(5, b"hello"));
    assert!(records(&out).contains("ForwardData"), "{out:?}");

    let cancel = p::global_request(
        "cancel-tcpip-forward",
        true,
        &p::host_port("localhost", 40_404),
    );
    assert_eq!(bench.packets(Leg::Client, &cancel).len(), 1);
    bench.ok(Leg::Target, &p::request_success());
    let late = p::open_tcp("forwarded-tcpip", 4, "localhost", 40_404);
    assert!(is_refusal(&bench.ok(Leg::Target, &late)));
    assert!(is_refusal(&bench.ok(Leg::Client, &cancel)), "it is gone");
}

#[test]
fn a_listener_that_the_target_refused_lets_nobody_in() {
    let mut bench = Bench::new(REMOTE);
    bench.ok(Leg::Client, &listen("localhost", 8080, true));
    bench.ok(Leg::Target, &p::request_failure());
    let arrival = p::open_tcp("forwarded-tcpip", 3, "localhost", 8080);
    assert!(is_refusal(&bench.ok(Leg::Target, &arrival)));
}

#[test]
fn an_answer_with_the_wrong_data_is_a_failure_to_the_client_and_nothing_listens() {
    for (port, answer) in [
        (0, p::request_success()),
        (0, [chosen(1), vec![0]].concat()),
        (8080, chosen(8081)),
        (8080, [chosen(8080), vec![0]].concat()),
        (8080, [p::request_success(), vec![31, 144]].concat()),
        (0, chosen(0)),
        (0, chosen(65_536)),
        (0, chosen(u32::MAX)),
    ] {
        let mut bench = Bench::new(REMOTE);
        bench.ok(Leg::Client, &listen("localhost", port, true));
        let out = bench.ok(Leg::Target, &answer);
        assert!(is_refusal(&out), "{out:?}");
        assert_eq!(out[1..], [Out::Send(Leg::Client, p::request_failure())]);
        for port in [1, 8080, 8081] {
            let arrival = p::open_tcp("forwarded-tcpip", 3, "localhost", port);
            assert!(is_refusal(&bench.ok(Leg::Target, &arrival)), "{port}");
        }
        let told = |it: &ChannelEvent| matches!(it, ChannelEvent::Listening { .. });
        assert!(!bench.events.iter().any(told));
    }
}

#[test]
fn a_server_that_repeats_the_port_it_was_asked_for_is_understood() {
    let mut bench = Bench::new(REMOTE);
    let cancel = p::global_request(
        "cancel-tcpip-forward",
        true,
        &p::host_port("localhost", 8080),
    );
    let begin = listen("localhost", 8080, true);
    for (request, id, listens) in [(begin, 3, true), (cancel, 4, false)] {
        bench.ok(Leg::Client, &request);
        let out = bench.ok(Leg::Target, &chosen(8080));
        assert_eq!(out.last(), Some(&Out::Pass(Leg::Client, chosen(8080))));
        let arrival = p::open_tcp("forwarded-tcpip", id, "localhost", 8080);
        let out = bench.ok(Leg::Target, &arrival);
        assert_eq!(!is_refusal(&out), listens);
    }
}

#[test]
fn a_connection_comes_to_the_address_that_was_asked_for_and_the_log_says_which() {
    let anywhere = "remote_forward = [{ ip = \"0.0.0.0/0\", port = 80 }, { ip = \"::/0\", port = 80 }, \
                    { host = \"localhost\", port = 80 }, { host = \"web-1\", port = 80 }]";
    let all: &[&str] = &[
        "localhost",
        "127.0.0.1",
        "::1",
        "192.0.2.1",
        "2001:db8::1",
        "web-1",
        "db-1",
        "",
    ];
    for (asked, fitting) in [
        ("localhost", &["localhost", "127.0.0.1", "::1"][..]),
        ("127.0.0.1", &["localhost", "127.0.0.1"]),
        ("::1", &["localhost", "::1"]),
        ("192.0.2.1", &["192.0.2.1"]),
        ("", all),
        ("0.0.0.0", all),
        ("::", all),
        // The target knows its addresses best.
        (
            "web-1",
            &["127.0.0.1", "::1", "192.0.2.1", "2001:db8::1", "web-1"],
        ),
    ] {
        for named in all {
            let mut bench = Bench::new(anywhere);
            bench.ok(Leg::Client, &listen(asked, 80, true));
            bench.ok(Leg::Target, &p::request_success());
            let out = bench.ok(Leg::Target, &p::open_tcp("forwarded-tcpip", 3, named, 80));
            assert_eq!(
                !is_refusal(&out),
                fitting.contains(named),
                "{asked:?} {named:?}"
            );
            let matched = format!("it came to the listener that was asked for at `{asked}`");
            let is_said = fitting.contains(named) && *named != asked;
            assert_eq!(records(&out).contains(&matched), is_said, "{out:?}");
            let other = p::open_tcp("forwarded-tcpip", 4, asked, 81);
            assert!(is_refusal(&bench.ok(Leg::Target, &other)));
        }
    }
    // Other ways to write an address, and the one that was asked for before the one that holds for all.
    let mut bench = Bench::new(anywhere);
    for asked in ["", "2001:db8::1"] {
        bench.ok(Leg::Client, &listen(asked, 80, true));
        bench.ok(Leg::Target, &p::request_success());
    }
    for (named, is_said) in [("2001:db8::1", false), ("192.0.2.1", true)] {
        let open = p::open_tcp("forwarded-tcpip", 5 + u32::from(is_said), named, 80);
        let out = bench.ok(Leg::Target, &open);
        assert_eq!(
            records(&out).contains("it came to the listener"),
            is_said,
            "{out:?}"
        );
    }
}

#[test]
fn listeners_and_connections_are_limited() {
    for answers in [true, false] {
        let mut bench = Bench::new(REMOTE);
        let mut passed = 0;
        for port in 0..200 {
            let out = bench.ok(Leg::Client, &listen("localhost", 1024 + port, true));
            if !is_refusal(&out) {
                passed += 1;
                if answers {
                    bench.ok(Leg::Target, &p::request_success());
                }
            }
        }
        assert_eq!(passed, MAX_LISTENERS);
    }

    for (max_channels, wanted) in [(1, 1), (2, 2), (4, 3), (16, 12)] {
        let mut bench = Bench::new(&format!("{REMOTE}\nmax_channels = {max_channels}"));
        bench.ok(Leg::Client, &listen("localhost", 8080, true));
        bench.ok(Leg::Target, &p::request_success());
        let passed = (0..20)
            .filter(|id| {
                let open = p::open_tcp("forwarded-tcpip", *id, "localhost", 8080);
                !is_refusal(&bench.ok(Leg::Target, &open))
            })
            .count();
        assert_eq!(passed, wanted);
        // The rest is the client's.
        let sessions = (100..120)
            .filter(|id| !is_refusal(&bench.ok(Leg::Client, &p::open("session", *id, 9999, b""))))
            .count();
        assert_eq!(sessions, max_channels - wanted);
    }
}

#[test]
fn a_listener_ends_that_was_called_off_before_the_target_answered() {
    let mut bench = Bench::new(REMOTE);
    let cancel = |want_reply| {
        let data = p::host_port("localhost", 8080);
        p::global_request("cancel-tcpip-forward", want_reply, &data)
    };
    assert!(is_refusal(&bench.ok(Leg::Client, &cancel(true))));
    bench.ok(Leg::Client, &listen("localhost", 8080, true));
    assert!(is_refusal(&bench.ok(Leg::Client, &cancel(false))));
    assert!(!is_refusal(&bench.ok(Leg::Client, &cancel(true))));
    let arrival = p::open_tcp("forwarded-tcpip", 3, "localhost", 8080);
    bench.ok(Leg::Target, &p::request_success());
    bench.ok(Leg::Target, &p::request_success());
    assert!(is_refusal(&bench.ok(Leg::Target, &arrival)));
}

#[test]
fn the_log_says_what_was_refused() {
    let mut bench = Bench::new("");
    for (packet, wanted) in [
        (listen("0.0.0.0", 80, true), "\"tcpip-forward 0.0.0.0 80\""),
        (
            p::open_tcp("direct-tcpip", 1, "db-1", 5432),
            "\"channel direct-tcpip to db-1 5432\"",
        ),
        (
            p::global_request("tcpip-forward", true, b"\x1bx"),
            r#""tcpip-forward \\x1bx""#,
        ),
        (
            p::open("direct-tcpip", 1, 9999, &[b'y'; 5000]),
            &format!("\"channel direct-tcpip {}\"", "y".repeat(256)),
        ),
        (p::open("x11", 1, 9999, b""), "\"channel x11\""),
    ] {
        let out = bench.ok(Leg::Client, &packet);
        assert!(records(&out).contains(wanted), "{wanted}: {out:?}");
    }
}

#[test]
fn sockets_are_reached_and_listened_at_only_where_the_grant_says() {
    let direct = |path: &[u8]| {
        let data = [p::string(path), p::string(b""), vec![0; 4]].concat();
        p::open("direct-streamlocal@openssh.com", 1, 9999, &data)
    };
    let listen =
        |path: &[u8]| p::global_request("streamlocal-forward@openssh.com", true, &p::string(path));
    for (path, passes) in [
        (&b"/run/app/x.sock"[..], true),
        (b"/run/app", true),
        (b"/run/application", false),
        (b"/run/app/../../etc/x", false),
        (b"run/app", false),
        (b"/run/app/\xff", false),
        (b"", false),
    ] {
        let mut bench = Bench::new(SOCKETS);
        for packet in [direct(path), listen(path)] {
            let out = bench.ok(Leg::Client, &packet);
            assert_eq!(!is_refusal(&out), passes, "{path:?}");
        }
        assert!(is_refusal(
            &Bench::new(LOCAL).ok(Leg::Client, &direct(path))
        ));
    }
    let mut bench = Bench::new(SOCKETS);
    let arrival = |path: &[u8]| {
        let data = [p::string(path), p::string(b"")].concat();
        p::open("forwarded-streamlocal@openssh.com", 3, 9999, &data)
    };
    bench.ok(Leg::Client, &listen(b"/run/app/x"));
    bench.ok(Leg::Target, &p::request_success());
    assert!(is_refusal(&bench.ok(Leg::Target, &arrival(b"/run/app/y"))));
    assert!(!is_refusal(&bench.ok(Leg::Target, &arrival(b"/run/app/x"))));
}
