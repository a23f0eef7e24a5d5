use bytes::BytesMut;

use super::clock::LogClock;
use super::durable::Durability;
use super::segment::{Constant, Prepared, Voucher};
use super::{OutputDigest, Writer, WriterConfig, WriterPolicy};
use crate::error::CreateError;
use crate::header::LogId;
use crate::index::Thinned;
use crate::keyfile::Recipient;
use crate::limits::MAX_STANZAS;
use crate::secret::Generator;
use crate::sign::PublicKey;
use crate::signer::SignRequest;
use crate::suite::Suite;
use crate::summary::Tally;
use crate::time::Now;

/// A log that waits for the signature of an identity key that is elsewhere: in an agent, or in hardware.
pub struct OpeningWriter {
    policy: WriterPolicy,
    constant: Constant,
    generator: Generator,
    clock: LogClock,
    prepared: Prepared,
    request: SignRequest,
}

impl WriterConfig {
    /// Whether logs can be written like this, opened by that key.
    ///
    /// # Errors
    /// What [`Writer::create`] refuses, but a recipient's key that turns out unusable only when a secret is sealed to it.
    pub fn check(&self, identity: &PublicKey) -> Result<(), CreateError> {
        self.policy.check()?;
        self.policy.profile.check(self.suite, identity)?;
        check_recipients(self.suite, &self.recipients)
    }
}

impl Writer {
    /// Begins a log whose identity key is elsewhere. Ask it with [`OpeningWriter::request`]; nothing is written before its answer is there.
    ///
    /// Only this first signature asks for it: checkpoints are signed by keys that live in memory for one epoch and are erased.
    ///
    /// # Errors
    /// As [`Writer::create`].
    pub fn begin(
        config: &WriterConfig,
        identity: PublicKey,
        log_id: LogId,
        seed: [u8; 32],
        now: Now,
    ) -> Result<OpeningWriter, CreateError> {
        config.check(&identity)?;
        let constant = Constant {
            suite: config.suite,
            log_id,
            recipients: config.recipients.clone(),
        };
        let mut generator = Generator::new(seed);
        let clock = LogClock::new(now);
        let prepared = Prepared::new(
            &constant,
            Voucher::Identity(identity),
            &mut generator,
            clock.t_us(),
            clock.unix_ms(),
        )?;
        Ok(OpeningWriter {
            policy: config.policy,
            constant,
            generator,
            clock,
            request: prepared.request(),
            prepared,
        })
    }
}

/// Whether a suite can be read by these, and by how many.
pub(crate) fn check_recipients(suite: Suite, recipients: &[Recipient]) -> Result<(), CreateError> {
    if recipients.is_empty() {
        return Err(CreateError::NoRecipients);
    }
    if recipients.len() > MAX_STANZAS {
        return Err(CreateError::TooManyRecipients {
            limit: MAX_STANZAS,
            got: recipients.len(),
        });
    }
    let refused = recipients
        .iter()
        .map(Recipient::kem)
        .find(|kem| !suite.kems().contains(kem));
    match refused {
        Some(kem) => Err(CreateError::RecipientKem {
            suite: suite.id(),
            kem: kem.name(),
        }),
        None => Ok(()),
    }
}

impl OpeningWriter {
    /// What the identity key is asked to sign.
    #[must_use]
    pub fn request(&self) -> &SignRequest {
        &self.request
    }

    /// Goes on with the key's answer, an SSH signature blob as agents give it: header and OPEN are in the output.
    ///
    /// # Errors
    /// When it is not that key's signature over the request.
    pub fn answer(self, answer: &[u8]) -> Result<Writer, CreateError> {
        let mut out = BytesMut::new();
        let segment = self
            .prepared
            .answer(answer, &mut out)
            .map_err(CreateError::Signature)?;
        Ok(Writer {
            policy: self.policy,
            constant: self.constant,
            generator: self.generator,
            tally: Tally::new(self.policy.output_digest == OutputDigest::Sha256),
            clock: self.clock,
            sealed: out.len(),
            buffer_bytes: 0,
            out,
            frame: None,
            anchor_due: true,
            segment: Some(segment),
            segments: Thinned::new(),
            segment_offset: 0,
            durability: Durability::default(),
        })
    }
}

impl core::fmt::Debug for OpeningWriter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OpeningWriter")
            .field("log_id", &self.constant.log_id)
            .finish_non_exhaustive()
    }
}
