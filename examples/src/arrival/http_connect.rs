//! HTTP `CONNECT` (RFC 9110 section 9.3.6): how a client names its target and shows its token.
//!
//! The parser is a pure function over the bytes so far, and strict: what it does not understand is
//! answered with an error, so that no two readers can disagree about where the header ends.

use std::fmt;

use crate::token::MAX_TOKEN_BYTES;

/// The longest header that is taken, in bytes, request line and empty line included.
pub const MAX_HEADER_BYTES: usize = 8 << 10;

/// The longest host name, in bytes (RFC 1035 section 2.3.4).
const MAX_HOST_BYTES: usize = 253;

/// A complete header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// How many bytes it has; what follows is SSH.
    pub consumed: usize,
    /// The host that is asked for, without the brackets of an IPv6 address.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The bearer token, when one was sent.
    pub token: Option<&'a str>,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("consumed", &self.consumed)
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// Why a client is not connected, and so which answer it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The bytes are no header that this proxy understands.
    #[error("not an HTTP CONNECT request: {0}")]
    Malformed(&'static str),
    /// The header is too long.
    #[error("an HTTP header of more than {MAX_HEADER_BYTES} bytes")]
    TooLong,
    /// The client has not said who it is.
    #[error("no bearer token")]
    NoToken,
    /// The client has shown a token that nobody here has.
    #[error("an unknown bearer token")]
    UnknownToken,
    /// There is no such target.
    #[error("an unknown target")]
    UnknownTarget,
    /// There is no place for the client now; with what it can do about that.
    #[error("no place: {0}")]
    Busy(&'static str),
    /// The name stands for several targets.
    #[error("a name that more than one target has")]
    AmbiguousTarget,
}

impl HttpError {
    /// The status code and its reason phrase.
    pub const fn status(self) -> (u16, &'static str) {
        match self {
            Self::Malformed(_) => (400, "Bad Request"),
            Self::UnknownToken => (403, "Forbidden"),
            Self::UnknownTarget | Self::AmbiguousTarget => (404, "Not Found"),
            Self::NoToken => (407, "Proxy Authentication Required"),
            Self::Busy(_) => (503, "Service Unavailable"),
            Self::TooLong => (431, "Request Header Fields Too Large"),
        }
    }

    /// The whole answer, with a body that says what to do.
    pub fn response(self) -> String {
        let (code, phrase) = self.status();
        let body = match self {
            Self::Malformed(why) => format!(
                "This is an SSH access proxy. It understands `CONNECT host:port HTTP/1.1` only ({why}).\n"
            ),
            Self::UnknownToken => "Your token is not known here. It may have been withdrawn or \
                cut short: ask whoever runs this proxy for a new one.\n"
                .to_owned(),
            Self::UnknownTarget => "There is no such target here. Check the host name and the \
                port; both must be as they were told to you.\n"
                .to_owned(),
            Self::Busy(advice) => format!("Not now: {advice}.\n"),
            Self::AmbiguousTarget => "More than one target has this name. Ask for it by its id, \
                as `ssh ID` or `CONNECT ID:PORT`.\n"
                .to_owned(),
            Self::NoToken => "Say who you are: send your token as `Proxy-Authorization: Bearer \
                TOKEN`. The `connect` helper does it with --token-file FILE.\n"
                .to_owned(),
            Self::TooLong => {
                format!("The header is longer than {MAX_HEADER_BYTES} bytes. Send less.\n")
            }
        };
        let challenge = if matches!(self, Self::NoToken | Self::UnknownToken) {
            "Proxy-Authenticate: Bearer realm=\"portreeve\"\r\n"
        } else {
            ""
        };
        format!(
            "HTTP/1.1 {code} {phrase}\r\n{challenge}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }
}

/// The answer to a client that is connected.
pub const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Looks at the bytes so far; `None` asks for more.
///
/// # Errors
/// As soon as the bytes cannot become a request that is understood, or are too many.
pub fn parse(bytes: &[u8]) -> Result<Option<Request<'_>>, HttpError> {
    let method = b"CONNECT ";
    let prefix = bytes.len().min(method.len());
    if bytes.get(..prefix) != method.get(..prefix) {
        return Err(HttpError::Malformed("the method is not CONNECT"));
    }
    let window = bytes
        .get(..bytes.len().min(MAX_HEADER_BYTES))
        .unwrap_or_default();
    let Some(end) = window.windows(4).position(|four| four == b"\r\n\r\n") else {
        if bytes.len() >= MAX_HEADER_BYTES {
            return Err(HttpError::TooLong);
        }
        return Ok(None);
    };
    let header = bytes.get(..end).unwrap_or_default();
    let header = std::str::from_utf8(header)
        .map_err(|_| HttpError::Malformed("the header is not UTF-8 text"))?;
    let mut lines = header.split("\r\n");
    let (host, port) = request_line(lines.next().unwrap_or_default())?;
    let mut token = None;
    for line in lines {
        if let Some(value) = field(line)? {
            if token.is_some() {
                return Err(HttpError::Malformed(
                    "Proxy-Authorization is there more than once",
                ));
            }
            token = Some(bearer(value)?);
        }
    }
    Ok(Some(Request {
        consumed: end + 4,
        host,
        port,
        token: token.flatten(),
    }))
}

/// `CONNECT host:port HTTP/1.x`
fn request_line(line: &str) -> Result<(&str, u16), HttpError> {
    let mut parts = line.split(' ');
    let (Some("CONNECT"), Some(authority), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HttpError::Malformed(
            "the first line is not `CONNECT host:port HTTP/1.1`",
        ));
    };
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(HttpError::Malformed("the version is not HTTP/1.1"));
    }
    let (host, port) = authority
        .rsplit_once(':')
        .ok_or(HttpError::Malformed("the target has no port"))?;
    if port.is_empty() || port.len() > 5 || !port.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(HttpError::Malformed("the port is not a number"));
    }
    let port = port
        .parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or(HttpError::Malformed("the port is not between 1 and 65535"))?;
    let (host, is_ipv6) = match host.strip_prefix('[') {
        Some(rest) => (
            rest.strip_suffix(']')
                .ok_or(HttpError::Malformed("a bracket of the host is missing"))?,
            true,
        ),
        None => (host, false),
    };
    let good = |c: u8| {
        c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_') || (is_ipv6 && c == b':')
    };
    if host.is_empty() || host.len() > MAX_HOST_BYTES || !host.bytes().all(good) {
        return Err(HttpError::Malformed("the host is not a host name"));
    }
    Ok((host, port))
}

/// One header field; gives the value of `Proxy-Authorization` and checks the rest.
fn field(line: &str) -> Result<Option<&str>, HttpError> {
    let (name, value) = line
        .split_once(':')
        .ok_or(HttpError::Malformed("a header line has no colon"))?;
    // RFC 9110 section 5.6.2: this also refuses folded lines and blanks before the colon.
    let good = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    if name.is_empty() || !name.bytes().all(good) {
        return Err(HttpError::Malformed("a header name is not valid"));
    }
    if value.bytes().any(|c| (c < b' ' && c != b'\t') || c == 0x7f) {
        return Err(HttpError::Malformed(
            "a header value has control characters",
        ));
    }
    let value = value.trim_matches([' ', '\t']);
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    if is("Transfer-Encoding") || (is("Content-Length") && value != "0") {
        return Err(HttpError::Malformed("the request has a body"));
    }
    Ok(is("Proxy-Authorization").then_some(value))
}

/// `Bearer TOKEN` (RFC 6750 section 2.1). Another scheme is as good as none.
fn bearer(value: &str) -> Result<Option<&str>, HttpError> {
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let token = token.trim_matches(' ');
    let good = |c: u8| c.is_ascii_alphanumeric() || b"-._~+/=".contains(&c);
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES || !token.bytes().all(good) {
        return Err(HttpError::Malformed("the token is not valid"));
    }
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "CONNECT web1.example.com:22 HTTP/1.1\r\n\
        Host: web1.example.com:22\r\nproxy-authorization: bearer abc-_~+/=\r\n\r\n";

    fn malformed(text: &str) -> bool {
        matches!(parse(text.as_bytes()), Err(HttpError::Malformed(_)))
    }

    #[test]
    fn a_request_is_read_and_what_follows_is_left() {
        let bytes = format!("{GOOD}SSH-2.0-x\r\n");
        let request = parse(bytes.as_bytes()).unwrap().unwrap();
        assert_eq!(request.consumed, GOOD.len());
        assert_eq!((request.host, request.port), ("web1.example.com", 22));
        assert_eq!(request.token, Some("abc-_~+/="));
    }

    #[test]
    fn every_part_of_a_good_request_asks_for_more() {
        for length in 0..GOOD.len() {
            assert_eq!(parse(&GOOD.as_bytes()[..length]), Ok(None), "{length}");
        }
    }

    #[test]
    fn what_netcat_sends_is_understood() {
        let request = parse(b"CONNECT [2001:db8::1]:2222 HTTP/1.0\r\n\r\n");
        let request = request.unwrap().unwrap();
        assert_eq!((request.host, request.port), ("2001:db8::1", 2222));
        assert_eq!(request.token, None);
        let basic = parse(b"CONNECT a:22 HTTP/1.0\r\nProxy-Authorization: Basic eDp5\r\n\r\n");
        assert_eq!(basic.unwrap().unwrap().token, None);
    }

    #[test]
    fn what_is_not_a_connect_request_is_refused() {
        for text in [
            "GET / HTTP/1.1\r\n\r\n",
            "connect a:22 HTTP/1.1\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "\r\n\r\n",
            "CONNECT a:22 HTTP/2\r\n\r\n",
            "CONNECT a:22\r\n\r\n",
            "CONNECT  a:22 HTTP/1.1\r\n\r\n",
            "CONNECT a:22 HTTP/1.1 \r\n\r\n",
            "CONNECT a HTTP/1.1\r\n\r\n",
            "CONNECT a: HTTP/1.1\r\n\r\n",
            "CONNECT :22 HTTP/1.1\r\n\r\n",
            "CONNECT a:0 HTTP/1.1\r\n\r\n",
            "CONNECT a:65536 HTTP/1.1\r\n\r\n",
            "CONNECT a:+22 HTTP/1.1\r\n\r\n",
            "CONNECT [::1:22 HTTP/1.1\r\n\r\n",
            "CONNECT ::1:22 HTTP/1.1\r\n\r\n",
            "CONNECT http://a:22 HTTP/1.1\r\n\r\n",
            "CONNECT u@a:22 HTTP/1.1\r\n\r\n",
            "CONNECT \u{212a}:22 HTTP/1.1\r\n\r\n",
            "CONNECT a:22 HTTP/1.1\r\nHost\r\n\r\n",
            "CONNECT a:22 HTTP/1.1\r\nHost : a\r\n\r\n",
            "CONNECT a:22 HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
            "CONNECT a:22 HTTP/1.1\r\nHost: a\nEvil: b\r\n\r\n",
            "CONNECT a:22 HTTP/1.1\r\nHost: a\rEvil: b\r\n\r\n",
            "CONNECT a:22 HTTP/1.1\r\nHost: \0\r\n\r\n",
            "CONNECT a:22 HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
            "CONNECT a:22 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "CONNECT a:22 HTTP/1.1\r\nProxy-Authorization: Bearer\r\n\r\n",
            "CONNECT a:22 HTTP/1.1\r\nProxy-Authorization: Bearer a b\r\n\r\n",
            "CONNECT a:22 HTTP/1.1\r\nProxy-Authorization: Bearer a\r\nProxy-Authorization: Bearer b\r\n\r\n",
            "CONNECT a:22 HTTP/1.1\r\nProxy-Authorization: Basic a\r\nProxy-Authorization: Bearer b\r\n\r\n",
        ] {
            assert!(malformed(text), "{text:?}");
        }
        let long_host = format!("CONNECT {}:22 HTTP/1.1\r\n\r\n", "a".repeat(254));
        assert!(malformed(&long_host));
        let long_token = format!(
            "CONNECT a:22 HTTP/1.1\r\nProxy-Authorization: Bearer {}\r\n\r\n",
            "a".repeat(MAX_TOKEN_BYTES + 1)
        );
        assert!(malformed(&long_token));
    }

    #[test]
    fn a_header_over_the_limit_is_refused_at_the_limit() {
        let start = "CONNECT a:22 HTTP/1.1\r\nX: ";
        let fits = format!(
            "{start}{}\r\n\r\n",
            "x".repeat(MAX_HEADER_BYTES - start.len() - 4)
        );
        assert_eq!(fits.len(), MAX_HEADER_BYTES);
        assert!(parse(fits.as_bytes()).unwrap().is_some());
        let long = format!("{start}{}", "x".repeat(MAX_HEADER_BYTES - start.len()));
        assert_eq!(parse(long.as_bytes()), Err(HttpError::TooLong));
        let over = format!("{long}\r\n\r\n");
        assert_eq!(parse(over.as_bytes()), Err(HttpError::TooLong));
        assert_eq!(parse(&long.as_bytes()[..long.len() - 1]), Ok(None));
    }

    #[test]
    fn every_answer_says_how_long_it_is_and_what_to_do() {
        for error in [
            HttpError::Malformed("a reason"),
            HttpError::TooLong,
            HttpError::NoToken,
            HttpError::UnknownToken,
            HttpError::UnknownTarget,
            HttpError::AmbiguousTarget,
        ] {
            let response = error.response();
            let (head, body) = response.split_once("\r\n\r\n").unwrap();
            let (code, phrase) = error.status();
            assert!(head.starts_with(&format!("HTTP/1.1 {code} {phrase}\r\n")));
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
            assert!(body.len() > 30 && body.ends_with('\n'));
        }
    }

    #[test]
    fn the_token_is_in_no_debug_output() {
        let request = parse(GOOD.as_bytes()).unwrap().unwrap();
        assert!(!format!("{request:?}").contains("abc"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_bytes_make_it_panic_or_read_past_the_limit(
            flips in proptest::collection::vec((0..GOOD.len(), any::<u8>()), 0..6),
            tail in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut bytes = GOOD.as_bytes().to_vec();
            for (at, value) in flips {
                bytes[at] = value;
            }
            bytes.extend(tail);
            for length in 0..=bytes.len() {
                if let Ok(Some(request)) = parse(&bytes[..length]) {
                    prop_assert!(request.consumed <= length.min(MAX_HEADER_BYTES));
                    prop_assert!(request.port != 0);
                }
            }
        }
    }
}
