//! A real OpenSSH server with its own configuration, keys and log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use rustix::process::Signal;

use crate::process::{Input, PATIENCE, TICK, kill_tree, run, signal_descendants};
use crate::room::{Room, free_port};
use crate::tools;

/// What a test's server is to be.
pub struct SshdPlan {
    /// Key types of its host keys, as for `ssh-keygen -t`.
    pub host_keys: Vec<&'static str>,
    /// Public key file whose user certificates it accepts; `None` trusts nobody.
    pub trusts: Option<PathBuf>,
    /// Key pair that signs its host keys, for the principal `target-1`.
    pub host_ca: Option<PathBuf>,
    /// Further lines of `sshd_config`; the first value of an option counts, so these win.
    pub lines: Vec<String>,
}

impl Default for SshdPlan {
    fn default() -> Self {
        Self {
            host_keys: vec!["ed25519"],
            trusts: None,
            host_ca: None,
            lines: Vec::new(),
        }
    }
}

/// A running `sshd`, stopped when dropped.
pub struct Sshd {
    child: Mutex<Child>,
    /// Loopback port it listens on.
    pub port: u16,
    folder: PathBuf,
    log: PathBuf,
}

impl Sshd {
    /// Starts a server whose files stand in `room/name`.
    ///
    /// # Panics
    ///
    /// When it does not start; the message shows its log.
    pub fn start(room: &Room, name: &str, plan: &SshdPlan) -> Self {
        let folder = room.path(name);
        fs::create_dir(&folder).expect("a folder for the server");
        for kind in &plan.host_keys {
            make_host_key(room, name, kind, plan.host_ca.as_deref());
        }
        let log = room.path(&format!("{name}.log"));
        prepare_privilege_separation();
        for _ in 0..5 {
            let port = free_port();
            let config = folder.join("sshd_config");
            fs::write(&config, configuration(&folder, port, plan))
                .expect("a written configuration");
            fs::write(&log, "").expect("an empty log");
            let mut command = Command::new(tools::path("sshd"));
            command.arg("-D").arg("-f").arg(&config).arg("-E").arg(&log);
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            // A group of its own, so that its sessions end with it.
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            let child = command.spawn().expect("a started sshd");
            let server = Self {
                child: Mutex::new(child),
                port,
                folder: folder.clone(),
                log: log.clone(),
            };
            if server.is_listening() {
                return server;
            }
        }
        panic!(
            "sshd does not start:\n{}",
            fs::read_to_string(&log).unwrap_or_default()
        );
    }

    /// Asked of the log, not by a connection: tests count connections.
    fn is_listening(&self) -> bool {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if self.log().contains("Server listening on") {
                return true;
            }
            if self
                .child
                .lock()
                .expect("no panic while held")
                .try_wait()
                .is_ok_and(|status| status.is_some())
            {
                return false;
            }
            thread::sleep(TICK);
        }
        false
    }

    /// All it has logged, at level DEBUG1.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How many connections it has seen.
    pub fn connections(&self) -> usize {
        self.log().matches("Connection from 127.0.0.1 ").count()
    }

    /// One of its host keys, as the line of its `.pub` file without comment.
    ///
    /// # Panics
    ///
    /// When it has no key of that type.
    pub fn host_key(&self, kind: &str) -> String {
        let line =
            fs::read_to_string(self.folder.join(format!("host_{kind}.pub"))).expect("a host key");
        line.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Sends a signal to all its sessions and what runs in them.
    ///
    /// # Panics
    ///
    /// When another thread panicked at the same.
    pub fn signal_sessions(&self, signal: Signal) {
        let id = self.child.lock().expect("no panic while held").id();
        signal_descendants(id, signal);
    }

    /// Ends it and all its sessions without a word, as a machine does that loses its power.
    pub fn die(&self) {
        kill_tree(&mut self.child.lock().expect("no panic while held"));
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.die();
    }
}

fn configuration(folder: &Path, port: u16, plan: &SshdPlan) -> String {
    let mut lines = plan.lines.clone();
    lines.push(format!("Port {port}"));
    for kind in &plan.host_keys {
        lines.push(format!("HostKey {}/host_{kind}", folder.display()));
        if plan.host_ca.is_some() {
            lines.push(format!(
                "HostCertificate {}/host_{kind}-cert.pub",
                folder.display()
            ));
        }
    }
    if let Some(ca) = &plan.trusts {
        lines.push(format!("TrustedUserCAKeys {}", ca.display()));
    }
    lines.extend(
        [
            "ListenAddress 127.0.0.1",
            "AuthorizedKeysFile none",
            "PermitRootLogin yes",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "StrictModes no",
            "UsePAM no",
            "UseDNS no",
            "PidFile none",
            "PrintMotd no",
            "PrintLastLog no",
            "MaxSessions 200",
            "MaxStartups 200",
            "AcceptEnv LANG LC_* GRANTED_* OTHER_*",
            "AllowAgentForwarding yes",
            "AllowTcpForwarding yes",
            "X11Forwarding yes",
            "Subsystem sftp internal-sftp",
            "LogLevel DEBUG1",
        ]
        .map(str::to_owned),
    );
    lines.join("\n") + "\n"
}

fn make_host_key(room: &Room, name: &str, kind: &'static str, authority: Option<&Path>) {
    let key = room.key(&format!("{name}/host_{kind}"), kind);
    let Some(authority) = authority else { return };
    let mut keygen = Command::new(tools::path("ssh-keygen"));
    keygen
        .args([
            "-q", "-h", "-I", "host", "-n", "target-1", "-V", "-5m:+1h", "-s",
        ])
        .arg(authority);
    run(
        keygen.arg(format!("{}.pub", key.display())),
        Input::Nothing,
        PATIENCE,
    )
    .expect_code(0);
}

/// A privileged server wants this empty folder, which its start script makes where there is one.
fn prepare_privilege_separation() {
    // Without the right to make it, there is no need of it either.
    let _ = fs::create_dir_all("/run/sshd");
}
