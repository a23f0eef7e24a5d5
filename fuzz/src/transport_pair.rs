//! A client and a server with a hostile wire between them. The bytes are operations.
//!
//! - Whatever the wire does, each side has received a beginning of what the other has sent, in order.
//! - When the wire does nothing, everything arrives, across any number of key exchanges.
//! - When it changed anything, the side that read it ends with an error.

use std::collections::VecDeque;
use std::time::Duration;

use ssh_transport::{CipherAlgorithm, MAX_PACKET_BYTES, RekeyPolicy};

use crate::IS_SEALED;
use crate::ends::{ClientEnd, Door, ServerEnd, client_config, run_pair, server_config};
use crate::input::Input;

/// Most operations of one run.
const MAX_OPERATIONS: usize = 128;

/// One direction: what is on the way, and the same as it was sent.
#[derive(Default)]
struct Wire {
    bytes: VecDeque<u8>,
    sent: VecDeque<u8>,
    was_changed: bool,
}

impl Wire {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.sent.extend(bytes);
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let len = len.min(self.bytes.len());
        let taken: Vec<u8> = self.bytes.drain(..len).collect();
        self.was_changed |= !self.sent.drain(..len).eq(taken.iter().copied());
        taken
    }

    fn flip(&mut self, at: usize, bit: u8) {
        let len = self.bytes.len().max(1);
        if let Some(byte) = self.bytes.get_mut(at % len) {
            *byte ^= 1 << (bit % 8);
        }
    }
}

/// Does what `data` says.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let cipher = CipherAlgorithm::ALL[usize::from(input.byte()) % CipherAlgorithm::ALL.len()];
    let policy = |word: u16| RekeyPolicy {
        max_bytes: u64::from(word).max(64) * 16,
        ..RekeyPolicy::default()
    };
    let (mut client, mut server) = (client_config(cipher), server_config());
    client.rekey = policy(input.word());
    server.rekey = policy(input.word());
    // Some want new keys for every packet, and some wires take hours for a byte.
    for (limits, grace) in [
        (&mut client.limits, &mut client.rekey_grace),
        (&mut server.limits, &mut server.rekey_grace),
    ] {
        limits.peer_exchanges = u32::MAX;
        *grace = Duration::MAX;
    }
    let mut client = ClientEnd::new(client, 1);
    let mut server = ServerEnd::new(server, 2, Door::Open);
    let mut now = Duration::ZERO;
    run_pair(&mut client, &mut server, now);
    assert!(client.is_in && server.is_in, "an undisturbed login");

    let (mut up, mut down) = (Wire::default(), Wire::default());
    let (mut from_client, mut from_server) = (Vec::new(), Vec::new());
    for number in 0..MAX_OPERATIONS {
        if input.is_over() {
            break;
        }
        match input.byte() % 10 {
            0 | 1 => {
                let payload = payload(number, input.word());
                if client.ssh.send_packet(&payload, now).is_ok() {
                    from_client.push(payload);
                }
            }
            2 | 3 => {
                let payload = payload(number, input.word());
                if server.ssh.send_packet(&payload, now).is_ok() {
                    from_server.push(payload);
                }
            }
            4 => client.ssh.start_rekey(now),
            5 => server.ssh.start_rekey(now),
            6 => server.hear(&up.take(usize::from(input.word())), now),
            7 => client.hear(&down.take(usize::from(input.word())), now),
            8 if IS_SEALED => {
                let wire = if input.flag() { &mut up } else { &mut down };
                wire.flip(usize::from(input.word()), input.byte());
            }
            _ => {
                now += Duration::from_secs(u64::from(input.word()));
                let _ = (
                    client.ssh.handle_timeout(now),
                    server.ssh.handle_timeout(now),
                );
            }
        }
        up.put(&client.say());
        down.put(&server.say());
    }
    loop {
        up.put(&client.say());
        down.put(&server.say());
        if up.bytes.is_empty() && down.bytes.is_empty() {
            break;
        }
        server.hear(&up.take(usize::MAX), now);
        client.hear(&down.take(usize::MAX), now);
    }

    assert!(
        from_client.starts_with(&server.received),
        "the server got what was not sent"
    );
    assert!(
        from_server.starts_with(&client.received),
        "the client got what was not sent"
    );
    if up.was_changed || down.was_changed {
        // A changed length may wait for bytes that nobody sends: no packet is longer than this.
        let zeros = vec![0; MAX_PACKET_BYTES + 64];
        if up.was_changed && !server.ssh.is_closed() {
            server.hear(&zeros, now);
        }
        if down.was_changed && !client.ssh.is_closed() {
            client.hear(&zeros, now);
        }
        assert!(
            !up.was_changed || server.ssh.is_closed(),
            "the server overlooked a change"
        );
        assert!(
            !down.was_changed || client.ssh.is_closed(),
            "the client overlooked a change"
        );
        assert!(
            from_client.starts_with(&server.received) && from_server.starts_with(&client.received)
        );
    } else {
        assert_eq!((&client.error, &server.error), (&None, &None));
        assert_eq!(
            (from_client.len(), from_server.len()),
            (server.received.len(), client.received.len())
        );
        assert_eq!(
            (client.ssh.queued_bytes(), server.ssh.queued_bytes()),
            (0, 0)
        );
    }
}

fn payload(number: usize, len: u16) -> Vec<u8> {
    let mut payload = vec![number as u8; usize::from(len) + 1];
    payload[0] = 94;
    payload
}
