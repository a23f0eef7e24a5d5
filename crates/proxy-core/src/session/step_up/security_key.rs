//! A proof with a security key: `publickey` (RFC 4252 section 7) with a key that was enrolled for this identity.
//!
//! The transport has verified the signature, over this very connection and user, and that somebody touched the key.

use alloc::string::ToString as _;

use ssh_transport::{AuthId, HostKeyAlgorithm, KeyProof};

use super::super::Session;
use super::super::stage::Stage;
use super::done::ProvenKey;
use crate::event::EventKind;
use crate::{Leg, Now};

pub(super) const ASK: &str =
    "This machine asks for your security key: touch it when it blinks.\r\n";
const NOT_IN_SECURITY_KEY: &str = "A key that is not in a security key does not count here.\r\n";
const NOT_ENROLLED: &str = "That security key is not enrolled for you.\r\n";
const NOT_VERIFIED: &str = "Your security key has to verify you, by its PIN or your fingerprint (ssh-keygen -O verify-required).\r\n";

impl Session {
    pub(super) fn key_shown(
        &mut self,
        attempt: AuthId,
        algorithm: HostKeyAlgorithm,
        public_key: &[u8],
        proof: &KeyProof,
        now: Now,
    ) {
        let mut keys = self.info.security_keys.iter();
        let enrolled = keys.find(|key| key.is(public_key));
        match (enrolled, proof) {
            (None, _) => {
                let is_in_security_key = algorithm.is_security_key();
                self.remark(if is_in_security_key {
                    NOT_ENROLLED
                } else {
                    NOT_IN_SECURITY_KEY
                });
                self.reject_step(attempt, now);
            }
            // The client only asks whether the key would do.
            (Some(_), KeyProof::Query) => {
                if let Err(error) = self.client.accept(attempt, now.mono) {
                    self.leg_failed(Leg::Client, &error, now);
                }
            }
            (Some(key), KeyProof::SecurityKey(said)) if key.is_met_by(said) => {
                let proven = ProvenKey {
                    fingerprint: key.fingerprint().to_string(),
                    user_verified: said.user_verified,
                    counter: said.counter,
                };
                self.key_proven(attempt, proven, now);
            }
            (Some(_), _) => {
                self.remark(NOT_VERIFIED);
                self.reject_step(attempt, now);
            }
        }
    }

    fn key_proven(&mut self, attempt: AuthId, key: ProvenKey, now: Now) {
        let kind = EventKind::SecurityKeyProven {
            key: key.fingerprint.clone(),
            user_verified: key.user_verified,
            counter: key.counter,
        };
        self.event(kind, now);
        if let Stage::StepUp(stepping) = &mut self.stage {
            stepping.done.security_key = Some(key);
        }
        self.step_done(attempt, now);
    }
}
