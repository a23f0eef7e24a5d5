//! Windows (RFC 4254 section 5.2): what each side was told that it may send, and what each takes.
//!
//! Peers here send without a look at them. What goes through takes as much of both, so that they stay apart or together all the same.

use proxy_core::relay::{AGENT_WINDOW_BYTES, TERMINATED_WINDOW_BYTES};
use proxy_core::{Leg, PerLeg};

use super::Oracle;
use super::inside::Inside;
use super::line::Line;

/// In bytes.
#[derive(Debug, Default)]
pub(super) struct Windows {
    /// What it may still send.
    pub(super) told: PerLeg<i64>,
    /// What it still takes.
    pub(super) takes: PerLeg<i64>,
}

/// What the proxy may keep to itself before it grants it again: twice 128 KiB, once for what was taken, and once for what was lacking
/// when the session was found.
const UNGRANTED_BYTES: i64 = 2 * 128 * 1024;

impl Windows {
    /// A side says at the beginning how much it takes; the other is told the same, if nobody tells it otherwise.
    pub(super) fn says(&mut self, leg: Leg, bytes: u32) {
        self.takes[leg] = i64::from(bytes);
        self.told[leg.other()] = i64::from(bytes);
    }

    /// Data passes.
    pub(super) fn pass(&mut self, from: Leg, len: usize) {
        self.told[from] -= len as i64;
        self.takes[from.other()] -= len as i64;
    }

    /// A side takes more; the other knows where that `passes`. A window of the proxy's `own` account stays below 2^32.
    pub(super) fn adjust(&mut self, leg: Leg, bytes: u32, passes: bool, is_own: bool) {
        self.takes[leg] += i64::from(bytes);
        if is_own {
            self.takes[leg] = self.takes[leg].min(i64::from(u32::MAX));
        }
        if passes {
            self.told[leg.other()] += i64::from(bytes);
        }
    }
}

impl Oracle {
    /// Nobody was told of more than there is room for, and nobody of so much less that it would wait for ever.
    ///
    /// # Panics
    /// When somebody was.
    pub(super) fn windows_agree(&self) {
        let lines = self.lines.iter();
        for line in lines.filter(|it| it.is_open() && !it.is_cut) {
            for leg in [Leg::Client, Leg::Target] {
                line.window_agrees(leg);
            }
        }
    }
}

impl Line {
    fn window_agrees(&self, from: Leg) {
        let told = self.windows.told[from];
        let room = self.windows.takes[from.other()];
        let is_open = self.may_send(from);
        match self.inside {
            Inside::Session => {
                let window = i64::from(TERMINATED_WINDOW_BYTES);
                let held = self.untaken[from] as i64;
                assert!(told + held <= window, "the {from:?} may send {told}");
                let waits = is_open && !self.is_told_close[from] && held == 0;
                let is_fair = told >= window - UNGRANTED_BYTES;
                assert!(is_fair || !waits, "the {from:?} may send {told} only");
            }
            Inside::Unknown => {
                let least = room.min(UNGRANTED_BYTES / 2);
                assert!((least..=room.max(least)).contains(&told), "{self:?}");
            }
            Inside::Nothing if self.is_agent => {
                let window = i64::from(AGENT_WINDOW_BYTES);
                assert!(told <= window, "the {from:?} may send {told}");
            }
            Inside::Nothing => {
                let kept = if from == Leg::Target {
                    self.kept_back as i64
                } else {
                    0
                };
                assert_eq!(told + kept, room, "the window of the {from:?}: {self:?}");
            }
        }
    }
}
