//! Sessions inside sessions: SSH connections through a target, terminated, decided about, recorded.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod sim;

use std::sync::Arc;
use std::time::Duration;

use proxy_core::{Directory, EndReason, EventKind, Leg, Refusal, Target};
use sim::packets as p;
use sim::tree::{
    FORWARDS, JUMP, JUMPS, Names, Tree, end_of, open_failure, patterned, policy, refusal_of,
    unknown,
};

#[test]
fn three_levels_are_three_linked_sessions_with_a_decision_a_key_and_a_log_each() {
    let mut tree = Tree::jumped(&policy(JUMPS), 3);
    for level in 0..3 {
        tree.open_session(level);
        tree.send_data(level, Leg::Client, format!("to {level}").as_bytes(), 100);
        tree.send_data(level, Leg::Target, format!("of {level}").as_bytes(), 100);
    }
    tree.run();
    assert_eq!(tree.ids.len(), 3);
    let mut keys = Vec::new();
    for level in 0..3 {
        let it = &tree.levels[level];
        assert_eq!(it.data.target, format!("to {level}").into_bytes());
        assert_eq!(it.data.client, format!("of {level}").into_bytes());
        keys.push(it.person.as_ref().unwrap().host_keys.clone());
        let subject = &tree
            .events
            .iter()
            .find(|it| it.subject.session == tree.ids[level])
            .unwrap()
            .subject;
        let parent = level.checked_sub(1).map(|outer| tree.ids[outer]);
        assert_eq!(subject.parent, parent);
        assert_eq!(subject.hostname, sim::tree::host(level));
        assert_eq!(subject.identity, "ada@example.com");
        assert!(
            matches!(
                tree.kinds(level)[..],
                [
                    EventKind::AccessAllowed { .. },
                    EventKind::SessionStart { .. },
                    ..
                ]
            ),
            "{:?}",
            tree.kinds(level)
        );
        let records = tree.records(level);
        let is_meta = |it: &String| it.contains("SessionMeta");
        let meta = records.iter().position(is_meta).unwrap();
        if let Some(outer) = parent {
            let link = format!("0 ParentSession {{ session: \"{outer}\", channel: 1 }}");
            assert_eq!(records[meta + 1], link);
            let link = format!(
                "1 InnerSession {{ session: \"{}\", host: \"inner-{level}\", port: 22 }}",
                tree.ids[level]
            );
            assert!(tree.records(level - 1).contains(&link), "{link}");
        }
    }
    keys.dedup();
    assert_eq!(keys.len(), 3, "each level has a host key of its own");
    // Each is for one user of one target, and they differ.
    let serials: Vec<u64> = (0..3)
        .map(|level| match tree.kinds(level)[1] {
            EventKind::SessionStart {
                certificate_serial, ..
            } => *certificate_serial,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(serials[0] != serials[1] && serials[1] != serials[2]);
    tree.finish();
    for level in 0..3 {
        let records = tree.records(level);
        assert!(records.last().unwrap().contains("End"), "{records:?}");
    }
    // What the inner sessions carried stands in their logs alone.
    let outer = tree.records(0).join("\n");
    assert!(!outer.contains("ForwardData"), "no ciphertext in the log");
    assert!(outer.contains("ForwardClose"), "{outer}");
}

#[test]
fn a_session_inside_ends_alone_whoever_closes_and_the_channel_with_it() {
    for from in [Leg::Client, Leg::Target] {
        for with_close in [false, true] {
            let mut tree = Tree::jumped(&policy(JUMPS), 2);
            tree.open_session(0);
            tree.open_session(1);
            tree.send_data(1, from, &patterned(300_000), 30_000);
            tree.act_once();
            let id = JUMP[from.other()];
            tree.send(0, from, &p::eof(id));
            if with_close {
                tree.send(0, from, &p::close(id));
                tree.levels[0].pipe[from].closes_too = false;
            }
            tree.run();
            let reason = match from {
                Leg::Client => EndReason::ClientDisconnected,
                Leg::Target => EndReason::TargetDisconnected,
            };
            assert_eq!(end_of(&tree.kinds(1)), Some(reason));
            assert_eq!(end_of(&tree.kinds(0)), None);
            for leg in [Leg::Client, Leg::Target] {
                assert!(tree.levels[0].pipe[leg].is_closed, "{from:?} {leg:?}");
            }
            assert!(
                tree.records(0).iter().any(|it| it.contains("ForwardClose")),
                "the channel is over"
            );
            // Its numbers may be used again.
            tree.levels[0].pipe = Default::default();
            tree.levels.truncate(1);
            tree.jump(0);
            tree.assert_in(2);
            assert_eq!(tree.ids.len(), 3);
            tree.finish();
        }
    }
}

#[test]
fn another_host_key_on_rekey_ends_the_session_of_that_target_and_those_inside_it() {
    for changed in [0, 1] {
        let mut tree = Tree::jumped(&policy(JUMPS), 2);
        tree.open_session(0);
        tree.open_session(1);
        let target = tree.levels[changed].target.as_mut().unwrap();
        target.rekey_with([99; 32], tree.now.mono);
        tree.run();
        tree.send_data(1, Leg::Client, b"after", 5);
        tree.send_data(1, Leg::Target, b"after", 5);
        tree.run();
        let wanted = [
            [Some(EndReason::HostKeyChanged), Some(EndReason::OuterEnded)],
            [None, Some(EndReason::HostKeyChanged)],
        ];
        for level in [0, 1] {
            assert_eq!(end_of(&tree.kinds(level)), wanted[changed][level]);
            assert!(tree.levels[level].data.client.is_empty());
            assert!(tree.levels[level].data.target.is_empty());
        }
        let log = tree.records(changed).join("\n");
        assert!(log.contains("host_key_changed"), "{log}");
        tree.finish();
    }
}

#[test]
fn a_session_ends_those_inside_it_first_their_last_pages_included() {
    type End = fn(&mut Tree);
    let ways: [(End, EndReason); 4] = [
        (
            |tree| tree.peer_closes(Leg::Client),
            EndReason::ClientDisconnected,
        ),
        (
            |tree| tree.peer_closes(Leg::Target),
            EndReason::TargetDisconnected,
        ),
        (
            |tree| {
                tree.session.handle(proxy_core::Input::Shutdown, tree.now);
                tree.run();
            },
            EndReason::Shutdown,
        ),
        (
            |tree| {
                tree.send(0, Leg::Client, &[127]);
                tree.run();
            },
            EndReason::ClientMisbehaved,
        ),
    ];
    for (end, reason) in ways {
        let mut tree = Tree::jumped(&policy(JUMPS), 3);
        tree.open_session(2);
        tree.send_data(2, Leg::Target, &patterned(3_000_000), 30_000);
        tree.act_once();
        end(&mut tree);
        assert!(tree.session.is_over());
        let ends: Vec<_> = tree
            .events
            .iter()
            .filter(|it| it.kind.is_last())
            .map(|it| it.subject.session)
            .collect();
        let innermost_first: Vec<_> = tree.ids.iter().rev().copied().collect();
        assert_eq!(ends, innermost_first, "{reason:?}");
        assert_eq!(end_of(&tree.kinds(0)), Some(reason));
        for level in 1..3 {
            let inner = end_of(&tree.kinds(level)).unwrap();
            let expected = if reason == EndReason::Shutdown {
                reason
            } else {
                EndReason::OuterEnded
            };
            assert_eq!(inner, expected);
        }
        for level in 0..3 {
            let records = tree.records(level);
            assert!(records.last().unwrap().contains("End {"), "{reason:?}");
        }
        tree.finish();
    }
}

#[test]
fn a_log_that_fails_ends_its_session_and_those_inside_and_no_other() {
    for level in 0..3 {
        let mut tree = Tree::jumped(&policy(JUMPS), 3);
        for at in 0..3 {
            tree.open_session(at);
        }
        let pages = tree.pages(level);
        tree.log_fails = Some((level, pages));
        tree.send_data(level, Leg::Client, b"not to be recorded", 100);
        tree.run();
        assert_eq!(tree.levels[level].data.target, b"", "nothing passed");
        for at in 0..3 {
            let end = end_of(&tree.kinds(at));
            let expected = match at {
                _ if at < level => None,
                _ if at == level => Some(EndReason::RecorderFailed),
                _ => Some(EndReason::OuterEnded),
            };
            assert_eq!(end, expected, "log {level}, session {at}");
        }
        let goodbye = tree.levels[level].person.as_ref().unwrap().goodbye.clone();
        assert!(
            goodbye
                .as_ref()
                .is_some_and(|it| it.contains("can no longer be recorded")),
            "{goodbye:?}"
        );
        tree.log_fails = None;
        if level > 0 {
            tree.send_data(0, Leg::Client, b"goes on", 100);
            tree.run();
            assert_eq!(tree.levels[0].data.target, b"goes on");
        }
        tree.finish();
    }
}

#[test]
fn while_any_log_of_the_tree_waits_nothing_is_read_and_nothing_released() {
    let mut tree = Tree::jumped(&policy(JUMPS), 3);
    for at in 0..3 {
        tree.open_session(at);
    }
    tree.log_is_silent = true;
    tree.send_data(2, Leg::Client, b"innermost", 100);
    tree.run();
    assert!(tree.session.awaits_log());
    for leg in [Leg::Client, Leg::Target] {
        assert!(tree.session.read_buffer(leg).is_none());
    }
    tree.send_data(0, Leg::Target, b"outermost", 100);
    tree.run();
    assert_eq!(tree.levels[0].data.client, b"");
    assert_eq!(tree.levels[2].data.target, b"");
    tree.answer_log();
    assert_eq!(tree.levels[0].data.client, b"outermost");
    assert_eq!(tree.levels[2].data.target, b"innermost");
    // A page that is not answered in time ends its session, and the others go on.
    tree.log_is_silent = true;
    tree.send_data(2, Leg::Client, b"never", 100);
    tree.run();
    tree.log_is_silent = false;
    tree.forget_unanswered();
    tree.pass(Duration::from_secs(31));
    assert_eq!(end_of(&tree.kinds(2)), Some(EndReason::RecorderFailed));
    assert_eq!(end_of(&tree.kinds(1)), None);
    tree.send_data(1, Leg::Client, b"goes on", 100);
    tree.run();
    assert_eq!(tree.levels[1].data.target, b"goes on");
    tree.finish();
}

#[test]
fn who_may_not_reach_the_inner_target_reads_why_before_anything_is_opened() {
    // `inner-1` is in no application.
    let policy = policy(JUMPS).replace("{ hostname = \"inner-1\" }, ", "");
    let mut tree = Tree::new(&policy);
    tree.run();
    tree.jump(0);
    let text = open_failure(&tree, 0);
    assert!(text.starts_with("access denied: "), "{text:?}");
    assert!(text.contains(&tree.ids[1].to_string()), "{text:?}");
    assert_eq!(refusal_of(&tree.kinds(1)), Some(Refusal::Policy));
    let denied = tree.events.iter().find(|it| it.kind.is_last());
    assert_eq!(denied.unwrap().subject.hostname, "inner-1");
    assert!(tree.levels[0].target.as_ref().unwrap().packets.is_empty());
    assert!(tree.levels[0].packets.target.is_empty());
    assert_eq!(tree.levels.len(), 1, "no connection was opened");
    assert!(tree.records(0).iter().any(|it| it.contains("Refused")));
    tree.finish();
}

#[test]
fn who_may_not_be_the_user_reads_why_and_the_outer_session_goes_on() {
    let mut tree = Tree::new(&policy(JUMPS));
    tree.run();
    tree.user = "root";
    tree.jump(0);
    let person = tree.levels[1].person.as_ref().unwrap();
    assert!(!person.is_in && person.was_refused);
    assert!(person.banners.concat().contains("access denied"));
    assert_eq!(refusal_of(&tree.kinds(1)), Some(Refusal::Policy));
    tree.pass(Duration::from_secs(6));
    assert!(tree.levels[0].pipe.client.is_closed);
    assert!(tree.levels[0].pipe.target.is_closed);
    tree.open_session(0);
    tree.send_data(0, Leg::Client, b"goes on", 100);
    tree.run();
    assert_eq!(tree.levels[0].data.target, b"goes on");
    tree.finish();
}

#[test]
fn a_target_that_the_proxy_does_not_know_is_refused_in_words() {
    let mut tree = Tree::new(&policy(JUMPS));
    tree.run();
    tree.open(0, "elsewhere", 22);
    let text = open_failure(&tree, 0);
    assert!(text.contains("knows no machine of this name"), "{text:?}");
    assert_eq!(tree.levels.len(), 1);
    // Nor where nothing is granted.
    tree.open(0, "inner-9", 22);
    assert!(open_failure(&tree, 0).contains("not granted"));
    tree.finish();
}

#[test]
fn an_inner_target_that_the_outer_one_cannot_reach_leaves_one_refusal() {
    let mut tree = Tree::new(&policy(JUMPS));
    tree.refuses_jumps = true;
    tree.run();
    tree.jump(0);
    assert_eq!(open_failure(&tree, 0), "no route");
    assert_eq!(refusal_of(&tree.kinds(1)), Some(Refusal::TargetUnreachable));
    tree.refuses_jumps = false;
    tree.jump(0);
    tree.assert_in(2);
    tree.finish();
}

#[test]
fn as_long_as_somebody_may_be_let_in_it_says_so() {
    let mut tree = Tree::new(&policy(JUMPS));
    assert!(tree.session.is_admitting());
    tree.run();
    assert!(!tree.session.is_admitting());
    tree.silent_level = Some(1);
    tree.jump(0);
    assert!(tree.session.is_admitting());
    tree.pass(Duration::from_secs(121));
    assert!(!tree.session.is_admitting());
    tree.finish();
}

#[test]
fn ssh_on_a_forwarded_connection_becomes_a_session_however_its_beginning_is_split() {
    for from in [Leg::Client, Leg::Target] {
        for pieces in [
            &["SSH-2.0-test\r\n"][..],
            &["S", "SH", "-2.0-test\r\n"],
            &["SSH", "-2.0-test\r\n"],
            &["SSH-", "2.0-test\r\n"],
        ] {
            let mut tree = Tree::new(&policy(FORWARDS));
            tree.silent_level = Some(1);
            tree.run();
            tree.jump(0);
            for piece in pieces {
                tree.pipe(0, from, piece.as_bytes());
                tree.run();
            }
            assert_eq!(tree.ids.len(), 1, "nothing is decided but that it may be");
            // Both sides read one whole identification, of the proxy.
            tree.pipe(0, from.other(), b"SSH-2.0-other\r\n");
            tree.run();
            for leg in [Leg::Client, Leg::Target] {
                let got = String::from_utf8_lossy(&tree.levels[0].pipe[leg].got).into_owned();
                assert!(
                    got.starts_with("SSH-2.0-")
                        && got.lines().next().unwrap().contains("Portreeve"),
                    "{from:?} {pieces:?} {leg:?}: {got:?}"
                );
                assert_eq!(got.matches("SSH-").count(), 1, "{got:?}");
            }
            tree.finish();
            assert_eq!(tree.ids.len(), 2);
            assert_eq!(tree.events.last().unwrap().subject.hostname, "web-1");
        }
    }
}

#[test]
fn a_real_login_works_on_a_forwarded_connection() {
    let mut tree = Tree::jumped(&policy(FORWARDS), 2);
    tree.open_session(1);
    let bytes = patterned(5_000_000);
    tree.send_data(1, Leg::Client, &bytes, 30_000);
    tree.run();
    assert!(tree.levels[1].data.target == bytes);
    let inner = tree.events.iter().find(|it| it.subject.parent.is_some());
    assert_eq!(inner.unwrap().subject.parent, Some(tree.ids[0]));
    assert!(tree.records(0).iter().any(|it| it.contains("InnerSession")));
    tree.finish();
}

#[test]
fn what_is_not_ssh_passes_on_a_forwarded_connection_with_windows_of_its_own() {
    let mut tree = Tree::new(&policy(FORWARDS));
    tree.silent_level = Some(1);
    tree.window = (u32::MAX, 32_768);
    tree.run();
    tree.jump(0);
    for leg in [Leg::Client, Leg::Target] {
        let granted = tree.levels[0].pipe[leg].writable;
        assert_eq!(granted, 2_097_152, "until it is known what it carries");
    }
    tree.pipe(0, Leg::Client, b"SS");
    tree.pipe(0, Leg::Target, b"S");
    tree.run();
    tree.pipe(0, Leg::Client, b"L hello");
    tree.run();
    assert_eq!(tree.levels[0].pipe.target.got, b"SSL hello");
    assert_eq!(tree.levels[0].pipe.client.got, b"S");
    assert_eq!(
        tree.levels[0].pipe.client.writable,
        u32::MAX as usize - b"SSL hello".len(),
        "all that the target takes"
    );
    assert_eq!(tree.levels[0].pipe.target.writable, u32::MAX as usize - 1);
    // Too late for a session: cut.
    tree.pipe(0, Leg::Target, b"\nSSH-2.0-x\r\n");
    tree.run();
    assert!(tree.levels[0].pipe.client.has_eof && tree.levels[0].pipe.target.has_eof);
    assert_eq!(tree.ids.len(), 1);
    tree.finish();
}

#[test]
fn ssh_to_an_unknown_target_on_a_forwarded_connection_is_told_so_in_clear() {
    let mut tree = Tree::new(&policy(FORWARDS));
    tree.run();
    tree.open(0, "elsewhere", 22);
    let person = tree.levels[1].person.as_ref().unwrap();
    let goodbye = person.goodbye.clone().unwrap_or_default();
    assert!(
        goodbye.contains("knows no machine of this name"),
        "{goodbye:?}"
    );
    assert_eq!(refusal_of(&tree.kinds(1)), Some(Refusal::UnknownTarget));
    let denied = tree.events.iter().find(|it| it.kind.is_last());
    assert_eq!(denied.unwrap().subject.hostname, "elsewhere");
    assert!(tree.levels[0].pipe.client.is_closed && tree.levels[0].pipe.target.is_closed);
    tree.finish();
}

/// Knows targets, and nothing of their host keys.
struct Unknown;

impl Directory for Unknown {
    fn find(&self, host: &str, port: u16) -> Option<Target> {
        Names.find(host, port).map(|_| unknown(host))
    }
}

#[test]
fn no_session_inside_leads_to_a_target_whose_host_key_nobody_knows() {
    for (grant, is_in_clear) in [(JUMPS, false), (FORWARDS, true)] {
        let mut tree = Tree::with(&policy(grant), |gateway| {
            gateway.directory = Some(Arc::new(Unknown));
        });
        tree.run();
        tree.jump(0);
        let told = if is_in_clear {
            let person = tree.levels[1].person.as_ref().unwrap();
            person.goodbye.clone().unwrap_or_default()
        } else {
            open_failure(&tree, 0)
        };
        assert!(told.contains("does not know the host key"), "{told:?}");
        assert!(told.contains(&tree.ids[1].to_string()), "{told:?}");
        assert_eq!(refusal_of(&tree.kinds(1)), Some(Refusal::NoKnownHostKey));
        let denied = tree.events.iter().find(|it| it.kind.is_last());
        assert_eq!(denied.unwrap().subject.hostname, "inner-1");
        assert_eq!(end_of(&tree.kinds(0)), None);
        tree.finish();
    }
}

#[test]
fn a_session_that_is_revoked_ends_alone_when_it_is_inside_another() {
    let mut tree = Tree::jumped(&policy(JUMPS), 3);
    for at in 0..3 {
        tree.open_session(at);
    }
    let revoked = format!(
        "[[revocation]]\nsession = \"{}\"\nreason = \"test\"\n",
        tree.ids[1]
    );
    tree.current.rules = sim::rules("two", &policy(JUMPS), &revoked);
    tree.reevaluate();
    tree.run();
    assert_eq!(end_of(&tree.kinds(0)), None);
    assert_eq!(end_of(&tree.kinds(1)), Some(EndReason::Revoked));
    assert_eq!(end_of(&tree.kinds(2)), Some(EndReason::OuterEnded));
    tree.send_data(0, Leg::Client, b"goes on", 100);
    tree.run();
    assert_eq!(tree.levels[0].data.target, b"goes on");
    tree.finish();
}

#[test]
fn a_command_that_waits_for_the_log_at_any_level_reaches_no_target_once_access_is_lost() {
    for (level, revoked) in [(0, 0), (1, 0), (1, 1)] {
        let mut tree = Tree::jumped(&policy(JUMPS), 2);
        tree.open_session(level);
        tree.log_is_silent = true;
        tree.send_data(level, Leg::Client, b"rm", 2);
        tree.run();
        let revocations = format!(
            "[[revocation]]\nsession = \"{}\"\nreason = \"test\"\n",
            tree.ids[revoked]
        );
        tree.current.rules = sim::rules("next", &policy(JUMPS), &revocations);
        tree.reevaluate();
        tree.run();
        tree.answer_log();
        assert_eq!(tree.levels[level].data.target, b"");
        let log = tree.records(level).join("\n");
        assert!(log.contains("Input"), "{log}");
        let said = "packets recorded and not passed to the target, as access was lost: 1";
        assert!(log.contains(said), "{log}");
        tree.finish();
    }
}

#[test]
fn the_grants_times_end_the_session_that_they_are_for() {
    // The outer session lives on what the inner one does, and the inner one on what passes in it.
    let policy = policy(&format!(
        "{JUMPS}idle_timeout = \"60s\"\nmax_session = \"10m\"\n"
    ));
    let mut tree = Tree::jumped(&policy, 2);
    tree.open_session(1);
    for _ in 0..5 {
        tree.pass(Duration::from_secs(50));
        tree.send_data(1, Leg::Client, b"x", 100);
        tree.run();
    }
    assert_eq!(end_of(&tree.kinds(0)), None);
    assert_eq!(end_of(&tree.kinds(1)), None);
    tree.pass(Duration::from_secs(61));
    assert_eq!(end_of(&tree.kinds(1)), Some(EndReason::IdleTimeout));
    tree.finish();
}
