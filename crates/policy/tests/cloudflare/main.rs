//! What Cloudflare's API and Terraform provider write loads as it is, and decides as it does there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::Duration;

use policy::{
    Decision, Device, Group, Identity, Imported, Network, Person, PolicySet, PostureResult,
    Strictness, Target,
};

const NOW: Duration = Duration::from_secs(1_800_000_000);
const ACCOUNT: &str = include_str!("account.json");
const TERRAFORM: &str = include_str!("terraform.json");

fn import(text: &str) -> Imported {
    PolicySet::from_cloudflare(&[("account.json", text)], Strictness::Lenient)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Somebody who logged in `hours` ago, with a device in order, from Portugal.
fn person(email: &str, hours: u64) -> Person {
    Person {
        identity: Identity {
            email: Some(email.into()),
            authentication_methods: vec!["pwd".into()],
            authenticated_at: Some(NOW - Duration::from_secs(hours * 3600)),
            ..Identity::default()
        },
        device: Device {
            posture: vec![PostureResult {
                check: "posture-1".into(),
                passed: true,
                checked_at: NOW,
            }],
            ..Device::default()
        },
        network: Network {
            client_addr: Some([198, 51, 100, 1].into()),
            country: Some("PT".into()),
            ..Network::default()
        },
    }
}

/// The policy that lets in, or the reason of the refusal.
fn ask(set: &PolicySet, person: &Person, hostname: &str, user: &str) -> String {
    let target = Target {
        hostname: hostname.into(),
        port: 22,
        ..Target::default()
    };
    match person.decide(set, &target, Some(user), NOW) {
        Decision::Allow(grant) if !grant.login_is_fresh(&person.identity, NOW, NOW) => {
            format!("{}, after a new login", grant.policy)
        }
        Decision::Allow(grant) => grant.policy.to_string(),
        Decision::Deny(denial) => denial.reason.to_string(),
    }
}

#[test]
fn an_account_decides_as_it_does_there() {
    let set = import(ACCOUNT).set;
    let ann = person("ann@example.com", 1);
    assert_eq!(ask(&set, &ann, "web-1", "deploy"), "staff");
    assert_eq!(ask(&set, &ann, "Web-2", "ann"), "staff");
    assert_eq!(
        ask(&set, &ann, "win-1", "deploy"),
        "no_application_for_target"
    );
    assert_eq!(
        ask(&set, &person("ann@example.com", 9), "web-1", "deploy"),
        "staff, after a new login",
        "the policy's eight hours are over"
    );
    let mut lobby = ann.clone();
    lobby.network.client_addr = Some([192, 0, 2, 1].into());
    assert_eq!(ask(&set, &lobby, "web-1", "deploy"), "no_policy_matched");
    let mut there = ann.clone();
    there.network.country = Some("KP".into());
    assert_eq!(
        ask(&set, &there, "web-1", "deploy"),
        "blocked_by_policy",
        "the precedence comes before the order"
    );
    let mut careless = ann.clone();
    careless.device.posture.clear();
    assert_eq!(ask(&set, &careless, "web-1", "deploy"), "no_policy_matched");
}

#[test]
fn groups_of_identity_providers_are_told_apart_by_the_providers_id() {
    let set = import(ACCOUNT).set;
    let member = |provider: &str, name: &str| {
        let mut person = person("bob@example.org", 1);
        person.identity.groups = vec![Group {
            provider: provider.into(),
            name: name.into(),
        }];
        ask(&set, &person, "web-1", "deploy")
    };
    assert_eq!(member("idp-okta", "staff"), "staff");
    assert_eq!(member("idp-github", "example/ops"), "staff");
    assert_eq!(member("idp-saml", "role=admin"), "staff");
    for (provider, name) in [
        ("idp-github", "example"),
        ("idp-github", "staff"),
        ("idp-saml", "role=user"),
    ] {
        assert_eq!(
            member(provider, name),
            "no_policy_matched",
            "{provider} {name}"
        );
    }
}

#[test]
fn a_second_factor_at_every_connection_is_asked_for() {
    let set = import(ACCOUNT).set;
    let root = |methods: &[&str], hours| {
        let mut ann = person("ann@example.com", hours);
        ann.identity.authentication_methods =
            methods.iter().map(|method| (*method).to_owned()).collect();
        ask(&set, &ann, "web-1", "root")
    };
    assert_eq!(root(&["pwd", "hwk"], 0), "break glass");
    assert_eq!(
        root(&["pwd", "otp", "mfa"], 0),
        "user_not_allowed",
        "a code is no security key"
    );
    assert_eq!(
        root(&["pwd", "hwk"], 1),
        "break glass, after a new login",
        "an hour ago is another connection"
    );
    let mut ann = person("ann@example.com", 0);
    ann.identity.authentication_methods = vec!["hwk".into()];
    ann.identity.authenticated_at = Some(NOW - Duration::from_secs(1));
    assert_eq!(
        ask(&set, &ann, "web-1", "root"),
        "break glass, after a new login",
        "so is a second ago"
    );
}

/// The seconds that a login may be old for `deploy`, and the document that says so.
fn login_age(account: &str) -> (Option<u64>, String) {
    let Imported { set, toml, .. } = import(account);
    let mut ann = person("ann@example.com", 0);
    ann.identity.authentication_methods = vec!["hwk".into(), "mfa".into()];
    let target = Target {
        hostname: "web-1".into(),
        port: 22,
        ..Target::default()
    };
    match ann.decide(&set, &target, Some("deploy"), NOW) {
        Decision::Allow(grant) => (grant.max_login_age.map(|age| age.as_secs()), toml),
        Decision::Deny(denial) => panic!("{}\n{toml}", denial.for_log()),
    }
}

#[test]
fn a_policy_goes_before_its_application_and_the_shorter_of_session_and_second_factor_holds() {
    let without = |text: &str, part: &str| {
        let less = text.replace(part, "");
        assert_ne!(less, text);
        less
    };
    let own = "\"session_duration\": \"8h\",";
    let outer = "\"session_duration\": \"24h\",";
    let no_mfa = "\"mfa_config\": { \"mfa_disabled\": true },";
    let mfa =
        |duration: &str| format!("\"mfa_config\": {{ \"session_duration\": \"{duration}\" }},");
    let (age, toml) = login_age(ACCOUNT);
    assert_eq!(age, Some(8 * 3600));
    assert!(toml.contains("use = \"staff\""), "{toml}");
    // What the policy does not say the application does, and the reusable policy of others stays as it is.
    let (age, toml) = login_age(&without(ACCOUNT, own));
    assert_eq!(age, Some(24 * 3600));
    assert!(!toml.contains("use = \"staff\""), "{toml}");
    let neither = without(&without(ACCOUNT, own), outer);
    assert_eq!(login_age(&neither).0, None);
    for (duration, expected) in [("1h30m", 5400), ("12h", 8 * 3600), ("0m", 0)] {
        let account = ACCOUNT.replace(no_mfa, &mfa(duration));
        assert_eq!(login_age(&account).0, Some(expected), "{duration}");
        let account = without(ACCOUNT, no_mfa).replace(outer, &mfa(duration));
        let (age, toml) = login_age(&account);
        assert_eq!(age, Some(expected), "{duration}, of the application");
        assert!(toml.contains("authentication_method = \"mfa\""), "{toml}");
    }
}

#[test]
fn the_import_is_a_document_of_ours_that_loads_again() {
    let imported = import(ACCOUNT);
    let again = PolicySet::from_toml(&imported.toml)
        .unwrap_or_else(|error| panic!("{error}\n{}", imported.toml));
    for (email, user) in [
        ("ann@example.com", "deploy"),
        ("ann@example.com", "root"),
        ("bob@example.org", "deploy"),
    ] {
        let person = person(email, 1);
        assert_eq!(
            ask(&imported.set, &person, "web-1", user),
            ask(&again, &person, "web-1", user),
            "{}",
            imported.toml
        );
    }
    let warnings: Vec<String> = imported
        .set
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        warnings,
        [
            "line 11: target_criteria[1].protocol: targets of protocol `RDP` are left out; keep them in an application of their own",
            "line 27: an application of another type is left out; export applications of type `infrastructure`",
        ]
    );
    let targets: Vec<String> = imported
        .targets
        .iter()
        .map(|it| format!("{} {} {:?}", it.id, it.hostname, it.address))
        .collect();
    assert_eq!(
        targets,
        ["t-1 web-1 Some(10.0.0.1)", "t-2 web-2 Some(2001:db8::2)"]
    );
}

#[test]
fn the_state_of_terraform_loads() {
    let imported = import(TERRAFORM);
    assert_eq!(
        ask(
            &imported.set,
            &person("ann@example.com", 99),
            "web-1",
            "deploy"
        ),
        "staff"
    );
    assert_eq!(
        ask(
            &imported.set,
            &person("ann@example.com", 99),
            "web-1",
            "ann"
        ),
        "user_not_allowed"
    );
    assert_eq!(imported.targets.len(), 1);
}

#[test]
fn what_cannot_be_evaluated_is_refused_with_file_line_and_place() {
    let application = |change: (&str, &str)| {
        let other = "{\n\"groups\": []\n}";
        let text = ACCOUNT.replace(change.0, change.1);
        assert_ne!(text, ACCOUNT);
        let error = PolicySet::from_cloudflare(
            &[("groups.json", other), ("account.json", &text)],
            Strictness::Lenient,
        )
        .unwrap_err();
        error.to_string()
    };
    for (change, expected) in [
        (
            (
                "{ \"geo\": { \"country_code\": \"KP\" } }",
                "{ \"certificate\": {} }",
            ),
            "line 17: account.json: policies[1].include[0].certificate: `certificate` asks what nobody here can answer; use another selector",
        ),
        (
            ("\"decision\": \"deny\"", "\"decision\": \"bypass\""),
            "line 16: account.json: policies[1].decision: `bypass` would let people in without an identity and without a recording; write `allow`, and whom",
        ),
        (
            ("\"decision\": \"deny\"", "\"decision\": \"non_identity\""),
            "line 16: account.json: policies[1].decision: a policy for service tokens includes people; include service tokens alone, or write `allow`",
        ),
        (
            ("{ \"id\": \"list-1\" } }", "{ \"id\": \"list-2\" } }"),
            "line 39: account.json: exclude[0].ip_list.id: no list has the id `list-2`; export the lists with their items as well",
        ),
        (
            (
                "\"session_duration\": \"8h\"",
                "\"session_duration\": \"8 hours\"",
            ),
            "line 32: account.json: session_duration: `8 hours` is no duration; write hours, minutes and seconds, as in `\"1h30m\"`",
        ),
        (
            (
                "\"mfa_config\": { \"mfa_disabled\": true }",
                "\"mfa_setup\": {}",
            ),
            "line 40: account.json: mfa_setup: unknown field `mfa_setup`",
        ),
        (
            (
                "\"usernames\": [\"root\"], \"allow_email_alias\": false",
                "\"allow_email_alias\": false",
            ),
            "an allow policy without users lets nobody in",
        ),
        (
            ("\"Ann@example.com\"", "\"Ann@\""),
            "line 21: account.json: application[0].policy[2].include[0].email: `Ann@` is no e-mail address",
        ),
        (
            ("\"ip_addr\": \"10.0.0.1\"", "\"ip_addr\": \"10.0.0\""),
            "`10.0.0` is no address",
        ),
    ] {
        let error = application(change);
        assert!(error.contains(expected), "{error}\nnot {expected}");
    }
    let broken =
        PolicySet::from_cloudflare(&[("a.json", "{}"), ("b.json", "{\n")], Strictness::Lenient)
            .unwrap_err()
            .to_string();
    assert!(
        broken.starts_with("line 2: b.json: a key in quotes is expected here"),
        "{broken}"
    );
}

#[test]
fn strictly_only_what_infrastructure_applications_have_there_loads() {
    let strict =
        |text: &str| PolicySet::from_cloudflare(&[("account.json", text)], Strictness::Strict);
    let error = strict(ACCOUNT).unwrap_err().to_string();
    assert!(
        error.contains("infrastructure applications have no decision `deny`"),
        "{error}"
    );
    assert!(
        error.contains("infrastructure applications have no selector `ip_list`"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 2, "{error}");
    assert!(strict(TERRAFORM).is_ok());
    let everyone = TERRAFORM.replace(
        "\"email_domain\": { \"domain\": \"example.com\" }, \"everyone\": null",
        "\"everyone\": {}",
    );
    assert!(strict(&everyone).is_err());
    assert!(PolicySet::from_cloudflare(&[("t.json", &everyone)], Strictness::Lenient).is_ok());
}
