//! A real sshd on a free loopback port, and a real ssh that logs in to it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use ssh_key::{LineEnding, PrivateKey};
use sshcert::Certificate;
use tempfile::TempDir;

use crate::common::{generate, program, write_private};

/// Stops when dropped.
pub(crate) struct Sshd {
    child: Child,
    port: u16,
    directory: TempDir,
    /// The user as whom the tests run, the only one who can log in.
    pub(crate) user: String,
}

impl Sshd {
    /// Starts sshd with a host key of its own and these further lines of configuration. None if there is no sshd.
    pub(crate) fn start(trusted_user_ca_keys: &str, further: &str) -> Option<Self> {
        let (sshd, _) = (program("sshd")?, program("ssh")?);
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        generate(at, "ed25519", "256", "host");
        fs::write(at.join("ca.pub"), trusted_user_ca_keys).unwrap();
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout);
        let user = user.unwrap().trim().to_string();
        if user == "root" {
            // Where sshd confines itself when it is started by root; packages make it at boot.
            let _ = fs::create_dir_all("/run/sshd");
        }
        let penalties = without_penalties(&sshd);
        // Another process can take the port between asking for it and sshd opening it.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let listen = if is_ipv6_there() {
                "ListenAddress 127.0.0.1\nListenAddress ::1\n"
            } else {
                "ListenAddress 127.0.0.1\n"
            };
            let config = format!(
                "Port {port}\n{listen}HostKey {0}/host\nPidFile none\n\
                 TrustedUserCAKeys {0}/ca.pub\nAuthorizedKeysFile none\nStrictModes no\nUsePAM no\n\
                 PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                 LogLevel VERBOSE\nMaxStartups 100\nMaxAuthTries 10000\nLoginGraceTime 0\n\
                 {penalties}{further}\n",
                at.display()
            );
            fs::write(at.join("sshd_config"), config).unwrap();
            let mut child = Command::new(&sshd)
                .args(["-D", "-e", "-f"])
                .arg(at.join("sshd_config"))
                .stderr(File::create(at.join("log")).unwrap())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            for _ in 0..1000 {
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Some(Self {
                        child,
                        port,
                        directory,
                        user,
                    });
                }
                sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!(
            "sshd does not start: {}",
            fs::read_to_string(at.join("log")).unwrap()
        );
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What sshd has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap()
    }

    /// Logs in with a key and its certificate. `name` keeps the files of the cases apart.
    pub(crate) fn ssh(
        &self,
        name: &str,
        key: &PrivateKey,
        certificate: &Certificate,
        arguments: &[&str],
    ) -> Output {
        let identity = self.path().join(name);
        write_private(&identity, &key.to_openssh(LineEnding::LF).unwrap());
        let line = format!("{}\n", certificate.to_openssh());
        fs::write(self.path().join(format!("{name}-cert.pub")), line).unwrap();
        let known_hosts = [
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ];
        self.ssh_as(&identity, &known_hosts, arguments)
    }

    /// Logs in with the key in a file, and the certificate beside it if there is one.
    pub(crate) fn ssh_as(
        &self,
        identity: &PathBuf,
        options: &[&str],
        arguments: &[&str],
    ) -> Output {
        Command::new("ssh")
            .args([
                "-F",
                "none",
                "-p",
                &self.port.to_string(),
                "-o",
                "BatchMode=yes",
            ])
            .args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
            .args([
                "-o",
                "ConnectTimeout=20",
                "-o",
                "GlobalKnownHostsFile=/dev/null",
            ])
            .args(options)
            .arg("-i")
            .arg(identity)
            .args(arguments)
            .arg(format!("{}@127.0.0.1", self.user))
            .arg("echo ran; echo \"asked: $SSH_ORIGINAL_COMMAND\"; tty; true")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

/// Whether the loopback of IPv6 can be used.
pub(crate) fn is_ipv6_there() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

/// From OpenSSH 9.8 on, sshd locks out whoever fails often; that can be turned off only where it is known.
fn without_penalties(sshd: &Path) -> &'static str {
    let settings = Command::new(sshd).args(["-T", "-f", "/dev/null"]).output();
    let is_known = settings
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("persourcepenalties"));
    if is_known {
        "PerSourcePenalties no\n"
    } else {
        ""
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
