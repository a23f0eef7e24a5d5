//! Lists that are wrong in one place each, and what a list does to a check.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;
#[path = "common/raw.rs"]
mod raw;

use std::time::Duration;

use common::{NOW, ca, issue, put, subject, user};
use proptest::prelude::*;
use sshcert::{
    CheckContext, Issuer, KeyHash, Krl, KrlError, MAX_KRL_BYTES, MAX_SERIAL_RANGES, Refusal,
    Revocation, Unverified, check_user_certificate,
};

fn header() -> Vec<u8> {
    let mut out = b"SSHKRL\n\0\0\0\0\x01".to_vec();
    for number in [5u64, 6, 0] {
        out.extend(number.to_be_bytes());
    }
    put(&mut out, b"");
    put(&mut out, b"comment");
    out
}

fn section(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    put(&mut out, body);
    out
}

fn strings(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        put(&mut out, part);
    }
    out
}

/// A list with these sections.
fn list(sections: &[Vec<u8>]) -> Vec<u8> {
    let mut out = header();
    out.extend(sections.concat());
    out
}

/// A list with one section on the certificates of every authority.
fn of_certificates(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut certificates = strings(&[b"", b""]);
    certificates.extend(section(kind, body));
    list(&[section(1, &certificates)])
}

fn numbers(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

fn bitmap(offset: u64, mpint: &[u8]) -> Vec<u8> {
    let mut body = numbers(&[offset]);
    put(&mut body, mpint);
    body
}

fn refused(bytes: &[u8]) -> KrlError {
    Krl::parse(bytes).unwrap_err()
}

fn serials(krl: &Krl) -> Vec<(u64, u64)> {
    let revoked = krl
        .certificates()
        .flat_map(|(_, revoked)| revoked.serials());
    revoked
        .map(|range| (*range.start(), *range.end()))
        .collect()
}

#[test]
fn header_is_read_and_what_is_no_list_or_another_format_is_refused() {
    let krl = Krl::parse(&header()).unwrap();
    assert_eq!((krl.version(), krl.generated()), (5, 6));
    assert_eq!(krl.comment_text(), "comment");
    assert_eq!(refused(b""), KrlError::NotAList);
    assert_eq!(refused(b"ssh-ed25519 AAAA"), KrlError::NotAList);
    let mut other = header();
    other[11] = 2;
    assert_eq!(refused(&other), KrlError::FormatVersion { got: 2 });
    let long = vec![0; MAX_KRL_BYTES + 1];
    let limit = MAX_KRL_BYTES;
    assert_eq!(
        refused(&long),
        KrlError::TooLong {
            limit,
            got: limit + 1
        }
    );
}

#[test]
fn each_kind_of_section_is_read() {
    let key = subject().to_bytes().unwrap();
    let other = ca(3).public().blob().to_vec();
    assert_eq!(
        serials(&Krl::parse(&of_certificates(0x20, &numbers(&[9, 3, 4]))).unwrap()),
        [(3, 4), (9, 9)]
    );
    assert_eq!(
        serials(&Krl::parse(&of_certificates(0x21, &numbers(&[3, u64::MAX]))).unwrap()),
        [(3, u64::MAX)]
    );
    // 0x00ff01: bits 0 and 8 to 15.
    let bits = bitmap(100, &[0, 0xff, 0x01]);
    assert_eq!(
        serials(&Krl::parse(&of_certificates(0x22, &bits)).unwrap()),
        [(100, 100), (108, 115)]
    );
    assert_eq!(
        serials(&Krl::parse(&of_certificates(0x22, &bitmap(0, &[]))).unwrap()),
        []
    );
    let ids = Krl::parse(&of_certificates(
        0x23,
        &strings(&[b"b", b"a", b"\xff", b"c\0"]),
    ))
    .unwrap();
    let (authority, revoked) = ids.certificates().next().unwrap();
    assert_eq!(authority, None);
    assert!(revoked.key_ids().eq([&b"a"[..], b"b", b"c", b"\xff"]));
    // An extension that is not critical is kept, and signatures at the end are passed over.
    let extension = [strings(&[b"x@example.com"]), vec![0], strings(&[b"data"])].concat();
    let extended = of_certificates(0x39, &extension);
    let krl = Krl::parse(&extended).unwrap();
    let (_, revoked) = krl.certificates().next().unwrap();
    assert_eq!(revoked.extensions()[0].name(), b"x@example.com");
    assert_eq!(krl.to_bytes(), extended);
    let signed = [section(4, &other), strings(&[b"signature"])].concat();
    let all = Krl::parse(&list(&[
        section(255, &extension),
        section(2, &strings(&[&key])),
        section(3, &strings(&[&[1; 20]])),
        section(5, &strings(&[&[2; 32]])),
        signed.clone(),
        signed,
    ]))
    .unwrap();
    assert_eq!(all.extensions()[0].name(), b"x@example.com");
    assert_eq!(all.extensions()[0].contents(), b"data");
    assert_eq!(Krl::parse(&all.to_bytes()).as_ref(), Ok(&all));
    assert!(all.keys().eq([key.as_slice()]));
    let hashes: Vec<KeyHash> = all.fingerprints().collect();
    assert_eq!(hashes, [KeyHash::Sha1([1; 20]), KeyHash::Sha256([2; 32])]);
    assert_eq!(all.find(&key), Ok(Some(Revocation::Key)));
    assert_eq!(all.find(&other), Ok(None));
    assert_eq!(all.find(b"neither"), Err(KrlError::Unreadable));
}

#[test]
fn one_fault_anywhere_refuses_the_whole_list() {
    let extension = [strings(&[b"x@example.com"]), vec![1], strings(&[b"data"])].concat();
    let signature = [section(4, b"key"), strings(&[b"signature"])].concat();
    let certificate = issue(&ca(1), user()).blob().to_vec();
    for (bytes, expected) in [
        (list(&[section(6, b"")]), KrlError::Section { got: 6 }),
        (of_certificates(0x24, b""), KrlError::Section { got: 0x24 }),
        (of_certificates(0x20, &numbers(&[0])), KrlError::Serials),
        (of_certificates(0x20, &[0; 7]), KrlError::Malformed),
        (of_certificates(0x21, &numbers(&[5, 4])), KrlError::Serials),
        (of_certificates(0x21, &numbers(&[0, 4])), KrlError::Serials),
        (of_certificates(0x21, &numbers(&[4])), KrlError::Malformed),
        (
            of_certificates(0x21, &numbers(&[4, 5, 6])),
            KrlError::Malformed,
        ),
        (of_certificates(0x22, &bitmap(0, &[1])), KrlError::Serials),
        (
            of_certificates(0x22, &bitmap(1, &[0x80])),
            KrlError::Malformed,
        ),
        (
            of_certificates(0x22, &bitmap(u64::MAX, &[2])),
            KrlError::Serials,
        ),
        (
            of_certificates(0x22, &bitmap(1, &[1; 2049])),
            KrlError::Bitmap {
                limit: 2048,
                got: 2049,
            },
        ),
        (
            of_certificates(0x23, &strings(&[b"a\0b"])),
            KrlError::Malformed,
        ),
        (
            of_certificates(0x39, &extension),
            KrlError::CriticalExtension,
        ),
        (
            list(&[section(255, &extension)]),
            KrlError::CriticalExtension,
        ),
        (list(&[section(255, b"")]), KrlError::Malformed),
        (
            list(&[section(3, &strings(&[&[1; 19]]))]),
            KrlError::Hash {
                expected: 20,
                got: 19,
            },
        ),
        (
            list(&[section(5, &strings(&[&[1; 20]]))]),
            KrlError::Hash {
                expected: 32,
                got: 20,
            },
        ),
        (list(&[section(2, b"\0\0\0\x09x")]), KrlError::Malformed),
        (
            list(&[section(1, &strings(&[b"no key", b""]))]),
            KrlError::Authority,
        ),
        (
            list(&[section(1, &strings(&[&certificate, b""]))]),
            KrlError::Authority,
        ),
        (list(&[section(1, &strings(&[b""]))]), KrlError::Malformed),
        (list(&[signature, section(2, b"")]), KrlError::Malformed),
        (list(&[section(4, b"key")]), KrlError::Malformed),
    ] {
        assert_eq!(refused(&bytes), expected, "{bytes:?}");
    }
}

#[test]
fn shorter_list_is_an_error_or_lacks_whole_sections() {
    let ca = ca(1);
    let mut krl = Krl::new(1, Duration::from_secs(2)).comment("c");
    krl.revoke_serials(Issuer::Authority(ca.public()), 3..=4)
        .unwrap();
    krl.revoke_key(&subject()).unwrap();
    krl.revoke_fingerprint(&KeyHash::Sha256([1; 32]));
    let bytes = krl.to_bytes();
    assert_eq!(Krl::parse(&bytes), Ok(krl));
    let readable = (0..bytes.len()).filter(|end| Krl::parse(&bytes[..*end]).is_ok());
    assert_eq!(readable.count(), 3);
}

#[test]
fn revoked_certificates_are_refused_by_what_revokes_them() {
    let (ca, other) = (ca(1), ca(2));
    let certificate = issue(
        &ca,
        user()
            .serial(9)
            .key_id(sshcert::KeyId::from_text("id").unwrap()),
    );
    let without_serial = issue(&ca, user());
    let check = |krls: &[Krl], blob: &[u8]| {
        let context = CheckContext::new("deploy", NOW).revoked_by(krls);
        check_user_certificate(blob, &[ca.public().clone()], &context).map(|_| ())
    };
    let by = |fill: &dyn Fn(&mut Krl)| {
        let mut krl = Krl::new(1, NOW);
        fill(&mut krl);
        // Another list beside it changes nothing.
        check(&[Krl::new(1, NOW), krl], certificate.blob())
    };
    let mine = Issuer::Authority(ca.public());
    let revoked = |by| Err(Refusal::Revoked(by));
    assert_eq!(by(&|_| {}), Ok(()));
    assert_eq!(
        by(&|krl| krl.revoke_serials(mine, 9..=9).unwrap()),
        revoked(Revocation::Serial)
    );
    assert_eq!(
        by(&|krl| krl.revoke_serials(Issuer::Any, 1..=9).unwrap()),
        revoked(Revocation::Serial)
    );
    assert_eq!(
        by(&|krl| krl.revoke_serials(mine, 10..=99).unwrap()),
        Ok(())
    );
    let theirs = Issuer::Authority(other.public());
    assert_eq!(
        by(&|krl| krl.revoke_serials(theirs, 9..=9).unwrap()),
        Ok(())
    );
    assert_eq!(
        by(&|krl| krl.revoke_key_id(mine, "id").unwrap()),
        revoked(Revocation::KeyId)
    );
    assert_eq!(by(&|krl| krl.revoke_key_id(mine, "ID").unwrap()), Ok(()));
    assert_eq!(
        by(&|krl| krl.revoke_key(&subject()).unwrap()),
        revoked(Revocation::Key)
    );
    let hash = KeyHash::sha256_of(&subject()).unwrap();
    assert_eq!(
        by(&|krl| krl.revoke_fingerprint(&hash)),
        revoked(Revocation::Fingerprint)
    );
    let authority = ssh_key::PublicKey::from_bytes(ca.public().blob()).unwrap();
    assert_eq!(
        by(&|krl| krl.revoke_key(&authority).unwrap()),
        revoked(Revocation::Authority)
    );
    let hash = KeyHash::sha1_of(&authority).unwrap();
    assert_eq!(
        by(&|krl| krl.revoke_fingerprint(&hash)),
        revoked(Revocation::Authority)
    );

    // Without a serial number, no range of them revokes it, but its key id does, even an empty one.
    let mut all = Krl::new(1, NOW);
    all.revoke_serials(Issuer::Any, 1..=u64::MAX).unwrap();
    assert_eq!(check(&[all], without_serial.blob()), Ok(()));
    let mut itself = Krl::new(1, NOW);
    itself
        .revoke_certificate(&Unverified::parse(without_serial.blob()).unwrap())
        .unwrap();
    assert_eq!(
        check(&[itself], without_serial.blob()),
        revoked(Revocation::KeyId)
    );
}

#[test]
fn ranges_of_serial_numbers_are_limited_for_all_authorities_together() {
    let (one, other) = (ca(1), ca(2));
    let (one, other) = (
        Issuer::Authority(one.public()),
        Issuer::Authority(other.public()),
    );
    let mut krl = Krl::new(1, NOW);
    for index in 0..MAX_SERIAL_RANGES as u64 {
        let issuer = if index % 2 == 0 { one } else { other };
        let serial = 1 + index * 2;
        krl.revoke_serials(issuer, serial..=serial).unwrap();
    }
    let limit = MAX_SERIAL_RANGES;
    for issuer in [one, other, Issuer::Any] {
        let one_more = krl.revoke_serials(issuer, u64::MAX..=u64::MAX);
        assert_eq!(one_more, Err(KrlError::TooManySerials { limit }));
    }
    // What joins two ranges makes room for another one.
    krl.revoke_serials(one, 1..=5).unwrap();
    krl.revoke_serials(other, u64::MAX..=u64::MAX).unwrap();
}

#[test]
fn what_cannot_be_read_is_never_said_to_be_in_force() {
    let ca = ca(1);
    let certificate = issue(&ca, user().serial(9));
    let nothing = Krl::new(1, NOW);
    assert_eq!(nothing.find(certificate.blob()), Ok(None));
    let mut unordered = raw::critical("source-address", Some("10.0.0.0/8"));
    unordered
        .critical
        .push(raw::option("force-command", Some("true")));
    let by_nobody = raw::Raw {
        authority: Some(b"nobody".to_vec()),
        ..raw::Raw::default()
    };
    let mut unknown = strings(&[b"ssh-new@example.com"]);
    unknown.extend(strings(&[b"key"]));
    for (blob, expected) in [
        (certificate.blob()[1..].to_vec(), KrlError::Unreadable),
        (unordered.sign(), KrlError::Unreadable),
        (by_nobody.sign(), KrlError::Authority),
        (unknown.clone(), KrlError::Unreadable),
        (Vec::new(), KrlError::Unreadable),
    ] {
        assert_eq!(nothing.find(&blob), Err(expected));
    }
    // What is listed is revoked, whoever may know what it is.
    let listed = Krl::parse(&list(&[section(2, &strings(&[&unknown]))])).unwrap();
    assert_eq!(listed.find(&unknown), Ok(Some(Revocation::Key)));
}

#[test]
fn key_list_revokes_keys_and_what_they_certified_and_one_bad_line_spoils_it() {
    let ca = ca(1);
    let line = |key: &ssh_key::PublicKey| key.to_openssh().unwrap();
    let text = format!(
        "# gone\n\n  {}\r\n{} name\n",
        line(&subject()),
        ca.public().to_openssh()
    );
    let krl = Krl::from_key_list(&text).unwrap();
    let certificate = issue(&ca, user().serial(3));
    assert_eq!(krl.find(certificate.blob()), Ok(Some(Revocation::Key)));
    let other = common::key(200, common::P256).public_key().clone();
    let theirs = issue(
        &ca,
        sshcert::UserCertificate::new(
            other,
            sshcert::Principals::one("x").unwrap(),
            common::validity(),
        ),
    );
    assert_eq!(krl.find(theirs.blob()), Ok(Some(Revocation::Authority)));
    let bad = format!("{text}ssh-ed25519 AAAA\n");
    assert_eq!(Krl::from_key_list(&bad), Err(KrlError::KeyLine { line: 5 }));
}

#[test]
fn equal_lists_are_equal_bytes_in_whatever_order_they_were_filled() {
    let (a, b) = (ca(1), ca(2));
    let fill = |order: [u64; 4]| {
        let mut krl = Krl::new(1, NOW);
        for n in order {
            krl.revoke_serials(Issuer::Authority(a.public()), n..=n + 1)
                .unwrap();
            krl.revoke_serials(Issuer::Authority(b.public()), n * 100..=n * 100)
                .unwrap();
            krl.revoke_key_id(Issuer::Any, &n.to_string()).unwrap();
            krl.revoke_fingerprint(&KeyHash::Sha1([n as u8; 20]));
        }
        krl.to_bytes()
    };
    assert_eq!(fill([1, 2, 3, 4]), fill([4, 2, 1, 3]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_panic_and_what_is_read_is_written_back(
        kind in prop_oneof![Just(1u8), Just(2), Just(3), Just(5), any::<u8>()],
        inner in prop_oneof![Just(0x20u8), Just(0x21), Just(0x22), Just(0x23), any::<u8>()],
        body in proptest::collection::vec(any::<u8>(), 0..80),
        plain in any::<bool>(),
    ) {
        let bytes = if plain { list(&[section(kind, &body)]) } else { of_certificates(inner, &body) };
        let _ = Krl::parse(&body);
        if let Ok(krl) = Krl::parse(&bytes) {
            prop_assert_eq!(Krl::parse(&krl.to_bytes()), Ok(krl));
        }
    }
}
