//! The client's side.
//!
//! ```text
//!   server's ident --> key exchange --> HostKey question --> authenticate() --> connection packets
//!                                        | reject              ^       |
//!                                        v                     +-------+ AuthFailed
//!                                      closed
//! ```

mod auth;
mod exchange;

use alloc::sync::Arc;
use core::time::Duration;

use bytes::Bytes;

use crate::config::ClientConfig;
use crate::connection::{Core, Step};
use crate::error::{Error, PeerMisbehaved};
use crate::event::{ClientEvent, HostKeyId, Progress, SignId};
use crate::message::{DisconnectReason, number};

pub use auth::ClientAuth;

/// The client's side of one connection.
///
/// After every call that takes `now`, drain [`Client::poll_event`] and [`Client::poll_output`], and ask
/// [`Client::poll_timeout`] again. Calls in excess do nothing.
pub struct Client {
    pub(crate) core: Core<ClientEvent>,
    exchange: exchange::State,
    auth: auth::State,
}

impl core::fmt::Debug for Client {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// A client that has connected at `now`. Its identification line and KEXINIT are in the output at once.
    ///
    /// All randomness of the connection comes from `seed`, which must be secret and fresh.
    #[must_use]
    pub fn new(config: Arc<ClientConfig>, seed: [u8; 32], now: Duration) -> Self {
        let mut client = Self {
            core: Core::client(&config, seed, now),
            exchange: exchange::State::default(),
            auth: auth::State::default(),
        };
        let started = client.core.start_first_exchange();
        // Nothing is encrypted yet, so that nothing can fail; if it did, the machine would be closed.
        let _ = client.settle(started);
        client
    }

    /// Takes one line or at most one packet from the front of `input`, decrypting in place. Call it again with what
    /// follows until it consumes nothing, and with more input later.
    ///
    /// It consumes nothing while a packet is incomplete, and while a [`ClientEvent::HostKey`] is unanswered. Once the
    /// machine is closed it consumes and ignores everything.
    ///
    /// # Errors
    /// [`Error::PeerMisbehaved`], [`Error::PeerIncompatible`]: the machine is closed, a DISCONNECT is in the output.
    pub fn handle_input(&mut self, input: &mut [u8], now: Duration) -> Result<Progress, Error> {
        let progress = self.step(input, now);
        self.settle(progress)
    }

    fn step(&mut self, input: &mut [u8], now: Duration) -> Result<Progress, Error> {
        let done = |consumed| {
            Ok(Progress {
                consumed,
                payload: None,
            })
        };
        if self.core.is_closed() {
            return done(input.len());
        }
        if !self.core.is_peer_identified() {
            return done(self.core.handle_line(input)?);
        }
        if self.exchange.is_asking() {
            return done(0);
        }
        let (number, sequence, consumed, range) = match self.core.handle_packet(input, now)? {
            Step::Done(consumed) => return done(consumed),
            Step::Agreed(consumed) => {
                self.send_ephemeral()?;
                return done(consumed);
            }
            Step::Message {
                number,
                sequence,
                consumed,
                payload,
            } => (number, sequence, consumed, payload),
        };
        if (number::CONNECTION_FIRST..=number::CONNECTION_LAST).contains(&number) {
            self.core.rekey_when_due()?;
            return Ok(Progress {
                consumed,
                payload: Some(range),
            });
        }
        let payload = input.get(range).unwrap_or_default();
        match number {
            number::KEX_FIRST..=number::KEX_LAST => self.handle_exchange(payload)?,
            number::SERVICE_ACCEPT | number::USERAUTH_REQUEST..=number::USERAUTH_LAST => {
                self.handle_auth(payload, sequence)?;
            }
            _ => return Err(PeerMisbehaved::UnexpectedMessage { number }.into()),
        }
        done(consumed)
    }

    fn settle<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| self.core.fail(error))
    }

    /// Lets due timers act. Earlier calls do nothing.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when the login grace time is over, or that of a later key exchange: the machine is closed.
    pub fn handle_timeout(&mut self, now: Duration) -> Result<(), Error> {
        let result = self.core.handle_timeout(now);
        self.settle(result)
    }

    /// When [`Client::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.core.poll_timeout()
    }

    /// The next event, in order.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.core.poll_event()
    }

    /// Takes the server's host key for good: the exchange goes on.
    ///
    /// # Errors
    /// [`crate::ApiMisuse::NoSuchQuestion`], [`Error::Disconnected`].
    pub fn accept_host_key(&mut self, id: HostKeyId, _now: Duration) -> Result<(), Error> {
        let result = self.finish_host_key(&id);
        self.settle(result)
    }

    /// Refuses the server's host key: a DISCONNECT is in the output and the machine is closed. Does nothing when `id` is
    /// not of the open question.
    pub fn reject_host_key(&mut self, id: HostKeyId) {
        if self.exchange.is_asked(&id) {
            self.core.disconnect(
                DisconnectReason::HostKeyNotVerifiable,
                "host key not accepted",
            );
        }
    }

    /// Asks to be let in as `user`, after the first [`ClientEvent::KeyExchanged`] and again after each
    /// [`ClientEvent::AuthFailed`]. A public key gives a [`ClientEvent::SignAuth`] at once.
    ///
    /// # Errors
    /// [`crate::ApiMisuse::CannotAuthenticateNow`], [`crate::ApiMisuse::UserNameTooLong`],
    /// [`crate::ApiMisuse::BadUserKey`], [`Error::Disconnected`].
    pub fn authenticate(
        &mut self,
        user: &str,
        method: ClientAuth,
        _now: Duration,
    ) -> Result<(), Error> {
        let result = self.start_attempt(user, method);
        self.settle(result)
    }

    /// Answers [`ClientEvent::SignAuth`] with a signature blob (`string algorithm, string signature`).
    ///
    /// # Errors
    /// [`crate::ApiMisuse::NoSuchQuestion`], [`crate::ApiMisuse::SignatureMismatch`] when the blob is of another
    /// algorithm, [`Error::Disconnected`].
    pub fn signed(
        &mut self,
        id: SignId,
        signature_blob: &[u8],
        _now: Duration,
    ) -> Result<(), Error> {
        let result = self.finish_signing(&id, signature_blob);
        self.settle(result)
    }

    /// The signature algorithms that the server takes (`server-sig-algs` of RFC 8308), once it said so.
    #[must_use]
    pub fn server_sig_algs(&self) -> Option<&str> {
        self.core.server_sig_algs()
    }

    /// Sends one connection-layer packet (message numbers 80 to 127): sealed straight into the output, or held in order
    /// while a key exchange is under way.
    ///
    /// # Errors
    /// [`crate::ApiMisuse::NotAuthenticated`], [`crate::ApiMisuse::NotConnectionPacket`],
    /// [`crate::ApiMisuse::PayloadTooLong`], [`Error::Disconnected`].
    pub fn send_packet(&mut self, payload: &[u8], _now: Duration) -> Result<(), Error> {
        let result = self.core.send_packet(payload);
        self.settle(result)
    }

    /// Sends any payload, which may be what no honest peer says: for tests of what becomes of it. Held as [`Self::send_packet`] holds.
    ///
    /// # Errors
    /// As [`Self::send_packet`], but for what the payload is.
    pub fn dangerous_send_any(&mut self, payload: &[u8], _now: Duration) -> Result<(), Error> {
        let result = self.core.send_any(payload);
        self.settle(result)
    }

    /// Asks the peer to send `data` back, which comes as [`ClientEvent::Pong`]: a sign of life that no channel sees.
    ///
    /// # Errors
    /// [`crate::ApiMisuse::PingNotAnswered`] when the peer did not announce `ping@openssh.com`, [`crate::ApiMisuse::PingTooLong`],
    /// [`crate::ApiMisuse::TooManyPings`], [`Error::Disconnected`].
    pub fn ping(&mut self, data: &[u8], _now: Duration) -> Result<(), Error> {
        let result = self.core.ping(data);
        self.settle(result)
    }

    /// Bytes that were sent and not yet taken by [`Client::poll_output`], held ones included: the figure to limit what
    /// is read elsewhere for this connection.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.core.queued_bytes()
    }

    /// All bytes that are ready to be written to the connection.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.core.poll_output()
    }

    /// Says goodbye with `text`, cleaned and cut to 1 KiB, and closes the machine: further input is ignored, the output
    /// still drains. Works at any time, also amid a key exchange.
    pub fn disconnect(&mut self, reason: DisconnectReason, text: &str) {
        self.core.disconnect(reason, text);
    }

    /// Whether the machine is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    /// Gives the peer its time for a key exchange once more if it is over: it has not taken yet what it needs to go on.
    pub fn wait_on_for_exchange(&mut self, now: Duration) {
        self.core.wait_on_for_exchange(now);
    }

    /// Whether a key exchange is under way: packets sent now wait for its end.
    #[must_use]
    pub fn is_exchanging(&self) -> bool {
        self.core.is_exchanging()
    }

    /// Whether the peer has begun its part of a key exchange: what it sends next is small, and waited for.
    #[must_use]
    pub fn is_peer_exchanging(&self) -> bool {
        self.core.is_peer_exchanging()
    }

    /// While held back, this side does not begin a key exchange by itself; the peer still may. For a relay, whose two
    /// connections must not both wait for their peers behind data that only the other can take.
    ///
    /// # Errors
    /// As [`Self::send_packet`], when an exchange that was due begins.
    pub fn hold_back_rekey(&mut self, held_back: bool) -> Result<(), Error> {
        let result = self.core.hold_back_rekey(held_back);
        self.settle(result)
    }

    /// Exchanges keys again, as soon as no exchange is under way. Does nothing before the first one.
    pub fn start_rekey(&mut self, _now: Duration) {
        let result = self.core.start_rekey();
        let _ = self.settle(result);
    }
}
