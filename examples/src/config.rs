//! The configuration file of `audit_proxy`.
//!
//! Everything that can be wrong with it is told at once, with the file, the line and what to write
//! instead. Relative paths start at the folder of the file. Unknown fields are errors.
//! `policy` and `revocations` may change while the proxy runs; everything else is read once.
//! Identities are what the file says, so nobody tells when a person logged in: a policy with `max_login_age` is refused.
//!
//! ```toml
//! policy = "policy.toml"                # who may be whom where
//! revocations = "revocations.toml"      # whose access has ended, whatever the policy says; left out: nobody's
//!
//! [account]
//! secret_file = "account-secret"        # 32 bytes, hex or base64: clients' host keys are derived from it
//! host_key_algorithms = ["ssh-ed25519", "ecdsa-sha2-nistp256"] # the default; "ecdsa-sha2-nistp384" is the third
//! host_ca_key_file = "host_ca"          # certifies those keys, for clients with a line `@cert-authority`; left out: nobody does
//!
//! [[account.previous]]                  # secrets before it, the oldest first; their keys serve and the new ones are announced
//! secret_file = "account-secret.2026"
//! until = 2027-01-31T00:00:00Z
//!
//! [ca]
//! key_file = "ca"                       # OpenSSH private key that targets trust (TrustedUserCAKeys)
//!
//! [log]
//! directory = "logs"                    # one file a session
//! recipients = ["auditor.pub"]          # who can read the logs
//! signing_key_file = "signing"          # OpenSSH private key that signs them: Ed25519 or ECDSA
//! suite = "aes256gcm-ed25519"           # the default; "chacha20poly1305-ed25519" without AES instructions; "aes256gcm-p256", "aes256gcm-p384"
//! profile = "any"                       # the default; "fips" refuses all but the suites with NIST curves, signed by an ECDSA key
//! sync = "write"                        # or "fsync": on the disk, not only written, before bytes pass
//!
//! [events]
//! file = "events.jsonl"                 # access events as JSON lines; "-", the default, is standard output
//!
//! [clients]
//! algorithms = "default"                # as of a target: what clients are offered
//!
//! [limits]
//! max_connections = 1000                # at once; more are refused
//! max_unauthenticated = 250             # of them, before their clients are let in
//!
//! [limits.source]                       # of each address that clients come from
//! connections = 256                     # at once
//! unauthenticated = 64                  # of them, before their clients are let in
//! per_minute = 600                      # new ones; so many may come at once
//! ipv4_prefix = 32                      # how many bits of an address are one source
//! ipv6_prefix = 64
//!
//! [limits.identity]                     # of each identity, wherever it comes from
//! connections = 256
//! per_minute = 600
//! open_questions = 4                    # to those who approve, without an answer yet
//!
//! [limits.session]                      # of each session, see the README of proxy-core
//! backlog_bytes = 1048576               # that wait for one side before the other is not read
//! channels = 1024                       # whatever the policy grants
//! pending_replies = 256
//! listeners = 64
//! unheard = 64
//! proof_requests = 4
//! agents = 32                           # connections to the client's agent at once
//! agent_bytes = 524288                  # held for all of them before one is read on at a time
//! agent_questions = 64
//! inner_sessions = 8                    # sessions inside it, as those of `ssh -J`, at once and at all depths
//! inner_per_minute = 300                # of those that begin, one after the other
//! inner_depth = 8                       # how deep inside each other
//! refusal_events = 64
//! channel_events = 4096                 # about channels, but for refusals
//! auth_attempts = 20
//! packets_before_auth = 512
//! peer_exchanges = 32                   # key exchanges that either side may begin in a row after its login
//! inner_window_bytes = 2097152          # that either side of a session inside may send before they are taken
//! agent_window_bytes = 32768            # the same of a connection to the client's agent
//! watchers = 4
//!
//! [timeouts]
//! arrival = "10s"                       # for the PROXY protocol and CONNECT headers
//! login_grace = "120s"                  # for the client's login
//! connect = "10s"                       # for the connection to the target
//! target_login = "30s"                  # for the target's key exchange, and for its login
//! key_exchange = "10m"                  # for either peer's part of a key exchange after the login, once it has begun
//! log = "30s"                           # for a page of the log to be written
//! approval = "120s"                     # for another person to approve, where a policy asks for that
//! farewell = "5s"                       # for a refused client to read why
//! shutdown = "10s"                      # for sessions to end when the program does
//! drain = "10m"                         # for sessions to go on before that, while nobody is let in; left out: they end at once
//!
//! [admin]                               # left out: nobody looks at running sessions
//! socket = "admin.sock"                 # where `sessionctl` asks; what it may is in the policy, as `[[operator]]`
//! mode = 0o600                          # the default: the user of this program alone can connect; 0o660 lets its group
//! max_clients = 32                      # operators at once, those who watch among them
//! max_clients_of_one = 8                # of one user of this machine
//! feed_bytes = 1048576                  # that may wait for one who watches before they are sent away
//!
//! [[admin.operator]]                    # users of this machine, and who they are to the policy; all others are refused
//! uid = 1000
//! identity = "alice"
//!
//! [[listen]]                            # as many as wanted
//! address = "127.0.0.1:2222"
//! kind = "plain"                        # SSH from the first byte, bound to one identity and one target
//! identity = "alice"
//! target = "web-1"
//!
//! [[listen]]
//! address = "[::]:8443"
//! kind = "connect"                      # HTTP CONNECT host:port with a bearer token
//! proxy_protocol_from = ["10.0.0.0/8"]  # must send a PROXY protocol v2 header; others must not
//! # identity = "guest"                  # who a client without a token is
//!
//! [[target]]                            # also one that is reached through another only, as by `ssh -J`
//! id = "web-1"
//! hostname = "web1.example.com"
//! address = "192.0.2.10"                # left out: the host name is looked up
//! port = 22                             # the default
//! tags = { env = "prod" }
//! host_keys = ["ssh-ed25519 AAAA…"]     # lines or files; left out together with host_ca: any key
//! host_ca = ["host_ca.pub"]             # authorities of host certificates, lines or files
//! any_host_key_inside = false           # the default; without host_keys and host_ca no session inside another, as of `ssh -J`, leads here,
//!                                       # because the machine on the way could answer in its place; true trusts all of those
//! algorithms = "default"                # or "compatible": also NIST curves and AES-CTR; "legacy": all there is
//!
//! [[identity]]
//! name = "alice"
//! email = "alice@example.com"
//! groups = ["okta:ops"]                 # provider:name
//! amr = ["hwk"]                         # RFC 8176 methods by which she logged in
//! login_method = "okta"
//! posture = ["disk_encryption"]         # checks that her device passes
//! device = "laptop-7"                   # its name, by which it can be revoked
//! managed_device = true
//! country = "PT"
//! security_keys = ["sk-ssh-ed25519@openssh.com AAAA…"] # where a policy asks for one: lines as of `authorized_keys`, `verify-required` too
//! token_sha256 = "…"                    # of the token that `audit_proxy token` shows; or a list
//! # kind = "service"                    # a program; "person" is the default
//! ```

mod account;
mod admin;
pub mod files;
mod identities;
mod keys;
mod limits;
mod listeners;
mod log;
mod parts;
mod reader;
mod rules;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hostkey_derive::{Algorithm, SecretRing};
use policy::Problem;
use proxy_core::{Rules, SecurityKey, Timeouts};
use session_log::{SigningIdentity, WriterConfig};
use ssh_transport::Algorithms;
use sshcert::CaKey;
use toml::de::DeTable;

use crate::arrival::{Directory, Listener};
use crate::audit_proxy::admission;
use crate::log_store::Sync;
pub use admin::{AdminConfig, AdminLimits};
use reader::Reader;
pub use rules::RuleFiles;

/// All that `audit_proxy` is told.
pub struct Config {
    /// Where clients arrive; at least one.
    pub listeners: Vec<Listener>,
    /// Whom tokens name, and what targets are called.
    pub directory: Directory,
    /// Who may come, by position.
    pub identities: Vec<Who>,
    /// Where they may want to go, by position.
    pub targets: Vec<proxy_core::Target>,
    /// Who may be whom where.
    pub rules: Arc<Rules>,
    /// Where that stands, if it may change.
    pub rule_files: Option<RuleFiles>,
    /// From which the clients' host keys are derived.
    pub secrets: SecretRing,
    /// Of which algorithms they are, one each; at least one.
    pub host_key_algorithms: Vec<Algorithm>,
    /// Who certifies them, if anybody does.
    pub host_ca: Option<CaKey>,
    /// Who signs the certificates.
    pub ca: CaKey,
    /// How the logs are written, and who can read them.
    pub log: WriterConfig,
    /// Who signs the logs.
    pub log_signer: SigningIdentity,
    /// Where the logs go.
    pub log_directory: PathBuf,
    /// When a write to a log counts as done.
    pub log_sync: Sync,
    /// Where access events go; none is standard output.
    pub events_file: Option<PathBuf>,
    /// What clients are offered.
    pub client_algorithms: Algorithms,
    /// How many connections there may be.
    pub admission: admission::Limits,
    /// Questions to approvers that one identity may have open at once.
    pub open_questions: usize,
    /// What each session may hold.
    pub session_limits: proxy_core::Limits,
    /// How long each step of a session may take.
    pub timeouts: Timeouts,
    /// How long a client may take until SSH begins.
    pub arrival_timeout: Duration,
    /// How long sessions may take to end when the program does.
    pub shutdown_timeout: Duration,
    /// How long sessions may go on when the program is asked to end; zero ends them at once.
    pub drain: Duration,
    /// Where operators ask, if they may.
    pub admin: Option<AdminConfig>,
}

/// An identity of the configuration, and its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// What listeners call it.
    pub name: String,
    /// What the policy knows of it.
    pub identity: policy::Identity,
    /// What its device is called.
    pub device: Option<String>,
    /// Whether its device is managed.
    pub managed_device: bool,
    /// The checks that its device passes, at any time: the configuration is the operator's word.
    pub posture: Vec<String>,
    /// The security keys that are enrolled for it.
    pub security_keys: Vec<SecurityKey>,
}

impl Who {
    /// The device, as if it had been checked now.
    pub fn device_at(&self, now_unix: Duration) -> policy::Device {
        policy::Device {
            id: self.device.clone(),
            managed: self.managed_device,
            posture: self
                .posture
                .iter()
                .map(|check| policy::PostureResult {
                    check: check.clone(),
                    passed: true,
                    checked_at: now_unix,
                })
                .collect(),
        }
    }
}

/// A configuration that cannot be used: every problem, by file and line.
#[derive(Debug)]
pub struct ConfigError {
    problems: Vec<(PathBuf, Problem)>,
}

impl ConfigError {
    /// The problems: first those of the file itself, then those of the files that it names. Line 0 is
    /// the file as a whole, which cannot be read.
    pub fn problems(&self) -> &[(PathBuf, Problem)] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (file, problem)) in self.problems.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            match problem.line {
                // Of the file as a whole.
                0 => write!(f, "{}: {}; {}", file.display(), problem.what, problem.help)?,
                _ => write!(f, "{}: {problem}", file.display())?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

const DEFAULT_ARRIVAL: Duration = Duration::from_secs(10);
const DEFAULT_SHUTDOWN: Duration = Duration::from_secs(10);

impl Config {
    /// Reads a configuration and the files that it names.
    ///
    /// # Errors
    /// With everything that is wrong.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = files::read(file).map_err(|error| ConfigError {
            problems: vec![(
                file.to_owned(),
                Problem {
                    line: 0,
                    column: None,
                    path: String::new(),
                    what: format!("cannot be read: {error}"),
                    help: "name a file with --config; `audit_proxy init DIR` writes one".to_owned(),
                },
            )],
        })?;
        Self::from_toml(file, &text)
    }

    /// Reads a configuration whose text is known; `file` is its name in messages, and relative paths
    /// start at its folder.
    ///
    /// # Errors
    /// With everything that is wrong.
    pub fn from_toml(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(file, text);
        let config = match DeTable::parse(text) {
            Ok(table) => {
                let table = table.get_ref();
                let config = read(&mut reader, table);
                let problems = reader.into_problems();
                return match config {
                    Some(config) if problems.is_empty() => Ok(config),
                    _ => Err(ConfigError { problems }),
                };
            }
            Err(error) => {
                reader.syntax(&error);
                reader.into_problems()
            }
        };
        Err(ConfigError { problems: config })
    }
}

const SECTIONS: [&str; 13] = [
    "admin",
    "policy",
    "revocations",
    "account",
    "ca",
    "log",
    "events",
    "clients",
    "limits",
    "timeouts",
    "listen",
    "target",
    "identity",
];

/// Reads all parts, so that every problem is found, before it gives up for one.
fn read<'d>(reader: &mut Reader<'d>, table: &'d DeTable<'d>) -> Option<Config> {
    let document = reader.document(table, &SECTIONS);
    let rules = rules::rules(reader, &document);
    let account = account::account(reader, &document);
    let ca = keys::ca_key(reader, &document);
    let log = log::log(reader, &document);
    let events_file = parts::events_file(reader, &document);
    let client_algorithms = parts::client_algorithms(reader, &document);
    let limits = limits::limits(reader, &document);
    let timeouts = parts::timeouts(reader, &document);
    let targets = parts::targets(reader, &document);
    let identities = identities::identities(reader, &document);
    let admin = admin::admin(reader, &document, &identities);
    let listeners = listeners::listeners(reader, &document, &targets, &identities);
    let (log, account, (rule_files, rules)) = (log?, account?, rules?);
    Some(Config {
        listeners,
        directory: listeners::directory(&targets, &identities),
        identities: identities.into_iter().map(|known| known.who).collect(),
        targets,
        rules,
        rule_files: Some(rule_files),
        secrets: account.secrets,
        host_key_algorithms: account.algorithms,
        host_ca: account.host_ca,
        ca: ca?,
        log: log.writer,
        log_signer: log.signer?,
        log_directory: log.directory?,
        log_sync: log.sync,
        events_file,
        client_algorithms,
        admission: limits.admission,
        open_questions: limits.open_questions,
        session_limits: limits.session,
        timeouts: timeouts.session,
        arrival_timeout: timeouts.arrival,
        shutdown_timeout: timeouts.shutdown,
        drain: timeouts.drain,
        admin,
    })
}
