//! The real `sshd` as the demo's target, with a configuration of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ssh_key::{HashAlg, LineEnding, PublicKey};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::Failure;
use crate::fresh;

/// How long `sshd` may take until it listens.
const START: Duration = Duration::from_secs(10);

/// A running `sshd`, which is killed when dropped.
pub(super) struct Sshd {
    pub(super) address: SocketAddr,
    /// The fingerprint of its host key.
    pub(super) host_key: String,
    _child: Child,
}

impl Sshd {
    pub(super) async fn start(folder: &Path, authority: &PublicKey) -> Result<Self, Failure> {
        let program = find("sshd").ok_or("there is no sshd on PATH or in /usr/sbin")?;
        let host_key = fresh::ed25519("demo sshd")?;
        let path = |name: &str| folder.join(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(path("host_key"))?;
        std::io::Write::write_all(&mut file, host_key.to_openssh(LineEnding::LF)?.as_bytes())?;
        drop(file);
        fs::write(path("ca.pub"), authority.to_openssh()?)?;

        let address = free_address().await?;
        let config = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {}\nTrustedUserCAKeys {}\n\
             PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n\
             PermitRootLogin yes\nPrintMotd no\nPrintLastLog no\nAcceptEnv LANG LC_*\nSubsystem sftp internal-sftp\n",
            address.port(),
            path("host_key").display(),
            path("ca.pub").display()
        );
        fs::write(path("sshd_config"), config)?;
        let said = fs::File::create(path("sshd.log"))?;
        let mut child = Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(path("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .kill_on_drop(true)
            .spawn()?;
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).await.is_err() {
            if child.try_wait()?.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(path("sshd.log"))?;
                return Err(format!("sshd does not start: {}", said.trim()).into());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Self {
            address,
            host_key: host_key.fingerprint(HashAlg::Sha256).to_string(),
            _child: child,
        })
    }
}

/// Servers are often not on a person's `PATH`, and `sshd` insists on being called by its full path.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_absolute() && file.is_file())
}

/// A port that was free a moment ago: `sshd` cannot be given a socket.
async fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await?
        .local_addr()
}
