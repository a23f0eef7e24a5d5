//! Peers that do their worst to a session after the login, and what that costs: measured, and compared with the README.
//!
//! Before the login a peer meets `ssh-transport` alone, whose own tests measure the same there.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "tests"
)]

#[path = "../sim/mod.rs"]
mod sim;

mod arena;

use arena::{Arena, Cost};
use proxy_core::{ChannelEvent, EndReason, EventKind, Leg};
use sim::packets as p;
use sim::tree::{DEEPEST, JUMPS, Tree, all_jumps, policy};

const MIB: u64 = 1024 * 1024;

/// More than any stated ceiling.
const FLOOD: u64 = 24 * MIB;

/// A figure of the README's table, in bytes.
fn stated_bytes(attack: &str) -> u64 {
    let row = include_str!("../../README.md")
        .lines()
        .find_map(|line| {
            line.strip_prefix("| ")?
                .strip_prefix(attack)?
                .strip_prefix(" | ")
        })
        .unwrap_or_else(|| panic!("no row `{attack}` in README.md"));
    let kib: u64 = row.split(' ').next().unwrap().parse().unwrap();
    kib * 1024
}

/// The figure in the README is a ceiling, and not a stale one.
fn expect_stated(attack: &str, cost: &Cost) {
    let peak = cost.peak_bytes;
    eprintln!(
        "{attack}: {} KiB, {} hostile bytes, {:.2} logged for each, {} events, held up: {}, end: {:?}",
        peak / 1024,
        cost.hostile_bytes,
        cost.logged_bytes as f64 / cost.hostile_bytes.max(1) as f64,
        cost.events,
        cost.is_held_up,
        cost.end,
    );
    let stated = stated_bytes(attack);
    assert!(
        peak <= stated && peak * 3 > stated,
        "{attack}: {peak} bytes, README says {stated}"
    );
}

/// The number of the one channel as that peer is to write it.
fn channel_of(from: Leg) -> u32 {
    match from {
        Leg::Client => 7,
        Leg::Target => 0,
    }
}

/// The session goes on: what the attacker did is over, and its peer is served.
fn expect_alive(arena: &mut Arena) {
    let before = arena.passed;
    arena.says(Leg::Client, &p::data(7, b"still"));
    arena.says(Leg::Target, &p::data(0, b"here"));
    arena.run();
    assert!(arena.passed.target > before.target && arena.passed.client > before.client);
}

#[test]
fn a_client_that_never_reads_holds_up_the_target() {
    let mut arena = Arena::granting("");
    arena.deaf.client = true;
    arena.flood(Leg::Target, FLOOD, |_| p::data(0, &[7; 32_000]));
    assert!(arena.cost.is_held_up && !arena.is_over());
    expect_stated("a client that never reads", &arena.settle());
}

#[test]
fn a_target_that_never_reads_holds_up_the_client() {
    let mut arena = Arena::granting("");
    arena.deaf.target = true;
    arena.flood(Leg::Client, FLOOD, |_| p::data(7, &[7; 32_000]));
    assert!(arena.cost.is_held_up && !arena.is_over());
    expect_stated("a target that never reads", &arena.settle());
}

#[test]
fn neither_peer_reads_and_both_send_the_longest_packets() {
    let mut arena = Arena::granting("");
    (arena.deaf.client, arena.deaf.target) = (true, true);
    let longest = ssh_transport::MAX_PAYLOAD_BYTES - 9;
    arena.flood(Leg::Client, FLOOD, |_| p::data(7, &vec![7; longest]));
    arena.flood(Leg::Target, FLOOD, |_| p::data(0, &vec![7; longest]));
    assert!(arena.cost.is_held_up && !arena.is_over());
    expect_stated("neither peer reads, the longest packets", &arena.settle());
}

#[test]
fn refused_opens_whose_answers_nobody_reads_hold_up_whoever_asks() {
    let mut arena = Arena::granting("");
    (arena.deaf.client, arena.deaf.target) = (true, true);
    arena.flood(Leg::Client, FLOOD, |_| {
        p::open("direct-tcpip", 9, 1000, b"")
    });
    arena.flood(Leg::Target, FLOOD, |_| {
        p::open("tun@openssh.com", 9, 1000, b"")
    });
    assert!(arena.cost.is_held_up && !arena.is_over());
    assert!(arena.cost.events < 70);
    expect_stated("refused opens by both, no answer read", &arena.settle());
}

#[test]
fn thousands_of_opens_get_as_many_channels_as_are_granted() {
    let mut arena = Arena::granting("max_channels = 1024\n");
    arena.flood(Leg::Client, 4 * MIB, |n| {
        p::open("session", 1 + n, 100_000, &[])
    });
    expect_alive(&mut arena);
    assert_eq!(arena.passed.target, 1023 + 1);
    expect_stated("opens without end, 1024 channels granted", &arena.settle());
}

#[test]
fn every_channel_with_every_request_unanswered_is_bounded() {
    let mut arena = Arena::granting("max_channels = 1024\n");
    let mut at = 0;
    for id in 1..1024 {
        arena.says(Leg::Client, &p::open("session", id, 100_000, &[]));
        arena.run();
        arena.says(Leg::Target, &p::confirm(id, 1000 + id));
        arena.run();
    }
    // One request less than would end the session, on each channel and both ways.
    while at < 255 {
        for id in 1..1024 {
            let signal = |to| p::request(to, "keepalive@openssh.com", true, b"");
            arena.says(Leg::Client, &signal(1000 + id));
            arena.says(Leg::Target, &signal(id));
        }
        arena.run();
        at += 1;
    }
    expect_alive(&mut arena);
    expect_stated(
        "1024 channels, 255 requests unanswered on each, both ways",
        &arena.settle(),
    );
}

#[test]
fn requests_that_nobody_answers_end_the_session_of_who_asks_without_end() {
    for (attack, request) in [
        (
            "requests without an answer",
            p::request(7, "keepalive@openssh.com", true, b""),
        ),
        (
            "global requests without an answer",
            p::global_request("keepalive@openssh.com", true, b""),
        ),
    ] {
        let mut arena = Arena::granting("");
        arena.flood(Leg::Client, MIB, |_| request.clone());
        assert_eq!(
            arena.cost.end,
            Some(EndReason::ClientMisbehaved),
            "{attack}"
        );
        assert_eq!(arena.passed.target, 256, "{attack}");
        expect_stated(attack, &arena.settle());
    }
}

#[test]
fn refused_requests_are_answered_and_cost_nothing_that_stays() {
    let long = p::string(&[b'x'; 100_000]);
    let name = p::string(b"LD_PRELOAD");
    for (attack, request) in [
        (
            "environment variables of 100 KiB",
            p::request(7, "env", true, &[name, long.clone()].concat()),
        ),
        (
            "unknown requests of 100 KiB",
            p::request(7, "new@example.com", true, &long),
        ),
        (
            "unknown global requests of 100 KiB",
            p::global_request("new@example.com", true, &long),
        ),
        (
            "unknown channels of 100 KiB",
            p::open("new@example.com", 9, 1000, &long),
        ),
    ] {
        let mut arena = Arena::granting("");
        arena.flood(Leg::Client, FLOOD, |_| request.clone());
        assert!(arena.cost.events < 70, "{attack}");
        expect_alive(&mut arena);
        // An answer for each: what was refused is not passed on.
        assert_eq!(arena.passed.target, 1, "{attack}");
        expect_stated(attack, &arena.settle());
    }
}

#[test]
fn packets_that_say_nothing_pass_or_go_nowhere_and_leave_nothing() {
    type Packet = fn(Leg) -> Vec<u8>;
    let floods: [(&str, Packet); 3] = [
        ("windows of 2^32 - 1", |leg| {
            p::window_adjust(channel_of(leg), u32::MAX)
        }),
        ("data of no bytes", |leg| p::data(channel_of(leg), b"")),
        ("replies that nobody asked for", |leg| {
            p::success(channel_of(leg))
        }),
    ];
    for (attack, packet) in floods {
        let mut arena = Arena::granting("");
        for leg in [Leg::Client, Leg::Target] {
            arena.flood(leg, 2 * MIB, |_| packet(leg));
        }
        assert!(arena.cost.events < 70, "{attack}");
        expect_alive(&mut arena);
        expect_stated(attack, &arena.settle());
    }
}

/// What a transport may say at any time, and whether it is answered.
fn idle_talk() -> [(&'static str, Vec<u8>, bool); 5] {
    let text = p::string(&[b'x'; 2000]);
    let debug = [&[4, 1][..], &text, &p::string(b"en")].concat();
    [
        ("IGNORE without end", [&[2][..], &text].concat(), false),
        ("UNIMPLEMENTED without end", vec![3, 0, 0, 0, 7], false),
        ("DEBUG without end", debug, false),
        ("PONG without end", [&[193][..], &text].concat(), false),
        ("unknown messages without end", vec![220, 1, 2], true),
    ]
}

#[test]
fn messages_that_say_nothing_are_taken_and_forgotten_whoever_sends_them_and_how_many() {
    for (attack, message, is_answered) in idle_talk() {
        let mut worst = Cost::default();
        for leg in [Leg::Client, Leg::Target] {
            let mut arena = Arena::granting("");
            arena.run();
            let before = (arena.passed, arena.cost.clone());
            arena.flood_with(leg, 4 * MIB, |arena| arena.says_anything(leg, &message));
            let cost = &arena.cost;
            assert!(!arena.is_over() && !cost.is_held_up, "{attack}");
            assert_eq!(arena.passed[leg.other()], before.0[leg.other()], "{attack}");
            assert_eq!(cost.logged_bytes, before.1.logged_bytes, "{attack}");
            assert_eq!(cost.events, before.1.events, "{attack}");
            let answered = cost.answered_bytes - before.1.answered_bytes;
            if is_answered {
                // Each by one that is no longer.
                assert!(answered <= cost.hostile_bytes, "{attack}: {answered}");
            } else {
                assert_eq!(answered, 0, "{attack}");
            }
            expect_alive(&mut arena);
            let cost = arena.settle();
            if cost.peak_bytes > worst.peak_bytes {
                worst = cost;
            }
        }
        expect_stated(attack, &worst);
    }
}

#[test]
fn unknown_messages_whose_answers_nobody_reads_hold_the_session_up() {
    for leg in [Leg::Client, Leg::Target] {
        let mut arena = Arena::granting("");
        arena.deaf[leg] = true;
        arena.flood_with(leg, FLOOD, |arena| arena.says_anything(leg, &[220, 1, 2]));
        assert!(arena.cost.is_held_up, "{leg:?}");
        expect_stated("unknown messages, no answer read", &arena.settle());
    }
}

#[test]
fn an_ext_info_too_many_ends_the_session_of_who_sends_it() {
    for (leg, reason) in [
        (Leg::Client, EndReason::ClientMisbehaved),
        (Leg::Target, EndReason::TargetMisbehaved),
    ] {
        let mut arena = Arena::granting("");
        arena.flood_with(leg, MIB, |arena| {
            arena.says_anything(leg, &[7, 0, 0, 0, 0]);
        });
        assert_eq!(arena.cost.end, Some(reason));
        assert!(arena.settle().peak_bytes < MIB);
    }
}

#[test]
fn pings_without_end_are_answered_as_long_as_somebody_reads() {
    let mut arena = Arena::granting("");
    for leg in [Leg::Client, Leg::Target] {
        arena.flood_with(leg, 2 * MIB, |arena| arena.pings(leg));
    }
    expect_alive(&mut arena);
    expect_stated("pings", &arena.settle());
}

#[test]
fn a_storm_of_key_exchanges_is_one_exchange_at_a_time() {
    let mut arena = Arena::granting("");
    for leg in [Leg::Client, Leg::Target] {
        arena.flood_with(leg, 4 * MIB, |arena| {
            arena.rekeys(leg);
            arena.says(leg, &p::data(channel_of(leg), &[7; 20_000]));
        });
    }
    expect_alive(&mut arena);
    expect_stated("key exchanges without end", &arena.settle());
}

#[test]
fn key_exchanges_back_to_back_end_the_session_of_who_begins_them() {
    for (leg, end) in [
        (Leg::Client, EndReason::ClientMisbehaved),
        (Leg::Target, EndReason::TargetMisbehaved),
    ] {
        let mut arena = Arena::granting("");
        let exchanges = (0..100).take_while(|_| {
            arena.rekeys(leg);
            arena.run();
            !arena.is_over()
        });
        let exchanges = exchanges.count();
        assert!((32..50).contains(&exchanges), "{exchanges}");
        assert_eq!(arena.settle().end, Some(end));
    }
}

#[test]
fn a_log_that_is_not_answered_holds_up_both_peers() {
    let mut arena = Arena::granting("");
    arena.log_is_silent = true;
    arena.flood(Leg::Client, FLOOD, |_| p::data(7, &[7; 32_000]));
    arena.flood(Leg::Target, FLOOD, |_| p::data(0, &[7; 32_000]));
    assert!(arena.cost.is_held_up && !arena.is_over());
    expect_stated("a log that does not answer", &arena.settle());
}

#[test]
fn a_byte_at_a_time_holds_no_more_than_many() {
    let mut arena = Arena::granting("");
    arena.read_at_most = 1;
    for leg in [Leg::Client, Leg::Target] {
        arena.flood(leg, MIB / 16, |_| p::data(channel_of(leg), b"x"));
    }
    expect_alive(&mut arena);
    expect_stated("a byte at a time", &arena.settle());
}

#[test]
fn listeners_without_end_are_as_many_as_the_limit() {
    let mut arena = Arena::granting("remote_forward = [{ ip = \"0.0.0.0/0\", port = \"any\" }]\n");
    arena.flood(Leg::Client, MIB / 4, |n| {
        let host = format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255);
        p::global_request("tcpip-forward", true, &p::host_port(&host, 80))
    });
    assert_eq!(arena.passed.target, 64);
    // The refusals wait for the target's answers, and too many wait in the end.
    assert_eq!(arena.cost.end, Some(EndReason::ClientMisbehaved));
    assert!(arena.cost.events < 64 + 70);
    expect_stated("listeners without end", &arena.settle());
}

/// A session whose target may use the agent.
fn lending() -> Arena {
    let mut arena =
        Arena::granting("max_channels = 1024\npermit = [\"shell\", \"agent_forwarding\"]\n");
    let asked = p::request(7, "auth-agent-req@openssh.com", false, b"");
    arena.says(Leg::Client, &asked);
    arena.run();
    arena
}

/// A connection to the agent, on which each side takes so much.
fn to_agent(arena: &mut Arena, id: u32, takes: (u32, u32)) {
    let open = p::open_sized("auth-agent@openssh.com", id, takes, b"");
    arena.says(Leg::Target, &open);
    arena.run();
    arena.says(Leg::Client, &p::confirm_sized(id, id, takes));
    arena.run();
}

/// The longest question or answer.
fn longest(number: u8) -> Vec<u8> {
    let mut message = vec![number];
    let key = p::string(b"key");
    match number {
        13 => message.extend([&key[..], &p::string(&vec![7; 256 * 1024 - 16]), &[0; 4]].concat()),
        _ => message.extend(p::string(&vec![7; 256 * 1024 - 5])),
    }
    p::string(&message)
}

/// Each side says as much as it is granted on every connection, in packets of at most 32,000 bytes.
fn say_all(arena: &mut Arena, left: &mut [(Leg, u32, Vec<u8>)]) {
    let mut granted = std::collections::BTreeMap::new();
    loop {
        for (leg, id, bytes) in arena.granted() {
            *granted.entry((leg == Leg::Client, id)).or_insert(32 * 1024) += bytes;
        }
        let mut any = false;
        for (leg, id, said) in &mut *left {
            let granted = granted
                .entry((*leg == Leg::Client, *id))
                .or_insert(32 * 1024);
            let len = said.len().min(*granted as usize).min(32_000);
            if len > 0 {
                let piece: Vec<u8> = said.drain(..len).collect();
                *granted -= u32::try_from(len).unwrap();
                arena.says(*leg, &p::data(*id, &piece));
                arena.run();
                any = true;
            }
        }
        if !any {
            return;
        }
    }
}

#[test]
fn agents_and_their_users_that_take_nothing_fill_what_all_may_hold() {
    let mut arena = lending();
    let mut left = Vec::new();
    for id in 100..132 {
        to_agent(&mut arena, id, (0, 32_768));
        left.push((Leg::Target, id, longest(13)));
        left.push((Leg::Client, id, longest(14)));
    }
    say_all(&mut arena, &mut left);
    assert!(left.iter().any(|(_, _, said)| !said.is_empty()));
    expect_alive(&mut arena);
    expect_stated("32 connections to an agent, nothing taken", &arena.settle());
}

#[test]
fn connections_to_an_agent_hold_nothing_of_what_went() {
    let mut arena = lending();
    for id in 100..132 {
        to_agent(&mut arena, id, (2_097_152, 1024));
        let mut left = [(Leg::Target, id, longest(13))];
        say_all(&mut arena, &mut left);
        let mut left = [(Leg::Client, id, longest(14))];
        say_all(&mut arena, &mut left);
        assert!(left[0].2.is_empty());
    }
    expect_alive(&mut arena);
    expect_stated("the longest messages to 32 agents", &arena.settle());
}

#[test]
fn who_asks_the_agent_without_end_and_takes_no_answer_is_granted_no_more() {
    let mut arena = lending();
    to_agent(&mut arena, 100, (0, 32_768));
    arena.says(Leg::Target, &p::data(100, &p::string(&[19]).repeat(6000)));
    arena.run();
    assert!(arena.granted().is_empty());
    assert!(arena.cost.events < 70);
    expect_alive(&mut arena);
    expect_stated("requests to the agent, no answer taken", &arena.settle());
}

#[test]
fn one_window_lets_out_no_more_than_waited() {
    let mut arena = lending();
    to_agent(&mut arena, 100, (0, 1024));
    let mut left = [(Leg::Target, 100, longest(13))];
    say_all(&mut arena, &mut left);
    let before = arena.passed;
    arena.says(Leg::Client, &p::window_adjust(100, 100_000_000));
    arena.run();
    assert_eq!(arena.passed.client - before.client, 257);
    expect_alive(&mut arena);
    expect_stated("a window after packets of 1 KiB waited", &arena.settle());
}

#[test]
fn a_smaller_setting_bites_sooner() {
    let small = proxy_core::Limits {
        backlog_bytes: 64 * 1024,
        channels: 2,
        pending_replies: 8,
        refusal_events: 3,
        ..proxy_core::Limits::default()
    };
    let arena = || {
        Arena::new(sim::Setup {
            limits: small,
            ..sim::Setup::default()
        })
    };
    let mut backlog = arena();
    backlog.deaf.client = true;
    backlog.flood(Leg::Target, FLOOD, |_| p::data(0, &[7; 32_000]));
    assert!(backlog.cost.is_held_up && backlog.cost.hostile_bytes < 512 * 1024);
    let mut own_backlog = arena();
    own_backlog.deaf.client = true;
    own_backlog.flood(Leg::Client, FLOOD, |_| p::open("x11", 9, 1000, b""));
    assert!(own_backlog.cost.is_held_up && own_backlog.cost.hostile_bytes < MIB);
    assert_eq!(own_backlog.cost.events, 4);
    let mut channels = arena();
    channels.flood(Leg::Client, MIB / 64, |n| {
        p::open("session", 1 + n, 1000, &[])
    });
    assert_eq!(channels.passed.target, 1);
    let mut replies = arena();
    replies.flood(Leg::Client, MIB / 64, |_| {
        p::request(7, "keepalive@openssh.com", true, b"")
    });
    assert_eq!(replies.cost.end, Some(EndReason::ClientMisbehaved));
    assert_eq!(replies.passed.target, 8);
}

#[test]
fn channels_that_come_and_go_without_end_make_no_more_events_than_the_limit() {
    let limits = proxy_core::Limits {
        channel_events: 10,
        ..proxy_core::Limits::default()
    };
    let mut world = sim::World::logged_in(sim::Setup {
        limits,
        ..sim::Setup::default()
    });
    for _ in 0..100 {
        world.person_sends(&p::open("session", 1, 1000, &[]));
        world.target_sends(&p::confirm(1, 8));
        world.person_sends(&p::request(8, "exec", false, &p::string(b"id")));
        world.target_sends(&p::close(1));
        world.person_sends(&p::close(8));
    }
    world.person_sends(&p::open("x11", 9, 1000, b""));
    world.peer_closes(Leg::Client);
    let events = world.events();
    let begins = |it: &&EventKind| matches!(it, EventKind::SessionStart { .. });
    let from = events.iter().position(begins).unwrap();
    let (muted, others): (Vec<_>, Vec<_>) = events[from + 1..].iter().partition(|it| {
        matches!(
            it,
            EventKind::Channel(ChannelEvent::EventsMuted { told: 10 })
        )
    });
    assert_eq!(muted.len(), 1, "{events:?}");
    // Ten of channels that passed, and what is told whatever a session did.
    assert_eq!(others.len(), 12, "{events:?}");
    let refused = |it: &EventKind| matches!(it, EventKind::Channel(ChannelEvent::Refused { .. }));
    assert!(refused(others[10]));
    assert!(matches!(others[11], EventKind::SessionEnd { .. }));
    let executed = |it: &&String| it.contains("Exec {");
    assert_eq!(world.records.iter().filter(executed).count(), 100);
}

#[test]
fn windows_and_packets_of_any_size_are_between_the_peers() {
    let mut arena = Arena::granting("");
    for (n, size) in [0, 1, 1023, 2049, u32::MAX].into_iter().enumerate() {
        let id = u32::try_from(n).unwrap() + 1;
        let mut open = p::open("session", id, size, &[]);
        open[20..24].copy_from_slice(&size.to_be_bytes());
        let mut confirm = p::confirm(id, 100 + id);
        confirm[9..13].copy_from_slice(&size.to_be_bytes());
        confirm[13..17].copy_from_slice(&size.to_be_bytes());
        arena.says(Leg::Client, &open);
        arena.run();
        arena.says(Leg::Target, &confirm);
        arena.run();
        arena.says(Leg::Client, &p::window_adjust(100 + id, u32::MAX));
        arena.says(Leg::Target, &p::window_adjust(id, u32::MAX));
        arena.says(Leg::Client, &p::data(100 + id, b"x"));
        arena.says(Leg::Target, &p::data(id, b"x"));
        arena.run();
    }
    assert_eq!((arena.passed.client, arena.passed.target), (15, 15));
    expect_alive(&mut arena);
}

/// What is held at a standstill, of which everything is given back with the session.
fn held_bytes(session: proxy_core::Session) -> u64 {
    let given_back = allocation_counter::measure(|| drop(session));
    u64::try_from(-given_back.bytes_current).unwrap()
}

/// Both ends of a level's channel read nothing more, and much is said both ways in the session inside.
fn stall_and_say_much(tree: &mut Tree, level: usize) {
    tree.open_session(level + 1);
    for leg in [Leg::Client, Leg::Target] {
        tree.levels[level].pipe[leg].is_stalled = true;
    }
    for leg in [Leg::Client, Leg::Target] {
        tree.send_data(level + 1, leg, &vec![7; 8_000_000], 32_000);
    }
    tree.run();
    let unread = [Leg::Client, Leg::Target].map(|leg| tree.levels[level].pipe[leg].out.len());
    assert!(unread.iter().all(|len| *len > 1_000_000), "{unread:?}");
}

fn expect_stated_of(tree: Tree, attack: &str) {
    let cost = Cost {
        peak_bytes: held_bytes(tree.session),
        is_held_up: true,
        ..Cost::default()
    };
    expect_stated(attack, &cost);
}

#[test]
fn a_session_inside_another_neither_of_whose_sides_reads_holds_up_both() {
    for longest in [32_768, 31_000, 1000] {
        let mut tree = Tree::jumped(&policy(JUMPS), 2);
        tree.longest = longest;
        stall_and_say_much(&mut tree, 0);
        expect_stated_of(tree, "a session inside, neither side of it reads");
    }
}

#[test]
fn as_many_sessions_as_there_may_be_inside_each_other_hold_as_many_times_as_much() {
    let mut tree = Tree::new(&policy(&all_jumps()));
    tree.run();
    for level in 0..DEEPEST {
        tree.jump(level);
    }
    tree.assert_in(DEEPEST + 1);
    for level in (0..DEEPEST).rev() {
        stall_and_say_much(&mut tree, level);
    }
    assert_eq!(tree.session.overviews(tree.now).len(), 1 + 8);
    expect_stated_of(tree, "8 sessions inside each other, no side reads");
}

#[test]
fn as_many_sessions_as_there_may_be_side_by_side_hold_as_many_times_as_much() {
    let mut tree = Tree::new(&policy(JUMPS));
    tree.run();
    for _ in 0..8 {
        tree.jump(0);
        tree.assert_in(2);
        stall_and_say_much(&mut tree, 0);
        // It stays as it is; the next has a channel of its own.
        tree.levels.truncate(1);
        tree.levels[0].pipe = Default::default();
        tree.numbers.client += 1;
        tree.numbers.target += 1;
    }
    assert_eq!(tree.session.overviews(tree.now).len(), 1 + 8);
    expect_stated_of(tree, "8 sessions side by side inside one, no side reads");
}

/// The table of SECURITY.md names tests that are there.
#[test]
fn every_attempt_of_the_table_has_its_test() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let table = std::fs::read_to_string(format!("{root}/SECURITY.md")).unwrap();
    let rows: Vec<_> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix("` |"))
        .map(|line| line.rsplit('`').step_by(2).take(2).collect::<Vec<_>>())
        .collect();
    assert!(rows.len() > 40, "{}", rows.len());
    for row in rows {
        let text = std::fs::read_to_string(format!("{root}/{}", row[0])).unwrap();
        assert!(text.contains(&format!("fn {}()", row[1])), "{row:?}");
    }
}
