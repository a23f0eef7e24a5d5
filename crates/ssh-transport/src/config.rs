//! How a machine is set up.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;

use crate::algorithms::{Algorithms, HostKeyAlgorithm};
use crate::auth::PUBLICKEY_METHOD;
use crate::crypto::Provider;
use crate::limits::{Limits, RekeyPolicy};

/// Default of [`ServerConfig::login_grace`] and [`ClientConfig::login_grace`]: as long as OpenSSH's `LoginGraceTime`.
const LOGIN_GRACE: Duration = Duration::from_secs(120);

/// Default of [`ServerConfig::rekey_grace`] and [`ClientConfig::rekey_grace`], 10 min: a few MiB that wait before this side's part take
/// minutes on a slow line. OpenSSH waits for ever, unless its alive messages go unanswered.
pub const REKEY_GRACE: Duration = Duration::from_secs(600);

/// The default identification.
const IDENTIFICATION: &str = concat!("SSH-2.0-ssh-transport_", env!("CARGO_PKG_VERSION"));

/// How a [`crate::Server`] behaves. Shared by any number of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// The identification line without its end: `SSH-2.0-software comments`. What could not be sent (other than printable
    /// ASCII, more than 253 bytes) is replaced or cut. OpenSSH enables its extensions only towards a software
    /// version that starts with `OpenSSH_`.
    pub identification: String,
    /// What is offered. The host key algorithms are those of the keys given to [`crate::Server::start`].
    pub algorithms: Algorithms,
    /// Where random values come from.
    pub provider: Provider,
    /// Limits.
    pub limits: Limits,
    /// When to exchange keys again.
    pub rekey: RekeyPolicy,
    /// Time from the first byte to the end of authentication.
    pub login_grace: Duration,
    /// In a key exchange after the first, time from the peer's KEXINIT to its NEWKEYS. A peer that does not begin its part has no such
    /// time: it may be stopped, or what it says may wait for the caller.
    pub rekey_grace: Duration,
    /// The methods named in a refusal that the machine makes by itself, such as after a bad signature.
    pub auth_methods: Vec<String>,
    /// What a signature of a security key must say.
    pub security_keys: SecurityKeyPolicy,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            identification: IDENTIFICATION.to_string(),
            algorithms: Algorithms::default(),
            provider: Provider::default(),
            limits: Limits::default(),
            rekey: RekeyPolicy::default(),
            login_grace: LOGIN_GRACE,
            rekey_grace: REKEY_GRACE,
            auth_methods: Vec::from([PUBLICKEY_METHOD.to_string()]),
            security_keys: SecurityKeyPolicy::default(),
        }
    }
}

/// What a security key (FIDO) must say for its signature to count (OpenSSH `PROTOCOL.u2f`). What falls short is refused
/// without asking; what suffices comes as a [`crate::KeyProof::SecurityKey`] with what the key said.
///
/// The counter is not judged here: whether it went back since the last login only the caller can know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityKeyPolicy {
    /// Whether somebody must have touched the key. Required by default. Where some keys need it and others do not, as
    /// with `no-touch-required` of a certificate, it is optional here and for the caller to ask of each.
    pub touch: Requirement,
    /// Whether the key must have verified its user, by a PIN or a fingerprint. Optional by default.
    pub verification: Requirement,
    /// What the application that the key was made for may begin with: `ssh:` by default, so that no key of a web site
    /// logs in.
    pub applications: Vec<String>,
}

impl Default for SecurityKeyPolicy {
    fn default() -> Self {
        Self {
            touch: Requirement::Required,
            verification: Requirement::Optional,
            applications: Vec::from(["ssh:".to_string()]),
        }
    }
}

/// Whether something must be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// It must.
    Required,
    /// It may.
    Optional,
}

impl Requirement {
    pub(crate) const fn is_met_by(self, is_so: bool) -> bool {
        is_so || matches!(self, Self::Optional)
    }
}

/// How a [`crate::Client`] behaves. Shared by any number of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// As [`ServerConfig::identification`].
    pub identification: String,
    /// What is offered; [`Algorithms::host_keys`] is the preference among the server's host keys.
    pub algorithms: Algorithms,
    /// Where random values come from.
    pub provider: Provider,
    /// Limits.
    pub limits: Limits,
    /// When to exchange keys again.
    pub rekey: RekeyPolicy,
    /// Time from the first byte to the end of authentication.
    pub login_grace: Duration,
    /// In a key exchange after the first, time from the peer's KEXINIT to its NEWKEYS. A peer that does not begin its part has no such
    /// time: it may be stopped, or what it says may wait for the caller.
    pub rekey_grace: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            identification: IDENTIFICATION.to_string(),
            algorithms: Algorithms::default(),
            provider: Provider::default(),
            limits: Limits::default(),
            rekey: RekeyPolicy::default(),
            login_grace: LOGIN_GRACE,
            rekey_grace: REKEY_GRACE,
        }
    }
}

/// A host key that a server presents. Its private half stays with whoever answers [`crate::ServerEvent::SignExchangeHash`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// How it signs. An RSA key may be given twice, once with each hash.
    pub algorithm: HostKeyAlgorithm,
    /// The public key blob (RFC 4253 section 6.6), or the certificate blob for a certificate algorithm.
    pub public_key: Vec<u8>,
}
