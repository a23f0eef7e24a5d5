//! Why a decision is what it is: every rule that was looked at, and what it said.

use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::decide::{Verdict, decide, evaluate};
use crate::decision::Decision;
use crate::facts::Facts;
use crate::index::View;
use crate::request::Request;
use crate::rules::{List, Rule, RuleGroup, Rules, Stance};
use crate::selector::RuleOutcome;
use crate::set::{Action, Application, Attached, PolicySet};

/// A decision and how it came about.
///
/// [`Display`](fmt::Display) gives it as text for an operator; it quotes the policy document, so it is not for the person who was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What [`decide`] says about the same request.
    pub decision: Decision,
    /// Every application, in the order of the document.
    pub applications: Vec<ApplicationTrace>,
}

/// What one application contributed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationTrace {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it is about the target; if not, `policies` is empty.
    pub governs_target: bool,
    /// Its policies from top to bottom.
    pub policies: Vec<PolicyTrace>,
}

/// What one policy contributed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTrace {
    /// Its name.
    pub name: Arc<str>,
    /// What it does when it matches.
    pub action: Action,
    /// What came of it.
    pub outcome: PolicyOutcome,
    /// Its rules in the order of the document, `include`, `require`, `exclude`.
    pub rules: Vec<RuleTrace>,
}

/// What came of one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyOutcome {
    /// It matched and ended its application's evaluation.
    Decided,
    /// It matched the identity but does not name the user.
    UserNotNamed,
    /// It did not match.
    NotMatched,
    /// A policy above it had decided. Its rules are shown as they would have been.
    NotReached,
}

impl fmt::Display for PolicyOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decided => "decided",
            Self::UserNotNamed => "user_not_named",
            Self::NotMatched => "not_matched",
            Self::NotReached => "not_reached",
        })
    }
}

/// What one rule said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTrace {
    /// The list it stands in.
    pub list: List,
    /// The rule as the document writes it.
    pub rule: String,
    /// What it said.
    pub outcome: RuleOutcome,
    /// Whether that counted as a match. A missing attribute does in an exclude that would otherwise open a door.
    pub counted: bool,
    /// The rules of the rule groups that it names.
    pub within: Vec<RuleTrace>,
}

/// Explains the decision about one request. It costs far more than [`decide`]: every rule is turned into text.
#[must_use]
pub fn explain(set: &PolicySet, request: &Request<'_>) -> Explanation {
    let facts = Facts::new(request);
    let trace = |application| trace_application(application, &set.groups, &facts);
    Explanation {
        decision: decide(set, request),
        applications: set.applications.iter().map(trace).collect(),
    }
}

fn trace_application(
    application: &Application,
    groups: &[RuleGroup],
    facts: &Facts<'_>,
) -> ApplicationTrace {
    let governs_target = application.governs(facts.request.target);
    let mut policies = Vec::new();
    if governs_target {
        let decided = match evaluate(View::whole(application), groups, facts) {
            Verdict::Blocked(by) | Verdict::Allowed(by) => Some(by),
            Verdict::UserNotAllowed(_) | Verdict::NothingMatched => None,
        };
        let mut open = true;
        for attached in &application.policies {
            let outcome = outcome(attached, decided, open, groups, facts);
            let ends = outcome == PolicyOutcome::Decided
                || (outcome == PolicyOutcome::UserNotNamed && application.ends_at_first_match());
            open = open && !ends;
            policies.push(PolicyTrace {
                name: Arc::clone(&attached.policy.name),
                action: attached.policy.action,
                outcome,
                rules: trace_rules(
                    &attached.policy.rules,
                    groups,
                    facts,
                    attached.policy.stance(),
                ),
            });
        }
    }
    ApplicationTrace {
        name: Arc::clone(&application.name),
        governs_target,
        policies,
    }
}

fn outcome(
    attached: &Attached,
    decided: Option<&Attached>,
    open: bool,
    groups: &[RuleGroup],
    facts: &Facts<'_>,
) -> PolicyOutcome {
    if !open {
        PolicyOutcome::NotReached
    } else if decided.is_some_and(|decided| core::ptr::eq(decided, attached)) {
        PolicyOutcome::Decided
    } else if attached.policy.matches(groups, facts) {
        PolicyOutcome::UserNotNamed
    } else {
        PolicyOutcome::NotMatched
    }
}

fn trace_rules(
    rules: &Rules,
    groups: &[RuleGroup],
    facts: &Facts<'_>,
    stance: Stance,
) -> Vec<RuleTrace> {
    let trace = |(list, rule): (List, &Rule)| RuleTrace {
        list,
        rule: rule.describe(groups).to_string(),
        outcome: rule.outcome(groups, facts, list, stance),
        counted: rule.holds(groups, facts, list, stance),
        within: match rule {
            Rule::Selector(_) => Vec::new(),
            Rule::Groups(indices) => indices
                .iter()
                .filter_map(|index| groups.get(*index))
                .flat_map(|group| trace_rules(&group.rules, groups, facts, stance.inside(list)))
                .collect(),
        },
    };
    rules.iter().map(trace).collect()
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.decision {
            Decision::Allow(grant) => {
                write!(
                    f,
                    "allowed by policy {:?} of application {:?}",
                    grant.policy, grant.application
                )?;
            }
            Decision::Deny(denial) => write!(f, "denied: {}", denial.for_log())?,
        }
        for application in &self.applications {
            let about = if application.governs_target {
                "is about this target"
            } else {
                "is not about this target"
            };
            write!(f, "\napplication {:?} {about}", application.name)?;
            for policy in &application.policies {
                write!(
                    f,
                    "\n  {} policy {:?}: {}",
                    policy.action, policy.name, policy.outcome
                )?;
                write_rules(f, &policy.rules, 4)?;
            }
        }
        Ok(())
    }
}

/// Nesting is bounded by [`MAX_GROUP_DEPTH`](crate::limits::MAX_GROUP_DEPTH).
fn write_rules(f: &mut fmt::Formatter<'_>, rules: &[RuleTrace], indent: usize) -> fmt::Result {
    for rule in rules {
        write!(
            f,
            "\n{:indent$}{} {}: {}",
            "", rule.list, rule.rule, rule.outcome
        )?;
        if rule.counted && rule.outcome == RuleOutcome::Missing {
            f.write_str(", which counts as a match in an exclude")?;
        }
        write_rules(f, &rule.within, indent.saturating_add(2))?;
    }
    Ok(())
}
