//! What both roles know of user authentication (RFC 4252).

use alloc::vec::Vec;

use crate::algorithms::HostKeyAlgorithm;
use crate::error::ApiMisuse;
use crate::limits::MAX_NAME_BYTES;
use crate::message::{CONNECTION_SERVICE, number};
use crate::wire::{Put as _, Reader};

/// RFC 4252 section 7.
pub(crate) const PUBLICKEY_METHOD: &str = "publickey";
/// The same with the server's host key in what is signed (OpenSSH `PROTOCOL` 1.8).
pub(crate) const HOSTBOUND_METHOD: &str = "publickey-hostbound-v00@openssh.com";

/// A request by a public key with its signature flag set, up to the signature (RFC 4252 section 7). With a host key it is
/// bound to that.
pub(crate) fn publickey_request(
    user: &str,
    algorithm: &str,
    public_key: &[u8],
    host_key: Option<&[u8]>,
) -> Vec<u8> {
    let method = match host_key {
        Some(_) => HOSTBOUND_METHOD,
        None => PUBLICKEY_METHOD,
    };
    let mut message = Vec::with_capacity(user.len() + public_key.len() + 256);
    message.put_byte(number::USERAUTH_REQUEST);
    message.put_string(user.as_bytes());
    message.put_string(CONNECTION_SERVICE.as_bytes());
    message.put_string(method.as_bytes());
    message.put_byte(1);
    message.put_string(algorithm.as_bytes());
    message.put_string(public_key);
    if let Some(host_key) = host_key {
        message.put_string(host_key);
    }
    message
}

/// What a `publickey` signature is over: the session and the request.
pub(crate) fn signed_data(session_id: &[u8], request: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(session_id.len() + request.len() + 4);
    data.put_string(session_id);
    data.extend_from_slice(request);
    data
}

/// What a public key blob says of the signatures that its key makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserKeyType<'a> {
    /// One algorithm, of the same name as the type.
    Named(&'a str),
    /// RSA, which signs with either hash (RFC 8332).
    Rsa,
    RsaCertificate,
}

impl<'a> UserKeyType<'a> {
    pub(crate) fn read(public_key: &'a [u8]) -> Result<Self, ApiMisuse> {
        match Reader::new(public_key).name() {
            Ok("ssh-rsa") => Ok(Self::Rsa),
            Ok("ssh-rsa-cert-v01@openssh.com") => Ok(Self::RsaCertificate),
            Ok(name) if (1..=MAX_NAME_BYTES).contains(&name.len()) => Ok(Self::Named(name)),
            _ => Err(ApiMisuse::BadUserKey),
        }
    }

    /// The algorithm to sign with for a server that takes `server_sig_algs`. A server that is silent about them is taken
    /// to know RFC 8332.
    pub(crate) fn algorithm(self, server_sig_algs: Option<&str>) -> Option<&'a str> {
        let choices = match self {
            Self::Named(name) => return Some(name),
            Self::Rsa => [HostKeyAlgorithm::RsaSha512, HostKeyAlgorithm::RsaSha256],
            Self::RsaCertificate => [
                HostKeyAlgorithm::RsaSha512Cert,
                HostKeyAlgorithm::RsaSha256Cert,
            ],
        };
        let is_taken = |choice: &HostKeyAlgorithm| {
            server_sig_algs.is_none_or(|taken| {
                taken
                    .split(',')
                    .any(|name| name == choice.signature_name() || name == choice.name())
            })
        };
        choices
            .into_iter()
            .find(is_taken)
            .map(HostKeyAlgorithm::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rsa_key_signs_with_the_best_hash_that_the_server_takes_and_never_with_sha_1() {
        let mut blob = Vec::new();
        blob.put_string(b"ssh-rsa");
        let mut certificate = Vec::new();
        certificate.put_string(b"ssh-rsa-cert-v01@openssh.com");
        let cases = [
            (None, Some("rsa-sha2-512")),
            (
                Some("ssh-rsa,rsa-sha2-256,rsa-sha2-512"),
                Some("rsa-sha2-512"),
            ),
            (Some("ssh-ed25519,rsa-sha2-256"), Some("rsa-sha2-256")),
            (Some("ssh-rsa,ssh-ed25519"), None),
            (Some(""), None),
        ];
        for (taken, expected) in cases {
            let key_type = UserKeyType::read(&blob).unwrap();
            assert_eq!(key_type.algorithm(taken), expected);
            let key_type = UserKeyType::read(&certificate).unwrap();
            let expected = expected.map(|name| alloc::format!("{name}-cert-v01@openssh.com"));
            assert_eq!(key_type.algorithm(taken), expected.as_deref());
        }
    }

    #[test]
    fn any_other_key_signs_with_the_algorithm_of_its_type() {
        let mut blob = Vec::new();
        blob.put_string(b"sk-ssh-ed25519@openssh.com");
        let key_type = UserKeyType::read(&blob).unwrap();
        assert_eq!(
            key_type.algorithm(Some("ssh-ed25519")),
            Some("sk-ssh-ed25519@openssh.com")
        );
        for bad in [&b""[..], &[0, 0, 0, 0], &[0, 0, 0, 2, b'x'], &[0xff; 4]] {
            assert_eq!(UserKeyType::read(bad), Err(ApiMisuse::BadUserKey));
        }
    }
}
