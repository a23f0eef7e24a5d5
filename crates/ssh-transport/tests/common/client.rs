//! A client that answers its own questions.

use std::sync::Arc;
use std::time::Duration;

use super::START;
use super::keys::Sign;
use ssh_transport::{
    Client, ClientAuth, ClientConfig, ClientEvent, Error, HostKeyAlgorithm, HostKeyQuestion,
    KeyExchange,
};

/// What a [`HostKeyQuestion`] said.
pub struct SeenHostKey {
    pub algorithm: HostKeyAlgorithm,
    pub public_key: Vec<u8>,
    pub rekey: bool,
    pub changed: bool,
}

/// How a client end logs in.
pub enum Login {
    None,
    Key {
        algorithm: String,
        blob: Vec<u8>,
        sign: Sign,
    },
    /// The machine chooses the algorithm.
    AnyAlgorithm {
        blob: Vec<u8>,
        sign: Sign,
    },
}

/// A client that accepts any host key and logs in as soon as it can.
pub struct ClientEnd {
    pub machine: Client,
    pub user: String,
    pub login: Login,
    pub now: Duration,
    pub accept_host_keys: bool,
    inbox: Vec<u8>,
    pub received: Vec<Vec<u8>>,
    pub exchanges: Vec<KeyExchange>,
    pub host_keys: Vec<SeenHostKey>,
    pub banners: Vec<String>,
    pub failures: Vec<Vec<String>>,
    /// What follows each partial success.
    pub further_logins: Vec<Login>,
    pub partial_successes: Vec<Vec<String>>,
    pub signed_with: Vec<String>,
    pub authenticated: bool,
    pub goodbye: Option<(u32, String)>,
}

impl ClientEnd {
    pub fn new(config: ClientConfig, seed: u8, login: Login) -> Self {
        Self {
            machine: Client::new(Arc::new(config), [seed; 32], START),
            user: "alice".to_owned(),
            login,
            now: START,
            accept_host_keys: true,
            inbox: Vec::new(),
            received: Vec::new(),
            exchanges: Vec::new(),
            host_keys: Vec::new(),
            banners: Vec::new(),
            failures: Vec::new(),
            further_logins: Vec::new(),
            partial_successes: Vec::new(),
            signed_with: Vec::new(),
            authenticated: false,
            goodbye: None,
        }
    }

    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.inbox.extend_from_slice(bytes);
        let mut start = 0;
        let result = loop {
            let rest = &mut self.inbox[start..];
            let progress = match self.machine.handle_input(rest, self.now) {
                Ok(progress) => progress,
                Err(error) => break Err(error),
            };
            if let Some(range) = progress.payload {
                self.received.push(rest[range].to_vec());
            }
            start += progress.consumed;
            let mut answered = false;
            while let Some(event) = self.machine.poll_event() {
                answered = true;
                self.answer(event);
            }
            if progress.consumed == 0 && !answered {
                break Ok(());
            }
        };
        self.inbox.drain(..start);
        result
    }

    fn answer(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::PeerIdentified(_) => {}
            ClientEvent::HostKey(question) => {
                let HostKeyQuestion {
                    id,
                    algorithm,
                    public_key,
                    rekey,
                    changed,
                } = question;
                self.host_keys.push(SeenHostKey {
                    algorithm,
                    public_key,
                    rekey,
                    changed,
                });
                if self.accept_host_keys {
                    self.machine.accept_host_key(id, self.now).unwrap();
                } else {
                    self.machine.reject_host_key(id);
                }
            }
            ClientEvent::KeyExchanged(exchange) => {
                let first = exchange.first;
                self.exchanges.push(exchange);
                if first {
                    self.authenticate();
                }
            }
            ClientEvent::SignAuth(request) => {
                let (Login::Key { sign, .. } | Login::AnyAlgorithm { sign, .. }) = &self.login
                else {
                    panic!("nothing to sign with")
                };
                self.signed_with.push(request.algorithm.clone());
                let signature = sign(&request.data);
                self.machine
                    .signed(request.id, &signature, self.now)
                    .unwrap();
            }
            ClientEvent::Banner(text) => self.banners.push(text),
            ClientEvent::Authenticated => self.authenticated = true,
            ClientEvent::Debug { .. } => {}
            ClientEvent::AuthFailed { remaining, partial } => {
                if partial && !self.further_logins.is_empty() {
                    self.login = self.further_logins.remove(0);
                    self.partial_successes.push(remaining);
                    self.authenticate();
                } else {
                    self.failures.push(remaining);
                }
            }
            ClientEvent::Disconnected { reason, text } => self.goodbye = Some((reason, text)),
            other => panic!("unknown event {other:?}"),
        }
    }
}

impl ClientEnd {
    fn authenticate(&mut self) {
        let method = match &self.login {
            Login::None => ClientAuth::None,
            Login::Key {
                algorithm, blob, ..
            } => ClientAuth::PublicKey {
                algorithm: algorithm.clone(),
                public_key: blob.clone(),
            },
            Login::AnyAlgorithm { blob, .. } => ClientAuth::Key {
                public_key: blob.clone(),
            },
        };
        self.machine
            .authenticate(&self.user, method, self.now)
            .unwrap();
    }
}
