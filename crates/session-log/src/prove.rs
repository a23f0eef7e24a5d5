//! One frame of a log, shown to somebody who may see no other: its key, its place in the tree, and the signatures over that.

mod check;

pub use check::{Proven, check_proof};

use alloc::vec::Vec;
use core::fmt;

use crate::cbor;
use crate::error::ProveError;
use crate::frame::FrameKind;
use crate::hash::Digest;
use crate::reader::{Event, Reader, ReaderConfig, SegmentInfo, Statement};
use crate::suite::Suite;
use crate::tree::inclusion_path;

/// The signatures of one segment, up to the one that covers the frame.
struct Chain {
    signed_header: Vec<u8>,
    open: Vec<u8>,
    checkpoints: Vec<Vec<u8>>,
}

/// Reads a log and keeps what proves one frame of it.
pub struct Prover {
    reader: Reader,
    segment: u32,
    seq: u64,
    suite: Option<Suite>,
    chain: Vec<Chain>,
    leaves: Vec<Digest>,
    here: bool,
    size: Option<u64>,
}

impl Prover {
    /// For the frame `seq` of the segment. One of the identities must be a recipient.
    #[must_use]
    pub fn new(config: ReaderConfig, segment: u32, seq: u64) -> Prover {
        let mut reader = Reader::new(config);
        reader.watch(segment, seq);
        Prover {
            reader,
            segment,
            seq,
            suite: None,
            chain: Vec::new(),
            leaves: Vec::new(),
            here: false,
            size: None,
        }
    }

    /// Takes further bytes of the log.
    pub fn push(&mut self, bytes: &[u8]) {
        self.reader.push(bytes);
        let mut reader = core::mem::take(&mut self.reader);
        while let Some(event) = reader.poll() {
            if self.size.is_none() {
                self.take(event);
            }
        }
        self.reader = reader;
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Segment(info) => self.begin_segment(info),
            Event::Open(statement) => {
                if let (Some(chain), Some(suite)) = (self.chain.last_mut(), self.suite) {
                    chain.open =
                        statement.open_body(suite, chain_kind(&chain.signed_header, suite));
                }
            }
            Event::Frame(frame) if self.here => self.leaves.push(frame.leaf),
            Event::Checkpoint(info) => {
                let body = info.statement.as_ref().map(Statement::checkpoint_body);
                if let (Some(chain), Some(body)) = (self.chain.last_mut(), body) {
                    chain.checkpoints.push(body);
                }
                if self.here && info.frames > self.seq {
                    self.size = Some(info.frames);
                }
            }
            _ => {}
        }
    }

    fn begin_segment(&mut self, info: SegmentInfo) {
        self.suite = Some(info.suite);
        self.here = info.number == self.segment;
        self.leaves.clear();
        self.chain.push(Chain {
            signed_header: info.signed_header,
            open: Vec::new(),
            checkpoints: Vec::new(),
        });
    }

    /// After the last byte, or earlier once the frame is covered: the proof.
    ///
    /// # Errors
    /// When the log has no such frame, no signature covers it, it is not encrypted, or none of the identities opens it.
    pub fn finish(mut self) -> Result<Vec<u8>, ProveError> {
        let size = self.size.ok_or(ProveError::NotCovered)?;
        let secret = self.reader.take_watched().ok_or(ProveError::NotOpened)?;
        let suite = self.suite.ok_or(ProveError::NotCovered)?;
        let leaves = usize::try_from(size)
            .ok()
            .and_then(|size| self.leaves.get(..size))
            .ok_or(ProveError::NotCovered)?;
        let path = inclusion_path(suite.hash(), self.seq as usize, leaves);
        Ok(cbor::encode_vec(|e| {
            e.map(6)?;
            e.u8(1)?.u16(suite.id())?;
            e.u8(2)?.array(self.chain.len() as u64)?;
            for chain in &self.chain {
                e.array(3)?
                    .bytes(&chain.signed_header)?
                    .bytes(&chain.open)?;
                e.array(chain.checkpoints.len() as u64)?;
                for body in &chain.checkpoints {
                    e.bytes(body)?;
                }
            }
            e.u8(3)?.bytes(&secret.frame)?;
            e.u8(4)?.array(path.len() as u64)?;
            for beside in &path {
                e.bytes(beside.as_bytes())?;
            }
            e.u8(5)?.bytes(&*secret.key)?;
            e.u8(6)?.bytes(&secret.nonce).map(|_| ())
        }))
    }

    /// Whether a fault ended the reading: further bytes change nothing any more.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.reader.is_stopped()
    }

    /// Whether enough was read.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        self.size.is_some()
    }
}

/// The first segment is opened by the identity, later ones by those before.
fn chain_kind(signed_header: &[u8], suite: Suite) -> u8 {
    let core = signed_header.get(16..).unwrap_or_default();
    crate::header::Core::parse(suite, core).map_or(0, |core| u8::from(core.segment_no > 0))
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prover")
            .field("segment", &self.segment)
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

/// Frames that a proof may be of.
fn may_be_proven(kind: FrameKind) -> bool {
    matches!(
        kind,
        FrameKind::Data | FrameKind::Summary | FrameKind::Index
    )
}
