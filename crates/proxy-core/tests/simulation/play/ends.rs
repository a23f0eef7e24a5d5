//! The two peers of a session as SSH machines: what they decrypt is looked at by the world, packet by packet.

use std::sync::Arc;
use std::time::Duration;

use proxy_core::Leg;
use ssh_transport::{
    AuthMethod, Client, ClientAuth, ClientConfig, ClientEvent, Ed25519Key, Error, HostKey,
    HostKeyAlgorithm, KexAlgorithm, KeyProof, Progress, Server, ServerConfig, ServerEvent,
};

use super::peer::Peer;
use super::wire::Packet;

/// A peer and its machine.
pub struct End {
    pub peer: Peer,
    machine: Machine,
    inbox: Vec<u8>,
    /// How many bytes of the proxy's it has read.
    read: usize,
    /// On their way to the proxy.
    pub outgoing: Vec<u8>,
    /// The login is over.
    pub is_in: bool,
    is_broken: bool,
    /// It has kept to the rules so far. One that has not may have guessed an answer before it was asked, and is not asked here
    /// what it may get.
    pub is_lawful: bool,
    /// Packets with how many bytes had been read by their end.
    pub got: Vec<(usize, Packet)>,
    /// Banners and goodbyes.
    pub heard: Vec<String>,
    /// Host keys shown to it.
    pub host_keys: Vec<Vec<u8>>,
    /// Logins: who wants to be let in, with what.
    pub logins: Vec<(String, Option<Vec<u8>>)>,
}

enum Machine {
    Person {
        ssh: Box<Client>,
        user: String,
    },
    Host {
        ssh: Box<Server>,
        key: Ed25519Key,
        lets_in: bool,
    },
}

/// The target's host key.
pub const HOST_SEED: [u8; 32] = [3; 32];

/// The cheap key exchange: what is simulated is behind it.
fn kex() -> Vec<KexAlgorithm> {
    vec![KexAlgorithm::Curve25519Sha256]
}

impl End {
    fn new(leg: Leg, machine: Machine) -> Self {
        Self {
            peer: Peer::new(leg),
            machine,
            inbox: Vec::new(),
            read: 0,
            outgoing: Vec::new(),
            is_in: false,
            is_broken: false,
            is_lawful: true,
            got: Vec::new(),
            heard: Vec::new(),
            host_keys: Vec::new(),
            logins: Vec::new(),
        }
    }

    pub fn person(user: &str, now: Duration) -> Self {
        let mut config = ClientConfig {
            identification: "SSH-2.0-OpenSSH_9.2 test".into(),
            ..ClientConfig::default()
        };
        config.algorithms.kex = kex();
        let machine = Machine::Person {
            ssh: Box::new(Client::new(Arc::new(config), [11; 32], now)),
            user: user.into(),
        };
        Self::new(Leg::Client, machine)
    }

    pub fn host(lets_in: bool, now: Duration) -> Self {
        let key = Ed25519Key::from_seed(HOST_SEED.into());
        let mut config = ServerConfig::default();
        config.algorithms.kex = kex();
        let mut ssh = Box::new(Server::new(Arc::new(config), [13; 32], now));
        let host_key = HostKey {
            algorithm: HostKeyAlgorithm::Ed25519,
            public_key: key.public_key_blob(),
        };
        ssh.start(&[host_key], now).expect("the key is good");
        Self::new(Leg::Target, Machine::Host { ssh, key, lets_in })
    }

    /// Sends a packet, if it can by now.
    pub fn say(&mut self, packet: &Packet, now: Duration) {
        let bytes = packet.encode();
        let sent = match &mut self.machine {
            Machine::Person { ssh, .. } => ssh.send_packet(&bytes, now),
            Machine::Host { ssh, .. } => ssh.send_packet(&bytes, now),
        };
        if self.is_in && sent.is_ok() {
            self.is_lawful &= self.peer.sends(&Packet::read(&bytes));
        }
        self.collect();
    }

    pub fn rekey(&mut self, now: Duration) {
        match &mut self.machine {
            Machine::Person { ssh, .. } => ssh.start_rekey(now),
            Machine::Host { ssh, .. } => ssh.start_rekey(now),
        }
        self.collect();
    }

    /// Reads bytes of the proxy's.
    pub fn hear(&mut self, bytes: &[u8], now: Duration) {
        self.inbox.extend_from_slice(bytes);
        let mut inbox = std::mem::take(&mut self.inbox);
        let mut at = 0;
        while !self.is_broken {
            let rest = &mut inbox[at..];
            let Ok(progress) = self.handle(rest, now) else {
                // The proxy may cut its peer off in the middle of anything.
                self.is_broken = true;
                break;
            };
            at += progress.consumed;
            self.read += progress.consumed;
            if let Some(payload) = &progress.payload {
                let packet = Packet::read(&rest[payload.clone()]);
                self.got.push((self.read, packet));
            }
            if !self.react(now) && progress.consumed == 0 {
                break;
            }
        }
        inbox.drain(..at);
        self.inbox = inbox;
        self.collect();
    }

    fn handle(&mut self, bytes: &mut [u8], now: Duration) -> Result<Progress, Error> {
        match &mut self.machine {
            Machine::Person { ssh, .. } => ssh.handle_input(bytes, now),
            Machine::Host { ssh, .. } => ssh.handle_input(bytes, now),
        }
    }

    /// Its first words, and all that it has to say now.
    pub fn collect(&mut self) {
        let bytes = match &mut self.machine {
            Machine::Person { ssh, .. } => ssh.poll_output(),
            Machine::Host { ssh, .. } => ssh.poll_output(),
        };
        self.outgoing.extend(bytes.into_iter().flatten());
    }

    fn react(&mut self, now: Duration) -> bool {
        let mut any = false;
        match &mut self.machine {
            Machine::Person { ssh, user } => {
                while let Some(event) = ssh.poll_event() {
                    any = true;
                    // An answer to a machine that has closed meanwhile is nobody's fault.
                    let _ = match event {
                        ClientEvent::HostKey(question) => {
                            self.host_keys.push(question.public_key);
                            ssh.accept_host_key(question.id, now)
                        }
                        ClientEvent::KeyExchanged(exchange) if exchange.first => {
                            ssh.authenticate(user, ClientAuth::None, now)
                        }
                        ClientEvent::Authenticated => {
                            self.is_in = true;
                            Ok(())
                        }
                        ClientEvent::Banner(text) | ClientEvent::Disconnected { text, .. } => {
                            self.heard.push(text);
                            Ok(())
                        }
                        _ => Ok(()),
                    };
                }
            }
            Machine::Host { ssh, key, lets_in } => {
                while let Some(event) = ssh.poll_event() {
                    any = true;
                    match event {
                        ServerEvent::SignExchangeHash(request) => {
                            let _ = ssh.signed(request.id, &key.sign(&request.data), now);
                        }
                        ServerEvent::AuthAttempt(attempt) => {
                            let (proven, certificate) = match attempt.method {
                                AuthMethod::PublicKey {
                                    proof, public_key, ..
                                } => {
                                    let fits =
                                        matches!(proof, KeyProof::Query | KeyProof::Verified);
                                    (fits, Some(public_key))
                                }
                                _ => (false, None),
                            };
                            self.logins.push((attempt.user, certificate));
                            if proven && *lets_in {
                                let _ = ssh.accept(attempt.id, now);
                            } else {
                                ssh.reject(attempt.id, &["publickey"], now);
                            }
                        }
                        ServerEvent::Authenticated => self.is_in = true,
                        ServerEvent::Disconnected { text, .. } => self.heard.push(text),
                        _ => {}
                    }
                }
            }
        }
        any
    }
}
