//! Applications: targets, and the policies that decide about them.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::groups::GroupNames;
use super::policies::{self, Durations, ReusablePolicies};
use super::reader::{Fields, Node, Quoted, Reader};
use super::{targets, values};
use crate::set::{Application, Attached, Evaluation, Policy};

pub(crate) const APPLICATION_FIELDS: &[&str] = &[
    "evaluation",
    "idle_timeout",
    "max_session",
    "name",
    "policy",
    "target",
];

pub(super) fn load(
    reader: &mut Reader<'_>,
    document: &Fields<'_>,
    names: &mut GroupNames,
    reusable: &mut ReusablePolicies,
    durations: Durations,
) -> Vec<Application> {
    let mut seen = BTreeSet::new();
    let mut applications = Vec::new();
    let Some(list) = document.get("application") else {
        return applications;
    };
    for item in reader.array(&list) {
        let Some(application) = application(reader, &item, names, reusable, durations) else {
            continue;
        };
        if !seen.insert(Arc::clone(&application.name)) {
            let what = alloc::format!("there is another application {}", Quoted(&application.name));
            reader.problem(
                &item.field("name").unwrap_or(item.clone()),
                what,
                "write a name of its own",
            );
        }
        applications.push(application);
    }
    applications
}

fn application(
    reader: &mut Reader<'_>,
    node: &Node<'_>,
    names: &mut GroupNames,
    reusable: &mut ReusablePolicies,
    outer: Durations,
) -> Option<Application> {
    let fields = reader.table(node, APPLICATION_FIELDS)?;
    let name = reader.required(&fields, "name", "write a name, which the log will show");
    let name = name.and_then(|node| values::name(reader, &node));
    let criteria = match reader.required(
        &fields,
        "target",
        "write which, as in `target = [{ include = [{ tag = { env = \"prod\" } }] }]`",
    ) {
        Some(target) => targets::load(reader, &target),
        None => Vec::new(),
    };
    let evaluation = evaluation(reader, &fields);
    let durations = Durations::read(reader, &fields).or(outer);
    let policies = attach(reader, &fields, names, reusable, durations);
    Some(Application {
        name: name?.into(),
        criteria,
        evaluation,
        policies,
    })
}

fn evaluation(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Evaluation {
    let Some(node) = fields.get("evaluation") else {
        return Evaluation::default();
    };
    match reader.string(&node) {
        Some("candidates") | None => {}
        Some("first_match") => return Evaluation::FirstMatch,
        Some(other) => {
            let help = "write `candidates`, or `first_match` if an allow policy that matches the person but not the user is the end";
            reader.problem(
                &node,
                alloc::format!("there is no evaluation {}", Quoted(other)),
                help,
            );
        }
    }
    Evaluation::default()
}

fn attach(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    names: &mut GroupNames,
    reusable: &mut ReusablePolicies,
    outer: Durations,
) -> Vec<Attached> {
    let list = fields.get("policy");
    let items = list
        .as_ref()
        .map_or_else(Vec::new, |list| reader.array(list));
    if items.is_empty() {
        let help = "add an `[[application.policy]]`, or `policy = [{ use = \"…\" }]`";
        reader.warn(
            &fields.node(),
            "an application without policies denies everybody",
            help,
        );
    }
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut attached = Vec::new();
    for item in &items {
        let (policy, name) = match item.field("use") {
            Some(by_name) => (use_policy(reader, item, &by_name, reusable), Some(by_name)),
            None => (
                policies::load(reader, item, names).map(Arc::new),
                item.field("name"),
            ),
        };
        if let Some(name) = &name
            && let Some(text) = name.as_str()
            && !seen.insert(text.into())
        {
            let what = alloc::format!("this application already has a policy {}", Quoted(text));
            reader.problem(
                name,
                what,
                "write a name of its own, or remove the repetition",
            );
        }
        if let Some(policy) = policy {
            let own = Durations {
                max_session: policy.max_session,
                idle_timeout: policy.idle_timeout,
            };
            let Durations {
                max_session,
                idle_timeout,
            } = own.or(outer);
            attached.push(Attached {
                policy,
                max_session,
                idle_timeout,
            });
        }
    }
    attached
}

fn use_policy(
    reader: &mut Reader<'_>,
    item: &Node<'_>,
    by_name: &Node<'_>,
    reusable: &mut ReusablePolicies,
) -> Option<Arc<Policy>> {
    reader.table(item, &["use"])?;
    reusable.resolve(reader, by_name)
}
