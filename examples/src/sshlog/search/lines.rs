//! Lines, put together of recorded pieces.

use std::collections::BTreeMap;

use session_log::{Sanitizer, Style};

/// Whose data it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    Input,
    Output,
    Stderr,
}

/// A line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// When its first byte was recorded, microseconds since the log began.
    pub(super) t_us: u64,
    pub(super) channel: u32,
    /// `input`, `output`, `stderr`, or the kind of a record.
    pub(super) from: &'static str,
    /// Without line end, without anything that a terminal acts on.
    pub(super) text: String,
}

/// The unfinished lines of all channels.
#[derive(Default)]
pub(super) struct Lines {
    open: BTreeMap<(u32, Stream), OpenLine>,
}

struct OpenLine {
    filter: Sanitizer,
    t_us: u64,
    text: String,
}

/// Longest line, bytes; what is longer goes on in a line of its own.
const MAX_LINE_BYTES: usize = 64 << 10;
/// Most streams with an unfinished line; with more, the line of the lowest channel is taken for finished.
const MAX_OPEN_LINES: usize = 256;

impl Lines {
    /// Takes data, and gives the lines that are whole now.
    pub(super) fn push(
        &mut self,
        channel: u32,
        stream: Stream,
        t_us: u64,
        data: &[u8],
    ) -> Vec<Line> {
        let mut whole = Vec::new();
        let key = (channel, stream);
        if self.open.len() >= MAX_OPEN_LINES && !self.open.contains_key(&key) {
            whole.extend(self.open.pop_first().map(|(key, open)| open.into_line(key)));
        }
        let open = self.open.entry(key).or_insert_with(|| OpenLine {
            filter: Sanitizer::new(Style::Plain),
            t_us,
            text: String::new(),
        });
        let mut text = String::new();
        open.filter.push(&erasable(stream, data), &mut text);
        for c in text.chars() {
            if open.text.is_empty() {
                open.t_us = t_us;
            }
            match c {
                '\n' => whole.push(open.take(key)),
                // What was typed and taken back is no part of the line.
                ERASE if stream == Stream::Input => {
                    open.text.pop();
                }
                c => open.text.push(c),
            }
            if open.text.len() >= MAX_LINE_BYTES {
                whole.push(open.take(key));
            }
        }
        whole
    }

    /// The lines that never ended.
    pub(super) fn finish(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.open)
            .into_iter()
            .map(|(key, open)| open.into_line(key))
            .filter(|line| !line.text.is_empty())
            .collect()
    }
}

/// Stands for a key that takes back what was typed: a character of Unicode's private area, which the filter lets pass.
const ERASE: char = '\u{f8ff}';

/// Input with the keys that take back (DEL and backspace) as [`ERASE`]; other data as it is.
fn erasable(stream: Stream, data: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if stream != Stream::Input || !data.iter().any(|byte| matches!(byte, 0x7f | 0x08)) {
        return data.into();
    }
    let mut mark = [0; 4];
    let mark = ERASE.encode_utf8(&mut mark).as_bytes();
    let mut marked = Vec::new();
    for byte in data {
        match byte {
            0x7f | 0x08 => marked.extend_from_slice(mark),
            byte => marked.push(*byte),
        }
    }
    marked.into()
}

impl OpenLine {
    fn take(&mut self, key: (u32, Stream)) -> Line {
        let open = OpenLine {
            filter: Sanitizer::new(Style::Plain),
            t_us: self.t_us,
            text: std::mem::take(&mut self.text),
        };
        open.into_line(key)
    }

    fn into_line(self, (channel, stream): (u32, Stream)) -> Line {
        Line {
            t_us: self.t_us,
            channel,
            from: match stream {
                Stream::Input => "input",
                Stream::Output => "output",
                Stream::Stderr => "stderr",
            },
            text: self.text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: Vec<Line>) -> Vec<(u64, u32, &'static str, String)> {
        lines
            .into_iter()
            .map(|line| (line.t_us, line.channel, line.from, line.text))
            .collect()
    }

    #[test]
    fn a_line_is_put_together_of_keys_and_has_the_time_of_the_first() {
        let mut lines = Lines::default();
        for (t_us, key) in [b"l", b"x", b"\x7f", b"s"].iter().enumerate() {
            assert!(
                lines
                    .push(1, Stream::Input, t_us as u64, &key[..])
                    .is_empty()
            );
        }
        assert!(lines.push(1, Stream::Output, 9, b"\x1b[3").is_empty());
        assert_eq!(
            texts(lines.push(1, Stream::Input, 10, b"\rpwd")),
            [(0, 1, "input", "ls".to_owned())]
        );
        assert_eq!(
            texts(lines.push(1, Stream::Output, 11, b"1mred\x1b[0m\r\nnext\r\n")),
            [
                (11, 1, "output", "red".to_owned()),
                (11, 1, "output", "next".to_owned())
            ]
        );
        assert_eq!(texts(lines.finish()), [(10, 1, "input", "pwd".to_owned())]);
    }

    #[test]
    fn neither_long_lines_nor_many_channels_are_held() {
        let mut lines = Lines::default();
        let long = lines.push(1, Stream::Output, 0, &[b'a'; 3 * MAX_LINE_BYTES + 1]);
        assert_eq!(long.len(), 3);
        for channel in 0..2_000 {
            lines.push(channel, Stream::Output, 0, b"x");
            assert!(lines.open.len() <= MAX_OPEN_LINES);
        }
    }
}
