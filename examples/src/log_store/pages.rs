//! The pages of one session's log, written without anybody else waiting for the disk.

use std::future::pending;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{LogFile, LogStore};

/// The log of one session, from no file at all to its last page.
pub struct Pages {
    store: Arc<LogStore>,
    session: String,
    /// None before the first page, and while a thread has it.
    file: Option<LogFile>,
    aside: Option<JoinHandle<Aside>>,
}

/// What a thread gives back: the file, and whether the page stands in it.
type Aside = (Option<LogFile>, io::Result<()>);

impl Pages {
    /// Nothing is written before the first page.
    pub fn new(store: &Arc<LogStore>, session: String) -> Self {
        Self {
            store: Arc::clone(store),
            session,
            file: None,
            aside: None,
        }
    }

    /// Whether [`written`](Self::written) has still to tell of a page.
    pub fn is_writing(&self) -> bool {
        self.aside.is_some()
    }

    /// Whether a thread is still at work.
    pub fn is_busy(&self) -> bool {
        self.aside
            .as_ref()
            .is_some_and(|aside| !aside.is_finished())
    }

    /// Writes a page here and now, where the disk has been quick so far and no other session does the same: to have a thread write it
    /// takes several times as long. Otherwise as [`write_aside`](Self::write_aside).
    pub fn write(&mut self, page: Bytes) -> Option<io::Result<()>> {
        let written = match &mut self.file {
            Some(file) if file.is_quick() => {
                let inline = self.store.inline.begin();
                inline.map(|writing| writing.run(|| file.append(&page)))
            }
            _ => None,
        };
        written.map_or_else(|| self.write_aside(page), Some)
    }

    /// Has a thread write a page, and make the file for the first; [`written`](Self::written) tells what became of it.
    /// While one page is being written, another fails at once.
    pub fn write_aside(&mut self, page: Bytes) -> Option<io::Result<()>> {
        if self.is_writing() {
            return Some(Err(io::Error::other("the page before is not written yet")));
        }
        let (store, session) = (Arc::clone(&self.store), self.session.clone());
        let file = self.file.take();
        self.aside = Some(tokio::task::spawn_blocking(move || {
            let mut file = match file.map_or_else(|| store.create(&session), Ok) {
                Ok(file) => file,
                Err(error) => return (None, Err(error)),
            };
            let written = file.append(&page);
            (Some(file), written)
        }));
        None
    }

    /// Waits for the page that a thread writes; for ever, where there is none.
    pub async fn written(&mut self) -> io::Result<()> {
        let Some(aside) = &mut self.aside else {
            return pending().await;
        };
        let done = aside.await;
        self.aside = None;
        let (file, written) = done.unwrap_or_else(|error| (None, Err(io::Error::other(error))));
        self.file = file;
        written
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::super::{Disk, Sync};
    use super::*;

    /// A log on a disk that takes nothing until somebody reads from the pipe that is given with it.
    fn stuck(store: &Arc<LogStore>, name: &str, disk: Disk) -> (Pages, File) {
        let pipe = store.directory.join(name);
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let mut options = OpenOptions::new();
        let reader = options.read(true).write(true).open(&pipe).unwrap();
        let mut pages = Pages::new(store, name.to_owned());
        pages.file = Some(LogFile {
            file: Some(OpenOptions::new().append(true).open(&pipe).unwrap()),
            sync: Sync::Write,
            disk,
        });
        (pages, reader)
    }

    /// More than a pipe holds.
    const SIZE: usize = 4 << 20;
    const SOON: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_slow_disk_does_not_stop_other_tasks() {
        let folder = tempfile::tempdir().unwrap();
        let store = LogStore::open(folder.path().to_owned(), Sync::Write).unwrap();
        let (mut pages, mut reader) = stuck(&Arc::new(store), "0123", Disk::Slow);
        assert!(pages.write(vec![1; SIZE].into()).is_none());
        assert!(pages.is_writing());
        assert!(matches!(
            pages.write(Bytes::from_static(b"more")),
            Some(Err(_))
        ));
        let reading = tokio::task::spawn_blocking(move || {
            io::Read::read_exact(&mut reader, &mut vec![0; SIZE]).unwrap();
        });
        let both = async { (pages.written().await, reading.await.unwrap()) };
        let (written, ()) = tokio::time::timeout(SOON, both).await.unwrap();
        written.unwrap();
        assert!(!pages.is_writing());
    }

    #[test]
    fn a_disk_that_stops_all_of_a_sudden_stops_one_session_and_nothing_else() {
        for threads in 1..=3 {
            let folder = tempfile::tempdir().unwrap();
            let store = LogStore::open(folder.path().to_owned(), Sync::Write).unwrap();
            let store = Arc::new(store);
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(threads)
                .enable_all()
                .build()
                .unwrap();
            let sessions = threads + 2;
            let (logs, readers): (Vec<_>, Vec<_>) = (0..sessions)
                .map(|log| stuck(&store, &log.to_string(), Disk::Quick))
                .unzip();
            let (tell, told) = mpsc::channel();
            let writing = logs.into_iter().map(|mut pages| {
                let tell = tell.clone();
                runtime.spawn(async move {
                    let aside = pages.write(vec![1; SIZE].into()).is_none();
                    // What a session does with a log that does not answer.
                    let deadline = Duration::from_millis(1);
                    if aside
                        && tokio::time::timeout(deadline, pages.written())
                            .await
                            .is_err()
                    {
                        tell.send(()).unwrap();
                    }
                    (aside, pages)
                })
            });
            let writing: Vec<_> = writing.collect();
            for _ in 1..sessions {
                told.recv_timeout(SOON).unwrap();
            }
            assert!(told.try_recv().is_err());
            for mut reader in readers {
                std::thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
            }
            let mut inline = 0;
            for session in writing {
                let (aside, mut pages) = runtime.block_on(session).unwrap();
                if aside {
                    runtime.block_on(pages.written()).unwrap();
                } else {
                    inline += 1;
                }
            }
            assert_eq!(inline, 1);
        }
    }

    #[tokio::test]
    async fn the_first_page_makes_the_file_and_the_others_follow_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = LogStore::open(folder.path().to_owned(), Sync::Fsync).unwrap();
        let mut pages = Pages::new(&Arc::new(store), "0123".to_owned());
        for page in ["one ", "two"] {
            assert!(pages.write(Bytes::from_static(page.as_bytes())).is_none());
            pages.written().await.unwrap();
        }
        let path = folder.path().join("0123.sslg");
        assert_eq!(std::fs::read(path).unwrap(), b"one two");
        let store = LogStore::open(folder.path().to_owned(), Sync::Fsync).unwrap();
        let mut again = Pages::new(&Arc::new(store), "0123".to_owned());
        assert!(again.write(Bytes::from_static(b"three")).is_none());
        let error = again.written().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }
}
