//! Just enough of SFTP to read a record: draft-ietf-secsh-filexfer-02, what OpenSSH speaks.

use std::collections::BTreeMap;

/// The files that moved in a session of one file at a time.
#[derive(Default)]
pub struct Moved {
    /// Names that the client opened, in order.
    pub opened: Vec<String>,
    /// What it wrote, by the offsets it named.
    pub written: Vec<u8>,
    /// What it read, by the offsets it asked for.
    pub read: Vec<u8>,
}

/// Reads both streams of a subsystem `sftp`, requests and replies.
///
/// # Panics
///
/// When a stream is not a row of whole packets.
pub fn moved(requests: &[u8], replies: &[u8]) -> Moved {
    const OPEN: u8 = 3;
    const READ: u8 = 5;
    const WRITE: u8 = 6;
    const DATA: u8 = 103;
    let mut moved = Moved::default();
    let mut reads = BTreeMap::new();
    for (kind, mut body) in packets(requests) {
        match kind {
            OPEN => {
                number(&mut body);
                let name = string(&mut body);
                moved
                    .opened
                    .push(String::from_utf8(name.to_vec()).expect("a readable name"));
            }
            READ => {
                let id = number(&mut body);
                string(&mut body);
                reads.insert(id, offset(&mut body));
            }
            WRITE => {
                number(&mut body);
                string(&mut body);
                let at = offset(&mut body);
                put(&mut moved.written, at, string(&mut body));
            }
            _ => {}
        }
    }
    for (kind, mut body) in packets(replies) {
        if kind == DATA {
            let id = number(&mut body);
            let at = reads.get(&id).expect("an answer to a question");
            put(&mut moved.read, *at, string(&mut body));
        }
    }
    moved
}

/// Type and body of each packet.
fn packets(mut stream: &[u8]) -> Vec<(u8, &[u8])> {
    let mut packets = Vec::new();
    while !stream.is_empty() {
        let packet = string(&mut stream);
        packets.push((packet[0], &packet[1..]));
    }
    packets
}

fn string<'a>(from: &mut &'a [u8]) -> &'a [u8] {
    let length = number(from) as usize;
    let (string, rest) = from.split_at(length);
    *from = rest;
    string
}

fn number(from: &mut &[u8]) -> u32 {
    let (number, rest) = from.split_at(4);
    *from = rest;
    u32::from_be_bytes(number.try_into().expect("four bytes"))
}

fn offset(from: &mut &[u8]) -> usize {
    let high = u64::from(number(from));
    usize::try_from(high << 32 | u64::from(number(from))).expect("an offset in memory")
}

fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}
