//! `ssh-keygen -L` reads what is minted, field by field.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use common::{
    ED25519, NOW, P256, P384, P521, ca, generate, issue, key, program, put, read, ssh_keygen,
    subject, user, validity,
};
use ssh_key::PublicKey;
use sshcert::{
    CaKey, CaPublicKey, Certificate, CheckContext, CustomOption, Extension, HostCertificate, KeyId,
    Principals, UserCertificate, Validity, check_user_certificate,
};

/// The lines of `ssh-keygen -L`, without their indentation and the file's name.
fn listed(certificate: &Certificate) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let line = format!("{}\n", certificate.to_openssh());
    fs::write(directory.path().join("id-cert.pub"), line).unwrap();
    let output = ssh_keygen(directory.path(), &["-L", "-f", "id-cert.pub"]).stdout;
    let text = String::from_utf8(output).unwrap();
    text.lines()
        .skip(1)
        .map(|line| line.trim().to_string())
        .collect()
}

fn authority(directory: &Path, kind: &str, bits: &str) -> CaKey {
    let name = format!("ca-{kind}-{bits}");
    generate(directory, kind, bits, &name);
    let ca = CaKey::from_openssh(&read(directory, &name)).unwrap();
    let public = CaPublicKey::from_openssh(&read(directory, &format!("{name}.pub"))).unwrap();
    assert_eq!(*ca.public(), public);
    ca
}

#[test]
fn ssh_keygen_lists_every_field_of_a_user_certificate() {
    if program("ssh-keygen").is_none() {
        return;
    }
    let ca = ca(1);
    let ranges: [ipnet::IpNet; 3] = [
        IpAddr::from([192, 0, 2, 7]).into(),
        "10.1.2.3/8".parse().unwrap(),
        "2001:db8::1/32".parse().unwrap(),
    ];
    let names = Principals::new(["deploy", "jdoe@example.com"]).unwrap();
    let draft = UserCertificate::new(subject(), names, validity())
        .serial(u64::MAX)
        .key_id(KeyId::new("jdoe@example.com", "5f3a", "rule-12").unwrap())
        .force_command("/bin/echo 'hello, world'")
        .unwrap()
        .source_address(ranges)
        .unwrap()
        .verify_required()
        .custom_critical_option(&CustomOption::flag("strict@example.com").unwrap())
        .unwrap()
        .extension(Extension::PermitPty)
        .extension(Extension::PermitX11Forwarding)
        .extension(Extension::PermitAgentForwarding)
        .extension(Extension::PermitPortForwarding)
        .extension(Extension::PermitUserRc)
        .extension(Extension::NoTouchRequired)
        .custom_extension(&CustomOption::flag("seen@example.com").unwrap())
        .unwrap();
    let certificate = issue(&ca, draft);
    let lines = listed(&certificate);
    let expected = [
        "Type: ssh-ed25519-cert-v01@openssh.com user certificate",
        &format!("Public key: ED25519-CERT {}", certificate.fingerprint()),
        &format!(
            "Signing CA: ED25519 {} (using ssh-ed25519)",
            ca.public().fingerprint()
        ),
        "Key ID: \"identity=jdoe@example.com;session=5f3a;decision=rule-12\"",
        "Serial: 18446744073709551615",
        "Valid: from 2023-11-14T22:12:20 to 2023-11-14T22:16:20",
        "Principals:",
        "deploy",
        "jdoe@example.com",
        "Critical Options:",
        "force-command /bin/echo 'hello, world'",
        "source-address 192.0.2.7,10.0.0.0/8,2001:db8::/32",
        "strict@example.com",
        "verify-required",
        "Extensions:",
        "no-touch-required",
        "permit-X11-forwarding",
        "permit-agent-forwarding",
        "permit-port-forwarding",
        "permit-pty",
        "permit-user-rc",
        "seen@example.com",
    ];
    // How it shows what it does not know differs between its versions.
    let known: Vec<&str> = lines
        .iter()
        .map(|line| {
            line.split_once(" UNKNOWN")
                .map_or(line.as_str(), |(name, _)| name)
        })
        .collect();
    assert_eq!(known, expected);
}

#[test]
fn ssh_keygen_lists_plain_and_dangerous_certificates_as_what_they_are() {
    if program("ssh-keygen").is_none() {
        return;
    }
    let lines = listed(&issue(&ca(1), user()));
    assert_eq!(lines[3..5], ["Key ID: \"\"", "Serial: 0"]);
    assert_eq!(
        lines[8..],
        ["Critical Options: (none)", "Extensions: (none)"]
    );

    let any = UserCertificate::dangerous_any_principal(subject(), Validity::dangerous_forever());
    let lines = listed(&issue(&ca(1), any));
    assert_eq!(lines[5..7], ["Valid: forever", "Principals: (none)"]);
}

#[test]
fn ssh_keygen_lists_certificates_of_every_authority_for_every_subject() {
    if program("ssh-keygen").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let rsa = authority(at, "rsa", "2048");
    let authorities = [
        (authority(at, "ed25519", "256"), "ED25519", "ssh-ed25519"),
        (
            authority(at, "ecdsa", "256"),
            "ECDSA",
            "ecdsa-sha2-nistp256",
        ),
        (
            authority(at, "ecdsa", "384"),
            "ECDSA",
            "ecdsa-sha2-nistp384",
        ),
        (
            authority(at, "ecdsa", "521"),
            "ECDSA",
            "ecdsa-sha2-nistp521",
        ),
        (rsa, "RSA", "rsa-sha2-512"),
        (
            authority(at, "rsa", "3072").signing_with_rsa_sha256(),
            "RSA",
            "rsa-sha2-256",
        ),
    ];
    generate(at, "rsa", "2048", "subject-rsa");
    let subjects = [
        key(1, ED25519).public_key().clone(),
        key(2, P256).public_key().clone(),
        key(3, P384).public_key().clone(),
        key(4, P521).public_key().clone(),
        PublicKey::from_openssh(&read(at, "subject-rsa.pub")).unwrap(),
        security_key("ssh-ed25519"),
        security_key("ecdsa-sha2-nistp256"),
    ];
    for (ca, kind, algorithm) in &authorities {
        assert_eq!(ca.public().signature_algorithm(), *algorithm);
        for subject in &subjects {
            let names = Principals::one("deploy").unwrap();
            let certificate = issue(ca, UserCertificate::new(subject.clone(), names, validity()));
            let lines = listed(&certificate);
            let algorithm_name = certificate.algorithm_name();
            assert_eq!(lines[0], format!("Type: {algorithm_name} user certificate"));
            assert!(
                lines[1].ends_with(&certificate.fingerprint()),
                "{}",
                lines[1]
            );
            let fingerprint = ca.public().fingerprint();
            assert_eq!(
                lines[2],
                format!("Signing CA: {kind} {fingerprint} (using {algorithm})")
            );
            let trusted = [ca.public().clone()];
            let context = CheckContext::new("deploy", NOW);
            check_user_certificate(certificate.blob(), &trusted, &context).unwrap();
        }
    }
}

#[test]
fn ssh_keygen_lists_host_certificates() {
    if program("ssh-keygen").is_none() {
        return;
    }
    let ca = ca(1);
    let names = Principals::new(["Db.example.com", "10.0.0.7"]).unwrap();
    let prepared = HostCertificate::new(subject(), names, validity())
        .serial(4)
        .key_id(KeyId::from_text("db-1").unwrap())
        .prepare(ca.public(), [0; 32])
        .unwrap();
    let signature = ca.sign(&prepared).unwrap();
    let lines = listed(&prepared.complete(&signature).unwrap());
    assert_eq!(
        lines[0],
        "Type: ssh-ed25519-cert-v01@openssh.com host certificate"
    );
    assert_eq!(lines[3..5], ["Key ID: \"db-1\"", "Serial: 4"]);
    let names = ["Principals:", "db.example.com", "10.0.0.7"];
    assert_eq!(lines[6..9], names);
}

/// A public key of a security key, which no `ssh-keygen` makes without the device.
fn security_key(kind: &str) -> PublicKey {
    let mut blob = Vec::new();
    put(&mut blob, format!("sk-{kind}@openssh.com").as_bytes());
    match kind {
        "ssh-ed25519" => {
            let key = key(5, ED25519);
            put(&mut blob, &key.public_key().key_data().ed25519().unwrap().0);
        }
        _ => {
            let key = key(6, P256);
            put(&mut blob, b"nistp256");
            put(
                &mut blob,
                key.public_key().key_data().ecdsa().unwrap().as_sec1_bytes(),
            );
        }
    }
    put(&mut blob, b"ssh:");
    PublicKey::from_bytes(&blob).unwrap()
}
