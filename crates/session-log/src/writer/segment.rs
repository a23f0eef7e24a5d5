//! The segment that is being written: its live keys, its tree, and how far the signatures reach.

use alloc::vec::Vec;

use bytes::BytesMut;
use ed25519_dalek::SigningKey;

use crate::checkpoint::{CHECKPOINT_BYTES, Checkpoint, CheckpointKind, Open, OpenKind};
use crate::error::CreateError;
use crate::frame::{
    FRAME_HEADER_BYTES, FrameHeader, FrameKind, NO_INDEX, PREFIX_BYTES, aad, encode_prefix,
};
use crate::header::{Core, LogId, Preamble, PreviousState, header_hash};
use crate::keyfile::Recipient;
use crate::limits::MAX_CONTENT_BYTES;
use crate::ratchet::{Ratchet, commitment};
use crate::secret::Generator;
use crate::signer::SigningIdentity;
use crate::sshsig;
use crate::suite::{CryptoFailed, Digest, PUBLIC_KEY_BYTES, Suite};
use crate::tree::{Tree, leaf};
use crate::wrap::{recipients_digest, seal_all};

/// Who vouches for the segment's first key.
#[expect(
    clippy::large_enum_variant,
    reason = "made once a segment and used up at once"
)]
pub(crate) enum Voucher<'a> {
    /// The proxy's identity: the first segment.
    Identity(&'a SigningIdentity),
    /// The segment before, whose last checkpoint names this key.
    Previous {
        segment_no: u32,
        root: Digest,
        size: u64,
        first_key: SigningKey,
    },
}

/// What stays the same in all segments of a log.
pub(crate) struct Constant {
    pub(crate) suite: Suite,
    pub(crate) log_id: LogId,
    pub(crate) recipients: Vec<Recipient>,
}

/// A segment being written.
pub(crate) struct Segment {
    suite: Suite,
    no: u32,
    header_hash: Digest,
    ratchet: Ratchet,
    signing: SigningKey,
    tree: Tree,
    /// Bytes of the segment so far.
    pub(crate) bytes: u64,
    /// Log time when it began.
    pub(crate) began_us: u64,
    /// Log time of its last frame.
    pub(crate) last_frame_us: u64,
    /// Frames, bytes and log time that no checkpoint covers yet.
    pub(crate) unsigned_frames: u32,
    pub(crate) unsigned_bytes: u64,
    pub(crate) unsigned_since_us: Option<u64>,
}

impl Segment {
    /// Writes header and OPEN.
    pub(crate) fn open(
        constant: &Constant,
        voucher: Voucher<'_>,
        generator: &mut Generator,
        t_us: u64,
        unix_ms: u64,
        out: &mut BytesMut,
    ) -> Result<Segment, CreateError> {
        let suite = constant.suite;
        let secret = generator.secret();
        let (no, previous, signing, identity) = match voucher {
            Voucher::Identity(identity) => (
                0,
                None,
                SigningKey::from_bytes(&generator.secret()),
                Some(identity),
            ),
            Voucher::Previous {
                segment_no,
                root,
                size,
                first_key,
            } => (
                segment_no.saturating_add(1),
                Some((root, size)),
                first_key,
                None,
            ),
        };
        let core = Core {
            log_id: constant.log_id.0,
            segment_no: no,
            previous,
            previous_state: if previous.is_some() {
                PreviousState::Rotated
            } else {
                PreviousState::First
            },
            commitment: commitment(&secret, &constant.log_id.0, no),
            epoch0_public: signing.verifying_key().to_bytes(),
            created_unix_ms: unix_ms,
            recipients_digest: recipients_digest(constant.recipients.iter().map(Recipient::key_id)),
            content_log2: MAX_CONTENT_BYTES.ilog2(),
        }
        .encode();
        let mut preamble = Preamble {
            suite,
            core_len: core.len() as u32,
            wraps_len: 0,
        };
        // The hash leaves `wraps_len` out, so it can be taken before the wraps exist that it goes into.
        let header_hash = header_hash(&preamble.encode(), &core);
        let wraps = seal_all(
            suite,
            &constant.recipients,
            &header_hash,
            &secret,
            generator,
        )
        .map_err(|CryptoFailed| CreateError::Recipient)?;
        preamble.wraps_len = wraps.len() as u32;
        let wraps_hash = Digest::of(&[&wraps]);
        let message = Open::message(&header_hash, &wraps_hash);
        let open = match identity {
            Some(identity) => Open {
                kind: OpenKind::Identity,
                wraps_hash,
                public: identity.public(),
                signature: identity.sign(&message),
            },
            None => Open {
                kind: OpenKind::Continued,
                wraps_hash,
                public: signing.verifying_key().to_bytes(),
                signature: sshsig::sign(&signing, &message),
            },
        };
        for part in [&preamble.encode()[..], &core, &wraps] {
            out.extend_from_slice(part);
        }
        let mut segment = Segment {
            suite,
            no,
            header_hash,
            ratchet: Ratchet::new(&secret, &header_hash),
            signing,
            tree: Tree::default(),
            bytes: (preamble.encode().len() + core.len() + wraps.len()) as u64,
            began_us: t_us,
            last_frame_us: t_us,
            unsigned_frames: 0,
            unsigned_bytes: 0,
            unsigned_since_us: None,
        };
        segment.write_clear(FrameKind::Open, &open.encode(), t_us, out);
        Ok(segment)
    }

    /// How many frames it has.
    pub(crate) fn frames(&self) -> u64 {
        self.tree.size()
    }

    /// Seals in place what stands in `out` from `start`: 40 bytes of room, then the content, which is padded to `padded` bytes.
    pub(crate) fn seal(
        &mut self,
        kind: FrameKind,
        flags: u8,
        (content_t_us, padded): (u64, u32),
        t_us: u64,
        out: &mut BytesMut,
        start: usize,
    ) -> Result<(), CryptoFailed> {
        let head = FRAME_HEADER_BYTES + PREFIX_BYTES;
        let content_len = out.len().checked_sub(start + head).ok_or(CryptoFailed)?;
        out.resize(start + head + padded as usize, 0);
        let header = FrameHeader {
            kind,
            flags,
            body_len: padded + 32,
            seq: self.tree.size(),
            epoch: self.ratchet.epoch(),
            index: self.ratchet.index(),
        }
        .encode();
        let nonce = self.ratchet.nonce(self.tree.size());
        let key = self.ratchet.next_key();
        let frame = out.get_mut(start..).ok_or(CryptoFailed)?;
        let (head, body) = frame
            .split_at_mut_checked(FRAME_HEADER_BYTES)
            .ok_or(CryptoFailed)?;
        head.copy_from_slice(&header);
        let (prefix, _) = body
            .split_at_mut_checked(PREFIX_BYTES)
            .ok_or(CryptoFailed)?;
        prefix.copy_from_slice(&encode_prefix(content_len as u32, content_t_us));
        let tag = self
            .suite
            .seal_in_place(&key, nonce, &aad(&self.header_hash, &header), body)?;
        out.extend_from_slice(&tag);
        self.note_frame(out.get(start..).unwrap_or_default(), t_us);
        Ok(())
    }

    fn write_clear(&mut self, kind: FrameKind, body: &[u8], t_us: u64, out: &mut BytesMut) {
        let start = out.len();
        let header = FrameHeader {
            kind,
            flags: 0,
            body_len: body.len() as u32,
            seq: self.tree.size(),
            epoch: self.ratchet.epoch(),
            index: NO_INDEX,
        };
        out.extend_from_slice(&header.encode());
        out.extend_from_slice(body);
        self.note_frame(out.get(start..).unwrap_or_default(), t_us);
    }

    fn note_frame(&mut self, frame: &[u8], t_us: u64) {
        self.tree.push(leaf(frame));
        self.bytes += frame.len() as u64;
        self.last_frame_us = t_us;
        self.unsigned_frames = self.unsigned_frames.saturating_add(1);
        self.unsigned_bytes += frame.len() as u64;
        self.unsigned_since_us.get_or_insert(t_us);
    }

    /// Signs everything so far and moves both keys to the next epoch. The signing key that did it is erased.
    pub(crate) fn checkpoint(
        &mut self,
        kind: CheckpointKind,
        next: Option<SigningKey>,
        t_us: u64,
        unix_ms: u64,
        out: &mut BytesMut,
    ) {
        let checkpoint = Checkpoint {
            kind,
            size: self.tree.size(),
            root: self.tree.root(),
            unix_ms,
            next_public: next
                .as_ref()
                .map_or([0; PUBLIC_KEY_BYTES], |key| key.verifying_key().to_bytes()),
        };
        let signature = sshsig::sign(&self.signing, &checkpoint.message(&self.header_hash));
        let mut body = [0; CHECKPOINT_BYTES];
        for (to, from) in body
            .iter_mut()
            .zip(checkpoint.encode().iter().chain(&signature))
        {
            *to = *from;
        }
        self.write_clear(FrameKind::Checkpoint, &body, t_us, out);
        self.ratchet.advance_epoch();
        if let Some(next) = next {
            self.signing = next;
        }
        self.unsigned_frames = 0;
        self.unsigned_bytes = 0;
        self.unsigned_since_us = None;
    }

    /// What the next segment needs to follow this one, after its `Rotated` checkpoint named `first_key`.
    pub(crate) fn into_voucher(self) -> Voucher<'static> {
        Voucher::Previous {
            segment_no: self.no,
            root: self.tree.root(),
            size: self.tree.size(),
            first_key: self.signing,
        }
    }

    #[cfg(test)]
    pub(crate) fn header_hash(&self) -> Digest {
        self.header_hash
    }

    #[cfg(test)]
    pub(crate) fn nonce(&self, seq: u64) -> [u8; 12] {
        self.ratchet.nonce(seq)
    }

    #[cfg(test)]
    pub(crate) fn secrets(&self) -> Vec<[u8; 32]> {
        let mut all = self.ratchet.secrets().to_vec();
        all.push(self.signing.to_bytes());
        all
    }
}
