use alloc::string::String;

use thiserror::Error;

/// What a reader found, on five axes. A log is good when it is `Complete`, `Intact` and `Verified`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Is the end there?
    pub completeness: Completeness,
    /// Is what is there as it was written?
    pub integrity: Integrity,
    /// Who says so?
    pub authenticity: Authenticity,
    /// Could it be read?
    pub decryption: Decryption,
    /// Against whom does its secrecy hold?
    pub strength: Strength,
}

impl Verdict {
    /// Complete, intact, and signed by somebody trusted.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.completeness == Completeness::Complete
            && self.integrity == Integrity::Intact
            && matches!(self.authenticity, Authenticity::Verified { .. })
    }
}

/// Is the end of the log there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Completeness {
    /// Yes: its final checkpoint is there and signed.
    Complete,
    /// Its writer stopped it before the session's end and signed that.
    Aborted {
        /// How many frames there are.
        frames: u64,
    },
    /// No, and somebody who was trusted with it signed what was found.
    Recovered {
        /// How many of the frames found the last checkpoint of the log's own writer vouches for.
        attested_frames: u64,
        /// How many frames were found.
        frames: u64,
    },
    /// No: the file ends without a last signature, or something was skipped before it (salvage only).
    Truncated {
        /// How many frames the last good checkpoint with nothing skipped before it vouches for.
        attested_frames: u64,
        /// How many frames there are.
        frames: u64,
    },
    /// All frames are there and signed to the end, but not the last 24 bytes: the hint where the index is, which nothing vouches for. Nothing
    /// that was recorded is missing, and [`crate::Recovery::missing_trailer`] makes them again without a key.
    TrailerMissing,
    /// Only a part was read, from a place that an index led to.
    Excerpt,
    /// The reader was not told yet that the input has ended.
    InProgress,
}

/// Is what is there as it was written?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Integrity {
    /// Nothing was found that is not.
    Intact,
    /// Parts were unreadable and skipped (salvage only). Whether by accident or not cannot be told.
    Damaged {
        /// How many places.
        gaps: u32,
    },
    /// Something was found that the writer did not write so. In strict mode the reader stopped there.
    Tampered {
        /// Where.
        at: Position,
        /// What.
        why: Fault,
    },
}

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Byte offset in the input.
    pub offset: u64,
    /// Number of the segment.
    pub segment: u32,
    /// Number of the frame in the segment.
    pub frame: u64,
}

/// Who vouches for the log?
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authenticity {
    /// A signer of the `allowed_signers` file.
    Verified {
        /// The principals of the line.
        signer: String,
    },
    /// A key that nobody told the reader to trust; its signatures are good.
    UntrustedSigner {
        /// The key, as OpenSSH names it: `SHA256:…`.
        fingerprint: String,
    },
    /// A signature does not fit.
    BadSignature,
    /// There is no signature.
    Unsigned,
}

/// Could the log be read?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decryption {
    /// Yes.
    Ok,
    /// The reader was given no identity.
    NotAttempted,
    /// None of the identities is a recipient.
    NoMatchingIdentity,
    /// The recipient was given another key than the header commits to: somebody meant to show two readers two different logs.
    KeyCommitmentMismatch,
}

/// Against whom does the log's secrecy hold?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strength {
    /// Also against a quantum computer: every recipient is post-quantum.
    PostQuantum,
    /// Not against a quantum computer: at least one recipient is classical.
    Classical,
    /// No header was read.
    Unknown,
}

/// What is wrong with a place in a log.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The first bytes are not those of a log.
    #[error("not a session log")]
    Magic,
    /// A major version that this reader has not.
    #[error("format version {0} is not known")]
    Version(u8),
    /// A suite that this reader has not.
    #[error("suite 0x{0:04x} is not known")]
    Suite(u16),
    /// A length in the preamble is over its limit.
    #[error("a header length exceeds its limit")]
    HeaderLimit,
    /// The header map is malformed.
    #[error("the header is malformed")]
    Header,
    /// The header demands something that this reader has not.
    #[error("the header demands an unknown extension")]
    CriticalExtension,
    /// The recipient stanzas are malformed.
    #[error("the recipient stanzas are malformed")]
    Wraps,
    /// The recipient stanzas are not those the signer saw.
    #[error("the recipient stanzas were replaced")]
    WrapsReplaced,
    /// The segment is not the one that follows.
    #[error("the segment does not follow the one before it")]
    SegmentNotContinued,
    /// The segment is larger than any.
    #[error("the segment exceeds its size limit")]
    SegmentTooLarge,
    /// The frame does not begin with its two marks.
    #[error("no frame begins here")]
    Sync,
    /// The frame is of a kind that this reader has not and must not skip.
    #[error("the frame kind is not known")]
    FrameKind,
    /// The frame has flags that this version has not.
    #[error("the frame has unknown flags")]
    FrameFlags,
    /// The frame's length is impossible.
    #[error("the frame length is out of range")]
    FrameLength,
    /// A frame that was there before, or an earlier one.
    #[error("the frame is repeated or out of order")]
    FrameRepeated,
    /// Frames are missing before this one.
    #[error("frames are missing")]
    FramesMissing,
    /// More frames than a segment has.
    #[error("the segment has too many frames")]
    TooManyFrames,
    /// The frame stands in another epoch or at another index than its number says.
    #[error("the frame's place in its epoch is wrong")]
    FramePlace,
    /// The frame was changed, or does not belong here.
    #[error("the frame is not authentic")]
    NotAuthentic,
    /// The frame's padding or lengths are not those of a writer.
    #[error("the frame content is malformed")]
    FrameContent,
    /// A record is malformed.
    #[error("a record is malformed")]
    Record,
    /// The segment does not begin with its signature.
    #[error("the opening signature is missing")]
    OpenMissing,
    /// The opening signature is malformed or stands elsewhere.
    #[error("the opening frame is malformed or misplaced")]
    Open,
    /// The opening signature does not fit.
    #[error("the opening signature is wrong")]
    OpenSignature,
    /// The checkpoint is malformed.
    #[error("the checkpoint is malformed")]
    Checkpoint,
    /// The checkpoint's signature does not fit.
    #[error("the checkpoint signature is wrong")]
    CheckpointSignature,
    /// The frames before the checkpoint are not those it vouches for.
    #[error("the frames are not those that the checkpoint signs")]
    RootMismatch,
    /// The final checkpoint does not follow a summary, or something else does.
    #[error("the summary and the final checkpoint do not belong together")]
    Summary,
    /// The summary says other than the records before it.
    #[error("the summary is not that of the records")]
    SummaryMismatch,
    /// The index is malformed, leads elsewhere, or stands where none belongs.
    #[error("the index is malformed or misplaced")]
    Index,
    /// The statement about a broken log is malformed, misplaced, or not about this one.
    #[error("what is attested is not what is there")]
    Attestation,
    /// The last bytes do not lead to the index.
    #[error("the trailer does not lead to the index")]
    Trailer,
    /// Bytes follow the end.
    #[error("data follows the end of the log")]
    DataAfterEnd,
}

impl Fault {
    /// Whether no accident of storage makes it.
    pub(crate) fn is_deliberate(self) -> bool {
        matches!(
            self,
            Fault::FrameRepeated
                | Fault::OpenSignature
                | Fault::CheckpointSignature
                | Fault::SegmentNotContinued
                | Fault::SummaryMismatch
                | Fault::Trailer
                | Fault::DataAfterEnd
        )
    }
}
