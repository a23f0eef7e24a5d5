use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::Verifier as _;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, PublicKey, Signature};

use crate::CaKeyError;
use crate::wire::{Malformed, Reader};

/// The smallest RSA key that is used or certified, in bits: 112-bit security (NIST SP 800-57).
pub const MIN_RSA_BITS: u32 = 2048;
/// The largest RSA key that is used or certified, in bits: what bounds the work of one check.
pub const MAX_RSA_BITS: u32 = 8192;

/// The public half of an authority: Ed25519, ECDSA P-256, P-384 or P-521, or RSA.
///
/// Two are equal when the keys are.
#[derive(Clone, Debug)]
pub struct CaPublicKey {
    key: KeyData,
    blob: Vec<u8>,
    rsa_hash: HashAlg,
}

impl CaPublicKey {
    /// Reads a public key line: the content of a `.pub` file, or a line of a `TrustedUserCAKeys` file.
    ///
    /// # Errors
    /// [`CaKeyError`] when it is none, or not one of an authority.
    pub fn from_openssh(text: &str) -> Result<Self, CaKeyError> {
        let name = text.split_ascii_whitespace().next().unwrap_or_default();
        if name.contains("-cert-v01@") {
            return Err(CaKeyError::Certificate);
        }
        let line = text.trim_start_matches([' ', '\t', '\n']).trim_end();
        let key = PublicKey::from_openssh(line).map_err(|_| CaKeyError::Malformed)?;
        Self::from_public_key(&key)
    }

    /// Takes a public key that has been read.
    ///
    /// # Errors
    /// [`CaKeyError`] when it is not one of an authority.
    pub fn from_public_key(key: &PublicKey) -> Result<Self, CaKeyError> {
        let key = key.key_data();
        match key {
            KeyData::Ed25519(_) | KeyData::Ecdsa(_) => {}
            KeyData::Rsa(rsa) => {
                let got = rsa.key_size();
                if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&got) {
                    return Err(CaKeyError::RsaBits {
                        min: MIN_RSA_BITS,
                        max: MAX_RSA_BITS,
                        got,
                    });
                }
            }
            KeyData::Certificate(_) => return Err(CaKeyError::Certificate),
            _ => return Err(CaKeyError::Algorithm),
        }
        let blob = PublicKey::from(key.clone())
            .to_bytes()
            .map_err(|_| CaKeyError::Malformed)?;
        Ok(Self {
            key: key.clone(),
            blob,
            rsa_hash: HashAlg::Sha512,
        })
    }

    /// Has an RSA authority sign with `rsa-sha2-256` instead of `rsa-sha2-512`. Changes nothing for other keys.
    #[must_use]
    pub fn signing_with_rsa_sha256(mut self) -> Self {
        self.rsa_hash = HashAlg::Sha256;
        self
    }

    /// The public key as an SSH blob (RFC 4253 section 6.6).
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The public key line, without a comment.
    #[must_use]
    pub fn to_openssh(&self) -> String {
        let mut line = self.key.algorithm().as_str().to_string();
        line.push(' ');
        line.push_str(&Base64::encode_string(&self.blob));
        line
    }

    /// `SHA256:…` as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The SSH name of the algorithm in which it signs certificates.
    #[must_use]
    pub fn signature_algorithm(&self) -> &'static str {
        match &self.key {
            KeyData::Ecdsa(key) => match key.curve() {
                EcdsaCurve::NistP256 => "ecdsa-sha2-nistp256",
                EcdsaCurve::NistP384 => "ecdsa-sha2-nistp384",
                EcdsaCurve::NistP521 => "ecdsa-sha2-nistp521",
            },
            KeyData::Rsa(_) if self.rsa_hash == HashAlg::Sha256 => "rsa-sha2-256",
            KeyData::Rsa(_) => "rsa-sha2-512",
            _ => "ssh-ed25519",
        }
    }

    pub(crate) fn key_data(&self) -> &KeyData {
        &self.key
    }

    pub(crate) fn rsa_hash(&self) -> HashAlg {
        self.rsa_hash
    }

    /// The name of the algorithm in a signature blob, when it is one that this key may sign in.
    pub(crate) fn signature_name(&self, signature_blob: &[u8]) -> Option<&'static str> {
        let name = Reader::new(signature_blob).text().ok()?;
        match &self.key {
            KeyData::Rsa(_) => ["rsa-sha2-512", "rsa-sha2-256"]
                .into_iter()
                .find(|known| *known == name),
            _ => Some(self.signature_algorithm()).filter(|known| *known == name),
        }
    }

    /// Checks a signature blob over a message: exactly `string algorithm, string signature`, never SHA-1.
    pub(crate) fn verify(&self, message: &[u8], signature_blob: &[u8]) -> Result<(), Malformed> {
        let name = self.signature_name(signature_blob).ok_or(Malformed)?;
        let mut reader = Reader::new(signature_blob);
        reader.string()?;
        let bytes = reader.string()?;
        reader.finish()?;
        let algorithm = Algorithm::new(name).map_err(|_| Malformed)?;
        let signature = Signature::new(algorithm, bytes).map_err(|_| Malformed)?;
        self.key.verify(message, &signature).map_err(|_| Malformed)
    }
}

impl PartialEq for CaPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.blob == other.blob
    }
}

impl Eq for CaPublicKey {}

/// The lines of a file of public keys that sshd reads as keys, by their number from 1 (`sshkey_in_file`): blanks before them
/// and all from a NUL on are passed over, and so are lines that are then empty or comments. One that only looks empty is no key.
pub(crate) fn key_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.split('\n')).filter_map(|(number, line)| {
        let line = line.split('\0').next()?;
        let line = line.trim_start_matches([' ', '\t']);
        (!line.is_empty() && !line.starts_with('#')).then_some((number, line))
    })
}

/// Which keys may be certified: what OpenSSH certifies but DSA, weak RSA and certificates.
pub(crate) fn acceptable_subject(key: &KeyData) -> bool {
    match key {
        KeyData::Ed25519(_)
        | KeyData::Ecdsa(_)
        | KeyData::SkEd25519(_)
        | KeyData::SkEcdsaSha2NistP256(_) => true,
        KeyData::Rsa(rsa) => (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&rsa.key_size()),
        _ => false,
    }
}
