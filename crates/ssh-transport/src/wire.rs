//! The data types of RFC 4251 section 5, read without copying and written into a `Vec<u8>`.

use alloc::vec::Vec;

use crate::error::{Error, PeerMisbehaved};
use crate::limits::MAX_NAME_LIST_BYTES;

/// A message that does not have the form its number promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Self {
        Self::PeerMisbehaved(PeerMisbehaved::MalformedMessage)
    }
}

/// A cursor over a message. Every method takes from the front or fails without reading past the end.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.take(1)?.first().copied().ok_or(Malformed)
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, Malformed> {
        // RFC 4251 section 5: all non-zero values are TRUE.
        Ok(self.u8()? != 0)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        let bytes: [u8; 4] = self.take(4)?.try_into().map_err(|_| Malformed)?;
        Ok(u32::from_be_bytes(bytes))
    }

    pub(crate) fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        self.take(len)
    }

    /// A `string` that must be US-ASCII without control characters, as names are.
    pub(crate) fn name(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.string()?;
        if bytes.iter().all(|b| b.is_ascii_graphic()) {
            core::str::from_utf8(bytes).map_err(|_| Malformed)
        } else {
            Err(Malformed)
        }
    }

    /// A `name-list` within [`MAX_NAME_LIST_BYTES`].
    pub(crate) fn name_list(&mut self) -> Result<&'a str, Malformed> {
        let list = self.name()?;
        if list.len() > MAX_NAME_LIST_BYTES {
            return Err(Malformed);
        }
        Ok(list)
    }

    /// An `mpint` that is positive, as its magnitude without leading zeros.
    pub(crate) fn positive_mpint(&mut self) -> Result<&'a [u8], Malformed> {
        positive_magnitude(self.string()?)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn remaining(&self) -> usize {
        self.0.len()
    }

    /// Fails when bytes are left: nothing may hide behind a message.
    pub(crate) fn finish(self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

/// The magnitude without leading zeros of an `mpint` of these bytes, which must be positive.
pub(crate) fn positive_magnitude(bytes: &[u8]) -> Result<&[u8], Malformed> {
    match bytes {
        [] => Err(Malformed),
        [0, rest @ ..] if rest.first().is_some_and(|b| b & 0x80 != 0) => Ok(rest),
        // A needless leading zero, or a negative number.
        [0, ..] | [0x80..=0xff, ..] => Err(Malformed),
        _ => Ok(bytes),
    }
}

/// Appends the data types of RFC 4251.
pub(crate) trait Put {
    fn put_byte(&mut self, value: u8);
    fn put_word(&mut self, value: u32);
    fn put_string(&mut self, value: &[u8]);
    fn put_mpint(&mut self, magnitude: &[u8]);
}

impl Put for Vec<u8> {
    fn put_byte(&mut self, value: u8) {
        self.push(value);
    }

    fn put_word(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_string(&mut self, value: &[u8]) {
        self.put_word(length(value));
        self.extend_from_slice(value);
    }

    fn put_mpint(&mut self, magnitude: &[u8]) {
        let zeros = magnitude.iter().take_while(|b| **b == 0).count();
        let digits = magnitude
            .split_at_checked(zeros)
            .map_or(magnitude, |(_, digits)| digits);
        let pad = digits.first().is_some_and(|b| b & 0x80 != 0);
        self.put_word(length(digits) + u32::from(pad));
        if pad {
            self.push(0);
        }
        self.extend_from_slice(digits);
    }
}

/// The length of a field that this side writes, all of which are far below 4 GiB.
fn length(value: &[u8]) -> u32 {
    u32::try_from(value.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn mpints_match_the_examples_of_rfc_4251() {
        // RFC 4251 section 5, the examples that are not negative.
        let examples: [(&[u8], &[u8]); 3] = [
            (&[0, 0], &[0, 0, 0, 0]),
            (
                &[0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7],
                &[0, 0, 0, 8, 0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7],
            ),
            (&[0x80], &[0, 0, 0, 2, 0, 0x80]),
        ];
        for (magnitude, wire) in examples {
            let mut out = vec![];
            out.put_mpint(magnitude);
            assert_eq!(out, wire);
        }
    }

    #[test]
    fn a_negative_or_padded_mpint_is_refused() {
        for wire in [
            &[0u8, 0, 0, 1, 0x80][..],
            &[0, 0, 0, 2, 0, 1],
            &[0, 0, 0, 1, 0],
            &[0, 0, 0, 0],
        ] {
            assert_eq!(Reader::new(wire).positive_mpint(), Err(Malformed));
        }
    }

    #[test]
    fn a_string_longer_than_the_message_is_refused_at_every_length() {
        for claimed in 1..300u32 {
            let mut bytes = claimed.to_be_bytes().to_vec();
            bytes.extend(core::iter::repeat_n(7, claimed as usize - 1));
            assert_eq!(Reader::new(&bytes).string(), Err(Malformed));
        }
        assert_eq!(Reader::new(&[0xff; 4]).string(), Err(Malformed));
    }
}
