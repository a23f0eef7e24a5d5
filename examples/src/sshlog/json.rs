//! `sshlog records`: every record as a line of JSON.

use std::io::Write;

use base64ct::{Base64, Encoding as _};
use serde_json::{Map, Value as Json};
use session_log::{Event, RecordView, Value, kind_name};

use super::progress::Prints;
use super::read::{conclude, read_log, reader_config};
use super::{Source, SshlogError};
use crate::tool::escape_json;

pub(super) fn run(
    source: &Source,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool, SshlogError> {
    let config = reader_config(&source.keys, err)?;
    let judged = read_log(&source.log, config, Prints::WhileReading, |event| {
        match event {
            Event::Record(view) => writeln!(out, "{}", line(&view))?,
            Event::Gap(gap) => {
                writeln!(
                    err,
                    "sshlog: gap at byte {}: {} bytes, {} frames: {}",
                    gap.offset, gap.bytes, gap.frames, gap.fault
                )?;
            }
            _ => {}
        }
        Ok(())
    })?;
    conclude(&judged, &source.keys, out, err)
}

/// One record as JSON without line ends and without characters that a terminal acts on.
pub(super) fn line(view: &RecordView<'_>) -> String {
    let mut object = Map::new();
    object.insert("t_us".into(), view.t_us.into());
    object.insert("channel".into(), view.channel.into());
    object.insert("kind".into(), kind_name(view.kind).into());
    if kind_name(view.kind) == "unknown" {
        object.insert("kind_number".into(), view.kind.into());
    }
    view.record.fields(&mut |_, name, value| {
        let json: Json = match value {
            Value::Uint(number) => number.into(),
            Value::Named(_, word) => word.into(),
            Value::Int(number) => number.into(),
            Value::Bool(flag) => flag.into(),
            Value::Text(text) => text.into(),
            Value::TextList(texts) => texts.to_vec().into(),
            Value::Bytes(bytes) => {
                if std::str::from_utf8(bytes).is_err() {
                    object.insert(
                        format!("{name}_base64"),
                        Base64::encode_string(bytes).into(),
                    );
                }
                String::from_utf8_lossy(bytes).into()
            }
            Value::Cbor(item) => item.to_string().into(),
            _ => Json::Null,
        };
        object.insert(name.into(), json);
    });
    escape_json(&Json::Object(object).to_string())
}
