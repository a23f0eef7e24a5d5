//! Records in the words of the wire: what a record says passed is put together again as the packet's own fields, so that a record
//! that leaves something out is no record of the packet.

use proxy_core::{Leg, PerLeg};
use session_log::{Record, Side};

use super::wire::{Fields, Packet, numbers, string};

/// One record, as far as packets go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// Data of a session: standard input and output, or stderr.
    Data {
        from: Leg,
        is_stderr: bool,
        bytes: Vec<u8>,
    },
    /// Data of a forwarded connection.
    Carried {
        from: Leg,
        len: u64,
        /// As far as they are kept.
        bytes: Vec<u8>,
    },
    Open {
        from: Leg,
        kind: String,
        data: Vec<u8>,
    },
    OpenReply {
        from: Leg,
        ok: bool,
    },
    Eof(Leg),
    Close(Leg),
    /// A request with its fields, where the record has them.
    Request {
        from: Leg,
        is_global: bool,
        name: String,
        data: Vec<u8>,
    },
    Reply {
        from: Leg,
        ok: bool,
    },
    Refused(Leg),
    /// What the proxy says on a channel.
    Notice(String),
    /// The end of a forwarded connection, and how many bytes each side sent.
    ForwardClose(PerLeg<u64>),
    /// What they hash to.
    Digests(PerLeg<Vec<u8>>),
    /// Something that the client's agent is asked, and may be.
    AgentAsked,
    Other,
}

const fn leg(side: Side) -> Leg {
    match side {
        Side::Client => Leg::Client,
        Side::Target => Leg::Target,
    }
}

impl Noted {
    pub fn of(channel: u32, record: &Record<'_>) -> Self {
        let data = |from, is_stderr, bytes: &[u8]| Self::Data {
            from,
            is_stderr,
            bytes: bytes.to_vec(),
        };
        let request = |from, name: &str, data: Vec<u8>| Self::Request {
            from,
            is_global: channel == 0,
            name: name.into(),
            data,
        };
        match record {
            Record::Input(bytes) => data(Leg::Client, false, bytes),
            Record::Output(bytes) => data(Leg::Target, false, bytes),
            Record::Stderr(bytes) => data(Leg::Target, true, bytes),
            Record::ForwardData { from, data, bytes } => Self::Carried {
                from: leg(*from),
                len: *bytes,
                bytes: data.to_vec(),
            },
            Record::ChannelOpen {
                from, kind, data, ..
            } => Self::Open {
                from: leg(*from),
                kind: (*kind).into(),
                data: data.to_vec(),
            },
            Record::ForwardOpen {
                from,
                kind,
                host,
                port,
                origin_host,
                origin_port,
            } => Self::Open {
                from: leg(*from),
                kind: (*kind).into(),
                data: place(kind, (host, *port), (origin_host, *origin_port)),
            },
            Record::OpenReply { from, ok, .. } => Self::OpenReply {
                from: leg(*from),
                ok: *ok,
            },
            Record::Eof { from } => Self::Eof(leg(*from)),
            Record::Close { from } => Self::Close(leg(*from)),
            Record::Reply { from, ok } => Self::Reply {
                from: leg(*from),
                ok: *ok,
            },
            Record::Refused { from, .. } => Self::Refused(leg(*from)),
            Record::WriterNotice { text } => Self::Notice((*text).into()),
            Record::ForwardClose {
                client_bytes,
                target_bytes,
            } => Self::ForwardClose(PerLeg {
                client: *client_bytes,
                target: *target_bytes,
            }),
            Record::ForwardDigest {
                client_sha256,
                target_sha256,
            } => Self::Digests(PerLeg {
                client: client_sha256.to_vec(),
                target: target_sha256.to_vec(),
            }),
            Record::X11 {
                single_connection,
                auth_protocol,
                screen,
            } => {
                let single = vec![u8::from(*single_connection)];
                let data = [
                    single,
                    string(auth_protocol.as_bytes()),
                    numbers(&[*screen]),
                ];
                request(Leg::Client, "x11-req", data.concat())
            }
            Record::ForwardRequest {
                from,
                kind,
                host,
                port,
            } => request(leg(*from), kind, listener(kind, host, *port)),
            Record::Request { from, kind, .. } => request(leg(*from), kind, Vec::new()),
            Record::Pty {
                term,
                columns,
                rows,
                pixel_width,
                pixel_height,
                modes,
            } => {
                let size = numbers(&[*columns, *rows, *pixel_width, *pixel_height]);
                let data = [string(term.as_bytes()), size, string(modes)].concat();
                request(Leg::Client, "pty-req", data)
            }
            Record::Env { name, value } => {
                request(Leg::Client, "env", [string(name), string(value)].concat())
            }
            Record::Exec { command } => request(Leg::Client, "exec", string(command)),
            Record::Agent { .. } => request(Leg::Client, "auth-agent-req@openssh.com", Vec::new()),
            Record::AgentRequest { allowed: true, .. } => Self::AgentAsked,
            Record::Shell => request(Leg::Client, "shell", Vec::new()),
            Record::Subsystem { name } => {
                request(Leg::Client, "subsystem", string(name.as_bytes()))
            }
            Record::Resize {
                columns,
                rows,
                pixel_width,
                pixel_height,
            } => {
                let size = numbers(&[*columns, *rows, *pixel_width, *pixel_height]);
                request(Leg::Client, "window-change", size)
            }
            Record::Signal { name } => request(Leg::Client, "signal", string(name.as_bytes())),
            Record::Break { millis } => request(Leg::Client, "break", numbers(&[*millis])),
            Record::ExitStatus { code } => request(Leg::Target, "exit-status", numbers(&[*code])),
            Record::ExitSignal {
                name,
                core_dumped,
                message,
                language,
            } => {
                let texts = [string(message.as_bytes()), string(language.as_bytes())].concat();
                let core = vec![u8::from(*core_dumped)];
                let data = [string(name.as_bytes()), core, texts].concat();
                request(Leg::Target, "exit-signal", data)
            }
            _ => Self::Other,
        }
    }

    /// What has to be written before this packet of `from` passes; nothing of flow control.
    pub fn required(from: Leg, packet: &Packet, is_carried: bool) -> Option<Self> {
        Some(match packet {
            Packet::Global { name, data, .. } | Packet::Request { name, data, .. } => {
                Self::Request {
                    from,
                    is_global: matches!(packet, Packet::Global { .. }),
                    name: name.clone(),
                    data: as_recorded(name, data),
                }
            }
            Packet::GlobalSuccess(_) | Packet::Success(_) => Self::Reply { from, ok: true },
            Packet::GlobalFailure | Packet::Failure(_) => Self::Reply { from, ok: false },
            Packet::Open { kind, data, .. } => Self::Open {
                from,
                kind: kind.clone(),
                data: data.clone(),
            },
            Packet::Confirm { .. } => Self::OpenReply { from, ok: true },
            Packet::OpenFailure { .. } => Self::OpenReply { from, ok: false },
            Packet::Data { bytes, .. } if is_carried => Self::Carried {
                from,
                len: bytes.len() as u64,
                bytes: bytes.clone(),
            },
            Packet::Data { bytes, .. } => Self::Data {
                from,
                is_stderr: false,
                bytes: bytes.clone(),
            },
            Packet::Extended { bytes, .. } => Self::Data {
                from,
                is_stderr: true,
                bytes: bytes.clone(),
            },
            Packet::Eof(_) => Self::Eof(from),
            Packet::Close(_) => Self::Close(from),
            Packet::Adjust { .. } | Packet::Raw(_) => return None,
        })
    }
}

/// The fields of a request as its record tells them: without what nobody else is to read, and what is true is 1.
fn as_recorded(name: &str, data: &[u8]) -> Vec<u8> {
    let mut r = Fields(data);
    let fields = match name {
        "xon-xoff" => Some(Vec::new()),
        "x11-req" => windows_without_cookie(&mut r),
        "exit-signal" => r.string().and_then(|name| {
            let is_dumped = u8::from(r.u8()? != 0);
            Some([string(name), vec![is_dumped], r.rest()].concat())
        }),
        _ => None,
    };
    fields.unwrap_or_else(|| data.to_vec())
}

/// The cookie lets whoever has it show windows too.
fn windows_without_cookie(r: &mut Fields<'_>) -> Option<Vec<u8>> {
    let is_single = u8::from(r.u8()? != 0);
    let (protocol, _cookie) = (r.string()?, r.string()?);
    Some([vec![is_single], string(protocol), r.rest()].concat())
}

/// Where a forwarded connection leads and comes from, as it stands behind the opening's common fields (RFC 4254 section 7.2,
/// OpenSSH PROTOCOL section 2.4).
pub fn place(kind: &str, (host, port): (&str, u32), (origin, origin_port): (&str, u32)) -> Vec<u8> {
    if kind == "auth-agent@openssh.com" {
        return Vec::new();
    }
    let (host, origin) = (string(host.as_bytes()), string(origin.as_bytes()));
    match kind {
        "x11" => [origin, numbers(&[origin_port])].concat(),
        "direct-streamlocal@openssh.com" => [host, origin, numbers(&[origin_port])].concat(),
        "forwarded-streamlocal@openssh.com" => [host, origin].concat(),
        _ => [host, numbers(&[port]), origin, numbers(&[origin_port])].concat(),
    }
}

/// Where to listen, as it stands in a global request.
pub fn listener(kind: &str, host: &str, port: u32) -> Vec<u8> {
    let mut out = string(host.as_bytes());
    if !kind.contains("streamlocal") {
        out.extend(numbers(&[port]));
    }
    out
}
