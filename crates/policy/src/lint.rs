//! What is allowed in a document, harmless to load, and probably not meant: seen over whole applications.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::email::Email;
use crate::operator::Operator;
use crate::rules::{Rule, Rules};
use crate::selector::Selector;
use crate::set::{Action, Application, Attached, Policy, PolicySet};
use crate::target::TargetSelector;
use crate::unix_user;

/// Something that a reviewer should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind.
    pub lint: Lint,
    /// What it is about.
    pub about: About,
    /// What is odd about it.
    pub what: String,
}

/// The part of a document that a [`Finding`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A policy where an application uses it.
    Policy {
        /// The application.
        application: Arc<str>,
        /// The policy.
        policy: Arc<str>,
    },
    /// An operator.
    Operator(Arc<str>),
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy {
                application,
                policy,
            } => write!(f, "policy {policy:?} of application {application:?}"),
            Self::Operator(name) => write!(f, "operator {name:?}"),
        }
    }
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Lint {
    /// A policy that is never reached.
    Unreachable,
    /// Users of a policy that another one above it lets in already, or actions that an operator above may take already.
    Shadowed,
    /// An Allow or an operator for everybody.
    AllowsEveryone,
    /// An Allow for every target.
    AllowsEverywhere,
    /// Root without asking how the person logged in.
    RootWithoutProof,
    /// A policy or operator whose include is excluded again.
    MatchesNobody,
    /// A policy or operator whose time is over.
    Expired,
    /// An alias that several people may share, or that nobody has whom the policy includes.
    Alias,
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "unreachable",
            Self::Shadowed => "shadowed",
            Self::AllowsEveryone => "allows_everyone",
            Self::AllowsEverywhere => "allows_everywhere",
            Self::RootWithoutProof => "root_without_proof",
            Self::MatchesNobody => "matches_nobody",
            Self::Expired => "expired",
            Self::Alias => "alias",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.lint, self.about, self.what)
    }
}

/// What a reviewer should look at, in the order of the document. What [`PolicySet::warnings`] tells is not told again.
#[must_use]
pub fn lint(set: &PolicySet, now: Duration) -> Vec<Finding> {
    let mut findings = Vec::new();
    for application in &set.applications {
        let mut above: Vec<&Attached> = Vec::new();
        for attached in &application.policies {
            let mut found = |lint, what: String| {
                findings.push(Finding {
                    lint,
                    about: About::Policy {
                        application: Arc::clone(&application.name),
                        policy: Arc::clone(&attached.policy.name),
                    },
                    what,
                });
            };
            order(&above, &attached.policy, &mut found);
            alone(application, &attached.policy, now, &mut found);
            above.push(attached);
        }
    }
    operators(&set.operators, now, &mut findings);
    findings
}

fn operators(operators: &[Operator], now: Duration, findings: &mut Vec<Finding>) {
    for (place, operator) in operators.iter().enumerate() {
        let mut found = |lint, what: String| {
            findings.push(Finding {
                lint,
                about: About::Operator(Arc::clone(&operator.name)),
                what,
            });
        };
        let mut above = operators.iter().take(place);
        if let Some(other) = above.find(|other| other.allows_all_of(operator)) {
            let what = format!(
                "operator {:?} above has the same rules and targets, and its actions",
                other.name
            );
            found(Lint::Shadowed, what);
        }
        people(&operator.rules, now, &mut found);
        anybody(&operator.rules, &mut found);
    }
}

/// What the policies above make of one.
fn order(above: &[&Attached], policy: &Policy, found: &mut impl FnMut(Lint, String)) {
    for other in above.iter().map(|attached| &attached.policy) {
        let same = other.rules.is_as_written(&policy.rules);
        let reason = match other.action {
            Action::Block if blocks_everyone(other) => "keeps out everyone",
            Action::Block if same => "keeps out whom this one is about",
            Action::Allow | Action::Block => {
                let alike = same
                    && other.action == policy.action
                    && other.missing_in_exclude == policy.missing_in_exclude;
                if alike && other.users.include(&policy.users) {
                    let what = format!(
                        "policy {:?} above has the same rules and its users",
                        other.name
                    );
                    return found(Lint::Shadowed, what);
                }
                continue;
            }
        };
        let what = format!("policy {:?} above {reason}", other.name);
        return found(Lint::Unreachable, what);
    }
}

fn blocks_everyone(policy: &Policy) -> bool {
    policy.rules.require.is_empty()
        && policy.rules.exclude.is_empty()
        && has_everyone(&policy.rules.include)
}

fn has_everyone(rules: &[Rule]) -> bool {
    let is_everyone = |rule: &Rule| matches!(rule, Rule::Selector(Selector::Everyone));
    rules.iter().any(is_everyone)
}

/// What is odd about one policy by itself.
fn alone(
    application: &Application,
    policy: &Policy,
    now: Duration,
    found: &mut impl FnMut(Lint, String),
) {
    let rules = &policy.rules;
    people(rules, now, found);
    if policy.action == Action::Block {
        return;
    }
    anybody(rules, found);
    if policy.users.email_alias
        && let Some(what) = alias(policy)
    {
        found(Lint::Alias, what);
    }
    let any_target = |selector: &TargetSelector| matches!(selector, TargetSelector::AnyTarget);
    let everywhere = application.criteria.iter().any(|criterion| {
        criterion.include.iter().any(any_target)
            && criterion.require.is_empty()
            && criterion.exclude.is_empty()
    });
    if everywhere {
        found(
            Lint::AllowsEverywhere,
            "its application is about every target".into(),
        );
    }
    let asks_how = rules.require.iter().any(|rule| {
        matches!(
            rule,
            Rule::Groups(_) | Rule::Selector(Selector::AuthenticationMethod(_))
        )
    });
    let has_step = !policy.constraints.step_up.is_empty();
    if policy.users.names("root") && !asks_how && !has_step {
        let what = "it lets in root without asking how the person logged in; require an `authentication_method`";
        found(Lint::RootWithoutProof, what.into());
    }
}

/// What is odd about whom rules are about.
fn people(rules: &Rules, now: Duration, found: &mut impl FnMut(Lint, String)) {
    let over = rules.require.iter().find_map(|rule| match rule {
        Rule::Selector(Selector::Date(span)) => {
            span.until.filter(|until| *until <= now).map(|_| span)
        }
        _ => None,
    });
    if let Some(span) = over {
        found(Lint::Expired, format!("its time is over: {span}"));
    }
    if rules
        .include
        .iter()
        .all(|rule| is_excluded(rule, &rules.exclude))
    {
        found(Lint::MatchesNobody, "whom it includes, it excludes".into());
    }
}

/// Whether rules let in anybody.
fn anybody(rules: &Rules, found: &mut impl FnMut(Lint, String)) {
    if has_everyone(&rules.include) && rules.require.is_empty() {
        found(
            Lint::AllowsEveryone,
            "it includes everyone and requires nothing".into(),
        );
    }
}

/// What is odd about the users that e-mail addresses stand for.
fn alias(policy: &Policy) -> Option<String> {
    let rules = &policy.rules;
    let mut domains: BTreeSet<&str> = BTreeSet::new();
    let mut has_unlisted = false;
    for rule in &rules.include {
        match rule {
            Rule::Selector(Selector::Email(emails)) => {
                for email in emails {
                    let parsed = Email::parse(email).ok()?;
                    if unix_user::alias(parsed).is_none() && !policy.users.names(parsed.local) {
                        return Some(format!(
                            "`allow_email_alias` gives {email} no user: no address stands for root or an account of the system; write it in `usernames`"
                        ));
                    }
                    domains.insert(parsed.domain);
                }
            }
            Rule::Selector(Selector::EmailDomain(names)) => {
                domains.extend(names.iter().map(AsRef::as_ref));
            }
            // Tokens have no address.
            Rule::Selector(Selector::ServiceToken(_) | Selector::AnyServiceToken) => {}
            Rule::Selector(_) | Rule::Groups(_) => has_unlisted = true,
        }
    }
    let asks_domain = rules.require.iter().any(|rule| {
        matches!(
            rule,
            Rule::Selector(Selector::EmailDomain(_) | Selector::Email(_)) | Rule::Groups(_)
        )
    });
    if asks_domain || (!has_unlisted && domains.len() <= 1) {
        return None;
    }
    let what = "people of several domains share an alias: ann@example.com and ann@example.org are both `ann`; require one `email_domain`";
    Some(what.into())
}

/// Whether the exclude certainly holds for whomever `rule` includes.
fn is_excluded(rule: &Rule, exclude: &[Rule]) -> bool {
    let Rule::Selector(included) = rule else {
        return false;
    };
    exclude.iter().any(|excluded| match (included, excluded) {
        (Selector::Email(emails), Rule::Selector(Selector::Email(others))) => {
            within(emails, others)
        }
        (Selector::EmailDomain(domains), Rule::Selector(Selector::EmailDomain(others))) => {
            within(domains, others)
        }
        (Selector::Email(emails), Rule::Selector(Selector::EmailDomain(others))) => {
            let domain = |email: &str| email.split_once('@').map(|(_, domain)| Box::from(domain));
            let mut domains = emails.iter().map(|email| domain(email));
            domains.all(|domain| domain.is_some_and(|domain| others.contains(&domain)))
        }
        (included, Rule::Selector(excluded)) => included == excluded,
        (_, Rule::Groups(_)) => false,
    })
}

fn within(names: &[Box<str>], others: &[Box<str>]) -> bool {
    names.iter().all(|name| others.contains(name))
}
