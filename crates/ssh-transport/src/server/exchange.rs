//! The server's part of a key exchange: the client's ephemeral key gives the secret, the host key signs.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use super::Server;
use crate::config::HostKey;
use crate::connection::Transcript;
use crate::crypto::SharedSecret;
use crate::crypto::exchange::respond;
use crate::crypto::verify::SignatureBlob;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{ServerEvent, SignId, SignRequest};
use crate::message::number;
use crate::wire::{Put as _, Reader};

#[derive(Default)]
pub(super) enum State {
    #[default]
    AwaitInit,
    AwaitSignature(Pending),
}

pub(super) struct Pending {
    token: u64,
    secret: SharedSecret,
    hash: Vec<u8>,
    host_key: HostKey,
    reply: Vec<u8>,
}

impl State {
    pub(super) fn is_asking(&self) -> bool {
        matches!(self, Self::AwaitSignature(_))
    }
}

impl Server {
    /// SSH_MSG_KEX_ECDH_INIT (RFC 5656 section 4), which hybrids use alike.
    pub(super) fn handle_exchange(&mut self, payload: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(payload);
        let number = reader.u8()?;
        let unexpected = PeerMisbehaved::UnexpectedMessage { number };
        let agreed = self
            .core
            .agreed()
            .filter(|_| number == number::KEX_ECDH_INIT)
            .ok_or(unexpected)?;
        let init = reader.string()?;
        reader.finish()?;
        let host_key = self
            .host_keys
            .iter()
            .find(|key| key.algorithm == agreed.host_key)
            .ok_or(unexpected)?
            .clone();
        let (reply, secret) = respond(agreed.kex, init, self.core.random())?;
        let hash = self.core.exchange_hash(&Transcript {
            host_key: &host_key.public_key,
            client_public: init,
            server_public: &reply,
            secret: &secret,
        })?;
        let token = self.core.next_token();
        self.first_host_key
            .get_or_insert_with(|| host_key.public_key.clone());
        self.core.push(ServerEvent::SignExchangeHash(SignRequest {
            id: SignId(token),
            algorithm: host_key.algorithm.signature_name().to_string(),
            public_key: host_key.public_key.clone(),
            data: hash.clone(),
        }));
        self.exchange = State::AwaitSignature(Pending {
            token,
            secret,
            hash,
            host_key,
            reply,
        });
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
        match &self.exchange {
            State::AwaitSignature(pending) if pending.token == id.0 => {
                let name = pending.host_key.algorithm.signature_name();
                SignatureBlob::parse(signature_blob, name)
                    .map_err(|_| ApiMisuse::SignatureMismatch)?;
            }
            _ => return Err(ApiMisuse::NoSuchQuestion.into()),
        }
        let State::AwaitSignature(pending) = core::mem::take(&mut self.exchange) else {
            return Err(ApiMisuse::NoSuchQuestion.into());
        };
        let mut message =
            Vec::with_capacity(pending.reply.len() + pending.host_key.public_key.len() + 256);
        message.put_byte(number::KEX_ECDH_REPLY);
        message.put_string(&pending.host_key.public_key);
        message.put_string(&pending.reply);
        message.put_string(signature_blob);
        self.core.seal(&message)?;
        self.core.finish_exchange(&pending.secret, &pending.hash)
    }
}
