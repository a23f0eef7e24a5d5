use alloc::string::String;
use alloc::vec::Vec;

use super::verdict::Fault;
use crate::checkpoint::CheckpointKind;
use crate::frame::FrameKind;
use crate::header::LogId;
use crate::record::RecordView;
use crate::sshsig::{armor, blob};
use crate::suite::{Digest, PUBLIC_KEY_BYTES, SIGNATURE_BYTES, Suite};
use crate::summary::Summary;

/// What a reader finds, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A segment begins. Its signature is judged by the [`Event::Open`] that follows.
    Segment(SegmentInfo),
    /// The opening signature of the segment is good. Whether its signer is trusted stands in the verdict.
    Open(Statement),
    /// A frame is in its place and, where it was decrypted, authentic.
    Frame(FrameInfo),
    /// A record. The signature that covers it comes with the next checkpoint.
    Record(RecordView<'a>),
    /// The log's summary.
    Summary(Summary),
    /// A checkpoint.
    Checkpoint(CheckpointInfo),
    /// Bytes were skipped (salvage only).
    Gap(GapInfo),
}

/// The head of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// The log's name.
    pub log_id: LogId,
    /// Its number in the log, from 0.
    pub number: u32,
    /// Its algorithms.
    pub suite: Suite,
    /// When it was made, by its writer's calendar, milliseconds since 1970.
    pub created_unix_ms: u64,
    /// Who can read it.
    pub recipients: Vec<RecipientInfo>,
}

/// A recipient as named in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientInfo {
    /// HPKE code point of its mechanism.
    pub kem_id: u16,
    /// Its key id; empty when it is anonymous.
    pub key_id: Vec<u8>,
}

/// A frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameInfo {
    /// Its kind.
    pub kind: FrameKind,
    /// Byte offset in the input.
    pub offset: u64,
    /// Its length with header, bytes.
    pub bytes: u32,
    /// Its number in the segment.
    pub seq: u64,
    /// Its epoch.
    pub epoch: u32,
    /// Length of its content, bytes, when it was decrypted.
    pub content_bytes: Option<u32>,
    /// Its hash in the Merkle tree.
    pub leaf: Digest,
}

/// A signed statement that can be handed to `ssh-keygen -Y verify -n sslg1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The bytes that are signed.
    pub message: Vec<u8>,
    /// The key that signed, as OpenSSH names it.
    pub fingerprint: String,
    pub(crate) public: [u8; PUBLIC_KEY_BYTES],
    pub(crate) signature: [u8; SIGNATURE_BYTES],
}

impl Statement {
    /// The signature as the text that `ssh-keygen -Y verify -s` reads.
    #[must_use]
    pub fn signature_armored(&self) -> String {
        armor(&blob(&self.public, &self.signature))
    }

    /// The Ed25519 key that signed.
    #[must_use]
    pub fn public_key(&self) -> [u8; PUBLIC_KEY_BYTES] {
        self.public
    }
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointInfo {
    /// Why it was written.
    pub kind: CheckpointKind,
    /// How many frames of the segment it vouches for.
    pub frames: u64,
    /// When it was signed, by its writer's calendar, milliseconds since 1970.
    pub unix_ms: u64,
    /// The signed statement; `None` when, after a gap, the key that should have signed is not known.
    pub statement: Option<Statement>,
}

/// A place that was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapInfo {
    /// Byte offset in the input.
    pub offset: u64,
    /// How many bytes were skipped; 0 when frames are missing between two good ones.
    pub bytes: u64,
    /// How many frames are missing by their numbers, when that is known.
    pub frames: u64,
    /// What was found first.
    pub fault: Fault,
}
