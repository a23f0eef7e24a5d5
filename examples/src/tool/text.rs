//! Texts from elsewhere, made fit for a terminal.

use ssh_transport::is_harmless;
pub use ssh_transport::is_printable;

/// A text as one line that a terminal only shows: a replacement character stands for each that it would act on.
#[must_use]
pub fn printable(text: &str) -> String {
    let shown = |c| if is_printable(c) { c } else { '\u{fffd}' };
    text.chars().map(shown).collect()
}

/// The same JSON, with escapes for the characters that a terminal would act on: of those JSON itself leaves DEL, the C1 controls and
/// the marks of direction as they are. Line breaks and tabs, which JSON has between its words only, stay.
#[must_use]
pub fn escape_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_harmless(c) {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clears a screen, in both ways; ends a line; turns text around, in both ways.
    const HOSTILE: &str = "a\u{1b}[2J\u{9b}2J\u{7f}\r\n\u{202e}b\u{2066}c\u{feff}é界";

    #[test]
    fn a_line_loses_what_a_terminal_would_act_on_and_nothing_else() {
        let line = printable(HOSTILE);
        assert_eq!(line.chars().count(), HOSTILE.chars().count());
        assert!(line.chars().all(is_printable), "{line:?}");
        assert!(line.starts_with("a\u{fffd}[2J") && line.ends_with("é界"));
    }

    #[test]
    fn json_says_the_same_in_characters_that_a_terminal_only_shows() {
        let json = serde_json::json!({ "text": HOSTILE }).to_string();
        let escaped = escape_json(&json);
        assert!(escaped.chars().all(is_printable), "{escaped:?}");
        let (before, after): (serde_json::Value, serde_json::Value) = (
            serde_json::from_str(&json).unwrap(),
            serde_json::from_str(&escaped).unwrap(),
        );
        assert_eq!(before, after);
        assert!(escaped.contains("é界"));
        assert_eq!(escape_json("{\n\t}\n"), "{\n\t}\n");
    }
}
