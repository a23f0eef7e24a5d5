//! A person who jumps from target to target: at every level an SSH client and an SSH server, each inside a channel of the one before.
//!
//! Both ends keep to the windows that they were given, and see to it that the proxy does.

mod logs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proxy_core::{
    AccessEvent, Ca, ConnectionInfo, Current, EventKind, Gateway, Input, Leg, Now, Output, PerLeg,
    Session, SessionId, SigningRequest,
};
use session_log::{Reader, SigningIdentity};
use ssh_transport::{Client, ClientConfig};

pub use super::jumps::*;
pub use super::pipes::Pipe;
use super::{CA_SEED, Person, START_UNIX, Setup, TargetHost, packets as p, recipient, rules};

/// The channel of a level that the next level is inside of, by its number at the client and at the target.
pub const JUMP: PerLeg<u32> = PerLeg {
    client: 50,
    target: 60,
};

/// The channel that [`Tree::open_session`] opens, by its number at the client and at the target.
const SHELL: [u32; 2] = [0, 7];

/// What a remote authority does that it should not.
#[derive(Debug, Clone, Copy)]
pub enum Signer {
    Refuses,
    SaysNothing,
    /// It signs with another key.
    IsAnother,
}

/// One level.
#[derive(Default)]
pub struct Level {
    pub person: Option<Person>,
    pub target: Option<TargetHost>,
    pub pipe: PerLeg<Pipe>,
    /// What each end got but for what is inside its pipe.
    pub packets: PerLeg<Vec<Vec<u8>>>,
    pub data: PerLeg<Vec<u8>>,
    /// How much of what came from each leg was found in the log.
    checked: PerLeg<usize>,
}

/// The log of one session.
pub struct Log {
    reader: Reader,
    pub records: Vec<String>,
    pub recorded: PerLeg<Vec<u8>>,
    pub bytes: Vec<u8>,
    /// When the last record says that it was written, since the log's beginning.
    pub last: Duration,
    pages: usize,
}

pub struct Tree {
    pub session: Session,
    pub now: Now,
    pub levels: Vec<Level>,
    pub logs: BTreeMap<SessionId, Log>,
    /// In the order in which they began: by level, where each is begun once.
    pub ids: Vec<SessionId>,
    /// How many sessions each is inside of.
    pub depths: BTreeMap<SessionId, usize>,
    pub events: Vec<AccessEvent>,
    /// Everything that was asked for, in order.
    pub outputs: Vec<String>,
    pub current: Current,
    pub in_flight: PerLeg<Vec<u8>>,
    pub closed: PerLeg<bool>,
    /// The window and the longest packet that both ends of a pipe take.
    pub window: (u32, u32),
    /// The longest packet that a target's end takes, where that is another.
    pub target_max: Option<u32>,
    /// The longest data in one packet that the ends of a pipe send.
    pub longest: usize,
    /// The page of that level's log from which on nothing can be written.
    pub log_fails: Option<(usize, usize)>,
    /// The page of that level's log from which on no page gets an answer.
    pub log_stalls: Option<(usize, usize)>,
    /// No page gets an answer.
    pub log_is_silent: bool,
    /// What a remote authority says, and to which request not the right thing.
    pub signer: Option<(usize, Signer)>,
    /// How often it was asked.
    pub asked_to_sign: usize,
    unanswered: Vec<(SessionId, Vec<u8>)>,
    /// Sessions whose disk says nothing any more.
    forgotten: BTreeSet<SessionId>,
    /// The channel that the next level is to be inside of.
    pub numbers: PerLeg<u32>,
    pub refuses_jumps: bool,
    /// Targets say nothing to connections that are asked for.
    pub ignores_jumps: bool,
    /// The number that targets give to the next level's channel, if it is not the usual one.
    pub confirms_with: Option<u32>,
    /// What came on channels of other numbers, while that is so.
    pub aside_bytes: PerLeg<usize>,
    /// No client begins at this level.
    pub silent_level: Option<usize>,
    pub stuck: Option<Leg>,
    pub user: &'static str,
    /// What was given out for a leg that is stuck.
    pub unwritten: Vec<u8>,
    /// The ends keep to no rules.
    pub is_hostile: bool,
}

impl Tree {
    pub fn new(policy: &str) -> Self {
        Self::with(policy, |_| {})
    }

    pub fn with(policy: &str, change: impl FnOnce(&mut Gateway)) -> Self {
        let ca = ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&CA_SEED));
        let mut gateway = Gateway::new(
            hostkey_derive::AccountSecret::from_bytes(&[2; 32]).unwrap(),
            Ca::Local(sshcert::CaKey::from_private_key(ca).unwrap()),
            vec![recipient().recipient()],
            SigningIdentity::from_seed([5; 32]),
        );
        gateway.directory = Some(Arc::new(Names));
        change(&mut gateway);
        let ada = policy::Identity {
            email: Some("ada@example.com".into()),
            ..Default::default()
        };
        let addr = "198.51.100.7:50000".parse().unwrap();
        let info = ConnectionInfo::new(ada, addr, target("web-1"));
        let current = Current {
            rules: rules("start", policy, ""),
            identity: info.identity.clone(),
            device: info.device.clone(),
        };
        let now = Now {
            mono: Duration::ZERO,
            unix: START_UNIX,
        };
        let rules = Arc::clone(&current.rules);
        let session = Session::new(Arc::new(gateway), rules, info, &[1; 32], now);
        let mut tree = Self {
            session,
            now,
            levels: Vec::new(),
            logs: BTreeMap::new(),
            ids: Vec::new(),
            depths: BTreeMap::new(),
            events: Vec::new(),
            outputs: Vec::new(),
            current,
            in_flight: PerLeg::default(),
            closed: PerLeg::default(),
            window: (2_097_152, 32_768),
            target_max: None,
            longest: 32_768,
            log_fails: None,
            log_stalls: None,
            log_is_silent: false,
            signer: None,
            asked_to_sign: 0,
            unanswered: Vec::new(),
            forgotten: BTreeSet::new(),
            numbers: JUMP,
            refuses_jumps: false,
            ignores_jumps: false,
            confirms_with: None,
            aside_bytes: PerLeg::default(),
            silent_level: None,
            stuck: None,
            user: "deploy",
            unwritten: Vec::new(),
            is_hostile: false,
        };
        tree.levels.push(Level::default());
        tree.add_person(0);
        tree
    }

    /// Logged in at so many levels, one inside the other.
    pub fn jumped(policy: &str, levels: usize) -> Self {
        let mut tree = Self::new(policy);
        tree.run();
        for level in 1..levels {
            tree.jump(level - 1);
        }
        tree.assert_in(levels);
        tree
    }

    pub fn assert_in(&self, levels: usize) {
        for level in 0..levels {
            let person = self.levels[level].person.as_ref().unwrap();
            assert!(person.is_in, "level {level}: {:?}", self.events);
        }
    }

    fn add_person(&mut self, level: usize) {
        let config = ClientConfig {
            identification: "SSH-2.0-OpenSSH_9.2 test".into(),
            ..ClientConfig::default()
        };
        let seed = [100 + u8::try_from(level).unwrap(); 32];
        let ssh = Client::new(Arc::new(config), seed, self.now.mono);
        let setup = Setup {
            user: self.user,
            ..Setup::default()
        };
        self.levels[level].person = Some(Person::new(ssh, &setup));
    }

    fn add_target(&mut self, level: usize) {
        let setup = Setup {
            target_key: [200 + u8::try_from(level).unwrap(); 32],
            ..Setup::default()
        };
        self.levels[level].target = Some(TargetHost::new(&setup, self.now.mono));
    }

    /// The person at this level asks for a connection to the next.
    pub fn jump(&mut self, level: usize) {
        self.open(level, &host(level + 1), 22);
    }

    pub fn open(&mut self, level: usize, host: &str, port: u32) {
        let data = [p::host_port(host, port), p::host_port("127.0.0.1", 50_000)].concat();
        let open = p::open_sized("direct-tcpip", self.numbers.client, self.window, &data);
        self.levels[level].pipe.client.granted = self.window.0 as usize;
        self.send(level, Leg::Client, &open);
        self.run();
    }

    /// A packet of an end.
    pub fn send(&mut self, level: usize, from: Leg, payload: &[u8]) {
        let level = &mut self.levels[level];
        // Who was cut off has nobody to send to.
        let _ = match from {
            Leg::Client => level
                .person
                .as_mut()
                .map(|it| it.ssh.send_packet(payload, self.now.mono)),
            Leg::Target => level
                .target
                .as_mut()
                .map(|it| it.ssh.send_packet(payload, self.now.mono)),
        };
    }

    /// Opens a session channel at a level: 0 of the client, 7 of the target, on which data then flows.
    pub fn open_session(&mut self, level: usize) {
        self.send(level, Leg::Client, &p::open("session", 0, u32::MAX, &[]));
        self.run();
        self.send(level, Leg::Client, &p::request(7, "shell", false, b""));
        self.run();
    }

    /// Data on it, in packets of this many bytes.
    pub fn send_data(&mut self, level: usize, from: Leg, bytes: &[u8], each: usize) {
        let id = if from == Leg::Client { 7 } else { 0 };
        for piece in bytes.chunks(each) {
            self.send(level, from, &p::data(id, piece));
        }
    }

    pub fn kinds(&self, level: usize) -> Vec<&EventKind> {
        let Some(id) = self.ids.get(level) else {
            return Vec::new();
        };
        let own = self.events.iter().filter(|it| it.subject.session == *id);
        own.map(|event| &event.kind).collect()
    }

    pub fn records(&self, level: usize) -> &[String] {
        self.ids
            .get(level)
            .and_then(|id| self.logs.get(id))
            .map_or(&[], |log| &log.records)
    }

    pub fn run(&mut self) {
        loop {
            let mut moved = self.perform();
            moved |= self.act();
            for leg in [Leg::Client, Leg::Target] {
                let bytes = &mut self.in_flight[leg];
                if !bytes.is_empty() && !self.closed[leg] {
                    let taken = self.session.receive(leg, bytes, self.now);
                    bytes.drain(..taken);
                    moved |= taken > 0;
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// What the ends of all levels have to do and to say.
    fn act(&mut self) -> bool {
        let mut moved = false;
        let mut level = 0;
        while level < self.levels.len() {
            let now = self.now.mono;
            let it = &mut self.levels[level];
            let mut got = PerLeg::<Vec<Vec<u8>>>::default();
            if let Some(person) = &mut it.person {
                moved |= person.act(now);
                person.data.clear();
                got.client = std::mem::take(&mut person.packets);
            }
            if let Some(target) = &mut it.target {
                moved |= target.act(now);
                target.data.clear();
                got.target = std::mem::take(&mut target.packets);
            }
            for leg in [Leg::Client, Leg::Target] {
                for packet in std::mem::take(&mut got[leg]) {
                    moved = true;
                    self.react(level, leg, packet);
                }
                self.flush(level, leg);
            }
            moved |= self.leave(level);
            level += 1;
        }
        // The innermost first, so that what it says gets all the way out.
        for level in (0..self.levels.len()).rev() {
            for leg in [Leg::Client, Leg::Target] {
                let it = &mut self.levels[level];
                let said = match leg {
                    Leg::Client => it.person.as_mut().and_then(|it| it.ssh.poll_output()),
                    Leg::Target => it.target.as_mut().and_then(|it| it.ssh.poll_output()),
                };
                let Some(said) = said else { continue };
                moved = true;
                match level.checked_sub(1) {
                    None => self.in_flight[leg].extend_from_slice(&said),
                    Some(outer) => {
                        self.levels[outer].pipe[leg].out.extend_from_slice(&said);
                        self.flush(outer, leg);
                    }
                }
            }
        }
        moved
    }

    /// One packet that an end got.
    fn react(&mut self, level: usize, leg: Leg, packet: Vec<u8>) {
        let number = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
        let is_of_pipe = packet.len() >= 5 && number(1) == self.numbers[leg];
        match (leg, packet[0]) {
            (Leg::Target, 90) if packet[5..].starts_with(b"direct-tcpip") => {
                if self.ignores_jumps {
                    return;
                }
                if self.refuses_jumps {
                    let failure = p::open_failure(self.numbers.client, 2, "no route");
                    return self.send(level, leg, &failure);
                }
                if let Some(id) = self.confirms_with {
                    let confirm = p::confirm_sized(number(17), id, self.window);
                    return self.send(level, leg, &confirm);
                }
                let (window, max) = (self.window.0, self.target_max.unwrap_or(self.window.1));
                let pipe = &mut self.levels[level].pipe.target;
                // number, string, sender, window
                pipe.writable = number(17 + 4) as usize;
                pipe.peer = Some(number(17));
                pipe.granted = window as usize;
                let confirm =
                    p::confirm_sized(self.numbers.client, self.numbers.target, (window, max));
                self.send(level, leg, &confirm);
                self.add_level(level + 1);
                if self.silent_level != Some(level + 1) {
                    self.add_target(level + 1);
                }
            }
            (Leg::Target, 90) => self.send(level, leg, &p::confirm(number(12), 7)),
            (Leg::Client, 91) if is_of_pipe => {
                let pipe = &mut self.levels[level].pipe.client;
                (pipe.peer, pipe.writable) = (Some(number(5)), number(9) as usize);
                self.add_level(level + 1);
                if self.silent_level != Some(level + 1) {
                    self.add_person(level + 1);
                }
            }
            (_, 93) if is_of_pipe => self.levels[level].pipe[leg].writable += number(5) as usize,
            (_, 94) if is_of_pipe => self.piped(level, leg, &packet[9..]),
            (_, 96) if is_of_pipe => self.levels[level].pipe[leg].has_eof = true,
            (_, 97) if is_of_pipe => {
                let pipe = &mut self.levels[level].pipe[leg];
                if !std::mem::replace(&mut pipe.is_closed, true) && pipe.closes_too {
                    let id = pipe.peer.unwrap();
                    self.send(level, leg, &p::close(id));
                }
            }
            // Of a channel that nothing here is about.
            (_, 94) if self.confirms_with.is_some() && !SHELL.contains(&number(1)) => {
                self.aside_bytes[leg] += packet.len() - 9
            }
            (_, 94) => self.levels[level].data[leg].extend_from_slice(&packet[9..]),
            _ => self.levels[level].packets[leg].push(packet),
        }
    }

    fn add_level(&mut self, level: usize) {
        while self.levels.len() <= level {
            self.levels.push(Level::default());
        }
        for leg in [Leg::Client, Leg::Target] {
            self.levels[level - 1].pipe[leg].closes_too = true;
        }
    }

    fn perform(&mut self) -> bool {
        let mut any = false;
        while let Some(output) = self.session.poll_output() {
            any = true;
            self.outputs.push(format!("{output:?}"));
            match output {
                Output::Event(event) => self.note(event),
                Output::ConnectTarget => {
                    self.add_target(0);
                    self.session.handle(Input::TargetConnected, self.now);
                }
                Output::Log(id, page) if self.is_stalled(id) => {
                    self.log_is_silent = true;
                    self.unanswered.push((id, page.to_vec()));
                }
                Output::SignCertificate(request) => self.sign(&request),
                Output::Log(id, page) => self.write_log(id, &page),
                Output::Send(leg, bytes) => {
                    assert!(self.unanswered.is_empty(), "a page is not written yet");
                    if self.stuck == Some(leg) {
                        self.unwritten.extend(&bytes);
                    } else {
                        self.take(leg, &bytes);
                    }
                    self.act();
                    self.check_recorded_before_released();
                }
                Output::Reevaluate => self.reevaluate(),
                Output::Close(leg) => self.closed[leg] = true,
                _ => {}
            }
        }
        any
    }

    fn sign(&mut self, request: &SigningRequest) {
        let fault = self.signer.filter(|(at, _)| *at == self.asked_to_sign);
        self.asked_to_sign += 1;
        let seed = match fault {
            Some((_, Signer::SaysNothing)) => return,
            Some((_, Signer::Refuses)) => {
                let input = Input::SigningFailed(request.session);
                return self.session.handle(input, self.now);
            }
            Some((_, Signer::IsAnother)) => [0x77; 32],
            None => CA_SEED,
        };
        let signature = super::ed25519(seed).sign(&request.to_be_signed);
        let input = Input::Signed(request.session, &signature);
        self.session.handle(input, self.now);
    }

    pub fn reevaluate(&mut self) {
        let current = Box::new(self.current.clone());
        self.session.handle(Input::Reevaluate(current), self.now);
    }

    /// The socket takes these bytes, and so does the peer.
    fn take(&mut self, leg: Leg, bytes: &[u8]) {
        let it = &mut self.levels[0];
        match leg {
            Leg::Client => it.person.as_mut().unwrap().incoming.extend(bytes),
            Leg::Target => it.target.as_mut().unwrap().incoming.extend(bytes),
        }
        let written = Input::Written(leg, bytes.len());
        self.session.handle(written, self.now);
    }

    fn note(&mut self, event: AccessEvent) {
        let id = event.subject.session;
        let ended = |it: &AccessEvent| it.subject.session == id && it.kind.is_last();
        assert!(!self.events.iter().any(ended), "{event:?} after the last");
        if !self.ids.contains(&id) {
            let parent = event.subject.parent;
            let depth = parent.map_or(0, |outer| self.depths[&outer] + 1);
            self.ids.push(id);
            self.depths.insert(id, depth);
        }
        self.events.push(event);
    }

    /// The session that began last at this level.
    pub fn id_at(&self, level: usize) -> Option<SessionId> {
        let mut ids = self.ids.iter().rev();
        ids.find(|id| self.depths[id] == level).copied()
    }

    /// The ends have acted, and the session has got a part of it.
    pub fn act_once(&mut self) {
        self.act();
        for leg in [Leg::Client, Leg::Target] {
            let bytes = &mut self.in_flight[leg];
            let len = bytes.len().min(100_000);
            let taken = self.session.receive(leg, &bytes[..len], self.now);
            bytes.drain(..taken);
        }
        self.perform();
    }

    /// The socket takes so many bytes and is stuck again.
    pub fn trickle(&mut self, len: usize) {
        let leg = self.stuck.unwrap();
        let len = len.min(self.unwritten.len());
        assert!(len > 0, "nothing is on its way");
        let bytes: Vec<u8> = self.unwritten.drain(..len).collect();
        self.take(leg, &bytes);
        self.run();
    }

    /// The socket takes everything again.
    pub fn unstick(&mut self) {
        let leg = self.stuck.take().unwrap();
        let bytes = std::mem::take(&mut self.unwritten);
        self.take(leg, &bytes);
        self.run();
    }

    /// Key exchanges that the ends of a level have seen.
    pub fn exchanges(&self, level: usize) -> PerLeg<usize> {
        let it = &self.levels[level];
        PerLeg {
            client: it.person.as_ref().map_or(0, |it| it.exchanges),
            target: it.target.as_ref().map_or(0, |it| it.exchanges),
        }
    }

    /// Lets time pass, with every deadline on the way.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        loop {
            self.run();
            let next = self.session.poll_timeout().unwrap_or(Duration::MAX);
            let next = next.max(self.now.mono);
            if next > until {
                break;
            }
            self.set_mono(next);
            self.session.handle_timeout(self.now);
            if self.session.poll_timeout() == Some(next) {
                self.set_mono(next + Duration::from_nanos(1));
            }
        }
        self.set_mono(until);
        self.run();
    }

    pub fn set_mono(&mut self, mono: Duration) {
        self.now.unix += mono.saturating_sub(self.now.mono);
        self.now.mono = mono;
    }

    pub fn peer_closes(&mut self, leg: Leg) {
        self.session.handle(Input::Closed(leg), self.now);
        self.run();
    }

    pub fn finish(&mut self) {
        for leg in [Leg::Client, Leg::Target] {
            self.peer_closes(leg);
        }
        self.pass(Duration::from_secs(300));
        assert!(self.session.is_over());
        for id in &self.ids {
            let own = self.events.iter().filter(|it| it.subject.session == *id);
            let (mut begun, mut ended) = (0, 0);
            for event in own {
                begun += usize::from(matches!(event.kind, EventKind::SessionStart { .. }));
                ended += usize::from(event.kind.is_last());
            }
            assert_eq!(ended, 1, "{:?}", self.events);
            assert!(begun <= 1);
        }
    }
}
