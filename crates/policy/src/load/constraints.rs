//! What a policy allows beyond channels and asks for in return: forwardings, commands, files, recording, step-up, re-evaluation.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::reader::{Fields, Node, Quoted, Reader};
use super::{targets, values};
use crate::constraints::{
    CommandRules, Constraints, Destination, Destinations, Direction, FileRule, ForwardRecording,
    HiddenInput, Host, OnLoss, PathRule, PathRules, Reevaluation, StepUp, is_plain_path,
};
use crate::feature::Feature;
use crate::limits::MAX_PATTERN_BYTES;
use crate::permissions::{NameSet, Permissions};

/// The constraints of a policy. Policies that say nothing share the default.
pub(super) fn load(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    permissions: &Permissions,
) -> Arc<Constraints> {
    let mut constraints = Constraints::default();
    forwardings(reader, fields, &mut constraints);
    constraints.forward_recording = forward_recording(reader, fields, &constraints);
    constraints.commands = asked(reader, fields, "commands", Feature::Commands, commands);
    constraints.files = asked(reader, fields, "files", Feature::Files, files);
    constraints.hidden_input = asked(
        reader,
        fields,
        "hidden_input",
        Feature::HiddenInput,
        hidden_input,
    );
    if let Some(names) = asked(
        reader,
        fields,
        "recipients",
        Feature::Recipients,
        recipients,
    ) {
        constraints.recipients = names;
    }
    constraints.step_up = step_up(reader, fields);
    constraints.reevaluation = reevaluation(reader, fields);
    let does_nothing = [
        ("commands", "exec", permissions.exec),
        (
            "files",
            "sftp",
            permissions.allows_subsystem("sftp") || permissions.exec,
        ),
    ];
    for (field, permission, granted) in does_nothing {
        if !granted && let Some(node) = fields.get(field) {
            let what = alloc::format!("`{field}` limits what `permit` does not grant");
            let help = alloc::format!("add `{permission}` to `permit`, or remove `{field}`");
            reader.problem(&node, what, help);
        }
    }
    if constraints == Constraints::default() {
        return reader.default_constraints();
    }
    Arc::new(constraints)
}

/// A field that asks for a feature, read by `read`.
fn asked<T>(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    name: &str,
    feature: Feature,
    read: impl FnOnce(&mut Reader<'_>, &Node<'_>) -> Option<T>,
) -> Option<T> {
    let node = fields.get(name)?;
    reader.demand(&node, feature);
    read(reader, &node)
}

fn forwardings(reader: &mut Reader<'_>, fields: &Fields<'_>, constraints: &mut Constraints) {
    for item in fields.get("permit").iter().flat_map(Node::items) {
        let (feature, granted) = match item.as_str() {
            Some("agent_forwarding") => {
                (Feature::AgentForwarding, &mut constraints.agent_forwarding)
            }
            Some("x11_forwarding") => (Feature::X11Forwarding, &mut constraints.x11_forwarding),
            _ => continue,
        };
        *granted = true;
        reader.demand(&item, feature);
    }
    for (name, feature, destinations) in [
        (
            "local_forward",
            Feature::LocalForward,
            &mut constraints.local_forward,
        ),
        ("jump", Feature::Jump, &mut constraints.jump),
        (
            "remote_forward",
            Feature::RemoteForward,
            &mut constraints.remote_forward,
        ),
    ] {
        if let Some(read) = asked(reader, fields, name, feature, self::destinations) {
            *destinations = read;
        }
    }
    let paths = asked(reader, fields, "stream_local", Feature::StreamLocal, paths);
    constraints.stream_local = paths.unwrap_or_default();
}

fn forward_recording(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    constraints: &Constraints,
) -> ForwardRecording {
    let Some(node) = fields.get("forward_recording") else {
        return ForwardRecording::default();
    };
    let forwards = ["local_forward", "remote_forward", "stream_local"];
    if !constraints.x11_forwarding && forwards.iter().all(|name| fields.get(name).is_none()) {
        let help = "add what may be forwarded, as in `local_forward`, or remove `forward_recording`; what `jump` reaches is recorded as sessions are";
        reader.problem(&node, "it grants no forwarding to record", help);
    }
    let recording = match reader.string(&node) {
        Some("full") | None => return ForwardRecording::Full,
        Some("digest") => ForwardRecording::Digest,
        Some("none") => ForwardRecording::None,
        Some(other) => {
            let what = alloc::format!("{} is none of three", Quoted(other));
            reader.problem(&node, what, "write `full`, `digest` or `none`");
            return ForwardRecording::Full;
        }
    };
    reader.demand(&node, Feature::ForwardRecording);
    recording
}

fn destinations(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Destinations> {
    let items = reader.array(node);
    let items = items.filter_map(|item| destination(reader, &item));
    Some(Destinations(items.collect()))
}

fn destination(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Destination> {
    const HELP: &str =
        "write `{ host = \"db-1\", port = 5432 }` or `{ ip = \"10.0.0.0/8\", port = [80, 443] }`";
    let fields = reader.table(node, &["host", "ip", "port"])?;
    let ports = reader.required(&fields, "port", HELP);
    let ports = ports.map(|node| targets::ports(reader, &node));
    let host = match (fields.get("host"), fields.get("ip")) {
        (Some(host), None) => values::hostname(reader, &host).map(Host::Name),
        (None, Some(range)) => values::ip(reader, &range).map(Host::Range),
        _ => {
            reader.problem(
                node,
                "a destination is a host or a range of addresses",
                HELP,
            );
            None
        }
    };
    Some(Destination {
        host: host?,
        ports: ports?,
    })
}

fn path(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<PathRule> {
    let text = reader.string(node)?;
    if text.len() > MAX_PATTERN_BYTES || !is_plain_path(text) {
        let what = alloc::format!("{} is no plain absolute path", Quoted(text));
        reader.problem(
            node,
            what,
            "write it from `/`, without `.`, `..` and empty parts; what is below is meant as well",
        );
        return None;
    }
    Some(PathRule(text.into()))
}

fn paths(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<PathRules> {
    let items = reader.array(node);
    let rules = items.filter_map(|item| path(reader, &item));
    Some(PathRules(rules.collect()))
}

fn commands(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<CommandRules> {
    let fields = reader.table(node, &["allow", "deny"])?;
    let mut patterns = |name| {
        let list = fields.get(name)?;
        let items = reader.array(&list);
        let read = items.filter_map(|item| pattern(reader, &item));
        Some(read.collect::<Vec<_>>())
    };
    let (allow, deny) = (patterns("allow"), patterns("deny"));
    if allow.is_none() && deny.is_none() {
        let help =
            "write `commands = { allow = [\"uptime\", \"journalctl *\"] }`, or `deny`, or both";
        reader.problem(node, "it neither allows nor denies a command", help);
    }
    Some(CommandRules {
        allow,
        deny: deny.unwrap_or_default(),
    })
}

fn pattern(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Box<str>> {
    let text = reader.string(node)?;
    if text.is_empty() || text.len() > MAX_PATTERN_BYTES {
        let help = alloc::format!(
            "write a command of at most {MAX_PATTERN_BYTES} bytes; `*` stands for any text"
        );
        reader.problem(node, "a command is empty or too long", help);
        return None;
    }
    Some(text.into())
}

fn files(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Vec<FileRule>> {
    let items = reader.array(node);
    Some(items.filter_map(|item| file(reader, &item)).collect())
}

fn file(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<FileRule> {
    const HELP: &str = "write `{ path = \"/srv/in\", may = [\"upload\"] }`, or `download`, or both";
    let fields = reader.table(node, &["may", "path"])?;
    let path = reader.required(&fields, "path", HELP);
    let path = path.and_then(|node| self::path(reader, &node));
    let may = reader.required(&fields, "may", HELP)?;
    let may = values::each(reader, &may, |reader, item| match reader.string(item)? {
        "upload" => Some(Direction::Upload),
        "download" => Some(Direction::Download),
        other => {
            let what = alloc::format!("{} is neither of two", Quoted(other));
            reader.problem(item, what, HELP);
            None
        }
    });
    Some(FileRule {
        path: path?,
        may: may.into(),
    })
}

fn hidden_input(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<HiddenInput> {
    Some(match reader.string(node)? {
        "never" => HiddenInput::Never,
        "sealed" => HiddenInput::Sealed,
        "always" => HiddenInput::Always,
        other => {
            let what = alloc::format!("{} is none of three", Quoted(other));
            reader.problem(node, what, "write `never`, `sealed` or `always`");
            return None;
        }
    })
}

fn recipients(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<NameSet> {
    let names = values::names(reader, node);
    Some(names.iter().map(|name| &**name).collect())
}

fn step_up(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<StepUp> {
    const HELP: &str = "write some of `security_key`, `reason` and `approval`, the last with `approvers = [\"name@example.com\"]`";
    let approvers = fields.get("approvers");
    let people = match &approvers {
        Some(node) => values::each(reader, node, values::email),
        None => Box::default(),
    };
    let mut steps: Vec<StepUp> = Vec::new();
    let list = fields.get("step_up");
    if let Some(node) = &list {
        reader.demand(node, Feature::StepUp);
    }
    let items = list
        .as_ref()
        .map_or_else(Vec::new, |list| reader.array(list).collect());
    for item in items {
        let step = match reader.string(&item) {
            Some("security_key") => StepUp::SecurityKey,
            Some("reason") => StepUp::Reason,
            Some("approval") if !people.is_empty() => StepUp::Approval(people.to_vec()),
            Some("approval") => {
                reader.problem(&item, "nobody is named who may approve", HELP);
                continue;
            }
            Some(other) => {
                let what = alloc::format!("there is no step {}", Quoted(other));
                reader.problem(&item, what, HELP);
                continue;
            }
            None => continue,
        };
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    let asks = steps.iter().any(|step| matches!(step, StepUp::Approval(_)));
    if let Some(node) = approvers
        && !asks
    {
        reader.problem(
            &node,
            "approvers are named where no approval is asked for",
            HELP,
        );
    }
    steps
}

fn reevaluation(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Reevaluation> {
    let every = asked(
        reader,
        fields,
        "reevaluate",
        Feature::Reevaluation,
        values::duration,
    );
    let on_loss = match fields.get("when_lost") {
        None => OnLoss::default(),
        Some(node) => {
            if fields.get("reevaluate").is_none() {
                let help = "add `reevaluate = \"5m\"`, or remove `when_lost`";
                reader.problem(&node, "nothing is decided again during the session", help);
            }
            match reader.string(&node)? {
                "end" => OnLoss::End,
                "report" => OnLoss::Report,
                other => {
                    let what = alloc::format!("{} is neither of two", Quoted(other));
                    reader.problem(&node, what, "write `end` or `report`");
                    return None;
                }
            }
        }
    };
    Some(Reevaluation {
        every: every?,
        on_loss,
    })
}
