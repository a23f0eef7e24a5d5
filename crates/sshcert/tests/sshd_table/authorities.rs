//! Shapes of certificates, who signed them and how, and whom the server trusts.

use std::fs;

use sshcert::{CaKey, HostCertificate, Principals, UserCertificate, Validity};

use super::common::{P256, blob, ca, generate, key, read, ssh_keygen, subject};
use super::raw::Raw;
use super::{Accepted, Refused, RefusedHereOnly, Table, good, unix_now};

pub(super) fn add(table: &mut Table, user: &str) {
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
        (
            "behind a line that is no key",
            Refused,
            format!("no key\n{line}"),
        ),
        (
            "before a line that is no key",
            RefusedHereOnly,
            format!("{line}no key\n"),
        ),
        (
            "with carriage returns",
            Accepted,
            format!("# ours\r\n{}\r\n", line.trim()),
        ),
        (
            "behind an empty line that has a carriage return",
            Refused,
            format!("\r\n{line}"),
        ),
        ("behind a form feed", Refused, format!("\x0c{line}")),
        ("behind a NUL", Refused, format!("\0{line}")),
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
pub(super) fn add_rsa(table: &mut Table, user: &str) {
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
