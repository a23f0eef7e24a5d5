//! A table of certificates of all kinds, good, odd, wrong and hostile: a real sshd takes exactly those that the check takes.
//! The few where the check is stricter on purpose say so.

#![cfg(unix)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod common;

#[path = "common/present.rs"]
mod present;
#[path = "common/raw.rs"]
mod raw;
#[path = "common/sshd.rs"]
mod server;

use std::fs;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{P256, blob, ca, generate, key, read, ssh_keygen, subject};
use present::{Attempt, is_paramiko_there, present};
use raw::{Raw, option};
use server::{Sshd, is_ipv6_there};
use ssh_key::PublicKey;
use sshcert::{
    CaKey, CaPublicKey, CheckContext, EnforcedOption, HostCertificate, Issuer, KeyHash, Krl,
    Principals, UserCertificate, Validity, check_user_certificate,
};

#[expect(clippy::disallowed_methods, reason = "sshd looks at the real clock")]
fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// What is expected of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Accepted,
    Refused,
    /// sshd accepts it, and the check does not: its documentation says why.
    RefusedHereOnly,
}
use Expected::{Accepted, Refused, RefusedHereOnly};

struct Case {
    name: String,
    expected: Expected,
    source: &'static str,
    certificate: Vec<u8>,
    /// The content of `RevokedKeys`, when it is not a list that revokes nothing.
    revoked: Option<Vec<u8>>,
    /// The content of `TrustedUserCAKeys`, when it is not the two authorities.
    trusted: Option<String>,
}

#[derive(Default)]
struct Table(Vec<Case>);

impl Table {
    fn add(&mut self, name: &str, expected: Expected, certificate: Vec<u8>) -> &mut Case {
        self.0.push(Case {
            name: name.into(),
            expected,
            source: "127.0.0.1",
            certificate,
            revoked: None,
            trusted: None,
        });
        self.0.last_mut().unwrap()
    }
}

/// A good certificate for this user, to be changed in one place.
fn good(user: &str) -> Raw {
    let now = unix_now().as_secs();
    Raw {
        principals: vec![user.into()],
        after: now - 60,
        before: now + 3_600,
        ..Raw::default()
    }
}

fn validity_and_names(table: &mut Table, user: &str) {
    let now = unix_now().as_secs();
    let during = |after, before| {
        Raw {
            after,
            before,
            ..good(user)
        }
        .sign()
    };
    table.add("plain", Accepted, good(user).sign());
    table.add("always", Accepted, during(0, u64::MAX));
    table.add("from now on", Accepted, during(now, now + 3_600));
    table.add("until now", Refused, during(now - 100, now));
    table.add("in an hour", Refused, during(now + 3_600, now + 7_200));
    table.add("until yesterday", Refused, during(0, now - 86_400));
    table.add("empty", Refused, during(now, now));
    table.add("reversed", Refused, during(now + 3_600, now - 60));
    table.add(
        "never, from the end of time",
        Refused,
        during(u64::MAX, u64::MAX),
    );
    table.add("until 1970", Refused, during(0, 0));

    let named = |names: &[&[u8]]| {
        let principals = names.iter().map(|name| name.to_vec()).collect();
        Raw {
            principals,
            ..good(user)
        }
        .sign()
    };
    let me = user.as_bytes();
    let with = |before: &str, after: &str| format!("{before}{user}{after}").into_bytes();
    table.add("one of three", Accepted, named(&[b"a", me, b"z"]));
    table.add("named twice", Accepted, named(&[me, me]));
    table.add("no names", Refused, named(&[]));
    table.add("other name", Refused, named(&[b"somebody-else"]));
    table.add("empty name", Refused, named(&[b""]));
    table.add("star", Refused, named(&[b"*"]));
    table.add(
        "question marks",
        Refused,
        named(&["?".repeat(user.len()).as_bytes()]),
    );
    table.add(
        "upper case",
        Refused,
        named(&[user.to_uppercase().as_bytes()]),
    );
    table.add("space behind", Refused, named(&[&with("", " ")]));
    table.add("comma behind", Refused, named(&[&with("", ",x")]));
    table.add("prefix", Refused, named(&[&with("", "x")]));
    table.add("suffix", Refused, named(&[&with("x", "")]));
    table.add("NUL within", Refused, named(&[&with("", "\0x")]));
    table.add("NUL behind", RefusedHereOnly, named(&[&with("", "\0")]));
    table.add(
        "other name not in UTF-8",
        RefusedHereOnly,
        named(&[me, b"\xff"]),
    );
    let many: Vec<Vec<u8>> = (0..256)
        .map(|n| {
            if n == 255 {
                me.into()
            } else {
                format!("n{n}").into()
            }
        })
        .collect();
    let mut most = good(user);
    most.principals = many.clone();
    table.add("256 names", Accepted, most.sign());
    most.principals = [vec![b"first".to_vec()], many].concat();
    table.add("257 names", Refused, most.sign());
}

fn options(table: &mut Table, user: &str) {
    let critical = |options: &[(&str, Option<&str>)]| {
        let critical = options.iter().map(|(name, value)| option(name, *value));
        Raw {
            critical: critical.collect(),
            ..good(user)
        }
        .sign()
    };
    let from = |list: &str| critical(&[("source-address", Some(list))]);
    table.add("from here", Accepted, from("127.0.0.1"));
    table.add("from this network", Accepted, from("127.0.0.0/8"));
    table.add("from anywhere in IPv4", Accepted, from("0.0.0.0/0"));
    table.add(
        "from here at last",
        Accepted,
        from("192.0.2.0/24,2001:db8::/32,127.0.0.1"),
    );
    table.add("from elsewhere", Refused, from("192.0.2.0/24"));
    table.add("from next door", Refused, from("127.0.0.2"));
    table.add("from anywhere in IPv6", Refused, from("::/0"));
    for (name, list) in [
        ("nothing", ""),
        ("host bits", "127.0.0.1/8"),
        ("mask too long", "127.0.0.1/33"),
        ("negated", "!192.0.2.1,127.0.0.1"),
        ("a star", "*"),
        ("a name", "localhost"),
        ("a comma behind", "127.0.0.1,"),
        ("a space before", " 127.0.0.1"),
        ("a bad one after a good one", "127.0.0.1,x"),
        ("a bad one before a good one", "x,127.0.0.1"),
        ("half an address", "127.0.0"),
    ] {
        table.add(&format!("from a list with {name}"), Refused, from(list));
    }
    table
        .add("second loopback", Accepted, from("127.0.0.2"))
        .source = "127.0.0.2";
    table
        .add("not the second loopback", Refused, from("127.0.0.1"))
        .source = "127.0.0.2";
    if is_ipv6_there() {
        for (name, expected, list) in [
            ("loopback", Accepted, "::1"),
            ("network", Accepted, "::/64"),
            ("list", Accepted, "10.0.0.0/8,::1/128"),
            ("long form", Accepted, "0:0:0:0:0:0:0:1"),
            ("other", Refused, "2001:db8::/32"),
            ("IPv4 only", Refused, "0.0.0.0/0"),
            ("host bits", Refused, "::1/64"),
        ] {
            table
                .add(&format!("IPv6: {name}"), expected, from(list))
                .source = "::1";
        }
    }

    table.add(
        "forced",
        Accepted,
        critical(&[("force-command", Some("true"))]),
    );
    table.add(
        "forced, empty",
        Accepted,
        critical(&[("force-command", Some(""))]),
    );
    table.add(
        "forced without a command",
        Refused,
        critical(&[("force-command", None)]),
    );
    table.add(
        "forced with NUL",
        Refused,
        critical(&[("force-command", Some("a\0b"))]),
    );
    table.add(
        "unknown critical",
        Refused,
        critical(&[("x@example.com", None)]),
    );
    table.add(
        "unknown critical of OpenSSH",
        Refused,
        critical(&[("no-such-thing", None)]),
    );
    table.add(
        "critical in upper case",
        Refused,
        critical(&[("Force-Command", Some("true"))]),
    );
    table.add(
        "extension as critical",
        Refused,
        critical(&[("permit-pty", None)]),
    );
    table.add("known and unknown critical", Refused, {
        critical(&[("force-command", Some("true")), ("x@example.com", None)])
    });
    let twice = [
        ("force-command", Some("true")),
        ("force-command", Some("true")),
    ];
    table.add("forced twice", Refused, critical(&twice));
    let unordered = [
        ("source-address", Some("127.0.0.1")),
        ("force-command", Some("true")),
    ];
    table.add(
        "critical out of order",
        RefusedHereOnly,
        critical(&unordered),
    );
    table.add("verify-required without a security key", RefusedHereOnly, {
        critical(&[("verify-required", None)])
    });
    table.add(
        "verify-required with data",
        Refused,
        critical(&[("verify-required", Some("x"))]),
    );

    let extended = |options: &[(&str, Option<&str>)]| {
        let extensions = options.iter().map(|(name, value)| option(name, *value));
        Raw {
            extensions: extensions.collect(),
            ..good(user)
        }
        .sign()
    };
    table.add("extension", Accepted, extended(&[("permit-pty", None)]));
    table.add(
        "unknown extension",
        Accepted,
        extended(&[("x@example.com", Some("y"))]),
    );
    table.add(
        "extension with data",
        Refused,
        extended(&[("permit-pty", Some("yes"))]),
    );
    table.add(
        "critical as extension",
        Accepted,
        extended(&[("force-command", Some("false"))]),
    );
    let twice = [("permit-pty", None), ("permit-pty", None)];
    table.add("extension twice", RefusedHereOnly, extended(&twice));
}

fn shapes_and_authorities(table: &mut Table, user: &str) {
    let changed = |change: &dyn Fn(&mut Raw)| {
        let mut raw = good(user);
        change(&mut raw);
        raw.sign()
    };
    let plain = good(user).sign();
    for cut in [1, 4, 60, plain.len() / 2, plain.len() - 40] {
        let name = format!("truncated by {cut}");
        table.add(&name, Refused, plain[..plain.len() - cut].to_vec());
    }
    for tail in [vec![0], vec![0; 4], plain.clone()] {
        let name = format!("{} bytes behind it", tail.len());
        table.add(&name, Refused, [plain.clone(), tail].concat());
    }
    for (name, at) in [("nonce", 50), ("key", 90), ("signature", plain.len() - 8)] {
        let mut flipped = plain.clone();
        flipped[at] ^= 1;
        table.add(&format!("flipped bit in its {name}"), Refused, flipped);
    }
    table.add(
        "bytes behind the signature's",
        Refused,
        changed(&|raw| raw.tail = vec![0]),
    );
    for (name, expected) in [
        ("ssh-rsa", Refused),
        ("rsa-sha2-512", Refused),
        ("", Refused),
        ("ssh-ed25519\0", RefusedHereOnly),
    ] {
        let blob = changed(&|raw| raw.signature_name = name.into());
        table.add(&format!("signature called {name:?}"), expected, blob);
    }
    for kind in [0, 2, 3, u32::MAX] {
        table.add(
            &format!("kind {kind}"),
            Refused,
            changed(&|raw| raw.kind = kind),
        );
    }
    table.add(
        "reserved in use",
        Accepted,
        changed(&|raw| raw.reserved = vec![1, 2]),
    );
    let stranger = ca(2).public().blob().to_vec();
    let as_stranger = changed(&|raw| raw.authority = Some(stranger.clone()));
    table.add("in a stranger's name", Refused, as_stranger);
    let chain = good(user).sign();
    table.add(
        "by a certificate",
        Refused,
        changed(&|raw| raw.authority = Some(chain.clone())),
    );
    let itself = subject().to_bytes().unwrap();
    table.add(
        "by its own key",
        Refused,
        changed(&|raw| raw.authority = Some(itself.clone())),
    );
    table.add(
        "by nobody",
        Refused,
        changed(&|raw| raw.authority = Some(vec![])),
    );
    table.add("a plain key", Refused, subject().to_bytes().unwrap());

    let mint = |authority: &CaKey, draft: UserCertificate| {
        let prepared = draft.prepare(authority.public(), [5; 32]).unwrap();
        authority.mint(prepared).unwrap().blob().to_vec()
    };
    let now = unix_now().as_secs();
    let validity = Validity::dangerous_between(now - 60, now + 3_600).unwrap();
    let draft = || UserCertificate::new(subject(), Principals::one(user).unwrap(), validity);
    table.add("by a stranger", Refused, mint(&ca(2), draft()));
    let second = CaKey::from_private_key(key(3, P256)).unwrap();
    table.add("by the second authority", Accepted, mint(&second, draft()));
    let anybody = UserCertificate::dangerous_any_principal(subject(), validity);
    table.add("for anybody", Refused, mint(&ca(1), anybody));
    let host = HostCertificate::new(subject(), Principals::one(user).unwrap(), validity);
    let host = host.prepare(ca(1).public(), [5; 32]).unwrap();
    table.add(
        "for a host",
        Refused,
        ca(1).mint(host).unwrap().blob().to_vec(),
    );

    let line = format!("{}\n", ca(1).public().to_openssh());
    let trusting = [
        ("behind a comment", Accepted, format!("# ours\n\n{line}")),
        (
            "with a name behind",
            Accepted,
            format!("{} ours\n", line.trim()),
        ),
        ("not at all", Refused, String::new()),
        ("commented out", Refused, format!("# {line}")),
        (
            "as another",
            Refused,
            format!("{}\n", ca(2).public().to_openssh()),
        ),
    ];
    for (name, expected, text) in trusting {
        table
            .add(&format!("trusted {name}"), expected, plain.clone())
            .trusted = Some(text);
    }
}

/// Certificates by RSA in every hash, which only `ssh-keygen` makes with SHA-1.
fn rsa(table: &mut Table, user: &str) {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    generate(at, "rsa", "3072", "rsa");
    fs::write(at.join("id.pub"), subject().to_openssh().unwrap()).unwrap();
    for (algorithm, expected) in [
        ("ssh-rsa", Refused),
        ("rsa-sha2-256", Accepted),
        ("rsa-sha2-512", Accepted),
    ] {
        let sign = [
            "-q", "-s", "rsa", "-t", algorithm, "-I", "x", "-n", user, "id.pub",
        ];
        ssh_keygen(at, &sign);
        let certificate = blob(&read(at, "id-cert.pub"));
        let case = table.add(&format!("RSA with {algorithm}"), expected, certificate);
        case.trusted = Some(read(at, "rsa.pub"));
    }
}

fn revocations(table: &mut Table, user: &str) {
    let plain = good(user).sign();
    let (mine, other) = (ca(1), ca(2));
    let (mine, other) = (
        Issuer::Authority(mine.public()),
        Issuer::Authority(other.public()),
    );
    let authority = PublicKey::from_bytes(ca(1).public().blob()).unwrap();
    type Fill<'a> = &'a dyn Fn(&mut Krl);
    // `Raw` gives serial 3 and key id `id`.
    let fills: [(&str, Expected, Fill<'_>); 18] = [
        ("serial", Refused, &|krl| {
            krl.revoke_serials(mine, 3..=3).unwrap()
        }),
        ("serial range", Refused, &|krl| {
            krl.revoke_serials(mine, 1..=9).unwrap()
        }),
        ("every serial", Refused, &|krl| {
            krl.revoke_serials(mine, 1..=u64::MAX).unwrap()
        }),
        ("serial bitmap", Refused, &|krl| {
            for serial in (1..200).step_by(2) {
                krl.revoke_serials(mine, serial..=serial).unwrap();
            }
        }),
        ("serials beside it", Accepted, &|krl| {
            for serial in (2..200).step_by(2) {
                krl.revoke_serials(mine, serial..=serial).unwrap();
            }
        }),
        ("serial of another authority", Accepted, &|krl| {
            krl.revoke_serials(other, 1..=9).unwrap();
        }),
        ("serial of every authority", Refused, &|krl| {
            krl.revoke_serials(Issuer::Any, 3..=3).unwrap();
        }),
        ("key id", Refused, &|krl| {
            krl.revoke_key_id(mine, "id").unwrap()
        }),
        ("key id of every authority", Refused, &|krl| {
            krl.revoke_key_id(Issuer::Any, "id").unwrap();
        }),
        ("key id of another authority", Accepted, &|krl| {
            krl.revoke_key_id(other, "id").unwrap();
        }),
        ("key id in upper case", Accepted, &|krl| {
            krl.revoke_key_id(mine, "ID").unwrap()
        }),
        ("key", Refused, &|krl| krl.revoke_key(&subject()).unwrap()),
        ("SHA-1", Refused, &|krl| {
            krl.revoke_fingerprint(&KeyHash::sha1_of(&subject()).unwrap());
        }),
        ("SHA-256", Refused, &|krl| {
            krl.revoke_fingerprint(&KeyHash::sha256_of(&subject()).unwrap());
        }),
        ("other hash", Accepted, &|krl| {
            krl.revoke_fingerprint(&KeyHash::Sha256([1; 32]))
        }),
        ("authority", Refused, &|krl| {
            krl.revoke_key(&authority).unwrap()
        }),
        ("authority's SHA-256", Refused, &|krl| {
            krl.revoke_fingerprint(&KeyHash::sha256_of(&authority).unwrap());
        }),
        ("authority's SHA-1", Refused, &|krl| {
            krl.revoke_fingerprint(&KeyHash::sha1_of(&authority).unwrap());
        }),
    ];
    for (name, expected, fill) in fills {
        let mut krl = Krl::new(1, unix_now());
        fill(&mut krl);
        let case = table.add(&format!("revoked by {name}"), expected, plain.clone());
        case.revoked = Some(krl.to_bytes());
    }
    let line = |key: &PublicKey| format!("# gone\n{}\n", key.to_openssh().unwrap());
    let stranger = PublicKey::from_bytes(ca(2).public().blob()).unwrap();
    let mut broken = Krl::new(1, unix_now()).to_bytes();
    broken.push(9);
    for (name, expected, content) in [
        (
            "a text with its key",
            Refused,
            line(&subject()).into_bytes(),
        ),
        (
            "a text with its authority",
            Refused,
            line(&authority).into_bytes(),
        ),
        (
            "a text with another key",
            Accepted,
            line(&stranger).into_bytes(),
        ),
        ("a text of nothing", Accepted, Vec::new()),
        (
            "a text that is no key",
            Refused,
            b"no key at all\n".to_vec(),
        ),
        ("a broken list", Refused, broken),
    ] {
        let case = table.add(&format!("revoked by {name}"), expected, plain.clone());
        case.revoked = Some(content);
    }
}

/// As sshd: either form, and an unreadable one revokes everything.
fn revoked_keys(content: &[u8]) -> Option<Krl> {
    Krl::parse(content)
        .or_else(|error| match error {
            sshcert::KrlError::NotAList => Krl::from_key_list(str::from_utf8(content).unwrap()),
            other => Err(other),
        })
        .ok()
}

fn is_accepted_here(case: &Case, user: &str, trusted: &str, revoked: &[u8]) -> bool {
    let trusted: Vec<CaPublicKey> = case
        .trusted
        .as_deref()
        .unwrap_or(trusted)
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| CaPublicKey::from_openssh(line).unwrap())
        .collect();
    let Some(krl) = revoked_keys(case.revoked.as_deref().unwrap_or(revoked)) else {
        return false;
    };
    let krl = [krl];
    let context = CheckContext::new(user, unix_now())
        .address(case.source.parse::<IpAddr>().unwrap())
        .enforcing(&[EnforcedOption::ForceCommand, EnforcedOption::VerifyRequired])
        .revoked_by(&krl);
    check_user_certificate(&case.certificate, &trusted, &context).is_ok()
}

#[test]
fn sshd_takes_exactly_the_certificates_of_the_table_that_the_check_takes() {
    if !is_paramiko_there() {
        return;
    }
    let second = CaKey::from_private_key(key(3, P256)).unwrap();
    let trusted = format!(
        "{}\n{}\n",
        ca(1).public().to_openssh(),
        second.public().to_openssh()
    );
    let revoked = Krl::new(1, unix_now()).to_bytes();
    let directory = tempfile::tempdir().unwrap();
    let revoked_path = directory.path().join("revoked");
    fs::write(&revoked_path, &revoked).unwrap();
    let further = format!("RevokedKeys {}", revoked_path.display());
    let Some(sshd) = Sshd::start(&trusted, &further) else {
        return;
    };
    let user = sshd.user.as_str();
    let mut table = Table::default();
    validity_and_names(&mut table, user);
    options(&mut table, user);
    shapes_and_authorities(&mut table, user);
    rsa(&mut table, user);
    revocations(&mut table, user);

    let trusted_path = sshd.path().join("ca.pub");
    let attempts: Vec<Attempt> = table
        .0
        .iter()
        .map(|case| Attempt {
            name: case.name.clone(),
            source: case.source,
            certificate: case.certificate.clone(),
            files: vec![
                (
                    trusted_path.clone(),
                    case.trusted.as_ref().unwrap_or(&trusted).clone().into(),
                ),
                (
                    revoked_path.clone(),
                    case.revoked.as_ref().unwrap_or(&revoked).clone(),
                ),
            ],
        })
        .collect();
    let verdicts = present(&sshd, &attempts);
    let mut wrong = Vec::new();
    for case in &table.0 {
        let here = is_accepted_here(case, user, &trusted, &revoked);
        let got = (verdicts[&case.name], here);
        let expected = match case.expected {
            Accepted => (true, true),
            Refused => (false, false),
            RefusedHereOnly => (true, false),
        };
        if got != expected {
            wrong.push(format!("{}: sshd {}, check {}", case.name, got.0, got.1));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", sshd.log());
    assert!(table.0.len() >= 100, "{}", table.0.len());
    let stricter = |case: &&Case| case.expected == RefusedHereOnly;
    assert_eq!(table.0.iter().filter(stricter).count(), 6);
}
