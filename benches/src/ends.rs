//! Two plain SSH peers in memory: who logs in as `deploy` with method `none`, and who lets everybody in.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ssh_transport::{
    Client, ClientAuth, ClientConfig, ClientEvent, Ed25519Key, HostKey, HostKeyAlgorithm,
    KexAlgorithm, RekeyPolicy, Server, ServerConfig, ServerEvent,
};

/// Nothing here waits for time.
const NOW: Duration = Duration::ZERO;

/// The host key of every server here, made once: a server has it before anybody comes.
static HOST_KEY: LazyLock<Ed25519Key> = LazyLock::new(|| Ed25519Key::from_seed([7; 32].into()));

/// The host key of every server here.
#[must_use]
pub fn host_key() -> &'static Ed25519Key {
    &HOST_KEY
}

/// A key as a server offers it.
#[must_use]
pub fn offered(key: &Ed25519Key) -> [HostKey; 1] {
    [HostKey {
        algorithm: HostKeyAlgorithm::Ed25519,
        public_key: key.public_key_blob(),
    }]
}

/// So that no key exchange falls into a measurement of packets.
const NEVER: RekeyPolicy = RekeyPolicy {
    max_bytes: u64::MAX,
    max_packets: u64::MAX,
    max_age: Duration::MAX,
};

/// A client and what it has not read yet.
pub struct ClientEnd {
    /// The machine.
    pub ssh: Client,
    inbox: Vec<u8>,
    /// Whether it is logged in.
    pub is_in: bool,
}

impl ClientEnd {
    /// One that offers only this key exchange and the default ciphers.
    #[must_use]
    pub fn new(kex: KexAlgorithm) -> Self {
        let mut config = ClientConfig {
            rekey: NEVER,
            ..ClientConfig::default()
        };
        config.algorithms.kex = vec![kex];
        Self::with(config)
    }

    /// One with this configuration.
    #[must_use]
    pub fn with(config: ClientConfig) -> Self {
        Self {
            ssh: Client::new(Arc::new(config), [1; 32], NOW),
            inbox: Vec::new(),
            is_in: false,
        }
    }

    /// Bytes for the other side.
    pub fn say(&mut self) -> Vec<u8> {
        self.ssh.poll_output().map(Into::into).unwrap_or_default()
    }

    /// Reads bytes of the other side; packets are dropped.
    pub fn hear(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        loop {
            let progress = self
                .ssh
                .handle_input(&mut self.inbox, NOW)
                .expect("an honest peer");
            self.inbox.drain(..progress.consumed);
            let mut told = false;
            while let Some(event) = self.ssh.poll_event() {
                told = true;
                match event {
                    ClientEvent::HostKey(question) => self
                        .ssh
                        .accept_host_key(question.id, NOW)
                        .expect("asked for"),
                    ClientEvent::KeyExchanged(exchange) if exchange.first => {
                        self.ssh
                            .authenticate("deploy", ClientAuth::None, NOW)
                            .expect("it is time");
                    }
                    ClientEvent::Authenticated => self.is_in = true,
                    _ => {}
                }
            }
            if progress.consumed == 0 && !told {
                break;
            }
        }
    }
}

/// A server and what it has not read yet.
pub struct ServerEnd {
    /// The machine.
    pub ssh: Server,
    key: &'static Ed25519Key,
    inbox: Vec<u8>,
}

impl ServerEnd {
    /// One that takes only this key exchange.
    #[must_use]
    pub fn new(kex: KexAlgorithm) -> Self {
        let mut config = ServerConfig {
            rekey: NEVER,
            ..ServerConfig::default()
        };
        config.algorithms.kex = vec![kex];
        let key = host_key();
        let mut ssh = Server::new(Arc::new(config), [2; 32], NOW);
        ssh.start(&offered(key), NOW).expect("the key is good");
        Self {
            ssh,
            key,
            inbox: Vec::new(),
        }
    }

    /// Bytes for the other side.
    pub fn say(&mut self) -> Vec<u8> {
        self.ssh.poll_output().map(Into::into).unwrap_or_default()
    }

    /// Reads bytes of the other side; packets are dropped.
    pub fn hear(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        loop {
            let progress = self
                .ssh
                .handle_input(&mut self.inbox, NOW)
                .expect("an honest peer");
            self.inbox.drain(..progress.consumed);
            let mut told = false;
            while let Some(event) = self.ssh.poll_event() {
                told = true;
                match event {
                    ServerEvent::SignExchangeHash(request) => {
                        self.ssh
                            .signed(request.id, &self.key.sign(&request.data), NOW)
                            .expect("asked for");
                    }
                    ServerEvent::AuthAttempt(attempt) => {
                        self.ssh.accept(attempt.id, NOW).expect("asked for")
                    }
                    _ => {}
                }
            }
            if progress.consumed == 0 && !told {
                break;
            }
        }
    }
}

/// Moves bytes until the client is in and nobody has any left.
pub fn run_pair(client: &mut ClientEnd, server: &mut ServerEnd) {
    loop {
        let (up, down) = (client.say(), server.say());
        if up.is_empty() && down.is_empty() {
            break;
        }
        server.hear(&up);
        client.hear(&down);
    }
    assert!(client.is_in);
}
