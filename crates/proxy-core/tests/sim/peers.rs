//! The two peers: real `ssh-transport` machines.

use std::sync::Arc;
use std::time::Duration;

use ssh_transport::{
    AuthMethod, Client, ClientAuth, ClientEvent, Ed25519Key, HostKey, HostKeyAlgorithm, KeyProof,
    Progress, Server, ServerConfig, ServerEvent,
};

use super::*;

/// The person's `ssh`.
pub struct Person {
    pub ssh: Client,
    user: String,
    then_user: Option<&'static str>,
    begins_with_key: bool,
    pub(super) keys: std::collections::VecDeque<SoftKey>,
    /// The key that the client tries now.
    trying: Option<SoftKey>,
    /// What its login ends with if nothing of it is accepted: the methods that are left, and whether part of it was.
    pub failures: Vec<(Vec<String>, bool)>,
    pub host_keys: Vec<Vec<u8>>,
    pub banners: Vec<String>,
    pub is_in: bool,
    pub was_refused: bool,
    pub goodbye: Option<String>,
    pub packets: Vec<Vec<u8>>,
    /// What it was told of host keys, apart from all else.
    pub announcements: Vec<Vec<u8>>,
    pub session_id: Vec<u8>,
    pub(super) exchanges: usize,
    pub(super) data: Vec<u8>,
    pub(super) incoming: Vec<u8>,
}

/// The target's `sshd`.
pub struct TargetHost {
    pub ssh: Server,
    pub(super) key: Ed25519Key,
    pub(super) trusts_ca: bool,
    pub(super) banner: Option<&'static str>,
    pub(super) sent_at_login: Vec<Vec<u8>>,
    pub session_id: Vec<u8>,
    pub attempts: Vec<(String, AuthMethod)>,
    pub goodbye: Option<String>,
    pub packets: Vec<Vec<u8>>,
    pub(super) exchanges: usize,
    pub(super) data: Vec<u8>,
    pub(super) incoming: Vec<u8>,
}

impl Person {
    pub(super) fn new(ssh: Client, setup: &Setup) -> Self {
        Self {
            ssh,
            user: setup.user.into(),
            then_user: setup.then_user,
            begins_with_key: setup.begins_with_key,
            keys: setup.keys.clone().into(),
            trying: None,
            failures: Vec::new(),
            host_keys: Vec::new(),
            banners: Vec::new(),
            is_in: false,
            was_refused: false,
            goodbye: None,
            packets: Vec::new(),
            announcements: Vec::new(),
            session_id: Vec::new(),
            exchanges: 0,
            data: Vec::new(),
            incoming: Vec::new(),
        }
    }

    pub(super) fn act(&mut self, now: Duration) -> bool {
        let mut any = false;
        while let Some((packet, consumed)) =
            step(&mut self.incoming, |it| self.ssh.handle_input(it, now))
        {
            if let Some(packet) = packet {
                self.data.extend_from_slice(channel_data(&packet));
                if ssh_transport::hostkeys::parse_announcement(&packet).is_ok() {
                    self.announcements.push(packet);
                } else {
                    self.packets.push(packet);
                }
            }
            let mut told = false;
            while let Some(event) = self.ssh.poll_event() {
                told = true;
                self.react(event, now);
            }
            if consumed == 0 && !told {
                break;
            }
            any = true;
        }
        any
    }

    pub(super) fn react(&mut self, event: ClientEvent, now: Duration) {
        match event {
            ClientEvent::HostKey(question) => {
                self.host_keys.push(question.public_key);
                self.ssh.accept_host_key(question.id, now).unwrap();
            }
            ClientEvent::KeyExchanged(exchange) => {
                self.exchanges += 1;
                if !exchange.first {
                    return;
                }
                self.session_id = exchange.session_id;
                if self.begins_with_key {
                    return self.try_key(now);
                }
                self.ssh
                    .authenticate(&self.user, ClientAuth::None, now)
                    .unwrap();
            }
            ClientEvent::Banner(text) => self.banners.push(text),
            ClientEvent::Authenticated => self.is_in = true,
            ClientEvent::AuthFailed { remaining, partial } => {
                let takes_keys = remaining.iter().any(|method| method == "publickey");
                self.failures.push((remaining, partial));
                if let Some(other) = self.then_user.take() {
                    self.user = other.into();
                }
                if takes_keys {
                    self.try_key(now);
                } else {
                    self.was_refused = true;
                }
            }
            ClientEvent::SignAuth(request) => {
                let signature = self.trying.as_ref().unwrap().sign(&request.data);
                self.ssh.signed(request.id, &signature, now).unwrap();
            }
            ClientEvent::Disconnected { text, .. } => self.goodbye = Some(text),
            _ => {}
        }
    }
}

impl Person {
    /// The next key, if there is one.
    fn try_key(&mut self, now: Duration) {
        self.trying = self.keys.pop_front();
        match &self.trying {
            Some(key) => {
                let method = ClientAuth::Key {
                    public_key: key.blob(),
                };
                self.ssh.authenticate(&self.user, method, now).unwrap();
            }
            None => self.was_refused = true,
        }
    }
}

impl TargetHost {
    pub(super) fn new(setup: &Setup, now: Duration) -> Self {
        let key = ed25519(setup.target_key);
        let mut ssh = Server::new(Arc::new(ServerConfig::default()), [13; 32], now);
        let host_key = match &setup.target_certificate {
            Some(certificate) => HostKey {
                algorithm: HostKeyAlgorithm::Ed25519Cert,
                public_key: certificate.clone(),
            },
            None => HostKey {
                algorithm: HostKeyAlgorithm::Ed25519,
                public_key: key.public_key_blob(),
            },
        };
        ssh.start(&[host_key], now).unwrap();
        Self {
            ssh,
            key,
            trusts_ca: setup.target_trusts_ca,
            banner: setup.banner,
            sent_at_login: setup.sent_at_login.clone(),
            session_id: Vec::new(),
            attempts: Vec::new(),
            goodbye: None,
            packets: Vec::new(),
            exchanges: 0,
            data: Vec::new(),
            incoming: Vec::new(),
        }
    }

    /// It shows another key in the exchange that it begins now.
    pub fn rekey_with(&mut self, seed: [u8; 32], now: Duration) {
        self.key = ed25519(seed);
        let key = HostKey {
            algorithm: HostKeyAlgorithm::Ed25519,
            public_key: self.key.public_key_blob(),
        };
        self.ssh.change_host_keys(&[key]).unwrap();
        self.ssh.start_rekey(now);
    }

    pub(super) fn act(&mut self, now: Duration) -> bool {
        let mut any = false;
        while let Some((packet, consumed)) =
            step(&mut self.incoming, |it| self.ssh.handle_input(it, now))
        {
            if let Some(packet) = packet {
                self.data.extend_from_slice(channel_data(&packet));
                self.packets.push(packet);
            }
            let mut told = false;
            while let Some(event) = self.ssh.poll_event() {
                told = true;
                self.react(event, now);
            }
            if consumed == 0 && !told {
                break;
            }
            any = true;
        }
        any
    }

    pub(super) fn react(&mut self, event: ServerEvent, now: Duration) {
        match event {
            ServerEvent::KeyExchanged(exchange) => {
                self.exchanges += 1;
                self.session_id = exchange.session_id;
            }
            ServerEvent::SignExchangeHash(request) => {
                let signature = self.key.sign(&request.data);
                self.ssh.signed(request.id, &signature, now).unwrap();
            }
            ServerEvent::AuthAttempt(attempt) => {
                let proven = matches!(
                    attempt.method,
                    AuthMethod::PublicKey {
                        proof: KeyProof::Query | KeyProof::Verified,
                        ..
                    }
                );
                self.attempts.push((attempt.user, attempt.method));
                if let Some(banner) = self.banner.take() {
                    self.ssh.banner(banner);
                }
                if proven && self.trusts_ca {
                    self.ssh.accept(attempt.id, now).unwrap();
                    for packet in std::mem::take(&mut self.sent_at_login) {
                        // A mere question about the key is no login yet.
                        if self.ssh.send_packet(&packet, now).is_err() {
                            self.sent_at_login.push(packet);
                        }
                    }
                } else {
                    self.ssh.reject(attempt.id, &["publickey"], now);
                }
            }
            ServerEvent::Disconnected { text, .. } => self.goodbye = Some(text),
            _ => {}
        }
    }
}

/// What one look at the received bytes gives: a packet if one was there, and how many bytes are done with. Nothing, and no bytes left, after
/// an error: a session that ends may cut its peer off in the middle.
fn step(
    incoming: &mut Vec<u8>,
    handle_input: impl FnOnce(&mut [u8]) -> Result<Progress, ssh_transport::Error>,
) -> Option<(Option<Vec<u8>>, usize)> {
    let mut bytes = std::mem::take(incoming);
    let progress = handle_input(&mut bytes).ok()?;
    let packet = progress.payload.map(|payload| bytes[payload].to_vec());
    bytes.drain(..progress.consumed);
    *incoming = bytes;
    Some((packet, progress.consumed))
}
