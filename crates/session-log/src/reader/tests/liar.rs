//! A writer that may lie: stanzas of its choice, then frames of its choice, all properly signed.

use alloc::vec;
use alloc::vec::Vec;

use crate::checkpoint::{Checkpoint, CheckpointKind, Open, OpenKind};
use crate::compress::decompress;
use crate::frame::{
    Aad, FLAG_URGENT, FLAG_ZSTD, FrameHeader, FrameKind, NO_INDEX, encode_prefix, open_prefix,
};
use crate::hash::{Digest, Hash};
use crate::header::{Core, Preamble, PreviousState, header_hash};
use crate::keyfile::Identity;
use crate::ratchet::{Ratchet, commitment};
use crate::record::next_raw;
use crate::secret::{Generator, Secret};
use crate::sign::{SignatureAlgorithm, SigningKey};
use crate::signer::SigningIdentity;
use crate::sshsig;
use crate::suite::Suite;
use crate::summary::Tally;
use crate::tree::{Tree, leaf};
use crate::wrap::{recipients_digest, seal_all};

/// The identity key of every log here.
pub(super) fn signer() -> SigningIdentity {
    SigningIdentity::from_seed([2; 32])
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(SignatureAlgorithm::Ed25519, &[seed; 32]).expect("32 bytes")
}

const HASH: Hash = Hash::Sha256;

/// Largest content of a frame that the headers here admit: 64 KiB.
pub(super) const CONTENT_LOG2: u32 = 16;

#[derive(Clone)]
pub(super) struct Liar {
    pub(super) bytes: Vec<u8>,
    pub(super) header_hash: Digest,
    ratchet: Ratchet,
    /// Seed of the key that signs next.
    signing: u8,
    segment_no: u32,
    /// What the next segment will say of this one's end.
    pub(super) state: PreviousState,
    tree: Tree,
    /// What an honest summary says.
    tally: Tally,
}

impl Liar {
    /// `second`: what the second recipient is given instead of the segment secret.
    pub(super) fn new(identities: &[Identity], second: Option<[u8; 32]>) -> Liar {
        Liar::begin(identities, second, None, OpenKind::Identity, 5)
    }

    /// The next segment, of which only the bytes of its own are kept: opened as told, signed by the key of this seed.
    pub(super) fn next(&self, identities: &[Identity], kind: OpenKind, seed: u8) -> Liar {
        Liar::begin(identities, None, Some(self), kind, seed)
    }

    fn begin(
        identities: &[Identity],
        second: Option<[u8; 32]>,
        before: Option<&Liar>,
        kind: OpenKind,
        seed: u8,
    ) -> Liar {
        let suite = Suite::default();
        let mut generator = Generator::new([4; 32]);
        let secret = generator.secret(HASH);
        let segment_no = before.map_or(0, |before| before.segment_no + 1);
        let recipients: Vec<_> = identities.iter().map(Identity::recipient).collect();
        let core = Core {
            log_id: [6; 16],
            segment_no,
            previous: before.map(|before| (before.tree.root(), before.tree.size())),
            previous_state: before.map_or(PreviousState::First, |before| before.state),
            commitment: commitment(HASH, &secret, &[6; 16], segment_no),
            epoch0_public: key(seed).public(),
            created_unix_ms: 0,
            recipients_digest: recipients_digest(HASH, recipients.iter().map(|r| r.key_id())),
            content_log2: CONTENT_LOG2,
        }
        .encode();
        let mut preamble = Preamble {
            suite,
            core_len: core.len() as u32,
            wraps_len: 0,
        };
        let header_hash = header_hash(HASH, &preamble.encode(), &core);
        let mut wraps = vec![0x80 + recipients.len() as u8];
        for (i, recipient) in recipients.iter().enumerate() {
            let given = if i == 1 {
                second.map_or(secret.clone(), |given| {
                    Secret::from_slice(HASH, &given).expect("32 bytes")
                })
            } else {
                secret.clone()
            };
            let one = seal_all(
                suite,
                core::slice::from_ref(recipient),
                &header_hash,
                &given,
                &mut generator,
            )
            .expect("wrap");
            wraps.extend_from_slice(&one[1..]);
        }
        preamble.wraps_len = wraps.len() as u32;
        let wraps_hash = HASH.of(&[&wraps]);
        let message = Open::message(&header_hash, &wraps_hash);
        let hash = suite.message_hash();
        let (public, signature) = match kind {
            OpenKind::Identity | OpenKind::Recovered => {
                (signer().public_key(), signer().sign(hash, &message))
            }
            OpenKind::Continued => (
                key(seed).public(),
                key(seed)
                    .sign(&sshsig::preimage(hash, &message))
                    .expect("signed"),
            ),
        };
        let open = Open {
            kind,
            wraps_hash,
            public,
            signature,
        }
        .encode(suite);
        Liar {
            bytes: [&preamble.encode()[..], &core, &wraps].concat(),
            ratchet: Ratchet::new(HASH, &secret, &header_hash),
            header_hash,
            signing: seed,
            segment_no,
            state: PreviousState::Rotated,
            tree: Tree::new(HASH),
            tally: before.map_or_else(|| Tally::new(false), |before| before.tally.clone()),
        }
        .clear(FrameKind::Open, &open)
    }

    /// A frame that is not encrypted.
    pub(super) fn clear(mut self, kind: FrameKind, body: &[u8]) -> Liar {
        let header = FrameHeader {
            kind,
            flags: 0,
            body_len: body.len() as u32,
            seq: self.tree.size(),
            epoch: self.ratchet.epoch(),
            index: NO_INDEX,
        };
        self.push(&[&header.encode()[..], body].concat());
        self
    }

    /// A good checkpoint, which names the key of this seed.
    pub(super) fn checkpoint(mut self, kind: CheckpointKind, next: u8) -> Liar {
        let suite = Suite::default();
        let checkpoint = Checkpoint {
            kind,
            size: self.tree.size(),
            root: self.tree.root(),
            unix_ms: 0,
            next_public: (!kind.ends_log()).then(|| key(next).public()),
        };
        let message = checkpoint.message(suite, &self.header_hash);
        let preimage = sshsig::preimage(suite.message_hash(), &message);
        let signature = key(self.signing).sign(&preimage).expect("signed");
        self = self.clear(
            FrameKind::Checkpoint,
            &[&checkpoint.encode(suite)[..], signature.as_bytes()].concat(),
        );
        self.ratchet.advance_epoch();
        self.signing = next;
        self
    }

    pub(super) fn frame(mut self, kind: FrameKind, flags: u8, plain: &[u8]) -> Liar {
        if kind == FrameKind::Data {
            self.count(flags, plain);
        }
        let seq = self.tree.size();
        let header = FrameHeader {
            kind,
            flags,
            body_len: plain.len() as u32 + 16,
            seq,
            epoch: self.ratchet.epoch(),
            index: self.ratchet.index(),
        }
        .encode();
        let nonce = self.ratchet.nonce(seq);
        let key = self.ratchet.next_key();
        let mut body = plain.to_vec();
        let tag = Suite::default()
            .aead()
            .seal_in_place(
                &key,
                nonce,
                Aad::new(&self.header_hash, &header).as_bytes(),
                &mut body,
            )
            .expect("seal");
        self.push(&[&header[..], &body, &tag].concat());
        self
    }

    pub(super) fn content(self, content: &[u8]) -> Liar {
        let plain = [
            &encode_prefix(content.len() as u32, content.len() as u32, 0)[..],
            content,
        ]
        .concat();
        self.frame(FrameKind::Data, FLAG_URGENT, &plain)
    }

    /// Counts the records of a frame, as far as they are well formed.
    fn count(&mut self, flags: u8, plain: &[u8]) {
        let Some(opened) = open_prefix(plain, flags) else {
            return;
        };
        let content = match flags & FLAG_ZSTD {
            0 => opened.content.to_vec(),
            _ => decompress(opened.content, opened.raw_len).unwrap_or_default(),
        };
        let (mut rest, mut t_us) = (&content[..], opened.t0_us);
        while let Ok((raw, len)) = next_raw(rest) {
            let Ok(record) = raw.decode() else { return };
            t_us = t_us.saturating_add(raw.dt_us);
            self.tally.add(t_us, raw.channel, &record);
            rest = &rest[len..];
        }
    }

    /// The summary of the records so far.
    pub(super) fn summary(&self) -> Vec<u8> {
        self.tally.clone().finish()
    }

    /// A summary of the caller's making.
    pub(super) fn summed(self, summary: &[u8]) -> Liar {
        let len = summary.len() as u32;
        let plain = [&encode_prefix(len, len, 0)[..], summary].concat();
        self.frame(FrameKind::Summary, 0, &plain)
    }

    /// An honest summary and the final checkpoint.
    pub(super) fn end(self) -> Liar {
        let summary = self.summary();
        self.summed(&summary).checkpoint(CheckpointKind::Final, 0)
    }

    fn push(&mut self, frame: &[u8]) {
        self.tree.push(leaf(HASH, frame));
        self.bytes.extend_from_slice(frame);
    }
}
