//! EXT_INFO: what a side can do that no list of algorithms says (RFC 8308).

use alloc::vec::Vec;

use super::number;
use crate::wire::{Malformed, Put as _, Reader};

const SERVER_SIG_ALGS: &[u8] = b"server-sig-algs";
/// OpenSSH `PROTOCOL` 1.9: this side answers PING.
const PING: &[u8] = b"ping@openssh.com";
/// OpenSSH `PROTOCOL` 1.8: this server takes user keys that are bound to its host key.
const HOSTBOUND: &[u8] = b"publickey-hostbound@openssh.com";
/// OpenSSH `PROTOCOL` 1.10: this client takes another EXT_INFO once the server knows the user.
const IN_AUTH: &[u8] = b"ext-info-in-auth@openssh.com";

pub(crate) fn server_ext_info(server_sig_algs: &str) -> Vec<u8> {
    ext_info(&[
        (SERVER_SIG_ALGS, server_sig_algs.as_bytes()),
        (HOSTBOUND, b"0"),
        (PING, b"0"),
    ])
}

pub(crate) fn client_ext_info() -> Vec<u8> {
    ext_info(&[(IN_AUTH, b"0"), (PING, b"0")])
}

fn ext_info(extensions: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut message = Vec::from([number::EXT_INFO]);
    message.put_word(u32::try_from(extensions.len()).unwrap_or(u32::MAX));
    for (name, value) in extensions {
        message.put_string(name);
        message.put_string(value);
    }
    message
}

/// What an EXT_INFO says that this crate uses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ExtInfo<'a> {
    pub(crate) server_sig_algs: Option<&'a str>,
    pub(crate) takes_bound_keys: bool,
    pub(crate) answers_ping: bool,
}

pub(crate) fn parse_ext_info(body: &[u8]) -> Result<ExtInfo<'_>, Malformed> {
    let mut reader = Reader::new(body);
    let count = reader.u32()?;
    let mut info = ExtInfo::default();
    for _ in 0..count {
        // A lying count ends at the end of the message.
        match reader.string()? {
            SERVER_SIG_ALGS => info.server_sig_algs = Some(reader.name_list()?),
            HOSTBOUND => info.takes_bound_keys = reader.string()? == b"0",
            PING => info.answers_ping = reader.string()? == b"0",
            _ => {
                reader.string()?;
            }
        }
    }
    reader.finish()?;
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ext_info_is_read_and_every_truncation_refused() {
        let message = server_ext_info("ssh-ed25519,rsa-sha2-512");
        let info = parse_ext_info(&message[1..]).unwrap();
        assert_eq!(info.server_sig_algs, Some("ssh-ed25519,rsa-sha2-512"));
        assert!(info.answers_ping && info.takes_bound_keys);
        for len in 1..message.len() {
            assert_eq!(parse_ext_info(&message[1..len]), Err(Malformed));
        }
        assert_eq!(parse_ext_info(&[0xff; 4]), Err(Malformed));
        assert!(
            parse_ext_info(&client_ext_info()[1..])
                .unwrap()
                .answers_ping
        );
    }

    #[test]
    fn an_unknown_version_of_an_extension_is_not_spoken() {
        let message = ext_info(&[(PING, b"1"), (HOSTBOUND, b"1")]);
        let info = parse_ext_info(&message[1..]).unwrap();
        assert!(!info.answers_ping && !info.takes_bound_keys);
    }
}
