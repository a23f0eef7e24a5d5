//! What a frame's body must be: signatures, roots, ciphertexts.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::super::event::{CheckpointInfo, Statement};
use super::super::verdict::Fault;
use super::{Accepted, FrameSecret, Segment};
use crate::attestation::Attestation;
use crate::checkpoint::{Checkpoint, CheckpointKind, Open, OpenKind};
use crate::compress::decompress;
use crate::frame::{Aad, FLAG_ZSTD, FRAME_HEADER_BYTES, FrameHeader, PREFIX_BYTES, open_prefix};
use crate::secret::grow;
use crate::sign::{PublicKey, Signature};
use crate::sshsig;

impl Segment {
    pub(super) fn check_open(&self, body: &[u8]) -> Result<Accepted, Fault> {
        let open = Open::parse(self.suite, body).ok_or(Fault::Open)?;
        let message = Open::message(&self.header_hash, &open.wraps_hash);
        let hash = self.suite.message_hash();
        if !sshsig::verify(hash, &open.public, &message, &open.signature) {
            return Err(Fault::OpenSignature);
        }
        if open.wraps_hash != self.wraps_hash || !self.recipients_match {
            return Err(Fault::WrapsReplaced);
        }
        match (open.kind, &self.prior) {
            (OpenKind::Identity, None) => {}
            (OpenKind::Recovered, Some(_)) if self.is_recovered() => {}
            (OpenKind::Continued, Some(prior)) if !self.is_recovered() => {
                let named = prior.next_public.is_none_or(|public| public == open.public);
                if !named || open.public != self.core.epoch0_public {
                    return Err(Fault::SegmentNotContinued);
                }
            }
            // The identity key speaks for the first segment only: whoever comes to hold it later must not be able to replace those that follow.
            // It may say that the log was found broken, which every reader then hears.
            _ => return Err(Fault::Open),
        }
        Ok(Accepted::Open {
            kind: open.kind,
            statement: self.statement(message, open.public, open.signature),
        })
    }

    pub(super) fn check_checkpoint(
        &self,
        header: &FrameHeader,
        body: &[u8],
        missing: u64,
    ) -> Result<CheckpointInfo, Fault> {
        let (checkpoint, signature) =
            Checkpoint::parse(self.suite, body).ok_or(Fault::Checkpoint)?;
        if checkpoint.kind.ends_log() == checkpoint.next_public.is_some() {
            return Err(Fault::Checkpoint);
        }
        let message = checkpoint.message(self.suite, &self.header_hash);
        let hash = self.suite.message_hash();
        // After a lost checkpoint the key of a later epoch is not known, and its signature says nothing.
        let public = self.public.filter(|_| header.epoch == self.epoch);
        if public.is_some_and(|public| !sshsig::verify(hash, &public, &message, &signature)) {
            return Err(Fault::CheckpointSignature);
        }
        if checkpoint.size != header.seq {
            return Err(Fault::Checkpoint);
        }
        let whole = self.intact && missing == 0;
        let recovers = checkpoint.kind == CheckpointKind::Recovered;
        if recovers != self.is_recovered() || whole && recovers && !self.attestation_seen {
            return Err(Fault::Attestation);
        }
        if whole && checkpoint.root != self.tree.root() {
            return Err(Fault::RootMismatch);
        }
        if whole && (checkpoint.kind == CheckpointKind::Final) != self.after_summary {
            return Err(Fault::Summary);
        }
        if whole && self.after_index && checkpoint.kind != CheckpointKind::Rotated {
            return Err(Fault::Index);
        }
        Ok(CheckpointInfo {
            kind: checkpoint.kind,
            frames: checkpoint.size,
            unix_ms: checkpoint.unix_ms,
            statement: public.map(|public| self.statement(message, public, signature)),
        })
    }

    pub(super) fn check_attestation(&self, body: &[u8]) -> Result<Attestation, Fault> {
        let attestation = Attestation::decode(body).map_err(|_| Fault::Attestation)?;
        let size = self.core.previous.map(|(_, size)| size);
        let known = self.prior.filter(|prior| prior.found.is_some());
        if size == Some(attestation.frames)
            && known.is_none_or(|prior| prior.attested == attestation.attested_frames)
            && attestation.kept_bytes <= attestation.found_bytes
        {
            Ok(attestation)
        } else {
            Err(Fault::Attestation)
        }
    }

    pub(super) fn decrypt(
        &mut self,
        header: &FrameHeader,
        head: &[u8; FRAME_HEADER_BYTES],
        body: &[u8],
        plain: &mut Vec<u8>,
        budget: &mut u64,
    ) -> Result<Option<(u64, core::ops::Range<usize>)>, Fault> {
        let Some(ratchet) = &self.ratchet else {
            return Ok(None);
        };
        // A copy goes forward, and takes the ratchet's place only when the frame proves to be the writer's.
        let mut trial = ratchet.clone();
        let steps = trial
            .steps_to(header.epoch, header.index)
            .ok_or(Fault::FramePlace)?;
        // Without a hole there is a step for each epoch since the last encrypted frame, and the checkpoints that began them were read. Over a
        // hole the header alone says how many there are.
        if header.seq != self.next_seq || !self.intact {
            *budget = budget
                .checked_sub(steps.saturating_sub(1))
                .ok_or(Fault::FramePlace)?;
        }
        trial.skip_to(header.epoch, header.index);
        let nonce = trial.nonce(header.seq);
        let key = trial.next_key();
        let aad = Aad::new(&self.header_hash, head);
        let aead = self.suite.aead();
        if aead
            .open_into(&key, nonce, aad.as_bytes(), body, plain)
            .is_err()
        {
            return Err(Fault::NotAuthentic);
        }
        let opened = open_prefix(plain, header.flags).ok_or(Fault::FrameContent)?;
        let (t0_us, raw_len) = (opened.t0_us, opened.raw_len);
        if u64::from(raw_len) > 1 << self.core.content_log2 {
            return Err(Fault::FrameContent);
        }
        if header.flags & FLAG_ZSTD != 0 {
            let mut content =
                Zeroizing::new(decompress(opened.content, raw_len).ok_or(Fault::FrameContent)?);
            plain.truncate(PREFIX_BYTES);
            grow(plain, PREFIX_BYTES + content.len());
            plain.append(&mut content);
        }
        if self.watch == Some(header.seq) {
            self.watched = Some(FrameSecret {
                key,
                nonce,
                frame: [head, body].concat(),
            });
        }
        self.ratchet = Some(trial);
        Ok(Some((t0_us, PREFIX_BYTES..PREFIX_BYTES + raw_len as usize)))
    }

    fn statement(&self, message: Vec<u8>, public: PublicKey, signature: Signature) -> Statement {
        Statement {
            message,
            fingerprint: public.fingerprint(),
            hash: self.suite.message_hash(),
            root_len: self.suite.hash().len(),
            public,
            signature,
        }
    }
}
