//! Programs that a test talks to while they run: over pipes, or on a terminal of their own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::process::{isolate, kill_group, shortened, shown, wait};

/// How long a test listens for one thing.
const HEARING: Duration = Duration::from_secs(60);

/// How long an ended program's output may take to be collected.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A running program. It is killed, with its whole process group, when this is dropped.
pub struct Live {
    child: Child,
    input: Option<Box<dyn Write + Send>>,
    unread: Option<ChildStdout>,
    terminal: Option<File>,
    said: Arc<Said>,
    line: String,
}

#[derive(Default)]
struct Said {
    heard: Mutex<Heard>,
    more: Condvar,
}

#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    /// Sources that may still say more.
    open: usize,
}

impl Said {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().expect("no panic while held")
    }
}

/// Columns and rows of a terminal.
#[derive(Clone, Copy)]
pub struct Size {
    /// Characters in a row.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

impl Live {
    /// Starts a program on pipes; its standard output and error are read as they come, into one place.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[track_caller]
    pub fn piped(command: &mut Command) -> Self {
        let mut live = Self::stalled(command);
        let stdout = live.unread.take().expect("standard output");
        live.collect(stdout);
        live
    }

    /// Starts a program whose standard output nobody reads, like a client stopped with a full window.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[track_caller]
    pub fn stalled(command: &mut Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut live = Self::start(command);
        live.input = live
            .child
            .stdin
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Write + Send>);
        live.unread = live.child.stdout.take();
        if let Some(stderr) = live.child.stderr.take() {
            live.collect(stderr);
        }
        live
    }

    /// Starts a program on a new terminal, which controls it: it gets window changes and the signals of keys.
    ///
    /// # Panics
    ///
    /// When there is no terminal to be had, or the program cannot be started.
    #[track_caller]
    pub fn on_terminal(command: &Command, size: Size) -> Self {
        let leader = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a new terminal");
        grantpt(&leader).expect("a terminal of our own");
        unlockpt(&leader).expect("an unlocked terminal");
        let name = ptsname(&leader, Vec::new()).expect("the name of the terminal");
        let follower = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().expect("an ASCII path"))
            .expect("the other end of the terminal");
        let leader = File::from(leader);
        let stdio = || {
            Stdio::from(
                follower
                    .try_clone()
                    .expect("a second handle of the terminal"),
            )
        };

        // `setsid` makes the terminal the controlling one and then becomes the program.
        let mut wrapped = Command::new("setsid");
        wrapped
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args());
        isolate(&mut wrapped);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        wrapped.stdin(stdio()).stdout(stdio()).stderr(stdio());
        resize(&leader, size);
        let mut live = Self::start(&mut wrapped);
        drop(follower);
        live.input = Some(Box::new(
            leader.try_clone().expect("a second handle of the terminal"),
        ));
        live.collect(leader.try_clone().expect("a second handle of the terminal"));
        live.terminal = Some(leader);
        live
    }

    fn start(command: &mut Command) -> Self {
        let line = shown(command);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start `{line}`: {error}"));
        Self {
            child,
            input: None,
            unread: None,
            terminal: None,
            said: Arc::default(),
            line,
        }
    }

    fn collect(&self, mut source: impl Read + Send + 'static) {
        let said = Arc::clone(&self.said);
        said.heard().open += 1;
        thread::spawn(move || {
            let mut piece = [0; 16_384];
            // A terminal whose program has ended answers with an error instead of an end.
            while let Ok(count @ 1..) = source.read(&mut piece) {
                said.heard().bytes.extend_from_slice(&piece[..count]);
                said.more.notify_all();
            }
            said.heard().open -= 1;
            said.more.notify_all();
        });
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has said until now, standard output and error together.
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.said.heard().bytes).into_owned()
    }

    /// As [`heard`](Self::heard), byte for byte.
    pub fn heard_bytes(&self) -> Vec<u8> {
        self.said.heard().bytes.clone()
    }

    /// Types or writes text to it.
    ///
    /// # Panics
    ///
    /// When it no longer reads.
    #[track_caller]
    pub fn say(&mut self, text: &str) {
        self.say_bytes(text.as_bytes());
    }

    /// Writes bytes to it.
    ///
    /// # Panics
    ///
    /// When it no longer reads.
    #[track_caller]
    pub fn say_bytes(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("an open input");
        if let Err(error) = input.write_all(bytes).and_then(|()| input.flush()) {
            panic!("{} does not read: {error}\n{}", self.line, self.heard());
        }
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// Waits until it has said `text`.
    ///
    /// # Panics
    ///
    /// When it has not within the usual patience.
    #[track_caller]
    pub fn hear(&self, text: &str) {
        self.hear_within(text, HEARING);
    }

    /// Waits until it has said `text`, for at most `limit`.
    ///
    /// # Panics
    ///
    /// When it has not.
    #[track_caller]
    pub fn hear_within(&self, text: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut guard = self.said.heard();
        loop {
            if guard
                .bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
            {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || guard.open == 0 {
                let heard = shortened(&guard.bytes);
                drop(guard);
                panic!("`{text}` was not said by {}\nheard: {heard}", self.line);
            }
            guard = self
                .said
                .more
                .wait_timeout(guard, left.min(Duration::from_millis(200)))
                .expect("no panic while held")
                .0;
        }
    }

    /// Waits until a login shell takes commands, with the prompt `ready> ` from now on.
    ///
    /// # Panics
    ///
    /// When there is no shell.
    #[track_caller]
    pub fn expect_shell(&mut self) {
        // What is typed is echoed: only the shell joins the two halves.
        self.say("PS1='re''ady> '\n");
        self.hear("ready> ");
    }

    /// Changes the size of its terminal; the kernel tells the program.
    ///
    /// # Panics
    ///
    /// When it has no terminal.
    pub fn resize(&self, size: Size) {
        resize(
            self.terminal.as_ref().expect("a program on a terminal"),
            size,
        );
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a running process");
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("the state of a child process")
            .is_none()
    }

    /// Waits for its end, and for what it has said last.
    ///
    /// # Panics
    ///
    /// When it does not come within `limit`.
    #[track_caller]
    pub fn end(&mut self, limit: Duration) -> ExitStatus {
        let Some(status) = wait(&mut self.child, limit) else {
            panic!(
                "{} is still running after {limit:?}\nheard: {}",
                self.line,
                self.heard()
            );
        };
        self.hear_out();
        status
    }

    /// Waits until all that an ended program has said is collected; a child it left behind may hold its output open.
    fn hear_out(&self) {
        let deadline = Instant::now() + LAST_WORDS;
        let mut guard = self.said.heard();
        while guard.open > 0 && Instant::now() < deadline {
            guard = self
                .said
                .more
                .wait_timeout(guard, Duration::from_millis(100))
                .expect("no panic while held")
                .0;
        }
    }

    /// Reads what a [`stalled`](Self::stalled) program has been waiting to say, to its end.
    ///
    /// # Panics
    ///
    /// When the program was not stalled.
    pub fn drain(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.unread
            .take()
            .expect("a stalled program")
            .read_to_end(&mut bytes)
            .expect("a readable pipe");
        bytes
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        kill_group(&mut self.child);
        if thread::panicking() {
            eprintln!(
                "--- heard from {}\n{}",
                self.line,
                shortened(self.heard().as_bytes())
            );
        }
    }
}

fn resize(terminal: &File, size: Size) {
    let size = Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).expect("a terminal that can be resized");
}
