//! Key revocation lists (OpenSSH's PROTOCOL.krl): what `RevokedKeys` of sshd and `RevokedHostKeys` of ssh name.

mod query;
mod read;
mod serials;
mod write;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use core::time::Duration;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use ssh_key::public::KeyData;
use ssh_key::{Fingerprint, PublicKey};

pub use self::query::Revocation;
use self::serials::Serials;
use crate::public::key_lines;
use crate::{CaPublicKey, KrlError, Unverified};

/// The longest list that is read, in bytes: over a million serial numbers, each written out.
pub const MAX_KRL_BYTES: usize = 16 << 20;
/// The most separate ranges of serial numbers in a list, of all authorities together: what bounds the memory of one whose
/// bitmaps alternate.
pub const MAX_SERIAL_RANGES: usize = 1 << 20;

/// The start of every list, NUL included.
const MAGIC: &[u8] = b"SSHKRL\n\0";
/// `KRL_FORMAT_VERSION`.
const FORMAT_VERSION: u32 = 1;
/// The longest bitmap, in bytes: OpenSSH reads no longer `mpint` (`SSHBUF_MAX_BIGNUM`).
const MAX_BITMAP_BYTES: usize = 2048;

/// `KRL_SECTION_*`.
mod section {
    pub(super) const CERTIFICATES: u8 = 1;
    pub(super) const EXPLICIT_KEY: u8 = 2;
    pub(super) const FINGERPRINT_SHA1: u8 = 3;
    pub(super) const SIGNATURE: u8 = 4;
    pub(super) const FINGERPRINT_SHA256: u8 = 5;
    pub(super) const EXTENSION: u8 = 255;
}

/// `KRL_SECTION_CERT_*`.
mod certificate_section {
    pub(super) const SERIAL_LIST: u8 = 0x20;
    pub(super) const SERIAL_RANGE: u8 = 0x21;
    pub(super) const SERIAL_BITMAP: u8 = 0x22;
    pub(super) const KEY_ID: u8 = 0x23;
    pub(super) const EXTENSION: u8 = 0x39;
}

/// Whose certificates are revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer<'a> {
    /// Those of this authority.
    Authority(&'a CaPublicKey),
    /// Those of every authority.
    Any,
}

impl Issuer<'_> {
    fn blob(self) -> Vec<u8> {
        match self {
            Self::Authority(authority) => authority.blob().to_vec(),
            Self::Any => Vec::new(),
        }
    }
}

/// The certificates of one authority, or of every one, that are revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevokedCertificates {
    serials: Serials,
    key_ids: BTreeSet<Vec<u8>>,
    extensions: Vec<KrlExtension>,
}

/// Something in a list that OpenSSH does not define, and that need not be understood. It is kept, and revokes nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KrlExtension {
    name: Vec<u8>,
    contents: Vec<u8>,
}

impl KrlExtension {
    /// Its name, `name@domain` by convention. May hold anything.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// What is in it.
    #[must_use]
    pub fn contents(&self) -> &[u8] {
        &self.contents
    }
}

impl RevokedCertificates {
    /// The revoked serial numbers, as ranges that neither overlap nor touch, in order.
    pub fn serials(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.serials.iter()
    }

    /// The revoked key ids, in order. They may hold any bytes but NUL.
    pub fn key_ids(&self) -> impl Iterator<Item = &[u8]> {
        self.key_ids.iter().map(Vec::as_slice)
    }

    /// The extensions among them, as they were read.
    #[must_use]
    pub fn extensions(&self) -> &[KrlExtension] {
        &self.extensions
    }
}

/// A key revocation list: which keys and certificates must not be believed any more.
///
/// It is not signed: whoever can write the file decides. A certificate is also revoked when the key that it certifies is, or
/// the key of its authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Krl {
    version: u64,
    generated: u64,
    comment: String,
    /// By the blob of the authority's key; empty for every authority.
    certificates: BTreeMap<Vec<u8>, RevokedCertificates>,
    keys: BTreeSet<Vec<u8>>,
    sha1: BTreeSet<[u8; 20]>,
    sha256: BTreeSet<[u8; 32]>,
    extensions: Vec<KrlExtension>,
    /// The ranges of serial numbers of all authorities.
    serial_ranges: usize,
}

impl Krl {
    /// A list that revokes nothing yet. `version` should grow with each edition; `generated_unix` is the time since 1970-01-01
    /// in whole seconds, and only informs.
    #[must_use]
    pub fn new(version: u64, generated_unix: Duration) -> Self {
        Self {
            version,
            generated: generated_unix.as_secs(),
            comment: String::new(),
            certificates: BTreeMap::new(),
            keys: BTreeSet::new(),
            sha1: BTreeSet::new(),
            sha256: BTreeSet::new(),
            extensions: Vec::new(),
            serial_ranges: 0,
        }
    }

    /// Reads the other form that sshd's `RevokedKeys` takes: public keys as text, one a line, `#` before a comment.
    ///
    /// A key in it revokes itself, its certificates, and what it certified.
    ///
    /// # Errors
    /// [`KrlError::KeyLine`] for a line that is no key, which would have sshd refuse everybody; [`KrlError::TooLong`].
    pub fn from_key_list(text: &str) -> Result<Self, KrlError> {
        if text.len() > MAX_KRL_BYTES {
            return Err(KrlError::TooLong {
                limit: MAX_KRL_BYTES,
                got: text.len(),
            });
        }
        let mut krl = Self::new(0, Duration::ZERO);
        for (line, text) in key_lines(text) {
            let key = PublicKey::from_openssh(text.trim_end());
            let key = key.map_err(|_| KrlError::KeyLine { line })?;
            krl.revoke_key(&key)
                .map_err(|_| KrlError::KeyLine { line })?;
        }
        Ok(krl)
    }

    /// Sets the comment. What follows a NUL in it is left out.
    #[must_use]
    pub fn comment(mut self, comment: &str) -> Self {
        self.comment = comment.split('\0').next().unwrap_or_default().to_string();
        self
    }

    /// Sets the version and the time of a further edition of this list.
    pub fn renew(&mut self, version: u64, generated_unix: Duration) {
        self.version = version;
        self.generated = generated_unix.as_secs();
    }

    /// Revokes certificates by their serial numbers. Serial 0 is what certificates have that were not given any, and cannot be
    /// revoked.
    ///
    /// # Errors
    /// [`KrlError::Serials`] for an empty range or one with 0 in it, [`KrlError::TooManySerials`].
    pub fn revoke_serials(
        &mut self,
        issuer: Issuer<'_>,
        serials: RangeInclusive<u64>,
    ) -> Result<(), KrlError> {
        self.change(issuer.blob(), |revoked, room| {
            revoked
                .serials
                .insert(*serials.start(), *serials.end(), room)
        })
    }

    /// Revokes certificates by their key id, byte for byte.
    ///
    /// # Errors
    /// [`KrlError::KeyId`] when there is a NUL in it.
    pub fn revoke_key_id(&mut self, issuer: Issuer<'_>, key_id: &str) -> Result<(), KrlError> {
        if key_id.contains('\0') {
            return Err(KrlError::KeyId);
        }
        self.change(issuer.blob(), |revoked, _| {
            revoked.key_ids.insert(key_id.into());
            Ok(())
        })
    }

    /// Revokes one certificate as `ssh-keygen -k` does: by its serial number, or by its key id when it has none.
    ///
    /// # Errors
    /// [`KrlError::TooManySerials`], or [`KrlError::Authority`] when its authority is no key.
    pub fn revoke_certificate(&mut self, certificate: &Unverified) -> Result<(), KrlError> {
        let authority = authority_blob(certificate.authority_blob())?;
        self.change(authority, |revoked, room| match certificate.serial() {
            0 => {
                revoked.key_ids.insert(certificate.key_id().into());
                Ok(())
            }
            serial => revoked.serials.insert(serial, serial, room),
        })
    }

    /// Revokes a key, every certificate for it, and every certificate by it. Of a certificate, revokes the key it certifies.
    ///
    /// # Errors
    /// [`KrlError::Key`] when it cannot be written as a key blob.
    pub fn revoke_key(&mut self, key: &PublicKey) -> Result<(), KrlError> {
        self.keys.insert(plain_blob(key)?);
        Ok(())
    }

    /// As [`revoke_key`](Self::revoke_key), naming the key by its SHA-256 or SHA-1 only. SHA-1 is for servers older than
    /// OpenSSH 7.9.
    pub fn revoke_fingerprint(&mut self, fingerprint: &KeyHash) {
        match fingerprint {
            KeyHash::Sha1(hash) => self.sha1.insert(*hash),
            KeyHash::Sha256(hash) => self.sha256.insert(*hash),
        };
    }

    /// The number of this edition.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When it was made, in unix seconds.
    #[must_use]
    pub fn generated(&self) -> u64 {
        self.generated
    }

    /// Its comment, as its maker wrote it, terminal controls included.
    #[must_use]
    pub fn comment_text(&self) -> &str {
        &self.comment
    }

    /// The revoked certificates by the key blob of their authority, which is `None` for those of every authority.
    pub fn certificates(&self) -> impl Iterator<Item = (Option<&[u8]>, &RevokedCertificates)> {
        self.certificates
            .iter()
            .map(|(blob, revoked)| ((!blob.is_empty()).then_some(blob.as_slice()), revoked))
    }

    /// The blobs of the revoked keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(Vec::as_slice)
    }

    /// The hashes of revoked keys, in order: SHA-1 first.
    pub fn fingerprints(&self) -> impl Iterator<Item = KeyHash> + '_ {
        let sha1 = self.sha1.iter().copied().map(KeyHash::Sha1);
        sha1.chain(self.sha256.iter().copied().map(KeyHash::Sha256))
    }

    /// The extensions of the whole list, as they were read. Writing the list writes them again.
    #[must_use]
    pub fn extensions(&self) -> &[KrlExtension] {
        &self.extensions
    }

    /// Changes what is revoked of one issuer, which may have so many ranges of serial numbers.
    fn change(
        &mut self,
        issuer: Vec<u8>,
        change: impl FnOnce(&mut RevokedCertificates, usize) -> Result<(), KrlError>,
    ) -> Result<(), KrlError> {
        let revoked = self.certificates.entry(issuer).or_default();
        let of_others = self.serial_ranges - revoked.serials.len();
        let result = change(revoked, MAX_SERIAL_RANGES - of_others);
        self.serial_ranges = of_others + revoked.serials.len();
        result
    }
}

/// The hash of a public key blob, by which a list can name the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHash {
    /// SHA-1 (`KRL_SECTION_FINGERPRINT_SHA1`).
    Sha1([u8; 20]),
    /// SHA-256 (`KRL_SECTION_FINGERPRINT_SHA256`).
    Sha256([u8; 32]),
}

impl KeyHash {
    /// The SHA-256 of a key; of a certificate, that of the key it certifies.
    ///
    /// # Errors
    /// [`KrlError::Key`] when it cannot be written as a key blob.
    pub fn sha256_of(key: &PublicKey) -> Result<Self, KrlError> {
        Ok(Self::Sha256(Sha256::digest(plain_blob(key)?).into()))
    }

    /// The SHA-1 of a key; of a certificate, that of the key it certifies.
    ///
    /// # Errors
    /// [`KrlError::Key`] when it cannot be written as a key blob.
    pub fn sha1_of(key: &PublicKey) -> Result<Self, KrlError> {
        Ok(Self::Sha1(Sha1::digest(plain_blob(key)?).into()))
    }

    /// Reads `SHA256:…` as `ssh-keygen -l` prints it.
    ///
    /// # Errors
    /// [`KrlError::Fingerprint`] for anything else.
    pub fn from_text(text: &str) -> Result<Self, KrlError> {
        match text.parse() {
            Ok(Fingerprint::Sha256(hash)) => Ok(Self::Sha256(hash)),
            _ => Err(KrlError::Fingerprint),
        }
    }
}

/// The key itself, for a certificate the key it certifies.
fn plain_blob(key: &PublicKey) -> Result<Vec<u8>, KrlError> {
    let plain = match key.key_data() {
        KeyData::Certificate(certificate) => certificate.public_key().clone(),
        other => other.clone(),
    };
    PublicKey::from(plain).to_bytes().map_err(|_| KrlError::Key)
}

/// The blob of an authority's key, written as everybody writes it.
fn authority_blob(blob: &[u8]) -> Result<Vec<u8>, KrlError> {
    let key = PublicKey::from_bytes(blob).map_err(|_| KrlError::Authority)?;
    match key.key_data() {
        KeyData::Certificate(_) | KeyData::Other(_) => Err(KrlError::Authority),
        _ => key.to_bytes().map_err(|_| KrlError::Authority),
    }
}
