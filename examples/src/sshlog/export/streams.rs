//! Bytes and text: typescript with timing, transcript, raw streams, lines of JSON.

use std::fs::File;
use std::io::{BufWriter, Write};

use session_log::{Record, RecordView, Sanitizer, Style};

use super::Sink;
use crate::sshlog::SshlogError;
use crate::sshlog::json::line;

/// What `script --timing` writes: the data after a line that players pass over, and `seconds bytes` for each piece.
pub(super) struct Typescript {
    data: BufWriter<File>,
    timing: BufWriter<File>,
    last_us: Option<u64>,
    output: Sanitizer,
}

impl Typescript {
    pub(super) fn new(data: BufWriter<File>, timing: BufWriter<File>) -> Typescript {
        Typescript {
            data,
            timing,
            last_us: None,
            output: Sanitizer::new(Style::Screen),
        }
    }
}

impl Sink for Typescript {
    fn take(&mut self, view: &RecordView<'_>) -> Result<(), SshlogError> {
        let (Record::Output(data) | Record::Stderr(data)) = &view.record else {
            return Ok(());
        };
        if self.last_us.is_none() {
            writeln!(self.data, "Script started [exported by sshlog]")?;
        }
        let mut text = String::new();
        self.output.push(data, &mut text);
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
        self.data.flush()?;
        Ok(self.timing.flush()?)
    }
}

/// Text only.
pub(super) struct Transcript {
    file: BufWriter<File>,
    output: Sanitizer,
}

impl Transcript {
    pub(super) fn new(file: BufWriter<File>) -> Transcript {
        Transcript {
            file,
            output: Sanitizer::new(Style::Plain),
        }
    }
}

impl Sink for Transcript {
    fn take(&mut self, view: &RecordView<'_>) -> Result<(), SshlogError> {
        if let Record::Output(data) | Record::Stderr(data) = &view.record {
            let mut text = String::new();
            self.output.push(data, &mut text);
            self.file.write_all(text.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SshlogError> {
        Ok(self.file.flush()?)
    }
}

/// Each stream in a file.
pub(super) struct Raw {
    output: BufWriter<File>,
    input: BufWriter<File>,
    stderr: BufWriter<File>,
}

impl Raw {
    pub(super) fn new(
        output: BufWriter<File>,
        input: BufWriter<File>,
        stderr: BufWriter<File>,
    ) -> Raw {
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
        self.output.flush()?;
        self.input.flush()?;
        Ok(self.stderr.flush()?)
    }
}

/// Every record.
pub(super) struct Lines {
    file: BufWriter<File>,
}

impl Lines {
    pub(super) fn new(file: BufWriter<File>) -> Lines {
        Lines { file }
    }
}

impl Sink for Lines {
    fn take(&mut self, view: &RecordView<'_>) -> Result<(), SshlogError> {
        writeln!(self.file, "{}", line(view))?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SshlogError> {
        Ok(self.file.flush()?)
    }
}
