//! As much of the connection layer (RFC 4254) as one session channel needs: the messages, in and out. Both sides number their only
//! channel 0.

use ssh_key::encoding::{Decode as _, Encode as _, Error, Reader as _};

/// How many bytes either side lets the other have on the way.
pub const WINDOW_BYTES: u32 = 1 << 20;
/// The longest piece of data in one message.
pub const MAX_DATA_BYTES: u32 = 32 * 1024;

/// Extended data of this type is standard error (RFC 4254 section 5.2).
const STDERR: u32 = 1;

/// A message of the connection layer, as far as a session channel has a use for it.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// `CHANNEL_OPEN` (90).
    Open {
        /// What kind of channel.
        kind: String,
        /// The peer's number for it.
        channel: u32,
        /// Bytes that may be sent.
        window_bytes: u32,
        /// Bytes that may be sent in one message.
        max_data_bytes: u32,
    },
    /// `CHANNEL_OPEN_CONFIRMATION` (91).
    Opened {
        /// The peer's number for the channel.
        channel: u32,
    },
    /// `CHANNEL_OPEN_FAILURE` (92).
    OpenFailed {
        /// Why, in words for people.
        why: String,
    },
    /// `CHANNEL_WINDOW_ADJUST` (93): as many bytes more may be sent.
    MoreWindow(u32),
    /// `CHANNEL_DATA` (94).
    Data(Vec<u8>),
    /// `CHANNEL_EXTENDED_DATA` (95) of standard error.
    ErrorData(Vec<u8>),
    /// `CHANNEL_EOF` (96).
    Eof,
    /// `CHANNEL_CLOSE` (97).
    Close,
    /// `CHANNEL_REQUEST` (98).
    Request {
        /// What is asked for or told.
        kind: String,
        /// Whether [`request_done`] must follow.
        wants_reply: bool,
        /// What else the kind brings.
        rest: Vec<u8>,
    },
    /// `CHANNEL_SUCCESS` (99) and `CHANNEL_FAILURE` (100).
    RequestDone(bool),
    /// `GLOBAL_REQUEST` (80) that wants a reply, which is [`global_request_refused`].
    GlobalRequest,
    /// What needs no answer.
    Other,
}

impl Message {
    /// Reads the payload of a connection-layer packet.
    ///
    /// # Errors
    /// When it does not have the form that its number promises.
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        let mut reader = payload;
        let number = u8::decode(&mut reader)?;
        if number == 80 {
            let _name = String::decode(&mut reader)?;
            let wants_reply = u8::decode(&mut reader)? != 0;
            return Ok(if wants_reply {
                Self::GlobalRequest
            } else {
                Self::Other
            });
        }
        if number == 90 {
            return Ok(Self::Open {
                kind: String::decode(&mut reader)?,
                channel: u32::decode(&mut reader)?,
                window_bytes: u32::decode(&mut reader)?,
                max_data_bytes: u32::decode(&mut reader)?,
            });
        }
        let _our_channel = u32::decode(&mut reader)?;
        Ok(match number {
            91 => Self::Opened {
                channel: u32::decode(&mut reader)?,
            },
            92 => {
                let _code = u32::decode(&mut reader)?;
                Self::OpenFailed {
                    why: String::decode(&mut reader)?,
                }
            }
            93 => Self::MoreWindow(u32::decode(&mut reader)?),
            94 => Self::Data(Vec::decode(&mut reader)?),
            95 if u32::decode(&mut reader)? == STDERR => Self::ErrorData(Vec::decode(&mut reader)?),
            96 => Self::Eof,
            97 => Self::Close,
            98 => {
                let kind = String::decode(&mut reader)?;
                let wants_reply = u8::decode(&mut reader)? != 0;
                let mut rest = vec![0; reader.remaining_len()];
                reader.read(&mut rest)?;
                Self::Request {
                    kind,
                    wants_reply,
                    rest,
                }
            }
            99 | 100 => Self::RequestDone(number == 99),
            _ => Self::Other,
        })
    }
}

/// `CHANNEL_OPEN` of a session.
///
/// # Errors
/// As all functions here that write: when a string is longer than 4 GiB.
pub fn open() -> Result<Vec<u8>, Error> {
    let mut out = vec![90];
    "session".encode(&mut out)?;
    for word in [0, WINDOW_BYTES, MAX_DATA_BYTES] {
        word.encode(&mut out)?;
    }
    Ok(out)
}

/// `CHANNEL_OPEN_CONFIRMATION` for the peer's `channel`.
///
/// # Errors
/// As [`open`].
pub fn opened(channel: u32) -> Result<Vec<u8>, Error> {
    words(91, &[channel, 0, WINDOW_BYTES, MAX_DATA_BYTES])
}

/// `CHANNEL_OPEN_FAILURE`, "administratively prohibited", for the peer's `channel`.
///
/// # Errors
/// As [`open`].
pub fn open_refused(channel: u32, why: &str) -> Result<Vec<u8>, Error> {
    let mut out = words(92, &[channel, 1])?;
    why.encode(&mut out)?;
    "".encode(&mut out)?;
    Ok(out)
}

/// `CHANNEL_WINDOW_ADJUST`.
///
/// # Errors
/// As [`open`].
pub fn more_window(channel: u32, bytes: u32) -> Result<Vec<u8>, Error> {
    words(93, &[channel, bytes])
}

/// `CHANNEL_DATA`.
///
/// # Errors
/// As [`open`].
pub fn data(channel: u32, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = words(94, &[channel])?;
    bytes.encode(&mut out)?;
    Ok(out)
}

/// `CHANNEL_EXTENDED_DATA` of standard error.
///
/// # Errors
/// As [`open`].
pub fn error_data(channel: u32, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = words(95, &[channel, STDERR])?;
    bytes.encode(&mut out)?;
    Ok(out)
}

/// `CHANNEL_EOF`.
///
/// # Errors
/// As [`open`].
pub fn eof(channel: u32) -> Result<Vec<u8>, Error> {
    words(96, &[channel])
}

/// `CHANNEL_CLOSE`.
///
/// # Errors
/// As [`open`].
pub fn close(channel: u32) -> Result<Vec<u8>, Error> {
    words(97, &[channel])
}

/// `CHANNEL_REQUEST` to run `command`, with a reply.
///
/// # Errors
/// As [`open`].
pub fn exec(channel: u32, command: &str) -> Result<Vec<u8>, Error> {
    let mut out = words(98, &[channel])?;
    "exec".encode(&mut out)?;
    1u8.encode(&mut out)?;
    command.encode(&mut out)?;
    Ok(out)
}

/// `CHANNEL_REQUEST` that tells the exit status.
///
/// # Errors
/// As [`open`].
pub fn exit_status(channel: u32, status: u32) -> Result<Vec<u8>, Error> {
    let mut out = words(98, &[channel])?;
    "exit-status".encode(&mut out)?;
    0u8.encode(&mut out)?;
    status.encode(&mut out)?;
    Ok(out)
}

/// `CHANNEL_SUCCESS` or `CHANNEL_FAILURE`.
///
/// # Errors
/// As [`open`].
pub fn request_done(channel: u32, is_success: bool) -> Result<Vec<u8>, Error> {
    words(if is_success { 99 } else { 100 }, &[channel])
}

/// `REQUEST_FAILURE` (82).
#[must_use]
pub fn global_request_refused() -> Vec<u8> {
    vec![82]
}

fn words(number: u8, words: &[u32]) -> Result<Vec<u8>, Error> {
    let mut out = vec![number];
    for word in words {
        word.encode(&mut out)?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let read = |message: Result<Vec<u8>, Error>| Message::parse(&message.unwrap()).unwrap();
        let open_message = Message::Open {
            kind: "session".to_owned(),
            channel: 0,
            window_bytes: WINDOW_BYTES,
            max_data_bytes: MAX_DATA_BYTES,
        };
        assert_eq!(read(open()), open_message);
        assert_eq!(read(opened(3)), Message::Opened { channel: 0 });
        let why = "no".to_owned();
        assert_eq!(read(open_refused(3, "no")), Message::OpenFailed { why });
        assert_eq!(read(more_window(3, 9)), Message::MoreWindow(9));
        assert_eq!(read(data(3, b"x")), Message::Data(b"x".to_vec()));
        assert_eq!(read(error_data(3, b"x")), Message::ErrorData(b"x".to_vec()));
        assert_eq!(read(eof(3)), Message::Eof);
        assert_eq!(read(close(3)), Message::Close);
        assert_eq!(read(request_done(3, false)), Message::RequestDone(false));
        let exec_message = Message::Request {
            kind: "exec".to_owned(),
            wants_reply: true,
            rest: b"\0\0\0\x02ls".to_vec(),
        };
        assert_eq!(read(exec(3, "ls")), exec_message);
    }

    #[test]
    fn a_message_that_is_cut_short_is_an_error() {
        for message in [
            open(),
            opened(3),
            data(3, b"x"),
            exit_status(3, 1),
            exec(3, "ls"),
        ] {
            let message = message.unwrap();
            // The confirmation's window is of no use to who has nothing to send: its tail is not read.
            for len in 0..message.len().min(5) {
                assert!(Message::parse(&message[..len]).is_err());
            }
        }
    }
}
