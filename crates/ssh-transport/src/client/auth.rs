//! The client's part of user authentication (RFC 4252).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Client;
use crate::algorithms::HostKeyAlgorithm;
use crate::auth::{publickey_request, signed_data};
use crate::crypto::verify::SignatureBlob;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{ClientEvent, SignId, SignRequest};
use crate::limits::{MAX_BANNER_BYTES, MAX_BANNERS, MAX_USER_NAME_BYTES};
use crate::message::{self, CONNECTION_SERVICE, USERAUTH_SERVICE, number};
use crate::text;
use crate::wire::{Put as _, Reader};

/// Methods that are handed over from a refusal.
const MAX_REMAINING_METHODS: usize = 16;

/// How a [`Client`] asks to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuth {
    /// Method `none`: nothing is shown.
    None,
    /// Method `publickey` with a signature at once, without asking before whether the key would do.
    PublicKey {
        /// The algorithm's name, such as `ssh-ed25519-cert-v01@openssh.com` or `rsa-sha2-512`. A name that this crate
        /// does not know is taken to sign under its own name.
        algorithm: String,
        /// The blob of the key or certificate.
        public_key: Vec<u8>,
    },
}

#[derive(Default)]
pub(super) struct State {
    phase: Phase,
    service_requested: bool,
    banners: usize,
}

#[derive(Default)]
enum Phase {
    #[default]
    Idle,
    AwaitSignature {
        token: u64,
        algorithm: String,
        request: Vec<u8>,
    },
    AwaitAnswer,
    LetIn,
}

impl Client {
    pub(super) fn start_attempt(&mut self, user: &str, method: ClientAuth) -> Result<(), Error> {
        if self.core.is_closed() {
            return Err(Error::Disconnected);
        }
        let Some(session_id) = self
            .core
            .session_id()
            .filter(|_| matches!(self.auth.phase, Phase::Idle))
        else {
            return Err(ApiMisuse::CannotAuthenticateNow.into());
        };
        if user.len() > MAX_USER_NAME_BYTES {
            return Err(ApiMisuse::UserNameTooLong.into());
        }
        match method {
            ClientAuth::None => {
                let mut request = Vec::with_capacity(user.len() + 64);
                request.put_byte(number::USERAUTH_REQUEST);
                request.put_string(user.as_bytes());
                request.put_string(CONNECTION_SERVICE.as_bytes());
                request.put_string(b"none");
                self.send_attempt(&request)
            }
            ClientAuth::PublicKey {
                algorithm,
                public_key,
            } => {
                let request = publickey_request(user, &algorithm, &public_key);
                let data = signed_data(session_id, &request);
                let algorithm = match HostKeyAlgorithm::from_name(&algorithm) {
                    Some(known) => known.signature_name().to_string(),
                    None => algorithm,
                };
                let token = self.core.next_token();
                self.core.push(ClientEvent::SignAuth(SignRequest {
                    id: SignId(token),
                    algorithm: algorithm.clone(),
                    public_key,
                    data,
                }));
                self.auth.phase = Phase::AwaitSignature {
                    token,
                    algorithm,
                    request,
                };
                Ok(())
            }
        }
    }

    pub(super) fn finish_signing(
        &mut self,
        id: &SignId,
        signature_blob: &[u8],
    ) -> Result<(), Error> {
        if self.core.is_closed() {
            return Err(Error::Disconnected);
        }
        let request = match &mut self.auth.phase {
            Phase::AwaitSignature {
                token,
                algorithm,
                request,
            } if *token == id.0 => {
                SignatureBlob::parse(signature_blob, algorithm)
                    .map_err(|_| ApiMisuse::SignatureMismatch)?;
                let mut request = core::mem::take(request);
                request.put_string(signature_blob);
                request
            }
            _ => return Err(ApiMisuse::NoSuchQuestion.into()),
        };
        self.send_attempt(&request)
    }

    fn send_attempt(&mut self, request: &[u8]) -> Result<(), Error> {
        if !self.auth.service_requested {
            self.auth.service_requested = true;
            // The request follows without waiting for the answer: one round trip less.
            self.core
                .send(&message::service(number::SERVICE_REQUEST, USERAUTH_SERVICE))?;
        }
        self.auth.phase = Phase::AwaitAnswer;
        self.core.send(request)
    }

    pub(super) fn handle_auth(&mut self, payload: &[u8], sequence: u32) -> Result<(), Error> {
        let mut reader = Reader::new(payload);
        let number = reader.u8()?;
        match (&self.auth.phase, number) {
            (Phase::AwaitAnswer, number::SERVICE_ACCEPT) => {
                if reader.string()? != USERAUTH_SERVICE.as_bytes() {
                    return Err(PeerMisbehaved::UnknownService.into());
                }
                Ok(())
            }
            (Phase::AwaitAnswer, number::USERAUTH_FAILURE) => {
                let remaining = reader.name_list()?;
                let partial = reader.boolean()?;
                reader.finish()?;
                let remaining = remaining
                    .split(',')
                    .filter(|name| !name.is_empty())
                    .take(MAX_REMAINING_METHODS)
                    .map(ToString::to_string)
                    .collect();
                self.auth.phase = Phase::Idle;
                self.core
                    .push(ClientEvent::AuthFailed { remaining, partial });
                Ok(())
            }
            (Phase::AwaitAnswer, number::USERAUTH_SUCCESS) => {
                reader.finish()?;
                self.auth.phase = Phase::LetIn;
                self.core.set_authenticated();
                self.core.push(ClientEvent::Authenticated);
                Ok(())
            }
            (
                Phase::Idle | Phase::AwaitSignature { .. } | Phase::AwaitAnswer,
                number::USERAUTH_BANNER,
            ) => self.handle_banner(reader),
            (Phase::LetIn, number::USERAUTH_BANNER) => Ok(()),
            (Phase::LetIn, number::USERAUTH_REQUEST..=number::USERAUTH_LAST) => {
                self.core.send_unimplemented(sequence)
            }
            _ => Err(PeerMisbehaved::UnexpectedMessage { number }.into()),
        }
    }

    fn handle_banner(&mut self, mut reader: Reader<'_>) -> Result<(), Error> {
        let text = reader.string()?;
        let _language = reader.string()?;
        reader.finish()?;
        self.auth.banners += 1;
        if self.auth.banners <= MAX_BANNERS {
            self.core
                .push(ClientEvent::Banner(text::clean(text, MAX_BANNER_BYTES)));
        }
        Ok(())
    }
}
