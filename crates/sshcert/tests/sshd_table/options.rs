//! Critical options and extensions.

use super::raw::{Raw, option};
use super::server::is_ipv6_there;
use super::{Accepted, Refused, RefusedHereOnly, Table, good};

pub(super) fn add(table: &mut Table, user: &str) {
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
    table.add(
        "extension with NUL within its name",
        Refused,
        extended(&[("x\0y@example.com", None)]),
    );
    table.add(
        "critical with NUL within its name",
        Refused,
        critical(&[("force-command\0x", Some("true"))]),
    );
    table.add("extension twice", RefusedHereOnly, extended(&twice));
}
