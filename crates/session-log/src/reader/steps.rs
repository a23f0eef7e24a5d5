//! The steps of the reader: one header, one frame.

use alloc::string::String;

use super::event::{CheckpointInfo, Event, FrameInfo, Statement};
use super::scan::Scan;
use super::segment::{Acceptance, Accepted, Opened, Segment};
use super::verdict::{Authenticity, Decryption, Fault, Integrity, Strength};
use super::{ReadMode, Reader, Stage};
use crate::checkpoint::{CheckpointKind, OpenKind};
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, SYNC};
use crate::header::{Core, MAGIC, PREAMBLE_BYTES, Preamble, PreviousState};
use crate::index::{Index, TRAILER_BYTES, Trailer};
use crate::limits::MAX_SEGMENT_BYTES;
use crate::summary::Summary;

impl Reader {
    /// Whether anything moved.
    pub(super) fn read_header(&mut self) -> bool {
        if self.scan.is_some() {
            return self.scan_on();
        }
        let unread = self.unread();
        if unread.len() < PREAMBLE_BYTES {
            // A wrong first byte is not the beginning of anything that more bytes could complete.
            if !unread.is_empty()
                && !MAGIC.starts_with(unread.get(..unread.len().min(8)).unwrap_or_default())
            {
                return self.fault(Fault::Magic);
            }
            return false;
        }
        match self.try_header() {
            Some(Ok(())) => true,
            Some(Err(fault)) => self.fault(fault),
            None => self.cut_short(),
        }
    }

    /// Opens the segment whose header is at the front of the unread bytes, or leaves everything as it was. `None`: not all of it is there.
    pub(super) fn try_header(&mut self) -> Option<Result<(), Fault>> {
        let unread = self.input.get(self.at..).unwrap_or_default();
        let (preamble_bytes, rest) = unread.split_first_chunk::<PREAMBLE_BYTES>()?;
        let preamble = match Preamble::parse(preamble_bytes) {
            Ok(preamble) => preamble,
            Err(fault) => return Some(Err(fault.into())),
        };
        let (core, rest) = rest.split_at_checked(preamble.core_len as usize)?;
        let (wraps, _) = rest.split_at_checked(preamble.wraps_len as usize)?;
        let searching = self.scan.is_some();
        let prior = self.segment.as_ref().map(Segment::as_prior).or(self.prior);
        let opened = Segment::open(
            (preamble_bytes, preamble),
            core,
            wraps,
            (&self.config.identities, &self.config.sidecars),
            prior,
            self.config.mode == ReadMode::Salvage || self.jumped,
            searching.then_some(&mut self.budget),
        );
        let Opened {
            mut segment,
            mut info,
            decryption,
            strength,
            follows,
        } = match opened {
            Ok(opened) => opened,
            Err(fault) => return Some(Err(fault)),
        };
        self.close_scan(self.offset, 0);
        self.prior = prior;
        self.found.whole &= follows;
        if !follows && !searching && !self.jumped {
            self.fault_at(Fault::SegmentNotContinued, self.offset);
        }
        self.segment_began = self.offset;
        info.offset = self.offset;
        self.index_offset = None;
        segment.watch = self
            .watch
            .filter(|(number, _)| *number == segment.number())
            .map(|(_, seq)| seq);
        let says_what_was_found = segment.is_recovered();
        if says_what_was_found {
            self.found.recovered = Some((self.found.attested_frames, self.found.frames));
        }
        self.consume(preamble.header_len());
        self.segment = Some(segment);
        self.stage = Stage::Frames;
        self.events.push_back(Event::Segment(info));
        if !says_what_was_found {
            self.judge_secrecy(decryption, strength);
        }
        Some(Ok(()))
    }

    /// Takes what a header says of the segment's secrecy. One that says what was found of a broken log encrypts nothing, and is not asked.
    fn judge_secrecy(&mut self, decryption: Decryption, strength: Strength) {
        let all_read = self
            .found
            .decryption
            .is_none_or(|so_far| so_far == Decryption::Ok);
        if all_read {
            self.found.decryption = Some(decryption);
        }
        if self.found.strength != Strength::Classical {
            self.found.strength = strength;
        }
    }

    /// Whether anything moved.
    pub(super) fn read_frame(&mut self) -> bool {
        if self.scan.is_some() {
            return self.scan_on();
        }
        let unread = self.input.get(self.at..).unwrap_or_default();
        let Some(head) = unread.first_chunk::<FRAME_HEADER_BYTES>() else {
            let start = |mark: &[u8]| {
                mark.starts_with(
                    unread
                        .get(..unread.len().min(mark.len()))
                        .unwrap_or_default(),
                )
            };
            if !start(&SYNC) && !start(&MAGIC) {
                return self.fault(Fault::Sync);
            }
            return false;
        };
        // Behind a gap it may be that no known key signed the end.
        if !self.found.whole && Trailer::parse(head).is_some() {
            self.stage = Stage::Trailer;
            return true;
        }
        if head.starts_with(&MAGIC) {
            return self.read_recovered_header();
        }
        let Some(segment) = &self.segment else {
            return false;
        };
        let header = match FrameHeader::parse(head) {
            Ok(header) => header,
            Err(fault) => return self.fault(fault.into()),
        };
        let missing = match segment.place(
            &header,
            self.config.mode == ReadMode::Salvage || segment.may_skip(),
        ) {
            Ok(missing) => missing,
            Err(fault) => return self.fault(fault),
        };
        let behind = self.offset.saturating_add(header.frame_len() as u64);
        if behind.saturating_sub(self.segment_began) > MAX_SEGMENT_BYTES {
            return self.fault(Fault::SegmentTooLarge);
        }
        if unread.len() < header.frame_len() {
            return self.cut_short();
        }
        match self.try_frame(&header, missing) {
            Ok(()) => true,
            Err(fault) => self.fault(fault),
        }
    }

    /// A header where a frame should be: the log was found broken here, or it is not whole.
    fn read_recovered_header(&mut self) -> bool {
        let unread = self.input.get(self.at..).unwrap_or_default();
        let Some((preamble, rest)) = unread.split_first_chunk::<PREAMBLE_BYTES>() else {
            return false;
        };
        let Ok(preamble) = Preamble::parse(preamble) else {
            return self.fault(Fault::Sync);
        };
        let Some(core) = rest.get(..preamble.core_len as usize) else {
            return self.cut_short();
        };
        let recovers = Core::parse(preamble.suite, core)
            .is_ok_and(|core| core.previous_state == PreviousState::Recovered);
        if !recovers {
            return self.fault(Fault::Sync);
        }
        match self.try_header() {
            Some(Ok(())) => true,
            Some(Err(fault)) => self.fault(fault),
            None => self.cut_short(),
        }
    }

    /// The last bytes of a log with an index.
    pub(super) fn read_trailer(&mut self) -> bool {
        let unread = self.unread();
        let there = unread.get(..TRAILER_BYTES).unwrap_or(unread);
        let fits = match self.expected_trailer() {
            Some(expected) => expected.encode().starts_with(there),
            // Behind a gap the index may be what is missing.
            None => Trailer::may_begin(there),
        };
        let is_cut = there.len() < TRAILER_BYTES;
        if fits && is_cut {
            return false;
        }
        self.stage = Stage::Ended;
        if !fits {
            self.fault_at(Fault::Trailer, self.offset);
            return true;
        }
        self.consume(TRAILER_BYTES);
        self.found.end = self.found.whole.then_some(CheckpointKind::Final);
        true
    }

    /// What must stand behind the final checkpoint. `None` when too little was read to tell.
    pub(crate) fn expected_trailer(&self) -> Option<Trailer> {
        let index_offset = self.index_offset.filter(|_| self.found.whole)?;
        Some(Trailer {
            segment_offset: self.segment_began,
            index_offset,
        })
    }

    /// Accepts the whole frame at the front of the unread bytes, or leaves everything as it was.
    pub(super) fn try_frame(&mut self, header: &FrameHeader, missing: u64) -> Result<(), Fault> {
        let len = header.frame_len();
        let frame = self
            .input
            .get(self.at..self.at + len)
            .ok_or(Fault::FrameLength)?;
        let segment = self.segment.as_mut().ok_or(Fault::Sync)?;
        let unvouched = segment.is_unvouched();
        let Acceptance {
            accepted,
            missing,
            leaf,
        } = segment.accept(header, frame, missing, &mut self.plain, &mut self.budget)?;
        self.frame_offset = self.offset;
        self.consume(len);
        self.found.frames += 1;
        if missing > 0 && self.scan.is_none() && !self.jumped {
            self.fault_at(Fault::FramesMissing, self.frame_offset);
            self.scan = Some(Scan::new(self.frame_offset, Fault::FramesMissing, true));
        }
        let content_bytes = match &accepted {
            Accepted::Content { range, .. } => u32::try_from(range.len()).ok(),
            _ => None,
        };
        if unvouched
            && header.kind != FrameKind::Open
            && self.found.authenticity != Authenticity::BadSignature
        {
            self.found.authenticity = Authenticity::Unsigned;
        }
        self.close_scan(self.frame_offset, missing);
        self.events.push_back(Event::Frame(FrameInfo {
            kind: header.kind,
            offset: self.frame_offset,
            bytes: len as u32,
            seq: header.seq,
            epoch: header.epoch,
            content_bytes,
            leaf,
        }));
        if header.kind == FrameKind::Index {
            self.index_offset = Some(self.frame_offset);
        }
        self.take_accepted(header.kind, accepted);
        Ok(())
    }

    pub(super) fn take_accepted(&mut self, kind: FrameKind, accepted: Accepted) {
        match accepted {
            Accepted::Opaque => {}
            Accepted::Content { t0_us, range } if kind == FrameKind::Data => {
                self.t_us = t0_us;
                self.records = range;
            }
            Accepted::Content { t0_us, range } if kind == FrameKind::Index => {
                self.t_us = t0_us;
                match Index::decode(self.plain.get(range).unwrap_or_default()) {
                    Ok(index) if index.segment_offset == self.segment_began => {
                        self.events.push_back(Event::Index(index));
                    }
                    _ => self.fault_at(Fault::Index, self.frame_offset),
                }
            }
            Accepted::Content { range, .. } => {
                match Summary::decode(self.plain.get(range).unwrap_or_default()) {
                    Ok(summary) => {
                        if self.has_read_all() && !summary.counts_as(&mut self.tally) {
                            self.fault_at(Fault::SummaryMismatch, self.frame_offset);
                        }
                        self.events.push_back(Event::Summary(summary));
                    }
                    Err(_) => self.fault_at(Fault::Record, self.frame_offset),
                }
            }
            Accepted::Open { kind, statement } => {
                self.judge_signer(kind, &statement);
                self.events.push_back(Event::Open(statement));
            }
            Accepted::Checkpoint(info) => self.take_checkpoint(info),
            Accepted::Attestation(attestation) => {
                if self.found.whole && attestation.kept_bytes != self.segment_began {
                    self.fault_at(Fault::Attestation, self.frame_offset);
                }
                self.events.push_back(Event::Attestation(attestation));
            }
        }
    }

    /// Every record of the log so far was handed out.
    fn has_read_all(&self) -> bool {
        self.found.whole
            && !self.jumped
            && self.found.integrity == Integrity::Intact
            && self.found.decryption == Some(Decryption::Ok)
    }

    pub(super) fn take_checkpoint(&mut self, info: CheckpointInfo) {
        if info.statement.is_some() && self.found.whole {
            self.found.attested_frames = self.found.frames.saturating_sub(1);
        }
        self.events.push_back(Event::Checkpoint(info));
        match self.segment.as_ref().and_then(Segment::end) {
            Some(CheckpointKind::Rotated) => {
                self.watched = self
                    .segment
                    .as_mut()
                    .and_then(|segment| segment.watched.take())
                    .or(self.watched.take());
                self.prior = self.segment.take().as_ref().map(Segment::as_prior);
                self.stage = Stage::Preamble;
            }
            Some(CheckpointKind::Final) if self.index_offset.is_some() || !self.found.whole => {
                self.stage = Stage::Trailer;
            }
            Some(kind) => {
                // A signature over frames that are not all there does not make the log complete.
                self.found.end = self.found.whole.then_some(kind);
                self.stage = Stage::Ended;
            }
            None => {}
        }
    }

    pub(super) fn judge_signer(&mut self, kind: OpenKind, statement: &Statement) {
        let first = self.found.authenticity == Authenticity::Unsigned && self.prior.is_none();
        let judged = match kind {
            // Its key was named by a checkpoint of the segment before, so the judgement over that one stands.
            OpenKind::Continued if self.segment.as_ref().is_some_and(Segment::continues_trust) => {
                return;
            }
            OpenKind::Continued => Authenticity::Unsigned,
            OpenKind::Identity | OpenKind::Recovered => {
                let principals = self
                    .config
                    .signers
                    .as_ref()
                    .and_then(|signers| signers.principals(&statement.public));
                match principals {
                    Some(signer) => Authenticity::Verified {
                        signer: String::from(signer),
                    },
                    None => Authenticity::UntrustedSigner {
                        fingerprint: statement.fingerprint.clone(),
                    },
                }
            }
        };
        // A log is as trustworthy as its least trustworthy segment, and is named for who began it.
        let both = matches!(judged, Authenticity::Verified { .. });
        if first || !both && matches!(self.found.authenticity, Authenticity::Verified { .. }) {
            self.found.authenticity = judged;
        }
    }
}
