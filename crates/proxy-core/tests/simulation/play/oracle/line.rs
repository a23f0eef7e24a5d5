//! One channel from end to end.

use std::collections::VecDeque;
use std::time::Duration;

use proxy_core::{Leg, PerLeg};

/// What becomes of a request that wants an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The other side answers.
    Passed {
        starts: bool,
        lends: bool,
    },
    Refused,
}

/// What runs on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    None,
    Started,
    Refused,
}

#[derive(Debug)]
pub struct Line {
    /// In the log.
    pub(super) number: u32,
    pub(super) opener: Leg,
    pub(super) is_carried: bool,
    /// Its program may use the client's agent.
    pub(super) agent_is_lent: bool,
    /// It leads to the client's agent, and ends at the proxy.
    pub(super) is_agent: bool,
    /// What the agent was given and has not been looked at, and how much more each side takes, in bytes.
    pub(super) to_agent: Vec<u8>,
    pub(super) credit: PerLeg<usize>,
    pub(super) recorded_questions: usize,
    pub(super) ids: PerLeg<Option<u32>>,
    /// By who said so.
    pub(super) ended: PerLeg<bool>,
    pub(super) closed: PerLeg<bool>,
    /// By who asked.
    pub(super) asked: PerLeg<VecDeque<Fate>>,
    pub(super) program: Program,
    pub(super) has_exited: bool,
    /// Since when the target's EOF waits.
    pub(super) held_at: Option<Duration>,
    /// When the proxy last said something on it.
    pub(super) words_at: Option<Duration>,
    /// Window that the target does not know of, in bytes.
    pub(super) kept_back: usize,
    /// The beginnings of what each side sent, of a forwarded connection.
    pub(super) heads: PerLeg<Vec<u8>>,
    pub(super) is_cut: bool,
}

/// How far SSH may be behind other lines.
const HEAD_BYTES: usize = 16 * 1024;
const LINES_BEFORE: usize = 50;

impl Line {
    pub(super) fn new(number: u32, opener: Leg, id: u32, is_carried: bool) -> Self {
        let mut ids = PerLeg::default();
        ids[opener] = Some(id);
        Self {
            number,
            opener,
            is_carried,
            agent_is_lent: false,
            is_agent: false,
            to_agent: Vec::new(),
            credit: PerLeg::default(),
            recorded_questions: 0,
            ids,
            ended: PerLeg::default(),
            closed: PerLeg::default(),
            asked: PerLeg::default(),
            program: Program::None,
            has_exited: false,
            held_at: None,
            words_at: None,
            kept_back: 0,
            heads: PerLeg::default(),
            is_cut: false,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.ids.client.is_some() && self.ids.target.is_some()
    }

    pub(super) const fn is_over(&self) -> bool {
        self.closed.client && self.closed.target
    }

    /// Whether the stream from `from` is SSH's once it goes on with `bytes`.
    pub(super) fn would_be_ssh(&self, from: Leg, bytes: &[u8]) -> bool {
        let head = &self.heads[from];
        let room = HEAD_BYTES - head.len();
        if room == 0 {
            return false;
        }
        let whole = [head, &bytes[..bytes.len().min(room)]].concat();
        let mut lines = whole.split(|byte| *byte == b'\n').take(LINES_BEFORE + 1);
        lines.any(|line| line.starts_with(b"SSH-"))
    }

    /// The proxy gives the agent these bytes: questions that are in the log, to list its keys and to sign.
    ///
    /// # Panics
    /// When it is asked anything else.
    pub(super) fn asks_agent(&mut self, bytes: &[u8]) {
        self.to_agent.extend_from_slice(bytes);
        while let Some((head, rest)) = self.to_agent.split_at_checked(4) {
            let len = u32::from_be_bytes(head.try_into().expect("4 bytes")) as usize;
            let Some(message) = rest.get(..len) else {
                break;
            };
            assert!(
                matches!(message.first(), Some(11 | 13)),
                "the agent is asked {message:?}"
            );
            self.to_agent.drain(..4 + len);
            let left = self.recorded_questions.checked_sub(1);
            self.recorded_questions = left.expect("a question without a record");
        }
    }

    pub(super) fn carry(&mut self, from: Leg, bytes: &[u8]) {
        let head = &mut self.heads[from];
        let room = HEAD_BYTES - head.len();
        head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}
