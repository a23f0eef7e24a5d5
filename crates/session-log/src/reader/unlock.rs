//! From stanzas and identities to the keys of a segment.

use subtle::ConstantTimeEq as _;

use super::verdict::Decryption;
use crate::hash::Digest;
use crate::header::Core;
use crate::keyfile::Identity;
use crate::limits::MAX_IDENTITIES;
use crate::ratchet::{Ratchet, commitment};
use crate::secret::Secret;
use crate::suite::Suite;
use crate::wrap::Stanza;

/// Tries each identity on each stanza that may be meant for it.
pub(crate) fn unlock(
    suite: Suite,
    stanzas: &[Stanza<'_>],
    identities: &[Identity],
    core: &Core,
    header_hash: &Digest,
) -> (Option<Ratchet>, Decryption) {
    match secret(suite, stanzas, identities, core, header_hash) {
        Ok(secret) => {
            let ratchet = Ratchet::new(suite.hash(), &secret, header_hash);
            (Some(ratchet), Decryption::Ok)
        }
        Err(why) => (None, why),
    }
}

/// The segment secret that the header commits to.
pub(crate) fn secret(
    suite: Suite,
    stanzas: &[Stanza<'_>],
    identities: &[Identity],
    core: &Core,
    header_hash: &Digest,
) -> Result<Secret, Decryption> {
    if identities.is_empty() {
        return Err(Decryption::NotAttempted);
    }
    let mut outcome = Decryption::NoMatchingIdentity;
    for identity in identities.iter().take(MAX_IDENTITIES) {
        for stanza in stanzas.iter().filter(|stanza| stanza.may_be_for(identity)) {
            let Some(secret) = stanza.open(suite, identity, header_hash) else {
                continue;
            };
            let committed = commitment(suite.hash(), &secret, &core.log_id, core.segment_no);
            if bool::from(committed.ct_eq(&core.commitment)) {
                return Ok(secret);
            }
            outcome = Decryption::KeyCommitmentMismatch;
        }
    }
    Err(outcome)
}

/// How many decapsulations [`unlock`] takes at worst.
pub(super) fn trials(stanzas: &[Stanza<'_>], identities: &[Identity]) -> u64 {
    let meant = |identity| {
        let meant = stanzas.iter().filter(|stanza| stanza.may_be_for(identity));
        meant.count() as u64
    };
    identities.iter().take(MAX_IDENTITIES).map(meant).sum()
}
