//! Reading from a time on, without what lies before.
//!
//! ```text
//! trailer ─▶ header of the last segment ─▶ its INDEX ─┬────────────────▶ header ─▶ place ─▶ a reader that stands there
//!                     ▲                               │ (earlier time)
//!                     └────── an earlier segment ◀────┘
//! ```

use alloc::vec::Vec;
use core::fmt;

use crate::error::SeekError;
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameKind};
use crate::header::{PREAMBLE_BYTES, Preamble};
use crate::index::{Index, Trailer};
use crate::reader::{Event, Reader, ReaderConfig};

/// Where to begin to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekTo {
    /// So many microseconds after the log's beginning.
    Time {
        /// Microseconds.
        t_us: u64,
    },
    /// So many microseconds before its end.
    BeforeEnd {
        /// Microseconds.
        us: u64,
    },
}

/// Bytes of the log that are wanted next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Byte offset in the log.
    pub offset: u64,
    /// How many, at most a frame.
    pub bytes: u32,
}

/// Finds a time in a log. Give [`Self::handle_bytes`] what [`Self::poll_wanted`] asks for, until it asks for nothing; then take the reader.
pub struct Seeker {
    reader: Reader,
    log_bytes: u64,
    to: SeekTo,
    step: Step,
    /// The header of the segment at hand.
    header: Vec<u8>,
    segment_offset: u64,
    index_offset: u64,
}

#[derive(Clone, Copy)]
enum Step {
    Trailer,
    Preamble,
    Header { bytes: u32 },
    IndexHead,
    IndexFrame { bytes: u32 },
    Found { offset: u64 },
}

/// A reader that stands at a place, and where to go on.
#[derive(Debug)]
pub struct Sought {
    /// Reads from the place on. Its verdict says [`crate::Completeness::Excerpt`]: frames prove themselves by their keys, and no signature over
    /// the whole is checked.
    pub reader: Reader,
    /// Byte offset of the first byte to push.
    pub offset: u64,
}

impl Seeker {
    /// A search in a log of this length. Of the configuration, an identity must be a recipient: the index is encrypted.
    #[must_use]
    pub fn new(config: ReaderConfig, log_bytes: u64, to: SeekTo) -> Seeker {
        Seeker {
            reader: Reader::new(config),
            log_bytes,
            to,
            step: Step::Trailer,
            header: Vec::new(),
            segment_offset: 0,
            index_offset: 0,
        }
    }

    /// The bytes that are wanted next; `None` when the place is found.
    #[must_use]
    pub fn poll_wanted(&self) -> Option<Wanted> {
        let (offset, bytes) = match self.step {
            Step::Trailer => (
                self.log_bytes.saturating_sub(Trailer::BYTES as u64),
                Trailer::BYTES as u32,
            ),
            Step::Preamble => (self.segment_offset, PREAMBLE_BYTES as u32),
            Step::Header { bytes } => (self.segment_offset, bytes),
            Step::IndexHead => (self.index_offset, FRAME_HEADER_BYTES as u32),
            Step::IndexFrame { bytes } => (self.index_offset, bytes),
            Step::Found { .. } => return None,
        };
        Some(Wanted { offset, bytes })
    }

    /// Takes the wanted bytes.
    ///
    /// # Errors
    /// When the log has no index, none of the identities opens it, or what it leads to is not what it says. Reading from the beginning is always
    /// possible.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(), SeekError> {
        match self.step {
            Step::Trailer => {
                let trailer = Trailer::parse(bytes).ok_or(SeekError::NoIndex)?;
                self.segment_offset = trailer.segment_offset;
                self.index_offset = trailer.index_offset;
                self.step = Step::Preamble;
            }
            Step::Preamble => {
                let head = bytes.first_chunk().ok_or(SeekError::Misled)?;
                let preamble = Preamble::parse(head).map_err(|_| SeekError::Misled)?;
                self.step = Step::Header {
                    bytes: preamble.header_len() as u32,
                };
            }
            Step::Header { .. } => {
                self.header = bytes.to_vec();
                self.check_place(self.index_offset)?;
                self.enter_segment()?;
                self.reader.jump(self.index_offset);
                self.step = Step::IndexHead;
            }
            Step::IndexHead => {
                let head = bytes.first_chunk().ok_or(SeekError::Misled)?;
                let header = FrameHeader::parse(head).map_err(|_| SeekError::Misled)?;
                if header.kind != FrameKind::Index {
                    return Err(SeekError::Misled);
                }
                self.step = Step::IndexFrame {
                    bytes: header.frame_len() as u32,
                };
            }
            Step::IndexFrame { .. } => {
                self.reader.push(bytes);
                let mut found = None;
                while let Some(event) = self.reader.poll() {
                    if let Event::Index(index) = event {
                        found = Some(index);
                    }
                }
                self.choose(&found.ok_or(SeekError::Misled)?)?;
            }
            Step::Found { .. } => {}
        }
        Ok(())
    }

    fn choose(&mut self, index: &Index) -> Result<(), SeekError> {
        let t_us = match self.to {
            SeekTo::Time { t_us } => t_us,
            // The index is the last that its writer wrote but the summary.
            SeekTo::BeforeEnd { us } => self.reader.frame_t_us().saturating_sub(us),
        };
        self.to = SeekTo::Time { t_us };
        if let Some(earlier) = index.segment_before(t_us) {
            // Earlier segments lie before this one, so the search ends.
            if earlier.offset >= self.segment_offset {
                return Err(SeekError::Misled);
            }
            self.segment_offset = earlier.offset;
            self.index_offset = earlier.index_offset;
            self.step = Step::Preamble;
            return Ok(());
        }
        self.enter_segment()?;
        let from_segment = index
            .place_before(t_us)
            .map_or(self.header.len() as u64, |place| place.offset);
        let offset = self.segment_offset.saturating_add(from_segment);
        self.check_place(offset)?;
        self.reader.jump(offset);
        self.step = Step::Found { offset };
        Ok(())
    }

    /// A frame of the segment at hand lies behind its header and within the log.
    fn check_place(&self, offset: u64) -> Result<(), SeekError> {
        let first = self.segment_offset.saturating_add(self.header.len() as u64);
        if (first..self.log_bytes).contains(&offset) {
            Ok(())
        } else {
            Err(SeekError::Misled)
        }
    }

    /// Lets the reader begin the segment at hand anew.
    fn enter_segment(&mut self) -> Result<(), SeekError> {
        self.reader.restart(self.segment_offset);
        self.reader.push(&self.header);
        let mut entered = false;
        while let Some(event) = self.reader.poll() {
            entered |= matches!(event, Event::Segment(_));
        }
        match (entered, self.reader.has_key()) {
            (true, true) => Ok(()),
            (true, false) => Err(SeekError::NoMatchingIdentity),
            (false, _) => Err(SeekError::Misled),
        }
    }

    /// The time that the place is at or before, microseconds since the log's beginning.
    #[must_use]
    pub fn t_us(&self) -> Option<u64> {
        match (self.step, self.to) {
            (Step::Found { .. }, SeekTo::Time { t_us }) => Some(t_us),
            _ => None,
        }
    }

    /// The reader, once the place is found.
    #[must_use]
    pub fn into_sought(self) -> Option<Sought> {
        match self.step {
            Step::Found { offset } => Some(Sought {
                reader: self.reader,
                offset,
            }),
            _ => None,
        }
    }
}

impl fmt::Debug for Seeker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seeker")
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
