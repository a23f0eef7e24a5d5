//! Saying no: into the log, to the operator, to the peer and to the person.

use session_log::Record;

use super::Outlet;
use super::channel::Channel;
use super::wire::{self, own};
use crate::{ChannelEvent, Leg};

/// Writes down a refusal that has no answer, or whose answer comes in its turn.
pub(super) fn write_refusal(
    channel: u32,
    from: Leg,
    what: &str,
    why: &'static str,
    out: &mut impl Outlet,
) {
    refuse(channel, from, (what, what), why, out);
}

/// As [`write_refusal`], with one word for the log and another for the operator.
pub(super) fn refuse(
    channel: u32,
    from: Leg,
    (in_log, in_event): (&str, &str),
    why: &'static str,
    out: &mut impl Outlet,
) {
    let record = Record::Refused {
        from: from.side(),
        what: in_log,
        why,
    };
    out.record(channel, &record);
    out.event(ChannelEvent::Refused {
        channel,
        from,
        what: in_event.into(),
        why,
    });
}

/// Sends every refusal whose turn has come. None follows the close of the channel.
pub(super) fn flush_refusals(channel: &mut Channel, to: Leg, out: &mut impl Outlet) {
    let waits = to == Leg::Client && channel.words_until.is_some();
    while !waits && channel.replies_to[to].next_refusal() {
        if let Some(id) = channel.ids[to]
            && !channel.is_closed_to(to)
        {
            out.send(to, own::to_channel(wire::CHANNEL_FAILURE, id));
        }
    }
}

/// Tells the person something on the channel's stderr, as far as the kept-back window goes; true if it went that far.
pub(super) fn notify(channel: &mut Channel, text: &str, out: &mut impl Outlet) -> bool {
    let cost = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let unconfirmed = channel.ids[Leg::Target].is_none();
    // An end that waits here is none yet.
    let at_end = channel.eof_from[Leg::Target] && channel.held_eof_until.is_none();
    let ended = unconfirmed || at_end || channel.closed_by[Leg::Target];
    let (Some(left), Some(id), false) = (
        channel.notice_credit.checked_sub(cost),
        channel.ids[Leg::Client],
        ended,
    ) else {
        return false;
    };
    channel.notice_credit = left;
    out.record(channel.number, &Record::WriterNotice { text });
    out.send(Leg::Client, own::stderr(id, text.as_bytes()));
    true
}
