//! Any payload in good packets, from a peer that knows the keys: the messages behind the first key exchange, of both roles.
//!
//! - Nobody is in before a server accepted an attempt that was no query, and no packet comes through before that.
//! - No signature of a user is ever verified here, for nobody made one.
//! - Texts for people have no control characters, and nothing that waits grows without bound.

use std::sync::Arc;
use std::time::Duration;

use ssh_transport::{
    AuthMethod, Challenge, CipherAlgorithm, Client, ClientAuth, ClientEvent, Echo, KeyProof,
    MAX_BANNER_BYTES, MAX_BANNERS, MAX_WAITING_REPLY_BYTES, Prompt, Server, ServerEvent,
};

use crate::ends::{client_config, host_key, offered, server_config};
use crate::input::Input;
use crate::keyed::{as_client_of, as_server_of, string};
use crate::transport_client::is_clean;

const NOW: Duration = Duration::ZERO;
/// Most packets of one run: more than may come before a login.
const MAX_PACKETS: usize = 600;

/// Sends the payloads of `data`: a mode, then 16-bit lengths and payloads.
pub fn run(data: &[u8]) {
    play(data);
}

/// True when somebody was let in.
pub(crate) fn play(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    if input.flag() {
        against_server(&mut input)
    } else {
        against_client(&mut input)
    }
}

fn challenge(prompts: usize) -> Challenge {
    let prompt = Prompt {
        text: "yes or no? ".to_owned(),
        echo: Echo::Hidden,
    };
    Challenge {
        prompts: vec![prompt; prompts],
        ..Challenge::default()
    }
}

fn against_server(input: &mut Input<'_>) -> bool {
    let key = host_key();
    let mut server = Server::new(Arc::new(server_config()), [2; 32], NOW);
    server.start(&offered(&key), NOW).expect("the key is good");
    let mut peer = as_client_of(&mut server, &key);
    let answers = input.byte();
    let (mut attempts, mut accepted, mut is_in, mut name) = (0_u32, false, false, None);
    for _ in 0..MAX_PACKETS {
        if input.is_over() || server.is_closed() {
            break;
        }
        let mut packet = peer.seal(payload(input));
        while !packet.is_empty() {
            let Ok(progress) = server.handle_input(&mut packet, NOW) else {
                break;
            };
            if let Some(range) = progress.payload {
                assert!(is_in, "a packet before the login");
                assert!((80..=127).contains(&packet[range.start]));
            }
            packet.drain(..progress.consumed);
            let mut told = false;
            while let Some(event) = server.poll_event() {
                told = true;
                match event {
                    ServerEvent::SignExchangeHash(request) => {
                        server
                            .signed(request.id, &key.sign(&request.data), NOW)
                            .expect("it was asked for");
                    }
                    ServerEvent::AuthAttempt(attempt) => {
                        assert!(!accepted, "an attempt after the last");
                        assert_eq!(
                            name.get_or_insert_with(|| attempt.user.clone()),
                            &attempt.user,
                            "another user"
                        );
                        attempts += 1;
                        let is_yes = answers >> (attempts % 8) & 1 == 1;
                        match attempt.method {
                            AuthMethod::PublicKey { proof, .. } if is_yes => {
                                assert_eq!(proof, KeyProof::Query, "a signature that nobody made");
                                server.accept(attempt.id, NOW).expect("it was asked for");
                            }
                            AuthMethod::None if is_yes && attempts % 3 == 0 => server
                                .accept_partially(attempt.id, &["none"], NOW)
                                .expect("it was asked for"),
                            AuthMethod::None if is_yes => {
                                accepted = true;
                                server.accept(attempt.id, NOW).expect("it was asked for");
                            }
                            AuthMethod::KeyboardInteractive { submethods } if is_yes => {
                                assert!(is_clean(&submethods));
                                let challenge = challenge(usize::from(answers % 4));
                                server
                                    .prompt(attempt.id, &challenge, NOW)
                                    .expect("it was asked for");
                            }
                            _ => {
                                server.banner("no");
                                server.reject(attempt.id, &["publickey"], NOW);
                            }
                        }
                    }
                    ServerEvent::AuthResponses(given) => {
                        let prompts = usize::from(answers % 4);
                        assert_eq!(given.responses.len(), prompts, "answers to nothing");
                        if given.responses.iter().any(|response| response.is("yes")) {
                            accepted = true;
                            server.accept(given.id, NOW).expect("it was asked for");
                        } else {
                            server
                                .prompt(given.id, &challenge(prompts), NOW)
                                .expect("it was asked for");
                        }
                    }
                    ServerEvent::Debug { text, .. } => assert!(is_clean(&text)),
                    ServerEvent::Authenticated => {
                        assert!(accepted, "let in without a word");
                        is_in = true;
                    }
                    ServerEvent::Disconnected { text, .. } => assert!(is_clean(&text)),
                    _ => {}
                }
            }
            if progress.consumed == 0 && !told {
                break;
            }
        }
        // A peer that never reads: only every so often is anything taken.
        if answers & 1 == 0 {
            let _ = server.poll_output();
        }
        assert!(
            server.queued_bytes() <= 2 * MAX_WAITING_REPLY_BYTES,
            "answers pile up"
        );
    }
    is_in
}

fn against_client(input: &mut Input<'_>) -> bool {
    let key = host_key();
    let mut client = Client::new(
        Arc::new(client_config(CipherAlgorithm::Aes128Gcm)),
        [1; 32],
        NOW,
    );
    let mut peer = as_server_of(&mut client, &key);
    let with_key = input.flag();
    let method = if with_key {
        ClientAuth::PublicKey {
            algorithm: "ssh-ed25519".into(),
            public_key: key.public_key_blob(),
        }
    } else {
        ClientAuth::None
    };
    client
        .authenticate("deploy", method, NOW)
        .expect("it is time");
    let (mut is_in, mut banners) = (false, 0);
    let mut packet = Vec::new();
    for _ in 0..MAX_PACKETS {
        while let Ok(progress) = client.handle_input(&mut packet, NOW) {
            if let Some(range) = progress.payload {
                assert!(is_in, "a packet before the login");
                assert!((80..=127).contains(&packet[range.start]));
            }
            packet.drain(..progress.consumed);
            let mut told = false;
            while let Some(event) = client.poll_event() {
                told = true;
                match event {
                    ClientEvent::HostKey(question) => {
                        assert_eq!(
                            question.public_key,
                            key.public_key_blob(),
                            "a key without its proof"
                        );
                        client
                            .accept_host_key(question.id, NOW)
                            .expect("it was asked for");
                    }
                    ClientEvent::SignAuth(request) => {
                        assert!(with_key, "asked to sign with no key");
                        let user = string(b"deploy");
                        assert!(
                            request.data.windows(user.len()).any(|part| part == user),
                            "a signature for another"
                        );
                        client
                            .signed(request.id, &key.sign(&request.data), NOW)
                            .expect("it was asked for");
                    }
                    ClientEvent::AuthFailed { .. } => {
                        client
                            .authenticate("deploy", ClientAuth::None, NOW)
                            .expect("it is time");
                    }
                    ClientEvent::Banner(text) => {
                        banners += 1;
                        assert!(
                            banners <= MAX_BANNERS
                                && text.len() <= MAX_BANNER_BYTES
                                && is_clean(&text)
                        );
                    }
                    ClientEvent::Authenticated => is_in = true,
                    ClientEvent::Disconnected { text, .. } => assert!(is_clean(&text)),
                    _ => {}
                }
            }
            if progress.consumed == 0 && !told {
                break;
            }
        }
        assert!(
            client.queued_bytes() <= 2 * MAX_WAITING_REPLY_BYTES,
            "answers pile up"
        );
        if input.is_over() || client.is_closed() {
            break;
        }
        packet = peer.seal(payload(input));
    }
    is_in
}

fn payload<'a>(input: &mut Input<'a>) -> &'a [u8] {
    let len = usize::from(input.word() % 4_096);
    input.bytes(len)
}
