//! A person's SSH client and a target's SSH server that live in memory, for `examples/embed.rs`: one runs one command, the
//! other answers any command with one text.

use std::sync::Arc;
use std::time::Duration;

use ssh_transport::{
    Client, ClientAuth, ClientEvent, DisconnectReason, Ed25519Key, Error, HostKey,
    HostKeyAlgorithm, Progress, Server, ServerEvent,
};

/// Nothing here waits for time.
const NOW: Duration = Duration::ZERO;

// Message numbers of RFC 4254 section 9.
const CHANNEL_OPEN: u8 = 90;
const CHANNEL_OPEN_CONFIRMATION: u8 = 91;
const CHANNEL_DATA: u8 = 94;
const CHANNEL_CLOSE: u8 = 97;
const CHANNEL_REQUEST: u8 = 98;

/// A person who logs in without a key, runs one command, prints what comes back and leaves.
pub struct Person {
    ssh: Client,
    user: String,
    command: String,
    inbox: Vec<u8>,
}

impl Person {
    /// Wants to be `user` and run `command`.
    #[must_use]
    pub fn new(user: &str, command: &str) -> Self {
        let ssh = Client::new(Arc::default(), [5; 32], NOW);
        Self {
            ssh,
            user: user.into(),
            command: command.into(),
            inbox: Vec::new(),
        }
    }

    /// Takes bytes of the proxy.
    ///
    /// # Errors
    /// When the proxy breaks the protocol.
    pub fn hear(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.inbox.extend_from_slice(bytes);
        loop {
            let progress = self.ssh.handle_input(&mut self.inbox, NOW)?;
            let mut idle = progress.consumed == 0;
            let packet = take(&mut self.inbox, &progress);
            while let Some(event) = self.ssh.poll_event() {
                idle = false;
                self.react(event)?;
            }
            match packet.first() {
                Some(&CHANNEL_OPEN_CONFIRMATION) => {
                    let request =
                        [&string(b"exec")[..], &[1], &string(self.command.as_bytes())].concat();
                    self.ssh
                        .send_packet(&to_channel(CHANNEL_REQUEST, &request), NOW)?;
                }
                Some(&CHANNEL_DATA) => {
                    println!(
                        "person  reads {:?}",
                        String::from_utf8_lossy(packet.get(9..).unwrap_or_default())
                    )
                }
                Some(&CHANNEL_CLOSE) => {
                    self.ssh.disconnect(DisconnectReason::ByApplication, "done")
                }
                _ => {}
            }
            if idle {
                return Ok(());
            }
        }
    }

    fn react(&mut self, event: ClientEvent) -> Result<(), Error> {
        match event {
            ClientEvent::HostKey(question) => self.ssh.accept_host_key(question.id, NOW),
            ClientEvent::KeyExchanged(exchange) if exchange.first => {
                self.ssh.authenticate(&self.user, ClientAuth::None, NOW)
            }
            ClientEvent::Authenticated => {
                let numbers = [0, 65_536, 32_768].map(u32::to_be_bytes).concat();
                self.ssh.send_packet(
                    &[&[CHANNEL_OPEN], &string(b"session")[..], &numbers].concat(),
                    NOW,
                )
            }
            ClientEvent::Banner(text) => {
                print!("person  reads {text}");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Gives bytes for the proxy.
    pub fn say(&mut self) -> Vec<u8> {
        self.ssh.poll_output().map(Into::into).unwrap_or_default()
    }
}

/// A target that lets everybody in and answers every command with the same text.
pub struct TargetHost {
    ssh: Server,
    key: Ed25519Key,
    answer: Vec<u8>,
    inbox: Vec<u8>,
}

impl TargetHost {
    /// Answers with `answer`.
    ///
    /// # Errors
    /// Never, with the key it has.
    pub fn new(answer: &str) -> Result<Self, Error> {
        let key = Ed25519Key::from_seed([7; 32].into());
        let mut ssh = Server::new(Arc::default(), [6; 32], NOW);
        ssh.start(
            &[HostKey {
                algorithm: HostKeyAlgorithm::Ed25519,
                public_key: key.public_key_blob(),
            }],
            NOW,
        )?;
        Ok(Self {
            ssh,
            key,
            answer: answer.into(),
            inbox: Vec::new(),
        })
    }

    /// Takes bytes of the proxy.
    ///
    /// # Errors
    /// When the proxy breaks the protocol.
    pub fn hear(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.inbox.extend_from_slice(bytes);
        loop {
            let progress = self.ssh.handle_input(&mut self.inbox, NOW)?;
            let mut idle = progress.consumed == 0;
            let packet = take(&mut self.inbox, &progress);
            while let Some(event) = self.ssh.poll_event() {
                idle = false;
                match event {
                    ServerEvent::SignExchangeHash(request) => {
                        self.ssh
                            .signed(request.id, &self.key.sign(&request.data), NOW)?;
                    }
                    ServerEvent::AuthAttempt(attempt) => self.ssh.accept(attempt.id, NOW)?,
                    _ => {}
                }
            }
            match packet.first() {
                Some(&CHANNEL_OPEN) => {
                    let numbers = [0, 65_536, 32_768].map(u32::to_be_bytes).concat();
                    self.ssh
                        .send_packet(&to_channel(CHANNEL_OPEN_CONFIRMATION, &numbers), NOW)?;
                }
                Some(&CHANNEL_REQUEST) => {
                    self.ssh
                        .send_packet(&to_channel(CHANNEL_DATA, &string(&self.answer)), NOW)?;
                    let status = [&string(b"exit-status")[..], &[0; 5]].concat();
                    self.ssh
                        .send_packet(&to_channel(CHANNEL_REQUEST, &status), NOW)?;
                    self.ssh.send_packet(&to_channel(CHANNEL_CLOSE, &[]), NOW)?;
                }
                _ => {}
            }
            if idle {
                return Ok(());
            }
        }
    }

    /// Gives bytes for the proxy.
    pub fn say(&mut self) -> Vec<u8> {
        self.ssh.poll_output().map(Into::into).unwrap_or_default()
    }
}

/// The packet of this step, if there was one; what was consumed is gone from the inbox.
fn take(inbox: &mut Vec<u8>, progress: &Progress) -> Vec<u8> {
    let packet = progress
        .payload
        .clone()
        .and_then(|at| inbox.get(at).map(<[u8]>::to_vec))
        .unwrap_or_default();
    inbox.drain(..progress.consumed);
    packet
}

fn string(bytes: &[u8]) -> Vec<u8> {
    // These texts are a few bytes long.
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

fn to_channel(number: u8, rest: &[u8]) -> Vec<u8> {
    [&[number], &0_u32.to_be_bytes()[..], rest].concat()
}
