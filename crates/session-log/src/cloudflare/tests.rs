use alloc::string::ToString as _;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::error::CloudflareError;
use crate::limits::MAX_CLOUDFLARE_BLOCK_BYTES;
use crate::secret::Generator;

fn identity(kem: Kem) -> Identity {
    Identity::generate(kem, &mut Generator::new([5; 32]))
}

fn metadata() -> CloudflareMetadata {
    CloudflareMetadata {
        started_at: 1_800_000_000,
        data_size: 12,
        pty: Some(CloudflarePty {
            term: Some("xterm".to_string()),
            width: 80,
            height: 24,
            modes: vec![("ECHO".to_string(), 1)],
        }),
        exit_data: Some(CloudflareExit {
            status: Some(3),
            ..CloudflareExit::default()
        }),
        ..CloudflareMetadata::default()
    }
}

fn log() -> Vec<u8> {
    let recipient = identity(Kem::X25519).recipient();
    let (mut writer, mut log) =
        CloudflareWriter::begin(&recipient, metadata(), [7; 32]).expect("begun");
    let long = vec![b'l'; MAX_CLOUDFLARE_BLOCK_BYTES + 5];
    for (source, code, data) in [
        (CloudflareSource::Client, 0, &b"ls\r"[..]),
        (CloudflareSource::Origin, 0, b"file\r\n"),
        (CloudflareSource::Origin, 1, b""),
        (CloudflareSource::Origin, 0, &long),
    ] {
        writer
            .packet(source, code, 9_000, data, &mut log)
            .expect("sealed");
    }
    log
}

fn read(log: &[u8], piece: usize) -> (Vec<CloudflareEvent>, Result<(), CloudflareError>) {
    let mut reader = CloudflareReader::new(identity(Kem::X25519)).expect("a key");
    let pushed = log
        .chunks(piece)
        .map(|piece| reader.push(piece))
        .find(Result::is_err)
        .unwrap_or(Ok(()));
    let events = core::iter::from_fn(|| reader.poll()).collect();
    (events, pushed.and(reader.finish()))
}

#[test]
fn what_is_written_is_read_in_pieces_of_any_size() {
    let log = log();
    let whole = read(&log, log.len());
    assert_eq!(whole.1, Ok(()));
    assert_eq!(whole.0.len(), 6);
    assert!(matches!(&whole.0[0], CloudflareEvent::Metadata(found)
        if found.exit_data == metadata().exit_data && found.pty == metadata().pty));
    for piece in [1_000, 4_099, 65_536] {
        assert_eq!(read(&log, piece), whole);
    }
}

#[test]
fn cuts_inside_anything_are_truncation_and_whole_blocks_that_are_missing_cannot_be_seen() {
    let log = log();
    let metadata_end = 4 + u32::from_be_bytes(log[..4].try_into().expect("4")) as usize;
    let mut ends = vec![metadata_end];
    let mut at = metadata_end;
    while at < log.len() {
        at += 4 + u32::from_be_bytes(log[at..at + 4].try_into().expect("4")) as usize;
        ends.push(at);
    }
    for len in (0..900).chain([log.len() - 1, log.len()]) {
        let expected = if ends.contains(&len) {
            Ok(())
        } else {
            Err(CloudflareError::Truncated)
        };
        assert_eq!(read(&log[..len], log.len()).1, expected, "{len}");
    }
}

#[test]
fn changed_reordered_and_hostile_bytes_are_refused() {
    let log = log();
    let start = 4 + u32::from_be_bytes(log[..4].try_into().expect("4")) as usize;
    let mut bent = log.clone();
    bent[start + 10] ^= 1;
    assert_eq!(read(&bent, 999).1, Err(CloudflareError::NotAuthentic));
    let first = start + 4 + 4 + 13 + 3 + 16;
    let missing = [&log[..start], &log[first..]].concat();
    assert_eq!(read(&missing, 999).1, Err(CloudflareError::NotAuthentic));
    for hostile in [&[0xff; 8][..], &[0, 1, 0, 1, 0]] {
        assert!(matches!(
            read(hostile, 9).1,
            Err(CloudflareError::TooLarge { .. })
        ));
    }
    for nothing in [&b"\0\0\0\x04e30="[..], b"\0\0\0\x03***", b"\0\0\0\0"] {
        assert_eq!(read(nothing, 9).1, Err(CloudflareError::Metadata));
    }
    let mut huge_block = log[..start].to_vec();
    huge_block.extend_from_slice(&[0x7f; 4]);
    assert!(matches!(
        read(&huge_block, 999).1,
        Err(CloudflareError::TooLarge { .. })
    ));
}

#[test]
fn keys_go_both_ways_and_only_x25519_ones() {
    let identity = identity(Kem::X25519);
    let text = identity.to_cloudflare().expect("x25519");
    let back = Identity::from_cloudflare(&text).expect("back");
    assert_eq!(back.recipient(), identity.recipient());
    let public = identity.recipient().to_cloudflare().expect("x25519");
    assert_eq!(
        Recipient::from_cloudflare(&public),
        Ok(identity.recipient())
    );
    assert!(Recipient::from_cloudflare(&public[..40]).is_err());
    assert!(Identity::from_cloudflare("not base64").is_err());
    let x_wing = Identity::generate(Kem::XWing, &mut Generator::new([5; 32]));
    assert!(x_wing.to_cloudflare().is_none() && x_wing.recipient().to_cloudflare().is_none());
    assert_eq!(
        CloudflareReader::new(x_wing).map(|_| ()),
        Err(CloudflareError::Key)
    );
}
