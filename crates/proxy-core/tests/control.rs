//! What operators see of a session and do to it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod sim;

use std::time::Duration;

use proxy_core::{
    CommandKind, EndReason, EventKind, Input, Leg, MAX_LAST_COMMAND_BYTES, MAX_WATCHERS, Operation,
    Overview, Progress, Refusal, Seen, SessionId, WatchEnd, WatchId,
};
use sim::packets as p;
use sim::tree::{JUMPS, Tree, policy};
use sim::{Setup, Step, World};

const NIA: &str = "nia@example.com";

/// In, with a session channel.
fn with_channel(setup: Setup) -> World {
    let mut world = World::logged_in(setup);
    world.person_sends(&p::open("session", 0, 1 << 30, &[]));
    world.target_sends(&p::confirm(0, 7));
    world
}

fn exec(channel: u32, command: &[u8]) -> Vec<u8> {
    p::request(channel, "exec", true, &p::string(command))
}

fn pty(channel: u32, columns: u32, rows: u32) -> Vec<u8> {
    let sizes = [columns, rows, 0, 0].map(u32::to_be_bytes).concat();
    let fields = [p::string(b"xterm"), sizes, p::string(&[0])].concat();
    p::request(channel, "pty-req", false, &fields)
}

fn operate(world: &mut World, operation: Operation) {
    let id = world.session.id();
    world
        .session
        .handle(Input::Operator(id, operation), world.now);
    world.run();
}

fn watch(world: &mut World, watch: u64) {
    let who = NIA.into();
    operate(
        world,
        Operation::Watch {
            watch: WatchId(watch),
            who,
        },
    );
}

fn unwatch(world: &mut World, watch: u64, why: &str) {
    operate(
        world,
        Operation::Unwatch {
            watch: WatchId(watch),
            why: why.into(),
        },
    );
}

/// What a watcher was given, and its end.
fn seen_by(world: &World, watch: u64) -> (Vec<(u32, Seen)>, Option<WatchEnd>) {
    let mut seen = Vec::new();
    let mut end = None;
    for step in &world.steps {
        match step {
            Step::Watched(id, channel, what) if *id == WatchId(watch) => {
                assert_eq!(end, None, "something after the end");
                seen.push((*channel, what.clone()));
            }
            Step::WatchOver(id, why) if *id == WatchId(watch) => {
                assert_eq!(end.replace(*why), None, "two ends");
            }
            _ => {}
        }
    }
    (seen, end)
}

fn output_of(seen: &[(u32, Seen)]) -> Vec<u8> {
    let bytes = seen.iter().filter_map(|(_, seen)| match seen {
        Seen::Output(bytes) => Some(bytes.to_vec()),
        _ => None,
    });
    bytes.flatten().collect()
}

fn record_at(world: &World, text: &str) -> usize {
    let at = world
        .records
        .iter()
        .position(|record| record.contains(text));
    at.unwrap_or_else(|| panic!("no {text} in {:#?}", world.records))
}

#[test]
fn an_operator_ends_a_session_with_words_a_record_and_an_event() {
    let mut world = with_channel(Setup::default());
    world.person_got();
    let (who, reason) = (NIA.into(), "kernel \u{1b}[2Jupdate".into());
    operate(&mut world, Operation::End { who, reason });
    assert!(world.session.is_over());
    let goodbye = world.person.goodbye.clone().unwrap();
    assert!(
        goodbye.contains("an operator has ended it: kernel [2Jupdate"),
        "{goodbye}"
    );
    assert!(!goodbye.contains(NIA), "{goodbye}");
    let shown = world.person_got().concat();
    assert!(String::from_utf8_lossy(&shown).contains("kernel [2Jupdate"));
    let record = &world.records[record_at(&world, "Operator")];
    assert!(
        record.contains(NIA) && record.contains("terminate") && record.contains("update"),
        "{record}"
    );
    assert!(record_at(&world, "Operator") < record_at(&world, "End {"));
    let Some(EventKind::SessionEnd {
        reason,
        detail,
        log_complete,
        ..
    }) = world.events().last()
    else {
        panic!("no end")
    };
    assert_eq!((*reason, *log_complete), (EndReason::Operator, true));
    assert!(detail.contains(NIA), "{detail}");
}

#[test]
fn an_operator_ends_a_connection_that_nobody_has_logged_in_on() {
    let mut world = World::new(Setup::default());
    world.run_until(|world| world.target.is_some());
    assert_eq!(
        world.session.overviews(world.now)[0].progress,
        Progress::Arriving
    );
    let (who, reason) = (NIA.into(), "not now".into());
    operate(&mut world, Operation::End { who, reason });
    assert!(world.session.is_over());
    assert!(world.person.goodbye.as_ref().unwrap().contains("not now"));
    let [EventKind::AccessDenied { reason, .. }] = world.events()[..] else {
        panic!("{:?}", world.events())
    };
    assert_eq!(*reason, Refusal::Operator);
}

#[test]
fn an_overview_tells_who_where_how_much_and_what_was_asked_for_last() {
    let mut world = with_channel(Setup::default());
    world.person_sends(&exec(7, b"sleep 60"));
    world.person_sends(&p::data(7, b"abc"));
    world.target_sends(&p::data(0, b"hello"));
    world.pass(Duration::from_secs(5));
    let overviews = world.session.overviews(world.now);
    let [overview] = &overviews[..] else {
        panic!("{overviews:?}")
    };
    assert_eq!(overview.session(), world.session.id());
    assert_eq!(overview.subject.identity, "ada@example.com");
    assert_eq!(overview.user.as_deref(), Some("deploy"));
    assert_eq!(overview.progress, Progress::Open);
    assert_eq!(overview.connected, sim::START_UNIX);
    assert_eq!(overview.idle, Some(Duration::from_secs(5)));
    assert_eq!(
        (overview.bytes_from.client, overview.bytes_from.target),
        (3, 5)
    );
    assert_eq!((overview.channels, overview.watchers), (1, 0));
    let last = overview.last_command.as_ref().unwrap();
    assert_eq!(
        (last.channel, last.kind, &last.text[..]),
        (1, CommandKind::Exec, &b"sleep 60"[..])
    );
    assert!(!format!("{overview:?}").contains("sleep"));

    world.person_sends(&p::open("session", 1, 1 << 30, &[]));
    world.target_sends(&p::confirm(1, 8));
    world.person_sends(&exec(8, &[b'x'; 30_000]));
    let last = world.session.overviews(world.now)[0].last_command.clone();
    assert_eq!(last.unwrap().text.len(), MAX_LAST_COMMAND_BYTES);
}

#[test]
fn what_a_policy_refuses_is_no_last_command() {
    let mut world = with_channel(Setup {
        policy: format!("{}commands = {{ allow = [\"uptime\"] }}\n", sim::POLICY),
        ..Setup::default()
    });
    world.person_sends(&exec(7, b"reboot"));
    assert_eq!(world.session.overviews(world.now)[0].last_command, None);
}

#[test]
fn a_watcher_sees_what_follows_in_its_order_and_the_log_says_so_first() {
    let mut world = with_channel(Setup::default());
    world.person_sends(&pty(7, 90, 30));
    world.target_sends(&p::data(0, b"before"));
    watch(&mut world, 1);
    world.person_sends(&p::data(7, b"l"));
    world.target_sends(&p::data(0, b"l"));
    world.person_sends(&p::data(7, b"s\r"));
    world.target_sends(&p::data(0, b"file\r\n"));
    unwatch(&mut world, 1, "asked to");
    world.target_sends(&p::data(0, b"after"));
    let (seen, end) = seen_by(&world, 1);
    let expected = [
        (0, Seen::Began),
        (
            1,
            Seen::Terminal {
                columns: 90,
                rows: 30,
            },
        ),
        (1, Seen::Input((&b"l"[..]).into())),
        (1, Seen::Output((&b"l"[..]).into())),
        (1, Seen::Input((&b"s\r"[..]).into())),
        (1, Seen::Output((&b"file\r\n"[..]).into())),
    ];
    assert_eq!((&seen[..], end), (&expected[..], None));
    let records: Vec<&String> = world
        .records
        .iter()
        .filter(|it| it.contains("Operator"))
        .collect();
    assert_eq!(records.len(), 2);
    assert!(records[0].contains(NIA) && records[0].contains("\"watch\""));
    assert!(
        records[1].contains(NIA)
            && records[1].contains("unwatch")
            && records[1].contains("asked to")
    );
}

#[test]
fn nothing_is_shown_before_its_page_is_written() {
    let mut world = with_channel(Setup::default());
    world.log_is_silent = true;
    watch(&mut world, 1);
    assert!(
        seen_by(&world, 1).0.is_empty(),
        "the log does not say yet that somebody watches"
    );
    world.answer_log();
    assert_eq!(seen_by(&world, 1).0, [(0, Seen::Began)]);
    world.log_is_silent = true;
    world.target_sends(&p::data(0, b"secret"));
    assert_eq!(seen_by(&world, 1).0.len(), 1);
    world.answer_log();
    assert_eq!(
        seen_by(&world, 1).0[1..],
        [(1, Seen::Output((&b"secret"[..]).into()))]
    );
}

#[test]
fn what_could_not_be_written_nobody_sees() {
    let setup = Setup::default();
    let world = with_channel(setup.clone());
    let pages = world
        .steps
        .iter()
        .filter(|it| matches!(it, Step::Log(_)))
        .count();
    let mut world = with_channel(Setup {
        log_fails_at: Some(pages + 1),
        ..setup
    });
    watch(&mut world, 1);
    world.target_sends(&p::data(0, b"unwritten"));
    assert!(world.session.is_over());
    assert_eq!(
        seen_by(&world, 1),
        (vec![(0, Seen::Began)], Some(WatchEnd::Over))
    );
}

#[test]
fn whoever_watches_to_the_end_gets_the_last_words_and_the_log_says_that_they_did() {
    let mut world = with_channel(Setup::default());
    watch(&mut world, 1);
    world.target_sends(&p::data(0, b"last words"));
    world.peer_closes(Leg::Target);
    assert!(world.session.is_over());
    let (seen, end) = seen_by(&world, 1);
    assert_eq!(output_of(&seen), b"last words");
    assert_eq!(end, Some(WatchEnd::Over));
    assert!(record_at(&world, "unwatch") < record_at(&world, "End {"));
}

#[test]
fn how_many_may_watch_is_a_setting() {
    let mut setup = Setup::default();
    setup.limits.watchers = 1;
    let mut world = with_channel(setup);
    watch(&mut world, 0);
    watch(&mut world, 1);
    let end = seen_by(&world, 1).1.unwrap();
    assert_eq!(end, WatchEnd::TooMany { most: 1 });
    assert_eq!(end.to_string(), "the session has 1 watchers already");
}

#[test]
fn as_many_watch_as_may_and_each_from_when_they_began() {
    let mut world = with_channel(Setup::default());
    for watcher in 0..=MAX_WATCHERS as u64 {
        watch(&mut world, watcher);
        world.target_sends(&p::data(0, &[b'0' + watcher as u8]));
    }
    let all = b"0123456789";
    for watcher in 0..MAX_WATCHERS {
        let (seen, end) = seen_by(&world, watcher as u64);
        assert_eq!(output_of(&seen), &all[watcher..=MAX_WATCHERS]);
        assert_eq!(end, None);
    }
    assert_eq!(
        seen_by(&world, MAX_WATCHERS as u64),
        (Vec::new(), Some(WatchEnd::TooMany { most: MAX_WATCHERS }))
    );
    assert_eq!(world.session.overviews(world.now)[0].watchers, MAX_WATCHERS);
    unwatch(&mut world, 0, "enough");
    watch(&mut world, 100);
    assert_eq!(seen_by(&world, 100).0[0], (0, Seen::Began));
}

#[test]
fn nobody_watches_what_is_not_there() {
    let mut world = World::new(Setup::default());
    watch(&mut world, 1);
    assert_eq!(seen_by(&world, 1), (Vec::new(), Some(WatchEnd::NotBegun)));
    let mut world = with_channel(Setup::default());
    let mut other = *world.session.id().as_bytes();
    other[0] ^= 1;
    let operation = Operation::Watch {
        watch: WatchId(2),
        who: NIA.into(),
    };
    world.session.handle(
        Input::Operator(SessionId::from_bytes(other), operation),
        world.now,
    );
    world.run();
    assert_eq!(seen_by(&world, 2), (Vec::new(), Some(WatchEnd::Over)));
    world.peer_closes(Leg::Client);
    watch(&mut world, 3);
    assert_eq!(seen_by(&world, 3), (Vec::new(), Some(WatchEnd::Over)));
}

#[test]
fn watching_changes_nothing_that_the_peers_get() {
    let run = |watched: bool| {
        let mut world = with_channel(Setup::default());
        if watched {
            watch(&mut world, 1);
        }
        for _ in 0..50 {
            world.target_sends(&p::data(0, &[7; 4000]));
            world.person_sends(&p::data(7, &[8; 100]));
        }
        (world.person_got(), world.target_got(), world.passed)
    };
    assert!(run(true) == run(false));
}

#[test]
fn a_session_inside_another_is_seen_watched_and_ended_by_its_own_name() {
    let mut tree = Tree::jumped(&policy(JUMPS), 2);
    tree.open_session(1);
    let overviews = tree.session.overviews(tree.now);
    let names: Vec<SessionId> = overviews.iter().map(Overview::session).collect();
    assert_eq!(names, tree.ids);
    assert_eq!(overviews[1].subject.parent, Some(tree.ids[0]));
    assert_eq!(overviews[1].target.hostname, sim::tree::host(1));

    let operate = |tree: &mut Tree, operation| {
        let input = Input::Operator(tree.ids[1], operation);
        tree.session.handle(input, tree.now);
        tree.run();
    };
    let (watch, who) = (WatchId(1), NIA.to_owned());
    operate(&mut tree, Operation::Watch { watch, who });
    tree.send_data(1, Leg::Target, b"seen", 100);
    tree.run();
    let shown = |tree: &Tree, text: &str| tree.outputs.iter().any(|it| it.contains(text));
    assert!(shown(&tree, "Watched(WatchId(1), 1, Output(4 bytes))"));

    let (who, reason) = (NIA.to_owned(), "enough".to_owned());
    operate(&mut tree, Operation::End { who, reason });
    assert!(shown(&tree, "WatchOver(WatchId(1), Over)"));
    let ended = |level: usize| {
        let mut kinds = tree.kinds(level).into_iter();
        kinds.find_map(|kind| match kind {
            EventKind::SessionEnd { reason, .. } => Some(*reason),
            _ => None,
        })
    };
    assert_eq!([ended(0), ended(1)], [None, Some(EndReason::Operator)]);
    let of_operators = |level: usize| {
        let records = tree.records(level).iter();
        records.filter(|it| it.contains("Operator")).count()
    };
    assert_eq!([of_operators(0), of_operators(1)], [0, 3]);
}
