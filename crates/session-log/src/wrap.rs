//! Recipients: the segment secret, sealed once for each with HPKE base mode (RFC 9180).

use alloc::vec::Vec;

use hpke::aead::{Aead, AesGcm256, ChaCha20Poly1305};
use hpke::kdf::{HkdfSha256, HkdfSha384, Kdf};
use hpke::kem::{DhP256HkdfSha256, DhP384HkdfSha384, X25519HkdfSha256, XWing};
use hpke::{
    Deserializable as _, Kem as HpkeKem, OpModeR, OpModeS, Serializable as _, setup_receiver,
    setup_sender_with_rng,
};
use minicbor::Decoder;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::cbor::{self, check_whole};
use crate::hash::{Digest, Hash};
use crate::keyfile::{Identity, Kem, Recipient};
use crate::limits::{MAX_KEY_ID_BYTES, MAX_STANZAS};
use crate::provider::CryptoFailed;
use crate::secret::Secret;
use crate::suite::{Suite, TAG_BYTES};

/// HPKE code point of HKDF-SHA256.
const KDF_HKDF_SHA256: u16 = 0x0001;
const KDF_HKDF_SHA384: u16 = 0x0002;
const AEAD_AES_256_GCM: u16 = 0x0002;
const AEAD_CHACHA20_POLY1305: u16 = 0x0003;
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
pub(crate) fn recipients_digest<'a>(hash: Hash, key_ids: impl Iterator<Item = &'a [u8]>) -> Digest {
    let mut sorted: Vec<&[u8]> = key_ids.collect();
    sorted.sort_unstable();
    let mut joined = Vec::new();
    for id in sorted {
        // Key ids have at most 32 bytes.
        joined.push(id.len() as u8);
        joined.extend_from_slice(id);
    }
    hash.of(&[&joined])
}

/// Seals the secret for every recipient and encodes the stanzas.
pub(crate) fn seal_all(
    suite: Suite,
    recipients: &[Recipient],
    header_hash: &Digest,
    secret: &Secret,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, CryptoFailed> {
    let (kdf_id, aead_id) = suite.wrap();
    let mut wraps = cbor::encode_vec(|e| e.array(recipients.len() as u64).map(|_| ()));
    for recipient in recipients {
        let key_id = recipient.key_id();
        let sealing = Sealing {
            ids: (kdf_id, aead_id),
            public: recipient.public(),
            info: &wrap_info(suite, key_id),
            aad: header_hash.as_bytes(),
            secret,
        };
        let (enc, ct) = match recipient.kem() {
            Kem::XWing => sealing.seal::<XWing>(rng),
            Kem::X25519 => sealing.seal::<X25519HkdfSha256>(rng),
            Kem::P256 => sealing.seal::<DhP256HkdfSha256>(rng),
            Kem::P384 => sealing.seal::<DhP384HkdfSha384>(rng),
        }?;
        wraps = cbor::encode(wraps, |e| {
            e.array(6)?
                .u16(recipient.kem().id())?
                .u16(kdf_id)?
                .u16(aead_id)?;
            e.bytes(key_id)?.bytes(&enc)?.bytes(&ct).map(|_| ())
        });
    }
    Ok(wraps)
}

/// One `HPKE.SealBase`.
struct Sealing<'a> {
    /// Code points of KDF and AEAD.
    ids: (u16, u16),
    public: &'a [u8],
    info: &'a [u8],
    aad: &'a [u8],
    secret: &'a Secret,
}

impl Sealing<'_> {
    fn seal<K: HpkeKem>(
        &self,
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Vec<u8>), CryptoFailed> {
        match self.ids {
            (KDF_HKDF_SHA256, AEAD_AES_256_GCM) => self.seal_with::<AesGcm256, HkdfSha256, K>(rng),
            (KDF_HKDF_SHA384, AEAD_AES_256_GCM) => self.seal_with::<AesGcm256, HkdfSha384, K>(rng),
            _ => self.seal_with::<ChaCha20Poly1305, HkdfSha256, K>(rng),
        }
    }

    fn seal_with<A: Aead, D: Kdf, K: HpkeKem>(
        &self,
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Vec<u8>), CryptoFailed> {
        let public = K::PublicKey::from_bytes(self.public).map_err(|_| CryptoFailed)?;
        let (enc, mut context) =
            setup_sender_with_rng::<A, D, K>(&OpModeS::Base, &public, self.info, rng)
                .map_err(|_| CryptoFailed)?;
        let ct = context
            .seal(self.secret, self.aad)
            .map_err(|_| CryptoFailed)?;
        Ok((enc.to_bytes().to_vec(), ct))
    }
}

/// The stanzas of a header, at most [`MAX_STANZAS`].
pub(crate) fn parse_all(suite: Suite, wraps: &[u8]) -> Option<Vec<Stanza<'_>>> {
    let sealed_len = suite.hash().len() + TAG_BYTES;
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
        if stanza.key_id.len() > MAX_KEY_ID_BYTES || stanza.ct.len() != sealed_len {
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
        if self.kem_id != identity.kem().id() {
            return None;
        }
        let info = wrap_info(suite, self.key_id);
        let aad = header_hash.as_bytes();
        let private = identity.secret_bytes();
        let plain = match identity.kem() {
            Kem::XWing => self.open_kem::<XWing>(private, &info, aad),
            Kem::X25519 => self.open_kem::<X25519HkdfSha256>(private, &info, aad),
            Kem::P256 => self.open_kem::<DhP256HkdfSha256>(private, &info, aad),
            Kem::P384 => self.open_kem::<DhP384HkdfSha384>(private, &info, aad),
        }?;
        Secret::from_slice(suite.hash(), &plain)
    }

    fn open_kem<K: HpkeKem>(
        &self,
        private: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        match (self.kdf_id, self.aead_id) {
            (KDF_HKDF_SHA256, AEAD_AES_256_GCM) => {
                self.open_with::<AesGcm256, HkdfSha256, K>(private, info, aad)
            }
            (KDF_HKDF_SHA384, AEAD_AES_256_GCM) => {
                self.open_with::<AesGcm256, HkdfSha384, K>(private, info, aad)
            }
            (KDF_HKDF_SHA256, AEAD_CHACHA20_POLY1305) => {
                self.open_with::<ChaCha20Poly1305, HkdfSha256, K>(private, info, aad)
            }
            _ => None,
        }
    }

    fn open_with<A: Aead, D: Kdf, K: HpkeKem>(
        &self,
        private: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let private = K::PrivateKey::from_bytes(private).ok()?;
        let enc = K::EncappedKey::from_bytes(self.enc).ok()?;
        let mut context = setup_receiver::<A, D, K>(&OpModeR::Base, &private, &enc, info).ok()?;
        context.open(self.ct, aad).ok().map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Generator;

    /// Points of small order on Curve25519: whatever the private key, the shared secret is zero.
    const SMALL_ORDER: [[u8; 32]; 3] = {
        let zero = [0; 32];
        let mut one = [0; 32];
        one[0] = 1;
        // p - 1
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        [zero, one, minus_one]
    };

    #[test]
    fn a_recipient_whose_shared_secret_is_zero_gets_no_stanza() {
        let mut rng = Generator::new([1; 32]);
        let secret = rng.secret(Hash::Sha256);
        for point in SMALL_ORDER {
            let sealing = Sealing {
                ids: (KDF_HKDF_SHA256, AEAD_AES_256_GCM),
                public: &point,
                info: b"",
                aad: b"",
                secret: &secret,
            };
            assert!(
                sealing.seal::<X25519HkdfSha256>(&mut rng).is_err(),
                "{point:02x?}"
            );
        }
    }

    #[test]
    fn a_stanza_that_forces_a_zero_shared_secret_opens_nothing() {
        let identity = Identity::generate(Kem::X25519, &mut Generator::new([2; 32]));
        for point in SMALL_ORDER {
            let stanza = Stanza {
                kem_id: Kem::X25519.id(),
                kdf_id: KDF_HKDF_SHA256,
                aead_id: AEAD_AES_256_GCM,
                key_id: &[],
                enc: &point,
                ct: &[0; 48],
            };
            assert!(
                stanza
                    .open(Suite::default(), &identity, &Hash::Sha256.of(&[]))
                    .is_none()
            );
        }
    }

    #[test]
    fn a_stanza_opens_for_its_recipient_header_and_suite_only() {
        let mut rng = Generator::new([3; 32]);
        for (suite, kem) in [
            (Suite::Aes256GcmSha256, Kem::XWing),
            (Suite::Aes256GcmSha256, Kem::X25519),
            (Suite::Aes256GcmSha256P256, Kem::P256),
            (Suite::Aes256GcmSha384P384, Kem::P384),
        ] {
            let secret = rng.secret(suite.hash());
            let header = suite.hash().of(&[b"header"]);
            let identity = Identity::generate(kem, &mut rng);
            let other = Identity::generate(kem, &mut rng);
            let wraps = seal_all(suite, &[identity.recipient()], &header, &secret, &mut rng)
                .expect("sealed");
            let stanzas = parse_all(suite, &wraps).expect("well formed");
            let stanza = stanzas.first().expect("one");
            assert_eq!(
                stanza.open(suite, &identity, &header).as_deref(),
                Some(&*secret)
            );
            assert!(stanza.open(suite, &other, &header).is_none());
            assert!(
                stanza
                    .open(suite, &identity, &suite.hash().of(&[b"another"]))
                    .is_none()
            );
            assert!(
                stanza
                    .open(Suite::ChaCha20Poly1305Sha256, &identity, &header)
                    .is_none()
            );
            assert!(!stanza.may_be_for(&other) && stanza.may_be_for(&identity));
            for len in 0..wraps.len() {
                assert!(
                    parse_all(suite, wraps.get(..len).expect("shorter")).is_none(),
                    "cut at {len}"
                );
            }
        }
    }

    #[test]
    fn the_number_of_stanzas_and_the_length_of_their_parts_are_limited() {
        let array = |count: usize, key_id: usize, ct: usize| {
            let mut wraps = cbor::encode_vec(|e| e.array(count as u64).map(|_| ()));
            for _ in 0..count {
                wraps = cbor::encode(wraps, |e| {
                    e.array(6)?.u16(0x20)?.u16(1)?.u16(2)?;
                    e.bytes(&[0; 40][..key_id])?
                        .bytes(&[1; 32])?
                        .bytes(&[0; 64][..ct])
                        .map(|_| ())
                });
            }
            parse_all(Suite::default(), &wraps).map(|stanzas| stanzas.len())
        };
        assert_eq!(array(64, 8, 48), Some(64));
        assert_eq!(array(1, 32, 48), Some(1));
        assert_eq!(array(0, 8, 48), None);
        assert_eq!(array(65, 8, 48), None);
        assert_eq!(array(1, 33, 48), None);
        assert_eq!(array(1, 8, 47), None);
        assert_eq!(array(1, 8, 49), None);
    }
}
