//! How far the reading of a long file is, on standard error when that is a terminal.

use std::io::{self, IsTerminal as _, Write as _};

/// Shorter files are read before anybody looks, bytes.
const LONG_BYTES: u64 = 64 << 20;

pub(super) struct Progress {
    total: u64,
    done: u64,
    shown: u64,
}

/// When a command writes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prints {
    /// While it reads, so a bar on the same terminal would stand in the way.
    WhileReading,
    /// When it has read everything, or to files only.
    AtTheEnd,
}

impl Progress {
    /// Shows itself for a long log, on a terminal that is free for it.
    pub(super) fn of(len: u64, prints: Prints) -> Progress {
        let is_free = prints == Prints::AtTheEnd || !io::stdout().is_terminal();
        let is_seen = io::stderr().is_terminal() && is_free;
        Progress {
            total: if is_seen && len >= LONG_BYTES { len } else { 0 },
            done: 0,
            shown: 0,
        }
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.done += bytes;
        let Some(percent) = (self.done * 100).checked_div(self.total) else {
            return;
        };
        if percent > self.shown {
            self.shown = percent;
            let filled = "#".repeat(usize::try_from(percent / 4).unwrap_or(0));
            // It is only for show.
            let _ = write!(io::stderr(), "\r[{filled:<25}] {percent:>3} %");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown > 0 {
            let _ = write!(io::stderr(), "\r{:40}\r", "");
        }
    }
}
