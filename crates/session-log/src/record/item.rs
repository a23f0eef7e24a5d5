//! CBOR that this version only passes on, in a form for people.

use core::fmt;

use minicbor::Decoder;
use minicbor::data::Type;

/// One CBOR item. Its `Display` is the diagnostic notation of RFC 8949 section 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CborItem<'a>(pub(crate) &'a [u8]);

impl<'a> CborItem<'a> {
    /// The encoded item.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Display for CborItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_item(&mut Decoder::new(self.0), f).unwrap_or_else(|Broken| f.write_str("…"))
    }
}

/// The item is not what the reader's check lets through.
struct Broken;

impl From<minicbor::decode::Error> for Broken {
    fn from(_: minicbor::decode::Error) -> Broken {
        Broken
    }
}

/// Nesting is bounded: every item comes through the reader's or the writer's check.
fn write_item(d: &mut Decoder<'_>, f: &mut fmt::Formatter<'_>) -> Result<fmt::Result, Broken> {
    Ok(match d.datatype()? {
        Type::Bool => write!(f, "{}", d.bool()?),
        Type::Null => {
            d.null()?;
            f.write_str("null")
        }
        Type::Bytes => {
            let bytes = d.bytes()?;
            f.write_str("h'")
                .and_then(|()| bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")))
                .and_then(|()| f.write_str("'"))
        }
        Type::String => write!(f, "{:?}", d.str()?),
        Type::Array => {
            let len = d.array()?.ok_or(Broken)?;
            write_list(d, f, len, ("[", "]"), false)?
        }
        Type::Map => {
            let len = d.map()?.ok_or(Broken)?;
            write_list(d, f, len, ("{", "}"), true)?
        }
        _ => write!(f, "{}", i128::from(d.int()?)),
    })
}

fn write_list(
    d: &mut Decoder<'_>,
    f: &mut fmt::Formatter<'_>,
    len: u64,
    (open, close): (&str, &str),
    pairs: bool,
) -> Result<fmt::Result, Broken> {
    let mut result = f.write_str(open);
    for i in 0..len {
        if i > 0 {
            result = result.and_then(|()| f.write_str(", "));
        }
        let first = write_item(d, f)?;
        result = result.and(first);
        if pairs {
            result = result.and_then(|()| f.write_str(": "));
            let second = write_item(d, f)?;
            result = result.and(second);
        }
    }
    Ok(result.and_then(|()| f.write_str(close)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn diagnostic_notation_shows_every_type() {
        let bytes = [
            0xa3, 0x01, 0x84, 0x20, 0xf5, 0xf6, 0x42, 0x00, 0xff, 0x02, 0x62, b'a', b'"', 0x61,
            b'k', 0x80,
        ];
        let text = r#"{1: [-1, true, null, h'00ff'], 2: "a\"", "k": []}"#;
        assert_eq!(CborItem(&bytes).to_string(), text);
        for len in 0..bytes.len() {
            let cut = CborItem(&bytes[..len]).to_string();
            assert!(cut.ends_with('…'), "{cut}");
        }
    }
}
