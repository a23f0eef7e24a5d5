//! What a well-formed certificate by the right authority still must not get its holder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

#[path = "common/raw.rs"]
mod raw;

use std::net::IpAddr;
use std::time::Duration;

use common::{NOW, ca, issue, subject, user};
use raw::{LOCAL, Raw, check, critical, option};
use sshcert::{
    CertificateKind, CheckContext, ParseError, Principals, Refusal, UserCertificate, Validity,
    check_host_certificate, check_user_certificate,
};

#[test]
fn certificate_as_it_should_be_is_accepted() {
    let checked = Raw::default().check().unwrap();
    assert_eq!(checked.kind(), CertificateKind::User);
    assert_eq!(checked.serial(), 3);
    assert_eq!(checked.key_id(), "id");
    assert_eq!(checked.authority(), ca(1).public());
    // `reserved` is ignored, whatever it holds.
    Raw {
        reserved: vec![1, 2, 3],
        ..Raw::default()
    }
    .check()
    .unwrap();
}

#[test]
fn host_certificate_is_no_user_certificate_nor_the_other_way_round() {
    assert_eq!(
        Raw {
            kind: 2,
            ..Raw::default()
        }
        .check()
        .unwrap_err(),
        Refusal::WrongKind
    );
    let trusted = [ca(1).public().clone()];
    let context = CheckContext::new("deploy", NOW);
    let swapped = check_host_certificate(&Raw::default().sign(), &trusted, &context);
    assert_eq!(swapped.unwrap_err(), Refusal::WrongKind);
    for kind in [0, 3, u32::MAX] {
        let refused = Raw {
            kind,
            ..Raw::default()
        }
        .check()
        .unwrap_err();
        assert_eq!(refused, Refusal::Parse(ParseError::Kind));
    }
}

#[test]
fn empty_principals_and_wildcards_name_nobody() {
    let named = |names: &[&str]| {
        let principals = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        Raw {
            principals,
            ..Raw::default()
        }
        .check()
    };
    assert_eq!(named(&[]).unwrap_err(), Refusal::NoPrincipals);
    for names in [&["*"][..], &["?eploy"], &["Deploy"], &["deploy "], &[""]] {
        assert_eq!(
            named(names).unwrap_err(),
            Refusal::PrincipalNotListed,
            "{names:?}"
        );
    }
    named(&["root", "deploy"]).unwrap();
    for names in [&["deploy\0"][..], &["deploy\0x"], &["deploy", "a\0"]] {
        let malformed = Refusal::Parse(ParseError::Malformed);
        assert_eq!(named(names).unwrap_err(), malformed, "{names:?}");
    }

    let host = |name: &str| {
        let raw = Raw {
            kind: 2,
            principals: vec![name.into()],
            ..Raw::default()
        };
        let context = CheckContext::new("db.example.com", NOW);
        check_host_certificate(&raw.sign(), &[ca(1).public().clone()], &context)
    };
    host("db.example.com").unwrap();
    for name in ["*", "*.example.com", "db.example.com."] {
        assert_eq!(host(name).unwrap_err(), Refusal::PrincipalNotListed);
    }
    let any_host = Raw {
        kind: 2,
        principals: vec![],
        ..Raw::default()
    }
    .sign();
    let context = CheckContext::new("db.example.com", NOW);
    let refused = check_host_certificate(&any_host, &[ca(1).public().clone()], &context);
    assert_eq!(refused.unwrap_err(), Refusal::NoPrincipals);
}

#[test]
fn empty_name_matches_no_certificate_without_names() {
    let nobody = Raw {
        principals: vec![],
        ..Raw::default()
    }
    .sign();
    let context = CheckContext::new("", NOW);
    let refused = check_user_certificate(&nobody, &[ca(1).public().clone()], &context);
    assert_eq!(refused.unwrap_err(), Refusal::NoPrincipals);
}

#[test]
fn validity_starts_with_its_first_second_and_ends_before_its_last() {
    let (trusted, now) = ([ca(1).public().clone()], NOW.as_secs());
    let blob = Raw {
        after: now,
        before: now + 2,
        ..Raw::default()
    }
    .sign();
    let at = |millis: u64| {
        let time = Duration::from_millis(now * 1000 + millis) - Duration::from_secs(1);
        check_user_certificate(&blob, &trusted, &CheckContext::new("deploy", time))
    };
    let early = Refusal::NotYetValid {
        valid_after: now,
        now: now - 1,
    };
    assert_eq!(at(0).unwrap_err(), early);
    assert_eq!(at(999).unwrap_err(), early);
    at(1000).unwrap();
    at(2999).unwrap();
    let late = Refusal::Expired {
        valid_before: now + 2,
        now: now + 2,
    };
    assert_eq!(at(3000).unwrap_err(), late);

    let reversed = Raw {
        after: now + 60,
        before: now - 60,
        ..Raw::default()
    }
    .check();
    assert!(matches!(reversed, Err(Refusal::NotYetValid { .. })));
    let reversed = Raw {
        after: now - 1,
        before: now - 2,
        ..Raw::default()
    }
    .check();
    assert!(matches!(reversed, Err(Refusal::Expired { .. })));
    // A trusted authority may say forever; at the end of time even that is over.
    let forever = Raw {
        after: 0,
        before: u64::MAX,
        ..Raw::default()
    }
    .sign();
    check(&forever).unwrap();
    let end = CheckContext::new("deploy", Duration::from_secs(u64::MAX));
    assert!(check_user_certificate(&forever, &trusted, &end).is_err());
}

#[test]
fn authority_must_be_trusted_and_no_certificate() {
    let blob = Raw::default().sign();
    let context = CheckContext::new("deploy", NOW);
    for trusted in [&[][..], &[ca(2).public().clone()]] {
        let refused = check_user_certificate(&blob, trusted, &context);
        assert_eq!(refused.unwrap_err(), Refusal::UntrustedAuthority);
    }
    // The certified key of a certificate by the trusted authority signs a further certificate.
    let middle = issue(&ca(1), user());
    let chained = Raw {
        authority: Some(middle.blob().to_vec()),
        ..Raw::default()
    };
    assert_eq!(chained.check().unwrap_err(), Refusal::UntrustedAuthority);
    let own = Raw {
        authority: Some(subject().to_bytes().unwrap()),
        ..Raw::default()
    };
    assert_eq!(own.check().unwrap_err(), Refusal::UntrustedAuthority);
    let named_only = Raw {
        authority: Some(ca(2).public().blob().to_vec()),
        ..Raw::default()
    };
    assert_eq!(named_only.check().unwrap_err(), Refusal::Signature);
}

#[test]
fn every_critical_option_is_understood_or_refuses_the_certificate() {
    for name in [
        "",
        "unknown",
        "name@example.com",
        "Force-Command",
        "permit-pty",
    ] {
        assert_eq!(
            critical(name, None).check().unwrap_err(),
            Refusal::CriticalOption,
            "{name:?}"
        );
    }
    let checked = critical("force-command", Some("uptime")).check().unwrap();
    assert_eq!(checked.force_command(), Some("uptime"));
    for value in [None, Some("a\0b")] {
        assert_eq!(
            critical("force-command", value).check().unwrap_err(),
            Refusal::OptionValue
        );
    }
    let mut trailing = critical("force-command", Some("uptime"));
    trailing.critical[0].1.push(0);
    assert_eq!(trailing.check().unwrap_err(), Refusal::OptionValue);

    // Only a security key can do what verify-required asks.
    assert_eq!(
        critical("verify-required", None).check().unwrap_err(),
        Refusal::VerifyRequired
    );
    assert_eq!(
        critical("verify-required", Some("x")).check().unwrap_err(),
        Refusal::OptionValue
    );

    // What the caller does not enforce, it does not get.
    let trusted = [ca(1).public().clone()];
    let context = CheckContext::new("deploy", NOW);
    for raw in [
        critical("force-command", Some("x")),
        critical("verify-required", None),
    ] {
        let refused = check_user_certificate(&raw.sign(), &trusted, &context);
        assert_eq!(refused.unwrap_err(), Refusal::CriticalOption);
    }
    // Options of users mean nothing for hosts.
    let mut host = critical("source-address", Some("10.0.0.0/8"));
    host.kind = 2;
    let context = context.address(LOCAL.into());
    let refused = check_host_certificate(&host.sign(), &trusted, &context);
    assert_eq!(refused.unwrap_err(), Refusal::CriticalOption);
}

#[test]
fn source_address_admits_its_ranges_and_refuses_what_it_cannot_read() {
    let from = |list: &str, address: Option<&str>| {
        let blob = critical("source-address", Some(list)).sign();
        let mut context = CheckContext::new("deploy", NOW);
        if let Some(address) = address {
            context = context.address(address.parse::<IpAddr>().unwrap());
        }
        check_user_certificate(&blob, &[ca(1).public().clone()], &context).map(|_| ())
    };
    for (list, address) in [
        ("10.1.2.3", "10.1.2.3"),
        ("10.0.0.0/8", "10.255.0.1"),
        ("192.0.2.1,10.0.0.0/8", "10.1.2.3"),
        ("0.0.0.0/0", "203.0.113.9"),
        ("2001:db8::/32", "2001:db8::1"),
        ("10.0.0.0/8", "::ffff:10.1.2.3"),
    ] {
        assert_eq!(from(list, Some(address)), Ok(()), "{list} {address}");
    }
    for (list, address) in [
        ("10.1.2.3", Some("10.1.2.4")),
        ("10.0.0.0/8", Some("11.0.0.1")),
        ("0.0.0.0/0", Some("::1")),
        ("::/0", Some("10.1.2.3")),
        ("10.0.0.0/8", None),
    ] {
        assert_eq!(
            from(list, address),
            Err(Refusal::SourceAddress),
            "{list} {address:?}"
        );
    }
    for list in [
        "",
        ",",
        "10.1.2.3,",
        "10.1.2.3/8",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "10.0.0.0/08",
        "10.0.0.0/8 ",
        " 10.0.0.0/8",
        "!10.0.0.0/8",
        "*",
        "localhost",
        "10.1",
        "10.0.0.0/255.0.0.0",
    ] {
        assert_eq!(
            from(list, Some("10.1.2.3")),
            Err(Refusal::OptionValue),
            "{list:?}"
        );
    }
}

#[test]
fn unknown_extensions_permit_nothing_and_known_ones_carry_no_data() {
    let extensions = vec![option("permit-everything@example.com", Some("yes"))];
    let checked = Raw {
        extensions,
        ..Raw::default()
    }
    .check()
    .unwrap();
    assert!(
        sshcert::Extension::ALL
            .iter()
            .all(|extension| !checked.permits(*extension))
    );
    let extensions = vec![option("permit-pty", Some("no"))];
    let refused = Raw {
        extensions,
        ..Raw::default()
    }
    .check()
    .unwrap_err();
    assert_eq!(refused, Refusal::OptionValue);
}

#[test]
fn dangerous_certificates_are_made_only_by_name_and_still_refused_here() {
    let any = UserCertificate::dangerous_any_principal(subject(), Validity::dangerous_forever());
    assert_eq!(
        check(issue(&ca(1), any).blob()).unwrap_err(),
        Refusal::NoPrincipals
    );
    let names = Principals::one("deploy").unwrap();
    let forever = UserCertificate::new(subject(), names, Validity::dangerous_forever());
    check(issue(&ca(1), forever).blob()).unwrap();
}
