//! The algorithms by name. Each enum is a table: adding an algorithm is adding a row.

use alloc::vec::Vec;

/// Key exchange methods, strongest first in [`KexAlgorithm::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KexAlgorithm {
    /// `mlkem768x25519-sha256`: ML-KEM-768 with X25519, post-quantum hybrid.
    MlKem768X25519Sha256,
    /// `curve25519-sha256` (RFC 8731).
    Curve25519Sha256,
    /// `curve25519-sha256@libssh.org`: the same under its older name.
    Curve25519Sha256Libssh,
    /// `ecdh-sha2-nistp256` (RFC 5656).
    EcdhNistP256,
}

impl KexAlgorithm {
    /// All of them in order of preference.
    pub const ALL: [Self; 4] = [
        Self::MlKem768X25519Sha256,
        Self::Curve25519Sha256,
        Self::Curve25519Sha256Libssh,
        Self::EcdhNistP256,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MlKem768X25519Sha256 => "mlkem768x25519-sha256",
            Self::Curve25519Sha256 => "curve25519-sha256",
            Self::Curve25519Sha256Libssh => "curve25519-sha256@libssh.org",
            Self::EcdhNistP256 => "ecdh-sha2-nistp256",
        }
    }
}

/// Packet ciphers. All are authenticated encryption, so that no MAC is negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CipherAlgorithm {
    /// `aes256-gcm@openssh.com` (RFC 5647 as OpenSSH does it).
    Aes256Gcm,
    /// `aes128-gcm@openssh.com`.
    Aes128Gcm,
    /// `chacha20-poly1305@openssh.com` (OpenSSH `PROTOCOL.chacha20poly1305`).
    ChaCha20Poly1305,
}

impl CipherAlgorithm {
    /// All of them in order of preference: AES-GCM costs less than half the CPU time of ChaCha20 where AES is in hardware.
    pub const ALL: [Self; 3] = [Self::Aes256Gcm, Self::Aes128Gcm, Self::ChaCha20Poly1305];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "aes256-gcm@openssh.com",
            Self::Aes128Gcm => "aes128-gcm@openssh.com",
            Self::ChaCha20Poly1305 => "chacha20-poly1305@openssh.com",
        }
    }
}

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

    /// Those of bare keys in order of preference, which is what a client offers unless told otherwise.
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

/// What is offered, in order of preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithms {
    /// Key exchange methods.
    pub kex: Vec<KexAlgorithm>,
    /// Host key algorithms. A client's only: a server offers those of the keys it is started with.
    pub host_keys: Vec<HostKeyAlgorithm>,
    /// Algorithms of user keys and certificates that are taken. A server's only.
    pub user_keys: Vec<HostKeyAlgorithm>,
    /// Ciphers, for both directions.
    pub ciphers: Vec<CipherAlgorithm>,
}

impl Default for Algorithms {
    fn default() -> Self {
        Self {
            kex: KexAlgorithm::ALL.to_vec(),
            host_keys: HostKeyAlgorithm::KEYS.to_vec(),
            user_keys: HostKeyAlgorithm::USER_KEYS.to_vec(),
            ciphers: CipherAlgorithm::ALL.to_vec(),
        }
    }
}
