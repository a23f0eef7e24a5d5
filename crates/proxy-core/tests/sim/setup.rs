//! What a test can choose of its world.

use std::time::Duration;

use proxy_core::{ConnectFailure, Leg, Limits};

use super::{POLICY, SoftKey};

/// How the world differs from the one in which everything goes well.
#[derive(Clone)]
pub struct Setup {
    pub seed: [u8; 32],
    pub email: &'static str,
    pub user: &'static str,
    pub managed_device: bool,
    /// When the person logged in, since the Unix epoch.
    pub login: Option<Duration>,
    pub policy: String,
    pub account_secret: [u8; 32],
    /// The secret before it, and for how long from the start it still serves.
    pub previous_secret: Option<([u8; 32], Duration)>,
    /// An authority certifies the client's host keys, and the person's client asks for certificates.
    pub host_ca: bool,
    pub target_key: [u8; 32],
    pub host_keys: Option<hostkey_derive::Pins>,
    /// The certificate that the target shows instead of its bare key, and whom the proxy trusts to have signed one.
    pub target_certificate: Option<Vec<u8>>,
    pub host_authorities: Vec<sshcert::CaPublicKey>,
    pub connect: Result<(), ConnectFailure>,
    pub target_trusts_ca: bool,
    /// The n-th page of the log, from 0, cannot be written, nor any after it.
    pub log_fails_at: Option<usize>,
    /// Most bytes that one read brings.
    pub read_at_most: usize,
    pub remote_ca: bool,
    /// Whoever has the authority's key does not sign.
    pub signer_fails: bool,
    /// Nor says so.
    pub signer_is_silent: bool,
    /// After how many bytes the proxy exchanges keys again.
    pub rekey_bytes: u64,
    /// What the target says at the login.
    pub banner: Option<&'static str>,
    /// The security keys that are enrolled for the identity, as lines of `authorized_keys`.
    pub enrolled: Vec<String>,
    /// The keys that the person's client tries, one after the other, where it may.
    pub keys: Vec<SoftKey>,
    /// It tries the first of them without asking what it may do.
    pub begins_with_key: bool,
    /// Its user's name from the second attempt on.
    pub then_user: Option<&'static str>,
    /// How long another person's approval is waited for.
    pub approval: Duration,
    /// The target's host key from the second connection on.
    pub later_target_key: Option<[u8; 32]>,
    /// The target cannot be reached a second time.
    pub connects_once: bool,
    /// That leg's peer says no more than so many bytes.
    pub falls_silent: Option<(Leg, usize)>,
    pub limits: Limits,
    /// Packets that the target sends in the same breath as its word that the login is accepted.
    pub sent_at_login: Vec<Vec<u8>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: [1; 32],
            email: "ada@example.com",
            user: "deploy",
            managed_device: false,
            login: None,
            policy: POLICY.into(),
            account_secret: [2; 32],
            previous_secret: None,
            host_ca: false,
            target_key: [3; 32],
            host_keys: None,
            target_certificate: None,
            host_authorities: Vec::new(),
            connect: Ok(()),
            target_trusts_ca: true,
            log_fails_at: None,
            read_at_most: usize::MAX,
            remote_ca: false,
            signer_fails: false,
            signer_is_silent: false,
            rekey_bytes: 1 << 30,
            banner: None,
            enrolled: Vec::new(),
            keys: Vec::new(),
            begins_with_key: false,
            then_user: None,
            approval: Duration::from_secs(120),
            later_target_key: None,
            connects_once: false,
            falls_silent: None,
            limits: Limits::default(),
            sent_at_login: Vec::new(),
        }
    }
}
