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
use proxy_core::{ConnectFailure, ConnectionInfo, Gateway, Input, Leg, Now, Output, Session};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::events::Events;
use crate::log_store::{LogFile, LogStore};

/// How long a closing connection may take to accept what was still to be said.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// How long a closed client may take to close its own side; closing earlier could lose our last message.
const LINGER: Duration = Duration::from_secs(2);
/// Slices of one vectored write.
const WRITE_SLICES: usize = 16;

/// What all sessions of a process share.
pub struct Deps {
    /// The proxy's keys, policy and limits.
    pub gateway: Arc<Gateway>,
    /// Where access events go.
    pub events: Arc<Events>,
    /// Where logs go.
    pub logs: Arc<LogStore>,
}

/// Runs one session from its first byte to its last. `leftover` is what already came on `client`.
///
/// A change of `shutdown` to true ends the session with a message to the person.
pub async fn run(
    deps: &Deps,
    connection: ConnectionInfo,
    client: TcpStream,
    leftover: Vec<u8>,
    shutdown: watch::Receiver<bool>,
) {
    let clock = Clock::start();
    let mut seed = [0; 32];
    if let Err(error) = getrandom::fill(&mut seed) {
        tracing::error!(%error, "no randomness: the connection is closed");
        return;
    }
    let facts = &connection.target.facts;
    let host = facts
        .address
        .map_or_else(|| facts.hostname.clone(), |address| address.to_string());
    let port = facts.port;
    let session = Session::new(Arc::clone(&deps.gateway), connection, &seed, clock.now());
    let id = session.id();
    tracing::debug!(session = %id, "accepted");
    let mut driver = Driver {
        deps,
        session,
        clock,
        client: Connection::open(client),
        target: None,
        connecting: None,
        route: (host, port),
        log: None,
        stopping: false,
    };
    driver.feed(&leftover);
    driver.run(shutdown).await;
    tracing::debug!(session = %id, "over");
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
}

impl Connection {
    fn open(stream: TcpStream) -> Self {
        // A keystroke must not wait for the acknowledgement of the one before it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::warn!(%error, "TCP_NODELAY");
        }
        Self {
            stream,
            queue: VecDeque::new(),
            close_by: None,
        }
    }

    fn is_done(&self) -> bool {
        self.close_by
            .is_some_and(|by| self.queue.is_empty() || by <= Instant::now())
    }

    /// Writes what the socket takes now; returns how much.
    fn write(&mut self) -> io::Result<usize> {
        let mut total = 0;
        while !self.queue.is_empty() {
            let mut slices = [io::IoSlice::new(&[]); WRITE_SLICES];
            for (slice, bytes) in slices.iter_mut().zip(&self.queue) {
                *slice = io::IoSlice::new(bytes);
            }
            let filled = self.queue.len().min(WRITE_SLICES);
            match self.stream.try_write_vectored(&slices[..filled]) {
                Ok(written) => {
                    total += written;
                    self.drop_written(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(total)
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

type Connecting = Pin<Box<dyn Future<Output = Result<TcpStream, ConnectFailure>> + Send>>;

struct Driver<'a> {
    deps: &'a Deps,
    session: Session,
    clock: Clock,
    client: Connection,
    target: Option<Connection>,
    connecting: Option<Connecting>,
    route: (String, u16),
    log: Option<LogFile>,
    stopping: bool,
}

enum Woken {
    Ready(Leg),
    Connected(Result<TcpStream, ConnectFailure>),
    Timeout,
    Shutdown,
}

impl Driver<'_> {
    fn feed(&mut self, mut bytes: &[u8]) {
        self.execute();
        while !bytes.is_empty() {
            let taken = self.session.receive(Leg::Client, bytes, self.clock.now());
            if taken == 0 {
                // Only a hostile client sends more than a receive buffer ahead of our identification.
                self.session
                    .handle(Input::Closed(Leg::Client), self.clock.now());
                return;
            }
            bytes = &bytes[taken..];
            self.execute();
        }
    }

    async fn run(&mut self, mut shutdown: watch::Receiver<bool>) {
        loop {
            self.execute();
            if self.session.is_over() {
                break;
            }
            match self.wait(&mut shutdown).await {
                Woken::Ready(leg) => self.transfer(leg),
                Woken::Connected(Ok(stream)) => {
                    self.connecting = None;
                    self.target = Some(Connection::open(stream));
                    self.session
                        .handle(Input::TargetConnected, self.clock.now());
                }
                Woken::Connected(Err(failure)) => {
                    self.connecting = None;
                    self.session
                        .handle(Input::TargetUnreachable(failure), self.clock.now());
                }
                Woken::Timeout => self.session.handle_timeout(self.clock.now()),
                Woken::Shutdown => {
                    self.stopping = true;
                    self.session.handle(Input::Shutdown, self.clock.now());
                }
            }
        }
        self.finish().await;
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
            () = ready(Some(&self.client), client_interest) => Woken::Ready(Leg::Client),
            () = ready(self.target.as_ref(), target_interest) => Woken::Ready(Leg::Target),
            connected = connecting => Woken::Connected(connected),
            () = timer => Woken::Timeout,
            () = asked_to_stop, if !self.stopping => Woken::Shutdown,
        }
    }

    /// One read and whatever can be written.
    fn transfer(&mut self, leg: Leg) {
        self.write(leg);
        let Some(connection) = connection(&mut self.client, &mut self.target, leg) else {
            return;
        };
        let Some(buffer) = self.session.read_buffer(leg) else {
            return;
        };
        let input = match connection.stream.try_read(buffer) {
            Ok(0) => Input::Closed(leg),
            Ok(len) => Input::Received(leg, len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => Input::Closed(leg),
        };
        self.session.handle(input, self.clock.now());
    }

    /// Writes what the leg's socket takes; true when the session was told of it.
    fn write(&mut self, leg: Leg) -> bool {
        let Some(connection) = connection(&mut self.client, &mut self.target, leg) else {
            return false;
        };
        let input = match connection.write() {
            Ok(0) => return false,
            Ok(written) => Input::Written(leg, written),
            Err(_) => {
                connection.queue.clear();
                Input::Closed(leg)
            }
        };
        self.session.handle(input, self.clock.now());
        true
    }

    /// Does everything the session asks for, in its order.
    fn execute(&mut self) {
        loop {
            match self.session.poll_output() {
                Some(output) => self.perform(output),
                // What was queued may go out now; that it did may let the session say more.
                None if self.write(Leg::Client) | self.write(Leg::Target) => {}
                None => break,
            }
        }
        if self.target.as_ref().is_some_and(Connection::is_done) {
            self.target = None;
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Event(event) => self.deps.events.write(&event),
            Output::ConnectTarget => self.connecting = Some(Box::pin(connect(self.route.clone()))),
            Output::Log(page) => {
                let answer = match self.append(&page) {
                    Ok(()) => Input::LogWritten,
                    Err(error) => {
                        tracing::error!(session = %self.session.id(), %error, "the log cannot be written");
                        Input::LogFailed
                    }
                };
                self.session.handle(answer, self.clock.now());
            }
            // The examples keep the authority's key in memory; nobody else is there to sign.
            Output::SignCertificate(_) => {
                self.session.handle(Input::SigningFailed, self.clock.now())
            }
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

    fn append(&mut self, page: &[u8]) -> io::Result<()> {
        let log = match &mut self.log {
            Some(log) => log,
            none => none.insert(self.deps.logs.create(&self.session.id().to_string())?),
        };
        tokio::task::block_in_place(|| log.append(page))
    }

    /// Gives both peers a bounded time to take what was said last.
    async fn finish(&mut self) {
        let by = Instant::now() + DRAIN_DEADLINE;
        for connection in [Some(&mut self.client), self.target.as_mut()]
            .into_iter()
            .flatten()
        {
            drain(connection, by).await;
        }
        linger(&mut self.client.stream).await;
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
    let connection = connection?;
    let reads = session
        .read_buffer(leg)
        .is_some()
        .then_some(Interest::READABLE);
    let writes = (!connection.queue.is_empty()).then_some(Interest::WRITABLE);
    match (reads, writes) {
        (Some(reads), Some(writes)) => Some(reads | writes),
        (reads, writes) => reads.or(writes),
    }
}

async fn ready(connection: Option<&Connection>, interest: Option<Interest>) {
    match (connection, interest) {
        (Some(connection), Some(interest)) => {
            // An error shows itself again at the read or write that follows.
            let _ = connection.stream.ready(interest).await;
        }
        _ => pending().await,
    }
}

async fn connect((host, port): (String, u16)) -> Result<TcpStream, ConnectFailure> {
    let addresses: Vec<_> = tokio::net::lookup_host((host.as_str(), port))
        .await
        .map_err(|_| ConnectFailure::UnknownName)?
        .collect();
    let mut failure = ConnectFailure::UnknownName;
    for address in addresses {
        match TcpStream::connect(address).await {
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

async fn drain(connection: &mut Connection, by: Instant) {
    let writing = async {
        while !connection.queue.is_empty() {
            if connection.stream.writable().await.is_err() || connection.write().is_err() {
                return;
            }
        }
    };
    let _ = tokio::time::timeout_at(by, writing).await;
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
