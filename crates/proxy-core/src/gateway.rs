//! What all sessions share, and what each is told at its start.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use hostkey_derive::{Algorithm, Pins, SecretRing};
use session_log::{Recipient, SigningIdentity, Suite, WriterConfig, WriterPolicy};
use ssh_transport::{Algorithms, RekeyPolicy};
use sshcert::{CaKey, CaPublicKey};

use crate::{Limits, SecurityKey, Timeouts};

/// The two clocks, as the driver reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Monotonic, from any origin: deadlines.
    pub mono: Duration,
    /// Since 1970: stamps and validity.
    pub unix: Duration,
}

impl From<Now> for session_log::Now {
    fn from(now: Now) -> Self {
        Self {
            mono: now.mono,
            unix: now.unix,
        }
    }
}

/// Everything that is the same for all sessions of a proxy for as long as it runs; share it in an [`Arc`](alloc::sync::Arc).
pub struct Gateway {
    /// From which the client's host keys are derived. While more than one is live, the oldest answers in key exchanges,
    /// since whoever knows any knows that one, and the keys of all are announced.
    pub secrets: SecretRing,
    /// Of which algorithms keys are derived for the client, one of each, the preferred first. Ed25519 and ECDSA on P-256.
    pub host_key_algorithms: Vec<Algorithm>,
    /// Who certifies the client's host keys, of targets with pins or authorities; `None` shows bare keys only.
    pub host_ca: Option<Ca>,
    /// Who signs the certificates.
    pub ca: Ca,
    /// How logs are written.
    pub log: WriterConfig,
    /// Who signs the logs.
    pub log_signer: SigningIdentity,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// What the peers of a session may make it hold.
    pub limits: Limits,
    /// When the proxy exchanges keys again, on each leg.
    pub rekey: RekeyPolicy,
    /// What clients are offered. Host keys are those derived from the target's.
    pub client_algorithms: Algorithms,
    /// Which targets may be reached through others; `None` knows none.
    pub directory: Option<Arc<dyn Directory + Send + Sync>>,
}

/// What the proxy knows of where an SSH connection inside a session goes.
pub trait Directory {
    /// The target of this name and port, as a client names it on the way through another target; `None` of one that is not known,
    /// to which no session leads.
    fn find(&self, host: &str, port: u16) -> Option<Target>;
}

/// The certificate authority.
pub enum Ca {
    /// Its key is in memory.
    Local(CaKey),
    /// Its key is elsewhere (an agent, an HSM, a KMS): [`crate::Output::SignCertificate`] asks for each signature.
    Remote(CaPublicKey),
}

impl Ca {
    pub(crate) fn public(&self) -> &CaPublicKey {
        match self {
            Self::Local(key) => key.public(),
            Self::Remote(key) => key,
        }
    }
}

impl Gateway {
    /// A gateway with the default timeouts, limits, log settings and host key algorithms, without a host authority and
    /// without a directory.
    #[must_use]
    pub fn new(
        secrets: impl Into<SecretRing>,
        ca: Ca,
        recipients: Vec<Recipient>,
        log_signer: SigningIdentity,
    ) -> Self {
        Self {
            secrets: secrets.into(),
            host_key_algorithms: vec![Algorithm::Ed25519, Algorithm::EcdsaP256],
            host_ca: None,
            ca,
            log: WriterConfig {
                suite: Suite::default(),
                recipients,
                policy: WriterPolicy::default(),
            },
            log_signer,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            rekey: RekeyPolicy::default(),
            client_algorithms: Algorithms::default(),
            directory: None,
        }
    }
}

/// Where a connection goes.
#[derive(Debug, Clone)]
pub struct Target {
    /// What the policy knows of it.
    pub facts: policy::Target,
    /// The keys of which the target must show one; `None` together with no `host_authorities` takes any key,
    /// and leaves it to the client to notice a changed one.
    pub host_keys: Option<Pins>,
    /// Authorities one of which must have certified the target's host key for its host name.
    pub host_authorities: Vec<CaPublicKey>,
    /// Sessions inside others may go there though neither `host_keys` nor `host_authorities` are known. The machine around decides
    /// where such a connection leads, so nothing but a known key tells the target from an impostor: without this they are refused.
    pub any_host_key_inside: bool,
    /// What the target is offered. Of its host keys every type is taken that the pins and authorities allow, and `ssh-rsa`
    /// with SHA-1 only if it is listed here.
    pub algorithms: Algorithms,
}

/// Who came, and where they want to go: the driver's word, which the session trusts.
#[derive(Debug, Clone)]
pub struct ConnectionInfo {
    /// The person or service, as the channel they came through says.
    pub identity: policy::Identity,
    /// Their device.
    pub device: policy::Device,
    /// The network they came from; its address is replaced by `client_addr` when it has none.
    pub network: policy::Network,
    /// The client's own address.
    pub client_addr: SocketAddr,
    /// The security keys that were enrolled for this identity, for policies that ask for one.
    pub security_keys: Vec<SecurityKey>,
    /// The target they asked for.
    pub target: Target,
}

impl Target {
    /// A target of which any host key is taken, and to which no session inside another leads.
    #[must_use]
    pub fn new(facts: policy::Target) -> Self {
        Self {
            facts,
            host_keys: None,
            host_authorities: Vec::new(),
            any_host_key_inside: false,
            algorithms: Algorithms::default(),
        }
    }

    /// Whether not every host key is taken.
    pub(crate) const fn expects_host_key(&self) -> bool {
        self.host_keys.is_some() || !self.host_authorities.is_empty()
    }
}

impl ConnectionInfo {
    /// Somebody of whose device nothing is known, and for whom no security key is enrolled.
    #[must_use]
    pub fn new(identity: policy::Identity, client_addr: SocketAddr, target: Target) -> Self {
        Self {
            identity,
            device: policy::Device::default(),
            network: policy::Network::default(),
            client_addr,
            security_keys: Vec::new(),
            target,
        }
    }

    pub(crate) fn identity_name(&self) -> String {
        self.identity
            .email
            .clone()
            .unwrap_or_else(|| self.identity.subject.clone())
    }
}
