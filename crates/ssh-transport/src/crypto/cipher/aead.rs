//! Ciphers that authenticate by themselves.

use alloc::boxed::Box;

use aws_lc_rs::aead::chacha20_poly1305_openssh as chacha;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::{Keys, LENGTH_BYTES, NotAuthentic};
use crate::error::Error;

pub(super) use chacha::{OpeningKey as ChaChaOpen, SealingKey as ChaChaSeal};

/// OpenSSH `PROTOCOL.chacha20poly1305`.
pub(super) fn chacha_seal(keys: &Keys<'_>) -> Result<ChaChaSeal, Error> {
    let key = keys.key.try_into().map_err(|_| Error::ProviderFailed)?;
    Ok(ChaChaSeal::new(key))
}

pub(super) fn chacha_open(keys: &Keys<'_>) -> Result<ChaChaOpen, Error> {
    let key = keys.key.try_into().map_err(|_| Error::ProviderFailed)?;
    Ok(ChaChaOpen::new(key))
}

/// AES-GCM (RFC 5647), of 128 or 256 bits by the length of its key. The packet's length is authenticated and in clear.
pub(super) struct Gcm {
    key: Box<LessSafeKey>,
    nonce: GcmNonce,
}

impl Gcm {
    pub(super) fn new(keys: &Keys<'_>) -> Result<Self, Error> {
        let algorithm = if keys.key.len() == AES_128_GCM.key_len() {
            &AES_128_GCM
        } else {
            &AES_256_GCM
        };
        let key = UnboundKey::new(algorithm, keys.key).map_err(|_| Error::ProviderFailed)?;
        Ok(Self {
            key: Box::new(LessSafeKey::new(key)),
            nonce: GcmNonce::new(keys.iv)?,
        })
    }

    pub(super) fn seal(&mut self, packet: &mut [u8], tag: &mut [u8]) -> Result<(), Error> {
        let (length, body) = packet
            .split_first_chunk_mut::<LENGTH_BYTES>()
            .ok_or(Error::ProviderFailed)?;
        let computed = self
            .key
            .seal_in_place_separate_tag(self.nonce.next(), Aad::from(&*length), body)
            .map_err(|_| Error::ProviderFailed)?;
        if computed.as_ref().len() != tag.len() {
            return Err(Error::ProviderFailed);
        }
        tag.copy_from_slice(computed.as_ref());
        Ok(())
    }

    pub(super) fn open(&mut self, packet: &mut [u8], tag: &[u8]) -> Result<(), NotAuthentic> {
        let (length, body) = packet
            .split_first_chunk_mut::<LENGTH_BYTES>()
            .ok_or(NotAuthentic)?;
        self.key
            .open_in_place_separate_tag(self.nonce.next(), Aad::from(&*length), tag, body)
            .map(drop)
            .map_err(|_| NotAuthentic)
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
