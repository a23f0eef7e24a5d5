//! Signature keys: Ed25519 and ECDSA over P-256 and P-384, as OpenSSH has them.
//!
//! What is refused here is refused whatever library computes the rest. Of the two signatures that (r, s) and (r, n-s) are, only the one with the smaller s is
//! accepted: otherwise anybody could change a log into another good one.

use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64, Base64Unpadded, Encoding as _};
use zeroize::Zeroizing;

use crate::hash::Hash;
use crate::provider::{self, ChosenKey, CryptoFailed, PrivateKey as _};
use crate::secret::Generator;
use crate::wire::{Wire, put_mpint, put_string};

/// Length of the longest public key, bytes: an uncompressed point of P-384.
pub(crate) const MAX_PUBLIC_KEY_BYTES: usize = 97;
/// Length of the longest signature, bytes: r and s of P-384.
const MAX_SIGNATURE_BYTES: usize = 96;

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA over P-256 with SHA-256.
    EcdsaP256,
    /// ECDSA over P-384 with SHA-384.
    EcdsaP384,
}

impl SignatureAlgorithm {
    pub(crate) const ALL: [SignatureAlgorithm; 3] = [
        SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::EcdsaP256,
        SignatureAlgorithm::EcdsaP384,
    ];

    /// Its number in the header.
    pub(crate) fn id(self) -> u64 {
        match self {
            SignatureAlgorithm::Ed25519 => 1,
            SignatureAlgorithm::EcdsaP256 => 2,
            SignatureAlgorithm::EcdsaP384 => 3,
        }
    }

    /// Its name in SSH (RFC 8709, RFC 5656).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SignatureAlgorithm::Ed25519 => "ssh-ed25519",
            SignatureAlgorithm::EcdsaP256 => "ecdsa-sha2-nistp256",
            SignatureAlgorithm::EcdsaP384 => "ecdsa-sha2-nistp384",
        }
    }

    /// The curve's name inside an ECDSA key blob.
    fn curve(self) -> Option<&'static str> {
        match self {
            SignatureAlgorithm::Ed25519 => None,
            SignatureAlgorithm::EcdsaP256 => Some("nistp256"),
            SignatureAlgorithm::EcdsaP384 => Some("nistp384"),
        }
    }

    pub(crate) fn from_name(name: &[u8]) -> Option<SignatureAlgorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().as_bytes() == name)
    }

    /// Length of a public key, bytes.
    pub(crate) fn public_len(self) -> usize {
        match self {
            SignatureAlgorithm::Ed25519 => 32,
            SignatureAlgorithm::EcdsaP256 => 65,
            SignatureAlgorithm::EcdsaP384 => 97,
        }
    }

    /// Length of a private key, bytes: an Ed25519 seed, or the scalar of a curve.
    pub(crate) fn private_len(self) -> usize {
        match self {
            SignatureAlgorithm::Ed25519 | SignatureAlgorithm::EcdsaP256 => 32,
            SignatureAlgorithm::EcdsaP384 => 48,
        }
    }

    /// Length of a signature in a checkpoint, bytes.
    pub(crate) fn signature_len(self) -> usize {
        match self {
            SignatureAlgorithm::Ed25519 | SignatureAlgorithm::EcdsaP256 => 64,
            SignatureAlgorithm::EcdsaP384 => 96,
        }
    }
}

/// A public key of a signer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: SignatureAlgorithm,
    bytes: [u8; MAX_PUBLIC_KEY_BYTES],
}

impl PublicKey {
    /// From the bytes of the key: 32 of Ed25519, the uncompressed point of the others.
    pub(crate) fn from_slice(algorithm: SignatureAlgorithm, from: &[u8]) -> Option<PublicKey> {
        let mut bytes = [0; MAX_PUBLIC_KEY_BYTES];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        (from.len() == algorithm.public_len()).then_some(PublicKey { algorithm, bytes })
    }

    /// Of a private key, which gives as many bytes as its algorithm has.
    pub(crate) fn of_private(algorithm: SignatureAlgorithm, from: &[u8]) -> PublicKey {
        let mut bytes = [0; MAX_PUBLIC_KEY_BYTES];
        for (to, byte) in bytes.iter_mut().zip(from) {
            *to = *byte;
        }
        PublicKey { algorithm, bytes }
    }

    /// From the form that OpenSSH puts in files and agents: `string algorithm | …`.
    #[must_use]
    pub fn from_ssh_blob(blob: &[u8]) -> Option<PublicKey> {
        let mut wire = Wire(blob);
        let algorithm = SignatureAlgorithm::from_name(wire.string()?)?;
        if let Some(curve) = algorithm.curve()
            && wire.string()? != curve.as_bytes()
        {
            return None;
        }
        let key = PublicKey::from_slice(algorithm, wire.string()?)?;
        wire.0.is_empty().then_some(key)
    }

    /// From the text that OpenSSH puts in `.pub` files: `ssh-ed25519 AAAA… comment`.
    #[must_use]
    pub fn from_openssh(line: &str) -> Option<PublicKey> {
        let mut words = line.split_ascii_whitespace();
        let name = words.next()?;
        let key = PublicKey::from_ssh_blob(&Base64::decode_vec(words.next()?).ok()?)?;
        (key.algorithm.name() == name).then_some(key)
    }

    /// Its algorithm.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The key: 32 bytes of Ed25519, the uncompressed point of the others.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..self.algorithm.public_len())
            .unwrap_or(&self.bytes)
    }

    /// The form that OpenSSH puts in files and agents.
    #[must_use]
    pub fn to_ssh_blob(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        put_string(&mut out, self.algorithm.name().as_bytes());
        if let Some(curve) = self.algorithm.curve() {
            put_string(&mut out, curve.as_bytes());
        }
        put_string(&mut out, self.as_bytes());
        out
    }

    /// A line for an `allowed_signers` file after the principal: `ssh-ed25519 AAAA…`.
    #[must_use]
    pub fn to_openssh(&self) -> String {
        let mut line = String::from(self.algorithm.name());
        line.push(' ');
        line.push_str(&Base64::encode_string(&self.to_ssh_blob()));
        line
    }

    /// How OpenSSH names it: `SHA256:` and base64 without padding.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let hash = Hash::Sha256.of(&[&self.to_ssh_blob()]);
        let mut out = String::from("SHA256:");
        out.push_str(&Base64Unpadded::encode_string(hash.as_bytes()));
        out
    }

    /// Whether the signature is this key's over the message. Weak keys and malleable signatures are refused.
    pub(crate) fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        let sound = match self.algorithm {
            SignatureAlgorithm::Ed25519 => {
                ed25519_point_is_sound(self.as_bytes())
                    && ed25519_point_is_sound(signature.as_bytes())
            }
            SignatureAlgorithm::EcdsaP256 | SignatureAlgorithm::EcdsaP384 => {
                // SEC 1 section 2.3.3: 04 says that the point is neither compressed nor of another form.
                self.as_bytes().first() == Some(&4) && signature.normalized() == *signature
            }
        };
        sound
            && signature.algorithm == self.algorithm
            && provider::verifies(self, message, signature)
    }
}

/// The y coordinates of Ed25519's points of small order (1, 2, 4 and 8), little-endian: 1, p-1, 0, and two for order 8.
const SMALL_ORDER: [[u8; 32]; 5] = [
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        minus_one
    },
    [0; 32],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// Whether the first 32 bytes are no point of small order and y is below p = 2^255 - 19. Whether they are a point at all is for the library to say.
fn ed25519_point_is_sound(bytes: &[u8]) -> bool {
    let Some(point) = bytes.first_chunk::<32>() else {
        return false;
    };
    let mut y = *point;
    let [first, middle @ .., last] = &mut y;
    // The highest bit is the sign of x.
    *last &= 0x7f;
    let reduced = *last < 0x7f || *first < 0xed || middle.iter().any(|byte| *byte != 0xff);
    reduced && !SMALL_ORDER.contains(&y)
}

impl core::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

/// A signature: 64 bytes of Ed25519, r and s of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    algorithm: SignatureAlgorithm,
    bytes: [u8; MAX_SIGNATURE_BYTES],
}

impl Signature {
    pub(crate) fn from_slice(algorithm: SignatureAlgorithm, from: &[u8]) -> Option<Signature> {
        let mut bytes = [0; MAX_SIGNATURE_BYTES];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        (from.len() == algorithm.signature_len()).then_some(Signature { algorithm, bytes })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..self.algorithm.signature_len())
            .unwrap_or(&self.bytes)
    }

    /// The form of an SSH agent: `string algorithm | string signature`, for ECDSA with two `mpint` inside (RFC 5656 section 3.1.2).
    pub(crate) fn to_ssh_blob(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        put_string(&mut out, self.algorithm.name().as_bytes());
        if self.algorithm == SignatureAlgorithm::Ed25519 {
            put_string(&mut out, self.as_bytes());
        } else {
            let (r, s) = self.as_bytes().split_at(self.as_bytes().len() / 2);
            let mut numbers = Vec::with_capacity(120);
            put_mpint(&mut numbers, r);
            put_mpint(&mut numbers, s);
            put_string(&mut out, &numbers);
        }
        out
    }

    /// Reads the form of an SSH agent.
    pub(crate) fn from_ssh_blob(blob: &[u8]) -> Option<Signature> {
        let mut wire = Wire(blob);
        let algorithm = SignatureAlgorithm::from_name(wire.string()?)?;
        let body = wire.string()?;
        if !wire.0.is_empty() {
            return None;
        }
        if algorithm == SignatureAlgorithm::Ed25519 {
            return Signature::from_slice(algorithm, body);
        }
        let mut numbers = Wire(body);
        let half = algorithm.signature_len() / 2;
        let mut joined = Vec::with_capacity(2 * half);
        joined.extend_from_slice(&numbers.mpint(half)?);
        joined.extend_from_slice(&numbers.mpint(half)?);
        if !numbers.0.is_empty() {
            return None;
        }
        Signature::from_slice(algorithm, &joined)
    }

    /// The one of the two equivalent ECDSA signatures that a reader accepts: agents and hardware give either.
    pub(crate) fn normalized(self) -> Signature {
        let normalized = match self.algorithm {
            SignatureAlgorithm::Ed25519 => None,
            SignatureAlgorithm::EcdsaP256 => p256::ecdsa::Signature::from_slice(self.as_bytes())
                .ok()
                .and_then(|s| Signature::from_slice(self.algorithm, &s.normalize_s().to_bytes())),
            SignatureAlgorithm::EcdsaP384 => p384::ecdsa::Signature::from_slice(self.as_bytes())
                .ok()
                .and_then(|s| Signature::from_slice(self.algorithm, &s.normalize_s().to_bytes())),
        };
        normalized.unwrap_or(self)
    }
}

/// A private key, erased when dropped.
pub(crate) struct SigningKey(ChosenKey);

impl SigningKey {
    /// Draws a key.
    pub(crate) fn generate(algorithm: SignatureAlgorithm, generator: &mut Generator) -> SigningKey {
        let mut bytes = Zeroizing::new([0; 48]);
        loop {
            generator.fill(&mut *bytes);
            // The first draw is below the order of the curve but for one in 2^32 (P-256) or fewer.
            if let Some(key) = SigningKey::from_slice(
                algorithm,
                bytes.get(..algorithm.private_len()).unwrap_or_default(),
            ) {
                return key;
            }
        }
    }

    /// From 32 bytes (Ed25519 seed, P-256 scalar) or 48 (P-384 scalar).
    pub(crate) fn from_slice(algorithm: SignatureAlgorithm, bytes: &[u8]) -> Option<SigningKey> {
        ChosenKey::from_secret(algorithm, bytes).map(SigningKey)
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.0.public()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Signature, CryptoFailed> {
        self.0.sign(message).map(Signature::normalized)
    }

    #[cfg(test)]
    pub(crate) fn secret(&self) -> Vec<u8> {
        self.0.secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_signatures_come_back_from_their_ssh_forms_and_no_other_message_verifies() {
        for algorithm in SignatureAlgorithm::ALL {
            let key = SigningKey::generate(algorithm, &mut Generator::new([1; 32]));
            let public = key.public();
            assert_eq!(
                PublicKey::from_ssh_blob(&public.to_ssh_blob()),
                Some(public)
            );
            assert_eq!(PublicKey::from_openssh(&public.to_openssh()), Some(public));
            let signature = key.sign(b"message").expect("signed");
            assert_eq!(
                Signature::from_ssh_blob(&signature.to_ssh_blob()),
                Some(signature)
            );
            assert!(public.verifies(b"message", &signature));
            assert!(!public.verifies(b"another", &signature));
            assert_eq!(signature.normalized(), signature);
        }
    }

    #[test]
    fn the_other_half_of_an_ecdsa_signature_is_refused_until_it_is_normalized() {
        let key = SigningKey::generate(SignatureAlgorithm::EcdsaP256, &mut Generator::new([2; 32]));
        let signature = key.sign(b"message").expect("signed");
        let low = p256::ecdsa::Signature::from_slice(signature.as_bytes()).expect("a signature");
        let (r, s) = low.split_scalars();
        let high = p256::ecdsa::Signature::from_scalars(r, -s).expect("a signature");
        let high = Signature::from_slice(SignatureAlgorithm::EcdsaP256, &high.to_bytes())
            .expect("its length");
        assert_ne!(high, signature);
        assert!(!key.public().verifies(b"message", &high));
        assert_eq!(high.normalized(), signature);
    }

    #[test]
    fn a_signature_under_the_name_of_another_algorithm_of_its_length_is_refused() {
        let key = SigningKey::generate(SignatureAlgorithm::EcdsaP256, &mut Generator::new([2; 32]));
        let signature = key.sign(b"message").expect("signed");
        let renamed = Signature::from_slice(SignatureAlgorithm::Ed25519, signature.as_bytes())
            .expect("its length");
        assert!(key.public().verifies(b"message", &signature));
        assert!(!key.public().verifies(b"message", &renamed));
    }

    #[test]
    fn ed25519_points_are_sound_exactly_when_they_are_reduced_and_of_large_order() {
        let unreduced = (0xed..=0xff).map(|first| {
            let mut y = [0xff; 32];
            (y[0], y[31]) = (first, 0x7f);
            y
        });
        let mut rest = 200;
        let reduced = core::iter::repeat_with(|| {
            rest -= 1;
            *Hash::Sha256
                .of(&[&[rest]])
                .as_bytes()
                .first_chunk()
                .expect("32 bytes")
        })
        .take(100);
        let mut weak = 0;
        for y in SMALL_ORDER.into_iter().chain(unreduced).chain(reduced) {
            for sign in [0, 0x80] {
                let mut point = y;
                point[31] = (point[31] & 0x7f) | sign;
                let Ok(judge) = ed25519_dalek::VerifyingKey::from_bytes(&point) else {
                    continue;
                };
                weak += usize::from(judge.is_weak());
                let expected = !judge.is_weak() && judge.to_edwards().compress().0 == point;
                assert_eq!(ed25519_point_is_sound(&point), expected, "{point:02x?}");
            }
        }
        // Eight points, and further encodings of some.
        assert!(weak >= 8, "{weak}");
    }
}
