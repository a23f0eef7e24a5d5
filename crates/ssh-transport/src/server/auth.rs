//! The server's part of user authentication (RFC 4252): requests are read, signatures verified, decisions asked for.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::Server;
use crate::algorithms::HostKeyAlgorithm;
use crate::auth::signed_data;
use crate::crypto::verify::VerifyingKey;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{AuthAttempt, AuthId, AuthMethod, KeyProof, ServerEvent};
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
    /// Banners from before the client asked for authentication.
    early_banners: Vec<Vec<u8>>,
}

#[derive(Default)]
enum Phase {
    #[default]
    AwaitService,
    AwaitRequest,
    /// An attempt is open. `query` is the answer to a mere query.
    AwaitDecision {
        token: u64,
        query: Option<Vec<u8>>,
    },
    Accepted,
}

impl State {
    pub(super) fn is_asking(&self) -> bool {
        matches!(self.phase, Phase::AwaitDecision { .. })
    }
}

/// What a request comes to.
enum Request {
    Ask {
        user: String,
        method: AuthMethod,
        query: Option<Vec<u8>>,
    },
    Refuse,
}

impl Server {
    pub(super) fn handle_auth(&mut self, payload: &[u8], sequence: u32) -> Result<(), Error> {
        let mut reader = Reader::new(payload);
        let number = reader.u8()?;
        match (&self.auth.phase, number) {
            // Some clients ask for the service again before each attempt.
            (Phase::AwaitService | Phase::AwaitRequest, number::SERVICE_REQUEST) => {
                self.handle_service_request(reader)
            }
            (Phase::AwaitRequest, number::USERAUTH_REQUEST) => self.handle_request(payload, reader),
            // RFC 4252 section 5.1: requests after success are ignored.
            (Phase::Accepted, number::USERAUTH_REQUEST) => Ok(()),
            (Phase::Accepted, number::USERAUTH_REQUEST..=number::USERAUTH_LAST) => {
                self.core.send_unimplemented(sequence)
            }
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
        self.auth.attempts += 1;
        if self.auth.attempts > self.config.limits.max_auth_attempts {
            return Err(PeerMisbehaved::TooManyAuthAttempts.into());
        }
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
            Request::Ask {
                user,
                method,
                query,
            } => {
                let token = self.core.next_token();
                self.auth.phase = Phase::AwaitDecision { token, query };
                let service = CONNECTION_SERVICE.to_string();
                self.core.push(ServerEvent::AuthAttempt(AuthAttempt {
                    id: AuthId(token),
                    user,
                    service,
                    method,
                }));
                Ok(())
            }
        }
    }

    fn read_request(
        &self,
        payload: &[u8],
        user: &[u8],
        service: &[u8],
        mut reader: Reader<'_>,
    ) -> Result<Request, Malformed> {
        let method = reader.name()?;
        let Ok(user) = core::str::from_utf8(user) else {
            return Ok(Request::Refuse);
        };
        let is_plain = !user.chars().any(char::is_control);
        if service != CONNECTION_SERVICE.as_bytes() || !is_plain || method.len() > MAX_NAME_BYTES {
            return Ok(Request::Refuse);
        }
        let user = user.to_string();
        let other = |name: &str| AuthMethod::Other {
            name: name.to_string(),
        };
        let (method, query) = match method {
            "none" => {
                reader.finish()?;
                (AuthMethod::None, None)
            }
            "publickey" => match self.read_publickey(payload, reader)? {
                PublicKey::Verified {
                    algorithm,
                    public_key,
                } => (
                    AuthMethod::PublicKey {
                        algorithm,
                        public_key,
                        proof: KeyProof::Verified,
                    },
                    None,
                ),
                PublicKey::Query {
                    algorithm,
                    public_key,
                    answer,
                } => (
                    AuthMethod::PublicKey {
                        algorithm,
                        public_key,
                        proof: KeyProof::Query,
                    },
                    Some(answer),
                ),
                PublicKey::Unsupported => (other("publickey"), None),
                PublicKey::Refuse => return Ok(Request::Refuse),
            },
            // What such a method carries stays unread.
            name => (other(name), None),
        };
        Ok(Request::Ask {
            user,
            method,
            query,
        })
    }

    /// RFC 4252 section 7.
    fn read_publickey(
        &self,
        payload: &[u8],
        mut reader: Reader<'_>,
    ) -> Result<PublicKey, Malformed> {
        let is_signed = reader.boolean()?;
        let name = reader.name()?;
        let blob = reader.string()?;
        let signed_len = payload.len() - reader.remaining();
        let signature = if is_signed {
            Some(reader.string()?)
        } else {
            None
        };
        reader.finish()?;
        let taken = &self.config.algorithms.user_keys;
        let Some(algorithm) = HostKeyAlgorithm::from_name(name).filter(|a| taken.contains(a))
        else {
            return Ok(PublicKey::Unsupported);
        };
        let Ok(key) = VerifyingKey::parse(algorithm, blob) else {
            return Ok(PublicKey::Refuse);
        };
        let public_key = blob.to_vec();
        let Some(signature) = signature else {
            let mut answer = Vec::with_capacity(blob.len() + 64);
            answer.put_byte(number::USERAUTH_PK_OK);
            answer.put_string(name.as_bytes());
            answer.put_string(blob);
            return Ok(PublicKey::Query {
                algorithm,
                public_key,
                answer,
            });
        };
        let request = payload.get(..signed_len).ok_or(Malformed)?;
        let data = signed_data(self.core.session_id().ok_or(Malformed)?, request);
        match key.verify(&data, signature) {
            Ok(verified) if verified.security_key.is_none_or(|s| s.is_user_present()) => {
                Ok(PublicKey::Verified {
                    algorithm,
                    public_key,
                })
            }
            _ => Ok(PublicKey::Refuse),
        }
    }

    /// Refuses without asking.
    fn refuse(&mut self) -> Result<(), Error> {
        let methods: Vec<&str> = self
            .config
            .auth_methods
            .iter()
            .map(String::as_str)
            .collect();
        let message = failure(&methods);
        self.core.send(&message)
    }

    pub(super) fn accept_attempt(&mut self, id: &AuthId) -> Result<(), Error> {
        let query = self.take_decision(id)?;
        if let Some(answer) = query {
            self.auth.phase = Phase::AwaitRequest;
            return self.core.send(&answer);
        }
        self.auth.phase = Phase::Accepted;
        self.core.send(&[number::USERAUTH_SUCCESS])?;
        self.core.set_authenticated();
        self.core.push(ServerEvent::Authenticated);
        Ok(())
    }

    pub(super) fn reject_attempt(
        &mut self,
        id: &AuthId,
        remaining_methods: &[&str],
    ) -> Result<(), Error> {
        self.take_decision(id)?;
        self.auth.phase = Phase::AwaitRequest;
        self.core.send(&failure(remaining_methods))
    }

    /// Checks that `id` is of the open attempt, and takes the answer to a query.
    fn take_decision(&mut self, id: &AuthId) -> Result<Option<Vec<u8>>, Error> {
        if self.core.is_closed() {
            return Err(Error::Disconnected);
        }
        match &mut self.auth.phase {
            Phase::AwaitDecision { token, query } if *token == id.0 => Ok(query.take()),
            _ => Err(ApiMisuse::NoSuchQuestion.into()),
        }
    }

    pub(super) fn send_banner(&mut self, text: &str) -> Result<(), Error> {
        let mut message = Vec::new();
        message.put_byte(number::USERAUTH_BANNER);
        // RFC 4252 section 5.4: lines end with CR LF.
        let text = text::clean(text.as_bytes(), MAX_BANNER_BYTES).replace('\n', "\r\n");
        message.put_string(text.as_bytes());
        message.put_string(b"");
        match self.auth.phase {
            _ if self.core.is_closed() => Ok(()),
            Phase::Accepted => Ok(()),
            Phase::AwaitService => {
                self.auth.early_banners.push(message);
                Ok(())
            }
            Phase::AwaitRequest | Phase::AwaitDecision { .. } => self.core.send(&message),
        }
    }
}

enum PublicKey {
    Query {
        algorithm: HostKeyAlgorithm,
        public_key: Vec<u8>,
        answer: Vec<u8>,
    },
    Verified {
        algorithm: HostKeyAlgorithm,
        public_key: Vec<u8>,
    },
    Unsupported,
    Refuse,
}

fn failure(remaining_methods: &[&str]) -> Vec<u8> {
    let mut message = Vec::new();
    message.put_byte(number::USERAUTH_FAILURE);
    message.put_string(remaining_methods.join(",").as_bytes());
    // No partial success: each attempt stands alone.
    message.put_byte(0);
    message
}
