//! Lines and packets in: what may come when, and what both roles handle alike.

use alloc::string::ToString as _;
use core::ops::Range;
use core::time::Duration;

use super::{Core, Phase, Role};
use crate::error::{Error, PeerMisbehaved};
use crate::event::Common;
use crate::identification::Line;
use crate::limits::{MAX_EXT_INFO_BYTES, MAX_EXT_INFOS, MAX_PING_BYTES};
use crate::message::{self, number};
use crate::packet::Opened;
use crate::wire::Reader;

/// What was at the front of the input.
pub(crate) enum Step {
    /// Nothing left to do for the role. 0: more bytes are needed.
    Done(usize),
    /// Both sides have agreed on algorithms: a client sends its ephemeral key now.
    Agreed(usize),
    /// A message for the role: of the key exchange, of authentication, or of the connection layer.
    Message {
        number: u8,
        sequence: u32,
        consumed: usize,
        payload: Range<usize>,
    },
}

impl<E: From<Common>> Core<E> {
    /// Takes the identification line from the front of `input`.
    pub(crate) fn handle_line(&mut self, input: &[u8]) -> Result<usize, Error> {
        match self.lines.read(self.role, input)? {
            Line::Incomplete => Ok(0),
            Line::Before(consumed) => Ok(consumed),
            Line::Identification(consumed, identification) => {
                self.peer_line = Some(identification.as_str().to_string());
                self.push(Common::PeerIdentified(identification).into());
                Ok(consumed)
            }
        }
    }

    /// Takes one packet from the front of `input`.
    pub(crate) fn handle_packet(&mut self, input: &mut [u8], now: Duration) -> Result<Step, Error> {
        let Some(Opened {
            consumed,
            payload: range,
            sequence,
        }) = self.opener.open(input)?
        else {
            return Ok(Step::Done(0));
        };
        let payload = input.get(range.clone()).unwrap_or_default();
        let Some((&number, body)) = payload.split_first() else {
            return Ok(Step::Done(consumed));
        };
        self.check_place(number)?;
        if !self.authenticated {
            self.packets_before_auth += 1;
            if self.packets_before_auth > self.limits.max_packets_before_auth {
                return Err(PeerMisbehaved::TooManyPacketsBeforeAuth.into());
            }
        }
        match number {
            number::DISCONNECT => {
                let (reason, text) = message::parse_disconnect(body)?;
                self.push(Common::Disconnected { reason, text }.into());
                self.close();
            }
            // The peer may say these at any time, and nothing follows from them.
            number::IGNORE | number::UNIMPLEMENTED => {}
            number::DEBUG => {
                if let Some((always_display, text)) = message::parse_debug(body) {
                    self.push(
                        Common::Debug {
                            always_display,
                            text,
                        }
                        .into(),
                    );
                }
            }
            number::EXT_INFO => self.handle_ext_info(body)?,
            number::KEXINIT => {
                self.handle_kexinit(payload, sequence, now)?;
                return Ok(Step::Agreed(consumed));
            }
            number::NEWKEYS => {
                Reader::new(body).finish()?;
                self.handle_newkeys(now)?;
            }
            number::PING => self.handle_ping(body)?,
            number::PONG => self.handle_pong(body)?,
            number::KEX_FIRST..=number::KEX_LAST if self.drops_guess() => {}
            number::SERVICE_REQUEST
            | number::SERVICE_ACCEPT
            | number::KEX_FIRST..=number::KEX_LAST
            | number::USERAUTH_REQUEST..=number::CONNECTION_LAST => {
                return Ok(Step::Message {
                    number,
                    sequence,
                    consumed,
                    payload: range,
                });
            }
            _ => self.send_unimplemented(sequence)?,
        }
        if !self.closed {
            self.rekey_when_due()?;
        }
        Ok(Step::Done(consumed))
    }

    pub(crate) fn send_unimplemented(&mut self, sequence: u32) -> Result<(), Error> {
        self.send_reply(&message::unimplemented(sequence))
    }

    /// What may come now (RFC 4253 section 7.1, OpenSSH `PROTOCOL` 1.10 for strict key exchange).
    fn check_place(&self, number: u8) -> Result<(), Error> {
        let unexpected = Err(PeerMisbehaved::UnexpectedMessage { number }.into());
        let is_exchange = matches!(
            number,
            number::NEWKEYS | number::KEX_FIRST..=number::KEX_LAST
        );
        let is_first = self.opener.is_clear();
        // Since the peer's KEXINIT and until its NEWKEYS.
        let is_peer_exchanging = matches!(
            self.phase,
            Phase::Exchanging { .. } | Phase::AwaitNewKeys { .. }
        );
        if is_peer_exchanging {
            if is_first && self.is_strict && !is_exchange && number != number::DISCONNECT {
                return Err(PeerMisbehaved::StrictKeyExchangeViolated { number }.into());
            }
            let is_generic = matches!(number, 1..=19 | 22..=29)
                && !matches!(
                    number,
                    number::SERVICE_REQUEST | number::SERVICE_ACCEPT | number::EXT_INFO
                );
            // Against the RFC, PuTTY 0.78 may still send what was under way after its KEXINIT. OpenSSH takes it, too: it
            // is authentic, and comes before the NEWKEYS that it has to come before.
            let is_late = self.authenticated
                && (number::CONNECTION_FIRST..=number::CONNECTION_LAST).contains(&number);
            let may_come = is_exchange || is_generic || is_late;
            return if may_come { Ok(()) } else { unexpected };
        }
        let may_come = match number {
            0 | number::NEWKEYS | number::KEX_FIRST..=number::KEX_LAST => false,
            number::SERVICE_REQUEST | number::SERVICE_ACCEPT | number::EXT_INFO => !is_first,
            number::USERAUTH_REQUEST..=number::USERAUTH_LAST => !is_first,
            number::CONNECTION_FIRST..=number::CONNECTION_LAST => self.authenticated,
            number::PING | number::PONG => !is_first,
            _ => true,
        };
        if may_come { Ok(()) } else { unexpected }
    }

    /// Whether this key exchange packet is the one that the peer sent on a wrong guess.
    fn drops_guess(&mut self) -> bool {
        match &mut self.phase {
            Phase::Exchanging { drop_guess, .. } => core::mem::take(drop_guess),
            _ => false,
        }
    }

    fn handle_ext_info(&mut self, body: &[u8]) -> Result<(), Error> {
        self.ext_infos += 1;
        if body.len() > MAX_EXT_INFO_BYTES || self.ext_infos > MAX_EXT_INFOS {
            return Err(PeerMisbehaved::UnexpectedMessage {
                number: number::EXT_INFO,
            }
            .into());
        }
        let info = message::parse_ext_info(body)?;
        self.peer_answers_ping |= info.answers_ping;
        self.peer_takes_bound_keys |= info.takes_bound_keys;
        if self.role == Role::Client
            && let Some(algorithms) = info.server_sig_algs
        {
            self.server_sig_algs = Some(algorithms.to_string());
        }
        Ok(())
    }

    /// OpenSSH `PROTOCOL` 1.9.
    fn handle_ping(&mut self, body: &[u8]) -> Result<(), Error> {
        let pong = message::echo(number::PONG, message::parse_echo(body)?);
        self.send_reply(&pong)
    }

    /// One that nobody asked for is ignored.
    fn handle_pong(&mut self, body: &[u8]) -> Result<(), Error> {
        let data = message::parse_echo(body)?;
        if let Some(open) = self.open_pings.checked_sub(1)
            && data.len() <= MAX_PING_BYTES
        {
            self.open_pings = open;
            self.push(Common::Pong(data.to_vec()).into());
        }
        Ok(())
    }
}
