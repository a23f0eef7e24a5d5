//! Deterministic CBOR (RFC 8949 section 4.2) over `minicbor`: one check for shape and depth, then plain decoding.

use alloc::vec::Vec;

use minicbor::data::Type;
use minicbor::encode::Write;
use minicbor::{Decoder, Encoder};

use crate::limits::MAX_CBOR_DEPTH;

/// The bytes are not the one deterministic encoding of what this format allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl From<minicbor::decode::Error> for Malformed {
    fn from(_: minicbor::decode::Error) -> Malformed {
        Malformed
    }
}

/// Checks one item that begins at the decoder's position and moves past it.
///
/// Allowed: integers, byte and text strings, arrays, maps with ascending keys, booleans, null; shortest heads, definite lengths, at most
/// [`MAX_CBOR_DEPTH`] levels. Work is linear in the bytes, and nothing is allocated.
pub(crate) fn check_item(decoder: &mut Decoder<'_>) -> Result<(), Malformed> {
    check_at_depth(decoder, MAX_CBOR_DEPTH)
}

/// Checks that the bytes are exactly one item.
pub(crate) fn check_whole(bytes: &[u8]) -> Result<(), Malformed> {
    let mut decoder = Decoder::new(bytes);
    check_item(&mut decoder)?;
    if decoder.position() == bytes.len() {
        Ok(())
    } else {
        Err(Malformed)
    }
}

fn check_at_depth(decoder: &mut Decoder<'_>, depth: u8) -> Result<(), Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    let start = decoder.position();
    match decoder.datatype()? {
        Type::Bool => {
            decoder.bool()?;
            Ok(())
        }
        Type::Null => {
            decoder.null()?;
            Ok(())
        }
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => {
            let value = decoder.u64()?;
            check_head(decoder, start, value, 0)
        }
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            let value = i128::from(decoder.int()?);
            let argument = u64::try_from(-1 - value).map_err(|_| Malformed)?;
            check_head(decoder, start, argument, 0)
        }
        Type::Bytes => {
            let len = decoder.bytes()?.len();
            check_head(decoder, start, len as u64, len)
        }
        Type::String => {
            let len = decoder.str()?.len();
            check_head(decoder, start, len as u64, len)
        }
        Type::Array => {
            let len = decoder.array()?.ok_or(Malformed)?;
            check_head(decoder, start, len, 0)?;
            for _ in 0..len {
                check_at_depth(decoder, depth)?;
            }
            Ok(())
        }
        Type::Map => {
            let len = decoder.map()?.ok_or(Malformed)?;
            check_head(decoder, start, len, 0)?;
            let mut previous: &[u8] = &[];
            for _ in 0..len {
                let key_start = decoder.position();
                check_at_depth(decoder, depth)?;
                let key = decoder
                    .input()
                    .get(key_start..decoder.position())
                    .ok_or(Malformed)?;
                if key <= previous {
                    return Err(Malformed);
                }
                previous = key;
                check_at_depth(decoder, depth)?;
            }
            Ok(())
        }
        _ => Err(Malformed),
    }
}

/// The head took no more bytes than its argument needs (RFC 8949 section 4.2.1).
fn check_head(
    decoder: &Decoder<'_>,
    start: usize,
    argument: u64,
    payload: usize,
) -> Result<(), Malformed> {
    let head = decoder
        .position()
        .saturating_sub(start)
        .saturating_sub(payload);
    if head == head_len(argument) {
        Ok(())
    } else {
        Err(Malformed)
    }
}

/// Bytes that a head with this argument takes.
pub(crate) fn head_len(argument: u64) -> usize {
    match argument {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Encodes into anything that cannot fail to take bytes.
pub(crate) trait Sink: Write<Error = core::convert::Infallible> {}
impl<W: Write<Error = core::convert::Infallible>> Sink for W {}

/// Runs the steps; encoding into memory has no error to report.
pub(crate) fn encode<W: Sink, T>(
    sink: W,
    steps: impl FnOnce(&mut Encoder<W>) -> Result<T, minicbor::encode::Error<core::convert::Infallible>>,
) -> W {
    let mut encoder = Encoder::new(sink);
    // The only error an encoder makes itself comes from types with custom encodings; only built-in ones are used here.
    let done = steps(&mut encoder).is_ok();
    debug_assert!(done, "encoding built-in types into memory");
    encoder.into_writer()
}

/// Encodes into a new vector.
pub(crate) fn encode_vec<T>(
    steps: impl FnOnce(
        &mut Encoder<Vec<u8>>,
    ) -> Result<T, minicbor::encode::Error<core::convert::Infallible>>,
) -> Vec<u8> {
    encode(Vec::new(), steps)
}

/// Counts bytes instead of keeping them.
#[derive(Default)]
pub(crate) struct Counter(pub(crate) usize);

impl Write for Counter {
    type Error = core::convert::Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0 += bytes.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deterministic_items_pass_and_every_other_encoding_fails() {
        let good: [&[u8]; 9] = [
            &[0x00],
            &[0x18, 0x18],
            &[0x20],
            &[0x43, 1, 2, 3],
            &[0x61, b'a'],
            &[0x82, 0x01, 0x02],
            &[0xa2, 0x01, 0x02, 0x02, 0x03],
            &[0xf5],
            &[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ];
        for bytes in good {
            assert_eq!(check_whole(bytes), Ok(()), "{bytes:02x?}");
        }
        let bad: [(&str, &[u8]); 13] = [
            ("nothing", &[]),
            ("long integer head", &[0x18, 0x17]),
            ("long text head", &[0x78, 0x01, b'a']),
            ("long array head", &[0x98, 0x01, 0x00]),
            ("indefinite array", &[0x9f, 0xff]),
            ("indefinite bytes", &[0x5f, 0xff]),
            ("keys out of order", &[0xa2, 0x02, 0x00, 0x01, 0x00]),
            ("key twice", &[0xa2, 0x01, 0x00, 0x01, 0x00]),
            ("float", &[0xf9, 0x00, 0x00]),
            ("tag", &[0xc0, 0x00]),
            ("not UTF-8", &[0x61, 0xff]),
            ("trailing byte", &[0x00, 0x00]),
            (
                "4 GiB of bytes announced",
                &[0x5a, 0xff, 0xff, 0xff, 0xff, 0x00],
            ),
        ];
        for (why, bytes) in bad {
            assert_eq!(check_whole(bytes), Err(Malformed), "{why}");
        }
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |levels: usize| {
            let mut bytes = alloc::vec![0x81u8; levels - 1];
            bytes.push(0x00);
            bytes
        };
        assert_eq!(check_whole(&nested(usize::from(MAX_CBOR_DEPTH))), Ok(()));
        assert_eq!(
            check_whole(&nested(usize::from(MAX_CBOR_DEPTH) + 1)),
            Err(Malformed)
        );
        assert_eq!(check_whole(&nested(1_000_000)), Err(Malformed));
    }
}
