//! What a grant says about requests on a channel, and the order in which they may come (A11).
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

use bench::{Bench, Out, is_refusal, told};
use proxy_core::{ChannelEvent, Leg, RelayError};

#[test]
fn a_command_passes_only_where_the_patterns_cover_all_of_its_bytes() {
    let body = "commands = { allow = [\"uptime\", \"git *\"], deny = [\"git push*\"] }";
    for (command, passes) in [
        (&b"uptime"[..], true),
        (b"git log", true),
        (b"uptime ", false),
        (b" uptime", false),
        (b"uptime\n", false),
        (b"uptime; reboot", false),
        (b"UPTIME", false),
        (b"", false),
        (b"git", false),
        (b"git push origin", false),
        (b"git log\xff", true),
        (b"git log\0", false),
    ] {
        let mut bench = Bench::with_channel(body);
        let packet = p::request(7, "exec", true, &p::string(command));
        let out = bench.ok(Leg::Client, &packet);
        assert_eq!(!is_refusal(&out), passes, "{command:?}: {out:?}");
        if passes {
            assert_eq!(out[1..], [Out::Pass(Leg::Target, packet)]);
        } else {
            let answer = Out::Send(Leg::Client, p::failure(0));
            // Words come first, and the answer once they were heard.
            let heard = bench.packets(Leg::Client, &p::request_failure());
            let answers = [out, heard].concat();
            assert_eq!(answers.last(), Some(&answer), "{command:?}");
        }
    }
    let mut bench = Bench::with_channel("");
    let anything = p::request(7, "exec", false, &p::string(b"reboot"));
    assert!(!is_refusal(&bench.ok(Leg::Client, &anything)));
}

#[test]
fn a_refused_command_is_recorded_with_its_text_and_told_without_it() {
    let mut bench = Bench::with_channel("commands = { deny = [\"reboot\"] }");
    let asked = p::request(7, "exec", true, &p::string(b"reboot"));
    let out = bench.ok(Leg::Client, &asked);
    assert!(
        matches!(&out[0], Out::Record(text) if text.contains("Refused") && text.contains("exec reboot")),
        "{out:?}"
    );
    assert_eq!(
        told(&out),
        "portreeve: this policy does not allow this command\r\n"
    );
    let refused = bench.events.last().unwrap();
    assert!(
        matches!(refused, ChannelEvent::Refused { what, .. } if what == "exec"),
        "{refused:?}"
    );
    // Nobody who asked for no answer gets one.
    let silent = p::request(7, "exec", false, &p::string(b"reboot"));
    let mut bench = Bench::with_channel("commands = { deny = [\"reboot\"] }");
    let sent = bench.packets(Leg::Client, &silent);
    assert_eq!(sent.len(), 1, "words, and nothing else: {sent:?}");
}

#[test]
fn a_refusal_waits_for_the_client_to_have_heard_why_but_not_for_long() {
    let keepalive = p::global_request("keepalive@openssh.com", true, b"");
    let mut bench = Bench::with_channel("permit = [\"shell\"]");
    let out = bench.packets(Leg::Client, &request_for("exec"));
    assert_eq!(out[1..], [Out::Send(Leg::Client, keepalive.clone())]);
    // Requests of the target itself keep their turn.
    assert_eq!(bench.packets(Leg::Target, &keepalive).len(), 1);
    // What is refused without words waits behind it.
    let unknown = p::request(7, "x@example.com", true, b"");
    assert!(bench.packets(Leg::Client, &unknown).is_empty());
    assert_eq!(
        bench.packets(Leg::Client, &p::request_failure()),
        [
            Out::Send(Leg::Client, p::failure(0)),
            Out::Send(Leg::Client, p::failure(0)),
        ]
    );
    assert_eq!(
        bench.packets(Leg::Client, &p::request_success()),
        [Out::Pass(Leg::Target, p::request_success())]
    );

    bench.ok(Leg::Client, &request_for("exec"));
    let until = bench.relay.poll_timeout().unwrap();
    assert_eq!(bench.timeout(until - Duration::from_nanos(1)), []);
    assert_eq!(
        bench.timeout(until),
        [Out::Send(Leg::Client, p::failure(0))]
    );
    assert_eq!(bench.relay.poll_timeout(), None);
    // Its answer comes after all, and another channel may have the number by then.
    assert_eq!(bench.packets(Leg::Client, &p::request_failure()), []);
}

#[test]
fn an_answer_that_comes_while_a_refusal_waits_comes_behind_it() {
    let mut bench = Bench::with_channel("permit = [\"shell\"]");
    bench.ok(Leg::Client, &request_for("exec"));
    // As `ssh -t` asks ahead: the target may answer before the client has answered the proxy.
    bench.ok(Leg::Client, &p::request(7, "shell", true, b""));
    assert_eq!(
        bench.packets(Leg::Target, &p::success(0)),
        [
            Out::Send(Leg::Client, p::failure(0)),
            Out::Pass(Leg::Client, p::success(0)),
        ]
    );
    // One to what was asked before leaves it waiting.
    let mut bench = Bench::with_channel("permit = [\"shell\"]");
    bench.ok(
        Leg::Client,
        &p::request(7, "signal", true, &p::string(b"INT")),
    );
    bench.ok(Leg::Client, &request_for("exec"));
    bench.ok(
        Leg::Client,
        &p::request(7, "signal", true, &p::string(b"INT")),
    );
    assert_eq!(
        bench.packets(Leg::Target, &p::failure(0)),
        [Out::Pass(Leg::Client, p::failure(0))]
    );
    assert!(bench.relay.poll_timeout().is_some());
    assert_eq!(
        bench.packets(Leg::Target, &p::success(0)),
        [
            Out::Send(Leg::Client, p::failure(0)),
            Out::Pass(Leg::Client, p::success(0)),
        ]
    );
    // What nobody asked for changes nothing of what waits.
    let mut bench = Bench::with_channel("permit = [\"shell\"]");
    bench.ok(Leg::Client, &request_for("exec"));
    assert!(is_refusal(&bench.ok(Leg::Target, &p::success(0))));
    assert!(bench.relay.poll_timeout().is_some());
}

#[test]
fn what_the_target_asks_for_says_nothing_of_the_clients_program() {
    let mut bench = Bench::with_channel("");
    let asked = p::request(0, "exec", false, &p::string(b"id"));
    assert!(is_refusal(&bench.ok(Leg::Target, &asked)));
    let data = p::data(7, b"x");
    assert_eq!(
        bench.packets(Leg::Client, &data),
        [Out::Pass(Leg::Target, data.clone())]
    );
}

#[test]
fn no_answer_follows_the_close_of_the_side_that_gives_it() {
    let mut bench = Bench::with_channel("");
    bench.ok(Leg::Target, &p::close(0));
    bench.ok(Leg::Client, &p::request(7, "shell", true, b""));
    assert!(is_refusal(&bench.ok(Leg::Target, &p::success(0))));
}

#[test]
fn the_words_to_the_person_end_with_the_window_kept_for_them() {
    let mut bench = Bench::with_channel("permit = [\"shell\"]");
    let mut words = 0;
    for _ in 0..100 {
        let asked = p::request(7, "exec", true, &p::string(b"id"));
        words += told(&bench.ok(Leg::Client, &asked)).len();
    }
    let line = "portreeve: this policy does not allow commands\r\n".len();
    assert_eq!(words, 1024 / line * line);
}

#[test]
fn the_sftp_server_as_a_command_needs_the_subsystem_as_well() {
    let server = p::request(
        7,
        "exec",
        true,
        &p::string(b"/usr/lib/openssh/sftp-server -R"),
    );
    for (body, passes) in [
        ("", true),
        ("permit = [\"exec\"]", false),
        ("permit = [\"sftp\"]", false),
        ("permit = [\"exec\", \"sftp\"]", true),
        ("commands = { allow = [\"uptime\"] }", false),
    ] {
        let mut bench = Bench::with_channel(body);
        assert_eq!(
            !is_refusal(&bench.ok(Leg::Client, &server)),
            passes,
            "{body}"
        );
    }
}

fn request_for(kind: &str) -> Vec<u8> {
    let data = match kind {
        "exec" => p::string(b"id"),
        "subsystem" => p::string(b"sftp"),
        "env" => [p::string(b"LANG"), p::string(b"C")].concat(),
        "pty-req" => [p::string(b"xterm"), vec![0; 16], p::string(b"")].concat(),
        _ => Vec::new(),
    };
    p::request(7, kind, true, &data)
}

#[test]
fn one_program_runs_on_a_channel_and_nothing_prepares_it_afterwards() {
    for first in ["shell", "exec", "subsystem"] {
        // Before the target's answer as after it.
        for answers in [0, 1] {
            for second in ["shell", "exec", "subsystem", "env", "pty-req"] {
                let mut bench = Bench::with_channel("");
                assert!(!is_refusal(&bench.ok(Leg::Client, &request_for(first))));
                for _ in 0..answers {
                    bench.ok(Leg::Target, &p::success(0));
                }
                let out = bench.ok(Leg::Client, &request_for(second));
                assert!(is_refusal(&out), "{second} after {first}");
                assert_eq!(
                    told(&out),
                    "",
                    "the program's own stderr is not to be mixed up"
                );
            }
            let mut bench = Bench::with_channel("");
            bench.ok(Leg::Client, &request_for(first));
            let resize = p::request(7, "window-change", false, &[0; 16]);
            assert!(!is_refusal(&bench.ok(Leg::Client, &resize)));
        }
    }
}

#[test]
fn what_the_target_did_not_start_may_be_asked_for_differently() {
    let mut bench = Bench::with_channel("");
    bench.ok(Leg::Client, &request_for("subsystem"));
    bench.ok(Leg::Target, &p::failure(0));
    assert!(!is_refusal(&bench.ok(Leg::Client, &request_for("exec"))));
    assert!(is_refusal(&bench.ok(Leg::Client, &request_for("exec"))));
}

#[test]
fn nothing_goes_to_a_channel_whose_program_was_refused_until_another_is_granted() {
    let mut bench = Bench::with_channel("permit = [\"shell\"]");
    let typed = p::data(7, b"reboot\n");
    assert!(is_refusal(&bench.ok(Leg::Client, &request_for("exec"))));
    assert!(is_refusal(&bench.ok(Leg::Client, &typed)));
    assert!(!is_refusal(&bench.ok(Leg::Client, &request_for("shell"))));
    assert!(!is_refusal(&bench.ok(Leg::Client, &typed)));
}

#[test]
fn a_variable_whose_name_hides_another_is_refused() {
    for name in [
        &b"LC_A=1\nLD_PRELOAD"[..],
        b"LC_A=B",
        b"LC_ ",
        b"LC_\0",
        b"LC_\xff",
        b"",
    ] {
        let mut bench = Bench::with_channel("env = [\"LC_*\"]");
        let env = [p::string(name), p::string(b"x")].concat();
        let out = bench.ok(Leg::Client, &p::request(7, "env", true, &env));
        assert!(is_refusal(&out), "{name:?}");
    }
}

#[test]
fn data_before_the_confirmation_ends_the_session() {
    for (from, packet) in [
        (Leg::Client, p::data(7, b"x")),
        (Leg::Target, p::data(0, b"x")),
        (Leg::Target, p::extended_data(0, 1, b"x")),
        (Leg::Client, p::eof(7)),
        (Leg::Client, request_for("shell")),
        (Leg::Target, p::close(0)),
    ] {
        let mut bench = Bench::new("");
        bench.ok(Leg::Client, &p::open("session", 0, 100_000, &[]));
        let (result, out) = bench.hand(from, &packet);
        assert!(
            matches!(result, Err(RelayError::UnknownChannel { .. })),
            "{packet:?}"
        );
        assert!(out.is_empty(), "{out:?}");
    }
}

#[test]
fn a_client_that_answers_no_question_is_asked_few_and_the_target_does_not_pay_for_it() {
    let keepalive = p::global_request("keepalive@openssh.com", true, b"");
    let mut bench = Bench::new("permit = [\"shell\"]");
    let mut asked = 0;
    for _ in 0..500 {
        bench.ok(Leg::Client, &p::open("session", 0, 100_000, &[]));
        bench.ok(Leg::Target, &p::confirm(0, 7));
        let mut of_this_channel = 0;
        for _ in 0..10 {
            let out = bench.ok(Leg::Client, &request_for("exec"));
            of_this_channel += out
                .iter()
                .filter(|it| **it == Out::Send(Leg::Client, keepalive.clone()))
                .count();
        }
        assert!(of_this_channel <= 1, "{of_this_channel}");
        asked += of_this_channel;
        bench.ok(Leg::Client, &p::close(7));
        bench.ok(Leg::Target, &p::close(0));
    }
    assert_eq!(asked, 64);
    // Without a question, the time alone lets a refusal go.
    bench.ok(Leg::Client, &p::open("session", 0, 100_000, &[]));
    bench.ok(Leg::Target, &p::confirm(0, 7));
    let words = bench.packets(Leg::Client, &request_for("exec"));
    assert_eq!(words.len(), 1, "{words:?}");
    let until = bench.relay.poll_timeout().unwrap();
    let refused = [Out::Send(Leg::Client, p::failure(0))];
    assert_eq!(bench.timeout(until), refused);
    // The target may ask as much as ever, and its questions are answered behind those of the proxy.
    for _ in 0..256 {
        bench.ok(Leg::Target, &keepalive);
    }
    for _ in 0..asked {
        assert_eq!(bench.packets(Leg::Client, &p::request_failure()), []);
    }
    let answer = p::request_failure();
    assert_eq!(
        bench.packets(Leg::Client, &answer),
        [Out::Pass(Leg::Target, answer)]
    );
}

#[test]
fn a_refusal_that_waits_goes_before_the_targets_close_and_none_after_it() {
    let mut bench = Bench::with_channel("permit = [\"shell\"]");
    bench.ok(Leg::Client, &request_for("exec"));
    assert_eq!(
        bench.packets(Leg::Target, &p::close(0)),
        [
            Out::Send(Leg::Client, p::failure(0)),
            Out::Pass(Leg::Client, p::close(0)),
        ]
    );
    assert_eq!(bench.relay.poll_timeout(), None);
    // This one crosses the close on the wire.
    assert_eq!(bench.packets(Leg::Client, &request_for("exec")), []);
    assert_eq!(bench.packets(Leg::Client, &p::request_failure()), []);
    assert_eq!(bench.timeout(Duration::MAX), []);
}

#[test]
fn last_words_reach_the_person_before_an_end_that_waits() {
    let mut bench = Bench::with_channel("");
    assert_eq!(bench.packets(Leg::Target, &p::eof(0)), []);
    assert_eq!(told(&bench.notify_all("goodbye")), "goodbye");
    let eof = [Out::Send(Leg::Client, p::eof(0))];
    assert_eq!(bench.timeout(Duration::MAX), eof);
    assert_eq!(bench.notify_all("too late"), []);
}
