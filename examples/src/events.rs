//! Access events as JSON lines, to a file or to standard output.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::Serialize;

/// How many events may wait for a disk, or for a reader who has stopped reading; more are lost, counted in the operator's log, and
/// told by the next event that is written. A session must not stand still because a terminal does.
const MAX_WAITING: usize = 4096;

/// How many of them may be such as a session causes without end. A quarter is left for what tells of everybody else.
const MAX_WAITING_FREQUENT: usize = MAX_WAITING / 4 * 3;

/// How long the end of the program waits for a disk or a reader to take what is left.
const DRAIN: Duration = Duration::from_secs(2);

#[expect(clippy::cast_possible_wrap, reason = "a flag far below the sign bit")]
const NONBLOCK: i32 = OFlags::NONBLOCK.bits() as i32;

/// Where access events go.
///
/// A pipe, a terminal or a disk may take for ever, so that a thread of its own waits for it, and nobody for that.
pub struct Events {
    /// None at the end.
    queue: Option<SyncSender<Waiting>>,
    tally: Arc<Tally>,
    done: Mutex<Receiver<()>>,
}

/// A line, and how many were lost before it.
struct Waiting {
    line: Vec<u8>,
    lost_before: u64,
}

#[derive(Default)]
struct Tally {
    waiting: AtomicUsize,
    /// Since the last event that was taken.
    untold: AtomicU64,
    /// Since the beginning.
    lost: AtomicU64,
}

/// What stands where events are missing.
#[derive(Serialize)]
#[serde(tag = "event")]
enum Told {
    #[serde(rename = "events.lost")]
    Lost {
        time_unix_ms: u64,
        /// How many.
        count: u64,
    },
}

impl Events {
    /// Events go to the end of this file, which is made when it is not there. A thread writes them: nobody waits for the disk or for
    /// who reads a named pipe, or for somebody to read it at all.
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
                return Ok(Self::through_a_thread(|| Ok(file)));
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
        let (queue, lines) = sync_channel(MAX_WAITING);
        let (finished, done) = sync_channel(1);
        let tally = Arc::new(Tally::default());
        let of_thread = Arc::clone(&tally);
        std::thread::spawn(move || {
            write_all(open(), &lines, &of_thread);
            let _ = finished.send(());
        });
        Self {
            queue: Some(queue),
            tally,
            done: Mutex::new(done),
        }
    }

    /// Writes an event, a [`proxy_core::AccessEvent`], as one line, in one write: one of which there are a few for each connection or
    /// operator, such as how a session begins and ends, and what is refused.
    ///
    /// An event that cannot be written is told to the operator: the session's own record of the same
    /// facts is its log, without which it does not go on.
    pub fn write(&self, event: &impl Serialize) {
        self.queue(event, MAX_WAITING);
    }

    /// The same with an event of which there are as many as one session likes.
    pub fn write_frequent(&self, event: &impl Serialize) {
        self.queue(event, MAX_WAITING_FREQUENT);
    }

    fn queue(&self, event: &impl Serialize, room: usize) {
        let tally = &self.tally;
        let line = match line(event) {
            Ok(line) => line,
            Err(error) => return tally.lose(&error),
        };
        let Some(queue) = &self.queue else {
            return;
        };
        if tally.waiting.fetch_add(1, Ordering::AcqRel) >= room {
            tally.waiting.fetch_sub(1, Ordering::AcqRel);
            return tally.lose(&"too many wait to be written");
        }
        let lost_before = tally.untold.swap(0, Ordering::AcqRel);
        // There is room, and the thread that takes lines outlives the queue.
        if let Err(error) = queue.try_send(Waiting { line, lost_before }) {
            tally.waiting.fetch_sub(1, Ordering::AcqRel);
            tally.untold.fetch_add(lost_before, Ordering::AcqRel);
            tally.lose(&error);
        }
    }
}

impl Tally {
    fn lose(&self, error: &dyn std::fmt::Display) {
        self.untold.fetch_add(1, Ordering::AcqRel);
        let lost = self.lost.fetch_add(1, Ordering::AcqRel) + 1;
        tracing::error!(%error, lost, "an access event cannot be written");
    }
}

/// Writes each line as it comes, and how many are missing before it.
fn write_all<W: io::Write>(to: io::Result<W>, lines: &Receiver<Waiting>, tally: &Tally) {
    let mut to = to;
    for Waiting { line, lost_before } in lines {
        tally.waiting.fetch_sub(1, Ordering::AcqRel);
        if let Err(error) = write_one(&mut to, &line, lost_before) {
            tally.untold.fetch_add(lost_before, Ordering::AcqRel);
            tally.lose(&error);
        }
    }
    let lost = tally.untold.load(Ordering::Acquire);
    if let Err(error) = write_one(&mut to, &[], lost) {
        tracing::error!(%error, lost, "how many access events are missing cannot be written");
    }
}

fn write_one<W: io::Write>(to: &mut io::Result<W>, line: &[u8], lost: u64) -> io::Result<()> {
    let to = match to {
        Ok(to) => to,
        Err(error) => return Err(io::Error::new(error.kind(), error.to_string())),
    };
    if lost > 0 {
        let told = Told::Lost {
            time_unix_ms: now_ms(),
            count: lost,
        };
        to.write_all(&self::line(&told)?)?;
    }
    to.write_all(line)?;
    to.flush()
}

fn line(event: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    Ok(line)
}

/// The stamp of an event of the proxy itself.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

impl Drop for Events {
    fn drop(&mut self) {
        self.queue = None;
        let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Who takes nothing gets no more time than this.
        if done.recv_timeout(DRAIN).is_err() {
            tracing::error!("the last access events are lost: nobody takes them");
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
        events.write_frequent(&json!({}));
        let tally = Arc::clone(&events.tally);
        drop(events);
        assert_eq!(tally.lost.load(Ordering::Relaxed), 2);
        assert!(Events::to_file(Path::new("/nonexistent/events")).is_err());
    }

    /// A pipe that nobody reads yet.
    fn pipe(folder: &Path) -> std::path::PathBuf {
        let pipe = folder.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        pipe
    }

    #[test]
    fn a_named_pipe_holds_nobody_up_and_gives_its_reader_everything_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = pipe(folder.path());
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
        assert_eq!(events.tally.lost.load(Ordering::Relaxed), 10);
        let reading = std::thread::spawn(move || fs::read_to_string(pipe).unwrap());
        drop(events);
        let text = reading.join().unwrap();
        assert_eq!(text.lines().count(), MAX_WAITING + 1);
        assert!(text.starts_with("{\"number\":0}\n{\"number\":1}\n"));
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["event"], "events.lost");
        assert_eq!(last["count"], 10);
    }

    #[test]
    fn one_busy_session_leaves_room_for_what_is_told_of_others_and_what_is_missing_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = pipe(folder.path());
        let events = Events::to_file(&pipe).unwrap();
        for _ in 0..2 * MAX_WAITING {
            events.write_frequent(&json!({ "event": "channel.exec" }));
        }
        for _ in 0..MAX_WAITING / 4 {
            events.write(&json!({ "event": "access.denied" }));
        }
        let reading = std::thread::spawn(move || fs::read_to_string(pipe).unwrap());
        drop(events);
        let text = reading.join().unwrap();
        let event = |line| serde_json::from_str::<Value>(line).unwrap();
        let lines: Vec<Value> = text.lines().map(event).collect();
        let frequent = MAX_WAITING_FREQUENT;
        assert_eq!(lines.len(), MAX_WAITING + 1);
        assert_eq!(lines[frequent]["event"], "events.lost");
        assert_eq!(lines[frequent]["count"], 2 * MAX_WAITING - frequent);
        let (before, after) = (&lines[..frequent], &lines[frequent + 1..]);
        assert!(before.iter().all(|it| it["event"] == "channel.exec"));
        assert!(after.iter().all(|it| it["event"] == "access.denied"));
    }
}
