use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use super::*;

pub(crate) fn one_of_each() -> Vec<Record<'static>> {
    vec![
        Record::Input(b"i"),
        Record::Output(b"o"),
        Record::Stderr(b""),
        Record::Eof { from: Side::Client },
        Record::Close { from: Side::Target },
        Record::Request {
            from: Side::Client,
            kind: "xon-xoff",
            want_reply: true,
        },
        Record::Reply {
            from: Side::Target,
            ok: false,
        },
        Record::OpenReply {
            from: Side::Target,
            ok: false,
            reason: 1,
            text: "no",
        },
        Record::SessionMeta(SessionMeta {
            session: "s",
            started_unix_ms: u64::MAX,
            identity_email: "ä@example.com",
            groups: vec!["a", ""],
            target_port: 65_535,
            certificate_serial: 1 << 63,
            policy: "p",
            ..SessionMeta::default()
        }),
        Record::ChannelOpen {
            from: Side::Client,
            kind: "session",
            window: 1,
            max_packet: u32::MAX,
            data: b"d",
        },
        Record::Pty {
            term: "xterm",
            columns: 80,
            rows: 24,
            pixel_width: 1,
            pixel_height: 2,
            modes: &[0],
        },
        Record::Env {
            name: b"LANG",
            value: &[0xff],
        },
        Record::Exec {
            command: &[0x80, b'x'],
        },
        Record::Shell,
        Record::Subsystem { name: "sftp" },
        Record::Resize {
            columns: 1,
            rows: 2,
            pixel_width: 3,
            pixel_height: 4,
        },
        Record::Signal { name: "INT" },
        Record::Break { millis: 500 },
        Record::ExitStatus { code: 255 },
        Record::ExitSignal {
            name: "KILL",
            core_dumped: true,
            message: "m",
            language: "en",
        },
        Record::PolicyDecision {
            allowed: true,
            policy: "p",
            text: "t",
        },
        Record::Alert {
            code: "c",
            text: "t",
        },
        Record::Annotation { text: "a" },
        Record::Refused {
            from: Side::Client,
            what: "channel x11",
            why: "not supported",
        },
        Record::ClockAnchor { unix_ms: 1 },
        Record::ClockJump {
            clock: Clock::Unix,
            delta_ms: i64::MIN,
        },
        Record::Gap {
            bytes: 7,
            text: "g",
        },
        Record::WriterNotice { text: "w" },
        Record::End { reason: "r" },
        Record::InputRedacted {
            bucket_bytes: 1 << 40,
            reason: "t",
        },
        Record::OutputElided {
            bytes: 1 << 40,
            reason: "t",
        },
        Record::Agent { want_reply: true },
        Record::X11 {
            single_connection: true,
            auth_protocol: "t",
            screen: 7,
        },
        Record::ForwardOpen {
            from: Side::Target,
            kind: "t",
            host: "t",
            port: 7,
            origin_host: "t",
            origin_port: 7,
        },
        Record::ForwardData {
            from: Side::Target,
            bytes: 1 << 40,
            data: b"b",
        },
        Record::ForwardClose {
            client_bytes: 1 << 40,
            target_bytes: 1 << 40,
        },
        Record::ForwardRequest {
            from: Side::Target,
            kind: "t",
            host: "t",
            port: 7,
        },
        Record::InnerSession {
            session: "t",
            host: "t",
            port: 7,
        },
        Record::ParentSession {
            session: "t",
            channel: u32::MAX,
        },
        Record::ForwardDigest {
            client_sha256: &[1; 32],
            target_sha256: &[2; 32],
        },
        Record::AgentRequest {
            message: 13,
            key_fingerprint: "t",
            allowed: true,
        },
        Record::SftpOp {
            op: "t",
            path: b"b",
            other_path: b"b",
            flags: 7,
            status: 7,
        },
        Record::FileTransfer {
            from: Side::Target,
            path: b"b",
            bytes: 1 << 40,
            sha256: b"b",
            complete: true,
            via: "t",
        },
        Record::Scp {
            from: Side::Target,
            path: b"b",
            recursive: true,
        },
        Record::Rsync {
            from: Side::Target,
            command: b"b",
        },
        Record::Command {
            text: "t",
            source: "t",
            confidence: 7,
            directory: "t",
            exit: "t",
        },
        Record::AppMode {
            full_screen: true,
            program: "t",
        },
        Record::HiddenInput { hidden: true },
        Record::Paste {
            bytes: 1 << 40,
            bracketed: true,
        },
        Record::Operator {
            who: "t",
            action: "t",
            text: "t",
        },
        Record::Keyframe {
            format: "t",
            data: b"b",
        },
        Record::Other {
            kind: 0x70,
            body: &[0xa1, 0x01, 0x61, b'c'],
        },
    ]
}

fn encode(record: &Record<'_>) -> Vec<u8> {
    match DataKind::of(record) {
        Some((kind, data)) => write_data(Vec::new(), kind, 300, 70_000, data),
        None => encode_cold(Vec::new(), record, 300, 70_000),
    }
}

#[test]
fn every_kind_round_trips_measures_right_and_has_a_name() {
    let mut kinds = BTreeSet::new();
    for record in one_of_each() {
        let bytes = encode(&record);
        let (raw, len) = next_raw(&bytes).expect("well formed");
        assert_eq!(
            (raw.kind, raw.dt_us, raw.channel, len),
            (record.kind(), 300, 70_000, bytes.len())
        );
        assert_eq!(raw.decode().as_ref(), Ok(&record));
        if DataKind::of(&record).is_none() {
            assert_eq!(encoded_len(&record, 300, 70_000), bytes.len(), "{record:?}");
            assert_eq!(check_limits(&record, bytes.len()), Ok(()));
        }
        if record.kind() != 0x70 {
            assert_ne!(kind_name(record.kind()), "unknown", "{record:?}");
        }
        kinds.insert(record.kind());
    }
    assert_eq!(kinds.len(), 51, "one of each");
    assert_eq!(kind_name(0x7fff), "unknown");
}

#[test]
fn fields_come_in_ascending_order_of_their_keys() {
    for record in one_of_each() {
        let mut last = None;
        record.fields(&mut |key, name, _| {
            assert!(last < Some(key), "{record:?} {name}");
            last = Some(key);
        });
    }
}

#[test]
fn every_cut_is_refused_and_no_flipped_bit_panics() {
    for record in one_of_each() {
        let bytes = encode(&record);
        for len in 0..bytes.len() {
            assert!(next_raw(&bytes[..len]).is_err(), "{record:?} cut at {len}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            if let Ok((raw, len)) = next_raw(&bent) {
                assert!(len <= bent.len());
                assert_ne!(
                    raw.decode()
                        .map(|decoded| (raw.dt_us, raw.channel, decoded)),
                    Ok((300, 70_000, record.clone()))
                );
            }
        }
    }
}

#[test]
fn a_data_record_never_exceeds_its_announced_overhead() {
    for (dt_us, channel, len) in [
        (0, 0, 0),
        (23, 23, 23),
        (24, 24, 24),
        (1 << 33, u32::MAX, 70_000),
        (u64::MAX, 256, 256),
    ] {
        let data = vec![0; len];
        let bytes = write_data(Vec::new(), DataKind::Output, dt_us, channel, &data);
        assert_eq!(bytes.len(), len + data_overhead(dt_us, channel, len));
    }
}
