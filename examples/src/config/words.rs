//! The words of a configuration: durations, quotations, slips of the pen.

use std::time::Duration;

/// A text of the file inside a message, harmless and short.
pub(super) fn quoted(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let short: String = text.chars().take(MAX_CHARS).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("`{}{dots}`", short.escape_debug())
}

/// A duration such as `90s`, from 1 ms to 24 h.
pub(super) fn duration(text: &str) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let duration = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(3600)?),
        _ => return None,
    };
    (Duration::from_millis(1)..=LONGEST)
        .contains(&duration)
        .then_some(duration)
}

/// The known name that `name` is probably a slip of: as many letters at the start and the end alike
/// as leave no more than two of it out.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let distance = |candidate: &str| {
        let start = alike(name.chars(), candidate.chars());
        let end = alike(name.chars().rev(), candidate.chars().rev());
        let longer = name.chars().count().max(candidate.chars().count());
        longer.saturating_sub(start + end)
    };
    known
        .iter()
        .map(|candidate| (distance(candidate), *candidate))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, candidate)| candidate)
}

fn alike(one: impl Iterator<Item = char>, other: impl Iterator<Item = char>) -> usize {
    one.zip(other).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_bounds() {
        for (text, expected) in [
            ("500ms", Some(500)),
            ("90s", Some(90_000)),
            ("2m", Some(120_000)),
            ("24h", Some(86_400_000)),
            ("25h", None),
            ("0s", None),
            ("90", None),
            ("s", None),
            ("-1s", None),
            ("1 s", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
        ] {
            assert_eq!(
                duration(text),
                expected.map(Duration::from_millis),
                "{text}"
            );
        }
    }

    #[test]
    fn slips_are_recognised() {
        let known = ["log", "listen", "account", "key_file"];
        assert_eq!(nearest("lgo", &known), Some("log"));
        assert_eq!(nearest("lsiten", &known), Some("listen"));
        assert_eq!(nearest("key-file", &known), Some("key_file"));
        assert_eq!(nearest("acount", &known), Some("account"));
        assert_eq!(nearest("something", &known), None);
    }
}
