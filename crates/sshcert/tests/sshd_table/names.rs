//! Times and names.

use super::raw::Raw;
use super::{Accepted, Refused, RefusedHereOnly, Table, good, unix_now};

pub(super) fn add(table: &mut Table, user: &str) {
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
    table.add("NUL within another", Refused, named(&[me, b"a\0b"]));
    table.add("NUL behind another", RefusedHereOnly, named(&[me, b"a\0"]));
    let called = |key_id: &[u8]| {
        Raw {
            key_id: key_id.into(),
            ..good(user)
        }
        .sign()
    };
    table.add("no key id", Accepted, called(b""));
    table.add("NUL within its key id", Refused, called(b"a\0b"));
    table.add("NUL behind its key id", RefusedHereOnly, called(b"a\0"));
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
