//! Keys of people who read logs, and the text files they live in.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use base64ct::{Base64, Encoding as _};
use hpke::kem::{X25519HkdfSha256, XWing};
use hpke::{Deserializable as _, Kem as HpkeKem, Serializable as _};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::error::KeyFileError;
use crate::limits::MAX_KEY_FILE_BYTES;
use crate::sshsig::push_lines;
use crate::suite::Digest;

const RECIPIENT_LABEL: &str = "SSHLOG RECIPIENT";
const IDENTITY_LABEL: &str = "SSHLOG IDENTITY";
/// Version of both files.
const FILE_VERSION: u8 = 1;
/// Length of the checksum, bytes: the start of a SHA-256. It catches a mistyped key, which would otherwise encrypt to nobody.
const CHECKSUM_BYTES: usize = 8;
/// Length of a key id, bytes.
const KEY_ID_BYTES: usize = 8;
/// Length of a private key of either KEM, bytes.
const PRIVATE_BYTES: usize = 32;

/// A key encapsulation mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Kem {
    /// X-Wing: ML-KEM-768 with X25519 (HPKE-PQ, `0x647a`). A recording stays secret from tomorrow's quantum computer.
    #[default]
    XWing,
    /// DHKEM(X25519, HKDF-SHA256) (RFC 9180, `0x0020`).
    X25519,
}

impl Kem {
    /// Its code point in the HPKE registry.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            Kem::XWing => XWing::KEM_ID,
            Kem::X25519 => X25519HkdfSha256::KEM_ID,
        }
    }

    pub(crate) fn from_id(id: u16) -> Option<Kem> {
        [Kem::XWing, Kem::X25519]
            .into_iter()
            .find(|kem| kem.id() == id)
    }

    /// Its name: `x-wing` or `x25519`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kem::XWing => "x-wing",
            Kem::X25519 => "x25519",
        }
    }

    fn key_id(self, public: &[u8]) -> [u8; KEY_ID_BYTES] {
        let hash = Digest::of(&[&self.id().to_be_bytes(), public]);
        hash.as_bytes().first_chunk().copied().unwrap_or_default()
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
    fn new(kem: Kem, public: &[u8]) -> Result<Recipient, KeyFileError> {
        let valid = match kem {
            Kem::XWing => <XWing as HpkeKem>::PublicKey::from_bytes(public).is_ok(),
            // A file of zeros would encrypt to everybody. The other points of small order are refused when they are sealed to.
            Kem::X25519 => {
                <X25519HkdfSha256 as HpkeKem>::PublicKey::from_bytes(public).is_ok()
                    && public.iter().any(|b| *b != 0)
            }
        };
        if !valid {
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
    kem: Kem,
    private: Zeroizing<[u8; PRIVATE_BYTES]>,
    recipient: Recipient,
}

impl Identity {
    /// Draws a new key.
    pub fn generate(kem: Kem, rng: &mut impl CryptoRng) -> Identity {
        let mut private = Zeroizing::new([0; PRIVATE_BYTES]);
        let mut ikm = Zeroizing::new([0; PRIVATE_BYTES]);
        rng.fill_bytes(&mut *ikm);
        match kem {
            Kem::XWing => XWing::derive_keypair(&*ikm).0.write_exact(&mut *private),
            Kem::X25519 => X25519HkdfSha256::derive_keypair(&*ikm)
                .0
                .write_exact(&mut *private),
        }
        Identity::from_private(kem, private)
    }

    fn from_private(kem: Kem, private: Zeroizing<[u8; PRIVATE_BYTES]>) -> Identity {
        let public: Vec<u8> = match kem {
            Kem::XWing => public_of::<XWing>(&private),
            Kem::X25519 => public_of::<X25519HkdfSha256>(&private),
        };
        let recipient = Recipient {
            kem,
            key_id: Some(kem.key_id(&public)),
            public: public.into(),
        };
        Identity {
            kem,
            private,
            recipient,
        }
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
        let mut private = Zeroizing::new([0; PRIVATE_BYTES]);
        if key.len() != PRIVATE_BYTES {
            return Err(KeyFileError::Damaged);
        }
        private.copy_from_slice(&key);
        Ok(Identity::from_private(kem, private))
    }

    /// The private key file. Its reader can read every log made for this key.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // Room for the whole file, so that no half-written copy stays behind when the string would grow.
        let mut text = Zeroizing::new(String::with_capacity(1_024));
        describe(&mut text, &self.recipient);
        write_block(&mut text, IDENTITY_LABEL, self.kem, &*self.private);
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
        self.kem
    }

    /// What names it in a log, 8 bytes.
    #[must_use]
    pub fn key_id(&self) -> &[u8] {
        self.recipient.key_id()
    }

    pub(crate) fn secret_bytes(&self) -> &[u8] {
        &*self.private
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("kem", &self.kem)
            .finish_non_exhaustive()
    }
}

/// The bytes come from `derive_keypair` or a file with a checksum and have the one length that both mechanisms take.
fn public_of<K: HpkeKem>(private: &[u8; PRIVATE_BYTES]) -> Vec<u8> {
    K::PrivateKey::from_bytes(private)
        .map_or_else(|_| Vec::new(), |key| K::sk_to_pk(&key).to_bytes().to_vec())
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
    Digest::of(&[payload])
        .as_bytes()
        .first_chunk()
        .copied()
        .unwrap_or_default()
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
