//! Places that lead out of the segment or of the log.

use alloc::vec;
use alloc::vec::Vec;

use super::{SeekTo, Seeker, Step};
use crate::error::SeekError;
use crate::index::{Index, Place, SegmentPlace, Trailer};
use crate::keyfile::Identity;
use crate::reader::{Event, Reader, ReaderConfig};

const LOG: &[u8] = include_bytes!("../../testkit/good-rotated.sslg");

fn seeker() -> Seeker {
    let text = include_str!("../../testkit/identity-x25519");
    let config = ReaderConfig {
        identities: vec![Identity::from_text(text).unwrap()],
        ..ReaderConfig::default()
    };
    Seeker::new(config, LOG.len() as u64, SeekTo::Time { t_us: 1_000 })
}

/// Gives the seeker what it asks for, until it found the place or refuses.
fn seek(mut seeker: Seeker, log: &[u8]) -> Result<(), SeekError> {
    while let Some(wanted) = seeker.poll_wanted() {
        let start = usize::try_from(wanted.offset).unwrap_or(usize::MAX);
        let bytes = log.get(start..).unwrap_or_default();
        seeker.handle_bytes(&bytes[..bytes.len().min(wanted.bytes as usize)])?;
    }
    let sought = seeker.into_sought().unwrap();
    let mut reader = sought.reader;
    reader.push(log.get(usize::try_from(sought.offset).unwrap()..).unwrap());
    reader.finish();
    while reader.poll().is_some() {}
    Ok(())
}

/// Every segment's first byte, and every frame's.
fn offsets() -> Vec<u64> {
    let mut reader = Reader::default();
    reader.push(LOG);
    reader.finish();
    let mut offsets = vec![0, 1, LOG.len() as u64 - 24, LOG.len() as u64];
    while let Some(event) = reader.poll() {
        match event {
            Event::Segment(segment) => offsets.push(segment.offset),
            Event::Frame(frame) => offsets.push(frame.offset),
            _ => {}
        }
    }
    offsets.extend([u64::MAX, u64::MAX - 40, 1 << 63]);
    offsets
}

#[test]
fn a_trailer_leads_to_the_index_of_its_segment_or_is_refused() {
    let true_trailer = Trailer::parse(&LOG[LOG.len() - Trailer::BYTES..]).unwrap();
    let offsets = offsets();
    let mut led = 0;
    for segment_offset in &offsets {
        for index_offset in &offsets {
            let trailer = Trailer {
                segment_offset: *segment_offset,
                index_offset: *index_offset,
            };
            let log = [&LOG[..LOG.len() - Trailer::BYTES], &trailer.encode()].concat();
            let sought = seek(seeker(), &log);
            if trailer == true_trailer {
                assert_eq!(sought, Ok(()));
                led += 1;
            } else if index_offset < segment_offset {
                assert_eq!(sought, Err(SeekError::Misled), "{trailer:?}");
            }
        }
    }
    assert_eq!(led, 1, "the true one is among them");
}

#[test]
fn an_index_that_leads_out_of_its_segment_or_of_the_log_is_refused() {
    let trailer = Trailer::parse(&LOG[LOG.len() - Trailer::BYTES..]).unwrap();
    let at_last_segment = || {
        let mut seeker = seeker();
        while !matches!(seeker.step, Step::IndexHead) {
            let wanted = seeker.poll_wanted().unwrap();
            let start = usize::try_from(wanted.offset).unwrap();
            let bytes = &LOG[start..start + wanted.bytes as usize];
            seeker.handle_bytes(bytes).unwrap();
        }
        seeker
    };
    for (offset, index_offset) in [(trailer.segment_offset - 1, 0), (0, 0), (0, u64::MAX)] {
        let index = Index {
            segments: vec![SegmentPlace {
                number: 0,
                t_us: 0,
                offset,
                index_offset,
            }],
            ..Index::default()
        };
        let mut seeker = at_last_segment();
        seeker.choose(&index).unwrap();
        assert_eq!(seek(seeker, LOG), Err(SeekError::Misled), "{index:?}");
    }
    for offset in [0, 15, LOG.len() as u64, u64::MAX, u64::MAX - 40] {
        let index = Index {
            places: vec![Place { t_us: 0, offset }],
            ..Index::default()
        };
        let refused = at_last_segment().choose(&index);
        assert_eq!(refused, Err(SeekError::Misled), "{offset}");
    }
}
