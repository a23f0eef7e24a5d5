//! Once it runs, a connection allocates nothing for a packet.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod common;

use allocation_counter::measure;
use common::{Login, Pair, START, TestKey};
use ssh_transport::{
    Algorithms, CipherAlgorithm, Client, ClientConfig, MacAlgorithm, RECEIVE_BUFFER_BYTES, Server,
    ServerConfig,
};

/// A key press, a window adjustment, a full packet of OpenSSH, and the longest packet of others.
const PAYLOADS: [usize; 4] = [1, 9, 32 * 1024 + 9, 64 * 1024];
/// Until buffers have their size.
const WARM_UP: usize = 16;
const ROUNDS: usize = 100;

fn logged_in(cipher: CipherAlgorithm, mac: MacAlgorithm) -> (Client, Server) {
    let mut config = ClientConfig::default();
    config.algorithms.ciphers = vec![cipher];
    config.algorithms.macs = vec![mac];
    let server = ServerConfig {
        algorithms: Algorithms::legacy(),
        ..ServerConfig::default()
    };
    let mut pair = Pair::new(config, server, vec![TestKey::ed25519(7)], Login::None);
    pair.run();
    assert!(pair.client.authenticated && pair.server.authenticated);
    (pair.client.machine, pair.server.machine)
}

/// Sends `burst` packets through one side and out of the other, as a driver does.
macro_rules! carry {
    ($from:expr, $to:expr, $payload:expr, $burst:expr, $wire:expr) => {{
        for _ in 0..$burst {
            $from.send_packet($payload, START).unwrap();
        }
        let output = $from.poll_output().unwrap();
        let mut rest = &mut $wire[..output.len()];
        rest.copy_from_slice(&output);
        drop(output);
        for _ in 0..$burst {
            let progress = $to.handle_input(rest, START).unwrap();
            assert_eq!(&rest[progress.payload.unwrap()], $payload);
            rest = &mut rest[progress.consumed..];
            assert!($to.poll_event().is_none() && $to.poll_output().is_none());
        }
        assert!(rest.is_empty() && $to.poll_timeout().is_some());
    }};
}

#[test]
fn a_packet_is_sealed_written_and_opened_without_an_allocation() {
    let mut wire = vec![0; 4 * RECEIVE_BUFFER_BYTES];
    // Ciphers that authenticate themselves leave the MAC aside.
    let with_cipher = CipherAlgorithm::ALL.map(|cipher| (cipher, MacAlgorithm::HmacSha256Etm));
    let with_mac = MacAlgorithm::ALL.map(|mac| (CipherAlgorithm::Aes256Ctr, mac));
    for (cipher, mac) in with_cipher.into_iter().chain(with_mac) {
        for len in PAYLOADS {
            for burst in [1, 3] {
                let (mut client, mut server) = logged_in(cipher, mac);
                let payload = vec![94; len];
                let mut round = || {
                    carry!(client, server, &payload, burst, wire);
                    carry!(server, client, &payload, burst, wire);
                };
                (0..WARM_UP).for_each(|_| round());
                let used = measure(|| (0..ROUNDS).for_each(|_| round()));
                assert_eq!(
                    used.count_total, 0,
                    "{cipher:?}, {mac:?}, {len} bytes, {burst} at a time"
                );
            }
        }
    }
}

#[test]
fn the_measurement_sees_an_allocation() {
    assert_eq!(measure(|| drop(vec![1u8; 100])).count_total, 1);
}
