//! The real `sshd`, started for one connection at a time (`sshd -i`).

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::channel::{Outcome, exec};
use super::tools::text;
use super::{ClientEnd, Login, tools};
use ssh_transport::{ClientConfig, Ed25519Key};
use zeroize::Zeroizing;

/// A folder with keys and an `sshd_config` for the current user.
pub struct Target {
    pub sshd: PathBuf,
    folder: tempfile::TempDir,
    pub user: String,
}

pub const HOST_KEYS: [(&str, &[&str]); 5] = [
    ("host_ed25519", &["-t", "ed25519"]),
    ("host_p256", &["-t", "ecdsa", "-b", "256"]),
    ("host_p384", &["-t", "ecdsa", "-b", "384"]),
    ("host_p521", &["-t", "ecdsa", "-b", "521"]),
    ("host_rsa", &["-t", "rsa", "-b", "2048"]),
];

impl Target {
    /// `None` when there is no sshd. `extra` is added to the configuration.
    pub fn new(extra: &str) -> Option<Self> {
        let sshd = tools::find("sshd")?;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let user = text(&tools::run(Command::new("id").arg("-un")).stdout)
            .trim()
            .to_owned();
        if user == "root" {
            // Where sshd confines itself when it starts as root; packages make it when the service starts.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        for (name, kind) in HOST_KEYS {
            tools::keygen(path, name, kind);
        }
        tools::keygen(path, "authority", &["-t", "ed25519"]);
        tools::keygen(path, "user", &["-t", "ed25519"]);
        let host_keys: String = HOST_KEYS
            .iter()
            .map(|(name, _)| format!("HostKey {}\n", path.join(name).display()))
            .collect();
        let config = format!(
            "{extra}\nLoginGraceTime 0\n{host_keys}\
             AuthorizedKeysFile {0}/authorized_keys\nTrustedUserCAKeys {0}/authority.pub\n\
             StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\nLogLevel DEBUG1\n",
            path.display()
        );
        std::fs::write(path.join("sshd_config"), config).unwrap();
        std::fs::write(path.join("authorized_keys"), "").unwrap();
        Some(Self { sshd, folder, user })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn authorize(&self, public_file: &Path) {
        std::fs::copy(public_file, self.path("authorized_keys")).unwrap();
    }

    pub fn connect(&self) -> (TcpStream, Child) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nodelay(true).unwrap();
        let (server, _) = listener.accept().unwrap();
        let output = OwnedFd::from(server.try_clone().unwrap());
        let log = std::fs::File::create(self.path("log")).unwrap();
        let child = tools::bounded(&self.sshd)
            .args(["-i", "-e", "-f"])
            .arg(self.path("sshd_config"))
            .stdin(Stdio::from(OwnedFd::from(server)))
            .stdout(Stdio::from(output))
            .stderr(log)
            .spawn()
            .unwrap();
        (client, child)
    }

    pub fn run(
        &self,
        config: ClientConfig,
        login: Login,
        command: &str,
        input: &[u8],
    ) -> (ClientEnd, Outcome) {
        let mut end = ClientEnd::new(config, 3, login);
        let outcome = self.run_end(&mut end, command, input);
        (end, outcome)
    }

    pub fn run_end(&self, end: &mut ClientEnd, command: &str, input: &[u8]) -> Outcome {
        let (stream, mut child) = self.connect();
        end.user.clone_from(&self.user);
        let outcome = exec(stream, end, command, input);
        child.wait().unwrap();
        outcome
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The key `name`, made by `ssh-keygen` as Ed25519, as a login.
    pub fn login_with(&self, name: &str) -> Login {
        let key = Ed25519Key::from_seed(Zeroizing::new(tools::ed25519_seed(&self.path(name))));
        Login::AnyAlgorithm {
            blob: key.public_key_blob(),
            sign: Box::new(move |data| key.sign(data)),
        }
    }

    pub fn key_login(&self) -> Login {
        self.authorize(&self.path("user.pub"));
        let key = Ed25519Key::from_seed(Zeroizing::new(tools::ed25519_seed(&self.path("user"))));
        let blob = key.public_key_blob();
        Login::Key {
            algorithm: "ssh-ed25519".to_owned(),
            blob,
            sign: Box::new(move |data| key.sign(data)),
        }
    }
}
