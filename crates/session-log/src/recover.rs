//! A log whose writer died: what was found of it is kept, and a last segment says what that is.

use alloc::vec::Vec;
use core::{fmt, mem};

use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use crate::attestation::Attestation;
use crate::checkpoint::CheckpointKind;
use crate::error::CreateError;
use crate::frame::FrameKind;
use crate::index::Trailer;
use crate::keyfile::Recipient;
use crate::provider::CryptoFailed;
use crate::reader::{Completeness, Event, Fault, FoundLog, Integrity, Reader, ReaderConfig};
use crate::secret::Generator;
use crate::sign::PublicKey;
use crate::signer::{SignRequest, SigningIdentity};
use crate::time::Now;
use crate::writer::check_recipients;
use crate::writer::segment::{Before, Constant, Prepared, Voucher};

/// What to do with a log that does not merely end early: something in it is not as it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDamage {
    /// Recover nothing of it.
    #[default]
    Refuse,
    /// Keep what stands before the damage, like before zeros that a crash left; but not a frame right before it that no signature covers, since
    /// the damage may begin inside. When a signature says that frames before it were changed, and not which, only up to the last one that holds.
    CutOff,
}

/// Reads a broken log from its beginning, without any key, up to the last frame that is whole.
pub struct Recovery {
    reader: Reader,
    on_damage: OnDamage,
    found: Sha256,
    found_bytes: u64,
    kept_bytes: u64,
    /// Up to the last whole frame, and up to the one before.
    last: Option<Kept>,
    before_last: Option<Kept>,
    /// Up to the last signature that holds.
    signed: Option<Kept>,
    /// The final or the abort checkpoint was read.
    ended: bool,
}

/// How many bytes of the log are kept, and what the recovery stands on.
type Kept = (u64, FoundLog);

impl Default for Recovery {
    /// One that refuses a damaged log.
    fn default() -> Recovery {
        Recovery::new(OnDamage::Refuse)
    }
}

impl Recovery {
    /// A recovery at the beginning of a log.
    #[must_use]
    pub fn new(on_damage: OnDamage) -> Recovery {
        Recovery {
            reader: Reader::new(ReaderConfig::default()),
            on_damage,
            found: Sha256::new(),
            found_bytes: 0,
            kept_bytes: 0,
            last: None,
            before_last: None,
            signed: None,
            ended: false,
        }
    }

    /// Takes further bytes of the log.
    pub fn push(&mut self, bytes: &[u8]) {
        self.found.update(bytes);
        self.found_bytes += bytes.len() as u64;
        self.reader.push(bytes);
        self.take_events();
    }

    fn take_events(&mut self) {
        while let Some(event) = self.reader.poll() {
            let signed = match event {
                Event::Frame(frame) => {
                    self.kept_bytes = frame.offset + u64::from(frame.bytes);
                    let here = self.reader.found().map(|found| (self.kept_bytes, found));
                    self.before_last = mem::replace(&mut self.last, here);
                    continue;
                }
                Event::Open(_) => true,
                Event::Checkpoint(info) => {
                    self.ended |= info.kind.ends_log();
                    info.statement.is_some()
                }
                _ => false,
            };
            if signed {
                self.signed = self.last;
            }
        }
    }

    /// After the last byte: the end of a log that lost its trailer and nothing else ([`Completeness::TrailerMissing`]), or, with
    /// [`OnDamage::CutOff`], has something else in its place; `None` for every other log. It needs no key, since the signatures of the log reach
    /// to its end already: with it the log is what its writer wrote.
    pub fn missing_trailer(&mut self) -> Option<MissingTrailer> {
        self.end();
        let replaced = self.on_damage == OnDamage::CutOff
            && self.damage().is_some_and(|(_, why)| why == Fault::Trailer);
        let missing = self.reader.verdict().completeness == Completeness::TrailerMissing;
        if !(missing || replaced) {
            return None;
        }
        let trailer = self.reader.expected_trailer()?;
        Some(MissingTrailer {
            keep_bytes: self.kept_bytes,
            tail: trailer.encode(),
        })
    }

    /// What of the bytes so far is not as it was written, and at which byte offset.
    #[must_use]
    pub fn damage(&self) -> Option<(u64, Fault)> {
        match self.reader.verdict().integrity {
            Integrity::Tampered { at, why } => Some((at.offset, why)),
            _ => None,
        }
    }

    fn end(&mut self) {
        self.reader.finish();
        self.take_events();
    }

    fn keep(&self) -> Result<Kept, CreateError> {
        let damage = self.damage();
        if let (Some((offset, fault)), OnDamage::Refuse) = (damage, self.on_damage) {
            return Err(CreateError::Damaged { offset, fault });
        }
        let truncated = matches!(
            self.reader.verdict().completeness,
            Completeness::Truncated { .. }
        );
        if self.ended || !truncated {
            return Err(CreateError::Ended);
        }
        let kept = match damage {
            None => self.last,
            Some((_, Fault::RootMismatch | Fault::CheckpointSignature)) => self.signed,
            Some(_) => [self.before_last, self.signed]
                .into_iter()
                .flatten()
                .max_by_key(|(bytes, _)| *bytes),
        };
        kept.ok_or(CreateError::NothingFound)
    }

    /// After the last byte: makes the segment that says what was found, and asks the identity key for its signature.
    ///
    /// `recipients` are named in its header; nothing in it is encrypted.
    ///
    /// # Errors
    /// When the log has its end, with or without its trailer, nothing of it was found, or it is damaged and that is to be refused; as
    /// [`crate::Writer::create`] for the recipients.
    pub fn begin(
        mut self,
        recipients: Vec<Recipient>,
        identity: PublicKey,
        seed: [u8; 32],
        now: Now,
    ) -> Result<OpeningRecovery, CreateError> {
        self.end();
        let (kept_bytes, found) = self.keep()?;
        check_recipients(found.suite, &recipients)?;
        let attestation = Attestation {
            found_bytes: self.found_bytes,
            kept_bytes,
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
