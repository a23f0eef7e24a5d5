//! The target's host key: which is taken, and what of it the client is shown.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use hostkey_derive::{Pins, TargetKey};
use ssh_transport::{HostKeyAlgorithm, HostKeyQuestion, KeyExchange, SignRequest};
use sshcert::CheckContext;

use super::Session;
use super::identity::{Identity, OtherKeys};
use super::stage::{Denied, Stage};
use crate::{EndReason, Leg, Now, Refusal};

impl Session {
    /// In an order that never changes, so that the same key of a target with several is seen each time. Types that could
    /// not pass [`Self::check_host_key`] are left out: the target then shows one that can.
    pub(super) fn acceptable_host_keys(&self) -> Vec<HostKeyAlgorithm> {
        let target = &self.info.target;
        let pinned = target.host_keys.as_ref().map(Pins::algorithm_names);
        // A certificate first, where one can be judged; its key derives the same keys as the bare one.
        let sha_1 = Some(HostKeyAlgorithm::RsaSha1)
            .filter(|algorithm| target.algorithms.host_keys.contains(algorithm));
        HostKeyAlgorithm::CERTIFICATES
            .into_iter()
            .chain(HostKeyAlgorithm::KEYS)
            .chain(sha_1)
            .filter(|algorithm| match &pinned {
                _ if algorithm.is_certificate() => !target.host_authorities.is_empty(),
                // Only authorities are configured: a plain key has none.
                None => target.host_authorities.is_empty(),
                Some(None) => true,
                Some(Some(names)) => names.contains(&algorithm.blob_type()),
            })
            .collect()
    }

    /// Checks the target's host key, and derives from it those the client is shown.
    pub(super) fn target_host_key(&mut self, question: HostKeyQuestion, now: Now) {
        let result = if self.known.target_host_key.is_empty() {
            self.trust_target(&question.public_key, now)
        } else if self.known.target_host_key == question.public_key {
            Ok(())
        } else {
            if let Some(target) = &mut self.target {
                target.reject_host_key(question.id);
            }
            self.host_key_changed(now);
            return;
        };
        let Some(target) = &mut self.target else {
            return;
        };
        match result {
            Ok(()) => {
                if let Err(error) = target.accept_host_key(question.id, now.mono) {
                    self.leg_failed(Leg::Target, &error, now);
                }
            }
            Err(denied) => {
                target.reject_host_key(question.id);
                self.refuse(denied, now);
            }
        }
    }

    fn trust_target(&mut self, presented: &[u8], now: Now) -> Result<(), Denied> {
        self.check_host_key(presented, now)?;
        let unusable = |detail: String| Denied {
            reason: Refusal::TargetProtocol,
            detail,
            advice: "the target's host key cannot be used; ask who runs it".into(),
        };
        let expected = &self.info.target;
        let others = match &expected.host_keys {
            Some(pins) => OtherKeys::Pinned(pins.clone()),
            None if expected.host_authorities.is_empty() => OtherKeys::Any,
            None => OtherKeys::None,
        };
        let identity = Identity::new(Arc::clone(&self.gateway), presented, others, now.unix)
            .map_err(|error| unusable(error.to_string()))?;
        self.identity = Some(identity);
        self.known.target_host_key = presented.to_vec();
        self.serve_client(now)
    }

    /// Pins and authorities: any one of them is enough; with neither, any key is taken.
    fn check_host_key(&self, presented: &[u8], now: Now) -> Result<(), Denied> {
        let target = &self.info.target;
        let pinned = target.host_keys.as_ref().map(|pins| pins.check(presented));
        if let Some(Ok(())) = pinned {
            return Ok(());
        }
        let certified = (!target.host_authorities.is_empty()).then(|| {
            let context = CheckContext::new(&target.facts.hostname, now.unix);
            sshcert::check_host_certificate(presented, &target.host_authorities, &context)
        });
        match (pinned, certified) {
            (None, None) | (_, Some(Ok(_))) => Ok(()),
            (Some(Err(mismatched)), _) => Err(self.host_key_mismatch(mismatched.to_string())),
            (_, Some(Err(refusal))) => Err(self.host_key_mismatch(refusal.to_string())),
            (Some(Ok(())), _) => Ok(()),
        }
    }

    pub(super) fn expects_host_key(&self) -> bool {
        self.info.target.expects_host_key()
    }

    pub(super) fn host_key_mismatch(&self, detail: String) -> Denied {
        let hostname = &self.info.target.facts.hostname;
        Denied {
            reason: Refusal::HostKeyMismatch,
            detail,
            advice: format!(
                "`{hostname}` shows a host key that is not the expected one; do not go on, tell who runs it"
            ),
        }
    }

    pub(super) fn sign_exchange_hash(&mut self, request: SignRequest, now: Now) {
        // A certificate counts as the key that it certifies.
        let asked = TargetKey::from_blob(&request.public_key);
        let key = self
            .identity
            .iter()
            .flat_map(|identity| identity.offered())
            .find(|key| {
                asked
                    .as_ref()
                    .is_ok_and(|asked| asked.blob() == key.public_key_blob())
            });
        // The transport asks only for keys that it was started with.
        let Some(signature) = key.map(|key| key.sign(&request.data)) else {
            return;
        };
        if let Err(error) = self.client.signed(request.id, &signature, now.mono) {
            self.leg_failed(Leg::Client, &error, now);
        }
    }

    /// What signatures about host keys are bound to: the first exchange names the connection.
    pub(super) fn remember_session_id(&mut self, leg: Leg, exchanged: &KeyExchange) {
        if let Some(identity) = &mut self.identity
            && exchanged.first
        {
            identity.session_ids[leg] = exchanged.session_id.clone();
        }
    }

    pub(super) fn target_fingerprint(&self) -> String {
        ssh_key::PublicKey::from_bytes(&self.known.target_host_key)
            .map(|key| key.fingerprint(ssh_key::HashAlg::Sha256).to_string())
            .unwrap_or_default()
    }

    pub(super) fn host_key_changed(&mut self, now: Now) {
        if matches!(self.stage, Stage::End(_)) {
            self.end(
                EndReason::HostKeyChanged,
                "the target showed another host key",
                now,
            );
        } else {
            self.refuse(
                Denied {
                    reason: Refusal::HostKeyMismatch,
                    detail: "the target showed another host key on rekey".into(),
                    advice: "the target changed its host key while you logged in; tell who runs it"
                        .into(),
                },
                now,
            );
        }
    }
}
