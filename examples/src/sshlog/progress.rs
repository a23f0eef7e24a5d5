//! How far the reading of a long file is, on standard error when that is a terminal.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};

/// Shorter files are read before anybody looks, bytes.
const LONG_BYTES: u64 = 64 << 20;

pub(super) struct Progress {
    total: u64,
    done: u64,
    shown: u64,
}

impl Progress {
    /// Shows nothing.
    pub(super) fn hidden() -> Progress {
        Progress {
            total: 0,
            done: 0,
            shown: 0,
        }
    }

    /// Shows itself for a long file, unless standard output is the same terminal.
    pub(super) fn of(file: &File) -> Progress {
        let len = file.metadata().map_or(0, |metadata| metadata.len());
        let seen = io::stderr().is_terminal() && !io::stdout().is_terminal();
        Progress {
            total: if seen && len >= LONG_BYTES { len } else { 0 },
            ..Progress::hidden()
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
