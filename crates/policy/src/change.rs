//! When time alone may change a decision (rule N8 of SPEC.md).

use core::time::Duration;

use crate::request::Request;
use crate::rules::{Rule, Rules};
use crate::selector::Selector;
use crate::set::PolicySet;

/// The first point in time after `request.now`, since the Unix epoch, at which a `time` or `date` of a policy about the target may begin or
/// cease to match; nothing where there is none. Between now and then [`decide`](crate::decide) gives the same answer to the same facts,
/// but for ages: how old a login or a posture result is, is asked when something else is.
///
/// It may name a moment at which nothing changes. It looks at every rule about the target once, and allocates nothing.
#[must_use]
pub fn next_change(set: &PolicySet, request: &Request<'_>) -> Option<Duration> {
    let about = set.applications.iter();
    let policies = about
        .filter(|application| application.governs(request.target))
        .flat_map(|application| &application.policies);
    let rules = policies.map(|attached| &attached.policy.rules);
    let groups = set.groups.iter().map(|group| &group.rules);
    rules
        .chain(groups)
        .filter_map(|rules| of_rules(rules, request.now))
        .min()
}

fn of_rules(rules: &Rules, now: Duration) -> Option<Duration> {
    let changes = rules.iter().filter_map(|(_, rule)| match rule {
        Rule::Selector(Selector::Time(windows)) => {
            let changes = windows.iter().filter_map(|window| window.next_change(now));
            changes.min()
        }
        Rule::Selector(Selector::Date(span)) => span.next_change(now),
        // The groups are looked at whether they are used or not.
        Rule::Groups(_) | Rule::Selector(_) => None,
    });
    changes.min()
}
