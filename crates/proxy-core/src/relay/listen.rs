//! Listeners of the target that lead to the client (RFC 4254 section 7.1): which the client may have, and which it has.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use policy::Constraints;
use session_log::Record;

use super::describe::unread;
use super::forward::covers;
use super::global::Answer;
use super::refusal::{refuse, write_refusal};
use super::wire::forward::{Act, ListenRequest};
use super::{Outlet, Relay, RelayError};
use crate::{ChannelEvent, Leg};

/// Where the target listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Listener {
    Tcp { host: String, port: u32 },
    Socket(String),
}

impl From<&ListenRequest<'_>> for Listener {
    fn from(request: &ListenRequest<'_>) -> Self {
        let host = request.host.into();
        if request.is_socket {
            Self::Socket(host)
        } else {
            let port = request.port;
            Self::Tcp { host, port }
        }
    }
}

impl Listener {
    /// Whether that is what a target says when it agrees (RFC 4254 section 7.1): the port that it chose. Where it had nothing to choose,
    /// Apache MINA and Go's servers say the port all the same, which clients ignore.
    fn is_answered_with(&self, act: Act, data: &[u8]) -> bool {
        let said = port_in(data);
        match self {
            Self::Tcp { port: 0, .. } if act == Act::Begin => said.is_some(),
            Self::Tcp { port, .. } => data.is_empty() || said == Some(*port),
            Self::Socket(_) => data.is_empty(),
        }
    }

    /// Whether a connection to this address and port may have come to it. Servers say the address as it was asked for, or
    /// their own for it (RFC 4254 section 7.2).
    fn is_reached_at(&self, named: &str, named_port: u32) -> bool {
        let Self::Tcp { host, port } = self else {
            return false;
        };
        let address = |host: &str| host.parse::<IpAddr>().ok().map(|it| it.to_canonical());
        let is_same = match (address(host), address(named)) {
            (Some(asked), Some(named)) => asked.is_unspecified() || asked == named,
            (Some(asked), None) => {
                asked.is_unspecified() || (asked.is_loopback() && is_localhost(named))
            }
            // What a name stands for, the target knows best; that of the loopback interface is known here too.
            (None, Some(named)) => !is_localhost(host) || named.is_loopback(),
            (None, None) => matches!(host.as_str(), "" | "*") || host.eq_ignore_ascii_case(named),
        };
        *port == named_port && is_same
    }
}

fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

/// Where the target listens for the client.
#[derive(Debug, Default)]
pub(super) struct Listeners(Vec<Listener>);

impl Listeners {
    /// The address that the client asked the target to listen at, of a connection that came to this one.
    pub(super) fn reached_at(&self, named: &str, port: u32) -> Option<&str> {
        let fitting = || {
            self.0.iter().filter_map(|it| match it {
                Listener::Tcp { host, .. } if it.is_reached_at(named, port) => Some(host.as_str()),
                _ => None,
            })
        };
        let same = fitting().find(|asked| *asked == named);
        same.or_else(|| fitting().next())
    }

    pub(super) fn has_socket(&self, wanted: &str) -> bool {
        self.0
            .iter()
            .any(|it| matches!(it, Listener::Socket(path) if path == wanted))
    }

    fn change(&mut self, act: Act, listener: Listener) {
        self.0.retain(|it| *it != listener);
        if act == Act::Begin {
            self.0.push(listener);
        }
    }
}

impl Relay {
    /// The client wants a listener at the target, or wants it no longer.
    pub(super) fn listen_request(
        &mut self,
        (name, want_reply, data): (&str, bool, &[u8]),
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let request = ListenRequest::parse(name, data);
        let request = match self.judge_listener(request, want_reply) {
            Ok(request) => request,
            Err(why) => {
                match request {
                    Some(ListenRequest { host, port, .. }) => {
                        let what = format!("{name} {host} {port}");
                        write_refusal(0, Leg::Client, &what, why, out);
                    }
                    None => {
                        let what = format!("{name} {}", unread(data));
                        refuse(0, Leg::Client, (&what, name), why, out);
                    }
                }
                return if want_reply {
                    self.global.refuse(Leg::Client, out)
                } else {
                    Ok(())
                };
            }
        };
        let record = Record::ForwardRequest {
            from: Leg::Client.side(),
            kind: name,
            host: request.host,
            port: request.port,
        };
        out.record(0, &record);
        if request.act == Act::Begin {
            out.event(ChannelEvent::Listen {
                host: request.host.into(),
                port: request.port,
            });
        }
        let listener = Listener::from(&request);
        if want_reply {
            let answer = Answer::AboutListener(request.act, listener);
            self.global.push(Leg::Client, answer)?;
        } else {
            self.listeners.change(request.act, listener);
        }
        out.pass();
        Ok(())
    }

    fn judge_listener<'a>(
        &self,
        request: Option<ListenRequest<'a>>,
        want_reply: bool,
    ) -> Result<ListenRequest<'a>, &'static str> {
        let not_granted = "remote forwarding is not granted";
        let request = request.ok_or(not_granted)?;
        let meant = Listener::from(&request);
        let is_meant = |it: &Listener| *it == meant;
        let (held, awaited) = (&self.listeners.0, || self.global.awaited_listeners());
        match request.act {
            Act::End if held.iter().any(is_meant) => Ok(request),
            // The answers come in turn: it has begun by the time it ends.
            Act::End if want_reply && awaited().any(is_meant) => Ok(request),
            Act::End => Err("there is no such listener"),
            Act::Begin if !may_listen(&self.constraints, &request) => Err(not_granted),
            Act::Begin if held.len().saturating_add(awaited().count()) >= self.limits.listeners => {
                Err("too many listeners")
            }
            // Without an answer, nobody here would know either.
            Act::Begin if !want_reply => Err("nobody would learn whether it listens"),
            Act::Begin => Ok(request),
        }
    }

    /// The target's word about a listener; with `ok` and a port of its choice, `data` is that port. False where it is no word that
    /// may pass: nothing listens then.
    pub(super) fn listener_answered(
        &mut self,
        (act, mut listener): (Act, Listener),
        ok: bool,
        data: &[u8],
        out: &mut impl Outlet,
    ) -> bool {
        if !ok {
            return true;
        }
        if !listener.is_answered_with(act, data) {
            let why = "it says another port than was asked for";
            write_refusal(0, Leg::Target, "answer about a listener", why, out);
            return false;
        }
        if let Listener::Tcp { port: port @ 0, .. } = &mut listener
            && let Some(chosen) = port_in(data)
        {
            *port = chosen;
            let text = format!("the target listens at port {port}");
            out.record(0, &Record::Annotation { text: &text });
        }
        if act == Act::Begin {
            out.event(listening(&listener));
        }
        self.listeners.change(act, listener);
        true
    }
}

/// The port that is all of these bytes.
fn port_in(data: &[u8]) -> Option<u32> {
    let port = u32::from_be_bytes(data.try_into().ok()?);
    u16::try_from(port).is_ok_and(|it| it > 0).then_some(port)
}

fn listening(listener: &Listener) -> ChannelEvent {
    let (host, port) = match listener {
        Listener::Tcp { host, port } => (host, *port),
        Listener::Socket(path) => (path, 0),
    };
    ChannelEvent::Listening {
        host: host.clone(),
        port,
    }
}

/// Whether the grant lets the target listen there. An empty host stands for every address of both families, and has to be covered whole.
fn may_listen(constraints: &Constraints, request: &ListenRequest<'_>) -> bool {
    let ListenRequest { host, port, .. } = *request;
    let list = &constraints.remote_forward;
    match host {
        _ if request.is_socket => constraints.stream_local.cover(host),
        "" => covers(list, "0.0.0.0", port) && covers(list, "::", port),
        _ => covers(list, host, port),
    }
}
