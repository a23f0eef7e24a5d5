//! What becomes of a connection when the rules, the facts or the time change while it lives.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod sim;

use std::time::Duration;

use proxy_core::{EndReason, EventKind, Input, LAST_PAGES, Leg, Refusal};
use sim::packets as p;
use sim::{POLICY, Setup, Step, World};

const NOBODY: &str = "";
const ANN_LEFT: &str =
    "[[revocation]]\nidentity = \"ada@example.com\"\nreason = \"left the company\"\n";

/// In, with a session channel, and a window that leaves room for a message.
fn with_channel(setup: Setup) -> World {
    let mut world = World::logged_in(setup);
    world.person_sends(&p::open("session", 0, 1 << 30, &[]));
    world.target_sends(&p::confirm(0, 7));
    world
}

const FORWARD_DB: &str = "local_forward = [{ host = \"db-1\", port = 5432 }]";
const FORWARD_MORE: &str = "local_forward = [{ host = \"db-1\", port = [22, 5432] }, { ip = \"10.0.0.0/8\", port = \"any\" }]";

fn policy_with(lines: &str) -> String {
    format!("{POLICY}{lines}\n")
}

fn end(world: &World) -> Option<EndReason> {
    world.events().into_iter().find_map(|event| match event {
        EventKind::SessionEnd { reason, .. } => Some(*reason),
        _ => None,
    })
}

fn denial(world: &World) -> Option<Refusal> {
    world.events().into_iter().find_map(|event| match event {
        EventKind::AccessDenied { reason, .. } => Some(*reason),
        _ => None,
    })
}

/// Whether each decision after the first was told to allow.
fn told(world: &World) -> Vec<bool> {
    let events = world.events().into_iter();
    let told = events.filter_map(|event| match event {
        EventKind::SessionReevaluated { allowed, .. } => Some(*allowed),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_session_that_is_no_longer_allowed_ends_with_words_a_record_and_events() {
    let mut world = with_channel(Setup::default());
    world.person_got();
    world.change_rules("second", NOBODY, "");
    world.run();
    assert!(world.session.is_over());
    assert_eq!(end(&world), Some(EndReason::AccessLost));
    assert_eq!(told(&world), [false]);
    let goodbye = world.person.goodbye.clone().unwrap();
    assert!(goodbye.contains("no access to this machine"), "{goodbye}");
    assert!(!goodbye.contains("application"), "{goodbye}");
    let packets = world.person_got().concat();
    let shown = String::from_utf8_lossy(&packets);
    assert!(shown.contains("no access to this machine"), "{shown}");
    let decided = world
        .records
        .iter()
        .position(|record| record.contains("PolicyDecision") && record.contains("allowed: false"));
    let decided = &world.records[decided.unwrap()..];
    assert!(decided[0].contains("`second`") && decided[0].contains("no_application_for_target"));
    assert!(decided.iter().any(|record| record.contains("access_lost")));
    assert!(matches!(
        world.events().last(),
        Some(EventKind::SessionEnd {
            log_complete: true,
            ..
        })
    ));
}

#[test]
fn nothing_passes_after_the_loss() {
    let mut world = with_channel(Setup::default());
    world.person_sends(&p::data(7, b"before"));
    world.change_rules("second", NOBODY, "");
    world.person_sends(&p::data(7, b"after"));
    world.target_sends(&p::data(0, b"after"));
    assert_eq!(world.passed.client, b"before");
    assert!(!String::from_utf8_lossy(&world.passed.target).contains("after"));
}

#[test]
fn whoever_is_still_allowed_notices_nothing_and_the_log_names_the_new_rules() {
    let mut world = with_channel(Setup::default());
    let other = policy_with("[[rule_group]]\nname = \"g\"\ninclude = [{ everyone = true }]");
    world.change_rules("second", &other, "");
    // The same rules once more are no news.
    world.reevaluate();
    world.person_sends(&p::data(7, b"goes on"));
    assert_eq!(world.passed.client, b"goes on");
    assert_eq!(told(&world), [true]);
    assert!(
        world
            .records
            .iter()
            .any(|record| record.contains("decided again, rules `second`: still allowed"))
    );
    assert_eq!(end(&world), None);
}

#[test]
fn each_kind_of_revocation_ends_the_session_that_it_names_and_no_other() {
    let name = World::new(Setup::default()).session.id().to_string();
    let entry = |field: &str| format!("[[revocation]]\nreason = \"lost it\"\n{field}\n");
    for (field, ends) in [
        ("identity = \"ada@example.com\"".to_owned(), true),
        ("identity = \"eve@example.com\"".to_owned(), false),
        (format!("session = \"{name}\""), true),
        (
            "session = \"00000000000000000000000000000000\"".to_owned(),
            false,
        ),
        ("target = \"t1\"".to_owned(), true),
        ("target = \"t2\"".to_owned(), false),
        ("device = \"laptop-1\"".to_owned(), true),
        ("device = \"laptop-2\"".to_owned(), false),
    ] {
        let mut world = with_channel(Setup::default());
        world.current.device.id = Some("laptop-1".into());
        world.change_rules("second", POLICY, &entry(&field));
        world.run();
        assert_eq!(end(&world).is_some(), ends, "{field}");
        if !ends {
            continue;
        }
        assert_eq!(end(&world), Some(EndReason::Revoked), "{field}");
        let goodbye = world.person.goodbye.clone().unwrap();
        assert!(goodbye.contains("withdrawn") && !goodbye.contains("lost it"));
        assert!(
            world
                .records
                .iter()
                .any(|record| record.contains("lost it"))
        );
    }
}

#[test]
fn a_revocation_denies_before_any_policy() {
    let mut world = World::new(Setup::default());
    world.change_rules("second", POLICY, ANN_LEFT);
    world.run();
    assert_eq!(denial(&world), Some(Refusal::Revoked));
    assert!(!world.steps.contains(&Step::Connect));
}

/// However far the connection has come when the new rules are brought, it does not begin under the old ones.
#[test]
fn no_session_begins_under_older_rules_than_were_brought_at_any_step_of_the_way_in() {
    for remote_ca in [false, true] {
        let setup = Setup {
            remote_ca,
            // Small steps, so that there are many.
            read_at_most: 64,
            ..Setup::default()
        };
        let whole = World::logged_in(setup.clone());
        let steps = whole.steps.len();
        let mut refused = 0;
        for at in 0..=steps {
            for (policy, revocations) in [(NOBODY, ""), (POLICY, ANN_LEFT)] {
                let mut world = World::new(setup.clone());
                world.run_until(|world| world.steps.len() >= at);
                let before = world.steps.len();
                let had_begun = world.person.is_in
                    || world
                        .events()
                        .iter()
                        .any(|event| matches!(event, EventKind::SessionStart { .. }));
                world.change_rules("second", policy, revocations);
                world.run();
                world.finish();
                let later = &world.steps[before..];
                let begins = later
                    .iter()
                    .any(|step| matches!(step, Step::Event(EventKind::SessionStart { .. })));
                assert!(!begins, "step {at}: a session began under the old rules");
                if had_begun {
                    assert!(end(&world).is_some(), "step {at}");
                    continue;
                }
                refused += 1;
                assert!(!world.person.is_in, "step {at}");
                assert!(denial(&world).is_some(), "step {at}");
                assert!(!later.contains(&Step::Connect), "step {at}");
                assert!(!later.contains(&Step::SignCertificate), "step {at}");
            }
        }
        assert!(
            refused > 20,
            "only {refused} steps of the way in were tried"
        );
    }
}

#[test]
fn a_login_under_way_does_not_change_its_grant() {
    let setup = Setup {
        remote_ca: true,
        ..Setup::default()
    };
    let mut world = World::new(setup);
    world.run_until(|world| matches!(world.events().last(), Some(EventKind::AccessAllowed { .. })));
    world.change_rules("second", &policy_with("permit = [\"exec\"]"), "");
    world.run();
    assert_eq!(denial(&world), Some(Refusal::Policy));
    assert!(world.person.banners.concat().contains("connect again"));
}

#[test]
fn a_grant_that_no_longer_covers_the_session_ends_it_and_one_that_covers_more_does_not() {
    for (before, after, ends) in [
        (
            "permit = [\"shell\", \"exec\", \"pty\"]",
            "permit = [\"shell\", \"pty\"]",
            true,
        ),
        (
            "permit = [\"exec\"]",
            "permit = [\"shell\", \"exec\"]",
            false,
        ),
        ("max_channels = 4", "max_channels = 3", true),
        ("max_channels = 4", "max_channels = 5", false),
        ("env = [\"LC_A*\"]", "env = [\"LC_*\"]", false),
        ("env = [\"LC_*\"]", "env = [\"LC_A*\"]", true),
        ("env = [\"LANG\"]", "env = []", true),
        (
            "subsystems = [\"sftp\", \"netconf\"]",
            "subsystems = [\"sftp\"]",
            true,
        ),
        (
            "subsystems = [\"sftp\"]",
            "subsystems = [\"sftp\", \"netconf\"]",
            false,
        ),
        ("", FORWARD_DB, false),
        (FORWARD_DB, "", true),
        (FORWARD_DB, FORWARD_MORE, false),
        (FORWARD_MORE, FORWARD_DB, true),
        (
            "stream_local = [\"/run/app\"]",
            "stream_local = [\"/run\"]",
            false,
        ),
        (
            "stream_local = [\"/run\"]",
            "stream_local = [\"/run/app\"]",
            true,
        ),
        ("commands = { allow = [\"id\"] }", "", false),
        ("", "commands = { allow = [\"id\"] }", true),
        (
            "commands = { allow = [\"id\"] }",
            "commands = { allow = [\"w\"] }",
            true,
        ),
    ] {
        let mut world = with_channel(Setup {
            policy: policy_with(before),
            ..Setup::default()
        });
        world.change_rules("second", &policy_with(after), "");
        world.run();
        let wanted = ends.then_some(EndReason::GrantChanged);
        assert_eq!(end(&world), wanted, "{before}, then {after}");
    }
}

#[test]
fn what_was_granted_in_between_is_no_loss_to_a_session_that_began_without_it() {
    let mut world = with_channel(Setup::default());
    for (version, lines) in [("second", FORWARD_DB), ("third", "")] {
        world.change_rules(version, &policy_with(lines), "");
        world.run();
        assert_eq!(end(&world), None, "{version}");
    }
    // It has what it began with, and no more.
    world.person_got();
    world.change_rules("fourth", &policy_with(FORWARD_DB), "");
    world.person_sends(&p::open_tcp("direct-tcpip", 1, "db-1", 5432));
    assert_eq!(world.person_got()[0][0], 92);
}

#[test]
fn a_shorter_session_holds_for_those_that_run() {
    let mut world = with_channel(Setup::default());
    world.pass(Duration::from_secs(60));
    world.change_rules("second", &policy_with("max_session = \"90s\""), "");
    world.pass(Duration::from_secs(29));
    assert_eq!(end(&world), None);
    world.pass(Duration::from_secs(1));
    assert_eq!(end(&world), Some(EndReason::MaxSession));
}

/// The world begins at 2027-01-15T08:00:00Z.
#[test]
fn a_window_that_closes_ends_the_session_at_that_very_moment_and_not_before() {
    let windows = [
        "require = [{ time = { zone = \"UTC\", from = \"07:00\", to = \"11:30\" } }]",
        "require = [{ date = { until = \"2027-01-15T11:30:00Z\" } }]",
        "exclude = [{ date = { from = \"2027-01-15T11:30:00Z\" } }]",
    ];
    for window in windows {
        let mut world = with_channel(Setup {
            policy: policy_with(window),
            ..Setup::default()
        });
        world.pass(Duration::from_secs(3 * 3600 + 1799));
        assert_eq!(end(&world), None, "{window}");
        world.pass(Duration::from_secs(1));
        assert_eq!(end(&world), Some(EndReason::AccessLost), "{window}");
        let asked = world.steps.iter().filter(|step| **step == Step::Reevaluate);
        assert!(asked.count() <= 5, "{window}: it looks too often");
    }
}

#[test]
fn a_revocation_that_begins_later_ends_the_session_then() {
    let mut world = with_channel(Setup::default());
    let later = format!("{ANN_LEFT}from = \"2027-01-15T08:10:00Z\"\n");
    world.change_rules("second", POLICY, &later);
    world.pass(Duration::from_secs(599));
    assert_eq!(end(&world), None);
    world.pass(Duration::from_secs(1));
    assert_eq!(end(&world), Some(EndReason::Revoked));
}

#[test]
fn a_window_that_closes_during_the_login_lets_nobody_in() {
    let closing = "require = [{ date = { until = \"2027-01-15T08:00:05Z\" } }]";
    let mut world = World::new(Setup {
        policy: policy_with(closing),
        ..Setup::default()
    });
    world.run_until(|world| world.steps.contains(&Step::Connect));
    world.pass_without_peers(Duration::from_secs(6));
    world.run();
    assert_eq!(denial(&world), Some(Refusal::Policy));
    assert!(!world.person.is_in);
}

#[test]
fn a_policy_is_asked_again_as_often_as_it_says_and_with_fresh_facts() {
    let lines = "reevaluate = \"5m\"\nrequire = [{ managed_device = true }]";
    let setup = Setup {
        policy: policy_with(lines),
        managed_device: true,
        ..Setup::default()
    };
    let mut world = with_channel(setup);
    world.pass(Duration::from_secs(301));
    let asked = world.steps.iter().filter(|step| **step == Step::Reevaluate);
    assert_eq!(asked.count(), 1);
    assert_eq!((end(&world), told(&world)), (None, vec![]));
    world.current.device.managed = false;
    world.pass(Duration::from_secs(298));
    assert_eq!(end(&world), None);
    world.pass(Duration::from_secs(2));
    assert_eq!(end(&world), Some(EndReason::AccessLost));
    let goodbye = world.person.goodbye.unwrap();
    assert!(goodbye.contains("device"), "{goodbye}");
}

#[test]
fn a_driver_that_does_not_answer_holds_no_decision_up() {
    let closing = "require = [{ date = { until = \"2027-01-15T08:10:00Z\" } }]";
    let mut world = with_channel(Setup {
        policy: policy_with(closing),
        ..Setup::default()
    });
    world.is_slow_to_reevaluate = true;
    world.pass(Duration::from_secs(600));
    assert_eq!(end(&world), None);
    world.pass(Duration::from_secs(1));
    assert_eq!(end(&world), Some(EndReason::AccessLost));
}

#[test]
fn when_lost_report_lets_it_go_on_and_tells_once_but_a_revocation_ends_it() {
    let lines = "reevaluate = \"1m\"\nwhen_lost = \"report\"";
    let mut world = with_channel(Setup {
        policy: policy_with(lines),
        ..Setup::default()
    });
    world.change_rules("second", NOBODY, "");
    world.pass(Duration::from_secs(600));
    assert_eq!((end(&world), told(&world)), (None, vec![false]));
    world.person_sends(&p::data(7, b"goes on"));
    assert_eq!(world.passed.client, b"goes on");
    world.change_rules("third", &policy_with(lines), "");
    world.run();
    assert_eq!(told(&world), [false, true]);
    world.change_rules("fourth", &policy_with(lines), ANN_LEFT);
    world.run();
    assert_eq!(end(&world), Some(EndReason::Revoked));
}

#[test]
fn a_log_that_fails_at_the_last_words_ends_the_session_all_the_same() {
    let pages = with_channel(Setup::default())
        .steps
        .iter()
        .filter(|step| matches!(step, Step::Log(_)))
        .count();
    let mut world = with_channel(Setup {
        log_fails_at: Some(pages),
        ..Setup::default()
    });
    world.change_rules("second", NOBODY, "");
    world.run();
    assert!(world.session.is_over());
    assert!(matches!(
        world.events().last(),
        Some(EventKind::SessionEnd {
            log_complete: false,
            ..
        })
    ));
}

fn log_is_complete(world: &World) -> Option<bool> {
    world.events().into_iter().find_map(|event| match event {
        EventKind::SessionEnd { log_complete, .. } => Some(*log_complete),
        _ => None,
    })
}

#[test]
fn a_log_that_is_slow_holds_the_loss_of_access_up_for_two_seconds_and_no_longer() {
    for (waits, complete) in [
        (LAST_PAGES - Duration::from_millis(1), true),
        (LAST_PAGES, false),
    ] {
        let mut world = with_channel(Setup::default());
        world.log_is_silent = true;
        world.person_sends(&p::data(7, b"on its way"));
        world.pass(Duration::from_secs(20));
        assert_eq!(end(&world), None);
        world.change_rules("second", POLICY, ANN_LEFT);
        world.person_sends(&p::data(7, b"never"));
        world.pass(waits);
        world.answer_log();
        assert!(world.session.is_over());
        assert_eq!(log_is_complete(&world), Some(complete), "{waits:?}");
        assert_eq!(told(&world), [false]);
        // What was on its way reaches nobody, and the log says so.
        assert_eq!(world.passed.client, b"");
        let withheld = "0 Annotation { text: \"packets recorded and not passed to the target, as access was lost: 1\" }";
        let mut records = world.records.iter();
        assert!(records.any(|it| it == withheld), "{:?}", world.records);
    }
}

#[test]
fn a_login_that_waits_for_the_log_is_refused_whenever_the_log_answers() {
    for policy in [NOBODY, POLICY] {
        let mut world = World::new(Setup::default());
        world.log_is_silent = true;
        world.run();
        assert!(matches!(
            world.events().last(),
            Some(EventKind::AccessAllowed { .. })
        ));
        world.change_rules("second", policy, ANN_LEFT);
        world.run();
        assert_eq!(denial(&world), Some(Refusal::Revoked));
        world.answer_log();
        world.finish();
        assert!(world.session.is_over() && !world.person.is_in);
        assert!(world.certificate_seen_by_target().is_none());
        let ends = world.events().into_iter();
        let denials = ends.filter(|event| matches!(event, EventKind::AccessDenied { .. }));
        assert_eq!(denials.count(), 1);
        assert!(world.records.last().unwrap().contains("refused"));
    }
}

#[test]
fn a_window_closes_while_the_log_is_awaited() {
    let closing = "require = [{ date = { until = \"2027-01-15T08:00:10Z\" } }]";
    let mut world = with_channel(Setup {
        policy: policy_with(closing),
        ..Setup::default()
    });
    world.log_is_silent = true;
    world.person_sends(&p::data(7, b"on its way"));
    world.pass(Duration::from_secs(10) + LAST_PAGES - Duration::from_millis(1));
    assert_eq!((end(&world), told(&world)), (None, vec![false]));
    world.pass(Duration::from_millis(1));
    assert_eq!(end(&world), Some(EndReason::AccessLost));
}

#[test]
fn a_peer_that_does_not_read_and_one_in_a_key_exchange_end_like_any_other() {
    for leg in [Leg::Client, Leg::Target] {
        let mut world = with_channel(Setup::default());
        world.stuck = Some(leg);
        for _ in 0..40 {
            world.person_sends(&p::data(7, &[1; 30_000]));
            world.target_sends(&p::data(0, &[1; 30_000]));
        }
        assert!(world.unwritten_bytes > 1_000_000);
        world.change_rules("second", NOBODY, "");
        world.run();
        assert_eq!(end(&world), Some(EndReason::AccessLost));
        assert!(world.session.is_over() && log_is_complete(&world) == Some(true));
    }
    for leg in [Leg::Client, Leg::Target] {
        let mut world = with_channel(Setup::default());
        match leg {
            Leg::Client => world.person.ssh.start_rekey(world.now.mono),
            Leg::Target => {
                let target = world.target.as_mut().unwrap();
                target.ssh.start_rekey(world.now.mono);
            }
        }
        let (exchanges, steps) = (world.exchanges, world.steps.len());
        // The session's part of it has begun.
        let begun = |step: &Step| matches!(step, Step::Send(to, _) if *to == leg);
        world.run_until(|world| world.steps[steps..].iter().any(begun));
        world.change_rules("second", NOBODY, "");
        world.run();
        assert_eq!(world.exchanges, exchanges, "it ends before the new keys");
        assert_eq!(end(&world), Some(EndReason::AccessLost));
        let goodbye = world.person.goodbye.unwrap();
        assert!(goodbye.contains("no access to this machine"), "{goodbye}");
    }
}

#[test]
fn rules_that_come_after_the_end_change_nothing() {
    let mut world = with_channel(Setup::default());
    world.session.handle(Input::Shutdown, world.now);
    world.run();
    let steps = world.steps.len();
    world.change_rules("second", NOBODY, "");
    world.run();
    assert_eq!(world.steps.len(), steps);
    assert!(world.closed.contains(&Leg::Client));
}
