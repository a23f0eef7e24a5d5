//! A log whose writer died: what was found of it is kept, and a last segment says what that is.

use alloc::vec::Vec;
use core::fmt;

use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use crate::attestation::Attestation;
use crate::checkpoint::CheckpointKind;
use crate::error::CreateError;
use crate::frame::FrameKind;
use crate::index::Trailer;
use crate::keyfile::Recipient;
use crate::provider::CryptoFailed;
use crate::reader::{Completeness, Event, Reader, ReaderConfig};
use crate::secret::Generator;
use crate::sign::PublicKey;
use crate::signer::{SignRequest, SigningIdentity};
use crate::time::Now;
use crate::writer::check_recipients;
use crate::writer::segment::{Before, Constant, Prepared, Voucher};

/// Reads a broken log from its beginning, without any key, up to the last frame that is whole.
pub struct Recovery {
    reader: Reader,
    found: Sha256,
    found_bytes: u64,
    kept_bytes: u64,
}

impl Default for Recovery {
    fn default() -> Recovery {
        Recovery {
            reader: Reader::new(ReaderConfig::default()),
            found: Sha256::new(),
            found_bytes: 0,
            kept_bytes: 0,
        }
    }
}

impl Recovery {
    /// Takes further bytes of the log.
    pub fn push(&mut self, bytes: &[u8]) {
        self.found.update(bytes);
        self.found_bytes += bytes.len() as u64;
        self.reader.push(bytes);
        while let Some(event) = self.reader.poll() {
            if let Event::Frame(frame) = event {
                self.kept_bytes = frame.offset + u64::from(frame.bytes);
            }
        }
    }

    /// After the last byte: the end of a log that lost its trailer and nothing else ([`Completeness::TrailerMissing`]); `None` for every other
    /// log. It needs no key, since the signatures of the log reach to its end already: with it the log is what its writer wrote.
    pub fn missing_trailer(&mut self) -> Option<MissingTrailer> {
        self.end();
        let trailer = match self.reader.verdict().completeness {
            Completeness::TrailerMissing => self.reader.expected_trailer()?,
            _ => return None,
        };
        Some(MissingTrailer {
            keep_bytes: self.kept_bytes,
            tail: trailer.encode(),
        })
    }

    fn end(&mut self) {
        self.reader.finish();
        while self.reader.poll().is_some() {}
    }

    /// After the last byte: makes the segment that says what was found, and asks the identity key for its signature.
    ///
    /// `recipients` are named in its header; nothing in it is encrypted.
    ///
    /// # Errors
    /// When the log has its end, with or without its trailer, or nothing of it was found; as [`crate::Writer::create`] for the recipients.
    pub fn begin(
        mut self,
        recipients: Vec<Recipient>,
        identity: PublicKey,
        seed: [u8; 32],
        now: Now,
    ) -> Result<OpeningRecovery, CreateError> {
        self.end();
        if !matches!(
            self.reader.verdict().completeness,
            Completeness::Truncated { .. }
        ) {
            return Err(CreateError::Ended);
        }
        let found = self.reader.found().ok_or(CreateError::NothingFound)?;
        check_recipients(found.suite, &recipients)?;
        let attestation = Attestation {
            found_bytes: self.found_bytes,
            kept_bytes: self.kept_bytes,
            found_sha256: self.found.finalize().into(),
            attested_frames: found.attested,
            frames: found.size,
            unix_ms: now.unix_ms(),
        };
        let constant = Constant {
            suite: found.suite,
            log_id: found.log_id,
            recipients,
        };
        let before = Before {
            segment_no: found.segment_no,
            root: found.root,
            size: found.size,
        };
        let prepared = Prepared::new(
            &constant,
            Voucher::Recovered { before, identity },
            &mut Generator::new(seed),
            0,
            now.unix_ms(),
        )?;
        Ok(OpeningRecovery {
            request: prepared.request(),
            prepared,
            attestation,
        })
    }
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovery")
            .field("found_bytes", &self.found_bytes)
            .finish_non_exhaustive()
    }
}

/// A recovered log that waits for the signature of whoever recovers it.
pub struct OpeningRecovery {
    prepared: Prepared,
    request: SignRequest,
    attestation: Attestation,
}

/// What to make of a broken log: its first `keep_bytes`, then `tail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredLog {
    /// How much of the broken log is kept, bytes. What lies behind is a torn frame, or damage.
    pub keep_bytes: u64,
    /// What follows: a segment that says what was found.
    pub tail: Bytes,
    /// What it says.
    pub attestation: Attestation,
}

/// What completes a log that lost its trailer: its first `keep_bytes`, then `tail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingTrailer {
    /// How much of the log is kept, bytes: up to its final checkpoint.
    pub keep_bytes: u64,
    /// The trailer.
    pub tail: [u8; Trailer::BYTES],
}

impl OpeningRecovery {
    /// What the identity key is asked to sign.
    #[must_use]
    pub fn request(&self) -> &SignRequest {
        &self.request
    }

    /// Goes on with the key's answer, an SSH signature blob as agents give it.
    ///
    /// # Errors
    /// When it is not that key's signature over the request.
    pub fn answer(self, answer: &[u8]) -> Result<RecoveredLog, CreateError> {
        let mut out = BytesMut::new();
        let mut segment = self
            .prepared
            .answer(answer, &mut out)
            .map_err(CreateError::Signature)?;
        let body = self.attestation.encode();
        segment.write_clear(FrameKind::Attestation, &body, 0, &mut out);
        let unix_ms = self.attestation.unix_ms;
        segment
            .checkpoint(CheckpointKind::Recovered, None, 0, unix_ms, &mut out)
            .map_err(|CryptoFailed| CreateError::Crypto)?;
        Ok(RecoveredLog {
            keep_bytes: self.attestation.kept_bytes,
            tail: out.freeze(),
            attestation: self.attestation,
        })
    }

    /// Goes on with a key in memory.
    ///
    /// # Errors
    /// When it is another key than the one that was named.
    pub fn sign(self, identity: &SigningIdentity) -> Result<RecoveredLog, CreateError> {
        let answer = identity.answer(&self.request);
        self.answer(&answer)
    }
}

impl fmt::Debug for OpeningRecovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpeningRecovery")
            .field("attestation", &self.attestation)
            .finish_non_exhaustive()
    }
}
