//! Listeners of the target that lead to the client (RFC 4254 section 7.1): which the client may have, and which it has.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

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

/// Where the target listens for the client.
#[derive(Debug, Default)]
pub(super) struct Listeners(Vec<Listener>);

impl Listeners {
    pub(super) fn has_port(&self, wanted: u32) -> bool {
        self.0
            .iter()
            .any(|it| matches!(it, Listener::Tcp { port, .. } if *port == wanted))
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

    /// The target's word about a listener; with `ok` and a port of its choice, `data` is that port.
    pub(super) fn listener_answered(
        &mut self,
        (act, mut listener): (Act, Listener),
        ok: bool,
        data: &[u8],
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        if let Listener::Tcp { port, .. } = &mut listener
            && *port == 0
            && ok
            && act == Act::Begin
        {
            let bytes = data.try_into().map_err(|_| RelayError::Malformed)?;
            *port = u32::from_be_bytes(bytes);
            if u16::try_from(*port).map_or(true, |port| port == 0) {
                return Err(RelayError::Malformed);
            }
            let text = format!("the target listens at port {port}");
            out.record(0, &Record::Annotation { text: &text });
        } else if !data.is_empty() {
            return Err(RelayError::Malformed);
        }
        if ok {
            if act == Act::Begin {
                out.event(listening(&listener));
            }
            self.listeners.change(act, listener);
        }
        Ok(())
    }
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
