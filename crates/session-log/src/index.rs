//! INDEX: where in a log which time is, so that a reader need not begin at the beginning.

use alloc::vec::Vec;

use minicbor::Decoder;

use crate::cbor::{self, check_item, check_whole};
use crate::error::RecordError;
use crate::limits::MAX_INDEX_ENTRIES;

/// A place in a segment at which reading can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Time of the first record there, microseconds since the log began.
    pub t_us: u64,
    /// Byte offset of a frame from the segment's first byte.
    pub offset: u64,
}

/// An earlier segment of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentPlace {
    /// Its number.
    pub number: u32,
    /// When it began, microseconds since the log began.
    pub t_us: u64,
    /// Byte offset of its first byte in the log.
    pub offset: u64,
    /// Byte offset of its INDEX frame in the log.
    pub index_offset: u64,
}

/// What an INDEX frame says. Its segment's writer wrote it, so what it says is as true as the records are; yet a reader that jumps has not seen
/// what lies before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Byte offset of this segment in the log.
    pub segment_offset: u64,
    /// Places in this segment, in ascending order.
    pub places: Vec<Place>,
    /// Earlier segments, in ascending order.
    pub segments: Vec<SegmentPlace>,
}

impl Index {
    /// The last place in this segment that is not after the time.
    #[must_use]
    pub fn place_before(&self, t_us: u64) -> Option<Place> {
        let after = self.places.partition_point(|place| place.t_us <= t_us);
        after
            .checked_sub(1)
            .and_then(|at| self.places.get(at))
            .copied()
    }

    /// The earlier segment that holds the time, when this one begins after it.
    #[must_use]
    pub fn segment_before(&self, t_us: u64) -> Option<SegmentPlace> {
        if self.places.first().is_some_and(|place| place.t_us <= t_us) {
            return None;
        }
        let after = self.segments.partition_point(|place| place.t_us <= t_us);
        after
            .checked_sub(1)
            .and_then(|at| self.segments.get(at))
            .copied()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        cbor::encode_vec(|e| {
            e.map(3)?;
            e.u8(1)?.u64(self.segment_offset)?;
            e.u8(2)?.array(self.places.len() as u64)?;
            for place in &self.places {
                e.array(2)?.u64(place.t_us)?.u64(place.offset)?;
            }
            e.u8(3)?.array(self.segments.len() as u64)?;
            for segment in &self.segments {
                e.array(4)?.u32(segment.number)?.u64(segment.t_us)?;
                e.u64(segment.offset)?.u64(segment.index_offset)?;
            }
            Ok(())
        })
    }

    pub(crate) fn decode(content: &[u8]) -> Result<Index, RecordError> {
        check_whole(content)?;
        let mut d = Decoder::new(content);
        let mut index = Index::default();
        let mut seen = 0;
        for _ in 0..d.map()?.ok_or(RecordError)? {
            match d.u64()? {
                1 => index.segment_offset = d.u64()?,
                2 => {
                    for _ in 0..count(&mut d)? {
                        tuple(&mut d, 2)?;
                        index.places.push(Place {
                            t_us: d.u64()?,
                            offset: d.u64()?,
                        });
                    }
                }
                3 => {
                    for _ in 0..count(&mut d)? {
                        tuple(&mut d, 4)?;
                        index.segments.push(SegmentPlace {
                            number: d.u32()?,
                            t_us: d.u64()?,
                            offset: d.u64()?,
                            index_offset: d.u64()?,
                        });
                    }
                }
                _ => {
                    check_item(&mut d)?;
                    continue;
                }
            }
            seen += 1;
        }
        let ascending = index
            .places
            .is_sorted_by(|a, b| a.offset < b.offset && a.t_us <= b.t_us)
            && index
                .segments
                .is_sorted_by(|a, b| a.number < b.number && a.t_us <= b.t_us);
        if seen == 3 && ascending {
            Ok(index)
        } else {
            Err(RecordError)
        }
    }
}

fn count(d: &mut Decoder<'_>) -> Result<u64, RecordError> {
    d.array()?
        .filter(|count| *count <= MAX_INDEX_ENTRIES as u64)
        .ok_or(RecordError)
}

fn tuple(d: &mut Decoder<'_>, len: u64) -> Result<(), RecordError> {
    if d.array()? == Some(len) {
        Ok(())
    } else {
        Err(RecordError)
    }
}

/// Keeps every entry, or evenly spread ones when there are more than an INDEX takes.
pub(crate) struct Thinned<T> {
    entries: Vec<T>,
    /// Every so many are kept.
    stride: u64,
    seen: u64,
}

impl<T> Thinned<T> {
    pub(crate) fn new() -> Thinned<T> {
        Thinned {
            entries: Vec::new(),
            stride: 1,
            seen: 0,
        }
    }

    pub(crate) fn push(&mut self, entry: T) {
        if self.seen.is_multiple_of(self.stride) {
            if self.entries.len() == MAX_INDEX_ENTRIES {
                let mut position = 0u64;
                self.entries.retain(|_| {
                    position += 1;
                    position % 2 == 1
                });
                self.stride = self.stride.saturating_mul(2);
            }
            if self.seen.is_multiple_of(self.stride) {
                self.entries.push(entry);
            }
        }
        self.seen += 1;
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.entries
    }
}

/// Length of the trailer, bytes.
pub(crate) const TRAILER_BYTES: usize = 24;
const TRAILER_MARK: [u8; 8] = *b"SSLGIDX1";

/// The last bytes of a log with an INDEX: where its last segment and that segment's INDEX frame are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Byte offset of the last segment.
    pub segment_offset: u64,
    /// Byte offset of its INDEX frame.
    pub index_offset: u64,
}

impl Trailer {
    /// Length of the trailer, bytes.
    pub const BYTES: usize = TRAILER_BYTES;

    /// Whether bytes are those of some trailer, as far as they go.
    pub(crate) fn may_begin(bytes: &[u8]) -> bool {
        let mark = bytes.get(..TRAILER_MARK.len()).unwrap_or(bytes);
        TRAILER_MARK.starts_with(mark)
    }

    pub(crate) fn encode(&self) -> [u8; TRAILER_BYTES] {
        let mut out = [0; TRAILER_BYTES];
        let (mark, rest) = out.split_at_mut(8);
        mark.copy_from_slice(&TRAILER_MARK);
        let (segment, index) = rest.split_at_mut(8);
        segment.copy_from_slice(&self.segment_offset.to_be_bytes());
        index.copy_from_slice(&self.index_offset.to_be_bytes());
        out
    }

    /// Reads the last [`Self::BYTES`] of a log. A hint that nothing vouches for: where it leads must prove itself.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Trailer> {
        let rest: &[u8; 16] = bytes.strip_prefix(&TRAILER_MARK)?.try_into().ok()?;
        let (segment, index) = rest.split_at(8);
        Some(Trailer {
            segment_offset: u64::from_be_bytes(segment.try_into().ok()?),
            index_offset: u64::from_be_bytes(index.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_comes_back_and_finds_places_and_segments() {
        let index = Index {
            segment_offset: 1_000,
            places: [(50, 700), (60, 900)]
                .map(|(t_us, offset)| Place { t_us, offset })
                .to_vec(),
            segments: [(0, 0, 0, 400), (1, 20, 500, 900)]
                .map(|(number, t_us, offset, index_offset)| SegmentPlace {
                    number,
                    t_us,
                    offset,
                    index_offset,
                })
                .to_vec(),
        };
        let bytes = index.encode();
        assert_eq!(Index::decode(&bytes), Ok(index.clone()));
        for len in 0..bytes.len() {
            assert!(Index::decode(&bytes[..len]).is_err(), "{len}");
        }
        assert_eq!(index.place_before(59).map(|place| place.offset), Some(700));
        assert_eq!(index.place_before(49), None);
        assert_eq!(index.segment_before(49).map(|s| s.number), Some(1));
        assert_eq!(index.segment_before(19).map(|s| s.number), Some(0));
        assert_eq!(index.segment_before(50), None);
    }

    #[test]
    fn places_stay_few_and_evenly_spread() {
        let mut thinned = Thinned::new();
        for n in 0..10_000u32 {
            thinned.push(n);
            assert!(thinned.as_slice().len() <= MAX_INDEX_ENTRIES);
        }
        let kept = thinned.as_slice();
        assert!(kept.len() > MAX_INDEX_ENTRIES / 2);
        assert!(kept.windows(2).all(|pair| pair[1] - pair[0] == 64));
    }
}
