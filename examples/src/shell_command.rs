//! A command of `/bin/sh` whose three pipes are threads that report to one queue.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread;

/// The most that is read from a pipe at a time, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// Which of a command's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipe {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// What happens to a command.
#[derive(Debug)]
pub enum CommandEvent {
    /// It wrote. No more is read from this pipe until [`ShellCommand::taken`].
    Wrote(Pipe, Vec<u8>),
    /// It closed this pipe.
    Closed(Pipe),
    /// It took as many bytes of its input, or never will.
    Read(usize),
    /// It has ended, with this status as a shell counts: 128 and the number of the signal that killed it.
    Exited(u32),
}

/// A running command. It goes on when this is dropped, with its input closed and its outputs broken, as under `sshd`.
#[derive(Debug)]
pub struct ShellCommand {
    input: Option<Sender<Vec<u8>>>,
    taken: [Sender<()>; 2],
}

impl ShellCommand {
    /// Starts `command`, or a shell that reads commands from its input. What happens is put into `events`.
    ///
    /// # Errors
    /// When there is no shell or no process to be had.
    pub fn start<E: From<CommandEvent> + Send + 'static>(
        command: Option<&str>,
        events: &SyncSender<E>,
    ) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh");
        if let Some(command) = command {
            shell.args(["-c", command]);
        }
        let mut child = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (input, writes) = channel();
        let (take_output, output_taken) = channel();
        let (take_error, error_taken) = channel();
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let queue = events.clone();
        thread::spawn(move || write_input(stdin, &writes, &queue));
        let queue = events.clone();
        thread::spawn(move || read_output(stdout, Pipe::Output, &output_taken, &queue));
        let queue = events.clone();
        thread::spawn(move || read_output(stderr, Pipe::Error, &error_taken, &queue));
        let queue = events.clone();
        thread::spawn(move || wait(child, &queue));
        Ok(Self {
            input: Some(input),
            taken: [take_output, take_error],
        })
    }

    /// Gives the command input, which [`CommandEvent::Read`] follows.
    pub fn write(&self, bytes: Vec<u8>) {
        if let Some(input) = &self.input {
            let _ = input.send(bytes);
        }
    }

    /// Ends the command's input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Has the next piece read from `pipe`.
    pub fn taken(&self, pipe: Pipe) {
        let [output, error] = &self.taken;
        let _ = match pipe {
            Pipe::Output => output.send(()),
            Pipe::Error => error.send(()),
        };
    }
}

fn write_input<E: From<CommandEvent>>(
    stdin: Option<impl io::Write>,
    writes: &Receiver<Vec<u8>>,
    events: &SyncSender<E>,
) {
    let mut stdin = stdin;
    for bytes in writes {
        // A command that has closed its input lets the rest of it pass.
        if stdin
            .as_mut()
            .is_some_and(|pipe| pipe.write_all(&bytes).is_err())
        {
            stdin = None;
        }
        if events.send(CommandEvent::Read(bytes.len()).into()).is_err() {
            return;
        }
    }
}

fn read_output<E: From<CommandEvent>>(
    pipe: Option<impl Read>,
    which: Pipe,
    taken: &Receiver<()>,
    events: &SyncSender<E>,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    if let Some(mut pipe) = pipe {
        while let Ok(len @ 1..) = pipe.read(&mut chunk) {
            let bytes = chunk.get(..len).unwrap_or_default().to_vec();
            if events
                .send(CommandEvent::Wrote(which, bytes).into())
                .is_err()
                || taken.recv().is_err()
            {
                return;
            }
        }
    }
    let _ = events.send(CommandEvent::Closed(which).into());
}

fn wait<E: From<CommandEvent>>(mut child: Child, events: &SyncSender<E>) {
    let status = child.wait().map_or(255, shell_status);
    let _ = events.send(CommandEvent::Exited(status).into());
}

fn shell_status(status: ExitStatus) -> u32 {
    let number = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    number
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or(255)
}
