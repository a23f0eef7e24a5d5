//! KEXINIT and what two of them agree on (RFC 4253 section 7.1).

use alloc::string::String;
use alloc::vec::Vec;

use crate::algorithms::{
    Algorithms, CipherAlgorithm, HostKeyAlgorithm, KexAlgorithm, MacAlgorithm, Suite,
};
use crate::connection::Role;
use crate::crypto::{Primitives, Provider};
use crate::error::{Error, Negotiated};
use crate::message::number;
use crate::wire::{Malformed, Put as _, Reader};

/// Marks in the list of key exchange methods: strict key exchange (OpenSSH `PROTOCOL` 1.10) and EXT_INFO (RFC 8308
/// section 2.1). They are no methods, and cannot be chosen as one since [`KexAlgorithm`] does not know them.
const STRICT_CLIENT: &str = "kex-strict-c-v00@openssh.com";
const STRICT_SERVER: &str = "kex-strict-s-v00@openssh.com";
const EXT_INFO_CLIENT: &str = "ext-info-c";
const EXT_INFO_SERVER: &str = "ext-info-s";

/// Random bytes at the front of a KEXINIT.
const COOKIE_BYTES: usize = 16;

const COMPRESSION: &str = "none";

/// What this side offers, in order of preference.
pub(crate) struct Offer {
    kex: Vec<KexAlgorithm>,
    host_keys: Vec<HostKeyAlgorithm>,
    user_keys: Vec<HostKeyAlgorithm>,
    ciphers: Vec<CipherAlgorithm>,
    macs: Vec<MacAlgorithm>,
}

impl Offer {
    pub(crate) fn new(algorithms: &Algorithms, provider: Provider) -> Self {
        let supported = |kex: &KexAlgorithm| provider.supports(*kex);
        Self {
            kex: algorithms.kex.iter().copied().filter(supported).collect(),
            host_keys: algorithms.host_keys.clone(),
            user_keys: algorithms.user_keys.clone(),
            ciphers: algorithms.ciphers.clone(),
            macs: algorithms.macs.clone(),
        }
    }

    pub(crate) fn set_host_keys(&mut self, algorithms: Vec<HostKeyAlgorithm>) {
        self.host_keys = algorithms;
    }

    /// Names of the signatures that a user may make, for `server-sig-algs` (RFC 8308 section 3.1).
    pub(crate) fn server_sig_algs(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for algorithm in &self.user_keys {
            if !names.contains(&algorithm.signature_name()) {
                names.push(algorithm.signature_name());
            }
        }
        names.join(",")
    }

    /// The KEXINIT payload. The marks stand in the first one only, as OpenSSH has it.
    pub(crate) fn kexinit(
        &self,
        role: Role,
        is_first: bool,
        primitives: &mut dyn Primitives,
    ) -> Result<Vec<u8>, Error> {
        let mut kex: Vec<&str> = self.kex.iter().map(|a| a.name()).collect();
        if is_first {
            match role {
                Role::Client => kex.extend([EXT_INFO_CLIENT, STRICT_CLIENT]),
                Role::Server => kex.extend([EXT_INFO_SERVER, STRICT_SERVER]),
            }
        }
        let mut cookie = [0; COOKIE_BYTES];
        primitives.fill(&mut cookie)?;
        let kex = kex.join(",");
        let host_keys = join(&self.host_keys, HostKeyAlgorithm::name);
        let ciphers = join(&self.ciphers, CipherAlgorithm::name);
        let macs = join(&self.macs, MacAlgorithm::name);
        let lists: [&str; 10] = [
            &kex,
            &host_keys,
            &ciphers,
            &ciphers,
            &macs,
            &macs,
            COMPRESSION,
            COMPRESSION,
            "",
            "",
        ];
        let mut message = Vec::with_capacity(1024);
        message.put_byte(number::KEXINIT);
        message.extend_from_slice(&cookie);
        for list in lists {
            message.put_string(list.as_bytes());
        }
        // No guessed packet follows; reserved.
        message.put_byte(0);
        message.put_word(0);
        Ok(message)
    }

    /// A cipher of this list, and a MAC of that list if the cipher needs one.
    fn agree_on_suite(&self, role: Role, ciphers: &str, macs: &str) -> Result<Suite, Error> {
        let cipher = choose(role, &self.ciphers, CipherAlgorithm::name, ciphers);
        let cipher = cipher.ok_or(no_common(Negotiated::Cipher))?;
        let mac = if cipher.is_authenticated() {
            None
        } else {
            let mac = choose(role, &self.macs, MacAlgorithm::name, macs);
            Some(mac.ok_or(no_common(Negotiated::Mac))?)
        };
        Ok(Suite { cipher, mac })
    }

    pub(crate) fn agree(&self, role: Role, peer: &KexInit<'_>) -> Result<Agreed, Error> {
        let kex = choose(role, &self.kex, KexAlgorithm::name, peer.kex);
        let host_key = choose(
            role,
            &self.host_keys,
            HostKeyAlgorithm::name,
            peer.host_keys,
        );
        let kex = kex.ok_or(no_common(Negotiated::KeyExchange))?;
        let host_key = host_key.ok_or(no_common(Negotiated::HostKey))?;
        let client_to_server = self.agree_on_suite(
            role,
            peer.ciphers_client_to_server,
            peer.macs_client_to_server,
        )?;
        let server_to_client = self.agree_on_suite(
            role,
            peer.ciphers_server_to_client,
            peer.macs_server_to_client,
        )?;
        for list in [
            peer.compression_client_to_server,
            peer.compression_server_to_client,
        ] {
            if !names(list).any(|name| name == COMPRESSION) {
                return Err(no_common(Negotiated::Compression));
            }
        }
        // RFC 4253 section 7: a guess is right when both sides like the same method and host key algorithm best.
        let guess_is_right = names(peer.kex).next() == self.kex.first().map(|a| a.name())
            && names(peer.host_keys).next() == self.host_keys.first().map(|a| a.name());
        Ok(Agreed {
            kex,
            host_key,
            client_to_server,
            server_to_client,
            drop_guess: peer.first_kex_packet_follows && !guess_is_right,
        })
    }
}

const fn no_common(what: Negotiated) -> Error {
    Error::PeerIncompatible { what }
}

fn join<T: Copy>(algorithms: &[T], name: impl Fn(T) -> &'static str) -> String {
    let names: Vec<&str> = algorithms.iter().map(|a| name(*a)).collect();
    names.join(",")
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|name| !name.is_empty())
}

/// The first of the client's list that is in the server's.
fn choose<T: Copy>(
    role: Role,
    ours: &[T],
    name: impl Fn(T) -> &'static str,
    theirs: &str,
) -> Option<T> {
    let ours_by_name = |wanted: &str| ours.iter().copied().find(|a| name(*a) == wanted);
    match role {
        Role::Server => names(theirs).find_map(ours_by_name),
        Role::Client => ours
            .iter()
            .copied()
            .find(|a| names(theirs).any(|n| n == name(*a))),
    }
}

/// What both sides agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) kex: KexAlgorithm,
    pub(crate) host_key: HostKeyAlgorithm,
    pub(crate) client_to_server: Suite,
    pub(crate) server_to_client: Suite,
    /// The peer's next key exchange packet was a wrong guess.
    pub(crate) drop_guess: bool,
}

/// A peer's KEXINIT, read in place.
#[derive(Debug)]
pub(crate) struct KexInit<'a> {
    kex: &'a str,
    host_keys: &'a str,
    ciphers_client_to_server: &'a str,
    ciphers_server_to_client: &'a str,
    macs_client_to_server: &'a str,
    macs_server_to_client: &'a str,
    compression_client_to_server: &'a str,
    compression_server_to_client: &'a str,
    first_kex_packet_follows: bool,
}

impl<'a> KexInit<'a> {
    /// Reads what follows the message number.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let _cookie = reader.take(COOKIE_BYTES)?;
        let kex = reader.name_list()?;
        let host_keys = reader.name_list()?;
        let ciphers_client_to_server = reader.name_list()?;
        let ciphers_server_to_client = reader.name_list()?;
        let macs_client_to_server = reader.name_list()?;
        let macs_server_to_client = reader.name_list()?;
        let compression_client_to_server = reader.name_list()?;
        let compression_server_to_client = reader.name_list()?;
        let _languages = (reader.name_list()?, reader.name_list()?);
        let first_kex_packet_follows = reader.boolean()?;
        let _reserved = reader.u32()?;
        reader.finish()?;
        Ok(Self {
            kex,
            host_keys,
            ciphers_client_to_server,
            ciphers_server_to_client,
            macs_client_to_server,
            macs_server_to_client,
            compression_client_to_server,
            compression_server_to_client,
            first_kex_packet_follows,
        })
    }

    /// Whether the peer, which is the other of `own_role`, does strict key exchange.
    pub(crate) fn is_strict(&self, own_role: Role) -> bool {
        let mark = match own_role {
            Role::Server => STRICT_CLIENT,
            Role::Client => STRICT_SERVER,
        };
        names(self.kex).any(|name| name == mark)
    }

    /// Whether the peer of `role` takes EXT_INFO.
    pub(crate) fn wants_ext_info(&self, role: Role) -> bool {
        let mark = match role {
            Role::Client => EXT_INFO_SERVER,
            Role::Server => EXT_INFO_CLIENT,
        };
        names(self.kex).any(|name| name == mark)
    }
}
