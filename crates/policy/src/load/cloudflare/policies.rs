//! Policies: the decision, the connection rules, how old a login may be, and what must be done besides.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::{Converter, Strictness, inventory, known, text};
use crate::document::Item;
use crate::load::reader::{Fields, Node, Quoted, Reader};

const POLICY_FIELDS: &[&str] = &[
    "approval_groups",
    "approval_required",
    "connection_rules",
    "decision",
    "exclude",
    "include",
    "isolation_required",
    "mfa_config",
    "name",
    "purpose_justification_required",
    "require",
    "session_duration",
];

/// What says nothing about who may do what over SSH.
const POLICY_IGNORED: [&str; 10] = [
    "account_id",
    "app_count",
    "application_id",
    "created_at",
    "id",
    "precedence",
    "purpose_justification_prompt",
    "reusable",
    "updated_at",
    "zone_id",
];

/// What a policy takes from the application where it does not say: how old the login may be, and the second factor.
const INHERITED: [&str; 2] = ["session_duration", "mfa_config"];

impl Converter<'_, '_> {
    /// The policies of an application in the order in which they are evaluated: service tokens first, then by precedence.
    pub(super) fn attach(
        &mut self,
        reader: &mut Reader<'_>,
        items: &[Node<'_>],
        application: &Node<'_>,
    ) -> Vec<Item<'static>> {
        let precedence = |node: &Node<'_>| {
            let digits = node
                .field("precedence")
                .and_then(|it| it.as_integer().map(|(digits, _)| String::from(digits)));
            digits
                .and_then(|digits| digits.parse::<u32>().ok())
                .unwrap_or(u32::MAX)
        };
        let for_tokens = |node: &Node<'_>| {
            node.field("decision")
                .and_then(|it| it.as_str().map(|it| it == "non_identity"))
                == Some(true)
        };
        let mut ordered: Vec<&Node<'_>> = items.iter().collect();
        ordered.sort_by_key(|node| (!for_tokens(node), precedence(node)));
        ordered
            .into_iter()
            .filter_map(|node| self.attached(reader, node, application))
            .collect()
    }

    /// A policy of the application alone, the name of a reusable one, or a copy of one that takes the application's word for something.
    fn attached(
        &mut self,
        reader: &mut Reader<'_>,
        node: &Node<'_>,
        application: &Node<'_>,
    ) -> Option<Item<'static>> {
        let id = node.field("id");
        let known = id.as_ref().and_then(Node::as_str);
        let known = known.and_then(|id| self.inventory.reusable.get_key_value(id));
        if node.field("decision").is_some() && known.is_none() {
            return self.policy(reader, node, Some(application));
        }
        let Some((id, item)) = known else {
            let reference = id.as_ref().unwrap_or(node);
            let what = format!("no policy has the id {}", Quoted(reader.string(reference)?));
            reader.problem(reference, what, "export the reusable policies as well");
            return None;
        };
        let policy = Reader::root(item);
        let takes = |name: &str| application.field(name).is_some() && policy.field(name).is_none();
        let used_by_name = self.uses.entry(id).or_default();
        if INHERITED.into_iter().any(takes) {
            return self.policy(reader, &policy, Some(application));
        }
        *used_by_name = true;
        let name = inventory::text(item, "name")?;
        let at = node.place();
        Some(Item::table(at, [("use", Item::text(at, name.to_string()))]))
    }

    /// One policy; what it does not say of logins, the application says.
    pub(super) fn policy(
        &self,
        reader: &mut Reader<'_>,
        node: &Node<'_>,
        application: Option<&Node<'_>>,
    ) -> Option<Item<'static>> {
        let fields = known(reader, node, POLICY_FIELDS, &POLICY_IGNORED)?;
        let at = node.place();
        let mut out = alloc::vec![("name", text(reader, &fields, "name", node)?)];
        let decision = fields.get("decision")?;
        let action = self.action(reader, &decision, &fields)?;
        out.push(("action", Item::text(decision.place(), action)));
        let (include, mut require, exclude) = self.lists(reader, &fields);
        if let Some(include) = include {
            out.push(("include", include));
        }
        if action == "allow" {
            let [session, mfa] = INHERITED.map(|name| {
                let own = fields.get(name);
                own.or_else(|| application?.field(name))
            });
            let session = session.and_then(|node| login_age(reader, &node));
            let mfa = mfa.map(|node| second_factor(reader, &node));
            let SecondFactor { method, age } = mfa.unwrap_or_default();
            require.extend(method);
            // One login has both ages, so the shorter holds.
            let ages = [session, age].into_iter().flatten();
            if let Some(LoginAge { secs, at }) = ages.min_by_key(|age| age.secs) {
                out.push(("max_login_age", Item::text(at, format!("{secs}s"))));
            }
            self.connection(reader, &fields, &mut out);
            steps(reader, &fields, &mut out);
        }
        if !require.is_empty() {
            out.push(("require", Item::list(at, require)));
        }
        if !exclude.is_empty() {
            out.push(("exclude", Item::list(at, exclude)));
        }
        Some(Item::table(at, out))
    }

    fn action(
        &self,
        reader: &mut Reader<'_>,
        decision: &Node<'_>,
        fields: &Fields<'_>,
    ) -> Option<&'static str> {
        match reader.string(decision)? {
            "allow" => Some("allow"),
            "deny" if self.strictness == Strictness::Lenient => Some("block"),
            "non_identity" if self.strictness == Strictness::Lenient => {
                let include = fields.get("include");
                let rules = include.as_ref().map_or_else(Vec::new, Node::items);
                let names_token = |rule: &Node<'_>| {
                    rule.field("service_token").is_some()
                        || rule.field("any_valid_service_token").is_some()
                };
                if !rules.iter().all(names_token) {
                    let what = "a policy for service tokens includes people";
                    reader.problem(
                        decision,
                        what,
                        "include service tokens alone, or write `allow`",
                    );
                    return None;
                }
                Some("allow")
            }
            "bypass" => {
                let what =
                    "`bypass` would let people in without an identity and without a recording";
                reader.problem(decision, what, "write `allow`, and whom");
                None
            }
            other => {
                let what = format!(
                    "infrastructure applications have no decision {}",
                    Quoted(other)
                );
                reader.problem(decision, what, "write `allow`");
                None
            }
        }
    }

    fn connection(
        &self,
        reader: &mut Reader<'_>,
        fields: &Fields<'_>,
        out: &mut Vec<(&'static str, Item<'static>)>,
    ) {
        let Some(rules) = fields.get("connection_rules") else {
            return;
        };
        let Some(protocols) = reader.table(&rules, &["rdp", "ssh"]) else {
            return;
        };
        let Some(ssh) = protocols.get("ssh") else {
            return;
        };
        let Some(ssh) = reader.table(&ssh, &["allow_email_alias", "usernames"]) else {
            return;
        };
        if let Some(names) = ssh.get("usernames") {
            let items = reader.array(&names);
            let items = items.filter_map(|item| {
                Some(Item::text(item.place(), reader.string(&item)?.to_string()))
            });
            out.push(("usernames", Item::list(names.place(), items.collect())));
        }
        if let Some(alias) = ssh.get("allow_email_alias")
            && reader.boolean(&alias) == Some(true)
        {
            out.push(("allow_email_alias", Item::yes(alias.place())));
        }
    }
}

/// What must be done besides.
fn steps(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    out: &mut Vec<(&'static str, Item<'static>)>,
) {
    let mut steps = Vec::new();
    let is_set = |reader: &mut Reader<'_>, name| {
        let node = fields.get(name)?;
        (reader.boolean(&node)?).then_some(node.place())
    };
    if let Some(at) = is_set(reader, "purpose_justification_required") {
        steps.push(Item::text(at, "reason"));
    }
    if let Some(at) = is_set(reader, "approval_required") {
        steps.push(Item::text(at, "approval"));
        out.push(("approvers", Item::list(at, approvers(reader, fields))));
    }
    if is_set(reader, "isolation_required").is_some()
        && let Some(node) = fields.get("isolation_required")
    {
        reader.problem(
            &node,
            "a browser cannot be isolated over SSH",
            "write `false`",
        );
    }
    if let Some(first) = steps.first() {
        out.push(("step_up", Item::list(first.at, steps)));
    }
}

fn approvers(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<Item<'static>> {
    let mut people = Vec::new();
    let groups = fields.get("approval_groups");
    let groups = groups.as_ref().map_or_else(Vec::new, Node::items);
    let one = |group: &Node<'_>| {
        group
            .field("approvals_needed")
            .is_none_or(|it| it.as_integer().is_some_and(|(digits, _)| digits == "1"))
    };
    for group in &groups {
        if groups.len() > 1 || !one(group) {
            let what = "more than one approval cannot be asked for";
            reader.problem(group, what, "ask for one approval, by anybody of one group");
            break;
        }
        let Some(fields) = reader.table(
            group,
            &["approvals_needed", "email_addresses", "email_list_uuid"],
        ) else {
            continue;
        };
        let addresses = fields.get("email_addresses");
        let addresses = addresses.as_ref().map_or_else(Vec::new, Node::items);
        for address in &addresses {
            people.extend(
                reader
                    .string(address)
                    .map(|text| Item::text(address.place(), text.to_string())),
            );
        }
    }
    people
}

/// How old a login may be, and where that stands.
struct LoginAge {
    secs: u64,
    at: u32,
}

/// What is asked of a second factor.
#[derive(Default)]
struct SecondFactor {
    method: Option<Item<'static>>,
    age: Option<LoginAge>,
}

/// `{ "allowed_authenticators": […], "mfa_disabled": false, "session_duration": "24h" }`
fn second_factor(reader: &mut Reader<'_>, node: &Node<'_>) -> SecondFactor {
    let Some(fields) = reader.table(
        node,
        &["allowed_authenticators", "mfa_disabled", "session_duration"],
    ) else {
        return SecondFactor::default();
    };
    let disabled = fields
        .get("mfa_disabled")
        .and_then(|node| reader.boolean(&node));
    if disabled == Some(true) {
        return SecondFactor::default();
    }
    let authenticators = fields.get("allowed_authenticators");
    let authenticators = authenticators.as_ref().map_or_else(Vec::new, Node::items);
    let is_key = |node: &Node<'_>| {
        matches!(
            node.as_str(),
            Some("security_key" | "piv_key" | "ssh_piv_key")
        )
    };
    // RFC 8176 has one name for keys in hardware, and one for all second factors.
    let method = if !authenticators.is_empty() && authenticators.iter().all(is_key) {
        "hwk"
    } else {
        "mfa"
    };
    let at = node.place();
    let rule = Item::table(at, [("authentication_method", Item::text(at, method))]);
    let duration = fields.get("session_duration");
    SecondFactor {
        method: Some(rule),
        age: duration.and_then(|node| login_age(reader, &node)),
    }
}

/// How old a login may be, from a duration as Go writes it: `24h`, `1h30m`.
fn login_age(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<LoginAge> {
    let text = reader.string(node)?;
    let Some(secs) = go_seconds(text) else {
        let what = format!("{} is no duration", Quoted(text));
        reader.problem(
            node,
            what,
            "write hours, minutes and seconds, as in `\"1h30m\"`",
        );
        return None;
    };
    Some(LoginAge {
        secs,
        at: node.place(),
    })
}

/// Whole seconds of a Go duration; fractions of a second are dropped, which is the stricter reading.
fn go_seconds(text: &str) -> Option<u64> {
    let mut total = 0_u64;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        let (seconds, after) = if let Some(after) = after.strip_prefix("ms") {
            (number / 1000, after)
        } else if let Some(after) = after.strip_prefix('h') {
            (number.checked_mul(3600)?, after)
        } else if let Some(after) = after.strip_prefix('m') {
            (number.checked_mul(60)?, after)
        } else {
            (number, after.strip_prefix('s')?)
        };
        total = total.checked_add(seconds)?;
        rest = after;
    }
    Some(total)
}
