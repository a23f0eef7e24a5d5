//! Times and lengths of time as people write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Not a time, or not a length of time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Not a length of time.
    #[error("`{0}` is not a length of time; write it as 90s, 3m, 12h or 7d")]
    Duration(String),
    /// Not a time.
    #[error("`{0}` is not a time; write it as 2026-01-31T12:00:00Z or in unix seconds")]
    Time(String),
}

/// The time since 1970.
#[must_use]
pub fn unix_now() -> Duration {
    // A clock before 1970 is no worse than one at 1970.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// `90`, `90s`, `3m`, `12h`, `7d`, `2w`.
///
/// # Errors
/// [`TimeError::Duration`] for anything else.
pub fn parse_duration(text: &str) -> Result<Duration, TimeError> {
    let wrong = || TimeError::Duration(text.to_owned());
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).ok_or_else(wrong)?;
    let secs: u64 = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let secs = number.checked_mul(secs).ok_or_else(wrong)?;
    Ok(Duration::from_secs(secs))
}

/// `2026-01-31T12:00:00Z`, or unix seconds.
///
/// # Errors
/// [`TimeError::Time`] for anything else.
pub fn parse_time(text: &str) -> Result<Duration, TimeError> {
    if let Ok(secs) = text.parse() {
        return Ok(Duration::from_secs(secs));
    }
    parse_utc(text).ok_or_else(|| TimeError::Time(text.to_owned()))
}

fn parse_utc(text: &str) -> Option<Duration> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, separator| -> Option<[u64; 3]> {
        let parts: Vec<u64> = text
            .split(separator)
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    if !(1970..10_000).contains(&year) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let secs = hour * 3600 + minute * 60 + second;
    let days = days_since_1970(year, month, day)?;
    let time = Duration::from_secs(days * 86_400 + secs);
    // A 31st of February comes back as another day.
    (format_time(time.as_secs()).get(..10)? == date).then_some(time)
}

fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March have the leap day last.
    let (year, month) = match month {
        3.. => (year, month - 3),
        _ => (year - 1, month + 9),
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    days.checked_sub(719_468)
}

/// Unix seconds as `2026-01-31T12:00:00Z`; what is after the year 9999 as `forever`.
#[must_use]
pub fn format_time(secs: u64) -> String {
    const END_OF_9999: u64 = 253_402_300_799;
    if secs > END_OF_9999 {
        return "forever".into();
    }
    let (days, rest) = (secs / 86_400 + 719_468, secs % 86_400);
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        ..=9 => (era * 400 + year_of_era, month + 3),
        _ => (era * 400 + year_of_era + 1, month - 9),
    };
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_the_same() {
        for (text, secs) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2023-11-14T22:13:20Z", 1_700_000_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(parse_time(text).unwrap().as_secs(), secs);
            assert_eq!(format_time(secs), text);
        }
        assert_eq!(parse_time("17").unwrap().as_secs(), 17);
        assert_eq!(format_time(u64::MAX), "forever");
        for wrong in [
            "",
            "now",
            "2026-01-31",
            "2026-02-31T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "-1",
        ] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lengths_of_time_have_a_unit() {
        for (text, secs) in [
            ("90", 90),
            ("90s", 90),
            ("3m", 180),
            ("2h", 7200),
            ("1d", 86_400),
        ] {
            assert_eq!(parse_duration(text).unwrap().as_secs(), secs);
        }
        for wrong in ["", "m", "3 m", "-3m", "3y", "3.5h", "99999999999999999999d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
