//! The two signed frames: OPEN begins a segment, CHECKPOINT vouches for everything up to it.

use alloc::vec::Vec;

use crate::hash::Digest;
use crate::sign::{PublicKey, Signature};
use crate::sshsig::{blob, parse_blob};
use crate::suite::Suite;

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
    /// The log was found without its end, and this says what was found.
    Recovered,
}

impl CheckpointKind {
    pub(crate) fn id(self) -> u8 {
        match self {
            CheckpointKind::Periodic => 0,
            CheckpointKind::Heartbeat => 1,
            CheckpointKind::Final => 2,
            CheckpointKind::Abort => 3,
            CheckpointKind::Rotated => 4,
            CheckpointKind::Recovered => 5,
        }
    }

    fn from_id(id: u8) -> Option<CheckpointKind> {
        Some(match id {
            0 => CheckpointKind::Periodic,
            1 => CheckpointKind::Heartbeat,
            2 => CheckpointKind::Final,
            3 => CheckpointKind::Abort,
            4 => CheckpointKind::Rotated,
            5 => CheckpointKind::Recovered,
            _ => return None,
        })
    }

    /// Whether no frame may follow and no next key is named.
    pub(crate) fn ends_log(self) -> bool {
        matches!(
            self,
            CheckpointKind::Final | CheckpointKind::Abort | CheckpointKind::Recovered
        )
    }
}

/// Length of a CHECKPOINT body, bytes.
pub(crate) fn checkpoint_bytes(suite: Suite) -> usize {
    let signature = suite.signature_algorithm();
    1 + 8 + suite.hash().len() + 8 + signature.public_len() + signature.signature_len()
}

/// The signed part of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) kind: CheckpointKind,
    pub(crate) size: u64,
    pub(crate) root: Digest,
    pub(crate) unix_ms: u64,
    /// `None` is written as zeros.
    pub(crate) next_public: Option<PublicKey>,
}

impl Checkpoint {
    /// `u8 kind | u64 size | root | u64 unix_ms | next_public_key`.
    pub(crate) fn encode(&self, suite: Suite) -> Vec<u8> {
        let mut out = Vec::with_capacity(checkpoint_bytes(suite));
        out.push(self.kind.id());
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(self.root.as_bytes());
        out.extend_from_slice(&self.unix_ms.to_be_bytes());
        match &self.next_public {
            Some(public) => out.extend_from_slice(public.as_bytes()),
            None => out.resize(out.len() + suite.signature_algorithm().public_len(), 0),
        }
        out
    }

    /// Signed part and signature of a body of exactly the right length.
    pub(crate) fn parse(suite: Suite, body: &[u8]) -> Option<(Checkpoint, Signature)> {
        let algorithm = suite.signature_algorithm();
        let (kind, rest) = body.split_first()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (root, rest) = rest.split_at_checked(suite.hash().len())?;
        let (unix_ms, rest) = rest.split_first_chunk()?;
        let (public, signature) = rest.split_at_checked(algorithm.public_len())?;
        let next_public = if public.iter().all(|byte| *byte == 0) {
            None
        } else {
            Some(PublicKey::from_slice(algorithm, public)?)
        };
        let checkpoint = Checkpoint {
            kind: CheckpointKind::from_id(*kind)?,
            size: u64::from_be_bytes(*size),
            root: suite.hash().digest_from(root)?,
            unix_ms: u64::from_be_bytes(*unix_ms),
            next_public,
        };
        Some((checkpoint, Signature::from_slice(algorithm, signature)?))
    }

    /// What is signed: `"sslg1 cp\0" || HH || kind || size || root || ms || next_pk`.
    pub(crate) fn message(&self, suite: Suite, header_hash: &Digest) -> Vec<u8> {
        [
            b"sslg1 cp\0",
            header_hash.as_bytes(),
            &self.encode(suite)[..],
        ]
        .concat()
    }
}

/// Who vouches for a segment's first epoch key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenKind {
    /// The proxy's identity key.
    Identity,
    /// The previous segment: its last checkpoint names the key that signs here.
    Continued,
    /// An identity key that found the log without its end.
    Recovered,
}

/// The body of an OPEN frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) kind: OpenKind,
    pub(crate) wraps_hash: Digest,
    pub(crate) public: PublicKey,
    pub(crate) signature: Signature,
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
    pub(crate) fn encode(&self, suite: Suite) -> Vec<u8> {
        let kind = match self.kind {
            OpenKind::Identity => 0,
            OpenKind::Continued => 1,
            OpenKind::Recovered => 2,
        };
        [
            &[kind][..],
            self.wraps_hash.as_bytes(),
            &blob(suite.message_hash(), &self.public, &self.signature),
        ]
        .concat()
    }

    pub(crate) fn parse(suite: Suite, body: &[u8]) -> Option<Open> {
        let (kind, rest) = body.split_first()?;
        let (wraps_hash, blob) = rest.split_at_checked(suite.hash().len())?;
        let (public, signature) = parse_blob(suite.message_hash(), blob)?;
        Some(Open {
            kind: match kind {
                0 => OpenKind::Identity,
                1 => OpenKind::Continued,
                2 => OpenKind::Recovered,
                _ => return None,
            },
            wraps_hash: suite.hash().digest_from(wraps_hash)?,
            public,
            signature,
        })
    }
}
