//! asciicast (<https://docs.asciinema.org/manual/asciicast/v2/>, `/v3/`).

use std::io::Write;

use serde_json::json;
use session_log::{Record, RecordView, Style};

use super::{Filters, Sink};
use crate::sshlog::SshlogError;
use crate::sshlog::output::NewFile;
use crate::sshlog::replay::{MAX_COLUMNS, MAX_ROWS, USUAL_SIZE};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Two,
    Three,
}

pub(super) struct Cast {
    file: NewFile,
    version: Version,
    /// `TERM`, columns, rows.
    screen: (String, u32, u32),
    unix_secs: u64,
    began: bool,
    first_us: Option<u64>,
    last_us: u64,
    filters: Filters,
}

impl Cast {
    pub(super) fn new(file: NewFile, version: Version) -> Cast {
        Cast {
            file,
            version,
            screen: ("xterm".to_owned(), USUAL_SIZE.0, USUAL_SIZE.1),
            unix_secs: 0,
            began: false,
            first_us: None,
            last_us: 0,
            filters: Filters::new(Style::Screen),
        }
    }

    fn begin(&mut self) -> Result<(), SshlogError> {
        if !std::mem::replace(&mut self.began, true) {
            let (term, columns, rows) = &self.screen;
            let header = match self.version {
                Version::Two => json!({"version": 2, "width": columns, "height": rows,
                    "timestamp": self.unix_secs, "env": {"TERM": term}}),
                Version::Three => json!({"version": 3, "term": {"cols": columns, "rows": rows,
                    "type": term}, "timestamp": self.unix_secs}),
            };
            writeln!(self.file, "{header}")?;
        }
        Ok(())
    }

    fn event(&mut self, t_us: u64, code: &str, text: &str) -> Result<(), SshlogError> {
        self.begin()?;
        let first = *self.first_us.get_or_insert(t_us);
        // Version 2 counts from the beginning, version 3 from the event before.
        let from = match self.version {
            Version::Two => first,
            Version::Three => self.last_us.max(first),
        };
        self.last_us = t_us;
        let us = t_us.saturating_sub(from);
        let time = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
        writeln!(self.file, "[{time}, \"{code}\", {}]", json!(text))?;
        Ok(())
    }
}

/// A size that players can be asked for; 0 means unknown (RFC 4254 section 6.2).
fn screen_size(columns: u32, rows: u32) -> (u32, u32) {
    let or = |value, usual| if value == 0 { usual } else { value };
    let (columns, rows) = (or(columns, USUAL_SIZE.0), or(rows, USUAL_SIZE.1));
    (columns.min(MAX_COLUMNS), rows.min(MAX_ROWS))
}

impl Sink for Cast {
    fn take(&mut self, view: &RecordView<'_>) -> Result<(), SshlogError> {
        match &view.record {
            Record::ClockAnchor { unix_ms } if !self.began => self.unix_secs = unix_ms / 1_000,
            Record::Pty {
                term,
                columns,
                rows,
                ..
            } if !self.began => {
                let safe: String = term.chars().filter(char::is_ascii_graphic).collect();
                let (columns, rows) = screen_size(*columns, *rows);
                self.screen = (safe, columns, rows);
            }
            Record::Output(_) | Record::Stderr(_) => {
                let text = self.filters.text(&view.record).unwrap_or_default();
                self.event(view.t_us, "o", &text)?;
            }
            Record::Resize { columns, rows, .. } => {
                let (columns, rows) = screen_size(*columns, *rows);
                self.event(view.t_us, "r", &format!("{columns}x{rows}"))?;
            }
            Record::ExitStatus { code } if self.version == Version::Three => {
                self.event(view.t_us, "x", &code.to_string())?;
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SshlogError> {
        self.begin()?;
        self.file.keep()
    }
}
