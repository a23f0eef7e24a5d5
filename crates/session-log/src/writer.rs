//! Writing a log.
//!
//! ```text
//! create ──▶ header, OPEN ──▶ record … flush … ──▶ finish: SUMMARY, final checkpoint ──▶ closed
//!                               │        ▲     └─▶ abort: abort checkpoint ────────────▶ closed
//!                               └ timers ┘
//! ```

mod clock;
mod durable;
mod filling;
mod opening;
mod policy;
pub(crate) mod segment;
#[cfg(test)]
mod tests;

pub use durable::Pressure;
pub use opening::OpeningWriter;
pub(crate) use opening::check_recipients;
pub use policy::{Compression, OutputDigest, Padding, Profile, WriterPolicy};

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use zeroize::{Zeroize, Zeroizing};

use crate::checkpoint::CheckpointKind;
use crate::error::{CreateError, WriteError};
use crate::frame::{FLAG_URGENT, FrameKind};
use crate::header::LogId;
use crate::index::{Index, SegmentPlace, Thinned, Trailer};
use crate::keyfile::Recipient;
use crate::provider::CryptoFailed;
use crate::record::{DataKind, Record};
use crate::secret::Generator;
use crate::sign::SigningKey;
use crate::signer::SigningIdentity;
use crate::suite::Suite;
use crate::summary::Tally;
use crate::time::Now;
use clock::{LogClock, timer_us};
use durable::Durability;
use segment::{Constant, Prepared, Segment};

/// Buffer that is kept for reuse, bytes: what a batch of a quarter MiB takes, since buffers grow by doubling.
const KEPT_BUFFER_BYTES: usize = 1 << 20;

/// What a writer is made with.
#[derive(Clone, Debug)]
pub struct WriterConfig {
    /// The algorithms.
    pub suite: Suite,
    /// Who will be able to read: 1 to 64.
    pub recipients: Vec<Recipient>,
    /// When to seal, sign and rotate.
    pub policy: WriterPolicy,
}

/// Writes one log. The sealed bytes come out of [`Writer::take_output`] and belong appended to one file or object, in order.
///
/// It holds no key that opens what it has sealed. Dropping it without [`Writer::finish`] leaves a log that reads as truncated.
pub struct Writer {
    policy: WriterPolicy,
    constant: Constant,
    generator: Generator,
    clock: LogClock,
    tally: Tally,
    /// Sealed bytes that nobody took yet, then the frame that is being filled.
    out: BytesMut,
    /// Size of the whole buffer, of which `out` may only see the end.
    buffer_bytes: usize,
    sealed: usize,
    frame: Option<OpenFrame>,
    /// The next record is the first of its segment.
    anchor_due: bool,
    /// `None` when the log is closed.
    segment: Option<Segment>,
    /// The segments before, and where this one begins.
    segments: Thinned<SegmentPlace>,
    segment_offset: u64,
    durability: Durability,
}

/// The frame being filled, at the end of the output.
struct OpenFrame {
    /// Log time of its first record.
    t0_us: u64,
    /// Log time of its last record.
    last_us: u64,
    /// It holds a keyframe.
    keyframe: bool,
    content: Content,
}

/// What a frame holds so far, as far as compression cares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Nothing,
    /// Output of one channel only.
    OutputOf(u32),
    /// Anything else: its compressed length could tell about what was typed.
    Mixed,
}

impl Writer {
    /// Begins a log: header and OPEN are in the output at once.
    ///
    /// `seed` is 32 bytes of fresh randomness; the same seed and the same calls give the same bytes, so never use one twice.
    ///
    /// # Errors
    /// When there are no recipients or too many, one has a key that the suite does not take, the policy's profile does not take the suite or the signer,
    /// or a field of the policy is out of its range.
    pub fn create(
        config: &WriterConfig,
        signer: &SigningIdentity,
        log_id: LogId,
        seed: [u8; 32],
        now: Now,
    ) -> Result<Writer, CreateError> {
        let opening = Writer::begin(config, signer.public_key(), log_id, seed, now)?;
        let answer = signer.answer(opening.request());
        opening.answer(&answer)
    }

    /// Adds a record on a channel, 0 for the session itself.
    ///
    /// It stands in the frame being filled, and is sealed by [`Self::flush`], by a full frame, by the timer, or at once when its kind is one that a
    /// crash must not lose (commands, decisions, exits). Data of any length is taken and split over records.
    ///
    /// # Errors
    /// When the log is closed, or a record that is no data exceeds a limit: then nothing was added and the log goes on.
    pub fn record(
        &mut self,
        channel: u32,
        record: &Record<'_>,
        now: Now,
    ) -> Result<(), WriteError> {
        self.record_until_flush(channel, record, now)?;
        if record.is_urgent() {
            self.seal(FLAG_URGENT)
        } else {
            Ok(())
        }
    }

    /// As [`Self::record`], but no record is sealed at once: for who calls [`Self::flush`] before anything rests on it. So many small records of
    /// urgent kinds share a frame, where each would have one of its own.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn record_until_flush(
        &mut self,
        channel: u32,
        record: &Record<'_>,
        now: Now,
    ) -> Result<(), WriteError> {
        self.begin_at(now)?;
        match DataKind::of(record) {
            Some((kind, data)) => self.add_data(channel, kind, data),
            None => self.add_cold(channel, record),
        }
    }

    /// Seals what is pending into a frame. Does nothing when nothing is pending.
    ///
    /// # Errors
    /// When the log is closed.
    pub fn flush(&mut self, now: Now) -> Result<(), WriteError> {
        self.begin_at(now)?;
        self.seal(FLAG_URGENT)
    }

    /// Sealed bytes to append to storage, in order. Call it after every other call that changes the writer, until `None`. Drop them
    /// before the next record: their buffer is then used again.
    pub fn take_output(&mut self) -> Option<Bytes> {
        if self.sealed == 0 {
            return None;
        }
        let sealed = self.out.split_to(self.sealed).freeze();
        self.sealed = 0;
        if self.buffer_bytes > KEPT_BUFFER_BYTES && self.out.is_empty() {
            self.give_buffer_back();
        }
        self.durability.note_taken(sealed.len());
        Some(sealed)
    }

    /// When [`Self::handle_timeout`] is next due, on the monotonic clock; `None` when the log is closed. Ask again after every other call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let segment = self.segment.as_ref()?;
        let due = [
            self.frame.as_ref().map(|frame| {
                frame
                    .t0_us
                    .saturating_add(timer_us(self.policy.flush_after))
            }),
            segment
                .unsigned_since_us
                .map(|t| t.saturating_add(timer_us(self.policy.checkpoint_after))),
            Some(
                segment
                    .last_frame_us
                    .saturating_add(timer_us(self.policy.heartbeat_after)),
            ),
            Some(
                segment
                    .began_us
                    .saturating_add(timer_us(self.policy.rotate_after)),
            ),
        ];
        due.into_iter()
            .flatten()
            .min()
            .map(|t_us| self.clock.deadline(t_us))
    }

    /// Does what is due: seals, signs, rotates. Calls that come early do nothing.
    ///
    /// # Errors
    /// When the log is closed.
    pub fn handle_timeout(&mut self, now: Now) -> Result<(), WriteError> {
        self.begin_at(now)?;
        let t_us = self.clock.t_us();
        let elapsed = |since: u64, timer: Duration| t_us.saturating_sub(since) >= timer_us(timer);
        if self
            .frame
            .as_ref()
            .is_some_and(|frame| elapsed(frame.t0_us, self.policy.flush_after))
        {
            self.seal(0)?;
        }
        let policy = self.policy;
        let segment = self.segment.as_ref().ok_or(WriteError::Closed)?;
        if elapsed(segment.began_us, policy.rotate_after) {
            self.seal(0)?;
            self.rotate()?;
        } else if segment
            .unsigned_since_us
            .is_some_and(|since| elapsed(since, policy.checkpoint_after))
        {
            self.checkpoint(CheckpointKind::Periodic)?;
        } else if elapsed(segment.last_frame_us, policy.heartbeat_after) {
            self.checkpoint(CheckpointKind::Heartbeat)?;
        }
        if self.out.is_empty() {
            // An idle session gives its buffer back; a busy one never comes here with an empty one.
            self.give_buffer_back();
        }
        Ok(())
    }

    fn give_buffer_back(&mut self) {
        self.out = BytesMut::new();
        self.buffer_bytes = 0;
    }

    /// Closes the segment and opens one for other recipients: what is pending goes to those so far, all that follows to these.
    ///
    /// Further recipients see nothing of the segments before but what SUMMARY and INDEX at the end say of the whole log: counts, times and exits.
    ///
    /// # Errors
    /// When the log is closed, or the recipients do not suit it: then nothing was written and the log goes on for those so far.
    pub fn rotate_to(&mut self, recipients: Vec<Recipient>, now: Now) -> Result<(), WriteError> {
        if self.segment.is_none() {
            return Err(WriteError::Closed);
        }
        check_recipients(self.constant.suite, &recipients).map_err(WriteError::Recipients)?;
        self.begin_at(now)?;
        if self.frame.is_some() {
            // Not `seal`: it may rotate by itself, and a segment for those so far would follow that holds nothing.
            self.seal_as(FrameKind::Data, 0)?;
        }
        self.constant.recipients = recipients;
        self.rotate()
    }

    /// Ends the log: INDEX, SUMMARY, final checkpoint and trailer. Nothing can be written afterwards.
    ///
    /// # Errors
    /// When the log is closed already.
    pub fn finish(&mut self, now: Now) -> Result<(), WriteError> {
        self.begin_at(now)?;
        self.seal(0)?;
        let index_offset = self.write_index()?;
        let summary = self.tally.finish();
        self.seal_whole(FrameKind::Summary, &summary)?;
        self.end(CheckpointKind::Final)?;
        let trailer = Trailer {
            segment_offset: self.segment_offset,
            index_offset,
        };
        self.out.extend_from_slice(&trailer.encode());
        self.sealed = self.out.len();
        Ok(())
    }

    /// Ends the log because it cannot go on: what is pending is sealed and signed, and the log says that it was cut short.
    ///
    /// # Errors
    /// When the log is closed already.
    pub fn abort(&mut self, now: Now) -> Result<(), WriteError> {
        self.begin_at(now)?;
        self.seal(FLAG_URGENT)?;
        self.end(CheckpointKind::Abort)
    }

    /// Bytes in memory: sealed and not yet taken, and pending. A caller that takes the output after each call keeps it below one frame.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.out.len()
    }

    /// The log's name.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.constant.log_id
    }

    /// Moves the clock, noting jumps, if the log is open.
    fn begin_at(&mut self, now: Now) -> Result<(), WriteError> {
        if self.segment.is_none() {
            return Err(WriteError::Closed);
        }
        let jumps = self.clock.observe(now);
        for jump in jumps.iter().flatten() {
            self.add_cold(0, jump)?;
        }
        if matches!(jumps, [_, Some(_)]) {
            let anchor = self.clock.anchor();
            self.add_cold(0, &anchor)?;
        }
        Ok(())
    }

    /// Writes a clear frame behind the sealed ones. A frame being filled stays behind it.
    fn checkpoint(&mut self, kind: CheckpointKind) -> Result<(), WriteError> {
        let segment = self.segment.as_ref().ok_or(WriteError::Closed)?;
        let next = (!kind.ends_log()).then(|| segment.draw_key(&mut self.generator));
        self.checkpoint_with(kind, next)
    }

    fn checkpoint_with(
        &mut self,
        kind: CheckpointKind,
        next: Option<SigningKey>,
    ) -> Result<(), WriteError> {
        // A timer comes here with a frame being filled: it steps aside for the signature.
        let pending = Zeroizing::new(self.out.get(self.sealed..).unwrap_or_default().to_vec());
        if let Some(pending) = self.out.get_mut(self.sealed..) {
            pending.zeroize();
        }
        self.out.truncate(self.sealed);
        let segment = self.segment.as_mut().ok_or(WriteError::Closed)?;
        let signed = segment.checkpoint(
            kind,
            next,
            self.clock.t_us(),
            self.clock.unix_ms(),
            &mut self.out,
        );
        if signed == Err(CryptoFailed) {
            self.close_broken();
            return Err(WriteError::Crypto);
        }
        self.sealed = self.out.len();
        self.out.extend_from_slice(&pending);
        Ok(())
    }

    /// Writes where what is, as the last encrypted frame but SUMMARY. Gives its place in the log.
    fn write_index(&mut self) -> Result<u64, WriteError> {
        let segment = self.segment.as_ref().ok_or(WriteError::Closed)?;
        let index_offset = self.segment_offset + segment.bytes;
        let index = Index {
            segment_offset: self.segment_offset,
            places: segment.places.as_slice().to_vec(),
            segments: self.segments.as_slice().to_vec(),
        };
        self.seal_whole(FrameKind::Index, &index.encode())?;
        Ok(index_offset)
    }

    fn rotate(&mut self) -> Result<(), WriteError> {
        let index_offset = self.write_index()?;
        let segment = self.segment.as_ref().ok_or(WriteError::Closed)?;
        let first_key = segment.draw_key(&mut self.generator);
        self.checkpoint_with(CheckpointKind::Rotated, Some(first_key))?;
        let segment = self.segment.take().ok_or(WriteError::Closed)?;
        self.segments.push(SegmentPlace {
            number: segment.number(),
            t_us: segment.began_us,
            offset: self.segment_offset,
            index_offset,
        });
        self.segment_offset += segment.bytes;
        let next = Prepared::new(
            &self.constant,
            segment.into_voucher(),
            &mut self.generator,
            self.clock.t_us(),
            self.clock.unix_ms(),
        )
        .map_err(WriteError::Rotation)?;
        let opened = next.open_continued(&mut self.out);
        self.segment = Some(opened.map_err(|CryptoFailed| WriteError::Crypto)?);
        self.sealed = self.out.len();
        self.anchor_due = true;
        Ok(())
    }

    fn end(&mut self, kind: CheckpointKind) -> Result<(), WriteError> {
        self.checkpoint(kind)?;
        self.segment = None;
        Ok(())
    }

    /// Keeps what was sealed, erases the rest, and closes.
    fn close_broken(&mut self) {
        self.erase_pending();
        self.frame = None;
        self.segment = None;
    }

    fn erase_pending(&mut self) {
        if let Some(pending) = self.out.get_mut(self.sealed..) {
            pending.zeroize();
        }
        self.out.truncate(self.sealed);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.erase_pending();
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("log_id", &self.constant.log_id)
            .finish_non_exhaustive()
    }
}
