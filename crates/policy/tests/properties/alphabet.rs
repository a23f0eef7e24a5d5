//! Few values of each kind, so that documents and requests meet.

/// What an identity may carry as an address, and what of it counts: local part and domain lowered, and the alias.
pub(crate) type Address = (
    Option<&'static str>,
    Option<(&'static str, &'static str)>,
    Option<&'static str>,
);

#[rustfmt::skip]
pub(crate) const ADDRESSES: [Address; 10] = [
    (None, None, None),
    (Some("ann@example.com"), Some(("ann", "example.com")), Some("ann")),
    (Some("ANN@Example.COM"), Some(("ann", "example.com")), Some("ann")),
    (Some("root@example.com"), Some(("root", "example.com")), None),
    (Some("kim@example.org"), Some(("kim", "example.org")), Some("kim")),
    (Some("\u{212a}im@example.org"), None, None),
    (Some("ann@evil-example.com"), Some(("ann", "evil-example.com")), Some("ann")),
    (Some("ann@sub.example.com"), Some(("ann", "sub.example.com")), Some("ann")),
    (Some("ann@example.com@example.org"), None, None),
    (Some("@example.com"), None, None),
];

/// Client addresses, what they are compared as, and the IPv4 address behind a NAT64 one.
#[rustfmt::skip]
pub(crate) const CLIENTS: [(Option<&str>, Option<&str>, Option<&str>); 6] = [
    (None, None, None),
    (Some("10.1.2.3"), Some("10.1.2.3"), None),
    (Some("192.0.2.7"), Some("192.0.2.7"), None),
    (Some("::ffff:10.1.2.3"), Some("10.1.2.3"), None),
    (Some("64:ff9b::10.1.2.3"), Some("64:ff9b::a01:203"), Some("10.1.2.3")),
    (Some("2001:db8::1"), Some("2001:db8::1"), None),
];

pub(crate) const EMAILS: &[&str] = &["ann@example.com", "kim@example.org", "root@example.com"];
pub(crate) const DOMAINS: &[&str] = &["example.com", "example.org"];
pub(crate) const RANGES: &[&str] = &[
    "10.0.0.0/8",
    "10.1.0.0/16",
    "192.0.2.0/24",
    "2001:db8::/32",
    "64:ff9b::/96",
];
pub(crate) const COUNTRIES: &[&str] = &["PT", "US"];
pub(crate) const METHODS: &[&str] = &["hwk", "mfa", "pwd"];
pub(crate) const GROUPS: &[(&str, &str)] = &[("okta", "ops"), ("okta", "staff"), ("github", "ops")];
pub(crate) const CHECKS: &[(&str, u64)] = &[("disk", 60), ("disk", 600), ("firewall", 60)];
pub(crate) const TOKENS: &[&str] = &["ci", "cd"];
pub(crate) const USERS: &[&str] = &["root", "deploy", "ann", "kim"];
pub(crate) const ENVS: &[&str] = &["prod", "lab"];
pub(crate) const ACTIONS: &[&str] = &["list", "show", "end", "watch", "approve"];
pub(crate) const PORTS: &[u16] = &[22, 2222];
