//! What peers do that our own machines never would: messages out of place, wrong signatures, floods.
//!
//! Each test takes a pair of real machines and makes one send what it should not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod auth;
mod exchange;
mod interactive;
mod memory;
mod messages;
mod partial;
mod security_key;
mod user_keys;

use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use zeroize::Zeroizing;

use crate::*;

const NOW: Duration = Duration::from_secs(5);

/// What the server does with an authentication attempt.
#[derive(Clone, Copy, PartialEq)]
enum Judge {
    Accept,
    Reject,
    /// Leaves it open.
    Wait,
}

struct Pair {
    client: Client,
    server: Server,
    key: Ed25519Key,
    judge: Judge,
    /// Open attempts, when the judge waits.
    open: Vec<AuthAttempt>,
    attempts: Vec<(String, AuthMethod)>,
    authenticated: (bool, bool),
    /// The answers to prompts, and their token.
    responses: Vec<AuthResponses>,
    client_pongs: Vec<Vec<u8>>,
    server_pongs: Vec<Vec<u8>>,
    /// Of both sides, in the order in which they came.
    debugs: Vec<(bool, String)>,
    goodbyes: Vec<(u32, String)>,
    /// How the client asks to be let in as soon as it can.
    login: Option<ClientAuth>,
    /// Requests for signatures with a user's key.
    to_sign: Vec<SignRequest>,
    failures: Vec<(Vec<String>, bool)>,
    unsignable: usize,
    host_keys_changed: Vec<bool>,
    exchanges: usize,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    client_received: Vec<Vec<u8>>,
    server_received: Vec<Vec<u8>>,
}

fn key(seed: u8) -> Ed25519Key {
    Ed25519Key::from_seed(Zeroizing::new([seed; 32]))
}

fn host_key(key: &Ed25519Key) -> HostKey {
    HostKey {
        algorithm: HostKeyAlgorithm::Ed25519,
        public_key: key.public_key_blob(),
    }
}

impl Pair {
    fn new() -> Self {
        Self::with(ClientConfig::default(), ServerConfig::default())
    }

    fn with(client: ClientConfig, server: ServerConfig) -> Self {
        let key = key(7);
        let mut server = Server::new(Arc::new(server), [2; 32], NOW);
        server.start(&[host_key(&key)], NOW).unwrap();
        Self {
            client: Client::new(Arc::new(client), [1; 32], NOW),
            server,
            key,
            judge: Judge::Accept,
            open: Vec::new(),
            attempts: Vec::new(),
            authenticated: (false, false),
            responses: Vec::new(),
            client_pongs: Vec::new(),
            server_pongs: Vec::new(),
            debugs: Vec::new(),
            goodbyes: Vec::new(),
            login: None,
            to_sign: Vec::new(),
            failures: Vec::new(),
            unsignable: 0,
            host_keys_changed: Vec::new(),
            exchanges: 0,
            to_client: Vec::new(),
            to_server: Vec::new(),
            client_received: Vec::new(),
            server_received: Vec::new(),
        }
    }

    /// Keys are exchanged, nobody has asked to be let in.
    fn exchanged() -> Self {
        let mut pair = Self::new();
        pair.run().unwrap();
        assert_eq!(pair.exchanges, 2);
        pair
    }

    /// The service was asked for, and nothing else.
    fn in_service() -> Self {
        let mut pair = Self::exchanged();
        pair.client_sends(&message::service(
            message::number::SERVICE_REQUEST,
            "ssh-userauth",
        ));
        pair.run_server().unwrap();
        assert_eq!(pair.server_said().len(), 1);
        pair
    }

    /// The client is let in.
    fn ready() -> Self {
        Self::new().logged_in()
    }

    fn logged_in(self) -> Self {
        let mut pair = self;
        pair.run().unwrap();
        assert_eq!(pair.exchanges, 2);
        pair.client
            .authenticate("alice", ClientAuth::None, NOW)
            .unwrap();
        pair.run().unwrap();
        assert_eq!(pair.authenticated, (true, true));
        pair
    }

    /// Makes the client send any payload under its present key.
    fn client_sends(&mut self, payload: &[u8]) {
        self.client.core.seal(payload).unwrap();
    }

    fn server_sends(&mut self, payload: &[u8]) {
        self.server.core.seal(payload).unwrap();
    }

    /// Carries bytes both ways until nothing moves or somebody errs.
    fn run(&mut self) -> Result<(), Error> {
        loop {
            let before = (self.to_client.len(), self.to_server.len());
            self.run_server()?;
            self.run_client()?;
            let idle = self.client.queued_bytes() == 0 && self.server.queued_bytes() == 0;
            if idle && before == (self.to_client.len(), self.to_server.len()) {
                return Ok(());
            }
        }
    }

    /// Gives the server what the client has sent.
    fn run_server(&mut self) -> Result<(), Error> {
        self.to_server
            .extend(self.client.poll_output().unwrap_or_default());
        loop {
            let progress = self.server.handle_input(&mut self.to_server, NOW)?;
            if let Some(range) = progress.payload {
                self.server_received.push(self.to_server[range].to_vec());
            }
            self.to_server.drain(..progress.consumed);
            let mut moved = progress.consumed > 0;
            while let Some(event) = self.server.poll_event() {
                moved = true;
                match event {
                    ServerEvent::SignExchangeHash(request) => {
                        let signature = self.key.sign(&request.data);
                        self.server.signed(request.id, &signature, NOW)?;
                    }
                    ServerEvent::KeyExchanged(_) => self.exchanges += 1,
                    ServerEvent::AuthAttempt(attempt) => {
                        self.attempts
                            .push((attempt.user.clone(), attempt.method.clone()));
                        match self.judge {
                            Judge::Accept => self.server.accept(attempt.id, NOW)?,
                            Judge::Reject => self.server.reject(attempt.id, &["publickey"], NOW),
                            Judge::Wait => self.open.push(attempt),
                        }
                    }
                    ServerEvent::AuthResponses(responses) => self.responses.push(responses),
                    ServerEvent::Authenticated => self.authenticated.1 = true,
                    ServerEvent::Pong(data) => self.server_pongs.push(data),
                    ServerEvent::Debug {
                        always_display,
                        text,
                    } => self.debugs.push((always_display, text)),
                    ServerEvent::Disconnected { reason, text } => {
                        self.goodbyes.push((reason, text));
                    }
                    _ => {}
                }
            }
            if !moved {
                return Ok(());
            }
        }
    }

    /// Gives the client what the server has sent.
    fn run_client(&mut self) -> Result<(), Error> {
        self.to_client
            .extend(self.server.poll_output().unwrap_or_default());
        loop {
            let progress = self.client.handle_input(&mut self.to_client, NOW)?;
            if let Some(range) = progress.payload {
                self.client_received.push(self.to_client[range].to_vec());
            }
            self.to_client.drain(..progress.consumed);
            let mut moved = progress.consumed > 0;
            while let Some(event) = self.client.poll_event() {
                moved = true;
                match event {
                    ClientEvent::HostKey(question) => {
                        self.host_keys_changed.push(question.changed);
                        self.client.accept_host_key(question.id, NOW)?;
                    }
                    ClientEvent::KeyExchanged(_) => {
                        self.exchanges += 1;
                        if let Some(login) = self.login.take() {
                            self.client.authenticate("alice", login, NOW)?;
                        }
                    }
                    ClientEvent::Authenticated => self.authenticated.0 = true,
                    ClientEvent::SignAuth(request) => self.to_sign.push(request),
                    ClientEvent::AuthFailed { remaining, partial } => {
                        self.failures.push((remaining, partial));
                    }
                    ClientEvent::NoSignatureAlgorithm => self.unsignable += 1,
                    ClientEvent::Pong(data) => self.client_pongs.push(data),
                    ClientEvent::Debug {
                        always_display,
                        text,
                    } => self.debugs.push((always_display, text)),
                    ClientEvent::Disconnected { reason, text } => {
                        self.goodbyes.push((reason, text));
                    }
                    _ => {}
                }
            }
            if !moved {
                return Ok(());
            }
        }
    }

    /// What the server says to one payload from the client.
    fn server_gets(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.client_sends(payload);
        self.run_server()
    }

    fn client_gets(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.server_sends(payload);
        self.run_client()
    }

    /// The payloads that the server has queued, as the client's key opens them.
    fn server_said(&mut self) -> Vec<Vec<u8>> {
        let mut bytes = self.server.poll_output().unwrap_or_default().to_vec();
        let mut payloads = Vec::new();
        while let Some(opened) = self.client.core.open_for_test(&mut bytes) {
            payloads.push(bytes[opened.payload].to_vec());
            bytes.drain(..opened.consumed);
        }
        payloads
    }
}

fn unexpected(number: u8) -> Result<(), Error> {
    Err(Error::PeerMisbehaved(PeerMisbehaved::UnexpectedMessage {
        number,
    }))
}

fn misbehaved(what: PeerMisbehaved) -> Result<(), Error> {
    Err(Error::PeerMisbehaved(what))
}
