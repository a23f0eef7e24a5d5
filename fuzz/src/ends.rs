//! Peers that do what they should: a person's client and a target's server, each with its inbox.

use std::sync::Arc;
use std::time::Duration;

use ssh_transport::{
    Algorithms, AuthMethod, CipherAlgorithm, Client, ClientAuth, ClientConfig, ClientEvent,
    Ed25519Key, Error, HostKey, HostKeyAlgorithm, KexAlgorithm, KeyProof, Server, ServerConfig,
    ServerEvent,
};

/// The cheap key exchange: its arithmetic is not what is fuzzed.
pub(crate) const KEX: KexAlgorithm = KexAlgorithm::Curve25519Sha256;

pub(crate) fn host_key() -> Ed25519Key {
    Ed25519Key::from_seed([7; 32].into())
}

pub(crate) fn offered(key: &Ed25519Key) -> [HostKey; 1] {
    [HostKey {
        algorithm: HostKeyAlgorithm::Ed25519,
        public_key: key.public_key_blob(),
    }]
}

pub(crate) fn client_config(cipher: CipherAlgorithm) -> ClientConfig {
    let mut config = ClientConfig::default();
    config.algorithms.kex = vec![KEX];
    config.algorithms.ciphers = vec![cipher];
    config
}

pub(crate) fn server_config() -> ServerConfig {
    let mut config = ServerConfig {
        algorithms: Algorithms::compatible(),
        ..ServerConfig::default()
    };
    config.algorithms.kex = vec![KEX];
    config
}

/// Logs in as `deploy` with method `none` and keeps what arrives.
pub(crate) struct ClientEnd {
    pub(crate) ssh: Client,
    inbox: Vec<u8>,
    pub(crate) received: Vec<Vec<u8>>,
    pub(crate) is_in: bool,
    pub(crate) error: Option<Error>,
}

impl ClientEnd {
    pub(crate) fn new(config: ClientConfig, seed: u8) -> Self {
        let ssh = Client::new(Arc::new(config), [seed; 32], Duration::ZERO);
        Self {
            ssh,
            inbox: Vec::new(),
            received: Vec::new(),
            is_in: false,
            error: None,
        }
    }

    /// Bytes for the other side.
    pub(crate) fn say(&mut self) -> Vec<u8> {
        self.ssh.poll_output().map(Into::into).unwrap_or_default()
    }

    pub(crate) fn hear(&mut self, bytes: &[u8], now: Duration) {
        self.inbox.extend_from_slice(bytes);
        let mut at = 0;
        while self.error.is_none() {
            let rest = &mut self.inbox[at..];
            let progress = match self.ssh.handle_input(rest, now) {
                Ok(progress) => progress,
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            };
            self.received
                .extend(progress.payload.map(|range| rest[range].to_vec()));
            at += progress.consumed;
            let mut told = false;
            while let Some(event) = self.ssh.poll_event() {
                told = true;
                self.answer(event, now);
            }
            if progress.consumed == 0 && !told {
                break;
            }
        }
        self.inbox.drain(..at);
    }

    fn answer(&mut self, event: ClientEvent, now: Duration) {
        // An answer to a machine that has closed meanwhile is an error of nobody.
        let _ = match event {
            ClientEvent::HostKey(question) => self.ssh.accept_host_key(question.id, now),
            ClientEvent::KeyExchanged(exchange) if exchange.first => {
                self.ssh.authenticate("deploy", ClientAuth::None, now)
            }
            ClientEvent::Authenticated => {
                self.is_in = true;
                Ok(())
            }
            _ => Ok(()),
        };
    }
}

/// Whom a [`ServerEnd`] lets in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Everybody.
    Open,
    /// Whoever has a key, any key.
    Key,
    /// Nobody.
    Shut,
}

/// Answers logins by its door and keeps what arrives.
pub(crate) struct ServerEnd {
    pub(crate) ssh: Server,
    door: Door,
    key: Ed25519Key,
    inbox: Vec<u8>,
    pub(crate) received: Vec<Vec<u8>>,
    pub(crate) is_in: bool,
    pub(crate) error: Option<Error>,
}

impl ServerEnd {
    pub(crate) fn new(config: ServerConfig, seed: u8, door: Door) -> Self {
        let key = host_key();
        let mut ssh = Server::new(Arc::new(config), [seed; 32], Duration::ZERO);
        ssh.start(&offered(&key), Duration::ZERO)
            .expect("the key is good");
        Self {
            ssh,
            door,
            key,
            inbox: Vec::new(),
            received: Vec::new(),
            is_in: false,
            error: None,
        }
    }

    /// Bytes for the other side.
    pub(crate) fn say(&mut self) -> Vec<u8> {
        self.ssh.poll_output().map(Into::into).unwrap_or_default()
    }

    pub(crate) fn hear(&mut self, bytes: &[u8], now: Duration) {
        self.inbox.extend_from_slice(bytes);
        let mut at = 0;
        while self.error.is_none() {
            let rest = &mut self.inbox[at..];
            let progress = match self.ssh.handle_input(rest, now) {
                Ok(progress) => progress,
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            };
            self.received
                .extend(progress.payload.map(|range| rest[range].to_vec()));
            at += progress.consumed;
            let mut told = false;
            while let Some(event) = self.ssh.poll_event() {
                told = true;
                self.answer(event, now);
            }
            if progress.consumed == 0 && !told {
                break;
            }
        }
        self.inbox.drain(..at);
    }

    fn answer(&mut self, event: ServerEvent, now: Duration) {
        match event {
            ServerEvent::SignExchangeHash(request) => {
                let _ = self
                    .ssh
                    .signed(request.id, &self.key.sign(&request.data), now);
            }
            ServerEvent::AuthAttempt(attempt) => {
                let fits = match (self.door, &attempt.method) {
                    (Door::Open, _) => true,
                    (Door::Key, AuthMethod::PublicKey { proof, .. }) => {
                        matches!(proof, KeyProof::Query | KeyProof::Verified)
                    }
                    _ => false,
                };
                if fits {
                    let _ = self.ssh.accept(attempt.id, now);
                } else {
                    self.ssh.reject(attempt.id, &["publickey"], now);
                }
            }
            ServerEvent::Authenticated => self.is_in = true,
            _ => {}
        }
    }
}

/// Moves bytes between the two until neither has any left.
pub(crate) fn run_pair(client: &mut ClientEnd, server: &mut ServerEnd, now: Duration) {
    loop {
        let (up, down) = (client.say(), server.say());
        if up.is_empty() && down.is_empty() {
            break;
        }
        server.hear(&up, now);
        client.hear(&down, now);
    }
}
