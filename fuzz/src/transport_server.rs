//! Bytes of anybody for a server that they have only just connected to.
//!
//! Who does not know the keys logs nobody in and brings no packet; the conversations that may are the recorded ones, as far as
//! they were recorded. The answers are the same however the bytes are cut, and not much more than the bytes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ssh_transport::{AuthMethod, CipherAlgorithm, Server, ServerEvent};

use crate::IS_SEALED;
use crate::ends::{ClientEnd, Door, ServerEnd, client_config, host_key, offered, server_config};

/// Longest input of one run: the longest packet would only make it slow.
const MAX_INPUT_BYTES: usize = 16 * 1024;
/// Most that a server says of its own accord: its line, KEXINIT, key exchange, EXT_INFO, a DISCONNECT.
const MAX_OWN_BYTES: usize = 16 * 1024;
const SEED: u8 = 2;

/// Lets a server read `data`.
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
    let mut conversations = captures().iter().chain([genuine]);
    assert!(
        conversations.any(|known| known.payloads.starts_with(&whole.payloads)),
        "a packet that nobody with the keys sent"
    );
    assert!(
        whole.users.iter().all(|user| user == "deploy"),
        "an attempt that nobody with the keys made"
    );
}

#[derive(Debug, Default, PartialEq)]
struct Outcome {
    said: Vec<u8>,
    users: Vec<String>,
    payloads: Vec<Vec<u8>>,
    error: Option<String>,
}

fn read(data: &[u8], piece: usize) -> Outcome {
    let key = host_key();
    let mut now = Duration::ZERO;
    let mut server = Server::new(Arc::new(server_config()), [SEED; 32], now);
    server.start(&offered(&key), now).expect("the key is good");
    let mut outcome = Outcome::default();
    let (mut inbox, mut is_in) = (Vec::new(), false);
    for piece in data.chunks(piece) {
        inbox.extend_from_slice(piece);
        loop {
            let progress = match server.handle_input(&mut inbox, now) {
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
            while let Some(event) = server.poll_event() {
                told = true;
                match event {
                    ServerEvent::SignExchangeHash(request) => {
                        server
                            .signed(request.id, &key.sign(&request.data), now)
                            .expect("it was asked for");
                    }
                    ServerEvent::AuthAttempt(attempt) => {
                        outcome.users.push(attempt.user);
                        if matches!(attempt.method, AuthMethod::Other { .. }) {
                            server.reject(attempt.id, &[], now);
                        } else {
                            server.accept(attempt.id, now).expect("it was asked for");
                        }
                    }
                    ServerEvent::Authenticated => is_in = true,
                    _ => {}
                }
            }
            outcome
                .said
                .extend_from_slice(&server.poll_output().unwrap_or_default());
            if progress.consumed == 0 && !told {
                break;
            }
        }
        outcome
            .said
            .extend_from_slice(&server.poll_output().unwrap_or_default());
        if server.is_closed() {
            // What comes later is ignored, so that the cuts must not matter for it either.
            break;
        }
    }
    while !server.is_closed() && !is_in {
        now = server.poll_timeout().expect("a login has an end");
        let _ = server.handle_timeout(now);
    }
    outcome
}

/// One conversation, from the side that is heard.
pub struct Genuine {
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// Its packets of the connection layer.
    pub payloads: Vec<Vec<u8>>,
}

/// What a client said to this very server: login, packets, a key exchange, more packets.
pub fn genuine() -> &'static Genuine {
    static GENUINE: OnceLock<Genuine> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let now = Duration::ZERO;
        let mut client = ClientEnd::new(client_config(CipherAlgorithm::Aes128Gcm), 1);
        let mut server = ServerEnd::new(server_config(), SEED, Door::Open);
        let mut bytes = Vec::new();
        let mut rekeyed = false;
        loop {
            let (up, down) = (client.say(), server.say());
            bytes.extend_from_slice(&up);
            server.hear(&up, now);
            client.hear(&down, now);
            if up.is_empty() && down.is_empty() {
                if rekeyed {
                    break;
                }
                rekeyed = true;
                client
                    .ssh
                    .send_packet(b"\x5anot a real one", now)
                    .expect("it is logged in");
                client.ssh.start_rekey(now);
                client
                    .ssh
                    .send_packet(b"\x5eanother", now)
                    .expect("it is logged in");
            }
        }
        Genuine {
            bytes,
            payloads: server.received,
        }
    })
}

/// What real clients said to this very server, written by `crates/ssh-transport/tests/captures.rs`.
pub fn captures() -> &'static [Genuine] {
    static CAPTURES: OnceLock<Vec<Genuine>> = OnceLock::new();
    CAPTURES.get_or_init(|| {
        let files: [&[u8]; 2] = [
            include_bytes!("../seeds/transport_server/ssh"),
            include_bytes!("../seeds/transport_server/dbclient"),
        ];
        let read = |bytes: &[u8]| Genuine {
            bytes: bytes.to_vec(),
            payloads: read(bytes, usize::MAX).payloads,
        };
        files.into_iter().map(read).collect()
    })
}
