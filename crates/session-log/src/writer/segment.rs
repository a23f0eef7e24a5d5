//! The segment that is being written: its live keys, its tree, and how far the signatures reach.

use alloc::vec::Vec;

use bytes::BytesMut;

use crate::checkpoint::{Checkpoint, CheckpointKind, Open, OpenKind};
use crate::error::{CreateError, SignError};
use crate::frame::{
    Aad, FRAME_HEADER_BYTES, FrameHeader, FrameKind, NO_INDEX, PREFIX_BYTES, encode_prefix,
};
use crate::hash::Digest;
use crate::header::{Core, LogId, PREAMBLE_BYTES, Preamble, PreviousState, header_hash};
use crate::index::{Place, Thinned};
use crate::keyfile::Recipient;
use crate::limits::MAX_CONTENT_BYTES;
use crate::provider::CryptoFailed;
use crate::ratchet::{Ratchet, commitment};
use crate::secret::Generator;
use crate::sign::{PublicKey, Signature, SigningKey};
use crate::signer::SignRequest;
use crate::sshsig;
use crate::suite::Suite;
use crate::tree::{Tree, leaf};
use crate::wrap::{recipients_digest, seal_all};

/// Who vouches for the segment's first key.
pub(crate) enum Voucher {
    /// An identity: the first segment.
    Identity(PublicKey),
    /// The segment before, whose last checkpoint names this key.
    Previous {
        before: Before,
        first_key: SigningKey,
    },
    /// An identity that found the log without its end.
    Recovered { before: Before, identity: PublicKey },
}

/// The segment before: its number, and root and size of its tree.
pub(crate) struct Before {
    pub(crate) segment_no: u32,
    pub(crate) root: Digest,
    pub(crate) size: u64,
}

/// What goes on from segment to segment; the recipients until they are changed.
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
    /// Where each epoch's first records are.
    pub(crate) places: Thinned<Place>,
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

/// A segment that waits for its opening signature.
pub(crate) struct Prepared {
    segment: Segment,
    header: Vec<u8>,
    kind: OpenKind,
    public: PublicKey,
    wraps_hash: Digest,
}

impl Prepared {
    /// Draws the secrets and makes the header.
    pub(crate) fn new(
        constant: &Constant,
        voucher: Voucher,
        generator: &mut Generator,
        t_us: u64,
        unix_ms: u64,
    ) -> Result<Prepared, CreateError> {
        let suite = constant.suite;
        let (hash, algorithm) = (suite.hash(), suite.signature_algorithm());
        let secret = generator.secret(hash);
        let (kind, before, signing, public) = match voucher {
            Voucher::Identity(public) => {
                let signing = SigningKey::generate(algorithm, generator);
                (OpenKind::Identity, None, signing, public)
            }
            Voucher::Previous { before, first_key } => {
                let public = first_key.public();
                (OpenKind::Continued, Some(before), first_key, public)
            }
            Voucher::Recovered { before, identity } => {
                let signing = SigningKey::generate(algorithm, generator);
                (OpenKind::Recovered, Some(before), signing, identity)
            }
        };
        let no = before
            .as_ref()
            .map_or(0, |before| before.segment_no.saturating_add(1));
        let core = Core {
            log_id: constant.log_id.0,
            segment_no: no,
            previous: before.map(|before| (before.root, before.size)),
            previous_state: match kind {
                OpenKind::Identity => PreviousState::First,
                OpenKind::Continued => PreviousState::Rotated,
                OpenKind::Recovered => PreviousState::Recovered,
            },
            commitment: commitment(hash, &secret, &constant.log_id.0, no),
            epoch0_public: signing.public(),
            created_unix_ms: unix_ms,
            recipients_digest: recipients_digest(
                hash,
                constant.recipients.iter().map(Recipient::key_id),
            ),
            content_log2: MAX_CONTENT_BYTES.ilog2(),
        }
        .encode();
        let mut preamble = Preamble {
            suite,
            core_len: core.len() as u32,
            wraps_len: 0,
        };
        // The hash leaves `wraps_len` out, so it can be taken before the wraps exist that it goes into.
        let header_hash = header_hash(hash, &preamble.encode(), &core);
        let wraps = seal_all(
            suite,
            &constant.recipients,
            &header_hash,
            &secret,
            generator,
        )
        .map_err(|CryptoFailed| CreateError::Recipient)?;
        preamble.wraps_len = wraps.len() as u32;
        let segment = Segment {
            suite,
            no,
            header_hash,
            ratchet: Ratchet::new(hash, &secret, &header_hash),
            signing,
            tree: Tree::new(hash),
            places: Thinned::new(),
            bytes: (PREAMBLE_BYTES + core.len() + wraps.len()) as u64,
            began_us: t_us,
            last_frame_us: t_us,
            unsigned_frames: 0,
            unsigned_bytes: 0,
            unsigned_since_us: None,
        };
        Ok(Prepared {
            segment,
            header: [&preamble.encode()[..], &core, &wraps].concat(),
            kind,
            public,
            wraps_hash: hash.of(&[&wraps]),
        })
    }

    fn message(&self) -> Vec<u8> {
        Open::message(&self.segment.header_hash, &self.wraps_hash)
    }

    /// What the identity is asked to sign.
    pub(crate) fn request(&self) -> SignRequest {
        SignRequest::new(
            self.segment.suite.message_hash(),
            self.public,
            &self.message(),
        )
    }

    /// Writes header and OPEN with an answer to the request.
    pub(crate) fn answer(self, answer: &[u8], out: &mut BytesMut) -> Result<Segment, SignError> {
        let signature = self.request().take(answer)?;
        Ok(self.open(signature, out))
    }

    /// Writes header and OPEN of a segment that the one before vouches for.
    pub(crate) fn open_continued(self, out: &mut BytesMut) -> Result<Segment, CryptoFailed> {
        let request = self.request();
        let signature = self.segment.signing.sign(&request.data)?;
        Ok(self.open(signature, out))
    }

    fn open(self, signature: Signature, out: &mut BytesMut) -> Segment {
        let open = Open {
            kind: self.kind,
            wraps_hash: self.wraps_hash,
            public: self.public,
            signature,
        };
        out.extend_from_slice(&self.header);
        let mut segment = self.segment;
        let t_us = segment.began_us;
        segment.write_clear(FrameKind::Open, &open.encode(segment.suite), t_us, out);
        segment
    }
}

/// What a frame is sealed with besides its content.
pub(crate) struct Sealing {
    pub(crate) kind: FrameKind,
    pub(crate) flags: u8,
    /// Time of its first record.
    pub(crate) content_t_us: u64,
    /// Length of the content before compression, when it was compressed.
    pub(crate) raw_len: Option<u32>,
    /// Length of the content with padding.
    pub(crate) padded: u32,
}

impl Segment {
    /// How many frames it has.
    pub(crate) fn frames(&self) -> u64 {
        self.tree.size()
    }

    /// Its number.
    pub(crate) fn number(&self) -> u32 {
        self.no
    }

    /// Seals in place what stands in `out` from `start`: 40 bytes of room, then the content, which is padded.
    pub(crate) fn seal(
        &mut self,
        sealing: &Sealing,
        t_us: u64,
        out: &mut BytesMut,
        start: usize,
    ) -> Result<(), CryptoFailed> {
        let head = FRAME_HEADER_BYTES + PREFIX_BYTES;
        let content_len = out.len().checked_sub(start + head).ok_or(CryptoFailed)? as u32;
        out.resize(start + head + sealing.padded as usize, 0);
        if self.ratchet.index() == 0 {
            self.places.push(Place {
                t_us: sealing.content_t_us,
                offset: self.bytes,
            });
        }
        let header = FrameHeader {
            kind: sealing.kind,
            flags: sealing.flags,
            body_len: sealing.padded + 32,
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
        let raw_len = sealing.raw_len.unwrap_or(content_len);
        prefix.copy_from_slice(&encode_prefix(content_len, raw_len, sealing.content_t_us));
        let aad = Aad::new(&self.header_hash, &header);
        let aead = self.suite.aead();
        let tag = aead.seal_in_place(&key, nonce, aad.as_bytes(), body)?;
        out.extend_from_slice(&tag);
        self.note_frame(out.get(start..).unwrap_or_default(), t_us);
        Ok(())
    }

    pub(crate) fn write_clear(
        &mut self,
        kind: FrameKind,
        body: &[u8],
        t_us: u64,
        out: &mut BytesMut,
    ) {
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
        self.tree.push(leaf(self.suite.hash(), frame));
        self.bytes += frame.len() as u64;
        self.last_frame_us = t_us;
        self.unsigned_frames = self.unsigned_frames.saturating_add(1);
        self.unsigned_bytes += frame.len() as u64;
        self.unsigned_since_us.get_or_insert(t_us);
    }

    /// A key of the segment's algorithm for the next epoch.
    pub(crate) fn draw_key(&self, generator: &mut Generator) -> SigningKey {
        SigningKey::generate(self.suite.signature_algorithm(), generator)
    }

    /// Signs everything so far and moves both keys to the next epoch. The signing key that did it is erased.
    pub(crate) fn checkpoint(
        &mut self,
        kind: CheckpointKind,
        next: Option<SigningKey>,
        t_us: u64,
        unix_ms: u64,
        out: &mut BytesMut,
    ) -> Result<(), CryptoFailed> {
        let checkpoint = Checkpoint {
            kind,
            size: self.tree.size(),
            root: self.tree.root(),
            unix_ms,
            next_public: next.as_ref().map(SigningKey::public),
        };
        let message = checkpoint.message(self.suite, &self.header_hash);
        let preimage = sshsig::preimage(self.suite.message_hash(), &message);
        let mut body = checkpoint.encode(self.suite);
        body.extend_from_slice(self.signing.sign(&preimage)?.as_bytes());
        self.write_clear(FrameKind::Checkpoint, &body, t_us, out);
        self.ratchet.advance_epoch();
        if let Some(next) = next {
            self.signing = next;
        }
        self.unsigned_frames = 0;
        self.unsigned_bytes = 0;
        self.unsigned_since_us = None;
        Ok(())
    }

    /// What the next segment needs to follow this one, after its `Rotated` checkpoint named its first key.
    pub(crate) fn into_voucher(self) -> Voucher {
        Voucher::Previous {
            before: Before {
                segment_no: self.no,
                root: self.tree.root(),
                size: self.tree.size(),
            },
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
    pub(crate) fn secrets(&self) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = self
            .ratchet
            .secrets()
            .iter()
            .map(|secret| secret.to_vec())
            .collect();
        all.push(self.signing.secret());
        all
    }
}
