//! The client's part of user authentication (RFC 4252).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Client;
use crate::algorithms::HostKeyAlgorithm;
use crate::auth::{UserKeyType, publickey_request, signed_data};
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
    /// Method `publickey` with a signature, without asking before whether the key would do. It waits until the server has
    /// said what it takes, one round trip: an RSA key signs with the best hash of [`Client::server_sig_algs`] and never
    /// with SHA-1 ([`ClientEvent::NoSignatureAlgorithm`]), any other key with the algorithm of its blob. The signature is
    /// bound to the host key of the first exchange if the server takes that (`publickey-hostbound@openssh.com`), so that
    /// an agent can tell for whom it signs.
    Key {
        /// The blob of the key or certificate.
        public_key: Vec<u8>,
    },
    /// The same at once, with a given algorithm and for any host.
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
    service: Service,
    banners: usize,
}

/// How far the service `ssh-userauth` is (RFC 4253 section 10).
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Service {
    #[default]
    Unrequested,
    Requested,
    Accepted,
}

#[derive(Default)]
enum Phase {
    #[default]
    Idle,
    /// What the server takes is known once it accepts the service: its EXT_INFO comes before.
    AwaitService {
        user: String,
        public_key: Vec<u8>,
    },
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
        if self.core.session_id().is_none() || !matches!(self.auth.phase, Phase::Idle) {
            return Err(ApiMisuse::CannotAuthenticateNow.into());
        }
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
            ClientAuth::Key { public_key } => {
                let _ = UserKeyType::read(&public_key)?;
                if self.auth.service == Service::Accepted {
                    return self.attempt_key(user, public_key);
                }
                let user = user.to_string();
                self.auth.phase = Phase::AwaitService { user, public_key };
                self.request_service()
            }
            ClientAuth::PublicKey {
                algorithm,
                public_key,
            } => {
                let request = publickey_request(user, &algorithm, &public_key, None);
                self.ask_signature(algorithm, public_key, request)
            }
        }
    }

    fn attempt_key(&mut self, user: &str, public_key: Vec<u8>) -> Result<(), Error> {
        let key_type = UserKeyType::read(&public_key)?;
        let Some(algorithm) = key_type.algorithm(self.core.server_sig_algs()) else {
            self.auth.phase = Phase::Idle;
            self.core.push(ClientEvent::NoSignatureAlgorithm);
            return Ok(());
        };
        let algorithm = algorithm.to_string();
        let host_key = self
            .exchange
            .first_host_key()
            .filter(|_| self.core.peer_takes_bound_keys());
        let request = publickey_request(user, &algorithm, &public_key, host_key);
        self.ask_signature(algorithm, public_key, request)
    }

    fn ask_signature(
        &mut self,
        algorithm: String,
        public_key: Vec<u8>,
        request: Vec<u8>,
    ) -> Result<(), Error> {
        let Some(session_id) = self.core.session_id() else {
            return Err(ApiMisuse::CannotAuthenticateNow.into());
        };
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
        // The request follows without waiting for the service: one round trip less.
        self.request_service()?;
        self.auth.phase = Phase::AwaitAnswer;
        self.core.send(request)
    }

    fn request_service(&mut self) -> Result<(), Error> {
        if self.auth.service != Service::Unrequested {
            return Ok(());
        }
        self.auth.service = Service::Requested;
        self.core
            .send(&message::service(number::SERVICE_REQUEST, USERAUTH_SERVICE))
    }

    pub(super) fn handle_auth(&mut self, payload: &[u8], sequence: u32) -> Result<(), Error> {
        let mut reader = Reader::new(payload);
        let number = reader.u8()?;
        match (&self.auth.phase, number) {
            (Phase::AwaitAnswer | Phase::AwaitService { .. }, number::SERVICE_ACCEPT) => {
                self.handle_service_accept(reader)
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
                Phase::Idle
                | Phase::AwaitService { .. }
                | Phase::AwaitSignature { .. }
                | Phase::AwaitAnswer,
                number::USERAUTH_BANNER,
            ) => self.handle_banner(reader),
            (Phase::LetIn, number::USERAUTH_BANNER) => Ok(()),
            (Phase::LetIn, number::USERAUTH_REQUEST..=number::USERAUTH_LAST) => {
                self.core.send_unimplemented(sequence)
            }
            _ => Err(PeerMisbehaved::UnexpectedMessage { number }.into()),
        }
    }

    fn handle_service_accept(&mut self, mut reader: Reader<'_>) -> Result<(), Error> {
        if reader.string()? != USERAUTH_SERVICE.as_bytes() {
            return Err(PeerMisbehaved::UnknownService.into());
        }
        self.auth.service = Service::Accepted;
        match core::mem::take(&mut self.auth.phase) {
            Phase::AwaitService { user, public_key } => self.attempt_key(&user, public_key),
            other => {
                self.auth.phase = other;
                Ok(())
            }
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
