//! A command of the embedded target: its process group, its streams, its end.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pty_process::{OwnedReadPty, Size};
use russh::server::{Handle, Msg};
use russh::{ChannelId, ChannelWriteHalf, Sig};
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::STDIN_LIMIT_BYTES;

/// What runs commands and shells.
const SHELL: &str = "/bin/sh";

/// How much is read from a command at a time.
const COPY_BUFFER_BYTES: usize = 32 << 10;

/// How long a terminal is still read after its shell has ended: what was written is there at once,
/// but a job left in the background may hold the terminal open for ever.
const TERMINAL_DRAIN: Duration = Duration::from_millis(100);

/// How long a command whose client has gone may take to end after SIGHUP before it is killed.
const HANGUP_GRACE: Duration = Duration::from_secs(1);

/// The extended data code of standard error (RFC 4254 section 5.2).
const STDERR: u32 = 1;

/// A terminal that a client asked for.
pub(super) struct Terminal {
    pub(super) term: String,
    pub(super) size: Size,
}

/// What is to be run.
pub(super) struct Spawn {
    /// None is an interactive shell.
    pub(super) command: Option<Vec<u8>>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) terminal: Option<Terminal>,
}

/// The standard input of a command is over its limit.
pub(super) struct StdinFull;

/// A command that was started. Dropping this ends it.
pub(super) struct Running {
    stdin: Option<mpsc::UnboundedSender<Vec<u8>>>,
    waiting_bytes: Arc<AtomicUsize>,
    signals: mpsc::UnboundedSender<Signal>,
    terminal: Option<OwnedFd>,
}

impl Running {
    /// Queues input for the command.
    pub(super) fn stdin(&mut self, data: &[u8]) -> Result<(), StdinFull> {
        let Some(stdin) = &self.stdin else {
            return Ok(());
        };
        let before = self.waiting_bytes.fetch_add(data.len(), Ordering::Relaxed);
        if before.saturating_add(data.len()) > STDIN_LIMIT_BYTES {
            return Err(StdinFull);
        }
        if stdin.send(data.to_vec()).is_err() {
            // The command has closed its input: the rest is of no use to anyone.
            self.stdin = None;
        }
        Ok(())
    }

    /// Ends the command's input. In a terminal the client types the end itself.
    pub(super) fn stdin_eof(&mut self) {
        if self.terminal.is_none() {
            self.stdin = None;
        }
    }

    /// Tells the terminal its size; false when there is no terminal.
    pub(super) fn resize(&self, size: Size) -> bool {
        self.terminal
            .as_ref()
            .is_some_and(|terminal| rustix::termios::tcsetwinsize(terminal, size.into()).is_ok())
    }

    /// Sends a signal to the command's process group.
    pub(super) fn signal(&self, signal: &Sig) {
        if let Some(signal) = to_unix(signal) {
            // Whoever has ended needs no signal.
            let _ = self.signals.send(signal);
        }
    }
}

/// Starts a command whose output goes to the channel.
///
/// # Errors
/// When no terminal or process can be had.
pub(super) fn start(
    spawn: Spawn,
    channel: &ChannelWriteHalf<Msg>,
    handle: Handle,
) -> io::Result<Running> {
    let (stdin, stdin_queue) = mpsc::unbounded_channel();
    let (signals, signal_queue) = mpsc::unbounded_channel();
    let waiting_bytes = Arc::new(AtomicUsize::new(0));
    let mut size_of = None;
    let reporter = Reporter {
        handle,
        id: channel.id(),
    };
    let command = shell_command(&spawn);
    let feeder = Feeder {
        queue: stdin_queue,
        waiting: waiting_bytes.clone(),
    };
    if let Some(terminal) = spawn.terminal {
        let (pty, pts) = pty_process::open().map_err(io::Error::other)?;
        pty.resize(terminal.size).map_err(io::Error::other)?;
        let child = pty_process::Command::from(command)
            .spawn(pts)
            .map_err(io::Error::other)?;
        let group = Group::of(&child)?;
        size_of = Some(pty.as_fd().try_clone_to_owned()?);
        let (read, write) = pty.into_split();
        let output = channel.make_writer();
        tokio::spawn(async move {
            let feeding = tokio::spawn(feeder.feed(write));
            in_terminal(child, group, read, signal_queue, output, reporter).await;
            feeding.abort();
        });
    } else {
        let mut command = command;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let group = Group::of(&child)?;
        let (Some(input), Some(out), Some(err)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("a pipe is missing"));
        };
        let (output, errors) = (channel.make_writer(), channel.make_writer_ext(Some(STDERR)));
        tokio::spawn(async move {
            let feeding = tokio::spawn(feeder.feed(input));
            let copying = async {
                tokio::join!(copy(out, output), copy(err, errors));
            };
            over_pipes(child, group, copying, signal_queue, reporter).await;
            feeding.abort();
        });
    }
    Ok(Running {
        stdin: Some(stdin),
        waiting_bytes,
        signals,
        terminal: size_of,
    })
}

/// `/bin/sh`, as a login shell or with `-c`, in the user's home and with a bare environment.
fn shell_command(spawn: &Spawn) -> Command {
    let mut command = Command::new(SHELL);
    match &spawn.command {
        Some(line) => {
            command.arg("-c").arg(OsStr::from_bytes(line));
        }
        None => {
            command.arg0("-sh");
        }
    }
    command.env_clear();
    for name in ["PATH", "HOME", "USER", "LOGNAME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("SHELL", SHELL);
    if let Some(terminal) = &spawn.terminal {
        command.env("TERM", &terminal.term);
    }
    command.envs(spawn.environment.iter().map(|(name, value)| (name, value)));
    if let Some(home) = std::env::var_os("HOME").filter(|home| std::path::Path::new(home).is_dir())
    {
        command.current_dir(home);
    }
    command.kill_on_drop(true);
    command
}

/// Runs a command without a terminal: it has ended when it exited and closed its output, so that
/// nothing a background part of it still prints is lost.
async fn over_pipes(
    mut child: Child,
    mut group: Group,
    copying: impl Future<Output = ()>,
    mut signals: mpsc::UnboundedReceiver<Signal>,
    reporter: Reporter,
) {
    let ending = async {
        let (status, ()) = tokio::join!(child.wait(), copying);
        status
    };
    tokio::pin!(ending);
    loop {
        tokio::select! {
            status = &mut ending => {
                group.ended();
                reporter.end(status).await;
                return;
            }
            signal = signals.recv() => match signal {
                Some(signal) => group.signal(signal),
                None => {
                    group.signal(Signal::HUP);
                    if tokio::time::timeout(HANGUP_GRACE, ending).await.is_ok() {
                        group.ended();
                    }
                    return;
                }
            },
        }
    }
}

/// Runs a command in a terminal: it has ended when its shell has, as in `sshd`.
async fn in_terminal(
    mut child: Child,
    mut group: Group,
    read: OwnedReadPty,
    mut signals: mpsc::UnboundedReceiver<Signal>,
    output: impl AsyncWrite + Unpin,
    reporter: Reporter,
) {
    let copying = copy(read, output);
    tokio::pin!(copying);
    let mut copied = false;
    let mut status = None;
    while status.is_none() {
        tokio::select! {
            exited = child.wait() => status = Some(exited),
            () = &mut copying, if !copied => copied = true,
            signal = signals.recv() => match signal {
                Some(signal) => group.signal(signal),
                None => {
                    group.signal(Signal::HUP);
                    if tokio::time::timeout(HANGUP_GRACE, child.wait()).await.is_ok() {
                        group.ended();
                    }
                    return;
                }
            },
        }
    }
    group.ended();
    if !copied {
        let _ = tokio::time::timeout(TERMINAL_DRAIN, copying).await;
    }
    if let Some(status) = status {
        reporter.end(status).await;
    }
}

/// Copies until the end or the first error: on both there is nothing left to say.
async fn copy(from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let mut from = BufReader::with_capacity(COPY_BUFFER_BYTES, from);
    let _ = tokio::io::copy_buf(&mut from, &mut to).await;
}

/// The queue of input, and how much is in it.
struct Feeder {
    queue: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
}

impl Feeder {
    /// Writes until the client ends the input or the command stops taking it.
    async fn feed(mut self, mut input: impl AsyncWrite + Unpin) {
        while let Some(data) = self.queue.recv().await {
            if input.write_all(&data).await.is_err() {
                return;
            }
            self.waiting.fetch_sub(data.len(), Ordering::Relaxed);
        }
    }
}

/// The process group of a command; what is left of it dies with this.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> io::Result<Self> {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        id.and_then(Pid::from_raw)
            .map(|pid| Self(Some(pid)))
            .ok_or_else(|| io::Error::other("the process has no id"))
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            // Gone already is fine.
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }

    /// The command ended by itself: its number may belong to another soon.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Tells the client how a command ended.
struct Reporter {
    handle: Handle,
    id: ChannelId,
}

impl Reporter {
    /// End of data, exit status or exit signal, close: the order of `sshd`.
    async fn end(&self, status: io::Result<ExitStatus>) {
        // Every answer fails only when the connection is gone, and then nobody needs it.
        let _ = self.handle.eof(self.id).await;
        match status {
            Ok(status) => {
                if let Some(signal) = status.signal() {
                    let _ = self
                        .handle
                        .exit_signal_request(
                            self.id,
                            from_unix(signal),
                            status.core_dumped(),
                            String::new(),
                            String::new(),
                        )
                        .await;
                } else {
                    let code = u32::try_from(status.code().unwrap_or(255)).unwrap_or(255);
                    let _ = self.handle.exit_status_request(self.id, code).await;
                }
            }
            Err(error) => tracing::warn!(%error, "the end of a command is not known"),
        }
        let _ = self.handle.close(self.id).await;
    }
}

/// Both names of the signals of RFC 4254 section 6.10.
const SIGNALS: [(Sig, Signal); 12] = [
    (Sig::ABRT, Signal::ABORT),
    (Sig::ALRM, Signal::ALARM),
    (Sig::FPE, Signal::FPE),
    (Sig::HUP, Signal::HUP),
    (Sig::ILL, Signal::ILL),
    (Sig::INT, Signal::INT),
    (Sig::KILL, Signal::KILL),
    (Sig::PIPE, Signal::PIPE),
    (Sig::QUIT, Signal::QUIT),
    (Sig::SEGV, Signal::SEGV),
    (Sig::TERM, Signal::TERM),
    (Sig::USR1, Signal::USR1),
];

fn to_unix(signal: &Sig) -> Option<Signal> {
    if matches!(signal, Sig::Custom(name) if name == "USR2") {
        return Some(Signal::USR2);
    }
    SIGNALS
        .iter()
        .find(|(ssh, _)| std::mem::discriminant(ssh) == std::mem::discriminant(signal))
        .map(|(_, unix)| *unix)
}

fn from_unix(number: i32) -> Sig {
    if number == Signal::USR2.as_raw() {
        return Sig::Custom("USR2".to_owned());
    }
    SIGNALS
        .iter()
        .find(|(_, unix)| unix.as_raw() == number)
        .map_or_else(
            || Sig::Custom(format!("SIG{number}@portreeve")),
            |(ssh, _)| ssh.clone(),
        )
}
