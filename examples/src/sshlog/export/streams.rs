//! Bytes and text: typescript with timing, transcript, raw streams, lines of JSON.

use std::io::Write;

use session_log::{Record, RecordView, Style};

use super::{Filters, Sink};
use crate::sshlog::SshlogError;
use crate::sshlog::json::line;
use crate::sshlog::output::NewFile;

/// What `script --timing` writes: the data after a line that players pass over, and `seconds bytes` for each piece.
pub(super) struct Typescript {
    data: NewFile,
    timing: NewFile,
    last_us: Option<u64>,
    filters: Filters,
}

impl Typescript {
    pub(super) fn new(data: NewFile, timing: NewFile) -> Typescript {
        Typescript {
            data,
            timing,
            last_us: None,
            filters: Filters::new(Style::Screen),
        }
    }
}

impl Sink for Typescript {
    fn take(&mut self, view: &RecordView<'_>) -> Result<(), SshlogError> {
        let Some(text) = self.filters.text(&view.record) else {
            return Ok(());
        };
        if self.last_us.is_none() {
            writeln!(self.data, "Script started [exported by sshlog]")?;
        }
        let us = view.t_us.saturating_sub(self.last_us.unwrap_or(view.t_us));
        self.last_us = Some(view.t_us);
        self.data.write_all(text.as_bytes())?;
        writeln!(
            self.timing,
            "{}.{:06} {}",
            us / 1_000_000,
            us % 1_000_000,
            text.len()
        )?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SshlogError> {
        self.data.keep()?;
        self.timing.keep()
    }
}

/// Text only.
pub(super) struct Transcript {
    file: NewFile,
    filters: Filters,
}

impl Transcript {
    pub(super) fn new(file: NewFile) -> Transcript {
        Transcript {
            file,
            filters: Filters::new(Style::Plain),
        }
    }
}

impl Sink for Transcript {
    fn take(&mut self, view: &RecordView<'_>) -> Result<(), SshlogError> {
        if let Some(text) = self.filters.text(&view.record) {
            self.file.write_all(text.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SshlogError> {
        self.file.keep()
    }
}

/// Each stream in a file.
pub(super) struct Raw {
    output: NewFile,
    input: NewFile,
    stderr: NewFile,
}

impl Raw {
    pub(super) fn new(output: NewFile, input: NewFile, stderr: NewFile) -> Raw {
        Raw {
            output,
            input,
            stderr,
        }
    }
}

impl Sink for Raw {
    fn take(&mut self, view: &RecordView<'_>) -> Result<(), SshlogError> {
        match &view.record {
            Record::Output(data) => self.output.write_all(data)?,
            Record::Input(data) => self.input.write_all(data)?,
            Record::Stderr(data) => self.stderr.write_all(data)?,
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SshlogError> {
        self.output.keep()?;
        self.input.keep()?;
        self.stderr.keep()
    }
}

/// Every record.
pub(super) struct Lines {
    file: NewFile,
}

impl Lines {
    pub(super) fn new(file: NewFile) -> Lines {
        Lines { file }
    }
}

impl Sink for Lines {
    fn take(&mut self, view: &RecordView<'_>) -> Result<(), SshlogError> {
        writeln!(self.file, "{}", line(view))?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SshlogError> {
        self.file.keep()
    }
}
