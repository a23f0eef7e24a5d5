//! What can go wrong, split by who is to blame.

use crate::hostkeys::MAX_HOST_KEYS;
use crate::limits::MAX_PUBLIC_KEY_BYTES;
use crate::limits::{
    MAX_OPEN_PINGS, MAX_PACKET_BYTES, MAX_PAYLOAD_BYTES, MAX_PING_BYTES, MAX_PROMPTS,
};
use crate::wire::Malformed;

/// Why a connection ended or a call was refused.
///
/// Except for [`Error::ApiMisuse`], which leaves the machine as it was, every error is fatal: the machine is closed, and a
/// DISCONNECT with a fitting reason waits in the output where the protocol allows one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol, or somebody in between tried to.
    #[error("the peer broke the protocol: {0}")]
    PeerMisbehaved(PeerMisbehaved),
    /// The peer offers nothing that this side would take.
    #[error("no common {what}")]
    PeerIncompatible {
        /// What both sides could not agree on.
        what: Negotiated,
    },
    /// A deadline passed.
    #[error("timed out: {0}")]
    TimedOut(Timer),
    /// The connection is closed already.
    #[error("the connection is closed")]
    Disconnected,
    /// The call does not fit the state of the machine, which is unchanged.
    #[error("{0}")]
    ApiMisuse(ApiMisuse),
    /// The cryptographic library failed where no input can make it fail.
    #[error("the cryptographic provider failed")]
    ProviderFailed,
}

impl From<PeerMisbehaved> for Error {
    fn from(what: PeerMisbehaved) -> Self {
        Self::PeerMisbehaved(what)
    }
}

impl From<ApiMisuse> for Error {
    fn from(what: ApiMisuse) -> Self {
        Self::ApiMisuse(what)
    }
}

/// How a peer broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// The identification line is missing, too long, or not of SSH 2 (RFC 4253 section 4.2).
    #[error("bad identification line")]
    BadIdentification,
    /// The packet length is above the limit or no multiple of the block size.
    #[error("bad packet length {got}, at most {MAX_PACKET_BYTES}")]
    BadPacketLength {
        /// The length that the packet claims, in bytes.
        got: u32,
    },
    /// The padding is shorter than 4 bytes or longer than its packet (RFC 4253 section 6).
    #[error("bad padding")]
    BadPadding,
    /// The packet has no payload, or more than the limit.
    #[error("bad payload length {got}, at most {MAX_PAYLOAD_BYTES}")]
    BadPayloadLength {
        /// The payload's length in bytes.
        got: usize,
    },
    /// The packet was altered, replayed, reordered, or sealed under another key.
    #[error("packet not authentic")]
    PacketNotAuthentic,
    /// A message does not have the form its number promises.
    #[error("malformed message")]
    MalformedMessage,
    /// A message arrived where its number may not occur.
    #[error("message {number} out of place")]
    UnexpectedMessage {
        /// The message number.
        number: u8,
    },
    /// A message other than those of the key exchange came before the first NEWKEYS, though both sides do strict key exchange.
    #[error("strict key exchange violated by message {number}")]
    StrictKeyExchangeViolated {
        /// The message number.
        number: u8,
    },
    /// The ephemeral public key is no valid one.
    #[error("unacceptable ephemeral key")]
    BadEphemeralKey,
    /// The group that a server chose is not of the sizes asked for, or none at all (RFC 4419 section 3).
    #[error("unacceptable group")]
    BadGroup,
    /// The host key is not of the negotiated kind, or cannot be read.
    #[error("host key does not fit the negotiated algorithm")]
    BadHostKey,
    /// The signature over the exchange hash does not verify.
    #[error("bad signature of the host key")]
    BadHostKeySignature,
    /// The client asked for a service other than `ssh-userauth` (RFC 4253 section 10).
    #[error("unknown service")]
    UnknownService,
    /// The client changed the user name between attempts.
    #[error("user name changed between authentication attempts")]
    UserNameChanged,
    /// The client tried too often to authenticate.
    #[error("too many authentication attempts")]
    TooManyAuthAttempts,
    /// The peer sent more packets before authentication than a login can need.
    #[error("too many packets before authentication")]
    TooManyPacketsBeforeAuth,
    /// The peer makes this side answer faster than it takes the answers.
    #[error("flood of messages that want an answer")]
    ReplyFlood,
    /// The peer begins key exchanges faster than it has use for new keys.
    #[error("too many key exchanges")]
    TooManyExchanges,
    /// The peer did not finish a key exchange that is long overdue.
    #[error("key exchange overdue")]
    RekeyOverdue,
}

/// What the two sides have to agree on (RFC 4253 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Negotiated {
    /// The key exchange method.
    #[error("key exchange method")]
    KeyExchange,
    /// The host key algorithm.
    #[error("host key algorithm")]
    HostKey,
    /// The cipher.
    #[error("cipher")]
    Cipher,
    /// The MAC, for a cipher that does not authenticate.
    #[error("MAC")]
    Mac,
    /// Not compressing.
    #[error("compression method, only none is supported")]
    Compression,
}

/// Which deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Timer {
    /// Authentication did not finish in time.
    #[error("login grace time exceeded")]
    LoginGrace,
    /// The peer began a key exchange and did not finish it in time.
    #[error("key exchange not finished in time")]
    KeyExchange,
}

/// How a call did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// Connection packets may be sent only after authentication.
    #[error("connection packet sent before authentication finished")]
    NotAuthenticated,
    /// Only message numbers 80 to 127 belong to the connection layer.
    #[error("not a connection-layer packet")]
    NotConnectionPacket,
    /// The payload is longer than [`MAX_PAYLOAD_BYTES`].
    #[error("payload of {got} bytes, at most {MAX_PAYLOAD_BYTES}")]
    PayloadTooLong {
        /// The payload's length in bytes.
        got: usize,
    },
    /// The peer did not say that it answers PING.
    #[error("the peer does not answer pings")]
    PingNotAnswered,
    /// [`MAX_OPEN_PINGS`] pings are without an answer.
    #[error("{MAX_OPEN_PINGS} pings are open already")]
    TooManyPings,
    /// The data of a ping is longer than [`MAX_PING_BYTES`].
    #[error("ping of {got} bytes, at most {MAX_PING_BYTES}")]
    PingTooLong {
        /// The length in bytes.
        got: usize,
    },
    /// The token belongs to no open question.
    #[error("no such question is open")]
    NoSuchQuestion,
    /// The signature blob is not of the algorithm that was asked for.
    #[error("signature blob does not fit the question")]
    SignatureMismatch,
    /// A server needs at least one host key, each with a key of its algorithm.
    #[error("host keys missing or not of their algorithm")]
    BadHostKeys,
    /// The server was started before.
    #[error("started twice")]
    AlreadyStarted,
    /// The attempt is of a method that this crate does not look into, so that nothing was proven.
    #[error("an attempt of an unknown method can only be rejected")]
    NothingToAccept,
    /// The attempt is not `keyboard-interactive`.
    #[error("only a keyboard-interactive attempt can be prompted")]
    NotKeyboardInteractive,
    /// More prompts than [`crate::MAX_PROMPTS`].
    #[error("{got} prompts, at most {MAX_PROMPTS}")]
    TooManyPrompts {
        /// The number of prompts.
        got: usize,
    },
    /// The first key exchange is not over, another attempt is open, or authentication has finished.
    #[error("cannot authenticate now")]
    CannotAuthenticateNow,
    /// What is to be shown as a public key is none.
    #[error("not a public key blob")]
    BadUserKey,
    /// The user name is longer than [`crate::MAX_USER_NAME_BYTES`].
    #[error("user name too long")]
    UserNameTooLong,
}

/// What is wrong with a message about host keys ([`crate::hostkeys`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostKeysError {
    /// The packet is another one.
    #[error("not a message about host keys")]
    AnotherMessage,
    /// It ends early, or goes on behind its end.
    #[error("malformed message about host keys")]
    Malformed,
    /// More keys than [`MAX_HOST_KEYS`].
    #[error("more than {MAX_HOST_KEYS} host keys")]
    TooMany,
    /// A key or signature is longer than [`MAX_PUBLIC_KEY_BYTES`].
    #[error("host key or signature of {got} bytes, at most {MAX_PUBLIC_KEY_BYTES}")]
    TooLong {
        /// Its length in bytes.
        got: usize,
    },
    /// A host key did not sign for this session.
    #[error("a host key was not proven")]
    NotProven,
}

impl From<Malformed> for HostKeysError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}
