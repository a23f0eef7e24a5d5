//! What a peer offers, read from its KEXINIT (RFC 4253 section 7.1).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::common::tools::bound;
use super::common::wire::{Fields, clear_payloads};

pub(crate) struct Offers {
    pub(crate) kex: Vec<String>,
    pub(crate) host_keys: Vec<String>,
    pub(crate) ciphers: Vec<String>,
    pub(crate) macs: Vec<String>,
    /// Algorithms of user keys. Until the peer says more, those of host keys.
    pub(crate) logins: Vec<String>,
}

impl Offers {
    /// Says an identification and reads the peer's first packet.
    pub(crate) fn ask(mut stream: TcpStream) -> Self {
        bound(&stream);
        stream.write_all(b"SSH-2.0-asking\r\n").unwrap();
        let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
        let kexinit = loop {
            let read = stream.read(&mut chunk).unwrap();
            assert!(
                read > 0,
                "no KEXINIT in {}",
                String::from_utf8_lossy(&bytes)
            );
            bytes.extend_from_slice(&chunk[..read]);
            let Some(line) = bytes.iter().position(|b| *b == b'\n') else {
                continue;
            };
            if let Some(kexinit) = clear_payloads(&bytes[line + 1..]).into_iter().next() {
                break kexinit;
            }
        };
        let mut fields = Fields(&kexinit);
        assert_eq!(fields.byte(), 20);
        fields.take(16);
        let mut list = || {
            fields
                .text()
                .split(',')
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let (kex, host_keys, ciphers, _, macs) = (list(), list(), list(), list(), list());
        Self {
            logins: host_keys.clone(),
            kex,
            host_keys,
            ciphers,
            macs,
        }
    }

    pub(crate) fn drop_rsa(&mut self) {
        for list in [&mut self.host_keys, &mut self.logins] {
            list.retain(|name| !name.contains("rsa"));
        }
    }

    /// Those of `ours` that the peer has.
    pub(crate) fn common<T: Copy>(
        &self,
        theirs: &[String],
        ours: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Vec<T> {
        ours.iter()
            .copied()
            .filter(|a| theirs.iter().any(|their| their == name(*a)))
            .collect()
    }
}
