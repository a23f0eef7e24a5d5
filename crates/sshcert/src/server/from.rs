//! Lists of address patterns (ssh_config(5), "PATTERNS"), matched as sshd does with `UseDNS no`.

use alloc::string::ToString;
use core::net::IpAddr;

use ipnet::IpNet;

/// Whether an address is in a list of addresses, ranges and patterns between commas. One with a `!` that matches
/// refuses, whatever else does.
pub(super) fn is_match(list: &str, address: IpAddr) -> bool {
    let text = address.to_string();
    let mut is_found = false;
    for pattern in list.split(',') {
        let (is_negated, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        let matches = match range(pattern) {
            Some(range) if range.trunc() != range => return false,
            Some(range) => range.contains(&address),
            None => is_pattern_match(pattern.as_bytes(), text.as_bytes()),
        };
        if matches && is_negated {
            return false;
        }
        is_found |= matches;
    }
    is_found
}

fn range(text: &str) -> Option<IpNet> {
    let single = text.parse::<IpAddr>().map(IpNet::from);
    single.ok().or_else(|| text.parse().ok())
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
        ] {
            let address = address.parse().unwrap();
            assert_eq!(is_match(list, address), expected, "{list} {address}");
        }
    }
}
