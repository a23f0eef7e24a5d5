//! The cryptographic suites, one row each.

use crate::hash::Hash;
use crate::keyfile::Kem;
use crate::provider::Aead;
use crate::sign::SignatureAlgorithm;
use crate::sshsig::MessageHash;

/// Length of a frame key, bytes.
pub(crate) const FRAME_KEY_BYTES: usize = 32;
/// Length of an AEAD nonce, bytes.
pub(crate) const NONCE_BYTES: usize = 12;
/// Length of an AEAD tag, bytes.
pub(crate) const TAG_BYTES: usize = 16;

/// A set of algorithms for one log.
///
/// The two with NIST curves use FIPS-approved algorithms only. That is no word about a validated module: see [`crate::provider_name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Suite {
    /// `0x0001`: SHA-256, ChaCha20-Poly1305, Ed25519. For processors without AES instructions.
    ChaCha20Poly1305Sha256,
    /// `0x0002`: SHA-256, AES-256-GCM, Ed25519.
    #[default]
    Aes256GcmSha256,
    /// `0x0101`: SHA-256, AES-256-GCM, ECDSA P-256, recipients with P-256 keys.
    Aes256GcmSha256P256,
    /// `0x0102`: SHA-384, AES-256-GCM, ECDSA P-384, recipients with P-384 keys.
    Aes256GcmSha384P384,
}

/// What distinguishes a suite. A further one is a further row.
struct Row {
    suite: Suite,
    id: u16,
    name: &'static str,
    hash: Hash,
    aead: Aead,
    signature: SignatureAlgorithm,
    /// The hash that every SSHSIG names.
    message_hash: MessageHash,
    /// HPKE code points of the KDF and AEAD that wrap the segment secret.
    wrap: (u16, u16),
    kems: &'static [Kem],
}

static ROWS: [Row; 4] = [
    Row {
        suite: Suite::ChaCha20Poly1305Sha256,
        id: 0x0001,
        name: "SHA-256, ChaCha20-Poly1305, Ed25519",
        hash: Hash::Sha256,
        aead: Aead::ChaCha20Poly1305,
        signature: SignatureAlgorithm::Ed25519,
        message_hash: MessageHash::Sha256,
        wrap: (0x0001, 0x0003),
        kems: &[Kem::XWing, Kem::X25519],
    },
    Row {
        suite: Suite::Aes256GcmSha256,
        id: 0x0002,
        name: "SHA-256, AES-256-GCM, Ed25519",
        hash: Hash::Sha256,
        aead: Aead::Aes256Gcm,
        signature: SignatureAlgorithm::Ed25519,
        message_hash: MessageHash::Sha256,
        wrap: (0x0001, 0x0002),
        kems: &[Kem::XWing, Kem::X25519],
    },
    Row {
        suite: Suite::Aes256GcmSha256P256,
        id: 0x0101,
        name: "SHA-256, AES-256-GCM, ECDSA P-256",
        hash: Hash::Sha256,
        aead: Aead::Aes256Gcm,
        signature: SignatureAlgorithm::EcdsaP256,
        message_hash: MessageHash::Sha256,
        wrap: (0x0001, 0x0002),
        kems: &[Kem::P256],
    },
    Row {
        suite: Suite::Aes256GcmSha384P384,
        id: 0x0102,
        name: "SHA-384, AES-256-GCM, ECDSA P-384",
        hash: Hash::Sha384,
        aead: Aead::Aes256Gcm,
        signature: SignatureAlgorithm::EcdsaP384,
        message_hash: MessageHash::Sha512,
        wrap: (0x0002, 0x0002),
        kems: &[Kem::P384],
    },
];

impl Suite {
    /// Every suite of this version.
    pub const ALL: [Suite; 4] = [
        Suite::ChaCha20Poly1305Sha256,
        Suite::Aes256GcmSha256,
        Suite::Aes256GcmSha256P256,
        Suite::Aes256GcmSha384P384,
    ];

    fn row(self) -> &'static Row {
        let [chacha, aes, p256, p384] = &ROWS;
        match self {
            Suite::ChaCha20Poly1305Sha256 => chacha,
            Suite::Aes256GcmSha256 => aes,
            Suite::Aes256GcmSha256P256 => p256,
            Suite::Aes256GcmSha384P384 => p384,
        }
    }

    /// The suite with this number, if this version has it.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Suite> {
        ROWS.iter().find(|row| row.id == id).map(|row| row.suite)
    }

    /// Its number in the preamble.
    #[must_use]
    pub fn id(self) -> u16 {
        self.row().id
    }

    /// Its algorithms, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether all its algorithms are FIPS-approved ones. Says nothing about the module that computes them.
    #[must_use]
    pub fn has_fips_algorithms(self) -> bool {
        matches!(
            self,
            Suite::Aes256GcmSha256P256 | Suite::Aes256GcmSha384P384
        )
    }

    /// The algorithm of its epoch keys.
    #[must_use]
    pub fn signature_algorithm(self) -> SignatureAlgorithm {
        self.row().signature
    }

    /// The mechanisms that its recipients' keys may have.
    #[must_use]
    pub fn kems(self) -> &'static [Kem] {
        self.row().kems
    }

    pub(crate) fn hash(self) -> Hash {
        self.row().hash
    }

    pub(crate) fn aead(self) -> Aead {
        self.row().aead
    }

    pub(crate) fn message_hash(self) -> MessageHash {
        self.row().message_hash
    }

    /// HPKE code points of KDF and AEAD.
    pub(crate) fn wrap(self) -> (u16, u16) {
        self.row().wrap
    }
}
