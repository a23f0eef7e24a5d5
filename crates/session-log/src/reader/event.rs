use alloc::string::String;
use alloc::vec::Vec;

use super::verdict::Fault;
use crate::attestation::Attestation;
use crate::checkpoint::CheckpointKind;
use crate::frame::FrameKind;
use crate::hash::Digest;
use crate::header::LogId;
use crate::index::Index;
use crate::record::RecordView;
use crate::sign::{PublicKey, Signature};
use crate::sshsig::{MessageHash, armor, blob};
use crate::suite::Suite;
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
    /// Where what is: for readers that jump.
    Index(Index),
    /// The log was found without its end, and this is what was found of it.
    Attestation(Attestation),
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
    /// Byte offset of the segment in the input.
    pub offset: u64,
    /// Length of its header, bytes: frames begin behind it.
    pub header_bytes: u32,
    /// The part of the header that its hash is over: the first 16 bytes, and the core.
    pub signed_header: Vec<u8>,
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
    pub(crate) hash: MessageHash,
    /// Length of the header's hash in the message, bytes.
    pub(crate) root_len: usize,
    pub(crate) public: PublicKey,
    pub(crate) signature: Signature,
}

impl Statement {
    /// The signature as the text that `ssh-keygen -Y verify -s` reads.
    #[must_use]
    pub fn signature_armored(&self) -> String {
        armor(&blob(self.hash, &self.public, &self.signature))
    }

    /// The CHECKPOINT body that it was made from.
    pub(crate) fn checkpoint_body(&self) -> Vec<u8> {
        let head = b"sslg1 cp\0".len() + self.root_len;
        let signed = self.message.get(head..).unwrap_or_default();
        [signed, self.signature.as_bytes()].concat()
    }

    /// The OPEN body that it was made from.
    pub(crate) fn open_body(&self, suite: Suite, kind: u8) -> Vec<u8> {
        let head = b"sslg1 open\0".len() + self.root_len;
        let wraps_hash = self.message.get(head..).unwrap_or_default();
        let blob = blob(suite.message_hash(), &self.public, &self.signature);
        [&[kind], wraps_hash, &blob].concat()
    }

    /// The key that signed.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
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
