//! A server's other host keys: `hostkeys-00@openssh.com` and `hostkeys-prove-00@openssh.com` (OpenSSH `PROTOCOL` 2.5).
//!
//! Both are global requests of the connection layer, which this crate carries and does not read. These functions read and
//! write their payloads, for whoever rotates host keys or lets a client learn new ones:
//!
//! ```text
//!   server                                    client
//!   announcement(keys)  ------------------->  parse_announcement
//!   parse_prove_request  <------------------  prove_request(those that are new)
//!   sign prove_data(session id, key) of each
//!   proofs(signatures)  ------------------->  verify_proofs: from here on the keys may be trusted
//! ```
//!
//! **Invariant:** a key that was announced is a claim. It is the server's only after [`verify_proofs`] for the session in
//! which the host key was accepted.

use alloc::vec::Vec;

use crate::algorithms::HostKeyAlgorithm;
use crate::crypto::verify::VerifyingKey;
use crate::error::HostKeysError;
use crate::limits::MAX_PUBLIC_KEY_BYTES;
use crate::message::number;
use crate::wire::{Put as _, Reader};

/// Host keys in one message. A server has one of each kind, and two while it rotates them.
pub const MAX_HOST_KEYS: usize = 64;

const ANNOUNCEMENT: &[u8] = b"hostkeys-00@openssh.com";
const PROVE: &[u8] = b"hostkeys-prove-00@openssh.com";

/// Whether the server wants an answer to a global request (RFC 4254 section 4).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reply {
    None,
    Wanted,
}

/// The packet by which a server tells its host keys, as public key blobs.
#[must_use]
pub fn announcement(host_keys: &[&[u8]]) -> Vec<u8> {
    request(ANNOUNCEMENT, Reply::None, host_keys)
}

/// The host keys of [`announcement`], in order. Those of a type that [`verify_proofs`] does not know are among them.
///
/// # Errors
/// [`HostKeysError`]; [`HostKeysError::AnotherMessage`] when the packet is not of this kind.
pub fn parse_announcement(payload: &[u8]) -> Result<Vec<&[u8]>, HostKeysError> {
    parse_request(payload, ANNOUNCEMENT)
}

/// The packet by which a client wants these host keys proven. The answer is a `SSH_MSG_REQUEST_SUCCESS` with the proofs.
#[must_use]
pub fn prove_request(host_keys: &[&[u8]]) -> Vec<u8> {
    request(PROVE, Reply::Wanted, host_keys)
}

/// The host keys of [`prove_request`], in order. A server proves its own keys only and otherwise refuses all.
///
/// # Errors
/// As [`parse_announcement`].
pub fn parse_prove_request(payload: &[u8]) -> Result<Vec<&[u8]>, HostKeysError> {
    parse_request(payload, PROVE)
}

/// What the private half of `host_key` signs in the session `session_id`.
#[must_use]
pub fn prove_data(session_id: &[u8], host_key: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(PROVE.len() + session_id.len() + host_key.len() + 12);
    data.put_string(PROVE);
    data.put_string(session_id);
    data.put_string(host_key);
    data
}

/// How to sign [`prove_data`] with `host_key`: RSA as `negotiated` for the key exchange, if that was RSA.
#[must_use]
pub fn proof_algorithm(host_key: &[u8], negotiated: HostKeyAlgorithm) -> Option<HostKeyAlgorithm> {
    let blob_type = Reader::new(host_key).name().ok()?;
    let fits = |algorithm: &HostKeyAlgorithm| algorithm.blob_type() == blob_type;
    HostKeyAlgorithm::KEYS
        .into_iter()
        .find(|a| fits(a) && a.signature_name() == negotiated.signature_name())
        .or_else(|| HostKeyAlgorithm::KEYS.into_iter().find(fits))
}

/// The answer to [`prove_request`]: signature blobs in the order of the keys.
#[must_use]
pub fn proofs(signature_blobs: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::from([number::REQUEST_SUCCESS]);
    for signature in signature_blobs {
        message.put_string(signature);
    }
    message
}

/// Checks the answer to `prove_request(host_keys)`: every key of it signed for this session.
///
/// # Errors
/// [`HostKeysError::NotProven`] if any signature is missing, wrong, by SHA-1 or of an unknown kind: then none of the keys
/// is to be trusted. [`HostKeysError::AnotherMessage`], [`HostKeysError::Malformed`], [`HostKeysError::TooLong`].
pub fn verify_proofs(
    payload: &[u8],
    session_id: &[u8],
    host_keys: &[&[u8]],
) -> Result<(), HostKeysError> {
    if proven(payload, session_id, host_keys)?.contains(&false) {
        return Err(HostKeysError::NotProven);
    }
    Ok(())
}

/// As [`verify_proofs`], key by key: whether each of `host_keys` is proven. For who may go without those that are not, such as
/// one of a size that is not accepted.
///
/// # Errors
/// [`HostKeysError::AnotherMessage`], [`HostKeysError::Malformed`], [`HostKeysError::TooLong`].
pub fn proven(
    payload: &[u8],
    session_id: &[u8],
    host_keys: &[&[u8]],
) -> Result<Vec<bool>, HostKeysError> {
    let mut reader = Reader::new(payload);
    if reader.u8()? != number::REQUEST_SUCCESS {
        return Err(HostKeysError::AnotherMessage);
    }
    let mut verdicts = Vec::with_capacity(host_keys.len());
    for host_key in host_keys {
        let signature = bounded(reader.string()?)?;
        verdicts.push(verify_proof(session_id, host_key, signature).is_some());
    }
    reader.finish()?;
    Ok(verdicts)
}

fn verify_proof(session_id: &[u8], host_key: &[u8], signature: &[u8]) -> Option<()> {
    let blob_type = Reader::new(host_key).name().ok()?;
    let signature_name = Reader::new(signature).name().ok()?;
    let algorithm = HostKeyAlgorithm::KEYS
        .into_iter()
        .find(|a| a.blob_type() == blob_type && a.signature_name() == signature_name)?;
    let key = VerifyingKey::parse(algorithm, host_key).ok()?;
    let verified = key.verify(&prove_data(session_id, host_key), signature);
    verified.is_ok().then_some(())
}

fn request(name: &[u8], reply: Reply, host_keys: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::from([number::GLOBAL_REQUEST]);
    message.put_string(name);
    message.put_byte(u8::from(reply == Reply::Wanted));
    for key in host_keys {
        message.put_string(key);
    }
    message
}

fn parse_request<'a>(payload: &'a [u8], name: &[u8]) -> Result<Vec<&'a [u8]>, HostKeysError> {
    let mut reader = Reader::new(payload);
    if reader.u8()? != number::GLOBAL_REQUEST || reader.string()? != name {
        return Err(HostKeysError::AnotherMessage);
    }
    let _wants_reply = reader.boolean()?;
    let mut host_keys = Vec::new();
    while !reader.is_empty() {
        if host_keys.len() == MAX_HOST_KEYS {
            return Err(HostKeysError::TooMany);
        }
        host_keys.push(bounded(reader.string()?)?);
    }
    Ok(host_keys)
}

fn bounded(field: &[u8]) -> Result<&[u8], HostKeysError> {
    if field.len() > MAX_PUBLIC_KEY_BYTES {
        return Err(HostKeysError::TooLong { got: field.len() });
    }
    Ok(field)
}

#[cfg(test)]
mod tests;
