//! What a server is asked about somebody who logs in.

use alloc::string::String;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::algorithms::HostKeyAlgorithm;
use crate::crypto::equals_in_constant_time;

/// The token of an [`AuthAttempt`] or of [`AuthResponses`].
#[derive(Debug, PartialEq, Eq)]
pub struct AuthId(pub(crate) u64);

/// An authentication request (RFC 4252 section 5). The service asked for is always `ssh-connection`.
#[derive(Debug, PartialEq, Eq)]
pub struct AuthAttempt {
    /// The token for the answer.
    pub id: AuthId,
    /// The user name, the same in all attempts of a connection.
    pub user: String,
    /// The service.
    pub service: String,
    /// How.
    pub method: AuthMethod,
    /// What [`crate::Server::accept_partially`] took before on this connection, in order. Whatever restricts one of them,
    /// such as the options of a certificate, restricts the whole login: it is for the caller to keep.
    pub succeeded_before: Vec<AuthMethod>,
}

/// The method of an [`AuthAttempt`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthMethod {
    /// `none` (RFC 4252 section 5.2).
    None,
    /// `publickey` (RFC 4252 section 7) with an algorithm whose signatures this crate verifies.
    PublicKey {
        /// The algorithm.
        algorithm: HostKeyAlgorithm,
        /// The blob of the key or certificate. Of a certificate only its key was used: whether it is valid, for this
        /// user and from whom, is to be decided.
        public_key: Vec<u8>,
        /// Whether possession of the private key was proven.
        proof: KeyProof,
    },
    /// `keyboard-interactive` (RFC 4256): [`crate::Server::prompt`] asks the person.
    KeyboardInteractive {
        /// The submethods that the client would like, mostly empty. Without control characters.
        submethods: String,
    },
    /// Any other method, or a public key of an algorithm that this crate does not verify. It can only be rejected.
    Other {
        /// The method's name.
        name: String,
    },
}

/// What a client showed of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyProof {
    /// It only asks whether the key would do. Accepting says so (`USERAUTH_PK_OK`) and lets nobody in.
    Query,
    /// Its signature over this session, user and key was verified.
    Verified,
    /// So was that of a key in a security key, which said what [`crate::ServerConfig::security_keys`] wants.
    SecurityKey(SecurityKeyProof),
}

/// What a security key said along with its signature, and signed (OpenSSH `PROTOCOL.u2f`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityKeyProof {
    /// What the key was made for, as its public half says: mostly `ssh:`.
    pub application: String,
    /// Whether somebody touched it.
    pub user_present: bool,
    /// Whether it verified its user.
    pub user_verified: bool,
    /// How often the key has signed, or 0 throughout if it does not count. One that is not above that of the last login
    /// speaks of a copied key; to remember it is the caller's.
    pub counter: u32,
}

/// What to ask the person who logs in (RFC 4256 section 3.2). Texts are cleaned of control characters but line breaks
/// and tabs, and cut to [`crate::MAX_PROMPT_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Challenge {
    /// A headline; may be empty.
    pub name: String,
    /// What stands above the prompts; may be empty.
    pub instruction: String,
    /// The questions, at most [`crate::MAX_PROMPTS`]. Without any, the client only shows the texts.
    pub prompts: Vec<Prompt>,
}

/// One question of a [`Challenge`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What to show before the cursor.
    pub text: String,
    /// Whether what is typed may be seen.
    pub echo: Echo,
}

/// Whether the answer to a [`Prompt`] is shown while it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// It is shown.
    Shown,
    /// It is not: a secret.
    Hidden,
}

/// The answers to a [`Challenge`], as many as it had prompts and in their order.
#[derive(Debug, PartialEq, Eq)]
pub struct AuthResponses {
    /// The token for the verdict, or for the next [`crate::Server::prompt`].
    pub id: AuthId,
    /// The user name, as in the attempt.
    pub user: String,
    /// The answers.
    pub responses: Vec<Response>,
}

/// What a person typed: UTF-8, at most [`crate::MAX_RESPONSE_BYTES`]. Erased on drop, compared in constant time.
pub struct Response(pub(crate) Zeroizing<String>);

impl Response {
    /// What was typed, to hand to whoever checks it.
    #[must_use]
    pub fn secret_text(&self) -> &str {
        &self.0
    }

    /// Whether it is `expected`. The time that takes tells the lengths at most.
    #[must_use]
    pub fn is(&self, expected: &str) -> bool {
        equals_in_constant_time(self.0.as_bytes(), expected.as_bytes())
    }
}

impl PartialEq for Response {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for Response {}

impl core::fmt::Debug for Response {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Response").finish_non_exhaustive()
    }
}
