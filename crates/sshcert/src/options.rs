use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::OptionError;
use crate::wire::put_string;

/// The longest forced command, in bytes: the shortest argument length that POSIX promises.
pub const MAX_FORCE_COMMAND_BYTES: usize = 4096;
/// The longest name of a custom option, in bytes: the longest SSH name (RFC 4251 section 6).
pub const MAX_OPTION_NAME_BYTES: usize = 64;
/// The longest value of a custom option, in bytes.
pub const MAX_OPTION_VALUE_BYTES: usize = 4096;
/// The most ranges in one `source-address`.
pub const MAX_SOURCE_ADDRESSES: usize = 64;

pub(crate) const FORCE_COMMAND: &str = "force-command";
pub(crate) const SOURCE_ADDRESS: &str = "source-address";
pub(crate) const VERIFY_REQUIRED: &str = "verify-required";

/// What a user certificate permits (PROTOCOL.certkeys, "Extensions"). A certificate without any permits
/// running commands and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Extension {
    /// `permit-pty`: a terminal.
    PermitPty,
    /// `permit-port-forwarding`: forwarding of ports and sockets, either way.
    PermitPortForwarding,
    /// `permit-agent-forwarding`: use of the client's agent.
    PermitAgentForwarding,
    /// `permit-X11-forwarding`: use of the client's display.
    PermitX11Forwarding,
    /// `permit-user-rc`: running `~/.ssh/rc`.
    PermitUserRc,
    /// `no-touch-required`: a security key may sign without being touched.
    NoTouchRequired,
}

impl Extension {
    /// Every extension that OpenSSH defines.
    pub const ALL: [Self; 6] = [
        Self::PermitPty,
        Self::PermitPortForwarding,
        Self::PermitAgentForwarding,
        Self::PermitX11Forwarding,
        Self::PermitUserRc,
        Self::NoTouchRequired,
    ];

    /// The name in the certificate.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PermitPty => "permit-pty",
            Self::PermitPortForwarding => "permit-port-forwarding",
            Self::PermitAgentForwarding => "permit-agent-forwarding",
            Self::PermitX11Forwarding => "permit-X11-forwarding",
            Self::PermitUserRc => "permit-user-rc",
            Self::NoTouchRequired => "no-touch-required",
        }
    }
}

/// A critical option or extension that OpenSSH does not define: `name@domain`, perhaps with a value.
///
/// A server that does not know a custom *critical option* refuses the certificate; it ignores a custom *extension*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomOption {
    name: String,
    value: Option<String>,
}

impl CustomOption {
    /// An option without a value.
    ///
    /// # Errors
    /// [`OptionError`] unless the name is `name@domain`, visible ASCII without commas, of at most [`MAX_OPTION_NAME_BYTES`].
    pub fn flag(name: &str) -> Result<Self, OptionError> {
        Self::checked(name, None)
    }

    /// An option with a value, as `ssh-keygen -O extension:name@domain=value` writes it.
    ///
    /// # Errors
    /// [`OptionError`] as for [`flag`](Self::flag), and when the value is empty, has control characters or is over
    /// [`MAX_OPTION_VALUE_BYTES`].
    pub fn with_value(name: &str, value: &str) -> Result<Self, OptionError> {
        check_value(value, MAX_OPTION_VALUE_BYTES)?;
        Self::checked(name, Some(value))
    }

    fn checked(name: &str, value: Option<&str>) -> Result<Self, OptionError> {
        if name.len() > MAX_OPTION_NAME_BYTES {
            return Err(OptionError::TooLong {
                limit: MAX_OPTION_NAME_BYTES,
                got: name.len(),
            });
        }
        let word = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && b != b',' && b != b'@')
        };
        match name.split_once('@') {
            Some((local, domain)) if word(local) && word(domain) => Ok(Self {
                name: name.to_string(),
                value: value.map(ToString::to_string),
            }),
            _ => Err(OptionError::Name),
        }
    }
}

/// Critical options or extensions, kept in the order in which they must be written: by the bytes of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OptionList(BTreeMap<String, Option<String>>);

impl OptionList {
    pub(crate) fn insert(&mut self, name: &str, value: Option<&str>) -> Result<(), OptionError> {
        match self.0.entry(name.to_string()) {
            Entry::Occupied(_) => Err(OptionError::Duplicate),
            Entry::Vacant(vacant) => {
                vacant.insert(value.map(ToString::to_string));
                Ok(())
            }
        }
    }

    pub(crate) fn insert_custom(&mut self, option: &CustomOption) -> Result<(), OptionError> {
        self.insert(&option.name, option.value.as_deref())
    }

    /// Sets a flag; setting it again changes nothing.
    pub(crate) fn set(&mut self, name: &str) {
        self.0.entry(name.to_string()).or_default();
    }

    /// The wire form: tuples of `string name, string data`, data empty or holding one string.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in &self.0 {
            put_string(&mut out, name.as_bytes());
            let mut data = Vec::new();
            if let Some(value) = value {
                put_string(&mut data, value.as_bytes());
            }
            put_string(&mut out, &data);
        }
        out
    }
}

/// Neither empty nor over the limit nor with control characters.
pub(crate) fn check_value(value: &str, limit: usize) -> Result<(), OptionError> {
    if value.is_empty() {
        return Err(OptionError::Empty);
    }
    if value.len() > limit {
        return Err(OptionError::TooLong {
            limit,
            got: value.len(),
        });
    }
    match value.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(OptionError::Character { at }),
        None => Ok(()),
    }
}
