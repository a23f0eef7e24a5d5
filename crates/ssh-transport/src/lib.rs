#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod algorithms;
mod auth;
mod client;
mod config;
mod connection;
mod crypto;
mod error;
mod event;
pub mod hostkeys;
mod identification;
mod limits;
mod message;
mod negotiation;
mod packet;
mod server;
mod signing;
#[cfg(test)]
mod tests;
mod text;
mod wire;

pub use algorithms::{Algorithms, CipherAlgorithm, HostKeyAlgorithm, KexAlgorithm, MacAlgorithm};
pub use client::{Client, ClientAuth};
pub use config::{
    ClientConfig, HostKey, REKEY_GRACE, Requirement, SecurityKeyPolicy, ServerConfig,
};
pub use crypto::Provider;
pub use error::{ApiMisuse, Error, HostKeysError, Negotiated, PeerMisbehaved, Timer};
pub use event::{
    AuthAttempt, AuthId, AuthMethod, AuthResponses, Challenge, ClientEvent, Echo, HostKeyId,
    HostKeyQuestion, KeyExchange, KeyProof, Progress, Prompt, Response, SecurityKeyProof,
    ServerEvent, SignId, SignRequest,
};
pub use identification::Identification;
pub use limits::{
    Limits, MAX_BANNER_BYTES, MAX_BANNERS, MAX_DEBUG_TEXT_BYTES, MAX_DISCONNECT_TEXT_BYTES,
    MAX_EXCHANGES_BEFORE_AUTH, MAX_EXT_INFO_BYTES, MAX_EXT_INFOS, MAX_IDENTIFICATION_BYTES,
    MAX_LINE_BEFORE_IDENTIFICATION_BYTES, MAX_LINES_BEFORE_IDENTIFICATION, MAX_NAME_BYTES,
    MAX_NAME_LIST_BYTES, MAX_OPEN_PINGS, MAX_PACKET_BYTES, MAX_PACKETS_PER_KEY, MAX_PAYLOAD_BYTES,
    MAX_PEER_EXCHANGES, MAX_PING_BYTES, MAX_PROMPT_BYTES, MAX_PROMPTS, MAX_PUBLIC_KEY_BYTES,
    MAX_RESPONSE_BYTES, MAX_USER_NAME_BYTES, MAX_WAITING_REPLY_BYTES, PEER_EXCHANGE_BYTES,
    PEER_EXCHANGE_EVERY, RECEIVE_BUFFER_BYTES, RekeyPolicy,
};
pub use message::DisconnectReason;
pub use server::Server;
pub use signing::Ed25519Key;
pub use text::{clean as clean_text, is_harmless, is_printable};
