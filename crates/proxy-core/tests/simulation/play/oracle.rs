//! What may pass between two peers: RFC 4254, the grant, and what the README of the crate promises, as plain tables.
//!
//! For each packet it says beforehand what has to become of it; afterwards it looks at all that came out.

mod agent;
mod inside;
mod judge;
mod line;
mod outcome;
mod windows;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use proxy_core::{Leg, PerLeg};

pub use self::inside::{Act, Word, is_abandoned, is_unwanted};
use self::line::{Fate, Line};
pub use self::outcome::{Out, Told};
use super::grants::Granted;

/// What has to become of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on as it is.
    Pass,
    /// It ends here, with a refusal in the log.
    Refuse,
    /// The connection ends.
    Break,
    /// One of these two.
    RefuseOrBreak,
    /// The target's EOF: recorded, and said to the client a little later.
    Hold,
    /// It was asked for by the proxy, or is the rest of what was cut.
    Keep,
    /// It is about a channel that ends at the proxy, which speaks for itself.
    Own,
    /// A session inside has it.
    Taken,
    /// It is more than the proxy takes there: the connection ends.
    TooMuch,
}

impl Verdict {
    /// How many there are.
    pub const ALL: usize = Self::TooMuch as usize + 1;
}

/// Where the target listens for the client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listener {
    Tcp(String, u32),
    Socket(String),
}

/// What a leg's global request waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    Passed,
    Begin(Listener),
    End(Listener),
    Refused,
}

/// Who is answered by a leg's next global reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Debt {
    ToPeer,
    ToProxy,
}

/// The state of all that passed.
#[derive(Debug)]
pub struct Oracle {
    granted: &'static Granted,
    lines: Vec<Line>,
    wishes: PerLeg<VecDeque<Wish>>,
    debts: PerLeg<VecDeque<Debt>>,
    listeners: BTreeSet<Listener>,
    last_number: u32,
    now: Duration,
}

/// Most requests of one direction that wait.
const MAX_WAITING: usize = 256;
const MAX_LISTENERS: usize = 64;
const EOF_HOLD: Duration = Duration::from_millis(50);
const WORDS_HOLD: Duration = Duration::from_secs(1);

impl Oracle {
    pub fn new(granted: &'static Granted) -> Self {
        Self {
            granted,
            lines: Vec::new(),
            wishes: PerLeg::default(),
            debts: PerLeg::default(),
            listeners: BTreeSet::new(),
            last_number: 0,
            now: Duration::ZERO,
        }
    }

    /// The channel to which `to` belongs in a packet of `from`.
    fn at(&self, from: Leg, to: u32) -> Option<usize> {
        let is_it = |line: &Line| line.ids[from.other()] == Some(to) && line.is_open();
        // A number that was given again is the younger one's once the older one is closed.
        let mut lines = self.lines.iter();
        let open = lines.position(|line| is_it(line) && !line.closed[from]);
        open.or_else(|| self.lines.iter().position(is_it))
    }

    /// The channel that `from` was asked for by this number and has not answered.
    fn unanswered(&self, from: Leg, to: u32) -> Option<&Line> {
        let mut lines = self.lines.iter();
        lines.find(|it| it.opener != from && it.ids[it.opener] == Some(to) && !it.is_open())
    }

    /// The same, to be changed.
    fn unanswered_mut(&mut self, from: Leg, to: u32) -> Option<&mut Line> {
        let mut lines = self.lines.iter_mut();
        lines.find(|it| it.opener != from && it.ids[it.opener] == Some(to) && !it.is_open())
    }

    /// What is owed to a peer and nothing is in the way of has been given.
    ///
    /// # Panics
    /// When it has not.
    pub fn nothing_is_due(&self) {
        for line in &self.lines {
            for leg in [Leg::Client, Leg::Target] {
                let refused = matches!(line.asked[leg].front(), Some(Fate::Refused));
                let reads_why = leg == Leg::Client
                    && line.words_at.is_some_and(|at| at + WORDS_HOLD > self.now);
                assert!(
                    !refused || reads_why || line.closed[leg.other()] || line.is_told_close[leg],
                    "a refusal is due to the {leg:?}: {line:?}"
                );
            }
            let late = line.held_at.is_some_and(|at| at + EOF_HOLD <= self.now);
            assert!(!late, "an EOF is due: {line:?}");
        }
        for leg in [Leg::Client, Leg::Target] {
            let refused = self.wishes[leg].front() == Some(&Wish::Refused);
            assert!(!refused, "a global refusal is due to the {leg:?}");
        }
    }
}
