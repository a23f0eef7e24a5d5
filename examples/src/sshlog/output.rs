//! Files that commands write: new ones only, and none is left when the command fails.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::SshlogError;

/// What only its owner may read.
pub(super) const PRIVATE: u32 = 0o600;
/// What anybody may read.
pub(super) const PUBLIC: u32 = 0o644;

/// A file that is being written. Unless it is [kept](NewFile::keep), it is removed when dropped.
pub(super) struct NewFile {
    name: PathBuf,
    file: BufWriter<File>,
    is_kept: bool,
}

impl NewFile {
    /// Makes a file that must not exist yet.
    pub(super) fn create(name: &Path, mode: u32) -> Result<NewFile, SshlogError> {
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(name);
        let file = opened.map_err(not_made(name))?;
        Ok(NewFile {
            name: name.into(),
            file: BufWriter::new(file),
            is_kept: false,
        })
    }

    /// The file is whole: it stays.
    pub(super) fn keep(&mut self) -> Result<(), SshlogError> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .map_err(|error| SshlogError::Write {
                file: self.name.clone(),
                error,
            })?;
        self.is_kept = true;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // The command has failed already, and says why.
            let _ = fs::remove_file(&self.name);
        }
    }
}

/// Writes a whole new file.
pub(super) fn write_new(name: &Path, mode: u32, contents: &[u8]) -> Result<(), SshlogError> {
    let mut file = NewFile::create(name, mode)?;
    file.write_all(contents)
        .map_err(|error| SshlogError::Write {
            file: name.into(),
            error,
        })?;
    file.keep()
}

/// Why what must not exist yet could not be made.
pub(super) fn not_made(name: &Path) -> impl FnOnce(io::Error) -> SshlogError {
    let file = name.to_path_buf();
    |error| match error.kind() {
        io::ErrorKind::AlreadyExists => SshlogError::Exists { file },
        _ => SshlogError::Write { file, error },
    }
}
