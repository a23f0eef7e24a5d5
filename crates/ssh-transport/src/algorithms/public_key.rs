//! Public key algorithms: of host keys, of user keys and of the certificates around them.

/// How a signature is made, whatever wraps the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureScheme {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    RsaSha256,
    RsaSha512,
    RsaSha1,
    SkEd25519,
    SkEcdsaP256,
}

impl SignatureScheme {
    /// The name at the front of a signature blob.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521",
            Self::RsaSha256 => "rsa-sha2-256",
            Self::RsaSha512 => "rsa-sha2-512",
            Self::RsaSha1 => "ssh-rsa",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    /// Whether the private key is in a security key, which signs what it says of itself, too.
    pub(crate) const fn is_security_key(self) -> bool {
        matches!(self, Self::SkEd25519 | Self::SkEcdsaP256)
    }
}

/// Whether a blob is a bare key or a certificate around one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrapping {
    Key,
    Certificate,
}

/// Public key algorithms, of host keys and of user keys (RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709, and OpenSSH
/// `PROTOCOL.certkeys` and `PROTOCOL.u2f`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostKeyAlgorithm {
    /// `ssh-ed25519`
    Ed25519,
    /// `ecdsa-sha2-nistp256`
    EcdsaP256,
    /// `ecdsa-sha2-nistp384`
    EcdsaP384,
    /// `ecdsa-sha2-nistp521`
    EcdsaP521,
    /// `rsa-sha2-512`
    RsaSha512,
    /// `rsa-sha2-256`
    RsaSha256,
    /// `ssh-ed25519-cert-v01@openssh.com`
    Ed25519Cert,
    /// `ecdsa-sha2-nistp256-cert-v01@openssh.com`
    EcdsaP256Cert,
    /// `ecdsa-sha2-nistp384-cert-v01@openssh.com`
    EcdsaP384Cert,
    /// `ecdsa-sha2-nistp521-cert-v01@openssh.com`
    EcdsaP521Cert,
    /// `rsa-sha2-512-cert-v01@openssh.com`
    RsaSha512Cert,
    /// `rsa-sha2-256-cert-v01@openssh.com`
    RsaSha256Cert,
    /// `sk-ssh-ed25519@openssh.com`: Ed25519 in a security key.
    SkEd25519,
    /// `sk-ecdsa-sha2-nistp256@openssh.com`: ECDSA in a security key.
    SkEcdsaP256,
    /// `sk-ssh-ed25519-cert-v01@openssh.com`
    SkEd25519Cert,
    /// `sk-ecdsa-sha2-nistp256-cert-v01@openssh.com`
    SkEcdsaP256Cert,
    /// `ssh-rsa`: RSA with SHA-1, whose collisions are in reach. For old peers only, never by default.
    RsaSha1,
}

impl HostKeyAlgorithm {
    /// All of them. No list to offer: SHA-1 is among them.
    pub const ALL: [Self; 17] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::RsaSha512,
        Self::RsaSha256,
        Self::Ed25519Cert,
        Self::EcdsaP256Cert,
        Self::EcdsaP384Cert,
        Self::EcdsaP521Cert,
        Self::RsaSha512Cert,
        Self::RsaSha256Cert,
        Self::SkEd25519,
        Self::SkEcdsaP256,
        Self::SkEd25519Cert,
        Self::SkEcdsaP256Cert,
        Self::RsaSha1,
    ];

    /// What a client offers unless told otherwise.
    pub const DEFAULT: [Self; 3] = [Self::Ed25519, Self::RsaSha512, Self::RsaSha256];

    /// Those of bare keys in order of preference.
    pub const KEYS: [Self; 6] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::RsaSha512,
        Self::RsaSha256,
    ];

    /// The certificate forms of [`HostKeyAlgorithm::KEYS`], for a client whose caller checks the certificate.
    pub const CERTIFICATES: [Self; 6] = [
        Self::Ed25519Cert,
        Self::EcdsaP256Cert,
        Self::EcdsaP384Cert,
        Self::EcdsaP521Cert,
        Self::RsaSha512Cert,
        Self::RsaSha256Cert,
    ];

    /// What a server takes of users unless told otherwise: all but SHA-1.
    pub const USER_KEYS: [Self; 16] = [
        Self::Ed25519,
        Self::SkEd25519,
        Self::EcdsaP256,
        Self::SkEcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::RsaSha512,
        Self::RsaSha256,
        Self::Ed25519Cert,
        Self::SkEd25519Cert,
        Self::EcdsaP256Cert,
        Self::SkEcdsaP256Cert,
        Self::EcdsaP384Cert,
        Self::EcdsaP521Cert,
        Self::RsaSha512Cert,
        Self::RsaSha256Cert,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The type at the front of a public key blob of this algorithm.
    #[must_use]
    pub const fn blob_type(self) -> &'static str {
        self.row().1
    }

    /// Whether the blob is a certificate, which the caller has to check.
    #[must_use]
    pub const fn is_certificate(self) -> bool {
        matches!(self.row().3, Wrapping::Certificate)
    }

    /// Whether the private key is in a security key (FIDO), which says with each signature whether it was touched.
    #[must_use]
    pub const fn is_security_key(self) -> bool {
        self.row().2.is_security_key()
    }

    /// The name at the front of a signature blob of this algorithm, which is never that of a certificate.
    #[must_use]
    pub const fn signature_name(self) -> &'static str {
        self.row().2.name()
    }

    /// The algorithm of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    pub(crate) const fn scheme(self) -> SignatureScheme {
        self.row().2
    }

    pub(crate) const fn wrapping(self) -> Wrapping {
        self.row().3
    }

    /// Name, blob type, signature scheme, wrapping.
    #[rustfmt::skip]
    const fn row(self) -> (&'static str, &'static str, SignatureScheme, Wrapping) {
        use SignatureScheme as S;
        use Wrapping::{Certificate, Key};
        match self {
            Self::Ed25519 => ("ssh-ed25519", "ssh-ed25519", S::Ed25519, Key),
            Self::EcdsaP256 => ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", S::EcdsaP256, Key),
            Self::EcdsaP384 => ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", S::EcdsaP384, Key),
            Self::EcdsaP521 => ("ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521", S::EcdsaP521, Key),
            Self::RsaSha512 => ("rsa-sha2-512", "ssh-rsa", S::RsaSha512, Key),
            Self::RsaSha256 => ("rsa-sha2-256", "ssh-rsa", S::RsaSha256, Key),
            Self::Ed25519Cert => ("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519-cert-v01@openssh.com", S::Ed25519, Certificate),
            Self::EcdsaP256Cert => ("ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256-cert-v01@openssh.com", S::EcdsaP256, Certificate),
            Self::EcdsaP384Cert => ("ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384-cert-v01@openssh.com", S::EcdsaP384, Certificate),
            Self::EcdsaP521Cert => ("ecdsa-sha2-nistp521-cert-v01@openssh.com", "ecdsa-sha2-nistp521-cert-v01@openssh.com", S::EcdsaP521, Certificate),
            Self::RsaSha512Cert => ("rsa-sha2-512-cert-v01@openssh.com", "ssh-rsa-cert-v01@openssh.com", S::RsaSha512, Certificate),
            Self::RsaSha256Cert => ("rsa-sha2-256-cert-v01@openssh.com", "ssh-rsa-cert-v01@openssh.com", S::RsaSha256, Certificate),
            Self::SkEd25519 => ("sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519@openssh.com", S::SkEd25519, Key),
            Self::SkEcdsaP256 => ("sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", S::SkEcdsaP256, Key),
            Self::SkEd25519Cert => ("sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com", S::SkEd25519, Certificate),
            Self::SkEcdsaP256Cert => ("sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", S::SkEcdsaP256, Certificate),
            Self::RsaSha1 => ("ssh-rsa", "ssh-rsa", S::RsaSha1, Key),
        }
    }
}
