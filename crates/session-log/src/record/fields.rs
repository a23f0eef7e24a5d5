//! The fields of every kind, once, for encoding, measuring and printing.

use super::item::CborItem;
use super::{Clock, Record, Side};
use crate::record::kinds as k;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A number.
    Uint(u64),
    /// A number that stands for a name.
    Named(u64, &'static str),
    /// A number that may be negative.
    Int(i64),
    /// Yes or no.
    Bool(bool),
    /// Text.
    Text(&'a str),
    /// Bytes that may be text.
    Bytes(&'a [u8]),
    /// A list of texts.
    TextList(&'a [&'a str]),
    /// One CBOR item of a kind that this version only passes on.
    Cbor(CborItem<'a>),
}

impl Side {
    pub(crate) fn id(self) -> u64 {
        match self {
            Side::Client => 0,
            Side::Target => 1,
        }
    }

    /// `client` or `target`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Target => "target",
        }
    }
}

impl Clock {
    pub(crate) fn id(self) -> u64 {
        match self {
            Clock::Mono => 0,
            Clock::Unix => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Clock::Mono => "mono",
            Clock::Unix => "unix",
        }
    }
}

/// Body key of `eof_close`: 0 the side sends no more, 1 the channel is closed.
pub(crate) const EOF: u64 = 0;
pub(crate) const CLOSE: u64 = 1;

impl Record<'_> {
    /// The number of the record's kind.
    #[must_use]
    pub fn kind(&self) -> u16 {
        match self {
            Record::Input(_) => k::INPUT,
            Record::Output(_) => k::OUTPUT,
            Record::Stderr(_) => k::STDERR,
            Record::Eof { .. } | Record::Close { .. } => k::EOF_CLOSE,
            Record::Request { .. } => k::REQUEST,
            Record::Reply { .. } => k::REPLY,
            Record::OpenReply { .. } => k::OPEN_REPLY,
            Record::SessionMeta(_) => k::SESSION_META,
            Record::ChannelOpen { .. } => k::CHANNEL_OPEN,
            Record::Pty { .. } => k::PTY,
            Record::Env { .. } => k::ENV,
            Record::Exec { .. } => k::EXEC,
            Record::Shell => k::SHELL,
            Record::Subsystem { .. } => k::SUBSYSTEM,
            Record::Resize { .. } => k::RESIZE,
            Record::Signal { .. } => k::SIGNAL,
            Record::Break { .. } => k::BREAK,
            Record::ExitStatus { .. } => k::EXIT_STATUS,
            Record::ExitSignal { .. } => k::EXIT_SIGNAL,
            Record::PolicyDecision { .. } => k::POLICY_DECISION,
            Record::Alert { .. } => k::ALERT,
            Record::Annotation { .. } => k::ANNOTATION,
            Record::Refused { .. } => k::REFUSED,
            Record::ClockAnchor { .. } => k::CLOCK_ANCHOR,
            Record::ClockJump { .. } => k::CLOCK_JUMP,
            Record::Gap { .. } => k::GAP,
            Record::WriterNotice { .. } => k::WRITER_NOTICE,
            Record::End { .. } => k::END,
            Record::InputRedacted { .. } => k::INPUT_REDACTED,
            Record::OutputElided { .. } => k::OUTPUT_ELIDED,
            Record::Agent { .. } => k::AGENT,
            Record::X11 { .. } => k::X11,
            Record::ForwardOpen { .. } => k::FORWARD_OPEN,
            Record::ForwardData { .. } => k::FORWARD_DATA,
            Record::ForwardClose { .. } => k::FORWARD_CLOSE,
            Record::ForwardRequest { .. } => k::FORWARD_REQUEST,
            Record::InnerSession { .. } => k::INNER_SESSION,
            Record::ParentSession { .. } => k::PARENT_SESSION,
            Record::ForwardDigest { .. } => k::FORWARD_DIGEST,
            Record::AgentRequest { .. } => k::AGENT_REQUEST,
            Record::SftpOp { .. } => k::SFTP_OP,
            Record::FileTransfer { .. } => k::FILE_TRANSFER,
            Record::Scp { .. } => k::SCP,
            Record::Rsync { .. } => k::RSYNC,
            Record::Command { .. } => k::COMMAND,
            Record::AppMode { .. } => k::APP_MODE,
            Record::HiddenInput { .. } => k::HIDDEN_INPUT,
            Record::Paste { .. } => k::PASTE,
            Record::Operator { .. } => k::OPERATOR,
            Record::Keyframe { .. } => k::KEYFRAME,
            Record::Other { kind, .. } => *kind,
        }
    }

    /// Gives every field in ascending order of its key in the CBOR map: key, name, value.
    ///
    /// The three data kinds give one field, key 0, `data`: their body is the byte string itself. [`Record::Other`] gives key 0, `body`.
    pub fn fields(&self, each: &mut dyn FnMut(u8, &'static str, Value<'_>)) {
        use Value::{Bool, Bytes, Cbor, Int, Named, Text, TextList, Uint};
        match self {
            Record::Input(data) | Record::Output(data) | Record::Stderr(data) => {
                each(0, "data", Bytes(data))
            }
            Record::Eof { from } => {
                each(1, "what", Named(EOF, "eof"));
                each(2, "from", Named(from.id(), from.name()));
            }
            Record::Close { from } => {
                each(1, "what", Named(CLOSE, "close"));
                each(2, "from", Named(from.id(), from.name()));
            }
            Record::Request {
                from,
                kind,
                want_reply,
            } => {
                each(1, "from", Named(from.id(), from.name()));
                each(2, "request", Text(kind));
                each(3, "want_reply", Bool(*want_reply));
            }
            Record::Reply { from, ok } => {
                each(1, "from", Named(from.id(), from.name()));
                each(2, "ok", Bool(*ok));
            }
            Record::OpenReply {
                from,
                ok,
                reason,
                text,
            } => {
                each(1, "from", Named(from.id(), from.name()));
                each(2, "ok", Bool(*ok));
                each(3, "reason", Uint(u64::from(*reason)));
                each(4, "text", Text(text));
            }
            Record::SessionMeta(meta) => {
                each(1, "session", Text(meta.session));
                each(2, "started_unix_ms", Uint(meta.started_unix_ms));
                each(3, "identity_email", Text(meta.identity_email));
                each(4, "groups", TextList(&meta.groups));
                each(5, "client_addr", Text(meta.client_addr));
                each(6, "target_id", Text(meta.target_id));
                each(7, "target_hostname", Text(meta.target_hostname));
                each(8, "target_addr", Text(meta.target_addr));
                each(9, "target_port", Uint(u64::from(meta.target_port)));
                each(10, "unix_user", Text(meta.unix_user));
                each(11, "client_version", Text(meta.client_version));
                each(12, "target_version", Text(meta.target_version));
                each(
                    13,
                    "target_host_key_fingerprint",
                    Text(meta.target_host_key_fingerprint),
                );
                each(
                    14,
                    "client_host_key_fingerprints",
                    TextList(&meta.client_host_key_fingerprints),
                );
                each(15, "client_algorithms", Text(meta.client_algorithms));
                each(16, "target_algorithms", Text(meta.target_algorithms));
                each(17, "certificate_serial", Uint(meta.certificate_serial));
                each(18, "certificate_key_id", Text(meta.certificate_key_id));
                each(19, "policy", Text(meta.policy));
            }
            Record::ChannelOpen {
                from,
                kind,
                window,
                max_packet,
                data,
            } => {
                each(1, "from", Named(from.id(), from.name()));
                each(2, "type", Text(kind));
                each(3, "window", Uint(u64::from(*window)));
                each(4, "max_packet", Uint(u64::from(*max_packet)));
                each(5, "data", Bytes(data));
            }
            Record::Pty {
                term,
                columns,
                rows,
                pixel_width,
                pixel_height,
                modes,
            } => {
                each(1, "term", Text(term));
                each(2, "columns", Uint(u64::from(*columns)));
                each(3, "rows", Uint(u64::from(*rows)));
                each(4, "pixel_width", Uint(u64::from(*pixel_width)));
                each(5, "pixel_height", Uint(u64::from(*pixel_height)));
                each(6, "modes", Bytes(modes));
            }
            Record::Env { name, value } => {
                each(1, "name", Bytes(name));
                each(2, "value", Bytes(value));
            }
            Record::Exec { command } => each(1, "command", Bytes(command)),
            Record::Shell => {}
            Record::Subsystem { name } | Record::Signal { name } => each(1, "name", Text(name)),
            Record::Resize {
                columns,
                rows,
                pixel_width,
                pixel_height,
            } => {
                each(1, "columns", Uint(u64::from(*columns)));
                each(2, "rows", Uint(u64::from(*rows)));
                each(3, "pixel_width", Uint(u64::from(*pixel_width)));
                each(4, "pixel_height", Uint(u64::from(*pixel_height)));
            }
            Record::Break { millis } => each(1, "millis", Uint(u64::from(*millis))),
            Record::ExitStatus { code } => each(1, "code", Uint(u64::from(*code))),
            Record::ExitSignal {
                name,
                core_dumped,
                message,
                language,
            } => {
                each(1, "name", Text(name));
                each(2, "core_dumped", Bool(*core_dumped));
                each(3, "message", Text(message));
                each(4, "language", Text(language));
            }
            Record::PolicyDecision {
                allowed,
                policy,
                text,
            } => {
                each(1, "allowed", Bool(*allowed));
                each(2, "policy", Text(policy));
                each(3, "text", Text(text));
            }
            Record::Alert { code, text } => {
                each(1, "code", Text(code));
                each(2, "text", Text(text));
            }
            Record::Annotation { text } | Record::WriterNotice { text } => {
                each(1, "text", Text(text))
            }
            Record::Refused { from, what, why } => {
                each(1, "from", Named(from.id(), from.name()));
                each(2, "what", Text(what));
                each(3, "why", Text(why));
            }
            Record::ClockAnchor { unix_ms } => each(1, "unix_ms", Uint(*unix_ms)),
            Record::ClockJump { clock, delta_ms } => {
                each(1, "clock", Named(clock.id(), clock.name()));
                each(2, "delta_ms", Int(*delta_ms));
            }
            Record::Gap { bytes, text } => {
                each(1, "bytes", Uint(*bytes));
                each(2, "text", Text(text));
            }
            Record::End { reason } => each(1, "reason", Text(reason)),
            Record::InputRedacted {
                bucket_bytes,
                reason,
            } => {
                each(1, "bucket_bytes", Uint(*bucket_bytes));
                each(2, "reason", Text(reason));
            }
            Record::OutputElided { bytes, reason } => {
                each(1, "bytes", Uint(*bytes));
                each(2, "reason", Text(reason));
            }
            Record::Agent { want_reply } => {
                each(1, "want_reply", Bool(*want_reply));
            }
            Record::X11 {
                single_connection,
                auth_protocol,
                screen,
            } => {
                each(1, "single_connection", Bool(*single_connection));
                each(2, "auth_protocol", Text(auth_protocol));
                each(3, "screen", Uint(u64::from(*screen)));
            }
            Record::ForwardOpen {
                from,
                kind,
                host,
                port,
                origin_host,
                origin_port,
            } => {
                each(1, "from", Named(from.id(), from.name()));
                each(2, "type", Text(kind));
                each(3, "host", Text(host));
                each(4, "port", Uint(u64::from(*port)));
                each(5, "origin_host", Text(origin_host));
                each(6, "origin_port", Uint(u64::from(*origin_port)));
            }
            Record::ForwardData { from, bytes, data } => {
                each(1, "from", Named(from.id(), from.name()));
                each(2, "bytes", Uint(*bytes));
                each(3, "data", Bytes(data));
            }
            Record::ForwardClose {
                client_bytes,
                target_bytes,
            } => {
                each(1, "client_bytes", Uint(*client_bytes));
                each(2, "target_bytes", Uint(*target_bytes));
            }
            Record::ForwardRequest {
                from,
                kind,
                host,
                port,
            } => {
                each(1, "from", Named(from.id(), from.name()));
                each(2, "type", Text(kind));
                each(3, "host", Text(host));
                each(4, "port", Uint(u64::from(*port)));
            }
            Record::InnerSession {
                session,
                host,
                port,
            } => {
                each(1, "session", Text(session));
                each(2, "host", Text(host));
                each(3, "port", Uint(u64::from(*port)));
            }
            Record::ParentSession { session, channel } => {
                each(1, "session", Text(session));
                each(2, "channel", Uint(u64::from(*channel)));
            }
            Record::ForwardDigest {
                client_sha256,
                target_sha256,
            } => {
                each(1, "client_sha256", Bytes(&client_sha256[..]));
                each(2, "target_sha256", Bytes(&target_sha256[..]));
            }
            Record::AgentRequest {
                message,
                key_fingerprint,
                allowed,
            } => {
                each(1, "message", Uint(u64::from(*message)));
                each(2, "key_fingerprint", Text(key_fingerprint));
                each(3, "allowed", Bool(*allowed));
            }
            Record::SftpOp {
                op,
                path,
                other_path,
                flags,
                status,
            } => {
                each(1, "op", Text(op));
                each(2, "path", Bytes(path));
                each(3, "other_path", Bytes(other_path));
                each(4, "flags", Uint(u64::from(*flags)));
                each(5, "status", Uint(u64::from(*status)));
            }
            Record::FileTransfer {
                from,
                path,
                bytes,
                sha256,
                complete,
                via,
            } => {
                each(1, "from", Named(from.id(), from.name()));
                each(2, "path", Bytes(path));
                each(3, "bytes", Uint(*bytes));
                each(4, "sha256", Bytes(sha256));
                each(5, "complete", Bool(*complete));
                each(6, "via", Text(via));
            }
            Record::Scp {
                from,
                path,
                recursive,
            } => {
                each(1, "from", Named(from.id(), from.name()));
                each(2, "path", Bytes(path));
                each(3, "recursive", Bool(*recursive));
            }
            Record::Rsync { from, command } => {
                each(1, "from", Named(from.id(), from.name()));
                each(2, "command", Bytes(command));
            }
            Record::Command {
                text,
                source,
                confidence,
                directory,
                exit,
            } => {
                each(1, "text", Text(text));
                each(2, "source", Text(source));
                each(3, "confidence", Uint(u64::from(*confidence)));
                each(4, "directory", Text(directory));
                each(5, "exit", Text(exit));
            }
            Record::AppMode {
                full_screen,
                program,
            } => {
                each(1, "full_screen", Bool(*full_screen));
                each(2, "program", Text(program));
            }
            Record::HiddenInput { hidden } => {
                each(1, "hidden", Bool(*hidden));
            }
            Record::Paste { bytes, bracketed } => {
                each(1, "bytes", Uint(*bytes));
                each(2, "bracketed", Bool(*bracketed));
            }
            Record::Operator { who, action, text } => {
                each(1, "who", Text(who));
                each(2, "action", Text(action));
                each(3, "text", Text(text));
            }
            Record::Keyframe { format, data } => {
                each(1, "format", Text(format));
                each(2, "data", Bytes(data));
            }
            Record::Other { body, .. } => each(0, "body", Cbor(CborItem(body))),
        }
    }

    /// Whether the record is sealed at once rather than after the flush time: what an auditor must not lose in a crash.
    pub(crate) fn is_urgent(&self) -> bool {
        matches!(
            self.kind(),
            k::SESSION_META
                | k::EXEC
                | k::SHELL
                | k::SUBSYSTEM
                | k::INNER_SESSION
                | k::PARENT_SESSION
                | k::AGENT_REQUEST
                | k::COMMAND
                | k::EXIT_STATUS
                | k::EXIT_SIGNAL
                | k::FILE_TRANSFER
                | k::OPERATOR
                | k::POLICY_DECISION
                | k::ALERT
                | k::REFUSED
                | k::END
        )
    }
}
