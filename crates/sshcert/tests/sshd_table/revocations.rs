//! One good certificate before lists of all kinds.

use ssh_key::PublicKey;
use sshcert::{Issuer, KeyHash, Krl};

use super::common::{ca, subject};
use super::{Accepted, Expected, Refused, Table, good, unix_now};

pub(super) fn add(table: &mut Table, user: &str) {
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
            "a text with its key and carriage returns",
            Refused,
            line(&subject()).replace('\n', "\r\n").into_bytes(),
        ),
        (
            "a text with another key and carriage returns",
            Accepted,
            line(&stranger).replace('\n', "\r\n").into_bytes(),
        ),
        (
            "a text with an empty line that has a carriage return",
            Refused,
            b"\r\n".to_vec(),
        ),
        (
            "a text with its key behind a form feed",
            Refused,
            format!("\x0c{}", line(&subject())).into_bytes(),
        ),
        (
            "a text with a comment behind a form feed",
            Refused,
            b"\x0c# gone\n".to_vec(),
        ),
        (
            "a text with another key behind a NUL",
            Accepted,
            format!("# gone\0\n{}", line(&stranger)).into_bytes(),
        ),
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
