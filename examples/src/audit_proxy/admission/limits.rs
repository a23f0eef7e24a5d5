//! How many connections there may be, and what counts as one source.

use std::net::IpAddr;

use ipnet::IpNet;

use super::table::Rule;
use super::waiting::Origin;

/// How many bits of an IPv4 address are one network among which places are shared out, 24: what is routed by itself has no more.
const NETWORK_IPV4_PREFIX: u8 = 24;

/// The same of IPv6, 48: what one site gets, in which it has 65536 sources of 64 bits.
const NETWORK_IPV6_PREFIX: u8 = 48;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// At once, in all.
    pub connections: usize,
    /// Of them, from when it is known where they come from until their clients are let in.
    pub unauthenticated: usize,
    /// From one source.
    pub source: Rule,
    /// Of one identity. Who it is says the door already, so that none of them counts as unauthenticated.
    pub identity: Rule,
    /// How many bits of an IPv4 address are a source: 32, since one address may stand for one person.
    pub ipv4_prefix: u8,
    /// How many bits of an IPv6 address are a source: 64, since a host has all addresses of that many.
    pub ipv6_prefix: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1000,
            unauthenticated: 250,
            source: Rule {
                connections: 256,
                unauthenticated: 64,
                per_minute: 600,
            },
            identity: Rule {
                connections: 256,
                unauthenticated: usize::MAX,
                per_minute: 600,
            },
            ipv4_prefix: 32,
            ipv6_prefix: 64,
        }
    }
}

impl Limits {
    /// What an address counts as.
    pub(super) fn source(&self, address: IpAddr) -> IpNet {
        around(address, self.ipv4_prefix, self.ipv6_prefix)
    }

    /// The source, and the network that it is in.
    pub(super) fn origin(&self, address: IpAddr) -> Origin {
        let ipv4_prefix = self.ipv4_prefix.min(NETWORK_IPV4_PREFIX);
        let ipv6_prefix = self.ipv6_prefix.min(NETWORK_IPV6_PREFIX);
        Origin {
            network: around(address, ipv4_prefix, ipv6_prefix),
            source: self.source(address),
        }
    }
}

fn around(address: IpAddr, ipv4_prefix: u8, ipv6_prefix: u8) -> IpNet {
    let address = address.to_canonical();
    let prefix = match address {
        IpAddr::V4(_) => ipv4_prefix.min(32),
        IpAddr::V6(_) => ipv6_prefix.min(128),
    };
    IpNet::new(address, prefix).map_or(IpNet::from(address), |net| net.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_address_or_the_network_of_one_subscriber() {
        let limits = Limits::default();
        let source = |text: &str| limits.source(text.parse().unwrap()).to_string();
        assert_eq!(source("192.0.2.7"), "192.0.2.7/32");
        assert_eq!(source("::ffff:192.0.2.7"), "192.0.2.7/32");
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    }
}
