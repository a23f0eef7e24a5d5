//! What one machine holds while its peer does its worst, measured and compared with the README.
//!
//! Machines replay: what a hostile peer says is made once with a pair, and said again to a fresh machine while the
//! allocator counts.

mod client;
mod server;

use super::*;
use crate::message::number;
use crate::wire::Put as _;

/// Whether the peer takes what it is sent.
#[derive(Clone, Copy, PartialEq)]
enum Peer {
    Reads,
    NeverReads,
}

/// A figure of the README's table, in bytes.
fn stated_bytes(attack: &str) -> u64 {
    let row = include_str!("../../README.md")
        .lines()
        .find_map(|line| {
            line.strip_prefix("| ")?
                .strip_prefix(attack)?
                .strip_prefix(" | ")
        })
        .unwrap_or_else(|| panic!("no row `{attack}` in README.md"));
    let kib: u64 = row.split(' ').next().unwrap().parse().unwrap();
    kib * 1024
}

/// The figure in the README is a ceiling, and not a stale one.
fn check_stated(attack: &str, peak_bytes: u64) {
    let stated = stated_bytes(attack);
    assert!(
        peak_bytes <= stated && peak_bytes * 3 > stated,
        "{attack}: {peak_bytes} bytes, README says {stated}"
    );
}

fn ping(len: usize) -> Vec<u8> {
    let mut ping = Vec::from([number::PING]);
    ping.put_string(&alloc::vec![0; len]);
    ping
}

/// A packet in clear.
fn in_clear(payload: &[u8]) -> Vec<u8> {
    let padding = 4 + (8 - (9 + payload.len()) % 8) % 8;
    let mut packet = Vec::new();
    packet.put_word(u32::try_from(1 + payload.len() + padding).unwrap());
    packet.put_byte(u8::try_from(padding).unwrap());
    packet.extend_from_slice(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

/// A KEXINIT whose name-lists are as long as may be, and begin with what both roles take.
fn longest_kexinit() -> Vec<u8> {
    let cipher = "aes256-gcm@openssh.com,";
    let mut kexinit = Vec::from([number::KEXINIT]);
    kexinit.extend_from_slice(&[0; 16]);
    for names in [
        "curve25519-sha256,",
        "ssh-ed25519,",
        cipher,
        cipher,
        "",
        "",
        "none,",
        "none,",
        "",
        "",
    ] {
        let mut list = Vec::from(names.as_bytes());
        list.resize(MAX_NAME_LIST_BYTES, b'x');
        kexinit.put_string(&list);
    }
    kexinit.extend_from_slice(&[0; 5]);
    kexinit
}
