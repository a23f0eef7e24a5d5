//! The keys of a segment.
//!
//! ```text
//! segment_secret ── commit (in the header)
//!       │ HKDF-Extract(salt = HH)
//!      root ── base_nonce
//!       │ "epoch"
//!      E[0] ──"next epoch"── E[1] ──"next epoch"── E[2] …          one step per checkpoint
//!       │ "chain"             │ "chain"
//!     C[0,0] ─"next"─ C[0,1] …                                     one step per encrypted frame
//!       │ "key"        │ "key"
//!       K              K
//! ```
//!
//! Every arrow is one-way and its origin is erased, so what is in memory opens nothing that was written before.

use zeroize::Zeroizing;

use crate::hash::{Digest, Hash};
use crate::secret::{Secret, expand, expand_into};
use crate::suite::{FRAME_KEY_BYTES, NONCE_BYTES};

/// The key of one frame, erased when dropped.
pub(crate) type FrameKey = Zeroizing<[u8; FRAME_KEY_BYTES]>;

/// The key commitment in the header: equal for nobody who holds another segment secret.
pub(crate) fn commitment(
    hash: Hash,
    segment_secret: &Secret,
    log_id: &[u8; 16],
    segment_no: u32,
) -> [u8; 32] {
    let mut out = [0; 32];
    expand_into(
        hash,
        segment_secret,
        "commit",
        &[log_id, &segment_no.to_be_bytes()],
        &mut out,
    );
    out
}

/// The live keys of a segment: those of the next frame and of the next epoch, never of an earlier one.
#[derive(Clone)]
pub(crate) struct Ratchet {
    hash: Hash,
    base_nonce: [u8; NONCE_BYTES],
    next_epoch: Secret,
    chain: Secret,
    epoch: u32,
    index: u32,
}

impl Ratchet {
    /// Starts at frame (0, 0).
    pub(crate) fn new(hash: Hash, segment_secret: &Secret, header_hash: &Digest) -> Ratchet {
        let root = hash.extract(header_hash.as_bytes(), segment_secret);
        let mut base_nonce = [0; NONCE_BYTES];
        expand_into(hash, &root, "nonce", &[], &mut base_nonce);
        let first_epoch = expand(&root, "epoch");
        Ratchet {
            hash,
            base_nonce,
            chain: expand(&first_epoch, "chain"),
            next_epoch: expand(&first_epoch, "next epoch"),
            epoch: 0,
            index: 0,
        }
    }

    /// The epoch of the next frame.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The index in its epoch of the next encrypted frame.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// The key of the frame (epoch, index), and a step past it.
    pub(crate) fn next_key(&mut self) -> FrameKey {
        let mut key = Zeroizing::new([0; FRAME_KEY_BYTES]);
        expand_into(self.hash, &self.chain, "key", &[], &mut *key);
        self.chain.step("next");
        self.index = self.index.saturating_add(1);
        key
    }

    /// Begins the next epoch, after a checkpoint.
    pub(crate) fn advance_epoch(&mut self) {
        self.chain = expand(&self.next_epoch, "chain");
        self.next_epoch.step("next epoch");
        self.epoch = self.epoch.saturating_add(1);
        self.index = 0;
    }

    /// How many steps [`Self::skip_to`] would take, or `None` when it would have to go back.
    pub(crate) fn steps_to(&self, epoch: u32, index: u32) -> Option<u64> {
        match epoch.checked_sub(self.epoch)? {
            0 => index.checked_sub(self.index).map(u64::from),
            epochs => Some(u64::from(epochs) + u64::from(index)),
        }
    }

    /// Goes forward to the frame (epoch, index). The caller bounds the steps by [`Self::steps_to`].
    pub(crate) fn skip_to(&mut self, epoch: u32, index: u32) {
        while self.epoch < epoch {
            self.advance_epoch();
        }
        while self.index < index {
            self.next_key();
        }
    }

    /// The nonce of the frame with this sequence number.
    pub(crate) fn nonce(&self, seq: u64) -> [u8; NONCE_BYTES] {
        let mut nonce = self.base_nonce;
        for (byte, counter) in nonce
            .iter_mut()
            .skip(NONCE_BYTES - 8)
            .zip(seq.to_be_bytes())
        {
            *byte ^= counter;
        }
        nonce
    }

    #[cfg(test)]
    pub(crate) fn secrets(&self) -> [Secret; 2] {
        [self.chain.clone(), self.next_epoch.clone()]
    }
}
