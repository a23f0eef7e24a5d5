//! Saying no to a connection for a few microseconds: words made beforehand, and no key exchange.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ssh_transport::{DisconnectReason, ServerConfig};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::Full;
use crate::arrival::http_connect::HttpError;
use crate::arrival::{self, ListenerKind};

/// Refused clients that are given time to read why, at once. Under a flood the others are closed without a word.
const MAX_FAREWELLS: usize = 64;

/// Turns connections away.
#[derive(Debug)]
pub struct Farewells {
    /// The identification line, and the disconnect message in clear that `ssh` and `plink` show (RFC 4253 sections 4.2 and 11.1).
    ssh: BTreeMap<Full, Bytes>,
    places: Arc<Semaphore>,
}

impl Default for Farewells {
    fn default() -> Self {
        let words = |full: &Full| (*full, disconnect(full.advice()));
        Self {
            ssh: Full::ALL.iter().map(words).collect(),
            places: Arc::new(Semaphore::new(MAX_FAREWELLS)),
        }
    }
}

impl Farewells {
    /// What a client is told: in HTTP until its request was answered, and then in SSH.
    pub fn words(&self, kind: ListenerKind, full: Full) -> Bytes {
        match kind {
            ListenerKind::Connect { .. } if !full.is_about_an_identity() => {
                HttpError::Busy(full.advice()).response().into()
            }
            _ => self.ssh.get(&full).cloned().unwrap_or_default(),
        }
    }

    /// Tells a client that was just accepted why it is not served, as long as few are told at once. Waits for nothing.
    pub fn turn_away(&self, mut stream: TcpStream, kind: ListenerKind, full: Full) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        let words = self.words(kind, full);
        tokio::spawn(async move {
            arrival::farewell(&mut stream, &words).await;
            drop(place);
        });
    }
}

/// An SSH server's first and last words.
fn disconnect(text: &str) -> Bytes {
    let config = ServerConfig {
        identification: "SSH-2.0-Portreeve".to_owned(),
        ..ServerConfig::default()
    };
    // Nothing here is secret: the padding of one packet in clear.
    let mut server = ssh_transport::Server::new(Arc::new(config), [0; 32], Duration::ZERO);
    let text = format!("access denied: {text}");
    server.disconnect(DisconnectReason::TooManyConnections, &text);
    server.poll_output().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_words_that_an_ssh_client_understands() {
        let farewells = Farewells::default();
        for full in Full::ALL {
            let config = Arc::new(ssh_transport::ClientConfig::default());
            let mut client = ssh_transport::Client::new(config, [1; 32], Duration::ZERO);
            let kind = ListenerKind::Plain {
                identity: 0,
                target: 0,
            };
            let mut words = farewells.words(kind, full).to_vec();
            let mut read = 0;
            let mut told = None;
            while read < words.len() {
                let progress = client.handle_input(&mut words[read..], Duration::ZERO);
                read += progress.unwrap().consumed;
                while let Some(event) = client.poll_event() {
                    if let ssh_transport::ClientEvent::Disconnected { text, .. } = event {
                        told = Some(text);
                    }
                }
            }
            assert_eq!(told, Some(format!("access denied: {}", full.advice())));
        }
    }
}
