//! Access events as JSON lines, to a file or to standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use proxy_core::AccessEvent;

/// How many events may wait for a reader of standard output who has stopped reading; more are lost,
/// and counted in the operator's log. A session must not stand still because a terminal does.
const MAX_WAITING: usize = 4096;

/// How long the end of the program waits for standard output to take what is left.
const DRAIN: Duration = Duration::from_secs(2);

/// Where access events go.
pub struct Events {
    sink: Sink,
    lost: AtomicU64,
}

enum Sink {
    /// Appending to a local file takes no longer than telling a thread to do it.
    File(Mutex<File>),
    /// A pipe or terminal may take for ever, so that a thread of its own waits for it.
    Stdout {
        queue: Option<SyncSender<Vec<u8>>>,
        done: Mutex<Receiver<()>>,
    },
}

impl Events {
    /// Events go to the end of this file, which is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self::new(Sink::File(Mutex::new(file))))
    }

    /// Events go to standard output.
    pub fn to_stdout() -> Self {
        let (queue, lines) = sync_channel::<Vec<u8>>(MAX_WAITING);
        let (finished, done) = sync_channel(1);
        std::thread::spawn(move || {
            let mut stdout = io::stdout();
            for line in lines {
                if let Err(error) = stdout.write_all(&line).and_then(|()| stdout.flush()) {
                    tracing::error!(%error, "an access event cannot be written");
                }
            }
            let _ = finished.send(());
        });
        Self::new(Sink::Stdout {
            queue: Some(queue),
            done: Mutex::new(done),
        })
    }

    fn new(sink: Sink) -> Self {
        Self {
            sink,
            lost: AtomicU64::new(0),
        }
    }

    /// Writes an event as one line, in one write.
    ///
    /// An event that cannot be written is told to the operator: the session's own record of the same
    /// facts is its log, without which it does not go on.
    pub fn write(&self, event: &AccessEvent) {
        let mut line = match serde_json::to_vec(event) {
            Ok(line) => line,
            Err(error) => return self.lost(&error),
        };
        line.push(b'\n');
        match &self.sink {
            Sink::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                if let Err(error) = file.write_all(&line) {
                    self.lost(&error);
                }
            }
            Sink::Stdout { queue, .. } => {
                let sent = queue.as_ref().map(|queue| queue.try_send(line));
                if let Some(Err(error)) = sent {
                    self.lost(&error);
                }
            }
        }
    }

    fn lost(&self, error: &dyn std::fmt::Display) {
        let lost = self.lost.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        tracing::error!(%error, lost, "an access event cannot be written");
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Sink::Stdout { queue, done } = &mut self.sink {
            *queue = None;
            let done = done.get_mut().unwrap_or_else(PoisonError::into_inner);
            // Whoever has stopped reading gets no more time than this.
            let _ = done.recv_timeout(DRAIN);
        }
    }
}
