//! Long logs leave the page cache while they grow.
//!
//! A log is hardly ever read while it is written. Left to itself it would fill the memory that other programs' files are cached in,
//! and each of its pages would be one that was not used for long, which is dear to touch, the more so in a virtual machine that gives
//! unused memory back to its host.

use std::fs::File;
use std::num::NonZeroU64;
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};

/// What is handed to the disk at a time, 8 MiB: enough to be worth a thread, and more than most sessions write in all.
const CHUNK_BYTES: u64 = 8 << 20;
/// How far back is looked for what the disk has by now, in chunks.
const LOOK_BACK: u64 = 4;

/// Part of a log's file that nobody will append to any more.
pub(super) struct Settled {
    file: Arc<File>,
    from: u64,
    to: u64,
}

impl Settled {
    /// The whole chunks that were finished when the length of the file went from `before` to `now`; none, while the ones before are
    /// still being let go.
    pub(super) fn between(file: &Arc<File>, before: u64, now: u64) -> Option<Self> {
        let to = now / CHUNK_BYTES * CHUNK_BYTES;
        let is_free = Arc::strong_count(file) == 1;
        (to > before && is_free).then(|| Self {
            file: Arc::clone(file),
            from: before.saturating_sub(LOOK_BACK * CHUNK_BYTES),
            to,
        })
    }

    /// Where it ends.
    pub(super) fn end(&self) -> u64 {
        self.to
    }

    /// Has the disk begin to write what it has not got yet, and gives up the memory of what it has. May wait for the disk.
    pub(super) fn let_go(self) {
        // It is advice: a file system that does not take it loses nothing.
        let len = NonZeroU64::new(self.to.saturating_sub(self.from));
        let _ = fadvise(&self.file, self.from, len, Advice::DontNeed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn range(file: &Arc<File>, before: u64, now: u64) -> Option<(u64, u64)> {
        Settled::between(file, before, now).map(|settled| (settled.from / MIB, settled.to / MIB))
    }

    #[test]
    fn whole_chunks_are_let_go_and_once_more_those_before_them() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        for (before, now, expected) in [
            (0, 8 * MIB - 1, None),
            (0, 8 * MIB, Some((0, 8))),
            (8 * MIB, 8 * MIB + 1, None),
            (8 * MIB, 17 * MIB, Some((0, 16))),
            (80 * MIB, 104 * MIB + 5, Some((48, 104))),
        ] {
            assert_eq!(range(&file, before, now), expected, "{before} to {now}");
        }
    }

    #[test]
    fn the_next_waits_until_the_disk_has_taken_the_last() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let first = Settled::between(&file, 0, 8 * MIB).unwrap();
        assert_eq!(range(&file, 8 * MIB, 16 * MIB), None);
        first.let_go();
        assert_eq!(range(&file, 8 * MIB, 24 * MIB), Some((0, 24)));
    }
}
