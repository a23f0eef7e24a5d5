//! Keys of people who read logs, and the text files they live in.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use base64ct::{Base64, Encoding as _};
use hpke::kem::{DhP256HkdfSha256, DhP384HkdfSha384, X25519HkdfSha256, XWing};
use hpke::{Deserializable as _, Kem as HpkeKem, Serializable as _};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::error::KeyFileError;
use crate::hash::Hash;
use crate::limits::MAX_KEY_FILE_BYTES;
use crate::sshsig::push_lines;

const RECIPIENT_LABEL: &str = "SSHLOG RECIPIENT";
const IDENTITY_LABEL: &str = "SSHLOG IDENTITY";
/// Version of both files.
const FILE_VERSION: u8 = 1;
/// Length of the checksum, bytes: the start of a SHA-256. It catches a mistyped key, which would otherwise encrypt to nobody.
const CHECKSUM_BYTES: usize = 8;
/// Length of a key id, bytes.
const KEY_ID_BYTES: usize = 8;
/// Length of the longest private key, bytes: a scalar of P-384.
const MAX_PRIVATE_BYTES: usize = 48;

/// A key encapsulation mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Kem {
    /// X-Wing: ML-KEM-768 with X25519 (HPKE-PQ, `0x647a`). A recording stays secret from tomorrow's quantum computer.
    #[default]
    XWing,
    /// DHKEM(X25519, HKDF-SHA256) (RFC 9180, `0x0020`).
    X25519,
    /// DHKEM(P-256, HKDF-SHA256) (RFC 9180, `0x0010`), for the suite `0x0101`.
    P256,
    /// DHKEM(P-384, HKDF-SHA384) (RFC 9180, `0x0011`), for the suite `0x0102`.
    P384,
}

impl Kem {
    /// Every mechanism of this version.
    pub const ALL: [Kem; 4] = [Kem::XWing, Kem::X25519, Kem::P256, Kem::P384];

    /// Its code point in the HPKE registry.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            Kem::XWing => XWing::KEM_ID,
            Kem::X25519 => X25519HkdfSha256::KEM_ID,
            Kem::P256 => DhP256HkdfSha256::KEM_ID,
            Kem::P384 => DhP384HkdfSha384::KEM_ID,
        }
    }

    /// The mechanism with this code point, if this version has it.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Kem> {
        Self::ALL.into_iter().find(|kem| kem.id() == id)
    }

    /// Its name: `x-wing`, `x25519`, `p256` or `p384`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kem::XWing => "x-wing",
            Kem::X25519 => "x25519",
            Kem::P256 => "p256",
            Kem::P384 => "p384",
        }
    }

    fn key_id(self, public: &[u8]) -> [u8; KEY_ID_BYTES] {
        Hash::Sha256.of(&[&self.id().to_be_bytes(), public]).short()
    }

    fn private_len(self) -> usize {
        match self {
            Kem::XWing | Kem::X25519 | Kem::P256 => 32,
            Kem::P384 => MAX_PRIVATE_BYTES,
        }
    }

    /// The public key of a private one of this mechanism, if it is one.
    fn public_of(self, private: &[u8]) -> Option<Vec<u8>> {
        match self {
            Kem::XWing => public_of::<XWing>(private),
            Kem::X25519 => public_of::<X25519HkdfSha256>(private),
            Kem::P256 => public_of::<DhP256HkdfSha256>(private),
            Kem::P384 => public_of::<DhP384HkdfSha384>(private),
        }
    }

    fn is_public(self, public: &[u8]) -> bool {
        match self {
            Kem::XWing => <XWing as HpkeKem>::PublicKey::from_bytes(public).is_ok(),
            // A file of zeros would encrypt to everybody. The other points of small order are refused when they are sealed to.
            Kem::X25519 => {
                <X25519HkdfSha256 as HpkeKem>::PublicKey::from_bytes(public).is_ok()
                    && public.iter().any(|b| *b != 0)
            }
            Kem::P256 => <DhP256HkdfSha256 as HpkeKem>::PublicKey::from_bytes(public).is_ok(),
            Kem::P384 => <DhP384HkdfSha384 as HpkeKem>::PublicKey::from_bytes(public).is_ok(),
        }
    }
}

/// The public half: who will be able to read. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    kem: Kem,
    public: Arc<[u8]>,
    key_id: Option<[u8; KEY_ID_BYTES]>,
}

impl Recipient {
    pub(crate) fn new(kem: Kem, public: &[u8]) -> Result<Recipient, KeyFileError> {
        if !kem.is_public(public) {
            return Err(KeyFileError::Damaged);
        }
        Ok(Recipient {
            kem,
            public: public.into(),
            key_id: Some(kem.key_id(public)),
        })
    }

    /// Reads the public key file.
    ///
    /// # Errors
    /// When the text holds no intact `SSHLOG RECIPIENT` block.
    pub fn from_text(text: &str) -> Result<Recipient, KeyFileError> {
        if text.contains(IDENTITY_LABEL) {
            return Err(KeyFileError::PrivateNotPublic);
        }
        let (kem, key) = read_block(text, RECIPIENT_LABEL)?;
        Recipient::new(kem, &key)
    }

    /// The public key file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        describe(&mut text, self);
        write_block(&mut text, RECIPIENT_LABEL, self.kem, &self.public);
        text
    }

    /// The same recipient, not named in the log: readers try each of their identities.
    #[must_use]
    pub fn anonymous(mut self) -> Recipient {
        self.key_id = None;
        self
    }

    /// Its mechanism.
    #[must_use]
    pub fn kem(&self) -> Kem {
        self.kem
    }

    /// What names the recipient in a log: 8 bytes, or none for an anonymous one.
    #[must_use]
    pub fn key_id(&self) -> &[u8] {
        self.key_id.as_ref().map_or(&[], |id| id)
    }

    pub(crate) fn public(&self) -> &[u8] {
        &self.public
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipient")
            .field("kem", &self.kem)
            .finish_non_exhaustive()
    }
}

/// The private half: who can read. Erased when dropped.
pub struct Identity {
    private: Zeroizing<[u8; MAX_PRIVATE_BYTES]>,
    recipient: Recipient,
}

impl Identity {
    /// Draws a new key.
    pub fn generate(kem: Kem, rng: &mut impl CryptoRng) -> Identity {
        let mut ikm = Zeroizing::new([0; MAX_PRIVATE_BYTES]);
        let ikm = ikm.get_mut(..kem.private_len()).unwrap_or_default();
        loop {
            rng.fill_bytes(ikm);
            let mut private = Zeroizing::new([0; MAX_PRIVATE_BYTES]);
            let out = private.get_mut(..kem.private_len()).unwrap_or_default();
            match kem {
                Kem::XWing => XWing::derive_keypair(ikm).0.write_exact(out),
                Kem::X25519 => X25519HkdfSha256::derive_keypair(ikm).0.write_exact(out),
                Kem::P256 => DhP256HkdfSha256::derive_keypair(ikm).0.write_exact(out),
                Kem::P384 => DhP384HkdfSha384::derive_keypair(ikm).0.write_exact(out),
            }
            if let Some(identity) = Identity::from_private(kem, private) {
                return identity;
            }
        }
    }

    fn from_private(kem: Kem, private: Zeroizing<[u8; MAX_PRIVATE_BYTES]>) -> Option<Identity> {
        let public = kem.public_of(private.get(..kem.private_len())?)?;
        let recipient = Recipient {
            kem,
            key_id: Some(kem.key_id(&public)),
            public: public.into(),
        };
        Some(Identity { private, recipient })
    }

    /// From the bytes of a private key of exactly its mechanism's length.
    pub(crate) fn from_private_slice(kem: Kem, key: &[u8]) -> Result<Identity, KeyFileError> {
        let mut private = Zeroizing::new([0; MAX_PRIVATE_BYTES]);
        if key.len() != kem.private_len() {
            return Err(KeyFileError::Damaged);
        }
        for (to, byte) in private.iter_mut().zip(key) {
            *to = *byte;
        }
        Identity::from_private(kem, private).ok_or(KeyFileError::Damaged)
    }

    /// Reads the private key file.
    ///
    /// # Errors
    /// When the text holds no intact `SSHLOG IDENTITY` block.
    pub fn from_text(text: &str) -> Result<Identity, KeyFileError> {
        if text.contains(RECIPIENT_LABEL) {
            return Err(KeyFileError::PublicNotPrivate);
        }
        let (kem, key) = read_block(text, IDENTITY_LABEL)?;
        Identity::from_private_slice(kem, &key)
    }

    /// The private key file. Its reader can read every log made for this key.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // Room for the whole file, so that no half-written copy stays behind when the string would grow.
        let mut text = Zeroizing::new(String::with_capacity(1_024));
        describe(&mut text, &self.recipient);
        write_block(&mut text, IDENTITY_LABEL, self.kem(), self.secret_bytes());
        text
    }

    /// The public half.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        self.recipient.clone()
    }

    /// Its mechanism.
    #[must_use]
    pub fn kem(&self) -> Kem {
        self.recipient.kem
    }

    /// What names it in a log, 8 bytes.
    #[must_use]
    pub fn key_id(&self) -> &[u8] {
        self.recipient.key_id()
    }

    pub(crate) fn secret_bytes(&self) -> &[u8] {
        self.private
            .get(..self.kem().private_len())
            .unwrap_or_default()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("kem", &self.kem())
            .finish_non_exhaustive()
    }
}

fn public_of<K: HpkeKem>(private: &[u8]) -> Option<Vec<u8>> {
    let key = K::PrivateKey::from_bytes(private).ok()?;
    Some(K::sk_to_pk(&key).to_bytes().to_vec())
}

/// Lines for people above the block; a reader passes over them.
fn describe(out: &mut String, recipient: &Recipient) {
    use fmt::Write as _;
    let _ = write!(out, "kem: {}\nkey id: ", recipient.kem.name());
    for byte in recipient.key_id() {
        let _ = write!(out, "{byte:02x}");
    }
    out.push('\n');
}

fn checksum(payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    Hash::Sha256.of(&[payload]).short()
}

/// `u8 version | u16 kem_id | key | checksum` in base64 between BEGIN and END lines.
fn write_block(out: &mut String, label: &str, kem: Kem, key: &[u8]) {
    let mut payload = Zeroizing::new(Vec::with_capacity(3 + key.len() + CHECKSUM_BYTES));
    payload.push(FILE_VERSION);
    payload.extend_from_slice(&kem.id().to_be_bytes());
    payload.extend_from_slice(key);
    let sum = checksum(&payload);
    payload.extend_from_slice(&sum);
    let encoded = Zeroizing::new(Base64::encode_string(&payload));
    for part in ["-----BEGIN ", label, "-----\n"] {
        out.push_str(part);
    }
    push_lines(out, &encoded, 64);
    for part in ["-----END ", label, "-----\n"] {
        out.push_str(part);
    }
}

fn read_block(text: &str, label: &'static str) -> Result<(Kem, Zeroizing<Vec<u8>>), KeyFileError> {
    if text.len() > MAX_KEY_FILE_BYTES {
        return Err(KeyFileError::TooLarge {
            limit: MAX_KEY_FILE_BYTES,
            got: text.len(),
        });
    }
    let is_line = |line: &str, word: &str| {
        line.strip_prefix("-----")
            .and_then(|l| l.strip_suffix("-----"))
            .and_then(|l| l.strip_prefix(word))
            .and_then(|l| l.strip_prefix(' '))
            == Some(label)
    };
    let mut lines = text
        .lines()
        .map(str::trim)
        .skip_while(|line| !is_line(line, "BEGIN"));
    lines
        .next()
        .ok_or(KeyFileError::NoBlock { expected: label })?;
    let mut encoded = Zeroizing::new(String::with_capacity(text.len()));
    let mut ended = false;
    for line in lines.by_ref() {
        if is_line(line, "END") {
            ended = true;
            break;
        }
        encoded.push_str(line);
    }
    if !ended {
        return Err(KeyFileError::Damaged);
    }
    let mut payload =
        Zeroizing::new(Base64::decode_vec(&encoded).map_err(|_| KeyFileError::Damaged)?);
    let split = payload
        .len()
        .checked_sub(CHECKSUM_BYTES)
        .ok_or(KeyFileError::Damaged)?;
    let (body, sum) = payload
        .split_at_checked(split)
        .ok_or(KeyFileError::Damaged)?;
    let (head, key) = body.split_first_chunk::<3>().ok_or(KeyFileError::Damaged)?;
    let [version, kem @ ..] = *head;
    if version != FILE_VERSION {
        return Err(KeyFileError::UnknownVersion { got: version });
    }
    if checksum(body) != sum {
        return Err(KeyFileError::Damaged);
    }
    let kem_id = u16::from_be_bytes(kem);
    let kem = Kem::from_id(kem_id).ok_or(KeyFileError::UnknownKem { got: kem_id })?;
    let key_len = key.len();
    payload.truncate(3 + key_len);
    payload.drain(..3);
    Ok((kem, payload))
}
