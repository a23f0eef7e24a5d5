//! A world of three: a person's SSH client, the session under test, a target's SSH server; and a clock that only the
//! test moves. Both peers are real `ssh-transport` machines; every byte they exchange with the session is visible here.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "a test's help"
)]

mod jumps;
pub mod packets;
mod peers;
mod pipes;
mod setup;
pub mod soft_key;
pub mod tree;

pub use peers::{Person, TargetHost};
pub use setup::Setup;
pub use soft_key::SoftKey;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proxy_core::{
    AccessEvent, Approval, ApprovalRequest, Ca, ConnectFailure, ConnectionInfo, Current, EventKind,
    Gateway, Input, Leg, Now, Output, PerLeg, Rules, SecurityKey, Seen, Session, Target, Verdict,
    WatchEnd, WatchId,
};
use session_log::{Event, Identity, Kem, Reader, ReaderConfig, Record, SigningIdentity};
use ssh_transport::{AuthMethod, Client, ClientConfig, Ed25519Key, HostKeyAlgorithm};

pub const POLICY: &str = r#"
[[application]]
name = "lab"
target = { include = [{ hostname = "web-1" }] }

[[application.policy]]
name = "engineers"
action = "allow"
include = [{ email = "ada@example.com" }]
usernames = ["deploy"]
"#;

pub const CA_SEED: [u8; 32] = [7; 32];
pub const HOST_CA_SEED: [u8; 32] = [8; 32];
pub const START_UNIX: Duration = Duration::from_secs(1_800_000_000);

/// One thing that the session asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Event(EventKind),
    Connect,
    AskApproval(ApprovalRequest),
    Log(Vec<u8>),
    SignCertificate,
    Reevaluate,
    Watched(WatchId, u32, Seen),
    WatchOver(WatchId, WatchEnd),
    Send(Leg, Vec<u8>),
    Close(Leg),
}

pub struct World {
    pub setup: Setup,
    pub session: Session,
    pub now: Now,
    pub person: Person,
    pub target: Option<TargetHost>,
    /// Those that the session has left.
    pub left: Vec<TargetHost>,
    /// In the order in which the session asked.
    pub steps: Vec<Step>,
    /// All pages that could be written.
    pub log: Vec<u8>,
    pub recipient: Identity,
    /// What the log says came from each leg so far, read with the recipient's key as it grows.
    reader: session_log::Reader,
    pub recorded: PerLeg<Vec<u8>>,
    /// What of it the other leg's peer got.
    pub passed: PerLeg<Vec<u8>>,
    pub records: Vec<String>,
    pages: usize,
    in_flight: BTreeMap<Leg, Vec<u8>>,
    /// Bytes that the session has read from each leg.
    pub delivered: PerLeg<usize>,
    ca: ssh_key::PrivateKey,
    /// While set, bytes to that leg are not reported as written: its socket is full.
    pub stuck: Option<Leg>,
    pub unwritten_bytes: usize,
    pub closed: Vec<Leg>,
    /// Pages get no answer…
    pub log_is_silent: bool,
    /// …until [`World::answer_log`].
    unanswered: Vec<Vec<u8>>,
    /// Key exchanges that the two peers have seen, the first ones included.
    pub exchanges: usize,
    /// What the driver knows to decide with.
    pub current: Current,
    /// The driver does not answer when it is asked for that.
    pub is_slow_to_reevaluate: bool,
}

/// The recipient of every log here.
pub fn recipient() -> Identity {
    Identity::generate(
        Kem::XWing,
        &mut rand_chacha::ChaCha20Rng::from_seed([9; 32]),
    )
}

/// The content of a CHANNEL_DATA packet.
fn channel_data(packet: &[u8]) -> &[u8] {
    if packet[0] == 94 { &packet[9..] } else { &[] }
}

pub fn rules(version: &str, policy: &str, revocations: &str) -> Arc<Rules> {
    let policy = policy::PolicySet::from_toml(policy).unwrap();
    let revocations = policy::Revocations::from_toml(revocations).unwrap();
    Arc::new(Rules {
        policy: Arc::new(policy),
        revocations: Arc::new(revocations),
        version: version.into(),
    })
}

fn authority_key(seed: &[u8; 32]) -> ssh_key::PrivateKey {
    ssh_key::private::Ed25519Keypair::from_seed(seed).into()
}

pub fn ed25519(seed: [u8; 32]) -> Ed25519Key {
    Ed25519Key::from_seed(zeroize::Zeroizing::new(seed))
}

impl World {
    pub fn new(setup: Setup) -> Self {
        let recipient = recipient();
        let reader = Reader::new(ReaderConfig {
            identities: vec![self::recipient()],
            ..ReaderConfig::default()
        });
        let ca = authority_key(&CA_SEED);
        let authority = |seed| {
            let key = authority_key(seed);
            if setup.remote_ca {
                Ca::Remote(sshcert::CaPublicKey::from_public_key(key.public_key()).unwrap())
            } else {
                Ca::Local(sshcert::CaKey::from_private_key(key).unwrap())
            }
        };
        let mut gateway = Gateway::new(
            hostkey_derive::AccountSecret::from_bytes(&setup.account_secret).unwrap(),
            authority(&CA_SEED),
            vec![recipient.recipient()],
            SigningIdentity::from_seed([5; 32]),
        );
        gateway.timeouts.approval = setup.approval;
        gateway.rekey.max_bytes = setup.rekey_bytes;
        gateway.limits = setup.limits;
        if let Some((previous, overlap)) = &setup.previous_secret {
            let secret = |bytes| hostkey_derive::AccountSecret::from_bytes(bytes).unwrap();
            gateway.secrets = hostkey_derive::SecretRing::new(secret(previous))
                .rotate(
                    secret(&setup.account_secret),
                    START_UNIX - Duration::from_secs(3600),
                    START_UNIX + *overlap,
                )
                .unwrap();
        }
        gateway.host_ca = setup.host_ca.then(|| authority(&HOST_CA_SEED));
        let now = Now {
            mono: Duration::ZERO,
            unix: START_UNIX,
        };
        let info = ConnectionInfo {
            identity: policy::Identity {
                authenticated_at: setup.login,
                email: Some(setup.email.into()),
                ..policy::Identity::default()
            },
            device: policy::Device {
                managed: setup.managed_device,
                ..policy::Device::default()
            },
            network: policy::Network::default(),
            client_addr: "198.51.100.7:50000".parse().unwrap(),
            security_keys: setup
                .enrolled
                .iter()
                .map(|line| SecurityKey::from_line(line).unwrap())
                .collect(),
            target: Target {
                facts: policy::Target {
                    id: "t1".into(),
                    hostname: "web-1".into(),
                    port: 22,
                    ..Default::default()
                },
                host_keys: setup.host_keys.clone(),
                host_authorities: setup.host_authorities.clone(),
                any_host_key_inside: false,
                algorithms: ssh_transport::Algorithms::default(),
            },
        };
        let current = Current {
            rules: rules("start", &setup.policy, ""),
            identity: info.identity.clone(),
            device: info.device.clone(),
        };
        let session = Session::new(
            Arc::new(gateway),
            Arc::clone(&current.rules),
            info,
            &setup.seed,
            now,
        );
        let mut config = ClientConfig {
            identification: "SSH-2.0-OpenSSH_9.2 test".into(),
            ..ClientConfig::default()
        };
        if setup.host_ca {
            let certificates = HostKeyAlgorithm::CERTIFICATES.into_iter();
            config.algorithms.host_keys = certificates.chain(HostKeyAlgorithm::KEYS).collect();
        }
        let person = Person::new(Client::new(Arc::new(config), [11; 32], now.mono), &setup);
        Self {
            setup,
            session,
            now,
            person,
            target: None,
            left: Vec::new(),
            steps: Vec::new(),
            log: Vec::new(),
            recipient,
            reader,
            recorded: PerLeg::default(),
            passed: PerLeg::default(),
            records: Vec::new(),
            pages: 0,
            in_flight: BTreeMap::new(),
            delivered: PerLeg::default(),
            ca,
            stuck: None,
            unwritten_bytes: 0,
            closed: Vec::new(),
            log_is_silent: false,
            unanswered: Vec::new(),
            exchanges: 0,
            current,
            is_slow_to_reevaluate: false,
        }
    }

    /// New rules are in force from now on, and the session is told.
    pub fn change_rules(&mut self, version: &str, policy: &str, revocations: &str) {
        self.current.rules = rules(version, policy, revocations);
        self.reevaluate();
    }

    pub fn reevaluate(&mut self) {
        let current = Box::new(self.current.clone());
        self.session.handle(Input::Reevaluate(current), self.now);
    }

    /// A world in which the person is logged in.
    pub fn logged_in(setup: Setup) -> Self {
        let mut world = Self::new(setup);
        world.run();
        assert!(
            world.person.is_in,
            "not let in: {:?} {:?}",
            world.person.banners,
            world.events()
        );
        world
    }

    /// Every connection to the target, in their order.
    pub fn targets(&self) -> impl Iterator<Item = &TargetHost> {
        self.left.iter().chain(&self.target)
    }

    /// Somebody answers the question of this session.
    pub fn answer(&mut self, by: &str, verdict: Verdict, note: &str) {
        let session = self.session.id();
        let (by, note) = (by.to_owned(), note.to_owned());
        let approval = Approval {
            session,
            by,
            verdict,
            note,
        };
        self.session.handle(Input::Approval(approval), self.now);
        self.run();
    }

    pub fn events(&self) -> Vec<&EventKind> {
        self.steps
            .iter()
            .filter_map(|step| {
                if let Step::Event(kind) = step {
                    Some(kind)
                } else {
                    None
                }
            })
            .collect()
    }

    /// Moves bytes until nobody has any left.
    pub fn run(&mut self) {
        self.run_until(|_| false);
    }

    /// As [`run`](Self::run), or until `is_there`, which is asked whenever the session waits for input.
    pub fn run_until(&mut self, is_there: impl Fn(&Self) -> bool) {
        loop {
            let mut moved = self.perform();
            if is_there(self) {
                return;
            }
            moved |= self.person.act(self.now.mono);
            if let Some(bytes) = self.person.ssh.poll_output() {
                self.in_flight
                    .entry(Leg::Client)
                    .or_default()
                    .extend_from_slice(&bytes);
            }
            if let Some(target) = &mut self.target {
                moved |= target.act(self.now.mono);
                if let Some(bytes) = target.ssh.poll_output() {
                    self.in_flight
                        .entry(Leg::Target)
                        .or_default()
                        .extend_from_slice(&bytes);
                }
            }
            for leg in [Leg::Client, Leg::Target] {
                moved |= self.deliver(leg);
            }
            if !moved {
                self.exchanges = self.person.exchanges
                    + self.target.as_ref().map_or(0, |target| target.exchanges);
                break;
            }
        }
    }

    fn deliver(&mut self, leg: Leg) -> bool {
        let mut bytes = self.in_flight.remove(&leg).unwrap_or_default();
        if bytes.is_empty() || self.closed.contains(&leg) {
            return false;
        }
        let mut len = bytes.len().min(self.setup.read_at_most);
        if let Some((silent, at)) = self.setup.falls_silent
            && silent == leg
        {
            len = len.min(at.saturating_sub(self.delivered[leg]));
        }
        let taken = self.session.receive(leg, &bytes[..len], self.now);
        self.delivered[leg] += taken;
        bytes.drain(..taken);
        self.in_flight.insert(leg, bytes);
        taken > 0
    }

    /// Does what the session asks for, in its order.
    fn perform(&mut self) -> bool {
        let mut any = false;
        while let Some(output) = self.session.poll_output() {
            any = true;
            match output {
                Output::Event(AccessEvent { kind, .. }) => self.steps.push(Step::Event(kind)),
                Output::ConnectTarget => {
                    self.steps.push(Step::Connect);
                    self.closed.retain(|leg| *leg != Leg::Target);
                    self.in_flight.remove(&Leg::Target);
                    self.left.extend(self.target.take());
                    let is_again = !self.left.is_empty();
                    if let Some(later) = self.setup.later_target_key.filter(|_| is_again) {
                        self.setup.target_key = later;
                    }
                    match self.setup.connect {
                        Ok(()) if is_again && self.setup.connects_once => {
                            let refused = Input::TargetUnreachable(ConnectFailure::Refused);
                            self.session.handle(refused, self.now);
                        }
                        Ok(()) => {
                            self.target = Some(TargetHost::new(&self.setup, self.now.mono));
                            self.session.handle(Input::TargetConnected, self.now);
                        }
                        Err(failure) => self
                            .session
                            .handle(Input::TargetUnreachable(failure), self.now),
                    }
                }
                Output::Log(_, page) => {
                    self.steps.push(Step::Log(page.to_vec()));
                    if self.log_is_silent {
                        self.unanswered.push(page.to_vec());
                    } else {
                        self.write_log(&page);
                    }
                }
                Output::SignCertificate(request) => {
                    self.steps.push(Step::SignCertificate);
                    if self.setup.signer_is_silent {
                        continue;
                    }
                    if self.setup.signer_fails {
                        self.session
                            .handle(Input::SigningFailed(request.session), self.now);
                        continue;
                    }
                    let seed = [CA_SEED, HOST_CA_SEED]
                        .into_iter()
                        .find(|seed| ed25519(*seed).public_key_blob() == *request.authority)
                        .unwrap();
                    let signature = ed25519(seed).sign(&request.to_be_signed);
                    self.session
                        .handle(Input::Signed(request.session, &signature), self.now);
                }
                Output::AskApproval(request) => self.steps.push(Step::AskApproval(*request)),
                Output::Reevaluate => {
                    self.steps.push(Step::Reevaluate);
                    if !self.is_slow_to_reevaluate {
                        self.reevaluate();
                    }
                }
                Output::Watched(watch, channel, seen) => {
                    self.steps.push(Step::Watched(watch, channel, seen));
                }
                Output::WatchOver(watch, why) => self.steps.push(Step::WatchOver(watch, why)),
                Output::Send(leg, bytes) => {
                    self.steps.push(Step::Send(leg, bytes.to_vec()));
                    match leg {
                        Leg::Client => self.person.incoming.extend_from_slice(&bytes),
                        Leg::Target => self
                            .target
                            .as_mut()
                            .unwrap()
                            .incoming
                            .extend_from_slice(&bytes),
                    }
                    self.check_recorded_before_released();
                    if self.stuck == Some(leg) {
                        self.unwritten_bytes += bytes.len();
                    } else {
                        self.session
                            .handle(Input::Written(leg, bytes.len()), self.now);
                    }
                }
                Output::Close(leg) => {
                    self.steps.push(Step::Close(leg));
                    self.closed.push(leg);
                }
            }
        }
        any
    }

    /// The disk is back: what waited for it is written.
    pub fn answer_log(&mut self) {
        self.log_is_silent = false;
        for page in std::mem::take(&mut self.unanswered) {
            self.write_log(&page);
        }
        self.run();
    }

    fn write_log(&mut self, page: &[u8]) {
        let fails = self.setup.log_fails_at.is_some_and(|at| at <= self.pages);
        self.pages += 1;
        if fails {
            self.session
                .handle(Input::LogFailed(self.session.id()), self.now);
        } else {
            self.log.extend_from_slice(page);
            self.read_log(page);
            self.session
                .handle(Input::LogWritten(self.session.id()), self.now);
        }
    }

    fn read_log(&mut self, page: &[u8]) {
        self.reader.push(page);
        while let Some(event) = self.reader.poll() {
            if let Event::Record(view) = event {
                match view.record {
                    Record::Input(data) => self.recorded.client.extend_from_slice(data),
                    Record::Output(data) => self.recorded.target.extend_from_slice(data),
                    _ => {}
                }
                self.records
                    .push(format!("{} {:?}", view.channel, view.record));
            }
        }
    }

    /// I2, at every single output: what a peer has got is in the log that was written before.
    fn check_recorded_before_released(&mut self) {
        self.person.act(self.now.mono);
        let from_target = self.person.data.split_off(0);
        self.passed.target.extend_from_slice(&from_target);
        if let Some(target) = &mut self.target {
            target.act(self.now.mono);
            let from_client = target.data.split_off(0);
            self.passed.client.extend_from_slice(&from_client);
        }
        assert!(
            self.recorded.client.starts_with(&self.passed.client),
            "input passed before it was recorded"
        );
        assert!(
            self.recorded.target.starts_with(&self.passed.target),
            "output passed before it was recorded"
        );
    }

    /// Lets time pass, with every deadline on the way.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        loop {
            self.run();
            let next = self
                .session
                .poll_timeout()
                .unwrap_or(Duration::MAX)
                .max(self.now.mono);
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

    /// Lets time pass while what the peers have sent stands still.
    pub fn pass_without_peers(&mut self, time: Duration) {
        self.set_mono(self.now.mono + time);
        self.session.handle_timeout(self.now);
    }

    fn set_mono(&mut self, mono: Duration) {
        self.now.unix += mono.saturating_sub(self.now.mono);
        self.now.mono = mono;
    }

    pub fn person_sends(&mut self, payload: &[u8]) {
        // A person who was cut off has nobody to send to.
        let _ = self.person.ssh.send_packet(payload, self.now.mono);
        self.run();
    }

    pub fn target_sends(&mut self, payload: &[u8]) {
        if let Some(target) = &mut self.target {
            let _ = target.ssh.send_packet(payload, self.now.mono);
        }
        self.run();
    }

    /// A message of any layer.
    pub fn says_anything(&mut self, leg: Leg, payload: &[u8]) {
        let now = self.now.mono;
        let _ = match (leg, &mut self.target) {
            (Leg::Client, _) => self.person.ssh.dangerous_send_any(payload, now),
            (Leg::Target, Some(target)) => target.ssh.dangerous_send_any(payload, now),
            (Leg::Target, None) => Ok(()),
        };
        self.run();
    }

    /// Bytes that no SSH peer would send.
    pub fn garbage(&mut self, leg: Leg, bytes: &[u8]) {
        self.session.receive(leg, bytes, self.now);
        self.run();
    }

    /// Both peers go away, and all deadlines pass.
    pub fn finish(&mut self) {
        for leg in [Leg::Client, Leg::Target] {
            self.peer_closes(leg);
        }
        self.pass(Duration::from_secs(300));
    }

    pub fn peer_closes(&mut self, leg: Leg) {
        self.session.handle(Input::Closed(leg), self.now);
        self.run();
    }

    /// Everything that the target got since the last time.
    pub fn target_got(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.target.as_mut().unwrap().packets)
    }

    /// Everything that the person got since the last time.
    pub fn person_got(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.person.packets)
    }

    pub fn certificate_seen_by_target(&self) -> Option<Vec<u8>> {
        self.target
            .as_ref()?
            .attempts
            .iter()
            .find_map(|(_, method)| match method {
                AuthMethod::PublicKey { public_key, .. } => Some(public_key.clone()),
                _ => None,
            })
    }

    pub fn ca_public(&self) -> sshcert::CaPublicKey {
        sshcert::CaPublicKey::from_public_key(self.ca.public_key()).unwrap()
    }
}

use rand_core::SeedableRng as _;
