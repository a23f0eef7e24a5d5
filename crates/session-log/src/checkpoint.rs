//! The two signed frames: OPEN begins a segment, CHECKPOINT vouches for everything up to it.

use alloc::vec::Vec;

use crate::sshsig::{blob, parse_blob};
use crate::suite::{Digest, HASH_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES};

/// Why a checkpoint was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointKind {
    /// Enough frames, bytes or time since the last one.
    Periodic,
    /// Nothing happened for a while, and the log is still being written.
    Heartbeat,
    /// The log is complete.
    Final,
    /// The writer had to stop.
    Abort,
    /// The segment is complete and the next one follows.
    Rotated,
}

impl CheckpointKind {
    pub(crate) fn id(self) -> u8 {
        match self {
            CheckpointKind::Periodic => 0,
            CheckpointKind::Heartbeat => 1,
            CheckpointKind::Final => 2,
            CheckpointKind::Abort => 3,
            CheckpointKind::Rotated => 4,
        }
    }

    fn from_id(id: u8) -> Option<CheckpointKind> {
        Some(match id {
            0 => CheckpointKind::Periodic,
            1 => CheckpointKind::Heartbeat,
            2 => CheckpointKind::Final,
            3 => CheckpointKind::Abort,
            4 => CheckpointKind::Rotated,
            _ => return None,
        })
    }

    /// Whether no frame may follow and no next key is named.
    pub(crate) fn ends_log(self) -> bool {
        matches!(self, CheckpointKind::Final | CheckpointKind::Abort)
    }
}

/// Length of a CHECKPOINT body, bytes.
pub(crate) const CHECKPOINT_BYTES: usize = SIGNED_BYTES + SIGNATURE_BYTES;
/// Length of its signed part.
const SIGNED_BYTES: usize = 1 + 8 + HASH_BYTES + 8 + PUBLIC_KEY_BYTES;

/// The signed part of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) kind: CheckpointKind,
    pub(crate) size: u64,
    pub(crate) root: Digest,
    pub(crate) unix_ms: u64,
    pub(crate) next_public: [u8; PUBLIC_KEY_BYTES],
}

impl Checkpoint {
    /// `u8 kind | u64 size | root | u64 unix_ms | next_public_key`.
    pub(crate) fn encode(&self) -> [u8; SIGNED_BYTES] {
        let mut out = [0; SIGNED_BYTES];
        let (kind, rest) = out.split_at_mut(1);
        kind.copy_from_slice(&[self.kind.id()]);
        let (size, rest) = rest.split_at_mut(8);
        size.copy_from_slice(&self.size.to_be_bytes());
        let (root, rest) = rest.split_at_mut(HASH_BYTES);
        root.copy_from_slice(self.root.as_bytes());
        let (unix, next) = rest.split_at_mut(8);
        unix.copy_from_slice(&self.unix_ms.to_be_bytes());
        next.copy_from_slice(&self.next_public);
        out
    }

    /// Signed part and signature of a body of exactly the right length.
    pub(crate) fn parse(body: &[u8]) -> Option<(Checkpoint, [u8; SIGNATURE_BYTES])> {
        let body: &[u8; CHECKPOINT_BYTES] = body.try_into().ok()?;
        let (kind, rest) = body.split_first()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (root, rest) = rest.split_first_chunk::<HASH_BYTES>()?;
        let (unix_ms, rest) = rest.split_first_chunk()?;
        let (next_public, rest) = rest.split_first_chunk()?;
        let checkpoint = Checkpoint {
            kind: CheckpointKind::from_id(*kind)?,
            size: u64::from_be_bytes(*size),
            root: Digest::from_slice(root)?,
            unix_ms: u64::from_be_bytes(*unix_ms),
            next_public: *next_public,
        };
        Some((checkpoint, rest.try_into().ok()?))
    }

    /// What is signed: `"sslg1 cp\0" || HH || kind || size || root || ms || next_pk`.
    pub(crate) fn message(&self, header_hash: &Digest) -> Vec<u8> {
        [b"sslg1 cp\0", header_hash.as_bytes(), &self.encode()].concat()
    }
}

/// Who vouches for a segment's first epoch key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenKind {
    /// The proxy's identity key.
    Identity,
    /// The previous segment: its last checkpoint names the key that signs here.
    Continued,
}

/// The body of an OPEN frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) kind: OpenKind,
    pub(crate) wraps_hash: Digest,
    pub(crate) public: [u8; PUBLIC_KEY_BYTES],
    pub(crate) signature: [u8; SIGNATURE_BYTES],
}

impl Open {
    /// What is signed: `"sslg1 open\0" || HH || H(wraps)`.
    pub(crate) fn message(header_hash: &Digest, wraps_hash: &Digest) -> Vec<u8> {
        [
            b"sslg1 open\0",
            header_hash.as_bytes(),
            wraps_hash.as_bytes(),
        ]
        .concat()
    }

    /// `u8 kind | H(wraps) | SSHSIG blob`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let kind = match self.kind {
            OpenKind::Identity => 0,
            OpenKind::Continued => 1,
        };
        [
            &[kind][..],
            self.wraps_hash.as_bytes(),
            &blob(&self.public, &self.signature),
        ]
        .concat()
    }

    pub(crate) fn parse(body: &[u8]) -> Option<Open> {
        let (kind, rest) = body.split_first()?;
        let (wraps_hash, blob) = rest.split_first_chunk::<HASH_BYTES>()?;
        let (public, signature) = parse_blob(blob)?;
        Some(Open {
            kind: match kind {
                0 => OpenKind::Identity,
                1 => OpenKind::Continued,
                _ => return None,
            },
            wraps_hash: Digest::from_slice(wraps_hash)?,
            public,
            signature,
        })
    }
}
