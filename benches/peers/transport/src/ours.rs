//! Two `ssh-transport` machines, each in a thread with a socket.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use ssh_transport::{
    CipherAlgorithm, Client, ClientAuth, ClientConfig, ClientEvent, Ed25519Key, HostKey,
    HostKeyAlgorithm, RECEIVE_BUFFER_BYTES, Server, ServerConfig, ServerEvent,
};

use crate::{CHUNK_BYTES, connection};

/// SSH_MSG_CHANNEL_DATA: number, channel, length (RFC 4254 section 5.2).
const DATA_HEADER: [u8; 9] = [94, 0, 0, 0, 0, 0, 0, 0x80, 0];
/// What is sealed before it is written.
const BATCH_BYTES: usize = 4 * CHUNK_BYTES;

pub(crate) fn pump(cipher: &str, bytes: u64) {
    let (near, far) = connection();
    let sender = thread::spawn(move || send(far, bytes));
    receive(near, cipher, bytes);
    sender.join().expect("it is done");
}

/// The bytes that came and are not done with.
struct Inbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    fn new() -> Self {
        Self {
            bytes: vec![0; RECEIVE_BUFFER_BYTES],
            start: 0,
            end: 0,
        }
    }

    fn read(&mut self, stream: &mut TcpStream) {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let read = stream.read(&mut self.bytes[self.end..]).expect("a peer");
        assert!(read > 0, "the peer has gone");
        self.end += read;
    }

    fn waiting(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }
}

fn send(mut stream: TcpStream, bytes: u64) {
    let clock = Instant::now();
    let key = Ed25519Key::from_seed([7; 32].into());
    let offered = HostKey {
        algorithm: HostKeyAlgorithm::Ed25519,
        public_key: key.public_key_blob(),
    };
    let mut server = Server::new(Arc::new(ServerConfig::default()), [2; 32], clock.elapsed());
    server.start(&[offered], clock.elapsed()).expect("a key");
    let (mut inbox, mut is_in) = (Inbox::new(), false);
    let mut packet = DATA_HEADER.to_vec();
    packet.resize(DATA_HEADER.len() + CHUNK_BYTES, 0);
    let mut left = bytes / CHUNK_BYTES as u64;
    loop {
        while is_in && left > 0 && !server.is_exchanging() && server.queued_bytes() < BATCH_BYTES {
            server.send_packet(&packet, clock.elapsed()).expect("room");
            left -= 1;
        }
        if let Some(output) = server.poll_output() {
            stream.write_all(&output).expect("a reader");
            continue;
        }
        if left == 0 {
            return;
        }
        inbox.read(&mut stream);
        loop {
            let progress = server
                .handle_input(inbox.waiting(), clock.elapsed())
                .expect("an honest client");
            inbox.start += progress.consumed;
            let mut told = false;
            while let Some(event) = server.poll_event() {
                told = true;
                match event {
                    ServerEvent::SignExchangeHash(request) => server
                        .signed(request.id, &key.sign(&request.data), clock.elapsed())
                        .expect("it was asked for"),
                    ServerEvent::AuthAttempt(attempt) => server
                        .accept(attempt.id, clock.elapsed())
                        .expect("it was asked for"),
                    ServerEvent::Authenticated => is_in = true,
                    _ => {}
                }
            }
            if progress.consumed == 0 && !told {
                break;
            }
        }
    }
}

fn receive(mut stream: TcpStream, cipher: &str, bytes: u64) {
    let clock = Instant::now();
    let mut config = ClientConfig::default();
    config
        .algorithms
        .ciphers
        .retain(|known: &CipherAlgorithm| known.name() == cipher);
    let mut client = Client::new(Arc::new(config), [1; 32], clock.elapsed());
    let (mut inbox, mut received) = (Inbox::new(), 0);
    while received < bytes {
        if let Some(output) = client.poll_output() {
            stream.write_all(&output).expect("a reader");
        }
        inbox.read(&mut stream);
        loop {
            let progress = client
                .handle_input(inbox.waiting(), clock.elapsed())
                .expect("an honest server");
            inbox.start += progress.consumed;
            if let Some(payload) = progress.payload {
                received += (payload.len() - DATA_HEADER.len()) as u64;
            }
            let mut told = false;
            while let Some(event) = client.poll_event() {
                told = true;
                match event {
                    ClientEvent::HostKey(question) => client
                        .accept_host_key(question.id, clock.elapsed())
                        .expect("it was asked for"),
                    ClientEvent::KeyExchanged(exchange) if exchange.first => client
                        .authenticate("anybody", ClientAuth::None, clock.elapsed())
                        .expect("it is time"),
                    _ => {}
                }
            }
            if progress.consumed == 0 && !told {
                break;
            }
        }
    }
}
