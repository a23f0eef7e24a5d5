//! `sshlog grep`: records whose text holds a word.

use std::io::Write;

use clap::Args;
use session_log::{Event, RecordView, Value};

use super::json::line;
use super::read::{conclude, read_log, reader_config};
use super::{Source, SshlogError};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Upper and lower case are the same
    #[arg(long)]
    ignore_case: bool,
    /// The text to look for
    pattern: String,
    #[command(flatten)]
    source: Source,
}

pub(super) fn run(
    arguments: &Arguments,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool, SshlogError> {
    let wanted = arguments.fold(arguments.pattern.as_bytes());
    let mut found = false;
    let verdict = read_log(
        &arguments.source.log,
        reader_config(&arguments.source)?,
        |event| {
            if let Event::Record(view) = event
                && arguments.matches(&view, &wanted)
            {
                found = true;
                writeln!(out, "{}", line(&view))?;
            }
            Ok(())
        },
    )?;
    let good = conclude(&verdict, &arguments.source, out, err)?;
    Ok(good && found)
}

impl Arguments {
    fn fold(&self, bytes: &[u8]) -> Vec<u8> {
        if self.ignore_case {
            bytes.to_ascii_lowercase()
        } else {
            bytes.to_vec()
        }
    }

    fn matches(&self, view: &RecordView<'_>, wanted: &[u8]) -> bool {
        let mut matches = false;
        let mut look = |bytes: &[u8]| {
            let text = self.fold(bytes);
            matches |= wanted.is_empty() || text.windows(wanted.len()).any(|w| w == wanted);
        };
        view.record.fields(&mut |_, _, value| match value {
            Value::Text(text) => look(text.as_bytes()),
            Value::Bytes(bytes) => look(bytes),
            Value::TextList(texts) => texts.iter().for_each(|text| look(text.as_bytes())),
            _ => {}
        });
        matches
    }
}
