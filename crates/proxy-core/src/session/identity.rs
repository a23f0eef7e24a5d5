//! The target's whole identity, and what of it the client is shown: derived keys, of every key that the target has.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use hostkey_derive::{AccountSecret, DeriveError, DerivedHostKey, Pins, TargetKey, derive};
use ssh_transport::{HostKeyAlgorithm, hostkeys};

use crate::relay::{Announcement, HostKeys, NextStep, Proofs};
use crate::{Gateway, PerLeg};

/// The host keys of both sides of one session.
pub(super) struct Identity {
    gateway: Arc<Gateway>,
    /// When the target showed its key: which secrets serve is decided once a session.
    since_unix: Duration,
    others: OtherKeys,
    /// The target's key of the key exchange, without the certificate around it.
    target_key: Vec<u8>,
    /// For the client's key exchange.
    offered: Vec<DerivedHostKey>,
    /// What the client was told; it may have each of them proven.
    told: Vec<DerivedHostKey>,
    /// What each leg's signatures are bound to.
    pub(super) session_ids: PerLeg<Vec<u8>>,
    state: State,
    prove_requests: usize,
}

/// Which keys of a target are believed to be its own beside that of the key exchange, once it has proven to have them.
pub(super) enum OtherKeys {
    /// Any.
    Any,
    /// Those that are pinned.
    Pinned(Pins),
    /// None: an authority vouches for keys, and would have to vouch for these.
    None,
}

enum State {
    /// The target may still announce its keys.
    Open,
    /// It has to prove that it has these.
    Proving(Vec<Vec<u8>>),
    /// The client was told, or the target's word was not good.
    Closed,
}

impl Identity {
    /// For a target that proved to have the key in `presented`, which may be a certificate.
    pub(super) fn new(
        gateway: Arc<Gateway>,
        presented: &[u8],
        others: OtherKeys,
        now_unix: Duration,
    ) -> Result<Self, DeriveError> {
        let target_key = TargetKey::from_blob(presented)?.blob().to_vec();
        // One key of each algorithm fits into a key exchange, and nothing says yet who comes.
        let secret = gateway.secrets.oldest(now_unix);
        let offered = gateway
            .host_key_algorithms
            .iter()
            .map(|algorithm| derive(secret, &target_key, *algorithm))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            since_unix: now_unix,
            others,
            target_key,
            offered,
            told: Vec::new(),
            session_ids: PerLeg::default(),
            state: State::Open,
            prove_requests: 0,
            gateway,
        })
    }

    /// The keys for the client's key exchange.
    pub(super) fn offered(&self) -> &[DerivedHostKey] {
        &self.offered
    }

    fn secrets(&self) -> impl Iterator<Item = &AccountSecret> {
        self.gateway.secrets.live(self.since_unix)
    }

    /// How many keys of a target fit, derived with every secret and algorithm, into one announcement.
    fn max_target_keys(&self) -> usize {
        let each = self.secrets().count() * self.gateway.host_key_algorithms.len();
        hostkeys::MAX_HOST_KEYS / each.max(1)
    }

    /// Whether a key that the target announced could be one that it is taken by.
    fn is_acceptable(&self, blob: &[u8]) -> bool {
        let is_known_type = TargetKey::from_blob(blob).is_ok_and(|key| {
            HostKeyAlgorithm::KEYS
                .iter()
                .any(|algorithm| algorithm.blob_type() == key.algorithm_name())
                && !key.is_certified()
        });
        is_known_type
            && match &self.others {
                OtherKeys::Any => true,
                OtherKeys::Pinned(pins) => pins.check(blob).is_ok(),
                OtherKeys::None => false,
            }
    }

    /// Derives the keys of all target keys, that of the key exchange first.
    fn tell(&mut self, others: &[Vec<u8>]) -> Result<Announcement, DeriveError> {
        let mut told = Vec::new();
        for target_key in core::iter::once(&self.target_key).chain(others) {
            for secret in self.secrets() {
                for algorithm in &self.gateway.host_key_algorithms {
                    told.push(derive(secret, target_key, *algorithm)?);
                }
            }
        }
        let blobs: Vec<&[u8]> = told.iter().map(DerivedHostKey::public_key_blob).collect();
        let text = format!(
            "host keys of the target: {}; told to the client: {}",
            list(
                core::iter::once(&self.target_key)
                    .chain(others)
                    .filter_map(|blob| TargetKey::from_blob(blob).ok())
                    .map(|key| key.fingerprint())
            ),
            list(told.iter().map(DerivedHostKey::fingerprint)),
        );
        let packet = hostkeys::announcement(&blobs);
        self.told = told;
        Ok(Announcement {
            packet,
            text,
            left_out: None,
        })
    }
}

impl HostKeys for Identity {
    fn announced(&mut self, packet: &[u8]) -> Result<NextStep, &'static str> {
        if !matches!(self.state, State::Open) {
            return Err("the host keys were announced already");
        }
        self.state = State::Closed;
        let announced = hostkeys::parse_announcement(packet)
            .map_err(|_| "no list of host keys of any size that hosts have")?;
        let mut others: Vec<Vec<u8>> = Vec::new();
        for blob in announced {
            let is_new = *blob != *self.target_key && !others.iter().any(|other| *other == blob);
            if is_new && self.is_acceptable(blob) {
                others.push(blob.to_vec());
            }
        }
        // The key of the key exchange is one more.
        if others.len() >= self.max_target_keys() {
            return Err("more host keys than could be told");
        }
        if others.is_empty() {
            return self.tell(&[]).map(NextStep::Tell).map_err(|_| UNUSABLE);
        }
        let blobs: Vec<&[u8]> = others.iter().map(Vec::as_slice).collect();
        let request = hostkeys::prove_request(&blobs);
        self.state = State::Proving(others);
        Ok(NextStep::Ask(request))
    }

    fn answered(&mut self, packet: &[u8]) -> Result<Announcement, &'static str> {
        let State::Proving(others) = core::mem::replace(&mut self.state, State::Closed) else {
            return Err("nobody asked");
        };
        let blobs: Vec<&[u8]> = others.iter().map(Vec::as_slice).collect();
        // An answer that cannot be read proves nothing.
        let proven = hostkeys::proven(packet, &self.session_ids.target, &blobs).unwrap_or_default();
        let asked = others.len();
        let proven: Vec<Vec<u8>> = others
            .into_iter()
            .zip(proven)
            .filter_map(|(blob, is_proven)| is_proven.then_some(blob))
            .collect();
        let mut announcement = self.tell(&proven).map_err(|_| UNUSABLE)?;
        if proven.len() < asked {
            announcement.left_out = Some("the target did not prove that it has all of them");
        }
        Ok(announcement)
    }

    fn not_announced(&mut self) -> Option<Announcement> {
        self.state = State::Closed;
        self.tell(&[]).ok()
    }

    fn prove(&mut self, packet: &[u8]) -> Result<Proofs, &'static str> {
        let asked = hostkeys::parse_prove_request(packet)
            .map_err(|_| "no list of host keys of any size that hosts have")?;
        if asked.is_empty() {
            return Err("no host key is named");
        }
        if self.prove_requests >= self.gateway.limits.within_bounds().proof_requests {
            return Err("proofs were given often enough");
        }
        let keys: Option<Vec<&DerivedHostKey>> = asked
            .iter()
            .map(|blob| self.told.iter().find(|key| key.public_key_blob() == *blob))
            .collect();
        let keys = keys.ok_or("a host key that was not announced")?;
        self.prove_requests += 1;
        let session_id = &self.session_ids.client;
        let signatures: Vec<Vec<u8>> = keys
            .iter()
            .map(|key| key.sign(&hostkeys::prove_data(session_id, key.public_key_blob())))
            .collect();
        let blobs: Vec<&[u8]> = signatures.iter().map(Vec::as_slice).collect();
        Ok(Proofs {
            packet: hostkeys::proofs(&blobs),
            keys: u32::try_from(keys.len()).unwrap_or(u32::MAX),
        })
    }
}

/// Cannot be: what is derived of was read before.
const UNUSABLE: &str = "no key can be derived of them";

fn list(fingerprints: impl Iterator<Item = String>) -> String {
    fingerprints.collect::<Vec<_>>().join(", ")
}
