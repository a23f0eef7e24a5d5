//! Salvage: from a fault to the next frame or segment that holds.

use super::event::{Event, GapInfo};
use super::verdict::Fault;
use super::{Reader, Stage};
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, SYNC};
use crate::header::{MAGIC, PREAMBLE_BYTES, Preamble};

/// A search in progress.
pub(super) struct Scan {
    /// Where the bytes that do not hold begin.
    from: u64,
    /// What was found there.
    fault: Fault,
    /// The fault stands in the verdict already. It does not when the file may just end here.
    counted: bool,
    /// Nothing was tried at the current place yet: it is the place of the fault itself.
    fresh: bool,
}

impl Scan {
    pub(super) fn new(from: u64, fault: Fault, counted: bool) -> Scan {
        Scan {
            from,
            fault,
            counted,
            fresh: true,
        }
    }
}

/// What stands at a place.
enum Candidate {
    Frame(FrameHeader, u64),
    /// A header whose bytes are all there, and their number.
    Segment(usize),
    /// More bytes are needed to tell.
    Unclear,
}

impl Reader {
    /// Moves to the next place that might hold and tries it. Whether anything moved.
    pub(super) fn scan_on(&mut self) -> bool {
        let Some(scan) = &mut self.scan else {
            return false;
        };
        // A frame whose header is plausible and whose body is not is skipped as a whole if another one follows it.
        let skip = if core::mem::take(&mut scan.fresh) {
            // Where a frame should stand, the next segment may: then the frames between are what is lost.
            let segment_here = self.stage == Stage::Frames && self.unread().starts_with(&MAGIC);
            self.damaged_frame_len()
                .unwrap_or(usize::from(!segment_here))
        } else {
            0
        };
        self.consume(skip);
        loop {
            let unread = self.input.get(self.at..).unwrap_or_default();
            let Some(step) = unread
                .windows(2)
                .position(|pair| pair == SYNC || MAGIC.starts_with(pair))
            else {
                let keep = usize::from(!self.ended);
                self.consume(unread.len().saturating_sub(keep));
                return self.scan_ended();
            };
            self.consume(step);
            match self.candidate() {
                Some(Candidate::Segment(len)) => {
                    let Some(budget) = self.budget.checked_sub(1 + len as u64 / 1_024) else {
                        self.consume(1);
                        continue;
                    };
                    // A false header costs as much as a true one, and nothing tells them apart.
                    self.budget = budget;
                    if self.try_header() == Some(Ok(())) {
                        return true;
                    }
                    self.consume(1);
                }
                Some(Candidate::Frame(header, missing)) => {
                    let cost = 1 + header.frame_len() as u64 / 1_024;
                    let Some(budget) = self.budget.checked_sub(cost) else {
                        self.consume(1);
                        continue;
                    };
                    if let Some(segment) = &mut self.segment {
                        segment.note_gap();
                    }
                    if self.try_frame(&header, missing).is_ok() {
                        return true;
                    }
                    self.budget = self.budget.min(budget);
                    self.consume(1);
                }
                Some(Candidate::Unclear) => return self.scan_ended(),
                None => self.consume(1),
            }
        }
    }

    /// Nothing more to search in these bytes.
    fn scan_ended(&mut self) -> bool {
        if self.ended && self.unread().is_empty() {
            if self.scan.as_ref().is_some_and(|scan| scan.counted) {
                self.close_scan(self.offset, 0);
            }
            self.scan = None;
        }
        false
    }

    /// Length of the frame at the fault, when a frame or nothing stands right behind it.
    fn damaged_frame_len(&self) -> Option<usize> {
        let unread = self.unread();
        let header = FrameHeader::parse(unread.first_chunk::<FRAME_HEADER_BYTES>()?).ok()?;
        let behind = unread.get(header.frame_len()..)?;
        (behind.is_empty() || behind.starts_with(&SYNC)).then_some(header.frame_len())
    }

    fn candidate(&self) -> Option<Candidate> {
        let unread = self.unread();
        // At the end of the input, bytes that are missing will not come.
        let unclear = if self.ended {
            None
        } else {
            Some(Candidate::Unclear)
        };
        if unread.starts_with(&SYNC) {
            let Some(head) = unread.first_chunk::<FRAME_HEADER_BYTES>() else {
                return unclear;
            };
            let header = FrameHeader::parse(head).ok()?;
            let missing = self.segment.as_ref()?.place(&header, true).ok()?;
            if unread.len() < header.frame_len() {
                return unclear;
            }
            return Some(Candidate::Frame(header, missing));
        }
        let Some(preamble) = unread.first_chunk::<PREAMBLE_BYTES>() else {
            return unclear;
        };
        let len = Preamble::parse(preamble).ok()?.header_len();
        if unread.len() < len {
            return unclear;
        }
        Some(Candidate::Segment(len))
    }

    /// Ends a search, if one is on, and reports what was skipped up to `here`.
    pub(super) fn close_scan(&mut self, here: u64, frames: u64) {
        if let Some(scan) = self.scan.take() {
            self.found.whole = false;
            if !scan.counted {
                self.fault_at(scan.fault, scan.from);
            }
            self.events.push_back(Event::Gap(GapInfo {
                offset: scan.from,
                bytes: here.saturating_sub(scan.from),
                frames,
                fault: scan.fault,
            }));
        }
    }
}
