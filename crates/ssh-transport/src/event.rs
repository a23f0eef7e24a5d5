//! What the machines tell and ask.
//!
//! A question carries a token that is not `Clone` and is taken by value with the answer: each is answered once.

mod auth;

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::algorithms::{HostKeyAlgorithm, KexAlgorithm};
use crate::identification::Identification;

pub use auth::{
    AuthAttempt, AuthId, AuthMethod, AuthResponses, Challenge, Echo, KeyProof, Prompt, Response,
    SecurityKeyProof,
};

/// What one call of `handle_input` did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Progress {
    /// Bytes at the front of the input that are done with. 0: more bytes are needed, or an answer is.
    pub consumed: usize,
    /// Where in the input the payload of one connection-layer packet (message numbers 80 to 127) stands, decrypted.
    pub payload: Option<Range<usize>>,
}

/// The token of a [`SignRequest`].
#[derive(Debug, PartialEq, Eq)]
pub struct SignId(pub(crate) u64);

/// The token of a [`HostKeyQuestion`].
#[derive(Debug, PartialEq, Eq)]
pub struct HostKeyId(pub(crate) u64);

/// A question for a signature, answered by `signed`.
#[derive(Debug, PartialEq, Eq)]
pub struct SignRequest {
    /// The token for the answer.
    pub id: SignId,
    /// The algorithm that must stand in the signature blob. Never that of a certificate.
    pub algorithm: String,
    /// The blob of the public key, or of the certificate around it, whose private half must sign.
    pub public_key: Vec<u8>,
    /// What to sign.
    pub data: Vec<u8>,
}

/// Keys were exchanged: both directions use the new ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyExchange {
    /// The session identifier (RFC 4253 section 7.2): the exchange hash of the first exchange.
    pub session_id: Vec<u8>,
    /// Whether this was the first exchange of the connection.
    pub first: bool,
    /// Whether both sides do strict key exchange, which withstands prefix truncation ("Terrapin").
    pub strict: bool,
    /// The method's name.
    pub kex: &'static str,
    /// The method.
    pub kex_algorithm: KexAlgorithm,
    /// The host key's algorithm.
    pub host_key_algorithm: HostKeyAlgorithm,
    /// The cipher's name from the peer.
    pub cipher_in: &'static str,
    /// The cipher's name to the peer.
    pub cipher_out: &'static str,
    /// The MAC's name from the peer. `None`: the cipher authenticates by itself.
    pub mac_in: Option<&'static str>,
    /// The MAC's name to the peer.
    pub mac_out: Option<&'static str>,
}

/// What a [`crate::Server`] has to tell or ask.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The client's identification line came.
    PeerIdentified(Identification),
    /// A signature with a host key is needed. Input waits until [`crate::Server::signed`].
    SignExchangeHash(SignRequest),
    /// Keys were exchanged.
    KeyExchanged(KeyExchange),
    /// Somebody wants to log in. Input waits until [`crate::Server::accept`], [`crate::Server::accept_partially`],
    /// [`crate::Server::reject`] or [`crate::Server::prompt`].
    AuthAttempt(AuthAttempt),
    /// The person answered [`crate::Server::prompt`]. Input waits as after an [`Self::AuthAttempt`].
    AuthResponses(AuthResponses),
    /// The acceptance was sent; connection packets may flow.
    Authenticated,
    /// The client answered a ping, with its data.
    Pong(Vec<u8>),
    /// The client said something for whoever looks for faults (SSH_MSG_DEBUG). May be dropped.
    Debug {
        /// Whether it wants this shown to the person.
        always_display: bool,
        /// The text without control characters but line breaks and tabs, at most [`crate::MAX_DEBUG_TEXT_BYTES`].
        text: String,
    },
    /// The client said goodbye. The machine is closed.
    Disconnected {
        /// The code that the client gave (RFC 4253 section 11.1).
        reason: u32,
        /// Its text without control characters.
        text: String,
    },
}

/// What a [`crate::Client`] has to tell or ask.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server's identification line came.
    PeerIdentified(Identification),
    /// The server showed its host key and proved to have it. Input waits until [`crate::Client::accept_host_key`] or
    /// [`crate::Client::reject_host_key`].
    HostKey(HostKeyQuestion),
    /// Keys were exchanged. After the first time the machine waits for [`crate::Client::authenticate`].
    KeyExchanged(KeyExchange),
    /// A signature with the user's key is needed for [`crate::Client::signed`]. Input goes on.
    SignAuth(SignRequest),
    /// A text for the person, without control characters but line breaks and tabs.
    Banner(String),
    /// The server let us in; connection packets may flow.
    Authenticated,
    /// The server refused, or wants more. [`crate::Client::authenticate`] may be called again, with the same user.
    AuthFailed {
        /// The methods that it would go on with.
        remaining: Vec<String>,
        /// Whether the attempt succeeded and is one of several that are needed (RFC 4252 section 5.1).
        partial: bool,
    },
    /// The server takes no signature that the key of [`crate::ClientAuth::Key`] could make. Nothing was asked, and
    /// [`crate::Client::authenticate`] may be called again.
    NoSignatureAlgorithm,
    /// The server answered a ping, with its data.
    Pong(Vec<u8>),
    /// The server said something for whoever looks for faults (SSH_MSG_DEBUG). May be dropped.
    Debug {
        /// Whether it wants this shown to the person.
        always_display: bool,
        /// The text without control characters but line breaks and tabs, at most [`crate::MAX_DEBUG_TEXT_BYTES`].
        text: String,
    },
    /// The server said goodbye. The machine is closed.
    Disconnected {
        /// The code that the server gave (RFC 4253 section 11.1).
        reason: u32,
        /// Its text without control characters.
        text: String,
    },
}

/// Is this the server's key?
#[derive(Debug, PartialEq, Eq)]
pub struct HostKeyQuestion {
    /// The token for the answer.
    pub id: HostKeyId,
    /// The negotiated algorithm.
    pub algorithm: HostKeyAlgorithm,
    /// The blob of the key, or of the certificate for a certificate algorithm, which the caller then checks.
    pub public_key: Vec<u8>,
    /// Whether this is not the first exchange of the connection.
    pub rekey: bool,
    /// Whether the blob differs from that of the exchange before.
    pub changed: bool,
}

/// What both machines tell.
pub(crate) enum Common {
    PeerIdentified(Identification),
    KeyExchanged(KeyExchange),
    Pong(Vec<u8>),
    Debug { always_display: bool, text: String },
    Disconnected { reason: u32, text: String },
}

impl From<Common> for ServerEvent {
    fn from(event: Common) -> Self {
        match event {
            Common::PeerIdentified(ident) => Self::PeerIdentified(ident),
            Common::KeyExchanged(exchange) => Self::KeyExchanged(exchange),
            Common::Pong(data) => Self::Pong(data),
            Common::Debug {
                always_display,
                text,
            } => Self::Debug {
                always_display,
                text,
            },
            Common::Disconnected { reason, text } => Self::Disconnected { reason, text },
        }
    }
}

impl From<Common> for ClientEvent {
    fn from(event: Common) -> Self {
        match event {
            Common::PeerIdentified(ident) => Self::PeerIdentified(ident),
            Common::KeyExchanged(exchange) => Self::KeyExchanged(exchange),
            Common::Pong(data) => Self::Pong(data),
            Common::Debug {
                always_display,
                text,
            } => Self::Debug {
                always_display,
                text,
            },
            Common::Disconnected { reason, text } => Self::Disconnected { reason, text },
        }
    }
}
