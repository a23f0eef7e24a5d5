//! The client's part of a key exchange: its ephemeral key out, the server's proof in, and the question whose key it is.

use alloc::vec::Vec;

use super::Client;
use crate::connection::Transcript;
use crate::crypto::verify::VerifyingKey;
use crate::crypto::{Ephemeral, SharedSecret};
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{ClientEvent, HostKeyId, HostKeyQuestion};
use crate::message::number;
use crate::wire::{Put as _, Reader};

#[derive(Default)]
pub(super) struct State {
    phase: Phase,
    /// The host key that was accepted last.
    accepted: Option<Vec<u8>>,
    /// The one of the first exchange, which user keys are bound to.
    first: Option<Vec<u8>>,
}

#[derive(Default)]
enum Phase {
    #[default]
    Settled,
    AwaitReply {
        ephemeral: Ephemeral,
        public: Vec<u8>,
    },
    AwaitDecision {
        token: u64,
        host_key: Vec<u8>,
        secret: SharedSecret,
        hash: Vec<u8>,
    },
}

impl State {
    pub(super) fn first_host_key(&self) -> Option<&[u8]> {
        self.first.as_deref()
    }

    pub(super) fn is_asking(&self) -> bool {
        matches!(self.phase, Phase::AwaitDecision { .. })
    }

    pub(super) fn is_asked(&self, id: &HostKeyId) -> bool {
        matches!(self.phase, Phase::AwaitDecision { token, .. } if token == id.0)
    }
}

impl Client {
    /// SSH_MSG_KEX_ECDH_INIT (RFC 5656 section 4), which hybrids use alike.
    pub(super) fn send_ephemeral(&mut self) -> Result<(), Error> {
        let Some(agreed) = self.core.agreed() else {
            return Ok(());
        };
        let ephemeral = Ephemeral::generate(agreed.kex, self.core.random())?;
        let public = ephemeral.public();
        let mut message = Vec::with_capacity(public.len() + 8);
        message.put_byte(number::KEX_ECDH_INIT);
        message.put_string(&public);
        self.core.seal(&message)?;
        self.exchange.phase = Phase::AwaitReply { ephemeral, public };
        Ok(())
    }

    /// SSH_MSG_KEX_ECDH_REPLY.
    pub(super) fn handle_exchange(&mut self, payload: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(payload);
        let number = reader.u8()?;
        let unexpected = PeerMisbehaved::UnexpectedMessage { number };
        let agreed = self
            .core
            .agreed()
            .filter(|_| number == number::KEX_ECDH_REPLY)
            .ok_or(unexpected)?;
        let Phase::AwaitReply { ephemeral, public } = core::mem::take(&mut self.exchange.phase)
        else {
            return Err(unexpected.into());
        };
        let (host_key, reply, signature) = (reader.string()?, reader.string()?, reader.string()?);
        reader.finish()?;
        let key = VerifyingKey::parse(agreed.host_key, host_key)
            .map_err(|_| PeerMisbehaved::BadHostKey)?;
        let secret = ephemeral.agree(reply)?;
        let hash = self.core.exchange_hash(&Transcript {
            host_key,
            client_public: &public,
            server_public: reply,
            secret: &secret,
        })?;
        // A host need not touch its security key.
        let _ = key
            .verify(&hash, signature)
            .map_err(|_| PeerMisbehaved::BadHostKeySignature)?;
        let token = self.core.next_token();
        self.core.push(ClientEvent::HostKey(HostKeyQuestion {
            id: HostKeyId(token),
            algorithm: agreed.host_key,
            public_key: host_key.to_vec(),
            rekey: self.core.session_id().is_some(),
            changed: self
                .exchange
                .accepted
                .as_ref()
                .is_some_and(|accepted| accepted != host_key),
        }));
        self.exchange.phase = Phase::AwaitDecision {
            token,
            host_key: host_key.to_vec(),
            secret,
            hash,
        };
        Ok(())
    }

    pub(super) fn finish_host_key(&mut self, id: &HostKeyId) -> Result<(), Error> {
        if self.core.is_closed() {
            return Err(Error::Disconnected);
        }
        if !self.exchange.is_asked(id) {
            return Err(ApiMisuse::NoSuchQuestion.into());
        }
        let Phase::AwaitDecision {
            host_key,
            secret,
            hash,
            ..
        } = core::mem::take(&mut self.exchange.phase)
        else {
            return Err(ApiMisuse::NoSuchQuestion.into());
        };
        self.exchange.first.get_or_insert_with(|| host_key.clone());
        self.exchange.accepted = Some(host_key);
        self.core.finish_exchange(&secret, &hash)
    }
}
