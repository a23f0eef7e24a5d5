//! Packet ciphers, in place. A sealed packet is `length (4) || padding length (1) || payload || padding || tag`.

mod aead;
mod ctr;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;

use crate::algorithms::{CipherAlgorithm, MacAlgorithm, Suite};
use crate::error::Error;

use aead::{ChaChaOpen, ChaChaSeal, Gcm};
use ctr::Ctr;

pub(crate) const LENGTH_BYTES: usize = 4;
/// Longest tag, that of HMAC-SHA2-512.
pub(crate) const MAX_TAG_BYTES: usize = 64;
/// Tag of AES-GCM and Poly1305.
const AEAD_TAG_BYTES: usize = 16;

/// A fuzzer must be able to write packets that are taken after the key exchange. `cargo fuzz` sets this, nothing else.
#[expect(unexpected_cfgs, reason = "cargo does not know what cargo fuzz sets")]
const NULL_CIPHER: bool = cfg!(fuzzing);

/// Bytes of what is derived for one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeySizes {
    pub(crate) iv: usize,
    pub(crate) key: usize,
    pub(crate) mac_key: usize,
}

/// What was derived for one direction.
pub(crate) struct Keys<'a> {
    pub(crate) iv: &'a [u8],
    pub(crate) key: &'a [u8],
    pub(crate) mac_key: &'a [u8],
}

impl Suite {
    pub(crate) const fn key_sizes(self) -> KeySizes {
        let (key, iv) = match self.cipher {
            CipherAlgorithm::Aes256Gcm => (32, 12),
            CipherAlgorithm::Aes128Gcm => (16, 12),
            CipherAlgorithm::ChaCha20Poly1305 => (64, 0),
            CipherAlgorithm::Aes256Ctr => (32, 16),
            CipherAlgorithm::Aes192Ctr => (24, 16),
            CipherAlgorithm::Aes128Ctr => (16, 16),
        };
        let mac_key = match self.mac {
            None => 0,
            // RFC 6668 section 2: as long as the hash.
            Some(mac) => mac.tag_bytes(),
        };
        KeySizes { iv, key, mac_key }
    }

    /// The length of what is padded must be a multiple of this.
    pub(crate) const fn block_bytes(self) -> usize {
        match self.cipher {
            CipherAlgorithm::ChaCha20Poly1305 => 8,
            _ => 16,
        }
    }

    /// Bytes of the length field that do not count for the padding, since they are not encrypted with the rest.
    pub(crate) const fn unpadded_bytes(self) -> usize {
        match self.mac {
            Some(mac) if !mac.is_encrypt_then_mac() => 0,
            _ => LENGTH_BYTES,
        }
    }

    pub(crate) const fn tag_bytes(self) -> usize {
        match self.mac {
            None => AEAD_TAG_BYTES,
            Some(mac) => mac.tag_bytes(),
        }
    }
}

impl MacAlgorithm {
    const fn tag_bytes(self) -> usize {
        match self {
            Self::HmacSha256Etm | Self::HmacSha256 => 32,
            Self::HmacSha512Etm | Self::HmacSha512 => 64,
        }
    }
}

enum Sealing {
    Gcm(Gcm),
    ChaCha(Box<ChaChaSeal>),
    Ctr(Box<Ctr>),
}

/// Encrypts packets in one direction under one key.
pub(crate) struct SealKey {
    suite: Suite,
    key: Sealing,
}

impl SealKey {
    pub(crate) fn new(suite: Suite, keys: &Keys<'_>) -> Result<Self, Error> {
        let key = match (suite.cipher, suite.mac) {
            (CipherAlgorithm::Aes256Gcm | CipherAlgorithm::Aes128Gcm, _) => {
                Sealing::Gcm(Gcm::new(keys)?)
            }
            (CipherAlgorithm::ChaCha20Poly1305, _) => {
                Sealing::ChaCha(Box::new(aead::chacha_seal(keys)?))
            }
            (_, Some(mac)) => Sealing::Ctr(Box::new(Ctr::new(mac, keys)?)),
            (_, None) => return Err(Error::ProviderFailed),
        };
        Ok(Self { suite, key })
    }

    pub(crate) fn suite(&self) -> Suite {
        self.suite
    }

    /// `packet` is the length field and all that it counts. `tag` is as long as the suite's.
    pub(crate) fn seal(
        &mut self,
        sequence: u32,
        packet: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Error> {
        if NULL_CIPHER {
            return Ok(());
        }
        match &mut self.key {
            Sealing::Gcm(key) => key.seal(packet, tag),
            Sealing::ChaCha(key) => {
                let tag = tag.try_into().map_err(|_| Error::ProviderFailed)?;
                key.seal_in_place(sequence, packet, tag);
                Ok(())
            }
            Sealing::Ctr(key) => key.seal(sequence, packet, tag),
        }
    }
}

enum Opening {
    Gcm(Gcm),
    ChaCha(Box<ChaChaOpen>),
    Ctr(Box<Ctr>),
}

/// Decrypts packets in one direction under one key.
pub(crate) struct OpenKey {
    suite: Suite,
    key: Opening,
}

/// The packet is not what was sealed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAuthentic;

impl OpenKey {
    pub(crate) fn new(suite: Suite, keys: &Keys<'_>) -> Result<Self, Error> {
        let key = match (suite.cipher, suite.mac) {
            (CipherAlgorithm::Aes256Gcm | CipherAlgorithm::Aes128Gcm, _) => {
                Opening::Gcm(Gcm::new(keys)?)
            }
            (CipherAlgorithm::ChaCha20Poly1305, _) => {
                Opening::ChaCha(Box::new(aead::chacha_open(keys)?))
            }
            (_, Some(mac)) => Opening::Ctr(Box::new(Ctr::new(mac, keys)?)),
            (_, None) => return Err(Error::ProviderFailed),
        };
        Ok(Self { suite, key })
    }

    pub(crate) fn suite(&self) -> Suite {
        self.suite
    }

    /// The length of the packet at the front of `input`, which is not authentic before the packet was opened, or `None`
    /// when too little of it is there. `input` is only read.
    pub(crate) fn packet_length(
        &mut self,
        sequence: u32,
        input: &[u8],
    ) -> Result<Option<u32>, Error> {
        let Some(field) = input.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = match &mut self.key {
            _ if NULL_CIPHER => *field,
            Opening::Gcm(_) => *field,
            Opening::ChaCha(key) => key.decrypt_packet_length(sequence, *field),
            Opening::Ctr(key) => match key.packet_length(input)? {
                Some(length) => length,
                None => return Ok(None),
            },
        };
        Ok(Some(u32::from_be_bytes(length)))
    }

    /// `packet` is the length field and all that it counts; what follows the field becomes plain text. Its length was
    /// told by [`Self::packet_length`].
    pub(crate) fn open(
        &mut self,
        sequence: u32,
        packet: &mut [u8],
        tag: &[u8],
    ) -> Result<(), NotAuthentic> {
        if NULL_CIPHER {
            return Ok(());
        }
        match &mut self.key {
            Opening::Gcm(key) => key.open(packet, tag),
            Opening::ChaCha(key) => {
                let tag = tag.try_into().map_err(|_| NotAuthentic)?;
                key.open_in_place(sequence, packet, tag)
                    .map(drop)
                    .map_err(|_| NotAuthentic)
            }
            Opening::Ctr(key) => key.open(sequence, packet, tag),
        }
    }
}
