//! A real sshd takes and refuses the certificates that this crate makes, and takes and refuses the same
//! ones as this crate's own check.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod common;

#[path = "common/sshd.rs"]
mod server;

use std::fs;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{ED25519, P256, P384, P521, generate, issue, key, read};
use server::Sshd;
use ssh_key::{PrivateKey, PublicKey};
use sshcert::{
    CaKey, CaPublicKey, CheckContext, CustomOption, DEFAULT_BACKDATE, DEFAULT_TTL, EnforcedOption,
    Extension, HostCertificate, KeyId, Principals, UserCertificate, Validity,
    check_user_certificate,
};

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[expect(clippy::disallowed_methods, reason = "sshd looks at the real clock")]
fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn validity() -> Validity {
    Validity::starting(unix_now(), DEFAULT_TTL, DEFAULT_BACKDATE).unwrap()
}

fn authority(seed: u64, algorithm: ssh_key::Algorithm) -> CaKey {
    CaKey::from_private_key(key(seed, algorithm)).unwrap()
}

fn trusted_file(authorities: &[&CaKey]) -> String {
    authorities
        .iter()
        .map(|ca| format!("{}\n", ca.public().to_openssh()))
        .collect()
}

/// Whether our own check takes what sshd with the same trust is asked to take.
fn our_verdict(certificate: &[u8], trusted: &[CaPublicKey], user: &str) -> bool {
    let context = CheckContext::new(user, unix_now())
        .address(LOCAL)
        .enforcing(&[EnforcedOption::ForceCommand]);
    check_user_certificate(certificate, trusted, &context).is_ok()
}

#[test]
fn sshd_and_the_check_take_and_refuse_the_same_certificates() {
    let ca = authority(1, ED25519);
    let stranger = authority(2, ED25519);
    let Some(sshd) = Sshd::start(&trusted_file(&[&ca]), "") else {
        return;
    };
    let user = sshd.user.as_str();
    let subject = key(50, ED25519);
    let public = || subject.public_key().clone();
    let plain = || UserCertificate::new(public(), Principals::one(user).unwrap(), validity());
    let named = |names: &[&str]| {
        UserCertificate::new(public(), Principals::new(names).unwrap(), validity())
    };
    let during = |after: u64, before: u64| {
        let span = Validity::dangerous_between(after, before).unwrap();
        UserCertificate::new(public(), Principals::one(user).unwrap(), span)
    };
    let now = unix_now().as_secs();
    let note = CustomOption::with_value("note@example.com", "x").unwrap();
    let range = |text: &str| text.parse::<ipnet::IpNet>().unwrap();

    let cases = [
        ("plain", true, plain()),
        (
            "all-extensions",
            true,
            Extension::ALL
                .into_iter()
                .fold(plain(), UserCertificate::extension),
        ),
        ("one-of-two-names", true, named(&["somebody-else", user])),
        ("other-name", false, named(&["somebody-else"])),
        ("name-as-prefix", false, named(&[&format!("{user}x")])),
        (
            "name-in-upper-case",
            false,
            named(&[&user.to_ascii_uppercase()]),
        ),
        (
            "any-principal",
            false,
            UserCertificate::dangerous_any_principal(public(), validity()),
        ),
        ("forever", true, {
            let forever = Validity::dangerous_forever();
            UserCertificate::new(public(), Principals::one(user).unwrap(), forever)
        }),
        ("expired-just-now", false, during(now - 100, now)),
        (
            "expired-yesterday",
            false,
            during(now - 90_000, now - 80_000),
        ),
        ("starts-in-an-hour", false, during(now + 3_600, now + 7_200)),
        ("starts-now", true, during(now, now + 300)),
        ("from-here", true, plain().source_address([LOCAL]).unwrap()),
        (
            "from-this-network",
            true,
            plain().source_address([range("127.9.9.9/8")]).unwrap(),
        ),
        ("from-two-places", true, {
            plain()
                .source_address([range("192.0.2.0/24"), range("127.0.0.0/8")])
                .unwrap()
        }),
        (
            "from-elsewhere",
            false,
            plain().source_address([range("192.0.2.0/24")]).unwrap(),
        ),
        (
            "from-ipv6-anywhere",
            false,
            plain().source_address([range("::/0")]).unwrap(),
        ),
        (
            "forced",
            true,
            plain()
                .force_command("echo forced; echo \"$SSH_ORIGINAL_COMMAND\"")
                .unwrap(),
        ),
        (
            "unknown-critical",
            false,
            plain().custom_critical_option(&note).unwrap(),
        ),
        (
            "unknown-extension",
            true,
            plain().custom_extension(&note).unwrap(),
        ),
        ("serial-and-key-id", true, {
            plain()
                .serial(4_711)
                .key_id(KeyId::new("j doe@example.com", "s-1", "rule:3").unwrap())
        }),
    ];
    let trusted = [ca.public().clone()];
    for (name, expected, draft) in cases {
        let certificate = issue(&ca, draft);
        let output = sshd.ssh(name, &subject, &certificate, &[]);
        assert_eq!(
            output.status.success(),
            expected,
            "{name}: {output:?}\n{}",
            sshd.log()
        );
        assert_eq!(
            our_verdict(certificate.blob(), &trusted, user),
            expected,
            "{name}"
        );
        let stdout = String::from_utf8(output.stdout).unwrap();
        match name {
            "forced" => assert!(stdout.starts_with("forced\necho ran; "), "{stdout}"),
            _ if expected => assert!(stdout.starts_with("ran\nasked: \n"), "{name}: {stdout}"),
            _ => assert_eq!(stdout, "", "{name}"),
        }
    }
    let used =
        "ID identity=j%20doe@example.com;session=s-1;decision=rule:3 (serial 4711) CA ED25519";
    assert!(sshd.log().contains(used), "{}", sshd.log());

    let foreign = issue(&stranger, plain());
    assert!(
        !sshd
            .ssh("stranger", &subject, &foreign, &[])
            .status
            .success()
    );
    assert!(!our_verdict(foreign.blob(), &trusted, user));

    let names = Principals::one(user).unwrap();
    let host = HostCertificate::new(public(), names, validity()).prepare(ca.public(), [0; 32]);
    let signature = ca.sign(host.as_ref().unwrap()).unwrap();
    let host = host.unwrap().complete(&signature).unwrap();
    assert!(
        !sshd
            .ssh("host-certificate", &subject, &host, &[])
            .status
            .success()
    );
    assert!(!our_verdict(host.blob(), &trusted, user));

    // A certificate is nothing without its key.
    let other = key(51, ED25519);
    assert!(
        !sshd
            .ssh("other-key", &other, &issue(&ca, plain()), &[])
            .status
            .success()
    );
}

#[test]
fn terminal_is_given_only_to_who_is_permitted_one() {
    let ca = authority(1, ED25519);
    let Some(sshd) = Sshd::start(&trusted_file(&[&ca]), "") else {
        return;
    };
    let subject = key(50, ED25519);
    let draft = || {
        let names = Principals::one(&sshd.user).unwrap();
        UserCertificate::new(subject.public_key().clone(), names, validity())
    };
    let tty = |name, draft| {
        let output = sshd.ssh(name, &subject, &issue(&ca, draft), &["-tt"]);
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(tty("with-pty", draft().extension(Extension::PermitPty)).contains("/dev/"));
    let without = tty(
        "without-pty",
        draft().extension(Extension::PermitPortForwarding),
    );
    assert!(!without.contains("/dev/"), "{without}");
}

#[test]
fn sshd_takes_every_algorithm_of_authority_and_of_subject() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    if common::program("ssh-keygen").is_none() {
        return;
    }
    generate(at, "rsa", "2048", "ca-rsa");
    generate(at, "rsa", "2048", "subject-rsa");
    let rsa = || CaKey::from_openssh(&read(at, "ca-rsa")).unwrap();
    let authorities = [
        authority(1, ED25519),
        authority(2, P256),
        authority(3, P384),
        authority(4, P521),
        rsa(),
        rsa().signing_with_rsa_sha256(),
    ];
    let trusted: Vec<&CaKey> = authorities.iter().collect();
    let Some(sshd) = Sshd::start(&trusted_file(&trusted), "") else {
        return;
    };
    let subjects: [PrivateKey; 5] = [
        key(11, ED25519),
        key(12, P256),
        key(13, P384),
        key(14, P521),
        PrivateKey::from_openssh(read(at, "subject-rsa")).unwrap(),
    ];
    // Every authority once, and every subject once.
    let pairs = (0..authorities.len().max(subjects.len())).map(|n| {
        (
            &authorities[n % authorities.len()],
            &subjects[n % subjects.len()],
        )
    });
    for (n, (ca, subject)) in pairs.enumerate() {
        let names = Principals::one(&sshd.user).unwrap();
        let draft = UserCertificate::new(subject.public_key().clone(), names, validity());
        let certificate = issue(ca, draft);
        let output = sshd.ssh(&format!("pair-{n}"), subject, &certificate, &[]);
        let what = (ca.public().signature_algorithm(), subject.algorithm());
        assert!(
            output.status.success(),
            "{what:?}: {output:?}\n{}",
            sshd.log()
        );
        assert!(
            our_verdict(certificate.blob(), &[ca.public().clone()], &sshd.user),
            "{what:?}"
        );
    }
}

#[test]
fn ssh_takes_a_host_certificate_for_its_hostname_and_for_no_other() {
    if common::program("ssh-keygen").is_none() {
        return;
    }
    let ca = authority(1, ED25519);
    let further = "HostCertificate %HOST-CERT%";
    // The certificate must stand before sshd starts, and its key is made at the start: use a key of our own.
    let directory = tempfile::tempdir().unwrap();
    generate(directory.path(), "ed25519", "256", "shown");
    let shown = PublicKey::from_openssh(&read(directory.path(), "shown.pub")).unwrap();
    let certify = |hostname: &str| {
        let names = Principals::one(hostname).unwrap();
        let draft = HostCertificate::new(shown.clone(), names, validity());
        let prepared = draft.prepare(ca.public(), [4; 32]).unwrap();
        let signature = ca.sign(&prepared).unwrap();
        prepared.complete(&signature).unwrap()
    };
    let subject = key(50, ED25519);
    for (hostname, alias, expected) in [
        ("db-1.example.com", "db-1.example.com", true),
        ("DB-1.example.com", "db-1.Example.com", true),
        ("db-1.example.com", "db-2.example.com", false),
    ] {
        let certificate = certify(hostname);
        let path = directory.path().join("shown-cert.pub");
        fs::write(&path, format!("{}\n", certificate.to_openssh())).unwrap();
        let lines = format!(
            "HostKey {}\n{}",
            directory.path().join("shown").display(),
            further.replace("%HOST-CERT%", &path.display().to_string())
        );
        let Some(sshd) = Sshd::start(&trusted_file(&[&ca]), &lines) else {
            return;
        };
        let names = Principals::one(&sshd.user).unwrap();
        let login = UserCertificate::new(subject.public_key().clone(), names, validity());
        sshd.ssh("login", &subject, &issue(&ca, login), &[]);

        let known_hosts = sshd.path().join("known_hosts");
        let line = format!(
            "@cert-authority *.example.com {}\n",
            ca.public().to_openssh()
        );
        fs::write(&known_hosts, line).unwrap();
        let options = [
            format!("UserKnownHostsFile={}", known_hosts.display()),
            format!("HostKeyAlias={alias}"),
            "StrictHostKeyChecking=yes".to_string(),
            "HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com".to_string(),
        ];
        let options: Vec<&str> = options.iter().flat_map(|option| ["-o", option]).collect();
        let output = sshd.ssh_as(&sshd.path().join("login"), &options, &[]);
        assert_eq!(
            output.status.success(),
            expected,
            "{hostname} {alias}: {output:?}"
        );

        let context = CheckContext::new(alias, unix_now());
        let ours =
            sshcert::check_host_certificate(certificate.blob(), &[ca.public().clone()], &context);
        assert_eq!(ours.is_ok(), expected, "{hostname} {alias}");
    }
}
