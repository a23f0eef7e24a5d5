//! Policies: reusable ones, and those that stand in an application.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::contradictions::{self, Contradiction};
use super::groups::GroupNames;
use super::reader::{Fields, Listed, Node, Quoted, Reader, nearest};
use super::{constraints, permissions, rules, values};
use crate::constraints::Constraints;
use crate::decision::Recording;
use crate::feature::Feature;
use crate::permissions::Permissions;
use crate::rules::MissingInExclude;
use crate::set::{Action, Durations, Policy};
use crate::unix_user::{self, UserFault, Users};

pub(crate) const POLICY_FIELDS: &[&str] = &[
    "action",
    "allow_email_alias",
    "approvers",
    "commands",
    "env",
    "exclude",
    "files",
    "forward_recording",
    "hidden_input",
    "idle_timeout",
    "include",
    "jump",
    "local_forward",
    "max_channels",
    "max_login_age",
    "max_session",
    "missing_in_exclude",
    "name",
    "permit",
    "recipients",
    "recording",
    "reevaluate",
    "remote_forward",
    "require",
    "step_up",
    "stream_local",
    "subsystems",
    "usernames",
    "when_lost",
];

/// Fields that say what is granted, which a Block has no use for.
const GRANTING_FIELDS: [&str; 23] = [
    "allow_email_alias",
    "approvers",
    "commands",
    "env",
    "files",
    "forward_recording",
    "hidden_input",
    "idle_timeout",
    "jump",
    "local_forward",
    "max_channels",
    "max_login_age",
    "max_session",
    "permit",
    "recipients",
    "recording",
    "reevaluate",
    "remote_forward",
    "step_up",
    "stream_local",
    "subsystems",
    "usernames",
    "when_lost",
];

/// Fields that nearly every policy has. Where there are no others, nothing needs to be looked for.
const USUAL_FIELDS: [&str; 7] = [
    "action",
    "allow_email_alias",
    "exclude",
    "include",
    "name",
    "require",
    "usernames",
];

/// What an Allow grants besides its users.
struct Granted {
    permissions: Arc<Permissions>,
    constraints: Arc<Constraints>,
    recording: Recording,
    durations: Durations,
}

fn granted(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Granted {
    if fields.are_among(&USUAL_FIELDS) {
        return Granted {
            permissions: reader.default_permissions(),
            constraints: reader.default_constraints(),
            recording: Recording::default(),
            durations: Durations::default(),
        };
    }
    let permissions = permissions::load(reader, fields);
    Granted {
        recording: permissions::recording(reader, fields),
        constraints: constraints::load(reader, fields, &permissions),
        durations: durations(reader, fields),
        permissions,
    }
}

/// The durations of a policy, an application or the document.
pub(super) fn durations(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Durations {
    let mut read = |name| {
        let node = fields.get(name)?;
        values::duration(reader, &node)
    };
    Durations {
        max_session: read("max_session"),
        idle_timeout: read("idle_timeout"),
        max_login_age: max_login_age(reader, fields),
    }
}

fn max_login_age(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Duration> {
    let node = fields.get("max_login_age")?;
    reader.demand(&node, Feature::LoginAge);
    values::duration_or_zero(reader, &node)
}

/// The reusable policies by name.
pub(super) struct ReusablePolicies {
    by_name: BTreeMap<Box<str>, Reusable>,
}

struct Reusable {
    /// Nothing where a problem was reported.
    policy: Option<Arc<Policy>>,
    index: usize,
    used: bool,
}

pub(super) fn load_reusable(
    reader: &mut Reader<'_>,
    document: &Fields<'_>,
    names: &mut GroupNames,
) -> ReusablePolicies {
    let mut by_name = BTreeMap::new();
    if let Some(list) = document.get("policy") {
        for (index, item) in reader.array(&list).enumerate() {
            let policy = load(reader, &item, names).map(Arc::new);
            let Some(name) = item.field("name") else {
                continue;
            };
            let Some(text) = name.as_str() else { continue };
            if by_name.contains_key(text) {
                reader.problem(
                    &name,
                    format_args!("there is another policy {}", Quoted(text)),
                    "write a name of its own",
                );
            } else {
                by_name.insert(
                    text.into(),
                    Reusable {
                        policy,
                        index,
                        used: false,
                    },
                );
            }
        }
    }
    ReusablePolicies { by_name }
}

impl ReusablePolicies {
    /// The policy that a `use` names.
    pub(super) fn resolve(
        &mut self,
        reader: &mut Reader<'_>,
        node: &Node<'_>,
    ) -> Option<Arc<Policy>> {
        let name = reader.string(node)?;
        if let Some(reusable) = self.by_name.get_mut(name) {
            reusable.used = true;
            return reusable.policy.clone();
        }
        let known: Vec<&str> = self.by_name.keys().map(|name| &**name).collect();
        let what = format!("there is no reusable policy {}", Quoted(name));
        match nearest(name, &known) {
            Some(near) => reader.problem(
                node,
                what,
                format_args!("write {}, or add a `[[policy]]` of that name", Quoted(near)),
            ),
            None => reader.problem(node, what, "add a `[[policy]]` of that name"),
        }
        None
    }

    pub(super) fn warn_unused(&self, reader: &mut Reader<'_>, document: &Fields<'_>) {
        let list = document.get("policy");
        let items = list.as_ref().map_or_else(Vec::new, Node::items);
        for reusable in self.by_name.values().filter(|reusable| !reusable.used) {
            if let Some(item) = items.get(reusable.index) {
                let help = "add it to an application, `policy = [{ use = \"…\" }]`, or remove it";
                reader.warn(item, "no application uses this policy", help);
            }
        }
    }
}

/// One policy.
pub(super) fn load(
    reader: &mut Reader<'_>,
    node: &Node<'_>,
    names: &mut GroupNames,
) -> Option<Policy> {
    let fields = reader.table(node, POLICY_FIELDS)?;
    let name = reader.required(&fields, "name", "write a name, which the log will show");
    let name = name.and_then(|node| values::name(reader, &node));
    let action = action(reader, &fields);
    let rules = rules::load(reader, &fields, names);
    let missing_in_exclude = missing_in_exclude(reader, &fields);
    let users = users(reader, &fields);
    let Granted {
        permissions,
        constraints,
        recording,
        durations,
    } = granted(reader, &fields);
    match action {
        None => {}
        Some(Action::Allow) => check_allow(reader, &fields, &users),
        Some(Action::Block) => check_block(reader, &fields, missing_in_exclude),
    }
    if let Some(Contradiction { what, help }) = contradictions::find(&rules) {
        match action {
            // It lets nobody in, which is safe and documented; the same in a Block would keep nobody out.
            Some(Action::Allow) => reader.warn(node, what, help),
            _ => reader.problem(node, what, help),
        }
    }
    Some(Policy {
        name: name?.into(),
        action: action?,
        rules,
        missing_in_exclude,
        users,
        permissions,
        constraints,
        recording,
        durations,
    })
}

fn action(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Action> {
    let node = reader.required(
        fields,
        "action",
        "write `action = \"allow\"` or `action = \"block\"`",
    )?;
    let text = reader.string(&node)?;
    match text {
        "allow" => Some(Action::Allow),
        "block" => Some(Action::Block),
        "bypass" => {
            let what = "`bypass` would let people in without an identity and without a recording";
            reader.problem(&node, what, "write `allow`, and whom");
            None
        }
        "service_auth" | "non_identity" => {
            let what = format!("there is no action {} for SSH", Quoted(text));
            reader.problem(
                &node,
                what,
                "write `allow` and include `{ service_token = \"…\" }`",
            );
            None
        }
        _ => {
            reader.problem(
                &node,
                format_args!("there is no action {}", Quoted(text)),
                "write `allow` or `block`",
            );
            None
        }
    }
}

fn missing_in_exclude(reader: &mut Reader<'_>, fields: &Fields<'_>) -> MissingInExclude {
    let Some(node) = fields.get("missing_in_exclude") else {
        return MissingInExclude::default();
    };
    match reader.string(&node) {
        Some("denies") | None => {}
        Some("ignored") => return MissingInExclude::Ignored,
        Some(other) => {
            let help = "write `denies`, or `ignored` if the policy may match where an excluded attribute is unknown";
            reader.problem(
                &node,
                format_args!("{} is neither of two", Quoted(other)),
                help,
            );
        }
    }
    MissingInExclude::default()
}

fn users(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Users {
    let mut users = Users::default();
    if let Some(node) = fields.get("usernames") {
        let items = reader.array(&node);
        let mut names = values::exactly(items, |item| username(reader, &item));
        names.sort_unstable();
        names.dedup();
        users.names = names.into();
    }
    if let Some(node) = fields.get("allow_email_alias") {
        users.email_alias = reader.boolean(&node).unwrap_or(false);
    }
    users
}

fn username(reader: &mut Reader<'_>, item: &Node<'_>) -> Option<Box<str>> {
    let name = reader.string(item)?;
    match unix_user::check(name) {
        Ok(()) => return Some(name.into()),
        Err(UserFault::Wildcard) => {
            reader.problem(
                item,
                UserFault::Wildcard,
                "write every user, or `allow_email_alias = true` for the person's own",
            );
        }
        Err(fault) => {
            reader.problem(
                item,
                format_args!("{fault}: {}", Quoted(name)),
                "write a user of the target, as in `deploy`",
            );
        }
    }
    None
}

fn check_allow(reader: &mut Reader<'_>, fields: &Fields<'_>, users: &Users) {
    let wrote_users = fields
        .get("usernames")
        .and_then(|node| node.as_array().map(<[_]>::len))
        .unwrap_or(0)
        > 0;
    if !wrote_users && !users.email_alias {
        let help =
            "write `usernames = [\"deploy\"]`, or `allow_email_alias = true` for the person's own";
        reader.problem(
            &fields.node(),
            "an allow policy without users lets nobody in",
            help,
        );
    }
}

fn check_block(reader: &mut Reader<'_>, fields: &Fields<'_>, missing: MissingInExclude) {
    for name in GRANTING_FIELDS {
        if let Some(node) = fields.get(name) {
            let what = format!(
                "a block policy keeps out every user and grants nothing, so {} means nothing",
                Listed(&[name])
            );
            reader.problem(&node, what, format_args!("remove `{name}`"));
        }
    }
    if missing == MissingInExclude::Ignored
        && let Some(node) = fields.get("missing_in_exclude")
    {
        let what = "in a block policy `ignored` could only weaken the block";
        reader.problem(&node, what, "remove `missing_in_exclude`");
    }
}
