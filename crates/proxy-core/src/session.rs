//! One proxied SSH session.
//!
//! ```text
//!              may this identity reach this target?
//!   ClientIdentification ──no──> told in clear ──> Over
//!        │ yes: ConnectTarget
//!   TargetConnection ──> TargetHostKey ── pins, derived keys ──> HostCertificates ──> ClientLogin
//!                                                                    │ may it be this user?
//!                          Farewell <──no── banner, failure ─────────┤ yes ── more to be done ──> StepUp ──> TargetAgain ─┐
//!                             │                                      │ the log's first page <─────────────────────────────┘
//!                             v                                  LogOpened
//!                            Over                                    │ mint
//!                             ^                                  Certificate
//!                             │                                      │ present
//!                             │                                  TargetLogin
//!                             │                                      │ accepted: the client is let in
//!                         LogClosed <──── the log's last page ───── End   (packets pass)
//! ```
//!
//! A batch is what one read brought. Its packets are decrypted where they lie, decided and recorded; the
//! records are sealed and handed out; and only when the driver says that they are written are the packets
//! sealed for the other leg. So a log that fails leaves nothing half sent, and the person can still be told.

mod batch;
mod buffer;
mod certificate;
mod control;
mod deadlines;
mod ending;
mod host_certificate;
mod host_key;
mod identity;
mod inner;
mod login;
mod recorder;
mod seeds;
mod stage;
mod standing;
mod step_up;
mod transports;

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use bytes::Bytes;
use ssh_transport::{Client, Ed25519Key, Identification, Server, ServerConfig};

use self::buffer::ReceiveBuffer;
use self::control::Watching;
use self::identity::Identity;
use self::inner::{Inners, Lineage};
use self::recorder::Recorder;
use self::seeds::{LaterSeeds, Seeds};
use self::stage::{Denied, Stage};
use self::standing::Recheck;
pub use self::step_up::MAX_REASON_BYTES;
use crate::event::{EventKind, Subject, millis};
use crate::relay::Relay;
use crate::{
    AccessEvent, ConnectionInfo, Gateway, Input, Leg, Limits, Now, Output, PerLeg, Rules, SessionId,
};

/// For the driver to say that the last pages of a session that is not allowed any more are written, 2 s: it ends all the same.
pub const LAST_PAGES: Duration = Duration::from_secs(2);

/// What both sides are told the proxy is. The prefix makes OpenSSH send its extensions
/// (`eow@openssh.com`, `no-more-sessions@openssh.com`), which then pass end to end.
const IDENTIFICATION_OPENSSH: &str = "SSH-2.0-OpenSSH_10.0 Portreeve";
const IDENTIFICATION: &str = "SSH-2.0-Portreeve";

/// The only way to log in here, as it stands in a refusal. A name of our own (RFC 4251 section 6), because no client tries
/// it: with an empty list OpenSSH would go on to ask for a password.
const LOGIN_METHOD: &str = "connection-identity@portreeve";

/// One accepted connection, from its first byte to its last.
///
/// Feed it with [`Self::handle`] and [`Self::handle_timeout`]; after each, drain [`Self::poll_output`] and then
/// ask [`Self::poll_timeout`]. It never blocks, reads no clock and draws no randomness but from its seed.
pub struct Session {
    gateway: Arc<Gateway>,
    limits: Limits,
    rules: Arc<Rules>,
    recheck: Recheck,
    info: ConnectionInfo,
    /// When the connection began, since the Unix epoch.
    connected: Duration,
    id: SessionId,
    subject: Arc<Subject>,
    user: Option<Arc<str>>,
    seeds: LaterSeeds,
    inner: Inners,
    stage: Stage,
    client: Server,
    target: Option<Client>,
    io: PerLeg<LegIo>,
    known: Known,
    /// From the target's host key on.
    identity: Option<Identity>,
    /// The certificate's key; gone after the target's login.
    session_key: Option<Ed25519Key>,
    certificate_nonce: [u8; 32],
    host_certificate_nonce: [u8; 32],
    recorder: Option<Recorder>,
    /// `Output::Log`s without an answer.
    unanswered_logs: u32,
    /// By when the oldest of them must be answered.
    log_deadline: Option<Duration>,
    tried_other_methods: bool,
    held: VecDeque<Held>,
    outputs: VecDeque<Output>,
    refusal_events: usize,
    channel_events: usize,
    watching: Watching,
}

/// A leg's connection as seen from here.
#[derive(Default)]
struct LegIo {
    buffer: ReceiveBuffer,
    /// Bytes handed out and not yet reported as written.
    unwritten_bytes: usize,
    peer_closed: bool,
    /// `Output::Close` was given.
    closed: bool,
}

/// What was learnt on the way.
#[derive(Default)]
struct Known {
    client_ident: Option<Identification>,
    target_ident: Option<Identification>,
    client_algorithms: Option<String>,
    target_algorithms: Option<String>,
    target_host_key: Vec<u8>,
    target_ready: bool,
    certificate_serial: u64,
}

/// Something that goes out once the records before it are written.
enum Held {
    /// The decrypted payload at this place of the receive buffer of `from`.
    Packet { from: Leg, at: Range<usize> },
    /// A packet of the relay's own.
    Own { to: Leg, payload: Vec<u8> },
    /// What the target says to whoever logs in.
    Banner(String),
}

impl Held {
    const fn is_for_target(&self) -> bool {
        matches!(
            self,
            Self::Packet {
                from: Leg::Client,
                ..
            } | Self::Own {
                to: Leg::Target,
                ..
            }
        )
    }

    /// How much of it is the relay's own, for this leg.
    fn bytes_for(&self, leg: Leg) -> usize {
        match self {
            Self::Own { to, payload } if *to == leg => payload.len(),
            _ => 0,
        }
    }
}

impl Session {
    /// A session for a connection that was just accepted, under `rules` until it is told of others. `seed` must be fresh and secret.
    #[must_use]
    pub fn new(
        gateway: Arc<Gateway>,
        rules: Arc<Rules>,
        info: ConnectionInfo,
        seed: &[u8; 32],
        now: Now,
    ) -> Self {
        Self::begin((gateway, rules), info, seed, Lineage::root(), None, now)
    }

    /// Another session may be around it, and it may be `refused` already.
    fn begin(
        (gateway, rules): (Arc<Gateway>, Arc<Rules>),
        mut info: ConnectionInfo,
        seed: &[u8; 32],
        lineage: Lineage,
        refused: Option<Denied>,
        now: Now,
    ) -> Self {
        info.network
            .client_addr
            .get_or_insert(info.client_addr.ip());
        let seeds = Seeds::new(seed);
        let id = seeds.session_id;
        let subject = Arc::new(Subject {
            session: id,
            identity: info.identity_name(),
            client_addr: info.client_addr.to_string(),
            target: info.target.facts.id.clone(),
            hostname: info.target.facts.hostname.clone(),
            port: info.target.facts.port,
            parent: lineage.parent.map(|parent| parent.session),
        });
        let limits = gateway.limits.within_bounds();
        let limits = match lineage.parent {
            Some(_) => limits.inside(),
            None => limits,
        };
        let config = ServerConfig {
            rekey: gateway.rekey.clone(),
            identification: IDENTIFICATION_OPENSSH.into(),
            login_grace: gateway.timeouts.login_grace,
            rekey_grace: gateway.timeouts.key_exchange,
            auth_methods: vec![LOGIN_METHOD.into()],
            algorithms: gateway.client_algorithms.clone(),
            limits: limits.transport(),
            ..ServerConfig::default()
        };
        let client = Server::new(Arc::new(config), *seeds.client_leg, now.mono);
        let session_key = Ed25519Key::from_seed(seeds.session_key);
        let mut session = Self {
            connected: now.unix,
            gateway,
            limits,
            rules,
            recheck: Recheck::default(),
            info,
            id,
            subject,
            user: None,
            stage: Stage::ClientIdentification { refused: None },
            client,
            target: None,
            io: PerLeg::default(),
            known: Known {
                certificate_serial: seeds.certificate_serial,
                ..Known::default()
            },
            session_key: Some(session_key),
            certificate_nonce: seeds.certificate_nonce,
            host_certificate_nonce: seeds.host_certificate_nonce,
            identity: None,
            seeds: seeds.later,
            inner: Inners::new(lineage, seeds.inner),
            log_deadline: None,
            tried_other_methods: false,
            recorder: None,
            unanswered_logs: 0,
            held: VecDeque::new(),
            outputs: VecDeque::new(),
            refusal_events: 0,
            channel_events: 0,
            watching: Watching::default(),
        };
        match refused {
            Some(denied) => session.refuse_target(denied, now),
            None => session.decide_target(now),
        }
        session.collect_output();
        session
    }

    /// The connection's name in events, messages and logs.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// True when nothing more will come out and nothing is awaited.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// True while this session, or one inside it, has neither begun nor been refused: what happens next may let somebody in.
    #[must_use]
    pub fn is_admitting(&self) -> bool {
        self.is_admitting_itself() || self.inner.sessions().any(Self::is_admitting)
    }

    fn is_admitting_itself(&self) -> bool {
        !matches!(
            self.stage,
            Stage::ClientIdentification { refused: Some(_) }
                | Stage::End(_)
                | Stage::Farewell { .. }
                | Stage::LogClosed(_)
                | Stage::Over
        )
    }

    /// True while a page of this session's log, or of one inside it, holds everything up: it was given out, and neither answered nor
    /// given up.
    #[must_use]
    pub fn awaits_log(&self) -> bool {
        let own = self.unanswered_logs > 0 && !self.is_over();
        own || self.inner.sessions().any(Self::awaits_log)
    }

    /// Where the next bytes of a leg's peer go; `None` while that leg is not to be read. That is the back-pressure:
    /// the peer's own TCP window fills up. Follow with [`Input::Received`].
    pub fn read_buffer(&mut self, leg: Leg) -> Option<&mut [u8]> {
        let waits = self.awaits_log();
        let not_started = leg == Leg::Target && self.target.is_none();
        // What is queued for the other leg may wait for this peer's part of a key exchange, which must come through.
        let is_exchanging = match leg {
            Leg::Client => self.client.is_peer_exchanging(),
            Leg::Target => self.target.as_ref().is_some_and(Client::is_peer_exchanging),
        };
        let leeway = if is_exchanging { 2 } else { 1 };
        let behind = self.backlog_bytes(leg.other()) > leeway * self.limits.backlog_bytes
            || self.backlog_bytes(leg) > self.limits.own_backlog_bytes();
        let io = &mut self.io[leg];
        if waits || not_started || behind || io.peer_closed || io.closed {
            return None;
        }
        Some(io.buffer.free()).filter(|free| !free.is_empty())
    }

    /// Copies bytes of a leg's peer in, as many as fit, and handles them; returns how many.
    pub fn receive(&mut self, leg: Leg, bytes: &[u8], now: Now) -> usize {
        let Some(free) = self.read_buffer(leg) else {
            return 0;
        };
        let taken = bytes
            .iter()
            .zip(free)
            .map(|(byte, place)| *place = *byte)
            .count();
        self.handle(Input::Received(leg, taken), now);
        taken
    }

    /// One thing that happened. Drain [`Self::poll_output`] afterwards.
    pub fn handle(&mut self, input: Input<'_>, now: Now) {
        if let Some(recorder) = &mut self.recorder {
            recorder.set_now(now);
        }
        match input {
            Input::Received(leg, len) => self.io[leg].buffer.received(len),
            Input::Closed(leg) => self.io[leg].peer_closed = true,
            Input::Written(leg, len) => {
                let io = &mut self.io[leg];
                io.unwritten_bytes = io.unwritten_bytes.saturating_sub(len);
            }
            Input::TargetConnected => self.target_connected(now),
            Input::TargetUnreachable(failure) => self.target_unreachable(failure, now),
            Input::LogWritten(id)
            | Input::LogFailed(id)
            | Input::Signed(id, _)
            | Input::SigningFailed(id)
            | Input::ApprovalNotAsked(id)
                if id != self.id =>
            {
                self.handle_inside(id, input, now);
            }
            Input::LogWritten(_) => self.log_answered(true, now),
            Input::LogFailed(_) => self.log_answered(false, now),
            Input::Signed(_, signature) => match &self.stage {
                Stage::HostCertificates { .. } => self.host_certificate_signed(signature, now),
                _ => self.certificate_signed(signature, now),
            },
            Input::SigningFailed(_) => self.signing_failed(now),
            Input::Approval(approval) if approval.session != self.id => {
                self.handle_inside(approval.session, Input::Approval(approval), now);
            }
            Input::ApprovalNotAsked(_) => self.approval_not_asked(now),
            Input::Approval(approval) => self.approval_answered(&approval, now),
            Input::Reevaluate(current) => self.reevaluate(*current, now),
            Input::Operator(session, operation) => self.operate(session, operation, now),
            Input::Shutdown => self.shut_down(now),
        }
        self.advance(now);
    }

    /// The next thing to do; `None` when it is the driver's turn to bring input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Does all that can be done now: processes what was received, seals what was recorded, lets go of what was written.
    fn advance(&mut self, now: Now) {
        loop {
            self.hand_out_records(now);
            if self.recorder.as_ref().is_some_and(Recorder::has_failed) && self.recorder_failed(now)
            {
                continue;
            }
            self.collect_inner(now);
            if self.awaits_log() {
                break;
            }
            self.release(now);
            if self.advance_inner(now) || self.finish_ending(now) {
                continue;
            }
            // A batch of one leg is released before the other leg's begins.
            if self.process(Leg::Target, now) || self.process(Leg::Client, now) {
                continue;
            }
            if !self.notice_closed_peers(now) {
                break;
            }
        }
        self.collect_output();
    }

    /// Handles the packets that a leg has brought; true when anything happened.
    fn process(&mut self, leg: Leg, now: Now) -> bool {
        let mut progressed = false;
        while !self.io[leg].closed && self.held_bytes_allow_more() {
            self.take_turns_in_rekeying(now);
            let (input, begin) = self.io[leg].buffer.unread();
            let result = match (leg, &mut self.target) {
                (Leg::Client, _) => self.client.handle_input(input, now.mono),
                (Leg::Target, Some(target)) => target.handle_input(input, now.mono),
                (Leg::Target, None) => return progressed,
            };
            let (consumed, payload) = match result {
                Ok(progress) => (progress.consumed, progress.payload),
                Err(error) => {
                    self.drain_events(leg, now);
                    self.leg_failed(leg, &error, now);
                    return true;
                }
            };
            self.io[leg].buffer.consume(consumed);
            let told = self.drain_events(leg, now);
            if let Some(payload) = payload {
                self.relay_packet(leg, begin + payload.start..begin + payload.end, now);
            }
            progressed |= consumed > 0 || told;
            if consumed == 0 && !told {
                break;
            }
            // Whoever was let in or turned away by an event waits for the log before more is looked at, and so does
            // a banner, which must not come after the login that it precedes.
            if self.unanswered_logs > 0 || matches!(self.held.back(), Some(Held::Banner(_))) {
                break;
            }
        }
        progressed
    }

    /// Two key exchanges that the proxy began at once could each wait behind data that only the other leg can take.
    pub(super) fn take_turns_in_rekeying(&mut self, now: Now) {
        let Some(target) = &mut self.target else {
            return;
        };
        let target_result = target.hold_back_rekey(self.client.is_exchanging());
        let client_result = self.client.hold_back_rekey(target.is_exchanging());
        for (leg, result) in [(Leg::Target, target_result), (Leg::Client, client_result)] {
            if let Err(error) = result {
                self.leg_failed(leg, &error, now);
            }
        }
    }

    /// One batch is at most what the receive buffer holds.
    fn held_bytes_allow_more(&self) -> bool {
        self.held.len() < batch::MAX_HELD_PACKETS
    }

    /// Seals what was recorded and asks the driver to write it.
    fn hand_out_records(&mut self, now: Now) {
        let Some(recorder) = &mut self.recorder else {
            return;
        };
        if let Some(sealed) = recorder.seal() {
            self.watching.hold(&mut recorder.tap);
            self.hand_out_log(sealed, now);
        }
    }

    fn hand_out_log(&mut self, sealed: Bytes, now: Now) {
        self.unanswered_logs += 1;
        self.log_deadline
            .get_or_insert(now.mono.saturating_add(self.gateway.timeouts.log));
        self.outputs.push_back(Output::Log(self.id, sealed));
    }

    fn collect_output(&mut self) {
        if let Some(bytes) = self.client.poll_output() {
            self.send(Leg::Client, bytes);
        }
        if let Some(bytes) = self.target.as_mut().and_then(Client::poll_output) {
            self.send(Leg::Target, bytes);
        }
        for leg in [Leg::Target, Leg::Client] {
            let closed = match leg {
                Leg::Client => self.client.is_closed(),
                Leg::Target => self.target.as_ref().is_some_and(Client::is_closed),
            };
            if closed && !core::mem::replace(&mut self.io[leg].closed, true) {
                self.outputs.push_back(Output::Close(leg));
            }
        }
    }

    /// The relay, while there is one.
    fn relay(&mut self) -> Option<&mut Relay> {
        match &mut self.stage {
            Stage::End(relaying) => Some(&mut relaying.relay),
            Stage::LogClosed(ending) => Some(&mut ending.relaying.relay),
            _ => None,
        }
    }

    fn send(&mut self, leg: Leg, bytes: Bytes) {
        if !self.io[leg].closed {
            self.io[leg].unwritten_bytes += bytes.len();
            self.outputs.push_back(Output::Send(leg, bytes));
        }
    }

    fn backlog_bytes(&self, leg: Leg) -> usize {
        let queued = match leg {
            Leg::Client => self.client.queued_bytes(),
            Leg::Target => self.target.as_ref().map_or(0, Client::queued_bytes),
        };
        self.io[leg].unwritten_bytes + queued
    }

    fn event(&mut self, kind: EventKind, now: Now) {
        self.outputs.push_back(Output::Event(AccessEvent {
            time_unix_ms: millis(now.unix),
            kind,
            subject: Arc::clone(&self.subject),
            user: self.user.clone(),
        }));
    }
}
