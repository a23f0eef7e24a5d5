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

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use proxy_core::limits::{MAX_BACKLOG_BYTES, MAX_OWN_BACKLOG_BYTES};
use proxy_core::{
    Ca, ConnectFailure, ConnectionInfo, Current, EventKind, Gateway, Input as In, Leg, Now, Output,
    PerLeg, Rules, Session, Target,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use session_log::{Event, Identity, Kem, Reader, ReaderConfig, Record, SigningIdentity};
use ssh_key::private::Ed25519Keypair;
use ssh_transport::{CipherAlgorithm, RECEIVE_BUFFER_BYTES};

use crate::ends::{ClientEnd, Door, ServerEnd, client_config, server_config};
use crate::input::Input;
use crate::relay::any_packet;

/// Most operations of one run.
const MAX_OPERATIONS: usize = 96;
/// Rounds in which bytes may move before they must have stopped.
const MAX_ROUNDS: usize = 4_096;
const CHANNEL_DATA: u8 = 94;
const CHANNEL_EXTENDED_DATA: u8 = 95;

const POLICY: &str = r#"
[[application]]
name = "lab"
target = { include = [{ hostname = "web-1" }] }
[[application.policy]]
name = "engineers"
action = "allow"
include = [{ email = "ada@example.com" }]
usernames = ["deploy"]
max_session = "1h"
"#;

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
    unwritten_page: Option<Vec<u8>>,
    identity: policy::Identity,
    is_withdrawn: bool,
    reader: Reader,
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

fn keys() -> &'static (Identity, Arc<Rules>) {
    static KEYS: OnceLock<(Identity, Arc<Rules>)> = OnceLock::new();
    KEYS.get_or_init(|| {
        let identity = Identity::generate(Kem::X25519, &mut ChaCha20Rng::from_seed([8; 32]));
        (
            identity,
            Arc::new(Rules::new(
                policy::PolicySet::from_toml(POLICY).expect("it is well-formed"),
            )),
        )
    })
}

impl World {
    fn new(input: &mut Input<'_>) -> Self {
        let choice = input.byte();
        let may_connect = choice & 7 != 7;
        let (identity, rules) = keys();
        let gateway = Gateway::new(
            hostkey_derive::AccountSecret::from_bytes(&[2; 32]).expect("long enough"),
            Ca::Local(
                sshcert::CaKey::from_private_key(Ed25519Keypair::from_seed(&[1; 32]).into())
                    .expect("it will do"),
            ),
            vec![identity.recipient()],
            SigningIdentity::from_seed([3; 32]),
        );
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
            target: Target {
                facts: policy::Target {
                    hostname: "web-1".into(),
                    port: 22,
                    ..policy::Target::default()
                },
                host_keys: None,
                host_authorities: Vec::new(),
                any_host_key_inside: false,
                algorithms: ssh_transport::Algorithms::default(),
            },
        };
        let now = Now {
            mono: Duration::ZERO,
            unix: Duration::from_secs(1_800_000_000),
        };
        let again = Identity::from_text(&identity.to_text()).expect("it is our own");
        let known = info.identity.clone();
        let session = Session::new(Arc::new(gateway), Arc::clone(rules), info, &[4; 32], now);
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
            log_fails_at: Some(input.byte())
                .filter(|page| page & 3 == 3)
                .map(|page| page >> 2),
            pages: 0,
            log_failed: false,
            is_log_slow: false,
            unwritten_page: None,
            identity: known,
            is_withdrawn: false,
            reader: Reader::new(ReaderConfig {
                identities: vec![again],
                ..ReaderConfig::default()
            }),
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
                2 => self.change_rules(true),
                3 => self.change_rules(false),
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
                Output::Event(event) => self.note(&event.kind),
                Output::ConnectTarget => self.connect(),
                Output::Log(_, page) if self.is_log_slow => {
                    self.is_log_slow = false;
                    self.unwritten_page.get_or_insert(page.to_vec());
                }
                // What follows a page that a session that is over did not wait for.
                Output::Log(..) if self.unwritten_page.is_some() => self.fail(),
                Output::Log(_, page) => self.write(&page),
                Output::Send(leg, bytes) => self.deliver(leg, &bytes),
                Output::SignCertificate(_) => unreachable!("the authority is local"),
                Output::AskApproval(_) => unreachable!("the policy asks nobody"),
                Output::Reevaluate => unreachable!("the policy has no times"),
                Output::Close(_) | Output::Watched(..) | Output::WatchOver(..) => {}
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
        if let Some(page) = self.unwritten_page.take() {
            self.write(&page);
        }
    }

    /// Other rules: the same once more, or ones that let nobody in.
    fn change_rules(&mut self, is_withdrawn: bool) {
        let (_, rules) = keys();
        let rules = if is_withdrawn {
            let nobody = policy::PolicySet::from_toml("").expect("it is well-formed");
            Arc::new(Rules::new(nobody))
        } else {
            Arc::clone(rules)
        };
        self.is_withdrawn = is_withdrawn;
        let current = Current {
            rules,
            identity: self.identity.clone(),
            device: policy::Device::default(),
        };
        let current = Box::new(current);
        self.session.handle(In::Reevaluate(current), self.now);
    }

    fn note(&mut self, kind: &EventKind) {
        match kind {
            EventKind::AccessDenied { .. } => self.denials += 1,
            EventKind::AccessAllowed { .. } => self.is_allowed = true,
            EventKind::SessionStart { .. } => {
                assert!(self.is_allowed, "a start without a permission");
                assert!(!self.is_withdrawn, "A17: a start under older rules");
                self.starts += 1;
            }
            EventKind::SessionEnd { .. } => self.ends += 1,
            _ => {}
        }
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

    fn write(&mut self, page: &[u8]) {
        if self.log_fails_at.is_some_and(|at| at <= self.pages) {
            return self.fail();
        }
        self.pages = self.pages.saturating_add(1);
        self.reader.push(page);
        while let Some(event) = self.reader.poll() {
            if let Event::Record(view) = event {
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
        self.session
            .handle(In::LogWritten(self.session.id()), self.now);
    }

    fn fail(&mut self) {
        self.log_failed = true;
        self.arrived_at_failure
            .get_or_insert([self.arrived.client, self.arrived.target]);
        self.session
            .handle(In::LogFailed(self.session.id()), self.now);
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
    }
}

fn data_len(packet: &[u8]) -> usize {
    match packet.first() {
        Some(&CHANNEL_DATA) => packet.len().saturating_sub(9),
        Some(&CHANNEL_EXTENDED_DATA) => packet.len().saturating_sub(13),
        _ => 0,
    }
}
