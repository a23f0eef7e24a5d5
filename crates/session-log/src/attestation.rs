//! ATTESTATION: what was found of a log that lacks its end.

use alloc::vec::Vec;

use minicbor::Decoder;

use crate::cbor::{self, check_item, check_whole};
use crate::error::RecordError;

/// What whoever recovered a log found of it. The segment that holds this refers to the same frames by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// Length of the log as it was found, bytes.
    pub found_bytes: u64,
    /// How much of it was kept: up to the last whole frame, bytes.
    pub kept_bytes: u64,
    /// SHA-256 of the log as it was found.
    pub found_sha256: [u8; 32],
    /// Frames of the broken segment that its last good checkpoint vouches for.
    pub attested_frames: u64,
    /// Frames of the broken segment that were kept.
    pub frames: u64,
    /// When it was found, milliseconds since 1970.
    pub unix_ms: u64,
}

impl Attestation {
    pub(crate) fn encode(&self) -> Vec<u8> {
        cbor::encode_vec(|e| {
            e.map(6)?;
            e.u8(1)?.u64(self.found_bytes)?;
            e.u8(2)?.u64(self.kept_bytes)?;
            e.u8(3)?.bytes(&self.found_sha256)?;
            e.u8(4)?.u64(self.attested_frames)?;
            e.u8(5)?.u64(self.frames)?;
            e.u8(6)?.u64(self.unix_ms).map(|_| ())
        })
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Attestation, RecordError> {
        check_whole(body)?;
        let mut d = Decoder::new(body);
        let entries = d.map()?.ok_or(RecordError)?;
        let next = |d: &mut Decoder<'_>, key: u64| match d.u64()? == key {
            true => Ok(()),
            false => Err(RecordError),
        };
        next(&mut d, 1)?;
        let found_bytes = d.u64()?;
        next(&mut d, 2)?;
        let kept_bytes = d.u64()?;
        next(&mut d, 3)?;
        let found_sha256 = d.bytes()?.try_into().map_err(|_| RecordError)?;
        next(&mut d, 4)?;
        let attested_frames = d.u64()?;
        next(&mut d, 5)?;
        let frames = d.u64()?;
        next(&mut d, 6)?;
        let unix_ms = d.u64()?;
        for _ in 6..entries {
            d.u64()?;
            check_item(&mut d)?;
        }
        Ok(Attestation {
            found_bytes,
            kept_bytes,
            found_sha256,
            attested_frames,
            frames,
            unix_ms,
        })
    }
}
