//! Packets out: sealed at once, or held while keys are exchanged.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Core, Phase};
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::Common;
use crate::limits::{MAX_OPEN_PINGS, MAX_PAYLOAD_BYTES, MAX_PING_BYTES, MAX_WAITING_REPLY_BYTES};
use crate::message::{self, number};
use crate::packet::Volume;
use crate::wire::{Put as _, Reader};

/// Payloads that wait for the end of a key exchange, one after the other as `string`s.
#[derive(Default)]
pub(super) struct Held(Vec<u8>);

impl Held {
    fn push(&mut self, payload: &[u8]) {
        self.0.put_string(payload);
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }
}

impl<E: From<Common>> Core<E> {
    /// Seals a packet of the connection layer, or holds it.
    pub(crate) fn send_packet(&mut self, payload: &[u8]) -> Result<(), Error> {
        if self.closed {
            return Err(Error::Disconnected);
        }
        if !self.authenticated {
            return Err(ApiMisuse::NotAuthenticated.into());
        }
        if !payload
            .first()
            .is_some_and(|n| (number::CONNECTION_FIRST..=number::CONNECTION_LAST).contains(n))
        {
            return Err(ApiMisuse::NotConnectionPacket.into());
        }
        self.send_any(payload)
    }

    /// As [`Self::send_packet`], whatever it is and whenever.
    pub(crate) fn send_any(&mut self, payload: &[u8]) -> Result<(), Error> {
        if self.closed {
            return Err(Error::Disconnected);
        }
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(ApiMisuse::PayloadTooLong { got: payload.len() }.into());
        }
        self.send(payload)
    }

    /// Asks the peer for a sign of life (OpenSSH `PROTOCOL` 1.9).
    pub(crate) fn ping(&mut self, data: &[u8]) -> Result<(), Error> {
        if self.closed {
            return Err(Error::Disconnected);
        }
        if !self.peer_answers_ping {
            return Err(ApiMisuse::PingNotAnswered.into());
        }
        if data.len() > MAX_PING_BYTES {
            return Err(ApiMisuse::PingTooLong { got: data.len() }.into());
        }
        if self.open_pings >= MAX_OPEN_PINGS {
            return Err(ApiMisuse::TooManyPings.into());
        }
        self.open_pings += 1;
        self.send(&message::echo(number::PING, data))
    }

    /// Seals a packet that may not leave between our KEXINIT and our NEWKEYS, or holds it.
    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<(), Error> {
        if self.is_exchanging_outwards() {
            self.held.push(payload);
            return Ok(());
        }
        self.seal(payload)?;
        self.rekey_when_due()
    }

    /// Seals a packet now, whatever the phase.
    pub(crate) fn seal(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.sealer
            .seal(payload, &mut *self.primitives, self.out.end())
    }

    /// Queues an answer that the peer can ask for at will.
    pub(crate) fn send_reply(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.waiting_reply_bytes += payload.len() + 32;
        if self.waiting_reply_bytes > MAX_WAITING_REPLY_BYTES {
            return Err(PeerMisbehaved::ReplyFlood.into());
        }
        self.send(payload)
    }

    /// Whether our KEXINIT was sent and our NEWKEYS was not.
    pub(super) fn is_exchanging_outwards(&self) -> bool {
        matches!(
            self.phase,
            Phase::AwaitKexInit { .. } | Phase::Exchanging { .. }
        )
    }

    /// Seals what was held, in order.
    pub(crate) fn release_held(&mut self) -> Result<(), Error> {
        let held = core::mem::take(&mut self.held.0);
        let mut reader = Reader::new(&held);
        while !reader.is_empty() {
            self.seal(reader.string()?)?;
        }
        self.rekey_when_due()
    }

    /// Starts a key exchange when the policy says so. In an exchange the old keys' volume tells nothing; its end asks again.
    pub(crate) fn rekey_when_due(&mut self) -> Result<(), Error> {
        if self.rekey_held_back || !matches!(self.phase, Phase::Settled) {
            return Ok(());
        }
        let is_due = |volume: Volume| {
            volume.bytes >= self.rekey.max_bytes || volume.packets >= self.rekey.max_packets
        };
        if self.authenticated && (is_due(self.sealer.volume()) || is_due(self.opener.volume())) {
            self.start_rekey()?;
        }
        Ok(())
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.out.len() + self.held.len()
    }

    pub(crate) fn poll_output(&mut self) -> Option<Bytes> {
        if self.held.len() == 0 {
            self.waiting_reply_bytes = 0;
        }
        self.out.take()
    }
}
