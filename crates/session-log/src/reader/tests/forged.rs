//! Logs of somebody who holds the identity key, but came too late for the keys that were erased.

use alloc::format;

use super::liar::{Liar, signer};
use super::*;
use crate::checkpoint::OpenKind;
use crate::header::PreviousState;

/// Verdict of a reader with the key who trusts the identity.
fn judge(bytes: &[u8], mode: ReadMode) -> Verdict {
    let trusted = format!("proxy {}", signer().public_key_openssh());
    let mut reader = Reader::new(ReaderConfig {
        identities: vec![identity(1)],
        signers: Some(Signers::from_text(&trusted).expect("signers")),
        mode,
        ..ReaderConfig::default()
    });
    reader.push(bytes);
    reader.finish();
    while reader.poll().is_some() {}
    reader.verdict()
}

/// Fault in strict mode; in salvage it is at least no good log.
fn refused(bytes: &[u8]) -> Option<Fault> {
    assert!(!judge(bytes, ReadMode::Salvage).is_good());
    match judge(bytes, ReadMode::Strict).integrity {
        Integrity::Tampered { why, .. } => Some(why),
        _ => None,
    }
}

#[test]
fn a_later_segment_stands_on_its_predecessor_and_not_on_the_identity_key() {
    let identities = [identity(1)];
    let first = Liar::new(&identities, None)
        .content(&RECORD)
        .checkpoint(CheckpointKind::Rotated, 9);
    let with = |kind, seed| {
        let next = first
            .next(&identities, kind, seed)
            .content(&RECORD)
            .content(&RECORD)
            .end();
        [&first.bytes[..], &next.bytes].concat()
    };
    let honest = judge(&with(OpenKind::Continued, 9), ReadMode::Strict);
    assert!(honest.is_good(), "{honest:?}");
    assert_eq!(
        refused(&with(OpenKind::Identity, 66)),
        Some(Fault::SegmentNotContinued),
        "a key of the forger's own, signed by the trusted one"
    );
    assert_eq!(
        refused(&with(OpenKind::Identity, 9)),
        Some(Fault::Open),
        "even the named key is opened by itself only"
    );
    assert_eq!(
        refused(&with(OpenKind::Continued, 66)),
        Some(Fault::SegmentNotContinued)
    );
}

#[test]
fn a_segment_without_opening_behind_a_lost_one_is_unsigned() {
    let identities = [identity(1)];
    let first = Liar::new(&identities, None)
        .content(&RECORD)
        .checkpoint(CheckpointKind::Rotated, 9);
    let lost = first
        .next(&identities, OpenKind::Continued, 9)
        .checkpoint(CheckpointKind::Rotated, 10);
    let forged = lost.next(&identities, OpenKind::Continued, 66);
    let header = forged.bytes.len();
    let forged = forged.content(&RECORD).end();
    let open_at = forged.bytes[..header]
        .windows(3)
        .position(|bytes| bytes == [0xc5, 0x5c, 0x10])
        .expect("OPEN");
    let bytes = [
        &first.bytes[..],
        &forged.bytes[..open_at],
        &forged.bytes[header..],
    ]
    .concat();
    let verdict = judge(&bytes, ReadMode::Salvage);
    assert_eq!(verdict.authenticity, Authenticity::Unsigned);
    assert!(!verdict.is_good());
}

#[test]
fn a_segment_says_truly_how_the_one_before_it_ended() {
    let identities = [identity(1)];
    for (state, good) in [
        (PreviousState::Rotated, true),
        (PreviousState::Clean, false),
        (PreviousState::Recovered, false),
    ] {
        let mut first = Liar::new(&identities, None).checkpoint(CheckpointKind::Rotated, 9);
        first.state = state;
        let next = first.next(&identities, OpenKind::Continued, 9).end();
        let bytes = [&first.bytes[..], &next.bytes].concat();
        if good {
            assert!(judge(&bytes, ReadMode::Strict).is_good());
        } else {
            // A recovered segment may stand here, but not opened by the segment before.
            let fault = match state {
                PreviousState::Recovered => Fault::Open,
                _ => Fault::SegmentNotContinued,
            };
            assert_eq!(refused(&bytes), Some(fault), "{state:?}");
        }
    }
}
