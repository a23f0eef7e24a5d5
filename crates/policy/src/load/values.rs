//! The small values of a document: each text becomes a type, or a problem.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use ipnet::IpNet;

use super::reader::{Items, Node, Quoted, Reader};
use crate::email::{Email, is_domain};
use crate::facts::country_code;
use crate::limits::{MAX_DURATION, MAX_HOSTNAME_BYTES, MAX_NAME_BYTES};

/// Authentication methods that RFC 8176 section 2 registers.
const REGISTERED_METHODS: [&str; 23] = [
    "face", "fpt", "geo", "hwk", "iris", "kba", "mca", "mfa", "otp", "pin", "pop", "pwd", "rba",
    "retina", "sc", "sms", "swk", "tel", "user", "vbm", "wia", "fido", "phr",
];

/// A name that the document gives to something or quotes from somewhere: any text of reasonable length without control characters.
pub(super) fn name<'p>(reader: &mut Reader<'_>, node: &Node<'p>) -> Option<&'p str> {
    let text = reader.string(node)?;
    let fault = if text.trim().is_empty() {
        "a name is empty".to_string()
    } else if text.len() > MAX_NAME_BYTES {
        format!("a name is longer than {MAX_NAME_BYTES} bytes")
    } else if text.chars().any(char::is_control) {
        "a name has control characters".to_string()
    } else if text.trim() != text {
        "a name begins or ends with a space".to_string()
    } else {
        return Some(text);
    };
    reader.problem(node, fault, "write a short name");
    None
}

/// Names, sorted, each once.
pub(super) fn names(reader: &mut Reader<'_>, node: &Node<'_>) -> Box<[Box<str>]> {
    each(reader, node, |reader, item| {
        name(reader, item).map(Box::from)
    })
}

/// One value or several, each read by `read`; sorted, each once.
pub(super) fn each<T: Ord>(
    reader: &mut Reader<'_>,
    node: &Node<'_>,
    mut read: impl FnMut(&mut Reader<'_>, &Node<'_>) -> Option<T>,
) -> Box<[T]> {
    let items = reader.one_or_more(node);
    let mut values = exactly(items, |item| read(reader, &item));
    values.sort_unstable();
    values.dedup();
    values.into()
}

/// What the items give, with no room for more.
pub(super) fn exactly<'n, T>(items: Items<'n>, read: impl FnMut(Node<'n>) -> Option<T>) -> Vec<T> {
    let mut values = Vec::with_capacity(items.len());
    values.extend(items.filter_map(read));
    values
}

pub(super) fn email(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Box<str>> {
    let text = reader.string(node)?;
    match Email::parse(text) {
        Ok(email) => Some(email.whole.to_ascii_lowercase().into()),
        Err(fault) => {
            let what = format!("{} is no e-mail address: {fault}", Quoted(text));
            reader.problem(
                node,
                what,
                "write `name@example.com`, a domain with other letters in its `xn--` form",
            );
            None
        }
    }
}

pub(super) fn email_domain(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Box<str>> {
    let text = reader.string(node)?;
    if is_domain(text) {
        return Some(text.to_ascii_lowercase().into());
    }
    let help = match text.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| is_domain(domain)) {
        Some(domain) => format!("write `{domain}`"),
        None => "write what stands after the `@`, as in `example.com`, a domain with other letters in its `xn--` form".to_string(),
    };
    reader.problem(
        node,
        format_args!("{} is no domain name", Quoted(text)),
        help,
    );
    None
}

/// A range of addresses, or one address.
pub(super) fn ip(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<IpNet> {
    let text = reader.string(node)?;
    let range = parse_range(text);
    let Some(range) = range else {
        reader.problem(
            node,
            format_args!("{} is no address range", Quoted(text)),
            "write `192.0.2.0/24`, `2001:db8::/32` or one address",
        );
        return None;
    };
    if range.trunc() != range {
        let help = format!(
            "write `{}` for the range or `{}` for the one address",
            range.trunc(),
            IpNet::from(range.addr())
        );
        reader.problem(
            node,
            format_args!("{} names a range by an address inside it", Quoted(text)),
            help,
        );
        return None;
    }
    if let IpAddr::V6(address) = range.addr()
        && let (Some(inner), Some(length)) =
            (address.to_ipv4_mapped(), range.prefix_len().checked_sub(96))
    {
        let what = format!(
            "{} is an IPv4 range in IPv6 form, which no client address is compared with",
            Quoted(text)
        );
        reader.problem(node, what, format_args!("write `{inner}/{length}`"));
        return None;
    }
    Some(range)
}

/// An address as `core` reads it (no leading zeros, which some programs take for octal), and perhaps a prefix length in plain digits.
fn parse_range(text: &str) -> Option<IpNet> {
    let Some((address, length)) = text.split_once('/') else {
        return text.parse::<IpAddr>().ok().map(IpNet::from);
    };
    let is_plain = length == "0"
        || (!length.starts_with('0') && length.bytes().all(|byte| byte.is_ascii_digit()));
    let (address, length) = (address.parse().ok()?, length.parse().ok()?);
    IpNet::new(address, length).ok().filter(|_| is_plain)
}

pub(super) fn country(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<[u8; 2]> {
    let text = reader.string(node)?;
    let code = country_code(text);
    if code.is_none() {
        reader.problem(
            node,
            format_args!("{} is no country code", Quoted(text)),
            "write two letters of ISO 3166-1, as in `PT`; `XX` and `ZZ` mean that the country is unknown",
        );
    }
    code
}

pub(super) fn authentication_method(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Box<str>> {
    let text = name(reader, node)?;
    if !REGISTERED_METHODS.contains(&text) {
        let what = format!(
            "{} is no authentication method that RFC 8176 knows",
            Quoted(text)
        );
        reader.warn(node, what, "write `mfa`, `hwk`, `otp` or another of its names, if your identity provider reports them");
    }
    Some(text.into())
}

/// The host name of a target, in lower case. It need not be in the DNS, so it may hold more than letters, digits and hyphens.
pub(super) fn hostname(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Box<str>> {
    let text = name(reader, node)?;
    let what = if text.len() > MAX_HOSTNAME_BYTES {
        format!("a host name is longer than {MAX_HOSTNAME_BYTES} bytes")
    } else if text.contains(['*', '?']) {
        "there are no wildcards in host names".to_string()
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        "a host name has spaces or characters outside ASCII".to_string()
    } else {
        return Some(text.to_ascii_lowercase().into());
    };
    reader.problem(node, what, "write the target's host name, or give the targets a tag and write `{ tag = { role = \"web\" } }`");
    None
}

/// A duration of at least one second: `90s`, `30m`, `8h`, `7d`.
pub(super) fn duration(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Duration> {
    duration_from(reader, node, 1)
}

/// A duration that may be `0m`.
pub(super) fn duration_or_zero(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Duration> {
    duration_from(reader, node, 0)
}

fn duration_from(reader: &mut Reader<'_>, node: &Node<'_>, min_secs: u64) -> Option<Duration> {
    const HELP: &str = "write a number with `s`, `m`, `h` or `d`, as in `\"8h\"`";
    if node.is_integer() {
        reader.problem(node, "a duration needs a unit", HELP);
        return None;
    }
    let text = reader.string(node)?;
    let Some(duration) = parse_duration(text) else {
        reader.problem(node, format_args!("{} is no duration", Quoted(text)), HELP);
        return None;
    };
    if duration.as_secs() < min_secs || duration > MAX_DURATION {
        let days = MAX_DURATION.as_secs() / SECS_PER_DAY;
        reader.problem(
            node,
            format_args!("{} is out of range", Quoted(text)),
            format_args!("write a duration from `{min_secs}s` to `{days}d`"),
        );
        return None;
    }
    Some(duration)
}

const SECS_PER_DAY: u64 = 24 * 60 * 60;

/// A number too large for the type counts as very long, which is reported as out of range.
fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.len().checked_sub(1)?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let unit_secs = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => SECS_PER_DAY,
        _ => return None,
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = number.parse::<u64>().unwrap_or(u64::MAX);
    Some(Duration::from_secs(number.saturating_mul(unit_secs)))
}

/// What `true` must stand for: a selector that is switched on by being there.
pub(super) fn switched_on(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<()> {
    if reader.boolean(node)? {
        return Some(());
    }
    let help: String =
        "write `true`, or remove the rule; to say the contrary, write it in `exclude`".to_string();
    reader.problem(node, "a rule cannot be switched off", help);
    None
}
