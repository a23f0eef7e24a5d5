//! The files of the small commands: read with a limit, written so that nothing is lost by a mistake.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{ToolError, in_file};

/// The longest file that is read, in bytes: that of a revocation list.
const MAX_FILE_BYTES: u64 = sshcert::MAX_KRL_BYTES as u64;

/// How every file with a private key begins, whoever wrote it.
const PRIVATE_KEY_START: &[u8] = b"-----BEGIN ";

/// The content of a file, or of standard input for `-`; erased when dropped.
///
/// # Errors
/// [`ToolError::Read`], also when it is too long.
pub fn read_bytes(file: &Path) -> Result<Zeroizing<Vec<u8>>, ToolError> {
    if file == Path::new("-") {
        return read_all(io::stdin().lock(), 0, file);
    }
    let (opened, known) = open(file)?;
    read_all(opened, known.len(), file)
}

/// As [`read_bytes`], for text.
///
/// # Errors
/// [`ToolError::Read`], also when it is no text.
pub fn read_text(file: &Path) -> Result<Zeroizing<String>, ToolError> {
    text(file, &read_bytes(file)?)
}

/// As [`read_text`], for a private key: one that others than its owner can read is refused, as `ssh-keygen` refuses it.
///
/// # Errors
/// [`ToolError::Read`]; [`ToolError::File`] for a private key that is open to others.
pub fn read_private_key(file: &Path) -> Result<Zeroizing<String>, ToolError> {
    if file == Path::new("-") {
        return read_text(file);
    }
    let (opened, known) = open(file)?;
    let bytes = read_all(opened, known.len(), file)?;
    let mode = known.mode() & 0o7777;
    let is_ours = known.uid() == rustix::process::getuid().as_raw();
    if bytes.starts_with(PRIVATE_KEY_START) && is_ours && mode & 0o077 != 0 {
        let why =
            format!("a private key that others can use (its mode is {mode:04o}); chmod 600 it");
        return Err(in_file(file, why));
    }
    text(file, &bytes)
}

fn open(file: &Path) -> Result<(File, Metadata), ToolError> {
    File::open(file)
        .and_then(|opened| opened.metadata().map(|known| (opened, known)))
        .map_err(unreadable(file))
}

fn read_all(from: impl Read, expected: u64, file: &Path) -> Result<Zeroizing<Vec<u8>>, ToolError> {
    // Room for all at once: a buffer that grows leaves copies of a secret behind.
    let room = expected.clamp(MIN_ROOM_BYTES, MAX_FILE_BYTES) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(room).unwrap_or(0)));
    let mut limited = from.take(MAX_FILE_BYTES + 1);
    limited.read_to_end(&mut bytes).map_err(unreadable(file))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(unreadable(file)(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}

/// Room for what has no known length, such as a pipe, in bytes: any private key.
const MIN_ROOM_BYTES: u64 = 16 << 10;

fn text(file: &Path, bytes: &[u8]) -> Result<Zeroizing<String>, ToolError> {
    let not_text = |_| unreadable(file)(io::ErrorKind::InvalidData.into());
    let text = std::str::from_utf8(bytes).map_err(not_text)?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn unreadable(file: &Path) -> impl Fn(io::Error) -> ToolError {
    let file = file.to_owned();
    move |error| ToolError::Read {
        file: file.clone(),
        error,
    }
}

fn unwritable(file: &Path) -> impl Fn(io::Error) -> ToolError {
    let file = file.to_owned();
    move |error| ToolError::Write {
        file: file.clone(),
        error,
    }
}

/// Writes a new file that only its owner may read.
///
/// # Errors
/// [`ToolError::Write`], also when the file is there already; [`ToolError::File`] for `-`.
pub fn write_secret(file: &Path, content: &[u8]) -> Result<(), ToolError> {
    check_is_a_name(file)?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut fresh| fresh.write_all(content))
        .map_err(unwritable(file))
}

/// Writes a file that everybody may read; over another one only when that has what `may_go`, so that a wrong name costs
/// nobody a key.
///
/// # Errors
/// [`ToolError::Write`]; [`ToolError::File`] for `-`, and, with this reason, when something else is there.
pub fn write_public(
    file: &Path,
    content: &[u8],
    may_go: impl FnOnce(&[u8]) -> bool,
    otherwise: &'static str,
) -> Result<(), ToolError> {
    check_is_a_name(file)?;
    // What is no file, such as a terminal, is not to be read from here.
    if std::fs::metadata(file).is_ok_and(|known| known.is_file()) {
        let there = read_bytes(file)?;
        check_is_no_private_key(file, &there)?;
        if !may_go(&there) {
            return Err(in_file(file, otherwise));
        }
    }
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(file)
        .and_then(|mut opened| opened.write_all(content))
        .map_err(unwritable(file))
}

/// Who writes `-` means standard input or output, and not a file that many commands would take for an option.
fn check_is_a_name(file: &Path) -> Result<(), ToolError> {
    if file == Path::new("-") {
        return Err(in_file(file, "name a file to write to"));
    }
    Ok(())
}

/// Somebody who writes `--out id` for `--out id-cert.pub` must not lose the key.
fn check_is_no_private_key(file: &Path, content: &[u8]) -> Result<(), ToolError> {
    if content.starts_with(PRIVATE_KEY_START) {
        let why = "this is a private key, and is not overwritten";
        return Err(in_file(file, why));
    }
    Ok(())
}

/// The next content of a file, which takes its place in one step, so that a reader finds the old or the new, even after a power
/// cut.
///
/// It is first beside it, as `FILE.new`, which is there from the beginning: of two runs that read, change and replace the same
/// file, one has to wait.
#[derive(Debug)]
pub struct Replacement {
    file: PathBuf,
    beside: PathBuf,
    fresh: File,
    is_in_place: bool,
}

impl Replacement {
    /// Takes the turn. Where the file is a symbolic link, what it leads to is replaced.
    ///
    /// # Errors
    /// [`ToolError::Write`]; [`ToolError::File`] when it is another run's turn, a private key is there, or it is `-`.
    pub fn begin(file: &Path) -> Result<Self, ToolError> {
        check_is_a_name(file)?;
        let is_link = std::fs::symlink_metadata(file).is_ok_and(|known| known.is_symlink());
        let file = match is_link {
            true => std::fs::canonicalize(file).map_err(unwritable(file))?,
            false => file.to_owned(),
        };
        if std::fs::metadata(&file).is_ok_and(|known| known.is_file()) {
            check_is_no_private_key(&file, &read_bytes(&file)?)?;
        }
        let mut beside = file.clone().into_os_string();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let mut options = OpenOptions::new();
        let opened = options
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&beside);
        let fresh = opened.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => in_file(
                &beside,
                "another run is at it; if none is, remove this file",
            ),
            _ => unwritable(&beside)(error),
        })?;
        Ok(Self {
            file,
            beside,
            fresh,
            is_in_place: false,
        })
    }

    /// Whether there is something to be replaced.
    #[must_use]
    pub fn is_over_another(&self) -> bool {
        std::fs::symlink_metadata(&self.file).is_ok()
    }

    /// Puts the content in the place of the file, which keeps its mode; a new one is for everybody to read.
    ///
    /// # Errors
    /// [`ToolError::Write`].
    pub fn finish(mut self, content: &[u8]) -> Result<(), ToolError> {
        let permissions = std::fs::metadata(&self.file).map(|known| known.permissions());
        self.write(content, permissions.ok())
            .map_err(unwritable(&self.beside))?;
        std::fs::rename(&self.beside, &self.file).map_err(unwritable(&self.file))?;
        self.is_in_place = true;
        let folder = match self.file.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(unwritable(&self.file))
    }

    fn write(&mut self, content: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
        self.fresh.write_all(content)?;
        if let Some(permissions) = permissions {
            self.fresh.set_permissions(permissions)?;
        }
        self.fresh.sync_all()
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.is_in_place {
            // Best effort: what went wrong is told elsewhere.
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}
