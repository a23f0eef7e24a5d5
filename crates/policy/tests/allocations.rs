//! A decision that allows allocates nothing, however many policies there are, and loading these takes memory in proportion.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use policy::{Decision, Device, Group, Identity, Network, PolicySet, Request, Target, decide};

#[test]
fn a_decision_that_allows_allocates_nothing() {
    let mut text = String::new();
    for number in 0..200 {
        let _ = writeln!(
            text,
            "[[application]]\nname = \"a{number}\"\ntarget = {{ include = [{{ tag = {{ web = \"{number}\" }} }}] }}"
        );
        for policy in 0..20 {
            let _ = writeln!(
                text,
                "[[application.policy]]\nname = \"p{policy}\"\naction = \"allow\"\ninclude = [{{ email = \"User-{policy}@example.com\" }}]\n\
                 require = [{{ group = {{ provider = \"okta\", name = \"ops\" }} }}, {{ ip = \"10.0.0.0/8\" }}, {{ time = {{ zone = \"Europe/Lisbon\" }} }}]\n\
                 exclude = [{{ country = \"KP\" }}]\nusernames = [\"deploy\"]\nmax_session = \"{}h\"",
                policy + 1
            );
        }
    }
    let set = PolicySet::from_toml(&text).unwrap();
    let identity = Identity {
        email: Some("user-7@Example.com".into()),
        groups: vec![Group {
            provider: "okta".into(),
            name: "ops".into(),
        }],
        ..Identity::default()
    };
    let device = Device::default();
    let network = Network {
        client_addr: Some([10, 1, 2, 3].into()),
        country: Some("PT".into()),
        ..Network::default()
    };
    let mut target = Target {
        port: 22,
        ..Target::default()
    };
    target.tags.insert("web".into(), "123".into());
    let ask = |user| {
        let request = Request {
            identity: &identity,
            device: &device,
            network: &network,
            target: &target,
            user: Some(user),
            now: Duration::from_secs(1_800_000_000),
        };
        let mut decision = None;
        let counted = allocation_counter::measure(|| decision = Some(decide(&set, &request)));
        (decision.unwrap(), counted.count_total)
    };
    let (decision, allocations) = ask("deploy");
    assert!(
        matches!(&decision, Decision::Allow(grant) if &*grant.application == "a123" && &*grant.policy == "p7"),
        "{decision:?}"
    );
    assert_eq!(allocations, 0);
    let (decision, allocations) = ask("root");
    assert!(matches!(decision, Decision::Deny(_)));
    assert!(allocations > 0, "the counter counts");
}

/// What 10000 applications of one policy each may take, while they load and afterwards.
const LOADING_BYTES: u64 = 8 << 20;

#[test]
fn ten_thousand_applications_load_in_eight_mebibytes() {
    let (mut toml, mut json) = (String::new(), String::from("{\"application\": ["));
    for number in 0..10_000 {
        let _ = writeln!(
            toml,
            "[[application]]\nname = \"a{number}\"\ntarget = {{ include = [{{ hostname = \"web-{number}\" }}] }}\n\
             [[application.policy]]\nname = \"p{number}\"\naction = \"allow\"\ninclude = [{{ email = \"user-{number}@example.com\" }}]\nusernames = [\"deploy\"]"
        );
        let _ = write!(
            json,
            "{}{{\"name\": \"a{number}\", \"target\": {{\"include\": [{{\"hostname\": \"web-{number}\"}}]}}, \"policy\": [{{\
             \"name\": \"p{number}\", \"action\": \"allow\", \"include\": [{{\"email\": \"user-{number}@example.com\"}}], \"usernames\": [\"deploy\"]}}]}}",
            if number == 0 { "" } else { ", " }
        );
    }
    json.push_str("]}");
    for load in [&|| PolicySet::from_toml(&toml) as Result<_, _>, &|| {
        PolicySet::from_json(&json) as Result<_, _>
    }] as [&dyn Fn() -> Result<PolicySet, policy::LoadError>; 2]
    {
        let mut set = None;
        let counted = allocation_counter::measure(|| set = Some(load()));
        let kept = u64::try_from(counted.bytes_current).unwrap();
        let _ = writeln!(
            std::io::stderr(),
            "kept {kept} bytes, at most {} at once",
            counted.bytes_max
        );
        assert!(counted.bytes_max <= LOADING_BYTES && kept <= LOADING_BYTES);
        set.unwrap().unwrap();
    }
}

/// What 10^6 addresses of one rule may take while they load, in a document of 27 MB: 8 bytes for each byte of it.
const MILLION_VALUES_BYTES: u64 = 210 << 20;

/// What 10^6 rules of one policy may take while they load, in a document of 26 MB: 26 bytes for each byte of it.
const MILLION_RULES_BYTES: u64 = 640 << 20;

#[test]
fn a_million_rules_load_in_memory_in_proportion_to_the_document() {
    let document = |one: fn(usize) -> String, before: &str, after: &str| {
        let mut text = format!(
            "[[application]]\nname = \"a\"\ntarget = {{ include = [{{ any_target = true }}] }}\n\
             [[application.policy]]\nname = \"p\"\naction = \"allow\"\nusernames = [\"deploy\"]\ninclude = [{before}"
        );
        (0..1_000_000).for_each(|number| text.push_str(&one(number)));
        text + after + "]\n"
    };
    let values = document(
        |number| format!("\"user-{number}@example.com\", "),
        "{ email = [",
        "] }",
    );
    let rules = document(|number| format!("{{ email = \"{number}@a.b\" }}, "), "", "");
    for (text, limit) in [(values, MILLION_VALUES_BYTES), (rules, MILLION_RULES_BYTES)] {
        let mut set = None;
        let counted = allocation_counter::measure(|| set = Some(PolicySet::from_toml(&text)));
        let _ = writeln!(
            std::io::stderr(),
            "{} bytes of text: kept {}, at most {} at once",
            text.len(),
            counted.bytes_current,
            counted.bytes_max
        );
        set.unwrap().unwrap();
        assert!(counted.bytes_max <= limit);
    }
}
