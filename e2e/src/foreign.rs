//! Peers that are not OpenSSH: dropbear's client and server, and PuTTY's `plink`.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::client::Client;
use crate::house::{House, Plan};
use crate::process::{Input, PATIENCE, TICK, kill_group, run, wait};
use crate::room::{Room, free_port};
use crate::tools;

/// These clients know no certificates: on the direct way the target takes plain keys from this file.
pub fn plan(plan: &mut Plan) {
    let keys = plan.room.write("foreign_keys", "");
    plan.sshd
        .lines
        .push(format!("AuthorizedKeysFile {}", keys.display()));
}

/// Dropbear's client, ready to go to the target.
///
/// # Panics
///
/// When its key cannot be made.
pub fn dbclient(house: &House) -> Client {
    let client =
        Client::plain(&house.door, "dbclient").args(&["-y", "-p", &house.door.port.to_string()]);
    let destination = format!("{}@127.0.0.1", house.door.user);
    if house.proxy.is_some() {
        return client.to(destination);
    }
    let key = house.path("dropbear_key");
    let said = made(
        Command::new(tools::path("dropbearkey"))
            .args(["-t", "ed25519", "-f"])
            .arg(&key),
    );
    allow(
        &house.room,
        said.lines()
            .find(|line| line.starts_with("ssh-ed25519 "))
            .expect("a public key"),
    );
    client.arg("-i").arg(key).to(destination)
}

/// PuTTY's command line client, ready to go to the target. It is told the host key, which an OpenSSH client has
/// learnt before.
///
/// # Panics
///
/// When its key cannot be made, or the host key is not known.
pub fn plink(house: &House) -> Client {
    house.ssh().run("true").expect_code(0);
    let known = made(
        Command::new(tools::path("ssh-keygen"))
            .arg("-lf")
            .arg(house.path("known_hosts")),
    );
    let fingerprint = known.split_whitespace().nth(1).expect("a fingerprint");
    let port = house.door.port.to_string();
    let client = Client::plain(&house.door, "plink").args(&[
        "-ssh",
        "-batch",
        "-hostkey",
        fingerprint,
        "-P",
        &port,
    ]);
    let destination = format!("{}@127.0.0.1", house.door.user);
    if house.proxy.is_some() {
        return client.to(destination);
    }
    let key = house.path("putty.ppk");
    let mut puttygen = Command::new(tools::path("puttygen"));
    made(
        puttygen
            .args(["-q", "-t", "ed25519", "--new-passphrase", "/dev/null", "-o"])
            .arg(&key),
    );
    let public = made(Command::new(tools::path("puttygen")).arg("-L").arg(&key));
    allow(&house.room, public.trim());
    client.arg("-i").arg(key).to(destination)
}

fn made(command: &mut Command) -> String {
    run(command, Input::Nothing, PATIENCE).expect_code(0).out()
}

fn allow(room: &Room, public_key: &str) {
    fs::write(room.path("foreign_keys"), format!("{public_key}\n")).expect("a written key");
}

/// Dropbear as a server, killed when dropped.
pub struct DropbearServer {
    child: Child,
    /// Loopback port it listens on.
    pub port: u16,
    log: PathBuf,
}

impl DropbearServer {
    /// Starts it with a host key of its own.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(room: &Room) -> Self {
        let key = room.path("dropbear_host_key");
        made(
            Command::new(tools::path("dropbearkey"))
                .args(["-t", "ed25519", "-f"])
                .arg(&key),
        );
        let log = room.path("dropbear.log");
        for _ in 0..5 {
            let port = free_port();
            let mut command = Command::new(tools::path("dropbear"));
            command.args(["-F", "-E", "-p", &format!("127.0.0.1:{port}"), "-P", ""]);
            command.arg("-r").arg(&key).stdin(Stdio::null());
            command.stderr(fs::File::create(&log).expect("a file for its log"));
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            let child = command.spawn().expect("a started dropbear");
            let mut server = Self {
                child,
                port,
                log: log.clone(),
            };
            if server.is_listening() {
                return server;
            }
        }
        panic!(
            "dropbear does not start: {}",
            fs::read_to_string(log).unwrap_or_default()
        );
    }

    fn is_listening(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            // Said when the port is bound.
            if self.said().contains("Not backgrounding") {
                return true;
            }
            if wait(&mut self.child, TICK).is_some() {
                return false;
            }
        }
        false
    }

    /// All it has logged.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for DropbearServer {
    fn drop(&mut self) {
        kill_group(&mut self.child);
    }
}
