//! The format of Cloudflare's `ssh-log-cli`, read and written.
//!
//! ```text
//! u32 length | base64(JSON metadata)
//! (u32 length | HPKE ciphertext)*          one base-mode context: X25519, HKDF-SHA256, ChaCha20-Poly1305, no info, no aad
//! plaintext of all blocks: (u32 length | u8 source | u32 code | u64 elapsed_us | data)*
//! ```
//!
//! It has no signature, no end and no forward secrecy: what reads well may have lost its end, and anybody with the public key can make one.

mod metadata;
mod modes;
mod read;
mod write;

pub use metadata::{CloudflareExit, CloudflareMetadata, CloudflarePty};
pub use read::{CloudflareEvent, CloudflareReader};
pub use write::CloudflareWriter;

use alloc::string::String;

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

use crate::error::KeyFileError;
use crate::keyfile::{Identity, Kem, Recipient};

/// Bytes of a packet before its data, without the length: source, code, time.
const PACKET_HEAD_BYTES: usize = 13;

/// Who sent the data of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudflareSource {
    /// The person's SSH client.
    Client,
    /// The server.
    Origin,
}

impl Identity {
    /// Reads a private key of `ssh-log-cli`: base64 of the 32 bytes.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn from_cloudflare(text: &str) -> Result<Identity, KeyFileError> {
        let mut key = Zeroizing::new([0; 32]);
        decode(text, &mut key)?;
        Identity::from_private_slice(Kem::X25519, &*key)
    }

    /// The private key in the form of `ssh-log-cli`; `None` when it is not an X25519 key.
    #[must_use]
    pub fn to_cloudflare(&self) -> Option<Zeroizing<String>> {
        (self.kem() == Kem::X25519)
            .then(|| Zeroizing::new(Base64::encode_string(self.secret_bytes())))
    }
}

impl Recipient {
    /// Reads a public key of `ssh-log-cli`: base64 of the 32 bytes.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn from_cloudflare(text: &str) -> Result<Recipient, KeyFileError> {
        let mut key = [0; 32];
        decode(text, &mut key)?;
        Recipient::new(Kem::X25519, &key)
    }

    /// The public key in the form of `ssh-log-cli`; `None` when it is not an X25519 key.
    #[must_use]
    pub fn to_cloudflare(&self) -> Option<String> {
        (self.kem() == Kem::X25519).then(|| Base64::encode_string(self.public()))
    }
}

fn decode(text: &str, key: &mut [u8; 32]) -> Result<(), KeyFileError> {
    // 44 characters, the length that base64 makes of 32 bytes.
    let text = text.trim_ascii();
    match Base64::decode(text, key) {
        Ok(bytes) if bytes.len() == 32 => Ok(()),
        _ => Err(KeyFileError::Damaged),
    }
}

#[cfg(test)]
mod tests;
