//! Key exchange methods.

/// Key exchange methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KexAlgorithm {
    /// `mlkem768x25519-sha256`: ML-KEM-768 with X25519, post-quantum hybrid (draft-ietf-sshm-mlkem-hybrid-kex).
    MlKem768X25519Sha256,
    /// `curve25519-sha256` (RFC 8731).
    Curve25519Sha256,
    /// `curve25519-sha256@libssh.org`: the same under its older name.
    Curve25519Sha256Libssh,
    /// `ecdh-sha2-nistp256` (RFC 5656).
    EcdhNistP256,
    /// `ecdh-sha2-nistp384` (RFC 5656).
    EcdhNistP384,
    /// `ecdh-sha2-nistp521` (RFC 5656).
    EcdhNistP521,
    /// `diffie-hellman-group16-sha512`: 4096 bits (RFC 8268).
    DhGroup16Sha512,
    /// `diffie-hellman-group-exchange-sha256`: a group of the server's choice (RFC 4419), of 2048 to 8192 bits here.
    DhGroupExchangeSha256,
    /// `diffie-hellman-group14-sha256`: 2048 bits (RFC 8268).
    DhGroup14Sha256,
}

impl KexAlgorithm {
    /// All of them in order of preference.
    pub const ALL: [Self; 9] = [
        Self::MlKem768X25519Sha256,
        Self::Curve25519Sha256,
        Self::Curve25519Sha256Libssh,
        Self::EcdhNistP256,
        Self::EcdhNistP384,
        Self::EcdhNistP521,
        Self::DhGroup16Sha512,
        Self::DhGroupExchangeSha256,
        Self::DhGroup14Sha256,
    ];

    /// What is offered unless told otherwise.
    pub const DEFAULT: [Self; 3] = [
        Self::MlKem768X25519Sha256,
        Self::Curve25519Sha256,
        Self::Curve25519Sha256Libssh,
    ];

    /// The curves of FIPS 186, whose origin is not explained, for peers that know no other.
    pub const NIST: [Self; 3] = [Self::EcdhNistP256, Self::EcdhNistP384, Self::EcdhNistP521];

    /// Finite fields, for old peers: one exchange costs more than ten on a curve.
    pub const LEGACY: [Self; 3] = [
        Self::DhGroup16Sha512,
        Self::DhGroupExchangeSha256,
        Self::DhGroup14Sha256,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MlKem768X25519Sha256 => "mlkem768x25519-sha256",
            Self::Curve25519Sha256 => "curve25519-sha256",
            Self::Curve25519Sha256Libssh => "curve25519-sha256@libssh.org",
            Self::EcdhNistP256 => "ecdh-sha2-nistp256",
            Self::EcdhNistP384 => "ecdh-sha2-nistp384",
            Self::EcdhNistP521 => "ecdh-sha2-nistp521",
            Self::DhGroup16Sha512 => "diffie-hellman-group16-sha512",
            Self::DhGroupExchangeSha256 => "diffie-hellman-group-exchange-sha256",
            Self::DhGroup14Sha256 => "diffie-hellman-group14-sha256",
        }
    }
}
