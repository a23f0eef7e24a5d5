use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use crate::DeriveError;

/// The longest target key blob that is read, in bytes: the longest payload that every SSH
/// implementation must accept (RFC 4253 section 6.1), so nothing longer can come from a key exchange.
pub const MAX_TARGET_KEY_BYTES: usize = 32_768;

/// `SSH_CERT_TYPE_HOST` (PROTOCOL.certkeys).
const CERT_TYPE_HOST: u32 = 2;
const CERT_SUFFIX: &[u8] = b"-cert-v01@openssh.com";

/// A target's host key as it stood in the key exchange, a certificate reduced to the key it certifies.
///
/// Only the shape is checked: whether the target holds the private half is the key exchange's to prove,
/// and whether its certificate is any good is the business of whoever trusts the authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetKey {
    blob: Vec<u8>,
    certified: bool,
}

impl TargetKey {
    /// Reads a public key blob (RFC 4253 section 6.6) or an OpenSSH host certificate (PROTOCOL.certkeys).
    ///
    /// # Errors
    /// [`DeriveError::TooLong`] above [`MAX_TARGET_KEY_BYTES`], [`DeriveError::Malformed`],
    /// [`DeriveError::UnknownAlgorithm`], [`DeriveError::NotAHostCertificate`].
    pub fn from_blob(presented: &[u8]) -> Result<Self, DeriveError> {
        if presented.len() > MAX_TARGET_KEY_BYTES {
            return Err(DeriveError::TooLong {
                limit: MAX_TARGET_KEY_BYTES,
                got: presented.len(),
            });
        }
        let mut reader = Reader(presented);
        let name = reader.string()?;
        let (name, certified) = match certified_algorithm(name) {
            Some(plain) => {
                reader.string()?; // nonce
                (plain, true)
            }
            None => (name.to_vec(), false),
        };

        let key_start = reader.0;
        let fields = Fields::of(&name).ok_or(DeriveError::UnknownAlgorithm)?;
        fields.skip(&mut reader, &name)?;
        let key_len = key_start.len() - reader.0.len();

        if certified {
            skip_certificate(&mut reader)?;
        }
        if !reader.0.is_empty() {
            return Err(DeriveError::Malformed);
        }

        let mut blob = Vec::with_capacity(4 + name.len() + key_len);
        put_string(&mut blob, &name);
        blob.extend_from_slice(key_start.get(..key_len).ok_or(DeriveError::Malformed)?);
        Ok(Self { blob, certified })
    }

    /// The plain public key blob, byte for byte as it was presented or certified.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Whether the key came inside a host certificate.
    #[must_use]
    pub fn is_certified(&self) -> bool {
        self.certified
    }

    /// The SSH name of the key's algorithm.
    #[must_use]
    pub fn algorithm_name(&self) -> &str {
        let name = Reader(&self.blob).string().unwrap_or_default();
        core::str::from_utf8(name).unwrap_or_default()
    }

    /// `SHA256:…` as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint_text(self.sha256())
    }

    pub(crate) fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.blob).into()
    }
}

pub(crate) fn fingerprint_text(sha256: [u8; 32]) -> String {
    ssh_key::Fingerprint::Sha256(sha256).to_string()
}

/// Appends an SSH string (RFC 4251 section 5).
pub(crate) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= MAX_TARGET_KEY_BYTES);
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// `ssh-…-cert-v01@openssh.com` to `ssh-…`; an sk name keeps its `@openssh.com`.
fn certified_algorithm(name: &[u8]) -> Option<Vec<u8>> {
    let base = name.strip_suffix(CERT_SUFFIX)?;
    let mut plain = base.to_vec();
    if base.starts_with(b"sk-") {
        plain.extend_from_slice(b"@openssh.com");
    }
    Some(plain)
}

/// The fields of a public key after its name.
enum Fields {
    /// That many non-empty strings or mpints.
    Strings(usize),
    /// A curve name that must repeat the algorithm's, then that many strings.
    Curve(usize),
}

impl Fields {
    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"ssh-ed25519" => Self::Strings(1),
            b"ssh-rsa" => Self::Strings(2),
            b"ssh-dss" => Self::Strings(4),
            b"ecdsa-sha2-nistp256" | b"ecdsa-sha2-nistp384" | b"ecdsa-sha2-nistp521" => {
                Self::Curve(1)
            }
            b"sk-ssh-ed25519@openssh.com" => Self::Strings(2),
            b"sk-ecdsa-sha2-nistp256@openssh.com" => Self::Curve(2),
            _ => return None,
        })
    }

    fn skip(&self, reader: &mut Reader<'_>, name: &[u8]) -> Result<(), DeriveError> {
        let strings = match self {
            Self::Strings(count) => *count,
            Self::Curve(count) => {
                let curve = reader.string()?;
                let named = name.strip_suffix(b"@openssh.com").unwrap_or(name);
                if curve.is_empty() || !named.ends_with(curve) || !curve.starts_with(b"nistp") {
                    return Err(DeriveError::Malformed);
                }
                *count
            }
        };
        for _ in 0..strings {
            if reader.string()?.is_empty() {
                return Err(DeriveError::Malformed);
            }
        }
        Ok(())
    }
}

/// The rest of a certificate after the certified key.
fn skip_certificate(reader: &mut Reader<'_>) -> Result<(), DeriveError> {
    reader.array::<8>()?; // serial
    let kind = u32::from_be_bytes(reader.array()?);
    reader.string()?; // key id
    reader.string()?; // principals
    reader.array::<8>()?; // valid after
    reader.array::<8>()?; // valid before
    reader.string()?; // critical options
    reader.string()?; // extensions
    reader.string()?; // reserved
    reader.string()?; // signature key
    reader.string()?; // signature
    if kind != CERT_TYPE_HOST {
        return Err(DeriveError::NotAHostCertificate);
    }
    Ok(())
}

/// Reads RFC 4251 types without copying.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], DeriveError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DeriveError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DeriveError> {
        self.take(N)?.try_into().map_err(|_| DeriveError::Malformed)
    }

    fn string(&mut self) -> Result<&'a [u8], DeriveError> {
        let len = u32::from_be_bytes(self.array()?);
        self.take(usize::try_from(len).map_err(|_| DeriveError::Malformed)?)
    }
}
