//! Sessions inside sessions and the clock: what keeps which of them alive, how long a peer has, and what a log says of when.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod sim;

use std::time::Duration;

use proxy_core::{EndReason, Leg, Refusal};
use sim::packets as p;
use sim::tree::{FORWARDS, JUMP, JUMPS, Tree, end_of, open_failure, policy, refusal_of};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// The outer session ends when nothing happened for a minute; the one inside never does.
fn idle_outside() -> String {
    let outer = policy(&format!("{JUMPS}idle_timeout = \"60s\"\n"));
    let outer = outer.replace("{ hostname = \"inner-1\" }, ", "");
    format!(
        "{outer}\n[[application]]\nname = \"inside\"\n\
         target = {{ include = [{{ hostname = \"inner-1\" }}] }}\n[[application.policy]]\nname = \"q\"\n\
         action = \"allow\"\ninclude = [{{ everyone = true }}]\nusernames = [\"deploy\"]\n"
    )
}

fn keepalive(tree: &mut Tree) {
    for leg in [Leg::Client, Leg::Target] {
        let packet = p::global_request("keepalive@openssh.com", true, b"");
        tree.send(1, leg, &packet);
    }
    tree.run();
}

#[test]
fn keepalives_of_a_session_inside_keep_no_session_around_it_alive() {
    let mut tree = Tree::jumped(&idle_outside(), 2);
    tree.open_session(1);
    for _ in 0..5 {
        tree.pass(secs(11));
        keepalive(&mut tree);
    }
    assert_eq!(end_of(&tree.kinds(0)), None, "55 s");
    tree.pass(secs(6));
    assert_eq!(end_of(&tree.kinds(0)), Some(EndReason::IdleTimeout));
    assert_eq!(end_of(&tree.kinds(1)), Some(EndReason::OuterEnded));
    tree.finish();
}

#[test]
fn what_people_do_inside_keeps_the_sessions_around_alive_and_counts_after_its_end() {
    for from in [Leg::Client, Leg::Target] {
        let mut tree = Tree::jumped(&idle_outside(), 2);
        tree.open_session(1);
        for _ in 0..10 {
            tree.pass(secs(50));
            tree.send_data(1, from, b"x", 100);
            tree.run();
        }
        assert_eq!(end_of(&tree.kinds(0)), None);
        tree.pass(secs(30));
        tree.send(0, Leg::Client, &p::close(JUMP.target));
        tree.levels[0].pipe.client.closes_too = false;
        tree.run();
        assert_eq!(end_of(&tree.kinds(1)), Some(EndReason::ClientDisconnected));
        tree.pass(secs(29));
        assert_eq!(end_of(&tree.kinds(0)), None, "{from:?}: 59 s");
        tree.pass(secs(2));
        assert_eq!(end_of(&tree.kinds(0)), Some(EndReason::IdleTimeout));
        tree.finish();
    }
}

#[test]
fn a_login_inside_keeps_the_session_around_alive() {
    let mut tree = Tree::new(&idle_outside());
    tree.run();
    tree.silent_level = Some(1);
    tree.pass(secs(50));
    tree.jump(0);
    tree.pipe(0, Leg::Client, b"SSH-2.0-test\r\n");
    tree.run();
    tree.pass(secs(50));
    assert_eq!(end_of(&tree.kinds(0)), None);
    tree.finish();
}

/// Asks for connections that nobody answers.
fn ask(tree: &mut Tree, ids: std::ops::Range<u32>) {
    for id in ids {
        let data = [p::host_port("inner-1", 22), p::host_port("127.0.0.1", 5)].concat();
        let open = p::open_sized("direct-tcpip", id, (2_097_152, 32_768), &data);
        tree.send(0, Leg::Client, &open);
    }
    tree.run();
}

#[test]
fn a_connection_that_the_target_never_opens_holds_a_place_for_as_long_as_a_login_may_take() {
    let mut tree = Tree::new(&policy(JUMPS));
    tree.ignores_jumps = true;
    tree.run();
    ask(&mut tree, 100..108);
    assert_eq!(open_failure(&tree, 0), "");
    ask(&mut tree, 108..109);
    assert!(open_failure(&tree, 0).contains("too many sessions"));
    tree.pass(secs(119));
    assert_eq!(tree.session.overviews(tree.now).len(), 9);
    tree.pass(secs(2));
    assert_eq!(tree.session.overviews(tree.now).len(), 1);
    for at in 1..9 {
        assert_eq!(refusal_of(&tree.kinds(at)), Some(Refusal::LoginTimeout));
    }
    // The places are free. Who answers too late opens nothing.
    let id = 103;
    tree.levels[0].packets = Default::default();
    tree.send(
        0,
        Leg::Target,
        &p::confirm_sized(id, 203, (2_097_152, 32_768)),
    );
    tree.send(0, Leg::Target, &p::data(id, b"SSH-2.0-late\r\n"));
    tree.run();
    let starts = |leg: Leg| -> Vec<u8> {
        let packets = tree.levels[0].packets[leg].iter();
        packets.map(|packet| packet[0]).collect()
    };
    assert_eq!(starts(Leg::Client), [91, 96, 97]);
    assert_eq!(starts(Leg::Target), [96, 97]);
    tree.send(0, Leg::Client, &p::close(203));
    tree.send(0, Leg::Target, &p::close(id));
    tree.ignores_jumps = false;
    tree.run();
    tree.jump(0);
    tree.assert_in(2);
    assert_eq!(end_of(&tree.kinds(0)), None);
    tree.finish();
}

#[test]
fn the_last_record_of_a_session_inside_says_when_the_one_around_it_ended() {
    let mut tree = Tree::jumped(&policy(JUMPS), 3);
    tree.open_session(2);
    let last = |tree: &Tree, level: usize| tree.logs[&tree.ids[level]].last;
    let begun = [0, 1, 2].map(|level| last(&tree, level));
    // No deadline of anybody is in between.
    let quiet = Duration::from_millis(700);
    tree.now.mono += quiet;
    tree.now.unix += quiet;
    tree.peer_closes(Leg::Client);
    for (level, begun) in begun.into_iter().enumerate() {
        assert!(tree.records(level).last().unwrap().contains("End {"));
        let waited = last(&tree, level) - begun;
        assert!(waited >= quiet, "{level}: {waited:?}");
    }
    tree.finish();
}

/// A client that was refused in clear, with the last words of its session on the way to a window of so many bytes.
fn refused_with_window(bytes: u32) -> Tree {
    let mut tree = Tree::new(&policy(FORWARDS));
    tree.silent_level = Some(1);
    tree.window = (bytes, 32_768);
    tree.run();
    tree.open(0, "elsewhere", 22);
    tree.pipe(0, Leg::Client, b"SSH-2.0-test\r\n");
    tree.run();
    tree
}

/// It takes so many bytes every 4 s; whether its channel is open after so many times.
fn takes(tree: &mut Tree, bytes: u32, times: u32) -> bool {
    for _ in 0..times {
        tree.pass(secs(4));
        if tree.levels[0].pipe.client.is_closed {
            return false;
        }
        tree.levels[0].pipe.client.granted += bytes as usize;
        tree.send(0, Leg::Client, &p::window_adjust(JUMP.target, bytes));
        tree.run();
    }
    !tree.levels[0].pipe.client.is_closed
}

fn has_read_why(tree: &Tree) -> bool {
    let got = &tree.levels[0].pipe.client.got;
    String::from_utf8_lossy(got).contains("ask who runs it (request ")
}

#[test]
fn a_client_that_reads_last_words_slowly_gets_them_all_and_one_that_reads_none_waits_not_for_long()
{
    let mut tree = refused_with_window(40);
    assert!(!has_read_why(&tree));
    let mut times = 0;
    while !has_read_why(&tree) {
        assert!(takes(&mut tree, 10, 1), "{times} times 4 s");
        times += 1;
    }
    assert!(times > 4, "{times}");
    tree.pass(secs(20));
    assert!(tree.levels[0].pipe.client.is_closed);
    assert_eq!(end_of(&tree.kinds(0)), None);
    tree.finish();

    let mut tree = refused_with_window(40);
    // As long as the last words of a session may take, and a client to say that it heard.
    tree.pass(secs(7));
    assert!(tree.levels[0].pipe.client.is_closed && !has_read_why(&tree));
    tree.finish();
}

#[test]
fn a_client_that_reads_last_words_as_slowly_as_it_can_has_a_minute() {
    let mut tree = refused_with_window(40);
    assert!(takes(&mut tree, 1, 14), "56 s");
    assert!(!takes(&mut tree, 1, 3), "68 s");
    assert!(!has_read_why(&tree));
    assert_eq!(end_of(&tree.kinds(0)), None);
    assert_eq!(tree.session.overviews(tree.now).len(), 1);
    tree.finish();
}
