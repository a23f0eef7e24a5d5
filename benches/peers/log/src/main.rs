//! `session-log` beside the primitives it is made of and beside age; then a large log in a file.
//!
//! `cargo run --release -- MIB` sets the size of the large log; the default is 1024.

mod large;
mod logs;
mod pieces;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

fn main() {
    let mib = match std::env::args().nth(1) {
        Some(text) => text.parse().expect("a number of MiB"),
        None => 1_024,
    };
    pieces::print();
    large::print(mib);
}

/// How long the processor works on this. What else runs on the machine is left out, as far as it can be.
fn time(run: impl FnOnce()) -> Duration {
    let now = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    let start = now();
    run();
    now() - start
}

/// The shortest of each, taken in turns so that all have the same weather.
fn shortest<const N: usize>(rounds: usize, mut runs: [&mut dyn FnMut(); N]) -> [Duration; N] {
    let mut shortest = [Duration::MAX; N];
    for _ in 0..rounds {
        for (least, run) in shortest.iter_mut().zip(&mut runs) {
            *least = (*least).min(time(run));
        }
    }
    shortest
}

fn gigabytes_per_second(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / took.as_secs_f64() / 1e9
}
