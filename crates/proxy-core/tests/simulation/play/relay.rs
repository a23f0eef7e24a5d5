//! The relay between two hostile peers, without any cryptography: every packet is judged beforehand and looked at afterwards.

use std::time::Duration;

use policy::{Decision, Device, Grant, Identity, Network, PolicySet, Request, Target, decide};
use proxy_core::relay::{InnerSessions, NoSession, Outlet, Relay};
use proxy_core::{ChannelEvent, Leg, PerLeg, RelayError};
use session_log::Record;

use super::choices::Choices;
use super::generate;
use super::grants::{GRANTS, Granted};
use super::noted::Noted;
use super::oracle::{Act, Oracle, Out, Told, Verdict, Word, is_abandoned, is_unwanted};
use super::peer::Peer;
use super::wire::Packet;

/// What a run is made of besides its operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Of [`GRANTS`].
    pub grant: usize,
    /// In how many of 256 cases a peer keeps to no rule.
    pub mischief: u32,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Packet(Leg, Packet),
    /// So many milliseconds pass.
    Wait(u64),
    /// The proxy has something to say to everybody.
    Notify,
    /// The session inside that stands at this place among all does something.
    Inside(usize, Act),
    /// A peer says as much to it as it may, but no more than this, or a byte more than it may.
    Fill(usize, Leg, Option<usize>),
}

/// The longest run: longer ones meet nothing new, and shrink slowly.
const MAX_OPS: usize = 400;
/// Rounds in which peers that want to be done with it are done.
const MAX_ROUNDS: usize = 10_000;

impl Config {
    pub fn choose(choices: &mut Choices<'_>) -> Self {
        Self {
            grant: choices.below(GRANTS.len()),
            mischief: choices.pick(&[0, 0, 1, 4, 60]).unwrap_or(0),
        }
    }
}

/// How often packets became what: see [`Verdict`].
pub type Tally = [usize; Verdict::ALL];

/// Plays one run of chosen operations, and puts them into `ops` as they are played.
pub fn explore(config: &Config, choices: &mut Choices<'_>, ops: &mut Vec<Op>, tally: &mut Tally) {
    let mut world = World::new(config);
    while ops.len() < MAX_OPS && !world.is_over && !choices.are_over() {
        let op = world.choose(config, choices);
        ops.push(op.clone());
        world.step(&op);
    }
    world.finish();
    for (sum, count) in tally.iter_mut().zip(world.tally) {
        *sum += count;
    }
}

/// Plays these operations; gives a digest of all that came out.
pub fn replay(config: &Config, ops: &[Op]) -> u64 {
    let mut world = World::new(config);
    for op in ops {
        if !world.is_over {
            world.step(op);
        }
    }
    world.finish();
    world.digest
}

/// The relay alone: nobody looks, and nothing is kept of what comes out.
pub struct Bare {
    relay: Relay,
    now: Duration,
    /// A peer broke the protocol.
    pub is_over: bool,
}

struct World {
    relay: Relay,
    oracle: Oracle,
    peers: PerLeg<Peer>,
    now: Duration,
    is_over: bool,
    is_lawful: bool,
    /// There may be sessions inside this one.
    makes_sessions: bool,
    digest: u64,
    tally: Tally,
}

impl World {
    fn new(config: &Config) -> Self {
        let granted = &GRANTS[config.grant % GRANTS.len()];
        Self {
            relay: Relay::new(&grant(granted)),
            oracle: Oracle::new(granted),
            peers: PerLeg {
                client: Peer::new(Leg::Client),
                target: Peer::new(Leg::Target),
            },
            now: Duration::ZERO,
            is_over: false,
            is_lawful: config.mischief == 0,
            makes_sessions: !granted.jumps.is_empty(),
            digest: 0,
            tally: Tally::default(),
        }
    }

    fn choose(&self, config: &Config, choices: &mut Choices<'_>) -> Op {
        match choices.below(64) {
            0 => Op::Wait(choices.pick(&[1, 49, 50, 999, 1000]).unwrap_or(0)),
            1 if choices.chance(8) => Op::Notify,
            2..12 if self.makes_sessions => Op::Inside(choices.below(8), generate::act(choices)),
            12 if self.makes_sessions => Op::Fill(
                choices.below(8),
                generate::leg(choices),
                (!choices.chance(config.mischief)).then(|| generate::much(choices)),
            ),
            at => {
                let leg = if at % 2 == 0 {
                    Leg::Client
                } else {
                    Leg::Target
                };
                let peer = &self.peers[leg];
                Op::Packet(leg, generate::packet(peer, config.mischief, choices))
            }
        }
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Packet(from, packet) => self.packet(*from, packet),
            Op::Wait(millis) => {
                self.now += Duration::from_millis(*millis);
                self.oracle.set_now(self.now);
                let outs = self.by_itself(|relay, sink| relay.handle_timeout(sink.now, sink));
                self.deliver(Leg::Client, None, &outs);
            }
            Op::Notify => {
                let outs = self.by_itself(|relay, sink| relay.notify_all("hear, hear", sink));
                self.deliver(Leg::Client, None, &outs);
            }
            Op::Inside(which, act) => self.act(*which, act),
            Op::Fill(which, from, most) => self.fill(*which, *from, *most),
        }
        if !self.is_over {
            self.oracle.nothing_is_due();
        }
    }

    fn packet(&mut self, from: Leg, packet: &Packet) {
        let bytes = packet.encode();
        // What it is, whatever it was meant to be.
        let packet = Packet::read(&bytes);
        let verdict = self.oracle.judge(from, &packet);
        self.tally[verdict as usize] += 1;
        let mut sink = Sink::new(self.now);
        sink.makes_sessions = self.makes_sessions;
        let result = self.relay.handle_packet(from, &bytes, self.now, &mut sink);
        let outs = sink.outs;
        self.oracle
            .became((from, &packet), verdict, result.is_ok(), &outs);
        let is_lawful = result.is_ok() && self.peers[from].sends(&packet);
        if let Err(error) = result {
            let is_lawful = self.is_lawful && self.peers[from].clone().sends(&packet);
            // Nobody here looks at windows.
            let is_too_much = matches!(verdict, Verdict::Own | Verdict::TooMuch);
            assert!(
                !is_lawful || is_too_much,
                "peers that keep the rules are cut off"
            );
            self.note(error_number(&error));
            self.is_over = true;
            // As a session does that ends: what waits is said, as far as it still may be.
            let outs = self.by_itself(|relay, sink| relay.handle_timeout(Duration::MAX, sink));
            self.deliver(from, None, &outs);
            return;
        }
        self.is_lawful &= is_lawful;
        self.deliver(from, Some((&packet, &bytes)), &outs);
    }

    /// A session inside does something, as far as it can.
    fn act(&mut self, which: usize, act: &Act) {
        let Some(number) = self.oracle.session(which) else {
            return;
        };
        let Some(act) = self.oracle.within_reason(number, act.clone()) else {
            return;
        };
        let mut sink = Sink::new(self.now);
        match &act {
            Act::Take(from, len) => {
                if let Some(payload) = self.relay.consumed(number, *from, *len) {
                    sink.send(*from, payload);
                }
            }
            Act::Speak(to, bytes) => {
                let takes_data = self.relay.takes_data(number, *to);
                assert_eq!(takes_data, self.oracle.takes_data(number, *to));
                if takes_data && let Some((payload, len)) = self.relay.packet(number, *to, bytes) {
                    sink.send(*to, payload);
                    assert!(len > 0 && len <= bytes.len());
                }
            }
            // To both at once: the numbers may be used again after that.
            Act::Close => {
                for leg in [Leg::Client, Leg::Target] {
                    self.relay.close_to(number, leg, &mut sink);
                }
            }
        }
        self.oracle.acted(number, &act, &sink.outs);
        self.deliver(Leg::Client, None, &sink.outs);
    }

    fn fill(&mut self, which: usize, from: Leg, most: Option<usize>) {
        let number = self.oracle.session(which);
        let room = number.and_then(|number| self.oracle.room_of(number, from));
        if let Some((to, room)) = room {
            let bytes = vec![7; most.map_or(room + 1, |most| most.min(room))];
            self.packet(from, &Packet::Data { to, bytes });
        }
    }

    fn by_itself(&mut self, act: impl FnOnce(&mut Relay, &mut Sink)) -> Vec<Out> {
        let mut sink = Sink::new(self.now);
        act(&mut self.relay, &mut sink);
        self.oracle.said_by_itself(&sink.outs);
        sink.outs
    }

    fn deliver(&mut self, from: Leg, in_hand: Option<(&Packet, &[u8])>, outs: &[Out]) {
        for out in outs {
            match (out, in_hand) {
                (Out::Pass, Some((packet, bytes))) => {
                    self.peers[from.other()].gets(packet);
                    bytes.iter().for_each(|byte| self.note(u64::from(*byte)));
                }
                (Out::Send(to, packet), _) => {
                    self.peers[*to].gets(packet);
                    let bytes = packet.encode();
                    bytes.iter().for_each(|byte| self.note(u64::from(*byte)));
                }
                (Out::Record(channel, _), _) => self.note(u64::from(*channel) << 8),
                _ => self.note(1 << 48),
            }
        }
    }

    /// FNV-1a over what came out.
    fn note(&mut self, word: u64) {
        self.digest = (self.digest ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    }

    /// Both peers answer what they owe and close what is open. Then nothing is left.
    fn finish(&mut self) {
        for round in 0.. {
            if self.is_over {
                return;
            }
            assert!(round < MAX_ROUNDS, "the peers never come to an end");
            let last = [Leg::Client, Leg::Target]
                .into_iter()
                .find_map(|leg| Some((leg, generate::last_packet(&self.peers[leg])?)));
            match last {
                Some((leg, packet)) => self.step(&Op::Packet(leg, packet)),
                None => match self.oracle.unfinished_session() {
                    Some(which) => self.step(&Op::Inside(which, Act::Close)),
                    None if round > 0 && self.relay.poll_timeout().is_none() => break,
                    None => self.step(&Op::Wait(1000)),
                },
            }
        }
        for leg in [Leg::Client, Leg::Target] {
            let peer = &self.peers[leg];
            assert_eq!(peer.asked, 0, "the {leg:?} waits for answers");
            assert!(peer.channels.is_empty(), "{:?}", peer.channels);
        }
    }
}

impl Bare {
    pub fn new(config: &Config) -> Self {
        Self {
            relay: Relay::new(&grant(&GRANTS[config.grant % GRANTS.len()])),
            now: Duration::ZERO,
            is_over: false,
        }
    }

    pub fn step(&mut self, op: &Op) {
        match op {
            _ if self.is_over => {}
            Op::Packet(from, packet) => {
                let bytes = packet.encode();
                let relay = &mut self.relay;
                let result = relay.handle_packet(*from, &bytes, self.now, &mut Nowhere);
                self.is_over = result.is_err();
            }
            Op::Wait(millis) => {
                self.now += Duration::from_millis(*millis);
                self.relay.handle_timeout(self.now, &mut Nowhere);
            }
            Op::Notify => self.relay.notify_all("hear, hear", &mut Nowhere),
            Op::Inside(..) | Op::Fill(..) => {}
        }
    }
}

/// Both peers open as much as they are let and ask ahead as far as they are let, and answer nothing.
pub fn flood() -> Vec<Op> {
    let asked = |to| Packet::Request {
        to,
        name: "keepalive@openssh.com".into(),
        want_reply: true,
        data: Vec::new(),
    };
    let global = |data| Packet::Global {
        name: "keepalive@openssh.com".into(),
        want_reply: true,
        data,
    };
    let mut ops = Vec::new();
    for number in 0..64 {
        let open = Packet::Open {
            kind: "session".into(),
            sender: number,
            window: 1 << 20,
            data: Vec::new(),
        };
        let confirm = Packet::Confirm {
            to: number,
            sender: number,
            window: 1 << 20,
        };
        ops.push(Op::Packet(Leg::Client, open));
        ops.push(Op::Packet(Leg::Target, confirm));
        for leg in [Leg::Client, Leg::Target] {
            ops.extend(vec![Op::Packet(leg, asked(number)); 256]);
        }
    }
    for leg in [Leg::Client, Leg::Target] {
        // Those that are refused stay behind one that is not.
        ops.push(Op::Packet(leg, global(Vec::new())));
        ops.extend(vec![Op::Packet(leg, global(vec![1])); 255]);
    }
    ops
}

/// Takes everything and keeps nothing.
struct Nowhere;

impl Outlet for Nowhere {
    fn record(&mut self, _: u32, _: &Record<'_>) {}
    fn pass(&mut self) {}
    fn send(&mut self, _: Leg, _: Vec<u8>) {}
    fn event(&mut self, _: ChannelEvent) {}
}

struct Sink {
    outs: Vec<Out>,
    now: Duration,
    makes_sessions: bool,
}

impl Sink {
    const fn new(now: Duration) -> Self {
        Self {
            outs: Vec::new(),
            now,
            makes_sessions: false,
        }
    }
}

impl Outlet for Sink {
    fn record(&mut self, channel: u32, record: &Record<'_>) {
        self.outs
            .push(Out::Record(channel, Noted::of(channel, record)));
    }

    fn pass(&mut self) {
        self.outs.push(Out::Pass);
    }

    fn send(&mut self, to: Leg, payload: Vec<u8>) {
        self.outs.push(Out::Send(to, Packet::read(&payload)));
    }

    fn event(&mut self, event: ChannelEvent) {
        let told = match event {
            ChannelEvent::Open { .. } => Told::Open,
            ChannelEvent::Close { .. } => Told::Close,
            ChannelEvent::Refused { .. } => Told::Refused,
            _ => Told::Other,
        };
        self.outs.push(Out::Event(told));
    }

    fn inner_sessions(&mut self) -> Option<&mut dyn InnerSessions> {
        self.makes_sessions
            .then_some(self as &mut dyn InnerSessions)
    }
}

impl Sink {
    fn hears(&mut self, channel: u32, word: Word) {
        self.outs.push(Out::Inside(channel, word));
    }
}

impl InnerSessions for Sink {
    fn other_names(&self, _: &str, _: u16) -> Vec<String> {
        Vec::new()
    }

    fn asked(&mut self, channel: u32, _: &str, _: u16) -> Result<String, NoSession> {
        self.hears(channel, Word::Asked);
        if is_unwanted(channel) {
            return Err("not this one".into());
        }
        Ok("inside".into())
    }

    fn found(
        &mut self,
        channel: u32,
        _: &str,
        _: u16,
        _: PerLeg<usize>,
    ) -> Result<String, &'static str> {
        self.hears(channel, Word::Found);
        if is_unwanted(channel) {
            return Err("not this one");
        }
        Ok("inside".into())
    }

    fn connected(&mut self, channel: u32) -> bool {
        self.hears(channel, Word::Connected);
        !is_abandoned(channel)
    }

    fn unreachable(&mut self, channel: u32) {
        self.hears(channel, Word::Unreachable);
    }

    fn received(&mut self, channel: u32, from: Leg, bytes: &[u8]) {
        self.hears(channel, Word::Bytes(from, bytes.to_vec()));
    }

    fn ended(&mut self, channel: u32, from: Leg) {
        self.hears(channel, Word::Ended(from));
    }

    fn closed(&mut self, channel: u32, from: Leg) {
        self.hears(channel, Word::Closed(from));
    }
}

fn error_number(error: &RelayError) -> u64 {
    match error {
        RelayError::Malformed => 1,
        RelayError::UnknownMessage { .. } => 2,
        RelayError::TooLong { .. } => 3,
        RelayError::UnknownChannel { .. } => 4,
        RelayError::ChannelReused { .. } => 5,
        _ => 6,
    }
}

/// What the policy engine makes of the grant's document.
fn grant(granted: &Granted) -> Grant {
    let set = PolicySet::from_toml(&granted.policy()).expect("the document is well-formed");
    let request = Request {
        identity: &Identity {
            email: Some("ada@example.com".into()),
            ..Identity::default()
        },
        device: &Device::default(),
        network: &Network::default(),
        target: &Target {
            hostname: "web-1".into(),
            port: 22,
            ..Target::default()
        },
        user: Some("deploy"),
        now: Duration::ZERO,
    };
    match decide(&set, &request) {
        Decision::Allow(grant) => grant,
        Decision::Deny(_) => panic!("everybody may be `deploy`"),
    }
}
