//! What a peer may make this crate hold, count or wait for.

use core::time::Duration;

/// Largest value of the `packet_length` field in either direction, in bytes: what OpenSSH accepts and sends at most.
pub const MAX_PACKET_BYTES: usize = 256 * 1024;

/// Largest payload that is accepted or sent, in bytes: a packet less its padding length field and the most padding that
/// this crate adds, so that whatever came in through one connection can go out through another.
pub const MAX_PAYLOAD_BYTES: usize = MAX_PACKET_BYTES - 32;

/// What the caller's receive buffer must be able to hold, in bytes: one packet with its length field and tag.
pub const RECEIVE_BUFFER_BYTES: usize = MAX_PACKET_BYTES + 4 + 64;

/// Longest identification line, in bytes, with its CR LF (RFC 4253 section 4.2).
pub const MAX_IDENTIFICATION_BYTES: usize = 255;

/// Lines that a server may send before its identification (RFC 4253 section 4.2), as legal notices do.
pub const MAX_LINES_BEFORE_IDENTIFICATION: usize = 16;

/// Longest of those lines, in bytes.
pub const MAX_LINE_BEFORE_IDENTIFICATION_BYTES: usize = 1024;

/// Longest name-list, in bytes: the longest seen in the wild are below 2 KiB.
pub const MAX_NAME_LIST_BYTES: usize = 16 * 1024;

/// Longest user name, in bytes. Longer ones fail to authenticate.
pub const MAX_USER_NAME_BYTES: usize = 255;

/// Longest name of an authentication method or public key algorithm, in bytes (RFC 4251 section 6).
pub const MAX_NAME_BYTES: usize = 64;

/// Longest text taken from a DISCONNECT, in bytes after cleaning.
pub const MAX_DISCONNECT_TEXT_BYTES: usize = 1024;

/// Longest text taken from a DEBUG, in bytes after cleaning.
pub const MAX_DEBUG_TEXT_BYTES: usize = 1024;

/// Longest data of a PING that is sent and of a PONG that is taken, in bytes: enough to tell them apart.
pub const MAX_PING_BYTES: usize = 255;

/// Pings that may be without an answer at a time. Who waits for more has a dead connection.
pub const MAX_OPEN_PINGS: usize = 16;

/// Longest text taken from a banner, in bytes after cleaning.
pub const MAX_BANNER_BYTES: usize = 8 * 1024;

/// Banners handed over for one login. Further ones are dropped.
pub const MAX_BANNERS: usize = 8;

/// Prompts of one [`crate::Challenge`]: more than a person would answer.
pub const MAX_PROMPTS: usize = 16;

/// Longest text of a [`crate::Challenge`] or one of its prompts, in bytes after cleaning.
pub const MAX_PROMPT_BYTES: usize = 4 * 1024;

/// Longest answer to a prompt, in bytes. A longer one fails to authenticate: PAM takes 512.
pub const MAX_RESPONSE_BYTES: usize = 1024;

/// Longest public key or certificate that a peer may show, in bytes, and longest proof of a host key: an RSA key of
/// 8192 bits takes 1 KiB, and a hundred principals of a certificate a few.
pub const MAX_PUBLIC_KEY_BYTES: usize = 16 * 1024;

/// Longest EXT_INFO payload, in bytes (RFC 8308): the longest seen are below 1 KiB.
pub const MAX_EXT_INFO_BYTES: usize = 32 * 1024;

/// EXT_INFO messages from one peer: after its first NEWKEYS and before its USERAUTH_SUCCESS (RFC 8308 section 2.4),
/// and one that OpenSSH clients may send within authentication.
pub const MAX_EXT_INFOS: usize = 3;

/// Key exchanges before authentication has finished: each costs a signature, and a login is over long before a second.
pub const MAX_EXCHANGES_BEFORE_AUTH: u64 = 2;

/// Answers to PING and to unknown messages that may wait unsent, in bytes, before the peer is taken for a flood.
pub const MAX_WAITING_REPLY_BYTES: usize = 512 * 1024;

/// Output buffer that is kept for reuse, in bytes: twice a full receive buffer, since buffers grow by doubling. A larger one,
/// as a burst leaves it, goes back once it was written; this one after a few small packets.
pub(crate) const KEPT_OUTPUT_BYTES: usize = 1024 * 1024;

/// Packets under one key in one direction after which the connection ends, when a peer withholds its part of a key
/// exchange: the sequence number, which is the ChaCha20 nonce, must never come round (2^32).
pub const MAX_PACKETS_PER_KEY: u64 = 1 << 31;

/// Key exchanges that a peer may begin in a row after its login, [`Limits::peer_exchanges`].
pub const MAX_PEER_EXCHANGES: u32 = 32;

/// Time after which it may begin one more: over a day, that is less than a minute of a processor.
pub const PEER_EXCHANGE_EVERY: Duration = Duration::from_secs(1);

/// Payload either way after which it may begin one more, 16 KiB: a peer that wants new keys after every KiB sends as much at a time
/// when it has much to send, and whoever only wants to keep a processor busy has that much to send for each signature.
pub const PEER_EXCHANGE_BYTES: u64 = 16 * 1024;

/// Limits that a deployment may want to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Authentication requests of any kind that one client may send, key queries and answers to prompts counted.
    ///
    /// 20: an agent full of keys queries each of them before a password is typed.
    pub max_auth_attempts: u32,
    /// Packets that may arrive before authentication has finished.
    ///
    /// 512: a login takes fewer than 50, so that a flood of IGNORE ends early.
    pub max_packets_before_auth: u32,
    /// Key exchanges that the peer may begin in a row once it has logged in. Further ones become possible one by one, each after
    /// [`PEER_EXCHANGE_EVERY`] or after [`PEER_EXCHANGE_BYTES`].
    ///
    /// [`MAX_PEER_EXCHANGES`], 32: OpenSSH with `RekeyLimit 1K` begins a few while it logs in.
    pub peer_exchanges: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_auth_attempts: 20,
            max_packets_before_auth: 512,
            peer_exchanges: MAX_PEER_EXCHANGES,
        }
    }
}

/// When a new key exchange is due. Whichever is reached first, in either direction, counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RekeyPolicy {
    /// Payload bytes under one key. 1 GiB, as RFC 4253 section 9 recommends.
    pub max_bytes: u64,
    /// Packets under one key. 2^28: far from the 2^32 sequence numbers.
    pub max_packets: u64,
    /// Age of the keys. 1 hour, as RFC 4253 section 9 recommends.
    pub max_age: Duration,
}

impl Default for RekeyPolicy {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 30,
            max_packets: 1 << 28,
            max_age: Duration::from_secs(3600),
        }
    }
}
