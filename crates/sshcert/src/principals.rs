use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::PrincipalsError;

/// The most names in one certificate: `SSHKEY_CERT_MAX_PRINCIPALS` of OpenSSH.
pub const MAX_PRINCIPALS: usize = 256;
/// The longest name, in bytes: what a DNS name or a Unix user name can have.
pub const MAX_PRINCIPAL_BYTES: usize = 255;

/// The names a certificate is for: Unix users, roles, or hostnames. At least one, each once, in order.
///
/// Names are visible ASCII without `,` (separates names for `ssh-keygen`), `*`, `?`, `!` (patterns in
/// host checks) and `"` (quotes in `authorized_principals` files).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principals(Vec<String>);

impl Principals {
    /// Exactly one name.
    ///
    /// # Errors
    /// [`PrincipalsError`] when the name is not allowed.
    pub fn one(name: &str) -> Result<Self, PrincipalsError> {
        Self::new([name])
    }

    /// One or more names.
    ///
    /// # Errors
    /// [`PrincipalsError`] when there is none, too many, one twice, or one that is not allowed.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, PrincipalsError> {
        let mut checked: Vec<String> = Vec::new();
        for name in names {
            let name = name.as_ref();
            check_name(name)?;
            if checked.iter().any(|known| known == name) {
                return Err(PrincipalsError::Duplicate);
            }
            if checked.len() == MAX_PRINCIPALS {
                return Err(PrincipalsError::TooMany {
                    limit: MAX_PRINCIPALS,
                });
            }
            checked.push(name.to_string());
        }
        if checked.is_empty() {
            return Err(PrincipalsError::None);
        }
        Ok(Self(checked))
    }

    /// The names, in the order they were given. Never empty.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), PrincipalsError> {
    if name.is_empty() {
        return Err(PrincipalsError::Empty);
    }
    if name.len() > MAX_PRINCIPAL_BYTES {
        return Err(PrincipalsError::TooLong {
            limit: MAX_PRINCIPAL_BYTES,
            got: name.len(),
        });
    }
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b",*?!\"".contains(&byte);
    match name.bytes().position(|byte| !allowed(byte)) {
        Some(at) => Err(PrincipalsError::Character { at }),
        None => Ok(()),
    }
}
