//! Where session logs are kept: a folder with one file a session.

mod inline;
mod logs;
mod pages;

pub use logs::Logs;
pub use pages::Pages;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::inline::Inline;
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
    inline: Inline,
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
        let store = Self {
            directory,
            sync,
            inline: Inline::default(),
        };
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
        let file = new_file(&path)?;
        if self.sync == Sync::Fsync {
            // The name is in the folder's own pages.
            File::open(&self.directory)?.sync_all()?;
        }
        Ok(LogFile {
            file: Some(file),
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
        let started = Instant::now();
        let written = file.write_all(bytes).and_then(|()| match self.sync {
            Sync::Write => Ok(()),
            Sync::Fsync => file.sync_data(),
        });
        self.disk = match (self.sync, started.elapsed() < QUICK) {
            (Sync::Write, true) => Disk::Quick,
            _ => Disk::Slow,
        };
        if written.is_err() {
            self.file = None;
        }
        written
    }

    /// Whether the next write is likely to be a mere copy into the page cache.
    fn is_quick(&self) -> bool {
        self.disk == Disk::Quick
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
}
