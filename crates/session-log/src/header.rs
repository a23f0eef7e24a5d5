//! The head of a segment: preamble, core, wraps.

use alloc::vec::Vec;

use minicbor::Decoder;
use minicbor::data::Type;

use crate::cbor::{self, Malformed, check_item, check_whole};
use crate::hash::{Digest, Hash};
use crate::limits::{MAX_CONTENT_BYTES, MAX_CORE_BYTES, MAX_WRAPS_BYTES};
use crate::sign::PublicKey;
use crate::suite::Suite;

/// Length of the preamble, bytes.
pub(crate) const PREAMBLE_BYTES: usize = 20;
/// The first eight bytes of every segment. As in PNG they show a transfer that changed line ends or lost the eighth bit.
pub(crate) const MAGIC: [u8; 8] = *b"\x89SSLG\r\n\x1a";
/// The format's major version: a reader stops at another.
const MAJOR: u8 = 1;
/// The format's minor version: a reader ignores it.
const MINOR: u8 = 0;

/// Names a log: 16 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId(pub [u8; 16]);

impl core::fmt::Display for LogId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl core::fmt::Debug for LogId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "LogId({self})")
    }
}

/// The first 20 bytes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preamble {
    pub(crate) suite: Suite,
    pub(crate) core_len: u32,
    pub(crate) wraps_len: u32,
}

/// Why the first 20 bytes are no preamble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreambleFault {
    Magic,
    Version(u8),
    Suite(u16),
    Limit,
}

impl Preamble {
    pub(crate) fn encode(&self) -> [u8; PREAMBLE_BYTES] {
        let mut out = [0; PREAMBLE_BYTES];
        let (magic, rest) = out.split_at_mut(8);
        magic.copy_from_slice(&MAGIC);
        let (version, rest) = rest.split_at_mut(2);
        version.copy_from_slice(&[MAJOR, MINOR]);
        let (suite, rest) = rest.split_at_mut(2);
        suite.copy_from_slice(&self.suite.id().to_be_bytes());
        let (core_len, wraps_len) = rest.split_at_mut(4);
        core_len.copy_from_slice(&self.core_len.to_be_bytes());
        wraps_len.copy_from_slice(&self.wraps_len.to_be_bytes());
        out
    }

    /// Length of preamble, core and wraps, bytes.
    pub(crate) fn header_len(&self) -> usize {
        PREAMBLE_BYTES + self.core_len as usize + self.wraps_len as usize
    }

    pub(crate) fn parse(bytes: &[u8; PREAMBLE_BYTES]) -> Result<Preamble, PreambleFault> {
        let [
            magic @ ..,
            major,
            _minor,
            s0,
            s1,
            c0,
            c1,
            c2,
            c3,
            w0,
            w1,
            w2,
            w3,
        ] = *bytes;
        if magic != MAGIC {
            return Err(PreambleFault::Magic);
        }
        if major != MAJOR {
            return Err(PreambleFault::Version(major));
        }
        let suite_id = u16::from_be_bytes([s0, s1]);
        let preamble = Preamble {
            suite: Suite::from_id(suite_id).ok_or(PreambleFault::Suite(suite_id))?,
            core_len: u32::from_be_bytes([c0, c1, c2, c3]),
            wraps_len: u32::from_be_bytes([w0, w1, w2, w3]),
        };
        if preamble.core_len > MAX_CORE_BYTES || preamble.wraps_len > MAX_WRAPS_BYTES {
            return Err(PreambleFault::Limit);
        }
        Ok(preamble)
    }
}

/// `HH = H(0x48 || preamble[0..16] || core)`: bound into every key, every frame and every signature of the segment.
pub(crate) fn header_hash(hash: Hash, preamble: &[u8; PREAMBLE_BYTES], core: &[u8]) -> Digest {
    let (bound, _wraps_len) = preamble.split_at(16);
    hash.of(&[&[0x48], bound, core])
}

/// How the segment before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreviousState {
    /// There is none.
    First,
    /// It has its final checkpoint.
    Clean,
    /// It was found broken.
    Recovered,
    /// It was closed for its size or age.
    Rotated,
}

/// The immutable map that names a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Core {
    pub(crate) log_id: [u8; 16],
    pub(crate) segment_no: u32,
    /// Root and size of the previous segment's tree, its last checkpoint included.
    pub(crate) previous: Option<(Digest, u64)>,
    pub(crate) previous_state: PreviousState,
    pub(crate) commitment: [u8; 32],
    pub(crate) epoch0_public: PublicKey,
    pub(crate) created_unix_ms: u64,
    pub(crate) recipients_digest: Digest,
    /// No frame of the segment has a larger content: a power of two of bytes, at most [`MAX_CONTENT_BYTES`].
    pub(crate) content_log2: u32,
}

/// Why the core map is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CoreFault {
    Malformed,
    UnknownCritical,
}

impl From<Malformed> for CoreFault {
    fn from(_: Malformed) -> CoreFault {
        CoreFault::Malformed
    }
}

impl From<minicbor::decode::Error> for CoreFault {
    fn from(_: minicbor::decode::Error) -> CoreFault {
        CoreFault::Malformed
    }
}

impl Core {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (prev_root, prev_size) = match &self.previous {
            Some((root, size)) => (root.as_bytes(), *size),
            None => (&[][..], 0),
        };
        let state = match self.previous_state {
            PreviousState::First => 0,
            PreviousState::Clean => 1,
            PreviousState::Recovered => 2,
            PreviousState::Rotated => 3,
        };
        cbor::encode_vec(|e| {
            e.map(12)?;
            e.u8(1)?.bytes(&self.log_id)?;
            e.u8(2)?.u32(self.segment_no)?;
            e.u8(3)?.bytes(prev_root)?;
            e.u8(4)?.u64(prev_size)?;
            e.u8(5)?.u8(state)?;
            e.u8(6)?.bytes(&self.commitment)?;
            e.u8(7)?
                .array(2)?
                .u64(self.epoch0_public.algorithm().id())?
                .bytes(self.epoch0_public.as_bytes())?;
            e.u8(8)?.array(0)?;
            e.u8(9)?.u64(self.created_unix_ms)?;
            e.u8(10)?.bytes(self.recipients_digest.as_bytes())?;
            e.u8(11)?.map(0)?;
            e.u8(12)?.u32(self.content_log2).map(|_| ())
        })
    }

    /// Parses a map of this version. Further keys are passed over unless `crit` names them.
    pub(crate) fn parse(suite: Suite, bytes: &[u8]) -> Result<Core, CoreFault> {
        let (hash, signature) = (suite.hash(), suite.signature_algorithm());
        check_whole(bytes)?;
        let mut d = Decoder::new(bytes);
        let entries = d.map()?.ok_or(CoreFault::Malformed)?;
        if entries < 12 {
            return Err(CoreFault::Malformed);
        }
        key(&mut d, 1)?;
        let log_id = fixed(d.bytes()?)?;
        key(&mut d, 2)?;
        let segment_no = d.u32()?;
        key(&mut d, 3)?;
        let prev_root = d.bytes()?;
        key(&mut d, 4)?;
        let prev_size = d.u64()?;
        key(&mut d, 5)?;
        let previous_state = match d.u8()? {
            0 => PreviousState::First,
            1 => PreviousState::Clean,
            2 => PreviousState::Recovered,
            3 => PreviousState::Rotated,
            _ => return Err(CoreFault::Malformed),
        };
        let previous = match (prev_root.len(), prev_size, previous_state, segment_no) {
            (0, 0, PreviousState::First, 0) => None,
            (_, _, PreviousState::First, _) | (_, _, _, 0) | (_, 0, _, _) => {
                return Err(CoreFault::Malformed);
            }
            _ => Some((
                hash.digest_from(prev_root).ok_or(CoreFault::Malformed)?,
                prev_size,
            )),
        };
        key(&mut d, 6)?;
        let commitment = fixed(d.bytes()?)?;
        key(&mut d, 7)?;
        if d.array()? != Some(2) || d.u64()? != signature.id() {
            return Err(CoreFault::Malformed);
        }
        let epoch0_public =
            PublicKey::from_slice(signature, d.bytes()?).ok_or(CoreFault::Malformed)?;
        key(&mut d, 8)?;
        match d.array()? {
            Some(0) => {}
            Some(_) => return Err(CoreFault::UnknownCritical),
            None => return Err(CoreFault::Malformed),
        }
        key(&mut d, 9)?;
        let created_unix_ms = d.u64()?;
        key(&mut d, 10)?;
        let recipients_digest = hash.digest_from(d.bytes()?).ok_or(CoreFault::Malformed)?;
        key(&mut d, 11)?;
        if d.datatype()? != Type::Map {
            return Err(CoreFault::Malformed);
        }
        check_item(&mut d)?;
        key(&mut d, 12)?;
        let content_log2 = d.u32()?;
        if content_log2 > MAX_CONTENT_BYTES.ilog2() {
            return Err(CoreFault::Malformed);
        }
        // The keys ascend, as was checked, so unsigned ones are above 12.
        for _ in 12..entries {
            d.u64()?;
            check_item(&mut d)?;
        }
        Ok(Core {
            log_id,
            segment_no,
            previous,
            previous_state,
            commitment,
            epoch0_public,
            created_unix_ms,
            recipients_digest,
            content_log2,
        })
    }
}

fn key(d: &mut Decoder<'_>, expected: u8) -> Result<(), CoreFault> {
    if d.u8()? == expected {
        Ok(())
    } else {
        Err(CoreFault::Malformed)
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], CoreFault> {
    bytes.try_into().map_err(|_| CoreFault::Malformed)
}

const _: () = assert!(MAX_CONTENT_BYTES.is_power_of_two());

#[cfg(test)]
mod tests;
