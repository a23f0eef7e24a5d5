//! How a client arrives: who it is, from where it really comes, and which target it wants.
//!
//! A **plain** listener is bound to one identity and one target, and takes SSH from the first byte.
//! A **connect** listener takes HTTP `CONNECT host:port` with a bearer token that names the identity.
//! Before either, a load balancer whose address is listed must say whose connection it passes on, by
//! the PROXY protocol version 2; nobody else may.

pub mod http_connect;
pub mod proxy_v2;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::audit_proxy::admission::{Farewells, Full, Place};
use crate::token::{self, TokenHash};
use http_connect::HttpError;
use proxy_v2::{Progress, ProxyError};

/// How long a client that was refused may take to read the answer.
const FAREWELL: Duration = Duration::from_secs(2);

/// How much a client that was refused may still send before its connection is closed hard.
const FAREWELL_BYTES: usize = 64 << 10;

/// What a listener does with its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// What clients speak there.
    pub kind: ListenerKind,
    /// From where a PROXY protocol header must come.
    pub proxy_protocol_from: Vec<IpNet>,
}

impl Listener {
    /// Whether this peer must say whose connection it passes on.
    pub fn is_balancer(&self, peer: SocketAddr) -> bool {
        let address = peer.ip().to_canonical();
        let mut ranges = self.proxy_protocol_from.iter();
        ranges.any(|range| range.contains(&address))
    }
}

/// What clients speak, and what that says about them. Numbers are positions in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerKind {
    /// SSH from the first byte.
    Plain {
        /// Who everybody is here.
        identity: usize,
        /// Where everybody goes.
        target: usize,
    },
    /// HTTP `CONNECT`.
    Connect {
        /// Who a client without a token is; none refuses it.
        identity: Option<usize>,
    },
}

/// Whom the tokens name, and what the targets are called.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// The hash of each token, and the position of its identity.
    pub tokens: Vec<(TokenHash, usize)>,
    /// The names of each target, by position.
    pub targets: Vec<TargetNames>,
}

/// What a target may be called in a `CONNECT` request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetNames {
    /// Its id, which no other target has.
    pub id: String,
    /// Its host name.
    pub hostname: String,
    /// Its address, if it is not to be looked up.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: u16,
}

impl Directory {
    /// The target of a request: by its id, or else by its host name or address.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn target(&self, host: &str, port: u16) -> Result<usize, HttpError> {
        let id = host.strip_suffix('.').unwrap_or(host);
        let mut with_port = (0..).zip(&self.targets).filter(|(_, t)| t.port == port);
        match with_port.find(|(_, target)| target.id.eq_ignore_ascii_case(id)) {
            Some((position, _)) => Ok(position),
            None => self.target_inside(host, port),
        }
    }

    /// The target of a connection through another target: by its host name or address, which is what the machine on the way looks up. An
    /// id is a name of this configuration alone, and elsewhere may be that of another machine.
    ///
    /// # Errors
    /// As [`Self::target`].
    pub fn target_inside(&self, host: &str, port: u16) -> Result<usize, HttpError> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let address = host.parse().ok().map(|it: IpAddr| it.to_canonical());
        let with_port = (0..).zip(&self.targets).filter(|(_, t)| t.port == port);
        let mut named = with_port.filter(|(_, target)| {
            let known = target.address.map(|it| it.to_canonical());
            target.hostname.eq_ignore_ascii_case(host) || (address.is_some() && address == known)
        });
        match (named.next(), named.next()) {
            (Some((position, _)), None) => Ok(position),
            (None, _) => Err(HttpError::UnknownTarget),
            (Some(_), Some(_)) => Err(HttpError::AmbiguousTarget),
        }
    }

    /// Who goes where with a request on a connect listener.
    fn admit(
        &self,
        request: &http_connect::Request<'_>,
        without_token: Option<usize>,
    ) -> Result<(usize, usize), Refused> {
        let identity = match request.token {
            Some(token) => token::find(&self.tokens, token).ok_or(HttpError::UnknownToken)?,
            None => without_token.ok_or(HttpError::NoToken)?,
        };
        // Only who is known learns which targets there are.
        let target = self
            .target(request.host, request.port)
            .map_err(|error| Refused::Target { identity, error })?;
        Ok((identity, target))
    }
}

/// A client that has arrived. Numbers are positions in the configuration.
#[derive(Debug)]
pub struct Arrival {
    /// Its connection, from which SSH is to be read.
    pub stream: TcpStream,
    /// What of SSH was read already; it comes before the rest.
    pub leftover: Vec<u8>,
    /// Where it comes from, whatever stands between.
    pub client_addr: SocketAddr,
    /// Who it is.
    pub identity: usize,
    /// Where it goes.
    pub target: usize,
    /// What it counts as.
    pub place: Place,
}

/// Why a client has not arrived. Its connection is closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It took too long.
    #[error("nothing complete came in time")]
    TimedOut,
    /// It closed its connection first.
    #[error("the connection was closed before the request was complete")]
    Closed,
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// The PROXY protocol header is not accepted.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// A PROXY protocol header came from an address that is not listed.
    #[error("a PROXY protocol header from an address that is not in `proxy_protocol_from`")]
    ProxyNotListed,
    /// There is no place for it.
    #[error("{full}")]
    Full {
        /// Where it really comes from.
        client_addr: SocketAddr,
        /// Why.
        full: Full,
    },
    /// A second PROXY protocol header followed the first.
    #[error("a second PROXY protocol header; only the balancer next to the proxy may send one")]
    ProxyTwice,
    /// The `CONNECT` request is not accepted.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A known client asks for a target that is not there, or for more than one.
    #[error("{error}")]
    Target {
        /// Who it is.
        identity: usize,
        /// Why.
        error: HttpError,
    },
}

impl Refused {
    /// A short word for the reason, for events.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::Io(_) => "io",
            Self::Full { full, .. } => full.reason(),
            Self::Proxy(_) | Self::ProxyNotListed | Self::ProxyTwice => "proxy_protocol",
            Self::Http(HttpError::NoToken) => "no_token",
            Self::Http(HttpError::UnknownToken) => "unknown_token",
            Self::Target { .. }
            | Self::Http(HttpError::UnknownTarget | HttpError::AmbiguousTarget) => "unknown_target",
            Self::Http(_) => "bad_request",
        }
    }
}

/// Receives a client: at most [`proxy_v2::MAX_HEADER_BYTES`] and [`http_connect::MAX_HEADER_BYTES`]
/// are read, within `deadline` in all. `place` counts for where it comes from and for who it is, as soon as either is known; a client
/// for which there is none holds none while it is told.
///
/// # Errors
/// Why the client was refused. It has been told if there is a way to, and its connection is closed.
pub async fn receive(
    listener: &Listener,
    directory: &Directory,
    (stream, peer): (TcpStream, SocketAddr),
    (mut place, farewells): (Place, &Farewells),
    deadline: Duration,
) -> Result<Arrival, Refused> {
    let mut stream = stream;
    let reading = read(listener, directory, &mut stream, peer, &mut place);
    let received = timeout(deadline, reading).await;
    let read = match received {
        Ok(Ok(read)) => read,
        Ok(Err(refused)) => {
            match &refused {
                Refused::Http(error) | Refused::Target { error, .. } => {
                    farewell(&mut stream, error.response().as_bytes()).await;
                }
                Refused::Full { full, .. } => {
                    drop(place);
                    farewells.turn_away(stream, listener.kind, *full);
                }
                _ => {}
            }
            return Err(refused);
        }
        Err(_) => return Err(Refused::TimedOut),
    };
    Ok(Arrival {
        stream,
        leftover: read.leftover,
        client_addr: read.client_addr,
        identity: read.identity,
        target: read.target,
        place,
    })
}

struct Read {
    leftover: Vec<u8>,
    client_addr: SocketAddr,
    identity: usize,
    target: usize,
}

async fn read(
    listener: &Listener,
    directory: &Directory,
    stream: &mut TcpStream,
    peer: SocketAddr,
    place: &mut Place,
) -> Result<Read, Refused> {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let listed = listener.is_balancer(peer);
    let client_addr = if listed {
        proxy_header(stream).await?.unwrap_or(peer)
    } else {
        peer
    };
    let no_place = |full| Refused::Full { client_addr, full };
    place.locate(client_addr.ip()).map_err(no_place)?;
    match listener.kind {
        // Nothing is read here: some clients say nothing before the server does. A PROXY protocol
        // header that should not be there is no SSH identification, and is refused as such.
        ListenerKind::Plain { identity, target } => {
            place.identify(identity).map_err(no_place)?;
            Ok(Read {
                leftover: Vec::new(),
                client_addr,
                identity,
                target,
            })
        }
        ListenerKind::Connect { identity } => {
            let (identity, target, leftover) =
                connect_request(directory, stream, identity, listed).await?;
            place.identify(identity).map_err(no_place)?;
            Ok(Read {
                leftover,
                client_addr,
                identity,
                target,
            })
        }
    }
}

/// Reads exactly one PROXY protocol header.
async fn proxy_header(stream: &mut TcpStream) -> Result<Option<SocketAddr>, Refused> {
    let mut bytes = Vec::new();
    loop {
        match proxy_v2::parse(&bytes)? {
            Progress::Need(more) => {
                let mut limited = (&mut *stream).take(more as u64);
                if limited.read_buf(&mut bytes).await? == 0 {
                    return Err(Refused::Closed);
                }
            }
            Progress::Complete { source, .. } => return Ok(source),
        }
    }
}

/// Reads and answers a `CONNECT` request; gives identity, target, and the bytes after it.
async fn connect_request(
    directory: &Directory,
    stream: &mut TcpStream,
    without_token: Option<usize>,
    had_proxy_header: bool,
) -> Result<(usize, usize, Vec<u8>), Refused> {
    let mut bytes = Vec::new();
    loop {
        let room = http_connect::MAX_HEADER_BYTES.saturating_sub(bytes.len());
        let mut limited = (&mut *stream).take(room as u64);
        if limited.read_buf(&mut bytes).await? == 0 {
            return Err(Refused::Closed);
        }
        // The first byte tells them apart: no method begins with a carriage return.
        if bytes.first() == proxy_v2::SIGNATURE.first() {
            return Err(if had_proxy_header {
                Refused::ProxyTwice
            } else {
                Refused::ProxyNotListed
            });
        }
        if bytes.starts_with(b"PROXY ") {
            return Err(ProxyError::VersionOne.into());
        }
        if let Some(request) = http_connect::parse(&bytes)? {
            let (identity, target) = directory.admit(&request, without_token)?;
            let leftover = bytes.split_off(request.consumed);
            stream.write_all(http_connect::ESTABLISHED).await?;
            return Ok((identity, target, leftover));
        }
    }
}

/// Sends a last answer and waits a little for the client to read it: closing at once while unread
/// bytes are in the socket would reset the connection and lose the answer.
pub(crate) async fn farewell(stream: &mut TcpStream, answer: &[u8]) {
    let saying = async {
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        let mut rest = stream.take(FAREWELL_BYTES as u64);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    // Whoever does not listen has lost nothing.
    let _ = timeout(FAREWELL, saying).await;
}

impl fmt::Display for ListenerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain { .. } => "plain",
            Self::Connect { .. } => "connect",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> Directory {
        let target = |id: &str, hostname: &str, port| TargetNames {
            id: id.to_owned(),
            hostname: hostname.to_owned(),
            address: Some(IpAddr::from([10, 0, 0, 7])),
            port,
        };
        Directory {
            tokens: vec![(TokenHash::of("good"), 3)],
            targets: vec![
                target("web-1", "web.example.com", 22),
                target("web-2", "web.example.com", 22),
                target("db", "db.example.com", 2222),
            ],
        }
    }

    #[test]
    fn a_target_is_found_by_id_host_name_or_address_with_its_port() {
        let directory = directory();
        assert_eq!(directory.target("WEB-2", 22), Ok(1));
        assert_eq!(directory.target("db.example.COM.", 2222), Ok(2));
        assert_eq!(directory.target("10.0.0.7", 2222), Ok(2));
        assert_eq!(directory.target("db", 22), Err(HttpError::UnknownTarget));
        assert_eq!(
            directory.target("web.example.com", 22),
            Err(HttpError::AmbiguousTarget)
        );
        assert_eq!(
            directory.target("evil-db.example.com", 2222),
            Err(HttpError::UnknownTarget)
        );
    }

    #[test]
    fn on_the_way_through_another_target_an_id_is_nobodys_name() {
        let mut directory = directory();
        directory.targets[0].id = "db.example.com".to_owned();
        directory.targets[0].port = 2222;
        assert_eq!(directory.target("db.example.com", 2222), Ok(0));
        assert_eq!(directory.target_inside("db.example.com", 2222), Ok(2));
        let unknown = Err(HttpError::UnknownTarget);
        assert_eq!(directory.target_inside("db", 2222), unknown);
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let mut directory = directory();
        let either = ["10.0.0.7", "::ffff:10.0.0.7", "::ffff:a00:7"];
        for known in either {
            directory.targets[2].address = known.parse().ok();
            for asked in either {
                assert_eq!(directory.target(asked, 2222), Ok(2), "{known} {asked}");
                assert_eq!(directory.target_inside(asked, 2222), Ok(2));
            }
        }
    }

    #[test]
    fn a_stranger_does_not_learn_which_targets_there_are() {
        let directory = directory();
        for host in ["db", "nowhere"] {
            let mut request = http_connect::Request {
                consumed: 0,
                host,
                port: 2222,
                token: None,
            };
            let refused = directory.admit(&request, None);
            assert!(matches!(refused, Err(Refused::Http(HttpError::NoToken))));
            request.token = Some("bad");
            let refused = directory.admit(&request, Some(1));
            assert!(matches!(
                refused,
                Err(Refused::Http(HttpError::UnknownToken))
            ));
        }
    }
}
