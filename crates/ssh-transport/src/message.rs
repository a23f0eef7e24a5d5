//! Message numbers and the small messages of the transport layer.

mod ext_info;

use alloc::string::String;
use alloc::vec::Vec;

use crate::limits::{MAX_DEBUG_TEXT_BYTES, MAX_DISCONNECT_TEXT_BYTES};
use crate::text;
use crate::wire::{Malformed, Put as _, Reader};

pub(crate) use ext_info::{client_ext_info, parse_ext_info, server_ext_info};

/// Message numbers (RFC 4250 section 4.1.2, RFC 4419 section 5, RFC 8308, OpenSSH `PROTOCOL`).
pub(crate) mod number {
    pub(crate) const DISCONNECT: u8 = 1;
    pub(crate) const IGNORE: u8 = 2;
    pub(crate) const UNIMPLEMENTED: u8 = 3;
    pub(crate) const DEBUG: u8 = 4;
    pub(crate) const SERVICE_REQUEST: u8 = 5;
    pub(crate) const SERVICE_ACCEPT: u8 = 6;
    pub(crate) const EXT_INFO: u8 = 7;
    pub(crate) const KEXINIT: u8 = 20;
    pub(crate) const NEWKEYS: u8 = 21;
    pub(crate) const KEX_FIRST: u8 = 30;
    pub(crate) const KEX_ECDH_INIT: u8 = 30;
    pub(crate) const KEX_ECDH_REPLY: u8 = 31;
    pub(crate) const KEX_DH_GEX_GROUP: u8 = 31;
    pub(crate) const KEX_DH_GEX_INIT: u8 = 32;
    pub(crate) const KEX_DH_GEX_REPLY: u8 = 33;
    pub(crate) const KEX_DH_GEX_REQUEST: u8 = 34;
    pub(crate) const KEX_LAST: u8 = 49;
    pub(crate) const USERAUTH_REQUEST: u8 = 50;
    pub(crate) const USERAUTH_FAILURE: u8 = 51;
    pub(crate) const USERAUTH_SUCCESS: u8 = 52;
    pub(crate) const USERAUTH_BANNER: u8 = 53;
    pub(crate) const USERAUTH_PK_OK: u8 = 60;
    pub(crate) const USERAUTH_INFO_REQUEST: u8 = 60;
    pub(crate) const USERAUTH_INFO_RESPONSE: u8 = 61;
    pub(crate) const USERAUTH_LAST: u8 = 79;
    pub(crate) const CONNECTION_FIRST: u8 = 80;
    pub(crate) const GLOBAL_REQUEST: u8 = 80;
    pub(crate) const REQUEST_SUCCESS: u8 = 81;
    pub(crate) const CONNECTION_LAST: u8 = 127;
    pub(crate) const PING: u8 = 192;
    pub(crate) const PONG: u8 = 193;
}

/// The service of RFC 4252.
pub(crate) const USERAUTH_SERVICE: &str = "ssh-userauth";
/// The service of RFC 4254, the only one to log in to.
pub(crate) const CONNECTION_SERVICE: &str = "ssh-connection";

/// Why a connection ends (RFC 4253 section 11.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// `SSH_DISCONNECT_HOST_NOT_ALLOWED_TO_CONNECT`
    HostNotAllowedToConnect,
    /// `SSH_DISCONNECT_PROTOCOL_ERROR`
    ProtocolError,
    /// `SSH_DISCONNECT_KEY_EXCHANGE_FAILED`
    KeyExchangeFailed,
    /// `SSH_DISCONNECT_MAC_ERROR`
    MacError,
    /// `SSH_DISCONNECT_SERVICE_NOT_AVAILABLE`
    ServiceNotAvailable,
    /// `SSH_DISCONNECT_HOST_KEY_NOT_VERIFIABLE`
    HostKeyNotVerifiable,
    /// `SSH_DISCONNECT_CONNECTION_LOST`
    ConnectionLost,
    /// `SSH_DISCONNECT_BY_APPLICATION`
    ByApplication,
    /// `SSH_DISCONNECT_TOO_MANY_CONNECTIONS`
    TooManyConnections,
    /// `SSH_DISCONNECT_AUTH_CANCELLED_BY_USER`
    AuthCancelledByUser,
    /// `SSH_DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE`
    NoMoreAuthMethods,
    /// `SSH_DISCONNECT_ILLEGAL_USER_NAME`
    IllegalUserName,
}

impl DisconnectReason {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::HostNotAllowedToConnect => 1,
            Self::ProtocolError => 2,
            Self::KeyExchangeFailed => 3,
            Self::MacError => 5,
            Self::ServiceNotAvailable => 7,
            Self::HostKeyNotVerifiable => 9,
            Self::ConnectionLost => 10,
            Self::ByApplication => 11,
            Self::TooManyConnections => 12,
            Self::AuthCancelledByUser => 13,
            Self::NoMoreAuthMethods => 14,
            Self::IllegalUserName => 15,
        }
    }
}

pub(crate) fn disconnect(reason: DisconnectReason, text: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(text.len() + 16);
    message.put_byte(number::DISCONNECT);
    message.put_word(reason.code());
    let text = text::clean(text.as_bytes(), MAX_DISCONNECT_TEXT_BYTES);
    message.put_string(text.as_bytes());
    message.put_string(b"");
    message
}

/// Reason and clean text of a DISCONNECT. Some peers leave out the language tag, and there is no later message to
/// protect, so that nothing behind the text matters.
pub(crate) fn parse_disconnect(body: &[u8]) -> Result<(u32, String), Malformed> {
    let mut reader = Reader::new(body);
    Ok((
        reader.u32()?,
        text::clean(reader.string()?, MAX_DISCONNECT_TEXT_BYTES),
    ))
}

/// Text of a DEBUG (RFC 4253 section 11.3), and whether the peer wants it shown. A malformed one says nothing.
pub(crate) fn parse_debug(body: &[u8]) -> Option<(bool, String)> {
    let mut reader = Reader::new(body);
    let always_display = reader.boolean().ok()?;
    let text = text::clean(reader.string().ok()?, MAX_DEBUG_TEXT_BYTES);
    Some((always_display, text))
}

/// PING or PONG (OpenSSH `PROTOCOL` 1.9).
pub(crate) fn echo(number: u8, data: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(data.len() + 5);
    message.put_byte(number);
    message.put_string(data);
    message
}

pub(crate) fn parse_echo(body: &[u8]) -> Result<&[u8], Malformed> {
    let mut reader = Reader::new(body);
    let data = reader.string()?;
    reader.finish()?;
    Ok(data)
}

pub(crate) fn unimplemented(sequence: u32) -> [u8; 5] {
    let [a, b, c, d] = sequence.to_be_bytes();
    [number::UNIMPLEMENTED, a, b, c, d]
}

pub(crate) fn service(number: u8, name: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(name.len() + 5);
    message.put_byte(number);
    message.put_string(name.as_bytes());
    message
}
