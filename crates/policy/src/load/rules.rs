//! Rules: `include = [{ email_domain = "example.com" }, …]`.

use alloc::boxed::Box;

use super::groups::GroupNames;
use super::reader::{Fields, Listed, Node, Quoted, Reader, nearest};
use super::{values, windows};
use crate::index::RuleIndex;
use crate::limits::DEFAULT_POSTURE_MAX_AGE;
use crate::ranges::Ranges;
use crate::request::Group;
use crate::rules::{Rule, Rules};
use crate::selector::{PostureCheck, Selector};

pub(crate) const SELECTORS: &[&str] = &[
    "any_service_token",
    "authenticated_within",
    "authentication_method",
    "country",
    "date",
    "device_posture",
    "email",
    "email_domain",
    "everyone",
    "group",
    "ip",
    "login_method",
    "managed_device",
    "rule_group",
    "service_token",
    "time",
];

/// The three lists of a policy or rule group.
pub(super) fn load(reader: &mut Reader<'_>, fields: &Fields<'_>, names: &mut GroupNames) -> Rules {
    let help = "write whom it is about, as in `include = [{ email_domain = \"example.com\" }]`";
    let mut rules = Rules::default();
    if let Some(include) = reader.required(fields, "include", help) {
        rules.include = list(reader, &include, names);
        if include.as_array().is_some_and(<[_]>::is_empty) {
            reader.problem(&include, "an empty `include` matches nobody", help);
        }
        rules.include_index = RuleIndex::new(&rules.include).map(Box::new);
    }
    if let Some(require) = fields.get("require") {
        rules.require = list(reader, &require, names);
    }
    if let Some(exclude) = fields.get("exclude") {
        rules.exclude = list(reader, &exclude, names);
    }
    rules
}

fn list(reader: &mut Reader<'_>, node: &Node<'_>, names: &mut GroupNames) -> Box<[Rule]> {
    let items = reader.array(node);
    values::exactly(items, |item| rule(reader, &item, names)).into()
}

fn rule(reader: &mut Reader<'_>, node: &Node<'_>, names: &mut GroupNames) -> Option<Rule> {
    let fields = reader.open_table(node)?;
    if fields.len() != 1 {
        reader.problem(
            node,
            "a rule holds exactly one selector",
            "write each selector as a rule of its own: `[{ … }, { … }]`",
        );
        return None;
    }
    let (selector, value) = fields.entries().next()?;
    if selector == "rule_group" {
        let indices = values::each(reader, &value, |reader, item| names.resolve(reader, item));
        return (!indices.is_empty()).then(|| Rule::Groups(indices));
    }
    self::selector(reader, selector, &value).map(Rule::Selector)
}

fn selector(reader: &mut Reader<'_>, name: &str, value: &Node<'_>) -> Option<Selector> {
    let selector = match name {
        "everyone" => {
            values::switched_on(reader, value)?;
            Selector::Everyone
        }
        "any_service_token" => {
            values::switched_on(reader, value)?;
            Selector::AnyServiceToken
        }
        "managed_device" => {
            values::switched_on(reader, value)?;
            Selector::ManagedDevice
        }
        "authenticated_within" => Selector::AuthenticatedWithin(values::duration(reader, value)?),
        "email" => Selector::Email(filled(values::each(reader, value, values::email))?),
        "email_domain" => {
            Selector::EmailDomain(filled(values::each(reader, value, values::email_domain))?)
        }
        "ip" => {
            let ranges = filled(values::each(reader, value, values::ip))?;
            Selector::Ip(Ranges::new(ranges))
        }
        "country" => Selector::Country(filled(values::each(reader, value, values::country))?),
        "authentication_method" => Selector::AuthenticationMethod(filled(values::each(
            reader,
            value,
            values::authentication_method,
        ))?),
        "login_method" => Selector::LoginMethod(filled(values::names(reader, value))?),
        "service_token" => Selector::ServiceToken(filled(values::names(reader, value))?),
        "group" => Selector::Group(filled(values::each(reader, value, group))?),
        "device_posture" => Selector::DevicePosture(filled(posture_checks(reader, value))?),
        "time" => Selector::Time(filled(windows::windows(reader, value))?),
        "date" => Selector::Date(windows::span(reader, value)?),
        _ => {
            let what = alloc::format!("there is no selector {}", Quoted(name));
            match nearest(name, SELECTORS) {
                Some(near) => reader.problem(value, what, format_args!("write `{near}`")),
                None => reader.problem(
                    value,
                    what,
                    format_args!("write one of {}", Listed(SELECTORS)),
                ),
            }
            return None;
        }
    };
    Some(selector)
}

/// Nothing where every value was a problem.
fn filled<T>(values: Box<[T]>) -> Option<Box<[T]>> {
    (!values.is_empty()).then_some(values)
}

fn group(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Group> {
    if !node.is_table() {
        reader.problem(
            node,
            "a group is a provider and a name",
            "write `{ provider = \"okta\", name = \"admins\" }`; a rule group of this document is `rule_group = \"…\"`",
        );
        return None;
    }
    let fields = reader.table(node, &["name", "provider"])?;
    let provider = reader.required(
        &fields,
        "provider",
        "write which identity provider knows the group",
    );
    let name = reader.required(&fields, "name", "write the group's name or id");
    let provider = provider.and_then(|node| values::name(reader, &node));
    let name = name.and_then(|node| values::name(reader, &node));
    Some(Group {
        provider: provider?.into(),
        name: name?.into(),
    })
}

fn posture_checks(reader: &mut Reader<'_>, node: &Node<'_>) -> Box<[PostureCheck]> {
    let items = reader.one_or_more(node);
    values::exactly(items, |item| posture_check(reader, &item)).into()
}

fn posture_check(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<PostureCheck> {
    if !node.is_table() {
        let check = Box::from(values::name(reader, node)?);
        return Some(PostureCheck {
            check,
            max_age: DEFAULT_POSTURE_MAX_AGE,
        });
    }
    let fields = reader.table(node, &["check", "max_age"])?;
    let check = reader.required(&fields, "check", "write the name of the posture check");
    let check = check.and_then(|node| values::name(reader, &node).map(Box::from));
    let max_age = match fields.get("max_age") {
        Some(node) => values::duration(reader, &node)?,
        None => DEFAULT_POSTURE_MAX_AGE,
    };
    Some(PostureCheck {
        check: check?,
        max_age,
    })
}
