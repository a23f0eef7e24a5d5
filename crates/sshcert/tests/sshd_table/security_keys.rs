//! Keys of FIDO tokens, which say of each signature whether they were touched and whether they verified their user.

use super::common::put;
use super::present::{Holder, TOUCHED, VERIFIED};
use super::raw::{Raw, option};
use super::{Accepted, Expected, Refused, Table, good};

const NAME: &[u8] = b"sk-ssh-ed25519-cert-v01@openssh.com";
/// What a token's key is bound to, for SSH.
const APPLICATION: &[u8] = b"ssh:";

/// The key of `good` as the key of a token.
fn on_a_token(user: &str) -> Raw {
    let mut raw = good(user);
    raw.name = NAME.to_vec();
    put(&mut raw.key, APPLICATION);
    raw
}

/// Name, critical options, extensions, what the token says of the signature, and whether that lets in.
type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str], u8, Expected);

pub(super) fn add(table: &mut Table, user: &str) {
    let touch_free = ["no-touch-required"];
    let verified = ["verify-required"];
    let rows: [Row<'_>; 10] = [
        ("touched", &[], &[], TOUCHED, Accepted),
        (
            "touched and verified",
            &[],
            &[],
            TOUCHED | VERIFIED,
            Accepted,
        ),
        ("untouched", &[], &[], 0, Refused),
        ("verified, untouched", &[], &[], VERIFIED, Refused),
        (
            "touch not required, untouched",
            &[],
            &touch_free,
            0,
            Accepted,
        ),
        (
            "touch not required, touched",
            &[],
            &touch_free,
            TOUCHED,
            Accepted,
        ),
        (
            "verification required, touched",
            &verified,
            &[],
            TOUCHED,
            Refused,
        ),
        (
            "verification required, touched and verified",
            &verified,
            &[],
            TOUCHED | VERIFIED,
            Accepted,
        ),
        (
            "verification but no touch required, verified",
            &verified,
            &touch_free,
            VERIFIED,
            Accepted,
        ),
        (
            "touch not required, as critical",
            &touch_free,
            &[],
            TOUCHED,
            Refused,
        ),
    ];
    for (name, critical, extensions, flags, expected) in rows {
        let mut raw = on_a_token(user);
        raw.critical = critical.iter().map(|name| option(name, None)).collect();
        raw.extensions = extensions.iter().map(|name| option(name, None)).collect();
        let case = table.add(&format!("token: {name}"), expected, raw.sign());
        case.holder = Holder::SecurityKey { flags };
    }
}
