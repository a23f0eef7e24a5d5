//! From a header to a segment: does it follow, who can read it, with which keys.

use super::super::event::{RecipientInfo, SegmentInfo};
use super::super::unlock::{trials, unlock};
use super::super::verdict::{Decryption, Fault, Strength};
use super::{Prior, Segment};
use crate::grant::Sidecar;
use crate::header::{
    Core, CoreFault, LogId, PREAMBLE_BYTES, Preamble, PreambleFault, PreviousState, header_hash,
};
use crate::keyfile::Identity;
use crate::limits::DECAPSULATION_STEPS;
use crate::tree::Tree;
use crate::wrap::{Stanza, parse_all, recipients_digest};

/// A segment whose header was read.
pub(in crate::reader) struct Opened {
    pub(in crate::reader) segment: Segment,
    pub(in crate::reader) info: SegmentInfo,
    pub(in crate::reader) decryption: Decryption,
    pub(in crate::reader) strength: Strength,
    /// No segment is missing before it.
    pub(in crate::reader) follows: bool,
}

impl From<CoreFault> for Fault {
    fn from(fault: CoreFault) -> Fault {
        match fault {
            CoreFault::Malformed => Fault::Header,
            CoreFault::UnknownCritical => Fault::CriticalExtension,
        }
    }
}

impl From<PreambleFault> for Fault {
    fn from(fault: PreambleFault) -> Fault {
        match fault {
            PreambleFault::Magic => Fault::Magic,
            PreambleFault::Version(version) => Fault::Version(version),
            PreambleFault::Suite(suite) => Fault::Suite(suite),
            PreambleFault::Limit => Fault::HeaderLimit,
        }
    }
}

impl Segment {
    /// Reads the header that follows a parsed preamble, and unlocks the segment when one of the identities is a recipient. A search pays for the
    /// decapsulations from its budget, and finds no segment once that is spent.
    pub(in crate::reader) fn open(
        preamble: (&[u8; PREAMBLE_BYTES], Preamble),
        core_bytes: &[u8],
        wraps: &[u8],
        (identities, sidecars): (&[Identity], &[Sidecar]),
        prior: Option<Prior>,
        skip_allowed: bool,
        budget: Option<&mut u64>,
    ) -> Result<Opened, Fault> {
        let (preamble_bytes, preamble) = preamble;
        let suite = preamble.suite;
        let core = Core::parse(suite, core_bytes)?;
        let recovered = core.previous_state == PreviousState::Recovered;
        let exact = match (&prior, &core.previous) {
            (None, None) => true,
            (Some(prior), Some(previous)) if recovered => {
                prior.log_id == core.log_id
                    && prior.no.checked_add(1) == Some(core.segment_no)
                    && prior.found.is_none_or(|found| found == *previous)
            }
            (Some(prior), Some(previous)) => {
                prior.log_id == core.log_id
                    && prior.no.checked_add(1) == Some(core.segment_no)
                    && prior.tree.is_none_or(|tree| tree == *previous)
                    && prior
                        .next_public
                        .is_none_or(|public| public == core.epoch0_public)
                    && (!prior.closed || core.previous_state == PreviousState::Rotated)
            }
            _ => false,
        };
        // Behind a segment that is lost, nothing ties this one to the ones before but its name and number.
        let later = prior.is_none_or(|prior| {
            prior.log_id == core.log_id && prior.no.saturating_add(1) < core.segment_no
        });
        if !(exact || skip_allowed && later) {
            return Err(Fault::SegmentNotContinued);
        }
        let prior = if exact {
            prior
        } else {
            Prior::unknown(suite, &core)
        };
        let own = parse_all(suite, wraps).ok_or(Fault::Wraps)?;
        let header_hash = header_hash(suite.hash(), preamble_bytes, core_bytes);
        let mut stanzas = own.clone();
        for sidecar in sidecars {
            stanzas.extend(sidecar.stanzas(suite, &header_hash));
        }
        if let Some(budget) = budget {
            let cost = trials(&stanzas, identities) * DECAPSULATION_STEPS;
            *budget = budget.checked_sub(cost).ok_or(Fault::Wraps)?;
        }
        let (ratchet, decryption) = unlock(suite, &stanzas, identities, &core, &header_hash);
        let strength = if stanzas.iter().all(Stanza::is_post_quantum) {
            Strength::PostQuantum
        } else {
            Strength::Classical
        };
        let info = SegmentInfo {
            log_id: LogId(core.log_id),
            number: core.segment_no,
            suite,
            created_unix_ms: core.created_unix_ms,
            recipients: stanzas
                .iter()
                .map(|stanza| RecipientInfo {
                    kem_id: stanza.kem_id,
                    key_id: stanza.key_id.to_vec(),
                })
                .collect(),
            // Its place is the reader's to say.
            offset: 0,
            header_bytes: preamble.header_len() as u32,
            signed_header: [preamble_bytes.get(..16).unwrap_or_default(), core_bytes].concat(),
        };
        let segment = Segment {
            suite,
            recipients_match: recipients_digest(
                suite.hash(),
                own.iter().map(|stanza| stanza.key_id),
            ) == core.recipients_digest,
            header_hash,
            wraps_hash: suite.hash().of(&[wraps]),
            prior,
            ratchet,
            tree: Tree::new(suite.hash()),
            next_seq: 0,
            epoch: 0,
            index: 0,
            intact: true,
            lost: false,
            public: Some(core.epoch0_public),
            after_index: false,
            after_summary: false,
            attested: 0,
            attestation_seen: false,
            end: None,
            jumped: false,
            excerpt: false,
            watch: None,
            watched: None,
            core,
        };
        Ok(Opened {
            segment,
            info,
            decryption,
            strength,
            follows: exact,
        })
    }
}
