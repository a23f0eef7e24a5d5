//! The client's part of a key exchange: its ephemeral key out, the server's proof in, and the question whose key it is.

use alloc::vec::Vec;

use super::Client;
use crate::connection::Transcript;
use crate::crypto::exchange::{Group, GroupRequest, Method};
use crate::crypto::verify::VerifyingKey;
use crate::crypto::{Ephemeral, SharedSecret};
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::{ClientEvent, HostKeyId, HostKeyQuestion};
use crate::message::number;
use crate::negotiation::Agreed;
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
    AwaitGroup(GroupRequest),
    AwaitReply(Sent),
    AwaitDecision {
        token: u64,
        host_key: Vec<u8>,
        secret: SharedSecret,
        hash: Vec<u8>,
    },
}

/// Our ephemeral key, which the server has to answer.
struct Sent {
    ephemeral: Ephemeral,
    public: Vec<u8>,
    /// What was said of the group, as it is hashed. Empty but in a group exchange.
    group: Vec<u8>,
    /// The number of the answer.
    reply: u8,
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
    /// Begins our part of an exchange, both sides having agreed on a method.
    pub(super) fn send_ephemeral(&mut self) -> Result<(), Error> {
        let Some(agreed) = self.core.agreed() else {
            return Ok(());
        };
        match Ephemeral::generate(Method::of(agreed.kex), self.core.primitives())? {
            Some(ephemeral) => self.send_init(
                number::KEX_ECDH_INIT,
                number::KEX_ECDH_REPLY,
                ephemeral,
                Vec::new(),
            ),
            None => self.ask_for_group(),
        }
    }

    /// SSH_MSG_KEX_DH_GEX_REQUEST (RFC 4419 section 3).
    fn ask_for_group(&mut self) -> Result<(), Error> {
        let request = GroupRequest::OURS;
        let mut message = Vec::with_capacity(13);
        message.put_byte(number::KEX_DH_GEX_REQUEST);
        request.write(&mut message);
        self.core.seal(&message)?;
        self.exchange.phase = Phase::AwaitGroup(request);
        Ok(())
    }

    /// SSH_MSG_KEX_ECDH_INIT (RFC 5656 section 4), which hybrids use alike. SSH_MSG_KEXDH_INIT (RFC 4253 section 8) and
    /// SSH_MSG_KEX_DH_GEX_INIT are the same on the wire, an `mpint` being framed as a `string`.
    fn send_init(
        &mut self,
        init: u8,
        reply: u8,
        ephemeral: Ephemeral,
        group: Vec<u8>,
    ) -> Result<(), Error> {
        let public = ephemeral.public()?;
        let mut message = Vec::with_capacity(public.len() + 8);
        message.put_byte(init);
        message.put_string(&public);
        self.core.seal(&message)?;
        self.exchange.phase = Phase::AwaitReply(Sent {
            ephemeral,
            public,
            group,
            reply,
        });
        Ok(())
    }

    /// A key exchange message of the server.
    pub(super) fn handle_exchange(&mut self, payload: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(payload);
        let number = reader.u8()?;
        let unexpected = PeerMisbehaved::UnexpectedMessage { number };
        let agreed = self.core.agreed().ok_or(unexpected)?;
        match core::mem::take(&mut self.exchange.phase) {
            Phase::AwaitGroup(request) if number == number::KEX_DH_GEX_GROUP => {
                self.handle_group(request, reader)
            }
            Phase::AwaitReply(sent) if number == sent.reply => {
                self.handle_reply(agreed, &sent, reader)
            }
            _ => Err(unexpected.into()),
        }
    }

    /// SSH_MSG_KEX_DH_GEX_GROUP.
    fn handle_group(&mut self, request: GroupRequest, mut reader: Reader<'_>) -> Result<(), Error> {
        let group = Group::of_server(reader.string()?, reader.string()?)?;
        reader.finish()?;
        let mut said = Vec::new();
        request.write(&mut said);
        group.write(&mut said);
        let ephemeral = Ephemeral::in_group(group, self.core.primitives())?;
        self.send_init(
            number::KEX_DH_GEX_INIT,
            number::KEX_DH_GEX_REPLY,
            ephemeral,
            said,
        )
    }

    /// SSH_MSG_KEX_ECDH_REPLY and those like it.
    fn handle_reply(
        &mut self,
        agreed: Agreed,
        sent: &Sent,
        mut reader: Reader<'_>,
    ) -> Result<(), Error> {
        let (host_key, reply, signature) = (reader.string()?, reader.string()?, reader.string()?);
        reader.finish()?;
        let key = VerifyingKey::parse(agreed.host_key, host_key)
            .map_err(|_| PeerMisbehaved::BadHostKey)?;
        let secret = sent.ephemeral.agree(reply)?;
        let hash = self.core.exchange_hash(&Transcript {
            host_key,
            group: &sent.group,
            client_public: &sent.public,
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
