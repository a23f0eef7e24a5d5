//! The server's part of a key exchange: the client's ephemeral key gives the secret, the host key signs.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use super::Server;
use crate::config::HostKey;
use crate::connection::Transcript;
use crate::crypto::SharedSecret;
use crate::crypto::exchange::{Group, GroupRequest, Method, respond, respond_in_group};
use crate::crypto::verify::SignatureBlob;
use crate::error::{ApiMisuse, Error, Negotiated, PeerMisbehaved};
use crate::event::{ServerEvent, SignId, SignRequest};
use crate::message::number;
use crate::negotiation::Agreed;
use crate::wire::{Put as _, Reader};

#[derive(Default)]
#[expect(
    clippy::enum_variant_names,
    reason = "a state is named for what is awaited"
)]
pub(super) enum State {
    #[default]
    AwaitInit,
    /// The client has a group, and what was said of it as it is hashed.
    AwaitGroupInit(Group, Vec<u8>),
    AwaitSignature(Pending),
}

pub(super) struct Pending {
    token: u64,
    secret: SharedSecret,
    hash: Vec<u8>,
    host_key: HostKey,
    reply_number: u8,
    reply: Vec<u8>,
}

impl State {
    pub(super) fn is_asking(&self) -> bool {
        matches!(self, Self::AwaitSignature(_))
    }
}

impl Server {
    /// A key exchange message of the client.
    pub(super) fn handle_exchange(&mut self, payload: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(payload);
        let number = reader.u8()?;
        let unexpected = PeerMisbehaved::UnexpectedMessage { number };
        let agreed = self.core.agreed().ok_or(unexpected)?;
        let method = Method::of(agreed.kex);
        match (core::mem::take(&mut self.exchange), number) {
            (State::AwaitInit, number::KEX_DH_GEX_REQUEST) if method == Method::GroupExchange => {
                self.handle_group_request(reader)
            }
            // SSH_MSG_KEX_ECDH_INIT (RFC 5656 section 4), which hybrids use alike. SSH_MSG_KEXDH_INIT (RFC 4253 section
            // 8) is the same on the wire, an `mpint` being framed as a `string`.
            (State::AwaitInit, number::KEX_ECDH_INIT) if method != Method::GroupExchange => {
                let init = reader.string()?;
                reader.finish()?;
                let (reply, secret) = respond(method, init, self.core.primitives())?;
                self.ask_for_signature(agreed, &[], init, number::KEX_ECDH_REPLY, reply, secret)
            }
            (State::AwaitGroupInit(group, said), number::KEX_DH_GEX_INIT) => {
                let init = reader.string()?;
                reader.finish()?;
                let (reply, secret) = respond_in_group(group, init, self.core.primitives())?;
                self.ask_for_signature(agreed, &said, init, number::KEX_DH_GEX_REPLY, reply, secret)
            }
            _ => Err(unexpected.into()),
        }
    }

    /// SSH_MSG_KEX_DH_GEX_REQUEST (RFC 4419 section 3), answered by SSH_MSG_KEX_DH_GEX_GROUP.
    fn handle_group_request(&mut self, mut reader: Reader<'_>) -> Result<(), Error> {
        let request = GroupRequest::read(&mut reader)?;
        reader.finish()?;
        let group = request.choose()?.ok_or(Error::PeerIncompatible {
            what: Negotiated::KeyExchange,
        })?;
        let mut message = Vec::new();
        message.put_byte(number::KEX_DH_GEX_GROUP);
        group.write(&mut message);
        self.core.seal(&message)?;
        let mut said = Vec::new();
        request.write(&mut said);
        group.write(&mut said);
        self.exchange = State::AwaitGroupInit(group, said);
        Ok(())
    }

    fn ask_for_signature(
        &mut self,
        agreed: Agreed,
        group: &[u8],
        init: &[u8],
        reply_number: u8,
        reply: Vec<u8>,
        secret: SharedSecret,
    ) -> Result<(), Error> {
        let host_key = self
            .host_keys
            .iter()
            .find(|key| key.algorithm == agreed.host_key)
            .ok_or(Error::ProviderFailed)?
            .clone();
        let hash = self.core.exchange_hash(&Transcript {
            host_key: &host_key.public_key,
            group,
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
            reply_number,
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
        message.put_byte(pending.reply_number);
        message.put_string(&pending.host_key.public_key);
        message.put_string(&pending.reply);
        message.put_string(signature_blob);
        self.core.seal(&message)?;
        self.core.finish_exchange(&pending.secret, &pending.hash)
    }
}
