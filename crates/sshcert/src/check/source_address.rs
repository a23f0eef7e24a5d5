use alloc::vec::Vec;
use core::net::IpAddr;

use ipnet::IpNet;

/// Reads a `source-address` list as sshd's `addr_match_cidr_list` does: addresses or ranges between commas,
/// all of them right, host bits clear. Nothing else is an address list.
pub(crate) fn parse_source_addresses(list: &str) -> Option<Vec<IpNet>> {
    list.split(',').map(parse_range).collect()
}

fn parse_range(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address));
    }
    let (_, prefix) = text.split_once('/')?;
    // `ipnet` reads the digits itself; this keeps out what sshd does not write, such as `+8` or `08`.
    if prefix.len() > 1 && prefix.starts_with('0') || !prefix.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let range: IpNet = text.parse().ok()?;
    (range.trunc() == range).then_some(range)
}
