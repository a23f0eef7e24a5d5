//! What the documentation says of limits and times is what they are.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use proxy_core::{Limits, Timeouts};

const README: &str = include_str!("../README.md");

/// The rows of a table of the README whose last column is this setting.
fn rows(name: &str) -> Vec<&'static str> {
    let end = format!("| `{name}` |");
    README.lines().filter(|line| line.ends_with(&end)).collect()
}

fn written(value: usize) -> String {
    const KIB: usize = 1024;
    match value {
        _ if value >= KIB * KIB && value.is_multiple_of(KIB * KIB) => {
            format!("{} MiB", value / KIB / KIB)
        }
        _ if value > KIB && value.is_multiple_of(KIB) => format!("{} KiB", value / KIB),
        _ => value.to_string(),
    }
}

fn written_time(time: Duration) -> String {
    match time.as_secs() {
        secs if secs >= 180 && secs % 60 == 0 => format!("{} min", secs / 60),
        secs => format!("{secs} s"),
    }
}

#[test]
fn every_limit_and_time_has_one_row_with_its_default() {
    let (mut limits, mut timeouts) = (Limits::default(), Timeouts::default());
    let counts = limits
        .settings()
        // A count, or as many bytes.
        .map(|(name, value, _)| (name, vec![value.to_string(), written(*value)]));
    let times = timeouts
        .settings()
        .map(|(name, value)| (name, vec![written_time(*value)]));
    for (name, default) in counts.into_iter().chain(times) {
        let [row] = rows(name)[..] else {
            panic!("{name}: {:?}", rows(name));
        };
        let words: Vec<_> = row
            .split(|c: char| "|(),;`".contains(c))
            .map(str::trim)
            .collect();
        assert!(
            default.iter().any(|it| words.contains(&it.as_str())),
            "{name} = {default:?}: {row}"
        );
    }
}
