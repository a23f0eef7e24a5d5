//! Everything the demo needs: keys of its own, a target, the proxy, a folder that vanishes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hostkey_derive::{AccountSecret, Algorithm, SecretRing};
use policy::PolicySet;
use proxy_core::Rules;
use session_log::{Identity, Kem, SigningIdentity, Suite, WriterConfig, WriterPolicy};
use sshcert::CaKey;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use super::Failure;
use super::audit::{Log, Recorded};
use super::sshd::Sshd;
use crate::approvals::MAX_QUESTIONS;
use crate::arrival::{Directory, Listener, ListenerKind};
use crate::audit_proxy::admission;
use crate::audit_proxy::serve::Server;
use crate::audit_proxy::stop::Stopper;
use crate::config::{Config, Who};
use crate::fresh;
use crate::log_store::{EXTENSION, Sync};
use crate::target;

/// The one who may come.
const EMAIL: &str = "you@example.com";

/// How long sessions may take to end when their clients have gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands behind the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetKind {
    Embedded,
    Sshd,
}

/// A running demo.
pub(super) struct Scene {
    /// Where the proxy listens.
    pub(super) address: SocketAddr,
    /// Who may be logged in as.
    pub(super) user: String,
    /// The fingerprint of the target's own host key.
    pub(super) target_host_key: String,
    /// What was set up, for people.
    pub(super) description: String,
    folder: TempDir,
    recipient: Zeroizing<String>,
    signers: String,
    stopper: Stopper,
    proxy: JoinHandle<()>,
    target: Running,
}

/// Keeps the target running.
enum Running {
    Embedded(JoinHandle<std::io::Result<()>>),
    Sshd(Box<Sshd>),
}

impl Scene {
    /// Makes keys, starts the target and the proxy.
    pub(super) async fn start(kind: TargetKind) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("portreeve-demo-")
            .tempdir()?;
        let user = current_user()?;
        let mut rng = fresh::rng()?;
        let ca = fresh::ed25519("demo CA")?;
        let (target, target_address, target_host_key) = match kind {
            TargetKind::Embedded => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                let address = listener.local_addr()?;
                let host_key = fresh::ed25519("demo target")?;
                let fingerprint = host_key.fingerprint(ssh_key::HashAlg::Sha256).to_string();
                let serving = target::serve(listener, ca.public_key().clone(), host_key);
                (
                    Running::Embedded(tokio::spawn(serving)),
                    address,
                    fingerprint,
                )
            }
            TargetKind::Sshd => {
                let sshd = Sshd::start(folder.path(), ca.public_key()).await?;
                let (address, fingerprint) = (sshd.address, sshd.host_key.clone());
                (Running::Sshd(Box::new(sshd)), address, fingerprint)
            }
        };
        let recipient = Identity::generate(Kem::XWing, &mut rng);
        let log_signer = SigningIdentity::from_seed(*fresh::seed()?);
        let signers = format!("proxy {}\n", log_signer.public_key_openssh());

        let logs = folder.path().join("logs");
        std::fs::create_dir(&logs)?;
        let events_file = folder.path().join("events.jsonl");
        let server = Server::bind(Config {
            listeners: vec![Listener {
                address: (Ipv4Addr::LOCALHOST, 0).into(),
                kind: ListenerKind::Plain {
                    identity: 0,
                    target: 0,
                },
                proxy_protocol_from: Vec::new(),
            }],
            directory: Directory::default(),
            identities: vec![you()],
            targets: vec![proxy_core::Target {
                facts: policy::Target {
                    id: "demo".to_owned(),
                    hostname: "demo".to_owned(),
                    address: Some(target_address.ip()),
                    virtual_network: None,
                    port: target_address.port(),
                    tags: Default::default(),
                },
                host_keys: None,
                host_authorities: Vec::new(),
                any_host_key_inside: false,
                algorithms: ssh_transport::Algorithms::default(),
            }],
            rules: Arc::new(Rules::new(policy(&user, target_address.port())?)),
            rule_files: None,
            secrets: SecretRing::new(AccountSecret::generate(&mut rng)),
            host_key_algorithms: vec![Algorithm::Ed25519, Algorithm::EcdsaP256],
            host_ca: None,
            ca: CaKey::from_private_key(ca)?,
            log: WriterConfig {
                suite: Suite::default(),
                recipients: vec![recipient.recipient()],
                policy: WriterPolicy::default(),
            },
            log_signer,
            log_directory: logs,
            log_sync: Sync::Write,
            events_file: Some(events_file),
            client_algorithms: ssh_transport::Algorithms::default(),
            admission: admission::Limits::default(),
            open_questions: MAX_QUESTIONS,
            session_limits: proxy_core::Limits::default(),
            timeouts: proxy_core::Timeouts::default(),
            arrival_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(10),
            drain: Duration::ZERO,
            admin: None,
        })
        .await?;
        let address = *server
            .addresses()?
            .first()
            .ok_or("the proxy listens nowhere")?;
        let stopper = server.stopper();
        let description = format!(
            "A target ({}) on {target_address} trusts only the demo's certificate authority;\n\
             the proxy on {address} lets `{EMAIL}` in as `{user}`, and records.\n\
             Whoever uses this machine can log in there as long as this runs.",
            match kind {
                TargetKind::Embedded => "russh",
                TargetKind::Sshd => "sshd",
            }
        );
        Ok(Self {
            address,
            user,
            target_host_key,
            description,
            folder,
            recipient: recipient.to_text(),
            signers,
            stopper,
            proxy: tokio::spawn(server.run()),
            target,
        })
    }

    /// Waits until so many sessions have ended by themselves.
    pub(super) async fn ended(&self, sessions: usize) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let events = std::fs::read_to_string(self.events_file())?;
            if events.matches("\"session.end\"").count() >= sessions {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{sessions} sessions should have ended:\n{events}").into());
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn events_file(&self) -> PathBuf {
        self.folder.path().join("events.jsonl")
    }

    /// Ends the proxy as SIGTERM would, and gives what it left behind.
    pub(super) async fn end(self) -> Result<Recorded, Failure> {
        self.stopper.end();
        let file = self.events_file();
        self.proxy.await?;
        let events = std::fs::read_to_string(file)?;
        match self.target {
            Running::Embedded(target) => target.abort(),
            Running::Sshd(sshd) => drop(sshd),
        }
        let mut logs = Vec::new();
        for entry in std::fs::read_dir(self.folder.path().join("logs"))? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == EXTENSION)
            {
                logs.push(log(path)?);
            }
        }
        logs.sort_by_key(|log| log.written);
        Ok(Recorded {
            events,
            logs,
            recipient: self.recipient,
            signers: self.signers,
        })
    }
}

fn log(path: PathBuf) -> Result<Log, Failure> {
    Ok(Log {
        name: path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        written: std::fs::metadata(&path)?.modified()?,
        bytes: std::fs::read(&path)?,
    })
}

fn you() -> Who {
    Who {
        name: "you".to_owned(),
        identity: policy::Identity {
            email: Some(EMAIL.to_owned()),
            subject: "you".to_owned(),
            issuer: "demo".to_owned(),
            ..Default::default()
        },
        device: None,
        managed_device: false,
        posture: Vec::new(),
        security_keys: Vec::new(),
    }
}

fn policy(user: &str, port: u16) -> Result<PolicySet, Failure> {
    Ok(PolicySet::from_toml(&format!(
        r#"
[[application]]
name = "demo"
target = [{{ port = {port}, include = [{{ hostname = "demo" }}] }}]

[[application.policy]]
name = "you"
action = "allow"
include = [{{ email = "{EMAIL}" }}]
usernames = ["{user}"]
"#
    ))?)
}

/// The name of the user who runs the demo, as whom the target runs commands.
fn current_user() -> Result<String, Failure> {
    let output = std::process::Command::new("id").arg("-un").output()?;
    let name = String::from_utf8(output.stdout)?.trim().to_owned();
    if name.is_empty() {
        return Err("`id -un` does not say who you are".into());
    }
    Ok(name)
}
