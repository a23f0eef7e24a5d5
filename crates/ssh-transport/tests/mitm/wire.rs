//! A session whose packets go through somebody's hands.

use ssh_transport::{DisconnectReason, Error};

use super::common::wire::{Message, clear_packet};
use super::common::{ClientEnd, START, ServerEnd};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the client.
    Up,
    /// From the server.
    Down,
}

/// What is done to one packet.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Attack {
    /// It never arrives.
    Drop,
    /// It arrives twice.
    Repeat,
    /// It arrives after the one behind it.
    Swap,
    /// Its last byte is missing.
    Cut,
    /// The lowest bit of this byte changes, or of the last.
    Flip(usize),
    /// An IGNORE in clear arrives before it.
    AddIgnore,
    /// Something else arrives.
    Become(Change),
}

/// Makes another packet of a packet.
pub(crate) type Change = fn(Vec<u8>) -> Vec<u8>;

/// The identification line, or a packet.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Line,
    /// With its message number.
    Clear(u8),
    Sealed,
}

/// Cuts what one side sends into packets, whose lengths are in clear.
struct Splitter {
    /// Length of what authenticates a packet, in bytes.
    tag_bytes: usize,
    rest: Vec<u8>,
    has_line: bool,
    is_sealed: bool,
}

impl Splitter {
    fn new(tag_bytes: usize) -> Self {
        Self {
            tag_bytes,
            rest: Vec::new(),
            has_line: false,
            is_sealed: false,
        }
    }

    fn split(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.rest.extend_from_slice(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = self.next() {
            frames.push(frame);
        }
        frames
    }

    fn next(&mut self) -> Option<Frame> {
        if !self.has_line {
            let end = self.rest.iter().position(|b| *b == b'\n')? + 1;
            self.has_line = true;
            return Some(self.take(end, Kind::Line));
        }
        let length = u32::from_be_bytes(self.rest.get(..4)?.try_into().unwrap()) as usize;
        if self.is_sealed {
            return Some(self.take(4 + length + self.tag_bytes, Kind::Sealed));
        }
        let number = self.rest[5];
        self.is_sealed = number == 21;
        Some(self.take(4 + length, Kind::Clear(number)))
    }

    fn take(&mut self, len: usize, kind: Kind) -> Frame {
        let bytes = self.rest.drain(..len).collect();
        Frame { bytes, kind }
    }
}

/// What became of a session.
pub(crate) struct Outcome {
    pub(crate) client: ClientEnd,
    pub(crate) server: ServerEnd,
    pub(crate) client_error: Option<Error>,
    pub(crate) server_error: Option<Error>,
    /// What each side sent, by direction.
    pub(crate) frames: [Vec<Frame>; 2],
    /// Payloads that each side gave its machine, by direction.
    pub(crate) sent: [Vec<Vec<u8>>; 2],
}

impl Outcome {
    /// Whether everything arrived.
    pub(crate) fn is_whole(&self) -> bool {
        [&self.server.received, &self.client.received] == [&self.sent[0], &self.sent[1]]
    }

    /// Whether what arrived is the beginning of what was sent.
    pub(crate) fn is_beginning(&self) -> bool {
        self.sent[0].starts_with(&self.server.received)
            && self.sent[1].starts_with(&self.client.received)
    }

    /// How it ended for who reads this direction: its error in words, its peer's goodbye, or nothing.
    pub(crate) fn end_of_reader(&self, direction: Direction) -> String {
        let (error, goodbye) = match direction {
            Direction::Up => (&self.server_error, &self.server.goodbye),
            Direction::Down => (&self.client_error, &self.client.goodbye),
        };
        match (error, goodbye) {
            (Some(Error::PeerMisbehaved(what)), _) => what.to_string(),
            (Some(error), _) => error.to_string(),
            (None, Some((_, text))) => format!("told: {text}"),
            (None, None) => String::new(),
        }
    }
}

pub(crate) struct Session {
    outcome: Outcome,
    splitters: [Splitter; 2],
    /// Packets that were handed on, by direction.
    seen: [usize; 2],
    /// The packet that a swap holds back.
    held: Option<Frame>,
}

impl Session {
    /// `tag_bytes` is the length of what authenticates a packet.
    pub(crate) fn new(client: ClientEnd, server: ServerEnd, tag_bytes: usize) -> Self {
        let outcome = Outcome {
            client,
            server,
            client_error: None,
            server_error: None,
            frames: [Vec::new(), Vec::new()],
            sent: [Vec::new(), Vec::new()],
        };
        Self {
            outcome,
            splitters: [Splitter::new(tag_bytes), Splitter::new(tag_bytes)],
            seen: [0, 0],
            held: None,
        }
    }

    /// Runs the whole session; the attack is on the packet of this direction and number.
    pub(crate) fn run(mut self, attack: Option<(Direction, usize, Attack)>) -> Outcome {
        self.settle(attack);
        for step in 0..4 {
            match step {
                0 => self.send(3),
                1 => self.outcome.client.machine.start_rekey(START),
                2 => self.send(2),
                // Who reads the attacked direction still reads the goodbye.
                _ if attack.is_some_and(|(direction, ..)| direction == Direction::Down) => {
                    self.outcome
                        .server
                        .machine
                        .disconnect(DisconnectReason::ByApplication, "done");
                }
                _ => self
                    .outcome
                    .client
                    .machine
                    .disconnect(DisconnectReason::ByApplication, "done"),
            }
            self.settle(attack);
        }
        self.outcome
    }

    /// What both sides send at once, if they are logged in.
    fn send(&mut self, count: usize) {
        for _ in 0..count {
            let tag = u32::try_from(self.outcome.sent[0].len()).unwrap();
            let payload = Message::new(94)
                .word(tag)
                .string(vec![b'x'; 10 << tag])
                .done();
            let Outcome {
                client,
                server,
                sent,
                ..
            } = &mut self.outcome;
            if client.machine.send_packet(&payload, START).is_ok() {
                sent[0].push(payload.clone());
            }
            if server.machine.send_packet(&payload, START).is_ok() {
                sent[1].push(payload);
            }
        }
    }

    /// Carries packets until nothing moves; then time passes for who is not logged in.
    fn settle(&mut self, attack: Option<(Direction, usize, Attack)>) {
        loop {
            let Outcome { client, server, .. } = &mut self.outcome;
            let up = client.machine.poll_output().unwrap_or_default();
            let down = server.machine.poll_output().unwrap_or_default();
            if up.is_empty() && down.is_empty() {
                break;
            }
            self.carry(Direction::Up, &up, attack);
            self.carry(Direction::Down, &down, attack);
        }
        let Outcome {
            client,
            server,
            client_error,
            server_error,
            ..
        } = &mut self.outcome;
        if !(client.authenticated && server.authenticated) {
            if let Some(at) = client.machine.poll_timeout() {
                *client_error = client.machine.handle_timeout(at).err();
            }
            if let Some(at) = server.machine.poll_timeout() {
                *server_error = server.machine.handle_timeout(at).err();
            }
        }
    }

    fn carry(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        attack: Option<(Direction, usize, Attack)>,
    ) {
        let side = direction as usize;
        for frame in self.splitters[side].split(bytes) {
            let number = self.seen[side];
            self.seen[side] += 1;
            self.outcome.frames[side].push(frame.clone());
            let what = attack.filter(|(d, at, _)| (*d, *at) == (direction, number));
            if let Some((_, _, Attack::Swap)) = what {
                self.held = Some(frame);
                continue;
            }
            for bytes in changed(frame.bytes, what.map(|(_, _, what)| what)) {
                self.deliver(direction, &bytes);
            }
            if attack.is_some_and(|(d, ..)| d == direction)
                && let Some(held) = self.held.take()
            {
                self.deliver(direction, &held.bytes);
            }
        }
    }

    fn deliver(&mut self, direction: Direction, bytes: &[u8]) {
        let Outcome {
            client,
            server,
            client_error,
            server_error,
            ..
        } = &mut self.outcome;
        let (result, error) = match direction {
            Direction::Up => (server.feed(bytes), server_error),
            Direction::Down => (client.feed(bytes), client_error),
        };
        if let Err(found) = result {
            assert!(error.is_none(), "an error after the last");
            *error = Some(found);
        }
    }
}

/// What arrives in place of a packet.
fn changed(mut bytes: Vec<u8>, attack: Option<Attack>) -> Vec<Vec<u8>> {
    match attack {
        None => vec![bytes],
        Some(Attack::Drop | Attack::Swap) => Vec::new(),
        Some(Attack::Repeat) => vec![bytes.clone(), bytes],
        Some(Attack::Cut) => {
            bytes.pop();
            vec![bytes]
        }
        Some(Attack::Flip(at)) => {
            let last = bytes.len() - 1;
            bytes[at.min(last)] ^= 1;
            vec![bytes]
        }
        Some(Attack::Become(change)) => vec![change(bytes)],
        Some(Attack::AddIgnore) => vec![clear_packet(&Message::new(2).string("").done()), bytes],
    }
}
