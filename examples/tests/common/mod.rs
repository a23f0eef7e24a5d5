//! What the tests of the examples share: real tools, temporary folders, bounded time.

#![allow(dead_code, reason = "each test file uses a part")]

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Finds a program on `PATH` or where servers are kept. Without it the test says so and is left,
/// or fails when nothing may be skipped.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// Says why a test is left, or fails when nothing may be skipped.
pub(crate) fn skip(why: &str) {
    assert!(
        std::env::var_os("PORTREEVE_NO_SKIP").is_none_or(|value| value != "1"),
        "{why} and nothing may be skipped"
    );
    // Not a macro: what those print is swallowed where a test succeeds.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// The binary of an example, which `cargo test` puts beside the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let file = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        file.is_file(),
        "{} is not built: run `cargo build -p examples --examples` first",
        file.display()
    );
    file
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Makes an Ed25519 key pair `NAME` and `NAME.pub` without a passphrase.
pub(crate) fn ssh_keygen(keygen: &Path, folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    run(Command::new(keygen)
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
        .arg(&file));
    file
}

/// `ssh` with options that keep it from asking anything and from the user's own files.
pub(crate) fn ssh(ssh: &Path, folder: &Path, port: u16) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(ssh);
    command.args(["-F", "none", "-p"]);
    command.arg(port.to_string());
    let known_hosts = folder.join("known_hosts");
    for option in [
        "StrictHostKeyChecking=accept-new",
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "LogLevel=ERROR",
        "ConnectTimeout=10",
        &format!("UserKnownHostsFile={}", known_hosts.display()),
    ] {
        command.args(["-o", option]);
    }
    command.kill_on_drop(true);
    command
}

/// What a command without input says, within a minute.
pub(crate) async fn output(command: &mut tokio::process::Command) -> Output {
    bounded(command.stdin(Stdio::null()).output())
        .await
        .unwrap()
}

/// The result of something that must not take longer than a minute. What `ssh` commands are left
/// then are killed, since they are dropped.
pub(crate) async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(60), future)
        .await
        .expect("it took longer than a minute")
}

/// Whether this process was started with a signal ignored, which all that it starts inherits: hangups by `nohup`,
/// interrupts by a shell that puts it into the background.
pub(crate) fn ignores(signal: rustix::process::Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

/// An ssh-agent, until it is dropped.
pub(crate) struct Agent(Child);

impl Agent {
    /// One that listens at `socket`.
    pub(crate) fn start(program: &Path, socket: &Path) -> Agent {
        let mut command = Command::new(program);
        command.arg("-D").arg("-a").arg(socket);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let agent = Agent(command.spawn().unwrap());
        for _ in 0..3_000 {
            if UnixStream::connect(socket).is_ok() {
                return agent;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("ssh-agent did not open its socket");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
