//! What the small commands around keys and certificates share: files, times, errors, exit statuses.

pub mod agent;
pub mod files;
mod text;
pub mod time;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use self::files::{read_bytes, read_text};
pub use self::text::{escape_json, is_printable, printable};

/// Two lower-case digits a byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

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
