use alloc::string::String;
use alloc::vec::Vec;

use ssh_key::PublicKey;

use crate::options::OptionList;
use crate::public::acceptable_subject;
use crate::wire::{Reader, put_string};
use crate::{
    CaPublicKey, Certificate, CertificateKind, MAX_CERTIFICATE_BYTES, MintError, Profile,
    Unverified, Validity,
};

/// Room left for the signature when the length is checked: RSA at its largest, with names and lengths.
const MAX_SIGNATURE_BYTES: usize = 1100;

/// The fields of a certificate before it is written.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    kind: CertificateKind,
    subject: PublicKey,
    principals: Vec<String>,
    validity: Validity,
    pub(crate) profile: Profile,
    pub(crate) serial: u64,
    pub(crate) key_id: String,
    pub(crate) critical: OptionList,
    pub(crate) extensions: OptionList,
}

impl Draft {
    pub(crate) fn new(
        kind: CertificateKind,
        subject: PublicKey,
        principals: Vec<String>,
        validity: Validity,
    ) -> Self {
        Self {
            kind,
            subject,
            principals,
            validity,
            profile: Profile::default(),
            serial: 0,
            key_id: String::new(),
            critical: OptionList::default(),
            extensions: OptionList::default(),
        }
    }

    /// Writes everything up to the signature, in the order of PROTOCOL.certkeys.
    pub(crate) fn prepare(self, ca: &CaPublicKey, nonce: &[u8; 32]) -> Result<Prepared, MintError> {
        let key_data = self.subject.key_data();
        if !acceptable_subject(key_data) {
            return Err(MintError::Subject);
        }
        if !self.profile.permits_authority(ca) || !self.profile.permits_subject(&self.subject) {
            return Err(MintError::Profile);
        }
        let subject = self.subject.to_bytes().map_err(|_| MintError::Subject)?;
        let mut key_fields = Reader::new(&subject);
        key_fields.string().map_err(|_| MintError::Subject)?;
        let key_fields = key_fields
            .take(key_fields.remaining())
            .map_err(|_| MintError::Subject)?;

        let mut principals = Vec::new();
        for name in &self.principals {
            put_string(&mut principals, name.as_bytes());
        }

        let mut tbs = Vec::with_capacity(512 + key_fields.len() + principals.len());
        put_string(
            &mut tbs,
            key_data.algorithm().to_certificate_type().as_bytes(),
        );
        put_string(&mut tbs, nonce);
        tbs.extend_from_slice(key_fields);
        tbs.extend_from_slice(&self.serial.to_be_bytes());
        tbs.extend_from_slice(&self.kind.code().to_be_bytes());
        put_string(&mut tbs, self.key_id.as_bytes());
        put_string(&mut tbs, &principals);
        tbs.extend_from_slice(&self.validity.valid_after().to_be_bytes());
        tbs.extend_from_slice(&self.validity.valid_before().to_be_bytes());
        put_string(&mut tbs, &self.critical.encode());
        put_string(&mut tbs, &self.extensions.encode());
        put_string(&mut tbs, b""); // reserved
        put_string(&mut tbs, ca.blob());

        let got = tbs.len() + MAX_SIGNATURE_BYTES;
        if got > MAX_CERTIFICATE_BYTES {
            return Err(MintError::TooLong {
                limit: MAX_CERTIFICATE_BYTES,
                got,
            });
        }
        Ok(Prepared {
            tbs,
            ca: ca.clone(),
        })
    }
}

/// A certificate that lacks only its signature: a question to whoever holds the authority's key.
///
/// [`CaKey::mint`](crate::CaKey::mint) answers it in memory. An agent, a PKCS#11 token or a KMS answers it by signing
/// [`to_be_signed`](Self::to_be_signed) with [`signature_algorithm`](Self::signature_algorithm).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    tbs: Vec<u8>,
    ca: CaPublicKey,
}

impl Prepared {
    /// The exact bytes to sign, not hashed.
    #[must_use]
    pub fn to_be_signed(&self) -> &[u8] {
        &self.tbs
    }

    /// The SSH name of the signature algorithm that is expected, such as `ssh-ed25519` or `rsa-sha2-512`.
    #[must_use]
    pub fn signature_algorithm(&self) -> &'static str {
        self.ca.signature_algorithm()
    }

    /// The authority that is to sign.
    #[must_use]
    pub fn authority(&self) -> &CaPublicKey {
        &self.ca
    }

    /// Takes the signature and gives out the certificate, once the signature proved to be right.
    ///
    /// `signature_blob` is an SSH signature: `string algorithm, string signature` (RFC 4253 section 6.6).
    ///
    /// # Errors
    /// [`MintError::Signature`] unless it is the authority's signature over exactly these bytes in the algorithm
    /// that was asked for.
    pub fn complete(self, signature_blob: &[u8]) -> Result<Certificate, MintError> {
        if self.ca.signature_name(signature_blob) != Some(self.signature_algorithm()) {
            return Err(MintError::Signature);
        }
        self.ca
            .verify(&self.tbs, signature_blob)
            .map_err(|_| MintError::Signature)?;
        self.complete_signed(signature_blob)
    }

    /// Appends a signature that is known to be right.
    pub(crate) fn complete_signed(self, signature_blob: &[u8]) -> Result<Certificate, MintError> {
        let mut blob = self.tbs;
        blob.reserve_exact(4 + signature_blob.len());
        put_string(&mut blob, signature_blob);
        // What is handed out can be read back, by the same reader that is used on strangers' certificates.
        let parsed = Unverified::parse(&blob).map_err(|_| MintError::Signature)?;
        Ok(Certificate::new(parsed))
    }
}
