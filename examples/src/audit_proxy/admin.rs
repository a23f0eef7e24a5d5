//! What operators ask of a running proxy, on a Unix socket of its machine.
//!
//! ```text
//! connection ──▶ who is it? the kernel says ──▶ request ──▶ may they? the policy says ──▶ event ──▶ sessions
//! ```
//!
//! Nothing that an operator does, or leaves undone, keeps a session waiting.

mod access;
mod answer;
mod approvals;
pub mod protocol;
pub(super) mod socket;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::stop::Stopper;
use crate::approvals::Approvals;
use crate::config::Who;
use crate::events::Events;
use crate::in_force::InForce;
use crate::live::Live;
use access::Operator;
use protocol::{MAX_LINE_BYTES, Reply, Request};

/// Operators at once, those who watch among them; more are turned away.
const MAX_CLIENTS: usize = 32;

/// How long an operator may take to say what they want.
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// How long an operator may take to accept one line of the answer: a terminal may be stopped for a moment.
const LINE_TIME: Duration = Duration::from_secs(60);

/// How long accepting pauses when the process can open no more sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What the answers come from.
pub(super) struct Admin {
    pub(super) live: Arc<Live>,
    pub(super) approvals: Arc<Approvals>,
    pub(super) in_force: Arc<InForce>,
    pub(super) events: Arc<Events>,
    pub(super) stopper: Stopper,
    /// How long sessions may go on when nobody says.
    pub(super) drain: Duration,
    /// Users of this machine, and who they are.
    pub(super) operators: Vec<(u32, Who)>,
    /// Where sessions may go.
    pub(super) targets: Vec<policy::Target>,
}

impl Admin {
    /// Answers for as long as this is waited for.
    pub(super) async fn run(self, socket: UnixListener) {
        let admin = Arc::new(self);
        let places = Arc::new(Semaphore::new(MAX_CLIENTS));
        loop {
            let stream = match socket.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "an operator cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!("an operator is turned away: {MAX_CLIENTS} are there already");
                continue;
            };
            let admin = Arc::clone(&admin);
            tokio::spawn(async move {
                if let Err(error) = admin.serve(stream).await {
                    tracing::debug!(%error, "an operator left early");
                }
                drop(place);
            });
        }
    }

    async fn serve(&self, stream: UnixStream) -> io::Result<()> {
        let uid = stream.peer_cred()?.uid();
        let (reading, writing) = stream.into_split();
        let mut client = Client {
            reading: BufReader::new(reading),
            writing,
        };
        let request = client.request().await?;
        let request = match request {
            Ok(request) => request,
            Err(why) => return client.say(&Reply::Failed { why }).await,
        };
        let operators = self.operators.iter();
        let known = operators.map(|(user, who)| (*user, who));
        let Some((_, who)) = known.clone().find(|(user, _)| *user == uid) else {
            self.tell_stranger(uid);
            let why = format!(
                "user {uid} of this machine is nobody's identity; see `[[admin.operator]]`"
            );
            return client.say(&Reply::Refused { why }).await;
        };
        let operator = Operator::new(uid, who);
        self.answer(&operator, request, &mut client).await
    }
}

/// An operator's connection.
struct Client {
    reading: BufReader<OwnedReadHalf>,
    writing: OwnedWriteHalf,
}

impl Client {
    /// The one request; or why it is none.
    async fn request(&mut self) -> io::Result<Result<Request, String>> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.reading).take(MAX_LINE_BYTES as u64);
        timeout(REQUEST_TIME, bounded.read_until(b'\n', &mut line)).await??;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.last() != Some(&b'\n') {
            return Ok(Err("the request is no whole line, or too long".to_owned()));
        }
        Ok(serde_json::from_slice(&line).map_err(|error| format!("not a request: {error}")))
    }

    async fn say(&mut self, reply: &Reply) -> io::Result<()> {
        let mut line = serde_json::to_vec(reply)?;
        line.push(b'\n');
        timeout(LINE_TIME, self.writing.write_all(&line)).await?
    }

    /// Waits until the operator says more, which nobody does, or leaves.
    async fn left(&mut self) {
        let _ = self.reading.read_u8().await;
    }
}
