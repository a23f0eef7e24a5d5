//! A session between two peers that do their worst, and an allocator that counts what it holds meanwhile.
//!
//! What waits to be written is counted too: a driver keeps it for a peer that does not read. The peers' own memory is not.

#![allow(unreachable_pub, reason = "a test's help")]

use allocation_counter::measure;
use bytes::Bytes;
use proxy_core::{EndReason, EventKind, Input, Leg, Now, Output, PerLeg, Session};
use ssh_transport::{Client, ClientEvent, Ed25519Key, Server, ServerEvent};

use crate::sim::packets as p;
use crate::sim::{Setup, World, ed25519};

/// How much a peer has said ahead of what the session reads.
const AHEAD_BYTES: usize = 512 * 1024;

/// Counts what is held from one call to the next.
#[derive(Default)]
struct Meter {
    held_bytes: i64,
    peak_bytes: i64,
}

impl Meter {
    fn run<T>(&mut self, what: impl FnOnce() -> T) -> T {
        let mut result = None;
        let used = measure(|| result = Some(what()));
        let peak = self.held_bytes + i64::try_from(used.bytes_max).unwrap();
        self.peak_bytes = self.peak_bytes.max(peak);
        self.held_bytes += used.bytes_current;
        result.unwrap()
    }
}

pub struct Arena {
    session: Session,
    person: Client,
    target: Server,
    target_key: Ed25519Key,
    now: Now,
    meter: Meter,
    /// What a peer has said and the session has not read.
    said: PerLeg<Vec<u8>>,
    /// What the session has said and a peer has not looked at.
    heard: PerLeg<Vec<u8>>,
    /// For peers that do not read, as a driver keeps it.
    kept: PerLeg<Vec<Bytes>>,
    pub deaf: PerLeg<bool>,
    /// The driver gives no word about the log's pages.
    pub log_is_silent: bool,
    /// Most bytes that one read brings.
    pub read_at_most: usize,
    pub passed: PerLeg<u64>,
    granted: Vec<(Leg, u32, u32)>,
    pub cost: Cost,
}

/// What an attack came to.
#[derive(Debug, Default, Clone)]
pub struct Cost {
    /// The most that the session and what it gave out took, in bytes.
    pub peak_bytes: u64,
    /// What the attackers got read, on the wire.
    pub hostile_bytes: u64,
    /// What the log grew by.
    pub logged_bytes: u64,
    pub events: u64,
    /// What the session said to peers that read it.
    pub answered_bytes: u64,
    pub end: Option<EndReason>,
    /// The session read no more.
    pub is_held_up: bool,
}

impl Arena {
    /// After the login, with channel 0 of the person and 7 of the target open.
    pub fn new(setup: Setup) -> Self {
        let target_key = ed25519(setup.target_key);
        let mut world = World::logged_in(setup);
        world.person_sends(&p::open("session", 0, 2_000_000, &[]));
        world.target_sends(&p::confirm(0, 7));
        let now = world.now;
        let World {
            session,
            person,
            target,
            ..
        } = world;
        Self {
            session,
            person: person.ssh,
            target: target.unwrap().ssh,
            target_key,
            now,
            meter: Meter::default(),
            said: PerLeg::default(),
            heard: PerLeg::default(),
            kept: PerLeg::default(),
            deaf: PerLeg::default(),
            log_is_silent: false,
            read_at_most: usize::MAX,
            passed: PerLeg::default(),
            granted: Vec::new(),
            cost: Cost::default(),
        }
    }

    /// As [`Self::new`], under a policy with these lines.
    pub fn granting(lines: &str) -> Self {
        Self::new(Setup {
            policy: format!("{}{lines}", crate::sim::POLICY),
            ..Setup::default()
        })
    }

    pub fn is_over(&self) -> bool {
        self.session.is_over()
    }

    /// A peer says something that the session will read when it does.
    pub fn says(&mut self, leg: Leg, payload: &[u8]) {
        let now = self.now.mono;
        let said = match leg {
            Leg::Client => self.person.send_packet(payload, now),
            Leg::Target => self.target.send_packet(payload, now),
        };
        // One that was told goodbye has nothing to say.
        let _ = said;
        self.collect(leg);
    }

    /// The windows that peers were given since this was asked last: who, on which of its channels, bytes.
    pub fn granted(&mut self) -> Vec<(Leg, u32, u32)> {
        core::mem::take(&mut self.granted)
    }

    /// As [`Self::says`], also what is no packet of a channel.
    pub fn says_anything(&mut self, leg: Leg, payload: &[u8]) {
        let now = self.now.mono;
        let _ = match leg {
            Leg::Client => self.person.dangerous_send_any(payload, now),
            Leg::Target => self.target.dangerous_send_any(payload, now),
        };
        self.collect(leg);
    }

    pub fn pings(&mut self, leg: Leg) {
        let now = self.now.mono;
        let _ = match leg {
            Leg::Client => self.person.ping(&[9; 200], now),
            Leg::Target => self.target.ping(&[9; 200], now),
        };
        self.collect(leg);
    }

    pub fn rekeys(&mut self, leg: Leg) {
        match leg {
            Leg::Client => self.person.start_rekey(self.now.mono),
            Leg::Target => self.target.start_rekey(self.now.mono),
        }
        self.collect(leg);
    }

    fn collect(&mut self, leg: Leg) {
        let output = match leg {
            Leg::Client => self.person.poll_output(),
            Leg::Target => self.target.poll_output(),
        };
        self.said[leg].extend_from_slice(&output.unwrap_or_default());
    }

    /// A peer says packets of this kind until the session has read so many bytes, reads no more, or is over.
    pub fn flood(&mut self, leg: Leg, bytes: u64, mut packet: impl FnMut(u32) -> Vec<u8>) {
        let mut number = 0;
        self.flood_with(leg, bytes, |arena| {
            arena.says(leg, &packet(number));
            number += 1;
        });
    }

    /// As [`Self::flood`], with any way to say things.
    pub fn flood_with(&mut self, leg: Leg, bytes: u64, mut say: impl FnMut(&mut Self)) {
        let until = self.cost.hostile_bytes + bytes;
        while self.cost.hostile_bytes < until && !self.is_over() {
            // A peer in the middle of a key exchange says nothing of this.
            for _ in 0..10_000 {
                if self.said[leg].len() >= AHEAD_BYTES {
                    break;
                }
                say(self);
            }
            let before = self.cost.hostile_bytes;
            self.run();
            if self.cost.hostile_bytes == before {
                self.cost.is_held_up = true;
                return;
            }
        }
    }

    /// Moves bytes until nothing moves.
    pub fn run(&mut self) {
        loop {
            let mut moved = self.execute();
            for leg in [Leg::Client, Leg::Target] {
                moved |= self.hear(leg);
                moved |= self.deliver(leg);
            }
            if !moved {
                return;
            }
        }
    }

    fn deliver(&mut self, leg: Leg) -> bool {
        let len = self.said[leg].len().min(self.read_at_most);
        let (session, now) = (&mut self.session, self.now);
        let bytes = &self.said[leg][..len];
        let taken = self.meter.run(|| session.receive(leg, bytes, now));
        self.said[leg].drain(..taken);
        self.cost.hostile_bytes += taken as u64;
        taken > 0
    }

    fn execute(&mut self) -> bool {
        let mut any = false;
        let now = self.now;
        while let Some(output) = {
            let session = &mut self.session;
            self.meter.run(|| session.poll_output())
        } {
            any = true;
            let session = &mut self.session;
            match output {
                Output::Log(of, page) => {
                    self.cost.logged_bytes += page.len() as u64;
                    let is_silent = self.log_is_silent;
                    self.meter.run(|| {
                        drop(page);
                        if !is_silent {
                            session.handle(Input::LogWritten(of), now);
                        }
                    });
                }
                Output::Send(leg, bytes) if self.deaf[leg] => self.kept[leg].push(bytes),
                Output::Send(leg, bytes) => {
                    self.cost.answered_bytes += bytes.len() as u64;
                    self.heard[leg].extend_from_slice(&bytes);
                    self.meter.run(|| {
                        let len = bytes.len();
                        drop(bytes);
                        session.handle(Input::Written(leg, len), now);
                    });
                }
                Output::Event(event) => {
                    self.cost.events += 1;
                    if let EventKind::SessionEnd { reason, .. } = &event.kind {
                        self.cost.end = Some(*reason);
                    }
                    self.meter.run(|| drop(event));
                }
                other => self.meter.run(|| drop(other)),
            }
        }
        any
    }

    /// A peer looks at what it got, and does what its transport has to.
    fn hear(&mut self, leg: Leg) -> bool {
        let mut any = false;
        loop {
            let heard = &mut self.heard[leg];
            let now = self.now.mono;
            let progress = match leg {
                Leg::Client => self.person.handle_input(heard, now),
                Leg::Target => self.target.handle_input(heard, now),
            };
            let Ok(progress) = progress else {
                self.heard[leg].clear();
                return any;
            };
            let payload = progress.payload.clone().and_then(|at| heard.get(at));
            if let Some(&[93, a, b, c, d, ref bytes @ ..]) = payload {
                let bytes = u32::from_be_bytes(bytes.try_into().unwrap());
                let id = u32::from_be_bytes([a, b, c, d]);
                self.granted.push((leg, id, bytes));
            }
            heard.drain(..progress.consumed);
            self.passed[leg] += u64::from(progress.payload.is_some());
            let told = match leg {
                Leg::Client => self.person_is_told(),
                Leg::Target => self.target_is_told(),
            };
            self.collect(leg);
            if progress.consumed == 0 && !told {
                return any;
            }
            any = true;
        }
    }

    fn person_is_told(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.person.poll_event() {
            any = true;
            if let ClientEvent::HostKey(question) = event {
                let now = self.now.mono;
                self.person.accept_host_key(question.id, now).unwrap();
            }
        }
        any
    }

    fn target_is_told(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.target.poll_event() {
            any = true;
            if let ServerEvent::SignExchangeHash(request) = event {
                let signature = self.target_key.sign(&request.data);
                let now = self.now.mono;
                self.target.signed(request.id, &signature, now).unwrap();
            }
        }
        any
    }

    /// Lets go of everything, and so learns what was there before the first measurement.
    pub fn settle(mut self) -> Cost {
        let (session, kept) = (self.session, self.kept);
        self.meter.run(|| drop((session, kept)));
        let since_the_login = self.meter.peak_bytes;
        let at_the_login = -self.meter.held_bytes;
        self.cost.peak_bytes = u64::try_from(since_the_login + at_the_login).unwrap();
        self.cost
    }
}
