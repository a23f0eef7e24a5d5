//! What the files hold: applications, policies, groups, lists and targets, wherever they stand in them.

use alloc::collections::BTreeMap;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::Names;
use crate::document::{Item, Value};
use crate::load::reader::{Node, Quoted, Reader};
use crate::request::Target;

/// How deep modules of Terraform and envelopes of the API may nest.
const MAX_DEPTH: usize = 16;

/// What there is, by kind, in the order of the files.
#[derive(Default)]
pub(super) struct Inventory<'n> {
    pub(super) applications: Vec<&'n Item<'n>>,
    pub(super) policies: Vec<&'n Item<'n>>,
    pub(super) groups: Vec<&'n Item<'n>>,
    /// Reusable policies by id.
    pub(super) reusable: BTreeMap<&'n str, &'n Item<'n>>,
    pub(super) group_names: Names<'n>,
    /// Email and IP lists by id.
    pub(super) lists: BTreeMap<&'n str, &'n Item<'n>>,
    targets: Vec<&'n Item<'n>>,
}

/// Under these, there is more of the same.
const ENVELOPES: [&str; 12] = [
    "applications",
    "child_modules",
    "groups",
    "lists",
    "planned_values",
    "policies",
    "resources",
    "result",
    "reusable_policies",
    "root_module",
    "targets",
    "values",
];

fn field<'n>(item: &'n Item<'n>, name: &str) -> Option<&'n Item<'n>> {
    match &item.value {
        Value::Table(table) => table.get(name),
        _ => None,
    }
}

pub(super) fn text<'n>(item: &'n Item<'n>, name: &str) -> Option<&'n str> {
    match &field(item, name)?.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

impl<'n> Inventory<'n> {
    /// Adds what stands in `item`.
    pub(super) fn collect(&mut self, reader: &mut Reader<'_>, item: &'n Item<'n>, depth: usize) {
        if depth > MAX_DEPTH {
            return reader.problem(&Reader::root(item), "it nests too deep", super::EXAMPLE);
        }
        let depth = depth.saturating_add(1);
        if let Value::List(list) = &item.value {
            for item in &list.items {
                self.collect(reader, item, depth);
            }
            return;
        }
        let has = |name| field(item, name).is_some();
        let (kind, id) = (text(item, "type"), text(item, "id"));
        let named = id.zip(text(item, "name"));
        if let Some(values) = field(item, "values").filter(|_| kind.is_some()) {
            // A resource of Terraform; those of other products are none of ours.
            if kind.is_some_and(|kind| kind.starts_with("cloudflare_zero_trust")) {
                self.collect(reader, values, depth);
            }
        } else if has("target_criteria") || kind == Some("infrastructure") {
            self.applications.push(item);
        } else if has("decision") {
            self.reusable.extend(named.map(|(id, _)| (id, item)));
            self.policies.push(item);
        } else if has("include") {
            self.group_names.extend(named);
            self.groups.push(item);
        } else if has("items") {
            self.lists.extend(id.map(|id| (id, item)));
        } else if has("hostname") && has("ip") {
            self.targets.push(item);
        } else if has("domain") || has("aud") {
            let what = "an application of another type is left out";
            let help = "export applications of type `infrastructure`";
            reader.warn(&Reader::root(item), what, help);
        } else {
            self.open(reader, item, depth);
        }
    }

    /// Adds what stands in the envelopes of `item`.
    fn open(&mut self, reader: &mut Reader<'_>, item: &'n Item<'n>, depth: usize) {
        let mut found = false;
        for name in ENVELOPES {
            if let Some(inner) = field(item, name) {
                self.collect(reader, inner, depth);
                found = true;
            }
        }
        // A module without resources is in order.
        let is_empty = matches!(&item.value, Value::Table(table) if table.entries().is_empty());
        if !found && !is_empty {
            let what = "this is nothing of Cloudflare Access that is known here";
            reader.problem(&Reader::root(item), what, super::EXAMPLE);
        }
    }

    /// The targets with what the policy asks of them.
    pub(super) fn targets(&self, reader: &mut Reader<'_>) -> Vec<Target> {
        let targets = self.targets.iter();
        targets
            .filter_map(|item| target(reader, &Reader::root(item)))
            .collect()
    }
}

fn target(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Target> {
    let hostname = node.field("hostname")?;
    let hostname = reader.string(&hostname)?.to_string();
    let ip = node.field("ip")?;
    let versions = [ip.field("ipv4"), ip.field("ipv6")];
    let version = versions.iter().flatten().next()?;
    let text = |node: &Node<'_>, name: &str| {
        node.field(name)
            .and_then(|it| it.as_str().map(str::to_string))
    };
    let address = version.field("ip_addr");
    let parsed = address
        .as_ref()
        .and_then(|it| it.as_str()?.parse::<IpAddr>().ok());
    if let Some(address) = address
        && parsed.is_none()
    {
        let what = alloc::format!(
            "{} is no address",
            Quoted(address.as_str().unwrap_or_default())
        );
        reader.problem(&address, what, "write an IPv4 or IPv6 address");
    }
    Some(Target {
        id: text(node, "id")
            .or_else(|| text(node, "target_id"))
            .unwrap_or_default(),
        hostname,
        address: parsed,
        virtual_network: text(version, "virtual_network_id"),
        port: 22,
        ..Target::default()
    })
}
