//! What somebody without any key can do to a log: change, cut, move and repeat its bytes.

mod ends;
mod frames;
mod headers;

use core::ops::Range;

use super::whole::{Session, broken_and_recovered, plain, rotated, short};
use super::*;
use crate::header::PREAMBLE_BYTES;

/// Byte ranges of the frames of the log, read without any check but lengths.
fn frames(log: &[u8]) -> Vec<Range<usize>> {
    let len = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().expect("4 bytes")) as usize;
    let mut at = PREAMBLE_BYTES + len(12) + len(16);
    let mut frames = Vec::new();
    while log.get(at..at + 2) == Some(&[0xc5, 0x5c]) {
        let end = at + 24 + len(at + 4);
        frames.push(at..end);
        at = end;
    }
    frames
}

fn core_range(log: &[u8]) -> Range<usize> {
    let len = u32::from_be_bytes(log[12..16].try_into().expect("4 bytes")) as usize;
    PREAMBLE_BYTES..PREAMBLE_BYTES + len
}

fn wraps_range(log: &[u8]) -> Range<usize> {
    let len = u32::from_be_bytes(log[16..20].try_into().expect("4 bytes")) as usize;
    let start = core_range(log).end;
    start..start + len
}

fn set(log: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut log = log.to_vec();
    log[at..at + bytes.len()].copy_from_slice(bytes);
    log
}

fn flip(log: &[u8], at: usize) -> Vec<u8> {
    set(log, at, &[log[at] ^ 1])
}

fn splice(log: &[u8], range: Range<usize>, with: &[u8]) -> Vec<u8> {
    let mut log = log.to_vec();
    log.splice(range, with.iter().copied());
    log
}

/// Replaces a part of the core or the wraps, and the length that stands for it.
fn replace(log: &[u8], whole: Range<usize>, length_at: usize, from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = log[whole.clone()]
        .windows(from.len())
        .position(|window| window == from)
        .expect("it is there")
        + whole.start;
    let changed = splice(log, at..at + from.len(), to);
    let len = (whole.len() + to.len() - from.len()) as u32;
    set(&changed, length_at, &len.to_be_bytes())
}

pub(super) fn add(kit: &mut Kit) {
    let log = plain();
    headers::preamble(kit, &log);
    headers::core(kit, &log);
    headers::wraps(kit, &log);
    frames::frame_headers(kit, &log);
    frames::frame_order(kit, &log);
    frames::signatures(kit, &log);
    ends::ends(kit, &log);
    ends::cuts(kit, &log);
    ends::segments(kit);
    ends::others(kit);
}
