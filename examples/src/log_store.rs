//! Where session logs are kept: a folder with one file a session.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

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
        store.probe().map_err(|error| LogStoreError {
            directory: store.directory.clone(),
            error,
        })?;
        Ok(store)
    }

    fn probe(&self) -> io::Result<()> {
        let path = self
            .directory
            .join(format!(".probe-{}", std::process::id()));
        let probed = new_file(&path).and_then(|mut file| {
            file.write_all(b"probe")?;
            file.sync_all()
        });
        // A probe of the same name is left over from a program that died in the middle.
        let _ = std::fs::remove_file(&path);
        probed
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
            file: Some(blocking(create)?),
            sync: self.sync,
        })
    }

    /// The file of a session.
    pub fn path(&self, session: &str) -> PathBuf {
        self.directory.join(format!("{session}.{EXTENSION}"))
    }
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
}

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
        let written = blocking(|| {
            file.write_all(bytes)?;
            match sync {
                Sync::Write => Ok(()),
                Sync::Fsync => file.sync_data(),
            }
        });
        if written.is_err() {
            self.file = None;
        }
        written
    }
}

/// Does file work on this very thread while another takes over the runtime's other tasks.
///
/// A write to a local file is a copy into the page cache and takes microseconds, less than handing
/// the bytes to a thread of a pool and waiting for it; but with a full cache or `fsync` it can take
/// long, and then only this session may wait.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
