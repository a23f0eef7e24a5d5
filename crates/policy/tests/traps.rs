//! What access policies elsewhere got wrong, one test for each; the cases in `tests/cases` go through the same rules at length.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::Duration;

use policy::{
    Decision, Device, Identity, Network, PolicySet, PostureResult, Request, Target, decide,
};

const NOW: Duration = Duration::from_secs(1_800_000_000);

/// One Allow for `deploy` with these lines.
fn document(lines: &str) -> String {
    format!(
        "[[application]]\nname = \"a\"\ntarget = {{ include = [{{ any_target = true }}] }}\n\
         [[application.policy]]\nname = \"p\"\naction = \"allow\"\nusernames = [\"deploy\"]\n{lines}\n"
    )
}

#[derive(Default)]
struct Asked {
    identity: Identity,
    device: Device,
    network: Network,
    user: Option<&'static str>,
    now: Option<Duration>,
}

impl Asked {
    fn by(email: &str) -> Self {
        let mut asked = Self::default();
        asked.identity.email = Some(email.into());
        asked
    }

    fn from(address: &str) -> Self {
        let mut asked = Self::by("ann@example.com");
        asked.network.client_addr = Some(address.parse().unwrap());
        asked
    }

    fn asking_for(self, user: &'static str) -> Self {
        let user = Some(user);
        Self { user, ..self }
    }

    #[track_caller]
    fn is_let_in(&self, lines: &str) -> bool {
        let text = document(lines);
        let set = PolicySet::from_toml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let target = Target {
            port: 22,
            ..Target::default()
        };
        let request = Request {
            identity: &self.identity,
            device: &self.device,
            network: &self.network,
            target: &target,
            user: Some(self.user.unwrap_or("deploy")),
            now: self.now.unwrap_or(NOW),
        };
        matches!(decide(&set, &request), Decision::Allow(_))
    }
}

#[track_caller]
fn does_not_load(lines: &str, because: &str) {
    let error = PolicySet::from_toml(&document(lines))
        .unwrap_err()
        .to_string();
    assert!(error.contains(because), "{error}");
}

const ADMIN: &str = "include = [{ email = \"admin@example.com\" }]";
const STAFF: &str = "include = [{ email_domain = \"example.com\" }]";

#[test]
fn upper_case_makes_nobody_else_of_an_address() {
    assert!(Asked::by("ADMIN@Example.COM").is_let_in(ADMIN));
    assert!(!Asked::by("ADMIN@example.com").is_let_in(
        "include = [{ everyone = true }]\nexclude = [{ email = \"admin@example.com\" }]"
    ));
}

#[test]
fn the_kelvin_sign_is_no_k() {
    let mark = "include = [{ email = \"mark@example.com\" }]";
    assert!(!Asked::by("mar\u{212a}@example.com").is_let_in(mark));
    assert!(!Asked::by("mark@example.com\u{200b}").is_let_in(mark));
    does_not_load(
        "include = [{ email = \"mar\u{212a}@example.com\" }]",
        "characters outside ASCII",
    );
}

#[test]
fn a_domain_with_other_letters_is_its_xn_form_alone() {
    let bücher = "include = [{ email_domain = \"xn--bcher-kva.example\" }]";
    assert!(Asked::by("ann@xn--bcher-kva.example").is_let_in(bücher));
    assert!(!Asked::by("ann@bücher.example").is_let_in(bücher));
    does_not_load(
        "include = [{ email_domain = \"bücher.example\" }]",
        "is no domain name",
    );
}

#[test]
fn an_address_with_two_at_signs_has_no_domain() {
    for email in [
        "a@b.com@example.com",
        "ann@example.com@evil.org",
        "@@example.com",
    ] {
        assert!(!Asked::by(email).is_let_in(STAFF), "{email}");
        assert!(
            !Asked::by(email)
                .asking_for("a")
                .is_let_in(&format!("{STAFF}\nallow_email_alias = true"))
        );
    }
}

#[test]
fn an_address_without_a_local_part_is_none() {
    assert!(!Asked::by("@example.com").is_let_in(STAFF));
    let alias = format!("{STAFF}\nallow_email_alias = true");
    assert!(!Asked::by("@example.com").asking_for("").is_let_in(&alias));
}

#[test]
fn an_alias_is_neither_root_nor_a_user_of_the_system() {
    let alias = format!("{STAFF}\nallow_email_alias = true");
    assert!(
        Asked::by("ann@example.com")
            .asking_for("ann")
            .is_let_in(&alias)
    );
    for user in [
        "root",
        "toor",
        "daemon",
        "www-data",
        "ubuntu",
        "ec2-user",
        "_apt",
        "systemd-network",
        "0",
    ] {
        let email = format!("{user}@example.com");
        assert!(
            !Asked::by(&email).asking_for(user).is_let_in(&alias),
            "{user}"
        );
    }
    assert!(
        !Asked::by("ROOT@example.com")
            .asking_for("root")
            .is_let_in(&alias)
    );
}

#[test]
fn a_domain_is_no_suffix() {
    for domain in [
        "evil-example.com",
        "sub.example.com",
        "example.com.evil.org",
        "example.co",
    ] {
        assert!(
            !Asked::by(&format!("ann@{domain}")).is_let_in(STAFF),
            "{domain}"
        );
    }
}

#[test]
fn an_ipv4_address_in_ipv6_form_is_that_ipv4_address() {
    let office = "include = [{ ip = \"192.0.2.0/24\" }]";
    assert!(Asked::from("::ffff:192.0.2.7").is_let_in(office));
    let elsewhere = "include = [{ everyone = true }]\nexclude = [{ ip = \"192.0.2.0/24\" }]";
    assert!(!Asked::from("::ffff:192.0.2.7").is_let_in(elsewhere));
    assert!(!Asked::from("::ffff:192.0.2.7").is_let_in("include = [{ ip = \"::/0\" }]"));
}

#[test]
fn an_address_behind_nat64_is_kept_out_and_not_let_in_by_the_ipv4_address_in_it() {
    let (inside, office) = ("64:ff9b::192.0.2.7", "{ ip = \"192.0.2.0/24\" }");
    assert!(!Asked::from(inside).is_let_in(&format!("include = [{office}]")));
    let elsewhere = format!("include = [{{ everyone = true }}]\nexclude = [{office}]");
    assert!(!Asked::from(inside).is_let_in(&elsewhere));
}

#[test]
fn a_range_with_host_bits_does_not_load() {
    does_not_load(
        "include = [{ ip = \"10.0.0.1/8\" }]",
        "write `10.0.0.0/8` for the range",
    );
}

#[test]
fn an_empty_list_lets_in_nobody_since_it_does_not_load() {
    does_not_load("include = []", "an empty `include` matches nobody");
    does_not_load("include = [{ email = [] }]", "an empty list matches nobody");
    does_not_load("", "`include` is missing");
}

#[test]
fn groups_in_a_circle_do_not_load() {
    let groups = "[[rule_group]]\nname = \"g\"\ninclude = [{ rule_group = \"h\" }]\n\
                  [[rule_group]]\nname = \"h\"\ninclude = [{ rule_group = \"g\" }]";
    let lines = format!("include = [{{ rule_group = \"g\" }}]\n{groups}");
    does_not_load(&lines, "circle");
}

#[test]
fn unknown_fields_and_repeated_keys_do_not_load() {
    does_not_load(
        &format!("{STAFF}\nexcludes = []"),
        "unknown field `excludes`",
    );
    does_not_load(&format!("{STAFF}\n{ADMIN}"), "duplicate key");
    let json = "{ \"application\": [], \"application\": [] }";
    assert!(PolicySet::from_json(json).is_err());
}

#[test]
fn what_was_not_supplied_matches_no_include_and_no_require() {
    let nobody = Asked::default();
    assert!(!nobody.is_let_in(STAFF));
    assert!(!nobody.is_let_in("include = [{ everyone = true }]\nrequire = [{ country = \"PT\" }]"));
}

#[test]
fn an_exclude_of_what_was_not_supplied_opens_no_door_unless_the_policy_says_so() {
    for rule in [
        "{ ip = \"192.0.2.0/24\" }",
        "{ country = \"KP\" }",
        "{ group = { provider = \"okta\", name = \"leavers\" } }",
        "{ authentication_method = \"sms\" }",
        "{ device_posture = \"jailbroken\" }",
    ] {
        let lines = format!("{STAFF}\nexclude = [{rule}]");
        let ann = Asked::by("ann@example.com");
        assert!(!ann.is_let_in(&lines), "{rule}");
        let ignored = format!("{lines}\nmissing_in_exclude = \"ignored\"");
        assert!(ann.is_let_in(&ignored), "{rule}");
    }
}

#[test]
fn a_missing_attribute_is_met_by_an_excluded_group_of_any_length() {
    for length in [1, 8, 9, 300] {
        let rules: Vec<_> = (0..length)
            .map(|number| format!("{{ country = \"A{}\" }}", number % 10))
            .collect();
        let group = format!(
            "[[rule_group]]\nname = \"g\"\ninclude = [{}]",
            rules.join(", ")
        );
        let lines = format!("{STAFF}\nexclude = [{{ rule_group = \"g\" }}]\n{group}");
        assert!(!Asked::by("ann@example.com").is_let_in(&lines), "{length}");
        let mut elsewhere = Asked::by("ann@example.com");
        elsewhere.network.country = Some("PT".into());
        assert!(elsewhere.is_let_in(&lines), "{length}");
    }
}

#[test]
fn a_stale_posture_result_is_none() {
    let lines = format!(
        "{STAFF}\nrequire = [{{ device_posture = {{ check = \"disk\", max_age = \"10m\" }} }}]"
    );
    let checked = |secs_ago| {
        let mut asked = Asked::by("ann@example.com");
        asked.device.posture = vec![PostureResult {
            check: "disk".into(),
            passed: true,
            checked_at: NOW - Duration::from_secs(secs_ago),
        }];
        asked.is_let_in(&lines)
    };
    assert!(checked(600));
    assert!(!checked(601));
}

#[test]
fn a_window_begins_and_ends_to_the_second_also_where_clocks_are_changed() {
    let at = |moment: &str, window: &str| {
        let mut asked = Asked::by("ann@example.com");
        asked.now = policy::parse_moment(moment);
        assert!(asked.now.is_some(), "{moment}");
        asked.is_let_in(&format!(
            "{STAFF}\nrequire = [{{ time = {{ zone = \"Europe/Lisbon\", {window} }} }}]"
        ))
    };
    let day = "from = \"08:00\", to = \"18:00\"";
    assert!(!at("2026-01-15T07:59:59Z", day) && at("2026-01-15T08:00:00Z", day));
    assert!(at("2026-01-15T17:59:59Z", day) && !at("2026-01-15T18:00:00Z", day));
    // An hour earlier in summer.
    assert!(!at("2026-07-15T06:59:59Z", day) && at("2026-07-15T07:00:00Z", day));
    // 01:30 does not come on the day on which clocks are set forward, and comes twice on that on which they are set back.
    let skipped = "from = \"01:00\", to = \"02:00\"";
    assert!(!at("2026-03-29T00:59:59Z", skipped) && !at("2026-03-29T01:00:00Z", skipped));
    assert!(at("2026-10-25T00:30:00Z", skipped) && at("2026-10-25T01:30:00Z", skipped));
    assert!(!at("2026-10-25T02:00:00Z", skipped));
}

#[test]
fn numbers_that_are_too_large_do_not_load() {
    for field in [
        "max_session = \"367d\"",
        "max_session = \"18446744073709551616s\"",
        "max_login_age = \"99999999999999999999d\"",
        "max_channels = 1025",
        "max_channels = 99999999999999999999999999",
        "local_forward = [{ host = \"h\", port = 65536 }]",
    ] {
        does_not_load(&format!("{STAFF}\n{field}"), "out of range");
    }
}
