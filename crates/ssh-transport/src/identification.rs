//! The identification lines (RFC 4253 section 4.2).

use alloc::string::{String, ToString as _};

use crate::connection::Role;
use crate::error::{Error, PeerMisbehaved};
use crate::limits::{
    MAX_IDENTIFICATION_BYTES, MAX_LINE_BEFORE_IDENTIFICATION_BYTES, MAX_LINES_BEFORE_IDENTIFICATION,
};

/// The identification that a peer sent, without its line end: printable ASCII, at most 253 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identification(String);

impl Identification {
    /// The whole line, such as `SSH-2.0-OpenSSH_9.2p1 Debian-2`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The software version and comments: what follows the protocol version.
    #[must_use]
    pub fn software(&self) -> &str {
        self.0.splitn(3, '-').nth(2).unwrap_or_default()
    }

    /// Whether the software version starts with `OpenSSH_`, by which OpenSSH knows peers that take its extensions.
    #[must_use]
    pub fn is_openssh(&self) -> bool {
        self.software().starts_with("OpenSSH_")
    }
}

/// Our own line, made fit to send: printable ASCII, starting with `SSH-2.0-`, short enough.
pub(crate) fn own_line(configured: &str) -> String {
    const PREFIX: &str = "SSH-2.0-";
    let software = configured.strip_prefix(PREFIX).unwrap_or(configured);
    let printable = software
        .chars()
        .map(|c| if matches!(c, ' '..='~') { c } else { '_' });
    PREFIX
        .chars()
        .chain(printable)
        .take(MAX_IDENTIFICATION_BYTES - 2)
        .collect()
}

/// Reads the peer's lines one at a time.
#[derive(Debug, Default)]
pub(crate) struct LineReader {
    lines_before: usize,
}

/// What was at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Incomplete,
    /// A line to skip, of this many bytes.
    Before(usize),
    Identification(usize, Identification),
}

const BAD: Error = Error::PeerMisbehaved(PeerMisbehaved::BadIdentification);

impl LineReader {
    /// `own_role` says whether the peer is a server, which may send other lines first.
    pub(crate) fn read(&mut self, own_role: Role, input: &[u8]) -> Result<Line, Error> {
        const START: &[u8] = b"SSH-";
        let is_identification = input.starts_with(START);
        let may_be = START.starts_with(input) || is_identification;
        if !may_be && own_role == Role::Server {
            // Not SSH at all (HTTP, TLS, a PROXY header): end before a whole line has to be waited for.
            return Err(BAD);
        }
        let limit = if may_be {
            MAX_IDENTIFICATION_BYTES
        } else {
            MAX_LINE_BEFORE_IDENTIFICATION_BYTES
        };
        let window = input.get(..limit.min(input.len())).unwrap_or_default();
        let Some(end) = window.iter().position(|b| *b == b'\n') else {
            return if input.len() >= limit {
                Err(BAD)
            } else {
                Ok(Line::Incomplete)
            };
        };
        let consumed = end + 1;
        if !is_identification {
            self.lines_before += 1;
            return if self.lines_before > MAX_LINES_BEFORE_IDENTIFICATION {
                Err(BAD)
            } else {
                Ok(Line::Before(consumed))
            };
        }
        let line = window.get(..end).unwrap_or_default();
        // Some peers end the line without the CR.
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = core::str::from_utf8(line).map_err(|_| BAD)?;
        // RFC 4253 section 5.1: 1.99 is a server that also speaks the older protocol.
        let speaks_2 = text.starts_with("SSH-2.0-")
            || (own_role == Role::Client && text.starts_with("SSH-1.99-"));
        if !speaks_2 || !text.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return Err(BAD);
        }
        Ok(Line::Identification(
            consumed,
            Identification(text.to_string()),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec::Vec;

    fn read(role: Role, input: &[u8]) -> Result<Line, Error> {
        LineReader::default().read(role, input)
    }

    #[test]
    fn a_line_is_read_with_and_without_carriage_return() {
        for end in ["\r\n", "\n"] {
            let line = format!("SSH-2.0-OpenSSH_9.2p1 Debian-2{end}rest");
            let Line::Identification(consumed, ident) =
                read(Role::Server, line.as_bytes()).unwrap()
            else {
                panic!()
            };
            assert_eq!(&line[consumed..], "rest");
            assert_eq!(ident.as_str(), "SSH-2.0-OpenSSH_9.2p1 Debian-2");
            assert_eq!(ident.software(), "OpenSSH_9.2p1 Debian-2");
            assert!(ident.is_openssh());
        }
    }

    #[test]
    fn every_beginning_of_a_line_waits_for_more() {
        let line = b"SSH-2.0-x\r\n";
        for len in 0..line.len() {
            assert_eq!(read(Role::Server, &line[..len]), Ok(Line::Incomplete));
        }
    }

    #[test]
    fn a_server_ends_at_the_first_byte_that_is_not_ssh() {
        for input in [
            &b"G"[..],
            b"GET / HTTP/1.1\r\n",
            b"PROXY TCP4",
            b"\x16\x03\x01",
            b"\0",
            b"SSX",
        ] {
            assert_eq!(read(Role::Server, input), Err(BAD));
        }
    }

    #[test]
    fn a_client_skips_a_few_lines_of_a_server_and_no_more() {
        let mut reader = LineReader::default();
        for _ in 0..MAX_LINES_BEFORE_IDENTIFICATION {
            assert_eq!(
                reader.read(Role::Client, b"Welcome\r\nSSH"),
                Ok(Line::Before(9))
            );
        }
        assert_eq!(reader.read(Role::Client, b"Welcome\r\nSSH"), Err(BAD));
    }

    #[test]
    fn other_versions_other_bytes_and_long_lines_are_refused() {
        for line in [
            &b"SSH-1.5-x\r\n"[..],
            b"SSH-2.0-a\0b\r\n",
            b"SSH-2.0-\xc3\xbc\r\n",
            b"SSH-1.99-x\r\n",
            b"SSH-\n",
        ] {
            assert_eq!(read(Role::Server, line), Err(BAD));
        }
        assert!(matches!(
            read(Role::Client, b"SSH-1.99-x\r\n"),
            Ok(Line::Identification(..))
        ));
        let mut long: Vec<u8> = b"SSH-2.0-".to_vec();
        long.resize(MAX_IDENTIFICATION_BYTES - 1, b'x');
        assert_eq!(read(Role::Server, &long), Ok(Line::Incomplete));
        long.push(b'x');
        assert_eq!(read(Role::Server, &long), Err(BAD));
    }

    #[test]
    fn an_own_line_is_always_one_that_a_peer_would_take() {
        for configured in ["SSH-2.0-OpenSSH_9.9", "odd\nname\0", &"x".repeat(999), ""] {
            let line = format!("{}\r\n", own_line(configured));
            assert!(
                matches!(
                    read(Role::Server, line.as_bytes()),
                    Ok(Line::Identification(..))
                ),
                "{line:?}"
            );
        }
        assert_eq!(own_line("SSH-2.0-OpenSSH_9.9"), "SSH-2.0-OpenSSH_9.9");
    }
}
