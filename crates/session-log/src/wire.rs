//! The few SSH wire types (RFC 4251 section 5) that signatures and keys are made of.

use alloc::vec::Vec;

/// Bytes being read.
pub(crate) struct Wire<'a>(pub(crate) &'a [u8]);

impl<'a> Wire<'a> {
    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*head))
    }

    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u32()?).ok()?;
        let (string, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(string)
    }

    /// A number that is not negative, in exactly `len` bytes.
    pub(crate) fn mpint(&mut self, len: usize) -> Option<Vec<u8>> {
        let shortest = match self.string()? {
            // A zero byte in front is there for the sign only.
            [0, rest @ ..] if rest.first().is_some_and(|byte| byte & 0x80 != 0) => rest,
            [first, ..] if first & 0x80 != 0 || *first == 0 => return None,
            other => other,
        };
        let mut out = Vec::with_capacity(len);
        out.resize(len.checked_sub(shortest.len())?, 0);
        out.extend_from_slice(shortest);
        Some(out)
    }
}

pub(crate) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

pub(crate) fn put_mpint(out: &mut Vec<u8>, number: &[u8]) {
    let start = number.iter().position(|byte| *byte != 0);
    let digits = start.and_then(|at| number.get(at..)).unwrap_or_default();
    let sign = digits.first().is_some_and(|byte| byte & 0x80 != 0);
    out.extend_from_slice(&((digits.len() + usize::from(sign)) as u32).to_be_bytes());
    if sign {
        out.push(0);
    }
    out.extend_from_slice(digits);
}
