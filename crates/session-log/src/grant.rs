//! Further recipients for a log that is written already: new wraps of its segment secrets, in a file beside it, signed by whoever grants them.

use alloc::vec::Vec;
use core::fmt;

use minicbor::Decoder;

use crate::cbor::{self, check_item, check_whole};
use crate::error::GrantError;
use crate::hash::Digest;
use crate::header::{Core, LogId, PREAMBLE_BYTES, Preamble, header_hash};
use crate::keyfile::{Identity, Recipient};
use crate::limits::{MAX_SIDECAR_BYTES, MAX_WRAPS_BYTES};
use crate::reader::unlock;
use crate::secret::Generator;
use crate::sign::{PublicKey, Signature};
use crate::signer::{SignRequest, SigningIdentity};
use crate::sshsig;
use crate::suite::Suite;
use crate::wrap::{Stanza, parse_all, seal_all};
use crate::writer::check_recipients;

/// The first eight bytes of a sidecar.
const MAGIC: [u8; 8] = *b"\x89SSLW\r\n\x1a";
/// Length of what stands before the body, bytes: mark, version, suite, length.
const HEAD_BYTES: usize = 16;

/// The wraps of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    segment_no: u32,
    header_hash: Digest,
    wraps: Vec<u8>,
}

/// Collects a log's segments and seals their secrets for further recipients.
pub struct Grant {
    recipients: Vec<Recipient>,
    generator: Generator,
    log: Option<(Suite, LogId)>,
    entries: Vec<Entry>,
}

impl Grant {
    /// For these recipients. `seed` is 32 bytes of fresh randomness.
    #[must_use]
    pub fn new(recipients: Vec<Recipient>, seed: [u8; 32]) -> Grant {
        Grant {
            recipients,
            generator: Generator::new(seed),
            log: None,
            entries: Vec::new(),
        }
    }

    /// Takes the header of a segment: [`crate::SegmentInfo::header_bytes`] from [`crate::SegmentInfo::offset`] on. One of the identities must be
    /// a recipient of it.
    ///
    /// # Errors
    /// When it is no header, of another log, or made for none of the identities; when the recipients' keys do not suit it.
    pub fn add_header(&mut self, header: &[u8], identities: &[Identity]) -> Result<(), GrantError> {
        let (head, rest) = header
            .split_first_chunk::<PREAMBLE_BYTES>()
            .ok_or(GrantError::Header)?;
        let preamble = Preamble::parse(head).map_err(|_| GrantError::Header)?;
        let (core_bytes, wraps) = rest
            .split_at_checked(preamble.core_len as usize)
            .ok_or(GrantError::Header)?;
        let suite = preamble.suite;
        let core = Core::parse(suite, core_bytes).map_err(|_| GrantError::Header)?;
        let stanzas = parse_all(suite, wraps).ok_or(GrantError::Header)?;
        let log = (suite, LogId(core.log_id));
        if *self.log.get_or_insert(log) != log {
            return Err(GrantError::OtherLog);
        }
        check_recipients(suite, &self.recipients).map_err(GrantError::Recipients)?;
        let header_hash = header_hash(suite.hash(), head, core_bytes);
        let secret = unlock::secret(suite, &stanzas, identities, &core, &header_hash)
            .map_err(|_| GrantError::NoMatchingIdentity)?;
        let wraps = seal_all(
            suite,
            &self.recipients,
            &header_hash,
            &secret,
            &mut self.generator,
        )
        .map_err(|_| GrantError::Header)?;
        self.entries.push(Entry {
            segment_no: core.segment_no,
            header_hash,
            wraps,
        });
        Ok(())
    }

    /// After the last header: asks whoever grants for a signature.
    ///
    /// # Errors
    /// When no header was taken.
    pub fn begin(self, granter: PublicKey, unix_ms: u64) -> Result<OpeningGrant, GrantError> {
        let (suite, log_id) = self.log.ok_or(GrantError::Header)?;
        let body = cbor::encode_vec(|e| {
            e.map(3)?;
            e.u8(1)?.bytes(&log_id.0)?;
            e.u8(2)?.u64(unix_ms)?;
            e.u8(3)?.array(self.entries.len() as u64)?;
            for entry in &self.entries {
                e.array(3)?.u32(entry.segment_no)?;
                e.bytes(entry.header_hash.as_bytes())?.bytes(&entry.wraps)?;
            }
            Ok(())
        });
        let signed = [
            &MAGIC[..],
            &[1, 0],
            &suite.id().to_be_bytes(),
            &(body.len() as u32).to_be_bytes(),
            &body,
        ]
        .concat();
        Ok(OpeningGrant {
            suite,
            request: SignRequest::new(suite.message_hash(), granter, &message(suite, &signed)),
            signed,
        })
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("segments", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// What is signed: `"sslg1 grant\0" || H(all before the signature)`.
fn message(suite: Suite, signed: &[u8]) -> Vec<u8> {
    [b"sslg1 grant\0", suite.hash().of(&[signed]).as_bytes()].concat()
}

/// A sidecar that waits for its signature.
#[derive(Debug)]
pub struct OpeningGrant {
    suite: Suite,
    request: SignRequest,
    signed: Vec<u8>,
}

impl OpeningGrant {
    /// What the granter's key is asked to sign.
    #[must_use]
    pub fn request(&self) -> &SignRequest {
        &self.request
    }

    /// The sidecar, with the key's answer: an SSH signature blob as agents give it.
    ///
    /// # Errors
    /// When it is not that key's signature over the request.
    pub fn answer(mut self, answer: &[u8]) -> Result<Vec<u8>, GrantError> {
        let signature: Signature = self
            .request
            .take(answer)
            .map_err(|_| GrantError::Signature)?;
        let blob = sshsig::blob(self.suite.message_hash(), &self.request.public, &signature);
        self.signed.extend_from_slice(&blob);
        Ok(self.signed)
    }

    /// The sidecar, signed by a key in memory.
    ///
    /// # Errors
    /// When it is another key than the one that was named.
    pub fn sign(self, granter: &SigningIdentity) -> Result<Vec<u8>, GrantError> {
        let answer = granter.answer(&self.request);
        self.answer(&answer)
    }
}

/// Further wraps for a log, for [`crate::ReaderConfig::sidecars`]. What they open proves itself by the commitment in the log's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    log_id: LogId,
    granter: PublicKey,
    unix_ms: u64,
    suite: Suite,
    entries: Vec<Entry>,
}

impl Sidecar {
    /// Reads the file and checks its signature. Whether its granter is trusted is for the caller to say.
    ///
    /// # Errors
    /// When it is no sidecar, too large, malformed, or its signature does not fit.
    pub fn parse(bytes: &[u8]) -> Result<Sidecar, GrantError> {
        if bytes.len() > MAX_SIDECAR_BYTES {
            return Err(GrantError::TooLarge {
                limit: MAX_SIDECAR_BYTES,
                got: bytes.len(),
            });
        }
        let head: &[u8; HEAD_BYTES] = bytes.first_chunk().ok_or(GrantError::NoSidecar)?;
        let [mark @ .., major, _minor, s0, s1, l0, l1, l2, l3] = *head;
        if mark != MAGIC || major != 1 {
            return Err(GrantError::NoSidecar);
        }
        let suite = Suite::from_id(u16::from_be_bytes([s0, s1])).ok_or(GrantError::NoSidecar)?;
        let body_len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let (signed, blob) = HEAD_BYTES
            .checked_add(body_len)
            .and_then(|end| bytes.split_at_checked(end))
            .ok_or(GrantError::Malformed)?;
        let hash = suite.message_hash();
        let (granter, signature) = sshsig::parse_blob(hash, blob).ok_or(GrantError::Signature)?;
        if !sshsig::verify(hash, &granter, &message(suite, signed), &signature) {
            return Err(GrantError::Signature);
        }
        let body = signed.get(HEAD_BYTES..).unwrap_or_default();
        let (log_id, unix_ms, entries) = parse_body(suite, body).ok_or(GrantError::Malformed)?;
        Ok(Sidecar {
            log_id,
            granter,
            unix_ms,
            suite,
            entries,
        })
    }

    /// The log it is for.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.log_id
    }

    /// Who granted.
    #[must_use]
    pub fn granter(&self) -> PublicKey {
        self.granter
    }

    /// When, by the granter's clock, milliseconds since 1970.
    #[must_use]
    pub fn granted_unix_ms(&self) -> u64 {
        self.unix_ms
    }

    /// The stanzas for a segment.
    pub(crate) fn stanzas(&self, suite: Suite, header_hash: &Digest) -> Vec<Stanza<'_>> {
        self.entries
            .iter()
            .filter(|entry| suite == self.suite && entry.header_hash == *header_hash)
            .filter_map(|entry| parse_all(suite, &entry.wraps))
            .flatten()
            .collect()
    }
}

fn parse_body(suite: Suite, body: &[u8]) -> Option<(LogId, u64, Vec<Entry>)> {
    check_whole(body).ok()?;
    let mut d = Decoder::new(body);
    let keys = d.map().ok()??;
    let key = |d: &mut Decoder<'_>, expected: u64| (d.u64().ok()? == expected).then_some(());
    key(&mut d, 1)?;
    let log_id = LogId(d.bytes().ok()?.try_into().ok()?);
    key(&mut d, 2)?;
    let unix_ms = d.u64().ok()?;
    key(&mut d, 3)?;
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..d.array().ok()?? {
        if d.array().ok()? != Some(3) {
            return None;
        }
        let entry = Entry {
            segment_no: d.u32().ok()?,
            header_hash: suite.hash().digest_from(d.bytes().ok()?)?,
            wraps: d.bytes().ok()?.to_vec(),
        };
        let ascends = entries
            .last()
            .is_none_or(|last| last.segment_no < entry.segment_no);
        if !ascends
            || entry.wraps.len() > MAX_WRAPS_BYTES as usize
            || parse_all(suite, &entry.wraps).is_none()
        {
            return None;
        }
        entries.push(entry);
    }
    for _ in 3..keys {
        d.u64().ok()?;
        check_item(&mut d).ok()?;
    }
    Some((log_id, unix_ms, entries))
}
