//! Access events as JSON lines, to a file or to standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

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

    /// Writes an event, a [`proxy_core::AccessEvent`], as one line, in one write.
    ///
    /// An event that cannot be written is told to the operator: the session's own record of the same
    /// facts is its log, without which it does not go on.
    pub fn write(&self, event: &impl Serialize) {
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_event_is_one_line_at_the_end_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        for run in 0..2 {
            let events = Events::to_file(&path).unwrap();
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let events = &events;
                    scope.spawn(move || {
                        for number in 0..50 {
                            let text = "line\nbreak".repeat(100);
                            events.write(&json!({ "run": run, "thread": thread, "number": number, "text": text }));
                        }
                    });
                }
            });
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 400);
        for thread in 0..4 {
            let numbers = lines
                .iter()
                .filter(|line| line["run"] == 1 && line["thread"] == thread)
                .map(|line| line["number"].as_u64().unwrap());
            assert!(numbers.eq(0..50));
        }
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_event_that_cannot_be_written_is_counted_and_the_next_is_tried() {
        if !Path::new("/dev/full").exists() {
            println!("SKIPPED: there is no /dev/full");
            return;
        }
        let events = Events::to_file(Path::new("/dev/full")).unwrap();
        events.write(&json!({}));
        events.write(&json!({}));
        assert_eq!(events.lost.load(Ordering::Relaxed), 2);
        assert!(Events::to_file(Path::new("/nonexistent/events")).is_err());
    }

    #[test]
    fn a_reader_who_has_stopped_reading_holds_nobody_up() {
        let (queue, lines) = sync_channel(2);
        let (finished, done) = sync_channel(1);
        let events = Events::new(Sink::Stdout {
            queue: Some(queue),
            done: Mutex::new(done),
        });
        for number in 0..5 {
            events.write(&json!({ "number": number }));
        }
        assert_eq!(events.lost.load(Ordering::Relaxed), 3);
        finished.send(()).unwrap();
        drop(events);
        let kept: Vec<_> = lines.iter().collect();
        assert_eq!(kept, [b"{\"number\":0}\n", b"{\"number\":1}\n"]);
    }
}
