//! The connection protocol's messages (RFC 4254), read without copying.

pub(crate) mod forward;

use super::RelayError;

pub(crate) const GLOBAL_REQUEST: u8 = 80;
pub(crate) const REQUEST_SUCCESS: u8 = 81;
pub(crate) const REQUEST_FAILURE: u8 = 82;
pub(crate) const CHANNEL_OPEN: u8 = 90;
pub(crate) const CHANNEL_OPEN_CONFIRMATION: u8 = 91;
pub(crate) const CHANNEL_OPEN_FAILURE: u8 = 92;
pub(crate) const CHANNEL_WINDOW_ADJUST: u8 = 93;
pub(crate) const CHANNEL_DATA: u8 = 94;
pub(crate) const CHANNEL_EXTENDED_DATA: u8 = 95;
pub(crate) const CHANNEL_EOF: u8 = 96;
pub(crate) const CHANNEL_CLOSE: u8 = 97;
pub(crate) const CHANNEL_REQUEST: u8 = 98;
pub(crate) const CHANNEL_SUCCESS: u8 = 99;
pub(crate) const CHANNEL_FAILURE: u8 = 100;

/// Longest name of a channel type or request, in bytes (RFC 4251 section 6).
pub(crate) const MAX_NAME_BYTES: usize = 64;
/// Longest text for people in a refusal or an exit signal, in bytes.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// Longest command, environment value or terminal modes taken from a request, in bytes.
/// OpenSSH's own packets end at 256 KiB; a Linux `execve` argument ends at 128 KiB.
pub(crate) const MAX_TEXT_BYTES: usize = 128 * 1024;

/// One message, its fields borrowed from the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    GlobalRequest {
        name: &'a str,
        want_reply: bool,
        data: &'a [u8],
    },
    RequestSuccess {
        data: &'a [u8],
    },
    RequestFailure,
    Open {
        kind: &'a str,
        sender: u32,
        window: u32,
        max_packet: u32,
        data: &'a [u8],
    },
    OpenConfirmation {
        recipient: u32,
        sender: u32,
        window: u32,
        max_packet: u32,
    },
    OpenFailure {
        recipient: u32,
        reason: u32,
        text: &'a str,
        language: &'a str,
    },
    WindowAdjust {
        recipient: u32,
        bytes: u32,
    },
    Data {
        recipient: u32,
        data: &'a [u8],
    },
    ExtendedData {
        recipient: u32,
        code: u32,
        data: &'a [u8],
    },
    Eof {
        recipient: u32,
    },
    Close {
        recipient: u32,
    },
    Request {
        recipient: u32,
        kind: &'a str,
        want_reply: bool,
        data: &'a [u8],
    },
    Success {
        recipient: u32,
    },
    Failure {
        recipient: u32,
    },
    /// A number in 80..=127 that RFC 4254 gives no meaning.
    Unknown {
        number: u8,
    },
}

impl<'a> Message<'a> {
    /// Reads a whole payload; anything missing, and anything left over where the message has a fixed
    /// shape, is malformed.
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, RelayError> {
        let mut r = Fields::new(payload);
        let number = r.u8()?;
        let message = match number {
            GLOBAL_REQUEST => {
                let (name, want_reply) = (r.name()?, r.bool()?);
                return Ok(Self::GlobalRequest {
                    name,
                    want_reply,
                    data: r.rest,
                });
            }
            REQUEST_SUCCESS => return Ok(Self::RequestSuccess { data: r.rest }),
            REQUEST_FAILURE => Self::RequestFailure,
            CHANNEL_OPEN => {
                let (kind, sender, window, max_packet) = (r.name()?, r.u32()?, r.u32()?, r.u32()?);
                return Ok(Self::Open {
                    kind,
                    sender,
                    window,
                    max_packet,
                    data: r.rest,
                });
            }
            CHANNEL_OPEN_CONFIRMATION => {
                let (recipient, sender, window, max_packet) =
                    (r.u32()?, r.u32()?, r.u32()?, r.u32()?);
                Self::OpenConfirmation {
                    recipient,
                    sender,
                    window,
                    max_packet,
                }
            }
            CHANNEL_OPEN_FAILURE => {
                let (recipient, reason, text) = (r.u32()?, r.u32()?, r.utf8()?);
                // Some servers leave the language tag out.
                let language = if r.rest.is_empty() { "" } else { r.text()? };
                if r.has_unprintable {
                    return Err(RelayError::Malformed);
                }
                Self::OpenFailure {
                    recipient,
                    reason,
                    text,
                    language,
                }
            }
            CHANNEL_WINDOW_ADJUST => {
                let (recipient, bytes) = (r.u32()?, r.u32()?);
                Self::WindowAdjust { recipient, bytes }
            }
            CHANNEL_DATA => Self::Data {
                recipient: r.u32()?,
                data: r.string()?,
            },
            CHANNEL_EXTENDED_DATA => Self::ExtendedData {
                recipient: r.u32()?,
                code: r.u32()?,
                data: r.string()?,
            },
            CHANNEL_EOF => Self::Eof {
                recipient: r.u32()?,
            },
            CHANNEL_CLOSE => Self::Close {
                recipient: r.u32()?,
            },
            CHANNEL_REQUEST => {
                let (recipient, kind, want_reply) = (r.u32()?, r.name()?, r.bool()?);
                return Ok(Self::Request {
                    recipient,
                    kind,
                    want_reply,
                    data: r.rest,
                });
            }
            CHANNEL_SUCCESS => Self::Success {
                recipient: r.u32()?,
            },
            CHANNEL_FAILURE => Self::Failure {
                recipient: r.u32()?,
            },
            _ => return Ok(Self::Unknown { number }),
        };
        r.end()?;
        Ok(message)
    }
}

/// A channel request by its meaning (RFC 4254 section 6, OpenSSH PROTOCOL section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChannelRequest<'a> {
    Pty {
        term: &'a str,
        columns: u32,
        rows: u32,
        pixel_width: u32,
        pixel_height: u32,
        modes: &'a [u8],
    },
    Env {
        name: &'a [u8],
        value: &'a [u8],
    },
    Shell,
    Exec {
        command: &'a [u8],
    },
    Subsystem {
        name: &'a str,
    },
    WindowChange {
        columns: u32,
        rows: u32,
        pixel_width: u32,
        pixel_height: u32,
    },
    Signal {
        name: &'a str,
    },
    Break {
        millis: u32,
    },
    ExitStatus {
        code: u32,
    },
    ExitSignal {
        name: &'a str,
        core_dumped: bool,
        message: &'a str,
        language: &'a str,
    },
    XonXoff,
    EndOfWrite,
    Keepalive,
    /// PuTTY's own two, about windows (its manual, appendix on names): no server knows them, and PuTTY measures how long that takes.
    WindowTuning,
    AgentForwarding,
    /// The cookie was read and is not kept (RFC 4254 section 6.3.1).
    X11Forwarding {
        single_connection: bool,
        protocol: &'a str,
        screen: u32,
    },
    /// A name in it is no text.
    Unprintable,
    Unknown,
}

impl<'a> ChannelRequest<'a> {
    /// Of these, one can succeed on a channel (RFC 4254 section 6.5).
    pub(crate) const fn starts_a_program(&self) -> bool {
        matches!(
            self,
            Self::Shell | Self::Exec { .. } | Self::Subsystem { .. }
        )
    }

    /// Sent by OpenSSH and PuTTY on channels of every type.
    pub(crate) const fn is_of_any_channel(&self) -> bool {
        matches!(
            self,
            Self::EndOfWrite | Self::Keepalive | Self::WindowTuning
        )
    }

    pub(crate) fn parse(kind: &str, data: &'a [u8]) -> Result<Self, RelayError> {
        let mut r = Fields::new(data);
        let request = match kind {
            "pty-req" => Self::Pty {
                term: r.text()?,
                columns: r.u32()?,
                rows: r.u32()?,
                pixel_width: r.u32()?,
                pixel_height: r.u32()?,
                modes: r.bounded()?,
            },
            "env" => Self::Env {
                name: r.bounded()?,
                value: r.bounded()?,
            },
            "shell" => Self::Shell,
            "exec" => Self::Exec {
                command: r.bounded()?,
            },
            "subsystem" => Self::Subsystem { name: r.text()? },
            "window-change" => Self::WindowChange {
                columns: r.u32()?,
                rows: r.u32()?,
                pixel_width: r.u32()?,
                pixel_height: r.u32()?,
            },
            "signal" => Self::Signal { name: r.text()? },
            "break" => Self::Break { millis: r.u32()? },
            "exit-status" => Self::ExitStatus { code: r.u32()? },
            "exit-signal" => Self::ExitSignal {
                name: r.text()?,
                core_dumped: r.bool()?,
                message: r.utf8()?,
                language: r.utf8()?,
            },
            "xon-xoff" => {
                r.bool()?;
                Self::XonXoff
            }
            "eow@openssh.com" => Self::EndOfWrite,
            "keepalive@openssh.com" => Self::Keepalive,
            "simple@putty.projects.tartarus.org" | "winadj@putty.projects.tartarus.org" => {
                Self::WindowTuning
            }
            "auth-agent-req@openssh.com" | "agent-req" => Self::AgentForwarding,
            "x11-req" => {
                let (single_connection, protocol) = (r.bool()?, r.text()?);
                let _cookie = r.text()?;
                Self::X11Forwarding {
                    single_connection,
                    protocol,
                    screen: r.u32()?,
                }
            }
            _ => return Ok(Self::Unknown),
        };
        r.end()?;
        Ok(if r.has_unprintable {
            Self::Unprintable
        } else {
            request
        })
    }
}

/// The rest of a message that is being read from the front.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    has_unprintable: bool,
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self {
            rest,
            has_unprintable: false,
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], RelayError> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(RelayError::Malformed)?;
        self.rest = rest;
        Ok(head)
    }

    fn u8(&mut self) -> Result<u8, RelayError> {
        self.take(1)?.first().copied().ok_or(RelayError::Malformed)
    }

    /// Any value but zero is true (RFC 4251 section 5).
    fn bool(&mut self) -> Result<bool, RelayError> {
        Ok(self.u8()? != 0)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, RelayError> {
        let bytes = self
            .take(4)?
            .try_into()
            .map_err(|_| RelayError::Malformed)?;
        Ok(u32::from_be_bytes(bytes))
    }

    pub(crate) fn string(&mut self) -> Result<&'a [u8], RelayError> {
        let len = usize::try_from(self.u32()?).map_err(|_| RelayError::Malformed)?;
        self.take(len)
    }

    fn bounded(&mut self) -> Result<&'a [u8], RelayError> {
        self.at_most(MAX_TEXT_BYTES)
    }

    fn at_most(&mut self, limit_bytes: usize) -> Result<&'a [u8], RelayError> {
        let bytes = self.string()?;
        if bytes.len() > limit_bytes {
            return Err(RelayError::TooLong {
                limit_bytes,
                got_bytes: bytes.len(),
            });
        }
        Ok(bytes)
    }

    /// A name of RFC 4251 section 6: printable US-ASCII, 1 to 64 bytes.
    fn name(&mut self) -> Result<&'a str, RelayError> {
        let bytes = self.string()?;
        if bytes.is_empty()
            || bytes.len() > MAX_NAME_BYTES
            || !bytes.iter().all(u8::is_ascii_graphic)
        {
            return Err(RelayError::Malformed);
        }
        core::str::from_utf8(bytes).map_err(|_| RelayError::Malformed)
    }

    /// A short text that may be empty or have spaces (terminal, signal, subsystem). One that is not printable US-ASCII
    /// reads as empty, and is noted.
    fn text(&mut self) -> Result<&'a str, RelayError> {
        let bytes = self.at_most(4 * MAX_NAME_BYTES)?;
        match core::str::from_utf8(bytes) {
            Ok(text) if bytes.iter().all(|b| (0x20..0x7f).contains(b)) => Ok(text),
            _ => {
                self.has_unprintable = true;
                Ok("")
            }
        }
    }

    /// A text for people (RFC 4251 section 9): UTF-8.
    fn utf8(&mut self) -> Result<&'a str, RelayError> {
        core::str::from_utf8(self.at_most(MAX_MESSAGE_BYTES)?).map_err(|_| RelayError::Malformed)
    }

    pub(crate) fn end(&self) -> Result<(), RelayError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(RelayError::Malformed)
        }
    }
}

/// A packet of the relay's own.
pub(crate) mod own {
    use alloc::vec::Vec;

    use super::*;

    /// `SSH_OPEN_ADMINISTRATIVELY_PROHIBITED` (RFC 4254 section 5.1).
    pub(crate) const ADMINISTRATIVELY_PROHIBITED: u32 = 1;
    /// `SSH_OPEN_RESOURCE_SHORTAGE`.
    pub(crate) const RESOURCE_SHORTAGE: u32 = 4;
    /// `SSH_EXTENDED_DATA_STDERR` (RFC 4254 section 5.2).
    pub(crate) const STDERR: u32 = 1;

    pub(crate) fn bare(number: u8) -> Vec<u8> {
        alloc::vec![number]
    }

    pub(crate) fn to_channel(number: u8, recipient: u32) -> Vec<u8> {
        let mut packet = bare(number);
        packet.extend_from_slice(&recipient.to_be_bytes());
        packet
    }

    /// A global request without data that wants a reply.
    pub(crate) fn global_request(name: &str) -> Vec<u8> {
        let mut packet = bare(GLOBAL_REQUEST);
        put_string(&mut packet, name.as_bytes());
        packet.push(1);
        packet
    }

    pub(crate) fn open_confirmation(
        recipient: u32,
        sender: u32,
        window: u32,
        max_packet: u32,
    ) -> Vec<u8> {
        let mut packet = to_channel(CHANNEL_OPEN_CONFIRMATION, recipient);
        for field in [sender, window, max_packet] {
            packet.extend_from_slice(&field.to_be_bytes());
        }
        packet
    }

    pub(crate) fn open_failure(recipient: u32, reason: u32, text: &str) -> Vec<u8> {
        let mut packet = to_channel(CHANNEL_OPEN_FAILURE, recipient);
        packet.extend_from_slice(&reason.to_be_bytes());
        put_string(&mut packet, text.as_bytes());
        put_string(&mut packet, b"en");
        packet
    }

    /// The same `CHANNEL_OPEN` with another initial window.
    pub(crate) fn with_window(open: &[u8], kind: &str, window: u32) -> Vec<u8> {
        let mut packet = open.to_vec();
        // number, string kind, sender, window
        let at = 1 + 4 + kind.len() + 4;
        if let Some(field) = packet.get_mut(at..at + 4) {
            field.copy_from_slice(&window.to_be_bytes());
        }
        packet
    }

    pub(crate) fn window_adjust(recipient: u32, bytes: u32) -> Vec<u8> {
        let mut packet = to_channel(CHANNEL_WINDOW_ADJUST, recipient);
        packet.extend_from_slice(&bytes.to_be_bytes());
        packet
    }

    pub(crate) fn data(recipient: u32, bytes: &[u8]) -> Vec<u8> {
        // Number, channel and length before the bytes.
        let mut packet = Vec::with_capacity(9 + bytes.len());
        packet.push(CHANNEL_DATA);
        packet.extend_from_slice(&recipient.to_be_bytes());
        put_string(&mut packet, bytes);
        packet
    }

    pub(crate) fn stderr(recipient: u32, text: &[u8]) -> Vec<u8> {
        let mut packet = to_channel(CHANNEL_EXTENDED_DATA, recipient);
        packet.extend_from_slice(&STDERR.to_be_bytes());
        put_string(&mut packet, text);
        packet
    }

    fn put_string(packet: &mut Vec<u8>, bytes: &[u8]) {
        // A text of the relay's own is far below 4 GiB.
        packet.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes());
        packet.extend_from_slice(bytes);
    }
}
