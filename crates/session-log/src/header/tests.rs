use super::*;
use crate::sign::SignatureAlgorithm;

fn parse(bytes: &[u8]) -> Result<Core, CoreFault> {
    Core::parse(Suite::default(), bytes)
}

fn core() -> Core {
    Core {
        log_id: [1; 16],
        segment_no: 0,
        previous: None,
        previous_state: PreviousState::First,
        commitment: [2; 32],
        epoch0_public: PublicKey::from_slice(SignatureAlgorithm::Ed25519, &[3; 32])
            .expect("32 bytes"),
        created_unix_ms: 1_800_000_000_000,
        recipients_digest: Hash::Sha256.of(&[b"r"]),
        content_log2: 20,
    }
}

#[test]
fn core_round_trips_first_and_rotated() {
    assert_eq!(parse(&core().encode()), Ok(core()));
    let later = Core {
        segment_no: 3,
        previous: Some((Hash::Sha256.of(&[b"root"]), 99)),
        previous_state: PreviousState::Rotated,
        ..core()
    };
    assert_eq!(parse(&later.encode()), Ok(later));
}

#[test]
fn core_refuses_every_cut_and_contradictions() {
    let bytes = core().encode();
    for len in 0..bytes.len() {
        assert_eq!(
            parse(&bytes[..len]),
            Err(CoreFault::Malformed),
            "length {len}"
        );
    }
    for contradiction in [
        Core {
            segment_no: 1,
            ..core()
        },
        Core {
            previous_state: PreviousState::Rotated,
            ..core()
        },
        Core {
            previous: Some((Hash::Sha256.of(&[]), 5)),
            ..core()
        },
    ] {
        assert_eq!(
            parse(&contradiction.encode()),
            Err(CoreFault::Malformed),
            "{contradiction:?}"
        );
    }
}

#[test]
fn core_with_an_unknown_critical_key_is_refused_and_a_further_key_is_not() {
    let bytes = core().encode();
    let crit_at = bytes
        .windows(3)
        .position(|w| w == [0x08, 0x80, 0x09])
        .expect("crit");
    let mut critical = bytes.clone();
    critical.splice(crit_at + 1..crit_at + 2, [0x81, 0x18, 0x63]);
    assert_eq!(parse(&critical), Err(CoreFault::UnknownCritical));
    let with = |more: &[u8]| {
        let mut further = bytes.clone();
        further[0] = 0xad;
        further.extend_from_slice(more);
        parse(&further)
    };
    assert_eq!(with(&[0x0d, 0xf5]), Ok(core()));
    assert_eq!(with(&[0x20, 0xf5]), Err(CoreFault::Malformed), "below 0");
    assert_eq!(with(&[0x61, b'x', 0xf5]), Err(CoreFault::Malformed), "text");
}

#[test]
fn core_refuses_remarks_that_are_no_map_and_contents_beyond_the_limit() {
    let bytes = core().encode();
    let tail = bytes.len() - 4;
    assert_eq!(bytes[tail..], [0x0b, 0xa0, 0x0c, 0x14]);
    for (remarks, log2, good) in [
        (0xa0, 0x14, true),
        (0xa0, 0x09, true),
        (0x80, 0x14, false),
        (0xf6, 0x14, false),
        (0x00, 0x14, false),
        (0xa0, 0x15, false),
    ] {
        let mut bent = bytes.clone();
        bent[tail + 1] = remarks;
        bent[tail + 3] = log2;
        assert_eq!(parse(&bent).is_ok(), good, "{remarks:02x} {log2:02x}");
    }
}

#[test]
fn preamble_refuses_each_fault_by_name() {
    let good = Preamble {
        suite: Suite::default(),
        core_len: 200,
        wraps_len: 1_300,
    };
    let bytes = good.encode();
    assert_eq!(Preamble::parse(&bytes), Ok(good));
    let with = |at: usize, value: u8| {
        let mut bytes = bytes;
        bytes[at] = value;
        Preamble::parse(&bytes)
    };
    assert_eq!(with(0, 0x09), Err(PreambleFault::Magic));
    assert_eq!(with(8, 2), Err(PreambleFault::Version(2)));
    assert_eq!(with(10, 0x77), Err(PreambleFault::Suite(0x7702)));
    assert_eq!(with(12, 0xff), Err(PreambleFault::Limit));
    assert_eq!(with(16, 0xff), Err(PreambleFault::Limit));
}
