//! What a document must not say, with the line, the place and the fix in the message (rules L1 to L6 of SPEC.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use policy::{LoadError, PolicySet, limits};

/// A document around the fields of one policy, which begin on line 9.
fn with_policy(fields: &str) -> String {
    format!(
        r#"[[rule_group]]
name = "staff"
include = [{{ email_domain = "example.com" }}]

[[application]]
name = "a"
target = {{ include = [{{ any_target = true }}] }}
[[application.policy]]
{fields}
[[application.policy]]
name = "uses the group"
action = "allow"
include = [{{ rule_group = "staff" }}]
usernames = ["deploy"]
"#
    )
}

fn load(text: &str) -> Result<PolicySet, LoadError> {
    PolicySet::from_toml(text)
}

/// Checks that `text` has exactly one problem: `line 9: place: what; help`, where `expected` is the whole of it.
#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = load(text).expect_err("it must not load");
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.problems().len(), 1);
}

/// Checks the one problem of a policy with the line `field` after a good beginning of three lines.
#[track_caller]
fn refused_in_policy(field: &str, expected: &str) {
    let good = "name = \"p\"\naction = \"allow\"\nusernames = [\"deploy\"]\n";
    let include = if field.starts_with("include") {
        ""
    } else {
        "\ninclude = [{ everyone = true }]"
    };
    refused(&with_policy(&format!("{good}{field}{include}")), expected);
}

/// `text` for between the quotes of a TOML string.
fn toml_escaped(text: &str) -> String {
    let escape = |character: char| match character {
        '"' | '\\' => format!("\\{character}"),
        _ if character.is_control() => format!("\\u{:04x}", u32::from(character)),
        _ => character.to_string(),
    };
    text.chars().map(escape).collect()
}

#[track_caller]
fn refused_rule(rule: &str, expected: &str) {
    refused_in_policy(&format!("require = [{rule}]"), expected);
}

#[track_caller]
fn warned(text: &str, expected: &[&str]) {
    let set = load(text).unwrap_or_else(|error| panic!("{error}"));
    let warnings: Vec<_> = set.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings, expected);
}

#[test]
fn a_good_document_has_neither_problems_nor_warnings() {
    let text =
        with_policy("name = \"p\"\naction = \"block\"\ninclude = [{ ip = \"192.0.2.0/24\" }]");
    warned(&text, &[]);
}

#[test]
fn the_document_of_the_specification_loads_without_warnings() {
    let text = include_str!("../SPEC.md");
    let (_, rest) = text.split_once("```toml\n").unwrap();
    let (document, _) = rest.split_once("```").unwrap();
    warned(document, &[]);
}

#[test]
fn wrong_toml_is_reported_with_its_line() {
    let error = load("[[application]]\nname = \n").unwrap_err();
    assert_eq!(error.problems()[0].line, 2);
    let error = load("[[application]\nname = \"a\"").unwrap_err();
    assert_eq!(error.problems()[0].line, 1);
    assert!(error.to_string().contains("write TOML"), "{error}");
}

#[test]
fn a_key_written_twice_is_a_problem() {
    refused_in_policy(
        "usernames = [\"root\"]",
        "line 12: duplicate key; write each key once in a table",
    );
}

#[test]
fn unknown_fields_are_problems_with_a_guess_at_what_was_meant() {
    refused_in_policy(
        "username = [\"root\"]",
        "line 12: application[0].policy[0].username: unknown field `username`; write `usernames`, or remove it",
    );
    refused_in_policy(
        "approval = true",
        "line 12: application[0].policy[0].approval: unknown field `approval`; remove it, or write one of `action`, \
         `allow_email_alias`, `env`, `exclude`, `idle_timeout`, `include`, `max_channels`, `max_session`, `missing_in_exclude`, \
         `name`, `permit`, `recording`, `require`, `subsystems`, `usernames`",
    );
    refused(
        "[[aplication]]\nname = \"a\"\n[[application]]\nname = \"a\"\ntarget = { include = [{ any_target = true }] }\n",
        "line 1: aplication: unknown field `aplication`; write `application`, or remove it",
    );
    refused(
        &with_policy("use = \"staff policy\"\nusernames = [\"root\"]\n[[policy]]\nname = \"staff policy\"\naction = \"allow\"\ninclude = [{ everyone = true }]\nusernames = [\"a\"]")
            .replace("[[application.policy]]\nname = \"uses", "[[application]]\nname = \"b\"\ntarget = { include = [{ any_target = true }] }\n[[application.policy]]\nname = \"uses"),
        "line 10: application[0].policy[0].usernames: unknown field `usernames`; remove it, or write one of `use`",
    );
}

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
fn names_used_twice_are_problems() {
    refused(
        &with_policy(
            "name = \"uses the group\"\naction = \"block\"\ninclude = [{ everyone = true }]",
        ),
        "line 13: application[0].policy[1].name: this application already has a policy `uses the group`; write a name of its own, or remove the repetition",
    );
    let application =
        "[[application]]\nname = \"a\"\ntarget = { include = [{ any_target = true }] }\n";
    refused(
        &application.repeat(2),
        "line 5: application[1].name: there is another application `a`; write a name of its own",
    );
    let group = "[[rule_group]]\nname = \"g\"\ninclude = [{ everyone = true }]\n";
    refused(
        &group.repeat(2),
        "line 5: rule_group[1].name: there is another rule group `g`; write a name of its own",
    );
    let policy = "[[policy]]\nname = \"p\"\naction = \"block\"\ninclude = [{ everyone = true }]\n";
    refused(
        &policy.repeat(2),
        "line 6: policy[1].name: there is another policy `p`; write a name of its own",
    );
    let twice = "policy = [{ use = \"p\" }, { use = \"p\" }]\n";
    refused(
        &format!("{application}{twice}{policy}"),
        "line 4: application[0].policy[1].use: this application already has a policy `p`; write a name of its own, or remove the repetition",
    );
}

#[test]
fn names_of_nothing_are_problems() {
    refused_rule(
        "{ rule_group = \"stuff\" }",
        "line 12: application[0].policy[0].require[0].rule_group: there is no rule group `stuff`; write `staff`, or add a `[[rule_group]]` of that name",
    );
    refused_rule(
        "{ rule_group = [\"staff\", \"something else\"] }",
        "line 12: application[0].policy[0].require[0].rule_group[1]: there is no rule group `something else`; add a `[[rule_group]]` of that name",
    );
    refused(
        &with_policy("use = \"p\""),
        "line 9: application[0].policy[0].use: there is no reusable policy `p`; add a `[[policy]]` of that name",
    );
}

#[test]
fn rule_groups_in_a_circle_are_problems() {
    refused(
        "[[rule_group]]\nname = \"a\"\ninclude = [{ rule_group = \"a\" }]\n",
        "line 1: rule_group[0]: rule groups go in a circle: `a` uses `a`; take one of these uses out",
    );
    let text = "[[rule_group]]\nname = \"outside\"\ninclude = [{ rule_group = \"a\" }]\n\
        [[rule_group]]\nname = \"a\"\ninclude = [{ everyone = true }]\nexclude = [{ rule_group = \"b\" }]\n\
        [[rule_group]]\nname = \"b\"\ninclude = [{ rule_group = [\"leaf\", \"c\"] }]\n\
        [[rule_group]]\nname = \"c\"\ninclude = [{ everyone = true }]\nrequire = [{ rule_group = \"a\" }]\n\
        [[rule_group]]\nname = \"leaf\"\ninclude = [{ everyone = true }]\n";
    refused(
        text,
        "line 4: rule_group[1]: rule groups go in a circle: `a` uses `b` uses `c` uses `a`; take one of these uses out",
    );
}

#[test]
fn includes_that_are_missing_or_empty_are_problems() {
    let help = "write whom it is about, as in `include = [{ email_domain = \"example.com\" }]`";
    refused_in_policy(
        "include = []",
        &format!(
            "line 12: application[0].policy[0].include: an empty `include` matches nobody; {help}"
        ),
    );
    refused(
        &with_policy("name = \"p\"\naction = \"block\""),
        &format!("line 8: application[0].policy[0]: `include` is missing; {help}"),
    );
    refused_in_policy(
        "include = [{ email = [] }]",
        "line 12: application[0].policy[0].include[0].email: an empty list matches nobody; write at least one value, or remove the rule",
    );
    refused_in_policy(
        "include = [{ rule_group = [] }]",
        "line 12: application[0].policy[0].include[0].rule_group: an empty list matches nobody; write at least one value, or remove the rule",
    );
    refused(
        "[[application]]\nname = \"a\"\ntarget = { port = 22 }\n",
        "line 3: application[0].target: an `include` that is missing or empty matches no target; \
         write which targets, as in `include = [{ hostname = \"db-1\" }]` or `include = [{ any_target = true }]`",
    );
    refused(
        "[[application]]\nname = \"a\"\ntarget = []\n",
        "line 3: application[0].target: an empty list matches no target; \
         write which targets, as in `include = [{ hostname = \"db-1\" }]` or `include = [{ any_target = true }]`",
    );
    refused(
        "[[application]]\nname = \"a\"\n",
        "line 1: application[0]: `target` is missing; write which, as in `target = [{ include = [{ tag = { env = \"prod\" } }] }]`",
    );
}

#[test]
fn an_allow_without_users_and_a_block_with_users_are_problems() {
    refused(
        &with_policy(
            "name = \"p\"\naction = \"allow\"\ninclude = [{ everyone = true }]\nusernames = []",
        ),
        "line 8: application[0].policy[0]: an allow policy without users lets nobody in; \
         write `usernames = [\"deploy\"]`, or `allow_email_alias = true` for the person's own",
    );
    for field in [
        "usernames = [\"root\"]",
        "allow_email_alias = true",
        "permit = [\"shell\"]",
        "subsystems = []",
        "env = []",
        "max_channels = 4",
        "recording = \"strict\"",
        "max_session = \"1h\"",
        "idle_timeout = \"1h\"",
    ] {
        let name = field.split_once(' ').unwrap().0;
        refused(
            &with_policy(&format!(
                "name = \"p\"\naction = \"block\"\ninclude = [{{ everyone = true }}]\n{field}"
            )),
            &format!(
                "line 12: application[0].policy[0].{name}: a block policy keeps out every user and grants nothing, \
                 so `{name}` means nothing; remove `{name}`"
            ),
        );
    }
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

#[test]
fn rules_that_nobody_can_meet_warn_in_an_allow_and_are_problems_elsewhere() {
    let requires = [
        ("{ country = [\"US\", \"PT\"] }", "country"),
        ("{ country = \"US\" }, { country = \"PT\" }", "country"),
        (
            "{ email = [\"a@example.com\", \"b@example.com\"] }",
            "email",
        ),
        ("{ email_domain = [\"a.com\", \"b.com\"] }", "email_domain"),
        ("{ login_method = [\"okta\", \"github\"] }", "login_method"),
        ("{ service_token = [\"a\", \"b\"] }", "service_token"),
        ("{ ip = [\"10.0.0.0/8\", \"192.0.2.0/24\"] }", "ip"),
        ("{ ip = \"10.0.0.0/8\" }, { ip = \"2001:db8::/32\" }", "ip"),
    ];
    let help = "to ask for any of several, put them into a rule group and require that";
    for (rules, attribute) in requires {
        let what = format!(
            "it requires several different values of `{attribute}` at once, which nobody has"
        );
        let allow = format!(
            "name = \"p\"\naction = \"allow\"\ninclude = [{{ everyone = true }}]\nusernames = [\"a\"]\nrequire = [{rules}]"
        );
        warned(
            &with_policy(&allow),
            &[&format!("line 8: application[0].policy[0]: {what}; {help}")],
        );
        let block = format!(
            "name = \"p\"\naction = \"block\"\ninclude = [{{ everyone = true }}]\nrequire = [{rules}]"
        );
        refused(
            &with_policy(&block),
            &format!("line 8: application[0].policy[0]: {what}; {help}"),
        );
        let group = format!(
            "[[rule_group]]\nname = \"g\"\ninclude = [{{ everyone = true }}]\nrequire = [{rules}]\n"
        );
        refused(&group, &format!("line 1: rule_group[0]: {what}; {help}"));
    }
    for rules in [
        "{ country = [\"US\", \"us\"] }",
        "{ ip = [\"10.0.0.0/8\", \"10.1.0.0/16\"] }",
        "{ authentication_method = [\"hwk\", \"mfa\"] }",
    ] {
        let allow = format!(
            "name = \"p\"\naction = \"allow\"\ninclude = [{{ everyone = true }}]\nusernames = [\"a\"]\nrequire = [{rules}]"
        );
        warned(&with_policy(&allow), &[]);
    }
}

#[test]
fn suspicious_documents_load_with_warnings() {
    warned(
        "",
        &[
            "line 1: there is no application, so everybody is denied everything; add an `[[application]]`",
        ],
    );
    warned(
        "[[application]]\nname = \"a\"\ntarget = { include = [{ any_target = true }] }\n\
         [[policy]]\nname = \"p\"\naction = \"block\"\ninclude = [{ everyone = true }]\n\
         [[rule_group]]\nname = \"g\"\ninclude = [{ everyone = true }]\n",
        &[
            "line 1: application[0]: an application without policies denies everybody; add an `[[application.policy]]`, or `policy = [{ use = \"…\" }]`",
            "line 4: policy[0]: no application uses this policy; add it to an application, `policy = [{ use = \"…\" }]`, or remove it",
            "line 8: rule_group[0]: nothing uses this rule group; use it in a rule, `{ rule_group = \"…\" }`, or remove it",
        ],
    );
    warned(
        &with_policy(
            "name = \"p\"\naction = \"block\"\ninclude = [{ authentication_method = \"MFA\" }]",
        ),
        &[
            "line 11: application[0].policy[0].include[0].authentication_method: `MFA` is no authentication method that RFC 8176 knows; \
           write `mfa`, `hwk`, `otp` or another of its names, if your identity provider reports them",
        ],
    );
}

#[test]
fn all_problems_are_listed_in_the_order_of_their_lines() {
    let text = with_policy(
        "name = \"p\"\naction = \"allow\"\nusernames = [\"*\"]\ninclude = [{ ip = \"x\" }, { country = \"PRT\" }]\npermit = [\"x11\"]",
    );
    let error = load(&text).unwrap_err();
    let lines: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| problem.line)
        .collect();
    assert_eq!(lines, [11, 12, 12, 13]);
    assert_eq!(error.to_string().lines().count(), 4);
    assert_eq!(error.unlisted(), 0);
    assert_eq!(
        error.problems()[0].path,
        "application[0].policy[0].usernames[0]"
    );
    assert_eq!(error.problems()[0].column, Some(14));
}

#[test]
fn columns_count_characters() {
    let error = load("max_session = \"ä\" # ä\nidle_timeout = \"\"").unwrap_err();
    assert_eq!(error.problems()[0].column, Some(15));
    let error = load("ä = 1").unwrap_err();
    assert_eq!(
        (error.problems()[0].line, error.problems()[0].column),
        (1, Some(1))
    );
}

#[test]
fn no_more_problems_are_listed_than_the_limit() {
    let names: Vec<_> = (0..limits::MAX_PROBLEMS + 7).map(|_| "\"*\"").collect();
    let text = with_policy(&format!(
        "name = \"p\"\naction = \"allow\"\ninclude = [{{ everyone = true }}]\nusernames = [{}]",
        names.join(",")
    ));
    let error = load(&text).unwrap_err();
    assert_eq!(
        (error.problems().len(), error.unlisted()),
        (limits::MAX_PROBLEMS, 7)
    );
    assert!(error.to_string().ends_with("\nand 7 more"));
}

#[test]
fn what_a_message_quotes_is_short_and_harmless() {
    let text = format!("max_session = \"\\u001b]52;c;{}\"", "x".repeat(10_000));
    let message = load(&text).unwrap_err().to_string();
    assert!(
        !message.contains('\u{1b}') && message.len() < 300,
        "{message}"
    );
}
