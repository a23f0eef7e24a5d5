//! One channel from end to end.

use std::collections::VecDeque;
use std::time::Duration;

use proxy_core::{Leg, PerLeg};
use sha2::{Digest as _, Sha256};

use super::agent::Talk;
use super::inside::Inside;
use super::windows::Windows;

/// What becomes of a request that wants an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The other side answers.
    Passed {
        starts: bool,
        lends: Lends,
    },
    Refused,
}

/// What of the client's a program of the target may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lends {
    Nothing,
    Agent,
    OneWindow,
    Windows,
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
    pub(super) inside: Inside,
    /// Bytes that the session inside has and is not done with.
    pub(super) untaken: PerLeg<usize>,
    /// The session inside is over, and each side was told so.
    pub(super) is_told_close: PerLeg<bool>,
    /// How much of "SSH-" its client has said.
    pub(super) greeted: usize,
    pub(super) windows: Windows,
    /// What is said there.
    pub(super) talk: Talk,
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
    /// How many more windows its program may show; as many as there can be is any number.
    pub(super) windows_left: usize,
    /// It carries a window, which is the one that the program on this channel had to show.
    pub(super) window_of: Option<u32>,
    /// It carries a window: what the target said first, as far as it says where the cookie is.
    pub(super) greeting: Option<Vec<u8>>,
    /// What came from each side and passed.
    pub(super) carried: PerLeg<Count>,
}

/// So many bytes, and what they hash to.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) bytes: u64,
    pub(super) sha256: Sha256,
}

/// What a program says first: where its cookie begins is in so many bytes, and a cookie is at most so long.
const GREETING_BYTES: usize = 12;
const MAX_COOKIE_BYTES: usize = 64;

/// How far SSH may be behind other lines.
const HEAD_BYTES: usize = 16 * 1024;
const LINES_BEFORE: usize = 50;

impl Line {
    /// Its program may be there still, with what was lent to it.
    pub(super) fn has_loans(&self) -> bool {
        !self.closed.client && !self.closed.target
    }

    /// The target agreed to what was asked for.
    pub(super) fn lend(&mut self, lends: Lends) {
        match lends {
            Lends::Nothing => {}
            Lends::Agent => self.agent_is_lent = true,
            Lends::OneWindow => self.windows_left = self.windows_left.saturating_add(1),
            Lends::Windows => self.windows_left = usize::MAX,
        }
    }

    pub(super) fn new(number: u32, opener: Leg, id: u32, is_carried: bool) -> Self {
        let mut ids = PerLeg::default();
        ids[opener] = Some(id);
        Self {
            number,
            opener,
            is_carried,
            agent_is_lent: false,
            is_agent: false,
            inside: Inside::Nothing,
            untaken: PerLeg::default(),
            is_told_close: PerLeg::default(),
            greeted: 0,
            windows: Windows::default(),
            talk: Talk::default(),
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
            windows_left: 0,
            window_of: None,
            greeting: None,
            carried: PerLeg::default(),
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.ids.client.is_some() && self.ids.target.is_some()
    }

    /// Its program may show another window.
    pub(super) fn may_show(&self) -> bool {
        self.windows_left > 0 && self.has_loans()
    }

    /// Both sides have closed it, and so has the session inside.
    pub(super) const fn is_over(&self) -> bool {
        let goes_on = matches!(self.inside, Inside::Session)
            && !(self.is_told_close.client && self.is_told_close.target);
        self.closed.client && self.closed.target && !goes_on
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

    /// The bytes as the log may have them: without the cookie that lets its reader show windows too.
    pub(super) fn without_cookie(&self, from: Leg, bytes: &[u8]) -> Vec<u8> {
        let Some(greeting) = self.greeting.as_ref().filter(|_| from == Leg::Target) else {
            return bytes.to_vec();
        };
        let begin = self.carried.target.bytes as usize;
        let head = [greeting, bytes].concat();
        let number = |at: usize| match (head[0], [head[at], head[at + 1]]) {
            (b'B', bytes) => usize::from(u16::from_be_bytes(bytes)),
            (_, bytes) => usize::from(u16::from_le_bytes(bytes)),
        };
        if head.len() <= GREETING_BYTES || !matches!(head[0], b'B' | b'l') {
            return bytes.to_vec();
        }
        let (name, len) = (number(6), number(8));
        let from = GREETING_BYTES + name.div_ceil(4) * 4;
        let hidden = from..if len > MAX_COOKIE_BYTES {
            from
        } else {
            from + len
        };
        let all = bytes.iter().zip(begin..);
        all.map(|(byte, at)| if hidden.contains(&at) { 0 } else { *byte })
            .collect()
    }

    pub(super) fn carry(&mut self, from: Leg, bytes: &[u8]) {
        if let Some(greeting) = self.greeting.as_mut().filter(|_| from == Leg::Target) {
            let room = GREETING_BYTES - greeting.len();
            greeting.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        self.carried[from].bytes += bytes.len() as u64;
        self.carried[from].sha256.update(bytes);
        let head = &mut self.heads[from];
        let room = HEAD_BYTES - head.len();
        head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}
