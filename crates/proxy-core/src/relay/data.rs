//! What flows on open channels, and how they end (RFC 4254 sections 5.2 and 5.3).

use alloc::format;
use core::time::Duration;

use session_log::Record;

use super::agent;
use super::channel::{Channel, Program};
use super::inner::{Next, look_into, pass_on};
use super::refusal::{flush_refusals, write_refusal};
use super::tally::Tally;
use super::wire::{self, own};
use super::{EOF_HOLD, Outlet, Relay, RelayError};
use crate::{ChannelEvent, Leg, PerLeg};

/// Which of a channel's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Plain,
    Error,
}

impl Relay {
    pub(super) fn data(
        &mut self,
        from: Leg,
        recipient: u32,
        stream: Stream,
        data: &[u8],
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.addressed(from, recipient)?;
        let number = channel.number;
        let len = data.len() as u64;
        if is_after_cut(channel, len) {
            return Ok(());
        }
        if let Some(why) = unwanted(channel, from) {
            write_refusal(number, from, "data", why, out);
            return Ok(());
        }
        if let Some(inside) = &mut channel.inside {
            inside.windows.received(from, data.len())?;
        }
        let next = look_into(channel, from, data, out);
        if let Some(why) = hidden_ssh(channel, &next, from, data) {
            if let Some(carried) = &mut channel.carried {
                carried.bytes_after_cut = len;
            }
            cut(channel, from, ("SSH in a forwarded connection", why), out);
            return Ok(());
        }
        channel.bytes_from[from] = channel.bytes_from[from].saturating_add(len);
        self.bytes_from[from] = self.bytes_from[from].saturating_add(len);
        if let Next::Taken = next {
            return Ok(());
        }
        match (&mut channel.carried, stream, from) {
            (Some(carried), ..) => carried.tally.record(number, from, data, out),
            (None, Stream::Error, _) => out.record(number, &Record::Stderr(data)),
            (None, Stream::Plain, Leg::Client) => out.record(number, &Record::Input(data)),
            (None, Stream::Plain, Leg::Target) => out.record(number, &Record::Output(data)),
        }
        if channel.agent_mut().is_some() {
            return self.agent_data((number, from), data, out);
        }
        out.pass();
        Ok(())
    }

    pub(super) fn extended_data(
        &mut self,
        from: Leg,
        recipient: u32,
        code: u32,
        data: &[u8],
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.addressed(from, recipient)?;
        if is_after_cut(channel, data.len() as u64) {
            return Ok(());
        }
        if from == Leg::Client || code != own::STDERR || channel.carried.is_some() {
            let number = channel.number;
            let why = "only a target's stderr is known";
            write_refusal(number, from, "extended data", why, out);
            return Ok(());
        }
        self.data(from, recipient, Stream::Error, data, out)
    }

    pub(super) fn eof(
        &mut self,
        from: Leg,
        recipient: u32,
        now: Duration,
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.addressed(from, recipient)?;
        if channel.carried.as_ref().is_some_and(|it| it.is_cut) {
            // The other side was told so when the connection was cut.
            return Ok(());
        }
        if core::mem::replace(&mut channel.eof_from[from], true) || channel.closed_by[from] {
            write_refusal(
                channel.number,
                from,
                "EOF",
                "this direction has ended already",
                out,
            );
            return Ok(());
        }
        out.record(channel.number, &Record::Eof { from: from.side() });
        if channel.has_session() {
            if let Some(sessions) = out.inner_sessions() {
                sessions.ended(channel.number, from);
            }
            return Ok(());
        }
        pass_on(channel, out);
        if from == Leg::Target
            && channel.carried.is_none()
            && channel.exit.is_none()
            && !channel.closed_by[Leg::Client]
        {
            channel.held_eof_until = Some(now.saturating_add(EOF_HOLD));
        } else if !agent::ended(channel, from, out) {
            out.pass();
        }
        Ok(())
    }

    pub(super) fn close(
        &mut self,
        from: Leg,
        recipient: u32,
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.addressed(from, recipient)?;
        let number = channel.number;
        if channel.closed_by[from] {
            return Err(RelayError::UnknownChannel { id: recipient });
        }
        // What waits goes first: nothing may follow.
        if from == Leg::Target {
            channel.words_until = None;
        }
        flush_refusals(channel, from.other(), out);
        let lent_agent = channel.agent_is_lent;
        channel.closed_by[from] = true;
        out.record(number, &Record::Close { from: from.side() });
        if channel.has_session() {
            if let Some(sessions) = out.inner_sessions() {
                sessions.closed(number, from);
            }
            self.forget_if_closed(number, out);
            return Ok(());
        }
        pass_on(channel, out);
        if from == Leg::Target {
            release_eof(channel, out);
        }
        agent::close_now(channel, from, out);
        let waits = agent::close_waits(channel, from);
        if channel.closed_by[from.other()] {
            record_end(channel, out);
        }
        if !waits {
            out.pass();
        }
        if channel.closed_by[from.other()]
            && let Some(channel) = self.channels.remove(number)
        {
            tell_close(channel, out);
        }
        self.share(number, out);
        if lent_agent {
            self.take_agent_back(out);
        }
        Ok(())
    }
}

/// The operator's last word on a channel.
pub(super) fn tell_close(channel: Channel, out: &mut impl Outlet) {
    out.event(ChannelEvent::Close {
        channel: channel.number,
        bytes_from_client: channel.bytes_from.client,
        bytes_from_target: channel.bytes_from.target,
        exit: channel.exit,
    });
}

/// The log's last word on a forwarded connection.
pub(super) fn record_end(channel: &mut Channel, out: &mut impl Outlet) {
    let Some(carried) = channel.carried.take() else {
        return;
    };
    if carried.bytes_after_cut > 0 {
        let text = format!(
            "{} bytes came when it was cut and after",
            carried.bytes_after_cut
        );
        out.record(channel.number, &Record::Annotation { text: &text });
    }
    if let Some(agent) = carried.agent {
        agent.end(channel.number, out);
    }
    let tally = if channel.has_session() {
        // What it carried stands in that session's log.
        Tally::default()
    } else {
        carried.tally
    };
    tally.end(channel.number, channel.bytes_from, out);
}

/// Whether it comes on a connection that was cut. That was told; the rest is counted, and stands in the log when it closes.
fn is_after_cut(channel: &mut Channel, bytes: u64) -> bool {
    let cut = channel.carried.as_mut().filter(|it| it.is_cut);
    cut.is_some_and(|it| {
        it.bytes_after_cut = it.bytes_after_cut.saturating_add(bytes);
        true
    })
}

/// Why a forwarded connection is cut, if what `from` sends is SSH of which no session can be made.
fn hidden_ssh(channel: &mut Channel, next: &Next, from: Leg, data: &[u8]) -> Option<&'static str> {
    let carried = channel.carried.as_mut()?;
    match next {
        Next::Taken => None,
        Next::Cut(why) => Some(why),
        Next::Pass => (carried.agent.is_none() && carried.begins_as_ssh(from, data))
            .then_some("a session inside the session would pass unseen"),
    }
}

/// Why data from this side goes nowhere.
fn unwanted(channel: &Channel, from: Leg) -> Option<&'static str> {
    if channel.eof_from[from] || channel.closed_by[from] {
        Some("it comes after the end of this direction")
    } else if from == Leg::Client && channel.program == Program::Refused {
        Some("it is for a program that was refused")
    } else {
        None
    }
}

/// Ends a forwarded connection for both sides. They close the channel themselves, so that its numbers stay theirs until both did.
pub(super) fn cut(
    channel: &mut Channel,
    from: Leg,
    (what, why): (&str, &'static str),
    out: &mut impl Outlet,
) {
    // An end that waits behind what is said goes no other way any more.
    let mut end_is_due = PerLeg::<bool>::default();
    if let Some(carried) = &mut channel.carried {
        carried.is_cut = true;
        if let Some(agent) = carried.agent.take() {
            end_is_due = agent.end_is_due;
            agent.end(channel.number, out);
        }
    }
    write_refusal(channel.number, from, what, why, out);
    for leg in [Leg::Client, Leg::Target] {
        let was_told =
            core::mem::replace(&mut channel.eof_from[leg.other()], true) && !end_is_due[leg];
        let has_ended = was_told || channel.closed_by[leg.other()];
        if !has_ended && let Some(id) = channel.ids[leg] {
            out.send(leg, own::to_channel(wire::CHANNEL_EOF, id));
        }
    }
}

/// Lets the client have an EOF that waited.
pub(super) fn release_eof(channel: &mut Channel, out: &mut impl Outlet) {
    if channel.held_eof_until.take().is_some()
        && let Some(id) = channel.ids[Leg::Client]
    {
        out.send(Leg::Client, own::to_channel(wire::CHANNEL_EOF, id));
    }
}
