#![doc = include_str!("../README.md")]
#![allow(
    clippy::expect_used,
    reason = "a bench that cannot go on has nothing to report"
)]

mod ends;

pub use ends::{ClientEnd, ServerEnd, host_key, offered, run_pair};

use std::time::Duration;

use criterion::Criterion;

/// Short runs: the whole set takes about two minutes, and ratios need no third digit.
#[must_use]
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_200))
        .configure_from_args()
}
