//! Channels in the making (RFC 4254 section 5.1): who may open which.

use alloc::format;
use alloc::string::String;

use session_log::Record;

use super::agent::Agent;
use super::describe::unread;
use super::forward::{Carried, allows};
use super::inner::{Inside, NOWHERE, NoSession, pass_on, record_session};
use super::refusal::{refuse, write_refusal};
use super::terminated::MIN_PACKET_BYTES;
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
        if let Err((reason, why)) =
            self.judge_open((from, kind, data), max_packet, connection.as_ref())
        {
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
                let windows = (window, max_packet);
                self.open_connection((from, kind, sender), &connection, windows, payload, out)?;
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

    fn open_connection(
        &mut self,
        (from, kind, sender): (Leg, &str, u32),
        connection: &Connection<'_>,
        windows: (u32, u32),
        payload: &[u8],
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let number = self.channels.open(from, sender, 0)?;
        let sessions = out.inner_sessions();
        let has_sessions = sessions.is_some();
        let constraints = &self.constraints;
        let inside = Inside::of(
            (from, kind),
            connection,
            constraints,
            (windows, &self.limits),
            sessions,
        )
        .filter(|it| it.is_session() || has_sessions);
        let is_session = inside.as_ref().is_some_and(Inside::is_session);
        let session = is_session.then(|| ask_for_session(number, connection, windows.1, out));
        if let Some(Err(no_session)) = session {
            self.channels.remove(number);
            let Connection { host, port, .. } = connection;
            let what = match &no_session.session {
                Some(name) => format!("channel {kind} to {host} {port}, session {name}"),
                None => format!("channel {kind} to {host} {port}"),
            };
            write_refusal(0, from, &what, no_session.why, out);
            let reason = own::ADMINISTRATIVELY_PROHIBITED;
            let failure = own::open_failure(sender, reason, &no_session.message);
            out.send(from, failure);
            return Ok(());
        }
        let only_display_of = (kind == X11).then(|| self.use_display()).flatten();
        tell_of_connection(number, from, kind, connection, out);
        if (from, kind) == (Leg::Target, FORWARDED_TCP)
            && let Some(asked) = self.listeners.reached_at(connection.host, connection.port)
            && asked != connection.host
        {
            let text = format!("it came to the listener that was asked for at `{asked}`");
            out.record(number, &Record::Annotation { text: &text });
        }
        if let Some(Ok(name)) = session {
            record_session(number, &name, (connection.host, connection.port), out);
        }
        let carried = if matches!(kind, AGENT | AGENT_BY_IETF) {
            let agent = Agent::asked_for(windows, &self.limits);
            out.send(from.other(), agent.open_packet(payload, kind));
            Carried::to_agent(kind, agent)
        } else {
            let told = inside
                .as_ref()
                .map(|it| it.windows.window_for(from.other()));
            match told.filter(|told| *told != windows.0) {
                Some(told) => out.send(from.other(), own::with_window(payload, kind, told)),
                None => out.pass(),
            }
            Carried::new(kind, self.constraints.forward_recording)
        };
        if let Some(channel) = self.channels.numbered(number) {
            channel.carried = Some(carried);
            channel.inside = inside;
            channel.only_display_of = only_display_of;
        }
        self.share(number, out);
        Ok(())
    }

    /// Whether a channel may be opened; if not, the reason of RFC 4254 section 5.1 and its text.
    fn judge_open(
        &self,
        (from, kind, data): (Leg, &str, &[u8]),
        max_packet: u32,
        connection: Option<&Connection<'_>>,
    ) -> Result<(), (u32, &'static str)> {
        let why = match (from, kind) {
            // RFC 4254 section 6.1.
            (Leg::Client, SESSION) => (!data.is_empty()).then_some("it has no room for data"),
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
            (Leg::Target, AGENT | AGENT_BY_IETF) => (!self.agent_is_lent() || connection.is_none())
                .then_some("the client's agent is not lent"),
            _ => Some("not a known channel type"),
        };
        if let Some(why) = why {
            return Err((own::ADMINISTRATIVELY_PROHIBITED, why));
        }
        if matches!(kind, AGENT | AGENT_BY_IETF) {
            if max_packet < MIN_PACKET_BYTES {
                let why = "it takes no packets of a usual length";
                return Err((own::ADMINISTRATIVELY_PROHIBITED, why));
            }
            if !self.agents.has_room() {
                let why = "too many connections to the agent are open";
                return Err((own::RESOURCE_SHORTAGE, why));
            }
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
        (window, max_packet): (u32, u32),
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
        let number = channel.number;
        if self.agent_confirmed(number, (recipient, sender), (window, max_packet), out) {
            return Ok(());
        }
        let Some(channel) = self.channels.numbered(number) else {
            return Ok(());
        };
        let has_session = channel.has_session();
        let Some(inside) = &mut channel.inside else {
            out.pass();
            return Ok(());
        };
        inside.windows.confirmed(from, window, max_packet);
        let told = inside.windows.window_for(from.other());
        if told == window {
            out.pass();
        } else {
            let packet = own::open_confirmation(recipient, sender, told, max_packet);
            out.send(from.other(), packet);
        }
        let is_too_short = max_packet < MIN_PACKET_BYTES;
        if !has_session {
            if is_too_short {
                pass_on(channel, out);
            }
            return Ok(());
        }
        let Some(sessions) = out.inner_sessions() else {
            return Ok(());
        };
        if !sessions.connected(number) {
            for leg in [Leg::Client, Leg::Target] {
                self.close_to(number, leg, out);
            }
        } else if is_too_short {
            // Nothing can be said to it.
            sessions.ended(number, from);
        }
        Ok(())
    }

    pub(super) fn open_failed(
        &mut self,
        from: Leg,
        recipient: u32,
        (reason, text, language): (u32, &str, &str),
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
        if !matches!(language, "" | "en") {
            let text = format!("the language of this answer is given as {language}");
            out.record(channel.number, &Record::Annotation { text: &text });
        }
        out.pass();
        if let Some(number) = channel.only_display_of {
            self.return_display(number);
        }
        self.share(channel.number, out);
        if channel.has_session()
            && let Some(sessions) = out.inner_sessions()
        {
            sessions.unreachable(channel.number);
        }
        Ok(())
    }
}

/// The name of the session that is to be on this channel.
fn ask_for_session(
    number: u32,
    connection: &Connection<'_>,
    max_packet: u32,
    out: &mut impl Outlet,
) -> Result<String, NoSession> {
    if max_packet < MIN_PACKET_BYTES {
        return Err("it takes no packets of a usual length".into());
    }
    let sessions = out.inner_sessions().ok_or(NOWHERE)?;
    let port = u16::try_from(connection.port).map_err(|_| "no such port")?;
    sessions.asked(number, connection.host, port)
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
