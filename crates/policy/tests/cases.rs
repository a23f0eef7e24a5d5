//! Decision tables: every `tests/cases/*.toml` is a policy and the decisions that SPEC.md says it gives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use policy::{
    Decision, Device, Group, Identity, IdentityKind, Network, PolicySet, PostureResult, Request,
    Target, decide, explain,
};
use serde::Deserialize;

/// The moment of every request, so that ages are small numbers.
const NOW: Duration = Duration::from_secs(1_800_000_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    policy: String,
    case: Vec<Case>,
}

/// One request and its decision. What is not written is as in [`Case::request`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    rule: String,
    name: String,
    // Who.
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    groups: Vec<[String; 2]>,
    #[serde(default)]
    amr: Vec<String>,
    #[serde(default)]
    login_method: Option<String>,
    #[serde(default)]
    login_secs_ago: Option<i64>,
    #[serde(default)]
    login_country: Option<String>,
    // From where.
    #[serde(default)]
    managed: bool,
    #[serde(default)]
    posture: Vec<Posture>,
    #[serde(default)]
    addr: Option<IpAddr>,
    #[serde(default)]
    country: Option<String>,
    // Where to.
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    hostname: Option<String>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// RFC 3339; not written, [`NOW`].
    #[serde(default)]
    at: Option<String>,
    /// Later than any date has a name for.
    #[serde(default)]
    beyond_the_calendar: bool,
    /// `""` asks without a user.
    #[serde(default)]
    user: Option<String>,
    // What comes of it.
    expect: String,
    #[serde(default)]
    application: Option<String>,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    max_session_secs: Option<u64>,
    #[serde(default)]
    idle_timeout_secs: Option<u64>,
    #[serde(default)]
    max_login_age_secs: Option<u64>,
    /// Whether the login of the case may begin a session on a connection that began at that moment.
    #[serde(default)]
    login_is_fresh: Option<bool>,
    #[serde(default)]
    advice: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Posture {
    check: String,
    passed: bool,
    secs_ago: i64,
}

fn ago(secs: i64) -> Duration {
    let now = i64::try_from(NOW.as_secs()).unwrap();
    Duration::from_secs(u64::try_from(now - secs).unwrap())
}

impl Case {
    fn identity(&self) -> Identity {
        Identity {
            email: self.email.clone(),
            subject: "subject".into(),
            issuer: "https://id.example.com".into(),
            kind: match &self.token {
                None => IdentityKind::Person,
                Some(name) => IdentityKind::ServiceToken { name: name.clone() },
            },
            groups: self
                .groups
                .iter()
                .map(|[provider, name]| Group {
                    provider: provider.clone(),
                    name: name.clone(),
                })
                .collect(),
            authentication_methods: self.amr.clone(),
            login_method: self.login_method.clone(),
            authenticated_at: self.login_secs_ago.map(ago),
            country: self.login_country.clone(),
        }
    }

    fn decide(&self, set: &PolicySet) -> Decision {
        let identity = self.identity();
        let results = self.posture.iter();
        let posture = results
            .map(|result| PostureResult {
                check: result.check.clone(),
                passed: result.passed,
                checked_at: ago(result.secs_ago),
            })
            .collect();
        let device = Device {
            id: None,
            managed: self.managed,
            posture,
        };
        let network = Network {
            client_addr: self.addr,
            virtual_network: None,
            country: self.country.clone(),
        };
        let target = Target {
            id: self.id.clone().unwrap_or_else(|| "t-1".into()),
            hostname: self.hostname.clone().unwrap_or_else(|| "web-1".into()),
            port: self.port.unwrap_or(22),
            tags: self.tags.clone(),
            ..Target::default()
        };
        let user = match self.user.as_deref() {
            None => Some("deploy"),
            Some("") => None,
            Some(user) => Some(user),
        };
        let now = self.at.as_deref().map_or(NOW, |at| {
            let moment: jiff::Timestamp = at.parse().unwrap();
            Duration::from_secs(u64::try_from(moment.as_second()).unwrap())
        });
        let request = Request {
            identity: &identity,
            device: &device,
            network: &network,
            target: &target,
            user,
            now: if self.beyond_the_calendar {
                Duration::MAX
            } else {
                now
            },
        };
        let decision = decide(set, &request);
        let explanation = explain(set, &request);
        assert_eq!(
            explanation.decision, decision,
            "explain and decide differ in {}",
            self.name
        );
        decision
    }

    fn check(&self, set: &PolicySet, failures: &mut Vec<String>) {
        let decision = self.decide(set);
        let mut expect = |what: &str, got: Option<String>, wanted: &Option<String>| {
            if wanted.is_some() && got != *wanted {
                failures.push(format!(
                    "{} {}: {what} is {got:?}, not {wanted:?}",
                    self.rule, self.name
                ));
            }
        };
        match decision {
            Decision::Allow(grant) => {
                expect("decision", Some("allow".into()), &Some(self.expect.clone()));
                expect(
                    "application",
                    Some(grant.application.to_string()),
                    &self.application,
                );
                expect("by", Some(grant.policy.to_string()), &self.by);
                let secs = |duration: Option<Duration>| {
                    duration.map(|duration| duration.as_secs().to_string())
                };
                expect(
                    "max_session",
                    secs(grant.max_session),
                    &self.max_session_secs.map(|secs| secs.to_string()),
                );
                expect(
                    "idle_timeout",
                    secs(grant.idle_timeout),
                    &self.idle_timeout_secs.map(|secs| secs.to_string()),
                );
                expect(
                    "max_login_age",
                    secs(grant.max_login_age),
                    &self.max_login_age_secs.map(|secs| secs.to_string()),
                );
                let fresh = grant.login_is_fresh(&self.identity(), NOW, NOW);
                expect(
                    "whether the login is fresh",
                    Some(fresh.to_string()),
                    &self.login_is_fresh.map(|fresh| fresh.to_string()),
                );
            }
            Decision::Deny(denial) => {
                expect(
                    "decision",
                    Some(denial.reason.to_string()),
                    &Some(self.expect.clone()),
                );
                expect(
                    "application",
                    denial.application.as_ref().map(|name| name.to_string()),
                    &self.application,
                );
                expect(
                    "by",
                    denial.policy.as_ref().map(|name| name.to_string()),
                    &self.by,
                );
                expect("advice", Some(denial.advice.to_string()), &self.advice);
                assert!(!denial.for_person().is_empty());
                assert!(denial.for_log().starts_with(&denial.reason.to_string()));
            }
        }
    }
}

fn files() -> Vec<(String, File)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file = toml::from_str(&fs::read_to_string(path).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, file)
    };
    paths.iter().map(read).collect()
}

/// The marks of the rules in SPEC.md.
fn rules_of_the_specification() -> BTreeSet<String> {
    let text =
        fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("SPEC.md")).unwrap();
    let marks = text
        .lines()
        .filter_map(|line| line.strip_prefix("- **")?.split_once("**"));
    marks.map(|(mark, _)| mark.to_owned()).collect()
}

#[test]
fn every_case_decides_as_its_file_says() {
    let mut failures = Vec::new();
    let mut count = 0;
    for (name, file) in files() {
        let set =
            PolicySet::from_toml(&file.policy).unwrap_or_else(|error| panic!("{name}: {error}"));
        for case in &file.case {
            count += 1;
            let before = failures.len();
            case.check(&set, &mut failures);
            failures[before..]
                .iter_mut()
                .for_each(|failure| *failure = format!("{name}: {failure}"));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(count >= 200, "only {count} cases were read");
}

#[test]
fn every_rule_of_the_specification_has_a_case_and_every_case_a_rule() {
    let rules = rules_of_the_specification();
    let tested: BTreeSet<String> = files()
        .into_iter()
        .flat_map(|(_, file)| file.case)
        .map(|case| case.rule)
        .collect();
    let unknown: Vec<_> = tested.difference(&rules).collect();
    assert!(
        unknown.is_empty(),
        "cases name rules that SPEC.md does not have: {unknown:?}"
    );
    // Loading (L), what a grant holds (G, N), operators (O) and revocations (V) are tested in files of their own.
    let untested: Vec<_> = rules
        .difference(&tested)
        .filter(|rule| !rule.starts_with(['L', 'G', 'N', 'O', 'V']))
        .collect();
    assert!(
        untested.is_empty(),
        "rules of SPEC.md without a case: {untested:?}"
    );
}

#[test]
fn no_two_cases_of_a_rule_have_the_same_name() {
    for (name, file) in files() {
        let mut seen = BTreeSet::new();
        for case in &file.case {
            assert!(
                seen.insert((&case.rule, &case.name)),
                "{name} has {:?} twice",
                case.name
            );
        }
    }
}
