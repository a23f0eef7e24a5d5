//! The key exchange in which a server chooses the group (RFC 4419): any payloads in clear after both KEXINITs, against both roles.
//!
//! Nobody proves a host key or asks to log in, and a few messages are not answered with much.

use std::sync::Arc;
use std::time::Duration;

use ssh_transport::{
    Algorithms, Client, ClientConfig, ClientEvent, KexAlgorithm, Server, ServerConfig, ServerEvent,
};

use crate::ends::{host_key, offered};
use crate::input::Input;
use crate::keyed::clear;

const NOW: Duration = Duration::ZERO;
/// Most messages of one run. Each may cost an exponentiation.
const MAX_MESSAGES: usize = 4;
/// Most that is said in a run: an exchange of keys with a group of 8192 bits, EXT_INFO, a DISCONNECT.
const MAX_SAID_BYTES: usize = 16 * 1024;

/// Sends the payloads of `data`: the role, then 16-bit lengths and payloads.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kex = vec![KexAlgorithm::DhGroupExchangeSha256];
    let algorithms = Algorithms {
        kex,
        ..Algorithms::default()
    };
    let client = ClientConfig {
        algorithms: algorithms.clone(),
        ..ClientConfig::default()
    };
    let server = ServerConfig {
        algorithms,
        ..ServerConfig::default()
    };
    let mut client = Client::new(Arc::new(client), [1; 32], NOW);
    let mut server = Server::new(Arc::new(server), [2; 32], NOW);
    server
        .start(&offered(&host_key()), NOW)
        .expect("the key is good");
    let from_client = client.poll_output().expect("a line and a KEXINIT");
    let from_server = server.poll_output().expect("a line and a KEXINIT");
    if input.flag() {
        against_server(&mut server, from_client.to_vec(), &mut input);
    } else {
        against_client(&mut client, from_server.to_vec(), &mut input);
    }
}

fn against_server(server: &mut Server, mut bytes: Vec<u8>, input: &mut Input<'_>) {
    let (key, mut said) = (host_key(), 0);
    for _ in 0..MAX_MESSAGES {
        while let Ok(progress) = server.handle_input(&mut bytes, NOW) {
            assert_eq!(progress.payload, None, "a packet before the login");
            bytes.drain(..progress.consumed);
            let mut told = false;
            while let Some(event) = server.poll_event() {
                told = true;
                match event {
                    ServerEvent::SignExchangeHash(request) => server
                        .signed(request.id, &key.sign(&request.data), NOW)
                        .expect("it was asked for"),
                    ServerEvent::AuthAttempt(_) => panic!("a login by who has no keys"),
                    _ => {}
                }
            }
            if progress.consumed == 0 && !told {
                break;
            }
        }
        said += server.poll_output().map_or(0, |output| output.len());
        if input.is_over() || server.is_closed() {
            break;
        }
        bytes.extend(next(input));
    }
    assert!(said <= MAX_SAID_BYTES, "{said} bytes said");
}

fn against_client(client: &mut Client, mut bytes: Vec<u8>, input: &mut Input<'_>) {
    let mut said = 0;
    for _ in 0..MAX_MESSAGES {
        while let Ok(progress) = client.handle_input(&mut bytes, NOW) {
            assert_eq!(progress.payload, None, "a packet before the login");
            bytes.drain(..progress.consumed);
            let mut told = false;
            while let Some(event) = client.poll_event() {
                told = true;
                assert!(
                    !matches!(event, ClientEvent::HostKey(_)),
                    "a key without its proof"
                );
            }
            if progress.consumed == 0 && !told {
                break;
            }
        }
        said += client.poll_output().map_or(0, |output| output.len());
        if input.is_over() || client.is_closed() {
            break;
        }
        bytes.extend(next(input));
    }
    assert!(said <= MAX_SAID_BYTES, "{said} bytes said");
}

fn next(input: &mut Input<'_>) -> Vec<u8> {
    let len = usize::from(input.word() % 4_096);
    clear(input.bytes(len))
}
