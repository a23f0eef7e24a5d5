//! Reading a log: bytes in, events out, a verdict at any time.
//!
//! ```text
//! Preamble ──▶ Frames ──▶ (rotated checkpoint) ──▶ Preamble …
//!    │            │ └────▶ (final or abort checkpoint) ──▶ Trailer ──▶ Ended
//!    └── fault ───┴─ strict: Stopped       salvage: look for the next frame or segment that can be trusted
//! ```

mod event;
mod scan;
mod segment;
mod steps;
pub(crate) mod unlock;
mod verdict;

pub use event::{CheckpointInfo, Event, FrameInfo, GapInfo, RecipientInfo, SegmentInfo, Statement};
pub use verdict::{
    Authenticity, Completeness, Decryption, Fault, Integrity, Position, Strength, Verdict,
};

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use zeroize::Zeroize;

use crate::checkpoint::CheckpointKind;
use crate::grant::Sidecar;
use crate::keyfile::Identity;
use crate::limits::MAX_SALVAGE_STEPS;
use crate::record::{RecordView, next_raw};
use crate::signers::Signers;
use crate::summary::Tally;
use scan::Scan;
pub(crate) use segment::{FoundLog, FrameSecret};
use segment::{Prior, Segment};

/// What to do at a place that is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReadMode {
    /// Stop there.
    #[default]
    Strict,
    /// Skip it, say so with [`Event::Gap`], and go on with what can be read.
    Salvage,
}

/// How to read.
#[derive(Debug, Default)]
pub struct ReaderConfig {
    /// Keys to decrypt with, at most [`crate::limits::MAX_IDENTITIES`] are tried. None: verify only.
    pub identities: Vec<Identity>,
    /// Whom to trust. `None`: every signer is untrusted.
    pub signers: Option<Signers>,
    /// What to do at a fault.
    pub mode: ReadMode,
    /// Further recipients of the log, granted after it was written.
    pub sidecars: Vec<Sidecar>,
}

/// Reads one log from bytes pushed in pieces of any size.
///
/// Call [`Self::poll`] after each [`Self::push`] until it gives `None`: then at most one frame (1 MiB) and one header (320 KiB) are held besides
/// the last piece. After the last piece call [`Self::finish`] and drain once more; then [`Self::verdict`] is final.
pub struct Reader {
    config: ReaderConfig,
    input: Vec<u8>,
    /// Where in `input` the unread bytes begin, and where in the log that is.
    at: usize,
    offset: u64,
    ended: bool,
    stage: Stage,
    segment: Option<Segment>,
    segment_began: u64,
    prior: Option<Prior>,
    events: VecDeque<Event<'static>>,
    /// The decrypted frame, and which part of it still holds records.
    plain: Vec<u8>,
    records: Range<usize>,
    t_us: u64,
    frame_offset: u64,
    /// What SUMMARY must say, as long as every record of the log was read.
    tally: Tally,
    /// Where the last INDEX frame of the segment is.
    index_offset: Option<u64>,
    /// The segment and frame whose key is to be kept.
    watch: Option<(u32, u64)>,
    watched: Option<FrameSecret>,
    /// It does not read from the beginning.
    jumped: bool,
    scan: Option<Scan>,
    /// Work that places which do not hold may still cost, in ratchet steps.
    budget: u64,
    found: Found,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Preamble,
    Frames,
    Trailer,
    Ended,
    Stopped,
}

/// What goes into the verdict.
struct Found {
    frames: u64,
    attested_frames: u64,
    end: Option<CheckpointKind>,
    /// The frames that the writer vouched for and all that were found, when the log was found broken.
    recovered: Option<(u64, u64)>,
    /// Nothing was skipped so far: what a checkpoint vouches for is all there.
    whole: bool,
    integrity: Integrity,
    authenticity: Authenticity,
    decryption: Option<Decryption>,
    strength: Strength,
}

/// A record's place in the decrypted frame.
struct RecordAt {
    range: Range<usize>,
    t_us: u64,
}

/// Bytes that are kept in front of the unread ones before they are moved away.
const COMPACT_BYTES: usize = 65_536;

impl Reader {
    /// A reader at the beginning of a log.
    #[must_use]
    pub fn new(config: ReaderConfig) -> Reader {
        Reader {
            config,
            input: Vec::new(),
            at: 0,
            offset: 0,
            ended: false,
            stage: Stage::Preamble,
            segment: None,
            segment_began: 0,
            prior: None,
            events: VecDeque::new(),
            plain: Vec::new(),
            records: 0..0,
            t_us: 0,
            frame_offset: 0,
            tally: Tally::new(false),
            index_offset: None,
            watch: None,
            watched: None,
            jumped: false,
            scan: None,
            budget: MAX_SALVAGE_STEPS,
            found: Found {
                frames: 0,
                attested_frames: 0,
                end: None,
                recovered: None,
                whole: true,
                integrity: Integrity::Intact,
                authenticity: Authenticity::Unsigned,
                decryption: None,
                strength: Strength::Unknown,
            },
        }
    }

    /// Takes further bytes of the log. A reader that stopped passes over them.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.stage == Stage::Stopped {
            return;
        }
        if self.at >= COMPACT_BYTES || self.at == self.input.len() {
            self.input.drain(..self.at);
            self.at = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    /// Says that no bytes follow. Drain [`Self::poll`] once more afterwards.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// Whether a fault ended the reading: further bytes change nothing any more. Only [`ReadMode::Strict`] stops.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stage == Stage::Stopped
    }

    /// The next event, or `None` when more bytes are needed or the reader is done.
    pub fn poll(&mut self) -> Option<Event<'_>> {
        let record = self.advance()?;
        let Some(RecordAt { range, t_us }) = record else {
            return self.events.pop_front();
        };
        // `advance` decoded this very record, so neither step fails.
        let (raw, _) = next_raw(self.plain.get(range)?).ok()?;
        Some(Event::Record(RecordView {
            t_us,
            channel: raw.channel,
            kind: raw.kind,
            record: raw.decode().ok()?,
        }))
    }

    /// What is known so far; final after [`Self::finish`] and the last event.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let frames = self.found.frames;
        let completeness = match self.found.end {
            _ if self.jumped => Completeness::Excerpt,
            Some(CheckpointKind::Final) => Completeness::Complete,
            Some(CheckpointKind::Recovered) => {
                let (attested_frames, frames) = self.found.recovered.unwrap_or_default();
                Completeness::Recovered {
                    attested_frames,
                    frames,
                }
            }
            Some(_) => Completeness::Aborted { frames },
            None if self.ended && self.found.whole && self.stage == Stage::Trailer => {
                Completeness::TrailerMissing
            }
            None if self.ended || self.stage == Stage::Stopped => Completeness::Truncated {
                attested_frames: self.found.attested_frames,
                frames,
            },
            None => Completeness::InProgress,
        };
        let no_key = if self.config.identities.is_empty() {
            Decryption::NotAttempted
        } else {
            Decryption::NoMatchingIdentity
        };
        Verdict {
            completeness,
            integrity: self.found.integrity,
            authenticity: self.found.authenticity.clone(),
            decryption: self.found.decryption.unwrap_or(no_key),
            strength: self.found.strength,
        }
    }

    /// What a recovery of the log read so far stands on.
    pub(crate) fn found(&self) -> Option<FoundLog> {
        let prior = self.segment.as_ref().map(Segment::as_prior);
        let usable = prior.filter(|prior| prior.found_log().is_some());
        usable.or(self.prior)?.found_log()
    }

    /// Keeps the key of a frame when it comes.
    pub(crate) fn watch(&mut self, segment: u32, seq: u64) {
        self.watch = Some((segment, seq));
    }

    pub(crate) fn take_watched(&mut self) -> Option<FrameSecret> {
        let here = self
            .segment
            .as_mut()
            .and_then(|segment| segment.watched.take());
        self.watched.take().or(here)
    }

    /// Whether the segment at hand can be read.
    pub(crate) fn has_key(&self) -> bool {
        self.segment.as_ref().is_some_and(Segment::has_key)
    }

    /// When the last frame with content began.
    pub(crate) fn frame_t_us(&self) -> u64 {
        self.t_us
    }

    /// Goes to the first byte of a segment.
    pub(crate) fn restart(&mut self, offset: u64) {
        self.move_to(offset);
        self.segment = None;
        self.prior = None;
        self.stage = Stage::Preamble;
    }

    /// Goes to a later frame of the segment at hand.
    pub(crate) fn jump(&mut self, offset: u64) {
        self.move_to(offset);
        if let Some(segment) = &mut self.segment {
            segment.jump();
        }
    }

    fn move_to(&mut self, offset: u64) {
        self.jumped = true;
        self.found.whole = false;
        self.input.clear();
        self.at = 0;
        self.offset = offset;
        self.records = 0..0;
        self.events.clear();
        self.scan = None;
    }

    /// `Some(None)`: an event stands in the queue. `Some(Some(_))`: a record. `None`: nothing to be had now.
    fn advance(&mut self) -> Option<Option<RecordAt>> {
        loop {
            if !self.events.is_empty() {
                return Some(None);
            }
            if !self.records.is_empty() {
                match self.next_record() {
                    Some(record) => return Some(Some(record)),
                    None => continue,
                }
            }
            let moved = match self.stage {
                Stage::Preamble => self.read_header(),
                Stage::Frames => self.read_frame(),
                Stage::Trailer => self.read_trailer(),
                Stage::Ended => self.refuse_more(),
                Stage::Stopped => false,
            };
            if !moved && self.events.is_empty() {
                return None;
            }
        }
    }

    fn unread(&self) -> &[u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.input.len().saturating_sub(self.at));
        self.at += bytes;
        self.offset = self.offset.saturating_add(bytes as u64);
    }

    fn next_record(&mut self) -> Option<RecordAt> {
        let start = self.records.start;
        let content = self.plain.get(self.records.clone()).unwrap_or_default();
        let counted = next_raw(content).and_then(|(raw, len)| {
            let t_us = self.t_us.saturating_add(raw.dt_us);
            match raw.data()? {
                Some((kind, data)) => self.tally.data(t_us, raw.channel, kind, data),
                None => self.tally.record(t_us, raw.channel, &raw.decode()?),
            }
            Ok((t_us, len))
        });
        if let Ok((t_us, len)) = counted {
            self.t_us = t_us;
            self.records.start = start + len;
            return Some(RecordAt {
                range: start..start + len,
                t_us: self.t_us,
            });
        }
        self.records = 0..0;
        // The frame itself was authentic, so this is what its writer signed for: no bytes are skipped, the records behind it are.
        self.fault_at(Fault::Record, self.frame_offset);
        if self.config.mode == ReadMode::Salvage {
            self.events.push_back(Event::Gap(GapInfo {
                offset: self.frame_offset,
                bytes: 0,
                frames: 0,
                fault: Fault::Record,
            }));
        }
        None
    }

    /// Bytes after the end.
    fn refuse_more(&mut self) -> bool {
        if self.unread().is_empty() {
            return false;
        }
        self.fault_at(Fault::DataAfterEnd, self.offset);
        let rest = self.unread().len();
        self.consume(rest);
        false
    }

    /// The bytes end inside something. In salvage a damaged length may be the reason, so the rest is searched.
    fn cut_short(&mut self) -> bool {
        if self.ended && self.config.mode == ReadMode::Salvage {
            self.scan = Some(Scan::new(self.offset, Fault::FrameLength, false));
            return true;
        }
        false
    }

    /// A fault at the unread bytes: stops, or begins to look for something readable.
    fn fault(&mut self, fault: Fault) -> bool {
        self.fault_at(fault, self.offset);
        if self.config.mode == ReadMode::Salvage && self.stage != Stage::Stopped {
            self.scan = Some(Scan::new(self.offset, fault, true));
            return true;
        }
        false
    }

    fn fault_at(&mut self, fault: Fault, offset: u64) {
        if matches!(fault, Fault::OpenSignature | Fault::CheckpointSignature) {
            self.found.authenticity = Authenticity::BadSignature;
        }
        let at = Position {
            offset,
            segment: self.segment.as_ref().map_or(0, Segment::number),
            frame: self.segment.as_ref().map_or(0, Segment::next_seq),
        };
        let strict = self.config.mode == ReadMode::Strict;
        self.found.integrity = match self.found.integrity {
            tampered @ Integrity::Tampered { .. } => tampered,
            _ if strict || fault.is_deliberate() => Integrity::Tampered { at, why: fault },
            Integrity::Damaged { gaps } => Integrity::Damaged {
                gaps: gaps.saturating_add(1),
            },
            Integrity::Intact => Integrity::Damaged { gaps: 1 },
        };
        if strict {
            self.stage = Stage::Stopped;
            self.input.clear();
            self.at = 0;
            self.records = 0..0;
        }
    }
}

impl Default for Reader {
    /// A reader that trusts nobody and opens nothing.
    fn default() -> Reader {
        Reader::new(ReaderConfig::default())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.plain.zeroize();
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
