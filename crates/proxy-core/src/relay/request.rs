//! Requests on channels and their replies (RFC 4254 section 6), each in its turn.

use alloc::format;
use core::time::Duration;

use session_log::Record;

use super::channel::{Asked, Channel, Pending, Program};
use super::data::release_eof;
use super::decide::{Denied, decide};
use super::describe::{attempt, describe, exit_of, told};
use super::refusal::{flush_refusals, notify, refuse, write_refusal};
use super::wire::ChannelRequest;
use super::{Outlet, Relay, RelayError, WORDS_HOLD};
use crate::Leg;

impl Relay {
    pub(super) fn request(
        &mut self,
        from: Leg,
        recipient: u32,
        (kind, want_reply, data): (&str, bool, &[u8]),
        now: Duration,
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.addressed(from, recipient)?;
        let request = ChannelRequest::parse(kind, data)?;
        if channel.closed_by[from] {
            return Err(RelayError::UnknownChannel { id: recipient });
        }
        let is_for_both = request.is_of_any_channel() && !channel.has_session();
        if channel.carried.is_some() && !is_for_both {
            let why = "not a request of a forwarded connection";
            write_refusal(channel.number, from, kind, why, out);
            if want_reply {
                channel.replies_to[from].push(Pending::Refusal)?;
                flush_refusals(channel, from, out);
            }
            return Ok(());
        }
        let granted = (&*self.permissions, &*self.constraints);
        if let Err(denied) = decide(granted, channel.program, from, &request) {
            let what = attempt(kind, &request);
            refuse(channel.number, from, (&what, kind), denied.why(), out);
            let is_to_start = from == Leg::Client && request.starts_a_program();
            if is_to_start && channel.program == Program::Awaited {
                channel.program = Program::Refused;
            }
            let told = told_why(channel, denied, out);
            if want_reply {
                channel.replies_to[from].push(Pending::Refusal)?;
                if told {
                    channel.words_until = Some(now.saturating_add(WORDS_HOLD));
                    self.global.ask_whether_heard(channel.number, out);
                }
                flush_refusals(channel, from, out);
            }
            return Ok(());
        }
        let number = channel.number;
        out.record(number, &describe(from, kind, want_reply, &request));
        if let Some(event) = told(channel, &request) {
            out.event(event);
        }
        if let Some(exit) = exit_of(&request) {
            channel.exit = Some(exit.clone());
            self.last_exit = Some(exit);
            release_eof(channel, out);
        }
        let asked = Asked::by(&request);
        if asked == Asked::ToStart {
            channel.program = Program::Started;
        }
        if want_reply {
            channel.replies_to[from].push(Pending::FromPeer(asked))?;
        } else {
            // Nobody will say that it was refused.
            channel.lend(asked);
        }
        self.note(number, &request);
        out.pass();
        Ok(())
    }

    pub(super) fn channel_reply(
        &mut self,
        from: Leg,
        recipient: u32,
        ok: bool,
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.addressed(from, recipient)?;
        if from == Leg::Target
            && !channel.closed_by[from]
            && channel.replies_to[Leg::Client].refusal_is_before_peer()
        {
            // Refusals that wait for their words to be read do not hold up an answer that comes behind them.
            channel.words_until = None;
            flush_refusals(channel, Leg::Client, out);
        }
        let why = if channel.closed_by[from] {
            "it comes after the end of the channel"
        } else {
            "nobody asked"
        };
        let asked = channel.replies_to[from.other()].peer_answered();
        let Some(asked) = asked.filter(|_| !channel.closed_by[from]) else {
            write_refusal(channel.number, from, "channel reply", why, out);
            return Ok(());
        };
        if asked == Asked::ToStart && !ok {
            // PuTTY asks for the subsystem `sftp` first, and then for the program by its path.
            channel.program = Program::Awaited;
        }
        if ok {
            channel.lend(asked);
        }
        let record = Record::Reply {
            from: from.side(),
            ok,
        };
        out.record(channel.number, &record);
        out.pass();
        flush_refusals(channel, from.other(), out);
        Ok(())
    }
}

/// Says on the channel's stderr what the policy does not allow; true if there was something to say and room for it.
fn told_why(channel: &mut Channel, denied: Denied, out: &mut impl Outlet) -> bool {
    let Denied::ByPolicy { told: Some(what) } = denied else {
        return false;
    };
    let text = format!("portreeve: this policy does not allow {what}\r\n");
    notify(channel, &text, out)
}
