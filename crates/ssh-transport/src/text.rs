//! Text from a peer, made fit to be shown or logged.

use alloc::string::String;

/// The text without control and direction characters but line breaks and tabs, at most `max_bytes` long. What is not UTF-8
/// becomes replacement characters.
#[must_use]
pub fn clean(bytes: &[u8], max_bytes: usize) -> String {
    // A lossy character takes three bytes at most, so that no more than this is looked at.
    let bytes = bytes.get(..max_bytes.min(bytes.len())).unwrap_or_default();
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        let shown = chunk.valid().chars().filter(|c| is_harmless(*c));
        let lost = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        for c in shown.chain(lost) {
            if out.len() + c.len_utf8() > max_bytes {
                return out;
            }
            out.push(c);
        }
    }
    out
}

/// Whether [`clean`] would leave all of a name, which is one line, as it is.
pub(crate) fn is_clean_name(name: &str) -> bool {
    name.chars().all(is_printable)
}

/// Whether a character may stand in a line that is shown: [harmless](is_harmless), and no line break or tab.
#[must_use]
pub fn is_printable(c: char) -> bool {
    is_harmless(c) && !c.is_control()
}

/// Whether a character may be shown: letters, line breaks and tabs. Escape sequences, and characters that reorder what is read, are how
/// a peer would forge a terminal's or a log's lines.
#[must_use]
pub fn is_harmless(c: char) -> bool {
    matches!(c, '\n' | '\t')
        || !(c.is_control()
            || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_carriage_returns_and_direction_marks_are_dropped() {
        assert_eq!(clean(b"a\x1b]0;x\x07b\r\nc\xc2\x9bd", 100), "a]0;xb\ncd");
        assert_eq!(
            clean("x\u{202e}y\u{2066}z\u{061c}\tü".as_bytes(), 100),
            "xyz\tü"
        );
    }

    #[test]
    fn a_name_is_one_line_of_harmless_characters() {
        assert!(is_clean_name("jürgen.o'neill+x@example.com"));
        for name in ["a\nb", "a\tb", "a\u{1b}b", "a\u{202e}b", "a\u{61c}b"] {
            assert!(!is_clean_name(name), "{name:?}");
        }
    }

    #[test]
    fn what_is_not_utf8_becomes_replacement_characters_within_the_bound() {
        assert_eq!(clean(b"\xff\xfe\xc3ok", 100), "\u{fffd}\u{fffd}\u{fffd}ok");
        for max in 0..40 {
            assert!(clean(&[0xff; 64], max).len() <= max);
            assert!(clean("ü".repeat(30).as_bytes(), max).len() <= max);
        }
    }
}
