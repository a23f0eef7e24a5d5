//! What a frame's body must be: signatures, roots, ciphertexts.

use alloc::string::String;
use alloc::vec::Vec;

use super::super::event::{CheckpointInfo, Statement};
use super::super::verdict::Fault;
use super::{Accepted, Segment};
use crate::checkpoint::{Checkpoint, CheckpointKind, Open, OpenKind};
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, aad, open_prefix};
use crate::signers::fingerprint;
use crate::sshsig;
use crate::suite::PUBLIC_KEY_BYTES;

impl Segment {
    pub(super) fn check_open(&self, body: &[u8]) -> Result<Accepted, Fault> {
        let open = Open::parse(body).ok_or(Fault::Open)?;
        let message = Open::message(&self.header_hash, &open.wraps_hash);
        if !sshsig::verify(&open.public, &message, &open.signature) {
            return Err(Fault::OpenSignature);
        }
        if open.wraps_hash != self.wraps_hash || !self.recipients_match {
            return Err(Fault::WrapsReplaced);
        }
        match (open.kind, &self.prior) {
            (OpenKind::Identity, None) => {}
            (OpenKind::Continued, Some(prior)) => {
                let named = prior.next_public.is_none_or(|public| public == open.public);
                if !named || open.public != self.core.epoch0_public {
                    return Err(Fault::SegmentNotContinued);
                }
            }
            // The identity key speaks for the first segment only: whoever comes to hold it later must not be able to replace those that follow.
            (OpenKind::Identity, Some(_)) | (OpenKind::Continued, None) => return Err(Fault::Open),
        }
        Ok(Accepted::Open {
            kind: open.kind,
            statement: statement(message, open.public, open.signature),
        })
    }

    pub(super) fn check_checkpoint(
        &self,
        header: &FrameHeader,
        body: &[u8],
        missing: u64,
    ) -> Result<CheckpointInfo, Fault> {
        let (checkpoint, signature) = Checkpoint::parse(body).ok_or(Fault::Checkpoint)?;
        let names_next = checkpoint.next_public != [0; PUBLIC_KEY_BYTES];
        if checkpoint.kind.ends_log() == names_next {
            return Err(Fault::Checkpoint);
        }
        let message = checkpoint.message(&self.header_hash);
        // After a lost checkpoint the key of a later epoch is not known, and its signature says nothing.
        let public = self.public.filter(|_| header.epoch == self.epoch);
        if public.is_some_and(|public| !sshsig::verify(&public, &message, &signature)) {
            return Err(Fault::CheckpointSignature);
        }
        if checkpoint.size != header.seq {
            return Err(Fault::Checkpoint);
        }
        let whole = self.intact && missing == 0;
        if whole && checkpoint.root != self.tree.root() {
            return Err(Fault::RootMismatch);
        }
        if whole && (checkpoint.kind == CheckpointKind::Final) != self.after_summary {
            return Err(Fault::Summary);
        }
        Ok(CheckpointInfo {
            kind: checkpoint.kind,
            frames: checkpoint.size,
            unix_ms: checkpoint.unix_ms,
            statement: public.map(|public| statement(message, public, signature)),
        })
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
        if self
            .suite
            .open_into(&key, nonce, &aad(&self.header_hash, head), body, plain)
            .is_err()
        {
            return Err(Fault::NotAuthentic);
        }
        let (t0_us, content) = open_prefix(plain).ok_or(Fault::FrameContent)?;
        if content.len() as u64 > 1 << self.core.content_log2 {
            return Err(Fault::FrameContent);
        }
        let range = plain.len().min(16)..plain.len().min(16 + content.len());
        self.ratchet = Some(trial);
        Ok(Some((t0_us, range)))
    }
}

fn statement(message: Vec<u8>, public: [u8; PUBLIC_KEY_BYTES], signature: [u8; 64]) -> Statement {
    let fingerprint: String = fingerprint(&public);
    Statement {
        message,
        fingerprint,
        public,
        signature,
    }
}
