//! A hostile peer that knows the keys: it does one honest key exchange, then puts any payload into good packets
//! (RFC 4253 sections 6 to 8, RFC 8731, RFC 5647 as OpenSSH does it). Written apart from `ssh-transport`, so that it judges it as well.

use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};
use ssh_transport::{Client, ClientEvent, Ed25519Key, Server, ServerEvent};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::IS_SEALED;

const IDENTIFICATION: &str = "SSH-2.0-fuzz";
const NEWKEYS: u8 = 21;
const ECDH_INIT: u8 = 30;
const ECDH_REPLY: u8 = 31;
/// The exchange happens before time passes.
const NOW: Duration = Duration::ZERO;

/// Seals packets in one direction.
pub(crate) struct Keyed {
    key: LessSafeKey,
    nonce: [u8; 12],
}

impl Keyed {
    /// A good packet around any payload.
    pub(crate) fn seal(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut body = padded(payload, 16, 0);
        let head = (body.len() as u32).to_be_bytes();
        if !IS_SEALED {
            return [&head, &body[..], &[0; 16]].concat();
        }
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(head), &mut body)
            .expect("it is short");
        let counter = u64::from_be_bytes(self.nonce[4..].try_into().expect("8 bytes")) + 1;
        self.nonce[4..].copy_from_slice(&counter.to_be_bytes());
        [&head, &body[..], tag.as_ref()].concat()
    }

    /// Letters of RFC 4253 section 7.2: `A` and `C` towards the server, `B` and `D` towards the client.
    fn new(secret: &[u8], hash: &[u8], iv: u8, key: u8) -> Self {
        let derive = |letter: u8| Sha256::digest([&mpint(secret), hash, &[letter], hash].concat());
        let key = UnboundKey::new(&AES_128_GCM, &derive(key)[..16]).expect("16 bytes");
        Self {
            key: LessSafeKey::new(key),
            nonce: derive(iv)[..12].try_into().expect("12 bytes"),
        }
    }
}

/// Becomes the client of a started server, up to the point where it may ask to log in.
pub(crate) fn as_client_of(server: &mut Server, host_key: &Ed25519Key) -> Keyed {
    let secret = StaticSecret::from([9; 32]);
    let (ours, kexinit) = (
        PublicKey::from(&secret),
        kexinit("kex-strict-c-v00@openssh.com"),
    );
    let init = [&[ECDH_INIT][..], &string(ours.as_bytes())].concat();
    feed_server(
        server,
        host_key,
        format!("{IDENTIFICATION}\r\n").into_bytes(),
    );
    feed_server(server, host_key, [clear(&kexinit), clear(&init)].concat());
    let said = server.poll_output().expect("it answers");
    let (line, packets) = parse(&said);
    let reply = packets
        .iter()
        .find(|packet| packet[0] == ECDH_REPLY)
        .expect("it took part");
    let mut fields = strings(&reply[1..]);
    let (host, theirs) = (
        fields.next().expect("its key"),
        fields.next().expect("its half"),
    );
    let theirs: [u8; 32] = theirs.try_into().expect("32 bytes");
    let shared = secret.diffie_hellman(&PublicKey::from(theirs));
    let hash = exchange_hash(
        &[
            IDENTIFICATION.as_bytes(),
            &line,
            &kexinit,
            &packets[0],
            host,
            ours.as_bytes(),
            &theirs,
        ],
        shared.as_bytes(),
    );
    feed_server(server, host_key, clear(&[NEWKEYS]));
    Keyed::new(shared.as_bytes(), &hash, b'A', b'C')
}

/// Becomes the server of a new client, up to the point where it may be asked to let somebody in.
pub(crate) fn as_server_of(client: &mut Client, host_key: &Ed25519Key) -> Keyed {
    let secret = StaticSecret::from([9; 32]);
    let (ours, kexinit) = (
        PublicKey::from(&secret),
        kexinit("kex-strict-s-v00@openssh.com"),
    );
    feed_client(client, format!("{IDENTIFICATION}\r\n").into_bytes());
    feed_client(client, clear(&kexinit));
    let said = client.poll_output().expect("it speaks first");
    let (line, packets) = parse(&said);
    let init = packets
        .iter()
        .find(|packet| packet[0] == ECDH_INIT)
        .expect("it takes part");
    let theirs: [u8; 32] = strings(&init[1..])
        .next()
        .expect("its half")
        .try_into()
        .expect("32 bytes");
    let shared = secret.diffie_hellman(&PublicKey::from(theirs));
    let host = host_key.public_key_blob();
    let hash = exchange_hash(
        &[
            &line,
            IDENTIFICATION.as_bytes(),
            &packets[0],
            &kexinit,
            &host,
            &theirs,
            ours.as_bytes(),
        ],
        shared.as_bytes(),
    );
    let fields = [
        string(&host),
        string(ours.as_bytes()),
        string(&host_key.sign(&hash)),
    ]
    .concat();
    feed_client(client, clear(&[&[ECDH_REPLY], &fields[..]].concat()));
    feed_client(client, clear(&[NEWKEYS]));
    Keyed::new(shared.as_bytes(), &hash, b'B', b'D')
}

fn feed_server(server: &mut Server, host_key: &Ed25519Key, mut bytes: Vec<u8>) {
    while !bytes.is_empty() {
        let progress = server
            .handle_input(&mut bytes, NOW)
            .expect("an honest exchange");
        bytes.drain(..progress.consumed);
        while let Some(event) = server.poll_event() {
            if let ServerEvent::SignExchangeHash(request) = event {
                server
                    .signed(request.id, &host_key.sign(&request.data), NOW)
                    .expect("it was asked for");
            }
        }
    }
}

fn feed_client(client: &mut Client, mut bytes: Vec<u8>) {
    while !bytes.is_empty() {
        let progress = client
            .handle_input(&mut bytes, NOW)
            .expect("an honest exchange");
        bytes.drain(..progress.consumed);
        while let Some(event) = client.poll_event() {
            if let ClientEvent::HostKey(question) = event {
                client
                    .accept_host_key(question.id, NOW)
                    .expect("it was asked for");
            }
        }
    }
}

fn kexinit(marker: &str) -> Vec<u8> {
    let kex = format!("curve25519-sha256,{marker},ext-info-c");
    let cipher = "aes128-gcm@openssh.com";
    let lists = [
        &kex,
        "ssh-ed25519",
        cipher,
        cipher,
        "hmac-sha2-256",
        "hmac-sha2-256",
        "none",
        "none",
        "",
        "",
    ];
    let mut payload = vec![20];
    payload.extend([5; 16]);
    lists
        .iter()
        .for_each(|list| payload.extend(string(list.as_bytes())));
    payload.extend([0; 5]);
    payload
}

/// Identification without its end, and the payloads of the packets in clear behind it.
fn parse(said: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let line = said
        .iter()
        .position(|byte| *byte == b'\r')
        .expect("an identification");
    let mut rest = &said[line + 2..];
    let mut packets = Vec::new();
    while let Some((head, body)) = rest.split_first_chunk::<4>() {
        let (packet, after) = body.split_at(u32::from_be_bytes(*head) as usize);
        let payload = packet[1..packet.len() - usize::from(packet[0])].to_vec();
        let is_last = payload[0] == NEWKEYS;
        packets.push(payload);
        if is_last {
            break;
        }
        rest = after;
    }
    (said[..line].to_vec(), packets)
}

fn strings(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        let (field, rest) = rest.split_at_checked(u32::from_be_bytes(*head) as usize)?;
        bytes = rest;
        Some(field)
    })
}

fn exchange_hash(fields: &[&[u8]], shared: &[u8]) -> Vec<u8> {
    let mut hash = Sha256::new();
    fields.iter().for_each(|field| hash.update(string(field)));
    hash.update(mpint(shared));
    hash.finalize().to_vec()
}

pub(crate) fn clear(payload: &[u8]) -> Vec<u8> {
    let body = padded(payload, 8, 4);
    [&(body.len() as u32).to_be_bytes(), &body[..]].concat()
}

/// Padding length, payload and padding; `head` bytes in front count for the block.
fn padded(payload: &[u8], block: usize, head: usize) -> Vec<u8> {
    let padding = block + 3 - (head + 1 + payload.len() + 3) % block;
    let mut body = vec![padding as u8];
    body.extend_from_slice(payload);
    body.resize(1 + payload.len() + padding, 0);
    body
}

pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// RFC 4251 section 5, of a number that is not negative.
pub(crate) fn mpint(bytes: &[u8]) -> Vec<u8> {
    let start = bytes
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(bytes.len());
    let mut number = bytes[start..].to_vec();
    if number.first().is_some_and(|byte| *byte >= 0x80) {
        number.insert(0, 0);
    }
    string(&number)
}
