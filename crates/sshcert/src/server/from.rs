//! Lists of address patterns (ssh_config(5), "PATTERNS"), matched as sshd does with `UseDNS no`.

use alloc::string::ToString;
use core::net::IpAddr;

use ipnet::IpNet;

/// Whether an address is in a list of addresses, ranges and patterns between commas. One with a `!` that matches
/// refuses, whatever else does; so does one that is empty, or an address or range that is not written as such.
pub(super) fn is_match(list: &str, address: IpAddr) -> bool {
    let text = address.to_string();
    let mut is_found = false;
    for pattern in list.split(',') {
        let (is_negated, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        let matches = match Pattern::parse(pattern) {
            Pattern::Wrong => return false,
            Pattern::Range(range) => range.contains(&address),
            Pattern::Text => is_pattern_match(pattern.as_bytes(), text.as_bytes()),
        };
        if matches && is_negated {
            return false;
        }
        is_found |= matches;
    }
    is_found
}

/// What stands between two commas.
enum Pattern {
    Range(IpNet),
    Text,
    Wrong,
}

impl Pattern {
    fn parse(text: &str) -> Self {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            // sshd reads `127.1` as an address too: here nobody is let in by what only looks like one.
            let mut bytes = address.bytes();
            let looks_like_one = bytes
                .all(|byte| byte.is_ascii_hexdigit() || b"xX.:".contains(&byte))
                && address.contains(|c: char| c.is_ascii_digit());
            return if address.is_empty() || looks_like_one {
                Self::Wrong
            } else {
                Self::Text
            };
        };
        let range = match prefix {
            None => Some(IpNet::from(address)),
            Some(prefix) if prefix.starts_with('+') => None,
            Some(prefix) => prefix
                .parse()
                .ok()
                .and_then(|bits| IpNet::new(address, bits).ok())
                .filter(|range| range.trunc() == *range),
        };
        range.map_or(Self::Wrong, Self::Range)
    }
}

/// `*` stands for any text, `?` for one character. Time is bounded by the product of the lengths.
fn is_pattern_match(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Where to go on when what follows the last `*` does not match here: one character later.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', after)), _) => {
                pattern = after;
                retry = Some((after, text));
            }
            (Some((expected, after)), Some((got, rest))) if matches(*expected, *got) => {
                (pattern, text) = (after, rest);
            }
            (None, None) => return true,
            _ => match retry.and_then(|(after, from)| Some((after, from.split_first()?.1))) {
                Some((after, from)) => {
                    (pattern, text) = (after, from);
                    retry = Some((after, from));
                }
                None => return false,
            },
        }
    }
}

fn matches(expected: u8, got: u8) -> bool {
    expected == b'?' || expected.eq_ignore_ascii_case(&got)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_ranges_and_negation_are_matched_as_written() {
        for (list, address, expected) in [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.1.2.3/8", "10.1.2.3", false),
            ("10.1.*", "10.1.2.3", true),
            ("10.1.*.4", "10.1.2.3", false),
            ("10.?.2.3", "10.1.2.3", true),
            ("*", "10.1.2.3", true),
            ("*.*.*.*.*", "10.1.2.3", false),
            ("2001:DB8:*", "2001:db8::1", true),
            ("10.0.0.0/8,!10.1.2.3", "10.1.2.3", false),
            ("!10.1.2.3,10.0.0.0/8", "10.1.2.4", true),
            ("!192.0.2.1", "10.1.2.3", false),
            ("host.example.com", "10.1.2.3", false),
            ("", "10.1.2.3", false),
            ("10.1.2.3,", "10.1.2.3", false),
            (",10.1.2.3", "10.1.2.3", false),
            ("10.1.2.3,!", "10.1.2.3", false),
            ("10.1.2.3,192.0.2.0/33", "10.1.2.3", false),
            ("10.1.2.3,192.0.2.0/x", "10.1.2.3", false),
            ("10.1.2.3,!192.0.2", "10.1.2.3", false),
            ("10.0.0.0/08", "10.1.2.3", true),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(is_match(list, address), expected, "{list} {address}");
        }
    }
}
