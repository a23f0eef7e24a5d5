//! The parts of a key exchange that both roles do alike (RFC 4253 section 7).

use alloc::vec::Vec;
use core::time::Duration;

use zeroize::Zeroizing;

use super::{Core, Inits, Phase, Role};
use crate::algorithms::{MacAlgorithm, Suite};
use crate::crypto::cipher::Keys;
use crate::crypto::{Hasher, KeyDerivation, OpenKey, SealKey, SharedSecret};
use crate::error::{Error, PeerMisbehaved};
use crate::event::{Common, KeyExchange};
use crate::limits::MAX_EXCHANGES_BEFORE_AUTH;
use crate::message::{self, number};
use crate::negotiation::{Agreed, KexInit};
use crate::packet::Sequence;

/// What the exchange hash takes in beside what both sides said before.
pub(crate) struct Transcript<'a> {
    pub(crate) host_key: &'a [u8],
    /// What a group exchange said of the group (RFC 4419 section 3), otherwise nothing.
    pub(crate) group: &'a [u8],
    pub(crate) client_public: &'a [u8],
    pub(crate) server_public: &'a [u8],
    pub(crate) secret: &'a SharedSecret,
}

/// Initial vector, key and MAC key of one direction.
struct DirectionKeys {
    suite: Suite,
    iv: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    mac_key: Zeroizing<Vec<u8>>,
}

impl DirectionKeys {
    /// `letters` are those of RFC 4253 section 7.2 for the three.
    fn derive(derivation: &KeyDerivation<'_>, suite: Suite, letters: [u8; 3]) -> Self {
        let sizes = suite.key_sizes();
        let [iv, key, mac_key] = letters;
        Self {
            suite,
            iv: derivation.key(iv, sizes.iv),
            key: derivation.key(key, sizes.key),
            mac_key: derivation.key(mac_key, sizes.mac_key),
        }
    }

    fn keys(&self) -> Keys<'_> {
        Keys {
            iv: &self.iv,
            key: &self.key,
            mac_key: &self.mac_key,
        }
    }
}

impl<E: From<Common>> Core<E> {
    /// Sends our first KEXINIT.
    pub(crate) fn start_first_exchange(&mut self) -> Result<(), Error> {
        self.send_kexinit()
    }

    /// Exchanges keys again, now or as soon as the exchange that is under way is over.
    pub(crate) fn start_rekey(&mut self) -> Result<(), Error> {
        if self.closed || self.session_id.is_none() {
            return Ok(());
        }
        match self.phase {
            Phase::Settled => self.send_kexinit(),
            Phase::AwaitNewKeys { .. } => {
                self.rekey_wanted = true;
                Ok(())
            }
            Phase::AwaitKexInit { .. } | Phase::Exchanging { .. } => Ok(()),
        }
    }

    fn send_kexinit(&mut self) -> Result<(), Error> {
        let ours =
            self.offer
                .kexinit(self.role, self.session_id.is_none(), &mut *self.primitives)?;
        self.seal(&ours)?;
        self.rekey_deadline = None;
        self.rekey_wanted = false;
        self.phase = Phase::AwaitKexInit { ours };
        Ok(())
    }

    /// `payload` with its message number, as it is hashed.
    pub(super) fn handle_kexinit(
        &mut self,
        payload: &[u8],
        sequence: u32,
        now: Duration,
    ) -> Result<(), Error> {
        let theirs = KexInit::parse(
            payload
                .split_first()
                .map(|(_, body)| body)
                .unwrap_or_default(),
        )?;
        if self.session_id.is_none() {
            self.is_strict = theirs.is_strict(self.role);
            self.peer_wants_ext_info = theirs.wants_ext_info(self.role);
            // Whatever came before it was put there by somebody else, or by a peer that is not strict.
            if self.is_strict && sequence != 0 {
                return Err(PeerMisbehaved::StrictKeyExchangeViolated {
                    number: number::KEXINIT,
                }
                .into());
            }
        }
        if !self.authenticated && self.exchanges >= MAX_EXCHANGES_BEFORE_AUTH {
            return Err(PeerMisbehaved::TooManyPacketsBeforeAuth.into());
        }
        self.keep_pace(now)?;
        let agreed = self.offer.agree(self.role, &theirs)?;
        if matches!(self.phase, Phase::Settled) {
            self.send_kexinit()?;
        }
        let Phase::AwaitKexInit { ours } = core::mem::replace(&mut self.phase, Phase::Settled)
        else {
            return Err(PeerMisbehaved::UnexpectedMessage {
                number: number::KEXINIT,
            }
            .into());
        };
        // The first is within the login's time.
        let is_first = self.session_id.is_none();
        self.exchange_deadline = (!is_first).then(|| now.saturating_add(self.rekey_grace));
        let inits = Inits {
            ours,
            theirs: Vec::from(payload),
        };
        self.phase = Phase::Exchanging {
            inits,
            agreed,
            drop_guess: agreed.drop_guess,
        };
        Ok(())
    }

    /// Ends the connection of a peer that begins exchanges too fast. Those that this side began are its own affair.
    fn keep_pace(&mut self, now: Duration) -> Result<(), Error> {
        let bytes = self.sealer.volume().bytes + self.opener.volume().bytes;
        self.pace.passed(bytes, now);
        let is_theirs = self.authenticated && matches!(self.phase, Phase::Settled);
        if is_theirs && !self.pace.begin() {
            return Err(PeerMisbehaved::TooManyExchanges.into());
        }
        Ok(())
    }

    /// What was agreed on, while ephemeral keys are exchanged.
    pub(crate) fn agreed(&self) -> Option<Agreed> {
        match &self.phase {
            Phase::Exchanging { agreed, .. } => Some(*agreed),
            _ => None,
        }
    }

    /// The exchange hash H (RFC 4253 section 8, with the fields of RFC 5656 section 4 and RFC 4419 section 3).
    pub(crate) fn exchange_hash(&self, transcript: &Transcript<'_>) -> Result<Vec<u8>, Error> {
        let (Phase::Exchanging { inits, agreed, .. }, Some(peer_line)) =
            (&self.phase, &self.peer_line)
        else {
            return Err(PeerMisbehaved::UnexpectedMessage {
                number: number::KEX_FIRST,
            }
            .into());
        };
        let ours = (self.own_line.as_bytes(), inits.ours.as_slice());
        let theirs = (peer_line.as_bytes(), inits.theirs.as_slice());
        let ((client_line, client_init), (server_line, server_init)) = match self.role {
            Role::Client => (ours, theirs),
            Role::Server => (theirs, ours),
        };
        let mut hasher = Hasher::new(agreed.kex);
        for field in [
            client_line,
            server_line,
            client_init,
            server_init,
            transcript.host_key,
        ] {
            hasher.string(field);
        }
        hasher.raw(transcript.group);
        hasher.string(transcript.client_public);
        hasher.string(transcript.server_public);
        hasher.raw(transcript.secret.wire_bytes());
        Ok(hasher.finish())
    }

    /// Sends NEWKEYS, seals with the new key from here on, and waits for the peer's NEWKEYS.
    pub(crate) fn finish_exchange(
        &mut self,
        secret: &SharedSecret,
        hash: &[u8],
    ) -> Result<(), Error> {
        let Phase::Exchanging { agreed, .. } = core::mem::replace(&mut self.phase, Phase::Settled)
        else {
            return Err(PeerMisbehaved::UnexpectedMessage {
                number: number::KEX_FIRST,
            }
            .into());
        };
        let is_first = self.session_id.is_none();
        let session_id = self.session_id.get_or_insert_with(|| Vec::from(hash));
        let derivation = KeyDerivation::new(agreed.kex, secret, hash, session_id);
        let to_server = DirectionKeys::derive(&derivation, agreed.client_to_server, *b"ACE");
        let to_client = DirectionKeys::derive(&derivation, agreed.server_to_client, *b"BDF");
        let (outwards, inwards) = match self.role {
            Role::Client => (to_server, to_client),
            Role::Server => (to_client, to_server),
        };
        let seal = SealKey::new(outwards.suite, &outwards.keys())?;
        let open = OpenKey::new(inwards.suite, &inwards.keys())?;
        self.seal(&[number::NEWKEYS])?;
        self.sealer.install(seal, self.sequence_rule());
        self.phase = Phase::AwaitNewKeys { open, agreed };
        if is_first && self.peer_wants_ext_info {
            // RFC 8308 section 2.4: the first message after NEWKEYS.
            let info = match self.role {
                Role::Client => message::client_ext_info(),
                Role::Server => message::server_ext_info(&self.offer.server_sig_algs()),
            };
            self.seal(&info)?;
        }
        self.release_held()
    }

    pub(super) fn handle_newkeys(&mut self, now: Duration) -> Result<(), Error> {
        let (open, agreed) = match core::mem::replace(&mut self.phase, Phase::Settled) {
            Phase::AwaitNewKeys { open, agreed } => (open, agreed),
            other => {
                self.phase = other;
                return Err(PeerMisbehaved::UnexpectedMessage {
                    number: number::NEWKEYS,
                }
                .into());
            }
        };
        let (inwards, outwards) = match self.role {
            Role::Client => (agreed.server_to_client, agreed.client_to_server),
            Role::Server => (agreed.client_to_server, agreed.server_to_client),
        };
        self.opener.install(open, self.sequence_rule());
        self.exchanges += 1;
        self.exchange_deadline = None;
        self.rekey_deadline = Some(now.saturating_add(self.rekey.max_age));
        let exchange = KeyExchange {
            session_id: self.session_id.clone().unwrap_or_default(),
            first: self.exchanges == 1,
            strict: self.is_strict,
            kex: agreed.kex.name(),
            kex_algorithm: agreed.kex,
            host_key_algorithm: agreed.host_key,
            cipher_in: inwards.cipher.name(),
            cipher_out: outwards.cipher.name(),
            mac_in: inwards.mac.map(MacAlgorithm::name),
            mac_out: outwards.mac.map(MacAlgorithm::name),
        };
        self.push(Common::KeyExchanged(exchange).into());
        if core::mem::take(&mut self.rekey_wanted) {
            self.start_rekey()?;
        }
        Ok(())
    }

    fn sequence_rule(&self) -> Sequence {
        if self.is_strict {
            Sequence::Restarts
        } else {
            Sequence::Continues
        }
    }
}
