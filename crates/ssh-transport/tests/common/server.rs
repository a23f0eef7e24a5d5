//! A server that answers its own questions.

use std::sync::Arc;
use std::time::Duration;

use super::{START, TestKey};
use ssh_transport::{
    AuthAttempt, AuthId, AuthMethod, AuthResponses, Challenge, Error, KeyExchange, KeyProof,
    Server, ServerConfig, ServerEvent,
};

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
