//! CPU time of this process and of the children that it has waited for.

use std::time::Duration;

/// Ticks of `/proc/self/stat` in a second: `USER_HZ`, which Linux has fixed.
const TICKS_PER_SEC: u64 = 100;

pub(crate) fn used() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    // The program's name, in parentheses, may contain anything. Behind it: utime, stime, cutime, cstime (proc(5)).
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(|field| field.parse::<u64>().expect("a number"))
        .sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SEC)
}
