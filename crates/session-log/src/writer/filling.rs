//! The frame being filled: records go in, and it is sealed when it is full, urgent or due.

use bytes::BytesMut;
use zeroize::{Zeroize as _, Zeroizing};

use super::segment::Sealing;
use super::{Compression, Content, OpenFrame, Writer};
use crate::checkpoint::CheckpointKind;
use crate::compress::compress;
use crate::error::WriteError;
use crate::frame::{FLAG_KEYFRAME, FLAG_ZSTD, FRAME_HEADER_BYTES, FrameKind, PREFIX_BYTES};
use crate::limits::{MAX_CONTENT_BYTES, MAX_SEGMENT_FRAMES, MIN_COMPRESSED_BYTES};
use crate::provider::CryptoFailed;
use crate::record::{
    DataKind, Record, check_limits, data_overhead, encode_cold, encoded_len, write_data,
};
use crate::suite::TAG_BYTES;

/// Room in front of the content.
const HEAD_BYTES: usize = FRAME_HEADER_BYTES + PREFIX_BYTES;
/// A piece of data shorter than this goes into the next frame rather than fill up the last bytes of one.
const MIN_PIECE_BYTES: usize = 64;

impl Writer {
    pub(super) fn add_cold(&mut self, channel: u32, record: &Record<'_>) -> Result<(), WriteError> {
        let t_us = self.clock.t_us();
        let len = encoded_len(record, self.dt_us(t_us), channel);
        check_limits(record, len)?;
        if self.frame.is_some() && self.content_len() + len > self.policy.frame_bytes as usize {
            self.seal(0)?;
        }
        if self.anchor_if_due()? && self.content_len() + len > self.policy.frame_bytes as usize {
            // Not `seal`: it may rotate, and then the record would again stand in a segment without an anchor.
            self.seal_as(FrameKind::Data, 0)?;
        }
        self.open_frame(t_us, len);
        let dt_us = self.dt_us(t_us);
        encode_cold(BufferSink(&mut self.out), record, dt_us, channel);
        self.tally.record(t_us, channel, record);
        self.note_record(t_us, Content::Mixed);
        if let (Some(frame), Record::Keyframe { .. }) = (&mut self.frame, record) {
            frame.keyframe = true;
        }
        self.seal_if_full()
    }

    /// Puts the clock in front of the first record of a segment. Whether it did.
    fn anchor_if_due(&mut self) -> Result<bool, WriteError> {
        let due = core::mem::take(&mut self.anchor_due);
        if due {
            let anchor = self.clock.anchor();
            self.add_cold(0, &anchor)?;
        }
        Ok(due)
    }

    pub(super) fn add_data(
        &mut self,
        channel: u32,
        kind: DataKind,
        data: &[u8],
    ) -> Result<(), WriteError> {
        let mut rest = data;
        loop {
            self.anchor_if_due()?;
            let t_us = self.clock.t_us();
            let dt_us = self.dt_us(t_us);
            let room = (self.policy.frame_bytes as usize)
                .saturating_sub(self.content_len() + data_overhead(dt_us, channel, rest.len()));
            if self.frame.is_some() && room < rest.len().min(MIN_PIECE_BYTES) {
                self.seal(0)?;
                continue;
            }
            let (piece, tail) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            self.open_frame(t_us, piece.len() + MIN_PIECE_BYTES);
            write_data(BufferSink(&mut self.out), kind, dt_us, channel, piece);
            self.tally.data(t_us, channel, kind, piece);
            let content = match kind {
                DataKind::Output | DataKind::Stderr => Content::OutputOf(channel),
                DataKind::Input => Content::Mixed,
            };
            self.note_record(t_us, content);
            self.seal_if_full()?;
            rest = tail;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Content of the frame being filled, bytes.
    pub(super) fn content_len(&self) -> usize {
        match self.frame {
            Some(_) => self.out.len().saturating_sub(self.sealed + HEAD_BYTES),
            None => 0,
        }
    }

    /// Time since the record before in the same frame.
    pub(super) fn dt_us(&self, t_us: u64) -> u64 {
        self.frame
            .as_ref()
            .map_or(0, |frame| t_us.saturating_sub(frame.last_us))
    }

    /// Makes room for a record in the frame being filled, and opens it if need be.
    pub(super) fn open_frame(&mut self, t_us: u64, record_len: usize) {
        if self.frame.is_none() {
            let padded = self
                .policy
                .padding
                .pad(record_len.min(MAX_CONTENT_BYTES as usize) as u32)
                as usize;
            self.make_room(HEAD_BYTES + padded + TAG_BYTES);
            self.out.resize(self.sealed + HEAD_BYTES, 0);
            self.frame = Some(OpenFrame {
                t0_us: t_us,
                last_us: t_us,
                keyframe: false,
                content: Content::Nothing,
            });
        } else {
            self.make_room(record_len);
        }
    }

    /// Gives the output room for so many more bytes, and leaves no copy of the frame being filled where it was.
    fn make_room(&mut self, bytes: usize) {
        if self.out.is_empty() {
            // Back to the buffer's front, if what was taken has been dropped.
            let _ = self.out.try_reclaim(self.buffer_bytes);
        }
        if self.out.capacity() - self.out.len() >= bytes {
            return;
        }
        // Twice as much each time, so that moving costs no more than writing.
        let mut moved = BytesMut::with_capacity(self.out.len() * 2 + bytes);
        moved.extend_from_slice(&self.out);
        if let Some(pending) = self.out.get_mut(self.sealed..) {
            pending.zeroize();
        }
        self.buffer_bytes = moved.capacity();
        self.out = moved;
    }

    fn note_record(&mut self, t_us: u64, content: Content) {
        if let Some(frame) = &mut self.frame {
            frame.last_us = t_us;
            frame.content = match frame.content {
                Content::Nothing => content,
                same if same == content => same,
                _ => Content::Mixed,
            };
        }
    }

    pub(super) fn seal_if_full(&mut self) -> Result<(), WriteError> {
        if self.content_len() + MIN_PIECE_BYTES > self.policy.frame_bytes as usize {
            self.seal(0)
        } else {
            Ok(())
        }
    }

    /// Seals the frame being filled, if any, then signs and rotates if that is due.
    pub(super) fn seal(&mut self, flags: u8) -> Result<(), WriteError> {
        if self.frame.is_none() {
            return Ok(());
        }
        self.seal_as(FrameKind::Data, flags)?;
        let policy = self.policy;
        let segment = self.segment.as_ref().ok_or(WriteError::Closed)?;
        if segment.bytes >= policy.rotate_bytes || segment.frames() >= MAX_SEGMENT_FRAMES / 2 {
            self.rotate()
        } else if segment.unsigned_frames >= policy.checkpoint_frames
            || segment.unsigned_bytes >= policy.checkpoint_bytes
        {
            self.checkpoint(CheckpointKind::Periodic)
        } else {
            Ok(())
        }
    }

    /// Seals a frame of one item that no record is part of.
    pub(super) fn seal_whole(&mut self, kind: FrameKind, content: &[u8]) -> Result<(), WriteError> {
        let t_us = self.clock.t_us();
        self.open_frame(t_us, content.len());
        self.out.extend_from_slice(content);
        self.seal_as(kind, 0)
    }

    pub(super) fn seal_as(&mut self, kind: FrameKind, flags: u8) -> Result<(), WriteError> {
        let mut frame = self.frame.take().ok_or(WriteError::Closed)?;
        if self.policy.compression == Compression::Off {
            frame.content = Content::Mixed;
        }
        let raw_len = match frame.content {
            Content::OutputOf(_) => self.compress_pending(),
            _ => None,
        };
        let content_len = self.out.len().saturating_sub(self.sealed + HEAD_BYTES);
        let sealing = Sealing {
            kind,
            flags: flags
                | if raw_len.is_some() { FLAG_ZSTD } else { 0 }
                | if frame.keyframe { FLAG_KEYFRAME } else { 0 },
            content_t_us: frame.t0_us,
            raw_len,
            padded: self.policy.padding.pad(content_len as u32),
        };
        self.make_room((sealing.padded as usize).saturating_sub(content_len) + TAG_BYTES);
        let segment = self.segment.as_mut().ok_or(WriteError::Closed)?;
        let t_us = self.clock.t_us();
        let sealed = segment.seal(&sealing, t_us, &mut self.out, self.sealed);
        if sealed == Err(CryptoFailed) {
            self.close_broken();
            return Err(WriteError::Crypto);
        }
        self.sealed = self.out.len();
        Ok(())
    }

    /// Compresses the content in place when that is worth it, and gives its length before.
    fn compress_pending(&mut self) -> Option<u32> {
        let start = self.sealed + HEAD_BYTES;
        let content = self.out.get_mut(start..)?;
        let raw_len = content.len();
        if raw_len < MIN_COMPRESSED_BYTES {
            return None;
        }
        let compressed = Zeroizing::new(compress(content)?);
        content.zeroize();
        self.out.truncate(start);
        self.out.extend_from_slice(&compressed);
        Some(raw_len as u32)
    }
}

/// Lets `minicbor` write into the output.
struct BufferSink<'a>(&'a mut BytesMut);

impl minicbor::encode::Write for BufferSink<'_> {
    type Error = core::convert::Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
