//! What a grant allows beyond channels and asks for in return (rules N1 to N7 and G5 of SPEC.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::Duration;

use policy::{
    Decision, Device, Direction, Feature, Features, ForwardRecording, Grant, HiddenInput, Identity,
    Network, OnLoss, PolicySet, Recording, Request, StepUp, Target, decide,
};
use proptest::prelude::*;

fn load(fields: &str) -> Result<PolicySet, policy::LoadError> {
    PolicySet::from_toml(&format!(
        "[[application]]\nname = \"a\"\ntarget = {{ include = [{{ any_target = true }}] }}\n[[application.policy]]\nname = \"p\"\n\
         action = \"allow\"\ninclude = [{{ everyone = true }}]\nusernames = [\"deploy\"]\n{fields}\n"
    ))
}

fn grant(fields: &str) -> Grant {
    let set = load(fields).unwrap_or_else(|error| panic!("{error}"));
    let (identity, device, network) = (Identity::default(), Device::default(), Network::default());
    let target = Target {
        port: 22,
        ..Target::default()
    };
    let request = Request {
        identity: &identity,
        device: &device,
        network: &network,
        target: &target,
        user: Some("deploy"),
        now: Duration::from_secs(1_800_000_000),
    };
    match decide(&set, &request) {
        Decision::Allow(grant) => grant,
        Decision::Deny(denial) => panic!("{}", denial.for_log()),
    }
}

/// Checks the one problem of a document: place, problem and help.
#[track_caller]
fn refused(fields: &str, expected: &str) {
    let error = load(fields).unwrap_err().to_string();
    let (_, problem) = error
        .split_once("application[0].policy[0].")
        .unwrap_or_else(|| panic!("{error}"));
    assert_eq!(problem, expected);
}

#[test]
fn a_policy_that_says_nothing_allows_no_forwarding_and_asks_for_nothing() {
    let grant = grant("");
    assert!(grant.asks_for().is_empty());
    let constraints = &grant.constraints;
    assert!(!constraints.agent_forwarding && !constraints.x11_forwarding);
    assert!(
        !constraints.local_forward.cover("localhost", 80)
            && !constraints.remote_forward.cover("localhost", 80)
    );
    assert!(!constraints.stream_local.cover("/run/app.sock"));
    assert!(
        constraints.allows_command(b"anything")
            && constraints.allows_file("/any", Direction::Upload)
    );
    assert_eq!(grant.recording, Recording::Strict);
}

#[test]
fn destinations_are_names_or_addresses_and_never_one_for_the_other() {
    let grant = grant(
        "local_forward = [{ host = \"DB-1\", port = 5432 }, { ip = \"10.0.0.0/8\", port = [80, 443] }, { ip = \"2001:db8::/32\", port = \"any\" }]",
    );
    let cover = |host, port| grant.constraints.local_forward.cover(host, port);
    assert!(cover("db-1", 5432) && cover("Db-1", 5432));
    assert!(
        !cover("db-1", 5433)
            && !cover("db-1.", 5432)
            && !cover("xdb-1", 5432)
            && !cover("db-1.evil.example", 5432)
    );
    assert!(cover("10.1.2.3", 80) && cover("10.1.2.3", 443) && !cover("10.1.2.3", 22));
    assert!(
        cover("::ffff:10.1.2.3", 80),
        "an IPv4 address in IPv6 form is that address"
    );
    assert!(cover("2001:db8::1", 1) && !cover("2001:db9::1", 1));
    // What only a resolver or a lenient parser would take for 10.0.0.1.
    for host in [
        "010.0.0.1",
        "167772161",
        "0x0a000001",
        "10.1",
        "[10.0.0.1]",
        "10.0.0.1 ",
        "",
        "localhost",
    ] {
        assert!(!cover(host, 80), "{host}");
    }
    assert!(!grant.constraints.remote_forward.cover("10.1.2.3", 80));
    assert!(grant.asks_for().iter().eq([Feature::LocalForward]));
}

#[test]
fn paths_cover_what_is_below_them_and_nothing_beside() {
    let grant = grant(
        "stream_local = [\"/run/app\"]\nfiles = [{ path = \"/srv/in\", may = \"upload\" }, { path = \"/var/log/\", may = [\"download\"] }, { path = \"/srv/in/both\", may = [\"upload\", \"download\"] }]",
    );
    let constraints = &grant.constraints;
    assert!(
        constraints.stream_local.cover("/run/app")
            && constraints.stream_local.cover("/run/app/x.sock")
    );
    for path in [
        "/run/application",
        "/run",
        "run/app",
        "/run/app/../docker.sock",
        "/run//app",
        "/run/./app",
        "/run/app/x\0y",
        "",
    ] {
        assert!(!constraints.stream_local.cover(path), "{path:?}");
    }
    use Direction::{Download, Upload};
    assert!(
        constraints.allows_file("/srv/in/a", Upload)
            && !constraints.allows_file("/srv/in/a", Download)
    );
    assert!(
        constraints.allows_file("/srv/in/both/a", Download)
            && constraints.allows_file("/srv/in/both/a", Upload)
    );
    assert!(
        constraints.allows_file("/var/log/syslog", Download)
            && !constraints.allows_file("/var/log", Download)
    );
    assert!(!constraints.allows_file("/var/log/../../etc/shadow", Download));
    assert!(
        !self::grant("files = []")
            .constraints
            .allows_file("/srv/in/a", Upload)
    );
}

#[test]
fn commands_are_covered_whole_and_a_denial_goes_before() {
    let both =
        grant("commands = { allow = [\"uptime\", \"journalctl *\"], deny = [\"* --vacuum*\"] }");
    let allows = |command: &str| both.constraints.allows_command(command.as_bytes());
    assert!(allows("uptime") && allows("journalctl -f") && allows("journalctl "));
    for command in [
        "uptime -p",
        " uptime",
        "Uptime",
        "uptime\n",
        "uptime;reboot",
        "journalctl",
        "journalctl --vacuum-size=1",
        "",
    ] {
        assert!(!allows(command), "{command:?}");
    }
    let deny = grant("commands = { deny = [\"rm *\"] }");
    assert!(deny.constraints.allows_command(b"ls") && !deny.constraints.allows_command(b"rm -r /"));
    assert!(
        !grant("commands = { allow = [] }")
            .constraints
            .allows_command(b"ls")
    );
    assert!(
        grant("commands = { allow = [\"*\"] }")
            .constraints
            .allows_command(b"\xff\x00")
    );
}

/// By trying every split.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| fits(rest, &text[at..])),
        Some((one, rest)) => text.first() == Some(one) && fits(rest, &text[1..]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn patterns_cover_what_trying_every_split_covers(pattern in "[ab*]{1,9}", text in "[ab]{0,12}") {
        let grant = grant(&format!("commands = {{ allow = [\"{pattern}\"] }}"));
        prop_assert_eq!(grant.constraints.allows_command(text.as_bytes()), fits(pattern.as_bytes(), text.as_bytes()));
    }
}

#[test]
fn a_pattern_of_many_stars_takes_no_time_to_speak_of() {
    let grant = grant(&format!(
        "commands = {{ allow = [\"{}b\"] }}",
        "a*".repeat(1000)
    ));
    assert!(!grant.constraints.allows_command(&b"a".repeat(30_000)));
}

#[test]
fn what_must_be_done_besides_is_in_the_grant() {
    let grant = grant(
        "permit = [\"shell\", \"agent_forwarding\", \"x11_forwarding\"]\nrecording = \"bounded\"\nrecipients = [\"auditors\"]\nhidden_input = \"sealed\"\n\
         step_up = [\"security_key\", \"reason\", \"approval\"]\napprovers = [\"Bob@example.com\"]\nreevaluate = \"5m\"\nwhen_lost = \"report\"",
    );
    let constraints = &grant.constraints;
    assert!(
        constraints.agent_forwarding
            && constraints.x11_forwarding
            && grant.permissions.shell
            && !grant.permissions.exec
    );
    assert_eq!(grant.recording, Recording::Bounded);
    assert!(constraints.recipients.contains("auditors"));
    assert_eq!(constraints.hidden_input, Some(HiddenInput::Sealed));
    let steps = [
        StepUp::SecurityKey,
        StepUp::Reason,
        StepUp::Approval(vec!["bob@example.com".into()]),
    ];
    assert_eq!(constraints.step_up, steps);
    let again = constraints.reevaluation.unwrap();
    assert_eq!(
        (again.every, again.on_loss),
        (Duration::from_secs(300), OnLoss::Report)
    );
    let asked: Vec<&str> = grant.asks_for().iter().map(Feature::name).collect();
    assert_eq!(
        asked,
        [
            "agent_forwarding",
            "x11_forwarding",
            "recording",
            "recipients",
            "hidden_input",
            "step_up",
            "reevaluate"
        ]
    );
}

#[test]
fn a_policy_that_asks_for_more_than_can_be_enforced_is_refused_by_name() {
    let fields = [
        (
            "agent_forwarding",
            "permit = [\"agent_forwarding\"]",
            "permit[0]",
        ),
        (
            "x11_forwarding",
            "permit = [\"shell\", \"x11_forwarding\"]",
            "permit[1]",
        ),
        (
            "local_forward",
            "local_forward = [{ host = \"db-1\", port = 5432 }]",
            "local_forward",
        ),
        ("jump", "jump = [{ host = \"db-1\", port = 22 }]", "jump"),
        (
            "remote_forward",
            "remote_forward = [{ host = \"localhost\", port = 80 }]",
            "remote_forward",
        ),
        (
            "stream_local",
            "stream_local = [\"/run/app.sock\"]",
            "stream_local",
        ),
        (
            "commands",
            "commands = { allow = [\"uptime\"] }",
            "commands",
        ),
        ("files", "files = []", "files"),
        ("recording", "recording = \"metadata_only\"", "recording"),
        ("recipients", "recipients = \"auditors\"", "recipients"),
        ("hidden_input", "hidden_input = \"never\"", "hidden_input"),
        ("step_up", "step_up = [\"reason\"]", "step_up"),
        ("reevaluate", "reevaluate = \"5m\"", "reevaluate"),
        ("max_login_age", "max_login_age = \"0m\"", "max_login_age"),
    ];
    for (name, field, place) in fields {
        let error = load(field)
            .unwrap()
            .refuse_beyond(Features::NONE)
            .unwrap_err();
        let expected = format!(
            "line 9: application[0].policy[0].{place}: it asks for `{name}`, which cannot be enforced here; remove it"
        );
        assert_eq!(error.to_string(), expected);
        let set = load(field).unwrap();
        let asked = grant(field).asks_for();
        assert_eq!(asked.iter().map(Feature::name).collect::<Vec<_>>(), [name]);
        assert!(set.refuse_beyond(asked).is_ok(), "{name}");
    }
    assert!(load("").unwrap().refuse_beyond(Features::NONE).is_ok());
}

#[test]
fn a_recording_of_forwarded_connections_other_than_whole_is_asked_for() {
    let forward = "local_forward = [{ host = \"db-1\", port = 5432 }]\nforward_recording = ";
    for (word, recording) in [
        ("full", ForwardRecording::Full),
        ("digest", ForwardRecording::Digest),
        ("none", ForwardRecording::None),
    ] {
        let text = format!("{forward}\"{word}\"");
        let grant = grant(&text);
        assert_eq!(grant.constraints.forward_recording, recording);
        let is_less = recording != ForwardRecording::Full;
        assert_eq!(
            grant.asks_for().contains(Feature::ForwardRecording),
            is_less
        );
        let enforced = Features::NONE.with(Feature::LocalForward);
        assert_eq!(
            load(&text).unwrap().refuse_beyond(enforced).is_err(),
            is_less
        );
    }
    assert_eq!(
        grant("").constraints.forward_recording,
        ForwardRecording::Full
    );
    let what = "it grants no forwarding to record; add what may be forwarded, as in `local_forward`, or remove `forward_recording`; what `jump` reaches is recorded as sessions are";
    refused(
        "forward_recording = \"digest\"",
        &format!("forward_recording: {what}"),
    );
    refused(
        "jump = [{ host = \"a\", port = 22 }]\nforward_recording = \"none\"",
        &format!("forward_recording: {what}"),
    );
    refused(
        "permit = [\"x11_forwarding\"]\nforward_recording = \"hash\"",
        "forward_recording: `hash` is none of three; write `full`, `digest` or `none`",
    );
}

#[test]
fn a_further_destination_of_jump_takes_away_where_more_than_ssh_could_pass() {
    let db = "{ host = \"db\", port = 22 }";
    let jump = |list: &str| grant(&format!("jump = [{list}]"));
    let both = |list: &str| grant(&format!("local_forward = [{db}]\njump = [{list}]"));
    let cover = |new: &Grant, old: &Grant| new.constraints.cover(&old.constraints);
    let web = "{ host = \"web\", port = 22 }";
    assert!(cover(&jump(&format!("{db}, {web}")), &jump(db)));
    assert!(!cover(&jump(db), &jump(&format!("{db}, {web}"))));
    assert!(cover(&both(db), &jump(db)), "nothing else passed before");
    assert!(!cover(&both(db), &both("")), "other bytes would be cut now");
    assert!(!cover(&both(""), &both(db)), "sessions there would end now");
    assert!(cover(&both(db), &both(db)));
}

#[test]
fn constraints_that_cannot_be_meant_are_problems() {
    let steps = "write some of `security_key`, `reason` and `approval`, the last with `approvers = [\"name@example.com\"]`";
    let path =
        "write it from `/`, without `.`, `..` and empty parts; what is below is meant as well";
    refused(
        "commands = {}",
        "commands: it neither allows nor denies a command; write `commands = { allow = [\"uptime\", \"journalctl *\"] }`, or `deny`, or both",
    );
    refused(
        "permit = [\"shell\"]\ncommands = { deny = [\"rm *\"] }",
        "commands: `commands` limits what `permit` does not grant; add `exec` to `permit`, or remove `commands`",
    );
    refused(
        "permit = [\"shell\"]\nfiles = []",
        "files: `files` limits what `permit` does not grant; add `sftp` to `permit`, or remove `files`",
    );
    refused(
        "stream_local = [\"/run/../etc\"]",
        &format!("stream_local[0]: `/run/../etc` is no plain absolute path; {path}"),
    );
    refused(
        "stream_local = [\"app.sock\"]",
        &format!("stream_local[0]: `app.sock` is no plain absolute path; {path}"),
    );
    refused(
        "step_up = [\"approval\"]",
        &format!("step_up[0]: nobody is named who may approve; {steps}"),
    );
    refused(
        "step_up = [\"dance\"]",
        &format!("step_up[0]: there is no step `dance`; {steps}"),
    );
    refused(
        "approvers = [\"ann@example.com\"]",
        &format!("approvers: approvers are named where no approval is asked for; {steps}"),
    );
    refused(
        "when_lost = \"end\"",
        "when_lost: nothing is decided again during the session; add `reevaluate = \"5m\"`, or remove `when_lost`",
    );
    refused(
        "hidden_input = \"maybe\"",
        "hidden_input: `maybe` is none of three; write `never`, `sealed` or `always`",
    );
    refused(
        "files = [{ path = \"/srv\", may = [\"delete\"] }]",
        "files[0].may[0]: `delete` is neither of two; write `{ path = \"/srv/in\", may = [\"upload\"] }`, or `download`, or both",
    );
    refused(
        "local_forward = [{ host = \"a\", ip = \"10.0.0.0/8\", port = 1 }]",
        "local_forward[0]: a destination is a host or a range of addresses; write `{ host = \"db-1\", port = 5432 }` or `{ ip = \"10.0.0.0/8\", port = [80, 443] }`",
    );
}

#[test]
fn times_that_do_not_exist_are_problems() {
    let zone = "write whose clocks count, as in `zone = \"Europe/Lisbon\"` or `zone = \"UTC\"`";
    for (rule, expected) in [
        ("{ time = { zone = \"Europe/Atlantis\" } }", format!("time.zone: there is no time zone `Europe/Atlantis`; {zone}")),
        ("{ time = { zone = \"europe/lisbon\" } }", format!("time.zone: there is no time zone `europe/lisbon`; {zone}")),
        ("{ time = { from = \"08:00\" } }", format!("time: `zone` is missing; {zone}")),
        ("{ time = { zone = \"UTC\", days = \"monday\" } }", "time.days: there is no day `monday`; write some of `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`".to_owned()),
        ("{ time = { zone = \"UTC\", from = \"8:00\" } }", "time.from: `8:00` is no time of the day; write hours and minutes, as in `\"08:30\"`, up to `\"24:00\"`".to_owned()),
        ("{ time = { zone = \"UTC\", to = \"24:01\" } }", "time.to: `24:01` is no time of the day; write hours and minutes, as in `\"08:30\"`, up to `\"24:00\"`".to_owned()),
        ("{ time = { zone = \"UTC\", from = \"08:00\", to = \"08:00\" } }", "time: a window that begins where it ends has no time in it; write `from` and `to`, or neither for the whole day".to_owned()),
        ("{ date = {} }", "date: a span of time needs a beginning or a later end; write `from`, `until` or both".to_owned()),
        ("{ date = { from = \"2027-01-01\" } }", "date.from: `2027-01-01` is no point in time; write it as RFC 3339 does, as in `\"2027-01-31T08:00:00Z\"`".to_owned()),
        ("{ date = { from = \"2027-01-02T00:00:00Z\", until = \"2027-01-02T00:00:00Z\" } }", "date: a span of time needs a beginning or a later end; write `from`, `until` or both".to_owned()),
    ] {
        refused(&format!("require = [{rule}]"), &format!("require[0].{expected}"));
    }
}

#[test]
fn what_covers_another_allows_all_that_it_does() {
    let texts = [
        "",
        "local_forward = [{ host = \"db\", port = 22 }]",
        "local_forward = [{ host = \"db\", port = [22, 80] }]",
        "local_forward = [{ host = \"db\", port = 80 }, { host = \"DB\", port = 22 }]",
        "local_forward = [{ host = \"db\", port = \"any\" }]",
        "local_forward = [{ ip = \"10.0.0.0/8\", port = 22 }]",
        "local_forward = [{ ip = \"10.1.0.0/16\", port = 22 }]",
        "local_forward = [{ ip = \"::/0\", port = \"any\" }]",
        "stream_local = [\"/run\"]",
        "stream_local = [\"/run/app\"]",
        "stream_local = [\"/run/app/\"]",
        "stream_local = [\"/runner\"]",
        "commands = { allow = [\"id\"] }",
        "commands = { deny = [\"id\"] }",
    ];
    let grants = texts.map(grant);
    let allowed = |grant: &Grant| {
        let it = &grant.constraints;
        let mut yes = Vec::new();
        for host in ["db", "10.1.2.3", "10.2.3.4", "::1"] {
            yes.extend([22, 80, 81].map(|port| it.local_forward.cover(host, port)));
        }
        let paths = ["/run", "/run/app", "/run/app/x", "/runner"];
        yes.extend(paths.map(|path| it.stream_local.cover(path)));
        yes.extend([&b"id"[..], b"w"].map(|command| it.allows_command(command)));
        yes
    };
    let mut covered = Vec::new();
    for (new, one) in grants.iter().enumerate() {
        for (old, other) in grants.iter().enumerate() {
            if one.constraints.cover(&other.constraints) {
                let lost = std::iter::zip(allowed(one), allowed(other)).any(|(a, b)| b && !a);
                assert!(!lost, "{:?} after {:?}", texts[new], texts[old]);
                // Every grant covers itself, and the one that says nothing but for commands.
                if new != old && old != 0 {
                    covered.push((new, old));
                }
            }
        }
    }
    let without_limits: Vec<_> = (0..12).flat_map(|new| [(new, 12), (new, 13)]).collect();
    covered.retain(|pair| !without_limits.contains(pair));
    assert_eq!(
        covered,
        [
            (2, 1),
            (2, 3),
            (3, 1),
            (3, 2),
            (4, 1),
            (4, 2),
            (4, 3),
            (5, 6),
            (8, 9),
            (8, 10),
            (9, 10)
        ]
    );
    for other in ["step_up = [\"reason\"]", "hidden_input = \"never\""] {
        let (plain, other) = (grant(""), grant(other));
        assert!(!plain.constraints.cover(&other.constraints));
        assert!(!other.constraints.cover(&plain.constraints));
    }
    let again = grant("reevaluate = \"5m\"");
    assert!(grant("").constraints.cover(&again.constraints));
}
