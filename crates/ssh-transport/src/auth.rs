//! What both roles know of user authentication (RFC 4252).

use alloc::vec::Vec;

use crate::message::{CONNECTION_SERVICE, number};
use crate::wire::Put as _;

/// A `publickey` request with its signature flag set, up to the signature (RFC 4252 section 7).
pub(crate) fn publickey_request(user: &str, algorithm: &str, public_key: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(user.len() + public_key.len() + 128);
    message.put_byte(number::USERAUTH_REQUEST);
    message.put_string(user.as_bytes());
    message.put_string(CONNECTION_SERVICE.as_bytes());
    message.put_string(b"publickey");
    message.put_byte(1);
    message.put_string(algorithm.as_bytes());
    message.put_string(public_key);
    message
}

/// What a `publickey` signature is over: the session and the request.
pub(crate) fn signed_data(session_id: &[u8], request: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(session_id.len() + request.len() + 4);
    data.put_string(session_id);
    data.extend_from_slice(request);
    data
}
