//! What a channel request means to the log and to the operator.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use session_log::Record;

use super::channel::Channel;
use super::wire::ChannelRequest;
use crate::{ChannelEvent, Exit, Leg};

/// How much of a refused command the log keeps, in bytes: enough to see what was tried.
const MAX_REFUSED_COMMAND_BYTES: usize = 4 * 1024;

/// Of what could not be read, as much as holds any name that makes sense, 256 bytes.
const MAX_UNREAD_BYTES: usize = 256;

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
        R::AgentForwarding => Record::Agent { want_reply },
        R::X11Forwarding {
            single_connection,
            protocol,
            screen,
        } => Record::X11 {
            single_connection,
            auth_protocol: protocol,
            screen,
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
        ChannelRequest::AgentForwarding => (16, ChannelEvent::Agent { channel: number }),
        ChannelRequest::X11Forwarding { .. } => (32, ChannelEvent::X11 { channel: number }),
        _ => return None,
    };
    let is_new = channel.told & bit == 0;
    channel.told |= bit;
    is_new.then_some(event)
}

/// How the program ended, if that is what the request says.
pub(super) fn exit_of(request: &ChannelRequest<'_>) -> Option<Exit> {
    match *request {
        ChannelRequest::ExitStatus { code } => Some(Exit::Status(code)),
        ChannelRequest::ExitSignal { name, .. } => Some(Exit::Signal(name.into())),
        _ => None,
    }
}

/// The log's word for a request that is refused, with what it was about.
pub(super) fn attempt<'a>(kind: &'a str, request: &ChannelRequest<'_>) -> Cow<'a, str> {
    match *request {
        ChannelRequest::Exec { command } => {
            let command = command.get(..MAX_REFUSED_COMMAND_BYTES).unwrap_or(command);
            format!("{kind} {}", String::from_utf8_lossy(command)).into()
        }
        ChannelRequest::Env { name, .. } => {
            let name = name.get(..MAX_REFUSED_COMMAND_BYTES).unwrap_or(name);
            format!("{kind} {}", String::from_utf8_lossy(name)).into()
        }
        ChannelRequest::Subsystem { name } => format!("{kind} {name}").into(),
        _ => kind.into(),
    }
}

/// What stands in the log for fields that could not be read.
pub(super) fn unread(data: &[u8]) -> String {
    let beginning = data.get(..MAX_UNREAD_BYTES).unwrap_or(data);
    format!("{}", beginning.escape_ascii())
}
