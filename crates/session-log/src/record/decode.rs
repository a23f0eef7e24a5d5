//! Bytes to records, borrowing everything from the frame.

use alloc::vec::Vec;

use minicbor::Decoder;
use minicbor::data::Type;

use super::fields::{CLOSE, EOF};
use super::{Clock, DataKind, Record, SessionMeta, Side, kinds as k};
use crate::cbor::{Malformed, check_item, head_len};
use crate::error::RecordError;
use crate::limits::{MAX_LIST_ENTRIES, MAX_TEXT_BYTES};

impl From<Malformed> for RecordError {
    fn from(_: Malformed) -> RecordError {
        RecordError
    }
}

impl From<minicbor::decode::Error> for RecordError {
    fn from(_: minicbor::decode::Error) -> RecordError {
        RecordError
    }
}

/// A record whose body is still CBOR.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawRecord<'a> {
    pub(crate) kind: u16,
    pub(crate) dt_us: u64,
    pub(crate) channel: u32,
    body: &'a [u8],
}

/// Takes one record off the front of a frame's content and says how long it was.
pub(crate) fn next_raw(content: &[u8]) -> Result<(RawRecord<'_>, usize), RecordError> {
    let mut decoder = Decoder::new(content);
    let fields = decoder.array()?;
    // A fifth entry is for later versions; it is checked and passed over.
    if !matches!(fields, Some(4 | 5)) {
        return Err(RecordError);
    }
    let kind = decoder.u16()?;
    let dt_us = decoder.u64()?;
    let channel = decoder.u32()?;
    let body_start = decoder.position();
    let heads = head_len(u64::from(kind)) + head_len(dt_us) + head_len(u64::from(channel));
    if body_start != 1 + heads {
        return Err(RecordError);
    }
    check_item(&mut decoder)?;
    let body = content
        .get(body_start..decoder.position())
        .ok_or(RecordError)?;
    if fields == Some(5) {
        check_item(&mut decoder)?;
    }
    let raw = RawRecord {
        kind,
        dt_us,
        channel,
        body,
    };
    Ok((raw, decoder.position()))
}

/// Whether the kind is one of the enum's own, as opposed to one that [`Record::Other`] carries.
pub(crate) fn has_variant(kind: u16) -> bool {
    matches!(
        kind,
        k::INPUT..=k::OUTPUT_ELIDED
            | k::EOF_CLOSE..=k::OPEN_REPLY
            | k::SESSION_META..=k::EXIT_SIGNAL
            | k::FORWARD_OPEN..=k::AGENT_REQUEST
            | k::SFTP_OP..=k::RSYNC
            | k::COMMAND..=k::PASTE
            | k::POLICY_DECISION..=k::REFUSED
            | k::CLOCK_ANCHOR..=k::END
    )
}

impl<'a> RawRecord<'a> {
    /// What a data record holds; `None` of the other kinds. Cheaper than [`Self::decode`], which moves the largest of all records.
    pub(crate) fn data(&self) -> Result<Option<(DataKind, &'a [u8])>, RecordError> {
        let Some(kind) = DataKind::ALL
            .into_iter()
            .find(|kind| kind.kind() == self.kind)
        else {
            return Ok(None);
        };
        Ok(Some((kind, Decoder::new(self.body).bytes()?)))
    }

    /// The typed record. Unknown kinds pass as [`Record::Other`], except those that must not be passed over.
    pub(crate) fn decode(&self) -> Result<Record<'a>, RecordError> {
        match self.data()? {
            Some((DataKind::Input, data)) => return Ok(Record::Input(data)),
            Some((DataKind::Output, data)) => return Ok(Record::Output(data)),
            Some((DataKind::Stderr, data)) => return Ok(Record::Stderr(data)),
            None => {}
        }
        match self.kind {
            kind if has_variant(kind) => {}
            k::CRITICAL.. => return Err(RecordError),
            kind => {
                return Ok(Record::Other {
                    kind,
                    body: self.body,
                });
            }
        }
        let f = Fields::parse(self.body)?;
        Ok(match self.kind {
            k::EOF_CLOSE => match (f.uint(1)?, f.side(2)?) {
                (EOF, from) => Record::Eof { from },
                (CLOSE, from) => Record::Close { from },
                _ => return Err(RecordError),
            },
            k::REQUEST => Record::Request {
                from: f.side(1)?,
                kind: f.text(2)?,
                want_reply: f.bool(3)?,
            },
            k::REPLY => Record::Reply {
                from: f.side(1)?,
                ok: f.bool(2)?,
            },
            k::OPEN_REPLY => Record::OpenReply {
                from: f.side(1)?,
                ok: f.bool(2)?,
                reason: f.u32(3)?,
                text: f.text(4)?,
            },
            k::SESSION_META => Record::SessionMeta(SessionMeta {
                session: f.text(1)?,
                started_unix_ms: f.uint(2)?,
                identity_email: f.text(3)?,
                groups: f.texts(4)?,
                client_addr: f.text(5)?,
                target_id: f.text(6)?,
                target_hostname: f.text(7)?,
                target_addr: f.text(8)?,
                target_port: u16::try_from(f.uint(9)?).map_err(|_| RecordError)?,
                unix_user: f.text(10)?,
                client_version: f.text(11)?,
                target_version: f.text(12)?,
                target_host_key_fingerprint: f.text(13)?,
                client_host_key_fingerprints: f.texts(14)?,
                client_algorithms: f.text(15)?,
                target_algorithms: f.text(16)?,
                certificate_serial: f.uint(17)?,
                certificate_key_id: f.text(18)?,
                policy: f.text(19)?,
            }),
            k::CHANNEL_OPEN => Record::ChannelOpen {
                from: f.side(1)?,
                kind: f.text(2)?,
                window: f.u32(3)?,
                max_packet: f.u32(4)?,
                data: f.bytes(5)?,
            },
            k::PTY => Record::Pty {
                term: f.text(1)?,
                columns: f.u32(2)?,
                rows: f.u32(3)?,
                pixel_width: f.u32(4)?,
                pixel_height: f.u32(5)?,
                modes: f.bytes(6)?,
            },
            k::ENV => Record::Env {
                name: f.bytes(1)?,
                value: f.bytes(2)?,
            },
            k::EXEC => Record::Exec {
                command: f.bytes(1)?,
            },
            k::SHELL => Record::Shell,
            k::SUBSYSTEM => Record::Subsystem { name: f.text(1)? },
            k::RESIZE => Record::Resize {
                columns: f.u32(1)?,
                rows: f.u32(2)?,
                pixel_width: f.u32(3)?,
                pixel_height: f.u32(4)?,
            },
            k::SIGNAL => Record::Signal { name: f.text(1)? },
            k::BREAK => Record::Break { millis: f.u32(1)? },
            k::EXIT_STATUS => Record::ExitStatus { code: f.u32(1)? },
            k::EXIT_SIGNAL => Record::ExitSignal {
                name: f.text(1)?,
                core_dumped: f.bool(2)?,
                message: f.text(3)?,
                language: f.text(4)?,
            },
            k::POLICY_DECISION => Record::PolicyDecision {
                allowed: f.bool(1)?,
                policy: f.text(2)?,
                text: f.text(3)?,
            },
            k::ALERT => Record::Alert {
                code: f.text(1)?,
                text: f.text(2)?,
            },
            k::ANNOTATION => Record::Annotation { text: f.text(1)? },
            k::REFUSED => Record::Refused {
                from: f.side(1)?,
                what: f.text(2)?,
                why: f.text(3)?,
            },
            k::CLOCK_ANCHOR => Record::ClockAnchor {
                unix_ms: f.uint(1)?,
            },
            k::CLOCK_JUMP => Record::ClockJump {
                clock: match f.uint(1)? {
                    0 => Clock::Mono,
                    1 => Clock::Unix,
                    _ => return Err(RecordError),
                },
                delta_ms: f.int(2)?,
            },
            k::GAP => Record::Gap {
                bytes: f.uint(1)?,
                text: f.text(2)?,
            },
            k::WRITER_NOTICE => Record::WriterNotice { text: f.text(1)? },
            k::END => Record::End { reason: f.text(1)? },
            k::INPUT_REDACTED => Record::InputRedacted {
                bucket_bytes: f.uint(1)?,
                reason: f.text(2)?,
            },
            k::OUTPUT_ELIDED => Record::OutputElided {
                bytes: f.uint(1)?,
                reason: f.text(2)?,
            },
            k::AGENT => Record::Agent {
                want_reply: f.bool(1)?,
            },
            k::X11 => Record::X11 {
                single_connection: f.bool(1)?,
                auth_protocol: f.text(2)?,
                screen: f.u32(3)?,
            },
            k::FORWARD_OPEN => Record::ForwardOpen {
                from: f.side(1)?,
                kind: f.text(2)?,
                host: f.text(3)?,
                port: f.u32(4)?,
                origin_host: f.text(5)?,
                origin_port: f.u32(6)?,
            },
            k::FORWARD_DATA => Record::ForwardData {
                from: f.side(1)?,
                bytes: f.uint(2)?,
                data: f.bytes(3)?,
            },
            k::FORWARD_CLOSE => Record::ForwardClose {
                client_bytes: f.uint(1)?,
                target_bytes: f.uint(2)?,
            },
            k::FORWARD_REQUEST => Record::ForwardRequest {
                from: f.side(1)?,
                kind: f.text(2)?,
                host: f.text(3)?,
                port: f.u32(4)?,
            },
            k::INNER_SESSION => Record::InnerSession {
                session: f.text(1)?,
                host: f.text(2)?,
                port: f.u32(3)?,
            },
            k::PARENT_SESSION => Record::ParentSession {
                session: f.text(1)?,
                channel: f.u32(2)?,
            },
            k::FORWARD_DIGEST => Record::ForwardDigest {
                client_sha256: f.sha256(1)?,
                target_sha256: f.sha256(2)?,
            },
            k::AGENT_REQUEST => Record::AgentRequest {
                message: f.u32(1)?,
                key_fingerprint: f.text(2)?,
                allowed: f.bool(3)?,
            },
            k::SFTP_OP => Record::SftpOp {
                op: f.text(1)?,
                path: f.bytes(2)?,
                other_path: f.bytes(3)?,
                flags: f.u32(4)?,
                status: f.u32(5)?,
            },
            k::FILE_TRANSFER => Record::FileTransfer {
                from: f.side(1)?,
                path: f.bytes(2)?,
                bytes: f.uint(3)?,
                sha256: f.bytes(4)?,
                complete: f.bool(5)?,
                via: f.text(6)?,
            },
            k::SCP => Record::Scp {
                from: f.side(1)?,
                path: f.bytes(2)?,
                recursive: f.bool(3)?,
            },
            k::RSYNC => Record::Rsync {
                from: f.side(1)?,
                command: f.bytes(2)?,
            },
            k::COMMAND => Record::Command {
                text: f.text(1)?,
                source: f.text(2)?,
                confidence: f.u32(3)?,
                directory: f.text(4)?,
                exit: f.text(5)?,
            },
            k::APP_MODE => Record::AppMode {
                full_screen: f.bool(1)?,
                program: f.text(2)?,
            },
            k::HIDDEN_INPUT => Record::HiddenInput { hidden: f.bool(1)? },
            k::PASTE => Record::Paste {
                bytes: f.uint(1)?,
                bracketed: f.bool(2)?,
            },
            k::OPERATOR => Record::Operator {
                who: f.text(1)?,
                action: f.text(2)?,
                text: f.text(3)?,
            },
            k::KEYFRAME => Record::Keyframe {
                format: f.text(1)?,
                data: f.bytes(2)?,
            },
            _ => return Err(RecordError),
        })
    }
}

/// Keys that a body map of this version uses: 1 to 19. Higher and textual keys are for later versions and passed over.
const KEYS: usize = 20;

/// The values of a body map by key, each still CBOR.
struct Fields<'a> {
    values: [Option<&'a [u8]>; KEYS],
}

impl<'a> Fields<'a> {
    fn parse(body: &'a [u8]) -> Result<Fields<'a>, RecordError> {
        let mut decoder = Decoder::new(body);
        let len = decoder.map()?.ok_or(RecordError)?;
        let mut values = [None; KEYS];
        for _ in 0..len {
            let key = match decoder.datatype()? {
                Type::U8 | Type::U16 | Type::U32 | Type::U64 => {
                    usize::try_from(decoder.u64()?).ok()
                }
                _ => {
                    check_item(&mut decoder)?;
                    None
                }
            };
            let start = decoder.position();
            check_item(&mut decoder)?;
            if let Some(slot) = key.and_then(|key| values.get_mut(key)) {
                *slot = body.get(start..decoder.position());
            }
        }
        Ok(Fields { values })
    }

    fn value(&self, key: usize) -> Result<Decoder<'a>, RecordError> {
        let bytes = self.values.get(key).copied().flatten().ok_or(RecordError)?;
        Ok(Decoder::new(bytes))
    }

    fn uint(&self, key: usize) -> Result<u64, RecordError> {
        Ok(self.value(key)?.u64()?)
    }

    fn int(&self, key: usize) -> Result<i64, RecordError> {
        Ok(self.value(key)?.i64()?)
    }

    fn u32(&self, key: usize) -> Result<u32, RecordError> {
        Ok(self.value(key)?.u32()?)
    }

    fn bool(&self, key: usize) -> Result<bool, RecordError> {
        Ok(self.value(key)?.bool()?)
    }

    fn bytes(&self, key: usize) -> Result<&'a [u8], RecordError> {
        Ok(self.value(key)?.bytes()?)
    }

    fn sha256(&self, key: usize) -> Result<&'a [u8; 32], RecordError> {
        self.bytes(key)?.try_into().map_err(|_| RecordError)
    }

    fn side(&self, key: usize) -> Result<Side, RecordError> {
        match self.uint(key)? {
            0 => Ok(Side::Client),
            1 => Ok(Side::Target),
            _ => Err(RecordError),
        }
    }

    fn text(&self, key: usize) -> Result<&'a str, RecordError> {
        limited(self.value(key)?.str()?)
    }

    fn texts(&self, key: usize) -> Result<Vec<&'a str>, RecordError> {
        let mut decoder = self.value(key)?;
        let len = decoder
            .array()?
            .and_then(|len| usize::try_from(len).ok())
            .ok_or(RecordError)?;
        if len > MAX_LIST_ENTRIES {
            return Err(RecordError);
        }
        let mut texts = Vec::with_capacity(len);
        for _ in 0..len {
            texts.push(limited(decoder.str()?)?);
        }
        Ok(texts)
    }
}

fn limited(text: &str) -> Result<&str, RecordError> {
    if text.len() > MAX_TEXT_BYTES {
        Err(RecordError)
    } else {
        Ok(text)
    }
}
