//! `ssh-keygen` writes lists that are read here, and reads lists that are written here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{blob, generate, program, read, ssh_keygen};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use ssh_key::PublicKey;
use sshcert::{CaPublicKey, Issuer, KeyHash, Krl, Unverified};

/// Two authorities, a key `solo` without a certificate, and certificates of one key each: by `NAME-SERIAL-ID`.
const CERTIFICATES: [(&str, &str, &str); 10] = [
    ("ca1", "0", "none"),
    ("ca1", "1", "one"),
    ("ca1", "2", "two"),
    ("ca1", "5000000000", "far"),
    ("ca1", "18446744073709551615", "last"),
    ("ca2", "0", "none"),
    ("ca2", "1", "one"),
    ("ca2", "2", "spaced id"),
    ("ca2", "70", "seventy"),
    ("ca2", "71", "\u{fc}n\u{ef}code"),
];

struct Lab {
    directory: tempfile::TempDir,
    files: Vec<String>,
}

impl Lab {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        generate(at, "ed25519", "256", "ca1");
        generate(at, "ecdsa", "256", "ca2");
        generate(at, "rsa", "2048", "solo");
        let mut files: Vec<String> = ["ca1.pub", "ca2.pub", "solo.pub"].map(Into::into).into();
        for (index, (ca, serial, id)) in CERTIFICATES.iter().enumerate() {
            let name = format!("k{index}");
            generate(at, "ed25519", "256", &name);
            let public = format!("{name}.pub");
            let arguments = [
                "-q",
                "-s",
                ca,
                "-I",
                id,
                "-n",
                "u",
                "-z",
                serial,
                "-V",
                "always:forever",
                &public,
            ];
            ssh_keygen(at, &arguments);
            files.push(format!("{name}-cert.pub"));
            files.push(public);
        }
        Self { directory, files }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn key(&self, name: &str) -> PublicKey {
        PublicKey::from_openssh(&read(self.path(), name)).unwrap()
    }

    fn authority(&self, name: &str) -> CaPublicKey {
        CaPublicKey::from_openssh(&read(self.path(), name)).unwrap()
    }

    fn certificate(&self, index: usize) -> Unverified {
        let line = read(self.path(), &format!("k{index}-cert.pub"));
        Unverified::parse(&blob(&line)).unwrap()
    }

    /// What `ssh-keygen -Q` says of every file.
    fn revoked_for_ssh_keygen(&self, krl: &str) -> BTreeSet<String> {
        let output = Command::new("ssh-keygen")
            .args(["-Q", "-f", krl])
            .args(&self.files)
            .current_dir(self.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut revoked = BTreeSet::new();
        for file in &self.files {
            let of = |line: &&str| line.starts_with(&format!("{file} "));
            let line = text.lines().find(of).expect(file);
            match line.rsplit(' ').next().unwrap() {
                "REVOKED" => revoked.insert(file.clone()),
                "ok" => true,
                other => unreachable!("{other}"),
            };
        }
        assert_eq!(output.status.success(), revoked.is_empty());
        revoked
    }

    fn revoked_here(&self, krl: &Krl) -> BTreeSet<String> {
        let blob_of = |file: &String| blob(&read(self.path(), file));
        let files = self.files.iter();
        files
            .filter(|file| krl.find(&blob_of(file)).unwrap().is_some())
            .cloned()
            .collect()
    }

    fn load(&self, krl: &str) -> Krl {
        Krl::parse(&fs::read(self.path().join(krl)).unwrap()).unwrap()
    }

    /// Both say the same of the list in this file, and how many files that revokes.
    fn agree(&self, krl: &str) -> usize {
        let here = self.revoked_here(&self.load(krl));
        assert_eq!(here, self.revoked_for_ssh_keygen(krl), "{krl}");
        here.len()
    }
}

#[test]
fn lists_that_ssh_keygen_writes_say_the_same_here() {
    if program("ssh-keygen").is_none() {
        return;
    }
    let lab = Lab::new();
    let at = lab.path();
    let hash = KeyHash::sha256_of(&lab.key("k3.pub")).unwrap();
    let KeyHash::Sha256(bytes) = hash else {
        unreachable!()
    };
    let fingerprint = ssh_key::Fingerprint::Sha256(bytes).to_string();
    assert_eq!(KeyHash::from_text(&fingerprint), Ok(hash));
    let line = |name: &str| read(at, name).trim().to_string();
    let scattered: String = (1..400).map(|n| format!("serial: {}\n", n * 2)).collect();
    let mut revoked = 0;
    for (name, ca, spec) in [
        ("nothing", None, String::new()),
        ("serial", Some("ca1.pub"), "serial: 1\n".into()),
        ("range", Some("ca2.pub"), "serial: 2-70\n".into()),
        (
            "everything",
            Some("ca1.pub"),
            "serial: 1-18446744073709551615\n".into(),
        ),
        (
            "wide",
            Some("ca1.pub"),
            "serial: 4000000000-6000000000\n".into(),
        ),
        ("bitmap", Some("ca2.pub"), scattered),
        (
            "mixed",
            Some("ca1.pub"),
            "serial: 1\nserial: 5000000000\nserial: 5000000002-5000009000\n".into(),
        ),
        ("id", Some("ca1.pub"), "id: none\nid: one\n".into()),
        ("spaced-id", Some("ca2.pub"), "id: spaced id\n".into()),
        (
            "unicode-id",
            Some("ca2.pub"),
            "id: \u{fc}n\u{ef}code\n".into(),
        ),
        ("id-of-anybody", Some("none"), "id: none\n".into()),
        ("key", None, format!("key: {}\n", line("k1.pub"))),
        ("sha1", None, format!("sha1: {}\n", line("k2.pub"))),
        ("sha256", None, format!("sha256: {}\n", line("solo.pub"))),
        ("hash", None, format!("hash: {fingerprint}\n")),
        ("authority", None, format!("key: {}\n", line("ca2.pub"))),
        (
            "authority-hash",
            None,
            format!("sha256: {}\n", line("ca1.pub")),
        ),
        ("certificate", None, format!("{}\n", line("k1-cert.pub"))),
        (
            "certificate-without-serial",
            None,
            format!("{}\n", line("k0-cert.pub")),
        ),
    ] {
        fs::write(at.join("spec"), spec).unwrap();
        let krl = format!("krl-{name}");
        let mut arguments = vec!["-q", "-k", "-z", "7", "-f", &krl];
        if let Some(ca) = ca {
            arguments.extend(["-s", ca]);
        }
        arguments.push("spec");
        ssh_keygen(at, &arguments);
        let count = lab.agree(&krl);
        assert_eq!(count == 0, name == "nothing", "{name}");
        revoked += count;
        let list = lab.load(&krl);
        assert_eq!(list.version(), 7);
        // What was read is written so that it reads the same, for both.
        assert_eq!(Krl::parse(&list.to_bytes()), Ok(list.clone()));
        fs::write(at.join("again"), list.to_bytes()).unwrap();
        assert_eq!(lab.agree("again"), count);
    }
    assert!(revoked >= 30, "{revoked}");
}

#[test]
fn lists_that_are_written_here_say_the_same_to_ssh_keygen() {
    if program("ssh-keygen").is_none() {
        return;
    }
    let lab = Lab::new();
    let at = lab.path();
    let (ca1, ca2) = (lab.authority("ca1.pub"), lab.authority("ca2.pub"));
    let generated = Duration::from_secs(1_700_000_000);
    let new = || Krl::new(3, generated).comment("of a test");
    type Fill<'a> = &'a dyn Fn(&mut Krl);
    let fills: [(&str, usize, Fill<'_>); 9] = [
        ("serial", 1, &|krl| {
            krl.revoke_serials(Issuer::Authority(&ca1), 2..=2).unwrap();
        }),
        ("range", 3, &|krl| {
            krl.revoke_serials(Issuer::Authority(&ca2), 1..=70).unwrap();
        }),
        ("bitmap", 2, &|krl| {
            for serial in (70..1_000).step_by(3).chain([71]) {
                krl.revoke_serials(Issuer::Authority(&ca2), serial..=serial)
                    .unwrap();
            }
        }),
        ("last", 1, &|krl| {
            krl.revoke_serials(Issuer::Any, u64::MAX..=u64::MAX)
                .unwrap();
        }),
        ("ids", 3, &|krl| {
            krl.revoke_key_id(Issuer::Any, "one").unwrap();
            krl.revoke_key_id(Issuer::Authority(&ca2), "spaced id")
                .unwrap();
        }),
        ("certificates", 2, &|krl| {
            krl.revoke_certificate(&lab.certificate(0)).unwrap();
            krl.revoke_certificate(&lab.certificate(1)).unwrap();
        }),
        ("key", 2, &|krl| krl.revoke_key(&lab.key("k4.pub")).unwrap()),
        ("hashes", 4, &|krl| {
            krl.revoke_fingerprint(&KeyHash::sha1_of(&lab.key("k5.pub")).unwrap());
            krl.revoke_fingerprint(&KeyHash::sha256_of(&lab.key("k6.pub")).unwrap());
        }),
        ("authority", 6, &|krl| {
            krl.revoke_key(&lab.key("ca1.pub")).unwrap()
        }),
    ];
    for (name, expected, fill) in fills {
        let mut krl = new();
        fill(&mut krl);
        fs::write(at.join(name), krl.to_bytes()).unwrap();
        assert_eq!(lab.agree(name), expected, "{name}");
        let listed = ssh_keygen(at, &["-Q", "-l", "-f", name]).stdout;
        let listed = String::from_utf8(listed).unwrap();
        assert!(listed.contains("# KRL version 3\n"), "{listed}");
        assert!(
            listed.contains("# Generated at 20231114T221320"),
            "{listed}"
        );
        assert!(listed.contains("# Comment: of a test"), "{listed}");

        // `ssh-keygen` extends the list, and both still agree.
        fs::write(at.join("spec"), "serial: 71\nid: far\n").unwrap();
        let more = [
            "-q", "-k", "-u", "-z", "9", "-s", "ca2.pub", "-f", name, "spec",
        ];
        ssh_keygen(at, &more);
        lab.agree(name);
        let extended = lab.load(name);
        assert_eq!(extended.version(), 9);
        krl.revoke_serials(Issuer::Authority(&ca2), 71..=71)
            .unwrap();
        krl.revoke_key_id(Issuer::Authority(&ca2), "far").unwrap();
        krl.renew(9, Duration::from_secs(extended.generated()));
        assert_eq!(krl, extended, "{name}");
    }
}

/// The `serial:` lines of `ssh-keygen -Q -l`.
fn listed_serials(directory: &Path, krl: &str) -> Vec<(u64, u64)> {
    let output = ssh_keygen(directory, &["-Q", "-l", "-f", krl]).stdout;
    let text = String::from_utf8(output).unwrap();
    let number = |text: &str| text.parse::<u64>().unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("serial: "))
        .map(|range| match range.split_once('-') {
            Some((first, last)) => (number(first), number(last)),
            None => (number(range), number(range)),
        })
        .collect()
}

#[test]
fn every_set_of_serial_numbers_is_the_same_to_both_whoever_wrote_it() {
    if program("ssh-keygen").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    generate(at, "ed25519", "256", "ca");
    let ca = CaPublicKey::from_openssh(&read(at, "ca.pub")).unwrap();
    let base = prop_oneof![Just(1u64), Just(1 << 40), Just(u64::MAX - 40_000)];
    let length = prop_oneof![4 => Just(0u64), 2 => 1..4u64, 1 => 4..3_000u64];
    let gap = prop_oneof![4 => 1..3u64, 2 => 3..300u64, 1 => 300..20_000u64];
    let ranges = proptest::collection::vec((gap, length), 1..80);
    let check = |(base, steps): (u64, Vec<(u64, u64)>)| -> Result<(), TestCaseError> {
        let mut krl = Krl::new(1, Duration::from_secs(1));
        let (mut next, mut spec) = (base, String::new());
        for (gap, more) in steps {
            let Some(first) = next.checked_add(gap) else {
                break;
            };
            let last = first.saturating_add(more);
            krl.revoke_serials(Issuer::Authority(&ca), first..=last)
                .unwrap();
            spec.push_str(&match more {
                0 => format!("serial: {first}\n"),
                _ => format!("serial: {first}-{last}\n"),
            });
            next = last;
        }
        let expected: Vec<(u64, u64)> = krl
            .certificates()
            .flat_map(|(_, revoked)| revoked.serials())
            .map(|range| (*range.start(), *range.end()))
            .collect();
        fs::write(at.join("ours"), krl.to_bytes()).unwrap();
        prop_assert_eq!(&listed_serials(at, "ours"), &expected);

        fs::write(at.join("spec"), spec).unwrap();
        ssh_keygen(at, &["-q", "-k", "-s", "ca.pub", "-f", "theirs", "spec"]);
        let theirs = fs::read(at.join("theirs")).unwrap();
        let read_back = Krl::parse(&theirs).unwrap();
        prop_assert!(read_back.certificates().eq(krl.certificates()));
        // As compact as the format's own tool, give or take a section.
        prop_assert!(krl.to_bytes().len() <= theirs.len() + theirs.len() / 4 + 64);
        Ok(())
    };
    let config = ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config).run(&(base, ranges), check).unwrap();
}
