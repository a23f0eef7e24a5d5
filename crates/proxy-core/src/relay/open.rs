//! Channels in the making (RFC 4254 section 5.1): who may open which.

use alloc::format;

use session_log::Record;

use super::agent::Agent;
use super::describe::unread;
use super::forward::{Carried, allows};
use super::refusal::{refuse, write_refusal};
use super::wire::forward::{
    AGENT, AGENT_BY_IETF, Connection, DIRECT_SOCKET, DIRECT_TCP, FORWARDED_SOCKET, FORWARDED_TCP,
    X11,
};
use super::wire::{Message, own};
use super::{NOTICE_CREDIT_BYTES, Outlet, Relay, RelayError};
use crate::{ChannelEvent, Leg};

const SESSION: &str = "session";

/// One of so many channels is for the client alone, so that a target full of connections does not lock the person out.
const KEPT_FOR_CLIENT: usize = 4;

impl Relay {
    pub(super) fn open(
        &mut self,
        from: Leg,
        message: Message<'_>,
        payload: &[u8],
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let Message::Open {
            kind,
            sender,
            window,
            max_packet,
            data,
        } = message
        else {
            return Err(RelayError::Malformed);
        };
        if self.channels.is_used(from, sender) {
            return Err(RelayError::ChannelReused { id: sender });
        }
        let connection = Connection::parse(kind, data);
        if let Err((reason, why)) = self.judge_open(from, kind, connection.as_ref()) {
            match &connection {
                Some(it) => {
                    let what = format!("channel {kind} to {} {}", it.host, it.port);
                    write_refusal(0, from, &what, why, out);
                }
                None => {
                    let in_log = format!("channel {kind} {}", unread(data));
                    let in_event = format!("channel {kind}");
                    refuse(0, from, (in_log.trim_end(), &in_event), why, out);
                }
            }
            out.send(from, own::open_failure(sender, reason, why));
            return Ok(());
        }
        match connection {
            Some(connection) => {
                let number = self.channels.open(from, sender, 0)?;
                if kind == X11 {
                    self.use_display();
                }
                tell_of_connection(number, from, kind, &connection, out);
                let carried = if matches!(kind, AGENT | AGENT_BY_IETF) {
                    let agent = Agent::asked_for(window, max_packet);
                    out.send(from.other(), agent.open_packet(payload, kind));
                    Carried::to_agent(kind, agent)
                } else {
                    out.pass();
                    Carried::new(kind, self.constraints.forward_recording)
                };
                if let Some(channel) = self.channels.numbered(number) {
                    channel.carried = Some(carried);
                }
            }
            None => {
                let notice_credit = if window > 2 * NOTICE_CREDIT_BYTES {
                    NOTICE_CREDIT_BYTES
                } else {
                    0
                };
                let number = self.channels.open(from, sender, notice_credit)?;
                let record = Record::ChannelOpen {
                    from: from.side(),
                    kind,
                    window,
                    max_packet,
                    data,
                };
                out.record(number, &record);
                let packet = own::with_window(payload, kind, window - notice_credit);
                out.send(from.other(), packet);
            }
        }
        Ok(())
    }

    /// Whether a channel may be opened; if not, the reason of RFC 4254 section 5.1 and its text.
    fn judge_open(
        &self,
        from: Leg,
        kind: &str,
        connection: Option<&Connection<'_>>,
    ) -> Result<(), (u32, &'static str)> {
        let why = match (from, kind) {
            (Leg::Client, SESSION) => None,
            (Leg::Target, SESSION) => Some("a target opens no sessions"),
            (_, DIRECT_TCP | DIRECT_SOCKET | FORWARDED_TCP | FORWARDED_SOCKET) => {
                let allowed = connection.is_some_and(|connection| {
                    allows(&self.constraints, &self.listeners, (from, kind), connection)
                });
                (!allowed).then_some("port forwarding is not granted")
            }
            (_, "tun@openssh.com") => Some("tunnel forwarding is never granted"),
            (Leg::Target, X11) if connection.is_none() => Some("it says not where it comes from"),
            (Leg::Target, X11) => {
                (!self.has_display()).then_some("no program may show anything at the client")
            }
            (Leg::Target, AGENT | AGENT_BY_IETF) => {
                let is_lent = self.agent_is_lent && connection.is_some();
                (!is_lent).then_some("the client's agent is not lent")
            }
            _ => Some("not a known channel type"),
        };
        if let Some(why) = why {
            return Err((own::ADMINISTRATIVELY_PROHIBITED, why));
        }
        let granted = self.permissions.max_channels as usize;
        let max_channels = granted.min(self.limits.channels);
        if self.channels.len() >= max_channels {
            return Err((own::RESOURCE_SHORTAGE, "too many channels are open"));
        }
        let for_target = max_channels.saturating_sub(max_channels / KEPT_FOR_CLIENT);
        if from == Leg::Target && self.channels.opened_by(from) >= for_target {
            let why = "the other channels are the client's";
            return Err((own::RESOURCE_SHORTAGE, why));
        }
        Ok(())
    }

    pub(super) fn open_confirmed(
        &mut self,
        from: Leg,
        (recipient, sender): (u32, u32),
        window: (u32, u32),
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.confirm(from, recipient, sender)?;
        let record = Record::OpenReply {
            from: from.side(),
            ok: true,
            reason: 0,
            text: "",
        };
        out.record(channel.number, &record);
        out.event(ChannelEvent::Open {
            channel: channel.number,
            from: channel.opener,
        });
        match channel.agent_mut() {
            Some(agent) => {
                let packet = agent.confirmed((recipient, sender), window);
                out.send(from.other(), packet);
            }
            None => out.pass(),
        }
        Ok(())
    }

    pub(super) fn open_failed(
        &mut self,
        from: Leg,
        recipient: u32,
        reason: u32,
        text: &str,
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.refuse(from, recipient)?;
        let record = Record::OpenReply {
            from: from.side(),
            ok: false,
            reason,
            text,
        };
        out.record(channel.number, &record);
        out.pass();
        Ok(())
    }
}

/// The log's and the operator's word for a forwarded connection that passes.
fn tell_of_connection(
    number: u32,
    from: Leg,
    kind: &str,
    connection: &Connection<'_>,
    out: &mut impl Outlet,
) {
    let Connection {
        host,
        port,
        origin_host,
        origin_port,
    } = *connection;
    let record = Record::ForwardOpen {
        from: from.side(),
        kind,
        host,
        port,
        origin_host,
        origin_port,
    };
    out.record(number, &record);
    out.event(ChannelEvent::Forward {
        channel: number,
        from,
        kind: kind.into(),
        host: host.into(),
        port,
    });
}
