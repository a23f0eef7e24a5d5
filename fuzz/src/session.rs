//! A whole session as bytes in and bytes out, between a person, a target and a driver with whom anything goes wrong when the
//! fuzz bytes say so.
//!
//! - I1: the target is not connected to before the policy allowed it, and gets no packet before the user was allowed.
//! - I2: data that reaches a side stands in the written log by then, as somebody with the key reads it.
//! - I3: after the log failed, no further data reaches either side.
//! - A17: what is withdrawn before the session begins keeps it from beginning, and what is withdrawn later ends it.
//! - I6: one `session.start` or one `access.denied`, and one `session.end` for each start.
//! - I7: what waits is bounded.
//! - Every connection ends, and then nothing is awaited.
//! - Who has to be approved is not let in before; what an operator watches stands in the log by then; whom an operator ends is gone.
//!
//! Grants may let people jump on. What the sessions inside say is looked at in `operations`; here each of them begins and ends once, with
//! a log of its own.

mod setup;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proxy_core::limits::{MAX_BACKLOG_BYTES, MAX_OWN_BACKLOG_BYTES};
use proxy_core::{
    AccessEvent, Approval, Ca, ConnectFailure, ConnectionInfo, Current, EventKind, Gateway,
    Input as In, Leg, Now, Operation, Output, PerLeg, Seen, Session, SessionId, Verdict, WatchId,
};
use session_log::{Event, Reader, Record, SigningIdentity};
use ssh_key::private::Ed25519Keypair;
use ssh_transport::{CipherAlgorithm, RECEIVE_BUFFER_BYTES};

use self::setup::{GRANTS, Law, Machines, auditor, has_sessions, reader, rules, target};
use crate::ends::{ClientEnd, Door, ServerEnd, client_config, server_config};
use crate::input::Input;
use crate::relay::any_packet;

/// Most operations of one run.
const MAX_OPERATIONS: usize = 96;
/// Rounds in which bytes may move before they must have stopped.
const MAX_ROUNDS: usize = 4_096;
const CHANNEL_DATA: u8 = 94;
const CHANNEL_EXTENDED_DATA: u8 = 95;

/// Does what `data` says.
pub fn run(data: &[u8]) {
    play(data);
}

/// How far a run came.
#[derive(Debug, PartialEq)]
pub(crate) struct Reached {
    pub(crate) starts: u32,
    /// Before the peers had to go.
    pub(crate) ends: u32,
    /// Channel data that arrived, in bytes, by who sent it.
    pub(crate) data_bytes: PerLeg<usize>,
    /// Sessions inside that began or were refused.
    pub(crate) inside: usize,
    /// Pieces of what somebody watched.
    pub(crate) watched: usize,
    pub(crate) was_approved: bool,
}

pub(crate) fn play(data: &[u8]) -> Reached {
    let mut input = Input::new(data);
    let mut world = World::new(&mut input);
    for _ in 0..MAX_OPERATIONS {
        if input.is_over() {
            break;
        }
        world.step(&mut input);
        world.check();
    }
    let ends = world.ends;
    world.end();
    Reached {
        starts: world.starts,
        ends,
        data_bytes: world.arrived,
        inside: world.inside.len(),
        watched: world.watched,
        was_approved: world.was_approved,
    }
}

struct World {
    session: Session,
    now: Now,
    may_connect: bool,
    connects: Result<(), ConnectFailure>,
    door: Door,
    /// The page of the log from which on nothing can be written.
    log_fails_at: Option<u8>,
    pages: u8,
    log_failed: bool,
    /// The disk takes its time with the next page…
    is_log_slow: bool,
    /// …and has not written this one yet.
    unwritten_page: Option<(SessionId, Vec<u8>)>,
    identity: policy::Identity,
    /// Of [`GRANTS`].
    grant: usize,
    is_withdrawn: bool,
    wants_rules: bool,
    /// Somebody is asked whether the person may come in.
    is_asked: bool,
    was_approved: bool,
    /// An operator has ended it.
    is_dismissed: bool,
    /// What was watched, in pieces, and in bytes of the program's output.
    watched: usize,
    watched_bytes: usize,
    /// Sessions inside, each with how often it was refused, began and ended.
    inside: BTreeMap<SessionId, [u32; 3]>,
    readers: BTreeMap<SessionId, Reader>,
    person: ClientEnd,
    target: Option<ServerEnd>,
    /// Bytes on the way to the session.
    to_session: PerLeg<Vec<u8>>,
    /// Sends that were not reported as written.
    unwritten: PerLeg<usize>,
    is_stuck: PerLeg<bool>,
    /// Data as recorded, by who sent it, and as it arrived at the other side.
    recorded: PerLeg<usize>,
    arrived: PerLeg<usize>,
    arrived_at_failure: Option<[usize; 2]>,
    seen: PerLeg<usize>,
    is_allowed: bool,
    denials: u32,
    starts: u32,
    ends: u32,
}

impl World {
    fn new(input: &mut Input<'_>) -> Self {
        let choice = input.byte();
        let may_connect = choice & 7 != 7;
        let more = input.byte();
        let (log_fails_at, grant) = match more & 3 {
            3 => (Some(more >> 2), 0),
            _ => (None, usize::from(more >> 2) % GRANTS.len()),
        };
        let mut gateway = Gateway::new(
            hostkey_derive::AccountSecret::from_bytes(&[2; 32]).expect("long enough"),
            Ca::Local(
                sshcert::CaKey::from_private_key(Ed25519Keypair::from_seed(&[1; 32]).into())
                    .expect("it will do"),
            ),
            vec![auditor().recipient()],
            SigningIdentity::from_seed([3; 32]),
        );
        gateway.directory = Some(Arc::new(Machines));
        let email = if may_connect {
            "ada@example.com"
        } else {
            "eve@example.com"
        };
        let info = ConnectionInfo {
            identity: policy::Identity {
                email: Some(email.into()),
                ..policy::Identity::default()
            },
            device: policy::Device::default(),
            network: policy::Network::default(),
            client_addr: ([198, 51, 100, 7], 50_000).into(),
            security_keys: Vec::new(),
            target: target("web-1", 22),
        };
        let now = Now {
            mono: Duration::ZERO,
            unix: Duration::from_secs(1_800_000_000),
        };
        let known = info.identity.clone();
        let session = Session::new(
            Arc::new(gateway),
            rules(grant, Law::Same),
            info,
            &[4; 32],
            now,
        );
        Self {
            session,
            now,
            may_connect,
            connects: if choice & 0x38 == 0x38 {
                Err(ConnectFailure::Refused)
            } else {
                Ok(())
            },
            door: if choice & 0xc0 == 0xc0 {
                Door::Shut
            } else {
                Door::Key
            },
            log_fails_at,
            pages: 0,
            log_failed: false,
            is_log_slow: false,
            unwritten_page: None,
            identity: known,
            grant,
            wants_rules: false,
            is_asked: false,
            was_approved: false,
            is_dismissed: false,
            watched: 0,
            watched_bytes: 0,
            inside: BTreeMap::new(),
            is_withdrawn: false,
            readers: BTreeMap::new(),
            person: ClientEnd::new(client_config(CipherAlgorithm::Aes128Gcm), 5),
            target: None,
            to_session: PerLeg::default(),
            unwritten: PerLeg::default(),
            is_stuck: PerLeg::default(),
            recorded: PerLeg::default(),
            arrived: PerLeg::default(),
            arrived_at_failure: None,
            seen: PerLeg::default(),
            is_allowed: false,
            denials: 0,
            starts: 0,
            ends: 0,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let leg = if choice & 0x80 == 0 {
            Leg::Client
        } else {
            Leg::Target
        };
        match choice % 16 {
            0..=4 => {
                let packet = any_packet(input);
                self.peer_sends(leg, &packet);
            }
            5 | 6 => self.run(usize::MAX),
            7 => self.run(usize::from(input.byte()) + 1),
            8 => {
                let bytes = usize::from(input.word());
                self.peer_sends(
                    leg,
                    &[
                        &[CHANNEL_DATA, 0, 0, 0, 0],
                        &crate::keyed::string(&vec![b'x'; bytes])[..],
                    ]
                    .concat(),
                );
            }
            9 => {
                let len = usize::from(input.byte());
                self.to_session[leg].extend_from_slice(input.bytes(len));
            }
            10 => self.is_stuck[leg] = !self.is_stuck[leg],
            11 => self.rekey(leg),
            12 => self.pass(Duration::from_secs(u64::from(input.byte()))),
            13 => self.pass(Duration::from_millis(u64::from(input.byte()))),
            14 if input.byte() > 200 => self.session.handle(In::Closed(leg), self.now),
            15 if input.byte() > 240 => self.session.handle(In::Shutdown, self.now),
            14 => match input.byte() % 8 {
                0 => self.is_log_slow = true,
                1 => self.write_late(),
                2 => self.change_rules(Law::Nothing),
                3 => self.change_rules(Law::Same),
                4 => self.dismiss(),
                5 => self.watch(u64::from(input.byte() % 8)),
                6 => self.change_rules(Law::Revoked),
                _ if self.is_asked => self.answer(input.byte()),
                // Words of the driver that nobody asked for change nothing.
                _ => self
                    .session
                    .handle(In::Signed(self.session.id(), b""), self.now),
            },
            _ => self.session.handle(In::TargetConnected, self.now),
        }
        self.perform();
    }

    fn peer_sends(&mut self, leg: Leg, packet: &[u8]) {
        // Before the login it is refused there.
        let _ = match (leg, &mut self.target) {
            (Leg::Client, _) => self.person.ssh.send_packet(packet, self.now.mono),
            (Leg::Target, Some(target)) => target.ssh.send_packet(packet, self.now.mono),
            (Leg::Target, None) => Ok(()),
        };
    }

    fn rekey(&mut self, leg: Leg) {
        match (leg, &mut self.target) {
            (Leg::Client, _) => self.person.ssh.start_rekey(self.now.mono),
            (Leg::Target, Some(target)) => target.ssh.start_rekey(self.now.mono),
            (Leg::Target, None) => {}
        }
    }

    /// Moves bytes in pieces until nobody has any left that could move.
    fn run(&mut self, piece: usize) {
        for round in 0.. {
            assert!(round < MAX_ROUNDS, "bytes move for ever");
            let mut moved = self.perform();
            if std::mem::take(&mut self.wants_rules) {
                self.change_rules(if self.is_withdrawn {
                    Law::Nothing
                } else {
                    Law::Same
                });
                moved = true;
            }
            let said = self.person.say();
            self.to_session.client.extend_from_slice(&said);
            let said = self.target.as_mut().map(ServerEnd::say).unwrap_or_default();
            self.to_session.target.extend_from_slice(&said);
            for leg in [Leg::Client, Leg::Target] {
                // Small pieces for as long as it is cheap.
                let piece = if round < 64 { piece } else { usize::MAX };
                let len = self.to_session[leg].len().min(piece);
                let taken = self
                    .session
                    .receive(leg, &self.to_session[leg][..len], self.now);
                self.to_session[leg].drain(..taken);
                moved |= taken > 0;
            }
            if !moved {
                break;
            }
        }
    }

    /// Does what the session asks for, in its order.
    fn perform(&mut self) -> bool {
        let mut any = false;
        while let Some(output) = self.next_output() {
            any = true;
            match output {
                Output::Event(event) => self.note(&event),
                Output::ConnectTarget => self.connect(),
                Output::Log(id, page) if self.is_log_slow => {
                    self.is_log_slow = false;
                    self.unwritten_page.get_or_insert((id, page.to_vec()));
                }
                // What follows a page that a session that is over did not wait for.
                Output::Log(id, _) if self.unwritten_page.is_some() => self.fail(id),
                Output::Log(id, page) => self.write(id, &page),
                Output::Send(leg, bytes) => self.deliver(leg, &bytes),
                Output::SignCertificate(_) => unreachable!("the authority is local"),
                Output::AskApproval(_) => self.is_asked = true,
                Output::Reevaluate => self.wants_rules = true,
                Output::Watched(_, _, seen) => self.see(&seen),
                Output::Close(_) | Output::WatchOver(..) => {}
            }
        }
        any
    }

    /// Nothing overtakes a page that is being written, unless the session has given it up.
    fn next_output(&mut self) -> Option<Output> {
        if self.unwritten_page.is_some() && !self.session.is_over() {
            return None;
        }
        self.session.poll_output()
    }

    fn write_late(&mut self) {
        if let Some((id, page)) = self.unwritten_page.take() {
            self.write(id, &page);
        }
    }

    /// Other rules, or the same once more.
    fn change_rules(&mut self, law: Law) {
        let rules = rules(self.grant, law);
        self.is_withdrawn = !matches!(law, Law::Same);
        self.wants_rules = false;
        let current = Current {
            rules,
            identity: self.identity.clone(),
            device: policy::Device::default(),
        };
        let current = Box::new(current);
        self.session.handle(In::Reevaluate(current), self.now);
    }

    /// Whoever runs the proxy may do so at any moment.
    fn dismiss(&mut self) {
        let (who, reason) = ("ann@example.com".into(), "maintenance".into());
        let end = Operation::End { who, reason };
        let input = In::Operator(self.session.id(), end);
        self.session.handle(input, self.now);
        self.is_dismissed = true;
    }

    fn watch(&mut self, choice: u64) {
        let watch = WatchId(choice / 2);
        let operation = if choice % 2 == 0 {
            let who = "ann@example.com".into();
            Operation::Watch { watch, who }
        } else {
            let why = "enough".into();
            Operation::Unwatch { watch, why }
        };
        let input = In::Operator(self.session.id(), operation);
        self.session.handle(input, self.now);
    }

    /// What a watcher sees was written before.
    fn see(&mut self, seen: &Seen) {
        self.watched += 1;
        assert!(
            !self.log_failed,
            "I3: somebody watches what is not recorded"
        );
        if let Seen::Output(bytes) | Seen::Stderr(bytes) = seen {
            self.watched_bytes += bytes.len();
            // As many may watch as there are names here.
            let most = self.recorded.target * 4;
            assert!(self.watched_bytes <= most, "watched before it was recorded");
        }
    }

    /// The person, somebody else, or who is to answer.
    fn answer(&mut self, choice: u8) {
        let by = ["ada@example.com", "eve@example.com", "ann@example.com"][usize::from(choice % 3)];
        let verdict = if choice & 0x80 == 0 {
            Verdict::Approve
        } else {
            Verdict::Refuse
        };
        self.was_approved |= by == "ann@example.com" && verdict == Verdict::Approve;
        let approval = Approval {
            session: self.session.id(),
            by: by.into(),
            verdict,
            note: "a note".into(),
        };
        self.session.handle(In::Approval(approval), self.now);
    }

    fn note(&mut self, event: &AccessEvent) {
        if event.subject.session != self.session.id() {
            return self.note_inside(event);
        }
        match &event.kind {
            EventKind::AccessDenied { .. } => self.denials += 1,
            EventKind::AccessAllowed { .. } => self.is_allowed = true,
            EventKind::SessionStart { .. } => {
                assert!(self.is_allowed, "a start without a permission");
                assert!(!self.is_withdrawn, "A17: a start under older rules");
                let needs_approval = GRANTS[self.grant].contains("approval");
                assert!(self.was_approved || !needs_approval, "nobody approved");
                self.starts += 1;
            }
            EventKind::SessionEnd { .. } => self.ends += 1,
            _ => {}
        }
    }

    fn note_inside(&mut self, event: &AccessEvent) {
        assert!(self.starts > 0, "a session inside none");
        assert!(event.subject.parent.is_some(), "a session of nobody's");
        let [denials, starts, ends] = self.inside.entry(event.subject.session).or_default();
        match &event.kind {
            EventKind::AccessDenied { .. } => *denials += 1,
            EventKind::SessionStart { .. } => *starts += 1,
            EventKind::SessionEnd { .. } => *ends += 1,
            _ => {}
        }
        assert!(*denials + *starts <= 1 && ends <= starts, "I6");
    }

    fn connect(&mut self) {
        assert!(
            self.may_connect,
            "I1: a target that the policy does not allow"
        );
        match self.connects {
            Ok(()) => {
                self.target = Some(ServerEnd::new(server_config(), 6, self.door));
                self.session.handle(In::TargetConnected, self.now);
            }
            Err(failure) => self
                .session
                .handle(In::TargetUnreachable(failure), self.now),
        }
    }

    fn write(&mut self, id: SessionId, page: &[u8]) {
        if self.log_fails_at.is_some_and(|at| at <= self.pages) {
            return self.fail(id);
        }
        self.pages = self.pages.saturating_add(1);
        let is_own = id == self.session.id();
        let reader = self.readers.entry(id).or_insert_with(reader);
        reader.push(page);
        while let Some(event) = reader.poll() {
            if let Event::Record(view) = event
                && is_own
            {
                match view.record {
                    Record::Input(bytes) => self.recorded.client += bytes.len(),
                    Record::Output(bytes) | Record::Stderr(bytes) => {
                        self.recorded.target += bytes.len();
                    }
                    // What the proxy itself tells the person arrives as the target's.
                    Record::WriterNotice { text } => self.recorded.target += text.len(),
                    _ => {}
                }
            }
        }
        self.session.handle(In::LogWritten(id), self.now);
    }

    fn fail(&mut self, id: SessionId) {
        self.log_failed = true;
        self.arrived_at_failure
            .get_or_insert([self.arrived.client, self.arrived.target]);
        self.session.handle(In::LogFailed(id), self.now);
    }

    fn deliver(&mut self, leg: Leg, bytes: &[u8]) {
        match (leg, &mut self.target) {
            (Leg::Client, _) => self.person.hear(bytes, self.now.mono),
            (Leg::Target, Some(target)) => target.hear(bytes, self.now.mono),
            (Leg::Target, None) => panic!("I1: bytes for a target that was not connected to"),
        }
        self.count_arrivals();
        if self.is_stuck[leg] {
            self.unwritten[leg] += bytes.len();
        } else {
            let written = bytes.len() + std::mem::take(&mut self.unwritten[leg]);
            self.session.handle(In::Written(leg, written), self.now);
        }
    }

    fn count_arrivals(&mut self) {
        let inboxes = [
            (Leg::Target, &self.person.received[self.seen.target..]),
            (
                Leg::Client,
                self.target
                    .as_ref()
                    .map_or(&[][..], |target| &target.received[self.seen.client..]),
            ),
        ];
        for (from, packets) in inboxes {
            assert!(
                packets.is_empty() || self.is_allowed,
                "I1: a packet before the permission"
            );
            self.seen[from] += packets.len();
            self.arrived[from] += packets.iter().map(|packet| data_len(packet)).sum::<usize>();
        }
        if has_sessions(self.grant) {
            return;
        }
        assert!(
            self.arrived.client <= self.recorded.client,
            "I2: input passed before it was recorded"
        );
        assert!(
            self.arrived.target <= self.recorded.target,
            "I2: output passed before it was recorded"
        );
        if let Some([client, target]) = self.arrived_at_failure {
            assert_eq!(
                (self.arrived.client, self.arrived.target),
                (client, target),
                "I3: data after the log failed"
            );
        }
    }

    fn check(&self) {
        assert!(
            self.denials + self.starts <= 1 && self.ends <= self.starts,
            "I6"
        );
        for leg in [Leg::Client, Leg::Target] {
            let ceiling = MAX_OWN_BACKLOG_BYTES + MAX_BACKLOG_BYTES + 4 * RECEIVE_BUFFER_BYTES;
            assert!(
                self.unwritten[leg] <= ceiling,
                "I7: {} bytes wait",
                self.unwritten[leg]
            );
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.unix += time;
        if self
            .session
            .poll_timeout()
            .is_some_and(|at| at <= self.now.mono)
        {
            self.session.handle_timeout(self.now);
            let next = self.session.poll_timeout();
            assert!(
                next.is_none_or(|at| at > self.now.mono),
                "a deadline that stays: {next:?} at {:?}",
                self.now.mono
            );
        }
    }

    /// Both peers go, and time passes.
    fn end(&mut self) {
        self.write_late();
        self.run(usize::MAX);
        if self.is_withdrawn && self.unwritten_page.is_none() {
            assert_eq!(self.ends, self.starts, "A17: a session goes on");
        }
        let is_there = self.unwritten_page.is_none() && self.is_dismissed;
        assert!(
            !is_there || self.denials + self.ends > 0,
            "a session goes on that an operator has ended"
        );
        for leg in [Leg::Target, Leg::Client] {
            self.session.handle(In::Closed(leg), self.now);
            self.run(usize::MAX);
        }
        for _ in 0..64 {
            if self.session.is_over() {
                break;
            }
            self.pass(Duration::from_secs(60));
            self.run(usize::MAX);
        }
        self.check();
        assert!(self.session.is_over(), "a connection without an end");
        assert_eq!(
            self.session.poll_timeout(),
            None,
            "something is awaited after the end"
        );
        assert_eq!(
            (self.denials + self.starts, self.ends),
            (1, self.starts),
            "I6"
        );
        for [denials, starts, ends] in self.inside.values() {
            assert_eq!((denials + starts, ends), (1, starts), "I6");
        }
    }
}

fn data_len(packet: &[u8]) -> usize {
    match packet.first() {
        Some(&CHANNEL_DATA) => packet.len().saturating_sub(9),
        Some(&CHANNEL_EXTENDED_DATA) => packet.len().saturating_sub(13),
        _ => 0,
    }
}
