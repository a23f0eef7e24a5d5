//! Where a log's bytes come from: a file, a folder with one file a segment, or standard input.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::SshlogError;

/// A log that is open for reading, from its first byte to its last.
pub(super) enum Input {
    Stdin(io::Stdin),
    Files(Files),
}

/// One file, or the segments of a folder one after the other. One of them is open at a time, so that no log has too many.
pub(super) struct Files {
    name: PathBuf,
    is_folder: bool,
    names: Vec<PathBuf>,
    /// Which is read now or next, and that file once it is open.
    at: usize,
    open: Option<File>,
}

impl Input {
    pub(super) fn open(log: &Path) -> Result<Input, SshlogError> {
        if log == Path::new("-") {
            return Ok(Input::Stdin(io::stdin()));
        }
        Files::open(log).map(Input::Files)
    }

    /// The next bytes, none at the end.
    pub(super) fn read<'a>(&mut self, piece: &'a mut [u8]) -> Result<&'a [u8], SshlogError> {
        loop {
            let (got, name) = match self {
                Input::Stdin(stdin) => (stdin.lock().read(piece), Path::new("standard input")),
                Input::Files(files) => (files.read(piece), files.name.as_path()),
            };
            match got {
                Ok(got) => return Ok(piece.get(..got).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(SshlogError::Read {
                        file: name.into(),
                        error,
                    });
                }
            }
        }
    }

    /// How long it is now; 0 for standard input.
    pub(super) fn len(&self) -> u64 {
        match self {
            Input::Stdin(_) => 0,
            Input::Files(files) => files.len(),
        }
    }
}

impl Files {
    /// A file, or all segments of a folder.
    pub(super) fn open(log: &Path) -> Result<Files, SshlogError> {
        if log == Path::new("-") {
            return Err(SshlogError::ReadTwice);
        }
        let mut files = Files {
            name: log.into(),
            is_folder: log.is_dir(),
            names: Vec::new(),
            at: 0,
            open: None,
        };
        files.look_again()?;
        let first = files
            .names
            .first()
            .ok_or_else(|| SshlogError::NoSegments { folder: log.into() })?;
        let opened = File::open(first).map_err(|error| SshlogError::Read {
            file: first.clone(),
            error,
        })?;
        files.open = Some(opened);
        Ok(files)
    }

    /// Takes in the segments that were written since.
    pub(super) fn look_again(&mut self) -> Result<(), SshlogError> {
        self.names = if self.is_folder {
            segments(&self.name)?
        } else {
            vec![self.name.clone()]
        };
        Ok(())
    }

    /// How long all of it is now, bytes.
    pub(super) fn len(&self) -> u64 {
        self.names.iter().map(|name| file_len(name)).sum()
    }

    /// Reads exactly these bytes of the log.
    pub(super) fn read_at(&mut self, offset: u64, bytes: u32) -> Result<Vec<u8>, SshlogError> {
        let mut found = Vec::new();
        self.seek(offset)
            .and_then(|()| self.take(u64::from(bytes)).read_to_end(&mut found))
            .and_then(|got| match got == bytes as usize {
                true => Ok(found),
                false => Err(io::ErrorKind::UnexpectedEof.into()),
            })
            .map_err(|error| SshlogError::Read {
                file: self.name.clone(),
                error,
            })
    }

    /// Goes on reading at this byte of the log; behind its end, at its end.
    pub(super) fn seek(&mut self, offset: u64) -> io::Result<()> {
        let mut inside = offset;
        let last = self.names.len().saturating_sub(1);
        for (number, name) in self.names.iter().enumerate() {
            let len = file_len(name);
            if inside < len || number == last {
                let mut file = File::open(name)?;
                file.seek(SeekFrom::Start(inside.min(len)))?;
                self.at = number;
                self.open = Some(file);
                return Ok(());
            }
            inside -= len;
        }
        Ok(())
    }
}

impl Read for Files {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        while let Some(name) = self.names.get(self.at) {
            let file = match &mut self.open {
                Some(file) => file,
                closed => closed.insert(File::open(name)?),
            };
            let got = file.read(piece)?;
            if got > 0 || self.at + 1 >= self.names.len() {
                return Ok(got);
            }
            self.at += 1;
            self.open = None;
        }
        Ok(0)
    }
}

fn file_len(name: &Path) -> u64 {
    fs::metadata(name).map_or(0, |metadata| metadata.len())
}

/// The segments of a folder, `0.sslg`, `1.sslg`, …, in the order of their numbers.
fn segments(folder: &Path) -> Result<Vec<PathBuf>, SshlogError> {
    let mut found: Vec<(u32, PathBuf)> = list(folder)?
        .into_iter()
        .filter_map(|file| Some((segment_number(&file)?, file)))
        .filter(|(_, file)| file.is_file())
        .collect();
    found.sort();
    Ok(found.into_iter().map(|(_, file)| file).collect())
}

/// The number in `12.sslg`. No other writing of a number counts: `+1.sslg` and `01.sslg` are no second segment 1.
fn segment_number(file: &Path) -> Option<u32> {
    let stem = file.file_stem()?.to_str()?;
    let number: u32 = stem.parse().ok()?;
    (is_log_name(file) && number.to_string() == stem).then_some(number)
}

/// The logs that a name stands for: itself, or, for a folder of logs, those in it.
pub(super) fn logs_of(name: &Path) -> Result<Vec<PathBuf>, SshlogError> {
    if !name.is_dir() || !segments(name)?.is_empty() {
        return Ok(vec![name.into()]);
    }
    let mut found = Vec::new();
    for entry in list(name)? {
        if (entry.is_file() && is_log_name(&entry))
            || (entry.is_dir() && !segments(&entry)?.is_empty())
        {
            found.push(entry);
        }
    }
    if found.is_empty() {
        return Err(SshlogError::NoLogs {
            folder: name.into(),
        });
    }
    found.sort();
    Ok(found)
}

fn is_log_name(file: &Path) -> bool {
    file.extension()
        .is_some_and(|ending| ending == crate::log_store::EXTENSION)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, SshlogError> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(|error| SshlogError::Read {
            file: folder.into(),
            error,
        })
}
