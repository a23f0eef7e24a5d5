//! Revocations (rules V1 to V5 of SPEC.md), and the moments at which time alone changes a decision (N8).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use policy::{
    Decision, Device, Identity, IdentityKind, Network, PolicySet, Request, Revocations, Target,
    decide, next_change, parse_moment,
};
use proptest::prelude::*;

const SESSION: &str = "00112233445566778899aabbccddeeff";
const NOW: &str = "2027-01-15T12:00:00Z";

struct Asked {
    identity: Identity,
    device: Device,
    target: Target,
    now: Duration,
}

impl Asked {
    fn ann() -> Self {
        Self {
            identity: Identity {
                email: Some("Ann@example.com".into()),
                subject: "user-7".into(),
                ..Identity::default()
            },
            device: Device {
                id: Some("laptop-1".into()),
                ..Device::default()
            },
            target: Target {
                id: "t-1".into(),
                hostname: "web-1".into(),
                port: 22,
                ..Target::default()
            },
            now: parse_moment(NOW).unwrap(),
        }
    }

    fn with<T>(&self, ask: impl FnOnce(&Request<'_>) -> T) -> T {
        ask(&Request {
            identity: &self.identity,
            device: &self.device,
            network: &Network::default(),
            target: &self.target,
            user: Some("deploy"),
            now: self.now,
        })
    }

    /// Whether an entry with these fields revokes.
    fn falls_under(&self, fields: &str) -> bool {
        let text = format!("[[revocation]]\nreason = \"r\"\n{fields}");
        let list =
            Revocations::from_toml(&text).unwrap_or_else(|error| panic!("{fields}: {error}"));
        self.with(|request| list.find(request, SESSION).is_some())
    }
}

#[test]
fn an_entry_revokes_what_it_names_and_nothing_else() {
    let ann = Asked::ann();
    for (fields, revoked) in [
        ("identity = \"ann@example.com\"", true),
        ("identity = \"ANN@EXAMPLE.COM\"", true),
        ("identity = \"USER-7\"", true),
        (
            "identity = [\"bob@example.com\", \"ann@example.com\"]",
            true,
        ),
        ("identity = \"ann@example.com.evil.org\"", false),
        ("identity = \"nn@example.com\"", false),
        ("device = \"laptop-1\"", true),
        ("device = \"laptop-2\"", false),
        ("session = \"00112233445566778899AABBCCDDEEFF\"", true),
        ("session = \"10112233445566778899aabbccddeeff\"", false),
        ("target = \"t-1\"", true),
        ("target = \"WEB-1\"", true),
        ("target = \"web-2\"", false),
        ("identity = \"ann@example.com\"\ntarget = \"web-1\"", true),
        ("identity = \"ann@example.com\"\ntarget = \"web-2\"", false),
        ("identity = \"bob@example.com\"\ntarget = \"web-1\"", false),
    ] {
        assert_eq!(ann.falls_under(fields), revoked, "{fields}");
    }
}

#[test]
fn an_address_that_no_policy_would_believe_is_revoked_all_the_same() {
    let mut odd = Asked::ann();
    odd.identity.email = Some("a@b.com@evil.com".into());
    assert!(odd.falls_under("identity = \"a@b.com@evil.com\""));
}

#[test]
fn a_service_token_is_revoked_by_its_name() {
    let mut token = Asked::ann();
    token.identity.kind = IdentityKind::ServiceToken {
        name: "backup".into(),
    };
    assert!(token.falls_under("identity = \"backup\""));
    assert!(!Asked::ann().falls_under("identity = \"backup\""));
}

#[test]
fn a_device_without_a_name_is_no_device_of_the_list() {
    let mut nameless = Asked::ann();
    nameless.device.id = None;
    assert!(!nameless.falls_under("device = \"laptop-1\""));
}

#[test]
fn an_entry_holds_from_its_moment_on() {
    let mut ann = Asked::ann();
    let text = format!(
        "[[revocation]]\nidentity = \"ann@example.com\"\nfrom = \"{NOW}\"\nreason = \"leaves at noon\""
    );
    let list = Revocations::from_toml(&text).unwrap();
    let noon = ann.now;
    assert!(ann.with(|request| list.find(request, SESSION).is_some()));
    ann.now = noon - Duration::from_nanos(1);
    assert!(ann.with(|request| list.find(request, SESSION).is_none()));
    assert_eq!(list.next_change(ann.now), Some(noon));
    assert_eq!(list.next_change(noon), None);
}

#[test]
fn the_log_reads_which_entry_and_why_and_the_person_neither() {
    let text = "# gone\n[[revocation]]\nidentity = [\"ann@example.com\", \"ann@example.org\"]\ntarget = \"t-1\"\nreason = \"lost her laptop\"\n";
    let list = Revocations::from_toml(text).unwrap();
    let ann = Asked::ann();
    let found = ann.with(|request| list.find(request, SESSION).cloned());
    let found = found.expect("she is revoked");
    assert_eq!(
        found.for_log(),
        "revoked: identity \"ann@example.com\" or 1 others, target \"t-1\", line 2: lost her laptop"
    );
    assert_eq!(found.reason(), "lost her laptop");
    assert!(!found.for_person().contains("laptop"));
}

#[test]
fn an_empty_list_revokes_nobody() {
    for list in [
        Revocations::default(),
        Revocations::from_toml("").unwrap(),
        Revocations::from_toml("# nobody\n").unwrap(),
    ] {
        assert!(list.is_empty());
        assert!(Asked::ann().with(|request| list.find(request, SESSION).is_none()));
    }
}

#[test]
fn a_wrong_list_is_refused_with_line_place_and_fix() {
    let fix = "name an `identity`, `device`, `session` or `target`: `[[revocation]]`, `identity = \"ann@example.com\"`, `reason = \"…\"`";
    for (text, expected) in [
        (
            "[[revocation]]\nreason = \"all\"",
            format!("line 1: revocation[0]: an entry that names nothing would revoke everything; {fix}"),
        ),
        (
            "[[revocation]]\nidentity = \"ann@example.com\"",
            "line 1: revocation[0]: `reason` is missing; write why, for whoever reads the log: `reason = \"left the company\"`".into(),
        ),
        (
            "[[revocation]]\nidentity = []\nreason = \"r\"",
            "line 2: revocation[0].identity: an empty list matches nobody; write at least one value, or remove the rule".into(),
        ),
        (
            "[[revocation]]\nidentity = \" \"\nreason = \"r\"",
            "line 2: revocation[0].identity: a name is empty; write a short name".into(),
        ),
        (
            "[[revocation]]\nsession = \"0011\"\nreason = \"r\"",
            "line 2: revocation[0].session: `0011` is no session; write the 32 hex digits that events and messages show".into(),
        ),
        (
            "[[revocation]]\nidentity = \"a\"\nreason = \"r\"\nfrom = \"noon\"",
            "line 4: revocation[0].from: `noon` is no point in time; write it as RFC 3339 does, as in `\"2027-01-31T08:00:00Z\"`".into(),
        ),
        (
            "[[revocation]]\nidentiy = \"a\"\ntarget = \"t\"\nreason = \"r\"",
            "line 2: revocation[0].identiy: unknown field `identiy`; write `identity`, or remove it".into(),
        ),
        (
            "[[revocations]]\nidentity = \"a\"\nreason = \"r\"",
            "line 1: revocations: unknown field `revocations`; write `revocation`, or remove it".into(),
        ),
    ] {
        let error = Revocations::from_toml(text).expect_err(text);
        assert_eq!(error.to_string(), expected);
    }
    assert!(Revocations::from_toml("[[revocation]\n").is_err());
}

#[test]
fn a_list_longer_than_its_limit_is_refused() {
    let entry = "{target=\"t\",reason=\"r\"},";
    let list = |entries| format!("revocation=[{}]", entry.repeat(entries));
    let limit = policy::limits::MAX_REVOCATIONS;
    assert_eq!(Revocations::from_toml(&list(limit)).unwrap().len(), limit);
    assert!(Revocations::from_toml(&list(limit + 1)).is_err());
}

fn set(rule: &str) -> PolicySet {
    PolicySet::from_toml(&format!(
        "[[application]]\nname = \"a\"\ntarget = {{ include = [{{ any_target = true }}] }}\n\
         [[application.policy]]\nname = \"p\"\naction = \"allow\"\nusernames = [\"deploy\"]\n\
         include = [{{ everyone = true }}]\nrequire = [{rule}]\n"
    ))
    .unwrap_or_else(|error| panic!("{rule}: {error}"))
}

fn is_allowed(set: &PolicySet, asked: &Asked) -> bool {
    asked.with(|request| matches!(decide(set, request), Decision::Allow(_)))
}

#[test]
fn a_window_names_the_moment_at_which_it_closes() {
    let set = set("{ time = { zone = \"Europe/Lisbon\", from = \"08:00\", to = \"18:00\" } }");
    let mut ann = Asked::ann();
    let closes = ann.with(|request| next_change(&set, request)).unwrap();
    assert_eq!(closes, parse_moment("2027-01-15T18:00:00Z").unwrap());
    assert!(is_allowed(&set, &ann));
    ann.now = closes;
    assert!(!is_allowed(&set, &ann));
}

#[test]
fn a_policy_without_times_and_one_about_other_targets_never_change() {
    let ann = Asked::ann();
    let plain = set("{ everyone = true }");
    assert_eq!(ann.with(|request| next_change(&plain, request)), None);
    let ended = set("{ date = { until = \"2027-01-01T00:00:00Z\" } }");
    assert_eq!(ann.with(|request| next_change(&ended, request)), None);
    let mut elsewhere = Asked::ann();
    elsewhere.target.port = 2222;
    let set = set("{ date = { until = \"2028-01-01T00:00:00Z\" } }");
    assert!(ann.with(|request| next_change(&set, request)).is_some());
    assert_eq!(elsewhere.with(|request| next_change(&set, request)), None);
}

#[test]
fn times_in_rule_groups_count() {
    let set = PolicySet::from_toml(
        "[[rule_group]]\nname = \"g\"\ninclude = [{ date = { until = \"2027-02-01T00:00:00Z\" } }]\n\
         [[application]]\nname = \"a\"\ntarget = { include = [{ any_target = true }] }\n\
         [[application.policy]]\nname = \"p\"\naction = \"allow\"\nusernames = [\"deploy\"]\ninclude = [{ everyone = true }]\nrequire = [{ rule_group = \"g\" }]\n",
    )
    .unwrap();
    assert_eq!(
        Asked::ann().with(|request| next_change(&set, request)),
        parse_moment("2027-02-01T00:00:00Z")
    );
}

fn clock_time() -> impl Strategy<Value = String> {
    (0_u32..24, 0_u32..60).prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Looked at every minute, over two days around a change of the clocks or somewhere else.
    #[test]
    fn nothing_changes_before_the_moment_that_was_named(
        zone in prop::sample::select(vec!["UTC", "Europe/Lisbon", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        days in prop::sample::select(vec!["", ", days = [\"sat\", \"sun\"]", ", days = [\"mon\"]"]),
        from in clock_time(),
        to in clock_time(),
        around in prop::sample::select(vec!["2026-03-29T00:30:00Z", "2026-11-01T05:10:00Z", "2026-10-25T00:00:00Z", "2026-04-04T14:00:00Z", "2027-07-07T07:07:07Z"]),
        hours_before in 0_u64..48,
    ) {
        prop_assume!(from != to);
        let set = set(&format!("{{ time = {{ zone = \"{zone}\"{days}, from = \"{from}\", to = \"{to}\" }} }}"));
        let mut ann = Asked::ann();
        ann.now = parse_moment(around).unwrap() - Duration::from_secs(3600 * hours_before);
        let next = ann.with(|request| next_change(&set, request)).unwrap();
        prop_assert!(next > ann.now && next <= ann.now + Duration::from_secs(26 * 3600));
        let allowed = is_allowed(&set, &ann);
        while ann.now < next {
            prop_assert_eq!(is_allowed(&set, &ann), allowed, "at {:?}, before {:?}", ann.now, next);
            ann.now += Duration::from_secs(60);
        }
    }
}
