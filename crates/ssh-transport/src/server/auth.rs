//! The server's part of user authentication (RFC 4252): requests are read, signatures verified, decisions asked for.
//!
//! ```text
//!   AwaitService --> AwaitRequest --> AwaitDecision --> Accepted
//!                      ^     ^           |   |   ^
//!                      |     +-----------+   |   | responses
//!                      |  reject, partially  v   |
//!                      +-------------- AwaitResponses
//!                        another request
//! ```

mod interactive;
mod publickey;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Server;
use crate::auth::{HOSTBOUND_METHOD, PUBLICKEY_METHOD};
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{AuthAttempt, AuthId, AuthMethod, ServerEvent};
use crate::limits::{MAX_BANNER_BYTES, MAX_NAME_BYTES, MAX_USER_NAME_BYTES};
use crate::message::{self, CONNECTION_SERVICE, USERAUTH_SERVICE, number};
use crate::text;
use crate::wire::{Malformed, Put as _, Reader};

#[derive(Default)]
pub(super) struct State {
    phase: Phase,
    attempts: u32,
    /// The user name and service of the first request, to which a connection is held.
    subject: Option<(Vec<u8>, Vec<u8>)>,
    /// What was accepted partially, in order.
    succeeded: Vec<AuthMethod>,
    /// The methods that the caller named last, for refusals without asking.
    remaining: Option<Vec<String>>,
    /// Banners from before the client asked for authentication.
    early_banners: Vec<Vec<u8>>,
}

#[derive(Default)]
enum Phase {
    #[default]
    AwaitService,
    AwaitRequest,
    AwaitDecision {
        token: u64,
        attempt: Attempt,
    },
    /// The person was asked as many questions as `prompts`.
    AwaitResponses {
        attempt: Attempt,
        prompts: usize,
    },
    Accepted,
}

impl State {
    pub(super) fn is_asking(&self) -> bool {
        matches!(self.phase, Phase::AwaitDecision { .. })
    }
}

/// A request that only the caller can decide.
struct Attempt {
    user: String,
    method: AuthMethod,
    /// The answer to a mere query.
    query: Option<Vec<u8>>,
}

/// What a request comes to.
enum Request {
    Ask(Attempt),
    Refuse,
}

impl Server {
    pub(super) fn handle_auth(&mut self, payload: &[u8], sequence: u32) -> Result<(), Error> {
        let mut reader = Reader::new(payload);
        let number = reader.u8()?;
        match (&self.auth.phase, number) {
            // Some clients ask for the service again before each attempt.
            (
                Phase::AwaitService | Phase::AwaitRequest | Phase::AwaitResponses { .. },
                number::SERVICE_REQUEST,
            ) => self.handle_service_request(reader),
            // RFC 4252 section 5.1: a request aborts a method that waits for more.
            (Phase::AwaitRequest | Phase::AwaitResponses { .. }, number::USERAUTH_REQUEST) => {
                self.handle_request(payload, reader)
            }
            // RFC 4252 section 5.1: requests after success are ignored.
            (Phase::Accepted, number::USERAUTH_REQUEST) => Ok(()),
            (Phase::Accepted, number::USERAUTH_REQUEST..=number::USERAUTH_LAST) => {
                self.core.send_unimplemented(sequence)
            }
            (_, number::USERAUTH_INFO_RESPONSE) => self.handle_responses(reader),
            _ => Err(PeerMisbehaved::UnexpectedMessage { number }.into()),
        }
    }

    fn handle_service_request(&mut self, mut reader: Reader<'_>) -> Result<(), Error> {
        let service = reader.string()?;
        reader.finish()?;
        if service != USERAUTH_SERVICE.as_bytes() {
            return Err(PeerMisbehaved::UnknownService.into());
        }
        self.auth.phase = Phase::AwaitRequest;
        self.core
            .send(&message::service(number::SERVICE_ACCEPT, USERAUTH_SERVICE))?;
        for banner in core::mem::take(&mut self.auth.early_banners) {
            self.core.send(&banner)?;
        }
        Ok(())
    }

    fn handle_request(&mut self, payload: &[u8], mut reader: Reader<'_>) -> Result<(), Error> {
        self.count_attempt()?;
        let (user, service) = (reader.string()?, reader.string()?);
        match &self.auth.subject {
            // What was decided for one name must never count for another.
            Some((first_user, first_service)) if first_user != user || first_service != service => {
                return Err(PeerMisbehaved::UserNameChanged.into());
            }
            Some(_) => {}
            None if user.len() <= MAX_USER_NAME_BYTES && service.len() <= MAX_NAME_BYTES => {
                self.auth.subject = Some((user.to_vec(), service.to_vec()));
            }
            None => return self.refuse(),
        }
        match self.read_request(payload, user, service, reader)? {
            Request::Refuse => self.refuse(),
            Request::Ask(attempt) => {
                let token = self.core.next_token();
                let event = AuthAttempt {
                    id: AuthId(token),
                    user: attempt.user.clone(),
                    service: CONNECTION_SERVICE.to_string(),
                    method: attempt.method.clone(),
                    succeeded_before: self.auth.succeeded.clone(),
                };
                self.auth.phase = Phase::AwaitDecision { token, attempt };
                self.core.push(ServerEvent::AuthAttempt(event));
                Ok(())
            }
        }
    }

    fn count_attempt(&mut self) -> Result<(), Error> {
        self.auth.attempts += 1;
        if self.auth.attempts > self.config.limits.max_auth_attempts {
            return Err(PeerMisbehaved::TooManyAuthAttempts.into());
        }
        Ok(())
    }

    fn read_request(
        &self,
        payload: &[u8],
        user: &[u8],
        service: &[u8],
        mut reader: Reader<'_>,
    ) -> Result<Request, Malformed> {
        let name = reader.name()?;
        let Ok(user) = core::str::from_utf8(user) else {
            return Ok(Request::Refuse);
        };
        let is_clean = text::is_clean_name(user);
        if service != CONNECTION_SERVICE.as_bytes() || !is_clean || name.len() > MAX_NAME_BYTES {
            return Ok(Request::Refuse);
        }
        let user = user.to_string();
        let ask = |method, query| {
            Ok(Request::Ask(Attempt {
                user,
                method,
                query,
            }))
        };
        match name {
            "none" => {
                reader.finish()?;
                ask(AuthMethod::None, None)
            }
            PUBLICKEY_METHOD | HOSTBOUND_METHOD => {
                match self.read_publickey(name, payload, reader)? {
                    Some((method, query)) => ask(method, query),
                    None => Ok(Request::Refuse),
                }
            }
            "keyboard-interactive" => ask(interactive::read_request(reader)?, None),
            // What such a method carries stays unread.
            name => ask(
                AuthMethod::Other {
                    name: name.to_string(),
                },
                None,
            ),
        }
    }

    /// Refuses without asking.
    fn refuse(&mut self) -> Result<(), Error> {
        self.auth.phase = Phase::AwaitRequest;
        let methods = self
            .auth
            .remaining
            .as_ref()
            .unwrap_or(&self.config.auth_methods);
        let message = failure(methods, Success::None);
        self.core.send(&message)
    }

    pub(super) fn accept_attempt(&mut self, id: &AuthId) -> Result<(), Error> {
        let attempt = self.take_acceptable(id)?;
        if let Some(answer) = attempt.query {
            return self.core.send(&answer);
        }
        self.auth.phase = Phase::Accepted;
        self.core.send(&[number::USERAUTH_SUCCESS])?;
        self.core.set_authenticated();
        self.core.push(ServerEvent::Authenticated);
        Ok(())
    }

    pub(super) fn accept_part(
        &mut self,
        id: &AuthId,
        remaining_methods: &[&str],
    ) -> Result<(), Error> {
        let attempt = self.take_acceptable(id)?;
        if let Some(answer) = attempt.query {
            return self.core.send(&answer);
        }
        self.auth.succeeded.push(attempt.method);
        self.send_failure(remaining_methods, Success::Partial)
    }

    pub(super) fn reject_attempt(
        &mut self,
        id: &AuthId,
        remaining_methods: &[&str],
    ) -> Result<(), Error> {
        self.take_attempt(id)?;
        self.send_failure(remaining_methods, Success::None)
    }

    fn send_failure(&mut self, remaining_methods: &[&str], success: Success) -> Result<(), Error> {
        let methods: Vec<String> = remaining_methods.iter().map(ToString::to_string).collect();
        let message = failure(&methods, success);
        self.auth.remaining = Some(methods);
        self.core.send(&message)
    }

    /// As [`Self::take_attempt`], but an attempt of which nothing was looked at stays open.
    fn take_acceptable(&mut self, id: &AuthId) -> Result<Attempt, Error> {
        if let Phase::AwaitDecision { token, attempt } = &self.auth.phase
            && *token == id.0
            && matches!(attempt.method, AuthMethod::Other { .. })
        {
            return Err(ApiMisuse::NothingToAccept.into());
        }
        self.take_attempt(id)
    }

    /// The open attempt, if `id` is its token. The next request may come.
    fn take_attempt(&mut self, id: &AuthId) -> Result<Attempt, Error> {
        if self.core.is_closed() {
            return Err(Error::Disconnected);
        }
        match core::mem::take(&mut self.auth.phase) {
            Phase::AwaitDecision { token, attempt } if token == id.0 => {
                self.auth.phase = Phase::AwaitRequest;
                Ok(attempt)
            }
            other => {
                self.auth.phase = other;
                Err(ApiMisuse::NoSuchQuestion.into())
            }
        }
    }

    pub(super) fn send_banner(&mut self, text: &str) -> Result<(), Error> {
        let mut message = Vec::new();
        message.put_byte(number::USERAUTH_BANNER);
        message.put_string(wire_text(text, MAX_BANNER_BYTES).as_bytes());
        message.put_string(b"");
        match self.auth.phase {
            _ if self.core.is_closed() => Ok(()),
            Phase::Accepted => Ok(()),
            Phase::AwaitService => {
                self.auth.early_banners.push(message);
                Ok(())
            }
            Phase::AwaitRequest | Phase::AwaitDecision { .. } | Phase::AwaitResponses { .. } => {
                self.core.send(&message)
            }
        }
    }
}

/// Text for a person: clean, and with lines that end with CR LF (RFC 4252 section 5.4, RFC 4256 section 3.2).
fn wire_text(text: &str, max_bytes: usize) -> String {
    text::clean(text.as_bytes(), max_bytes).replace('\n', "\r\n")
}

/// What a USERAUTH_FAILURE says of the attempt (RFC 4252 section 5.1).
#[derive(Clone, Copy)]
enum Success {
    None,
    Partial,
}

fn failure(remaining_methods: &[String], success: Success) -> Vec<u8> {
    let mut message = Vec::new();
    message.put_byte(number::USERAUTH_FAILURE);
    message.put_string(remaining_methods.join(",").as_bytes());
    message.put_byte(u8::from(matches!(success, Success::Partial)));
    message
}
