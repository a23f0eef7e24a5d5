//! `publickey` (RFC 4252 section 7), also bound to the host key (OpenSSH `PROTOCOL` 1.8): which key, and is it proven?

use alloc::vec::Vec;

use super::super::Server;
use crate::algorithms::HostKeyAlgorithm;
use crate::auth::{HOSTBOUND_METHOD, PUBLICKEY_METHOD, signed_data};
use crate::config::SecurityKeyPolicy;
use crate::crypto::verify::{SecurityKeySignature, VerifyingKey};
use crate::event::{AuthMethod, KeyProof, SecurityKeyProof};
use crate::message::number;
use crate::wire::{Malformed, Put as _, Reader};

/// What to ask about, and the answer to a mere query.
type Question = (AuthMethod, Option<Vec<u8>>);

impl Server {
    /// Reads what follows the method's name. `None`: to be refused without asking.
    pub(super) fn read_publickey(
        &self,
        method: &str,
        payload: &[u8],
        mut reader: Reader<'_>,
    ) -> Result<Option<Question>, Malformed> {
        let is_signed = reader.boolean()?;
        let name = reader.name()?;
        let blob = reader.string()?;
        let is_bound = if method == HOSTBOUND_METHOD {
            Some(reader.string()?) == self.first_host_key.as_deref()
        } else {
            true
        };
        let signed_len = payload.len() - reader.remaining();
        let signature = is_signed.then(|| reader.string()).transpose()?;
        reader.finish()?;

        let taken = &self.config.algorithms.user_keys;
        let Some(algorithm) = HostKeyAlgorithm::from_name(name).filter(|a| taken.contains(a))
        else {
            let name = alloc::string::String::from(PUBLICKEY_METHOD);
            return Ok(Some((AuthMethod::Other { name }, None)));
        };
        let Ok(key) = VerifyingKey::parse(algorithm, blob) else {
            return Ok(None);
        };
        let policy = &self.config.security_keys;
        if !is_bound || !policy.takes_application(key.application()) || self.has_used(&key) {
            return Ok(None);
        }
        let method = |proof| AuthMethod::PublicKey {
            algorithm,
            public_key: blob.to_vec(),
            proof,
        };
        let Some(signature) = signature else {
            return Ok(Some((method(KeyProof::Query), Some(key_ok(name, blob)))));
        };
        let request = payload.get(..signed_len).ok_or(Malformed)?;
        let data = signed_data(self.core.session_id().ok_or(Malformed)?, request);
        let Ok(verified) = key.verify(&data, signature) else {
            return Ok(None);
        };
        let proof = match verified.security_key {
            None => KeyProof::Verified,
            Some(said) if policy.is_met_by(&said) => KeyProof::SecurityKey(proof_of(&said)),
            Some(_) => return Ok(None),
        };
        Ok(Some((method(proof), None)))
    }

    /// Whether this key, as such or in a certificate, succeeded partially before: twice the same is no second factor.
    fn has_used(&self, key: &VerifyingKey<'_>) -> bool {
        self.auth.succeeded.iter().any(|method| match method {
            AuthMethod::PublicKey {
                algorithm,
                public_key,
                ..
            } => VerifyingKey::parse(*algorithm, public_key).is_ok_and(|used| used.is_same(key)),
            _ => false,
        })
    }
}

/// SSH_MSG_USERAUTH_PK_OK.
fn key_ok(algorithm: &str, blob: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(blob.len() + 64);
    message.put_byte(number::USERAUTH_PK_OK);
    message.put_string(algorithm.as_bytes());
    message.put_string(blob);
    message
}

fn proof_of(said: &SecurityKeySignature<'_>) -> SecurityKeyProof {
    SecurityKeyProof {
        application: said.application.into(),
        user_present: said.is_user_present(),
        user_verified: said.is_user_verified(),
        counter: said.counter,
    }
}

impl SecurityKeyPolicy {
    /// `None` is that of a key which is in no security key.
    fn takes_application(&self, application: Option<&str>) -> bool {
        application.is_none_or(|application| {
            self.applications
                .iter()
                .any(|start| application.starts_with(start.as_str()))
        })
    }

    fn is_met_by(&self, said: &SecurityKeySignature<'_>) -> bool {
        self.touch.is_met_by(said.is_user_present())
            && self.verification.is_met_by(said.is_user_verified())
    }
}
