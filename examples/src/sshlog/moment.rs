//! Moments of a log as people name them, and the calendar that goes with its clock.

use jiff::{SignedDuration, Timestamp};
use session_log::{Event, Record};

/// A moment of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// So long after its beginning, microseconds.
    After(u64),
    /// By the calendar, microseconds since 1970.
    Calendar(u64),
}

impl Moment {
    /// `1h2m3s`, `90`, `00:01:30`, or an instant as in RFC 3339.
    pub(super) fn parse(text: &str) -> Result<Moment, String> {
        let help = || {
            "expected a time since the beginning such as 1h2m3s, 90s or 1:30:00, or an instant such as 2026-01-31T12:00:00Z".to_owned()
        };
        if let Ok(instant) = text.parse::<Timestamp>() {
            return u64::try_from(instant.as_microsecond())
                .map(Moment::Calendar)
                .map_err(|_| help());
        }
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let text = format!("{text}{}", if is_number { "s" } else { "" });
        let span: SignedDuration = text.parse().map_err(|_| help())?;
        u64::try_from(span.as_micros())
            .map(Moment::After)
            .map_err(|_| help())
    }

    /// The moment on the log's clock, microseconds since its beginning.
    pub(super) fn on_clock(self, calendar: Calendar) -> u64 {
        match self {
            Moment::After(us) => us,
            Moment::Calendar(us) => us.saturating_sub(calendar.began_us),
        }
    }
}

/// A stamp as it stands in a log, to the millisecond.
pub(super) fn since_1970(unix_ms: u64) -> String {
    format!("{}.{:03} s since 1970", unix_ms / 1_000, unix_ms % 1_000)
}

/// When, by the calendar, the log's clock stood at 0: as far as it is known from what was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calendar {
    began_us: u64,
}

impl Calendar {
    pub(super) fn see(&mut self, event: &Event<'_>) {
        match event {
            Event::Segment(segment) if segment.number == 0 => {
                self.began_us = segment.created_unix_ms.saturating_mul(1_000);
            }
            Event::Record(view) => {
                if let Record::ClockAnchor { unix_ms } = view.record {
                    self.began_us = unix_ms.saturating_mul(1_000).saturating_sub(view.t_us);
                }
            }
            _ => {}
        }
    }

    /// A time of the log's clock as RFC 3339 writes it, to the millisecond below.
    pub(super) fn format(self, t_us: u64) -> String {
        let millis = self.began_us.saturating_add(t_us) / 1_000;
        let instant = i64::try_from(millis)
            .ok()
            .and_then(|millis| Timestamp::from_millisecond(millis).ok());
        match instant {
            Some(instant) => format!("{instant:.3}"),
            // After the year 9999 only the log's own clock is left.
            None => format!("{}.{:06}s", t_us / 1_000_000, t_us % 1_000_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        for (text, us) in [
            ("1h2m3s", 3_723_000_000),
            ("90", 90_000_000),
            ("1.5", 1_500_000),
            ("1.5s", 1_500_000),
            ("250ms", 250_000),
            ("00:01:30", 90_000_000),
            ("0", 0),
        ] {
            assert_eq!(Moment::parse(text), Ok(Moment::After(us)), "{text}");
        }
        assert_eq!(
            Moment::parse("2027-01-15T08:00:00.25Z"),
            Ok(Moment::Calendar(1_800_000_000_250_000))
        );
        assert_eq!(
            Moment::parse("2027-01-15T09:00:00+01:00"),
            Ok(Moment::Calendar(1_800_000_000_000_000))
        );
        for wrong in [
            "",
            "-1s",
            "soon",
            "1y",
            "1969-01-01T00:00:00Z",
            "2027-13-01T00:00:00Z",
        ] {
            assert!(Moment::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        let calendar = Calendar {
            began_us: 1_800_000_000_000_000,
        };
        let text = calendar.format(1_234_567);
        assert_eq!(text, "2027-01-15T08:00:01.234Z");
        let moment = Moment::parse(&text).unwrap();
        assert_eq!(moment.on_clock(calendar), 1_234_000);
        assert_eq!(Calendar { began_us: u64::MAX }.format(5), "0.000005s");
    }
}
