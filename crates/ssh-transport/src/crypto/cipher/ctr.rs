//! AES in counter mode (RFC 4344) with HMAC (RFC 6668), either over the encrypted packet (OpenSSH `PROTOCOL` 1.1) or, as
//! RFC 4253 section 6.4 has it, over the plain one.
//!
//! In the second form the length is decrypted and acted on before it is authentic, as the protocol wants it. What a forger
//! learns is what anybody sees: whether a length is in range and aligned, and after how many bytes the MAC is checked.
//! OpenSSH ends the connection at the same two points.

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, EncryptionContext, StreamingEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

use zeroize::{Zeroize as _, Zeroizing};

use super::{Keys, LENGTH_BYTES, NotAuthentic};
use crate::algorithms::MacAlgorithm;
use crate::error::Error;

const BLOCK_BYTES: usize = 16;
/// Bytes encrypted at a time, since AWS-LC writes elsewhere than it reads. A whole number of blocks.
const CHUNK_BYTES: usize = 2048;

/// The key of one direction. Encrypting and decrypting are the same.
pub(super) struct Ctr {
    stream: StreamingEncryptingKey,
    chunk: [u8; CHUNK_BYTES],
    mac: hmac::Key,
    is_encrypt_then_mac: bool,
    /// The first block of the packet that is being received, in plain text, which tells the packet's length.
    first_block: Option<Zeroizing<[u8; BLOCK_BYTES]>>,
}

impl Ctr {
    pub(super) fn new(mac: MacAlgorithm, keys: &Keys<'_>) -> Result<Self, Error> {
        let cipher = match keys.key.len() {
            16 => &AES_128,
            24 => &AES_192,
            _ => &AES_256,
        };
        let counter: [u8; BLOCK_BYTES] = keys.iv.try_into().map_err(|_| Error::ProviderFailed)?;
        let counter = EncryptionContext::Iv128(FixedLength::from(counter));
        let hash = match mac {
            MacAlgorithm::HmacSha256Etm | MacAlgorithm::HmacSha256 => hmac::HMAC_SHA256,
            MacAlgorithm::HmacSha512Etm | MacAlgorithm::HmacSha512 => hmac::HMAC_SHA512,
        };
        let stream = UnboundCipherKey::new(cipher, keys.key)
            .and_then(|key| StreamingEncryptingKey::less_safe_ctr(key, counter))
            .map_err(|_| Error::ProviderFailed)?;
        Ok(Self {
            stream,
            chunk: [0; CHUNK_BYTES],
            mac: hmac::Key::new(hash, keys.mac_key),
            is_encrypt_then_mac: mac.is_encrypt_then_mac(),
            first_block: None,
        })
    }

    /// Encrypts or decrypts whole blocks.
    fn apply(&mut self, data: &mut [u8]) -> Result<(), Error> {
        for part in data.chunks_mut(CHUNK_BYTES) {
            let update = self.stream.less_safe_update(part, &mut self.chunk);
            let update = update.map_err(|_| Error::ProviderFailed)?;
            if update.written().len() != part.len() {
                return Err(Error::ProviderFailed);
            }
            part.copy_from_slice(update.written());
            // What arrives is in clear here.
            self.chunk.zeroize();
        }
        Ok(())
    }

    pub(super) fn tag(&self, sequence: u32, packet: &[u8]) -> hmac::Tag {
        let mut mac = hmac::Context::with_key(&self.mac);
        mac.update(&sequence.to_be_bytes());
        mac.update(packet);
        mac.sign()
    }

    pub(super) fn seal(
        &mut self,
        sequence: u32,
        packet: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Error> {
        let computed = if self.is_encrypt_then_mac {
            let (_, body) = packet
                .split_at_mut_checked(LENGTH_BYTES)
                .ok_or(Error::ProviderFailed)?;
            self.apply(body)?;
            self.tag(sequence, packet)
        } else {
            let computed = self.tag(sequence, packet);
            self.apply(packet)?;
            computed
        };
        if computed.as_ref().len() != tag.len() {
            return Err(Error::ProviderFailed);
        }
        tag.copy_from_slice(computed.as_ref());
        Ok(())
    }

    /// The length field of the packet at the front of `input`, in plain text.
    pub(super) fn packet_length(
        &mut self,
        input: &[u8],
    ) -> Result<Option<[u8; LENGTH_BYTES]>, Error> {
        if self.is_encrypt_then_mac {
            return Ok(input.first_chunk().copied());
        }
        if self.first_block.is_none() {
            let Some(block) = input.first_chunk::<BLOCK_BYTES>() else {
                return Ok(None);
            };
            let mut block = Zeroizing::new(*block);
            self.apply(block.as_mut_slice())?;
            self.first_block = Some(block);
        }
        let block = self.first_block.as_ref();
        Ok(block.and_then(|block| block.first_chunk().copied()))
    }

    pub(super) fn open(
        &mut self,
        sequence: u32,
        packet: &mut [u8],
        tag: &[u8],
    ) -> Result<(), NotAuthentic> {
        if self.is_encrypt_then_mac {
            self.check(sequence, packet, tag)?;
            let (_, body) = packet
                .split_at_mut_checked(LENGTH_BYTES)
                .ok_or(NotAuthentic)?;
            return self.apply(body).map_err(|_| NotAuthentic);
        }
        let block = self.first_block.take().ok_or(NotAuthentic)?;
        let (first, rest) = packet
            .split_first_chunk_mut::<BLOCK_BYTES>()
            .ok_or(NotAuthentic)?;
        *first = *block;
        self.apply(rest).map_err(|_| NotAuthentic)?;
        self.check(sequence, packet, tag)
    }

    fn check(&self, sequence: u32, packet: &[u8], tag: &[u8]) -> Result<(), NotAuthentic> {
        verify_slices_are_equal(self.tag(sequence, packet).as_ref(), tag).map_err(|_| NotAuthentic)
    }
}
