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

    /// Writes a page here and now, where the disk has been quick so far: a thread costs about four times what such a write does.
    /// Otherwise as [`write_aside`](Self::write_aside).
    pub fn write(&mut self, page: Bytes) -> Option<io::Result<()>> {
        match &mut self.file {
            Some(file) if file.is_quick() => {
                let written = file.append(&page);
                self.let_go();
                Some(written)
            }
            _ => self.write_aside(page),
        }
    }

    /// Gives up memory that the log need not take any more. Nobody waits for it.
    fn let_go(&mut self) {
        if let Some(settled) = self.file.as_mut().and_then(LogFile::settled) {
            tokio::task::spawn_blocking(|| settled.let_go());
        }
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
        self.let_go();
        written
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::time::Duration;

    use super::super::{Disk, Sync};
    use super::*;

    #[tokio::test]
    async fn a_slow_disk_does_not_stop_other_tasks() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let mut options = OpenOptions::new();
        let mut reader = options.read(true).write(true).open(&pipe).unwrap();
        let store = LogStore::open(folder.path().to_owned(), Sync::Write).unwrap();
        let mut pages = Pages::new(&Arc::new(store), "0123".to_owned());
        pages.file = Some(LogFile {
            file: Some(Arc::new(
                OpenOptions::new().append(true).open(&pipe).unwrap(),
            )),
            written_bytes: 0,
            settled_bytes: 0,
            sync: Sync::Write,
            disk: Disk::Slow,
        });
        // More than a pipe holds: the write waits until somebody reads.
        let size = 4 << 20;
        assert!(pages.write(vec![1; size].into()).is_none());
        assert!(pages.is_writing());
        assert!(matches!(
            pages.write(Bytes::from_static(b"more")),
            Some(Err(_))
        ));
        let reading = tokio::task::spawn_blocking(move || {
            io::Read::read_exact(&mut reader, &mut vec![0; size]).unwrap();
        });
        let both = async { (pages.written().await, reading.await.unwrap()) };
        let (written, ()) = tokio::time::timeout(Duration::from_secs(60), both)
            .await
            .unwrap();
        written.unwrap();
        assert!(!pages.is_writing());
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

    #[tokio::test]
    async fn a_log_of_many_chunks_holds_every_page_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = LogStore::open(folder.path().to_owned(), Sync::Write).unwrap();
        let mut pages = Pages::new(&Arc::new(store), "0123".to_owned());
        let page = |number: u8| vec![number; 1_000_003];
        for number in 0..40 {
            let written = match pages.write(page(number).into()) {
                Some(written) => written,
                None => pages.written().await,
            };
            written.unwrap();
        }
        assert!(pages.file.as_ref().unwrap().settled_bytes > 0);
        let kept = std::fs::read(folder.path().join("0123.sslg")).unwrap();
        assert!(kept == (0..40).flat_map(page).collect::<Vec<_>>());
    }
}
