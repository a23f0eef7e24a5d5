//! The server's side.
//!
//! ```text
//!   client's ident --> start() --> key exchange --> SERVICE_REQUEST --> USERAUTH_REQUEST <--------+
//!                                   |        ^                            |    | reject,          |
//!                          SignExchangeHash  | signed           AuthAttempt    | accept_partially |
//!                                   +--------+                  |  ^  | |     +------------------+
//!                                                        prompt |  |  | accept
//!                                                               v  |  v
//!                                                     AuthResponses   connection packets
//! ```

mod auth;
mod exchange;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use zeroize::Zeroize as _;

use crate::config::{HostKey, ServerConfig};
use crate::connection::{Core, Step};
use crate::crypto::verify::VerifyingKey;
use crate::error::{ApiMisuse, Error};
use crate::event::{AuthId, Challenge, Progress, ServerEvent, SignId};
use crate::message::{DisconnectReason, number};

/// The server's side of one connection.
///
/// After every call that takes `now`, drain [`Server::poll_event`] and [`Server::poll_output`], and ask
/// [`Server::poll_timeout`] again. Calls in excess do nothing.
pub struct Server {
    pub(crate) core: Core<ServerEvent>,
    config: Arc<ServerConfig>,
    pub(crate) host_keys: Vec<HostKey>,
    /// The host key of the first exchange, which names the connection as its session identifier does.
    first_host_key: Option<Vec<u8>>,
    exchange: exchange::State,
    auth: auth::State,
}

impl core::fmt::Debug for Server {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    /// A server that has accepted a connection at `now`. Its identification line is in the output at once.
    ///
    /// All randomness of the connection comes from `seed`, which must be secret and fresh.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>, seed: [u8; 32], now: Duration) -> Self {
        Self {
            core: Core::server(&config, seed, now),
            config,
            host_keys: Vec::new(),
            first_host_key: None,
            exchange: exchange::State::default(),
            auth: auth::State::default(),
        }
    }

    /// Begins the key exchange with these host keys, in order of preference. May come long after the client's
    /// identification; until then input after that line is left alone.
    ///
    /// # Errors
    /// [`ApiMisuse::BadHostKeys`] when there is none or one is not of its algorithm, [`ApiMisuse::AlreadyStarted`],
    /// [`Error::Disconnected`].
    pub fn start(&mut self, host_keys: &[HostKey], _now: Duration) -> Result<(), Error> {
        if self.core.is_closed() {
            return Err(Error::Disconnected);
        }
        if !self.host_keys.is_empty() {
            return Err(ApiMisuse::AlreadyStarted.into());
        }
        if host_keys.is_empty() || !are_readable(host_keys) {
            return Err(ApiMisuse::BadHostKeys.into());
        }
        self.host_keys = host_keys.to_vec();
        self.core
            .offer_mut()
            .set_host_keys(host_keys.iter().map(|key| key.algorithm).collect());
        let started = self.core.start_first_exchange();
        self.settle(started)
    }

    /// Shows other host keys from the next exchange on (RFC 4253 section 9: "host keys can also change"), each of the algorithm that
    /// it takes the place of. Most clients go away when they see one.
    ///
    /// # Errors
    /// [`ApiMisuse::BadHostKeys`] when these are not of the algorithms of [`Self::start`], in its order.
    pub fn change_host_keys(&mut self, host_keys: &[HostKey]) -> Result<(), ApiMisuse> {
        let algorithms = self.host_keys.iter().map(|key| key.algorithm);
        let are_same = algorithms.eq(host_keys.iter().map(|key| key.algorithm));
        if !are_same || !are_readable(host_keys) {
            return Err(ApiMisuse::BadHostKeys);
        }
        self.host_keys = host_keys.to_vec();
        Ok(())
    }

    /// Takes the identification line or at most one packet from the front of `input`, decrypting in place. Call it
    /// again with what follows until it consumes nothing, and with more input later.
    ///
    /// It consumes nothing while a packet is incomplete, before [`Server::start`] (but the identification line), and
    /// while a [`ServerEvent::SignExchangeHash`], [`ServerEvent::AuthAttempt`] or [`ServerEvent::AuthResponses`] is
    /// unanswered. What it read of authentication is overwritten in `input`, since a password may be in it. Once the machine is
    /// closed it consumes and ignores everything.
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
        if self.host_keys.is_empty() || self.exchange.is_asking() || self.auth.is_asking() {
            return done(0);
        }
        let (number, sequence, consumed, range) = match self.core.handle_packet(input, now)? {
            Step::Done(consumed) | Step::Agreed(consumed) => return done(consumed),
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
        let payload = input.get_mut(range).unwrap_or_default();
        match number {
            number::KEX_FIRST..=number::KEX_LAST => self.handle_exchange(payload)?,
            number::SERVICE_REQUEST | number::USERAUTH_REQUEST..=number::USERAUTH_LAST => {
                let handled = self.handle_auth(payload, sequence);
                // Passwords and answers to prompts end here.
                payload.zeroize();
                handled?;
            }
            _ => return Err(crate::error::PeerMisbehaved::UnexpectedMessage { number }.into()),
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

    /// When [`Server::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.core.poll_timeout()
    }

    /// The next event, in order.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.core.poll_event()
    }

    /// Answers [`ServerEvent::SignExchangeHash`] with a signature blob (`string algorithm, string signature`).
    ///
    /// # Errors
    /// [`ApiMisuse::NoSuchQuestion`], [`ApiMisuse::SignatureMismatch`] when the blob is of another algorithm, after
    /// which the question can only time out, [`Error::Disconnected`].
    pub fn signed(
        &mut self,
        id: SignId,
        signature_blob: &[u8],
        _now: Duration,
    ) -> Result<(), Error> {
        let result = self.finish_signing(&id, signature_blob);
        self.settle(result)
    }

    /// Grants an [`ServerEvent::AuthAttempt`]. A mere query ([`crate::KeyProof::Query`]) is told that the key would do
    /// and nothing more; anything else lets the client in.
    ///
    /// # Errors
    /// [`ApiMisuse::NothingToAccept`] for [`crate::AuthMethod::Other`], after which the attempt can only time out,
    /// [`ApiMisuse::NoSuchQuestion`], [`Error::Disconnected`].
    pub fn accept(&mut self, id: AuthId, _now: Duration) -> Result<(), Error> {
        let result = self.accept_attempt(&id);
        self.settle(result)
    }

    /// Takes an [`ServerEvent::AuthAttempt`] as one of several that are needed, and names the methods to go on with. What
    /// was taken stands in [`crate::AuthAttempt::succeeded_before`] of those that follow, and the same key counts only
    /// once. A mere query is answered as by [`Server::accept`].
    ///
    /// # Errors
    /// As [`Server::accept`].
    pub fn accept_partially(
        &mut self,
        id: AuthId,
        remaining_methods: &[&str],
        _now: Duration,
    ) -> Result<(), Error> {
        let result = self.accept_part(&id, remaining_methods);
        self.settle(result)
    }

    /// Asks the person of an [`crate::AuthMethod::KeyboardInteractive`] attempt, at first or once more.
    /// [`ServerEvent::AuthResponses`] comes back, or another [`ServerEvent::AuthAttempt`] if the client gives up on this one.
    ///
    /// # Errors
    /// [`ApiMisuse::TooManyPrompts`], [`ApiMisuse::NotKeyboardInteractive`], after which the attempt can only time out,
    /// [`ApiMisuse::NoSuchQuestion`], [`Error::Disconnected`].
    pub fn prompt(
        &mut self,
        id: AuthId,
        challenge: &Challenge,
        _now: Duration,
    ) -> Result<(), Error> {
        let result = self.send_prompts(&id, challenge);
        self.settle(result)
    }

    /// Refuses an [`ServerEvent::AuthAttempt`] and names the methods that could go on. Does nothing when `id` is not of
    /// the open attempt.
    pub fn reject(&mut self, id: AuthId, remaining_methods: &[&str], _now: Duration) {
        let result = self.reject_attempt(&id, remaining_methods);
        let _ = self.settle(result);
    }

    /// Shows `text` to the person who logs in (RFC 4252 section 5.4), cleaned of control characters. Before the client
    /// asks for authentication it waits; after success it does nothing.
    pub fn banner(&mut self, text: &str) {
        let result = self.send_banner(text);
        let _ = self.settle(result);
    }

    /// Gives the client this much more time to log in, for what it cannot hasten. Does nothing once it is in.
    pub fn extend_login_grace(&mut self, by: Duration) {
        self.core.extend_login_grace(by);
    }

    /// Sends one connection-layer packet (message numbers 80 to 127): sealed straight into the output, or held in order
    /// while a key exchange is under way.
    ///
    /// # Errors
    /// [`ApiMisuse::NotAuthenticated`], [`ApiMisuse::NotConnectionPacket`], [`ApiMisuse::PayloadTooLong`],
    /// [`Error::Disconnected`].
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

    /// Asks the peer to send `data` back, which comes as [`ServerEvent::Pong`]: a sign of life that no channel sees.
    ///
    /// # Errors
    /// [`ApiMisuse::PingNotAnswered`] when the peer did not announce `ping@openssh.com`, [`ApiMisuse::PingTooLong`],
    /// [`ApiMisuse::TooManyPings`], [`Error::Disconnected`].
    pub fn ping(&mut self, data: &[u8], _now: Duration) -> Result<(), Error> {
        let result = self.core.ping(data);
        self.settle(result)
    }

    /// Bytes that were sent and not yet taken by [`Server::poll_output`], held ones included: the figure to limit what
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
    /// still drains. Works at any time, also in clear right after the identification line, and amid a key exchange.
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

fn are_readable(host_keys: &[HostKey]) -> bool {
    host_keys
        .iter()
        .all(|key| VerifyingKey::parse(key.algorithm, &key.public_key).is_ok())
}
