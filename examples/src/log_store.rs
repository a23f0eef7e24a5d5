//! Where session logs are kept: a folder with one file a session.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

/// The ending of log files.
pub const EXTENSION: &str = "sslg";

/// When a write to a log counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// When the operating system has it: it outlives this program, not a power cut.
    #[default]
    Write,
    /// When the disk says that it has it.
    Fsync,
}

/// A folder for logs.
#[derive(Debug)]
pub struct LogStore {
    directory: PathBuf,
    sync: Sync,
}

/// A folder that cannot keep logs.
#[derive(Debug, thiserror::Error)]
#[error("logs cannot be written to `{}`: {error}", directory.display())]
pub struct LogStoreError {
    directory: PathBuf,
    error: io::Error,
}

impl LogStore {
    /// Takes a folder, and writes to it to see whether that works.
    ///
    /// # Errors
    /// When it does not.
    pub fn open(directory: PathBuf, sync: Sync) -> Result<Self, LogStoreError> {
        let store = Self { directory, sync };
        probe(&store.directory).map_err(|error| LogStoreError {
            directory: store.directory.clone(),
            error,
        })?;
        Ok(store)
    }

    /// Makes the file of a session: `SESSION.sslg`, readable by its owner only.
    ///
    /// # Errors
    /// When it cannot be made, or is there already.
    pub fn create(&self, session: &str) -> io::Result<LogFile> {
        let path = self.path(session);
        let create = || -> io::Result<File> {
            let file = new_file(&path)?;
            if self.sync == Sync::Fsync {
                // The name is in the folder's own pages.
                File::open(&self.directory)?.sync_all()?;
            }
            Ok(file)
        };
        Ok(LogFile {
            file: Some(aside(create)?),
            sync: self.sync,
            disk: match self.sync {
                Sync::Write => Disk::Quick,
                Sync::Fsync => Disk::Slow,
            },
        })
    }

    /// The file of a session.
    pub fn path(&self, session: &str) -> PathBuf {
        self.directory.join(format!("{session}.{EXTENSION}"))
    }
}

/// Writes a file into a folder to see whether that works, and removes it.
///
/// # Errors
/// When it does not work.
pub fn probe(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!(".probe-{}", std::process::id()));
    let probed = new_file(&path).and_then(|mut file| {
        file.write_all(b"probe")?;
        file.sync_all()
    });
    // A probe of the same name is left over from a program that died in the middle.
    let _ = std::fs::remove_file(&path);
    probed
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// The log of one session, open for appending.
#[derive(Debug)]
pub struct LogFile {
    /// None after a failure: what follows a gap would be of no use to a reader.
    file: Option<File>,
    sync: Sync,
    disk: Disk,
}

/// How long the last write took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Quick,
    Slow,
}

/// A write that takes longer than this is one that waited for the disk.
const QUICK: Duration = Duration::from_millis(1);

impl LogFile {
    /// Appends bytes; when this returns they are written.
    ///
    /// # Errors
    /// When they could not be written in whole, and at every later call. Part of them may stand in the
    /// file, which a reader of the format tells as truncated.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Err(io::Error::other("an earlier write to this log failed"));
        };
        let sync = self.sync;
        let mut write = || {
            file.write_all(bytes)?;
            match sync {
                Sync::Write => Ok(()),
                Sync::Fsync => file.sync_data(),
            }
        };
        let started = Instant::now();
        let written = match self.disk {
            Disk::Quick => write(),
            Disk::Slow => aside(&mut write),
        };
        self.disk = match (sync, started.elapsed() < QUICK) {
            (Sync::Write, true) => Disk::Quick,
            _ => Disk::Slow,
        };
        if written.is_err() {
            self.file = None;
        }
        written
    }
}

/// Does file work on this very thread while another takes over the runtime's other tasks.
///
/// That costs about four times what a write to a local file does, which is a copy into the page
/// cache; so it is done only where the disk has to be waited for, where only this session may wait.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_log_is_one_new_file_for_its_owner() {
        for sync in [Sync::Write, Sync::Fsync] {
            let folder = tempfile::tempdir().unwrap();
            let store = LogStore::open(folder.path().to_owned(), sync).unwrap();
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
            let mut log = store.create("0123").unwrap();
            log.append(b"one ").unwrap();
            log.append(b"two").unwrap();
            let path = folder.path().join("0123.sslg");
            assert_eq!(path, store.path("0123"));
            assert_eq!(fs::read(&path).unwrap(), b"one two");
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let again = store.create("0123").unwrap_err();
            assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&path).unwrap(), b"one two");
        }
    }

    #[test]
    fn a_folder_that_cannot_keep_logs_is_refused_at_the_start_and_later() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let error = LogStore::open(missing.clone(), Sync::Write).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(LogStore::open(file, Sync::Write).is_err());

        fs::create_dir(&missing).unwrap();
        let store = LogStore::open(missing.clone(), Sync::Write).unwrap();
        fs::remove_dir(&missing).unwrap();
        assert!(store.create("0123").is_err());
    }

    #[test]
    fn after_a_failed_write_the_log_stays_closed() {
        let Ok(file) = OpenOptions::new().append(true).open("/dev/full") else {
            return crate::skipped("there is no /dev/full");
        };
        let mut log = LogFile {
            file: Some(file),
            sync: Sync::Write,
            disk: Disk::Quick,
        };
        let error = log.append(b"page").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        log.append(b"page").unwrap_err();
        assert!(log.file.is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_slow_disk_does_not_stop_other_tasks() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let mut reader = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&pipe)
            .unwrap();
        let mut log = LogFile {
            file: Some(OpenOptions::new().append(true).open(&pipe).unwrap()),
            sync: Sync::Write,
            disk: Disk::Slow,
        };
        // More than a pipe holds: the write waits until somebody reads.
        let size = 4 << 20;
        let writing = tokio::spawn(async move { log.append(&vec![1; size]) });
        let reading = tokio::spawn(async move {
            let mut all = vec![0; size];
            tokio::task::spawn_blocking(move || {
                io::Read::read_exact(&mut reader, &mut all).unwrap();
            })
            .await
            .unwrap();
        });
        let both = async { (writing.await.unwrap(), reading.await.unwrap()) };
        let (written, ()) = tokio::time::timeout(Duration::from_secs(30), both)
            .await
            .unwrap();
        written.unwrap();
    }
}
