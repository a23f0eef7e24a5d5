//! Why a command could not do its work, for people.

use std::io;
use std::path::PathBuf;

use session_log::{Fault, KeyFileError, SignersError};

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SshlogError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A folder without a segment.
    #[error("{} has no segments; those of a log are named 0.sslg, 1.sslg, …; name one log of a folder of logs", folder.display())]
    NoSegments {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder without a log.
    #[error("{} has no logs; their names end with .sslg", folder.display())]
    NoLogs {
        /// The folder.
        folder: PathBuf,
    },
    /// Logs are not as they should be.
    #[error("{count} {}; what is wrong stands above; --allow names what may be", if *count == 1 { "log is not good" } else { "logs are not good" })]
    NotGood {
        /// How many.
        count: usize,
    },
    /// Standard input cannot be read again.
    #[error("the log is read twice here; give it as a file, standard input can be read once only")]
    ReadTwice,
    /// A log is not what its writer wrote.
    #[error("{} is not intact: {fault}; nothing was made of it", log.display())]
    NotIntact {
        /// The log.
        log: PathBuf,
        /// What was found first.
        fault: Fault,
    },
    /// A sidecar whose granter nobody named.
    #[error("{}: granted by {fingerprint}, whom --signers does not name; --allow unknown-granter takes it all the same", file.display())]
    UnknownGranter {
        /// The sidecar.
        file: PathBuf,
        /// The granter's key, as OpenSSH names it.
        fingerprint: String,
    },
    /// A public key cannot sign.
    #[error("{}: this is a public key; name the private one, or add --agent if that is in ssh-agent", file.display())]
    SignWithPublic {
        /// The file.
        file: PathBuf,
    },
    /// A key in the agent is named by its public half.
    #[error("{}: not a public key of OpenSSH; with --agent name the .pub file of the key in the agent", file.display())]
    AgentWantsPublic {
        /// The file.
        file: PathBuf,
    },
    /// A key file with a passphrase.
    #[error("{}: it is protected by a passphrase; `ssh-add` it, and name its .pub file with --agent", file.display())]
    Passphrase {
        /// The file.
        file: PathBuf,
    },
    /// The agent did not sign.
    #[error(transparent)]
    Agent(#[from] crate::tool::agent::AgentError),
    /// A pattern is no regular expression.
    #[error("{0}")]
    Pattern(Box<regex::Error>),
    /// A file cannot be written.
    #[error("cannot write {}: {error}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A file is there already.
    #[error("{} exists; choose another name, nothing is overwritten", file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// A key file is there already.
    #[error("{} exists; choose another name, a key that logs were made for must not be overwritten", file.display())]
    KeyExists {
        /// The file.
        file: PathBuf,
    },
    /// A key file is not one.
    #[error("{}: {error}", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        error: KeyFileError,
    },
    /// A signers file is not one.
    #[error("{}: {error}{}", file.display(), signers_help(error))]
    Signers {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        error: SignersError,
    },
    /// A key of another mechanism than the format has.
    #[error("ssh-log-cli has X25519 keys only; add --kem x25519")]
    CloudflareKem,
    /// A log to be recovered does not merely end early.
    #[error(
        "{} is damaged at byte {offset}: {fault}; nothing was recovered; --cut-off-damage keeps what stands before",
        log.display()
    )]
    Damaged {
        /// The log.
        log: PathBuf,
        /// Where, byte offset.
        offset: u64,
        /// What was found there.
        fault: Fault,
    },
    /// A log could not be begun or recovered.
    #[error(transparent)]
    Create(#[from] session_log::CreateError),
    /// A log could not be written.
    #[error(transparent)]
    Log(#[from] session_log::WriteError),
    /// Further recipients could not be granted or read.
    #[error(transparent)]
    Grant(#[from] session_log::GrantError),
    /// A frame could not be proven.
    #[error(transparent)]
    Prove(#[from] session_log::ProveError),
    /// What was proven is malformed.
    #[error(transparent)]
    Proof(#[from] session_log::ProofError),
    /// A file is no proof.
    #[error("{}: {error}", file.display())]
    NoProof {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        error: session_log::ProofError,
    },
    /// A log in the format of `ssh-log-cli` could not be written, or a key does not suit it.
    #[error(transparent)]
    Cloudflare(#[from] session_log::CloudflareError),
    /// A log of `ssh-log-cli` could not be read.
    #[error("{}: {error}; nothing was imported", log.display())]
    NotImported {
        /// The log.
        log: PathBuf,
        /// Why.
        #[source]
        error: session_log::CloudflareError,
    },
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(#[from] getrandom::Error),
    /// Standard output is gone.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// What to write, for the errors that do not say so themselves.
fn signers_help(error: &SignersError) -> &'static str {
    match error {
        SignersError::Empty | SignersError::Line { .. } => "",
        _ => "; a line is `name ssh-ed25519 AAAA…`",
    }
}
