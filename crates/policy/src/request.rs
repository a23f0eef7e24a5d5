//! The facts that a decision rests on. All of them come from the caller, none is looked up here.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// One question: may this identity, on this device, from this network, be this user on this target, now?
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who asks.
    pub identity: &'a Identity,
    /// The device they sit at.
    pub device: &'a Device,
    /// Where the connection comes from.
    pub network: &'a Network,
    /// Where it goes.
    pub target: &'a Target,
    /// The Unix user asked for, exactly as the client sent it; `None` asks whether any user could be allowed.
    pub user: Option<&'a str>,
    /// The time since the Unix epoch.
    pub now: Duration,
}

/// Who asks, as the identity provider vouches for them.
///
/// An empty list and `None` both mean *not supplied*, which is not the same as *known to have none*: see rule S4 of SPEC.md.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The e-mail address. Only a plain ASCII `local@domain` is believed; anything else counts as not supplied (rules E1 to E5 of SPEC.md).
    pub email: Option<String>,
    /// The identity provider's stable name for this person or token (the `sub` claim).
    pub subject: String,
    /// Who vouches for this (the `iss` claim).
    pub issuer: String,
    /// A person or a service token.
    pub kind: IdentityKind,
    /// Memberships, by the provider that knows them.
    pub groups: Vec<Group>,
    /// How they proved who they are: RFC 8176 values such as `hwk` or `mfa`.
    pub authentication_methods: Vec<String>,
    /// The provider or method they logged in through.
    pub login_method: Option<String>,
    /// When they last logged in, since the Unix epoch.
    pub authenticated_at: Option<Duration>,
    /// The country they logged in from, ISO 3166-1 alpha-2. Stands in when [`Network::country`] is not supplied.
    pub country: Option<String>,
}

/// Whether a human being or a program asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IdentityKind {
    /// A human being who logged in.
    #[default]
    Person,
    /// A program that holds a token.
    ServiceToken {
        /// The name of the token.
        name: String,
    },
}

/// A membership that an identity provider reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The provider, for example `okta`.
    pub provider: String,
    /// The group's name or id at that provider.
    pub name: String,
}

/// The device that the identity sits at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The device's id, if it has one.
    pub id: Option<String>,
    /// Whether the organization manages it.
    pub managed: bool,
    /// What the posture checks found. Of several results of one check the newest counts.
    pub posture: Vec<PostureResult>,
}

/// The outcome of one posture check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostureResult {
    /// The name of the check, for example `disk_encryption`.
    pub check: String,
    /// Whether the device passed.
    pub passed: bool,
    /// When it was checked, since the Unix epoch.
    pub checked_at: Duration,
}

/// Where the connection comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The client's address.
    pub client_addr: Option<IpAddr>,
    /// The virtual network that the client is in.
    pub virtual_network: Option<String>,
    /// The country that the client's address lies in, ISO 3166-1 alpha-2. Not supplied where it is unknown.
    pub country: Option<String>,
}

/// Where the connection goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The unique id.
    pub id: String,
    /// The host name; it need not be unique nor in the DNS, and its case does not matter.
    pub hostname: String,
    /// The address.
    pub address: Option<IpAddr>,
    /// The virtual network that the address belongs to.
    pub virtual_network: Option<String>,
    /// The TCP port.
    pub port: u16,
    /// All tags. A tag that is not here is known to be absent.
    pub tags: BTreeMap<String, String>,
}
