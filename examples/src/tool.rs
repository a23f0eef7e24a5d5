//! What the small commands around keys and certificates share: files, times, errors, exit statuses.

pub mod agent;
pub mod time;

use std::error::Error;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use zeroize::Zeroizing;

/// The longest file that is read, in bytes: that of a revocation list.
const MAX_FILE_BYTES: u64 = sshcert::MAX_KRL_BYTES as u64;

/// How every file with a private key begins, whoever wrote it.
const PRIVATE_KEY_START: &[u8; 11] = b"-----BEGIN ";

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {error}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{}: {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong, and what to write instead.
        why: Box<dyn Error + Send + Sync>,
    },
    /// An option's value cannot be used.
    #[error("{option}: {why}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong, and what to write instead.
        why: Box<dyn Error + Send + Sync>,
    },
    /// The agent did not sign.
    #[error("{0}")]
    Agent(#[from] agent::AgentError),
    /// What was asked for cannot be made.
    #[error("{0}")]
    Refused(Box<dyn Error + Send + Sync>),
    /// The operating system gave no randomness.
    #[error("{0}")]
    Fresh(#[from] crate::fresh::FreshError),
    /// Standard output is gone.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// An error about an option.
pub fn option(option: &'static str, why: impl Into<Box<dyn Error + Send + Sync>>) -> ToolError {
    ToolError::Option {
        option,
        why: why.into(),
    }
}

/// An error about the content of a file.
pub fn in_file(file: &Path, why: impl Into<Box<dyn Error + Send + Sync>>) -> ToolError {
    ToolError::File {
        file: file.to_owned(),
        why: why.into(),
    }
}

/// An error about what was asked for as a whole.
pub fn refused(why: impl Into<Box<dyn Error + Send + Sync>>) -> ToolError {
    ToolError::Refused(why.into())
}

/// Runs a command of this process's arguments: 0 for yes, 1 for no, 2 when there is no answer.
pub fn main<C: Parser>(
    name: &str,
    command: impl FnOnce(&C, &mut dyn Write) -> Result<bool, ToolError>,
) -> ExitCode {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut err = io::stderr().lock();
    ExitCode::from(run(name, std::env::args_os(), &mut out, &mut err, command))
}

fn run<C: Parser>(
    name: &str,
    arguments: impl Iterator<Item = OsString>,
    out: &mut dyn Write,
    err: &mut dyn Write,
    command: impl FnOnce(&C, &mut dyn Write) -> Result<bool, ToolError>,
) -> u8 {
    let arguments = match C::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let to: &mut dyn Write = if error.use_stderr() { err } else { out };
            let shown = write!(to, "{error}").and_then(|()| to.flush());
            return if error.use_stderr() || shown.is_err() {
                2
            } else {
                0
            };
        }
    };
    let result = command(&arguments, out);
    let result = result.and_then(|yes| Ok(out.flush().map(|()| yes)?));
    match result {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(ToolError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 2,
        Err(error) => {
            // Standard error is the last place to say anything; if it is gone, the status still tells.
            let _ = writeln!(err, "{name}: {error}");
            2
        }
    }
}

/// The content of a file, or of standard input for `-`; erased when dropped.
///
/// # Errors
/// [`ToolError::Read`], also when it is too long.
pub fn read_bytes(file: &Path) -> Result<Zeroizing<Vec<u8>>, ToolError> {
    let unreadable = |error| ToolError::Read {
        file: file.to_owned(),
        error,
    };
    let reader: Box<dyn io::Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(file).map_err(unreadable)?)
    };
    let mut bytes = Zeroizing::new(Vec::new());
    let mut limited = reader.take(MAX_FILE_BYTES + 1);
    limited.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}

/// As [`read_bytes`], for text.
///
/// # Errors
/// [`ToolError::Read`], also when it is no text.
pub fn read_text(file: &Path) -> Result<Zeroizing<String>, ToolError> {
    let bytes = read_bytes(file)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| ToolError::Read {
        file: file.to_owned(),
        error: io::ErrorKind::InvalidData.into(),
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readable {
    /// Everybody.
    Public,
    /// Its owner. Such a file is never overwritten.
    Secret,
}

/// Writes a file.
///
/// # Errors
/// [`ToolError::Write`], also for a secret file that is there already; [`ToolError::File`] where there is a private key.
pub fn write_file(file: &Path, content: &[u8], readable: Readable) -> Result<(), ToolError> {
    let mut options = OpenOptions::new();
    match readable {
        Readable::Public => {
            check_holds_no_private_key(file)?;
            options.create(true).truncate(true).mode(0o644)
        }
        Readable::Secret => options.create_new(true).mode(0o600),
    };
    options
        .write(true)
        .open(file)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.flush()))
        .map_err(|error| ToolError::Write {
            file: file.to_owned(),
            error,
        })
}

/// Somebody who writes `--out id` for `--out id-cert.pub` must not lose the key.
fn check_holds_no_private_key(file: &Path) -> Result<(), ToolError> {
    // What is no file, such as a terminal, is not to be read from here.
    if !std::fs::metadata(file).is_ok_and(|known| known.is_file()) {
        return Ok(());
    }
    let mut start = [0; PRIVATE_KEY_START.len()];
    let read = std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut start));
    if read.is_ok() && start == *PRIVATE_KEY_START {
        return Err(in_file(
            file,
            "this is a private key, and is not overwritten",
        ));
    }
    Ok(())
}

/// Puts content in the place of a file in one step, so that a reader finds the old or the new, even after a power cut.
///
/// The new content is first beside it, as `FILE.new`, where it is in nobody's way: one that is there already belongs to
/// another run. The file keeps its mode; a new one is for everybody to read.
///
/// # Errors
/// [`ToolError::Write`], also when `FILE.new` is there; [`ToolError::File`] where there is a private key.
pub fn replace_file(file: &Path, content: &[u8]) -> Result<(), ToolError> {
    check_holds_no_private_key(file)?;
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let at = |file: &Path| {
        let file = file.to_owned();
        move |error| ToolError::Write { file, error }
    };
    let mut fresh = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&beside)
        .map_err(at(&beside))?;
    let written = fresh
        .write_all(content)
        .and_then(|()| match std::fs::metadata(file) {
            Ok(known) => fresh.set_permissions(known.permissions()),
            Err(_) => Ok(()),
        })
        .and_then(|()| fresh.sync_all())
        .map_err(at(&beside))
        .and_then(|()| std::fs::rename(&beside, file).map_err(at(file)));
    if written.is_err() {
        // Best effort: what went wrong is told below.
        let _ = std::fs::remove_file(&beside);
        return written;
    }
    let folder = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(at(file))
}

/// A text from elsewhere, without what could move a terminal's cursor.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// The authorities' keys in these files: `.pub` files, or such as `TrustedUserCAKeys` names.
///
/// # Errors
/// [`ToolError`] for a file that cannot be read, or has none in it.
pub fn read_authorities(files: &[PathBuf]) -> Result<Vec<sshcert::CaPublicKey>, ToolError> {
    let mut authorities = Vec::new();
    for file in files {
        let text = read_text(file)?;
        let found =
            sshcert::parse_trusted_user_ca_keys(&text).map_err(|error| in_file(file, error))?;
        if found.is_empty() {
            return Err(in_file(file, "there is no public key in it"));
        }
        authorities.extend(found);
    }
    Ok(authorities)
}

/// The blob in a file that has a public key or certificate as its first line.
///
/// # Errors
/// [`ToolError`] when it cannot be read, or is no such line.
pub fn read_key_blob(file: &Path) -> Result<Vec<u8>, ToolError> {
    key_blob(&read_text(file)?)
        .ok_or_else(|| in_file(file, "not a public key; it should be as in a .pub file"))
}

/// The blob in a line such as `ssh-ed25519 AAAA… comment`, when the name before it is the one within.
#[must_use]
pub fn key_blob(line: &str) -> Option<Vec<u8>> {
    use base64ct::Encoding as _;
    let mut words = line.split_ascii_whitespace();
    let (name, base64) = (words.next()?, words.next()?);
    let blob = base64ct::Base64::decode_vec(base64).ok()?;
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (rest.get(..length)? == name.as_bytes()).then_some(blob)
}

/// A revocation list in either form: binary, or public keys as text.
///
/// # Errors
/// [`ToolError`] when it cannot be read.
pub fn read_krl(file: &Path) -> Result<sshcert::Krl, ToolError> {
    let bytes = read_bytes(file)?;
    let krl = match sshcert::Krl::parse(&bytes) {
        Err(sshcert::KrlError::NotAList) => match std::str::from_utf8(&bytes) {
            Ok(text) => sshcert::Krl::from_key_list(text),
            Err(_) => Err(sshcert::KrlError::NotAList),
        },
        other => other,
    };
    krl.map_err(|error| in_file(file, error))
}
