//! Applications: targets, and the policies that decide about them.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::groups::GroupNames;
use super::policies::{self, ReusablePolicies};
use super::reader::{Fields, Node, Quoted, Reader};
use super::{targets, values};
use crate::document::Texts;
use crate::set::{Application, Attached, Durations, Evaluation, Policy};

pub(crate) const APPLICATION_FIELDS: &[&str] = &[
    "evaluation",
    "idle_timeout",
    "max_login_age",
    "max_session",
    "name",
    "policy",
    "target",
];

/// Where the applications are read from.
pub(super) enum Applications<'t> {
    /// The document holds them.
    InDocument,
    AsText(Texts<'t>),
}

/// A text that is no application.
pub(super) struct NoGood;

/// What applications refer to and inherit.
pub(super) struct Loader<'l> {
    pub(super) names: &'l mut GroupNames,
    pub(super) reusable: &'l mut ReusablePolicies,
    pub(super) durations: Durations,
}

impl Loader<'_> {
    pub(super) fn load(
        &mut self,
        reader: &mut Reader<'_>,
        document: &Fields<'_>,
        source: Applications<'_>,
    ) -> Result<Box<[Application]>, NoGood> {
        let Some(list) = document.get("application") else {
            return Ok(Box::default());
        };
        let mut loaded = Loaded::default();
        match source {
            Applications::InDocument => {
                for item in reader.array(&list) {
                    let application = self.application(reader, &item);
                    loaded.add(reader, &item, application);
                }
            }
            Applications::AsText(mut texts) => {
                for index in 0..texts.len() {
                    let item = texts.read(index).ok_or(NoGood)?;
                    let item = list.element(index, &item);
                    let application = self.application(reader, &item);
                    loaded.add(reader, &item, application);
                }
            }
        }
        Ok(loaded.applications.into())
    }

    fn application(&mut self, reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Application> {
        let fields = reader.table(node, APPLICATION_FIELDS)?;
        let name = reader.required(&fields, "name", "write a name, which the log will show");
        let name = name.and_then(|node| values::name(reader, &node));
        let criteria = match reader.required(
            &fields,
            "target",
            "write which, as in `target = [{ include = [{ tag = { env = \"prod\" } }] }]`",
        ) {
            Some(target) => targets::load(reader, &target),
            None => Box::default(),
        };
        let evaluation = evaluation(reader, &fields);
        let durations = policies::durations(reader, &fields).or(self.durations);
        let policies = attach(reader, &fields, self.names, self.reusable, durations);
        Some(Application {
            name: name?.into(),
            criteria,
            evaluation,
            policies,
        })
    }
}

/// Applications, each of another name.
#[derive(Default)]
struct Loaded {
    applications: Vec<Application>,
    names: BTreeSet<Arc<str>>,
}

impl Loaded {
    fn add(&mut self, reader: &mut Reader<'_>, item: &Node<'_>, application: Option<Application>) {
        let Some(application) = application else {
            return;
        };
        if !self.names.insert(Arc::clone(&application.name)) {
            let what = alloc::format!("there is another application {}", Quoted(&application.name));
            reader.problem(
                &item.field("name").unwrap_or(item.clone()),
                what,
                "write a name of its own",
            );
        }
        self.applications.push(application);
    }
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
) -> Box<[Attached]> {
    let list = fields.get("policy");
    let items = list
        .as_ref()
        .map_or_else(Vec::new, |list| reader.array(list).collect());
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
            let durations = policy.durations.or(outer);
            attached.push(Attached { policy, durations });
        }
    }
    attached.into()
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
