//! A channel's screen in a terminal emulator, and what of it is drawn.

mod draw;

use std::collections::BTreeSet;
use std::io::{self, Write};

use avt::Terminal;
use session_log::{Record, RecordView, Sanitizer, Style};

use super::{MAX_COLUMNS, MAX_ROWS, USUAL_SIZE, View, typed};
use draw::{Drawing, text_of};

/// How the screen is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Drawn, and drawn again where it changes.
    Drawn,
    /// Its text, once.
    Text,
}

/// What is kept of what was typed, characters.
const MAX_TYPED_CHARS: usize = 60;
/// Most other channels that are told of.
const MAX_OTHERS: usize = 8;

pub(crate) struct Screen {
    program: &'static str,
    form: Form,
    channel: Option<u32>,
    with_input: bool,
    terminal: Terminal,
    output: Sanitizer,
    stderr: Sanitizer,
    /// Without a terminal there is nobody who turns a line feed into a new line.
    has_pty: bool,
    typed: String,
    drawing: Drawing,
    others: BTreeSet<u32>,
    too_large: Option<(u32, u32)>,
}

impl Screen {
    /// A screen of a size that is known already, or of the usual one.
    pub(crate) fn new(
        program: &'static str,
        form: Form,
        channel: Option<u32>,
        with_input: bool,
        size: Option<(u32, u32)>,
    ) -> Screen {
        let (columns, rows) = size.unwrap_or(USUAL_SIZE);
        let mut screen = Screen {
            program,
            form,
            channel,
            with_input,
            terminal: terminal(columns, rows),
            output: Sanitizer::new(Style::Emulator),
            stderr: Sanitizer::new(Style::Emulator),
            has_pty: size.is_some(),
            typed: String::new(),
            drawing: Drawing::new(),
            others: BTreeSet::new(),
            too_large: None,
        };
        screen.note_size(columns, rows);
        screen
    }

    fn feed(&mut self, data: &[u8], is_stderr: bool) {
        let filter = match is_stderr {
            true => &mut self.stderr,
            false => &mut self.output,
        };
        let mut text = String::new();
        filter.push(data, &mut text);
        if !self.has_pty {
            text = text.replace('\n', "\r\n");
        }
        self.terminal.feed(text.as_str());
    }

    fn resize(&mut self, columns: u32, rows: u32) {
        // 0 means unknown (RFC 4254 section 6.2).
        if columns > 0 && rows > 0 {
            self.note_size(columns, rows);
            let (columns, rows) = bounded(columns, rows);
            self.terminal.resize(columns, rows);
        }
    }

    fn note_size(&mut self, columns: u32, rows: u32) {
        if columns > MAX_COLUMNS || rows > MAX_ROWS {
            self.too_large = Some((columns, rows));
        }
    }

    /// Whether the record is of the channel that is shown: the first with a terminal or output, unless one was named.
    fn is_shown(&mut self, view: &RecordView<'_>) -> bool {
        let begins = matches!(
            view.record,
            Record::Pty { .. } | Record::Output(_) | Record::Stderr(_)
        );
        if begins && *self.channel.get_or_insert(view.channel) != view.channel {
            if self.others.len() < MAX_OTHERS {
                self.others.insert(view.channel);
            }
            return false;
        }
        self.channel == Some(view.channel)
    }
}

fn bounded(columns: u32, rows: u32) -> (usize, usize) {
    (
        columns.clamp(1, MAX_COLUMNS) as usize,
        rows.clamp(1, MAX_ROWS) as usize,
    )
}

#[expect(clippy::expect_used, reason = "the size is at least one by one")]
fn terminal(columns: u32, rows: u32) -> Terminal {
    let (columns, rows) = bounded(columns, rows);
    Terminal::new(columns, rows).expect("a size of at least one by one")
}

impl View for Screen {
    fn take(&mut self, view: &RecordView<'_>) {
        if !self.is_shown(view) {
            return;
        }
        match view.record {
            Record::Output(data) => self.feed(data, false),
            Record::Stderr(data) => self.feed(data, true),
            Record::Pty { columns, rows, .. } => {
                self.has_pty = true;
                self.resize(columns, rows);
            }
            Record::Resize { columns, rows, .. } => self.resize(columns, rows),
            Record::Input(data) if self.with_input => {
                self.typed.push_str(&typed(data));
                let surplus = self.typed.chars().count().saturating_sub(MAX_TYPED_CHARS);
                self.typed = self.typed.chars().skip(surplus).collect();
            }
            _ => {}
        }
    }

    fn pass_over(&mut self) {
        self.typed.clear();
    }

    fn show(&mut self, out: &mut dyn Write) -> io::Result<()> {
        match self.form {
            Form::Drawn => {
                let typed = self.with_input.then_some(self.typed.as_str());
                self.drawing.draw(&self.terminal, typed, out)
            }
            Form::Text => Ok(()),
        }
    }

    fn finish(&mut self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()> {
        match self.form {
            Form::Drawn => self.drawing.leave(out)?,
            Form::Text => out.write_all(text_of(&self.terminal).as_bytes())?,
        }
        out.flush()?;
        if !self.others.is_empty() {
            let others: Vec<String> = self.others.iter().map(u32::to_string).collect();
            writeln!(
                err,
                "{}: this was channel {}; there is output on {} too: name one with --channel",
                self.program,
                self.channel.unwrap_or_default(),
                others.join(", ")
            )?;
        }
        if let Some((columns, rows)) = self.too_large {
            writeln!(
                err,
                "{}: the session's screen was {columns} by {rows}; {MAX_COLUMNS} by {MAX_ROWS} is the largest that is emulated",
                self.program
            )?;
        }
        self.drawing.tell(self.program, err)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn view(record: Record<'_>) -> RecordView<'_> {
        RecordView {
            t_us: 0,
            channel: 1,
            kind: 0,
            record,
        }
    }

    /// What terminals are steered by, and anything at all.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            "\\x1b\\[[?]{0,1}[0-9;]{0,6}[@-~]".prop_map(String::into_bytes),
            "\\x1b[()#]{0,1}[ -~]".prop_map(String::into_bytes),
            "[a-z界́\\r\\n\\t\\x08\\x0e\\x0f]{0,9}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..6),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_recording_stops_the_emulator_or_draws_what_is_not_of_the_list(
            steps in proptest::collection::vec((hostile(), any::<(u32, u8)>()), 1..6),
        ) {
            let mut screen = Screen::new("sshlog", Form::Drawn, None, true, None);
            let mut out = Vec::new();
            for (data, (columns, rows)) in &steps {
                screen.take(&view(Record::Output(data)));
                screen.take(&view(Record::Input(data)));
                screen.take(&view(Record::Resize {
                    columns: columns % 300,
                    rows: u32::from(*rows),
                    pixel_width: 0,
                    pixel_height: 0,
                }));
                screen.show(&mut out).unwrap();
            }
            let shown = String::from_utf8(out).unwrap();
            for (at, _) in shown.match_indices('\x1b') {
                let sequence = shown[at + 1..].strip_prefix('[').unwrap();
                let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                let (parameters, last) = sequence.split_at(end);
                prop_assert!("HJKmhl".contains(&last[..1]), "{parameters}{}", &last[..1]);
                prop_assert!(!"hl".contains(&last[..1]) || parameters == "?25");
            }
            prop_assert!(shown.chars().all(|c| c == '\x1b' || !c.is_control()));
        }
    }
}
