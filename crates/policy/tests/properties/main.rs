//! Properties over random documents and requests: the slow evaluator agrees, and Blocks only ever take away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod alphabet;
mod generate;
mod slow;

use generate::{Asked, asked, document, long_document, policy};
use policy::{
    Decision, OperatorAction, OperatorDecision, PolicySet, decide, decide_operator, explain,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use slow::{Answer, Document, Policy, Rule};

/// Loads the document, unless it happens to hold a contradiction that the loader refuses.
fn load(document: &Document) -> Option<PolicySet> {
    match PolicySet::from_toml(&slow::to_toml(document)) {
        Ok(set) => Some(set),
        Err(error) => {
            let contradictions = error.problems().iter().all(|problem| {
                problem.what.contains("at once") || problem.what == "it excludes everyone"
            });
            assert!(contradictions, "{error}\n{}", slow::to_toml(document));
            None
        }
    }
}

fn answer(decision: &Decision) -> Answer {
    match decision {
        Decision::Allow(grant) => {
            let index = |name: &str| name[1..].parse().unwrap();
            Answer::Allow {
                application: index(&grant.application),
                policy: index(&grant.policy),
                max_session_hours: grant.max_session.map(|duration| duration.as_secs() / 3600),
                max_login_hours: grant
                    .max_login_age
                    .map(|duration| duration.as_secs() / 3600),
            }
        }
        Decision::Deny(denial) => Answer::Deny(match denial.reason.to_string().as_str() {
            "no_application_for_target" => "no_application_for_target",
            "no_policy_matched" => "no_policy_matched",
            "user_not_allowed" => "user_not_allowed",
            "blocked_by_policy" => "blocked_by_policy",
            other => panic!("{other}"),
        }),
    }
}

fn operator(set: &PolicySet, asked: &Asked, action: OperatorAction) -> Option<usize> {
    match decide_operator(set, &asked.operator_request(action)) {
        OperatorDecision::Allow { operator } => Some(operator[1..].parse().unwrap()),
        OperatorDecision::Deny => None,
    }
}

fn is_allowed(set: &PolicySet, asked: &Asked) -> bool {
    matches!(decide(set, &asked.request()), Decision::Allow(_))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_slow_evaluator_agrees(document in document(), requests in vec(asked(), 24)) {
        let Some(set) = load(&document) else { return Ok(()) };
        for asked in requests {
            let decision = decide(&set, &asked.request());
            prop_assert_eq!(answer(&decision), slow::decide(&document, &asked.facts), "{}\n{:?}", slow::to_toml(&document), asked.facts);
            prop_assert_eq!(&explain(&set, &asked.request()).decision, &decision);
        }
    }

    #[test]
    fn the_slow_evaluator_agrees_on_long_documents(document in long_document(), requests in vec(asked(), 48)) {
        let Some(set) = load(&document) else { return Ok(()) };
        for asked in requests {
            let decision = decide(&set, &asked.request());
            prop_assert_eq!(answer(&decision), slow::decide(&document, &asked.facts), "{}\n{:?}", slow::to_toml(&document), asked.facts);
        }
    }

    #[test]
    fn the_slow_evaluator_agrees_about_operators(document in document(), requests in vec(asked(), 8)) {
        let Some(set) = load(&document) else { return Ok(()) };
        for asked in requests {
            for action in OperatorAction::ALL {
                prop_assert_eq!(operator(&set, &asked, action), slow::operator(&document, &asked.facts, action.name()), "{}\n{:?}", slow::to_toml(&document), asked.facts);
            }
        }
    }

    #[test]
    fn an_exclude_never_lets_in_more(
        document in document(),
        rule in generate::rule(3),
        place in any::<prop::sample::Index>(),
        requests in vec(asked(), 24),
    ) {
        // Of an Allow; the exclude of a Block is an exception from keeping out.
        let mut document = document;
        document.applications.iter_mut().for_each(|application| application.first_match = false);
        let mut stricter = document.clone();
        let allows = stricter.applications.iter_mut().flat_map(|application| &mut application.policies);
        let mut allows: Vec<_> = allows.filter(|policy| !policy.block).collect();
        if allows.is_empty() { return Ok(()) }
        let at = place.index(allows.len());
        allows[at].lists.exclude.push(rule);
        let (Some(before), Some(after)) = (load(&document), load(&stricter)) else { return Ok(()) };
        for asked in requests {
            prop_assert!(is_allowed(&before, &asked) || !is_allowed(&after, &asked), "{}", slow::to_toml(&stricter));
        }
    }

    #[test]
    fn adding_a_block_never_allows_more(
        document in document(),
        block in policy(3),
        place in any::<prop::sample::Index>(),
        requests in vec(asked(), 24),
    ) {
        let mut stricter = document.clone();
        if stricter.applications.is_empty() { return Ok(()) }
        let application = place.index(stricter.applications.len());
        let policies = &mut stricter.applications[application].policies;
        let at = place.index(policies.len() + 1);
        policies.insert(at, Policy { block: true, users: Vec::new(), alias: false, max_session_hours: None, max_login_hours: None, missing_ignored: false, ..block });
        let (Some(before), Some(after)) = (load(&document), load(&stricter)) else { return Ok(()) };
        for asked in requests {
            prop_assert!(is_allowed(&before, &asked) || !is_allowed(&after, &asked), "{}", slow::to_toml(&stricter));
        }
    }

    #[test]
    fn removing_an_allow_never_allows_more(document in document(), place in any::<prop::sample::Index>(), requests in vec(asked(), 24)) {
        let mut document = document;
        document.applications.iter_mut().for_each(|application| application.first_match = false);
        let allows: Vec<_> = document.applications.iter().enumerate().flat_map(|(application, it)| {
            let allows = it.policies.iter().enumerate().filter(|(_, policy)| !policy.block);
            allows.map(move |(policy, _)| (application, policy)).collect::<Vec<_>>()
        }).collect();
        if allows.is_empty() { return Ok(()) }
        let (application, policy) = allows[place.index(allows.len())];
        let mut stricter = document.clone();
        stricter.applications[application].policies.remove(policy);
        let (Some(before), Some(after)) = (load(&document), load(&stricter)) else { return Ok(()) };
        for asked in requests {
            prop_assert!(is_allowed(&before, &asked) || !is_allowed(&after, &asked), "{}", slow::to_toml(&document));
        }
    }

    #[test]
    fn taking_facts_away_opens_no_door_through_an_exclude(document in document(), asked in asked()) {
        // Where no policy ignores missing attributes and no Block asks for one by `include` or `require` (S1), knowing less never lets in more.
        let mut document = document;
        // Under `first_match` an Allow that no longer matches no longer ends the search.
        document.applications.iter_mut().for_each(|application| application.first_match = false);
        for policy in document.applications.iter_mut().flat_map(|application| &mut application.policies) {
            policy.missing_ignored = false;
            if policy.block {
                policy.lists.include = vec![Rule::Everyone];
                policy.lists.require.clear();
            }
        }
        let Some(set) = load(&document) else { return Ok(()) };
        let mut without_address = asked.clone();
        without_address.network.client_addr = None;
        let mut without_country = asked.clone();
        (without_country.network.country, without_country.identity.country) = (None, None);
        let mut without_groups = asked.clone();
        without_groups.identity.groups.clear();
        let mut without_methods = asked.clone();
        without_methods.identity.authentication_methods.clear();
        for less in [without_address, without_country, without_groups, without_methods] {
            prop_assert!(
                is_allowed(&set, &asked) || !is_allowed(&set, &less),
                "{}\n{:?}", slow::to_toml(&document), less.facts
            );
        }
    }

    #[test]
    fn the_order_of_applications_never_settles_whether_somebody_gets_in(document in document(), requests in vec(asked(), 24)) {
        let mut reversed = document.clone();
        reversed.applications.reverse();
        let (Some(one), Some(other)) = (load(&document), load(&reversed)) else { return Ok(()) };
        for asked in requests {
            prop_assert_eq!(is_allowed(&one, &asked), is_allowed(&other, &asked), "{}", slow::to_toml(&document));
        }
    }

    #[test]
    fn users_are_admitted_only_where_some_user_is(document in document(), asked in asked()) {
        let Some(set) = load(&document) else { return Ok(()) };
        if document.applications.iter().any(|application| application.first_match) { return Ok(()) }
        let mut anyone = asked.clone();
        anyone.facts.user = None;
        prop_assert!(!is_allowed(&set, &asked) || is_allowed(&set, &anyone));
    }

    #[test]
    fn equal_documents_and_requests_give_equal_decisions_and_texts(document in document(), asked in asked()) {
        let (Some(one), Some(other)) = (load(&document), load(&document)) else { return Ok(()) };
        prop_assert_eq!(explain(&one, &asked.request()), explain(&other, &asked.request()));
        prop_assert_eq!(explain(&one, &asked.request()).to_string(), explain(&other, &asked.request()).to_string());
    }
}

/// The properties above say nothing if almost everything is denied for one reason.
#[test]
fn the_random_documents_and_requests_reach_every_kind_of_decision() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut loaded, mut counts) = (0, std::collections::BTreeMap::new());
    let mut operators = [0; 2];
    for _ in 0..200 {
        let Some(set) = load(&document().new_tree(&mut runner).unwrap().current()) else {
            continue;
        };
        loaded += 1;
        for _ in 0..10 {
            let asked = asked().new_tree(&mut runner).unwrap().current();
            let kind = match answer(&decide(&set, &asked.request())) {
                Answer::Allow { policy, .. } => format!("allow by policy {}", policy.min(1)),
                Answer::Deny(reason) => reason.to_owned(),
            };
            *counts.entry(kind).or_insert(0) += 1;
            let may_watch = operator(&set, &asked, OperatorAction::Watch).is_some();
            operators[usize::from(may_watch)] += 1;
        }
    }
    assert!(operators.iter().all(|count| *count >= 20), "{operators:?}");
    assert!(loaded >= 100, "only {loaded} of 200 documents load");
    assert!(
        counts.len() == 6 && counts.values().all(|count| *count >= 20),
        "{loaded} documents: {counts:?}"
    );
}
