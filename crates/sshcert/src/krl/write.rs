//! To bytes. Equal lists give equal bytes, in whatever order they were filled.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::{
    FORMAT_VERSION, Krl, KrlExtension, MAGIC, MAX_BITMAP_BYTES, RevokedCertificates,
    certificate_section, section,
};
use crate::wire::{put_mpint, put_string};

/// The most serial numbers that one bitmap spans.
const MAX_BITMAP_BITS: u64 = MAX_BITMAP_BYTES as u64 * 8;
/// What a section costs before its content, in bytes: its type and its length.
const SECTION_BYTES: u64 = 5;

impl Krl {
    /// Writes the list in the binary format (PROTOCOL.krl), as `RevokedKeys` takes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT_VERSION.to_be_bytes());
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.generated.to_be_bytes());
        out.extend_from_slice(&0u64.to_be_bytes()); // flags
        put_string(&mut out, b""); // reserved
        put_string(&mut out, self.comment.as_bytes());
        for (authority, revoked) in &self.certificates {
            let mut body = Vec::new();
            put_string(&mut body, authority);
            put_string(&mut body, b""); // reserved
            revoked.write(&mut body);
            put_section(&mut out, section::CERTIFICATES, &body);
        }
        put_strings(&mut out, section::EXPLICIT_KEY, self.keys.iter());
        put_strings(&mut out, section::FINGERPRINT_SHA1, self.sha1.iter());
        put_strings(&mut out, section::FINGERPRINT_SHA256, self.sha256.iter());
        put_extensions(&mut out, section::EXTENSION, &self.extensions);
        out
    }
}

impl RevokedCertificates {
    fn write(&self, out: &mut Vec<u8>) {
        let mut single = Vec::new();
        for cluster in clusters(self.serials.iter()) {
            write_cluster(out, &mut single, &cluster);
        }
        if !single.is_empty() {
            put_section(out, certificate_section::SERIAL_LIST, &single);
        }
        put_strings(out, certificate_section::KEY_ID, self.key_ids.iter());
        put_extensions(out, certificate_section::EXTENSION, &self.extensions);
    }
}

/// Ranges that are short, and near enough to each other, for one bitmap to take less than a section for each.
fn clusters(ranges: impl Iterator<Item = RangeInclusive<u64>>) -> Vec<Vec<RangeInclusive<u64>>> {
    let mut clusters: Vec<Vec<RangeInclusive<u64>>> = Vec::new();
    // More bits than this, set or not, take more than a section of first and last.
    let most_bits = (SECTION_BYTES + 16) * 8;
    let is_short = |range: &RangeInclusive<u64>| range.end() - range.start() <= most_bits;
    for range in ranges {
        if let Some(cluster) = clusters.last_mut()
            && let (Some(first), Some(last)) = (cluster.first(), cluster.last())
            && is_short(last)
            && is_short(&range)
            && range.start() - last.end() <= most_bits
            && range.end() - first.start() < MAX_BITMAP_BITS
        {
            cluster.push(range);
        } else {
            clusters.push(vec![range]);
        }
    }
    clusters
}

/// As a bitmap, or each range by itself: one or two numbers into the list, more as first and last.
fn write_cluster(out: &mut Vec<u8>, single: &mut Vec<u8>, cluster: &[RangeInclusive<u64>]) {
    let (Some(first), Some(last)) = (cluster.first(), cluster.last()) else {
        return;
    };
    let apart: u64 = cluster
        .iter()
        .map(|range| match range.end() - range.start() {
            more @ 0..=1 => 8 * (more + 1),
            _ => SECTION_BYTES + 16,
        })
        .sum();
    let span = last.end() - first.start();
    if span < MAX_BITMAP_BITS && SECTION_BYTES + 8 + 4 + 1 + span / 8 + 1 < apart {
        return put_bitmap(out, *first.start(), span, cluster);
    }
    for range in cluster {
        if range.end() - range.start() <= 1 {
            for serial in range.clone() {
                single.extend_from_slice(&serial.to_be_bytes());
            }
        } else {
            let mut body = range.start().to_be_bytes().to_vec();
            body.extend_from_slice(&range.end().to_be_bytes());
            put_section(out, certificate_section::SERIAL_RANGE, &body);
        }
    }
}

/// Bit N of a positive `mpint` stands for the serial number `offset + N`.
fn put_bitmap(out: &mut Vec<u8>, offset: u64, span: u64, cluster: &[RangeInclusive<u64>]) {
    let mut bits = vec![0u8; (span / 8 + 1) as usize];
    for serial in cluster.iter().flat_map(Clone::clone) {
        let bit = serial - offset;
        if let Some(byte) = bits.get_mut((bit / 8) as usize) {
            *byte |= 1 << (bit % 8);
        }
    }
    bits.reverse();
    let mut body = offset.to_be_bytes().to_vec();
    put_mpint(&mut body, &bits);
    put_section(out, certificate_section::SERIAL_BITMAP, &body);
}

fn put_section(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    out.push(kind);
    put_string(out, body);
}

/// A section for each, none of them critical: such are not read.
fn put_extensions(out: &mut Vec<u8>, kind: u8, extensions: &[KrlExtension]) {
    for extension in extensions {
        let mut body = Vec::new();
        put_string(&mut body, &extension.name);
        body.push(0); // not critical
        put_string(&mut body, &extension.contents);
        put_section(out, kind, &body);
    }
}

/// A section of strings, left out when there is none.
fn put_strings<S: AsRef<[u8]>>(out: &mut Vec<u8>, kind: u8, strings: impl Iterator<Item = S>) {
    let mut body = Vec::new();
    for string in strings {
        put_string(&mut body, string.as_ref());
    }
    if !body.is_empty() {
        put_section(out, kind, &body);
    }
}
