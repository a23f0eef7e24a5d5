//! `time = { zone = "Europe/Lisbon", days = ["mon"], from = "08:00", to = "18:00" }` and `date = { from = "…", until = "…" }`.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use core::time::Duration;

use super::reader::{Listed, Node, Quoted, Reader};
use super::values;
use crate::window::{DAYS, MINUTES_PER_DAY, Span, Window, Zone, parse_moment};

/// One window or several.
pub(super) fn windows(reader: &mut Reader<'_>, node: &Node<'_>) -> Box<[Window]> {
    let items = reader.one_or_more(node);
    values::exactly(items, |item| window(reader, &item)).into()
}

fn window(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Window> {
    let fields = reader.table(node, &["days", "from", "to", "zone"])?;
    let help = "write whose clocks count, as in `zone = \"Europe/Lisbon\"` or `zone = \"UTC\"`";
    let zone = reader.required(&fields, "zone", help);
    let zone = zone.and_then(|node| self::zone(reader, &node, help));
    let days = match fields.get("days") {
        Some(node) => days(reader, &node),
        None => Window::every_day(),
    };
    let mut minute = |name, default| match fields.get(name) {
        Some(node) => minute(reader, &node),
        None => Some(default),
    };
    let (from, to) = (minute("from", 0)?, minute("to", MINUTES_PER_DAY)?);
    if from == to || from == MINUTES_PER_DAY {
        reader.problem(
            node,
            "a window that begins where it ends has no time in it",
            "write `from` and `to`, or neither for the whole day",
        );
        return None;
    }
    let zone = zone?;
    Some(Window {
        zone,
        days,
        from,
        to,
    })
}

fn zone(reader: &mut Reader<'_>, node: &Node<'_>, help: &str) -> Option<Arc<Zone>> {
    let name = reader.string(node)?;
    if let Some(zone) = reader.zone(name) {
        return Some(zone);
    }
    let what = format!("there is no time zone {}", Quoted(name));
    reader.problem(node, what, help);
    None
}

fn days(reader: &mut Reader<'_>, node: &Node<'_>) -> u8 {
    let mut bits = 0;
    for item in reader.one_or_more(node) {
        let Some(text) = reader.string(&item) else {
            continue;
        };
        match DAYS.iter().position(|day| *day == text) {
            Some(bit) => bits |= 1_u8 << bit,
            None => {
                let what = format!("there is no day {}", Quoted(text));
                reader.problem(&item, what, format_args!("write some of {}", Listed(&DAYS)));
            }
        }
    }
    bits
}

/// `08:30` as minutes since midnight, up to `24:00`.
fn minute(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<u16> {
    let text = reader.string(node)?;
    let minutes = parse_minute(text);
    if minutes.is_none() {
        reader.problem(
            node,
            format_args!("{} is no time of the day", Quoted(text)),
            "write hours and minutes, as in `\"08:30\"`, up to `\"24:00\"`",
        );
    }
    minutes
}

fn parse_minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |text: &str| {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| is_plain)
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    let total = hours.checked_mul(60)?.checked_add(minutes)?;
    (minutes < 60 && total <= MINUTES_PER_DAY).then_some(total)
}

/// A span with one end at least.
pub(super) fn span(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Span> {
    let fields = reader.table(node, &["from", "until"])?;
    let mut moment = |name| match fields.get(name) {
        Some(node) => Some(Some(self::moment(reader, &node)?)),
        None => Some(None),
    };
    let (from, until) = (moment("from")?, moment("until")?);
    let is_empty = matches!((from, until), (Some(from), Some(until)) if until <= from);
    if is_empty || (from, until) == (None, None) {
        reader.problem(
            node,
            "a span of time needs a beginning or a later end",
            "write `from`, `until` or both",
        );
        return None;
    }
    Some(Span { from, until })
}

/// A point in time, since the Unix epoch.
pub(super) fn moment(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Duration> {
    let text = reader.string(node)?;
    let moment = parse_moment(text);
    if moment.is_none() {
        reader.problem(
            node,
            format_args!("{} is no point in time", Quoted(text)),
            "write it as RFC 3339 does, as in `\"2027-01-31T08:00:00Z\"`",
        );
    }
    moment
}
