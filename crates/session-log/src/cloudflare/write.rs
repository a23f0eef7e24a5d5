use alloc::vec::Vec;
use core::fmt;

use base64ct::{Base64, Encoding as _};
use hpke::aead::{AeadCtxS, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{
    Deserializable as _, Kem as HpkeKem, OpModeS, Serializable as _, setup_sender_with_rng,
};

use super::{CloudflareMetadata, CloudflareSource, PACKET_HEAD_BYTES};
use crate::error::CloudflareError;
use crate::keyfile::{Kem, Recipient};
use crate::limits::{MAX_CLOUDFLARE_BLOCK_BYTES, MAX_CLOUDFLARE_METADATA_BYTES};
use crate::secret::Generator;

/// Most data in one packet, bytes: packet and tag fit into one block.
const MAX_DATA_BYTES: usize = MAX_CLOUDFLARE_BLOCK_BYTES - 4 - PACKET_HEAD_BYTES - 16;

/// Writes a log that `ssh-log-cli` reads. Every packet is a block of its own.
pub struct CloudflareWriter {
    context: AeadCtxS<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>,
}

impl CloudflareWriter {
    /// Begins a log for one recipient, and gives its first bytes. `seed` is 32 bytes of fresh randomness, used once.
    ///
    /// The metadata stands in front, so the writer must know the end before: exit and size are known when a finished log is converted.
    ///
    /// # Errors
    /// When the recipient has no usable X25519 key, or the metadata is too large.
    pub fn begin(
        recipient: &Recipient,
        mut metadata: CloudflareMetadata,
        seed: [u8; 32],
    ) -> Result<(CloudflareWriter, Vec<u8>), CloudflareError> {
        if recipient.kem() != Kem::X25519 {
            return Err(CloudflareError::Key);
        }
        let public = <X25519HkdfSha256 as HpkeKem>::PublicKey::from_bytes(recipient.public())
            .map_err(|_| CloudflareError::Key)?;
        let mut generator = Generator::new(seed);
        let (enc, context) =
            setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                &OpModeS::Base,
                &public,
                b"",
                &mut generator,
            )
            .map_err(|_| CloudflareError::Key)?;
        metadata.set_key(&enc.to_bytes());
        let encoded = Base64::encode_string(metadata.to_json().as_bytes());
        if encoded.len() > MAX_CLOUDFLARE_METADATA_BYTES {
            return Err(CloudflareError::TooLarge {
                limit: MAX_CLOUDFLARE_METADATA_BYTES,
                got: encoded.len(),
            });
        }
        let mut out = (encoded.len() as u32).to_be_bytes().to_vec();
        out.extend_from_slice(encoded.as_bytes());
        Ok((CloudflareWriter { context }, out))
    }

    /// Appends the data of one side. Data of any length is split; a packet without data is still no block without data.
    ///
    /// # Errors
    /// When the cryptographic library failed.
    pub fn packet(
        &mut self,
        source: CloudflareSource,
        code: u32,
        elapsed_us: u64,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CloudflareError> {
        let mut rest = data;
        loop {
            let (piece, tail) = rest.split_at_checked(MAX_DATA_BYTES).unwrap_or((rest, &[]));
            let source = match source {
                CloudflareSource::Client => 0,
                CloudflareSource::Origin => 1,
            };
            let packet = [
                &((PACKET_HEAD_BYTES + piece.len()) as u32).to_be_bytes()[..],
                &[source],
                &code.to_be_bytes(),
                &elapsed_us.to_be_bytes(),
                piece,
            ]
            .concat();
            let block = self
                .context
                .seal(&packet, b"")
                .map_err(|_| CloudflareError::NotAuthentic)?;
            out.extend_from_slice(&(block.len() as u32).to_be_bytes());
            out.extend_from_slice(&block);
            rest = tail;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }
}

impl fmt::Debug for CloudflareWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudflareWriter").finish_non_exhaustive()
    }
}
