//! Rules and groups: each selector of Cloudflare by the one of ours that asks the same.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::{Converter, Strictness, known, text};
use crate::document::Item;
use crate::load::reader::{Fields, Node, Quoted, Reader};

/// Selectors that Cloudflare documents for infrastructure applications, and rule groups, in which they stand.
const OFFICIAL: [&str; 13] = [
    "auth_method",
    "azureAD",
    "azure_ad",
    "device_posture",
    "email",
    "email_domain",
    "geo",
    "github-organization",
    "github_organization",
    "group",
    "gsuite",
    "okta",
    "saml",
];

/// Selectors that ask what nobody here can answer.
const UNANSWERABLE: [&str; 9] = [
    "auth_context",
    "certificate",
    "common_name",
    "external_evaluation",
    "gateway",
    "linked_app_token",
    "user_risk_score",
    "warp",
    "device_risk",
];

impl Converter<'_, '_> {
    pub(super) fn group(&self, reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Item<'static>> {
        let ignored = [
            "account_id",
            "created_at",
            "id",
            "is_default",
            "updated_at",
            "zone_id",
        ];
        let fields = known(
            reader,
            node,
            &["exclude", "include", "name", "require"],
            &ignored,
        )?;
        let at = node.place();
        let mut out = alloc::vec![("name", text(reader, &fields, "name", node)?)];
        let (include, require, exclude) = self.lists(reader, &fields);
        out.extend(include.map(|include| ("include", include)));
        for (name, rules) in [("require", require), ("exclude", exclude)] {
            if !rules.is_empty() {
                out.push((name, Item::list(at, rules)));
            }
        }
        Some(Item::table(at, out))
    }

    /// The three lists; `include` with its place, where it is written.
    pub(super) fn lists(
        &self,
        reader: &mut Reader<'_>,
        fields: &Fields<'_>,
    ) -> (
        Option<Item<'static>>,
        Vec<Item<'static>>,
        Vec<Item<'static>>,
    ) {
        let mut list = |name| {
            let node = fields.get(name)?;
            let items = reader.array(&node);
            let rules = items.filter_map(|item| self.rule(reader, &item)).collect();
            Some((node.place(), rules))
        };
        let include = list("include").map(|(at, rules)| Item::list(at, rules));
        let mut others = |name| list(name).map_or_else(Vec::new, |(_, rules)| rules);
        let (require, exclude) = (others("require"), others("exclude"));
        (include, require, exclude)
    }

    /// `{ "email": { "email": "ann@example.com" } }`
    fn rule(&self, reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Item<'static>> {
        let fields = reader.open_table(node)?;
        if fields.len() != 1 {
            let what = "a rule holds exactly one selector";
            reader.problem(node, what, "export it again");
            return None;
        }
        let (name, value) = fields.entries().next()?;
        if self.strictness == Strictness::Strict && !OFFICIAL.contains(&name) {
            let what = format!(
                "infrastructure applications have no selector {}",
                Quoted(name)
            );
            reader.problem(
                &value,
                what,
                "use another selector, or import it without `--strict-cloudflare`",
            );
            return None;
        }
        let at = value.place();
        let one = |ours: &'static str, item: Item<'static>| Some(Item::table(at, [(ours, item)]));
        match name {
            "everyone" => one("everyone", Item::yes(at)),
            "any_valid_service_token" => one("any_service_token", Item::yes(at)),
            "email" => one("email", part(reader, &value, "email")?),
            "email_domain" => one("email_domain", part(reader, &value, "domain")?),
            "ip" => one("ip", part(reader, &value, "ip")?),
            "geo" => one("country", part(reader, &value, "country_code")?),
            "auth_method" => one(
                "authentication_method",
                part(reader, &value, "auth_method")?,
            ),
            "login_method" => one("login_method", part(reader, &value, "id")?),
            "device_posture" => one("device_posture", part(reader, &value, "integration_uid")?),
            "service_token" => one("service_token", part(reader, &value, "token_id")?),
            "okta" => one("group", membership(reader, &value, &["name"], "")?),
            "azureAD" | "azure_ad" => one("group", membership(reader, &value, &["id"], "")?),
            "gsuite" => one("group", membership(reader, &value, &["email"], "")?),
            "github-organization" | "github_organization" => {
                one("group", membership(reader, &value, &["name", "team"], "/")?)
            }
            "saml" => one(
                "group",
                membership(reader, &value, &["attribute_name", "attribute_value"], "=")?,
            ),
            "oidc" => one(
                "group",
                membership(reader, &value, &["claim_name", "claim_value"], "=")?,
            ),
            "group" => one("rule_group", self.group_name(reader, &value)?),
            "email_list" => one("email", self.list_items(reader, &value)?),
            "ip_list" => one("ip", self.list_items(reader, &value)?),
            _ => {
                let what = if UNANSWERABLE.contains(&name) {
                    format!("{} asks what nobody here can answer", Quoted(name))
                } else {
                    format!("there is no selector {}", Quoted(name))
                };
                reader.problem(&value, what, "use another selector");
                None
            }
        }
    }

    fn group_name(&self, reader: &mut Reader<'_>, value: &Node<'_>) -> Option<Item<'static>> {
        let fields = reader.table(value, &["id"])?;
        let id = reader.required(&fields, "id", "write the id of a group")?;
        let text = reader.string(&id)?;
        let Some(name) = self.inventory.group_names.get(text) else {
            let what = format!("no group has the id {}", Quoted(text));
            reader.problem(&id, what, "export the groups as well");
            return None;
        };
        Some(Item::text(id.place(), (*name).to_string()))
    }

    fn list_items(&self, reader: &mut Reader<'_>, value: &Node<'_>) -> Option<Item<'static>> {
        let fields = reader.table(value, &["id"])?;
        let id = reader.required(&fields, "id", "write the id of a list")?;
        let text = reader.string(&id)?;
        let list = self
            .inventory
            .lists
            .get(text)
            .map(|item| Reader::root(item));
        let items = list.as_ref().and_then(|list| list.field("items"));
        let Some(items) = items else {
            let what = format!("no list has the id {}", Quoted(text));
            reader.problem(&id, what, "export the lists with their items as well");
            return None;
        };
        let entries = items.items();
        let texts = entries.iter().filter_map(|entry| {
            let entry = entry
                .field("value")
                .or_else(|| entry.field("email"))
                .unwrap_or(entry.clone());
            Some(Item::text(
                entry.place(),
                reader.string(&entry)?.to_string(),
            ))
        });
        Some(Item::list(items.place(), texts.collect()))
    }
}

/// The one text of a selector.
fn part(reader: &mut Reader<'_>, value: &Node<'_>, name: &str) -> Option<Item<'static>> {
    let fields = reader.table(value, &[name])?;
    text(reader, &fields, name, value)
}

/// A group of an identity provider: the provider's id, and the parts of the name put together.
fn membership(
    reader: &mut Reader<'_>,
    value: &Node<'_>,
    parts: &[&str],
    separator: &str,
) -> Option<Item<'static>> {
    let mut allowed = parts.to_vec();
    allowed.push("identity_provider_id");
    let fields = reader.table(value, &allowed)?;
    let provider = text(reader, &fields, "identity_provider_id", value)?;
    let mut name = String::new();
    for part in parts {
        let Some(node) = fields.get(part) else {
            // Of a GitHub organization without a team, all are meant.
            if *part != "team" {
                let what = format!("`{part}` is missing");
                reader.problem(value, what, "export it again");
                return None;
            }
            continue;
        };
        if !name.is_empty() {
            name.push_str(separator);
        }
        name.push_str(reader.string(&node)?);
    }
    let at = value.place();
    Some(Item::table(
        at,
        [("provider", provider), ("name", Item::text(at, name))],
    ))
}
