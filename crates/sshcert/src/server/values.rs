//! The syntax of the values of options that do not decide a login: sshd passes over a whole line for a wrong one.

/// The longest host name that sshd reads, in bytes: `NI_MAXHOST` less its NUL.
const MAX_HOST_BYTES: usize = 1024;
/// The highest number of a tunnel device: `SSH_TUNID_MAX`.
const MAX_TUNNEL: u32 = 0x7fff_fffd;

/// `NAME=…`, the name of letters, digits and underscores.
pub(super) fn is_environment(value: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    value
        .split_once('=')
        .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(allowed))
}

/// `HOST:PORT`, the host perhaps in brackets, the port perhaps `*`.
pub(super) fn is_permitopen(value: &str) -> bool {
    let split = match value.starts_with('[') {
        true => value
            .split_once(']')
            .and_then(|(host, rest)| Some((host.len() + 1, rest.strip_prefix([':', '/'])?))),
        false => value
            .split_once([':', '/'])
            .map(|(host, port)| (host.len(), port)),
    };
    split.is_some_and(|(host_bytes, port)| host_bytes <= MAX_HOST_BYTES && is_port(port))
}

/// As [`is_permitopen`], or a port alone.
pub(super) fn is_permitlisten(value: &str) -> bool {
    match value.contains(':') {
        true => is_permitopen(value),
        false => is_port(value),
    }
}

/// A number or `any`.
pub(super) fn is_tunnel(value: &str) -> bool {
    value.eq_ignore_ascii_case("any") || number(value).is_some_and(|number| number <= MAX_TUNNEL)
}

/// `*` or a number but 0. sshd takes the names of services too, which its own machine has to know.
fn is_port(text: &str) -> bool {
    text == "*" || number(text).is_some_and(|port| (1..=65_535).contains(&port))
}

fn number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok())?
}
