//! The numbers of the record kinds.

pub(crate) const INPUT: u16 = 0x01;
pub(crate) const OUTPUT: u16 = 0x02;
pub(crate) const STDERR: u16 = 0x03;
pub(crate) const INPUT_REDACTED: u16 = 0x04;
pub(crate) const OUTPUT_ELIDED: u16 = 0x05;
pub(crate) const EOF_CLOSE: u16 = 0x08;
pub(crate) const REQUEST: u16 = 0x09;
pub(crate) const REPLY: u16 = 0x0a;
pub(crate) const OPEN_REPLY: u16 = 0x0b;
pub(crate) const SESSION_META: u16 = 0x10;
pub(crate) const CHANNEL_OPEN: u16 = 0x11;
pub(crate) const PTY: u16 = 0x12;
pub(crate) const ENV: u16 = 0x13;
pub(crate) const EXEC: u16 = 0x14;
pub(crate) const SHELL: u16 = 0x15;
pub(crate) const SUBSYSTEM: u16 = 0x16;
pub(crate) const AGENT: u16 = 0x17;
pub(crate) const X11: u16 = 0x18;
pub(crate) const RESIZE: u16 = 0x19;
pub(crate) const SIGNAL: u16 = 0x1a;
pub(crate) const BREAK: u16 = 0x1b;
pub(crate) const EXIT_STATUS: u16 = 0x1c;
pub(crate) const EXIT_SIGNAL: u16 = 0x1d;
pub(crate) const FORWARD_OPEN: u16 = 0x20;
pub(crate) const FORWARD_DATA: u16 = 0x21;
pub(crate) const FORWARD_CLOSE: u16 = 0x22;
pub(crate) const FORWARD_REQUEST: u16 = 0x23;
pub(crate) const INNER_SESSION: u16 = 0x24;
pub(crate) const PARENT_SESSION: u16 = 0x25;
pub(crate) const FORWARD_DIGEST: u16 = 0x26;
pub(crate) const AGENT_REQUEST: u16 = 0x27;
pub(crate) const SFTP_OP: u16 = 0x30;
pub(crate) const FILE_TRANSFER: u16 = 0x31;
pub(crate) const SCP: u16 = 0x32;
pub(crate) const RSYNC: u16 = 0x33;
pub(crate) const COMMAND: u16 = 0x40;
pub(crate) const APP_MODE: u16 = 0x41;
pub(crate) const HIDDEN_INPUT: u16 = 0x42;
pub(crate) const PASTE: u16 = 0x43;
pub(crate) const POLICY_DECISION: u16 = 0x50;
pub(crate) const ALERT: u16 = 0x51;
pub(crate) const ANNOTATION: u16 = 0x52;
pub(crate) const OPERATOR: u16 = 0x53;
pub(crate) const REFUSED: u16 = 0x54;
pub(crate) const CLOCK_ANCHOR: u16 = 0x60;
pub(crate) const CLOCK_JUMP: u16 = 0x61;
pub(crate) const GAP: u16 = 0x62;
pub(crate) const KEYFRAME: u16 = 0x63;
pub(crate) const WRITER_NOTICE: u16 = 0x64;
pub(crate) const END: u16 = 0x65;
/// From here on a reader that does not know a kind must stop.
pub(crate) const CRITICAL: u16 = 0x8000;

/// Every kind that has a name: those with a [`crate::Record`] variant, and those that [`crate::Record::Other`] carries.
const NAMES: [(u16, &str); 50] = [
    (INPUT, "input"),
    (OUTPUT, "output"),
    (STDERR, "stderr"),
    (INPUT_REDACTED, "input_redacted"),
    (OUTPUT_ELIDED, "output_elided"),
    (EOF_CLOSE, "eof_close"),
    (REQUEST, "request"),
    (REPLY, "reply"),
    (OPEN_REPLY, "open_reply"),
    (SESSION_META, "session_meta"),
    (CHANNEL_OPEN, "channel_open"),
    (PTY, "pty"),
    (ENV, "env"),
    (EXEC, "exec"),
    (SHELL, "shell"),
    (SUBSYSTEM, "subsystem"),
    (AGENT, "agent"),
    (X11, "x11"),
    (RESIZE, "resize"),
    (SIGNAL, "signal"),
    (BREAK, "break"),
    (EXIT_STATUS, "exit_status"),
    (EXIT_SIGNAL, "exit_signal"),
    (FORWARD_OPEN, "forward_open"),
    (FORWARD_DATA, "forward_data"),
    (FORWARD_CLOSE, "forward_close"),
    (FORWARD_REQUEST, "forward_request"),
    (INNER_SESSION, "inner_session"),
    (PARENT_SESSION, "parent_session"),
    (FORWARD_DIGEST, "forward_digest"),
    (AGENT_REQUEST, "agent_request"),
    (SFTP_OP, "sftp_op"),
    (FILE_TRANSFER, "file_transfer"),
    (SCP, "scp"),
    (RSYNC, "rsync"),
    (COMMAND, "command"),
    (APP_MODE, "app_mode"),
    (HIDDEN_INPUT, "hidden_input"),
    (PASTE, "paste"),
    (POLICY_DECISION, "policy_decision"),
    (ALERT, "alert"),
    (ANNOTATION, "annotation"),
    (OPERATOR, "operator"),
    (REFUSED, "refused"),
    (CLOCK_ANCHOR, "clock_anchor"),
    (CLOCK_JUMP, "clock_jump"),
    (GAP, "gap"),
    (KEYFRAME, "keyframe"),
    (WRITER_NOTICE, "writer_notice"),
    (END, "end"),
];

/// The name of a record kind, `unknown` for one that this version does not know.
#[must_use]
pub fn kind_name(kind: u16) -> &'static str {
    NAMES
        .iter()
        .find(|(number, _)| *number == kind)
        .map_or("unknown", |(_, name)| name)
}
