//! Terminal output on its way to an auditor's terminal: however it is cut, the same comes out, and nothing that could do more
//! than paint.

use session_log::{Sanitizer, Style};

/// Final bytes of the control sequences that may pass.
const PAINTING: &str = "mABCDEFGHJKLMPSTX@dfrsuhl";

/// Filters `data` in both styles.
pub fn run(data: &[u8]) {
    for style in [Style::Screen, Style::Plain] {
        let whole = filter(style, data, usize::MAX);
        assert_eq!(
            whole,
            filter(style, data, data.len() % 7 + 1),
            "the cuts change what is shown"
        );
        check(style, &whole);
    }
}

fn filter(style: Style, data: &[u8], piece: usize) -> String {
    let (mut sanitizer, mut out) = (Sanitizer::new(style), String::new());
    data.chunks(piece)
        .for_each(|piece| sanitizer.push(piece, &mut out));
    out
}

fn check(style: Style, shown: &str) {
    let mut rest = shown;
    while let Some(at) = rest.find(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
        assert_eq!(style, Style::Screen, "a control character in plain text");
        rest = &rest[at..];
        rest = match rest.strip_prefix('\x1b') {
            None => rest
                .strip_prefix(['\r', '\u{8}'])
                .expect("another control character"),
            Some(rest) => sequence(rest),
        };
    }
}

/// What follows the sequence behind an ESC.
fn sequence(rest: &str) -> &str {
    if let Some(rest) = rest.strip_prefix(['7', '8', 'D', 'E', 'M']) {
        return rest;
    }
    if let Some(rest) = rest.strip_prefix("(B").or_else(|| rest.strip_prefix("(0")) {
        return rest;
    }
    let body = rest.strip_prefix('[').expect("another escape");
    let end = body
        .find(|c: char| !matches!(c, '0'..='9' | ';' | ':' | '?'))
        .expect("an unfinished sequence");
    let (last, rest) = body[end..].split_at(1);
    assert!(
        PAINTING.contains(last),
        "a sequence that does more than paint: {body:?}"
    );
    rest
}
