//! Bytes of anybody for a client that has only just connected to them.
//!
//! Who has no host key is never asked about, let alone trusted; the one conversation that may is the recorded one, as far as it
//! was recorded. The answers are the same however the bytes are cut, and not much more than the bytes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ssh_transport::{CipherAlgorithm, Client, ClientAuth, ClientEvent};

use crate::IS_SEALED;
use crate::ends::{ClientEnd, Door, ServerEnd, client_config, host_key, server_config};

/// Longest input of one run: the longest packet would only make it slow.
const MAX_INPUT_BYTES: usize = 24 * 1024;
/// Most that a client says of its own accord: its line, KEXINIT, key exchange, a login, a DISCONNECT.
const MAX_OWN_BYTES: usize = 16 * 1024;
const SEED: u8 = 1;

/// Lets a client read `data`.
pub fn run(data: &[u8]) {
    let data = &data[..data.len().min(MAX_INPUT_BYTES)];
    let whole = read(data, usize::MAX);
    assert_eq!(
        whole,
        read(data, data.len() % 89 + 1),
        "the cuts change the answers"
    );
    assert!(
        whole.said.len() <= MAX_OWN_BYTES + 8 * data.len(),
        "the answers outgrow the questions"
    );
    if !IS_SEALED {
        return;
    }
    let genuine = genuine();
    assert!(
        data != genuine.bytes || whole.payloads == genuine.payloads,
        "the recorded conversation fails"
    );
    assert!(
        genuine.payloads.starts_with(&whole.payloads),
        "a packet that nobody with the keys sent"
    );
    assert!(
        whole.texts.is_empty(),
        "a banner that nobody with the keys sent"
    );
}

#[derive(Debug, Default, PartialEq)]
struct Outcome {
    said: Vec<u8>,
    texts: Vec<String>,
    payloads: Vec<Vec<u8>>,
    error: Option<String>,
}

fn read(data: &[u8], piece: usize) -> Outcome {
    let mut now = Duration::ZERO;
    let mut client = Client::new(
        Arc::new(client_config(CipherAlgorithm::ChaCha20Poly1305)),
        [SEED; 32],
        now,
    );
    let mut outcome = Outcome::default();
    let (mut inbox, mut is_in) = (Vec::new(), false);
    for piece in data.chunks(piece) {
        inbox.extend_from_slice(piece);
        loop {
            let progress = match client.handle_input(&mut inbox, now) {
                Ok(progress) => progress,
                Err(error) => {
                    outcome.error = Some(error.to_string());
                    break;
                }
            };
            if let Some(range) = progress.payload {
                assert!(is_in, "a packet before the login");
                outcome.payloads.push(inbox[range].to_vec());
            }
            inbox.drain(..progress.consumed);
            let mut told = false;
            while let Some(event) = client.poll_event() {
                told = true;
                match event {
                    ClientEvent::HostKey(question) => {
                        assert_eq!(
                            question.public_key,
                            host_key().public_key_blob(),
                            "a key without its proof"
                        );
                        client
                            .accept_host_key(question.id, now)
                            .expect("it was asked for");
                    }
                    ClientEvent::KeyExchanged(exchange) if exchange.first => {
                        client
                            .authenticate("deploy", ClientAuth::None, now)
                            .expect("it is time");
                    }
                    ClientEvent::Authenticated => is_in = true,
                    ClientEvent::Banner(text) => outcome.texts.push(text),
                    ClientEvent::Disconnected { text, .. } => {
                        assert!(
                            text.len() <= ssh_transport::MAX_DISCONNECT_TEXT_BYTES
                                && is_clean(&text)
                        );
                    }
                    _ => {}
                }
            }
            outcome
                .said
                .extend_from_slice(&client.poll_output().unwrap_or_default());
            if progress.consumed == 0 && !told {
                break;
            }
        }
        outcome
            .said
            .extend_from_slice(&client.poll_output().unwrap_or_default());
        if client.is_closed() {
            break;
        }
    }
    while !client.is_closed() && !is_in {
        now = client.poll_timeout().expect("a login has an end");
        let _ = client.handle_timeout(now);
    }
    outcome
}

/// Whether a text may be shown to a person.
pub(crate) fn is_clean(text: &str) -> bool {
    !text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t'))
}

/// One conversation, from the side that is heard.
pub struct Genuine {
    /// All its bytes.
    pub bytes: Vec<u8>,
    payloads: Vec<Vec<u8>>,
}

/// What a server said to this very client: login, packets, a key exchange, more packets.
pub fn genuine() -> &'static Genuine {
    static GENUINE: OnceLock<Genuine> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let now = Duration::ZERO;
        let mut client = ClientEnd::new(client_config(CipherAlgorithm::ChaCha20Poly1305), SEED);
        let mut server = ServerEnd::new(server_config(), 2, Door::Open);
        let mut bytes = Vec::new();
        let mut rekeyed = false;
        loop {
            let (up, down) = (client.say(), server.say());
            bytes.extend_from_slice(&down);
            server.hear(&up, now);
            client.hear(&down, now);
            if up.is_empty() && down.is_empty() {
                if rekeyed {
                    break;
                }
                rekeyed = true;
                server
                    .ssh
                    .send_packet(b"\x5anot a real one", now)
                    .expect("it is logged in");
                server.ssh.start_rekey(now);
                server
                    .ssh
                    .send_packet(b"\x5eanother", now)
                    .expect("it is logged in");
            }
        }
        Genuine {
            bytes,
            payloads: client.received,
        }
    })
}
