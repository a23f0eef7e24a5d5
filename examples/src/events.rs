//! Access events as JSON lines, to a file or to standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::Serialize;

/// How many events may wait for a reader who has stopped reading; more are lost, and counted in the
/// operator's log. A session must not stand still because a terminal does.
const MAX_WAITING: usize = 4096;

/// How long the end of the program waits for a reader to take what is left.
const DRAIN: Duration = Duration::from_secs(2);

#[expect(clippy::cast_possible_wrap, reason = "a flag far below the sign bit")]
const NONBLOCK: i32 = OFlags::NONBLOCK.bits() as i32;

/// Where access events go.
pub struct Events {
    sink: Sink,
    lost: Arc<AtomicU64>,
}

enum Sink {
    /// Appending to a local file takes no longer than telling a thread to do it.
    File(Mutex<File>),
    /// A pipe, terminal or device may take for ever, so that a thread of its own waits for it.
    Queue {
        queue: Option<SyncSender<Vec<u8>>>,
        done: Mutex<Receiver<()>>,
    },
}

impl Events {
    /// Events go to the end of this file, which is made when it is not there. A named pipe or a device
    /// is written to by a thread: nobody waits for who reads it, or for somebody to read it at all.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        // A named pipe that nobody reads opens only when somebody does, or fails at once.
        let at_once = options.clone().custom_flags(NONBLOCK).open(path);
        let opened = match at_once {
            Ok(file) if file.metadata()?.is_file() => {
                return Ok(Self::new(Sink::File(file.into())));
            }
            Ok(file) => Some(file),
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
                if !std::fs::metadata(path)?.file_type().is_fifo() {
                    return Err(error);
                }
                None
            }
            Err(error) => return Err(error),
        };
        let path = path.to_owned();
        Ok(Self::through_a_thread(move || {
            let file = options.open(path);
            // Closed only now: a reader must not see an end in between.
            drop(opened);
            file
        }))
    }

    /// Events go to standard output.
    pub fn to_stdout() -> Self {
        Self::through_a_thread(|| Ok(io::stdout()))
    }

    fn through_a_thread<W: io::Write>(
        open: impl FnOnce() -> io::Result<W> + Send + 'static,
    ) -> Self {
        let (queue, lines) = sync_channel::<Vec<u8>>(MAX_WAITING);
        let (finished, done) = sync_channel(1);
        let events = Self::new(Sink::Queue {
            queue: Some(queue),
            done: Mutex::new(done),
        });
        let lost = events.lost.clone();
        std::thread::spawn(move || {
            match open() {
                Ok(mut to) => {
                    for line in lines {
                        if let Err(error) = to.write_all(&line).and_then(|()| to.flush()) {
                            tell_lost(&lost, &error);
                        }
                    }
                }
                Err(error) => lines.iter().for_each(|_| tell_lost(&lost, &error)),
            }
            let _ = finished.send(());
        });
        events
    }

    fn new(sink: Sink) -> Self {
        Self {
            sink,
            lost: Arc::default(),
        }
    }

    /// Writes an event, a [`proxy_core::AccessEvent`], as one line, in one write.
    ///
    /// An event that cannot be written is told to the operator: the session's own record of the same
    /// facts is its log, without which it does not go on.
    pub fn write(&self, event: &impl Serialize) {
        let mut line = match serde_json::to_vec(event) {
            Ok(line) => line,
            Err(error) => return tell_lost(&self.lost, &error),
        };
        line.push(b'\n');
        match &self.sink {
            Sink::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                if let Err(error) = file.write_all(&line) {
                    tell_lost(&self.lost, &error);
                }
            }
            Sink::Queue { queue, .. } => {
                let sent = queue.as_ref().map(|queue| queue.try_send(line));
                if let Some(Err(error)) = sent {
                    tell_lost(&self.lost, &error);
                }
            }
        }
    }
}

/// The stamp of an event of the proxy itself.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

fn tell_lost(lost: &AtomicU64, error: &dyn std::fmt::Display) {
    let lost = lost.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    tracing::error!(%error, lost, "an access event cannot be written");
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Sink::Queue { queue, done } = &mut self.sink {
            *queue = None;
            let done = done.get_mut().unwrap_or_else(PoisonError::into_inner);
            // Whoever has stopped reading gets no more time than this.
            if done.recv_timeout(DRAIN).is_err() {
                tracing::error!("the last access events are lost: nobody reads them");
            }
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
            return crate::skipped("there is no /dev/full");
        }
        let events = Events::to_file(Path::new("/dev/full")).unwrap();
        events.write(&json!({}));
        events.write(&json!({}));
        let lost = events.lost.clone();
        drop(events);
        assert_eq!(lost.load(Ordering::Relaxed), 2);
        assert!(Events::to_file(Path::new("/nonexistent/events")).is_err());
    }

    #[test]
    fn a_named_pipe_holds_nobody_up_and_gives_its_reader_everything_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let (told, done) = sync_channel(1);
        let path = pipe.clone();
        std::thread::spawn(move || {
            let events = Events::to_file(&path).unwrap();
            for number in 0..MAX_WAITING + 10 {
                events.write(&json!({ "number": number }));
            }
            told.send(events).unwrap();
        });
        let events = done.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(events.lost.load(Ordering::Relaxed), 10);
        let reading = std::thread::spawn(move || fs::read_to_string(pipe).unwrap());
        drop(events);
        let text = reading.join().unwrap();
        assert_eq!(text.lines().count(), MAX_WAITING);
        assert!(text.starts_with("{\"number\":0}\n{\"number\":1}\n"));
    }

    #[test]
    fn a_reader_who_has_stopped_reading_holds_nobody_up() {
        let (queue, lines) = sync_channel(2);
        let (finished, done) = sync_channel(1);
        let events = Events::new(Sink::Queue {
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
