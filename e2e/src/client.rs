//! Real SSH clients, kept apart from the configuration of the person who runs the tests.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::live::{Live, Size};
use crate::process::{Finished, Input, PATIENCE, isolate, run, shown};
use crate::room::Room;
use crate::tools;

/// The terminal that tests start with.
pub const TERMINAL: Size = Size {
    columns: 90,
    rows: 30,
};

/// How a client reaches a server: an OpenSSH configuration file with the host `target`.
#[derive(Clone)]
pub struct Door {
    /// The configuration file, for `-F`.
    pub config: PathBuf,
    /// Loopback port.
    pub port: u16,
    /// User to log in as.
    pub user: String,
    /// Folder that clients take for the home of their user.
    pub home: PathBuf,
}

impl Door {
    /// Writes the configuration `name` for one server; `lines` are further options, which win.
    pub fn new(room: &Room, name: &str, port: u16, user: &str, lines: &[String]) -> Self {
        let home = room.path("home");
        fs::create_dir_all(&home).expect("a home");
        let door = Self {
            config: room.write(name, ""),
            port,
            user: user.to_owned(),
            home,
        };
        door.add_host(room, "target", port, lines);
        door
    }

    /// Adds another host to the configuration, with the options that `target` has; `lines` are further ones, which win.
    ///
    /// # Panics
    ///
    /// When the configuration cannot be written.
    pub fn add_host(&self, room: &Room, host: &str, port: u16, lines: &[String]) {
        let mut text = fs::read_to_string(&self.config).expect("a configuration");
        text += &format!("Host {host}\n");
        for line in lines {
            text += &format!("  {line}\n");
        }
        text += &format!(
            "  HostName 127.0.0.1\n  Port {port}\n  User {}\n  UserKnownHostsFile {}\n\
             \x20 GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking accept-new\n  BatchMode yes\n\
             \x20 IdentityAgent none\n  IdentityFile none\n  ConnectTimeout 20\n",
            self.user,
            room.path("known_hosts").display()
        );
        fs::write(&self.config, text).expect("a configuration");
    }

    /// The OpenSSH client.
    pub fn ssh(&self) -> Client {
        Client::openssh(self, "ssh")
    }

    /// `ssh -F config` as one shell word list, for programs that start `ssh` themselves.
    pub fn ssh_line(&self) -> String {
        format!(
            "{} -F {}",
            tools::path("ssh").display(),
            self.config.display()
        )
    }
}

/// A client to be started: a program and its arguments before the destination.
#[derive(Clone)]
pub struct Client {
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    destination: Option<OsString>,
    limit: Duration,
}

impl Client {
    /// `ssh` with the configuration of a door.
    pub fn openssh(door: &Door, program: &str) -> Self {
        Self::plain(door, program)
            .arg("-F")
            .arg(&door.config)
            .to("target")
    }

    /// Any program, with the home of the door and nothing else.
    pub fn plain(door: &Door, program: &str) -> Self {
        Self {
            program: tools::path(program),
            arguments: Vec::new(),
            variables: vec![("HOME".into(), door.home.clone().into())],
            destination: None,
            limit: PATIENCE,
        }
    }

    /// Adds an argument before the destination.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args(self, arguments: &[&str]) -> Self {
        arguments.iter().fold(self, Self::arg)
    }

    /// Adds `-o option`.
    #[must_use]
    pub fn option(self, option: impl AsRef<OsStr>) -> Self {
        self.arg("-o").arg(option)
    }

    /// Sets a variable in the environment of the client.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables
            .push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Where to go.
    #[must_use]
    pub fn to(mut self, destination: impl AsRef<OsStr>) -> Self {
        self.destination = Some(destination.as_ref().to_owned());
        self
    }

    /// How long it may take.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The command for a remote command line; an empty one asks for a shell.
    pub fn command(&self, remote: &str) -> Command {
        let mut command = Command::new(&self.program);
        isolate(&mut command);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(&self.arguments).args(&self.destination);
        if !remote.is_empty() {
            command.arg(remote);
        }
        command
    }

    /// The same as text for a shell.
    pub fn line(&self, remote: &str) -> String {
        shown(&self.command(remote))
    }

    /// Runs it to its end with no input.
    #[track_caller]
    pub fn run(&self, remote: &str) -> Finished {
        run(&mut self.command(remote), Input::Nothing, self.limit)
    }

    /// Runs it to its end with these bytes as its input.
    #[track_caller]
    pub fn feed(&self, remote: &str, input: &[u8]) -> Finished {
        run(&mut self.command(remote), Input::Bytes(input), self.limit)
    }

    /// Starts it on pipes.
    #[track_caller]
    pub fn live(&self, remote: &str) -> Live {
        Live::piped(&mut self.command(remote))
    }

    /// Starts it with its output unread.
    #[track_caller]
    pub fn stalled(&self, remote: &str) -> Live {
        Live::stalled(&mut self.command(remote))
    }

    /// Starts it on a terminal.
    #[track_caller]
    pub fn terminal(&self, remote: &str) -> Live {
        Live::on_terminal(&self.command(remote), TERMINAL)
    }
}

/// A key pair with a certificate for `user` by the given authority, as the proxy would mint one: for the direct way.
///
/// # Panics
///
/// When `ssh-keygen` does not make it.
pub fn certified_key(room: &Room, authority: &Path, user: &str) -> PathBuf {
    let key = room.key("direct_key", "ed25519");
    let mut keygen = Command::new(tools::path("ssh-keygen"));
    keygen
        .args(["-q", "-I", "direct", "-n", user, "-V", "-5m:+1h", "-s"])
        .arg(authority);
    run(
        keygen.arg(format!("{}.pub", key.display())),
        Input::Nothing,
        Duration::from_secs(20),
    )
    .expect_code(0);
    key
}
