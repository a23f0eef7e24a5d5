//! What a granted session may do. Everything that is not granted is refused.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::limits::DEFAULT_MAX_CHANNELS;

/// Environment variables that a client may set when a policy does not say: the locale, what the terminal can do, and the git wire protocol.
const DEFAULT_ENV: [&str; 6] = [
    "COLORTERM",
    "GIT_PROTOCOL",
    "LANG",
    "LC_*",
    "NO_COLOR",
    "TERM",
];

/// What a session may do.
///
/// [`Default`] is what a policy grants that does not say: shell, exec, pty, the subsystem `sftp`, harmless environment variables and
/// [`DEFAULT_MAX_CHANNELS`] channels. Forwardings, agent and X11 have no field: they cannot be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// An interactive shell (RFC 4254 section 6.5).
    pub shell: bool,
    /// A single command (RFC 4254 section 6.5).
    pub exec: bool,
    /// A pseudo-terminal (RFC 4254 section 6.2).
    pub pty: bool,
    /// Subsystems by exact name (RFC 4254 section 6.5).
    pub subsystems: NameSet,
    /// Environment variables (RFC 4254 section 6.4).
    pub env: NamePatterns,
    /// Channels open at the same time, at least 1.
    pub max_channels: u32,
}

impl Permissions {
    /// Whether the subsystem `name` may be started. Names are compared byte for byte.
    #[must_use]
    pub fn allows_subsystem(&self, name: &str) -> bool {
        self.subsystems.contains(name)
    }

    /// Whether the client may set the environment variable `name`. Names are compared byte for byte.
    #[must_use]
    pub fn allows_env(&self, name: &[u8]) -> bool {
        self.env.matches(name)
    }
}

impl Default for Permissions {
    fn default() -> Self {
        Self {
            shell: true,
            exec: true,
            pty: true,
            subsystems: NameSet::from_iter(["sftp"]),
            env: NamePatterns::from_iter(DEFAULT_ENV),
            max_channels: DEFAULT_MAX_CHANNELS,
        }
    }
}

/// A set of exact names, in alphabetical order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameSet(BTreeSet<Box<str>>);

impl NameSet {
    /// Whether `name` is in the set, byte for byte.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// The names in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl<'a> FromIterator<&'a str> for NameSet {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        Self(names.into_iter().map(Box::from).collect())
    }
}

/// Names, each exact or, with a `*` as its last character, a beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamePatterns(Vec<Box<str>>);

impl NamePatterns {
    /// Whether one of the patterns covers `name`, byte for byte.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.0
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning.as_bytes()),
                None => name == pattern.as_bytes(),
            })
    }

    /// The patterns in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl<'a> FromIterator<&'a str> for NamePatterns {
    fn from_iter<I: IntoIterator<Item = &'a str>>(patterns: I) -> Self {
        Self(patterns.into_iter().map(Box::from).collect())
    }
}
