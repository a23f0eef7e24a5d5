//! Programs run to their end, in bounded time, with everything they said kept.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long a program may take when the test names no limit.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// How often a waiting test looks again.
pub const TICK: Duration = Duration::from_millis(5);

/// What a program reads on its standard input.
pub enum Input<'a> {
    /// End of file at once (`/dev/null`).
    Nothing,
    /// These bytes, then end of file.
    Bytes(&'a [u8]),
}

/// A program that has ended.
pub struct Finished {
    /// Exit code, or `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error.
    pub stderr: Vec<u8>,
    /// From start to end.
    pub took: Duration,
    line: String,
}

impl Finished {
    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text, without the client's notice that it has learnt a host key.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr)
            .lines()
            .filter(|line| !line.starts_with("Warning: Permanently added"))
            .map(|line| format!("{}\n", line.trim_end_matches('\r')))
            .collect()
    }

    /// This program, which must have ended with `code`.
    ///
    /// # Panics
    ///
    /// When it did not; the message shows the command and what it wrote.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert!(
            self.code == Some(code),
            "expected exit code {code}\n{self:?}"
        );
        self
    }

    /// This program, which must have failed in any way.
    ///
    /// # Panics
    ///
    /// When it succeeded.
    #[track_caller]
    pub fn expect_failure(self) -> Self {
        assert!(self.code != Some(0), "expected a failure\n{self:?}");
        self
    }
}

impl std::fmt::Debug for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "$ {}", self.line)?;
        writeln!(
            f,
            "code {:?}, signal {:?}, after {:?}",
            self.code, self.signal, self.took
        )?;
        writeln!(f, "stdout: {}", shortened(&self.stdout))?;
        write!(f, "stderr: {}", shortened(&self.stderr))
    }
}

/// Runs a program to its end in its own process group.
///
/// # Panics
///
/// When it cannot be started, or is still running after `limit`: then its whole group is killed first.
#[track_caller]
pub fn run(command: &mut Command, input: Input<'_>, limit: Duration) -> Finished {
    let mut stdout = tempfile::tempfile().expect("a file for standard output");
    let mut stderr = tempfile::tempfile().expect("a file for standard error");
    command
        .stdout(same(&stdout))
        .stderr(same(&stderr))
        .process_group(0);
    match input {
        Input::Nothing => command.stdin(Stdio::null()),
        Input::Bytes(bytes) => command.stdin(holding(bytes)),
    };
    let line = shown(command);
    let started = Instant::now();
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start `{line}`: {error}"));
    let status = wait(&mut child, limit);
    if status.is_none() {
        kill_group(&mut child);
    }
    let finished = Finished {
        code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        stdout: content(&mut stdout),
        stderr: content(&mut stderr),
        took: started.elapsed(),
        line,
    };
    assert!(
        status.is_some(),
        "still running after {limit:?}, killed\n{finished:?}"
    );
    finished
}

/// Runs `sh -c script`, for pipelines between programs.
///
/// # Panics
///
/// As [`run`].
#[track_caller]
pub fn shell(script: &str, limit: Duration) -> Finished {
    let mut command = Command::new("sh");
    isolate(&mut command);
    run(command.args(["-c", script]), Input::Nothing, limit)
}

/// Takes away what the surrounding session would lend a program: agent, display, locale, terminal type.
pub fn isolate(command: &mut Command) {
    for name in [
        "SSH_AUTH_SOCK",
        "SSH_ASKPASS",
        "DISPLAY",
        "LC_ALL",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
    ] {
        command.env_remove(name);
    }
    command.env("LANG", "C.UTF-8").env("TERM", "xterm");
}

/// The exit status, or `None` when the program is still running after `limit`.
pub fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("the state of a child process") {
            return Some(status);
        }
        if started.elapsed() > limit {
            return None;
        }
        thread::sleep(TICK);
    }
}

/// Kills a child that leads its own process group, with all that it started there.
pub fn kill_group(child: &mut Child) {
    // The group is gone when the child has already been waited for.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.wait();
}

/// Kills a process and all that it and its children have started.
pub fn kill_tree(child: &mut Child) {
    for id in descendants(child.id()) {
        if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
            // It may have ended meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    kill_group(child);
}

/// Sends a signal to all processes below `ancestor`, as far as they still run.
pub fn signal_descendants(ancestor: u32, signal: Signal) {
    for id in descendants(ancestor) {
        if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
            // It may have ended meanwhile.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Ids of all processes below `ancestor`, from the process table.
fn descendants(ancestor: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name, in parentheses, may hold anything: what follows the last one is regular.
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if let (Some(id), Some(parent)) = (
            entry
                .file_name()
                .to_str()
                .and_then(|id| id.parse::<u32>().ok()),
            parent,
        ) {
            parents.push((id, parent));
        }
    }
    let mut found = vec![ancestor];
    let mut next = 0;
    while next < found.len() {
        let above = found[next];
        found.extend(
            parents
                .iter()
                .filter(|(_, parent)| *parent == above)
                .map(|(id, _)| *id),
        );
        next += 1;
    }
    found.split_off(1)
}

/// Waits until `what` holds.
///
/// # Panics
///
/// When it does not within `limit`; the message is `what_for`.
#[track_caller]
pub fn wait_until(what_for: &str, limit: Duration, mut what: impl FnMut() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(
            started.elapsed() < limit,
            "waited {limit:?} in vain: {what_for}"
        );
        thread::sleep(TICK);
    }
}

/// A word as the shell reads it back unchanged.
pub fn quoted(word: &OsStr) -> String {
    format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"))
}

/// The command line of a command, for messages and for shell pipelines.
pub fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(quoted)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The first and last of a long text, for failure messages.
pub fn shortened(bytes: &[u8]) -> String {
    const KEPT: usize = 6_000;
    if bytes.len() <= 2 * KEPT {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let head = String::from_utf8_lossy(&bytes[..KEPT]);
    let tail = String::from_utf8_lossy(&bytes[bytes.len() - KEPT..]);
    format!("{head}\n[… {} bytes …]\n{tail}", bytes.len() - 2 * KEPT)
}

fn same(file: &File) -> Stdio {
    file.try_clone().expect("a second handle of a file").into()
}

fn holding(bytes: &[u8]) -> Stdio {
    let mut file = tempfile::tempfile().expect("a file for standard input");
    file.write_all(bytes).expect("room for standard input");
    file.seek(SeekFrom::Start(0)).expect("a seekable file");
    file.into()
}

fn content(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).expect("a seekable file");
    file.read_to_end(&mut bytes).expect("a readable file");
    bytes
}
