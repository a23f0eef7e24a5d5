//! A whole session between two peers and a driver, any of whom may be slow, broken or hostile, at any moment.
//!
//! Bytes move when an operation says so, and so do pages of the log, signatures and time. What a peer decrypts is compared with
//! what the log that was written by then says, as somebody with the key reads it.

mod choose;
mod driver;
mod fault;
mod setup;
mod show;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proxy_core::limits::{MAX_BACKLOG_BYTES, MAX_OWN_BACKLOG_BYTES};
use proxy_core::{
    Current, EndReason, EventKind, Input, Leg, Now, Output, PerLeg, Refusal, Session, SessionId,
};
use ssh_transport::RECEIVE_BUFFER_BYTES;

pub use self::fault::{Answer, Fault, Question};
pub use self::setup::{Config, Law, SECRETS};
use self::show::{show_packet, show_record};
use self::watch::Watch;
use super::choices::Choices;
use super::ends::End;
use super::generate;
use super::grants::GRANTS;
use super::wire::Packet;

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A peer sends this, if it is logged in.
    Say(Leg, Packet),
    /// So many bytes of a peer's come to the session, as far as it takes them.
    Bring(Leg, usize),
    /// So many bytes for a peer leave the session's socket.
    Take(Leg, usize),
    /// The oldest page of the log is written, or cannot be.
    Page(bool),
    /// The target is connected to, or cannot be.
    Connect(bool),
    /// The authority signs, or does not.
    Sign(Answer),
    /// Somebody says whether the person may come in.
    Approve(Answer),
    /// An operator watches.
    Watch,
    /// So many milliseconds pass.
    Wait(u64),
    Rules(Law),
    Shutdown,
    /// An operator ends it.
    Dismiss,
    /// A peer's connection breaks.
    Close(Leg),
    Rekey(Leg),
    /// Bytes that no SSH peer sends.
    Garbage(Leg, Vec<u8>),
    /// A peer sends far more on its first channel than anybody is to hold, while the other side reads nothing.
    Flood(Leg),
    /// Bytes move until none can.
    Move,
    /// Everybody does what there is to do, until nobody has anything.
    Run,
}

/// The longest run.
const MAX_OPS: usize = 300;
/// More than a session may hold for one leg.
const FLOOD_BYTES: usize = 2 * MAX_OWN_BACKLOG_BYTES;
const FLOOD_PACKET_BYTES: usize = 32_000;
/// Rounds in which bytes may move before they must have stopped.
const MAX_ROUNDS: usize = 10_000;

/// How far runs came.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    pub refusals: BTreeMap<String, usize>,
    pub ends: BTreeMap<String, usize>,
    /// Packets that arrived.
    pub packets: usize,
    pub failed_logs: usize,
}

/// Plays one run of chosen operations, and puts them into `ops` as they are played.
pub fn explore(config: &Config, choices: &mut Choices<'_>, ops: &mut Vec<Op>, tally: &mut Tally) {
    let mut world = World::new(config);
    while ops.len() < MAX_OPS && !choices.are_over() && !world.is_done() {
        let op = world.choose(choices);
        ops.push(op.clone());
        world.step(&op);
    }
    world.finish();
    world.add_to(tally);
}

/// Plays these operations; gives a digest of all that came out.
pub fn replay(config: &Config, ops: &[Op]) -> u64 {
    let mut world = World::new(config);
    for op in ops {
        world.step(op);
    }
    world.finish();
    world.digest
}

/// Plays a script in which one thing goes wrong; gives how often each question was put.
pub fn perform(config: &Config, ops: &[Op], fault: Option<Fault>) -> BTreeMap<Question, usize> {
    let mut world = World::new(config);
    world.fault = fault;
    for op in ops {
        world.step(op);
    }
    world.finish();
    world.asked
}

/// Plays a script, and tells line by line what leaves the session.
pub fn transcript(config: &Config, ops: &[Op]) -> String {
    let mut world = World::new(config);
    world.watch.keep_journal();
    for op in ops {
        world.step(op);
    }
    world.finish();
    world.watch.journal()
}

/// Everybody, and everything on its way.
pub struct World {
    config: Config,
    session: Session,
    pub now: Now,
    current: Current,
    person: End,
    host: Option<End>,
    /// What the session asked for and has not been done.
    outbox: VecDeque<Output>,
    /// The page that everything waits for.
    page: Option<(SessionId, Vec<u8>)>,
    is_connecting: bool,
    unsigned: Option<proxy_core::SigningRequest>,
    /// Another person is asked whether this one may come in.
    is_asked: bool,
    watchers: u64,
    wants_rules: bool,
    /// In the sockets towards the peers, and how much was ever put there.
    sockets: PerLeg<Vec<u8>>,
    sent: PerLeg<usize>,
    closed: PerLeg<bool>,
    pub watch: Watch,
    /// The disk is broken for good.
    is_disk_broken: bool,
    is_withdrawn: bool,
    /// Rules that do not allow a session that had begun.
    must_end: bool,
    /// An operator has ended it.
    is_dismissed: bool,
    /// Nobody did anything that a peer may be blamed for.
    is_lawful: bool,
    digest: u64,
    fault: Option<Fault>,
    /// How often each question was put.
    asked: BTreeMap<Question, usize>,
    /// The person's connection broke before the proxy ended it.
    has_person_left: bool,
}

impl World {
    pub fn new(config: &Config) -> Self {
        let (session, current, now) = setup::session(config);
        let mut watch = Watch::new(session.id(), &GRANTS[config.grant % GRANTS.len()]);
        if config.needs_approval {
            watch.needs_approval();
        }
        let mut person = End::person(config.user(), now.mono);
        person.collect();
        Self {
            config: config.clone(),
            session,
            now,
            current,
            person,
            host: None,
            outbox: VecDeque::new(),
            page: None,
            is_connecting: false,
            unsigned: None,
            is_asked: false,
            watchers: 0,
            wants_rules: false,
            sockets: PerLeg::default(),
            sent: PerLeg::default(),
            closed: PerLeg::default(),
            watch,
            is_disk_broken: false,
            is_withdrawn: false,
            must_end: false,
            is_dismissed: false,
            is_lawful: config.mischief == 0,
            digest: 0,
            fault: None,
            asked: BTreeMap::new(),
            has_person_left: false,
        }
    }

    fn is_done(&self) -> bool {
        self.session.is_over() && self.outbox.is_empty()
    }

    fn end(&mut self, leg: Leg) -> Option<&mut End> {
        match leg {
            Leg::Client => Some(&mut self.person),
            Leg::Target => self.host.as_mut(),
        }
    }

    pub fn step(&mut self, op: &Op) {
        match op {
            Op::Say(leg, packet) => self.say(*leg, packet),
            Op::Bring(leg, len) => drop(self.bring(*leg, *len)),
            Op::Take(leg, len) => drop(self.take(*leg, *len)),
            Op::Page(is_good) => drop(self.answer_page(*is_good)),
            Op::Connect(is_good) => drop(self.answer_connect(*is_good)),
            Op::Sign(answer) => drop(self.answer_signing(*answer)),
            Op::Approve(answer) => drop(self.answer_approval(*answer)),
            Op::Watch => self.begin_to_watch(),
            Op::Wait(millis) => self.pass(Duration::from_millis(*millis)),
            Op::Rules(law) => self.change_rules(*law),
            Op::Shutdown => self.session.handle(Input::Shutdown, self.now),
            Op::Dismiss => self.dismiss(),
            Op::Close(leg) => self.close(*leg),
            Op::Rekey(leg) => {
                let now = self.now.mono;
                if let Some(end) = self.end(*leg)
                    && end.is_in
                {
                    end.rekey(now);
                }
            }
            Op::Garbage(leg, bytes) => {
                self.is_lawful = false;
                if let Some(end) = self.end(*leg) {
                    end.is_lawful = false;
                    end.outgoing.extend_from_slice(bytes);
                }
            }
            Op::Flood(leg) => self.flood(*leg),
            Op::Move => while self.move_bytes() {},
            Op::Run => self.run(),
        }
        self.perform();
        self.check();
    }

    fn say(&mut self, leg: Leg, packet: &Packet) {
        self.watch.said(leg, packet);
        let now = self.now.mono;
        if let Some(end) = self.end(leg) {
            end.say(packet, now);
            self.is_lawful &= self.end(leg).is_some_and(|end| end.is_lawful);
        }
    }

    fn flood(&mut self, leg: Leg) {
        let to = self.end(leg).and_then(|end| {
            let mut ends = end.peer.channels.values();
            let open = ends.find(|end| !end.sent_eof && !end.sent_close)?;
            open.theirs
        });
        let Some(to) = to else {
            return;
        };
        let bytes = vec![b'x'; FLOOD_PACKET_BYTES];
        for _ in 0..FLOOD_BYTES / FLOOD_PACKET_BYTES {
            let bytes = bytes.clone();
            self.say(leg, &Packet::Data { to, bytes });
        }
        while self.answer_page(true) || self.bring(leg, usize::MAX) {
            self.check();
        }
    }

    /// While a page waits, nothing is brought in but time, rules and a shutdown.
    fn bring(&mut self, leg: Leg, len: usize) -> bool {
        if self.page.is_some() || !self.outbox.is_empty() {
            return false;
        }
        let Some(end) = self.end(leg) else {
            return false;
        };
        let len = end.outgoing.len().min(len);
        let mut bytes = std::mem::take(&mut end.outgoing);
        let taken = self.session.receive(leg, &bytes[..len], self.now);
        bytes.drain(..taken);
        if let Some(end) = self.end(leg) {
            end.outgoing = bytes;
        }
        self.perform();
        taken > 0
    }

    fn take(&mut self, leg: Leg, len: usize) -> bool {
        let len = self.sockets[leg].len().min(len);
        if len == 0 {
            return false;
        }
        let bytes: Vec<u8> = self.sockets[leg].drain(..len).collect();
        let now = self.now.mono;
        let end = self
            .end(leg)
            .expect("I1: bytes for a target that nobody connected to");
        end.hear(&bytes, now);
        let got = std::mem::take(&mut end.got);
        let heard = std::mem::take(&mut end.heard);
        for (at, packet) in got {
            // Nobody here looks at windows, which the proxy does where the agent is lent.
            let is_to_agent = |packet: &Packet| matches!(packet, Packet::Open { kind, .. } if kind == generate::AGENT);
            self.is_lawful &= !is_to_agent(&packet);
            let end = self.end(leg).expect("it was there");
            let kind = packet
                .to()
                .and_then(|to| end.peer.channels.get(&to))
                .map_or("session", |channel| channel.kind.as_str());
            let (is_carried, is_agent) = (kind != "session", kind == generate::AGENT);
            let is_lawful = end.is_lawful;
            if is_lawful {
                end.peer.gets(&packet);
            }
            if is_agent && matches!(packet, Packet::Data { .. }) {
                // Put together by the proxy; the relay's simulation looks at it.
                self.watch.arrived_in_time(leg, at, &packet);
            } else {
                // One that gave a number twice may not know which of the two it is.
                let either: &[bool] = if is_lawful {
                    &[is_carried]
                } else {
                    &[is_carried, !is_carried]
                };
                self.watch.arrived(leg, at, &packet, either);
            }
        }
        for text in heard {
            self.watch.heard(leg, &text);
        }
        let logins = self.end(leg).map(|end| std::mem::take(&mut end.logins));
        for (user, certificate) in logins.into_iter().flatten() {
            self.watch.login(&user, certificate.as_deref(), self.now);
        }
        if self.page.is_none() {
            self.session.handle(Input::Written(leg, len), self.now);
        }
        true
    }

    fn close(&mut self, leg: Leg) {
        if self.page.is_none() && (leg == Leg::Client || self.host.is_some()) {
            self.has_person_left |= leg == Leg::Client && !self.closed.client;
            self.session.handle(Input::Closed(leg), self.now);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.unix += time;
        let is_due = |at: Option<Duration>, now: Now| at.is_some_and(|at| at <= now.mono);
        if is_due(self.session.poll_timeout(), self.now) {
            let awaited = self.session.awaits_log();
            self.session.handle_timeout(self.now);
            if awaited && !self.session.awaits_log() {
                self.page_given_up();
            }
            self.perform();
            assert!(
                !is_due(self.session.poll_timeout(), self.now),
                "a deadline that stays"
            );
        }
    }

    pub fn run(&mut self) {
        for round in 0.. {
            assert!(round < MAX_ROUNDS, "things move for ever");
            self.perform();
            let mut moved = self.answer_as_planned();
            if std::mem::take(&mut self.wants_rules) {
                let current = Box::new(self.current.clone());
                self.session.handle(Input::Reevaluate(current), self.now);
                moved = true;
            }
            moved |= self.move_bytes();
            if !moved {
                return;
            }
        }
    }

    fn move_bytes(&mut self) -> bool {
        let mut moved = false;
        for leg in [Leg::Client, Leg::Target] {
            moved |= self.bring(leg, usize::MAX);
            moved |= self.take(leg, usize::MAX);
        }
        moved
    }

    /// Does what the session asks for, in its order, as far as nothing has to be waited for.
    fn perform(&mut self) {
        while let Some(output) = self.session.poll_output() {
            self.note(&output);
            self.outbox.push_back(output);
        }
        while self.page.is_none() || !self.session.awaits_log() {
            let Some(output) = self.outbox.pop_front() else {
                return;
            };
            match output {
                Output::Event(event) => {
                    let is_lawful = self.is_lawful;
                    self.watch.event(&event);
                    if is_lawful {
                        is_nobodys_fault(&event.kind);
                    }
                }
                Output::ConnectTarget => {
                    self.watch.connects();
                    self.is_connecting = true;
                    self.closed.target = false;
                }
                // One that the session has given up already.
                Output::Log(_, _) if !self.session.awaits_log() => self.watch.failed(self.sent),
                Output::Log(id, page) => self.page = Some((id, page.to_vec())),
                Output::SignCertificate(request) => self.unsigned = Some(request),
                Output::AskApproval(_) => self.is_asked = true,
                Output::Reevaluate => self.wants_rules = true,
                Output::Send(leg, bytes) => {
                    assert!(!self.closed[leg], "bytes behind the close of the {leg:?}");
                    self.sockets[leg].extend_from_slice(&bytes);
                    self.sent[leg] += bytes.len();
                }
                Output::Watched(watch, channel, seen) => {
                    assert!(watch.0 < self.watchers, "nobody watches");
                    self.watch.seen(watch, channel, &seen);
                }
                Output::WatchOver(watch, _) => self.watch.stops(watch),
                Output::Close(leg) => self.closed[leg] = true,
            }
        }
    }

    /// FNV-1a over what came out.
    fn note(&mut self, output: &Output) {
        let text;
        let bytes: &[u8] = match output {
            Output::Log(_, bytes) | Output::Send(_, bytes) => bytes,
            other => {
                text = format!("{other:?}");
                text.as_bytes()
            }
        };
        for byte in bytes {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn check(&self) {
        self.watch.check();
        for leg in [Leg::Client, Leg::Target] {
            // What the leg's own requests made, and what one read of the other leg becomes.
            let ceiling = MAX_OWN_BACKLOG_BYTES + MAX_BACKLOG_BYTES + 4 * RECEIVE_BUFFER_BYTES;
            let waiting = self.sockets[leg].len();
            assert!(
                waiting <= ceiling,
                "I7: {waiting} bytes wait for the {leg:?}"
            );
        }
        assert!(
            self.outbox.len() <= MAX_WAITING_OUTPUTS,
            "I7: {} outputs",
            self.outbox.len()
        );
    }

    /// Both peers go, time passes, and then it is over.
    pub fn finish(&mut self) {
        if !self.is_done() {
            self.run();
            if self.must_end && self.page.is_none() {
                assert!(
                    self.watch.has_ended(),
                    "A17: a session goes on that is not allowed"
                );
            }
            assert!(
                !self.is_dismissed || self.page.is_some() || self.watch.has_outcome(),
                "a session goes on that an operator has ended"
            );
        }
        if self.page.is_some() {
            // The disk's time is up, and somebody is still there to read so.
            self.pass(Duration::from_secs(31));
            self.run();
        }
        for leg in [Leg::Target, Leg::Client] {
            self.close(leg);
            self.run();
        }
        for _ in 0..64 {
            if self.is_done() {
                break;
            }
            self.pass(Duration::from_secs(60));
            self.run();
        }
        self.run();
        self.check();
        assert!(self.is_done(), "a connection without an end");
        assert_eq!(
            self.session.poll_timeout(),
            None,
            "something is awaited after the end"
        );
        self.watch.is_whole();
        if !self.has_person_left {
            self.watch.person_knows_why();
        }
    }

    fn add_to(&self, tally: &mut Tally) {
        tally.failed_logs += usize::from(self.is_disk_broken);
        self.watch.add_to(tally);
    }
}

/// Outputs that a page may hold up: deadlines, rules and a goodbye, and the refusals of one batch.
const MAX_WAITING_OUTPUTS: usize = 20_000;

/// Peers that keep to the rules are never blamed.
fn is_nobodys_fault(kind: &EventKind) {
    let blames = match kind {
        EventKind::AccessDenied { reason, .. } => {
            matches!(reason, Refusal::ClientProtocol)
        }
        EventKind::SessionEnd { reason, .. } => matches!(
            reason,
            EndReason::ClientMisbehaved | EndReason::TargetMisbehaved
        ),
        _ => false,
    };
    assert!(!blames, "a peer that keeps the rules is blamed: {kind:?}");
}
