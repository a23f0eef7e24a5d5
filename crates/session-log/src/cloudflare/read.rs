use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use base64ct::{Base64, Encoding as _};
use hpke::aead::{AeadCtxR, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem as HpkeKem, OpModeR, setup_receiver};
use zeroize::Zeroize as _;

use super::{CloudflareMetadata, CloudflareSource, PACKET_HEAD_BYTES};
use crate::error::CloudflareError;
use crate::keyfile::{Identity, Kem};
use crate::limits::{MAX_CLOUDFLARE_BLOCK_BYTES, MAX_CLOUDFLARE_METADATA_BYTES};

type Context = AeadCtxR<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>;

/// What a reader finds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloudflareEvent {
    /// The metadata: first, once. Nothing authenticates it.
    Metadata(CloudflareMetadata),
    /// Data of one side.
    Packet {
        /// Who sent it.
        source: CloudflareSource,
        /// 0, or the type of extended data: 1 for standard error.
        code: u32,
        /// Microseconds since the beginning.
        elapsed_us: u64,
        /// The data.
        data: Vec<u8>,
    },
}

/// Reads a log of `ssh-log-cli` from bytes pushed in pieces of any size. It holds at most one block and one packet.
pub struct CloudflareReader {
    identity: Identity,
    input: Vec<u8>,
    context: Option<Context>,
    plain: Vec<u8>,
    events: VecDeque<CloudflareEvent>,
    began: bool,
    empty_block: bool,
    failed: Option<CloudflareError>,
}

impl CloudflareReader {
    /// A reader with a private key.
    ///
    /// # Errors
    /// When it is not an X25519 key.
    pub fn new(identity: Identity) -> Result<CloudflareReader, CloudflareError> {
        if identity.kem() != Kem::X25519 {
            return Err(CloudflareError::Key);
        }
        Ok(CloudflareReader {
            identity,
            input: Vec::new(),
            context: None,
            plain: Vec::new(),
            events: VecDeque::new(),
            began: false,
            empty_block: false,
            failed: None,
        })
    }

    /// Takes further bytes, and reads what is whole.
    ///
    /// # Errors
    /// With the first thing that does not hold, then and at every later call; what was read before stays in [`Self::poll`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), CloudflareError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.input.extend_from_slice(bytes);
        let read = self.read();
        if let Err(error) = read {
            self.failed = Some(error);
            self.input.clear();
        }
        read
    }

    /// The next event.
    pub fn poll(&mut self) -> Option<CloudflareEvent> {
        self.events.pop_front()
    }

    /// Says that no bytes follow.
    ///
    /// # Errors
    /// When they end inside the metadata, a block or a packet. A log that lost whole blocks from its end cannot be told from one that is whole.
    pub fn finish(&self) -> Result<(), CloudflareError> {
        match self.failed {
            Some(error) => Err(error),
            None if !self.began || !self.input.is_empty() || !self.plain.is_empty() => {
                Err(CloudflareError::Truncated)
            }
            None => Ok(()),
        }
    }

    /// Whether a block without data was met: `ssh-log-cli` takes it for the end, and shows nothing of what follows.
    #[must_use]
    pub fn met_empty_block(&self) -> bool {
        self.empty_block
    }

    fn read(&mut self) -> Result<(), CloudflareError> {
        let mut at = 0;
        loop {
            let limit = if self.began {
                MAX_CLOUDFLARE_BLOCK_BYTES
            } else {
                MAX_CLOUDFLARE_METADATA_BYTES
            };
            let Some(chunk) = take_chunk(self.input.get(at..).unwrap_or_default(), limit)? else {
                break;
            };
            let (start, end) = (at + 4, at + 4 + chunk);
            at = end;
            let bytes = self.input.get(start..end).unwrap_or_default();
            match &mut self.context {
                None => {
                    let metadata = parse_metadata(bytes)?;
                    self.context = Some(open_context(&self.identity, &metadata)?);
                    self.began = true;
                    self.events.push_back(CloudflareEvent::Metadata(metadata));
                }
                Some(context) => {
                    let mut plain = context
                        .open(bytes, b"")
                        .map_err(|_| CloudflareError::NotAuthentic)?;
                    self.empty_block |= plain.is_empty();
                    self.plain.append(&mut plain);
                    self.take_packets()?;
                }
            }
        }
        self.input.drain(..at);
        Ok(())
    }

    fn take_packets(&mut self) -> Result<(), CloudflareError> {
        let mut at = 0;
        loop {
            let rest = self.plain.get(at..).unwrap_or_default();
            let Some(len) = take_chunk(rest, MAX_CLOUDFLARE_BLOCK_BYTES)? else {
                break;
            };
            let packet = rest.get(4..4 + len).unwrap_or_default();
            let (head, data) = packet
                .split_first_chunk::<PACKET_HEAD_BYTES>()
                .ok_or(CloudflareError::Packet)?;
            let [source, c0, c1, c2, c3, elapsed @ ..] = *head;
            let source = match source {
                0 => CloudflareSource::Client,
                1 => CloudflareSource::Origin,
                _ => return Err(CloudflareError::Packet),
            };
            self.events.push_back(CloudflareEvent::Packet {
                source,
                code: u32::from_be_bytes([c0, c1, c2, c3]),
                elapsed_us: u64::from_be_bytes(elapsed),
                data: data.to_vec(),
            });
            at += 4 + len;
        }
        self.plain.drain(..at);
        Ok(())
    }
}

/// The length of the chunk at the front when all of it is there.
fn take_chunk(bytes: &[u8], limit: usize) -> Result<Option<usize>, CloudflareError> {
    let Some((head, rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let len = u32::from_be_bytes(*head) as usize;
    if len > limit {
        return Err(CloudflareError::TooLarge { limit, got: len });
    }
    Ok((rest.len() >= len).then_some(len))
}

fn parse_metadata(bytes: &[u8]) -> Result<CloudflareMetadata, CloudflareError> {
    let text = core::str::from_utf8(bytes).map_err(|_| CloudflareError::Metadata)?;
    let json = Base64::decode_vec(text).map_err(|_| CloudflareError::Metadata)?;
    CloudflareMetadata::from_json(&json).ok_or(CloudflareError::Metadata)
}

fn open_context(
    identity: &Identity,
    metadata: &CloudflareMetadata,
) -> Result<Context, CloudflareError> {
    let key = metadata.key().ok_or(CloudflareError::Metadata)?;
    let enc = <X25519HkdfSha256 as HpkeKem>::EncappedKey::from_bytes(&key)
        .map_err(|_| CloudflareError::Metadata)?;
    let private = <X25519HkdfSha256 as HpkeKem>::PrivateKey::from_bytes(identity.secret_bytes())
        .map_err(|_| CloudflareError::Key)?;
    setup_receiver(&OpModeR::Base, &private, &enc, b"").map_err(|_| CloudflareError::Metadata)
}

impl Drop for CloudflareReader {
    fn drop(&mut self) {
        self.plain.zeroize();
    }
}

impl fmt::Debug for CloudflareReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudflareReader").finish_non_exhaustive()
    }
}
