//! Packet ciphers, in place. A packet is `length (4) || padding length (1) || payload || padding || tag (16)`.

use alloc::boxed::Box;

use aws_lc_rs::aead::chacha20_poly1305_openssh as chacha;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::algorithms::CipherAlgorithm;
use crate::error::Error;

pub(crate) const TAG_BYTES: usize = 16;
pub(crate) const LENGTH_BYTES: usize = 4;

/// A fuzzer must be able to write packets that are taken after the key exchange. `cargo fuzz` sets this, nothing else.
#[expect(unexpected_cfgs, reason = "cargo does not know what cargo fuzz sets")]
const NULL_CIPHER: bool = cfg!(fuzzing);

impl CipherAlgorithm {
    /// Bytes of key and of initial vector to derive.
    pub(crate) const fn key_iv_bytes(self) -> (usize, usize) {
        match self {
            Self::Aes256Gcm => (32, 12),
            Self::Aes128Gcm => (16, 12),
            Self::ChaCha20Poly1305 => (64, 0),
        }
    }

    /// The length of the encrypted part must be a multiple of this.
    pub(crate) const fn block_bytes(self) -> usize {
        match self {
            Self::Aes256Gcm | Self::Aes128Gcm => 16,
            Self::ChaCha20Poly1305 => 8,
        }
    }
}

/// AES-GCM's nonce: 4 fixed bytes and a counter of packets (RFC 5647 section 7.1).
struct GcmNonce {
    fixed: [u8; 4],
    counter: u64,
}

impl GcmNonce {
    fn new(iv: &[u8]) -> Result<Self, Error> {
        let (fixed, counter) = iv.split_first_chunk::<4>().ok_or(Error::ProviderFailed)?;
        let counter = counter.try_into().map_err(|_| Error::ProviderFailed)?;
        Ok(Self {
            fixed: *fixed,
            counter: u64::from_be_bytes(counter),
        })
    }

    fn next(&mut self) -> Nonce {
        let [a, b, c, d] = self.fixed;
        let [e, f, g, h, i, j, k, l] = self.counter.to_be_bytes();
        // Far fewer than 2^64 packets pass under one key, and RFC 5647 lets the counter start anywhere and wrap.
        self.counter = self.counter.wrapping_add(1);
        Nonce::assume_unique_for_key([a, b, c, d, e, f, g, h, i, j, k, l])
    }
}

fn gcm(cipher: CipherAlgorithm, key: &[u8]) -> Result<Box<LessSafeKey>, Error> {
    let algorithm = if cipher == CipherAlgorithm::Aes128Gcm {
        &AES_128_GCM
    } else {
        &AES_256_GCM
    };
    let key = UnboundKey::new(algorithm, key).map_err(|_| Error::ProviderFailed)?;
    Ok(Box::new(LessSafeKey::new(key)))
}

enum Sealing {
    Gcm(Box<LessSafeKey>, GcmNonce),
    ChaCha(Box<chacha::SealingKey>),
}

/// Encrypts packets in one direction under one key.
pub(crate) struct SealKey {
    cipher: CipherAlgorithm,
    key: Sealing,
}

impl SealKey {
    pub(crate) fn new(cipher: CipherAlgorithm, key: &[u8], iv: &[u8]) -> Result<Self, Error> {
        let key = match cipher {
            CipherAlgorithm::Aes256Gcm | CipherAlgorithm::Aes128Gcm => {
                Sealing::Gcm(gcm(cipher, key)?, GcmNonce::new(iv)?)
            }
            CipherAlgorithm::ChaCha20Poly1305 => {
                let key = key.try_into().map_err(|_| Error::ProviderFailed)?;
                Sealing::ChaCha(Box::new(chacha::SealingKey::new(key)))
            }
        };
        Ok(Self { cipher, key })
    }

    pub(crate) fn cipher(&self) -> CipherAlgorithm {
        self.cipher
    }

    /// `packet` is the length field and all that it counts.
    pub(crate) fn seal(
        &mut self,
        sequence: u32,
        packet: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], Error> {
        if NULL_CIPHER {
            return Ok([0; TAG_BYTES]);
        }
        match &mut self.key {
            Sealing::Gcm(key, nonce) => {
                let (length, body) = packet
                    .split_first_chunk_mut::<LENGTH_BYTES>()
                    .ok_or(Error::ProviderFailed)?;
                let tag = key
                    .seal_in_place_separate_tag(nonce.next(), Aad::from(&*length), body)
                    .map_err(|_| Error::ProviderFailed)?;
                tag.as_ref().try_into().map_err(|_| Error::ProviderFailed)
            }
            Sealing::ChaCha(key) => {
                let mut tag = [0; TAG_BYTES];
                key.seal_in_place(sequence, packet, &mut tag);
                Ok(tag)
            }
        }
    }
}

enum Opening {
    Gcm(Box<LessSafeKey>, GcmNonce),
    ChaCha(Box<chacha::OpeningKey>),
}

/// Decrypts packets in one direction under one key.
pub(crate) struct OpenKey {
    cipher: CipherAlgorithm,
    key: Opening,
}

/// The packet is not what was sealed.
pub(crate) struct NotAuthentic;

impl OpenKey {
    pub(crate) fn new(cipher: CipherAlgorithm, key: &[u8], iv: &[u8]) -> Result<Self, Error> {
        let key = match cipher {
            CipherAlgorithm::Aes256Gcm | CipherAlgorithm::Aes128Gcm => {
                Opening::Gcm(gcm(cipher, key)?, GcmNonce::new(iv)?)
            }
            CipherAlgorithm::ChaCha20Poly1305 => {
                let key = key.try_into().map_err(|_| Error::ProviderFailed)?;
                Opening::ChaCha(Box::new(chacha::OpeningKey::new(key)))
            }
        };
        Ok(Self { cipher, key })
    }

    pub(crate) fn cipher(&self) -> CipherAlgorithm {
        self.cipher
    }

    /// The packet's length, which is not authentic before the packet was opened.
    pub(crate) fn packet_length(&self, sequence: u32, length: [u8; LENGTH_BYTES]) -> u32 {
        u32::from_be_bytes(match &self.key {
            _ if NULL_CIPHER => length,
            Opening::Gcm(..) => length,
            Opening::ChaCha(key) => key.decrypt_packet_length(sequence, length),
        })
    }

    /// `packet` is the length field and all that it counts; what follows the field becomes plain text.
    pub(crate) fn open(
        &mut self,
        sequence: u32,
        packet: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), NotAuthentic> {
        if NULL_CIPHER {
            return Ok(());
        }
        match &mut self.key {
            Opening::Gcm(key, nonce) => {
                let (length, body) = packet
                    .split_first_chunk_mut::<LENGTH_BYTES>()
                    .ok_or(NotAuthentic)?;
                key.open_in_place_separate_tag(nonce.next(), Aad::from(&*length), tag, body)
                    .map_err(|_| NotAuthentic)?;
            }
            Opening::ChaCha(key) => {
                key.open_in_place(sequence, packet, tag)
                    .map_err(|_| NotAuthentic)?;
            }
        }
        Ok(())
    }
}
