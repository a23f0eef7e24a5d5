//! One segment being read: what must come next, and whether a frame is that.

mod checks;
mod opening;
mod prior;

pub(super) use opening::Opened;
pub(crate) use prior::FoundLog;
pub(super) use prior::Prior;

use alloc::vec::Vec;

use super::event::{CheckpointInfo, Statement};
use super::verdict::Fault;
use crate::attestation::Attestation;
use crate::checkpoint::{Checkpoint, CheckpointKind, OpenKind};
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, HeaderFault, NO_INDEX};
use crate::hash::Digest;
use crate::header::{Core, PreviousState};
use crate::limits::MAX_SEGMENT_FRAMES;
use crate::ratchet::{FrameKey, Ratchet};
use crate::sign::PublicKey;
use crate::suite::{NONCE_BYTES, Suite};
use crate::tree::{Tree, leaf};

/// A segment being read.
pub(super) struct Segment {
    suite: Suite,
    core: Core,
    header_hash: Digest,
    wraps_hash: Digest,
    recipients_match: bool,
    prior: Option<Prior>,
    ratchet: Option<Ratchet>,
    tree: Tree,
    next_seq: u64,
    epoch: u32,
    index: u32,
    /// Nothing was skipped, so the tree is the writer's.
    intact: bool,
    /// Something was skipped just before the next frame, and only what is authentic tells how much.
    lost: bool,
    /// The epoch key that signs next; unknown after a checkpoint was lost.
    public: Option<PublicKey>,
    after_index: bool,
    after_summary: bool,
    /// How many frames the last good checkpoint vouches for.
    attested: u64,
    attestation_seen: bool,
    end: Option<CheckpointKind>,
    /// The next frame may be any later one that proves itself.
    jumped: bool,
    /// Only a part of it is read, so its signatures cannot be checked.
    excerpt: bool,
    /// The frame whose key is to be kept, and the key once it is there.
    pub(super) watch: Option<u64>,
    pub(super) watched: Option<FrameSecret>,
}

/// What opens one frame and no other. Erased when dropped.
pub(crate) struct FrameSecret {
    pub(crate) key: FrameKey,
    pub(crate) nonce: [u8; NONCE_BYTES],
    pub(crate) frame: Vec<u8>,
}

/// A frame that is what must come next.
pub(super) enum Accepted {
    /// Records, or the summary: `plain` was filled from 16 on when the key is there.
    Content {
        t0_us: u64,
        range: core::ops::Range<usize>,
    },
    /// Encrypted, and there is no key or no interest.
    Opaque,
    /// The opening signature.
    Open {
        kind: OpenKind,
        statement: Statement,
    },
    /// A checkpoint.
    Checkpoint(CheckpointInfo),
    /// What was found of a broken log.
    Attestation(Attestation),
}

/// An accepted frame with what was missing before it.
pub(super) struct Acceptance {
    pub(super) accepted: Accepted,
    pub(super) missing: u64,
    pub(super) leaf: Digest,
}

impl From<HeaderFault> for Fault {
    fn from(fault: HeaderFault) -> Fault {
        match fault {
            HeaderFault::Sync => Fault::Sync,
            HeaderFault::Kind => Fault::FrameKind,
            HeaderFault::Flags => Fault::FrameFlags,
            HeaderFault::Length => Fault::FrameLength,
            HeaderFault::Index => Fault::FramePlace,
        }
    }
}

impl Segment {
    /// Its number.
    pub(super) fn number(&self) -> u32 {
        self.core.segment_no
    }

    /// Nobody that is known vouches for it: its OPEN is lost, and no predecessor names its key.
    pub(super) fn is_unvouched(&self) -> bool {
        self.next_seq == 0 && !self.continues_trust()
    }

    /// The number of the next frame.
    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// How it ended, if it did.
    pub(super) fn end(&self) -> Option<CheckpointKind> {
        self.end
    }

    /// Something in it was skipped.
    pub(super) fn note_gap(&mut self) {
        self.intact = false;
        self.lost = true;
    }

    /// What the next segment must refer to.
    pub(super) fn as_prior(&self) -> Prior {
        let closed = self.end == Some(CheckpointKind::Rotated);
        Prior {
            suite: self.suite,
            log_id: self.core.log_id,
            no: self.core.segment_no,
            closed,
            tree: (self.intact && closed).then(|| (self.tree.root(), self.tree.size())),
            found: self.intact.then(|| (self.tree.root(), self.tree.size())),
            attested: self.attested,
            next_public: self.public.filter(|_| closed),
        }
    }

    /// Whether a header may stand here: what can be said before the body is there. Gives how many frames are missing before it.
    pub(super) fn place(&self, header: &FrameHeader, skip_allowed: bool) -> Result<u64, Fault> {
        let missing = header
            .seq
            .checked_sub(self.next_seq)
            .ok_or(Fault::FrameRepeated)?;
        if header.seq >= MAX_SEGMENT_FRAMES {
            return Err(Fault::TooManyFrames);
        }
        if missing > 0 && !skip_allowed {
            return Err(Fault::FramesMissing);
        }
        let encrypted = header.index != NO_INDEX;
        let in_place = if missing == 0 && self.intact {
            header.epoch == self.epoch && (!encrypted || header.index == self.index)
        } else {
            let index_reached = header.epoch > self.epoch || header.index >= self.index;
            let possible = u64::from(header.epoch) <= header.seq
                && (!encrypted || u64::from(header.index) <= header.seq);
            header.epoch >= self.epoch && index_reached && possible
        };
        if !in_place {
            return Err(Fault::FramePlace);
        }
        match header.kind {
            FrameKind::Open if header.seq != 0 => Err(Fault::Open),
            FrameKind::Open => Ok(missing),
            _ if header.seq == 0 => Err(Fault::OpenMissing),
            FrameKind::Checkpoint => Ok(missing),
            FrameKind::Attestation if header.seq != 1 || !self.is_recovered() => {
                Err(Fault::Attestation)
            }
            FrameKind::Attestation => Ok(missing),
            // A recovered segment holds what was found and the signature over it, nothing else.
            _ if self.is_recovered() => Err(Fault::Attestation),
            _ if self.after_summary => Err(Fault::Summary),
            FrameKind::Summary => Ok(missing),
            _ if self.after_index && missing == 0 => Err(Fault::Index),
            _ => Ok(missing),
        }
    }

    /// Checks a whole frame whose place is good, and moves past it when it is authentic. `plain` is filled when it was decrypted.
    pub(super) fn accept(
        &mut self,
        header: &FrameHeader,
        frame: &[u8],
        missing: u64,
        plain: &mut Vec<u8>,
        budget: &mut u64,
    ) -> Result<Acceptance, Fault> {
        let (head, body) = frame
            .split_first_chunk::<FRAME_HEADER_BYTES>()
            .ok_or(Fault::FrameLength)?;
        let leaf = leaf(self.suite.hash(), frame);
        if !self.may_trust_place(header, missing) {
            return Err(Fault::FramePlace);
        }
        let accepted = match header.kind {
            FrameKind::Open => self.check_open(body)?,
            FrameKind::Checkpoint => {
                Accepted::Checkpoint(self.check_checkpoint(header, body, missing)?)
            }
            FrameKind::Attestation => Accepted::Attestation(self.check_attestation(body)?),
            FrameKind::Skippable(_) => Accepted::Opaque,
            FrameKind::Data | FrameKind::Index | FrameKind::Summary => {
                match self.decrypt(header, head, body, plain, budget)? {
                    Some((t0_us, range)) => Accepted::Content { t0_us, range },
                    None => Accepted::Opaque,
                }
            }
        };
        if missing > 0 {
            self.intact = false;
        }
        self.lost = false;
        self.jumped = false;
        if self.intact {
            self.tree.push(leaf);
        }
        self.next_seq = header.seq + 1;
        self.after_index = header.kind == FrameKind::Index;
        self.after_summary |= header.kind == FrameKind::Summary;
        self.attestation_seen |= header.kind == FrameKind::Attestation;
        if header.epoch != self.epoch {
            self.epoch = header.epoch;
            self.index = 0;
            self.public = None;
        }
        if header.index != NO_INDEX {
            self.index = header.index.saturating_add(1);
        }
        if let Accepted::Checkpoint(info) = &accepted {
            self.finish_epoch(info, body);
        }
        Ok(Acceptance {
            accepted,
            missing,
            leaf,
        })
    }

    /// Whether what the header says of its place may be believed. A clear frame that nothing authenticates must stand exactly where the next
    /// one belongs: otherwise whoever inserts one far ahead hides all that follows.
    fn may_trust_place(&self, header: &FrameHeader, missing: u64) -> bool {
        let proven = match header.kind {
            FrameKind::Open => true,
            FrameKind::Checkpoint => self.public.is_some() && header.epoch == self.epoch,
            FrameKind::Attestation | FrameKind::Skippable(_) => false,
            FrameKind::Data | FrameKind::Index | FrameKind::Summary => true,
        };
        let next = missing == 0
            && !self.lost
            && header.epoch == self.epoch
            && (header.index == NO_INDEX || header.index == self.index);
        proven || next
    }

    fn finish_epoch(&mut self, info: &CheckpointInfo, body: &[u8]) {
        self.epoch = self.epoch.saturating_add(1);
        self.index = 0;
        self.public = match (&info.statement, Checkpoint::parse(self.suite, body)) {
            (Some(_), Some((checkpoint, _))) => checkpoint.next_public,
            _ => None,
        };
        if info.statement.is_some() && self.intact {
            self.attested = info.frames;
        }
        let ends = info.kind.ends_log() || info.kind == CheckpointKind::Rotated;
        if ends && (info.statement.is_some() || self.excerpt) {
            self.end = Some(info.kind);
        }
    }

    /// Whether it can be read.
    pub(super) fn has_key(&self) -> bool {
        self.ratchet.is_some()
    }

    /// Whether it stands for a log that was found without its end.
    pub(super) fn is_recovered(&self) -> bool {
        self.core.previous_state == PreviousState::Recovered
    }

    /// Whether the next frame may be any later one.
    pub(super) fn may_skip(&self) -> bool {
        self.jumped
    }

    /// Forgets what comes next, so that any later frame that proves itself may.
    pub(super) fn jump(&mut self) {
        self.note_gap();
        self.jumped = true;
        self.excerpt = true;
        self.public = None;
        self.next_seq = self.next_seq.max(1);
    }

    /// Whether the predecessor names this segment's key, so that its signatures stand for the predecessor's signer.
    pub(super) fn continues_trust(&self) -> bool {
        self.prior
            .is_some_and(|prior| prior.next_public == Some(self.core.epoch0_public))
    }
}
