//! Logs of `ssh-log-cli`: however they are cut the same comes out, and no packet that was not sealed at its place.

use std::sync::OnceLock;

use session_log::{
    CloudflareError, CloudflareEvent, CloudflareExit, CloudflareMetadata, CloudflarePty,
    CloudflareReader, CloudflareSource, CloudflareWriter,
};

use crate::log_reader::identity;

/// Reads `data` as such a log.
pub fn run(data: &[u8]) {
    let whole = read(data, usize::MAX);
    let cut = read(data, data.len() % 61 + 1);
    assert_eq!(whole, cut, "the cuts change what is read");
    let genuine = read(genuine(), usize::MAX).0;
    assert!(
        packets(&genuine).starts_with(&packets(&whole.0)),
        "a packet that nobody sealed"
    );
}

/// How many packets a log holds.
#[cfg(test)]
pub(crate) fn packets_of(data: &[u8]) -> usize {
    packets(&read(data, usize::MAX).0).len()
}

type Read = (Vec<CloudflareEvent>, Result<(), CloudflareError>);

fn read(data: &[u8], piece: usize) -> Read {
    let mut reader = CloudflareReader::new(identity()).expect("an X25519 key");
    let mut events = Vec::new();
    let mut pushed = Ok(());
    for piece in data.chunks(piece) {
        pushed = pushed.and(reader.push(piece));
        events.extend(std::iter::from_fn(|| reader.poll()));
    }
    (events, pushed.and(reader.finish()))
}

fn packets(events: &[CloudflareEvent]) -> Vec<&CloudflareEvent> {
    let is_packet = |event: &&CloudflareEvent| matches!(event, CloudflareEvent::Packet { .. });
    events.iter().filter(is_packet).collect()
}

/// A session at a terminal.
pub(crate) fn genuine() -> &'static [u8] {
    static GENUINE: OnceLock<Vec<u8>> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let mut metadata = CloudflareMetadata::default();
        metadata.started_at = 1_800_000_000;
        metadata.data_size = 24;
        metadata.pty = Some(CloudflarePty {
            term: Some("xterm".to_owned()),
            width: 80,
            height: 24,
            modes: vec![("ECHO".to_owned(), 1)],
        });
        metadata.exit_data = Some(CloudflareExit {
            status: Some(0),
            ..CloudflareExit::default()
        });
        let recipient = identity().recipient();
        let (mut writer, mut log) =
            CloudflareWriter::begin(&recipient, metadata, [3; 32]).expect("an X25519 key");
        let (client, origin) = (CloudflareSource::Client, CloudflareSource::Origin);
        for (source, code, data) in [
            (client, 0, &b"ls\r"[..]),
            (origin, 0, b"file\r\n"),
            (origin, 1, b"no such thing\r\n"),
            (origin, 0, b""),
        ] {
            writer
                .packet(source, code, 500, data, &mut log)
                .expect("it is sealed");
        }
        log
    })
}
