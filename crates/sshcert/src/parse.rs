use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ssh_key::public::KeyData;
use ssh_key::{Algorithm, PublicKey};

use crate::ParseError;
use crate::principals::MAX_PRINCIPALS;
use crate::wire::{Malformed, Reader, put_string};

/// The longest certificate that is read or made, in bytes: the longest payload of a packet that every SSH
/// implementation accepts (RFC 4253 section 6.1), so a longer one could not be presented.
pub const MAX_CERTIFICATE_BYTES: usize = 32_768;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CertificateKind {
    /// `SSH_CERT_TYPE_USER`: logging in.
    User,
    /// `SSH_CERT_TYPE_HOST`: being logged in to.
    Host,
}

impl CertificateKind {
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::User => 1,
            Self::Host => 2,
        }
    }
}

/// The fields of a certificate that was read, and not checked: they are whatever its maker wrote.
///
/// For showing and logging. [`check_user_certificate`](crate::check_user_certificate) and
/// [`check_host_certificate`](crate::check_host_certificate) say whether to believe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unverified {
    blob: Vec<u8>,
    tbs_len: usize,
    kind: CertificateKind,
    subject: PublicKey,
    serial: u64,
    key_id: String,
    principals: Vec<String>,
    valid_after: u64,
    valid_before: u64,
    critical: Vec<(String, Vec<u8>)>,
    extensions: Vec<(String, Vec<u8>)>,
    authority: Vec<u8>,
    signature: Vec<u8>,
}

impl Unverified {
    /// Reads a certificate blob (PROTOCOL.certkeys). Never reads the certificate of a certificate's authority.
    ///
    /// # Errors
    /// [`ParseError`] unless every field is there, once, in order, without a NUL in what is text, and nothing follows.
    pub fn parse(blob: &[u8]) -> Result<Self, ParseError> {
        if blob.len() > MAX_CERTIFICATE_BYTES {
            return Err(ParseError::TooLong {
                limit: MAX_CERTIFICATE_BYTES,
                got: blob.len(),
            });
        }
        let mut reader = Reader::new(blob);
        let name = reader.text()?;
        let algorithm = Algorithm::new_certificate(name).map_err(|_| ParseError::Algorithm)?;
        reader.string()?; // nonce
        let subject = subject(&mut reader, &algorithm)?;
        let serial = reader.u64()?;
        let kind = match reader.u32()? {
            1 => CertificateKind::User,
            2 => CertificateKind::Host,
            _ => return Err(ParseError::Kind),
        };
        let key_id = reader.c_text()?.to_string();
        let principals = principals(reader.nested()?)?;
        let valid_after = reader.u64()?;
        let valid_before = reader.u64()?;
        let critical = options(reader.nested()?)?;
        let extensions = options(reader.nested()?)?;
        reader.string()?; // reserved: ignored, as PROTOCOL.certkeys says
        let authority = reader.string()?.to_vec();
        let tbs_len = blob.len() - reader.remaining();
        let signature = reader.string()?.to_vec();
        reader.finish()?;
        Ok(Self {
            blob: blob.to_vec(),
            tbs_len,
            kind,
            subject,
            serial,
            key_id,
            principals,
            valid_after,
            valid_before,
            critical,
            extensions,
            authority,
            signature,
        })
    }

    /// The certificate, byte for byte.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Whether it is for users or hosts.
    #[must_use]
    pub fn kind(&self) -> CertificateKind {
        self.kind
    }

    /// The key it certifies.
    #[must_use]
    pub fn subject(&self) -> &PublicKey {
        &self.subject
    }

    /// Its serial number.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Its key id. May hold anything but NUL, line breaks and terminal controls included.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The names it is for, in order.
    #[must_use]
    pub fn principals(&self) -> &[String] {
        &self.principals
    }

    /// The first second at which it is valid, in unix seconds.
    #[must_use]
    pub fn valid_after(&self) -> u64 {
        self.valid_after
    }

    /// The first second at which it is not valid any more, in unix seconds.
    #[must_use]
    pub fn valid_before(&self) -> u64 {
        self.valid_before
    }

    /// Its critical options, name and raw data, in order.
    #[must_use]
    pub fn critical_options(&self) -> &[(String, Vec<u8>)] {
        &self.critical
    }

    /// Its extensions, name and raw data, in order.
    #[must_use]
    pub fn extensions(&self) -> &[(String, Vec<u8>)] {
        &self.extensions
    }

    /// The public key blob of the authority that it names.
    #[must_use]
    pub fn authority_blob(&self) -> &[u8] {
        &self.authority
    }

    pub(crate) fn to_be_signed(&self) -> &[u8] {
        self.blob.get(..self.tbs_len).unwrap_or_default()
    }

    pub(crate) fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl From<Malformed> for ParseError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// The certified key. Its fields are delimited here, so that what is decoded is a plain key and never more.
fn subject(reader: &mut Reader<'_>, algorithm: &Algorithm) -> Result<PublicKey, ParseError> {
    let strings = match algorithm {
        Algorithm::Ed25519 => 1,
        Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } | Algorithm::SkEd25519 => 2,
        Algorithm::SkEcdsaSha2NistP256 => 3,
        _ => return Err(ParseError::Algorithm),
    };
    let mut blob = Vec::new();
    put_string(&mut blob, algorithm.as_str().as_bytes());
    for _ in 0..strings {
        put_string(&mut blob, reader.string()?);
    }
    match PublicKey::from_bytes(&blob) {
        Ok(key) if !matches!(key.key_data(), KeyData::Certificate(_) | KeyData::Other(_)) => {
            Ok(key)
        }
        _ => Err(ParseError::Malformed),
    }
}

fn principals(mut reader: Reader<'_>) -> Result<Vec<String>, ParseError> {
    let mut names = Vec::new();
    while !reader.is_empty() {
        if names.len() == MAX_PRINCIPALS {
            return Err(ParseError::TooManyPrincipals {
                limit: MAX_PRINCIPALS,
            });
        }
        names.push(reader.c_text()?.to_string());
    }
    Ok(names)
}

/// Options in strictly increasing order of their names, so that none appears twice.
fn options(mut reader: Reader<'_>) -> Result<Vec<(String, Vec<u8>)>, ParseError> {
    let mut options: Vec<(String, Vec<u8>)> = Vec::new();
    while !reader.is_empty() {
        let name = reader.c_text()?;
        let data = reader.string()?;
        if options
            .last()
            .is_some_and(|(last, _)| last.as_str() >= name)
        {
            return Err(ParseError::OptionOrder);
        }
        options.push((name.to_string(), data.to_vec()));
    }
    Ok(options)
}
