//! A request, looked at once: addresses, e-mail and country in the only form in which rules compare them.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use crate::email::Email;
use crate::limits::MAX_CLOCK_SKEW;
use crate::request::{IdentityKind, Request};

/// What rules ask a request for.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) email: Option<Email<'a>>,
    pub(crate) address: Option<IpAddr>,
    /// The IPv4 address inside a NAT64 address, RFC 6052 section 2.1.
    pub(crate) translated: Option<IpAddr>,
    pub(crate) country: Option<[u8; 2]>,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(request: &'a Request<'a>) -> Self {
        let address = request
            .network
            .client_addr
            .map(|address| address.to_canonical());
        let country = request
            .network
            .country
            .as_deref()
            .or(request.identity.country.as_deref());
        Self {
            request,
            email: request
                .identity
                .email
                .as_deref()
                .and_then(|text| Email::parse(text).ok()),
            address,
            translated: address.and_then(translated),
            country: country.and_then(country_code),
        }
    }

    pub(crate) fn is_token(&self) -> bool {
        matches!(
            self.request.identity.kind,
            IdentityKind::ServiceToken { .. }
        )
    }

    /// How long ago `then` was; nothing if it lies further in the future than clocks differ.
    pub(crate) fn age(&self, then: Duration) -> Option<Duration> {
        match self.request.now.checked_sub(then) {
            Some(age) => Some(age),
            None => {
                (then.saturating_sub(self.request.now) <= MAX_CLOCK_SKEW).then_some(Duration::ZERO)
            }
        }
    }
}

/// The IPv4 address in the last 32 bits of the well-known NAT64 prefix `64:ff9b::/96`.
fn translated(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let [0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] = address.octets() else {
        return None;
    };
    Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
}

/// What geolocation and CLDR write for "unknown country"; ISO 3166-1 leaves both to its users.
const UNKNOWN_COUNTRIES: [[u8; 2]; 2] = [*b"XX", *b"ZZ"];

/// A country code in upper case: two letters, or a letter and a digit for the codes that geolocation adds (`T1` for Tor).
/// A code for "unknown" is none: as a country it would be one that no exclude names.
pub(crate) fn country_code(text: &str) -> Option<[u8; 2]> {
    let [first, second] = *text.as_bytes() else {
        return None;
    };
    let code = [first.to_ascii_uppercase(), second.to_ascii_uppercase()];
    (first.is_ascii_alphabetic()
        && second.is_ascii_alphanumeric()
        && !UNKNOWN_COUNTRIES.contains(&code))
    .then_some(code)
}
