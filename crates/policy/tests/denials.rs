//! What is said about a denial: to the person, to the log, and in an explanation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::Duration;

use policy::{
    Advice, Decision, Denial, DenialReason, Device, Identity, List, Network, PolicyOutcome,
    PolicySet, PostureResult, Recording, Request, RuleOutcome, Target, decide, explain,
};

const POLICY: &str = r#"
[[rule_group]]
name = "secretgroup"
include = [{ email_domain = "secretdomain.example" }, { email = "bob@example.com" }]

[[application]]
name = "secretapplication"
target = { include = [{ tag = { env = "secrettag" } }] }

[[application.policy]]
name = "secretblock"
action = "block"
include = [{ ip = "198.51.100.0/24" }]

[[application.policy]]
name = "secretallow"
action = "allow"
include = [{ email_domain = "example.com" }, { rule_group = "secretgroup" }]
require = [{ device_posture = { check = "secretcheck", max_age = "10m" } }]
exclude = [{ country = "KP" }]
usernames = ["secretuser"]

[[application.policy]]
name = "secretroot"
action = "allow"
include = [{ email_domain = "example.com" }]
require = [{ authentication_method = "hwk" }, { authenticated_within = "10m" }]
usernames = ["root"]
"#;

struct Asked {
    identity: Identity,
    device: Device,
    network: Network,
    target: Target,
    user: Option<&'static str>,
}

impl Asked {
    /// A request that is allowed as `secretuser`.
    fn good() -> Self {
        let identity = Identity {
            email: Some("ann@example.com".into()),
            ..Identity::default()
        };
        let check = PostureResult {
            check: "secretcheck".into(),
            passed: true,
            checked_at: Duration::from_secs(10_000),
        };
        let mut target = Target {
            port: 22,
            ..Target::default()
        };
        target.tags.insert("env".into(), "secrettag".into());
        Self {
            identity,
            device: Device {
                posture: vec![check],
                ..Device::default()
            },
            network: Network {
                country: Some("PT".into()),
                client_addr: Some("192.0.2.1".parse().unwrap()),
                ..Network::default()
            },
            target,
            user: Some("secretuser"),
        }
    }

    fn request(&self) -> Request<'_> {
        let Self {
            identity,
            device,
            network,
            target,
            user,
        } = self;
        Request {
            identity,
            device,
            network,
            target,
            user: *user,
            now: Duration::from_secs(10_060),
        }
    }

    fn decide(&self) -> Decision {
        decide(&PolicySet::from_toml(POLICY).unwrap(), &self.request())
    }

    #[track_caller]
    fn denial(&self) -> Denial {
        match self.decide() {
            Decision::Deny(denial) => denial,
            Decision::Allow(grant) => panic!("allowed by {}", grant.policy),
        }
    }
}

/// One request for each way to be denied.
fn denied() -> Vec<Asked> {
    let change = |change: fn(&mut Asked)| {
        let mut asked = Asked::good();
        change(&mut asked);
        asked
    };
    vec![
        change(|asked| asked.target.tags.clear()),
        change(|asked| asked.network.client_addr = Some("198.51.100.1".parse().unwrap())),
        change(|asked| asked.identity.email = Some("eve@example.org".into())),
        change(|asked| asked.identity.email = None),
        change(|asked| asked.network.country = Some("KP".into())),
        change(|asked| asked.network.country = None),
        change(|asked| asked.device.posture.clear()),
        change(|asked| asked.user = Some("nobody-you-know")),
        change(|asked| asked.user = Some("root")),
        change(|asked| {
            asked.identity.email = Some("eve@example.org".into());
            asked.user = None;
        }),
    ]
}

#[test]
fn the_good_request_is_allowed() {
    assert!(matches!(Asked::good().decide(), Decision::Allow(_)));
}

#[test]
fn a_person_learns_nothing_of_the_policy() {
    let denials: Vec<_> = denied().iter().map(Asked::denial).collect();
    for denial in &denials {
        let text = denial.for_person();
        assert!(!text.contains("secret"), "{text}");
        for word in [
            "policy",
            "rule",
            "group",
            "country",
            "address",
            "block",
            "application",
            "198.51",
            "example",
        ] {
            assert!(!text.contains(word), "{text}");
        }
    }
    // Whether the target exists, and whether a Block or the lack of an Allow was the reason, cannot be told apart.
    let texts: Vec<_> = denials[..6].iter().map(Denial::for_person).collect();
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
}

#[test]
fn a_person_learns_what_to_do_where_that_alone_is_missing() {
    let mut asked = Asked::good();
    asked.device.posture.clear();
    assert_eq!(asked.denial().advice, Advice::CheckDevice);
    asked.user = None;
    // As root it would take a better login, as the other user a better device; the device is the first in the document and the smaller step.
    assert_eq!(asked.denial().advice, Advice::CheckDevice);
    asked.user = Some("root");
    let denial = asked.denial();
    assert_eq!(
        (denial.reason, denial.advice),
        (DenialReason::NoPolicyMatched, Advice::LogInAgain)
    );
    assert!(denial.for_person().contains("log in again"));

    // Somebody else is not told what would be asked of those who may come.
    asked.identity.email = Some("eve@example.org".into());
    assert_eq!(asked.denial().advice, Advice::AskForAccess);

    let mut asked = Asked::good();
    asked.user = Some("root");
    let denial = asked.denial();
    assert_eq!(
        (denial.reason, denial.advice),
        (DenialReason::UserNotAllowed, Advice::LogInAgain)
    );
    asked.user = Some("postgres");
    assert_eq!(asked.denial().advice, Advice::AskForAnotherUser);
}

#[test]
fn two_different_things_missing_are_no_advice() {
    let mut asked = Asked::good();
    asked.device.posture.clear();
    asked.network.country = None;
    assert_eq!(asked.denial().advice, Advice::AskForAccess);
}

#[test]
fn advice_is_for_those_who_are_included_and_name_a_user_that_the_policy_names() {
    let policy = |include: &str, require: &str| {
        let text = format!(
            "[[application]]\nname = \"a\"\ntarget = {{ include = [{{ any_target = true }}] }}\n[[application.policy]]\nname = \"p\"\n\
             action = \"allow\"\ninclude = [{include}]\nrequire = [{require}]\nusernames = [\"secretuser\"]\n"
        );
        PolicySet::from_toml(&text).unwrap()
    };
    let advice = |set: &PolicySet, asked: &Asked| match decide(set, &asked.request()) {
        Decision::Deny(denial) => denial.advice,
        Decision::Allow(_) => panic!("it is allowed"),
    };
    let (everyone, check) = ("{ everyone = true }", "{ device_posture = \"other\" }");
    let mut asked = Asked::good();
    assert_eq!(
        advice(&policy(everyone, check), &asked),
        Advice::CheckDevice
    );
    // Nothing includes this person: that a better device would is the policy's business.
    assert_eq!(advice(&policy(check, ""), &asked), Advice::AskForAccess);
    // Four devices to check, and then something else.
    let many = [check; 4].join(", ");
    assert_eq!(
        advice(&policy(everyone, &many), &asked),
        Advice::CheckDevice
    );
    let many_and_more = format!("{many}, {{ country = \"US\" }}");
    assert_eq!(
        advice(&policy(everyone, &many_and_more), &asked),
        Advice::AskForAccess
    );
    asked.user = Some("postgres");
    assert_eq!(
        advice(&policy(everyone, check), &asked),
        Advice::AskForAccess
    );
}

#[test]
fn the_log_names_what_decided_or_came_closest() {
    let texts: Vec<_> = denied()
        .iter()
        .map(|asked| asked.denial().for_log())
        .collect();
    let closest = "no_policy_matched: closest is policy \"secretallow\" of application \"secretapplication\", but";
    assert_eq!(
        texts,
        [
            "no_application_for_target".to_owned(),
            "blocked_by_policy: policy \"secretblock\" of application \"secretapplication\"".to_owned(),
            format!("{closest} include email_domain = \"example.com\" is not_matched, include rule_group = \"secretgroup\" is not_matched"),
            format!("{closest} include email_domain = \"example.com\" is missing, include rule_group = \"secretgroup\" is not_matched"),
            format!("{closest} exclude country = \"KP\" is matched"),
            format!("{closest} exclude country = \"KP\" is missing"),
            format!("{closest} require device_posture = {{ check = \"secretcheck\", max_age = \"600s\" }} is missing"),
            "user_not_allowed: policy \"secretallow\" of application \"secretapplication\"".to_owned(),
            "user_not_allowed: policy \"secretallow\" of application \"secretapplication\": closest is policy \"secretroot\" of application \
             \"secretapplication\", but require authentication_method = \"hwk\" is missing, require authenticated_within = \"600s\" is missing"
                .to_owned(),
            format!("{closest} include email_domain = \"example.com\" is not_matched, include rule_group = \"secretgroup\" is not_matched"),
        ]
    );
}

#[test]
fn nothing_that_a_client_sent_reaches_a_text() {
    let hostile = "\u{1b}]52;c;ZXZpbA==\u{7}";
    let mut asked = Asked::good();
    asked.identity.email = Some(format!("{hostile}@example.com"));
    asked.identity.subject = hostile.into();
    asked.identity.login_method = Some(hostile.into());
    asked.user = Some("\u{1b}]52;c;ZXZpbA==\u{7}");
    asked.network.country = Some(hostile.into());
    let set = PolicySet::from_toml(POLICY).unwrap();
    let text = format!(
        "{}{}{}",
        asked.denial().for_log(),
        asked.denial().for_person(),
        explain(&set, &asked.request())
    );
    assert!(!text.contains('\u{1b}') && !text.contains("ZXZ"), "{text}");
}

#[test]
fn an_explanation_says_what_every_rule_said() {
    let set = PolicySet::from_toml(POLICY).unwrap();
    let mut asked = Asked::good();
    asked.network.country = None;
    let explanation = explain(&set, &asked.request());
    assert_eq!(
        explanation.to_string(),
        "denied: no_policy_matched: closest is policy \"secretallow\" of application \"secretapplication\", but exclude country = \"KP\" is missing\n\
         application \"secretapplication\" is about this target\n\
         \x20 block policy \"secretblock\": not_matched\n\
         \x20   include ip = \"198.51.100.0/24\": not_matched\n\
         \x20 allow policy \"secretallow\": not_matched\n\
         \x20   include email_domain = \"example.com\": matched\n\
         \x20   include rule_group = \"secretgroup\": not_matched\n\
         \x20     include email_domain = \"secretdomain.example\": not_matched\n\
         \x20     include email = \"bob@example.com\": not_matched\n\
         \x20   require device_posture = { check = \"secretcheck\", max_age = \"600s\" }: matched\n\
         \x20   exclude country = \"KP\": missing, which counts as a match in an exclude\n\
         \x20 allow policy \"secretroot\": not_matched\n\
         \x20   include email_domain = \"example.com\": matched\n\
         \x20   require authentication_method = \"hwk\": missing\n\
         \x20   require authenticated_within = \"600s\": missing"
    );
    let exclude = &explanation.applications[0].policies[1].rules[3];
    assert_eq!(
        (exclude.list, exclude.outcome, exclude.counted),
        (List::Exclude, RuleOutcome::Missing, true)
    );

    let explanation = explain(&set, &Asked::good().request());
    let outcomes: Vec<_> = explanation.applications[0]
        .policies
        .iter()
        .map(|policy| policy.outcome)
        .collect();
    assert_eq!(
        outcomes,
        [
            PolicyOutcome::NotMatched,
            PolicyOutcome::Decided,
            PolicyOutcome::NotReached
        ]
    );
    assert!(
        explanation.to_string().starts_with(
            "allowed by policy \"secretallow\" of application \"secretapplication\"\n"
        )
    );

    asked = Asked::good();
    asked.user = Some("nobody");
    let explanation = explain(&set, &asked.request());
    assert_eq!(
        explanation.applications[0].policies[1].outcome,
        PolicyOutcome::UserNotNamed
    );
    asked.target.port = 23;
    let explanation = explain(&set, &asked.request());
    assert!(
        !explanation.applications[0].governs_target
            && explanation.applications[0].policies.is_empty()
    );
}

#[test]
fn the_words_of_reasons_are_snake_case() {
    let reasons = [
        DenialReason::NoApplicationForTarget,
        DenialReason::NoPolicyMatched,
        DenialReason::UserNotAllowed,
        DenialReason::BlockedByPolicy,
    ];
    let words = reasons.map(|reason| reason.to_string());
    assert_eq!(
        words,
        [
            "no_application_for_target",
            "no_policy_matched",
            "user_not_allowed",
            "blocked_by_policy"
        ]
    );
    assert_eq!(Recording::Strict.to_string(), "strict");
}

#[test]
fn a_set_and_a_decision_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<PolicySet>();
    shared::<Decision>();
}
