//! What `ssh-keygen -s` signs is read and checked, and its keys are taken or refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use common::{ED25519, NOW, blob, ca, generate, issue, key, program, read, ssh_keygen, subject};
use sshcert::{
    CaKey, CaKeyError, CaPublicKey, CheckContext, CustomOption, EnforcedOption, Extension,
    Principals, Refusal, UserCertificate, Validity, check_host_certificate, check_user_certificate,
};

/// Has `ssh-keygen` certify `id.pub` and gives the certificate.
fn signed(directory: &Path, ca: &str, arguments: &[&str]) -> Vec<u8> {
    let mut all = vec![
        "-q",
        "-s",
        ca,
        "-I",
        "an id with spaces",
        "-V",
        "20231114220000:20231115",
    ];
    all.extend(arguments);
    all.push("id.pub");
    ssh_keygen(directory, &all);
    blob(&read(directory, "id-cert.pub"))
}

#[test]
fn certificates_that_ssh_keygen_signs_are_checked_option_by_option() {
    if program("ssh-keygen").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    generate(at, "ed25519", "256", "ca");
    let trusted = [CaPublicKey::from_openssh(&read(at, "ca.pub")).unwrap()];
    generate(at, "ed25519", "256", "id");
    let now = NOW;
    let both = [EnforcedOption::ForceCommand, EnforcedOption::VerifyRequired];
    let context = CheckContext::new("deploy", now)
        .address(IpAddr::from([10, 1, 2, 3]))
        .enforcing(&both);
    let check = |blob: &[u8]| check_user_certificate(blob, &trusted, &context);

    let plain = check(&signed(at, "ca", &["-n", "root,deploy", "-z", "77"])).unwrap();
    assert_eq!(plain.serial(), 77);
    assert_eq!(plain.key_id(), "an id with spaces");
    assert_eq!(plain.principals(), ["root", "deploy"]);
    // What `ssh-keygen` permits unless told otherwise.
    for extension in Extension::ALL {
        assert_eq!(
            plain.permits(extension),
            extension != Extension::NoTouchRequired
        );
    }

    let cleared = check(&signed(at, "ca", &["-n", "deploy", "-O", "clear"])).unwrap();
    assert!(
        Extension::ALL
            .iter()
            .all(|extension| !cleared.permits(*extension))
    );

    for (option, extension) in [
        ("permit-pty", Extension::PermitPty),
        ("permit-port-forwarding", Extension::PermitPortForwarding),
        ("permit-agent-forwarding", Extension::PermitAgentForwarding),
        ("permit-X11-forwarding", Extension::PermitX11Forwarding),
        ("permit-user-rc", Extension::PermitUserRc),
        ("no-touch-required", Extension::NoTouchRequired),
    ] {
        let one = signed(at, "ca", &["-n", "deploy", "-O", "clear", "-O", option]);
        let one = check(&one).unwrap();
        for other in Extension::ALL {
            assert_eq!(one.permits(other), other == extension, "{option}");
        }
    }

    let forced = signed(
        at,
        "ca",
        &["-n", "deploy", "-O", "force-command=echo 'a, b'"],
    );
    assert_eq!(check(&forced).unwrap().force_command(), Some("echo 'a, b'"));

    let from = ["-n", "deploy", "-O", "source-address=10.0.0.0/8,192.0.2.1"];
    check(&signed(at, "ca", &from)).unwrap();
    let elsewhere = signed(
        at,
        "ca",
        &["-n", "deploy", "-O", "source-address=192.0.2.0/24"],
    );
    assert_eq!(check(&elsewhere).unwrap_err(), Refusal::SourceAddress);

    let verified = signed(at, "ca", &["-n", "deploy", "-O", "verify-required"]);
    assert_eq!(check(&verified).unwrap_err(), Refusal::VerifyRequired);

    let custom = ["-n", "deploy", "-O", "extension:note@example.com=hello"];
    let custom = check(&signed(at, "ca", &custom)).unwrap();
    assert_eq!(
        custom.extension_data("note@example.com"),
        Some(&b"\0\0\0\x05hello"[..])
    );

    let critical = signed(
        at,
        "ca",
        &["-n", "deploy", "-O", "critical:note@example.com=hello"],
    );
    assert_eq!(check(&critical).unwrap_err(), Refusal::CriticalOption);

    let nobody = signed(at, "ca", &[]);
    assert_eq!(check(&nobody).unwrap_err(), Refusal::NoPrincipals);
    let host = signed(at, "ca", &["-h", "-n", "deploy"]);
    assert_eq!(check(&host).unwrap_err(), Refusal::WrongKind);
    let context = CheckContext::new("deploy", now);
    check_host_certificate(&host, &trusted, &context).unwrap();
    let expired = signed(at, "ca", &["-n", "deploy", "-V", "20200101:20200102"]);
    assert!(matches!(check(&expired), Err(Refusal::Expired { .. })));
    let early = signed(at, "ca", &["-n", "deploy", "-V", "20300101:20300102"]);
    assert!(matches!(check(&early), Err(Refusal::NotYetValid { .. })));
    let forever = signed(at, "ca", &["-n", "deploy", "-V", "always:forever"]);
    assert_eq!(check(&forever).unwrap().valid_before(), u64::MAX);
}

#[test]
fn same_custom_option_from_both_is_the_same_bytes() {
    if program("ssh-keygen").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    common::write_private(
        &at.join("ca"),
        &key(1, ED25519).to_openssh(ssh_key::LineEnding::LF).unwrap(),
    );
    fs::write(at.join("id.pub"), subject().to_openssh().unwrap()).unwrap();
    let options = [
        "-n",
        "deploy",
        "-z",
        "5",
        "-O",
        "clear",
        "-O",
        "permit-pty",
        "-O",
        "extension:note@example.com=hello",
        "-O",
        "force-command=uptime",
        "-O",
        "source-address=10.0.0.0/8",
    ];
    let theirs = signed(at, "ca", &options);
    let theirs = ssh_key::Certificate::from_bytes(&theirs).unwrap();
    let names = Principals::one("deploy").unwrap();
    let span = Validity::dangerous_between(theirs.valid_after(), theirs.valid_before()).unwrap();
    let range: ipnet::IpNet = "10.0.0.0/8".parse().unwrap();
    let ours = UserCertificate::new(subject(), names, span)
        .serial(5)
        .extension(Extension::PermitPty)
        .custom_extension(&CustomOption::with_value("note@example.com", "hello").unwrap())
        .unwrap()
        .force_command("uptime")
        .unwrap()
        .source_address([range])
        .unwrap();
    let ours = ssh_key::Certificate::from_bytes(issue(&ca(1), ours).blob()).unwrap();
    assert_eq!(ours.critical_options(), theirs.critical_options());
    assert_eq!(ours.extensions(), theirs.extensions());
    assert_eq!(ours.signature_key(), theirs.signature_key());
    assert_eq!(ours.cert_type(), theirs.cert_type());
    assert_eq!(ours.nonce().len(), theirs.nonce().len());
}

#[test]
fn certificates_by_every_authority_of_ssh_keygen_are_checked_but_not_those_with_sha1() {
    if program("ssh-keygen").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    generate(at, "ed25519", "256", "id");
    let context = CheckContext::new("deploy", NOW);
    for (kind, bits) in [
        ("ed25519", "256"),
        ("ecdsa", "256"),
        ("ecdsa", "384"),
        ("ecdsa", "521"),
        ("rsa", "2048"),
    ] {
        let ca = format!("ca-{kind}-{bits}");
        generate(at, kind, bits, &ca);
        let trusted = [CaPublicKey::from_openssh(&read(at, &format!("{ca}.pub"))).unwrap()];
        let good = signed(at, &ca, &["-n", "deploy"]);
        check_user_certificate(&good, &trusted, &context).unwrap();
        // The signature stands last, so its last byte is the end of the certificate.
        let mut bad = good;
        *bad.last_mut().unwrap() ^= 1;
        let refused = check_user_certificate(&bad, &trusted, &context);
        assert_eq!(refused.unwrap_err(), Refusal::Signature, "{kind} {bits}");
        if kind == "rsa" {
            let good = signed(at, &ca, &["-n", "deploy", "-t", "rsa-sha2-256"]);
            check_user_certificate(&good, &trusted, &context).unwrap();
            let sha1 = signed(at, &ca, &["-n", "deploy", "-t", "ssh-rsa"]);
            let refused = check_user_certificate(&sha1, &trusted, &context);
            assert_eq!(refused.unwrap_err(), Refusal::Signature);
        }
    }
}

#[test]
fn passphrase_weak_rsa_and_mismatched_halves_are_refused_plainly() {
    if program("ssh-keygen").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    ssh_keygen(
        at,
        &[
            "-q",
            "-t",
            "ed25519",
            "-N",
            "secret passphrase",
            "-f",
            "locked",
        ],
    );
    let locked = CaKey::from_openssh(&read(at, "locked"));
    assert_eq!(locked.unwrap_err(), CaKeyError::Encrypted);
    ssh_keygen(at, &["-q", "-t", "ed25519", "-N", "", "-f", "public-only"]);
    let public = CaKey::from_openssh(&read(at, "public-only.pub"));
    assert_eq!(public.unwrap_err(), CaKeyError::Malformed);
    generate(at, "rsa", "1024", "weak");
    let weak = CaKey::from_openssh(&read(at, "weak")).unwrap_err();
    assert_eq!(
        weak,
        CaKeyError::RsaBits {
            min: 2048,
            max: 8192,
            got: 1024
        }
    );
    let weak = CaPublicKey::from_openssh(&read(at, "weak.pub")).unwrap_err();
    assert_eq!(
        weak,
        CaKeyError::RsaBits {
            min: 2048,
            max: 8192,
            got: 1024
        }
    );
    ssh_keygen(
        at,
        &[
            "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", "pem",
        ],
    );
    assert_eq!(
        CaKey::from_openssh(&read(at, "pem")).unwrap_err(),
        CaKeyError::Malformed
    );
}
