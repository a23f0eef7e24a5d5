//! Key files: what is written is read, and nothing else is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::*;
use proptest::prelude::*;
use session_log::{Identity, Kem, KeyFileError, Recipient};

#[test]
fn both_halves_round_trip_for_both_mechanisms() {
    for kem in [Kem::XWing, Kem::X25519] {
        let identity = identity(kem);
        let text = identity.to_text();
        let again = Identity::from_text(&text).unwrap();
        assert_eq!(again.to_text(), text);
        assert!(text.contains(kem.name()));
        let public = identity.recipient().to_text();
        let recipient = Recipient::from_text(&public).unwrap();
        assert_eq!(recipient, again.recipient());
        assert_eq!(recipient.key_id(), identity.key_id());
        assert_eq!(
            Recipient::from_text(&public.replace('\n', "\r\n")).unwrap(),
            recipient,
            "line ends of another system"
        );
    }
}

#[test]
fn the_wrong_half_is_named() {
    let identity = identity(Kem::XWing);
    assert_eq!(
        Recipient::from_text(&identity.to_text()),
        Err(KeyFileError::PrivateNotPublic)
    );
    assert_eq!(
        Identity::from_text(&identity.recipient().to_text()).map(|_| ()),
        Err(KeyFileError::PublicNotPrivate)
    );
    assert_eq!(
        Recipient::from_text("hello"),
        Err(KeyFileError::NoBlock {
            expected: "SSHLOG RECIPIENT"
        })
    );
    assert_eq!(
        Recipient::from_text(&" ".repeat(16_385)),
        Err(KeyFileError::TooLarge {
            limit: 16_384,
            got: 16_385
        })
    );
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let public = identity(Kem::X25519).recipient().to_text();
    for len in 0..public.trim_end().len() {
        assert!(
            Recipient::from_text(&public[..len]).is_err(),
            "cut at {len}"
        );
    }
}

#[test]
fn secrets_have_no_textual_form_but_the_one_that_is_asked_for() {
    let identity = identity(Kem::X25519);
    assert_eq!(format!("{identity:?}"), "Identity { kem: X25519, .. }");
    assert_eq!(format!("{:?}", signer()), "SigningIdentity { .. }");
    let writer = writer(session_log::WriterPolicy::default());
    assert_eq!(
        format!("{writer:?}"),
        "Writer { log_id: LogId(07070707070707070707070707070707), .. }"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_mistyped_key_is_refused(at in 0usize..200, to in prop::char::range('!', '~')) {
        let public = identity(Kem::X25519).recipient().to_text();
        let begin = public.find("-----BEGIN").unwrap();
        let at = begin + at % (public.len() - begin - 1);
        let mut bent = public.clone();
        bent.replace_range(at..=at, &to.to_string());
        prop_assume!(bent != public);
        prop_assert!(Recipient::from_text(&bent).is_err(), "{}", bent);
    }
}

#[test]
fn lines_may_be_of_any_length_with_blanks_around_them_and_only_the_first_block_counts() {
    let text = identity(Kem::X25519).recipient().to_text();
    let other = identity(Kem::XWing).recipient().to_text();
    let genuine = Recipient::from_text(&text).unwrap();
    let in_block = |line: &str| !line.starts_with("-----") && !line.contains(": ");
    let base64: String = text.lines().filter(|line| in_block(line)).collect();
    let block = |inner: &str| {
        format!("-----BEGIN SSHLOG RECIPIENT-----\n{inner}\n-----END SSHLOG RECIPIENT-----\n")
    };
    let (half, rest) = base64.split_at(base64.len() / 2);
    for good in [
        block(&base64),
        block(&format!("  {half}\t\r\n\r\n {rest} ")),
        format!("{text}{other}"),
    ] {
        assert_eq!(Recipient::from_text(&good).as_ref(), Ok(&genuine), "{good}");
    }
    for bad in [
        block(&format!("{half} {rest}")),
        block(&format!("{half}\n-{rest}")),
        block(base64.trim_end_matches('=')),
    ] {
        let refused = Recipient::from_text(&bad);
        assert_eq!(refused, Err(KeyFileError::Damaged), "{bad}");
    }
    let private = identity(Kem::X25519).to_text();
    let both = format!("{}{}", *private, other);
    let refused = Identity::from_text(&both).map(|_| ());
    assert_eq!(refused, Err(KeyFileError::PublicNotPrivate));
}
