//! When an agent is lent, and how it is taken back.

use super::*;

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
                if passes {
                    bench.ok(Leg::Target, &p::success(0));
                }
            }
            let open = |sender, data| p::open(kind, sender, AGENT_WINDOW_BYTES, data);
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
fn an_agent_is_taken_back_when_the_channel_that_lent_it_is_closed_by_either_side() {
    for (closes, id) in [(Leg::Client, 7), (Leg::Target, 0)] {
        let mut bench = lent();
        let out = bench.ok(closes, &p::close(id));
        assert!(out.contains(&Out::Pass(closes.other(), p::close(id))));
        assert!(records(&out).contains("the channel is closed on which the agent was lent"));
        assert!(ends_it(&out), "{out:?}");
        // The other side may keep its own close for ever.
        assert_eq!(target_says(&mut bench, &sign(b"key")), []);
        let out = bench.ok(Leg::Target, &p::open(KIND, 9, AGENT_WINDOW_BYTES, b""));
        assert!(is_refusal(&out), "{out:?}");
        assert!(matches!(&out[1], Out::Send(Leg::Target, no) if no[0] == 92));
    }
}

#[test]
fn an_agent_lent_on_two_channels_is_taken_back_with_the_second() {
    let mut bench = lent();
    bench.ok(Leg::Client, &p::open("session", 1, 100_000, &[]));
    bench.ok(Leg::Target, &p::confirm(1, 8));
    let without_reply = p::request(8, "auth-agent-req@openssh.com", false, b"");
    bench.ok(Leg::Client, &without_reply);
    bench.ok(Leg::Client, &p::close(7));
    assert_eq!(
        data_to(Leg::Client, &target_says(&mut bench, &list())),
        list()
    );
    let out = bench.ok(Leg::Client, &p::close(8));
    assert!(ends_it(&out), "{out:?}");
}

#[test]
fn a_connection_that_the_client_opens_after_it_took_the_agent_back_is_cut_at_once() {
    let mut bench = lending(GRANTED);
    bench.ok(
        Leg::Target,
        &p::open(KIND, AT_TARGET, AGENT_WINDOW_BYTES, b""),
    );
    bench.ok(Leg::Client, &p::close(7));
    let confirmed = p::confirm_sized(AT_TARGET, AT_CLIENT, (2_097_152, 32_768));
    let out = bench.ok(Leg::Client, &confirmed);
    assert!(ends_it(&out), "{out:?}");
    assert_eq!(target_says(&mut bench, &sign(b"key")), []);
}

#[test]
fn an_end_that_waits_behind_a_question_is_told_when_the_agent_is_taken_back() {
    let mut bench = lent_with(0, 32_768);
    target_says(&mut bench, &list());
    let out = bench.ok(Leg::Target, &p::eof(AT_CLIENT));
    assert!(!out.iter().any(|it| matches!(it, Out::Send(..))), "{out:?}");
    let out = bench.ok(Leg::Client, &p::close(7));
    assert!(ends_it(&out), "{out:?}");
}

#[test]
fn the_agent_is_lent_no_longer_than_to_the_program_that_has_it() {
    let is_lent = |bench: &mut Bench| {
        let out = bench.ok(Leg::Target, &p::open(KIND, 3, 1000, b""));
        let is_lent = !is_refusal(&out);
        if is_lent {
            bench.ok(Leg::Client, &p::open_failure(3, 2, "no"));
        }
        is_lent
    };
    let mut bench = Bench::with_channel(GRANTED);
    bench.ok(Leg::Client, &ask());
    assert!(!is_lent(&mut bench), "the target has not agreed");
    bench.ok(Leg::Target, &p::failure(0));
    assert!(!is_lent(&mut bench), "the target has refused");
    let quiet = p::request(7, "auth-agent-req@openssh.com", false, b"");
    bench.ok(Leg::Client, &quiet);
    assert!(is_lent(&mut bench), "it will say nothing");
    bench.ok(Leg::Client, &ask());
    bench.ok(Leg::Target, &p::failure(0));
    assert!(is_lent(&mut bench), "it has it already");
    bench.ok(Leg::Target, &p::close(0));
    assert!(!is_lent(&mut bench), "the program is gone");
    bench.ok(Leg::Client, &p::close(7));
    assert!(!is_lent(&mut bench), "and the channel");
}
