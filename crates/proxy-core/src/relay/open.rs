//! Channels in the making (RFC 4254 section 5.1): who may open which.

use alloc::format;

use session_log::Record;

use super::refusal::write_refusal;
use super::wire::{Message, own};
use super::{NOTICE_CREDIT_BYTES, Outlet, Relay, RelayError};
use crate::{ChannelEvent, Leg};

impl Relay {
    pub(super) fn open(
        &mut self,
        from: Leg,
        message: Message<'_>,
        payload: &[u8],
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let Message::Open {
            kind,
            sender,
            window,
            max_packet,
            data,
        } = message
        else {
            return Err(RelayError::Malformed);
        };
        if self.channels.is_used(from, sender) {
            return Err(RelayError::ChannelReused { id: sender });
        }
        let max_channels = self.permissions.max_channels;
        let refusal = match (from, kind) {
            (Leg::Client, "session") if self.channels.len() >= max_channels as usize => {
                Some((own::RESOURCE_SHORTAGE, "too many channels are open"))
            }
            (Leg::Client, "session") => None,
            (_, "direct-tcpip" | "direct-streamlocal@openssh.com" | "forwarded-tcpip") => Some((
                own::ADMINISTRATIVELY_PROHIBITED,
                "port forwarding is not granted",
            )),
            (_, "tun@openssh.com") => Some((
                own::ADMINISTRATIVELY_PROHIBITED,
                "tunnel forwarding is never granted",
            )),
            (Leg::Target, "x11" | "auth-agent@openssh.com") => Some((
                own::ADMINISTRATIVELY_PROHIBITED,
                "agent and X11 forwarding are not granted",
            )),
            _ => Some((own::ADMINISTRATIVELY_PROHIBITED, "not a known channel type")),
        };
        if let Some((reason, why)) = refusal {
            let what = format!("channel {kind}");
            write_refusal(0, from, &what, why, out);
            out.send(from, own::open_failure(sender, reason, why));
            return Ok(());
        }
        let notice_credit = if window > 2 * NOTICE_CREDIT_BYTES {
            NOTICE_CREDIT_BYTES
        } else {
            0
        };
        let number = self.channels.open(from, sender, notice_credit)?;
        let record = Record::ChannelOpen {
            from: from.side(),
            kind,
            window,
            max_packet,
            data,
        };
        out.record(number, &record);
        out.send(
            from.other(),
            own::with_window(payload, kind, window - notice_credit),
        );
        Ok(())
    }

    pub(super) fn open_confirmed(
        &mut self,
        from: Leg,
        recipient: u32,
        sender: u32,
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.confirm(from, recipient, sender)?;
        let record = Record::OpenReply {
            from: from.side(),
            ok: true,
            reason: 0,
            text: "",
        };
        out.record(channel.number, &record);
        out.event(ChannelEvent::Open {
            channel: channel.number,
            from: channel.opener,
        });
        out.pass();
        Ok(())
    }

    pub(super) fn open_failed(
        &mut self,
        from: Leg,
        recipient: u32,
        reason: u32,
        text: &str,
        out: &mut impl Outlet,
    ) -> Result<(), RelayError> {
        let channel = self.channels.refuse(from, recipient)?;
        let record = Record::OpenReply {
            from: from.side(),
            ok: false,
            reason,
            text,
        };
        out.record(channel.number, &record);
        out.pass();
        Ok(())
    }
}
