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
mod end;
pub(super) mod noise;
mod places;
pub mod protocol;
pub(super) mod socket;
mod watch;

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::stop::Stopper;
use crate::approvals::Approvals;
use crate::config::AdminLimits;
use crate::config::Who;
use crate::events::Events;
use crate::in_force::InForce;
use crate::live::Live;
use access::Operator;
use noise::{Noise, Turned};
use places::Places;
use protocol::{MAX_LINE_BYTES, Reply, Request};

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
    /// How long sessions may go on when nobody says; without it, as long as they need.
    pub(super) drain: Option<Duration>,
    pub(super) noise: Noise,
    /// How many operators there may be, and what may wait for each.
    pub(super) limits: AdminLimits,
    /// Users of this machine, and who they are.
    pub(super) operators: Vec<(u32, Who)>,
    /// Where sessions may go.
    pub(super) targets: Vec<policy::Target>,
}

impl Admin {
    /// Answers whoever comes for as long as this is waited for, and each to the end. `answering` closes once everybody is answered.
    pub(super) async fn run(self, socket: UnixListener, answering: mpsc::Sender<Infallible>) {
        let limits = self.limits;
        let admin = Arc::new(self);
        let places = Arc::new(Places::new(limits.clients, limits.clients_of_one));
        loop {
            let stream = match socket.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "an operator cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // Whoever is no operator must not take a place from one.
            let uid = match stream.peer_cred() {
                Ok(credentials) => credentials.uid(),
                Err(error) => {
                    tracing::debug!(%error, "nobody knows who asks");
                    continue;
                }
            };
            if admin.who(uid).is_none() {
                admin.tell_stranger(uid);
                let why = format!(
                    "user {uid} of this machine is nobody's identity; see `[[admin.operator]]`"
                );
                turn_away(stream, &Reply::Refused { why });
                continue;
            }
            let Some(place) = places.enter(uid) else {
                if let Some(count) = admin.noise.count(Turned::Full) {
                    tracing::warn!(uid, count, "operators are turned away: too many are there");
                }
                let why = "too many operators".to_owned();
                turn_away(stream, &Reply::Failed { why });
                continue;
            };
            let (admin, answering) = (Arc::clone(&admin), answering.clone());
            tokio::spawn(async move {
                if let Err(error) = admin.serve(uid, stream).await {
                    tracing::debug!(%error, "an operator left early");
                }
                drop((place, answering));
            });
        }
    }

    fn who(&self, uid: u32) -> Option<&Who> {
        let mut operators = self.operators.iter();
        let (_, who) = operators.find(|(user, _)| *user == uid)?;
        Some(who)
    }

    async fn serve(&self, uid: u32, stream: UnixStream) -> io::Result<()> {
        let Some(who) = self.who(uid) else {
            return Ok(());
        };
        let operator = Operator::new(uid, who);
        let (reading, writing) = stream.into_split();
        let mut client = Client {
            reading: BufReader::new(reading),
            writing,
            is_mid_line: false,
        };
        let request = client.request().await?;
        let request = match request {
            Ok(request) => request,
            Err(why) => {
                self.tell(&operator, "operator.invalid", None, None, None);
                return client.say(&Reply::Failed { why }).await;
            }
        };
        self.answer(&operator, request, &mut client).await
    }
}

/// One line for who gets nothing else, and is not waited for.
fn turn_away(stream: UnixStream, reply: &Reply) {
    let said = serde_json::to_vec(reply)
        .map_err(io::Error::from)
        .and_then(|mut line| {
            line.push(b'\n');
            stream.into_std()?.write_all(&line)
        });
    if let Err(error) = said {
        tracing::debug!(%error, "somebody left before they were turned away");
    }
}

/// An operator's connection.
struct Client {
    reading: BufReader<OwnedReadHalf>,
    writing: OwnedWriteHalf,
    /// Whether a line was begun and never finished.
    is_mid_line: bool,
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
        let mut line = Vec::new();
        if std::mem::replace(&mut self.is_mid_line, true) {
            line.push(b'\n');
        }
        serde_json::to_writer(&mut line, reply)?;
        line.push(b'\n');
        timeout(LINE_TIME, self.writing.write_all(&line)).await??;
        self.is_mid_line = false;
        Ok(())
    }

    /// Waits until the operator says more, which nobody does, or leaves.
    async fn left(&mut self) {
        let _ = self.reading.read_u8().await;
    }
}
