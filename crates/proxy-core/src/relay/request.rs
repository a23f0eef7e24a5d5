//! What a channel request means to the grant, the log and the operator.

use policy::Permissions;
use session_log::Record;

use super::channel::Channel;
use super::wire::ChannelRequest;
use crate::{ChannelEvent, Exit, Leg};

/// Whether a request may pass: the grant's word, and the direction RFC 4254 gives it.
pub(super) fn decide(
    permissions: &Permissions,
    from: Leg,
    request: &ChannelRequest<'_>,
) -> Result<(), &'static str> {
    use ChannelRequest as R;
    let granted = |yes: bool| {
        if yes {
            Ok(())
        } else {
            Err("the policy does not grant it")
        }
    };
    match (from, request) {
        (_, R::EndOfWrite | R::Keepalive) => Ok(()),
        (Leg::Client, R::Pty { .. } | R::WindowChange { .. }) => granted(permissions.pty),
        (Leg::Client, R::Env { name, .. }) => granted(permissions.allows_env(name)),
        (Leg::Client, R::Shell) => granted(permissions.shell),
        (Leg::Client, R::Exec { .. }) => granted(permissions.exec),
        (Leg::Client, R::Subsystem { name }) => granted(permissions.allows_subsystem(name)),
        (Leg::Client, R::Signal { .. } | R::Break { .. }) => Ok(()),
        (Leg::Client, R::AgentForwarding) => Err("agent forwarding is not granted"),
        (Leg::Client, R::X11Forwarding) => Err("X11 forwarding is not granted"),
        (Leg::Target, R::ExitStatus { .. } | R::ExitSignal { .. } | R::XonXoff) => Ok(()),
        (_, R::Unprintable) => Err("a name in it is not printable"),
        (_, R::Unknown) => Err("not a known channel request"),
        _ => Err("not a request of this direction"),
    }
}

/// The log's word for a request that passes.
pub(super) fn describe<'a>(
    from: Leg,
    kind: &'a str,
    want_reply: bool,
    request: &ChannelRequest<'a>,
) -> Record<'a> {
    use ChannelRequest as R;
    match *request {
        R::Pty {
            term,
            columns,
            rows,
            pixel_width,
            pixel_height,
            modes,
        } => Record::Pty {
            term,
            columns,
            rows,
            pixel_width,
            pixel_height,
            modes,
        },
        R::Env { name, value } => Record::Env { name, value },
        R::Shell => Record::Shell,
        R::Exec { command } => Record::Exec { command },
        R::Subsystem { name } => Record::Subsystem { name },
        R::WindowChange {
            columns,
            rows,
            pixel_width,
            pixel_height,
        } => Record::Resize {
            columns,
            rows,
            pixel_width,
            pixel_height,
        },
        R::Signal { name } => Record::Signal { name },
        R::Break { millis } => Record::Break { millis },
        R::ExitStatus { code } => Record::ExitStatus { code },
        R::ExitSignal {
            name,
            core_dumped,
            message,
            language,
        } => Record::ExitSignal {
            name,
            core_dumped,
            message,
            language,
        },
        _ => Record::Request {
            from: from.side(),
            kind,
            want_reply,
        },
    }
}

/// The operator's word for a request that passes, once a channel for each kind; command texts stay in the encrypted log.
pub(super) fn told(channel: &mut Channel, request: &ChannelRequest<'_>) -> Option<ChannelEvent> {
    let number = channel.number;
    let (bit, event) = match request {
        ChannelRequest::Pty { .. } => (1, ChannelEvent::Pty { channel: number }),
        ChannelRequest::Shell => (2, ChannelEvent::Shell { channel: number }),
        ChannelRequest::Exec { .. } => (4, ChannelEvent::Exec { channel: number }),
        ChannelRequest::Subsystem { name } => (
            8,
            ChannelEvent::Subsystem {
                channel: number,
                name: (*name).into(),
            },
        ),
        _ => return None,
    };
    let is_new = channel.told & bit == 0;
    channel.told |= bit;
    is_new.then_some(event)
}

pub(super) fn exit_of(request: &ChannelRequest<'_>) -> Option<Exit> {
    match *request {
        ChannelRequest::ExitStatus { code } => Some(Exit::Status(code)),
        ChannelRequest::ExitSignal { name, .. } => Some(Exit::Signal(name.into())),
        _ => None,
    }
}
