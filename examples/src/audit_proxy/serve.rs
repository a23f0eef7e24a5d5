//! Listeners, and one task for every connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proxy_core::{Ca, ConnectionInfo, Gateway};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::admin::Admin;
use super::admin::noise::Noise;
use super::admin::socket::{self, SocketFile};
use super::admission::{Admission, Farewells, Full, Place};
use super::keeper::Keeper;
use super::known::Known;
use super::stop::Stopper;
use crate::approvals::Approvals;
use crate::arrival::{self, Arrival, Listener, Refused};
use crate::config::{AdminConfig, Config, RuleFiles, Who};
use crate::driver::{self, Deps};
use crate::events::{self, Events};
use crate::in_force::InForce;
use crate::live::Live;
use crate::log_store::{LogStore, LogStoreError};

/// How long accepting pauses when the process can open no more sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Why the proxy cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address is taken, not there, or not allowed.
    #[error("cannot listen on {address}: {error}; write another `address` in its `[[listen]]`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The events file cannot be written.
    #[error("access events cannot be written to `{}`: {error}", file.display())]
    Events {
        /// The file.
        file: std::path::PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Operators cannot ask.
    #[error("operators cannot ask at `{}`: {error}", socket.display())]
    Admin {
        /// The socket.
        socket: std::path::PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The logs cannot be written.
    #[error(transparent)]
    Logs(#[from] LogStoreError),
}

/// How long operators may take to read the rest of their answers when the last session has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// A proxy that listens and does not accept yet.
pub struct Server {
    sockets: Vec<(TcpListener, Listener)>,
    shared: Arc<Shared>,
    admin: Option<(UnixListener, SocketFile, Admin)>,
    stopper: Stopper,
    shutdown_timeout: Duration,
    rule_files: Option<RuleFiles>,
}

/// What all connections share.
struct Shared {
    deps: Deps,
    known: Arc<Known>,
    identities: Vec<Who>,
    arrival_timeout: Duration,
    admission: Arc<Admission>,
    farewells: Farewells,
}

impl Server {
    /// Opens listeners, events and logs.
    ///
    /// # Errors
    /// When one of them cannot be had.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let logs = LogStore::open(config.log_directory, config.log_sync)?;
        let events = match config.events_file {
            None => Events::to_stdout(),
            Some(file) => {
                Events::to_file(&file).map_err(|error| StartError::Events { file, error })?
            }
        };
        let mut gateway = Gateway::new(
            config.secrets,
            Ca::Local(config.ca),
            config.log.recipients.clone(),
            config.log_signer,
        );
        let known = Arc::new(Known {
            directory: config.directory,
            targets: config.targets,
        });
        gateway.directory = Some(known.clone());
        gateway.log = config.log;
        gateway.timeouts = config.timeouts;
        gateway.limits = config.session_limits;
        gateway.client_algorithms = config.client_algorithms;
        gateway.host_key_algorithms = config.host_key_algorithms;
        gateway.host_ca = config.host_ca.map(Ca::Local);
        let mut sockets = Vec::new();
        for listener in config.listeners {
            let address = listener.address;
            let socket = TcpListener::bind(address)
                .await
                .map_err(|error| StartError::Listen { address, error })?;
            sockets.push((socket, listener));
        }
        let shared = Shared {
            deps: Deps {
                gateway: Arc::new(gateway),
                in_force: Arc::new(InForce::new(config.rules)),
                events: Arc::new(events),
                logs: Arc::new(logs),
                live: Arc::new(Live::default()),
                approvals: Arc::new(Approvals::new(config.open_questions)),
            },
            known,
            identities: config.identities,
            arrival_timeout: config.arrival_timeout,
            admission: Arc::new(Admission::new(config.admission)),
            farewells: Farewells::default(),
        };
        let stopper = Stopper::default();
        let admin = match config.admin {
            Some(admin) => Some(shared.admin(admin, stopper.clone(), config.drain)?),
            None => None,
        };
        Ok(Self {
            sockets,
            shared: Arc::new(shared),
            admin,
            stopper,
            shutdown_timeout: config.shutdown_timeout,
            rule_files: config.rule_files,
        })
    }

    /// What keeps the rules in force what their files say, if they stand in files.
    pub fn keeper(&self) -> Option<Keeper> {
        let deps = &self.shared.deps;
        Some(Keeper {
            files: self.rule_files.clone()?,
            in_force: deps.in_force.clone(),
            events: deps.events.clone(),
        })
    }

    /// What makes it end.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// The addresses of the listeners, in the order of the configuration, with the ports that the
    /// operating system chose where 0 was asked for.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets
            .iter()
            .map(|(socket, _)| socket.local_addr())
            .collect()
    }

    /// Serves until its [stopper](Self::stopper) says otherwise, and then until every session has ended or had its time to.
    pub async fn run(self) {
        let (end, ended) = watch::channel(false);
        let (answering, mut answered) = mpsc::channel(1);
        let (admin_file, admin) = match self.admin {
            Some((socket, file, admin)) => {
                let task = AbortOnDrop(tokio::spawn(admin.run(socket, answering)));
                (Some(file), Some(task))
            }
            None => (None, None),
        };
        let admin_file = Arc::new(admin_file);
        let mut accepting = JoinSet::new();
        for (socket, listener) in self.sockets {
            if let Ok(address) = socket.local_addr() {
                tracing::info!(%address, kind = %listener.kind, "listening");
            }
            let (stopper, admin_file) = (self.stopper.clone(), Arc::clone(&admin_file));
            // A successor that finds this address free must find the operators' socket free, too.
            let closing = async move { stopper.draining().await };
            let leaving = async move {
                // It may wait for another proxy, which the threads of sessions must not.
                let aside = spawn_blocking(move || {
                    if let Some(file) = &*admin_file {
                        file.step_aside();
                    }
                });
                if let Err(error) = aside.await {
                    tracing::error!(%error, "the admin socket stays where it is");
                }
            };
            accepting.spawn(accept(
                socket,
                Arc::new(listener),
                self.shared.clone(),
                closing,
                leaving,
                ended.clone(),
            ));
        }
        let mut sessions = Vec::new();
        while let Some(accepted) = accepting.join_next().await {
            match accepted {
                Ok(open) => sessions.push(open),
                Err(error) => tracing::error!(%error, "a listener failed"),
            }
        }
        let all_over = async {
            for mut open in sessions {
                while let Some(ended) = open.join_next().await {
                    report(ended);
                }
            }
        };
        tokio::pin!(all_over);
        tokio::select! {
            () = &mut all_over => {}
            () = self.stopper.ending() => {
                end.send_replace(true);
                if timeout(self.shutdown_timeout, &mut all_over).await.is_err() {
                    tracing::warn!("some sessions did not end in time and are cut off");
                }
            }
        }
        // Whoever ended the last session is still to read that it ended.
        drop(admin);
        let _ = timeout(LAST_ANSWERS, answered.recv()).await;
    }
}

/// A task that nobody needs once this is gone.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shared {
    /// The socket where operators ask, and what answers there.
    fn admin(
        &self,
        config: AdminConfig,
        stopper: Stopper,
        drain: Duration,
    ) -> Result<(UnixListener, SocketFile, Admin), StartError> {
        let who = |position: usize| self.identities.get(position).cloned();
        let operators = config.operators.into_iter();
        let admin = Admin {
            live: self.deps.live.clone(),
            approvals: self.deps.approvals.clone(),
            in_force: self.deps.in_force.clone(),
            events: self.deps.events.clone(),
            stopper,
            drain: Some(drain).filter(|drain| !drain.is_zero()),
            noise: Noise::default(),
            limits: config.limits,
            operators: operators
                .filter_map(|(uid, position)| Some((uid, who(position)?)))
                .collect(),
            targets: self
                .known
                .targets
                .iter()
                .map(|it| it.facts.clone())
                .collect(),
        };
        match socket::bind(&config.socket, config.mode) {
            Ok((socket, file)) => Ok((socket, file, admin)),
            Err(error) => Err(StartError::Admin {
                socket: config.socket,
                error,
            }),
        }
    }

    /// A place for a connection, counted for where it comes from if that is known already.
    fn place(&self, listener: &Listener, peer: SocketAddr) -> Result<Place, Full> {
        let mut place = self.admission.enter()?;
        if !listener.is_balancer(peer) {
            place.locate(peer.ip())?;
        }
        Ok(place)
    }

    /// Tells the operator of a connection for which there is no place, or of many at once.
    fn tell_full(&self, full: Full, client_addr: SocketAddr) {
        let Some(refusals) = self.admission.refused(full) else {
            return;
        };
        let refused = refusals.count;
        tracing::warn!(%client_addr, reason = full.reason(), refused, "refused: {full}");
        self.deps.events.write(&Told::Refused {
            time_unix_ms: events::now_ms(),
            reason: full.reason(),
            client_addr: client_addr.to_string(),
            refused,
        });
    }
}

/// What is told beside the sessions' own events.
#[derive(Serialize)]
#[serde(tag = "event")]
enum Told {
    /// Connections for which there was no place: so many since the last of this event with the same reason.
    #[serde(rename = "connection.refused")]
    Refused {
        time_unix_ms: u64,
        reason: &'static str,
        /// The last of them.
        client_addr: String,
        refused: u64,
    },
}

/// Accepts until told to stop, and listens for as long as leaving takes; gives the connections that are still open.
async fn accept(
    socket: TcpListener,
    listener: Arc<Listener>,
    shared: Arc<Shared>,
    closing: impl Future<Output = ()>,
    leaving: impl Future<Output = ()>,
    end: watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut open = JoinSet::new();
    tokio::pin!(closing);
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut closing => {
                leaving.await;
                return open;
            }
            Some(ended) = open.join_next() => {
                report(ended);
                continue;
            }
            accepted = socket.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let place = match shared.place(&listener, peer) {
            Ok(place) => place,
            Err(full) => {
                shared.tell_full(full, peer);
                shared.farewells.turn_away(stream, listener.kind, full);
                continue;
            }
        };
        open.spawn(connection(
            listener.clone(),
            shared.clone(),
            stream,
            peer,
            place,
            end.clone(),
        ));
    }
}

/// Waits until all are to end.
async fn asked(end: &mut watch::Receiver<bool>) {
    // A sender that is gone is a program that ends, too.
    let _ = end.wait_for(|end| *end).await;
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}

/// One connection, from its acceptance to its end.
async fn connection(
    listener: Arc<Listener>,
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    mut end: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "a connection ended before it began");
        return;
    }
    let mut displacement = place.displacement();
    let receiving = arrival::receive(
        &listener,
        &shared.known.directory,
        (stream, peer),
        (place, &shared.farewells),
        shared.arrival_timeout,
    );
    let received = tokio::select! {
        received = receiving => received,
        () = displacement.happens() => return shared.tell_full(Full::Unauthenticated, peer),
        () = asked(&mut end) => return,
    };
    match received {
        Ok(arrival) => {
            let client_addr = arrival.client_addr;
            serve(&shared, arrival, end).await;
            if displacement.has_happened() {
                shared.tell_full(Full::Unauthenticated, client_addr);
            }
        }
        Err(Refused::Full { client_addr, full }) => shared.tell_full(full, client_addr),
        Err(refused) => tell(&refused, peer, &shared.identities),
    }
}

fn tell(refused: &Refused, peer: SocketAddr, identities: &[Who]) {
    let reason = refused.reason();
    match refused {
        // Port scanners and health checks do this all day.
        Refused::Closed | Refused::TimedOut | Refused::Io(_) => {
            tracing::debug!(%peer, reason, %refused, "not arrived");
        }
        Refused::Target { identity, .. } => {
            let identity = identities.get(*identity).map(|who| who.name.as_str());
            tracing::warn!(%peer, identity, reason, %refused, "refused");
        }
        _ => tracing::warn!(%peer, reason, %refused, "refused"),
    }
}

async fn serve(shared: &Shared, arrival: Arrival, end: watch::Receiver<bool>) {
    let (Some(who), Some(target)) = (
        shared.identities.get(arrival.identity),
        shared.known.targets.get(arrival.target),
    ) else {
        tracing::error!("a listener names an identity or target that is not there");
        return;
    };
    let now_unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let info = ConnectionInfo {
        identity: who.identity.clone(),
        device: who.device_at(now_unix),
        network: policy::Network {
            client_addr: Some(arrival.client_addr.ip()),
            virtual_network: None,
            country: None,
        },
        client_addr: arrival.client_addr,
        security_keys: who.security_keys.clone(),
        target: target.clone(),
    };
    let facts = |now_unix| (who.identity.clone(), who.device_at(now_unix));
    let client = driver::Accepted {
        stream: arrival.stream,
        leftover: arrival.leftover,
        place: arrival.place,
    };
    driver::run(&shared.deps, info, &facts, client, end).await;
}
