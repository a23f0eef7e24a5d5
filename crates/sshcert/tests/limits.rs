//! Names, spans of time, key ids and options that a certificate cannot have.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::net::IpAddr;
use std::time::Duration;

use common::{NOW, user};
use proptest::prelude::*;
use sshcert::{
    CustomOption, HostValidity, KeyId, KeyIdError, KeyIdParts, MAX_BACKDATE, MAX_HOST_TTL,
    MAX_KEY_ID_BYTES, MAX_PRINCIPALS, MAX_SOURCE_ADDRESSES, MAX_TTL, OptionError, Principals,
    PrincipalsError, Validity, ValidityError,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn principals_are_never_empty_and_hold_no_character_with_a_meaning() {
    let check = |names: &[&str], expected| assert_eq!(Principals::new(names), Err(expected));
    check(&[], PrincipalsError::None);
    check(&[""], PrincipalsError::Empty);
    check(&["a", ""], PrincipalsError::Empty);
    check(&["a", "b", "a"], PrincipalsError::Duplicate);
    for bad in [
        "*", "?", "a,b", "!a", "a b", "a\tb", "a\nb", "a\0", "\"a\"", "rööt", "\u{7f}",
    ] {
        assert!(
            matches!(Principals::one(bad), Err(PrincipalsError::Character { .. })),
            "{bad:?}"
        );
    }
    check(&["ab\0"], PrincipalsError::Character { at: 2 });
    check(
        &[&"a".repeat(256)],
        PrincipalsError::TooLong {
            limit: 255,
            got: 256,
        },
    );
    Principals::one(&"a".repeat(255)).unwrap();

    let many: Vec<String> = (0..=MAX_PRINCIPALS).map(|n| format!("u{n}")).collect();
    assert_eq!(
        Principals::new(&many),
        Err(PrincipalsError::TooMany {
            limit: MAX_PRINCIPALS
        })
    );
    assert_eq!(
        Principals::new(&many[1..]).unwrap().as_slice().len(),
        MAX_PRINCIPALS
    );

    let good = [
        "root",
        "jdoe@example.com",
        "CORP\\jdoe",
        "db-1.example.com",
        "spiffe://a/b",
    ];
    assert_eq!(Principals::new(good).unwrap().as_slice(), good);
}

#[test]
fn validity_runs_from_backdated_start_to_ttl_in_whole_seconds() {
    let now = Duration::from_millis(1_700_000_000_900);
    let validity = Validity::starting(now, 180 * SECOND, 60 * SECOND).unwrap();
    assert_eq!(validity.valid_after(), 1_699_999_940);
    assert_eq!(validity.valid_before(), 1_700_000_180);
    let early = Validity::starting(Duration::ZERO, SECOND, 60 * SECOND).unwrap();
    assert_eq!((early.valid_after(), early.valid_before()), (0, 1));
}

#[test]
fn validity_is_bounded_on_every_side() {
    let starting = |ttl, backdate| Validity::starting(NOW, ttl, backdate);
    assert_eq!(
        starting(Duration::ZERO, SECOND),
        Err(ValidityError::TooShort)
    );
    assert_eq!(
        starting(Duration::from_millis(999), SECOND),
        Err(ValidityError::TooShort)
    );
    starting(MAX_TTL, MAX_BACKDATE).unwrap();
    let limit_secs = MAX_TTL.as_secs();
    assert_eq!(
        starting(MAX_TTL + SECOND, SECOND),
        Err(ValidityError::TooLong {
            limit_secs,
            got_secs: limit_secs + 1
        })
    );
    assert_eq!(
        starting(SECOND, MAX_BACKDATE + SECOND),
        Err(ValidityError::BackdatedTooFar {
            limit_secs: 3600,
            got_secs: 3601
        })
    );
    for now in [u64::MAX, u64::MAX - 1] {
        let late = Validity::starting(Duration::from_secs(now), SECOND, SECOND);
        assert_eq!(
            late,
            Err(ValidityError::Reversed),
            "forever must not come about by counting"
        );
    }
    HostValidity::starting(NOW, MAX_HOST_TTL, SECOND).unwrap();
    assert!(HostValidity::starting(NOW, MAX_HOST_TTL + SECOND, SECOND).is_err());
    assert_eq!(
        Validity::dangerous_between(5, 5),
        Err(ValidityError::Reversed)
    );
    assert_eq!(
        Validity::dangerous_between(6, 5),
        Err(ValidityError::Reversed)
    );
    assert_eq!(Validity::dangerous_forever().valid_before(), u64::MAX);
}

#[test]
fn key_id_is_one_word_whatever_the_identity_is_called() {
    let id = KeyId::new("jdoe@example.com", "5f3a-01", "rule:12").unwrap();
    assert_eq!(
        id.as_str(),
        "identity=jdoe@example.com;session=5f3a-01;decision=rule:12"
    );
    let id = KeyId::new("x (serial 1) CA\n", "a;b=c", "100%").unwrap();
    assert_eq!(
        id.as_str(),
        "identity=x%20%28serial%201%29%20CA%0A;session=a%3Bb%3Dc;decision=100%25"
    );
    assert_eq!(KeyId::new("", "s", "d"), Err(KeyIdError::Empty));
    assert_eq!(KeyId::new("i", "s", ""), Err(KeyIdError::Empty));
    let fixed = "identity=;session=s;decision=d".len();
    KeyId::new(&"a".repeat(MAX_KEY_ID_BYTES - fixed), "s", "d").unwrap();
    assert_eq!(
        KeyId::new(&"a".repeat(MAX_KEY_ID_BYTES - fixed + 1), "s", "d"),
        Err(KeyIdError::TooLong {
            limit: MAX_KEY_ID_BYTES,
            got: MAX_KEY_ID_BYTES + 1
        })
    );
    assert_eq!(
        KeyId::from_text("a b"),
        Err(KeyIdError::Character { at: 1 })
    );
    assert_eq!(KeyId::from_text("é"), Err(KeyIdError::Character { at: 0 }));
    assert_eq!(KeyId::from_text(""), Err(KeyIdError::Empty));
    assert_eq!(KeyId::from_text("host-7").unwrap().to_string(), "host-7");
}

#[test]
fn option_values_that_mean_something_else_are_refused() {
    assert_eq!(user().force_command("").unwrap_err(), OptionError::Empty);
    assert_eq!(
        user().force_command("a\0b").unwrap_err(),
        OptionError::Character { at: 1 }
    );
    assert_eq!(
        user().force_command("a\nb").unwrap_err(),
        OptionError::Character { at: 1 }
    );
    assert_eq!(
        user().force_command(&"a".repeat(4097)).unwrap_err(),
        OptionError::TooLong {
            limit: 4096,
            got: 4097
        }
    );
    let twice = user().force_command("a").unwrap().force_command("b");
    assert_eq!(twice.unwrap_err(), OptionError::Duplicate);

    let none: [IpAddr; 0] = [];
    assert_eq!(user().source_address(none).unwrap_err(), OptionError::Empty);
    let many = vec![IpAddr::from([10, 0, 0, 1]); MAX_SOURCE_ADDRESSES + 1];
    let too_many = OptionError::TooMany {
        limit: MAX_SOURCE_ADDRESSES,
    };
    assert_eq!(user().source_address(many).unwrap_err(), too_many);

    for name in [
        "",
        "plain",
        "@domain",
        "name@",
        "a@b@c",
        "a,b@c",
        "a b@c",
        "ä@c",
        "permit-pty",
    ] {
        assert_eq!(CustomOption::flag(name), Err(OptionError::Name), "{name:?}");
    }
    assert!(CustomOption::flag(&format!("a@{}", "b".repeat(63))).is_err());
    assert_eq!(CustomOption::with_value("a@b", ""), Err(OptionError::Empty));
    let custom = CustomOption::with_value("a@b", "v").unwrap();
    let twice = user()
        .custom_extension(&custom)
        .unwrap()
        .custom_extension(&custom);
    assert_eq!(twice.unwrap_err(), OptionError::Duplicate);
}

#[test]
fn text_that_key_id_does_not_write_has_no_parts() {
    for text in [
        "",
        "host-7",
        "identity=a;session=b",
        "identity=a;session=b;decision=",
        "identity=a;session=b;decision=c;more=d",
        "session=b;identity=a;decision=c",
        "identity=a%4;session=b;decision=c",
        "identity=a%zz;session=b;decision=c",
        "identity=%61;session=b;decision=c",
        "identity=%3d;session=b;decision=c",
        "identity=%FF;session=b;decision=c",
        "identity=a b;session=b;decision=c",
    ] {
        assert_eq!(KeyIdParts::parse(text), None, "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn parts_of_a_key_id_read_back(identity in "\\PC{1,30}", session in ".{1,9}", decision in ".{1,9}") {
        let id = KeyId::new(&identity, &session, &decision).unwrap();
        prop_assert!(id.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert_eq!(KeyIdParts::parse(id.as_str()), Some(KeyIdParts { identity, session, decision }));
    }

    #[test]
    fn no_text_has_parts_that_write_another(text in "(identity=[a-z%0-9A-F;=]{0,9};session=[a%2]{0,4};decision=.{0,4}|.{0,40})") {
        if let Some(parts) = KeyIdParts::parse(&text) {
            let id = KeyId::new(&parts.identity, &parts.session, &parts.decision).unwrap();
            prop_assert_eq!(id.as_str(), text);
        }
    }
}
