//! What is minted comes out as it went in, and only with the right signature.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::net::IpAddr;
use std::time::Duration;

use common::{ED25519, NOW, P256, P384, P521, ca, issue, key, subject, user, validity};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sshcert::{
    CaKey, CaKeyError, CaPublicKey, CertificateKind, CheckContext, CustomOption, EnforcedOption,
    Extension, HostCertificate, HostValidity, KeyId, MAX_HOST_TTL, MAX_PRINCIPALS, MintError,
    Principals, Profile, Refusal, SignError, Unverified, UserCertificate, Validity,
    check_host_certificate, check_user_certificate,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn equal_inputs_give_equal_certificates_and_another_nonce_another_one() {
    for algorithm in [ED25519, P256, P384, P521] {
        let ca = CaKey::from_private_key(key(1, algorithm.clone())).unwrap();
        let first = issue(&ca, user());
        let again = user().prepare(ca.public(), [7; 32]).unwrap();
        assert!(first.blob().starts_with(again.to_be_signed()));
        // AWS-LC draws the nonce of an ECDSA signature.
        if algorithm == ED25519 || !cfg!(feature = "aws-lc-rs") {
            assert_eq!(first.blob(), issue(&ca, user()).blob());
        }
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let prepared = user().prepare_with_rng(ca.public(), &mut rng).unwrap();
        assert_ne!(
            first.blob()[..prepared.to_be_signed().len()],
            *prepared.to_be_signed()
        );
    }
}

#[test]
fn signature_of_anybody_else_or_over_anything_else_completes_nothing() {
    let (mine, other) = (ca(1), ca(2));
    let prepared = user().prepare(mine.public(), [7; 32]).unwrap();
    let elsewhere = user().serial(8).prepare(mine.public(), [7; 32]).unwrap();
    let for_other = user().prepare(other.public(), [7; 32]).unwrap();

    assert_eq!(other.sign(&prepared), Err(SignError::OtherAuthority));
    let good = mine.sign(&prepared).unwrap();
    for wrong in [
        mine.sign(&elsewhere).unwrap(),
        other.sign(&for_other).unwrap(),
        Vec::new(),
    ] {
        assert_eq!(prepared.clone().complete(&wrong), Err(MintError::Signature));
    }
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            prepared.clone().complete(&flipped),
            Err(MintError::Signature),
            "bit {bit}"
        );
    }
    for end in 0..good.len() {
        assert_eq!(
            prepared.clone().complete(&good[..end]),
            Err(MintError::Signature)
        );
    }
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(
        prepared.clone().complete(&longer),
        Err(MintError::Signature)
    );
    prepared.complete(&good).unwrap();
}

#[test]
fn what_every_kind_of_authority_mints_is_what_its_checked_signature_completes() {
    let rsa = RSA_KEY.with(Clone::clone);
    let keys = [ED25519, P256, P384, P521].map(|algorithm| key(1, algorithm));
    for key in keys.into_iter().chain([rsa]) {
        let plain = CaKey::from_private_key(key.clone()).unwrap();
        let with_sha256 = CaKey::from_private_key(key).unwrap();
        for ca in [plain, with_sha256.signing_with_rsa_sha256()] {
            // Many, since an integer with leading zeros or a sign byte comes only now and then.
            for serial in 0..20 {
                let prepared = user().serial(serial).prepare(ca.public(), [7; 32]);
                let minted = ca.mint(prepared.clone().unwrap()).unwrap();
                let context = CheckContext::new("deploy", NOW);
                let trusted = [ca.public().clone()];
                check_user_certificate(minted.blob(), &trusted, &context).unwrap();
                let read_back = Unverified::parse(minted.blob()).unwrap();
                assert_eq!(read_back.serial(), serial);
                let signature = ca.sign(prepared.as_ref().unwrap()).unwrap();
                let completed = prepared.unwrap().complete(&signature).unwrap();
                assert_eq!(minted.principals(), completed.principals());
            }
            let other = crate::ca(77);
            let foreign = user().prepare(other.public(), [7; 32]).unwrap();
            assert_eq!(ca.mint(foreign), Err(SignError::OtherAuthority));
        }
    }
}

thread_local! {
    /// Searching for primes takes a while.
    static RSA_KEY: ssh_key::PrivateKey = ssh_key::PrivateKey::random(
        &mut ChaCha20Rng::seed_from_u64(5),
        ssh_key::Algorithm::Rsa { hash: None },
    )
    .unwrap();
}

#[test]
fn fips_profile_takes_nist_curves_and_rsa_and_refuses_the_rest_on_both_sides() {
    let rsa = RSA_KEY.with(Clone::clone);
    let keys = [ED25519, P256, P384, P521].map(|algorithm| key(1, algorithm));
    let keys: Vec<_> = keys.into_iter().chain([rsa]).collect();
    for authority in &keys {
        let ca = CaKey::from_private_key(authority.clone()).unwrap();
        for subject in &keys {
            let draft = || {
                let names = Principals::one("deploy").unwrap();
                UserCertificate::new(subject.public_key().clone(), names, validity())
            };
            let is_approved = authority.algorithm() != ED25519 && subject.algorithm() != ED25519;
            let fips = draft()
                .profile(Profile::Fips)
                .prepare(ca.public(), [7; 32])
                .map(|_| ());
            assert_eq!(
                fips,
                if is_approved {
                    Ok(())
                } else {
                    Err(MintError::Profile)
                }
            );

            let certificate = issue(&ca, draft());
            let trusted = [ca.public().clone()];
            let context = CheckContext::new("deploy", NOW);
            check_user_certificate(certificate.blob(), &trusted, &context).unwrap();
            let context = context.profile(Profile::Fips);
            let checked = check_user_certificate(certificate.blob(), &trusted, &context);
            assert_eq!(checked.err(), (!is_approved).then_some(Refusal::Profile));
        }
    }
}

#[test]
fn only_plain_strong_keys_are_certified_and_certify() {
    let (ca_key, dsa) = (ca(1), {
        let mut blob = Vec::new();
        for field in [
            b"ssh-dss".as_slice(),
            &[1; 128],
            &[1; 20],
            &[1; 128],
            &[1; 128],
        ] {
            common::put(&mut blob, field);
        }
        ssh_key::PublicKey::from_bytes(&blob).unwrap()
    });
    let short_rsa = {
        let mut blob = Vec::new();
        for field in [b"ssh-rsa".as_slice(), &[1, 0, 1], &[0x7f; 128]] {
            common::put(&mut blob, field);
        }
        ssh_key::PublicKey::from_bytes(&blob).unwrap()
    };
    let certificate = issue(&ca_key, user());
    let certified = ssh_key::PublicKey::from_bytes(certificate.blob()).unwrap();
    for key in [&dsa, &short_rsa, &certified] {
        let draft = UserCertificate::new(key.clone(), Principals::one("a").unwrap(), validity());
        assert_eq!(
            draft.prepare(ca_key.public(), [0; 32]),
            Err(MintError::Subject)
        );
    }
    assert_eq!(
        CaPublicKey::from_public_key(&dsa),
        Err(CaKeyError::Algorithm)
    );
    assert_eq!(
        CaPublicKey::from_public_key(&certified),
        Err(CaKeyError::Certificate)
    );
    assert_eq!(
        CaPublicKey::from_openssh(&certificate.to_openssh()),
        Err(CaKeyError::Certificate)
    );
    assert!(matches!(
        CaPublicKey::from_public_key(&short_rsa),
        Err(CaKeyError::RsaBits { .. })
    ));
    assert_eq!(CaPublicKey::from_openssh(""), Err(CaKeyError::Malformed));
    assert!(matches!(
        CaKey::from_openssh("not a key"),
        Err(CaKeyError::Malformed)
    ));
}

#[test]
fn certificate_that_nobody_could_present_is_not_made() {
    let names: Vec<String> = (0..MAX_PRINCIPALS).map(|n| format!("{n:0>200}")).collect();
    let draft = UserCertificate::new(subject(), Principals::new(names).unwrap(), validity());
    let refused = draft.prepare(ca(1).public(), [0; 32]);
    assert!(matches!(
        refused,
        Err(MintError::TooLong { limit: 32768, .. })
    ));
}

#[test]
fn debug_of_an_authority_key_shows_its_fingerprint_only() {
    let ca = ca(1);
    let shown = format!("{ca:?}");
    assert_eq!(
        shown,
        format!("CaKey {{ public: {:?}, .. }}", ca.public().fingerprint())
    );
}

#[test]
fn host_certificate_names_hosts_in_lower_case_and_is_checked_as_one() {
    let ca = ca(1);
    let names = Principals::new(["DB-1.Example.com", "10.0.0.7"]).unwrap();
    let validity = HostValidity::starting(NOW, MAX_HOST_TTL, SECOND).unwrap();
    let prepared = HostCertificate::new(subject(), names, validity)
        .serial(9)
        .key_id(KeyId::from_text("db-1").unwrap())
        .prepare(ca.public(), [1; 32])
        .unwrap();
    let signature = ca.sign(&prepared).unwrap();
    let certificate = prepared.complete(&signature).unwrap();
    assert_eq!(certificate.kind(), CertificateKind::Host);
    assert_eq!(certificate.principals(), ["db-1.example.com", "10.0.0.7"]);
    let trusted = [ca.public().clone()];
    let check =
        |name| check_host_certificate(certificate.blob(), &trusted, &CheckContext::new(name, NOW));
    check("db-1.example.com").unwrap();
    check("DB-1.EXAMPLE.COM").unwrap();
    check("10.0.0.7").unwrap();
    assert!(check("db-2.example.com").is_err());
    assert!(check("").is_err());
}

prop_compose! {
    fn any_name()(name in "[a-zA-Z0-9@._/-]{1,40}") -> String { name }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_field_that_goes_in_comes_out(
        names in proptest::collection::btree_set(any_name(), 1..5),
        serial in any::<u64>(),
        identity in "\\PC{1,20}",
        command in proptest::option::of("[ -~]{1,60}"),
        address in proptest::option::of(any::<u32>()),
        extensions in proptest::sample::subsequence(Extension::ALL.to_vec(), 0..=6),
        custom in proptest::option::of("[ -~]{1,30}"),
        ttl in 1u64..=86_400,
        backdate in 0u64..=3_600,
        nonce in any::<[u8; 32]>(),
    ) {
        let ca = ca(1);
        let names: Vec<String> = names.into_iter().collect();
        let span = Validity::starting(NOW, Duration::from_secs(ttl), Duration::from_secs(backdate)).unwrap();
        let key_id = KeyId::new(&identity, "s", "d").unwrap();
        let mut draft = UserCertificate::new(subject(), Principals::new(&names).unwrap(), span)
            .serial(serial)
            .key_id(key_id.clone());
        for extension in &extensions {
            draft = draft.extension(*extension);
        }
        if let Some(command) = &command {
            draft = draft.force_command(command).unwrap();
        }
        if let Some(address) = address {
            draft = draft.source_address([IpAddr::from(address.to_be_bytes())]).unwrap();
        }
        if let Some(custom) = &custom {
            let option = CustomOption::with_value("note@example.com", custom).unwrap();
            draft = draft.custom_extension(&option).unwrap();
        }
        let prepared = draft.prepare(ca.public(), nonce).unwrap();
        let signature = ca.sign(&prepared).unwrap();
        let certificate = prepared.complete(&signature).unwrap();

        prop_assert_eq!(certificate.principals(), &names);
        prop_assert_eq!(certificate.serial(), serial);
        prop_assert_eq!(certificate.key_id(), key_id.as_str());
        prop_assert_eq!(certificate.valid_after(), span.valid_after());
        prop_assert_eq!(certificate.valid_before(), span.valid_before());

        let from = address.map_or([10, 0, 0, 1], u32::to_be_bytes);
        let context = CheckContext::new(&names[0], NOW)
            .address(from.into())
            .enforcing(&[EnforcedOption::ForceCommand]);
        let checked =
            check_user_certificate(certificate.blob(), &[ca.public().clone()], &context).unwrap();
        prop_assert_eq!(checked.force_command(), command.as_deref());
        for extension in Extension::ALL {
            prop_assert_eq!(checked.permits(extension), extensions.contains(&extension));
        }
        let note = checked.extension_data("note@example.com").map(|data| data[4..].to_vec());
        prop_assert_eq!(note, custom.map(String::into_bytes));
        prop_assert_eq!(checked.subject(), &subject());

        let theirs = ssh_key::Certificate::from_bytes(certificate.blob()).unwrap();
        prop_assert_eq!(theirs.valid_principals(), &names);
        prop_assert_eq!(theirs.serial(), serial);
        prop_assert_eq!(theirs.to_bytes().unwrap(), certificate.blob());
        theirs.validate_at(NOW.as_secs(), &[theirs.signature_key().fingerprint(ssh_key::HashAlg::Sha256)]).unwrap();
    }
}
