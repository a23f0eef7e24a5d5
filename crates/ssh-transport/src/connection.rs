//! What both roles share: lines and packets in, packets out, the course of key exchanges, timers.
//!
//! ```text
//!                     our KEXINIT sent             both KEXINITs known
//!   Settled ---------------------------> AwaitKexInit -----------> Exchanging
//!      ^                                                                |
//!      |   peer's NEWKEYS                                               | our NEWKEYS sent,
//!      +--------------------------- AwaitNewKeys <----------------------+ new key seals from here
//! ```
//!
//! From our KEXINIT to our NEWKEYS nothing but key exchange messages and DISCONNECT leaves (RFC 4253 section 7.1): the
//! rest is held, in order. What stands between Exchanging and our NEWKEYS differs by role and is in `server/exchange.rs`
//! and `client/exchange.rs`.

mod exchange;
mod input;
mod outbox;
mod output;
mod pace;
#[cfg(test)]
mod testing;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::algorithms::Algorithms;
use crate::config::{ClientConfig, ServerConfig};
use crate::crypto::{OpenKey, Primitives, Provider};
use crate::error::{Error, PeerMisbehaved, Timer};
use crate::event::Common;
use crate::identification::{self, LineReader};
use crate::limits::{Limits, RekeyPolicy};
use crate::message::{self, DisconnectReason};
use crate::negotiation::{Agreed, Offer};
use crate::packet::{Opener, Sealer};

pub(crate) use exchange::Transcript;
pub(crate) use input::Step;
#[cfg(test)]
pub(crate) use pace::Pace;

/// Which side this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

/// Both KEXINIT payloads, for the exchange hash.
pub(crate) struct Inits {
    pub(crate) ours: Vec<u8>,
    pub(crate) theirs: Vec<u8>,
}

pub(crate) enum Phase {
    /// No exchange is under way (or, at the very start, none yet).
    Settled,
    AwaitKexInit {
        ours: Vec<u8>,
    },
    Exchanging {
        inits: Inits,
        agreed: Agreed,
        drop_guess: bool,
    },
    AwaitNewKeys {
        open: OpenKey,
        agreed: Agreed,
    },
}

pub(crate) struct Core<E> {
    role: Role,
    limits: Limits,
    rekey: RekeyPolicy,
    offer: Offer,
    primitives: Box<dyn Primitives>,

    own_line: String,
    peer_line: Option<String>,
    lines: LineReader,

    sealer: Sealer,
    opener: Opener,
    out: outbox::Outbox,
    held: output::Held,
    /// Bytes of answers that the peer made us queue since the output was last taken.
    waiting_reply_bytes: usize,

    phase: Phase,
    session_id: Option<Vec<u8>>,
    is_strict: bool,
    peer_wants_ext_info: bool,
    peer_answers_ping: bool,
    peer_takes_bound_keys: bool,
    open_pings: usize,
    rekey_wanted: bool,
    rekey_held_back: bool,
    exchanges: u64,
    pace: pace::Pace,

    authenticated: bool,
    packets_before_auth: u32,
    ext_infos: usize,
    server_sig_algs: Option<String>,

    events: VecDeque<E>,
    login_deadline: Option<Duration>,
    rekey_grace: Duration,
    /// For the peer to finish the key exchange whose beginning came from it.
    exchange_deadline: Option<Duration>,
    rekey_deadline: Option<Duration>,
    closed: bool,
    last_token: u64,
}

struct Setup<'a> {
    role: Role,
    identification: &'a str,
    algorithms: &'a Algorithms,
    provider: Provider,
    limits: &'a Limits,
    rekey: &'a RekeyPolicy,
    login_grace: Duration,
    rekey_grace: Duration,
}

impl<E: From<Common>> Core<E> {
    pub(crate) fn server(config: &ServerConfig, seed: [u8; 32], now: Duration) -> Self {
        let setup = Setup {
            role: Role::Server,
            identification: &config.identification,
            algorithms: &config.algorithms,
            provider: config.provider,
            limits: &config.limits,
            rekey: &config.rekey,
            login_grace: config.login_grace,
            rekey_grace: config.rekey_grace,
        };
        Self::new(&setup, seed, now)
    }

    pub(crate) fn client(config: &ClientConfig, seed: [u8; 32], now: Duration) -> Self {
        let setup = Setup {
            role: Role::Client,
            identification: &config.identification,
            algorithms: &config.algorithms,
            provider: config.provider,
            limits: &config.limits,
            rekey: &config.rekey,
            login_grace: config.login_grace,
            rekey_grace: config.rekey_grace,
        };
        Self::new(&setup, seed, now)
    }

    fn new(setup: &Setup<'_>, seed: [u8; 32], now: Duration) -> Self {
        let own_line = identification::own_line(setup.identification);
        let mut out = outbox::Outbox::default();
        out.end().extend_from_slice(own_line.as_bytes());
        out.end().extend_from_slice(b"\r\n");
        Self {
            role: setup.role,
            limits: setup.limits.clone(),
            rekey: setup.rekey.clone(),
            offer: Offer::new(setup.algorithms, setup.provider),
            primitives: setup.provider.primitives(seed),
            own_line,
            peer_line: None,
            lines: LineReader::default(),
            sealer: Sealer::default(),
            opener: Opener::default(),
            out,
            held: output::Held::default(),
            waiting_reply_bytes: 0,
            phase: Phase::Settled,
            session_id: None,
            is_strict: false,
            peer_wants_ext_info: false,
            peer_answers_ping: false,
            peer_takes_bound_keys: false,
            open_pings: 0,
            rekey_wanted: false,
            rekey_held_back: false,
            exchanges: 0,
            pace: pace::Pace::new(setup.limits.peer_exchanges, now),
            authenticated: false,
            packets_before_auth: 0,
            ext_infos: 0,
            server_sig_algs: None,
            events: VecDeque::new(),
            login_deadline: Some(now.saturating_add(setup.login_grace)),
            rekey_grace: setup.rekey_grace,
            exchange_deadline: None,
            rekey_deadline: None,
            closed: false,
            last_token: 0,
        }
    }

    pub(crate) fn offer_mut(&mut self) -> &mut Offer {
        &mut self.offer
    }

    pub(crate) fn primitives(&mut self) -> &mut dyn Primitives {
        &mut *self.primitives
    }

    pub(crate) fn push(&mut self, event: E) {
        self.events.push_back(event);
    }

    pub(crate) fn poll_event(&mut self) -> Option<E> {
        self.events.pop_front()
    }

    pub(crate) fn next_token(&mut self) -> u64 {
        self.last_token += 1;
        self.last_token
    }

    pub(crate) fn session_id(&self) -> Option<&[u8]> {
        self.session_id.as_deref()
    }

    pub(crate) fn is_peer_identified(&self) -> bool {
        self.peer_line.is_some()
    }

    pub(crate) fn server_sig_algs(&self) -> Option<&str> {
        self.server_sig_algs.as_deref()
    }

    pub(crate) fn peer_takes_bound_keys(&self) -> bool {
        self.peer_takes_bound_keys
    }

    pub(crate) fn set_authenticated(&mut self) {
        self.authenticated = true;
        self.login_deadline = None;
    }

    pub(crate) fn extend_login_grace(&mut self, by: Duration) {
        self.login_deadline = self.login_deadline.map(|at| at.saturating_add(by));
    }

    pub(crate) fn wait_on_for_exchange(&mut self, now: Duration) {
        if let Some(at) = self.exchange_deadline.as_mut().filter(|at| **at <= now) {
            *at = now.saturating_add(self.rekey_grace);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        if self.closed {
            return None;
        }
        let rekey = self.rekey_deadline.filter(|_| !self.rekey_held_back);
        [self.login_deadline, self.exchange_deadline, rekey]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) -> Result<(), Error> {
        if self.closed {
            return Ok(());
        }
        if self.login_deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Error::TimedOut(Timer::LoginGrace));
        }
        if self.exchange_deadline.is_some_and(|at| at <= now) {
            return Err(Error::TimedOut(Timer::KeyExchange));
        }
        if self.rekey_deadline.is_some_and(|deadline| deadline <= now) && !self.rekey_held_back {
            self.start_rekey()?;
        }
        Ok(())
    }

    /// Whether a key exchange is under way that this side or the peer began.
    pub(crate) fn is_exchanging(&self) -> bool {
        !matches!(self.phase, Phase::Settled)
    }

    /// Whether the peer's next packets are those of a key exchange, its KEXINIT having come.
    pub(crate) fn is_peer_exchanging(&self) -> bool {
        matches!(
            self.phase,
            Phase::Exchanging { .. } | Phase::AwaitNewKeys { .. }
        )
    }

    pub(crate) fn hold_back_rekey(&mut self, held_back: bool) -> Result<(), Error> {
        self.rekey_held_back = held_back;
        self.rekey_when_due()
    }

    /// Ends the connection for `error` and hands it back, unless it only says that a call was wrong.
    pub(crate) fn fail(&mut self, error: Error) -> Error {
        if matches!(error, Error::ApiMisuse(_) | Error::Disconnected) {
            return error;
        }
        // To whoever does not speak SSH, nothing is said.
        if error != Error::PeerMisbehaved(PeerMisbehaved::BadIdentification) {
            self.disconnect(reason_of(&error), &alloc::format!("{error}"));
        }
        self.close();
        error
    }

    /// Says goodbye. DISCONNECT may be sent in every phase; what is held for the end of a key exchange is dropped.
    pub(crate) fn disconnect(&mut self, reason: DisconnectReason, text: &str) {
        if self.closed {
            return;
        }
        let message = message::disconnect(reason, text);
        // Sealing fails only when keys are long used up: then nothing may be sent any more.
        let _ = self.seal(&message);
        self.close();
    }

    fn close(&mut self) {
        self.closed = true;
        self.held.clear();
        self.phase = Phase::Settled;
    }
}

fn reason_of(error: &Error) -> DisconnectReason {
    use PeerMisbehaved as P;
    match error {
        Error::PeerMisbehaved(P::PacketNotAuthentic) => DisconnectReason::MacError,
        Error::PeerMisbehaved(
            P::BadEphemeralKey | P::BadGroup | P::BadHostKey | P::BadHostKeySignature,
        )
        | Error::PeerIncompatible { .. } => DisconnectReason::KeyExchangeFailed,
        Error::PeerMisbehaved(P::UnknownService) => DisconnectReason::ServiceNotAvailable,
        Error::PeerMisbehaved(P::TooManyAuthAttempts) => DisconnectReason::NoMoreAuthMethods,
        Error::TimedOut(_) | Error::ProviderFailed | Error::Disconnected | Error::ApiMisuse(_) => {
            DisconnectReason::ByApplication
        }
        Error::PeerMisbehaved(_) => DisconnectReason::ProtocolError,
    }
}
