//! The session's log, from its first page to its last.

use bytes::Bytes;
use core::time::Duration;
use session_log::{LogId, Record, SigningIdentity, Writer, WriterConfig};

use super::control::Tap;
use crate::Now;

/// Collects records and gives sealed bytes; remembers a failure until somebody asks.
pub(super) struct Recorder {
    writer: Writer,
    failed: bool,
    now: Now,
    pub(super) tap: Tap,
}

impl Recorder {
    pub(super) fn create(
        config: &WriterConfig,
        signer: &SigningIdentity,
        log_id: LogId,
        seed: [u8; 32],
        now: Now,
    ) -> Result<Self, session_log::CreateError> {
        let writer = Writer::create(config, signer, log_id, seed, now.into())?;
        Ok(Self {
            writer,
            failed: false,
            now,
            tap: Tap::default(),
        })
    }

    pub(super) fn set_now(&mut self, now: Now) {
        self.now = now;
    }

    pub(super) fn record(&mut self, channel: u32, record: &Record<'_>) {
        self.tap.take(channel, record);
        // Nothing passes before the flush, so that nothing else is urgent.
        let recorded = self
            .writer
            .record_until_flush(channel, record, self.now.into());
        self.failed |= recorded.is_err();
    }

    /// Everything recorded so far, sealed; `None` when there was nothing.
    pub(super) fn seal(&mut self) -> Option<Bytes> {
        self.failed |= self.writer.flush(self.now.into()).is_err();
        self.writer.take_output()
    }

    /// Writes the summary and the final page.
    pub(super) fn finish(&mut self) -> Option<Bytes> {
        self.failed |= self.writer.finish(self.now.into()).is_err();
        self.writer.take_output()
    }

    /// True after something could not be recorded: nothing may pass any more.
    pub(super) const fn has_failed(&self) -> bool {
        self.failed
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.writer.poll_timeout()
    }

    pub(super) fn handle_timeout(&mut self) {
        self.failed |= self.writer.handle_timeout(self.now.into()).is_err();
    }
}
