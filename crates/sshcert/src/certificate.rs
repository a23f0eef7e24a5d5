use alloc::string::{String, ToString};

use base64ct::{Base64, Encoding as _};
use ssh_key::{HashAlg, PublicKey};

use crate::{CertificateKind, Unverified};

/// A certificate that this crate made and whose signature it has checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate(Unverified);

impl Certificate {
    pub(crate) fn new(fields: Unverified) -> Self {
        Self(fields)
    }

    /// The certificate as it is presented in authentication or key exchange.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        self.0.blob()
    }

    /// The name of its public key algorithm, such as `ssh-ed25519-cert-v01@openssh.com`.
    #[must_use]
    pub fn algorithm_name(&self) -> String {
        self.0.subject().algorithm().to_certificate_type()
    }

    /// The line of a `-cert.pub` file, without a comment or line end.
    #[must_use]
    pub fn to_openssh(&self) -> String {
        let mut line = self.algorithm_name();
        line.push(' ');
        line.push_str(&Base64::encode_string(self.blob()));
        line
    }

    /// Whether it is for users or hosts.
    #[must_use]
    pub fn kind(&self) -> CertificateKind {
        self.0.kind()
    }

    /// The key it certifies.
    #[must_use]
    pub fn subject(&self) -> &PublicKey {
        self.0.subject()
    }

    /// `SHA256:…` of the key it certifies, as `ssh-keygen -l` prints it for the certificate too.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.subject().fingerprint(HashAlg::Sha256).to_string()
    }

    /// Its serial number.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.0.serial()
    }

    /// Its key id.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.0.key_id()
    }

    /// The names it is for, in order.
    #[must_use]
    pub fn principals(&self) -> &[String] {
        self.0.principals()
    }

    /// The first second at which it is valid, in unix seconds.
    #[must_use]
    pub fn valid_after(&self) -> u64 {
        self.0.valid_after()
    }

    /// The first second at which it is not valid any more, in unix seconds.
    #[must_use]
    pub fn valid_before(&self) -> u64 {
        self.0.valid_before()
    }
}
