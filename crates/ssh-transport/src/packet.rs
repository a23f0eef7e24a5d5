//! The binary packet protocol (RFC 4253 section 6): packets sealed into the output, opened where they arrived.

use core::ops::Range;

use bytes::{BufMut as _, BytesMut};

use crate::crypto::cipher::{LENGTH_BYTES, MAX_TAG_BYTES};
use crate::crypto::{OpenKey, Primitives, SealKey};
use crate::error::{Error, PeerMisbehaved};
use crate::limits::{MAX_PACKET_BYTES, MAX_PACKETS_PER_KEY, MAX_PAYLOAD_BYTES};

/// Least padding (RFC 4253 section 6).
const MIN_PADDING_BYTES: usize = 4;
/// Block size before the first key exchange, and the least there is.
const CLEAR_BLOCK_BYTES: usize = 8;
/// Shortest packet: padding length, one byte of payload, padding.
const MIN_PACKET_BYTES: usize = 1 + 1 + MIN_PADDING_BYTES;

/// Whether installing a key starts the sequence numbers anew, as strict key exchange does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequence {
    Continues,
    Restarts,
}

/// What passed under one key.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Volume {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl Volume {
    fn count(&mut self, payload_bytes: usize) -> Result<(), Error> {
        if self.packets >= MAX_PACKETS_PER_KEY {
            return Err(PeerMisbehaved::RekeyOverdue.into());
        }
        self.packets += 1;
        self.bytes = self.bytes.saturating_add(payload_bytes as u64);
        Ok(())
    }
}

/// The sending half.
#[derive(Default)]
pub(crate) struct Sealer {
    key: Option<SealKey>,
    sequence: u32,
    volume: Volume,
}

impl Sealer {
    pub(crate) fn install(&mut self, key: SealKey, sequence: Sequence) {
        self.key = Some(key);
        self.volume = Volume::default();
        if sequence == Sequence::Restarts {
            self.sequence = 0;
        }
    }

    pub(crate) fn volume(&self) -> Volume {
        self.volume
    }

    pub(crate) fn seal(
        &mut self,
        payload: &[u8],
        primitives: &mut dyn Primitives,
        out: &mut BytesMut,
    ) -> Result<(), Error> {
        self.volume.count(payload.len())?;
        let (block, outside) = self.key.as_ref().map_or((CLEAR_BLOCK_BYTES, 0), |key| {
            (key.suite().block_bytes(), key.suite().unpadded_bytes())
        });
        let unpadded = LENGTH_BYTES - outside + 1 + payload.len();
        let mut padding = block - unpadded % block;
        if padding < MIN_PADDING_BYTES {
            padding += block;
        }
        let length = 1 + payload.len() + padding;
        out.reserve(LENGTH_BYTES + length + MAX_TAG_BYTES);
        let start = out.len();
        out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        out.put_u8(u8::try_from(padding).unwrap_or(u8::MAX));
        out.put_slice(payload);
        let mut filler = [0; MIN_PADDING_BYTES + 16];
        let filler = filler.get_mut(..padding).unwrap_or_default();
        primitives.fill(filler)?;
        out.put_slice(filler);
        if let Some(key) = &mut self.key {
            out.put_bytes(0, key.suite().tag_bytes());
            let sealed = out.get_mut(start..).unwrap_or_default();
            let (packet, tag) = sealed
                .split_at_mut_checked(LENGTH_BYTES + length)
                .ok_or(Error::ProviderFailed)?;
            key.seal(self.sequence, packet, tag)?;
        }
        self.sequence = self.sequence.wrapping_add(1);
        Ok(())
    }
}

/// A packet that was opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Bytes of the input that it took.
    pub(crate) consumed: usize,
    /// Where in the input its payload stands now. Never empty.
    pub(crate) payload: Range<usize>,
    /// Its sequence number.
    pub(crate) sequence: u32,
}

/// The receiving half.
#[derive(Default)]
pub(crate) struct Opener {
    key: Option<OpenKey>,
    sequence: u32,
    volume: Volume,
}

impl Opener {
    pub(crate) fn install(&mut self, key: OpenKey, sequence: Sequence) {
        self.key = Some(key);
        self.volume = Volume::default();
        if sequence == Sequence::Restarts {
            self.sequence = 0;
        }
    }

    /// Whether no key was installed yet: the peer's first NEWKEYS is still to come.
    pub(crate) fn is_clear(&self) -> bool {
        self.key.is_none()
    }

    pub(crate) fn volume(&self) -> Volume {
        self.volume
    }

    /// Opens the packet at the front of `input`, or says `None` when it is not all there. Until then `input` is unchanged.
    pub(crate) fn open(&mut self, input: &mut [u8]) -> Result<Option<Opened>, Error> {
        let length_field = match &mut self.key {
            Some(key) => key.packet_length(self.sequence, input)?,
            None => input.first_chunk().copied().map(u32::from_be_bytes),
        };
        let Some(length_field) = length_field else {
            return Ok(None);
        };
        let bad_length = PeerMisbehaved::BadPacketLength { got: length_field };
        let length = usize::try_from(length_field).map_err(|_| bad_length)?;
        let (block, outside, tag_bytes) = match &self.key {
            Some(key) => (
                key.suite().block_bytes(),
                key.suite().unpadded_bytes(),
                key.suite().tag_bytes(),
            ),
            None => (CLEAR_BLOCK_BYTES, 0, 0),
        };
        if !(MIN_PACKET_BYTES..=MAX_PACKET_BYTES).contains(&length)
            || !(LENGTH_BYTES - outside + length).is_multiple_of(block)
        {
            return Err(bad_length.into());
        }
        let end = LENGTH_BYTES + length;
        let consumed = end + tag_bytes;
        let Some((packet, rest)) = input.split_at_mut_checked(end) else {
            return Ok(None);
        };
        if let Some(key) = &mut self.key {
            let Some(tag) = rest.get(..tag_bytes) else {
                return Ok(None);
            };
            key.open(self.sequence, packet, tag)
                .map_err(|_| PeerMisbehaved::PacketNotAuthentic)?;
        }
        let padding = usize::from(packet.get(LENGTH_BYTES).copied().unwrap_or_default());
        let payload_bytes = match length.checked_sub(1 + padding) {
            Some(bytes) if padding >= MIN_PADDING_BYTES => bytes,
            _ => return Err(PeerMisbehaved::BadPadding.into()),
        };
        if !(1..=MAX_PAYLOAD_BYTES).contains(&payload_bytes) {
            return Err(PeerMisbehaved::BadPayloadLength { got: payload_bytes }.into());
        }
        self.volume.count(payload_bytes)?;
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let start = LENGTH_BYTES + 1;
        Ok(Some(Opened {
            consumed,
            payload: start..start + payload_bytes,
            sequence,
        }))
    }
}
