//! RustCrypto: no C compiler, no `std`.

mod hashing;
mod keys;

pub(crate) use keys::Key;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use chacha20poly1305::ChaCha20Poly1305;

use super::{Aead, CryptoFailed, Provider};
use crate::sign::{PublicKey, Signature};
use crate::suite::{FRAME_KEY_BYTES, NONCE_BYTES, TAG_BYTES};

pub(crate) struct RustCrypto;

impl Provider for RustCrypto {
    const NAME: &'static str = "RustCrypto, not a FIPS module";
    type Key = Key;

    fn seal_in_place(
        aead: Aead,
        key: &[u8; FRAME_KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], CryptoFailed> {
        let tag = match aead {
            Aead::ChaCha20Poly1305 => ChaCha20Poly1305::new(key.into()).encrypt_inout_detached(
                &nonce.into(),
                aad,
                data.into(),
            ),
            Aead::Aes256Gcm => {
                Aes256Gcm::new(key.into()).encrypt_inout_detached(&nonce.into(), aad, data.into())
            }
        };
        tag.map(Into::into).map_err(|_| CryptoFailed)
    }

    fn open_into(
        aead: Aead,
        key: &[u8; FRAME_KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        (ciphertext, tag): (&[u8], &[u8]),
        plain: &mut [u8],
    ) -> Result<(), CryptoFailed> {
        let tag: [u8; TAG_BYTES] = tag.try_into().map_err(|_| CryptoFailed)?;
        if plain.len() != ciphertext.len() {
            return Err(CryptoFailed);
        }
        plain.copy_from_slice(ciphertext);
        let opened = match aead {
            Aead::ChaCha20Poly1305 => ChaCha20Poly1305::new(key.into()).decrypt_inout_detached(
                &nonce.into(),
                aad,
                plain.into(),
                &tag.into(),
            ),
            Aead::Aes256Gcm => Aes256Gcm::new(key.into()).decrypt_inout_detached(
                &nonce.into(),
                aad,
                plain.into(),
                &tag.into(),
            ),
        };
        opened.map_err(|_| CryptoFailed)
    }

    fn verifies(public: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        keys::verifies(public, message, signature)
    }
}
