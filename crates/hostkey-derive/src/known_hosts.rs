//! Files of known hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"), for the clients of a fleet that no one should have to ask.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand_core::CryptoRng;
use sha1::Sha1;
use ssh_key::PublicKey;

use crate::{DerivedHostKey, HostNameError};

/// The bytes of the salt of a hashed name: those of a SHA-1, as OpenSSH demands.
const SALT_BYTES: usize = 20;
/// The longest host name, in bytes: the longest DNS name.
pub const MAX_HOST_NAME_BYTES: usize = 255;

/// A host as clients look it up: in lower case, with the port in brackets unless it is 22.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostName(String);

impl HostName {
    /// A name, or an address, that people type; and the port they reach it at.
    ///
    /// # Errors
    /// [`HostNameError`] unless it is of letters, digits and `. - _ :`, or longer than [`MAX_HOST_NAME_BYTES`].
    pub fn new(host: &str, port: u16) -> Result<Self, HostNameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        if host.is_empty() || host.starts_with('-') || !host.bytes().all(allowed) {
            return Err(HostNameError::Character);
        }
        if host.len() > MAX_HOST_NAME_BYTES {
            return Err(HostNameError::TooLong {
                limit: MAX_HOST_NAME_BYTES,
                got: host.len(),
            });
        }
        let host = host.to_ascii_lowercase();
        Ok(Self(match port {
            22 => host,
            _ => format!("[{host}]:{port}"),
        }))
    }

    /// As it stands in a file: `host` or `[host]:port`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The known hosts of a fleet, in the order they were added.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    hosts: Vec<(Vec<HostName>, String)>,
    authorities: Vec<String>,
}

impl KnownHosts {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A host, under all its names, with one of its keys. Without a name it is left out.
    pub fn add(&mut self, names: &[HostName], key: &DerivedHostKey) {
        if !names.is_empty() {
            let line = key_line(key.algorithm().name(), key.public_key_blob());
            self.hosts.push((names.to_vec(), line));
        }
    }

    /// An authority whose host certificates are taken for all hosts under a domain: `@cert-authority *.DOMAIN`.
    ///
    /// # Errors
    /// [`HostNameError`] when it is no domain; [`HostNameError::Key`] when the key cannot be written.
    pub fn add_authority(
        &mut self,
        domain: &str,
        authority: &PublicKey,
    ) -> Result<(), HostNameError> {
        let domain = HostName::new(domain, 22)?;
        let blob = authority.to_bytes().map_err(|_| HostNameError::Key)?;
        let key = key_line(authority.algorithm().as_str(), &blob);
        let line = format!("@cert-authority *.{} {key}\n", domain.as_str());
        self.authorities.push(line);
        Ok(())
    }

    /// The file, names readable.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = self.authorities.concat();
        for (names, key) in &self.hosts {
            let names: Vec<&str> = names.iter().map(HostName::as_str).collect();
            text.push_str(&format!("{} {key}\n", names.join(",")));
        }
        text
    }

    /// The file, names hashed as by `ssh-keygen -H`: who reads it must guess them. Authorities stay readable, since patterns cannot be
    /// hashed.
    #[must_use]
    pub fn to_hashed_text(&self, rng: &mut impl CryptoRng) -> String {
        let mut text = self.authorities.concat();
        for (names, key) in &self.hosts {
            for name in names {
                let mut salt = [0; SALT_BYTES];
                rng.fill_bytes(&mut salt);
                text.push_str(&format!("{} {key}\n", hashed(name, &salt)));
            }
        }
        text
    }
}

/// `|1|salt|HMAC-SHA1(salt, name)`.
fn hashed(name: &HostName, salt: &[u8; SALT_BYTES]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(salt) else {
        return String::new();
    };
    mac.update(name.as_str().as_bytes());
    let hash = mac.finalize().into_bytes();
    format!(
        "|1|{}|{}",
        Base64::encode_string(salt),
        Base64::encode_string(&hash)
    )
}

fn key_line(name: &str, blob: &[u8]) -> String {
    format!("{name} {}", Base64::encode_string(blob))
}
