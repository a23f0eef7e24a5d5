//! Moves bytes, pages of the log, events and time between the world and one [`proxy_core::Session`].
//!
//! It decides nothing. Outputs are executed strictly in order: a page of the log is written before the next
//! output is looked at, and that order is what makes "recorded, then released" true.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf, Bytes};
use proxy_core::{
    AccessEvent, ConnectFailure, ConnectionInfo, Current, EventKind, Gateway, Input, Leg, Now,
    Output, Rules, Session, SessionId,
};
use rustix::net::sockopt;
use tokio::io::{AsyncWriteExt, Interest, Ready};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use zeroize::Zeroizing;

use crate::approvals::{Answer, Approvals, Asking};
use crate::audit_proxy::admission::Place;
use crate::events::Events;
use crate::in_force::InForce;
use crate::live::{Desk, Live, Question};
use crate::log_store::{LogStore, Logs};

/// How long a closing connection may take to accept some of what was still to be said.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// How long a closed client may take to close its own side; closing earlier could lose our last message.
const LINGER: Duration = Duration::from_secs(2);
/// A connection that is silent for this long is probed…
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// …this often…
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// …and given up after this many probes without an answer.
const KEEPALIVE_PROBES: u32 = 4;
/// How long a host name's address may take to answer while there is another to try.
const CONNECT_EACH: Duration = Duration::from_secs(3);
/// The longest that a slow peer may take to accept what was still to be said, as long as it takes some.
const DRAIN_CAP: Duration = Duration::from_secs(60);
/// The longest from a change of the rules in force, or of their files, to the end of a session that they no longer allow. Within it
/// the person reads why, if they read at all.
pub const END_WITHIN: Duration = Duration::from_secs(5);
/// How long the peers of such a session may take to accept what was still to be said: the part of [`END_WITHIN`] that the
/// finding of a change and the [last pages](proxy_core::LAST_PAGES) of the log leave.
pub(crate) const CUT_OFF: Duration = Duration::from_millis(1500);
/// Slices of one vectored write.
const WRITE_SLICES: usize = 16;

/// What all sessions of a process share.
pub struct Deps {
    /// The proxy's keys and limits.
    pub gateway: Arc<Gateway>,
    /// The rules that decide.
    pub in_force: Arc<InForce>,
    /// Where access events go.
    pub events: Arc<Events>,
    /// Where logs go.
    pub logs: Arc<LogStore>,
    /// Where people are asked to approve.
    pub approvals: Arc<Approvals>,
    /// Where operators find the sessions.
    pub live: Arc<Live>,
}

/// Who the person is and what is known of their device, asked with the time since 1970.
pub type Facts<'a> = &'a (dyn Fn(Duration) -> (policy::Identity, policy::Device) + Sync);

/// A client that has arrived.
pub struct Accepted {
    /// Its connection.
    pub stream: TcpStream,
    /// What of SSH already came on it.
    pub leftover: Vec<u8>,
    /// What it counts as, for as long as the session lasts.
    pub place: Place,
}

/// Runs one session from its first byte to its last. `facts` are asked whenever
/// it is decided about again.
///
/// A change of `shutdown` to true ends the session with a message to the person.
pub async fn run(
    deps: &Deps,
    connection: ConnectionInfo,
    facts: Facts<'_>,
    accepted: Accepted,
    shutdown: watch::Receiver<bool>,
) {
    let clock = Clock::start();
    let target = &connection.target.facts;
    let host = target
        .address
        .map_or_else(|| target.hostname.clone(), |address| address.to_string());
    let port = target.port;
    let changes = deps.in_force.changes();
    let rules = deps.in_force.now();
    let Some(session) = begin(&deps.gateway, &rules, connection, clock.now()) else {
        return;
    };
    let id = session.id();
    let desk = deps.live.desk(session.overview(clock.now()));
    tracing::debug!(session = %id, "accepted");
    let mut driver = Driver {
        deps,
        session,
        rules,
        facts,
        changes,
        clock,
        client: Connection::open(accepted.stream),
        place: accepted.place,
        target: None,
        connecting: None,
        route: (host, port),
        logs: Logs::new(&deps.logs),
        asking: Asking::new(&deps.approvals),
        desk,
        stopping: false,
        holds_rules: false,
        is_cut_off: false,
    };
    driver.act(|driver| driver.feed(&accepted.leftover));
    driver.run(shutdown).await;
    tracing::debug!(session = %id, "over");
}

/// A session from a seed that nobody keeps.
fn begin(
    gateway: &Arc<Gateway>,
    rules: &Arc<Rules>,
    connection: ConnectionInfo,
    now: Now,
) -> Option<Session> {
    let mut seed = Zeroizing::new([0; 32]);
    if let Err(error) = getrandom::fill(seed.as_mut_slice()) {
        tracing::error!(%error, "no randomness: the connection is closed");
        return None;
    }
    let (gateway, rules) = (Arc::clone(gateway), Arc::clone(rules));
    Some(Session::new(gateway, rules, connection, &seed, now))
}

/// A monotonic clock and the wall clock, read together.
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn now(&self) -> Now {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            mono: self.0.elapsed(),
            unix,
        }
    }
}

/// One socket and what still goes out on it.
struct Connection {
    stream: TcpStream,
    queue: VecDeque<Bytes>,
    /// Set once nothing more will be queued.
    close_by: Option<Instant>,
    /// The peer takes nothing any more; what it said before may still be read.
    is_deaf: bool,
    /// The session knows that the peer is gone.
    is_gone: bool,
}

impl Connection {
    fn open(stream: TcpStream) -> Self {
        if let Err(error) = set_options(&stream) {
            tracing::warn!(%error, "socket options");
        }
        Self {
            stream,
            queue: VecDeque::new(),
            close_by: None,
            is_deaf: false,
            is_gone: false,
        }
    }

    fn is_done(&self) -> bool {
        self.close_by
            .is_some_and(|by| self.queue.is_empty() || by <= Instant::now())
    }

    /// Writes what the socket takes now; returns how much of the queue is done with.
    fn write(&mut self) -> usize {
        let mut total = 0;
        while !self.queue.is_empty() {
            if self.is_deaf {
                // Nobody will ever read it.
                total += self.queue.drain(..).map(|bytes| bytes.len()).sum::<usize>();
                break;
            }
            let mut slices = [io::IoSlice::new(&[]); WRITE_SLICES];
            for (slice, bytes) in slices.iter_mut().zip(&self.queue) {
                *slice = io::IoSlice::new(bytes);
            }
            let filled = slices.get(..self.queue.len().min(WRITE_SLICES));
            match self.stream.try_write_vectored(filled.unwrap_or_default()) {
                Ok(written) => {
                    total += written;
                    self.drop_written(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.is_deaf = true,
            }
        }
        total
    }

    fn drop_written(&mut self, mut written: usize) {
        while let Some(front) = self.queue.front_mut() {
            if front.len() > written {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.queue.pop_front();
        }
    }
}

fn set_options(stream: &TcpStream) -> io::Result<()> {
    // A keystroke must not wait for the acknowledgement of the one before it.
    stream.set_nodelay(true)?;
    // A peer that vanished without a word would keep its session for ever.
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    Ok(())
}

type Connecting = Pin<Box<dyn Future<Output = Result<TcpStream, ConnectFailure>> + Send>>;

struct Driver<'a> {
    deps: &'a Deps,
    session: Session,
    /// The last that the session was told of.
    rules: Arc<Rules>,
    facts: Facts<'a>,
    changes: watch::Receiver<Arc<Rules>>,
    clock: Clock,
    client: Connection,
    /// Among all connections of the proxy.
    place: Place,
    target: Option<Connection>,
    connecting: Option<Connecting>,
    route: (String, u16),
    logs: Logs,
    asking: Asking,
    desk: Desk,
    stopping: bool,
    /// Somebody may be let in by what is being done.
    holds_rules: bool,
    /// The session ended because it was not allowed any more.
    is_cut_off: bool,
}

enum Woken {
    Ready(Leg, Ready),
    Connected(Result<TcpStream, ConnectFailure>),
    Timeout,
    LogWritten(SessionId, io::Result<()>),
    RulesChanged,
    Answered(Answer),
    Asked(Question),
    Displaced,
    Shutdown,
}

impl Driver<'_> {
    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.session.receive(Leg::Client, bytes, self.clock.now());
            if taken == 0 {
                // Only a hostile client sends more than a receive buffer ahead of our identification.
                self.session
                    .handle(Input::Closed(Leg::Client), self.clock.now());
                return;
            }
            bytes = bytes.get(taken..).unwrap_or_default();
            self.execute();
        }
    }

    async fn run(&mut self, mut shutdown: watch::Receiver<bool>) {
        while !self.session.is_over() {
            let woken = self.wait(&mut shutdown).await;
            self.act(|driver| driver.take(woken));
        }
        self.finish().await;
    }

    /// Does something under the rules in force. Whatever lets somebody in happens while these are held, so that it happens under
    /// no older ones.
    fn act(&mut self, what: impl FnOnce(&mut Self)) {
        let deps = self.deps;
        self.holds_rules = self.session.is_admitting();
        let _held = self.holds_rules.then(|| deps.in_force.hold());
        let rules = deps.in_force.now();
        if !Arc::ptr_eq(&rules, &self.rules) {
            self.rules = rules;
            self.reevaluate();
        }
        self.execute();
        what(self);
        self.execute();
    }

    fn take(&mut self, woken: Woken) {
        let input = match woken {
            Woken::Ready(leg, ready) => return self.transfer(leg, ready),
            Woken::Timeout => return self.session.handle_timeout(self.clock.now()),
            Woken::Asked(question) => {
                let now = self.clock.now();
                return self.desk.answer(question, &mut self.session, now);
            }
            // They were looked at before.
            Woken::RulesChanged => return,
            Woken::LogWritten(session, written) => return self.log_answered(session, &written),
            Woken::Connected(connected) => {
                self.connecting = None;
                match connected {
                    Ok(stream) => {
                        self.target = Some(Connection::open(stream));
                        Input::TargetConnected
                    }
                    Err(failure) => Input::TargetUnreachable(failure),
                }
            }
            Woken::Answered(answer) => Input::Approval(self.asking.take(answer)),
            Woken::Displaced => {
                // As if the client had gone: in a flood there is nobody to read words.
                self.client.is_deaf = true;
                self.client.is_gone = true;
                Input::Closed(Leg::Client)
            }
            Woken::Shutdown => {
                self.stopping = true;
                Input::Shutdown
            }
        };
        self.session.handle(input, self.clock.now());
    }

    /// Tells the session what there is to decide with.
    fn reevaluate(&mut self) {
        let now = self.clock.now();
        let (identity, device) = (self.facts)(now.unix);
        let rules = Arc::clone(&self.rules);
        let current = Box::new(Current {
            rules,
            identity,
            device,
        });
        self.session.handle(Input::Reevaluate(current), now);
    }

    async fn wait(&mut self, shutdown: &mut watch::Receiver<bool>) -> Woken {
        let client_interest = interest(&mut self.session, Leg::Client, Some(&self.client));
        let target_interest = interest(&mut self.session, Leg::Target, self.target.as_ref());
        let deadline = self.session.poll_timeout().map(|at| self.clock.0 + at);
        let timer = async {
            match deadline {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        let connecting = async {
            match &mut self.connecting {
                Some(connecting) => connecting.await,
                None => pending().await,
            }
        };
        let asked_to_stop = async {
            // A dropped sender is a process that is ending.
            let _ = shutdown.wait_for(|stop| *stop).await;
        };
        tokio::select! {
            ready = ready(Some(&self.client), client_interest) => Woken::Ready(Leg::Client, ready),
            ready = ready(self.target.as_ref(), target_interest) => Woken::Ready(Leg::Target, ready),
            connected = connecting => Woken::Connected(connected),
            () = timer => Woken::Timeout,
            (session, written) = self.logs.written() => Woken::LogWritten(session, written),
            Ok(()) = self.changes.changed() => Woken::RulesChanged,
            answer = self.asking.answer() => Woken::Answered(answer),
            question = self.desk.asked() => Woken::Asked(question),
            () = self.place.is_displaced(), if !self.client.is_gone => Woken::Displaced,
            () = asked_to_stop, if !self.stopping => Woken::Shutdown,
        }
    }

    /// One read and whatever can be written.
    fn transfer(&mut self, leg: Leg, ready: Ready) {
        self.write(leg);
        let Some(connection) = connection(&mut self.client, &mut self.target, leg) else {
            return;
        };
        let read = match self.session.read_buffer(leg) {
            Some(buffer) => connection.stream.try_read(buffer),
            // Nothing is read for now, but a connection that broke is no reason to wait.
            None if ready.is_error() => Ok(0),
            None => return,
        };
        let input = match read {
            Ok(len) if len > 0 => Input::Received(leg, len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            _ => {
                connection.is_gone = true;
                Input::Closed(leg)
            }
        };
        self.session.handle(input, self.clock.now());
    }

    /// Writes what the leg's socket takes; true when the session was told of it.
    fn write(&mut self, leg: Leg) -> bool {
        let Some(connection) = connection(&mut self.client, &mut self.target, leg) else {
            return false;
        };
        let written = connection.write();
        if written > 0 {
            self.session
                .handle(Input::Written(leg, written), self.clock.now());
        }
        written > 0
    }

    /// Does everything the session asks for, in its order.
    fn execute(&mut self) {
        loop {
            match self.next_output() {
                Some(output) => self.perform(output),
                // What was queued may go out now; that it did may let the session say more.
                None if self.write(Leg::Client) | self.write(Leg::Target) => {}
                None => break,
            }
        }
        if self.target.as_ref().is_some_and(Connection::is_done) {
            self.target = None;
        }
        if !self.is_held_up() {
            self.asking.settle();
        }
    }

    /// Nothing overtakes a page of the log that is being written, unless the session has given it up.
    fn next_output(&mut self) -> Option<Output> {
        if self.is_held_up() {
            return None;
        }
        self.session.poll_output()
    }

    fn is_held_up(&self) -> bool {
        self.logs.is_writing() && self.session.awaits_log()
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Event(event) => {
                self.note(&event);
                self.asking.hear(&event);
                match event.kind {
                    EventKind::Channel(_) => self.deps.events.write_frequent(&event),
                    _ => self.deps.events.write(&event),
                }
            }
            Output::AskApproval(request) => {
                let session = request.subject.session;
                if self.asking.ask(*request).is_err() {
                    self.session
                        .handle(Input::ApprovalNotAsked(session), self.clock.now());
                }
            }
            Output::Reevaluate => self.reevaluate(),
            Output::ConnectTarget => self.connecting = Some(Box::pin(connect(self.route.clone()))),
            Output::Log(session, page) => {
                let written = if self.holds_rules {
                    // Nobody waits for a disk while they are held.
                    self.logs.write_aside(session, page)
                } else {
                    self.logs.write(session, page)
                };
                if let Some(written) = written {
                    self.log_answered(session, &written);
                }
            }
            // The examples keep the authority's key in memory; nobody else is there to sign.
            Output::SignCertificate(request) => self
                .session
                .handle(Input::SigningFailed(request.session), self.clock.now()),
            Output::Watched(watch, channel, seen) => {
                if let Some(unwatch) = self.desk.show(watch, channel, seen) {
                    self.session.handle(unwatch, self.clock.now());
                }
            }
            Output::WatchOver(watch, why) => self.desk.over(watch, why),
            Output::Send(leg, bytes) => {
                if let Some(connection) = connection(&mut self.client, &mut self.target, leg) {
                    connection.queue.push_back(bytes);
                }
            }
            Output::Close(leg) => {
                if let Some(connection) = connection(&mut self.client, &mut self.target, leg) {
                    connection
                        .close_by
                        .get_or_insert(Instant::now() + DRAIN_DEADLINE);
                }
            }
        }
    }

    fn note(&mut self, event: &AccessEvent) {
        let session = event.subject.session;
        let is_own = session == self.session.id();
        match &event.kind {
            EventKind::SessionStart { .. } if is_own => self.place.let_in(),
            EventKind::SessionEnd { reason, .. } if is_own => {
                self.is_cut_off = reason.is_loss_of_access();
            }
            _ => {}
        }
        if event.kind.is_last() {
            self.logs.end(session);
        }
    }

    fn log_answered(&mut self, session: SessionId, written: &io::Result<()>) {
        let answer = match written {
            Ok(()) => Input::LogWritten(session),
            Err(error) => {
                tracing::error!(%session, %error, "the log cannot be written");
                Input::LogFailed(session)
            }
        };
        self.session.handle(answer, self.clock.now());
    }

    /// Gives both peers a bounded time to take what was said last.
    async fn finish(&mut self) {
        self.desk.close();
        let at_most = if self.is_cut_off { CUT_OFF } else { DRAIN_CAP };
        let (client, target, logs) = (&mut self.client, self.target.as_mut(), &mut self.logs);
        let goodbye = async {
            let target = async {
                if let Some(target) = target {
                    drain(target).await;
                }
            };
            tokio::join!(drain(client), target);
            linger(&mut client.stream).await;
        };
        // What a session that is over has still to say to its log is on the way; a disk that is stuck is not waited for.
        let _ = tokio::join!(
            timeout(at_most, goodbye),
            timeout(CUT_OFF, logs.all_written())
        );
    }
}

fn connection<'a>(
    client: &'a mut Connection,
    target: &'a mut Option<Connection>,
    leg: Leg,
) -> Option<&'a mut Connection> {
    match leg {
        Leg::Client => Some(client),
        Leg::Target => target.as_mut(),
    }
}

/// What is worth waking up for.
fn interest(session: &mut Session, leg: Leg, connection: Option<&Connection>) -> Option<Interest> {
    let connection = connection.filter(|connection| !connection.is_gone)?;
    let mut interest = Interest::ERROR;
    if session.read_buffer(leg).is_some() {
        interest |= Interest::READABLE;
    }
    if !connection.queue.is_empty() {
        interest |= Interest::WRITABLE;
    }
    Some(interest)
}

async fn ready(connection: Option<&Connection>, interest: Option<Interest>) -> Ready {
    match (connection, interest) {
        // A socket that cannot be watched shows why at the read that follows.
        (Some(connection), Some(interest)) => connection
            .stream
            .ready(interest)
            .await
            .unwrap_or(Ready::ERROR),
        _ => pending().await,
    }
}

/// Tries a host name's addresses in turn; how long it may take in all is the session's to say.
async fn connect((host, port): (String, u16)) -> Result<TcpStream, ConnectFailure> {
    let addresses = tokio::net::lookup_host((host.as_str(), port))
        .await
        .map_err(|_| ConnectFailure::UnknownName)?;
    let mut failure = ConnectFailure::UnknownName;
    let mut addresses = addresses.peekable();
    while let Some(address) = addresses.next() {
        let attempt = TcpStream::connect(address);
        let connected = match addresses.peek() {
            Some(_) => timeout(CONNECT_EACH, attempt)
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            None => attempt.await,
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = why(&error),
        }
    }
    Err(failure)
}

fn why(error: &io::Error) -> ConnectFailure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectFailure::Refused,
        io::ErrorKind::TimedOut => ConnectFailure::TimedOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ConnectFailure::NoRoute
        }
        _ => ConnectFailure::Other,
    }
}

/// Writes what is left for as long as the peer takes some of it.
async fn drain(connection: &mut Connection) {
    while !connection.queue.is_empty() {
        let writable = timeout(DRAIN_DEADLINE, connection.stream.writable()).await;
        if !matches!(writable, Ok(Ok(()))) {
            return;
        }
        connection.write();
    }
}

/// Reads until the peer closes too: a socket closed with unread bytes resets, and takes our last words with it.
async fn linger(stream: &mut TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let reading = async {
        let mut discarded = [0; 4096];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut discarded) {
                Ok(0) => return,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    };
    let _ = timeout(LINGER, reading).await;
}
