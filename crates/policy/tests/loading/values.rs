//! Values that cannot be (rules L1, L3, L4 and L5 of SPEC.md).

use super::{load, refused, refused_in_policy, refused_rule, toml_escaped, with_policy};

#[test]
fn unknown_selectors_actions_and_values_are_problems() {
    refused_rule(
        "{ emails = \"a@example.com\" }",
        "line 12: application[0].policy[0].require[0].emails: there is no selector `emails`; write `email`",
    );
    refused_rule(
        "{ email = \"a@example.com\", everyone = true }",
        "line 12: application[0].policy[0].require[0]: a rule holds exactly one selector; write each selector as a rule of its own: `[{ … }, { … }]`",
    );
    refused_rule(
        "{}",
        "line 12: application[0].policy[0].require[0]: a rule holds exactly one selector; write each selector as a rule of its own: `[{ … }, { … }]`",
    );
    refused(
        &with_policy("name = \"p\"\naction = \"bypass\"\ninclude = [{ everyone = true }]"),
        "line 10: application[0].policy[0].action: `bypass` would let people in without an identity and without a recording; write `allow`, and whom",
    );
    refused(
        &with_policy("name = \"p\"\naction = \"Allow\"\ninclude = [{ everyone = true }]"),
        "line 10: application[0].policy[0].action: there is no action `Allow`; write `allow` or `block`",
    );
    refused(
        &with_policy("name = \"p\"\naction = \"service_auth\"\ninclude = [{ everyone = true }]"),
        "line 10: application[0].policy[0].action: there is no action `service_auth` for SSH; write `allow` and include `{ service_token = \"…\" }`",
    );
    refused_in_policy(
        "missing_in_exclude = \"ok\"",
        "line 12: application[0].policy[0].missing_in_exclude: `ok` is neither of two; write `denies`, or `ignored` if the policy may match where an excluded attribute is unknown",
    );
}

#[test]
fn values_of_the_wrong_type_are_problems() {
    refused_in_policy(
        "require = { everyone = true }",
        "line 12: application[0].policy[0].require: a list is expected here, not a table; write it in brackets: `[ … ]`",
    );
    refused_rule(
        "\"everyone\"",
        "line 12: application[0].policy[0].require[0]: a table is expected here, not a text; write `{ field = value }`",
    );
    refused_rule(
        "{ email = 7 }",
        "line 12: application[0].policy[0].require[0].email: a text is expected here, not a number; write it in quotes: `\"…\"`",
    );
    refused_rule(
        "{ email = [\"a@example.com\", [\"b@example.com\"]] }",
        "line 12: application[0].policy[0].require[0].email[1]: a text is expected here, not a list; write it in quotes: `\"…\"`",
    );
    refused_in_policy(
        "allow_email_alias = \"yes\"",
        "line 12: application[0].policy[0].allow_email_alias: a yes or no is expected here, not a text; write `true` or `false`",
    );
    refused(
        "application = 7",
        "line 1: application: a list is expected here, not a number; write it in brackets: `[ … ]`",
    );
}

#[test]
fn a_rule_cannot_be_switched_off() {
    for selector in ["everyone", "any_service_token", "managed_device"] {
        refused_rule(
            &format!("{{ {selector} = false }}"),
            &format!(
                "line 12: application[0].policy[0].require[0].{selector}: a rule cannot be switched off; \
                 write `true`, or remove the rule; to say the contrary, write it in `exclude`"
            ),
        );
    }
}

#[test]
fn bad_address_ranges_are_problems() {
    let place = "line 12: application[0].policy[0].require[0].ip";
    refused_rule(
        "{ ip = \"10.0.0.1/8\" }",
        &format!(
            "{place}: `10.0.0.1/8` names a range by an address inside it; write `10.0.0.0/8` for the range or `10.0.0.1/32` for the one address"
        ),
    );
    refused_rule(
        "{ ip = \"2001:db8::1/32\" }",
        &format!(
            "{place}: `2001:db8::1/32` names a range by an address inside it; write `2001:db8::/32` for the range or `2001:db8::1/128` for the one address"
        ),
    );
    refused_rule(
        "{ ip = \"::ffff:10.0.0.0/104\" }",
        &format!(
            "{place}: `::ffff:10.0.0.0/104` is an IPv4 range in IPv6 form, which no client address is compared with; write `10.0.0.0/8`"
        ),
    );
    for text in [
        "10.0.0.0/33",
        "10.0.0/8",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "010.0.0.0/8",
        "10.0.0.0/08",
        "10.0.0.0/+8",
        "10.0.0.0/8/8",
        "::/129",
        "localhost",
        "",
        " 10.0.0.1",
        "fe80::1%eth0",
    ] {
        refused_rule(
            &format!("{{ ip = \"{text}\" }}"),
            &format!(
                "{place}: `{text}` is no address range; write `192.0.2.0/24`, `2001:db8::/32` or one address"
            ),
        );
    }
}

#[test]
fn bad_addresses_and_domains_are_problems() {
    let place = "line 12: application[0].policy[0].require[0]";
    let help = "write `name@example.com`, a domain with other letters in its `xn--` form";
    for (text, why) in [
        ("example.com", "it has no `@`"),
        ("a@b@example.com", "it has more than one `@`"),
        (
            "@example.com",
            "the part before the `@` is empty, too long or has a character that is not allowed there",
        ),
        (
            "a b@example.com",
            "the part before the `@` is empty, too long or has a character that is not allowed there",
        ),
        ("a@", "the part after the `@` is no domain name"),
        ("a@-b.com", "the part after the `@` is no domain name"),
        ("*@example.com", ""),
        ("a@bücher.example", "it has characters outside ASCII"),
        ("\u{212a}im@example.com", "it has characters outside ASCII"),
    ] {
        // A star is an ordinary character before the `@` (RFC 5322): it stands for itself.
        if why.is_empty() {
            load(&with_policy(&format!(
                "name = \"p\"\naction = \"block\"\ninclude = [{{ email = \"{text}\" }}]"
            )))
            .unwrap();
            continue;
        }
        refused_rule(
            &format!("{{ email = \"{text}\" }}"),
            &format!("{place}.email: `{text}` is no e-mail address: {why}; {help}"),
        );
    }
    refused_rule(
        "{ email_domain = \"@example.com\" }",
        &format!("{place}.email_domain: `@example.com` is no domain name; write `example.com`"),
    );
    for text in [
        "",
        "example.com.",
        "*.example.com",
        "bücher.example",
        "exa mple.com",
    ] {
        refused_rule(
            &format!("{{ email_domain = \"{text}\" }}"),
            &format!(
                "{place}.email_domain: `{text}` is no domain name; write what stands after the `@`, as in `example.com`, \
                 a domain with other letters in its `xn--` form"
            ),
        );
    }
}

#[test]
fn bad_countries_are_problems() {
    for text in ["", "P", "PRT", "1T", "P-", "é", "XX", "zz", "xX"] {
        refused_rule(
            &format!("{{ country = \"{text}\" }}"),
            &format!(
                "line 12: application[0].policy[0].require[0].country: `{text}` is no country code; \
                 write two letters of ISO 3166-1, as in `PT`; `XX` and `ZZ` mean that the country is unknown"
            ),
        );
    }
}

#[test]
fn bad_user_names_are_problems() {
    let place = "line 12: application[0].policy[0].usernames[1]";
    let check = |name: &str, what: &str, help: &str| {
        let policy = "name = \"p\"\naction = \"allow\"\ninclude = [{ everyone = true }]";
        refused(
            &with_policy(&format!(
                "{policy}\nusernames = [\"deploy\", \"{}\"]",
                toml_escaped(name)
            )),
            &format!("{place}: {what}; {help}"),
        );
    };
    check(
        "*",
        "there are no wildcards in user names",
        "write every user, or `allow_email_alias = true` for the person's own",
    );
    check(
        "web*",
        "there are no wildcards in user names",
        "write every user, or `allow_email_alias = true` for the person's own",
    );
    let help = "write a user of the target, as in `deploy`";
    check("", "a user name is empty: ``", help);
    check("$", "a user name is empty: `$`", help);
    check(
        "0",
        "a user name of digits alone is taken for a user id by many programs: `0`",
        help,
    );
    for name in [
        "a b", "a,b", "-rf", ".x", "a/b", "a:b", "a\\b", "ä", "a\u{0}", "a\n", "a$b", "%h", "a'b",
    ] {
        let quoted = name.escape_debug();
        check(
            name,
            &format!("a user name has a character that is not allowed: `{quoted}`"),
            help,
        );
    }
    let long = "a".repeat(65);
    check(
        &long,
        &format!("a user name is longer than 64 bytes: `{}…`", "a".repeat(60)),
        help,
    );
}

#[test]
fn bad_durations_are_problems() {
    let place = "line 12: application[0].policy[0].max_session";
    for text in [
        "", "8", "h", "8 h", "1h30m", "-1h", "1.5h", "8H", "8w", "٣h", "+1h",
    ] {
        refused_in_policy(
            &format!("max_session = \"{text}\""),
            &format!(
                "{place}: `{text}` is no duration; write a number with `s`, `m`, `h` or `d`, as in `\"8h\"`"
            ),
        );
    }
    refused_in_policy(
        "max_session = 8",
        &format!(
            "{place}: a duration needs a unit; write a number with `s`, `m`, `h` or `d`, as in `\"8h\"`"
        ),
    );
    for text in [
        "0s",
        "367d",
        "99999999999999999999999d",
        "18446744073709551615d",
    ] {
        refused_in_policy(
            &format!("max_session = \"{text}\""),
            &format!("{place}: `{text}` is out of range; write a duration from `1s` to `366d`"),
        );
    }
}

#[test]
fn numbers_out_of_range_are_problems() {
    for number in [
        "0",
        "-1",
        "1025",
        "4294967296",
        "99999999999999999999999999",
    ] {
        refused_in_policy(
            &format!("max_channels = {number}"),
            &format!(
                "line 12: application[0].policy[0].max_channels: `{number}` is out of range; write a whole number from 1 to 1024"
            ),
        );
    }
    for number in ["0", "65536", "-22"] {
        refused(
            &format!(
                "[[application]]\nname = \"a\"\ntarget = {{ port = {number}, include = [{{ any_target = true }}] }}\n"
            ),
            &format!(
                "line 3: application[0].target.port: `{number}` is out of range; write a whole number from 1 to 65535"
            ),
        );
    }
    refused(
        "[[application]]\nname = \"a\"\ntarget = { port = \"ssh\", include = [{ any_target = true }] }\n",
        "line 3: application[0].target.port: a number is expected here, not a text; write a whole number from 1 to 65535",
    );
}

#[test]
fn bad_targets_are_problems() {
    let check = |rule: &str, expected: &str| {
        refused(
            &format!("[[application]]\nname = \"a\"\ntarget = {{ include = [{rule}] }}\n"),
            expected,
        );
    };
    let place = "line 3: application[0].target.include[0]";
    let help = "write the target's host name, or give the targets a tag and write `{ tag = { role = \"web\" } }`";
    check(
        "{ hostname = \"web-*\" }",
        &format!("{place}.hostname: there are no wildcards in host names; {help}"),
    );
    check(
        "{ hostname = \"bücher\" }",
        &format!("{place}.hostname: a host name has spaces or characters outside ASCII; {help}"),
    );
    check(
        "{ hostnames = \"a\" }",
        &format!("{place}.hostnames: there is no target selector `hostnames`; write `hostname`"),
    );
    check(
        "{ address = \"a\" }",
        &format!(
            "{place}.address: there is no target selector `address`; write one of `any_target`, `hostname`, `id`, `tag`"
        ),
    );
    check(
        "{ tag = { a = \"b\", c = \"d\" } }",
        &format!(
            "{place}.tag: a tag rule holds exactly one tag; write `{{ tag = {{ env = \"prod\" }} }}`, and each tag as a rule of its own"
        ),
    );
    refused(
        "[[application]]\nname = \"a\"\ntarget = { include = [{ any_target = true }], require = [{ hostname = [\"a\", \"b\"] }] }\n",
        "line 3: application[0].target: it requires several different values at once, which no target has; write several in `include`, or a second criterion",
    );
}
