//! Records: what is in the log.
//!
//! On the wire a record is the CBOR array `[kind, dt_us, channel, body]`. A body is a byte string for the three kinds that carry the
//! session's bytes, and a map with small integer keys for all others; [`Record::fields`] is the one table of those keys.

mod decode;
mod encode;
mod fields;
mod item;
mod kinds;

pub use fields::Value;
pub use item::CborItem;
pub use kinds::kind_name;

use alloc::vec::Vec;

pub(crate) use decode::next_raw;
pub(crate) use encode::{
    DataKind, check_limits, data_overhead, encode_cold, encoded_len, write_data,
};

/// Which leg of the proxied session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The person's SSH client.
    Client,
    /// The server behind the proxy.
    Target,
}

/// One thing that happened. Borrowed both when writing and when reading.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "records are borrowed views that live for one call; a box would cost an allocation"
)]
pub enum Record<'a> {
    /// Bytes from the client to the target. Long data is split over several records.
    Input(&'a [u8]),
    /// Bytes from the target's standard output to the client. Long data is split over several records.
    Output(&'a [u8]),
    /// Extended data of type 1 from the target. Long data is split over several records.
    Stderr(&'a [u8]),
    /// A side will send no more data on the channel (RFC 4254 section 5.3).
    Eof {
        /// Who said so.
        from: Side,
    },
    /// A side closed the channel (RFC 4254 section 5.3).
    Close {
        /// Who said so.
        from: Side,
    },
    /// A channel request or global request that passed through and has no kind of its own.
    Request {
        /// Who asked.
        from: Side,
        /// The request's name.
        kind: &'a str,
        /// Whether an answer is wanted.
        want_reply: bool,
    },
    /// The answer to the oldest unanswered request of the other side.
    Reply {
        /// Who answered.
        from: Side,
        /// Success or failure.
        ok: bool,
    },
    /// The answer to a channel open.
    OpenReply {
        /// Who answered.
        from: Side,
        /// Confirmed or refused.
        ok: bool,
        /// Reason code of a refusal (RFC 4254 section 5.1), 0 when confirmed.
        reason: u32,
        /// The text of a refusal.
        text: &'a str,
    },
    /// Who, from where, to where, on whose word: once, at the beginning.
    SessionMeta(SessionMeta<'a>),
    /// A channel open (RFC 4254 section 5.1).
    ChannelOpen {
        /// Who asks.
        from: Side,
        /// The channel type.
        kind: &'a str,
        /// The initial window, bytes.
        window: u32,
        /// The largest packet, bytes.
        max_packet: u32,
        /// The data that belongs to the channel type, as sent.
        data: &'a [u8],
    },
    /// A terminal was asked for (RFC 4254 section 6.2).
    Pty {
        /// The `TERM` value.
        term: &'a str,
        /// Width, characters.
        columns: u32,
        /// Height, characters.
        rows: u32,
        /// Width, pixels.
        pixel_width: u32,
        /// Height, pixels.
        pixel_height: u32,
        /// Encoded terminal modes, as sent.
        modes: &'a [u8],
    },
    /// An environment variable (RFC 4254 section 6.4).
    Env {
        /// Its name.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// A command (RFC 4254 section 6.5).
    Exec {
        /// The command line, as sent.
        command: &'a [u8],
    },
    /// A login shell (RFC 4254 section 6.5).
    Shell,
    /// A subsystem (RFC 4254 section 6.5).
    Subsystem {
        /// Its name.
        name: &'a str,
    },
    /// A new terminal size (RFC 4254 section 6.7).
    Resize {
        /// Width, characters.
        columns: u32,
        /// Height, characters.
        rows: u32,
        /// Width, pixels.
        pixel_width: u32,
        /// Height, pixels.
        pixel_height: u32,
    },
    /// A signal (RFC 4254 section 6.9).
    Signal {
        /// Its name without `SIG`.
        name: &'a str,
    },
    /// A break (RFC 4335).
    Break {
        /// Its length, milliseconds.
        millis: u32,
    },
    /// The command's exit status (RFC 4254 section 6.10).
    ExitStatus {
        /// The status.
        code: u32,
    },
    /// The command died of a signal (RFC 4254 section 6.10).
    ExitSignal {
        /// The signal without `SIG`.
        name: &'a str,
        /// Whether a core was dumped.
        core_dumped: bool,
        /// The message.
        message: &'a str,
        /// Its language tag.
        language: &'a str,
    },
    /// What the policy decided.
    PolicyDecision {
        /// Allowed or denied.
        allowed: bool,
        /// Which policy or rule.
        policy: &'a str,
        /// Why, for people.
        text: &'a str,
    },
    /// Something worth an auditor's look.
    Alert {
        /// A stable code.
        code: &'a str,
        /// What happened, for people.
        text: &'a str,
    },
    /// A remark of the embedding program.
    Annotation {
        /// The remark.
        text: &'a str,
    },
    /// Something that was asked for and refused by the proxy.
    Refused {
        /// Who asked.
        from: Side,
        /// What was asked for, such as `channel direct-tcpip`.
        what: &'a str,
        /// Why not.
        why: &'a str,
    },
    /// Ties the log's clock to the calendar. Written by the writer itself.
    ClockAnchor {
        /// Milliseconds since 1970.
        unix_ms: u64,
    },
    /// A clock of the proxy moved by itself. Written by the writer itself.
    ClockJump {
        /// Which clock.
        clock: Clock,
        /// How far, milliseconds; negative is back.
        delta_ms: i64,
    },
    /// Something is missing here: the reader skipped it or the writer could not record it.
    Gap {
        /// How many bytes, if known, else 0.
        bytes: u64,
        /// Why, for people.
        text: &'a str,
    },
    /// The recorder speaks about itself.
    WriterNotice {
        /// What it says.
        text: &'a str,
    },
    /// The session ended.
    End {
        /// Why, for people.
        reason: &'a str,
    },
    /// Input that was recorded by its length only, such as a password typed where nothing is echoed.
    InputRedacted {
        /// Its length, rounded up to a power of two, bytes.
        bucket_bytes: u64,
        /// Why.
        reason: &'a str,
    },
    /// Output that passed and was left out of the recording.
    OutputElided {
        /// How much, bytes.
        bytes: u64,
        /// Why.
        reason: &'a str,
    },
    /// Agent forwarding was asked for.
    Agent {
        /// Whether an answer is wanted.
        want_reply: bool,
    },
    /// X11 forwarding was asked for (RFC 4254 section 6.3.1). The cookie is not recorded.
    X11 {
        /// Whether for one connection only.
        single_connection: bool,
        /// The authentication protocol.
        auth_protocol: &'a str,
        /// The screen.
        screen: u32,
    },
    /// A forwarded connection was opened on this channel (RFC 4254 section 7.2).
    ForwardOpen {
        /// Who opened it.
        from: Side,
        /// The channel type.
        kind: &'a str,
        /// Where to, or at which of the other side's addresses; a path for a socket.
        host: &'a str,
        /// Its port, 0 for a socket.
        port: u32,
        /// Where it came from.
        origin_host: &'a str,
        /// Its port.
        origin_port: u32,
    },
    /// Data of a forwarded connection.
    ForwardData {
        /// Who sent it.
        from: Side,
        /// How much, bytes.
        bytes: u64,
        /// The data, or nothing when only its length is recorded.
        data: &'a [u8],
    },
    /// A forwarded connection ended.
    ForwardClose {
        /// Bytes from the client.
        client_bytes: u64,
        /// Bytes from the target.
        target_bytes: u64,
    },
    /// A side asked the other to listen, or to stop (RFC 4254 section 7.1).
    ForwardRequest {
        /// Who asked.
        from: Side,
        /// The request's name.
        kind: &'a str,
        /// The address, or a path for a socket.
        host: &'a str,
        /// The port; 0 lets the other side choose, and for a socket.
        port: u32,
    },
    /// The connection that this channel carries turned out to be SSH, and went on as a session with a log of its own.
    InnerSession {
        /// The inner session's id, hexadecimal.
        session: &'a str,
        /// The host that it goes to, as the client named it.
        host: &'a str,
        /// Its port.
        port: u32,
    },
    /// This session came through a channel of another one. Right after the session's facts.
    ParentSession {
        /// The outer session's id, hexadecimal.
        session: &'a str,
        /// The channel in the outer session's log.
        channel: u32,
    },
    /// What went through a forwarded connection, where not its bytes but their digests are recorded. Before its end.
    ForwardDigest {
        /// SHA-256 of all bytes from the client.
        client_sha256: &'a [u8; 32],
        /// SHA-256 of all bytes from the target.
        target_sha256: &'a [u8; 32],
    },
    /// Something was asked of the client's agent.
    AgentRequest {
        /// The number of the agent protocol's message.
        message: u32,
        /// Fingerprint of the key that it names, or nothing.
        key_fingerprint: &'a str,
        /// Whether it was passed on to the agent.
        allowed: bool,
    },
    /// An operation of the SFTP protocol, with its answer.
    SftpOp {
        /// The operation, as `OPEN` or `RENAME`.
        op: &'a str,
        /// The path it names.
        path: &'a [u8],
        /// The second path of a rename or link, else nothing.
        other_path: &'a [u8],
        /// Open flags, else 0.
        flags: u32,
        /// The status code of the answer, 0 for success.
        status: u32,
    },
    /// A file went through.
    FileTransfer {
        /// Who sent it.
        from: Side,
        /// Its path on the target.
        path: &'a [u8],
        /// How much of it was seen, bytes.
        bytes: u64,
        /// SHA-256 of it, or nothing when it was not seen in order.
        sha256: &'a [u8],
        /// Whether all of it was seen.
        complete: bool,
        /// By which protocol: `sftp`, `scp`, `rsync`.
        via: &'a str,
    },
    /// A transfer by the old scp protocol began.
    Scp {
        /// Who sends.
        from: Side,
        /// The path on the target.
        path: &'a [u8],
        /// Whether folders too.
        recursive: bool,
    },
    /// A transfer by rsync began.
    Rsync {
        /// Who sends.
        from: Side,
        /// The command line on the target.
        command: &'a [u8],
    },
    /// A command line that was run in a shell, as far as it can be told.
    Command {
        /// The command line.
        text: &'a str,
        /// How it was found: `exec`, `marks`, `echo`, …
        source: &'a str,
        /// How sure that is, percent.
        confidence: u32,
        /// The working directory, when known.
        directory: &'a str,
        /// Its exit status, when known.
        exit: &'a str,
    },
    /// A program took the whole screen, or gave it back.
    AppMode {
        /// Whether it took it.
        full_screen: bool,
        /// Its name, when known.
        program: &'a str,
    },
    /// The terminal stopped to show what is typed, or began to again.
    HiddenInput {
        /// Whether it stopped.
        hidden: bool,
    },
    /// Input that was pasted, not typed.
    Paste {
        /// How much, bytes.
        bytes: u64,
        /// Whether the terminal said so.
        bracketed: bool,
    },
    /// Somebody who runs the proxy acted on the session.
    Operator {
        /// Who.
        who: &'a str,
        /// What: `watch`, `join`, `terminate`, …
        action: &'a str,
        /// Why, for people.
        text: &'a str,
    },
    /// The state of a channel's screen, at which a replay can begin. What is in it is between its writer and its replayer.
    Keyframe {
        /// What the data is.
        format: &'a str,
        /// The state.
        data: &'a [u8],
    },
    /// A kind without a variant here, with its body undecoded.
    Other {
        /// The kind.
        kind: u16,
        /// One deterministic CBOR item.
        body: &'a [u8],
    },
}

/// A clock of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// [`crate::Now::mono`].
    Mono,
    /// [`crate::Now::unix`].
    Unix,
}

/// The facts of a session. Empty text and 0 mean unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionMeta<'a> {
    /// The session's id, hexadecimal.
    pub session: &'a str,
    /// When it started, milliseconds since 1970.
    pub started_unix_ms: u64,
    /// Who the person is.
    pub identity_email: &'a str,
    /// The person's groups.
    pub groups: Vec<&'a str>,
    /// Where the person came from.
    pub client_addr: &'a str,
    /// The target's id in the configuration.
    pub target_id: &'a str,
    /// The target's name.
    pub target_hostname: &'a str,
    /// The target's address.
    pub target_addr: &'a str,
    /// The target's port.
    pub target_port: u16,
    /// The user on the target.
    pub unix_user: &'a str,
    /// The client's identification line.
    pub client_version: &'a str,
    /// The target's identification line.
    pub target_version: &'a str,
    /// Fingerprint of the key that the target presented.
    pub target_host_key_fingerprint: &'a str,
    /// Fingerprints of the keys that the client was shown.
    pub client_host_key_fingerprints: Vec<&'a str>,
    /// What was negotiated with the client.
    pub client_algorithms: &'a str,
    /// What was negotiated with the target.
    pub target_algorithms: &'a str,
    /// Serial of the minted certificate.
    pub certificate_serial: u64,
    /// Key id of the minted certificate.
    pub certificate_key_id: &'a str,
    /// The policy or rule that allowed it.
    pub policy: &'a str,
}

/// A record as it stands in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordView<'a> {
    /// Microseconds since the log began.
    pub t_us: u64,
    /// The channel, 0 for the session itself.
    pub channel: u32,
    /// Its kind's number; [`kind_name`] gives the name.
    pub kind: u16,
    /// What happened.
    pub record: Record<'a>,
}

#[cfg(test)]
pub(crate) mod tests;
