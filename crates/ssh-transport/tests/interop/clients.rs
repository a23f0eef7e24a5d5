//! Programs that connect to us, a process for each connection.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aws_lc_rs::digest::{SHA256, digest};
use ssh_transport::HostKeyAlgorithm;

use super::common::tools;
use super::keys;
use super::rows::ClientPeer;

fn output(command: &mut Command) -> Result<(Vec<u8>, u32), String> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = tools::text(&output.stderr);
    match output.status.code() {
        Some(0) => Ok((output.stdout, 0)),
        code => Err(format!("status {code:?}: {}", said.trim())),
    }
}

/// OpenSSH's `ssh`.
pub(crate) struct Ssh {
    program: PathBuf,
    folder: tempfile::TempDir,
    everything: Vec<String>,
}

impl Ssh {
    pub(crate) fn new(program: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        keys::make_files(folder.path());
        let options = [
            "KexAlgorithms",
            "HostKeyAlgorithms",
            "Ciphers",
            "MACs",
            "PubkeyAcceptedAlgorithms",
        ];
        let everything =
            options.map(|option| format!("{option}={}", everything_of(&program, option)));
        Self {
            program,
            folder,
            everything: everything.to_vec(),
        }
    }
}

/// All algorithms that OpenSSH has for an option.
pub(crate) fn everything_of(ssh: &Path, option: &str) -> String {
    let said = tools::run(Command::new(ssh).args(["-Q", option])).stdout;
    tools::text(&said)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(",")
}

impl ClientPeer for Ssh {
    fn name(&self) -> &'static str {
        "OpenSSH"
    }

    fn exchanges_again(&self) -> bool {
        true
    }

    fn run(
        &self,
        port: u16,
        _: &[u8],
        login: HostKeyAlgorithm,
        command: &str,
    ) -> Result<(Vec<u8>, u32), String> {
        let mut ssh = tools::bounded(&self.program);
        ssh.args(["-F", "none", "-l", "alice", "-p", &port.to_string(), "-i"]);
        ssh.arg(self.folder.path().join(keys::file_name(login)));
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "RekeyLimit=100K",
        ] {
            ssh.args(["-o", option]);
        }
        for option in &self.everything {
            ssh.args(["-o", option]);
        }
        output(ssh.args(["127.0.0.1", command]))
    }
}

/// dropbear's `dbclient`.
pub(crate) struct Dbclient {
    program: PathBuf,
    folder: tempfile::TempDir,
}

/// Makes dropbear's key files, `NAME.dropbear`, of OpenSSH's.
pub(crate) fn convert_for_dropbear(convert: &Path, files: &[PathBuf]) -> Vec<PathBuf> {
    let made = |file: &PathBuf| {
        let made = file.with_extension("dropbear");
        tools::run(
            Command::new(convert)
                .args(["openssh", "dropbear"])
                .arg(file)
                .arg(&made),
        );
        made
    };
    files.iter().map(made).collect()
}

impl Dbclient {
    pub(crate) fn new(program: PathBuf, convert: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        convert_for_dropbear(convert, &keys::make_files(folder.path()));
        Self { program, folder }
    }
}

impl ClientPeer for Dbclient {
    fn name(&self) -> &'static str {
        "dropbear"
    }

    fn exchanges_again(&self) -> bool {
        false
    }

    fn run(
        &self,
        port: u16,
        _: &[u8],
        login: HostKeyAlgorithm,
        command: &str,
    ) -> Result<(Vec<u8>, u32), String> {
        let key = self
            .folder
            .path()
            .join(keys::file_name(login))
            .with_extension("dropbear");
        let mut dbclient = tools::bounded(&self.program);
        dbclient
            .env("HOME", self.folder.path())
            .args(["-y", "-y", "-T", "-l", "alice", "-i"])
            .arg(key);
        output(dbclient.args(["-p", &port.to_string(), "127.0.0.1", command]))
    }
}

/// PuTTY's `plink`.
pub(crate) struct Plink {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Plink {
    pub(crate) fn new(program: PathBuf, puttygen: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in keys::make_files(folder.path()) {
            let made = file.with_extension("ppk");
            tools::run(
                Command::new(puttygen)
                    .arg(&file)
                    .args(["-O", "private", "-o"])
                    .arg(made),
            );
        }
        Self { program, folder }
    }
}

impl ClientPeer for Plink {
    fn name(&self) -> &'static str {
        "PuTTY"
    }

    fn exchanges_again(&self) -> bool {
        false
    }

    fn run(
        &self,
        port: u16,
        host_key: &[u8],
        login: HostKeyAlgorithm,
        command: &str,
    ) -> Result<(Vec<u8>, u32), String> {
        let key = self
            .folder
            .path()
            .join(keys::file_name(login))
            .with_extension("ppk");
        let fingerprint = tools::base64_of(digest(&SHA256, host_key).as_ref());
        let fingerprint = format!("SHA256:{}", fingerprint.trim_end_matches('='));
        let mut plink = tools::bounded(&self.program);
        plink
            .env("HOME", self.folder.path())
            .args([
                "-ssh",
                "-batch",
                "-T",
                "-l",
                "alice",
                "-hostkey",
                &fingerprint,
                "-i",
            ])
            .arg(key);
        output(plink.args(["-P", &port.to_string(), "127.0.0.1", command]))
    }
}
