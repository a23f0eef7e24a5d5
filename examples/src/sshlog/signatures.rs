//! What is signed in a log, and the signatures, as files for `ssh-keygen -Y verify`.

use std::fs::DirBuilder;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use session_log::{Event, Statement};

use super::SshlogError;
use super::output::{NewFile, PUBLIC, not_made, write_new};

/// A folder that is filled while a log is read. Of segment N it holds
///
/// - `N.header`: the bytes whose hash stands in each statement;
/// - `N.open` and `N.open.sig`: what the identity key signed;
/// - `N.checkpoint-M` and `N.checkpoint-M.sig`: what the keys of the epochs signed;
/// - `N.epochs`: those keys as an `allowed_signers` file, with the principal `epoch`.
pub(super) struct Signatures {
    folder: PathBuf,
    segment: u32,
    checkpoints: u64,
    epochs: Option<NewFile>,
}

impl Signatures {
    /// Makes the folder, which must not exist yet.
    pub(super) fn create(folder: &Path) -> Result<Signatures, SshlogError> {
        DirBuilder::new()
            .mode(0o700)
            .create(folder)
            .map_err(not_made(folder))?;
        Ok(Signatures {
            folder: folder.into(),
            segment: 0,
            checkpoints: 0,
            epochs: None,
        })
    }

    pub(super) fn take(&mut self, event: &Event<'_>) -> Result<(), SshlogError> {
        match event {
            Event::Segment(segment) => {
                self.segment = segment.number;
                self.checkpoints = 0;
                write_new(&self.file("header"), PUBLIC, &segment.signed_header)?;
                self.epochs = Some(NewFile::create(&self.file("epochs"), PUBLIC)?);
                self.keep()
            }
            Event::Open(statement) => self.write("open", statement),
            Event::Checkpoint(checkpoint) => {
                let number = self.checkpoints;
                self.checkpoints += 1;
                let Some(statement) = &checkpoint.statement else {
                    return Ok(());
                };
                if let Some(epochs) = &mut self.epochs {
                    let key = statement.public_key().to_openssh();
                    writeln!(epochs, "epoch namespaces=\"sslg1\" {key}")?;
                }
                self.keep()?;
                self.write(&format!("checkpoint-{number}"), statement)
            }
            _ => Ok(()),
        }
    }

    fn keep(&mut self) -> Result<(), SshlogError> {
        self.epochs.as_mut().map_or(Ok(()), NewFile::keep)
    }

    fn write(&self, name: &str, statement: &Statement) -> Result<(), SshlogError> {
        write_new(&self.file(name), PUBLIC, &statement.message)?;
        let signature = statement.signature_armored();
        let name = format!("{name}.sig");
        write_new(&self.file(&name), PUBLIC, signature.as_bytes())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}.{name}", self.segment))
    }
}
