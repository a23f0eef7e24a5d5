//! Servers that are started for one connection at a time, as `inetd` would.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::clients::{convert_for_dropbear, everything_of};
use super::common::tools;
use super::keys;
use super::rows::ServerPeer;

/// Gives one end of a connection to `command` as standard input and output.
fn start(command: &mut Command) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_nodelay(true).unwrap();
    let server = OwnedFd::from(listener.accept().unwrap().0);
    let mut child = command
        .stdin(server.try_clone().unwrap())
        .stdout(server)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Nobody asks how it ended; but it is waited for.
    std::thread::spawn(move || child.wait());
    client
}

fn current_user() -> String {
    let user = tools::run(Command::new("id").arg("-un")).stdout;
    tools::text(&user).trim().to_owned()
}

/// OpenSSH's `sshd`.
pub(crate) struct Sshd {
    program: PathBuf,
    folder: tempfile::TempDir,
    user: String,
}

impl Sshd {
    pub(crate) fn new(program: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let user = current_user();
        if user == "root" {
            // Where sshd confines itself when it starts as root; packages make it when the service starts.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let mut config = format!(
            "AuthorizedKeysFile {}/authorized_keys\nLoginGraceTime 0\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPidFile none\nRekeyLimit 100K\n",
            folder.path().display()
        );
        for file in keys::make_files(folder.path()) {
            config += &format!("HostKey {}\n", file.display());
        }
        if let Some(ssh) = tools::find("ssh") {
            for option in [
                "KexAlgorithms",
                "HostKeyAlgorithms",
                "Ciphers",
                "MACs",
                "PubkeyAcceptedAlgorithms",
            ] {
                config += &format!("{option} {}\n", everything_of(&ssh, option));
            }
        }
        std::fs::write(folder.path().join("sshd_config"), config).unwrap();
        std::fs::write(
            folder.path().join("authorized_keys"),
            keys::authorized_keys(),
        )
        .unwrap();
        Self {
            program,
            folder,
            user,
        }
    }
}

impl ServerPeer for Sshd {
    fn name(&self) -> &'static str {
        "OpenSSH"
    }

    fn exchanges_again(&self) -> bool {
        true
    }

    fn user(&self) -> String {
        self.user.clone()
    }

    fn connect(&self) -> TcpStream {
        start(
            tools::bounded(&self.program)
                .args(["-i", "-f"])
                .arg(self.folder.path().join("sshd_config")),
        )
    }
}

/// Options of `unshare` for a namespace in which this user may mount and stays who they are. `None` where nothing allows it, as in most containers.
pub(crate) fn mount_namespace() -> Option<&'static [&'static str]> {
    let alone: &[&str] = &["-m"];
    // The right to mount comes with a user namespace. That is none for root: dropbear then sets groups, which is forbidden there.
    let with_user: &[&str] = &["-m", "--map-current-user", "--keep-caps"];
    let ways = if current_user() == "root" {
        vec![alone]
    } else {
        vec![alone, with_user]
    };
    ways.into_iter().find(|options| {
        let mut tried = Command::new("unshare");
        tried
            .args(*options)
            .args(["--", "sh", "-c", "mount --bind ~ ~"]);
        tried.output().is_ok_and(|output| output.status.success())
    })
}

/// `dropbear`, in a mount namespace where the user's home is a folder with our keys: it reads them nowhere else.
pub(crate) struct Dropbear {
    program: PathBuf,
    /// What [`mount_namespace`] gave.
    namespace: &'static [&'static str],
    folder: tempfile::TempDir,
    host_keys: Vec<PathBuf>,
    user: String,
}

impl Dropbear {
    pub(crate) fn new(
        program: PathBuf,
        convert: &Path,
        namespace: &'static [&'static str],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host_keys = keys::make_files(folder.path());
        // It has one ECDSA key.
        let host_keys: Vec<_> = host_keys
            .into_iter()
            .filter(|file| !file.ends_with("p384") && !file.ends_with("p521"))
            .collect();
        let host_keys = convert_for_dropbear(convert, &host_keys);
        std::fs::create_dir_all(folder.path().join("home/.ssh")).unwrap();
        std::fs::write(
            folder.path().join("home/.ssh/authorized_keys"),
            keys::authorized_keys(),
        )
        .unwrap();
        Self {
            program,
            namespace,
            folder,
            host_keys,
            user: current_user(),
        }
    }
}

impl ServerPeer for Dropbear {
    fn name(&self) -> &'static str {
        "dropbear"
    }

    fn exchanges_again(&self) -> bool {
        false
    }

    fn user(&self) -> String {
        self.user.clone()
    }

    fn connect(&self) -> TcpStream {
        let mut command = tools::bounded(Path::new("unshare"));
        command.args(self.namespace).args(["--", "sh", "-c"]);
        command
            .arg("mount --bind \"$1\" ~ && shift && exec \"$@\"")
            .arg("sh");
        command
            .arg(self.folder.path().join("home"))
            .arg(&self.program)
            .arg("-i");
        for key in &self.host_keys {
            command.arg("-r").arg(key);
        }
        start(&mut command)
    }
}
