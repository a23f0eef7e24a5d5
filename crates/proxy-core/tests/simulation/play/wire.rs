//! The messages of RFC 4254, written and read here by the letter of its section 9, so that the relay's own reading is judged by
//! another.

/// One connection-layer packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    Global {
        name: String,
        want_reply: bool,
        data: Vec<u8>,
    },
    GlobalSuccess(Vec<u8>),
    GlobalFailure,
    Open {
        kind: String,
        sender: u32,
        window: u32,
        data: Vec<u8>,
    },
    Confirm {
        to: u32,
        sender: u32,
        window: u32,
    },
    OpenFailure {
        to: u32,
        reason: u32,
    },
    Adjust {
        to: u32,
        bytes: u32,
    },
    Data {
        to: u32,
        bytes: Vec<u8>,
    },
    Extended {
        to: u32,
        code: u32,
        bytes: Vec<u8>,
    },
    Eof(u32),
    Close(u32),
    Request {
        to: u32,
        name: String,
        want_reply: bool,
        data: Vec<u8>,
    },
    Success(u32),
    Failure(u32),
    /// Anything else.
    Raw(Vec<u8>),
}

/// The maximum packet that everybody here grants.
pub const MAX_PACKET: u32 = 32_768;

impl Packet {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Global {
                name,
                want_reply,
                data,
            } => {
                out.push(80);
                put_string(&mut out, name.as_bytes());
                out.push(u8::from(*want_reply));
                out.extend_from_slice(data);
            }
            Self::GlobalSuccess(data) => {
                out.push(81);
                out.extend_from_slice(data);
            }
            Self::GlobalFailure => out.push(82),
            Self::Open {
                kind,
                sender,
                window,
                data,
            } => {
                out.push(90);
                put_string(&mut out, kind.as_bytes());
                put_numbers(&mut out, &[*sender, *window, MAX_PACKET]);
                out.extend_from_slice(data);
            }
            Self::Confirm { to, sender, window } => {
                out.push(91);
                put_numbers(&mut out, &[*to, *sender, *window, MAX_PACKET]);
            }
            Self::OpenFailure { to, reason } => {
                out.push(92);
                put_numbers(&mut out, &[*to, *reason]);
                put_string(&mut out, b"no");
                put_string(&mut out, b"en");
            }
            Self::Adjust { to, bytes } => {
                out.push(93);
                put_numbers(&mut out, &[*to, *bytes]);
            }
            Self::Data { to, bytes } => {
                out.push(94);
                put_numbers(&mut out, &[*to]);
                put_string(&mut out, bytes);
            }
            Self::Extended { to, code, bytes } => {
                out.push(95);
                put_numbers(&mut out, &[*to, *code]);
                put_string(&mut out, bytes);
            }
            Self::Eof(to) => put_bare(&mut out, 96, *to),
            Self::Close(to) => put_bare(&mut out, 97, *to),
            Self::Request {
                to,
                name,
                want_reply,
                data,
            } => {
                put_bare(&mut out, 98, *to);
                put_string(&mut out, name.as_bytes());
                out.push(u8::from(*want_reply));
                out.extend_from_slice(data);
            }
            Self::Success(to) => put_bare(&mut out, 99, *to),
            Self::Failure(to) => put_bare(&mut out, 100, *to),
            Self::Raw(bytes) => out.extend_from_slice(bytes),
        }
        out
    }

    /// Reads a packet; one that is nothing else is [`Self::Raw`].
    pub fn read(bytes: &[u8]) -> Self {
        Self::try_read(&mut Fields(bytes)).unwrap_or_else(|| Self::Raw(bytes.to_vec()))
    }

    fn try_read(r: &mut Fields<'_>) -> Option<Self> {
        let packet = match r.u8()? {
            80 => Self::Global {
                name: r.text()?,
                want_reply: r.u8()? != 0,
                data: r.rest(),
            },
            81 => Self::GlobalSuccess(r.rest()),
            82 => Self::GlobalFailure,
            90 => {
                let (kind, sender, window) = (r.text()?, r.u32()?, r.u32()?);
                r.u32()?;
                Self::Open {
                    kind,
                    sender,
                    window,
                    data: r.rest(),
                }
            }
            91 => {
                let (to, sender, window) = (r.u32()?, r.u32()?, r.u32()?);
                r.u32()?;
                Self::Confirm { to, sender, window }
            }
            92 => {
                let (to, reason) = (r.u32()?, r.u32()?);
                std::str::from_utf8(r.string()?).ok()?;
                // Some servers leave the language tag out.
                if !r.0.is_empty() {
                    r.string()?;
                }
                Self::OpenFailure { to, reason }
            }
            93 => Self::Adjust {
                to: r.u32()?,
                bytes: r.u32()?,
            },
            94 => Self::Data {
                to: r.u32()?,
                bytes: r.string()?.to_vec(),
            },
            95 => Self::Extended {
                to: r.u32()?,
                code: r.u32()?,
                bytes: r.string()?.to_vec(),
            },
            96 => Self::Eof(r.u32()?),
            97 => Self::Close(r.u32()?),
            98 => Self::Request {
                to: r.u32()?,
                name: r.text()?,
                want_reply: r.u8()? != 0,
                data: r.rest(),
            },
            99 => Self::Success(r.u32()?),
            100 => Self::Failure(r.u32()?),
            _ => return None,
        };
        r.0.is_empty().then_some(packet)
    }

    /// The channel it is about, by its receiver's number.
    pub const fn to(&self) -> Option<u32> {
        match self {
            Self::Confirm { to, .. }
            | Self::OpenFailure { to, .. }
            | Self::Adjust { to, .. }
            | Self::Data { to, .. }
            | Self::Extended { to, .. }
            | Self::Eof(to)
            | Self::Close(to)
            | Self::Request { to, .. }
            | Self::Success(to)
            | Self::Failure(to) => Some(*to),
            _ => None,
        }
    }
}

pub fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 4);
    put_string(&mut out, bytes);
    out
}

pub fn numbers(numbers: &[u32]) -> Vec<u8> {
    let mut out = Vec::new();
    put_numbers(&mut out, numbers);
    out
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    put_numbers(out, &[bytes.len() as u32]);
    out.extend_from_slice(bytes);
}

fn put_numbers(out: &mut Vec<u8>, numbers: &[u32]) {
    for number in numbers {
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn put_bare(out: &mut Vec<u8>, number: u8, to: u32) {
    out.push(number);
    put_numbers(out, &[to]);
}

/// The rest of a message that is read from the front.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    /// US-ASCII (RFC 4251 section 6).
    pub fn text(&mut self) -> Option<String> {
        let bytes = self.string()?;
        let is_text = bytes.iter().all(|byte| (0x20..0x7f).contains(byte));
        is_text.then(|| String::from_utf8_lossy(bytes).into_owned())
    }

    pub fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0).to_vec()
    }
}
