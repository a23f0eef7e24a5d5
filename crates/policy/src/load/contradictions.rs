//! Rules that nobody can meet.

use alloc::format;
use alloc::string::{String, ToString as _};

use crate::rules::{Rule, Rules};
use crate::selector::Selector;

/// Why nobody can meet the rules, and what to write instead.
pub(super) struct Contradiction {
    pub(super) what: String,
    pub(super) help: &'static str,
}

/// What makes it certain that `rules` match nobody, if anything obvious does.
pub(super) fn find(rules: &Rules) -> Option<Contradiction> {
    if selectors(&rules.exclude).any(|selector| *selector == Selector::Everyone) {
        return Some(Contradiction {
            what: "it excludes everyone".to_string(),
            help: "write in `exclude` only those who are an exception",
        });
    }
    let required = || selectors(&rules.require);
    several(required().filter_map(|selector| match selector {
        Selector::Email(names) => Some(names),
        _ => None,
    }))
    .then_some("email")
    .or_else(|| {
        several(required().filter_map(|selector| match selector {
            Selector::EmailDomain(names) => Some(names),
            _ => None,
        }))
        .then_some("email_domain")
    })
    .or_else(|| {
        several(required().filter_map(|selector| match selector {
            Selector::Country(codes) => Some(codes),
            _ => None,
        }))
        .then_some("country")
    })
    .or_else(|| {
        several(required().filter_map(|selector| match selector {
            Selector::LoginMethod(names) => Some(names),
            _ => None,
        }))
        .then_some("login_method")
    })
    .or_else(|| {
        several(required().filter_map(|selector| match selector {
            Selector::ServiceToken(names) => Some(names),
            _ => None,
        }))
        .then_some("service_token")
    })
    .or_else(|| disjoint_ranges(rules).then_some("ip"))
    .map(|attribute| Contradiction {
        what: format!(
            "it requires several different values of `{attribute}` at once, which nobody has"
        ),
        help: "to ask for any of several, put them into a rule group and require that",
    })
}

fn selectors(list: &[Rule]) -> impl Iterator<Item = &Selector> + Clone {
    list.iter().filter_map(|rule| match rule {
        Rule::Selector(selector) => Some(selector),
        Rule::Groups(_) => None,
    })
}

/// Whether the lists, all of which one value must be, name more than one value.
fn several<'a, T: PartialEq + 'a>(lists: impl Iterator<Item = &'a alloc::boxed::Box<[T]>>) -> bool {
    let mut values = lists.flatten();
    let first = values.next();
    values.any(|value| Some(value) != first)
}

/// Whether two of the required ranges have no address in common. Ranges overlap only if one lies in the other.
fn disjoint_ranges(rules: &Rules) -> bool {
    let ranges = || {
        selectors(&rules.require).filter_map(|selector| match selector {
            Selector::Ip(ranges) => Some(ranges.as_slice()),
            _ => None,
        })
    };
    // The narrowest range lies in all others, or it is apart from one of them.
    let Some(narrowest) = ranges().flatten().max_by_key(|range| range.prefix_len()) else {
        return false;
    };
    ranges().flatten().any(|range| !range.contains(narrowest))
}
