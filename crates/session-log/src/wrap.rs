//! Recipients: the segment secret, sealed once for each with HPKE base mode (RFC 9180).

use alloc::vec::Vec;

use hpke::aead::{Aead, AesGcm256, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::{X25519HkdfSha256, XWing};
use hpke::{
    Deserializable as _, Kem as HpkeKem, OpModeR, OpModeS, Serializable as _, setup_receiver,
    setup_sender_with_rng,
};
use minicbor::Decoder;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::cbor::{self, check_whole};
use crate::keyfile::{Identity, Kem, Recipient};
use crate::limits::{MAX_KEY_ID_BYTES, MAX_STANZAS};
use crate::secret::Secret;
use crate::suite::{CryptoFailed, Digest, HASH_BYTES, Suite, TAG_BYTES};

/// HPKE code point of HKDF-SHA256.
const KDF_HKDF_SHA256: u16 = 0x0001;
const AEAD_AES_256_GCM: u16 = 0x0002;
const AEAD_CHACHA20_POLY1305: u16 = 0x0003;
/// Length of a sealed segment secret, bytes.
const SEALED_BYTES: usize = HASH_BYTES + TAG_BYTES;

/// One recipient's entry in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stanza<'a> {
    pub(crate) kem_id: u16,
    pub(crate) kdf_id: u16,
    pub(crate) aead_id: u16,
    pub(crate) key_id: &'a [u8],
    pub(crate) enc: &'a [u8],
    pub(crate) ct: &'a [u8],
}

/// `info` of the wrap: `"sslg1 wrap" || u16 suite || key_id`.
fn wrap_info(suite: Suite, key_id: &[u8]) -> Vec<u8> {
    [b"sslg1 wrap", &suite.id().to_be_bytes()[..], key_id].concat()
}

/// `H` over the sorted key ids, each after its length: what the header says about who can read.
pub(crate) fn recipients_digest<'a>(key_ids: impl Iterator<Item = &'a [u8]>) -> Digest {
    let mut sorted: Vec<&[u8]> = key_ids.collect();
    sorted.sort_unstable();
    let mut joined = Vec::new();
    for id in sorted {
        // Key ids have at most 32 bytes.
        joined.push(id.len() as u8);
        joined.extend_from_slice(id);
    }
    Digest::of(&[&joined])
}

/// Seals the secret for every recipient and encodes the stanzas.
pub(crate) fn seal_all(
    suite: Suite,
    recipients: &[Recipient],
    header_hash: &Digest,
    secret: &Secret,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, CryptoFailed> {
    let mut wraps = cbor::encode_vec(|e| e.array(recipients.len() as u64).map(|_| ()));
    for recipient in recipients {
        let key_id = recipient.key_id();
        let info = wrap_info(suite, key_id);
        let aad = header_hash.as_bytes();
        let public = recipient.public();
        let (enc, ct) = match (recipient.kem(), suite.wrap_aead()) {
            (Kem::XWing, AEAD_AES_256_GCM) => {
                seal::<AesGcm256, XWing>(public, &info, aad, secret, rng)
            }
            (Kem::XWing, _) => seal::<ChaCha20Poly1305, XWing>(public, &info, aad, secret, rng),
            (Kem::X25519, AEAD_AES_256_GCM) => {
                seal::<AesGcm256, X25519HkdfSha256>(public, &info, aad, secret, rng)
            }
            (Kem::X25519, _) => {
                seal::<ChaCha20Poly1305, X25519HkdfSha256>(public, &info, aad, secret, rng)
            }
        }?;
        wraps = cbor::encode(wraps, |e| {
            e.array(6)?
                .u16(recipient.kem().id())?
                .u16(KDF_HKDF_SHA256)?
                .u16(suite.wrap_aead())?;
            e.bytes(key_id)?.bytes(&enc)?.bytes(&ct).map(|_| ())
        });
    }
    Ok(wraps)
}

fn seal<A: Aead, K: HpkeKem>(
    public: &[u8],
    info: &[u8],
    aad: &[u8],
    secret: &Secret,
    rng: &mut impl CryptoRng,
) -> Result<(Vec<u8>, Vec<u8>), CryptoFailed> {
    let public = K::PublicKey::from_bytes(public).map_err(|_| CryptoFailed)?;
    let (enc, mut context) =
        setup_sender_with_rng::<A, HkdfSha256, K>(&OpModeS::Base, &public, info, rng)
            .map_err(|_| CryptoFailed)?;
    let ct = context.seal(&secret[..], aad).map_err(|_| CryptoFailed)?;
    Ok((enc.to_bytes().to_vec(), ct))
}

/// The stanzas of a header, at most [`MAX_STANZAS`].
pub(crate) fn parse_all(wraps: &[u8]) -> Option<Vec<Stanza<'_>>> {
    check_whole(wraps).ok()?;
    let mut d = Decoder::new(wraps);
    let count = usize::try_from(d.array().ok()??).ok()?;
    if count == 0 || count > MAX_STANZAS {
        return None;
    }
    let mut stanzas = Vec::with_capacity(count);
    for _ in 0..count {
        if d.array().ok()? != Some(6) {
            return None;
        }
        let stanza = Stanza {
            kem_id: d.u16().ok()?,
            kdf_id: d.u16().ok()?,
            aead_id: d.u16().ok()?,
            key_id: d.bytes().ok()?,
            enc: d.bytes().ok()?,
            ct: d.bytes().ok()?,
        };
        if stanza.key_id.len() > MAX_KEY_ID_BYTES || stanza.ct.len() != SEALED_BYTES {
            return None;
        }
        stanzas.push(stanza);
    }
    Some(stanzas)
}

impl Stanza<'_> {
    /// Whether the identity may be meant: its key id, or none given.
    pub(crate) fn may_be_for(&self, identity: &Identity) -> bool {
        self.kem_id == identity.kem().id()
            && (self.key_id.is_empty() || self.key_id == identity.key_id())
    }

    /// Whether a quantum computer does not open it.
    pub(crate) fn is_post_quantum(&self) -> bool {
        Kem::from_id(self.kem_id) == Some(Kem::XWing)
    }

    /// The segment secret, if this identity is the recipient.
    pub(crate) fn open(
        &self,
        suite: Suite,
        identity: &Identity,
        header_hash: &Digest,
    ) -> Option<Secret> {
        if self.kdf_id != KDF_HKDF_SHA256 || self.kem_id != identity.kem().id() {
            return None;
        }
        let info = wrap_info(suite, self.key_id);
        let aad = header_hash.as_bytes();
        let private = identity.secret_bytes();
        match (identity.kem(), self.aead_id) {
            (Kem::XWing, AEAD_AES_256_GCM) => {
                self.open_with::<AesGcm256, XWing>(private, &info, aad)
            }
            (Kem::XWing, AEAD_CHACHA20_POLY1305) => {
                self.open_with::<ChaCha20Poly1305, XWing>(private, &info, aad)
            }
            (Kem::X25519, AEAD_AES_256_GCM) => {
                self.open_with::<AesGcm256, X25519HkdfSha256>(private, &info, aad)
            }
            (Kem::X25519, AEAD_CHACHA20_POLY1305) => {
                self.open_with::<ChaCha20Poly1305, X25519HkdfSha256>(private, &info, aad)
            }
            _ => None,
        }
    }

    fn open_with<A: Aead, K: HpkeKem>(
        &self,
        private: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Option<Secret> {
        let private = K::PrivateKey::from_bytes(private).ok()?;
        let enc = K::EncappedKey::from_bytes(self.enc).ok()?;
        let mut context =
            setup_receiver::<A, HkdfSha256, K>(&OpModeR::Base, &private, &enc, info).ok()?;
        let plain = Zeroizing::new(context.open(self.ct, aad).ok()?);
        let mut secret = Zeroizing::new([0; HASH_BYTES]);
        if plain.len() != HASH_BYTES {
            return None;
        }
        secret.copy_from_slice(&plain);
        Some(secret)
    }
}
