//! The two ends of the channel that a level of [`super::tree`] is inside of.

use proxy_core::Leg;

use super::packets as p;
use super::tree::Tree;

/// One end of the channel that the next level is inside of.
#[derive(Default)]
pub struct Pipe {
    /// Its number at the proxy's side of this end.
    pub(super) peer: Option<u32>,
    /// What may be sent, and is to be sent.
    pub writable: usize,
    pub out: Vec<u8>,
    /// What the proxy may send.
    pub granted: usize,
    /// What it has sent.
    pub got: Vec<u8>,
    /// Nothing is read at this end.
    pub is_stalled: bool,
    pub has_eof: bool,
    pub is_closed: bool,
    pub closes_too: bool,
    pub(super) has_said_eof: bool,
    /// This end has closed it by itself, and says nothing more.
    pub has_left: bool,
}

impl Tree {
    /// An `ssh` inside the channel of a level ends when it is told goodbye, and so that side of the channel.
    pub(super) fn leave(&mut self, level: usize) -> bool {
        let inside = self.levels.get(level + 1).and_then(|it| it.person.as_ref());
        let is_told = inside.is_some_and(|it| it.goodbye.is_some());
        let pipe = &mut self.levels[level].pipe.client;
        let may = pipe.closes_too && !pipe.is_closed && !pipe.has_left && pipe.out.is_empty();
        let (true, true, false, Some(id)) = (is_told, may, pipe.has_said_eof, pipe.peer) else {
            return false;
        };
        pipe.has_said_eof = true;
        self.send(level, Leg::Client, &p::eof(id));
        true
    }

    /// Data of the next level.
    pub(super) fn piped(&mut self, level: usize, leg: Leg, data: &[u8]) {
        let max = self.window.1 as usize;
        let pipe = &mut self.levels[level].pipe[leg];
        assert!(data.len() <= max, "a packet beyond its size");
        assert!(
            data.len() <= pipe.granted || self.is_hostile,
            "data beyond the window"
        );
        pipe.granted = pipe.granted.saturating_sub(data.len());
        pipe.got.extend_from_slice(data);
        self.unstall(level, leg);
    }

    /// Takes what waits at an end.
    pub fn unstall(&mut self, level: usize, leg: Leg) {
        let pipe = &mut self.levels[level].pipe[leg];
        let (Some(id), false) = (pipe.peer, pipe.is_stalled) else {
            return;
        };
        let got = pipe.got.len();
        let has_end = match (leg, self.levels.get_mut(level + 1)) {
            (Leg::Client, Some(next)) => next.person.as_mut().map(|it| &mut it.incoming),
            (Leg::Target, Some(next)) => next.target.as_mut().map(|it| &mut it.incoming),
            _ => None,
        }
        .map(|incoming| incoming.len())
        .is_some();
        if !has_end {
            return;
        }
        let bytes = std::mem::take(&mut self.levels[level].pipe[leg].got);
        let next = &mut self.levels[level + 1];
        match leg {
            Leg::Client => next.person.as_mut().unwrap().incoming.extend(bytes),
            Leg::Target => next.target.as_mut().unwrap().incoming.extend(bytes),
        }
        // Nothing is said of a window behind the end of the channel.
        let pipe = &self.levels[level].pipe[leg];
        if got == 0 || pipe.is_closed || pipe.has_left {
            return;
        }
        self.levels[level].pipe[leg].granted += got;
        let more = p::window_adjust(id, u32::try_from(got).unwrap());
        self.send(level, leg, &more);
    }

    /// Sends what is inside a pipe, as far as its window goes.
    pub fn flush(&mut self, level: usize, leg: Leg) {
        loop {
            let pipe = &mut self.levels[level].pipe[leg];
            let len = pipe.out.len().min(pipe.writable).min(self.longest);
            let (Some(id), true) = (pipe.peer, len > 0 && !pipe.is_closed && !pipe.has_left) else {
                return;
            };
            pipe.writable -= len;
            let bytes: Vec<u8> = pipe.out.drain(..len).collect();
            self.send(level, leg, &p::data(id, &bytes));
        }
    }

    /// Bytes of an end that no SSH machine makes.
    pub fn pipe(&mut self, level: usize, leg: Leg, bytes: &[u8]) {
        self.levels[level].pipe[leg].out.extend_from_slice(bytes);
        self.flush(level, leg);
    }
}
