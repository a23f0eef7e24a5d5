//! A folder with authorities and a key, and the commands run in it.

#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::common::{example, ssh_keygen, tool};

/// Exit status, standard output, standard error.
pub(crate) type Outcome = (i32, String, String);

pub(crate) struct Lab {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) keygen: PathBuf,
}

impl Lab {
    /// With a CA, another one, and a key to certify.
    pub(crate) fn new() -> Option<Self> {
        let keygen = tool("ssh-keygen")?;
        let folder = tempfile::tempdir().unwrap();
        for name in ["ca", "other", "id"] {
            ssh_keygen(&keygen, folder.path(), name);
        }
        Some(Self { folder, keygen })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(example(program));
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    pub(crate) fn outcome(&self, program: &str, arguments: &[&str]) -> Outcome {
        outcome(&mut self.command(program, arguments))
    }

    /// Expects success without a word on standard error, and gives what was printed.
    pub(crate) fn good(&self, program: &str, arguments: &[&str]) -> String {
        let (status, stdout, stderr) = self.outcome(program, arguments);
        assert_eq!(
            (status, stderr.as_str()),
            (0, ""),
            "{program} {arguments:?}"
        );
        stdout
    }

    pub(crate) fn ssh_keygen(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(&self.keygen);
        command.args(arguments).current_dir(self.folder.path());
        outcome(command.env("TZ", "UTC"))
    }

    pub(crate) fn mint(&self, arguments: &[&str]) {
        let fixed = [
            "--ca",
            "ca",
            "--public-key",
            "id.pub",
            "--out",
            "id-cert.pub",
        ];
        self.good("mint_cert", &[&fixed, arguments].concat());
    }

    pub(crate) fn check(&self, arguments: &[&str]) -> Outcome {
        let fixed = ["--ca", "ca.pub", "--cert", "id-cert.pub"];
        self.outcome("check_cert", &[&fixed, arguments].concat())
    }
}

pub(crate) fn outcome(command: &mut Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}
