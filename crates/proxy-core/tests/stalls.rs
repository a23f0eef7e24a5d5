//! Hours in which somebody does not read, or does not write, while everybody else presses on: what waits stays under its ceiling, nobody
//! is kept busy, and afterwards every byte is there once.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "tests"
)]

mod sim;

use std::time::Duration;

use proxy_core::limits::{MAX_BACKLOG_BYTES, MAX_OWN_BACKLOG_BYTES};
use proxy_core::{EndReason, Leg, PerLeg};
use sim::packets as p;
use sim::tree::{JUMPS, Tree, end_of, patterned, policy};
use sim::{Setup, World};
use ssh_transport::RECEIVE_BUFFER_BYTES;

const HOURS: usize = 8;
const MINUTE: Duration = Duration::from_secs(60);
const LEGS: [Leg; 2] = [Leg::Client, Leg::Target];

/// What may wait for one leg: what its own requests made, and what one read of the other leg becomes.
const CEILING_BYTES: usize = MAX_OWN_BACKLOG_BYTES + MAX_BACKLOG_BYTES + 4 * RECEIVE_BUFFER_BYTES;

/// How much a peer has ready before it waits to be read.
const AHEAD_BYTES: usize = 256 * 1024;

/// Deadlines of an hour: keys of each leg of each level and the log's hourly habits, but no more than one every ten seconds.
const MAX_WAKES: usize = 360;

/// People who press on.
struct Crowd {
    tree: Tree,
    /// By level and by leg.
    said: Vec<PerLeg<Vec<u8>>>,
    wakes: usize,
}

impl Crowd {
    /// Each with a shell, at so many levels; keys are exchanged every half hour.
    fn new(rules: &str, levels: usize) -> Self {
        let mut tree = Tree::with(&policy(&format!("{JUMPS}{rules}")), |gateway| {
            gateway.rekey.max_age = 30 * MINUTE;
        });
        tree.run();
        for level in 1..levels {
            tree.jump(level - 1);
        }
        tree.assert_in(levels);
        for level in 0..levels {
            tree.open_session(level);
        }
        let said = (0..levels).map(|_| PerLeg::default()).collect();
        Self {
            tree,
            said,
            wakes: 0,
        }
    }

    /// A peer says more, if what it said was read.
    fn press(&mut self, level: usize, from: Leg) {
        let waiting = match level.checked_sub(1) {
            None => self.tree.in_flight[from].len(),
            Some(outer) => self.tree.levels[outer].pipe[from].out.len(),
        };
        if waiting < AHEAD_BYTES {
            let bytes = patterned(50_000);
            self.said[level][from].extend_from_slice(&bytes);
            self.tree.send_data(level, from, &bytes, 30_000);
        }
    }

    /// Everybody asks whether the other is still there.
    fn ask(&mut self, level: usize) {
        for leg in LEGS {
            let keepalive = p::global_request("keepalive@openssh.com", true, b"");
            self.tree.send(level, leg, &keepalive);
        }
    }

    /// Time, deadline by deadline.
    fn pass(&mut self, time: Duration) {
        let until = self.tree.now.mono + time;
        loop {
            self.tree.run();
            self.is_bounded();
            let now = self.tree.now.mono;
            let next = self.tree.session.poll_timeout();
            let Some(next) = next.filter(|next| *next <= until) else {
                break;
            };
            self.tree.set_mono(next.max(now));
            self.tree.session.handle_timeout(self.tree.now);
            self.wakes += 1;
            assert!(self.wakes <= MAX_WAKES, "{} wakes in an hour", self.wakes);
        }
        self.tree.set_mono(until);
        self.tree.run();
    }

    /// An hour, with a keepalive every five minutes and new keys that the peers want, too.
    fn hour(&mut self, mut every_minute: impl FnMut(&mut Self)) {
        self.wakes = 0;
        for minute in 0..60 {
            every_minute(self);
            if minute % 5 == 0 {
                self.ask(0);
            }
            self.pass(MINUTE);
        }
        if let Some(person) = &mut self.tree.levels[0].person {
            person.ssh.start_rekey(self.tree.now.mono);
        }
        if let Some(target) = &mut self.tree.levels[0].target {
            target.ssh.start_rekey(self.tree.now.mono);
        }
    }

    fn is_bounded(&self) {
        let waiting = self.tree.unwritten.len();
        assert!(waiting <= CEILING_BYTES, "{waiting} bytes wait");
        for level in &self.tree.levels {
            for leg in LEGS {
                // No end of a channel got more than its window.
                assert!(level.pipe[leg].got.len() <= self.tree.window.0 as usize);
            }
        }
    }

    /// Every byte that was said is there, in its order, once.
    fn is_all_there(&mut self) {
        self.tree.run();
        for (level, said) in self.said.iter().enumerate() {
            for leg in LEGS {
                let got = &self.tree.levels[level].data[leg.other()];
                assert!(
                    *got == said[leg],
                    "level {level}: {} bytes of the {leg:?} became {}",
                    said[leg].len(),
                    got.len()
                );
            }
        }
    }

    fn end(&self, level: usize) -> Option<EndReason> {
        end_of(&self.tree.kinds(level))
    }
}

#[test]
fn a_peer_that_reads_nothing_for_hours_costs_a_bounded_buffer_and_then_gets_every_byte_once() {
    for stuck in LEGS {
        let mut crowd = Crowd::new("", 1);
        crowd.press(0, stuck.other());
        crowd.pass(MINUTE);
        crowd.tree.stuck = Some(stuck);
        for _ in 0..HOURS {
            crowd.hour(|crowd| {
                crowd.press(0, stuck.other());
                crowd.press(0, stuck);
            });
        }
        let waiting = crowd.tree.unwritten.len();
        assert!(waiting > MAX_BACKLOG_BYTES, "{waiting} bytes is no stall");
        assert_eq!(crowd.end(0), None, "nobody asked for an end");
        crowd.tree.unstick();
        crowd.pass(MINUTE);
        crowd.is_all_there();
        let exchanges = crowd.tree.exchanges(0);
        assert!(exchanges.client > 1 && exchanges.target > 1);
        crowd.tree.finish();
    }
}

#[test]
fn a_stuck_peer_does_not_keep_a_session_alive_beyond_its_time() {
    for (rules, end) in [
        ("idle_timeout = \"90m\"\n", EndReason::IdleTimeout),
        ("max_session = \"4h\"\n", EndReason::MaxSession),
    ] {
        for stuck in LEGS {
            let mut crowd = Crowd::new(rules, 1);
            crowd.tree.stuck = Some(stuck);
            for _ in 0..HOURS {
                crowd.hour(|crowd| crowd.press(0, stuck.other()));
            }
            assert_eq!(crowd.end(0), Some(end), "the {stuck:?} is stuck");
            assert!(crowd.tree.session.is_over());
            assert_eq!(crowd.tree.session.poll_timeout(), None);
            let sent = crowd.tree.outputs.len();
            crowd.tree.unstick();
            crowd.pass(MINUTE);
            assert_eq!(crowd.tree.outputs.len(), sent, "words behind the end");
            let got = &crowd.tree.levels[0].data[stuck];
            assert!(crowd.said[0][stuck.other()].starts_with(got));
        }
    }
}

/// A little less than a disk has.
const PAGE_TIME: Duration = Duration::from_secs(29);

#[test]
fn a_disk_that_takes_as_long_as_it_may_for_every_page_holds_up_everybody_and_loses_nothing() {
    let mut crowd = Crowd::new("", 1);
    crowd.tree.log_is_silent = true;
    for _ in 0..HOURS {
        crowd.wakes = 0;
        for _ in 0..3600 / PAGE_TIME.as_secs() {
            for leg in LEGS {
                crowd.press(0, leg);
            }
            crowd.pass(PAGE_TIME);
            crowd.tree.answer_pages();
        }
    }
    assert_eq!(crowd.end(0), None, "no page took too long");
    crowd.tree.answer_log();
    crowd.is_all_there();
    crowd.tree.finish();
}

#[test]
fn a_disk_that_says_nothing_for_hours_ends_the_session_at_once_and_wakes_nobody() {
    let mut crowd = Crowd::new("", 1);
    crowd.tree.log_is_silent = true;
    crowd.press(0, Leg::Target);
    crowd.tree.run();
    crowd.tree.forget_unanswered();
    crowd.tree.log_is_silent = false;
    crowd.pass(MINUTE);
    assert_eq!(crowd.end(0), Some(EndReason::RecorderFailed));
    for _ in 0..HOURS {
        crowd.hour(|_| {});
        assert_eq!(crowd.wakes, 0);
    }
    assert!(crowd.tree.session.is_over());
}

#[test]
fn a_session_inside_that_stands_still_for_hours_holds_up_nobody_around_it() {
    for stuck in LEGS {
        let mut crowd = Crowd::new("", 2);
        crowd.tree.levels[0].pipe[stuck].is_stalled = true;
        for _ in 0..HOURS {
            crowd.hour(|crowd| {
                crowd.press(1, stuck.other());
                let before = crowd.tree.levels[0].data[stuck].len();
                crowd.press(0, stuck.other());
                crowd.tree.run();
                let after = crowd.tree.levels[0].data[stuck].len();
                assert!(after > before, "the outer session is held up as well");
            });
        }
        let unread = crowd.tree.levels[0].pipe[stuck.other()].out.len();
        assert!(unread > 0, "it is no stall");
        assert_eq!((crowd.end(0), crowd.end(1)), (None, None));
        crowd.tree.levels[0].pipe[stuck].is_stalled = false;
        crowd.tree.unstall(0, stuck);
        crowd.pass(MINUTE);
        crowd.is_all_there();
        crowd.tree.finish();
    }
}

#[test]
fn a_peer_inside_may_take_hours_for_new_keys_while_nothing_comes_through_to_it() {
    for stuck in LEGS {
        let mut crowd = Crowd::new("", 2);
        crowd.tree.stuck = Some(stuck);
        let now = crowd.tree.now.mono;
        let inside = &mut crowd.tree.levels[1];
        match stuck {
            Leg::Client => inside.person.as_mut().unwrap().ssh.start_rekey(now),
            Leg::Target => inside.target.as_mut().unwrap().ssh.start_rekey(now),
        }
        crowd.tree.run();
        assert!(crowd.tree.unwritten.len() > 500, "no answer is on its way");
        for _ in 0..HOURS {
            crowd.hour(|_| {});
        }
        assert_eq!((crowd.end(0), crowd.end(1)), (None, None));
        crowd.tree.unstick();
        crowd.press(1, stuck.other());
        crowd.pass(MINUTE);
        crowd.is_all_there();
        crowd.tree.finish();
    }
}

/// What a session holds, all of which it gives back.
fn held_bytes(world: World) -> i64 {
    let session = world.session;
    -allocation_counter::measure(|| drop(session)).bytes_current
}

const STALLED: u32 = 50;
const STALLED_WINDOW_BYTES: u32 = 20_000;

/// A shell on channel 0 of the person and 7 of the target, and as many others beside it whose windows both sides have used up.
fn with_stalled_channels(count: u32) -> World {
    let mut world = World::logged_in(Setup::default());
    let mut open = |id, theirs, window| {
        world.person_sends(&p::open("session", id, window, &[]));
        world.target_sends(&p::confirm_sized(id, theirs, (window, 32_768)));
    };
    open(0, 7, u32::MAX);
    for id in 1..=count {
        // A part of the person's window is the proxy's.
        open(id, 100 + id, STALLED_WINDOW_BYTES + 1024);
    }
    for id in 1..=count {
        let bytes = vec![b's'; STALLED_WINDOW_BYTES as usize / 2];
        for _ in 0..2 {
            world.target_sends(&p::data(id, &bytes));
            world.person_sends(&p::data(100 + id, &bytes));
        }
    }
    world
}

#[test]
fn fifty_stalled_channels_cost_next_to_nothing_for_hours_and_stall_no_other() {
    let mut world = with_stalled_channels(STALLED);
    let used = (STALLED * STALLED_WINDOW_BYTES) as usize;
    let passed = |world: &World| [world.passed.client.len(), world.passed.target.len()];
    assert_eq!(passed(&world), [used, used]);
    for minute in 1..=60 * HOURS {
        world.person_sends(&p::data(7, &[b'k'; 10]));
        world.target_sends(&p::data(0, &[b'e'; 100]));
        assert_eq!(passed(&world), [used + 10 * minute, used + 100 * minute]);
        world.pass(MINUTE);
    }
    let before = passed(&world);
    for id in 1..=STALLED {
        world.person_sends(&p::window_adjust(100 + id, 1000));
        world.target_sends(&p::data(id, &[b'm'; 1000]));
    }
    let after = passed(&world);
    assert_eq!(after, [before[0], before[1] + 1000 * STALLED as usize]);

    let stalled = held_bytes(world);
    let alone = held_bytes(with_stalled_channels(0));
    assert!(
        stalled - alone < i64::from(STALLED) * 2048,
        "{stalled} bytes with stalled channels, {alone} without"
    );
}
