//! Packet ciphers and what authenticates the packets of those that do not themselves.

/// Packet ciphers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CipherAlgorithm {
    /// `aes256-gcm@openssh.com` (RFC 5647 as OpenSSH does it).
    Aes256Gcm,
    /// `aes128-gcm@openssh.com`.
    Aes128Gcm,
    /// `chacha20-poly1305@openssh.com` (OpenSSH `PROTOCOL.chacha20poly1305`).
    ChaCha20Poly1305,
    /// `aes256-ctr` (RFC 4344).
    Aes256Ctr,
    /// `aes192-ctr` (RFC 4344).
    Aes192Ctr,
    /// `aes128-ctr` (RFC 4344).
    Aes128Ctr,
}

impl CipherAlgorithm {
    /// All of them in order of preference.
    pub const ALL: [Self; 6] = [
        Self::Aes256Gcm,
        Self::Aes128Gcm,
        Self::ChaCha20Poly1305,
        Self::Aes256Ctr,
        Self::Aes192Ctr,
        Self::Aes128Ctr,
    ];

    /// What is offered unless told otherwise: those that authenticate by themselves. AES-GCM costs less than half the CPU
    /// time of ChaCha20 where AES is in hardware.
    pub const DEFAULT: [Self; 3] = [Self::Aes256Gcm, Self::Aes128Gcm, Self::ChaCha20Poly1305];

    /// Those that need a [`MacAlgorithm`], for old peers. A server that offers them gets them from OpenSSH clients up to
    /// version 9, which prefer them to AES-GCM.
    pub const LEGACY: [Self; 3] = [Self::Aes256Ctr, Self::Aes192Ctr, Self::Aes128Ctr];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "aes256-gcm@openssh.com",
            Self::Aes128Gcm => "aes128-gcm@openssh.com",
            Self::ChaCha20Poly1305 => "chacha20-poly1305@openssh.com",
            Self::Aes256Ctr => "aes256-ctr",
            Self::Aes192Ctr => "aes192-ctr",
            Self::Aes128Ctr => "aes128-ctr",
        }
    }

    /// Whether packets are authenticated by the cipher itself, so that no MAC is negotiated.
    #[must_use]
    pub const fn is_authenticated(self) -> bool {
        matches!(
            self,
            Self::Aes256Gcm | Self::Aes128Gcm | Self::ChaCha20Poly1305
        )
    }
}

/// Message authentication codes for ciphers that do not authenticate (RFC 6668, OpenSSH `PROTOCOL` 1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MacAlgorithm {
    /// `hmac-sha2-256-etm@openssh.com`: over the encrypted packet.
    HmacSha256Etm,
    /// `hmac-sha2-512-etm@openssh.com`: over the encrypted packet.
    HmacSha512Etm,
    /// `hmac-sha2-256`: over the plain packet, whose length is therefore used before it is authentic.
    HmacSha256,
    /// `hmac-sha2-512`: as `hmac-sha2-256`.
    HmacSha512,
}

impl MacAlgorithm {
    /// All of them in order of preference.
    pub const ALL: [Self; 4] = [
        Self::HmacSha256Etm,
        Self::HmacSha512Etm,
        Self::HmacSha256,
        Self::HmacSha512,
    ];

    /// What is named unless told otherwise, and used only with [`CipherAlgorithm::LEGACY`].
    pub const DEFAULT: [Self; 2] = [Self::HmacSha256Etm, Self::HmacSha512Etm];

    /// Those over the plain packet, for old peers.
    pub const LEGACY: [Self; 2] = [Self::HmacSha256, Self::HmacSha512];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256Etm => "hmac-sha2-256-etm@openssh.com",
            Self::HmacSha512Etm => "hmac-sha2-512-etm@openssh.com",
            Self::HmacSha256 => "hmac-sha2-256",
            Self::HmacSha512 => "hmac-sha2-512",
        }
    }

    /// Whether the MAC is over the encrypted packet, with its length in clear.
    #[must_use]
    pub const fn is_encrypt_then_mac(self) -> bool {
        matches!(self, Self::HmacSha256Etm | Self::HmacSha512Etm)
    }
}

/// What protects the packets of one direction: a cipher, and a MAC unless the cipher authenticates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suite {
    pub(crate) cipher: CipherAlgorithm,
    pub(crate) mac: Option<MacAlgorithm>,
}
