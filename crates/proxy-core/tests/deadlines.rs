//! Peers that fall silent, or say a byte now and then: every stage has its time, and a byte does not lengthen it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "tests"
)]

mod sim;

use std::time::Duration;

use proxy_core::{EndReason, EventKind, Leg, Refusal, Timeouts};
use sim::packets as p;
use sim::{POLICY, Setup, World};

/// After so long nobody is waited for any more who has not logged in: all stages one after the other.
fn all_stages() -> Duration {
    let Timeouts {
        login_grace,
        connect,
        target_login,
        farewell,
        ..
    } = Timeouts::default();
    login_grace + connect + 2 * target_login + farewell
}

/// What the session has read from each leg by the time the client is let in.
fn bytes_of_a_login() -> proxy_core::PerLeg<usize> {
    let mut world = World::new(Setup::default());
    world.run_until(|world| world.person.is_in);
    assert!(world.person.is_in);
    world.delivered
}

/// One refusal, no session, and both connections closed.
fn expect_turned_away(world: &World, expected: &[Refusal], at: usize) {
    let denied: Vec<_> = world
        .events()
        .into_iter()
        .filter_map(|event| match event {
            EventKind::AccessDenied { reason, .. } => Some(*reason),
            EventKind::SessionStart { .. } => panic!("let in, silent at {at}"),
            _ => None,
        })
        .collect();
    assert!(
        denied.len() == 1 && expected.contains(&denied[0]),
        "silent at {at}: {denied:?}"
    );
    assert!(world.session.is_over(), "silent at {at}");
    assert!(world.closed.contains(&Leg::Client), "silent at {at}");
    if world.target.is_some() {
        assert!(world.closed.contains(&Leg::Target), "silent at {at}");
    }
}

/// Every so many bytes of a login, and each of the first: what lies in between is one packet or another.
fn places(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(|at| *at < 40 || at % 97 == 0)
}

#[test]
fn a_client_that_falls_silent_anywhere_in_the_login_is_turned_away_in_time() {
    for at in places(bytes_of_a_login().client) {
        let mut world = World::new(Setup {
            falls_silent: Some((Leg::Client, at)),
            ..Setup::default()
        });
        world.pass(all_stages());
        expect_turned_away(&world, &[Refusal::LoginTimeout], at);
    }
}

#[test]
fn a_target_that_falls_silent_anywhere_in_the_login_is_given_up_in_time() {
    for at in places(bytes_of_a_login().target) {
        let mut world = World::new(Setup {
            falls_silent: Some((Leg::Target, at)),
            ..Setup::default()
        });
        world.pass(all_stages());
        expect_turned_away(&world, &[Refusal::TargetTimeout], at);
    }
}

#[test]
fn a_byte_now_and_then_does_not_lengthen_anybodys_time() {
    let login = bytes_of_a_login();
    for (leg, len, refusal) in [
        (Leg::Client, login.client, Refusal::LoginTimeout),
        (Leg::Target, login.target, Refusal::TargetTimeout),
    ] {
        // From within the identification, the key exchange and the login.
        for at in [0, len / 8, len / 2, len - len / 8] {
            let mut world = World::new(Setup {
                falls_silent: Some((leg, at)),
                ..Setup::default()
            });
            let mut passed = Duration::ZERO;
            let mut said = at;
            while passed < all_stages() {
                world.pass(Duration::from_secs(5));
                passed += Duration::from_secs(5);
                // Never as much as would be a login.
                said = (said + 1).min(len - 1);
                world.setup.falls_silent = Some((leg, said));
            }
            expect_turned_away(&world, &[refusal], at);
        }
    }
}

#[test]
fn a_refused_client_that_does_not_go_is_left_in_time() {
    let mut world = World::new(Setup {
        user: "root",
        ..Setup::default()
    });
    world.run();
    assert!(world.person.was_refused && !world.session.is_over());
    world.pass(Timeouts::default().farewell);
    assert!(world.session.is_over() && world.closed.contains(&Leg::Client));
}

#[test]
fn only_data_counts_as_activity() {
    type Say = fn(&mut World, Leg);
    let idle_ways: [(&str, Say); 10] = [
        ("IGNORE", |world, leg| {
            world.says_anything(leg, &[&[2][..], &p::string(b"idle")].concat());
        }),
        ("UNIMPLEMENTED", |world, leg| {
            world.says_anything(leg, &[3, 0, 0, 0, 0]);
        }),
        ("DEBUG", |world, leg| {
            let text = [p::string(b"idle"), p::string(b"")].concat();
            world.says_anything(leg, &[&[4, 1][..], &text].concat());
        }),
        ("PING", |world, leg| {
            world.says_anything(leg, &[&[192][..], &p::string(b"idle")].concat());
        }),
        ("unknown messages", |world, leg| {
            world.says_anything(leg, &[220, 0])
        }),
        ("global requests", |world, leg| {
            let packet = p::global_request("keepalive@openssh.com", true, b"");
            match leg {
                Leg::Client => world.person_sends(&packet),
                Leg::Target => world.target_sends(&packet),
            }
        }),
        ("windows", |world, leg| {
            say(world, leg, &|to| p::window_adjust(to, 1))
        }),
        ("data of no bytes", |world, leg| {
            say(world, leg, &|to| p::data(to, b""))
        }),
        ("keepalives", |world, leg| {
            say(world, leg, &|to| {
                p::request(to, "keepalive@openssh.com", false, b"")
            });
        }),
        ("refused requests", |world, leg| {
            say(world, leg, &|to| {
                p::request(to, "new@example.com", false, b"")
            });
        }),
    ];
    for (what, way) in idle_ways {
        let mut world = idle_after_a_minute();
        for _ in 0..6 {
            world.pass(Duration::from_secs(10));
            way(&mut world, Leg::Client);
            way(&mut world, Leg::Target);
        }
        expect_idle_end(&world, what);
    }
    // The beginning of a packet is none.
    let mut world = idle_after_a_minute();
    // A length of 32, and two of the bytes.
    for byte in [0, 0, 0, 32, 0, 0] {
        world.pass(Duration::from_secs(10));
        world.garbage(Leg::Client, &[byte]);
    }
    expect_idle_end(&world, "half a packet");
    let mut world = idle_after_a_minute();
    for _ in 0..12 {
        world.pass(Duration::from_secs(10));
        world.person_sends(&p::data(7, b"x"));
    }
    assert!(!world.session.is_over(), "data is activity");
}

fn say(world: &mut World, leg: Leg, packet: &dyn Fn(u32) -> Vec<u8>) {
    match leg {
        Leg::Client => world.person_sends(&packet(7)),
        Leg::Target => world.target_sends(&packet(0)),
    }
}

fn idle_after_a_minute() -> World {
    let mut world = World::logged_in(Setup {
        policy: format!("{POLICY}idle_timeout = \"1m\"\n"),
        ..Setup::default()
    });
    world.person_sends(&p::open("session", 0, 100_000, &[]));
    world.target_sends(&p::confirm(0, 7));
    world
}

fn expect_idle_end(world: &World, what: &str) {
    let ends: Vec<_> = world
        .events()
        .into_iter()
        .filter_map(|event| match event {
            EventKind::SessionEnd { reason, .. } => Some(*reason),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [EndReason::IdleTimeout], "{what}");
    assert!(world.session.is_over(), "{what}");
}

/// A world after the login whose person or target begins a key exchange, and says so many bytes of it.
fn silent_in_an_exchange(leg: Leg, bytes: usize) -> World {
    let mut world = World::logged_in(Setup::default());
    world.setup.falls_silent = Some((leg, world.delivered[leg].saturating_add(bytes)));
    let now = world.now.mono;
    match leg {
        Leg::Client => world.person.ssh.start_rekey(now),
        Leg::Target => world.target.as_mut().unwrap().ssh.start_rekey(now),
    }
    world.run();
    world
}

/// How many bytes the peer of a leg says in a key exchange: its KEXINIT with its packet, and all.
fn bytes_of_an_exchange(leg: Leg) -> (usize, usize) {
    let before = World::logged_in(Setup::default());
    let whole = silent_in_an_exchange(leg, usize::MAX);
    assert_eq!(whole.exchanges, before.exchanges + 1);
    let all = whole.delivered[leg] - before.delivered[leg];
    let lens: Vec<_> = (0..all).collect();
    // What begins an exchange gives the session something else to wait for.
    let is_before = |bytes: &usize| {
        silent_in_an_exchange(leg, *bytes).session.poll_timeout() == before.session.poll_timeout()
    };
    (lens.partition_point(is_before), all)
}

#[test]
fn who_stops_in_the_middle_of_a_later_key_exchange_is_given_up_in_time() {
    let grace = Timeouts::default().key_exchange;
    assert_eq!(grace, Duration::from_secs(600));
    for (leg, reason, who) in [
        (Leg::Client, EndReason::ClientMisbehaved, "the client"),
        (Leg::Target, EndReason::TargetMisbehaved, "the target"),
    ] {
        let (kexinit, all) = bytes_of_an_exchange(leg);
        for at in (kexinit..all).filter(|at| *at == kexinit || *at == all - 1 || at % 97 == 0) {
            let mut world = silent_in_an_exchange(leg, at);
            world.pass(grace - Duration::from_millis(1));
            assert!(!world.session.is_over(), "{leg:?} at {at}");
            world.pass(Duration::from_millis(1));
            assert!(world.session.is_over(), "{leg:?} at {at}");
            let end = world.events().into_iter().find_map(|event| match event {
                EventKind::SessionEnd { reason, detail, .. } => Some((*reason, detail.clone())),
                _ => None,
            });
            let detail = "timed out: key exchange not finished in time";
            assert_eq!(end, Some((reason, detail.to_owned())), "{leg:?} at {at}");
            // The other side reads whose fault it is.
            let goodbye = match leg {
                Leg::Target => world.person.goodbye.as_ref(),
                Leg::Client => world.target.as_ref().unwrap().goodbye.as_ref(),
            };
            assert!(goodbye.is_some(), "{leg:?} at {at}");
            if leg == Leg::Target {
                let words = format!("{who} did not finish a key exchange in time");
                assert!(goodbye.unwrap().contains(&words), "{goodbye:?}");
            }
        }
    }
}

#[test]
fn a_peer_that_is_stopped_and_asked_for_a_key_exchange_is_waited_for() {
    for leg in [Leg::Client, Leg::Target] {
        let mut world = World::logged_in(Setup::default());
        world.person_sends(&p::open("session", 0, 100_000, &[]));
        world.target_sends(&p::confirm(0, 7));
        world.setup.falls_silent = Some((leg, world.delivered[leg]));
        let before = world.exchanges;
        // Keys are an hour old at most, so that the proxy asks for others.
        world.pass(Duration::from_secs(5 * 3600));
        assert!(!world.session.is_over(), "{leg:?}");
        world.setup.falls_silent = None;
        say(&mut world, leg, &|to| p::data(to, b"back"));
        assert!(world.exchanges > before, "{leg:?}");
        say(&mut world, leg, &|to| p::data(to, b"again"));
        assert_eq!(world.passed[leg], b"backagain", "{leg:?}");
    }
}
