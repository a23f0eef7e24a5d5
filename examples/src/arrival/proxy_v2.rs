//! The PROXY protocol, version 2: how a load balancer says whose connection it passes on.
//!
//! The parser is a pure function over the bytes so far. It asks for no byte more than the header
//! has, so that what follows stays in the socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What every version 2 header begins with.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The fixed part: signature, version and command, family, length.
const FIXED_BYTES: usize = 16;

/// The longest header that is taken, in bytes. Addresses need at most 52; the rest is for the
/// extensions that balancers add, of which the largest (TLS facts) fits well.
pub const MAX_HEADER_BYTES: usize = 1024;

/// How far the header has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes more are needed before anything can be said.
    Need(usize),
    /// The header is complete.
    Complete {
        /// Its length in bytes.
        consumed: usize,
        /// Whose connection it is; none when the balancer speaks for itself (a health check).
        source: Option<SocketAddr>,
    },
}

/// Why a header is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The old text header.
    #[error("a PROXY protocol version 1 header; set the balancer to send version 2")]
    VersionOne,
    /// Something else than a header.
    #[error(
        "no PROXY protocol header; set the balancer to send version 2, or take its address off `proxy_protocol_from`"
    )]
    Missing,
    /// A version or command that version 2 does not have.
    #[error("an unknown PROXY protocol version or command {got:#04x}")]
    UnknownCommand {
        /// The byte.
        got: u8,
    },
    /// An address family or transport that is not TCP over IPv4 or IPv6.
    #[error("a PROXY protocol header for something else than TCP ({got:#04x})")]
    NotTcp {
        /// The byte.
        got: u8,
    },
    /// The header says it is shorter than its addresses.
    #[error("a PROXY protocol header of {got} bytes where its addresses need {needed}")]
    TooShort {
        /// What the family needs.
        needed: usize,
        /// What the header says.
        got: usize,
    },
    /// The header says it is longer than allowed.
    #[error("a PROXY protocol header of {got} bytes, more than {MAX_HEADER_BYTES}")]
    TooLong {
        /// What the header says, with its fixed part.
        got: usize,
    },
}

/// Looks at the bytes so far.
///
/// # Errors
/// As soon as the bytes cannot become a header that is accepted.
pub fn parse(bytes: &[u8]) -> Result<Progress, ProxyError> {
    let prefix = bytes.len().min(SIGNATURE.len());
    if bytes.get(..prefix) != SIGNATURE.get(..prefix) {
        let old = b"PROXY ";
        let prefix = bytes.len().min(old.len());
        return Err(if bytes.get(..prefix) == old.get(..prefix) {
            ProxyError::VersionOne
        } else {
            ProxyError::Missing
        });
    }
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED_BYTES) else {
        return Ok(Progress::Need(FIXED_BYTES - bytes.len()));
    };
    let &[.., command, family, high, low] = fixed else {
        return Err(ProxyError::Missing);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let consumed = FIXED_BYTES + length;
    if consumed > MAX_HEADER_BYTES {
        return Err(ProxyError::TooLong { got: consumed });
    }
    let local = match command {
        0x20 => true,
        0x21 => false,
        got => return Err(ProxyError::UnknownCommand { got }),
    };
    let needed = match family {
        _ if local => 0,
        0x11 => 12,
        0x21 => 36,
        got => return Err(ProxyError::NotTcp { got }),
    };
    if length < needed {
        return Err(ProxyError::TooShort {
            needed,
            got: length,
        });
    }
    let Some(body) = rest.get(..length) else {
        return Ok(Progress::Need(length - rest.len()));
    };
    let source = if local { None } else { source(body, family) };
    Ok(Progress::Complete { consumed, source })
}

/// The source address: addresses come before ports, the source before the destination.
fn source(body: &[u8], family: u8) -> Option<SocketAddr> {
    if family == 0x11 {
        let ([a, b, c, d], rest) = body.split_first_chunk::<4>()?;
        let ([_, _, _, _, high, low], _) = rest.split_first_chunk::<6>()?;
        let address = Ipv4Addr::new(*a, *b, *c, *d);
        Some((address, u16::from_be_bytes([*high, *low])).into())
    } else {
        let (address, rest) = body.split_first_chunk::<16>()?;
        let (_, ports) = rest.split_first_chunk::<16>()?;
        let (port, _) = ports.split_first_chunk::<2>()?;
        let address = IpAddr::V6(Ipv6Addr::from(*address)).to_canonical();
        Some((address, u16::from_be_bytes(*port)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn ipv4() -> Vec<u8> {
        header(
            0x21,
            0x11,
            &[192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x34, 0, 22],
        )
    }

    /// As the reader does: exactly as many bytes as asked for, from a stream cut at `first`.
    fn read(bytes: &[u8], first: usize) -> Result<(usize, Option<SocketAddr>), ProxyError> {
        let mut seen = first;
        loop {
            match parse(&bytes[..seen])? {
                Progress::Need(more) => {
                    assert!(more > 0);
                    seen += more;
                    assert!(seen <= bytes.len(), "asked for more than the header has");
                }
                Progress::Complete { consumed, source } => return Ok((consumed, source)),
            }
        }
    }

    #[test]
    fn the_source_is_found_however_the_header_is_cut() {
        let mut ipv6 = Ipv6Addr::LOCALHOST.octets().to_vec();
        ipv6.extend([0; 16]);
        ipv6.extend([0, 80, 0, 22]);
        let mut with_extensions = vec![192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x34, 0, 22];
        with_extensions.extend([0x04, 0, 2, 1, 2]);
        for (bytes, source) in [
            (ipv4(), Some("192.0.2.7:4660")),
            (header(0x21, 0x21, &ipv6), Some("[::1]:80")),
            (header(0x21, 0x11, &with_extensions), Some("192.0.2.7:4660")),
            (header(0x20, 0x00, &[]), None),
            (header(0x20, 0x11, &[0; 12]), None),
        ] {
            for first in 0..=bytes.len() {
                assert_eq!(
                    read(&bytes, first),
                    Ok((bytes.len(), source.map(|source| source.parse().unwrap()))),
                    "cut at {first}"
                );
            }
        }
    }

    #[test]
    fn bytes_after_the_header_are_left_alone() {
        let mut bytes = ipv4();
        let length = bytes.len();
        bytes.extend(b"SSH-2.0-x\r\n");
        assert!(matches!(
            parse(&bytes),
            Ok(Progress::Complete { consumed, .. }) if consumed == length
        ));
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_undressed() {
        let mut body = Ipv4Addr::new(192, 0, 2, 7)
            .to_ipv6_mapped()
            .octets()
            .to_vec();
        body.extend([0; 20]);
        let bytes = header(0x21, 0x21, &body);
        let Ok(Progress::Complete { source, .. }) = parse(&bytes) else {
            panic!("refused");
        };
        assert_eq!(source.unwrap().ip().to_string(), "192.0.2.7");
    }

    #[test]
    fn anything_but_version_two_over_tcp_is_refused() {
        for (bytes, expected) in [
            (
                b"PROXY TCP4 192.0.2.7 198.51.100.1 4660 22\r\n".to_vec(),
                ProxyError::VersionOne,
            ),
            (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), ProxyError::Missing),
            (
                b"CONNECT a:22 HTTP/1.1\r\n\r\n".to_vec(),
                ProxyError::Missing,
            ),
            (
                header(0x11, 0x11, &[0; 12]),
                ProxyError::UnknownCommand { got: 0x11 },
            ),
            (
                header(0x22, 0x11, &[0; 12]),
                ProxyError::UnknownCommand { got: 0x22 },
            ),
            (
                header(0x21, 0x12, &[0; 12]),
                ProxyError::NotTcp { got: 0x12 },
            ),
            (
                header(0x21, 0x31, &[0; 216]),
                ProxyError::NotTcp { got: 0x31 },
            ),
            (header(0x21, 0x00, &[]), ProxyError::NotTcp { got: 0x00 }),
            (
                header(0x21, 0x11, &[0; 11]),
                ProxyError::TooShort {
                    needed: 12,
                    got: 11,
                },
            ),
            (
                header(0x21, 0x21, &[0; 12]),
                ProxyError::TooShort {
                    needed: 36,
                    got: 12,
                },
            ),
            (
                header(0x21, 0x11, &[0; MAX_HEADER_BYTES]),
                ProxyError::TooLong {
                    got: MAX_HEADER_BYTES + 16,
                },
            ),
        ] {
            assert_eq!(read(&bytes, 1.min(bytes.len())), Err(expected));
            assert_eq!(parse(&bytes), Err(expected));
        }
    }

    #[test]
    fn a_length_is_refused_before_its_bytes_are_asked_for() {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x21, 0x11, 0xff, 0xff]);
        assert_eq!(parse(&bytes), Err(ProxyError::TooLong { got: 65551 }));
    }

    #[test]
    fn a_flipped_bit_never_asks_for_more_than_the_limit() {
        let good = ipv4();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            for length in 0..=bytes.len() {
                if let Ok(Progress::Need(more)) = parse(&bytes[..length]) {
                    assert!(length + more <= MAX_HEADER_BYTES);
                }
            }
            if bit < SIGNATURE.len() * 8 {
                assert_eq!(parse(&bytes), Err(ProxyError::Missing), "bit {bit}");
            }
        }
    }
}
