//! Simulation: random and hostile peers, random faults, a clock that only the test moves, and a plain model of what may have passed,
//! asked after every step.
//!
//! Runs are functions of a configuration and a list of operations, and both come from a seed. The seeds are fixed, so that a failure
//! here is the same everywhere; `PORTREEVE_SIM_SEED` adds another, and `PORTREEVE_SIM_STEPS` says how many steps each takes. What
//! fails is made as short as it still fails, and printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "tests"
)]

mod faults;
mod golden;
mod nested;
mod play;
#[path = "../sim/mod.rs"]
mod sim;

use std::fmt::Debug;

use play::choices::Choices;
use play::shrink::{failure, shrink};
use play::{relay, session};

/// Steps of all seeds together. A step of a session costs as much as many of the relay.
const RELAY_STEPS: usize = 2_000_000;
const SESSION_STEPS: usize = 200_000;
/// Nor is a step of sessions inside others one of a session.
const NESTED_STEPS: usize = 12_000;
const SEEDS: [u64; 4] = [1, 2, 3, 4];

fn seeds() -> Vec<u64> {
    let mut seeds = SEEDS.to_vec();
    seeds.extend(number("PORTREEVE_SIM_SEED"));
    seeds
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("it is a number"))
}

/// So many steps a seed.
fn steps(of_all: usize) -> usize {
    number("PORTREEVE_SIM_STEPS").map_or(of_all / SEEDS.len(), |steps| steps as usize)
}

/// Plays runs from every seed until there were so many steps of all, and reports the first that fails; true if a setting asked for
/// fewer, which do not get everywhere.
fn play_all<Config: Debug, Op: Debug + Clone, Seen>(
    of_all: usize,
    choose: impl Fn(&mut Choices<'_>) -> Config,
    mut explore: impl FnMut(&Config, &mut Choices<'_>, &mut Vec<Op>),
    replay: impl Fn(&Config, &[Op]) -> Seen,
) -> bool {
    for seed in seeds() {
        let mut choices = Choices::Seed(seed);
        let mut played = 0;
        while played < steps(of_all) {
            let config = choose(&mut choices);
            let mut ops = Vec::new();
            let run = || explore(&config, &mut choices, &mut ops);
            if let Some(words) = failure(run) {
                report(seed, (&config, &ops), &words, |ops| {
                    replay(&config, ops);
                });
            }
            played += ops.len();
        }
    }
    steps(of_all) < of_all / SEEDS.len()
}

/// Plays so many runs from a seed, each of which does the same twice more.
fn play_again<Config: Debug, Op: Debug, Seen: PartialEq>(
    (seed, runs): (u64, usize),
    choose: impl Fn(&mut Choices<'_>) -> Config,
    mut explore: impl FnMut(&Config, &mut Choices<'_>, &mut Vec<Op>),
    replay: impl Fn(&Config, &[Op]) -> Seen,
) {
    let mut choices = Choices::Seed(seed);
    for _ in 0..runs {
        let config = choose(&mut choices);
        let mut ops = Vec::new();
        explore(&config, &mut choices, &mut ops);
        let again = [(); 2].map(|()| replay(&config, &ops));
        assert!(again[0] == again[1], "{config:?} {ops:?}");
    }
}

/// Says what failed, in as few operations as it takes.
fn report<Config: Debug, Op: Debug + Clone>(
    seed: u64,
    (config, ops): (&Config, &[Op]),
    words: &str,
    replay: impl Fn(&[Op]),
) -> ! {
    std::panic::set_hook(Box::new(|_| {}));
    let shortest = shrink(ops, |ops| failure(|| replay(ops)).is_some());
    let last_words = failure(|| replay(&shortest)).unwrap_or_default();
    let _ = std::panic::take_hook();
    let list: String = shortest.iter().map(|op| format!("  {op:?}\n")).collect();
    panic!(
        "seed {seed}: {words}\n{config:?}\nshrunk from {} operations to {}: {last_words}\n{list}",
        ops.len(),
        shortest.len()
    );
}

#[test]
fn nothing_passes_between_two_hostile_peers_but_what_rfc_4254_and_the_grant_let_pass() {
    let mut tally = relay::Tally::default();
    let is_short = play_all(
        RELAY_STEPS,
        relay::Config::choose,
        |config, choices, ops| relay::explore(config, choices, ops, &mut tally),
        relay::replay,
    );
    assert!(
        is_short || tally.iter().all(|count| *count > 0),
        "too tame: {tally:?}"
    );
}

#[test]
fn the_relay_does_the_same_once_more() {
    let mut tally = relay::Tally::default();
    play_again(
        (5, 200),
        relay::Config::choose,
        |config, choices, ops| relay::explore(config, choices, ops, &mut tally),
        relay::replay,
    );
}

/// What a relay of 64 channels may hold: 256 requests of each direction of each channel at 2 bytes, and 256 global ones of each leg at
/// 64, with as much again for the growth of queues; 2 KiB for each channel itself.
const RELAY_BYTES: u64 = 2 * (64 * 2 * 256 * 2 + 2 * 256 * 64) + 64 * 2 * 1024;

#[test]
fn no_peer_makes_the_relay_remember_more_than_its_limits() {
    let config = relay::Config {
        grant: 0,
        mischief: 0,
    };
    let mut bare = relay::Bare::new(&config);
    let ops = relay::flood();
    let taken = allocation_counter::measure(|| ops.iter().for_each(|op| bare.step(op)));
    assert!(!bare.is_over, "all of it is allowed");
    assert!(taken.bytes_max < RELAY_BYTES, "{} bytes", taken.bytes_max);
    // Nor one question more.
    bare.step(&ops[ops.len() - 1]);
    assert!(bare.is_over, "a question beyond the limit was taken");
    let mut choices = Choices::Seed(6);
    let mut most_bytes = 0;
    for _ in 0..300 {
        let config = relay::Config::choose(&mut choices);
        let mut ops = Vec::new();
        relay::explore(
            &config,
            &mut choices,
            &mut ops,
            &mut relay::Tally::default(),
        );
        let mut bare = relay::Bare::new(&config);
        let taken = allocation_counter::measure(|| ops.iter().for_each(|op| bare.step(op)));
        most_bytes = most_bytes.max(taken.bytes_max);
    }
    assert!(most_bytes < RELAY_BYTES, "{most_bytes} bytes");
}

#[test]
fn a_session_keeps_every_invariant_whoever_is_slow_broken_or_hostile() {
    let mut tally = session::Tally::default();
    let is_short = play_all(
        SESSION_STEPS,
        session::Config::choose,
        |config, choices, ops| session::explore(config, choices, ops, &mut tally),
        session::replay,
    );
    let is_met = |reasons: &[&str], counts: &std::collections::BTreeMap<String, usize>| {
        reasons.iter().all(|reason| counts.contains_key(*reason))
    };
    assert!(
        is_short || (is_met(&REFUSALS, &tally.refusals) && is_met(&ENDS, &tally.ends)),
        "too tame: {tally:?}"
    );
}

/// What runs meet.
const REFUSALS: [&str; 11] = [
    "CertificateRejected",
    "ClientLeft",
    "TargetProtocol",
    "Operator",
    "Policy",
    "RecorderFailed",
    "Revoked",
    "Shutdown",
    "SigningFailed",
    "TargetTimeout",
    "TargetUnreachable",
];
const ENDS: [&str; 11] = [
    "AccessLost",
    "ClientDisconnected",
    "ClientMisbehaved",
    "IdleTimeout",
    "MaxSession",
    "Operator",
    "RecorderFailed",
    "Revoked",
    "Shutdown",
    "TargetDisconnected",
    "TargetMisbehaved",
];

#[test]
fn a_session_does_the_same_once_more() {
    let mut tally = session::Tally::default();
    play_again(
        (7, 40),
        session::Config::choose,
        |config, choices, ops| session::explore(config, choices, ops, &mut tally),
        session::replay,
    );
}

#[test]
fn sessions_inside_sessions_keep_every_invariant_of_one_alone() {
    let mut tally = nested::Tally::new();
    let is_short = play_all(
        NESTED_STEPS,
        nested::Config::choose,
        |config, choices, ops| nested::explore(config, choices, ops, &mut tally),
        nested::replay,
    );
    let is_met = NESTED_ENDS.iter().all(|end| tally.contains_key(*end));
    assert!(is_short || is_met, "too tame: {tally:?}");
}

/// What becomes of sessions one and two deep.
const NESTED_ENDS: [&str; 14] = [
    "1 AccessLost",
    "1 ClientDisconnected",
    "1 ClientMisbehaved",
    "1 Operator",
    "1 OuterEnded",
    "1 RecorderFailed",
    "1 Shutdown",
    "1 TargetDisconnected",
    "1 no: Policy",
    "2 AccessLost",
    "2 ClientDisconnected",
    "2 Operator",
    "2 OuterEnded",
    "2 RecorderFailed",
];

#[test]
fn sessions_inside_sessions_do_the_same_once_more() {
    let mut tally = nested::Tally::new();
    play_again(
        (8, 10),
        nested::Config::choose,
        |config, choices, ops| nested::explore(config, choices, ops, &mut tally),
        nested::replay,
    );
}
