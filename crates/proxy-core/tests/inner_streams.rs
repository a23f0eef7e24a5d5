//! Sessions inside sessions against peers that send much, nothing, or what they should not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod sim;

use std::time::Duration;

use proxy_core::{EndReason, EventKind, Leg, PerLeg, Refusal};
use sim::packets as p;
use sim::tree::{FORWARDS, JUMP, JUMPS, Tree, end_of, open_failure, patterned, policy, refusal_of};

/// What two hostile ends of a jump may do, in any order.
fn do_anything(tree: &mut Tree, dice: &mut impl FnMut(u32) -> u32) {
    let level = usize::try_from(dice(2)).unwrap().min(tree.levels.len() - 1);
    let leg = if dice(2) == 0 {
        Leg::Client
    } else {
        Leg::Target
    };
    let id = JUMP[leg.other()];
    let len = usize::try_from(dice(5000)).unwrap();
    match dice(14) {
        0 => tree.send(level, leg, &p::data(id, &patterned(len))),
        1 => tree.pipe(level, leg, &patterned(len)),
        2 => tree.send(level, leg, &p::eof(id)),
        3 => tree.send(level, leg, &p::close(id)),
        4 => tree.send(level, leg, &p::window_adjust(id, dice(u32::MAX))),
        5 => tree.send(
            level,
            leg,
            &p::request(id, "keepalive@openssh.com", true, b""),
        ),
        6 => tree.send(level, leg, &p::request(id, "shell", true, b"")),
        7 => tree.send(level, leg, &p::extended_data(id, 1, b"x")),
        8 => tree.send(level, leg, &p::success(id)),
        9 => tree.open(level, &sim::tree::host(level + 1), 22),
        10 => tree.levels[level].pipe[leg].is_stalled ^= true,
        11 => tree.open(level, "elsewhere", 22),
        12 => tree.pass(Duration::from_millis(dice(60_000).into())),
        _ => tree.log_is_silent = true,
    }
    if dice(3) > 0 {
        tree.run();
    }
    if dice(2) > 0 {
        tree.answer_log();
    }
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
        let len = match window {
            40 => 20_000,
            50_000 => 1_000_000,
            _ => 5_000_000,
        };
        let bytes = patterned(len);
        tree.send_data(2, Leg::Client, &bytes, 30_000);
        tree.send_data(2, Leg::Target, &bytes, 30_000);
        tree.run();
        assert_eq!(tree.levels[2].data.target.len(), bytes.len(), "{window}");
        assert!(tree.levels[2].data.target == bytes, "{window}");
        assert!(tree.levels[2].data.client == bytes, "{window}");
        tree.finish();
    }
}

#[test]
fn windows_of_any_size_break_nothing() {
    for window in [0, 1, 255, u32::MAX] {
        for max in [1024, u32::MAX] {
            let mut tree = Tree::new(&policy(JUMPS));
            tree.window = (window, max);
            tree.run();
            tree.jump(0);
            let is_in = |tree: &Tree| tree.levels[1].person.as_ref().unwrap().is_in;
            assert_eq!(
                is_in(&tree),
                window > 0,
                "window {window}, packets of {max}"
            );
            // Windows beyond what there can be stay at the limit (RFC 4254 section 5.2).
            for (leg, id) in [(Leg::Client, JUMP.target), (Leg::Target, JUMP.client)] {
                for more in [u32::MAX, 0, u32::MAX] {
                    tree.levels[0].pipe[leg].granted += more as usize;
                    tree.send(0, leg, &p::window_adjust(id, more));
                    tree.run();
                }
            }
            // One that begins at nothing is as good as any once it is raised.
            assert!(is_in(&tree), "window {window}, packets of {max}");
            tree.open_session(1);
            let bytes = patterned(300_000);
            tree.send_data(1, Leg::Client, &bytes, 30_000);
            tree.send_data(1, Leg::Target, &bytes, 30_000);
            tree.run();
            assert!(tree.levels[1].data.target == bytes, "{window} {max}");
            assert!(tree.levels[1].data.client == bytes, "{window} {max}");
            tree.finish();
        }
    }
}

#[test]
fn who_takes_only_short_packets_gets_no_session() {
    for max in [0, 1, 1023] {
        let mut tree = Tree::new(&policy(JUMPS));
        tree.window = (2_097_152, max);
        tree.run();
        tree.jump(0);
        assert!(open_failure(&tree, 0).contains("packets"), "{max}");
        tree.finish();

        let mut tree = Tree::new(&policy(JUMPS));
        tree.target_max = Some(max);
        tree.run();
        tree.jump(0);
        assert!(refusal_of(&tree.kinds(1)).is_some(), "{max}");
        tree.finish();
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
        tree.send_data(1, reader.other(), &patterned(8_000_000), 32_000);
        tree.run();
        // What the proxy took in and gave to nobody yet.
        let unsent = tree.levels[0].pipe[reader.other()].out.len();
        let given = tree.levels[0].pipe[reader].got.len();
        let kept = 8_000_000 - unsent - given;
        assert!(kept < 3_000_000, "{kept} bytes wait in the proxy");
        assert!(given <= 2_097_152, "{given}");
        // The rest of the connection goes on.
        tree.send_data(0, Leg::Client, b"still here", 100);
        tree.run();
        assert_eq!(tree.levels[0].data.target, b"still here");
        tree.levels[0].pipe[reader].is_stalled = false;
        tree.unstall(0, reader);
        tree.run();
        assert!(tree.levels[1].data[reader] == patterned(8_000_000));
        tree.finish();
    }
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
        assert!(!tree.levels[0].pipe.client.has_eof, "{bytes:?}");
        // A client that does not say that it heard.
        tree.pass(Duration::from_secs(2));
        for leg in [Leg::Client, Leg::Target] {
            let pipe = &tree.levels[0].pipe[leg];
            assert!(pipe.has_eof && pipe.is_closed, "{bytes:?} {leg:?}");
            let got = &tree.levels[0].pipe[leg].got;
            assert!(!got.windows(3).any(|it| it == &bytes[..3]) || bytes[0] == b'S');
        }
        let records = tree.records(0).join("\n");
        assert_eq!(
            records.contains("bytes that are not SSH"),
            from == Leg::Client,
            "{records}"
        );
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
    tree.pass(Duration::from_secs(2));
    assert!(tree.levels[0].pipe.client.is_closed && tree.levels[0].pipe.target.is_closed);
    tree.finish();
}

#[test]
fn a_client_may_read_the_last_words_to_their_end_before_its_channel_is_closed() {
    for answers in [true, false] {
        let mut tree = Tree::new(&policy(FORWARDS));
        tree.silent_level = Some(1);
        tree.run();
        tree.open(0, "elsewhere", 22);
        tree.pipe(0, Leg::Client, b"SSH-2.0-test\r\n");
        tree.run();
        tree.pass(Duration::from_millis(1900));
        let pipe = &tree.levels[0].pipe;
        let words = String::from_utf8_lossy(&pipe.client.got);
        assert!(words.contains("knows no machine of this name"), "{words:?}");
        assert!(!pipe.client.has_eof && !pipe.client.is_closed);
        assert!(!pipe.target.has_eof && !pipe.target.is_closed);
        // It may go on speaking until then.
        tree.pipe(0, Leg::Client, b"key exchange");
        tree.run();
        assert!(!tree.levels[0].pipe.client.has_eof);
        if answers {
            tree.send(0, Leg::Client, &p::eof(JUMP.target));
            tree.run();
        } else {
            tree.pass(Duration::from_millis(200));
        }
        for leg in [Leg::Client, Leg::Target] {
            let pipe = &tree.levels[0].pipe[leg];
            assert!(pipe.has_eof && pipe.is_closed, "{answers} {leg:?}");
        }
        assert!(tree.records(0).iter().any(|it| it.contains("ForwardClose")));
        tree.finish();
    }
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
fn both_sides_of_a_session_inside_have_the_windows_of_the_setting() {
    for window in [65_536, 4_194_304] {
        let mut tree = Tree::with(&policy(JUMPS), |gateway| {
            gateway.limits.inner_window_bytes = window;
        });
        tree.run();
        tree.jump(0);
        tree.assert_in(2);
        tree.open_session(1);
        let bytes = vec![7; 300_000];
        tree.send_data(1, Leg::Client, &bytes, 10_000);
        tree.run();
        assert!(tree.levels[1].data.target == bytes);
        for leg in [Leg::Client, Leg::Target] {
            let left = tree.levels[0].pipe[leg].writable;
            // What is granted again later is at most 128 KiB, or all of it.
            assert!(
                left <= window && left + 131_072 > window,
                "{left} of {window}"
            );
        }
        tree.finish();
    }
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

#[test]
fn keys_are_exchanged_again_at_every_level_while_much_passes_both_ways() {
    let mut tree = Tree::with(&policy(JUMPS), |gateway| {
        gateway.rekey.max_bytes = 300_000;
    });
    tree.window = (200_000, 32_768);
    tree.run();
    tree.jump(0);
    tree.jump(1);
    tree.assert_in(3);
    tree.open_session(2);
    let bytes = patterned(3_000_000);
    for piece in bytes.chunks(500_000) {
        tree.send_data(2, Leg::Client, piece, 30_000);
        tree.send_data(2, Leg::Target, piece, 30_000);
        tree.run();
    }
    assert!(tree.levels[2].data.target == bytes);
    assert!(tree.levels[2].data.client == bytes);
    for level in 0..3 {
        let exchanges = tree.exchanges(level);
        assert!(
            exchanges.client > 5 && exchanges.target > 5,
            "{exchanges:?}"
        );
    }
    tree.finish();
}

#[test]
fn a_socket_that_takes_nothing_holds_up_a_bounded_amount_of_every_level() {
    let mut tree = Tree::jumped(&policy(JUMPS), 3);
    tree.open_session(2);
    tree.stuck = Some(Leg::Client);
    let bytes = patterned(8_000_000);
    tree.send_data(2, Leg::Target, &bytes, 32_000);
    tree.run();
    let unwritten = tree.unwritten.len();
    assert!(unwritten < 2_000_000, "{unwritten}");
    let unsent: usize = (0..2).map(|at| tree.levels[at].pipe.target.out.len()).sum();
    let kept = 8_000_000 - unsent.min(8_000_000) - unwritten;
    assert!(kept < 3_000_000, "{kept} bytes wait in the proxy");
    tree.unstick();
    assert!(tree.levels[2].data.client == bytes);
    tree.finish();
}

#[test]
fn whatever_two_hostile_ends_do_each_session_has_one_end_and_nothing_passes_unrecorded() {
    let mut ends = Vec::new();
    for seed in 1..150_u32 {
        let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
        let mut dice = |sides: u32| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state % sides
        };
        let grants = if dice(2) == 0 { JUMPS } else { FORWARDS };
        let mut tree = Tree::new(&policy(grants));
        tree.window = (dice(100_000), 1 + dice(40_000));
        tree.is_hostile = true;
        if dice(3) == 0 {
            tree.silent_level = Some(1);
        }
        tree.run();
        tree.jump(0);
        for _ in 0..30 {
            do_anything(&mut tree, &mut dice);
        }
        tree.answer_log();
        tree.finish();
        let inside = tree.events.iter().filter(|it| it.subject.parent.is_some());
        for event in inside {
            match &event.kind {
                EventKind::SessionEnd { reason, .. } => ends.push(format!("{reason:?}")),
                EventKind::AccessDenied { reason, .. } => ends.push(format!("{reason:?}")),
                _ => {}
            }
        }
    }
    let many = ends.len();
    ends.sort_unstable();
    ends.dedup();
    assert!(many > 100 && ends.len() > 5, "{many} {ends:?}");
}

#[test]
fn a_number_may_be_used_again_as_soon_as_its_own_end_and_the_proxy_have_closed() {
    for slow in [Leg::Target, Leg::Client] {
        let quick = slow.other();
        let mut tree = Tree::jumped(&policy(JUMPS), 2);
        for leg in [slow, quick] {
            tree.levels[0].pipe[leg].closes_too = false;
        }
        tree.send(0, quick, &p::close(JUMP[slow]));
        tree.pass(Duration::from_secs(2));
        assert!(tree.levels[0].pipe[quick].is_closed, "{quick:?}");
        // The slow end's number is still taken; the quick one's is free.
        let id = if quick == Leg::Client {
            JUMP.client
        } else {
            49
        };
        let data = [p::host_port("inner-2", 22), p::host_port("127.0.0.1", 5)].concat();
        let open = p::open_sized("direct-tcpip", id, (2_097_152, 32_768), &data);
        let new_at_target = if quick == Leg::Target {
            JUMP.target
        } else {
            61
        };
        tree.confirms_with = Some(new_at_target);
        tree.send(0, Leg::Client, &open);
        tree.run();
        assert_eq!(end_of(&tree.kinds(0)), None, "{:?}", tree.events.last());
        // What the slow end says of the older channel goes to it, and then it speaks on the younger.
        let number = JUMP[quick];
        tree.send(0, slow, &p::window_adjust(number, 1));
        tree.send(0, slow, &p::close(number));
        let greeting = b"SSH-2.0-test\r\n";
        let younger = if slow == Leg::Client {
            new_at_target
        } else {
            id
        };
        tree.send(0, slow, &p::data(younger, greeting));
        tree.run();
        assert_eq!(end_of(&tree.kinds(0)), None, "{:?}", tree.events.last());
        let closed = tree
            .records(0)
            .iter()
            .any(|it| it.starts_with("1 ForwardClose"));
        assert!(closed, "{quick:?}");
        tree.finish();
    }
}

#[test]
fn a_session_whose_target_does_not_read_ends_and_frees_its_place() {
    for is_revoked in [false, true] {
        let mut tree = Tree::jumped(&policy(JUMPS), 2);
        tree.open_session(1);
        tree.levels[0].pipe.target.is_stalled = true;
        tree.send_data(1, Leg::Client, &patterned(4_000_000), 30_000);
        tree.run();
        let reason = if is_revoked {
            let (id, granted) = (tree.ids[1], policy(JUMPS));
            let revoked = format!("[[revocation]]\nsession = \"{id}\"\nreason = \"test\"\n");
            tree.current.rules = sim::rules("two", &granted, &revoked);
            tree.reevaluate();
            EndReason::Revoked
        } else {
            tree.send(0, Leg::Client, &p::close(JUMP.target));
            tree.levels[0].pipe.client.closes_too = false;
            EndReason::ClientDisconnected
        };
        tree.pass(Duration::from_secs(15));
        assert_eq!(end_of(&tree.kinds(1)), Some(reason));
        for leg in [Leg::Client, Leg::Target] {
            assert!(tree.levels[0].pipe[leg].is_closed, "{is_revoked} {leg:?}");
        }
        assert_eq!(tree.session.overviews(tree.now).len(), 1);
        assert_eq!(end_of(&tree.kinds(0)), None);
        tree.finish();
    }
}

#[test]
fn a_session_ends_at_once_though_somebody_inside_is_just_being_refused() {
    let mut tree = Tree::new(&policy(JUMPS));
    tree.run();
    tree.user = "root";
    tree.jump(0);
    assert_eq!(refusal_of(&tree.kinds(1)), Some(Refusal::Policy));
    tree.peer_closes(Leg::Client);
    assert!(tree.session.is_over());
    tree.finish();
}

#[test]
fn a_session_that_says_much_to_a_slow_socket_does_not_keep_another_from_speaking() {
    let mut tree = Tree::new(&policy(JUMPS));
    tree.run();
    tree.jump(0);
    tree.open_session(1);
    let other = PerLeg {
        client: 51,
        target: 61,
    };
    tree.confirms_with = Some(other.target);
    let data = [p::host_port("inner-2", 22), p::host_port("127.0.0.1", 5)].concat();
    let open = p::open_sized("direct-tcpip", other.client, (2_097_152, 32_768), &data);
    tree.send(0, Leg::Client, &open);
    tree.run();
    tree.stuck = Some(Leg::Target);
    tree.send_data(1, Leg::Client, &patterned(1_300_000), 30_000);
    tree.run();
    tree.send(0, Leg::Client, &p::data(other.target, b"SSH-2.0-test\r\n"));
    tree.send_data(1, Leg::Client, &patterned(20_000_000), 30_000);
    let (before, on_the_way) = (tree.levels[1].data.target.len(), tree.unwritten.len());
    while tree.aside_bytes.target == 0 {
        tree.trickle(32_768);
    }
    // The socket has its order; of what waits behind it, less than one session may hold goes first.
    let meanwhile = tree.levels[1].data.target.len() - before;
    let first = meanwhile.saturating_sub(on_the_way);
    assert!(
        first < proxy_core::limits::MAX_INNER_BACKLOG_BYTES,
        "{first} bytes of the other first"
    );
    assert_eq!(end_of(&tree.kinds(0)), None);
}
