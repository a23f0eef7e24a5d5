//! Sessions inside sessions: SSH connections through a target, terminated, decided about, recorded.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod sim;

use std::time::Duration;

use proxy_core::{EndReason, EventKind, Leg, Refusal};
use sim::packets as p;
use sim::tree::{JUMP, JUMPS, Tree, policy};

fn patterned(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn end_of(kinds: &[&EventKind]) -> Option<EndReason> {
    kinds.iter().find_map(|kind| match kind {
        EventKind::SessionEnd { reason, .. } => Some(*reason),
        _ => None,
    })
}

fn refusal_of(kinds: &[&EventKind]) -> Option<Refusal> {
    kinds.iter().find_map(|kind| match kind {
        EventKind::AccessDenied { reason, .. } => Some(*reason),
        _ => None,
    })
}

/// The text of the last failure to open a channel that the person of a level got.
fn open_failure(tree: &Tree, level: usize) -> String {
    let failure = tree.levels[level].packets.client.iter().rev();
    let failure = failure.into_iter().find(|packet| packet[0] == 92);
    failure.map_or(String::new(), |packet| {
        String::from_utf8_lossy(&packet[13..packet.len() - 6]).into_owned()
    })
}

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
fn much_more_than_the_windows_passes_both_ways_at_once_at_the_third_level() {
    for window in [2_097_152, 50_000, 40] {
        let mut tree = Tree::new(&policy(JUMPS));
        tree.window = (window, 32_768);
        tree.run();
        tree.jump(0);
        tree.jump(1);
        tree.assert_in(3);
        tree.open_session(2);
        let len = if window < 1000 { 20_000 } else { 6_000_000 };
        let bytes = patterned(len);
        tree.send_data(2, Leg::Client, &bytes, 30_000);
        tree.send_data(2, Leg::Target, &bytes, 30_000);
        tree.run();
        assert_eq!(tree.levels[2].data.target.len(), bytes.len(), "{window}");
        assert!(tree.levels[2].data.target == bytes, "{window}");
        assert!(tree.levels[2].data.client == bytes, "{window}");
        let counted = format!("Input({}", "");
        assert!(tree.records(2).iter().any(|it| it.contains(&counted)));
        tree.finish();
    }
}

#[test]
fn windows_and_packets_of_any_size_break_nothing() {
    for window in [0, 1, 255, u32::MAX] {
        for max in [0, 1, 100, u32::MAX] {
            let mut tree = Tree::new(&policy(JUMPS));
            tree.window = (window, max);
            tree.run();
            tree.jump(0);
            let opens = window > 0 && max > 0;
            let person = tree.levels[1].person.as_ref().unwrap();
            assert_eq!(person.is_in, opens, "window {window}, packets of {max}");
            // Windows beyond what there can be stay at the limit (RFC 4254 section 5.2).
            for (leg, id) in [(Leg::Client, JUMP.target), (Leg::Target, JUMP.client)] {
                for more in [u32::MAX, 0, u32::MAX] {
                    tree.levels[0].pipe[leg].granted += more as usize;
                    tree.send(0, leg, &p::window_adjust(id, more));
                    tree.run();
                }
            }
            tree.finish();
        }
    }
}

#[test]
fn more_than_the_window_ends_the_connection_that_sent_it() {
    for (from, id) in [(Leg::Client, JUMP.target), (Leg::Target, JUMP.client)] {
        let mut tree = Tree::jumped(&policy(JUMPS), 2);
        tree.levels[0].pipe[from.other()].is_stalled = true;
        // With nobody reading at the other side, the proxy takes what it granted and no more.
        for _ in 0..200 {
            tree.send(0, from, &p::data(id, &[0; 32_768]));
        }
        tree.run();
        let reason = match from {
            Leg::Client => EndReason::ClientMisbehaved,
            Leg::Target => EndReason::TargetMisbehaved,
        };
        // What it sent was no SSH either: the inner session went first.
        assert_eq!(end_of(&tree.kinds(0)), Some(reason));
        tree.finish();
    }
}

#[test]
fn a_side_that_does_not_read_holds_up_a_bounded_amount() {
    for reader in [Leg::Client, Leg::Target] {
        let mut tree = Tree::jumped(&policy(JUMPS), 2);
        tree.open_session(1);
        tree.open_session(0);
        tree.levels[0].pipe[reader].is_stalled = true;
        tree.send_data(1, reader.other(), &patterned(20_000_000), 32_000);
        tree.run();
        // What the proxy took in and gave to nobody yet.
        let unsent = tree.levels[0].pipe[reader.other()].out.len();
        let given = tree.levels[0].pipe[reader].got.len();
        let kept = 20_000_000 - unsent - given;
        assert!(kept < 6_000_000, "{kept} bytes wait in the proxy");
        assert!(given <= 2_097_152, "{given}");
        // The rest of the connection goes on.
        tree.send_data(0, Leg::Client, b"still here", 100);
        tree.run();
        assert_eq!(tree.levels[0].data.target, b"still here");
        tree.levels[0].pipe[reader].is_stalled = false;
        tree.unstall(0, reader);
        tree.run();
        assert!(tree.levels[1].data[reader] == patterned(20_000_000));
        tree.finish();
    }
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
fn bytes_that_are_not_ssh_end_a_connection_that_is_for_ssh_only() {
    for (from, bytes) in [
        (Leg::Client, &b"GET / HTTP/1.1\r\n\r\n"[..]),
        (Leg::Client, b"\x16\x03\x01\x02\x00"),
        (Leg::Client, b"SSX"),
        (Leg::Target, b"SSH-1.5-old\r\n"),
    ] {
        let mut tree = Tree::new(&policy(JUMPS));
        tree.silent_level = Some(1);
        tree.run();
        tree.jump(0);
        if from == Leg::Target {
            tree.pipe(0, Leg::Client, b"SSH-2.0-test\r\n");
            tree.run();
        }
        tree.pipe(0, from, bytes);
        tree.run();
        let reason = match from {
            Leg::Client => Refusal::ClientProtocol,
            Leg::Target => Refusal::TargetProtocol,
        };
        assert_eq!(refusal_of(&tree.kinds(1)), Some(reason), "{bytes:?}");
        for leg in [Leg::Client, Leg::Target] {
            assert!(tree.levels[0].pipe[leg].is_closed, "{bytes:?} {leg:?}");
            let got = &tree.levels[0].pipe[leg].got;
            assert!(!got.windows(3).any(|it| it == &bytes[..3]) || bytes[0] == b'S');
        }
        tree.finish();
    }
}

#[test]
fn a_client_that_says_nothing_is_turned_away_in_time() {
    let mut tree = Tree::new(&policy(JUMPS));
    tree.silent_level = Some(1);
    tree.run();
    tree.jump(0);
    let greeting = &tree.levels[0].pipe.client.got;
    assert!(
        greeting.starts_with(b"SSH-2.0-"),
        "some clients wait for it"
    );
    assert!(
        tree.levels[0].pipe.target.got.is_empty(),
        "no byte before the client's"
    );
    tree.pass(Duration::from_secs(121));
    assert_eq!(refusal_of(&tree.kinds(1)), Some(Refusal::LoginTimeout));
    assert!(tree.levels[0].pipe.client.is_closed && tree.levels[0].pipe.target.is_closed);
    tree.finish();
}

const FORWARDS: &str = "local_forward = [{ host = \"inner-1\", port = \"any\" }, { host = \"elsewhere\", port = 22 }]\n";

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

#[test]
fn sessions_are_no_deeper_and_no_more_than_the_limits_say() {
    for (depth, places) in [(1, 8), (8, 1)] {
        let mut tree = Tree::with(&policy(JUMPS), |gateway| {
            gateway.limits.inner_depth = depth;
            gateway.limits.inner_sessions = places;
        });
        tree.run();
        tree.jump(0);
        tree.assert_in(2);
        tree.jump(1);
        assert!(open_failure(&tree, 1).contains("too many sessions"));
        // A place is free again once its session is over.
        let id = JUMP.target;
        tree.send(0, Leg::Client, &p::close(id));
        tree.levels[0].pipe.client.closes_too = false;
        tree.run();
        tree.levels[0].pipe = Default::default();
        tree.levels.truncate(1);
        tree.jump(0);
        tree.assert_in(2);
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

#[test]
fn equal_inputs_give_equal_outputs() {
    let play = || {
        let mut tree = Tree::jumped(&policy(JUMPS), 3);
        tree.open_session(2);
        tree.send_data(2, Leg::Client, &patterned(100_000), 30_000);
        tree.run();
        tree.finish();
        tree.outputs
    };
    assert!(play() == play());
}
