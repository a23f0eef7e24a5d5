//! The recorded text as it came, through the filter of `session-log`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use session_log::{Record, RecordView, Sanitizer, Style};

use super::{View, typed};

pub(crate) struct Stream {
    style: Style,
    on_terminal: bool,
    channel: Option<u32>,
    with_input: bool,
    /// One filter a stream, so that the pieces of two cannot be put together to something that neither holds.
    filters: BTreeMap<(u32, bool), Sanitizer>,
    text: String,
}

/// Most streams that have a filter; with more, that of the lowest channel begins anew.
const MAX_FILTERS: usize = 256;

impl Stream {
    pub(crate) fn new(
        style: Style,
        on_terminal: bool,
        channel: Option<u32>,
        with_input: bool,
    ) -> Stream {
        Stream {
            style,
            on_terminal,
            channel,
            with_input,
            filters: BTreeMap::new(),
            text: String::new(),
        }
    }
}

impl View for Stream {
    fn take(&mut self, view: &RecordView<'_>) {
        if self.channel.is_some_and(|channel| channel != view.channel) {
            return;
        }
        let (data, is_stderr) = match view.record {
            Record::Output(data) => (data, false),
            Record::Stderr(data) => (data, true),
            Record::Input(data) if self.with_input => {
                self.text.push_str(&format!("[typed {}]", typed(data)));
                return;
            }
            _ => return,
        };
        let key = (view.channel, is_stderr);
        if self.filters.len() >= MAX_FILTERS && !self.filters.contains_key(&key) {
            self.filters.pop_first();
        }
        self.filters
            .entry(key)
            .or_insert_with(|| Sanitizer::new(self.style))
            .push(data, &mut self.text);
    }

    fn pass_over(&mut self) {
        self.text.clear();
    }

    fn show(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write, _: &mut dyn Write) -> io::Result<()> {
        // What the session left set matters to a terminal, and its reset is rubbish in a file.
        let last = if self.on_terminal {
            self.style
        } else {
            Style::Plain
        };
        out.write_all(Sanitizer::new(last).reset().as_bytes())
    }
}
