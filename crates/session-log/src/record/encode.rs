//! Records to bytes.

use core::convert::Infallible;

use minicbor::Encoder;
use minicbor::encode::Error;

use super::fields::Value;
use super::{Record, kinds};
use crate::cbor::{self, Counter, Sink, check_whole, head_len};
use crate::error::WriteError;
use crate::limits::{MAX_LIST_ENTRIES, MAX_RECORD_BYTES, MAX_TEXT_BYTES};

/// The kinds whose body is the session's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataKind {
    Input,
    Output,
    Stderr,
}

impl DataKind {
    pub(crate) const ALL: [DataKind; 3] = [DataKind::Input, DataKind::Output, DataKind::Stderr];

    pub(crate) fn of<'a>(record: &Record<'a>) -> Option<(DataKind, &'a [u8])> {
        match record {
            Record::Input(data) => Some((DataKind::Input, data)),
            Record::Output(data) => Some((DataKind::Output, data)),
            Record::Stderr(data) => Some((DataKind::Stderr, data)),
            _ => None,
        }
    }

    pub(crate) fn kind(self) -> u16 {
        match self {
            DataKind::Input => kinds::INPUT,
            DataKind::Output => kinds::OUTPUT,
            DataKind::Stderr => kinds::STDERR,
        }
    }
}

/// Writes `[kind, dt_us, channel, data]`.
pub(crate) fn write_data<W: Sink>(
    sink: W,
    kind: DataKind,
    dt_us: u64,
    channel: u32,
    data: &[u8],
) -> W {
    cbor::encode(sink, |e| {
        e.array(4)?
            .u16(kind.kind())?
            .u64(dt_us)?
            .u32(channel)?
            .bytes(data)
            .map(|_| ())
    })
}

/// Writes a record of any other kind.
pub(crate) fn encode_cold<W: Sink>(sink: W, record: &Record<'_>, dt_us: u64, channel: u32) -> W {
    let mut count = 0u64;
    record.fields(&mut |_, _, _| count += 1);
    cbor::encode(sink, |e| {
        e.array(4)?.u16(record.kind())?.u64(dt_us)?.u32(channel)?;
        if let Record::Other { body, .. } = record {
            // Already one item: checked by `check_limits`.
            let _ = e.writer_mut().write_all(body);
            return Ok(());
        }
        e.map(count)?;
        let mut result = Ok(());
        record.fields(&mut |key, _, value| {
            if result.is_ok() {
                result = write_field(e, key, value);
            }
        });
        result
    })
}

fn write_field<W: Sink>(
    e: &mut Encoder<W>,
    key: u8,
    value: Value<'_>,
) -> Result<(), Error<Infallible>> {
    e.u8(key)?;
    match value {
        Value::Uint(number) | Value::Named(number, _) => e.u64(number).map(|_| ()),
        Value::Int(number) => e.i64(number).map(|_| ()),
        Value::Bool(flag) => e.bool(flag).map(|_| ()),
        Value::Text(text) => e.str(text).map(|_| ()),
        Value::Bytes(bytes) => e.bytes(bytes).map(|_| ()),
        Value::TextList(texts) => {
            e.array(texts.len() as u64)?;
            texts.iter().try_for_each(|text| e.str(text).map(|_| ()))
        }
        // Only `Other` has such a field, and it never comes here.
        Value::Cbor(_) => e.null().map(|_| ()),
    }
}

/// Bytes that [`encode_cold`] will write.
pub(crate) fn encoded_len(record: &Record<'_>, dt_us: u64, channel: u32) -> usize {
    encode_cold(Counter::default(), record, dt_us, channel).0
}

/// Most bytes that come before the data of a data record of this length.
pub(crate) fn data_overhead(dt_us: u64, channel: u32, len: usize) -> usize {
    2 + head_len(dt_us) + head_len(u64::from(channel)) + head_len(len as u64)
}

/// Refuses what a reader would refuse, so that a log that was written can be read.
pub(crate) fn check_limits(record: &Record<'_>, encoded: usize) -> Result<(), WriteError> {
    if encoded > MAX_RECORD_BYTES {
        return Err(WriteError::RecordTooLarge {
            limit: MAX_RECORD_BYTES,
            got: encoded,
        });
    }
    if let Record::Other { kind, body } = record {
        // A reader refuses critical kinds that it does not know.
        let open_kind = *kind < super::kinds::CRITICAL && !super::decode::has_variant(*kind);
        return if open_kind && check_whole(body).is_ok() {
            Ok(())
        } else {
            Err(WriteError::MalformedBody)
        };
    }
    let mut result = Ok(());
    let mut text_fits = |text: &str| {
        if text.len() > MAX_TEXT_BYTES {
            result = Err(WriteError::TextTooLong {
                limit: MAX_TEXT_BYTES,
                got: text.len(),
            });
        }
    };
    let mut longest_list = 0;
    record.fields(&mut |_, _, value| match value {
        Value::Text(text) => text_fits(text),
        Value::TextList(texts) => {
            longest_list = longest_list.max(texts.len());
            texts.iter().for_each(|text| text_fits(text));
        }
        _ => {}
    });
    if longest_list > MAX_LIST_ENTRIES {
        return Err(WriteError::ListTooLong {
            limit: MAX_LIST_ENTRIES,
            got: longest_list,
        });
    }
    result
}
