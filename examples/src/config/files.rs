//! The files that a configuration names: read whole, with a limit, and secrets only when they are.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// The longest file that is read, in bytes: a policy of ten thousand rules fits.
pub const MAX_FILE_BYTES: u64 = 8 << 20;

#[expect(clippy::cast_possible_wrap, reason = "a flag far below the sign bit")]
const NONBLOCK: i32 = OFlags::NONBLOCK.bits() as i32;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is too long.
    #[error("it is longer than {MAX_FILE_BYTES} bytes")]
    TooLong,
    /// It is no text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// It is a folder or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// Others than its owner may read or change it.
    #[error("others than its owner can use it (its mode is {mode:04o})")]
    TooOpen {
        /// The permission bits.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("it belongs to another user (id {owner})")]
    NotOurs {
        /// Whose it is.
        owner: u32,
    },
}

/// Reads a text file.
///
/// # Errors
/// When it cannot be read, is too long, or is no text.
pub fn read(path: &Path) -> Result<String, FileError> {
    let mut text = text(open(path)?)?;
    Ok(std::mem::take(&mut *text))
}

/// Reads a text file that nobody but its owner, us or root, may read or write. What is checked is
/// the open file, so that it cannot be another one by the time it is read.
///
/// # Errors
/// As [`read`], and when others can use the file.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, FileError> {
    let file = open(path)?;
    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(FileError::TooOpen { mode });
    }
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(FileError::NotOurs { owner });
    }
    text(file)
}

/// Opens without waiting: a named pipe in the place of a file is refused, not listened to.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(NONBLOCK)
        .open(path)
}

fn text(file: File) -> Result<Zeroizing<String>, FileError> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile);
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(FileError::TooLong);
    }
    // Room for all at once: a buffer that grows leaves copies of a secret behind.
    let room = usize::try_from(metadata.len()).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(FileError::TooLong);
    }
    String::from_utf8(std::mem::take(&mut *bytes))
        .map(Zeroizing::new)
        .map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            FileError::NotText
        })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_secret_is_read_only_when_it_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "text\n").unwrap();
        for (mode, fine) in [
            (0o600, true),
            (0o400, true),
            (0o700, true),
            (0o640, false),
            (0o604, false),
            (0o620, false),
            (0o602, false),
            (0o644, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let result = read_secret(&path);
            assert_eq!(result.is_ok(), fine, "{mode:o}");
            if !fine {
                assert!(matches!(result, Err(FileError::TooOpen { mode: m }) if m == mode));
            }
            assert_eq!(read(&path).unwrap(), "text\n");
        }
    }

    #[test]
    fn what_is_no_text_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert!(matches!(read(&path), Err(FileError::Io(_))));
        assert!(matches!(read(folder.path()), Err(FileError::NotAFile)));
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(read(&path), Err(FileError::NotText)));
        File::create(&path)
            .unwrap()
            .set_len(MAX_FILE_BYTES + 1)
            .unwrap();
        assert!(matches!(read(&path), Err(FileError::TooLong)));
        assert!(matches!(
            read(Path::new("/dev/zero")),
            Err(FileError::NotAFile)
        ));
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        assert!(matches!(read(&pipe), Err(FileError::NotAFile)));
    }
}
