//! Recorded terminal output, made harmless for the terminal of whoever watches it.
//!
//! A recording is written by whoever sat at the other end. Shown raw, it could set the auditor's clipboard (OSC 52) or title, ask the terminal
//! questions whose answers land on the auditor's command line, switch on mouse reports, or hide text. What is let through here is a short list
//! of what is known to be harmless (ECMA-48 and xterm control sequences); all else is swallowed.

use alloc::string::String;
use alloc::vec::Vec;

/// What may pass besides text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Colours, cursor movement, erasing, the alternate screen.
    Screen,
    /// Text, line ends and tabs only.
    Plain,
    /// What a terminal emulator acts on within its own screen: also modes, character sets, repeats and resets. Not for a real terminal.
    Emulator,
}

/// A filter for one channel's output; sequences may be cut anywhere between two calls.
#[derive(Clone, Debug)]
pub struct Sanitizer {
    style: Style,
    state: State,
    /// An unfinished UTF-8 sequence.
    carry: Vec<u8>,
    /// The control sequence being read, while it can still be one that passes.
    sequence: String,
    after_return: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ground,
    Escape,
    /// `ESC` and an intermediate byte.
    EscapeIntermediate,
    ControlSequence,
    /// A sequence that is too long or has bytes that no passing one has.
    Swallow,
    /// OSC, DCS, SOS, PM or APC: text for the terminal itself, up to its end.
    TerminalString,
    /// `ESC` inside such a string.
    TerminalStringEscape,
}

/// Longest sequence that passes, bytes: an SGR with two direct colours.
const MAX_SEQUENCE_BYTES: usize = 48;
/// Largest number in a sequence other than SGR, digits: no screen has more than 9999 rows or columns.
const MAX_DIGITS: usize = 4;
/// Largest number of repeats of a character, digits: six bytes of a recording cost an emulator at most this many characters.
const MAX_REPEAT_DIGITS: usize = 3;

impl Sanitizer {
    /// A filter at the beginning of a recording.
    #[must_use]
    pub fn new(style: Style) -> Sanitizer {
        Sanitizer {
            style,
            state: State::Ground,
            carry: Vec::new(),
            sequence: String::new(),
            after_return: false,
        }
    }

    /// Appends what may be shown of the bytes. Invalid UTF-8 becomes U+FFFD.
    pub fn push(&mut self, bytes: &[u8], out: &mut String) {
        let mut pending = core::mem::take(&mut self.carry);
        pending.extend_from_slice(bytes);
        for chunk in pending.utf8_chunks() {
            chunk.valid().chars().for_each(|c| self.take(c, out));
            let invalid = chunk.invalid();
            if invalid.is_empty() {
                continue;
            }
            // Only the very end can be the beginning of something longer.
            if pending.ends_with(invalid)
                && core::ptr::eq(invalid.as_ptr_range().end, pending.as_ptr_range().end)
                && may_go_on(invalid)
            {
                self.carry = invalid.to_vec();
            } else {
                self.take(char::REPLACEMENT_CHARACTER, out);
            }
        }
    }

    /// What puts the watching terminal back in order at the end: colours off, cursor on, main screen, ASCII.
    #[must_use]
    pub fn reset(&self) -> &'static str {
        match self.style {
            Style::Screen => "\x1b[0m\x1b[?25h\x1b[?7h\x1b[?1049l\x1b[r\x1b(B\r\n",
            Style::Plain => "\n",
            Style::Emulator => "",
        }
    }

    fn take(&mut self, c: char, out: &mut String) {
        match self.state {
            State::Ground => self.ground(c, out),
            State::Escape => self.escape(c, out),
            State::EscapeIntermediate => self.escape_intermediate(c, out),
            State::ControlSequence => self.control_sequence(c, out),
            State::Swallow => match c {
                '\u{1b}' => self.begin_escape(),
                '\u{40}'..='\u{7e}' | '\u{18}' | '\u{1a}' => self.state = State::Ground,
                _ => {}
            },
            State::TerminalString => match c {
                '\u{1b}' => self.state = State::TerminalStringEscape,
                '\u{07}' | '\u{18}' | '\u{1a}' | '\u{9c}' => self.state = State::Ground,
                _ => {}
            },
            State::TerminalStringEscape => {
                self.begin_escape();
                if c != '\\' {
                    self.take(c, out);
                } else {
                    self.state = State::Ground;
                }
            }
        }
    }

    fn begin_escape(&mut self) {
        self.state = State::Escape;
        self.sequence.clear();
        self.sequence.push('\u{1b}');
    }

    fn ground(&mut self, c: char, out: &mut String) {
        let plain = self.style == Style::Plain;
        let after_return = core::mem::take(&mut self.after_return);
        match c {
            '\u{1b}' => self.begin_escape(),
            '\u{9b}' => {
                self.begin_escape();
                self.take('[', out);
            }
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => {
                self.state = State::TerminalString
            }
            '\n' if plain && after_return => {}
            '\r' if plain => {
                out.push('\n');
                self.after_return = true;
            }
            '\n' | '\t' => out.push(c),
            '\r' | '\u{08}' if !plain => out.push(c),
            '\u{0e}' | '\u{0f}' if self.style == Style::Emulator => out.push(c),
            c if c.is_control() => {}
            // Characters that reorder what is read are shown as replaced.
            '\u{061c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                out.push(char::REPLACEMENT_CHARACTER);
            }
            c => out.push(c),
        }
    }

    fn escape(&mut self, c: char, out: &mut String) {
        self.sequence.push(c);
        match c {
            '\u{1b}' => self.begin_escape(),
            '[' => self.state = State::ControlSequence,
            ']' | 'P' | 'X' | '^' | '_' => self.state = State::TerminalString,
            ' '..='/' => self.state = State::EscapeIntermediate,
            '7' | '8' | 'D' | 'E' | 'M' => self.pass(out),
            'H' | 'c' | '=' | '>' if self.style == Style::Emulator => self.pass(out),
            '\u{18}' | '\u{1a}' | '\u{30}'..='\u{7e}' => self.state = State::Ground,
            // A control inside a sequence would be carried out at once by a terminal; here it ends the sequence.
            c => {
                self.state = State::Ground;
                self.ground(c, out);
            }
        }
    }

    fn escape_intermediate(&mut self, c: char, out: &mut String) {
        self.sequence.push(c);
        match c {
            '\u{1b}' => self.begin_escape(),
            _ if matches!(self.sequence.as_str(), "\x1b(B" | "\x1b(0") => self.pass(out),
            _ if self.style == Style::Emulator && is_for_emulators(&self.sequence) => {
                self.pass(out)
            }
            ' '..='/' => self.state = State::Swallow,
            _ => self.state = State::Ground,
        }
    }

    fn control_sequence(&mut self, c: char, out: &mut String) {
        self.sequence.push(c);
        match c {
            '\u{1b}' => self.begin_escape(),
            '0'..='9' | ';' | ':' | '?' if self.sequence.len() < MAX_SEQUENCE_BYTES => {}
            '\u{40}'..='\u{7e}' if is_harmless(&self.sequence) => self.pass(out),
            '\u{40}'..='\u{7e}'
                if self.style == Style::Emulator && is_for_emulators(&self.sequence) =>
            {
                self.pass(out)
            }
            '\u{40}'..='\u{7e}' | '\u{18}' | '\u{1a}' => self.state = State::Ground,
            _ => self.state = State::Swallow,
        }
    }

    fn pass(&mut self, out: &mut String) {
        self.state = State::Ground;
        if self.style != Style::Plain {
            out.push_str(&self.sequence);
        }
    }
}

/// Whether bytes that are no UTF-8 by themselves may be the beginning of a character.
fn may_go_on(bytes: &[u8]) -> bool {
    core::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// Whether a whole `ESC [ … final` sequence is one that passes.
fn is_harmless(sequence: &str) -> bool {
    let Some(body) = sequence.strip_prefix("\x1b[") else {
        return false;
    };
    let Some(last) = body.chars().next_back() else {
        return false;
    };
    let parameters = body.strip_suffix(last).unwrap_or_default();
    match last {
        'm' => !parameters.contains('?'),
        'A'..='H' | 'J'..='M' | 'P' | 'S' | 'T' | 'X' | '@' | 'd' | 'f' | 'r' | 's' | 'u' => {
            parameters.split(';').all(|number| {
                number.len() <= MAX_DIGITS && number.bytes().all(|b| b.is_ascii_digit())
            })
        }
        'h' | 'l' => matches!(parameters, "?7" | "?25" | "?47" | "?1047" | "?1049"),
        _ => false,
    }
}

/// Whether a whole sequence changes nothing but an emulator's screen, and at a bounded cost.
fn is_for_emulators(sequence: &str) -> bool {
    if matches!(sequence, "\x1b)B" | "\x1b)0" | "\x1b#8") {
        return true;
    }
    let Some((last, parameters)) = sequence
        .strip_prefix("\x1b[")
        .and_then(|body| Some((body.chars().next_back()?, body.get(..body.len() - 1)?)))
    else {
        return false;
    };
    let limit = match last {
        'b' => MAX_REPEAT_DIGITS,
        'h' | 'l' | 'I' | 'Z' | 'a' | 'e' | 'g' | '`' => MAX_DIGITS,
        _ => return false,
    };
    parameters
        .trim_start_matches('?')
        .split(';')
        .all(|number| number.len() <= limit && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(style: Style, input: &[u8]) -> String {
        let mut whole = String::new();
        Sanitizer::new(style).push(input, &mut whole);
        let mut split = String::new();
        let mut sanitizer = Sanitizer::new(style);
        input
            .iter()
            .for_each(|byte| sanitizer.push(&[*byte], &mut split));
        assert_eq!(whole, split, "any split gives the same");
        whole
    }

    #[test]
    fn text_colour_and_movement_pass() {
        for passing in [
            "hello\r\n\tworld\u{8}",
            "\x1b[1;31mred\x1b[0m \x1b[38;2;255;128;0mdirect\x1b[m \x1b[4:3mcurly",
            "\x1b[2J\x1b[H\x1b[10;20H\x1b[5A\x1b[K\x1b[1;24r\x1b[3L",
            "\x1b[?25l\x1b[?1049h\x1b[?7l",
            "\x1b7\x1b8\x1bM\x1b(0lqk\x1b(B",
            "zażółć 日本語 🎉",
        ] {
            assert_eq!(filter(Style::Screen, passing.as_bytes()), passing);
        }
    }

    #[test]
    fn what_reaches_beyond_the_screen_is_swallowed() {
        for (attack, left) in [
            ("a\x1b]52;c;cm0gLXJmIC8=\x07b", "ab"),
            ("a\x1b]52;c;cm0gLXJmIC8=\x1b\\b", "ab"),
            ("a\x1b]0;title\x07b", "ab"),
            ("a\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\b", "alinkb"),
            ("a\x1bP$qm\x1b\\b", "ab"),
            ("a\x1bP+q544e\x1b\\b", "ab"),
            ("a\x1b_Gf=100;payload\x1b\\b", "ab"),
            ("a\x1b^pm\x1b\\b\x1bXsos\x1b\\c", "abc"),
            ("a\x1b[6nb\x1b[cb\x1b[>cb\x1b[0x", "abbb"),
            ("a\x1b[>qb\x1b[?1$pb\x1b[18tb\x1b[21t", "abbb"),
            ("a\x1bZb\x1bcb", "abb"),
            ("a\x1b[?1000hb\x1b[?1006hb\x1b[?2004hb\x1b[?1004h", "abbb"),
            (
                "a\x1b[8;9999;9999tb\x1b[99999999;1Hb\x1b[2147483647bb",
                "abbb",
            ),
            ("a\x1b#8b\x1b[!pb\x1b[4hb\x1b[\"qb", "abbbb"),
            ("a\u{9d}52;c;x\u{9c}b\u{90}q\u{9c}c", "abc"),
            ("a\u{9b}6nb\u{85}c", "abc"),
            ("a\x07b\x0e\x0f\x05c\x00\x7fd", "abcd"),
            ("a\x1b[1\x1b]0;x\x07mb", "amb"),
            ("a\x1b]0;x\x1b[31mb", "a\x1b[31mb"),
            ("user\u{202e}txt.exe", "user\u{fffd}txt.exe"),
        ] {
            assert_eq!(filter(Style::Screen, attack.as_bytes()), left, "{attack:?}");
        }
    }

    #[test]
    fn an_emulator_gets_its_modes_and_character_sets_and_nothing_that_is_large_or_a_string() {
        for passing in [
            "\x1b)0\x0elqk\x0f\x1b#8",
            "\x1b[4h\x1b[?6h\x1b[?1;7l\x1b[12b\x1b[3I\x1b[Z\x1b[5`\x1b[3g\x1bH\x1bc",
        ] {
            assert_eq!(filter(Style::Emulator, passing.as_bytes()), passing);
        }
        for (attack, left) in [
            ("a\x1b[1000bb", "ab"),
            ("a\x1b[?99999hb", "ab"),
            ("a\x1b[8;9999;9999tb", "ab"),
            ("a\x1b]52;c;x\x07\x1bPq\x1b\\b\x1b[6n", "ab"),
        ] {
            assert_eq!(
                filter(Style::Emulator, attack.as_bytes()),
                left,
                "{attack:?}"
            );
        }
        assert_eq!(Sanitizer::new(Style::Emulator).reset(), "");
    }

    #[test]
    fn a_string_that_never_ends_shows_nothing_and_costs_nothing() {
        let mut sanitizer = Sanitizer::new(Style::Screen);
        let mut out = String::new();
        sanitizer.push(b"\x1b]52;c;", &mut out);
        for _ in 0..1_000 {
            sanitizer.push(&[b'A'; 1_000], &mut out);
        }
        assert_eq!(out, "");
        assert!(sanitizer.sequence.capacity() < 100 && sanitizer.carry.capacity() < 100);
        let mut sanitizer = Sanitizer::new(Style::Screen);
        sanitizer.push(b"\x1b[", &mut out);
        sanitizer.push(&[b'1'; 100_000], &mut out);
        assert_eq!(out, "");
        assert!(sanitizer.sequence.capacity() < 200);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(filter(Style::Screen, b"a\xffb\xc3("), "a\u{fffd}b\u{fffd}(");
        assert_eq!(
            filter(Style::Screen, b"\x9b6n"),
            "\u{fffd}6n",
            "a raw C1 byte is not UTF-8"
        );
        assert_eq!(filter(Style::Screen, "é".as_bytes()), "é");
    }

    #[test]
    fn plain_output_has_no_control_but_line_ends_and_tabs() {
        let input = "\x1b[1mbold\x1b[0m\r\nnext\rover\x08\tt\x1b]0;x\x07\n";
        assert_eq!(
            filter(Style::Plain, input.as_bytes()),
            "bold\nnext\nover\tt\n"
        );
    }

    #[test]
    fn whatever_comes_in_only_listed_sequences_come_out() {
        // A small generator is enough: bytes drawn from what sequences are made of.
        let alphabet = b"\x1b\x1b[[]P\\\x07;?0149mHnctqhl$>x\x9b\xc2\x9d";
        let mut state = 1u64;
        for _ in 0..20_000 {
            let input: Vec<u8> = (0..24)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    alphabet[(state >> 33) as usize % alphabet.len()]
                })
                .collect();
            let out = filter(Style::Screen, &input);
            for (at, _) in out.match_indices('\x1b') {
                let rest = &out[at..];
                let end = rest[2..]
                    .find(|c: char| ('\u{40}'..='\u{7e}').contains(&c))
                    .map_or(2, |end| end + 3);
                let passing = rest.starts_with("\x1bM")
                    || rest.starts_with("\x1b(0")
                    || is_harmless(&rest[..end.min(rest.len())]);
                assert!(passing, "{input:?} gives {out:?}");
            }
            assert!(
                !out.chars()
                    .any(|c| c.is_control() && !matches!(c, '\x1b' | '\n' | '\r' | '\t' | '\u{8}'))
            );
        }
    }
}
