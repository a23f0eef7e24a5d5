//! Large, deep and hostile documents: bounded work, bounded messages, no panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fmt::Write as _;
use std::time::Duration;

use policy::{
    Decision, Device, Identity, Network, PolicySet, Request, Target, decide, explain, limits,
};
use proptest::prelude::*;

const GOOD: &str = include_str!("bounds/every_field.toml");

fn ask(set: &PolicySet, email: &str) -> Decision {
    let identity = Identity {
        email: Some(email.into()),
        ..Identity::default()
    };
    let (device, network) = (Device::default(), Network::default());
    let target = Target {
        port: 22,
        ..Target::default()
    };
    let (user, now) = (Some("deploy"), Duration::ZERO);
    let request = Request {
        identity: &identity,
        device: &device,
        network: &network,
        target: &target,
        user,
        now,
    };
    let decision = decide(set, &request);
    if email == "explain@example.com" {
        assert_eq!(explain(set, &request).decision, decision);
    }
    decision
}

/// An application with one policy for `include`.
fn application(include: &str) -> String {
    format!(
        "[[application]]\nname = \"a\"\ntarget = {{ include = [{{ any_target = true }}] }}\n\
         [[application.policy]]\nname = \"p\"\naction = \"allow\"\nusernames = [\"deploy\"]\ninclude = {include}\n"
    )
}

#[test]
fn a_million_addresses_load_and_decide() {
    let mut list = String::from("[{ email = [");
    for number in 0..1_000_000 {
        write!(list, "\"u{number}@example.com\",").unwrap();
    }
    list.push_str("] }]");
    let set = PolicySet::from_toml(&application(&list)).unwrap();
    assert!(matches!(
        ask(&set, "U999999@example.com"),
        Decision::Allow(_)
    ));
    let Decision::Deny(denial) = ask(&set, "u1000000@example.com") else {
        panic!("it is not in the list")
    };
    // What is said about it does not grow with the list.
    assert!(denial.for_log().len() < 500);
}

#[test]
fn twenty_thousand_rules_load_and_decide() {
    let mut list = String::from("[");
    for number in 0..20_000 {
        write!(list, "{{ email = \"u{number}@example.com\" }},").unwrap();
    }
    list.push(']');
    let set = PolicySet::from_toml(&application(&list)).unwrap();
    assert!(matches!(
        ask(&set, "u19999@example.com"),
        Decision::Allow(_)
    ));
    let Decision::Deny(denial) = ask(&set, "u20000@example.com") else {
        panic!("it is not in the list")
    };
    assert!(denial.for_log().ends_with("and 19996 more"));
}

/// Rule groups of which each uses the one before twice: 2^depth steps, unfolded.
fn doubling(depth: usize) -> String {
    let mut text = application(&format!("[{{ rule_group = \"g{depth}\" }}]"));
    text.push_str("[[rule_group]]\nname = \"g0\"\ninclude = [{ email = \"none@example.com\" }]\n");
    for index in 1..=depth {
        let inner = index - 1;
        let twice =
            format!("include = [{{ rule_group = \"g{inner}\" }}, {{ rule_group = \"g{inner}\" }}]");
        writeln!(text, "[[rule_group]]\nname = \"g{index}\"\n{twice}").unwrap();
    }
    text
}

#[test]
fn rule_groups_that_unfold_without_end_do_not_load() {
    let set = PolicySet::from_toml(&doubling(15)).unwrap();
    assert!(matches!(ask(&set, "ann@example.com"), Decision::Deny(_)));
    let error = PolicySet::from_toml(&doubling(30)).unwrap_err().to_string();
    assert!(
        error.contains("one decision may have to look at") && error.contains("4000000"),
        "{error}"
    );
}

/// Rule groups in a chain, `depth` of them.
fn chain(depth: usize) -> String {
    let mut text = application(&format!("[{{ rule_group = \"g{depth}\" }}]"));
    text.push_str(
        "[[rule_group]]\nname = \"g1\"\ninclude = [{ email = \"explain@example.com\" }]\n",
    );
    for index in 2..=depth {
        writeln!(
            text,
            "[[rule_group]]\nname = \"g{index}\"\ninclude = [{{ rule_group = \"g{}\" }}]",
            index - 1
        )
        .unwrap();
    }
    text
}

#[test]
fn rule_groups_nest_as_deep_as_the_limit_and_no_deeper() {
    let set = PolicySet::from_toml(&chain(limits::MAX_GROUP_DEPTH)).unwrap();
    assert!(matches!(
        ask(&set, "explain@example.com"),
        Decision::Allow(_)
    ));
    for depth in [limits::MAX_GROUP_DEPTH + 1, 10_000] {
        let error = PolicySet::from_toml(&chain(depth)).unwrap_err().to_string();
        assert!(
            error.contains(&format!("nested {depth} deep, more than 32")),
            "{error}"
        );
    }
}

#[test]
fn a_circle_of_ten_thousand_rule_groups_is_reported_in_a_short_message() {
    let text = chain(10_000).replace(
        "include = [{ email = \"explain@example.com\" }]",
        "include = [{ rule_group = \"g10000\" }]",
    );
    let error = PolicySet::from_toml(&text).unwrap_err().to_string();
    assert!(
        error.contains("go in a circle") && error.contains("and so on") && error.len() < 1000,
        "{error}"
    );
}

#[test]
fn a_document_beyond_the_limit_is_not_even_parsed() {
    let text = "#".repeat(limits::MAX_DOCUMENT_BYTES + 1);
    let error = PolicySet::from_toml(&text).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("line 1: the document has 67108865 bytes, more than 67108864; "),
        "{error}"
    );
}

#[test]
fn names_beyond_the_limit_do_not_load() {
    let named = |bytes: usize| {
        application("[{ everyone = true }]").replace("\"p\"", &format!("{:?}", "n".repeat(bytes)))
    };
    assert!(PolicySet::from_toml(&named(limits::MAX_NAME_BYTES)).is_ok());
    let error = PolicySet::from_toml(&named(limits::MAX_NAME_BYTES + 1)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a name is longer than 255 bytes"),
        "{error}"
    );
    for name in ["", " ", "a ", "\\u0007"] {
        let text = application("[{ everyone = true }]").replace("\"p\"", &format!("\"{name}\""));
        assert!(
            PolicySet::from_toml(&text)
                .unwrap_err()
                .to_string()
                .contains("policy[0].name: a name")
        );
    }
}

#[test]
fn deep_nesting_of_values_is_an_error() {
    for (open, close) in [("[", "]"), ("{ a = ", " }")] {
        let text = format!(
            "application = {}1{}",
            open.repeat(100_000),
            close.repeat(100_000)
        );
        assert!(
            !PolicySet::from_toml(&text)
                .unwrap_err()
                .problems()
                .is_empty()
        );
    }
}

#[test]
fn the_document_that_is_mutilated_below_is_good() {
    let set = PolicySet::from_toml(GOOD).unwrap();
    assert!(set.warnings().is_empty());
}

#[test]
fn a_document_cut_off_anywhere_loads_or_is_refused() {
    let mut refused = 0;
    for (end, _) in GOOD.char_indices() {
        match PolicySet::from_toml(&GOOD[..end]) {
            Ok(set) => drop(ask(&set, "explain@example.com")),
            Err(error) => {
                assert!(!error.problems().is_empty());
                refused += 1;
            }
        }
    }
    assert!(refused > GOOD.len() / 2);
}

#[test]
fn a_document_with_any_bit_flipped_loads_or_is_refused() {
    for index in 0..GOOD.len() {
        for bit in 0..8 {
            let mut bytes = GOOD.as_bytes().to_vec();
            bytes[index] ^= 1 << bit;
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            match PolicySet::from_toml(&text) {
                Ok(set) => drop(ask(&set, "explain@example.com")),
                Err(error) => assert!(error.problems().iter().all(|problem| problem.line >= 1)),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_loads_or_is_refused(text in any::<String>()) {
        if let Err(error) = PolicySet::from_toml(&text) {
            prop_assert!(!error.problems().is_empty());
        }
    }

    #[test]
    fn lines_in_any_order_load_or_are_refused(order in prop::collection::vec(0..GOOD.lines().count(), 0..60)) {
        let lines: Vec<_> = GOOD.lines().collect();
        let text: Vec<_> = order.iter().map(|index| lines[*index]).collect();
        if let Ok(set) = PolicySet::from_toml(&text.join("\n")) {
            drop(ask(&set, "explain@example.com"));
        }
    }

    #[test]
    fn any_user_and_address_decide(email in ".{0,80}", user in ".{0,80}", country in ".{0,4}") {
        let set = PolicySet::from_toml(GOOD).unwrap();
        let identity = Identity { email: Some(email), country: Some(country), ..Identity::default() };
        let (device, network) = (Device::default(), Network::default());
        let target = Target { port: 22, hostname: user.clone(), ..Target::default() };
        let request = Request { identity: &identity, device: &device, network: &network, target: &target, user: Some(&user), now: Duration::MAX };
        prop_assert_eq!(explain(&set, &request).decision, decide(&set, &request));
    }
}
