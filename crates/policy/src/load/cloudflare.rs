//! What Cloudflare's API and Terraform provider write for Access applications of type infrastructure, turned into a document of ours.
//! The places stay, so that whatever is wrong with the result is told with a line of the original.

mod inventory;
mod policies;
mod rules;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::reader::{Fields, Node, Quoted, Reader};
use super::{finish, open};
use crate::document::{Item, Table, Value, parse_json_from, to_toml};
use crate::error::{LoadError, Problem};
use crate::request::Target;
use crate::set::PolicySet;
use inventory::Inventory;

const EXAMPLE: &str = "write what the API answers, or `terraform show -json`";

/// Whether selectors beyond those that Cloudflare evaluates for infrastructure applications may stand in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// All that this crate can evaluate.
    #[default]
    Lenient,
    /// Only what Cloudflare documents for infrastructure applications; and no Block, which it does not have there.
    Strict,
}

/// What was read from Cloudflare's files.
#[derive(Debug)]
pub struct Imported {
    /// The policy.
    pub set: PolicySet,
    /// The same as a document of ours.
    pub toml: String,
    /// The targets that the files hold, in their order.
    pub targets: Vec<Target>,
}

impl PolicySet {
    /// Loads what Cloudflare's API answers for applications, reusable policies, groups, lists and targets, or `terraform show -json`, from
    /// several files by name. Rules C1 to C9 of `CLOUDFLARE.md` say what becomes of each field.
    ///
    /// # Errors
    ///
    /// [`LoadError`] with every problem found: whatever [`from_toml`](Self::from_toml) would refuse, an unknown field, and whatever cannot be
    /// evaluated here. The path of a problem begins with the file's name.
    pub fn from_cloudflare(
        files: &[(&str, &str)],
        strictness: Strictness,
    ) -> Result<Imported, LoadError> {
        let mut text = String::new();
        let mut starts = Vec::new();
        for (_, file) in files {
            starts.push(text.len());
            text.push_str(file);
            text.push('\n');
        }
        import(&text, &starts, strictness).map_err(|error| in_files(error, files))
    }
}

fn import(text: &str, starts: &[usize], strictness: Strictness) -> Result<Imported, LoadError> {
    let mut reader = open(text)?;
    let mut roots = Vec::new();
    for (index, start) in starts.iter().enumerate() {
        let end = starts
            .get(index.saturating_add(1))
            .copied()
            .unwrap_or(text.len());
        // Without the line end that was put between the files.
        let end = end.saturating_sub(1);
        match parse_json_from(text.get(..end).unwrap_or_default(), *start) {
            Ok(item) => roots.push(item),
            Err(fault) => reader.syntax(&fault, EXAMPLE),
        }
    }
    if reader.has_problems() {
        return Err(reader.into_error());
    }
    let mut inventory = Inventory::default();
    for root in &roots {
        inventory.collect(&mut reader, root, 0);
    }
    let document = Converter {
        strictness,
        inventory: &inventory,
        uses: BTreeMap::new(),
    }
    .document(&mut reader);
    let targets = inventory.targets(&mut reader);
    // What could not be turned would only give rise to further, misleading problems.
    if reader.has_problems() {
        return Err(reader.into_error());
    }
    let toml = to_toml(&document);
    let set = finish(reader, &document)?;
    Ok(Imported { set, toml, targets })
}

/// Tells the problems with the lines of the files that they are in.
fn in_files(error: LoadError, files: &[(&str, &str)]) -> LoadError {
    let mut ends = Vec::new();
    let mut lines = 0_usize;
    for (_, file) in files {
        lines = lines
            .saturating_add(file.matches('\n').count())
            .saturating_add(1);
        ends.push(lines);
    }
    let moved = error.problems().iter().map(|problem| {
        let index = ends.partition_point(|end| *end < problem.line);
        let before = index
            .checked_sub(1)
            .and_then(|index| ends.get(index))
            .copied();
        let name = files.get(index).map_or("", |(name, _)| name);
        let separator = if name.is_empty() || problem.path.is_empty() {
            ""
        } else {
            ": "
        };
        Problem {
            line: problem.line.saturating_sub(before.unwrap_or(0)),
            path: format!("{name}{separator}{}", problem.path),
            ..problem.clone()
        }
    });
    LoadError::new(moved.collect(), error.unlisted())
}

/// Turns what was found into a document.
struct Converter<'i, 'n> {
    strictness: Strictness,
    inventory: &'i Inventory<'n>,
    /// Whether an application uses the reusable policy of that id by its name; others take a copy.
    uses: BTreeMap<&'n str, bool>,
}

impl Converter<'_, '_> {
    fn document(mut self, reader: &mut Reader<'_>) -> Table<'static> {
        let inventory = self.inventory;
        let applications = inventory.applications.iter();
        let applications = applications
            .filter_map(|item| self.application(reader, &Reader::root(item)))
            .collect();
        // A policy of which there are only copies would be one that nothing uses.
        let is_only_copied = |item: &Item<'_>| {
            let id = inventory::text(item, "id");
            id.and_then(|id| self.uses.get(id)) == Some(&false)
        };
        let policies = inventory.policies.iter();
        let policies = policies
            .filter(|item| !is_only_copied(item))
            .filter_map(|item| self.policy(reader, &Reader::root(item), None))
            .collect();
        let groups = inventory.groups.iter();
        let groups = groups
            .filter_map(|item| self.group(reader, &Reader::root(item)))
            .collect();
        let mut document = Table::default();
        let mut put = |name: &'static str, items: Vec<Item<'static>>| {
            if let Some(first) = items.first() {
                document.put(name, Item::list(first.at, items));
            }
        };
        put("rule_group", groups);
        put("policy", policies);
        put("application", applications);
        document
    }

    fn application(&mut self, reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Item<'static>> {
        let fields = known(reader, node, APPLICATION_FIELDS, &APPLICATION_IGNORED)?;
        let at = node.place();
        let mut out = alloc::vec![("name", text(reader, &fields, "name", node)?)];
        if let Some(idps) = fields.get("allowed_idps")
            && !idps.items().is_empty()
        {
            let help = "remove it, and require a `login_method` in the policies";
            reader.problem(
                &idps,
                "logins of an application cannot be narrowed here",
                help,
            );
        }
        let criteria = reader.required(
            &fields,
            "target_criteria",
            "write which targets it is about",
        );
        let criteria: Vec<_> = criteria
            .iter()
            .flat_map(Node::items)
            .filter_map(|item| criterion(reader, &item))
            .collect();
        out.push(("target", Item::list(at, criteria)));
        let policies = fields.get("policies");
        let policies = policies.as_ref().map_or_else(Vec::new, Node::items);
        let attached = self.attach(reader, &policies, node);
        out.push(("policy", Item::list(at, attached)));
        Some(Item::table(at, out))
    }
}

const APPLICATION_FIELDS: &[&str] = &[
    "allowed_idps",
    "mfa_config",
    "name",
    "policies",
    "session_duration",
    "target_criteria",
    "type",
];

/// What says nothing about who may do what over SSH.
const APPLICATION_IGNORED: [&str; 33] = [
    "account_id",
    "allow_authenticate_via_warp",
    "allow_iframe",
    "app_launcher_logo_url",
    "app_launcher_visible",
    "aud",
    "auto_redirect_to_identity",
    "bg_color",
    "cors_headers",
    "created_at",
    "custom_deny_message",
    "custom_deny_url",
    "custom_non_identity_deny_url",
    "custom_pages",
    "destinations",
    "domain",
    "domain_type",
    "enable_binding_cookie",
    "footer_links",
    "header_bg_color",
    "http_only_cookie_attribute",
    "id",
    "landing_page_design",
    "logo_url",
    "options_preflight_bypass",
    "path_cookie_attribute",
    "same_site_cookie_attribute",
    "self_hosted_domains",
    "service_auth_401_redirect",
    "skip_interstitial",
    "tags",
    "updated_at",
    "zone_id",
];

/// The fields of a table, those reported that are neither known nor ignored.
fn known<'p>(
    reader: &mut Reader<'_>,
    node: &Node<'p>,
    known: &[&str],
    ignored: &[&str],
) -> Option<Fields<'p>> {
    let mut all = known.to_vec();
    all.extend_from_slice(ignored);
    all.extend_from_slice(&["uid"]);
    reader.table(node, &all)
}

/// A text field that must be there.
fn text(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    name: &str,
    node: &Node<'_>,
) -> Option<Item<'static>> {
    let Some(field) = fields.get(name) else {
        reader.problem(node, format_args!("`{name}` is missing"), "export it again");
        return None;
    };
    let text = reader.string(&field)?;
    Some(Item::text(field.place(), text.to_string()))
}

/// `{ "port": 22, "protocol": "SSH", "target_attributes": { "hostname": […] } }`
fn criterion(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Item<'static>> {
    let fields = reader.table(node, &["port", "protocol", "target_attributes"])?;
    let protocol = reader.required(&fields, "protocol", "write `\"SSH\"`")?;
    let name = reader.string(&protocol)?;
    if !name.eq_ignore_ascii_case("ssh") {
        let what = format!("targets of protocol {} are left out", Quoted(name));
        reader.warn(&protocol, what, "keep them in an application of their own");
        return None;
    }
    let port = reader.required(&fields, "port", "write the port")?;
    let number = reader.integer(&port, 1, u32::from(u16::MAX))?;
    let attributes = reader.required(
        &fields,
        "target_attributes",
        "write `{ \"hostname\": […] }`",
    )?;
    let attributes = reader.open_table(&attributes)?;
    let mut include = Vec::new();
    let mut require = Vec::new();
    for (key, value) in attributes.entries() {
        let at = value.place();
        let values = value.items();
        let texts = values.iter().filter_map(|item| {
            reader
                .string(item)
                .map(|text| Item::text(item.place(), text.to_string()))
        });
        let texts = Item::list(at, texts.collect());
        let selector = if key == "hostname" {
            Item::table(at, [("hostname", texts)])
        } else {
            let mut tag = Table::default();
            tag.put_owned(key.to_string(), texts);
            let value = Value::Table(tag);
            Item::table(at, [("tag", Item { at, value })])
        };
        // The first attribute names the targets, further ones narrow them.
        if include.is_empty() {
            include.push(selector);
        } else {
            require.push(selector);
        }
    }
    let at = node.place();
    let digits = number.to_string().into();
    let port = Item {
        at: port.place(),
        value: Value::Integer { digits, radix: 10 },
    };
    let include = Item::list(at, include);
    let mut out = alloc::vec![("port", port), ("include", include)];
    if !require.is_empty() {
        out.push(("require", Item::list(at, require)));
    }
    Some(Item::table(at, out))
}

/// Names by id.
type Names<'n> = BTreeMap<&'n str, &'n str>;
