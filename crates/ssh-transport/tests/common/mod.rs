//! Two ends to put machines in, keys of every kind, and the tools that judge.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of this"
)]

pub mod agent;
pub mod channel;
pub mod keys;
pub mod ssh;
pub mod sshd;
pub mod tools;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use ssh_transport::{
    AuthAttempt, AuthId, AuthMethod, AuthResponses, Challenge, Client, ClientAuth, ClientConfig,
    ClientEvent, Error, HostKeyAlgorithm, HostKeyQuestion, KeyExchange, KeyProof, Server,
    ServerConfig, ServerEvent,
};

pub use keys::TestKey;

pub const START: Duration = Duration::from_secs(1_000);

/// What a server end does with an attempt.
pub type Judge = fn(&AuthMethod) -> bool;

pub fn accept_none(method: &AuthMethod) -> bool {
    *method == AuthMethod::None
}

pub fn accept_keys(method: &AuthMethod) -> bool {
    matches!(method, AuthMethod::PublicKey { .. })
}

/// What a server end has to decide.
pub enum Question<'a> {
    Attempt(&'a AuthAttempt),
    Responses(&'a AuthResponses),
}

/// What it decided.
pub enum Verdict {
    Accept,
    AcceptPartially(&'static [&'static str]),
    Reject(&'static [&'static str]),
    Prompt(Challenge),
}

/// Decides instead of a [`Judge`].
pub type Decide = Box<dyn FnMut(Question<'_>) -> Verdict + Send>;

/// Answers a global request, given the session identifier.
pub type AnswerGlobal = Box<dyn FnMut(&[u8], &[u8]) -> Option<Vec<u8>> + Send>;

/// A server with its keys, which answers its own questions.
pub struct ServerEnd {
    pub machine: Server,
    pub keys: Vec<TestKey>,
    pub judge: Judge,
    pub decide: Option<Decide>,
    /// Sent as soon as somebody is let in.
    pub greeting: Option<Vec<u8>>,
    pub answer_global: Option<AnswerGlobal>,
    pub now: Duration,
    inbox: Vec<u8>,
    pub received: Vec<Vec<u8>>,
    pub exchanges: Vec<KeyExchange>,
    pub idents: Vec<String>,
    pub attempts: Vec<(String, AuthMethod)>,
    pub authenticated: bool,
    pub goodbye: Option<(u32, String)>,
}

impl ServerEnd {
    pub fn new(config: ServerConfig, seed: u8, keys: Vec<TestKey>) -> Self {
        let mut end = Self::unstarted(config, seed, keys);
        end.start();
        end
    }

    pub fn unstarted(config: ServerConfig, seed: u8, keys: Vec<TestKey>) -> Self {
        Self {
            machine: Server::new(Arc::new(config), [seed; 32], START),
            keys,
            judge: accept_none,
            decide: None,
            greeting: None,
            answer_global: None,
            now: START,
            inbox: Vec::new(),
            received: Vec::new(),
            exchanges: Vec::new(),
            idents: Vec::new(),
            attempts: Vec::new(),
            authenticated: false,
            goodbye: None,
        }
    }

    pub fn start(&mut self) {
        let keys: Vec<_> = self.keys.iter().map(TestKey::host_key).collect();
        self.machine.start(&keys, self.now).unwrap();
    }

    /// Takes bytes from the network and handles all it can.
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

    fn answer(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::PeerIdentified(ident) => self.idents.push(ident.as_str().to_owned()),
            ServerEvent::SignExchangeHash(request) => {
                let key = self
                    .keys
                    .iter()
                    .find(|k| {
                        k.blob == request.public_key
                            && k.algorithm.signature_name() == request.algorithm
                    })
                    .unwrap();
                let signature = (key.sign)(&request.data);
                self.machine
                    .signed(request.id, &signature, self.now)
                    .unwrap();
            }
            ServerEvent::KeyExchanged(exchange) => self.exchanges.push(exchange),
            ServerEvent::AuthAttempt(attempt) => {
                self.attempts
                    .push((attempt.user.clone(), attempt.method.clone()));
                if let Some(decide) = &mut self.decide {
                    let verdict = decide(Question::Attempt(&attempt));
                    self.apply(attempt.id, verdict);
                } else if (self.judge)(&attempt.method) {
                    self.machine.accept(attempt.id, self.now).unwrap();
                } else {
                    self.machine.banner("not that way\n");
                    self.machine.reject(attempt.id, &["publickey"], self.now);
                }
            }
            ServerEvent::AuthResponses(responses) => {
                let decide = self.decide.as_mut().unwrap();
                let verdict = decide(Question::Responses(&responses));
                self.apply(responses.id, verdict);
            }
            ServerEvent::Authenticated => {
                self.authenticated = true;
                if let Some(greeting) = &self.greeting {
                    self.machine.send_packet(greeting, self.now).unwrap();
                }
            }
            ServerEvent::Debug { .. } => {}
            ServerEvent::Disconnected { reason, text } => self.goodbye = Some((reason, text)),
            other => panic!("unknown event {other:?}"),
        }
    }

    fn apply(&mut self, id: AuthId, verdict: Verdict) {
        match verdict {
            Verdict::Accept => self.machine.accept(id, self.now).unwrap(),
            Verdict::AcceptPartially(methods) => self
                .machine
                .accept_partially(id, methods, self.now)
                .unwrap(),
            Verdict::Reject(methods) => self.machine.reject(id, methods, self.now),
            Verdict::Prompt(challenge) => {
                self.machine.prompt(id, &challenge, self.now).unwrap();
            }
        }
    }

    pub fn verified_keys(&self) -> usize {
        let is_verified = |m: &AuthMethod| {
            matches!(
                m,
                AuthMethod::PublicKey {
                    proof: KeyProof::Verified,
                    ..
                }
            )
        };
        self.attempts
            .iter()
            .filter(|(_, method)| is_verified(method))
            .count()
    }
}

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
        sign: keys::Sign,
    },
    /// The machine chooses the algorithm.
    AnyAlgorithm {
        blob: Vec<u8>,
        sign: keys::Sign,
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

/// A client and a server with a wire between them.
pub struct Pair {
    pub client: ClientEnd,
    pub server: ServerEnd,
}

impl Pair {
    pub fn new(
        client: ClientConfig,
        server: ServerConfig,
        keys: Vec<TestKey>,
        login: Login,
    ) -> Self {
        Self {
            client: ClientEnd::new(client, 1, login),
            server: ServerEnd::new(server, 2, keys),
        }
    }

    pub fn plain() -> Self {
        Self::new(
            ClientConfig::default(),
            ServerConfig::default(),
            vec![TestKey::ed25519(7)],
            Login::None,
        )
    }

    /// A pair that is logged in.
    pub fn ready() -> Self {
        let mut pair = Self::plain();
        pair.run();
        assert!(pair.client.authenticated && pair.server.authenticated);
        pair
    }

    /// Carries bytes both ways until nothing moves.
    pub fn run(&mut self) {
        self.run_in_pieces(|| usize::MAX);
    }

    /// Carries bytes in pieces of the sizes given.
    pub fn run_in_pieces(&mut self, mut size: impl FnMut() -> usize) {
        loop {
            let to_server = self.client.machine.poll_output().unwrap_or_default();
            let to_client = self.server.machine.poll_output().unwrap_or_default();
            if to_server.is_empty() && to_client.is_empty() {
                return;
            }
            let (mut up, mut down) = (&to_server[..], &to_client[..]);
            while !up.is_empty() || !down.is_empty() {
                let (piece, rest) = up.split_at(size().clamp(1, up.len().max(1)).min(up.len()));
                self.server.feed(piece).unwrap();
                up = rest;
                let (piece, rest) =
                    down.split_at(size().clamp(1, down.len().max(1)).min(down.len()));
                self.client.feed(piece).unwrap();
                down = rest;
            }
        }
    }
}
