//! Windows of the target's programs at the client: granted, asked for, recorded without the cookie.
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
use proxy_core::{ChannelEvent, Leg};

const GRANTED: &str = "permit = [\"shell\", \"x11_forwarding\"]";
const COOKIE: &str = "0123456789abcdef0123456789abcdef";

fn ask(single_connection: bool) -> Vec<u8> {
    p::request(7, "x11-req", true, &p::x11(single_connection, COOKIE))
}

/// What a program says first to a display.
fn hello() -> Vec<u8> {
    let cookie: Vec<u8> = (101..117).collect();
    [
        b"l\0\x0b\0\0\0\x12\0\x10\0\0\0MIT-MAGIC-COOKIE-1\0\0".to_vec(),
        cookie,
    ]
    .concat()
}

/// The client asks, and the target agrees.
fn lend(bench: &mut Bench, single_connection: bool) {
    bench.ok(Leg::Client, &ask(single_connection));
    bench.ok(Leg::Target, &p::success(0));
}

/// Whether a program may open a window, which the client then does not.
fn is_lent(bench: &mut Bench) -> bool {
    let is_lent = !is_refusal(&bench.ok(Leg::Target, &p::open_x11(60)));
    if is_lent {
        bench.ok(Leg::Client, &p::open_failure(60, 2, "no display"));
    }
    is_lent
}

/// With an `x11` channel: number 3 of the target, 5 of the client.
fn shown() -> Bench {
    let mut bench = Bench::with_channel(GRANTED);
    lend(&mut bench, false);
    bench.ok(Leg::Target, &p::open_x11(3));
    bench.ok(Leg::Client, &p::confirm(3, 5));
    bench
}

#[test]
fn windows_are_shown_only_where_granted_and_asked_for() {
    for (body, asks, passes) in [
        ("", true, false),
        (GRANTED, false, false),
        (GRANTED, true, true),
        ("permit = [\"shell\", \"agent_forwarding\"]", true, false),
    ] {
        let mut bench = Bench::with_channel(body);
        if asks {
            let out = bench.ok(Leg::Client, &ask(false));
            assert_eq!(!is_refusal(&out), passes, "{body}");
            if passes {
                bench.ok(Leg::Target, &p::success(0));
            }
        }
        let out = bench.ok(Leg::Target, &p::open_x11(3));
        assert_eq!(!is_refusal(&out), passes, "{body}");
        if !passes {
            assert!(matches!(&out[1], Out::Send(Leg::Target, no) if no[0] == 92));
        }
        assert!(is_refusal(&bench.ok(Leg::Client, &p::open_x11(4))));
    }
}

#[test]
fn a_request_for_one_connection_is_good_for_one() {
    let mut bench = Bench::with_channel(GRANTED);
    for round in 0..3 {
        lend(&mut bench, true);
        let first = bench.ok(Leg::Target, &p::open_x11(10 + round));
        assert!(!is_refusal(&first), "{first:?}");
        let second = bench.ok(Leg::Target, &p::open_x11(20 + round));
        assert!(is_refusal(&second), "{second:?}");
    }
    // One that the client does not open was none.
    lend(&mut bench, true);
    for id in 40..43 {
        assert!(!is_refusal(&bench.ok(Leg::Target, &p::open_x11(id))));
        bench.ok(Leg::Client, &p::open_failure(id, 2, "no display"));
    }
    assert!(!is_refusal(&bench.ok(Leg::Target, &p::open_x11(43))));
    assert!(is_refusal(&bench.ok(Leg::Target, &p::open_x11(44))));
    lend(&mut bench, false);
    for id in 30..33 {
        assert!(!is_refusal(&bench.ok(Leg::Target, &p::open_x11(id))));
    }
}

#[test]
fn no_window_opens_once_the_program_that_may_is_gone() {
    for (first, then) in [
        ((Leg::Target, p::close(0)), (Leg::Client, p::close(7))),
        ((Leg::Client, p::close(7)), (Leg::Target, p::close(0))),
    ] {
        for single_connection in [false, true] {
            let mut bench = Bench::with_channel(GRANTED);
            lend(&mut bench, single_connection);
            assert!(is_lent(&mut bench));
            bench.ok(first.0, &first.1);
            assert!(!is_lent(&mut bench), "{:?} has closed the channel", first.0);
            bench.ok(then.0, &then.1);
            assert!(!is_lent(&mut bench), "it is closed");
        }
    }
}

#[test]
fn a_display_is_lent_once_the_target_has_agreed_and_not_if_it_refuses() {
    for single_connection in [false, true] {
        let mut bench = Bench::with_channel(GRANTED);
        bench.ok(Leg::Client, &ask(single_connection));
        assert!(!is_lent(&mut bench), "the target has not agreed");
        bench.ok(Leg::Target, &p::failure(0));
        assert!(!is_lent(&mut bench), "the target has refused");
        lend(&mut bench, single_connection);
        assert!(is_lent(&mut bench));
        bench.ok(Leg::Client, &ask(single_connection));
        bench.ok(Leg::Target, &p::failure(0));
        assert!(is_lent(&mut bench), "it has it already");

        let mut bench = Bench::with_channel(GRANTED);
        let quiet = p::request(7, "x11-req", false, &p::x11(single_connection, COOKIE));
        bench.ok(Leg::Client, &quiet);
        assert!(is_lent(&mut bench), "it will say nothing");
    }
}

#[test]
fn a_display_that_was_used_up_is_not_lent_again_when_its_window_closes() {
    let mut bench = Bench::with_channel(GRANTED);
    lend(&mut bench, true);
    bench.ok(Leg::Target, &p::open_x11(3));
    bench.ok(Leg::Client, &p::confirm(3, 5));
    assert!(!is_lent(&mut bench), "it is in use");
    bench.ok(Leg::Target, &p::close(5));
    bench.ok(Leg::Client, &p::close(3));
    assert!(!is_lent(&mut bench), "it was used up");
}

#[test]
fn no_window_opens_once_either_side_has_closed_what_asked_for_it_and_those_open_stay() {
    for single_connection in [true, false] {
        for (closes, id) in [(Leg::Client, 7), (Leg::Target, 0)] {
            let mut bench = Bench::with_channel(GRANTED);
            lend(&mut bench, single_connection);
            lend(&mut bench, single_connection);
            bench.ok(Leg::Target, &p::open_x11(3));
            bench.ok(Leg::Client, &p::confirm(3, 5));
            // The other side may keep its own close for ever.
            bench.ok(closes, &p::close(id));
            assert!(is_refusal(&bench.ok(Leg::Target, &p::open_x11(4))));
            let said = p::data(5, &hello());
            let out = bench.ok(Leg::Target, &said);
            assert_eq!(out.last(), Some(&Out::Pass(Leg::Client, said)));
        }
    }
}

#[test]
fn the_cookie_goes_on_and_stands_in_no_record_and_no_event() {
    let mut bench = Bench::with_channel(GRANTED);
    let asked = ask(true);
    let mut out = bench.ok(Leg::Client, &asked);
    assert_eq!(out.last(), Some(&Out::Pass(Leg::Target, asked)));
    assert!(records(&out).contains("X11 { single_connection: true"));
    bench.ok(Leg::Target, &p::success(0));
    out.extend(bench.ok(Leg::Target, &p::open_x11(3)));
    out.extend(bench.ok(Leg::Client, &p::confirm(3, 5)));
    let said = p::data(5, &hello());
    out.extend(bench.ok(Leg::Target, &said));
    assert_eq!(out.last(), Some(&Out::Pass(Leg::Client, said)), "untouched");
    // One that is refused keeps it to itself as well.
    let mut ungranted = Bench::with_channel("");
    out.extend(ungranted.ok(Leg::Client, &ask(false)));

    let recorded = records(&out);
    let told = format!("{:?}{:?}", bench.events, ungranted.events);
    let as_bytes = format!("{:?}", &hello()[32..]);
    for text in [recorded, told] {
        assert!(!text.contains(COOKIE), "{text}");
        assert!(!text.contains(as_bytes.trim_matches(['[', ']'])), "{text}");
    }
}

#[test]
fn what_a_window_carries_is_recorded_counted_and_told() {
    let mut bench = shown();
    let out = bench.ok(Leg::Client, &p::data(3, b"\x01\0pixels"));
    assert!(records(&out).contains("ForwardData { from: Client, bytes: 8, data: [1, 0, 112"));
    bench.ok(Leg::Target, &p::data(5, &hello()));
    bench.ok(Leg::Target, &p::close(5));
    let end = records(&bench.ok(Leg::Client, &p::close(3)));
    assert!(
        end.contains("ForwardClose { client_bytes: 8, target_bytes: 48 }"),
        "{end}"
    );
    assert!(bench.events.iter().any(
        |it| matches!(it, ChannelEvent::Forward { from: Leg::Target, kind, .. } if kind == "x11")
    ));
    assert!(matches!(bench.events[1], ChannelEvent::X11 { channel: 1 }));
}

#[test]
fn ssh_dressed_up_as_a_window_is_cut() {
    for (from, id) in [(Leg::Client, 3), (Leg::Target, 5)] {
        let mut bench = shown();
        let out = bench.ok(from, &p::data(id, b"SSH-2.0-x\r\n"));
        assert!(is_refusal(&out), "{out:?}");
        assert!(out.contains(&Out::Send(Leg::Client, p::eof(5))));
        assert!(out.contains(&Out::Send(Leg::Target, p::eof(3))));
    }
}

#[test]
fn a_request_that_comes_late_or_says_too_little_does_not_pass() {
    let mut bench = Bench::with_channel(GRANTED);
    bench.ok(Leg::Client, &p::request(7, "shell", true, b""));
    assert!(is_refusal(&bench.ok(Leg::Client, &ask(false))));
    assert!(is_refusal(&bench.ok(Leg::Target, &p::open_x11(3))));

    let whole = p::x11(false, COOKIE);
    for len in 0..whole.len() {
        let mut bench = Bench::with_channel(GRANTED);
        let (result, out) = bench.hand(Leg::Client, &p::request(7, "x11-req", true, &whole[..len]));
        assert!(result.is_err() && out.is_empty(), "{len}");
    }
    let mut bench = Bench::with_channel(GRANTED);
    lend(&mut bench, false);
    let nowhere = p::open("x11", 3, 100_000, b"");
    assert!(is_refusal(&bench.ok(Leg::Target, &nowhere)));
}
