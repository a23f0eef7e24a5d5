//! Frames: a clear header, then a body that is either clear or encrypted and padded.

use crate::hash::{Digest, MAX_HASH_BYTES};
use crate::limits::{MAX_BODY_BYTES, MAX_CONTENT_BYTES};
use crate::suite::TAG_BYTES;

/// Length of a frame header, bytes.
pub(crate) const FRAME_HEADER_BYTES: usize = 24;
/// Length of the prefix inside an encrypted body: content length, raw length, time.
pub(crate) const PREFIX_BYTES: usize = 16;
/// The two bytes every frame begins with.
pub(crate) const SYNC: [u8; 2] = [0xc5, 0x5c];
/// The index of a frame that is not encrypted.
pub(crate) const NO_INDEX: u32 = u32::MAX;
/// Flag: sealed early because the caller asked or the record's kind demands it.
pub(crate) const FLAG_URGENT: u8 = 0b010;
/// Flag: the content is compressed (RFC 8878).
pub(crate) const FLAG_ZSTD: u8 = 0b001;
/// Flag: the frame holds a keyframe record, at which a replay can begin.
pub(crate) const FLAG_KEYFRAME: u8 = 0b100;
/// Flags that DATA frames may carry.
const DATA_FLAGS: u8 = FLAG_URGENT | FLAG_ZSTD | FLAG_KEYFRAME;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameKind {
    /// Records, encrypted.
    Data,
    /// An index, encrypted. This version checks and skips it.
    Index,
    /// The summary of the log, encrypted.
    Summary,
    /// The signature that begins a segment.
    Open,
    /// A signature over everything so far.
    Checkpoint,
    /// Somebody else's attestation. This version checks its place and skips it.
    Attestation,
    /// A kind of a later version that may be skipped.
    Skippable(u8),
}

impl FrameKind {
    pub(crate) fn from_id(id: u8) -> Option<FrameKind> {
        Some(match id {
            0x01 => FrameKind::Data,
            0x02 => FrameKind::Index,
            0x03 => FrameKind::Summary,
            0x10 => FrameKind::Open,
            0x11 => FrameKind::Checkpoint,
            0x12 => FrameKind::Attestation,
            0x80.. => FrameKind::Skippable(id),
            _ => return None,
        })
    }

    pub(crate) fn id(self) -> u8 {
        match self {
            FrameKind::Data => 0x01,
            FrameKind::Index => 0x02,
            FrameKind::Summary => 0x03,
            FrameKind::Open => 0x10,
            FrameKind::Checkpoint => 0x11,
            FrameKind::Attestation => 0x12,
            FrameKind::Skippable(id) => id,
        }
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: FrameKind,
    pub(crate) flags: u8,
    pub(crate) body_len: u32,
    pub(crate) seq: u64,
    pub(crate) epoch: u32,
    pub(crate) index: u32,
}

/// Why the 24 bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Sync,
    Kind,
    Flags,
    Length,
    Index,
}

impl FrameHeader {
    pub(crate) fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut out = [0; FRAME_HEADER_BYTES];
        let (sync, rest) = out.split_at_mut(2);
        sync.copy_from_slice(&SYNC);
        let (tags, rest) = rest.split_at_mut(2);
        tags.copy_from_slice(&[self.kind.id(), self.flags]);
        let (len, rest) = rest.split_at_mut(4);
        len.copy_from_slice(&self.body_len.to_be_bytes());
        let (seq, rest) = rest.split_at_mut(8);
        seq.copy_from_slice(&self.seq.to_be_bytes());
        let (epoch, index) = rest.split_at_mut(4);
        epoch.copy_from_slice(&self.epoch.to_be_bytes());
        index.copy_from_slice(&self.index.to_be_bytes());
        out
    }

    /// Parses and checks everything that needs no context.
    pub(crate) fn parse(bytes: &[u8; FRAME_HEADER_BYTES]) -> Result<FrameHeader, HeaderFault> {
        let [
            s0,
            s1,
            kind,
            flags,
            l0,
            l1,
            l2,
            l3,
            q0,
            q1,
            q2,
            q3,
            q4,
            q5,
            q6,
            q7,
            e0,
            e1,
            e2,
            e3,
            i0,
            i1,
            i2,
            i3,
        ] = *bytes;
        if [s0, s1] != SYNC {
            return Err(HeaderFault::Sync);
        }
        let header = FrameHeader {
            kind: FrameKind::from_id(kind).ok_or(HeaderFault::Kind)?,
            flags,
            body_len: u32::from_be_bytes([l0, l1, l2, l3]),
            seq: u64::from_be_bytes([q0, q1, q2, q3, q4, q5, q6, q7]),
            epoch: u32::from_be_bytes([e0, e1, e2, e3]),
            index: u32::from_be_bytes([i0, i1, i2, i3]),
        };
        let encrypted = header.index != NO_INDEX;
        let (flags_allowed, index_fits) = match header.kind {
            FrameKind::Data => (DATA_FLAGS, encrypted),
            FrameKind::Index | FrameKind::Summary => (0, encrypted),
            FrameKind::Open | FrameKind::Checkpoint | FrameKind::Attestation => (0, !encrypted),
            FrameKind::Skippable(_) => (u8::MAX, true),
        };
        if header.flags & !flags_allowed != 0 {
            return Err(HeaderFault::Flags);
        }
        if !index_fits {
            return Err(HeaderFault::Index);
        }
        let least = if encrypted {
            PREFIX_BYTES + TAG_BYTES
        } else {
            0
        };
        if header.body_len > MAX_BODY_BYTES || (header.body_len as usize) < least {
            return Err(HeaderFault::Length);
        }
        Ok(header)
    }

    pub(crate) fn frame_len(&self) -> usize {
        FRAME_HEADER_BYTES + self.body_len as usize
    }
}

/// The additional authenticated data of a frame: `HH || header`.
pub(crate) struct Aad {
    bytes: [u8; MAX_HASH_BYTES + FRAME_HEADER_BYTES],
    len: usize,
}

impl Aad {
    pub(crate) fn new(header_hash: &Digest, header: &[u8; FRAME_HEADER_BYTES]) -> Aad {
        let mut bytes = [0; MAX_HASH_BYTES + FRAME_HEADER_BYTES];
        let parts = header_hash.as_bytes().iter().chain(header);
        let mut len = 0;
        for (to, byte) in bytes.iter_mut().zip(parts) {
            *to = *byte;
            len += 1;
        }
        Aad { bytes, len }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

/// The prefix of an encrypted body: `u32 content_len | u32 raw_len | u64 t0_us`.
pub(crate) fn encode_prefix(content_len: u32, raw_len: u32, t0_us: u64) -> [u8; PREFIX_BYTES] {
    let mut out = [0; PREFIX_BYTES];
    let (len, rest) = out.split_at_mut(4);
    len.copy_from_slice(&content_len.to_be_bytes());
    let (raw, t0) = rest.split_at_mut(4);
    raw.copy_from_slice(&raw_len.to_be_bytes());
    t0.copy_from_slice(&t0_us.to_be_bytes());
    out
}

/// A decrypted body whose lengths and padding are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plain<'a> {
    pub(crate) t0_us: u64,
    /// Length of the content before compression, bytes.
    pub(crate) raw_len: u32,
    pub(crate) content: &'a [u8],
}

/// Splits a decrypted body and checks lengths and padding: compression makes nothing longer, and without it both lengths are one.
pub(crate) fn open_prefix(plain: &[u8], flags: u8) -> Option<Plain<'_>> {
    let (prefix, rest) = plain.split_first_chunk::<PREFIX_BYTES>()?;
    let [c0, c1, c2, c3, r0, r1, r2, r3, t @ ..] = *prefix;
    let content_len = u32::from_be_bytes([c0, c1, c2, c3]);
    let raw_len = u32::from_be_bytes([r0, r1, r2, r3]);
    let fits = if flags & FLAG_ZSTD == 0 {
        raw_len == content_len
    } else {
        raw_len > content_len
    };
    if raw_len > MAX_CONTENT_BYTES || !fits {
        return None;
    }
    let (content, padding) = rest.split_at_checked(content_len as usize)?;
    if padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    Some(Plain {
        t0_us: u64::from_be_bytes(t),
        raw_len,
        content,
    })
}

/// Padmé (Nikitin et al., PETS 2019): rounds up so that a length leaks O(log log n) bits, for at most 12 % more bytes.
pub(crate) fn padme(len: u32) -> u32 {
    if len < 2 {
        return len;
    }
    let exponent = len.ilog2();
    let mantissa_bits = exponent.ilog2() + 1;
    let mask = (1u32 << exponent.saturating_sub(mantissa_bits)) - 1;
    (len + mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padme_keeps_small_and_round_lengths_and_never_exceeds_an_eighth() {
        for (len, padded) in [
            (0, 0),
            (1, 1),
            (9, 10),
            (512, 512),
            (513, 544),
            (65_536, 65_536),
            (65_537, 67_584),
        ] {
            assert_eq!(padme(len), padded, "{len}");
        }
        for len in 1..100_000u32 {
            let padded = padme(len);
            assert!(
                padded >= len && u64::from(padded - len) * 8 <= u64::from(len),
                "{len} -> {padded}"
            );
        }
        assert_eq!(padme(MAX_CONTENT_BYTES), MAX_CONTENT_BYTES);
        assert!(
            (MAX_CONTENT_BYTES - 70_000..MAX_CONTENT_BYTES)
                .all(|len| padme(len) <= MAX_CONTENT_BYTES)
        );
    }

    #[test]
    fn header_round_trips_and_refuses_each_fault_by_name() {
        let header = FrameHeader {
            kind: FrameKind::Data,
            flags: FLAG_URGENT,
            body_len: 544,
            seq: 7,
            epoch: 2,
            index: 5,
        };
        let bytes = header.encode();
        assert_eq!(FrameHeader::parse(&bytes), Ok(header));
        let with = |at: usize, value: u8| {
            let mut bytes = bytes;
            bytes[at] = value;
            FrameHeader::parse(&bytes)
        };
        assert_eq!(with(0, 0), Err(HeaderFault::Sync));
        assert_eq!(with(2, 0x7f), Err(HeaderFault::Kind));
        assert_eq!(with(3, 8), Err(HeaderFault::Flags));
        assert_eq!(with(4, 1), Err(HeaderFault::Length));
        let clear = FrameHeader {
            index: NO_INDEX,
            ..header
        };
        assert_eq!(FrameHeader::parse(&clear.encode()), Err(HeaderFault::Index));
        let short = FrameHeader {
            body_len: 31,
            ..header
        };
        assert_eq!(
            FrameHeader::parse(&short.encode()),
            Err(HeaderFault::Length)
        );
    }

    #[test]
    fn prefix_refuses_lengths_outside_and_padding_that_is_not_zero() {
        let mut plain = alloc::vec![0u8; 16 + 10];
        plain[..16].copy_from_slice(&encode_prefix(4, 4, 9));
        plain[16..20].copy_from_slice(b"abcd");
        let opened = open_prefix(&plain, 0).map(|plain| (plain.t0_us, plain.content));
        assert_eq!(opened, Some((9, &b"abcd"[..])));
        assert_eq!(open_prefix(&plain, FLAG_ZSTD), None);
        plain[25] = 1;
        assert_eq!(open_prefix(&plain, 0), None);
        plain[25] = 0;
        for (content, raw, flags, good) in [
            (11, 11, 0, false),
            (4, 5, 0, false),
            (4, 5, FLAG_ZSTD, true),
            (4, MAX_CONTENT_BYTES, FLAG_ZSTD, true),
            (4, MAX_CONTENT_BYTES + 1, FLAG_ZSTD, false),
            (4, 3, FLAG_ZSTD, false),
        ] {
            plain[..16].copy_from_slice(&encode_prefix(content, raw, 9));
            assert_eq!(
                open_prefix(&plain, flags).is_some(),
                good,
                "{content} {raw}"
            );
        }
        assert_eq!(open_prefix(&plain[..15], 0), None);
    }
}
