//! The way of a session, and every way it can end.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod sim;

use std::time::Duration;

use proxy_core::{ConnectFailure, EndReason, EventKind, Exit, Leg, Refusal};
use sim::packets as p;
use sim::{Setup, Step, World};

fn names(world: &World) -> Vec<&'static str> {
    world
        .events()
        .into_iter()
        .map(|event| match event {
            EventKind::AccessDenied { .. } => "access.denied",
            EventKind::AccessAllowed { .. } => "access.allowed",
            EventKind::SessionStart { .. } => "session.start",
            EventKind::SessionEnd { .. } => "session.end",
            _ => "channel",
        })
        .collect()
}

fn refusal(world: &World) -> Option<Refusal> {
    world.events().into_iter().find_map(|event| match event {
        EventKind::AccessDenied { reason, .. } => Some(*reason),
        _ => None,
    })
}

fn end(world: &World) -> Option<EndReason> {
    world.events().into_iter().find_map(|event| match event {
        EventKind::SessionEnd { reason, .. } => Some(*reason),
        _ => None,
    })
}

#[test]
fn a_command_runs_and_its_status_comes_back() {
    let mut world = World::logged_in(Setup::default());
    world.person_sends(&p::open("session", 0, 2_097_152, &[]));
    let opened = world.target_got();
    // The window is the person's less what the proxy keeps for its own words.
    assert_eq!(opened, [p::open("session", 0, 2_097_152 - 1024, &[])]);
    world.target_sends(&p::confirm(0, 7));
    world.person_sends(&p::request(7, "exec", true, &p::string(b"uname")));
    world.target_sends(&p::success(0));
    world.target_sends(&p::data(0, b"Linux\n"));
    world.target_sends(&p::eof(0));
    world.target_sends(&p::exit_status(0, 3));
    world.target_sends(&p::close(0));
    let got = world.person_got();
    assert_eq!(
        got,
        [
            p::confirm(0, 7),
            p::success(0),
            p::data(0, b"Linux\n"),
            p::eof(0),
            p::exit_status(0, 3),
            p::close(0)
        ]
    );
    world.person_sends(&p::close(7));
    world
        .person
        .ssh
        .disconnect(ssh_transport::DisconnectReason::ByApplication, "done");
    world.run();
    assert_eq!(end(&world), Some(EndReason::ClientDisconnected));
    assert_eq!(names(&world).first(), Some(&"access.allowed"));
    assert_eq!(names(&world).last(), Some(&"session.end"));
    let Some(EventKind::SessionEnd {
        exit,
        bytes_from_target,
        log_complete,
        ..
    }) = world.events().last().copied()
    else {
        panic!("no end");
    };
    assert_eq!(
        (exit, *bytes_from_target, *log_complete),
        (&Some(Exit::Status(3)), 6, true)
    );
    assert!(world.session.is_over());
}

#[test]
fn the_targets_eof_waits_for_the_exit_status_but_not_for_long() {
    let mut world = World::logged_in(Setup::default());
    world.person_sends(&p::open("session", 0, 100_000, &[]));
    world.target_sends(&p::confirm(0, 7));
    world.person_got();
    world.target_sends(&p::eof(0));
    assert!(world.person_got().is_empty());
    world.pass(Duration::from_millis(49));
    assert!(world.person_got().is_empty());
    world.pass(Duration::from_millis(2));
    assert_eq!(world.person_got(), [p::eof(0)]);
}

#[test]
fn a_denied_identity_reads_why_and_the_target_sees_no_connection() {
    let mut world = World::new(Setup {
        email: "eve@example.com",
        ..Setup::default()
    });
    world.run();
    assert_eq!(refusal(&world), Some(Refusal::Policy));
    assert!(world.target.is_none());
    assert!(!world.steps.contains(&Step::Connect));
    let goodbye = world.person.goodbye.clone().unwrap();
    assert!(goodbye.starts_with("access denied: "), "{goodbye}");
    assert!(
        goodbye.contains(&format!("request {}", world.session.id())),
        "{goodbye}"
    );
    assert!(world.session.is_over());
}

#[test]
fn a_grant_that_asks_for_what_is_not_enforced_lets_nobody_in() {
    let mut world = World::new(Setup {
        policy: Setup::default().policy
            + "\nhidden_input = \"never\"\ncommands = { allow = [\"uptime\"] }\n",
        ..Setup::default()
    });
    world.run();
    assert_eq!(refusal(&world), Some(Refusal::Policy));
    assert!(world.person.was_refused);
    let banner = &world.person.banners[0];
    assert!(
        banner.contains("cannot keep what the policy asks for"),
        "{banner}"
    );
}

#[test]
fn who_logged_in_too_long_ago_is_asked_to_log_in_again_before_the_target_hears_of_them() {
    let asked = |age: &str, login: Option<Duration>| {
        let mut world = World::new(Setup {
            policy: Setup::default().policy + &format!("\nmax_login_age = \"{age}\"\n"),
            login,
            ..Setup::default()
        });
        world.run();
        world
    };
    let ago = |secs| Some(sim::START_UNIX - Duration::from_secs(secs));
    for (age, login, words) in [
        (
            "1h",
            ago(3601),
            "your login is too old for this machine; log in again",
        ),
        ("1h", None, "log in again"),
        ("0m", ago(1), "asks for a new login at every connection"),
    ] {
        let world = asked(age, login);
        assert_eq!(
            refusal(&world),
            Some(Refusal::LoginTooOld),
            "{age} {login:?}"
        );
        assert!(world.person.was_refused);
        let banner = &world.person.banners[0];
        assert!(banner.contains(words), "{banner}");
        assert!(world.target.as_ref().unwrap().attempts.is_empty());
        assert_eq!(names(&world), ["access.denied"]);
    }
    for (age, login) in [("1h", ago(3600)), ("0m", ago(0))] {
        assert!(asked(age, login).person.is_in, "{age} {login:?}");
    }
}

#[test]
fn a_session_that_runs_outlives_the_age_of_its_login_also_where_it_is_decided_again() {
    let mut world = World::logged_in(Setup {
        policy: Setup::default().policy + "\nmax_login_age = \"1h\"\nreevaluate = \"5m\"\n",
        login: Some(sim::START_UNIX),
        ..Setup::default()
    });
    world.pass(Duration::from_secs(2 * 3600));
    assert_eq!(end(&world), None);
    assert!(!world.session.is_over());
}

#[test]
fn a_denied_user_reads_why_and_nobody_logs_in_to_the_target() {
    let mut world = World::new(Setup {
        user: "root",
        ..Setup::default()
    });
    world.run();
    assert_eq!(refusal(&world), Some(Refusal::Policy));
    assert!(world.person.was_refused);
    assert!(
        world.person.banners[0].starts_with("access denied: "),
        "{:?}",
        world.person.banners
    );
    assert!(world.target.as_ref().unwrap().attempts.is_empty());
    world.pass(Duration::from_secs(6));
    assert!(world.session.is_over());
    assert_eq!(names(&world), ["access.denied"]);
}

#[test]
fn each_failure_before_the_session_has_its_own_reason_and_its_own_words() {
    let pins = {
        let other = sim::ed25519([99; 32]);
        let pin = hostkey_derive::Pin::from_blob(&other.public_key_blob()).unwrap();
        hostkey_derive::Pins::new([pin]).unwrap()
    };
    // Of a type that the target does not have: nothing is negotiated at all.
    let pins_of_another_type = {
        let point = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFxpRTvLt0u4tRjCRj0/2AuLNnB1NqUmr4kdLF5s7q/cB8Av9Khe/XTd1RxtewKqlb6xAo6tqabRNYq7kJORbtY=";
        hostkey_derive::Pins::new([hostkey_derive::Pin::from_text(point).unwrap()]).unwrap()
    };
    let cases = [
        (
            Setup {
                host_keys: Some(pins_of_another_type),
                ..Setup::default()
            },
            Refusal::HostKeyMismatch,
            "host key that is not the expected one",
        ),
        (
            Setup {
                connect: Err(ConnectFailure::Refused),
                ..Setup::default()
            },
            Refusal::TargetUnreachable,
            "cannot be reached",
        ),
        (
            Setup {
                host_keys: Some(pins),
                ..Setup::default()
            },
            Refusal::HostKeyMismatch,
            "host key that is not the expected one",
        ),
        (
            Setup {
                target_trusts_ca: false,
                ..Setup::default()
            },
            Refusal::CertificateRejected,
            "TrustedUserCAKeys",
        ),
        (
            Setup {
                log_fails_at: Some(0),
                ..Setup::default()
            },
            Refusal::RecorderFailed,
            "cannot be recorded",
        ),
        (
            Setup {
                user: "bad,name",
                ..Setup::default()
            },
            Refusal::BadUserName,
            "user name cannot be used",
        ),
    ];
    for (setup, reason, words) in cases {
        let mut world = World::new(setup);
        world.run();
        world.pass(Duration::from_secs(10));
        assert_eq!(refusal(&world), Some(reason));
        let told =
            world.person.goodbye.clone().unwrap_or_default() + &world.person.banners.concat();
        assert!(
            told.contains("access denied: ") && told.contains(words),
            "{reason:?}: {told}"
        );
        assert_eq!(
            names(&world)
                .iter()
                .filter(|name| **name == "access.denied")
                .count(),
            1,
            "{reason:?}"
        );
        assert!(!names(&world).contains(&"session.start"));
        assert!(world.session.is_over(), "{reason:?}");
    }
}

#[test]
fn a_signer_elsewhere_is_asked_once() {
    let world = World::logged_in(Setup {
        remote_ca: true,
        ..Setup::default()
    });
    assert_eq!(
        world
            .steps
            .iter()
            .filter(|step| **step == Step::SignCertificate)
            .count(),
        1
    );
}

#[test]
fn a_target_that_goes_away_ends_the_session_with_words() {
    let mut world = World::logged_in(Setup::default());
    world.peer_closes(Leg::Target);
    assert_eq!(end(&world), Some(EndReason::TargetDisconnected));
    assert!(
        world
            .person
            .goodbye
            .as_ref()
            .unwrap()
            .contains("the target closed the connection")
    );
}

#[test]
fn a_shutdown_is_told_on_the_channel_and_in_the_goodbye() {
    let mut world = World::logged_in(Setup::default());
    world.person_sends(&p::open("session", 0, 100_000, &[]));
    world.target_sends(&p::confirm(0, 7));
    world.person_got();
    world.session.handle(proxy_core::Input::Shutdown, world.now);
    world.run();
    let text = "\r\nthis session ends: the proxy is shutting down\r\n";
    assert_eq!(
        world.person_got(),
        [p::extended_data(0, 1, text.as_bytes())]
    );
    assert!(
        world
            .person
            .goodbye
            .as_ref()
            .unwrap()
            .contains("shutting down")
    );
    assert_eq!(end(&world), Some(EndReason::Shutdown));
    assert!(world.session.is_over());
}

#[test]
fn the_last_words_come_before_an_end_and_a_refusal_that_wait() {
    let mut world = World::logged_in(Setup {
        policy: format!("{}permit = [\"shell\"]\n", sim::POLICY),
        ..Setup::default()
    });
    world.person_sends(&p::open("session", 0, 100_000, &[]));
    world.target_sends(&p::confirm(0, 7));
    world.person_sends(&p::request(7, "exec", true, &p::string(b"id")));
    world.target_sends(&p::eof(0));
    world.person_got();
    world.session.handle(proxy_core::Input::Shutdown, world.now);
    world.run();
    let text = "\r\nthis session ends: the proxy is shutting down\r\n";
    assert_eq!(
        world.person_got(),
        [
            p::extended_data(0, 1, text.as_bytes()),
            p::failure(0),
            p::eof(0)
        ]
    );
}

#[test]
fn rekeys_from_both_sides_in_full_flow_lose_nothing() {
    let mut world = World::logged_in(Setup {
        read_at_most: 1000,
        ..Setup::default()
    });
    world.person_sends(&p::open("session", 0, 100_000_000, &[]));
    world.target_sends(&p::confirm(0, 7));
    world.person_got();
    world.target_got();
    let (mut to_target, mut to_person) = (Vec::new(), Vec::new());
    for round in 0..40_u32 {
        if round % 7 == 3 {
            world.person.ssh.start_rekey(world.now.mono);
        }
        if round % 5 == 2 {
            world
                .target
                .as_mut()
                .unwrap()
                .ssh
                .start_rekey(world.now.mono);
        }
        let (up, down) = (
            p::data(7, &round.to_be_bytes().repeat(300)),
            p::data(0, &(!round).to_be_bytes().repeat(500)),
        );
        world.person.ssh.send_packet(&up, world.now.mono).unwrap();
        world
            .target
            .as_mut()
            .unwrap()
            .ssh
            .send_packet(&down, world.now.mono)
            .unwrap();
        to_target.push(up);
        to_person.push(down);
        world.run();
    }
    assert_eq!(world.target_got(), to_target);
    assert_eq!(world.person_got(), to_person);
}

#[test]
fn two_legs_that_rekey_at_once_under_full_load_both_ways_do_not_wait_for_each_other() {
    for (in_flight_bytes, rekey_bytes) in [
        (300_000, 200_000),
        (3_000_000, 1_000_000),
        (6_000_000, 1_500_000),
    ] {
        let mut world = World::logged_in(Setup {
            rekey_bytes,
            ..Setup::default()
        });
        world.person_sends(&p::open("session", 0, 1 << 30, &[]));
        world.target_sends(&p::confirm(0, 7));
        // Both peers have everything on the wire before either sees the other's KEXINIT.
        let chunk = [5; 30_000];
        for _ in 0..in_flight_bytes / chunk.len() {
            world
                .person
                .ssh
                .send_packet(&p::data(7, &chunk), world.now.mono)
                .unwrap();
            world
                .target
                .as_mut()
                .unwrap()
                .ssh
                .send_packet(&p::data(0, &chunk), world.now.mono)
                .unwrap();
        }
        world.run();
        let expected = in_flight_bytes / chunk.len() * chunk.len();
        assert_eq!(
            (world.passed.client.len(), world.passed.target.len()),
            (expected, expected)
        );
        assert!(
            world.exchanges >= 2 * (in_flight_bytes / rekey_bytes as usize).min(1),
            "{}",
            world.exchanges
        );
    }
}

#[test]
fn one_rekey_is_one_key_exchange() {
    let mut world = World::logged_in(Setup {
        rekey_bytes: 100_000,
        ..Setup::default()
    });
    let before = world.exchanges;
    world.person_sends(&p::open("session", 0, 1 << 30, &[]));
    world.target_sends(&p::confirm(0, 7));
    for _ in 0..15 {
        world.person_sends(&p::data(7, &[1; 10_000]));
    }
    // One on each leg.
    assert_eq!(world.exchanges - before, 2);
}

#[test]
fn a_log_that_is_never_answered_ends_the_session_in_time() {
    let mut world = World::logged_in(Setup::default());
    world.log_is_silent = true;
    world.person_sends(&p::open("session", 0, 1000, &[]));
    assert!(world.target_got().is_empty());
    world.pass(Duration::from_secs(31));
    assert_eq!(end(&world), Some(EndReason::RecorderFailed));
    assert!(world.session.is_over());
    assert!(
        world.target_got().is_empty(),
        "what was not recorded never passes"
    );
}

#[test]
fn the_targets_banner_is_recorded_and_shown_only_to_who_may_log_in() {
    let banner = "welcome to web-1\n";
    let mut world = World::new(Setup {
        banner: Some(banner),
        ..Setup::default()
    });
    world.run();
    assert!(world.person.is_in);
    assert_eq!(world.person.banners, [banner]);
    assert!(
        world
            .records
            .iter()
            .any(|record| record.contains("welcome to web-1")),
        "{:?}",
        world.records
    );
    let mut world = World::new(Setup {
        banner: Some(banner),
        user: "root",
        ..Setup::default()
    });
    world.run();
    assert!(!world.person.banners.concat().contains("welcome"));
}

#[test]
fn the_log_sums_up_the_connections_that_the_end_of_the_session_ends() {
    let lines =
        "local_forward = [{ host = \"db-1\", port = 5432 }]\nforward_recording = \"digest\"";
    let mut world = World::logged_in(Setup {
        policy: format!("{}{lines}\n", sim::POLICY),
        ..Setup::default()
    });
    world.person_sends(&p::open_tcp("direct-tcpip", 0, "db-1", 5432));
    world.target_sends(&p::confirm(0, 7));
    world.peer_closes(Leg::Client);
    let at = |text: &str| world.records.iter().position(|it| it.contains(text));
    let order = ["ForwardDigest {", "ForwardClose {", " End {"].map(at);
    assert!(
        order[0].is_some() && order.is_sorted(),
        "{:?}",
        world.records
    );
}
